//! What the project's protocol promises to whom, and nothing of how the server does it: who is let in,
//! which names may be had, and what everybody hears of each published object.

use crate::events::{About, Event};
use crate::tokens::Token;

/// A vocabulary that clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Native,
    Hub,
    HubText,
    Maven,
    TradeWithAi,
}

impl Dialect {
    pub(crate) const ALL: [Dialect; 5] =
        [Dialect::Native, Dialect::Hub, Dialect::HubText, Dialect::Maven, Dialect::TradeWithAi];

    /// What stands before a Socket.IO packet's rest; `None` where it is another protocol.
    pub(crate) const fn namespace(self) -> Option<&'static str> {
        match self {
            Dialect::Native | Dialect::Hub | Dialect::HubText => None,
            Dialect::Maven => Some("/ws,"),
            Dialect::TradeWithAi => Some(""),
        }
    }
}

/// Everybody there is. The names are so rare that one in the wrong place is a leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum User {
    Ann,
    Bob,
    /// May publish.
    Backend,
    /// May see everybody's.
    Root,
}

impl User {
    pub(crate) const ALL: [User; 4] = [User::Ann, User::Bob, User::Backend, User::Root];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            User::Ann => "ann-31f7",
            User::Bob => "bob-92c4",
            User::Backend => "backend-5e0a",
            User::Root => "root-c8d1",
        }
    }

    pub(crate) fn email(self) -> String {
        format!("{}@example.com", self.name())
    }

    pub(crate) const fn scope(self) -> &'static str {
        match self {
            User::Ann | User::Bob => "",
            User::Backend => "publish",
            User::Root => "admin",
        }
    }

    pub(crate) fn strategy(self) -> String {
        format!("grid:of-{}", self.name())
    }
}

/// What somebody is to a server once its token was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Refused,
    Nobody,
    User(User),
}

/// Who is let in. A wrong token is refused, never taken for none.
pub(crate) fn standing(dialect: Dialect, token: Token) -> Standing {
    match (token, dialect) {
        (Token::Good(user), _) => Standing::User(user),
        (Token::None, Dialect::Native | Dialect::Maven) => Standing::Nobody,
        _ => Standing::Refused,
    }
}

/// Whether somebody may have what is asked for under this name.
pub(crate) fn may_have(dialect: Dialect, me: Standing, name: &str) -> bool {
    let own = |suffix: &str| match me {
        Standing::User(user) => format!("strategy:{}{suffix}", user.strategy()) == name,
        Standing::Nobody | Standing::Refused => false,
    };
    let by_id = |part: &str| match me {
        Standing::User(user) => format!("user:{}:{part}", user.name()) == name,
        Standing::Nobody | Standing::Refused => false,
    };
    let is_user = matches!(me, Standing::User(_));
    match dialect {
        Dialect::Native => match name {
            "trading" | "room:trading" | "room:news" => true,
            "orders" | "trades" | "balances" | "deposits" | "positions" | "llm" | "user" | "room:lounge" => {
                is_user
            }
            _ => is_market(name) || own("") || own(":orders"),
        },
        Dialect::Hub | Dialect::HubText => match name {
            "orders" | "positions" | "strategies" | "trading" => true,
            _ => is_market(name) || own("") || own(":orders") || by_id("orders") || by_id("positions"),
        },
        Dialect::Maven => match name {
            "subscribe ticker"
            | "subscribe orderbook"
            | "subscribe trades"
            | "subscribe klines"
            | "subscribe news" => true,
            "subscribe.private user.orders"
            | "subscribe.private user.trades"
            | "subscribe.private user.balances"
            | "subscribe.private user.deposits"
            | "subscribe lounge" => is_user,
            _ => false,
        },
        Dialect::TradeWithAi => matches!(
            name,
            "subscribe trading"
                | "subscribe market-data"
                | "subscribe llm"
                | "subscribe news"
                | "subscribe lounge"
        ),
    }
}

/// A market's topic by the engine's own name.
pub(crate) fn is_market(name: &str) -> bool {
    ["ticker:", "book:", "trades:", "kline:"].iter().any(|kind| name.starts_with(kind))
}

