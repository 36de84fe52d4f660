//! What is published: every kind of object for every user, each with a mark of its own.

use serde_json::{Value, json};

use crate::oracle::User;

/// One published object and what it is about.
pub(crate) struct Event {
    /// Stands in its data, and nowhere else.
    pub(crate) mark: String,
    pub(crate) about: About,
    pub(crate) body: Value,
}

pub(crate) enum About {
    Private {
        owner: User,
        name: &'static str,
        of_strategy: bool,
        /// The price of the public copy, where there is to be one.
        copy: Option<String>,
    },
    ToUser {
        owner: User,
        name: &'static str,
    },
    ToRoom {
        room: &'static str,
        name: &'static str,
    },
}

/// Gives every object a mark.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) all: Vec<Event>,
    given: u32,
}

/// All that can happen to a user.
const NAMES: [&str; 22] = [
    "order.created",
    "order.submitted",
    "order.filled",
    "order.partially_filled",
    "order.cancelled",
    "order.rejected",
    "order.expired",
    "trade.executed",
    "balance.updated",
    "balance.locked",
    "balance.unlocked",
    "deposit.detected",
    "deposit.confirmed",
    "deposit.credited",
    "position.opened",
    "position.updated",
    "position.closed",
    "strategy.updated",
    "llm.start",
    "llm.chunk",
    "llm.error",
    "llm.complete",
];

impl Events {
    /// What there is before anybody listens: something open of every kind, for every user.
    pub(crate) fn before() -> Vec<Event> {
        let mut events = Events::default();
        for user in User::ALL {
            events.happens(user, "strategy.updated", Strategy::Beside);
            events.happens(user, "order.created", Strategy::None);
            events.happens(user, "order.created", Strategy::Beside);
            for name in ["trade.executed", "balance.updated", "deposit.detected", "position.opened"] {
                events.happens(user, name, Strategy::None);
            }
        }
        events.all
    }

    /// What happens while they listen. The users take turns.
    pub(crate) fn while_listening() -> Vec<Event> {
        let mut events = Events { given: 10_000, ..Events::default() };
        for name in NAMES {
            for user in User::ALL {
                if name == "strategy.updated" {
                    events.happens(user, name, Strategy::Beside);
                    continue;
                }
                events.happens(user, name, Strategy::None);
                if name.starts_with("order.") {
                    events.happens(user, name, Strategy::Beside);
                    events.happens(user, name, Strategy::InData);
                }
            }
        }
        for user in User::ALL {
            events.odd_fills(user);
            let (mark, about) = (events.mark(), About::ToUser { owner: user, name: "note.for-you" });
            let body = json!({"userId": user.name(), "event": "note.for-you", "data": {"mark": mark}});
            events.all.push(Event { mark, about, body });
        }
        for room in ["news", "lounge", "trading"] {
            let (mark, about) = (events.mark(), About::ToRoom { room, name: "flash" });
            let body = json!({"room": room, "event": "flash", "data": {"mark": mark}});
            events.all.push(Event { mark, about, body });
        }
        events.all
    }

    fn mark(&mut self) -> String {
        self.given += 1;
        format!("m{}", self.given)
    }

    fn happens(&mut self, user: User, name: &'static str, strategy: Strategy) {
        let mark = self.mark();
        let price = format!("{}.07", self.given);
        let mut data = json!({
            "mark": mark, "orderId": mark, "depositId": mark, "positionId": mark, "currency": mark,
            "symbol": "BTC/USD", "side": "BUY", "price": "1.50", "filledPrice": price, "quantity": "77.01",
            "userId": user.name(), "email": user.email(), "counterparty": "somebody",
        });
        if name == "trade.executed" {
            data["role"] = "maker".into();
        }
        let mut body = json!({"type": name, "userId": user.name()});
        match strategy {
            Strategy::None => {}
            Strategy::Beside => body["strategyId"] = user.strategy().into(),
            Strategy::InData => data["strategyId"] = user.strategy().into(),
        }
        body["data"] = data;
        let copy = (name == "order.filled").then_some(price);
        let of_strategy = strategy != Strategy::None;
        self.all.push(Event { mark, about: About::Private { owner: user, name, of_strategy, copy }, body });
    }

    /// Fills of which there is no public copy, or one of which little is known.
    fn odd_fills(&mut self, user: User) {
        for (without, copied) in [("symbol", false), ("side", false), ("filledPrice", true)] {
            let mark = self.mark();
            let price = format!("{}.09", self.given);
            let mut data = json!({"mark": mark, "orderId": mark, "symbol": "BTC/USD", "side": "SELL",
                "price": price, "filledPrice": "2", "userId": user.name()});
            data.as_object_mut().unwrap().remove(without);
            let about = About::Private {
                owner: user,
                name: "order.filled",
                of_strategy: false,
                copy: copied.then_some(price),
            };
            let body = json!({"type": "order.filled", "userId": user.name(), "data": data});
            self.all.push(Event { mark, about, body });
        }
    }
}

/// Where an object names its strategy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strategy {
    None,
    Beside,
    InData,
}
