//! Tells those who listen: each update is encoded once per dialect that somebody listens in.

use super::record::{Item, Outcome, PartName, Told};
use super::{Ledger, Listeners};
use crate::dialect::Dialect;
use crate::ingest::fields::Fields;
use crate::ingest::publish::Rejection;
use crate::journal::{Entry, Recorded};
use crate::market::{
    AccountTopic, Everyones, Millis, Part, RoomId, Scale, TRADING, Topic, Update, UpdateBody,
};
use crate::shard::{Broadcast, Class, Outlet};

impl Ledger {
    #[allow(clippy::too_many_arguments, reason = "the steps of one publication, all of the same length")]
    pub(super) fn tell_all(
        &mut self,
        now: Millis,
        items: &[Item],
        entries: &[Entry],
        recorded: &[Result<Recorded, Rejection>],
        told: &[Told],
        outcomes: &[Outcome],
        out: &mut impl Outlet,
    ) {
        let mut kept = told.iter().peekable();
        for (at, item) in items.iter().enumerate() {
            if let Some(told) = kept.next_if(|told| told.at == at) {
                if let Ok(recorded) = &recorded[told.entry]
                    && !recorded.is_repeated
                {
                    self.tell_kept(now, told, &entries[told.entry], recorded, out);
                }
            } else if outcomes[at].is_ok() && !self.was_told(now, item) {
                self.tell_passing(now, item, out);
            }
        }
    }

    fn tell_kept(
        &mut self,
        now: Millis,
        told: &Told,
        entry: &Entry,
        recorded: &Recorded,
        out: &mut impl Outlet,
    ) {
        let epoch = self.journal.as_ref().map(|journal| journal.epoch().to_owned()).unwrap_or_default();
        let numbered = |user_seq| UpdateBody::Private {
            event: entry.event,
            data: &entry.data,
            user: &entry.user,
            user_seq: Some(user_seq),
        };
        let (account, body) = (told.account, numbered(recorded.user_seq));
        for ((part, seq), user_seq) in told.parts.iter().zip(&recorded.seqs).zip(recorded.user_seq..) {
            let (part, name) = match part {
                PartName::Of(part) => (*part, ""),
                PartName::Strategy(name) | PartName::StrategyOrders(name) => {
                    let Some((id, _)) = self.accounts.strategy(name) else { continue };
                    let is_state = matches!(told.parts[0], PartName::Strategy(_));
                    (if is_state { Part::Strategy(id) } else { Part::StrategyOrders(id) }, &**name)
                }
            };
            let body = numbered(user_seq);
            self.send(AccountTopic::Own { account, part }, name, &epoch, *seq, now, body, out);
        }
        let (everyones, strategies) = match entry.event.split_once('.').map_or("", |(kind, _)| kind) {
            "order" => (Some(Everyones::Orders), false),
            "position" => (Some(Everyones::Positions), false),
            "strategy" => (Some(Everyones::Strategies), true),
            _ => (None, false),
        };
        if strategies {
            self.send(AccountTopic::Own { account, part: Part::Strategies }, "", &epoch, 0, now, body, out);
        }
        if let Some(everyones) = everyones {
            self.send(AccountTopic::Everyones(everyones), "", &epoch, 0, now, body, out);
        }
        if entry.event == "order.filled" {
            self.tell_fill(now, &entry.data, out);
        }
    }

    /// The public copy of a fill: three fields, and nothing of the user.
    fn tell_fill(&mut self, now: Millis, data: &str, out: &mut impl Outlet) {
        if !self.listeners.contains_key(&AccountTopic::Fills) {
            return;
        }
        let Ok(fields) = Fields::read(data) else { return };
        // Plain values alone: nothing can hide in them.
        let plain =
            |name| fields.raw(name).filter(|raw| !raw.starts_with(['{', '[']) && raw.len() <= MOST_PLAIN);
        let (Some(symbol), Some(side)) = (plain("symbol"), plain("side")) else { return };
        let price = plain("filledPrice").or_else(|| plain("price")).unwrap_or("null");
        let body = UpdateBody::Fill { symbol, side, price };
        self.send_unkept(AccountTopic::Fills, now, body, out);
    }