/// What somebody who asked for everything hears of an object: each message as what it is called and
/// the mark that it carries, in no order.
pub(crate) fn told(dialect: Dialect, me: Standing, event: &Event) -> Vec<(String, String)> {
    let with_mark = |label: String| (label, event.mark.clone());
    match &event.about {
        About::Private { owner, name, of_strategy, copy } => {
            let own = told_of_ones_own(dialect, me, *owner, name, *of_strategy);
            let mut told: Vec<_> = own.into_iter().map(with_mark).collect();
            // The public copy: symbol, side and price of a fill, to all who listen to `trading`.
            if let Some(price) = copy
                && dialect != Dialect::Maven
            {
                told.push(("trading".to_owned(), price.clone()));
            }
            told
        }
        About::ToUser { owner, name } => {
            let label = match dialect {
                Dialect::Native => format!("user {name}"),
                Dialect::Maven => format!("user:{} {name}", owner.name()),
                Dialect::TradeWithAi => (*name).to_owned(),
                Dialect::Hub | Dialect::HubText => return Vec::new(),
            };
            if me == Standing::User(*owner) { vec![with_mark(label)] } else { Vec::new() }
        }
        About::ToRoom { room, name } => {
            let label = match (dialect, *room) {
                (Dialect::TradeWithAi, _) => (*name).to_owned(),
                (Dialect::Maven, "trading") | (Dialect::Hub | Dialect::HubText, _) => return Vec::new(),
                // The room of that name and the topic of that name are one.
                (Dialect::Native, "trading") => format!("trading {name}"),
                (Dialect::Native, _) => format!("room:{room} {name}"),
                (Dialect::Maven, _) => format!("{room} {name}"),
            };
            let may = *room != "lounge" || matches!(me, Standing::User(_));
            if may { vec![with_mark(label)] } else { Vec::new() }
        }
    }
}

fn told_of_ones_own(
    dialect: Dialect,
    me: Standing,
    owner: User,
    name: &str,
    of_strategy: bool,
) -> Vec<String> {
    let is_mine = me == Standing::User(owner);
    let is_admin = me == Standing::User(User::Root);
    let kind = name.split('.').next().unwrap();
    match dialect {
        Dialect::Native if is_mine => {
            let topic = match kind {
                "order" | "trade" | "balance" | "deposit" | "position" => format!("{kind}s"),
                "strategy" => format!("strategy:{}", owner.strategy()),
                other => other.to_owned(),
            };
            let mut told = vec![format!("{topic} {name}")];
            if kind == "order" && of_strategy {
                told.push(format!("strategy:{}:orders {name}", owner.strategy()));
            }
            told
        }
        // One update reaches a connection once, however many of its topics it matches; an admin's
        // `orders` are everybody's.
        Dialect::Hub | Dialect::HubText if is_mine || is_admin => match kind {
            "order" | "position" | "strategy" => {
                vec![format!("{}_UPDATE {name}", kind.to_uppercase())]
            }
            _ => Vec::new(),
        },
        Dialect::Maven if is_mine => {
            let room = |part: &str| format!("user:{}:{part}", owner.name());
            match name {
                "order.partially_filled" => vec![format!("{} order.filled", room("orders"))],
                "order.created" | "order.filled" | "order.cancelled" | "order.expired" => {
                    vec![format!("{} {name}", room("orders"))]
                }
                "trade.executed" => vec![format!("{} {name}", room("trades"))],
                _ if kind == "balance" => vec![format!("{} {name}", room("balances"))],
                _ if kind == "deposit" => vec![format!("{} {name}", room("deposits"))],
                _ => Vec::new(),
            }
        }
        Dialect::TradeWithAi if is_mine => match name {
            "order.partially_filled" => vec!["order:partially-filled".to_owned()],
            "order.created" | "order.submitted" | "order.filled" | "order.cancelled" | "order.rejected"
            | "position.opened" | "position.updated" | "position.closed" | "balance.updated" => {
                vec![name.replace('.', ":")]
            }
            "llm.start" => vec!["llm:stream:start".to_owned()],
            "llm.chunk" => vec!["llm:stream".to_owned()],
            "llm.error" => vec!["llm:stream:error".to_owned()],
            "llm.complete" => vec!["llm:response:complete".to_owned()],
            _ => Vec::new(),
        },
        Dialect::Native | Dialect::Hub | Dialect::HubText | Dialect::Maven | Dialect::TradeWithAi => {
            Vec::new()
        }
    }
}

/// What is open or current when somebody begins to listen: a native client's snapshots.
pub(crate) fn pictures(dialect: Dialect, me: Standing, before: &[Event]) -> Vec<(String, String)> {
    let Standing::User(me) = me else { return Vec::new() };
    let mut told = Vec::new();
    for event in before.iter().filter(|_| dialect == Dialect::Native) {
        let About::Private { owner, name, of_strategy, .. } = &event.about else { continue };
        let kind = name.split('.').next().unwrap();
        // What has happened and leaves nothing open is not current.
        if *owner != me || kind == "trade" {
            continue;
        }
        let topic =
            if kind == "strategy" { format!("strategy:{}", me.strategy()) } else { format!("{kind}s") };
        told.push((format!("{topic} snapshot"), event.mark.clone()));
        if *of_strategy && kind == "order" {
            told.push((format!("strategy:{}:orders snapshot", me.strategy()), event.mark.clone()));
        }
    }
    told
}
