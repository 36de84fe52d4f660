//! What a new subscriber of a private topic hears first: what is open or current, or what it missed.

use tracing::error;

use super::Ledger;
use crate::dialect::{Dialect, Refusal, RefusalCode, Since, native};
use crate::encode::Frame;
use crate::journal::{Journal, JournalError, Missed};
use crate::market::{AccountId, AccountTopic, Millis, Part, Scale, Topic, Update, UpdateBody};
use crate::shard::{Join, Joined, Outlet};

impl Ledger {
    /// Counts a subscriber. It hears nothing before it is [answered](Ledger::answer).
    pub fn join(&mut self, join: &Join) {
        if let Topic::Account(topic) = join.channel.topic
            && join.missed.is_none()
        {
            self.listeners.entry(topic).or_default().interest.join(join.channel.dialect, join.worker);
        }
    }

    /// Whether the answer to a subscriber holds what is read from the journal: of one channel always, or
    /// never. Only the native dialect has words for pictures of private topics.
    pub fn is_read_for(join: &Join) -> bool {
        join.channel.dialect == Dialect::Native && Kept::of_topic(join.channel.topic).is_some()
    }

    /// Tells a subscriber where its topic stands, or what it missed.
    pub fn answer(&mut self, now: Millis, join: &Join, out: &mut impl Outlet) {
        let mut frames = Vec::new();
        if Ledger::is_read_for(join)
            && let Some((account, part, kind)) = Kept::of_topic(join.channel.topic)
        {
            frames = self.first(now, account, part, &kind, join);
        }
        let joined = Joined { connection: join.connection, channel: join.channel, frames };
        out.joined(join.worker, joined);
    }

    fn first(&mut self, now: Millis, account: AccountId, part: Part, kind: &Kept, join: &Join) -> Vec<Frame> {
        let strategy = part.strategy().and_then(|id| self.accounts.strategy_name(id));
        let strategy = strategy.as_deref().unwrap_or_default();
        let (Some(user), Some(journal)) = (self.accounts.name(account), &mut self.journal) else {
            return Vec::new();
        };
        let mut topic = Vec::new();
        part.write_name(strategy, &mut topic);
        let topic = String::from_utf8_lossy(&topic);
        let asked = Asked { now, user: &user, topic: &topic, strategy, kind, join };
        asked.frames(journal).unwrap_or_else(|failed| {
            error!(error = %failed, %topic, "a private topic cannot be read");
            vec![native::error(&Refusal {
                id: None,
                code: RefusalCode::Damaged,
                message: "what was kept of this topic cannot be read; what comes from now on is right"
                    .to_owned(),
                topic: Some(topic.into_owned()),
            })]
        })
    }
}

/// One subscriber's question.
struct Asked<'a> {
    now: Millis,
    user: &'a str,
    topic: &'a str,
    strategy: &'a str,
    kind: &'a Kept,
    join: &'a Join,
}

impl Asked<'_> {
    fn frames(&self, journal: &mut Journal) -> Result<Vec<Frame>, JournalError> {
        let epoch = journal.epoch().to_owned();
        let held = self.join.since.as_ref().filter(|since| since.epoch == epoch);
        if let Some(Since { seq, .. }) = held
            && let Missed::Rows(rows) = journal.since(self.user, self.topic, *seq)?
        {
            let frame = |row: &crate::journal::Row| {
                let body = UpdateBody::Private {
                    event: &row.event,
                    data: &row.data,
                    user: self.user,
                    user_seq: Some(row.user_seq),
                };
                self.encode(&epoch, row.seq, row.at, body)
            };
            return Ok(rows.iter().filter_map(frame).collect());
        }
        let (seq, user_seq) = journal.head(self.user, self.topic)?;
        let items = journal.state(self.user, self.topic)?;
        let recovered = self.join.since.is_some().then_some(false);
        let body = UpdateBody::PrivateSnapshot { name: self.kind.0, items: &items, user_seq, recovered };
        Ok(self.encode(&epoch, seq, self.now, body).into_iter().collect())
    }

    fn encode(&self, epoch: &str, seq: u64, taken_in: Millis, body: UpdateBody<'_>) -> Option<Frame> {
        let (topic, scale) = (self.join.channel.topic, Scale::default());
        let update = Update { topic, symbol: self.strategy, scale, epoch, seq, taken_in, body };
        self.join.channel.dialect.encode(&update)
    }
}

/// What a picture of a part that is kept holds.
struct Kept(&'static str);

impl Kept {
    fn of_topic(topic: Topic) -> Option<(AccountId, Part, Kept)> {
        let Topic::Account(AccountTopic::Own { account, part }) = topic else { return None };
        Kept::of(part).map(|kind| (account, part, kind))
    }

    fn of(part: Part) -> Option<Kept> {
        Some(Kept(match part {
            Part::Orders | Part::StrategyOrders(_) => "orders",
            Part::Trades => "trades",
            Part::Balances => "balances",
            Part::Deposits => "deposits",
            Part::Positions => "positions",
            Part::Strategy(_) => "strategy",
            Part::Strategies | Part::Llm | Part::User => return None,
        }))
    }
}