    /// Whether what is not kept was told before, by its name; from now on it was.
    fn was_told(&mut self, now: Millis, item: &Item) -> bool {
        let (scope, name) = match item {
            Item::Private { user, event_id: Some(name), .. } => {
                (format!("llm {}", user.as_deref().unwrap_or_default()), name)
            }
            Item::User { user, event_id: Some(name), .. } => (format!("user {user}"), name),
            Item::Room { room, event_id: Some(name), .. } => (format!("room {}", room.0), name),
            Item::Private { event_id: None, .. }
            | Item::User { event_id: None, .. }
            | Item::Room { event_id: None, .. } => return false,
        };
        let is_known = self.seen.knows(now, &scope, name);
        if !is_known {
            self.seen.add(now, &scope, name);
        }
        is_known
    }

    fn tell_passing(&mut self, now: Millis, item: &Item, out: &mut impl Outlet) {
        match item {
            Item::Private { user: Some(user), event, data, .. } => {
                let topic = AccountTopic::Own { account: self.accounts.id(user), part: Part::Llm };
                let body = UpdateBody::Private { event, data, user, user_seq: None };
                self.send_unkept(topic, now, body, out);
            }
            Item::Private { user: None, .. } => {}
            Item::User { user, event, data, .. } => {
                let topic = AccountTopic::Own { account: self.accounts.id(user), part: Part::User };
                let body = UpdateBody::Passing { event, data, user: Some(user) };
                self.send_unkept(topic, now, body, out);
            }
            Item::Room { room, event, data, .. } => self.tell_room(now, *room, event, data, out),
        }
    }

    fn tell_room(&mut self, now: Millis, room: RoomId, event: &str, data: &str, out: &mut impl Outlet) {
        let Some(name) = self.rooms.name(room).cloned() else { return };
        let body = UpdateBody::Passing { event, data, user: None };
        if &*name == TRADING {
            // The room of that name is the topic of that name.
            return self.send_unkept(AccountTopic::Fills, now, body, out);
        }
        let seq = self.room_seqs.entry(room).or_default();
        *seq += 1;
        let topic = Topic::Room(room);
        let update = Update {
            topic,
            symbol: &name,
            scale: Scale::default(),
            epoch: &self.epoch,
            seq: *seq,
            taken_in: now,
            body,
        };
        // Rooms are joined at the workers, so that every one of them is told.
        for dialect in Dialect::ALL {
            let Some(frame) = dialect.encode(&update) else { continue };
            let channel = dialect.of(topic);
            let frame = out.share(channel, frame);
            for worker in 0..self.workers {
                let frame = frame.clone();
                out.broadcast(worker, Broadcast { channel, class: Class::Lossless, follows: 0, frame });
            }
        }
    }

    fn send_unkept(&mut self, topic: AccountTopic, now: Millis, body: UpdateBody<'_>, out: &mut impl Outlet) {
        let Some(listeners) = self.listeners.get_mut(&topic) else { return };
        listeners.seq += 1;
        let (seq, epoch) = (listeners.seq, self.epoch.clone());
        self.send(topic, "", &epoch, seq, now, body, out);
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one update")]
    fn send(
        &self,
        topic: AccountTopic,
        name: &str,
        epoch: &str,
        seq: u64,
        now: Millis,
        body: UpdateBody<'_>,
        out: &mut impl Outlet,
    ) {
        let Some(Listeners { interest, .. }) = self.listeners.get(&topic) else { return };
        let class = if topic == AccountTopic::Fills { Class::Conflated } else { Class::Lossless };
        let topic = Topic::Account(topic);
        let scale = Scale::default();
        let update = Update { topic, symbol: name, scale, epoch, seq, taken_in: now, body };
        interest.send(topic, class, &update, out);
    }
}

/// The longest value that goes into a public copy.
const MOST_PLAIN: usize = 128;
