//! From published items to recorded events: whose they are, what they change, and what became of them.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tracing::error;

use super::Ledger;
use crate::ingest::fields::Fields;
use crate::ingest::publish::Rejection;
use crate::journal::{Entry, JournalError, Recorded};
use crate::market::{AccountId, Millis, Part, RoomId};
use crate::shard::Outlet;
use crate::state::change;

/// Something for the ledger.
#[derive(Clone, Debug)]
pub enum Item {
    /// What happened to a user.
    Private {
        /// Who; `None` where the strategy stands for its owner.
        user: Option<Arc<str>>,
        /// One of the known names.
        event: &'static str,
        /// The strategy that it belongs to.
        strategy: Option<Box<str>>,
        /// The text of a JSON object.
        data: Box<str>,
        /// The publisher's name for it.
        event_id: Option<Box<str>>,
    },
    /// Something for all sessions of a user, not kept.
    User {
        /// Who.
        user: Arc<str>,
        /// What its publisher calls what happened.
        event: String,
        /// JSON text.
        data: Box<str>,
        /// The publisher's name for it.
        event_id: Option<Box<str>>,
    },
    /// Something for a room, not kept.
    Room {
        /// Which.
        room: RoomId,
        /// What its publisher calls what happened.
        event: String,
        /// JSON text.
        data: Box<str>,
        /// The publisher's name for it.
        event_id: Option<Box<str>>,
    },
}

/// What became of an item: its number in its own topic where it is kept, or why it was not taken.
pub type Outcome = Result<Option<u64>, Rejection>;

/// What is told once the journal has it.
#[derive(Debug)]
pub(super) struct Told {
    /// Which item.
    pub(super) at: usize,
    /// Its place in the transaction.
    pub(super) entry: usize,
    pub(super) account: AccountId,
    /// Its parts, as the entry's topics.
    pub(super) parts: Vec<PartName>,
}

/// A part by name: a strategy has no number before it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PartName {
    Of(Part),
    Strategy(Box<str>),
    StrategyOrders(Box<str>),
}

impl Ledger {
    /// Records what is to be kept, in one transaction, and tells everything in the order in which it
    /// came. The outcomes are those of `items`, in their order.
    pub fn publish(&mut self, now: Millis, items: &[Item], out: &mut impl Outlet) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = vec![Ok(None); items.len()];
        let (mut entries, mut told) = (Vec::new(), Vec::new());
        let mut founded: FxHashMap<Box<str>, AccountId> = FxHashMap::default();
        for (at, item) in items.iter().enumerate() {
            match self.entry(item, &mut founded) {
                Ok(Some((account, parts, entry))) => {
                    told.push(Told { at, entry: entries.len(), account, parts });
                    entries.push(entry);
                }
                Ok(None) => {}
                Err(rejection) => outcomes[at] = Err(rejection),
            }
        }
        let recorded = self.record(now, &entries);
        for told in &told {
            let recorded = recorded[told.entry].as_ref();
            outcomes[told.at] = recorded.map(|one| one.seqs.first().copied()).map_err(Clone::clone);
            if let (Ok(_), Some(strategy)) = (recorded, &entries[told.entry].strategy) {
                self.accounts.add_strategy(strategy, told.account);
            }
        }
        self.tell_all(now, items, &entries, &recorded, &told, &outcomes, out);
        outcomes
    }

    /// What became of each entry.
    fn record(&mut self, now: Millis, entries: &[Entry]) -> Vec<Result<Recorded, Rejection>> {
        if entries.is_empty() {
            return Vec::new();
        }
        let Some(journal) = &mut self.journal else {
            let message = "nothing can be made durable: set data_dir (--data-dir)";
            return vec![Err(Rejection::new(NOT_DURABLE, message)); entries.len()];
        };
        let began = self.fine.now();
        let recorded = journal.record(now, entries);
        self.meter.commits.record(self.fine.now().saturating_sub(began));
        match recorded {
            Ok(taken) => {
                let mut named = FxHashSet::default();
                let mut refused = |failed: JournalError| {
                    let damage = failed.to_string();
                    // Many events of one user may meet the same damage.
                    if !named.contains(&damage) {
                        error!(error = %damage, "a private event was refused, and others like it");
                        named.insert(damage);
                    }
                    refusal(&failed)
                };
                taken.into_iter().map(|one| one.map_err(&mut refused)).collect()
            }
            Err(failed) => {
                error!(error = %failed, events = entries.len(), "private events were refused");
                vec![Err(refusal(&failed)); entries.len()]
            }
        }
    }

    /// What is to be recorded of an item; `None` where it is only told.
    fn entry(
        &self,
        item: &Item,
        founded: &mut FxHashMap<Box<str>, AccountId>,
    ) -> Result<Option<(AccountId, Vec<PartName>, Entry)>, Rejection> {
        let Item::Private { user, event, strategy, data, event_id } = item else { return Ok(None) };
        let known = strategy.as_deref().and_then(|name| self.accounts.strategy(name));
        let known = known.map(|(_, owner)| owner);
        let owner = known.or_else(|| founded.get(strategy.as_deref()?).copied());
        let account = match (user, owner) {
            (Some(user), _) => self.accounts.id(user),
            (None, Some(owner)) => owner,
            (None, None) => {
                let message = "this strategy is not known yet: name its \"userId\"";
                return Err(Rejection::new("UNKNOWN_STRATEGY", message));
            }
        };
        if owner.is_some_and(|owner| owner != account) {
            let message = "the strategy belongs to another user";
            return Err(Rejection::new("FOREIGN_STRATEGY", message));
        }
        if event.starts_with("llm.") {
            return Ok(None);
        }
        let user = match user {
            Some(user) => user.clone(),
            None => {
                self.accounts.name(account).ok_or_else(|| Rejection::new("UNKNOWN_USER", "no such user"))?
            }
        };
        let parts = parts(event, strategy.as_deref());
        // Until one of them is recorded, each event makes its strategy known: another may be refused.
        let new = strategy.clone().filter(|_| known.is_none());
        if let Some(new) = &new {
            founded.insert(new.clone(), account);
        }
        let fields = Fields::read(data).unwrap_or_default();
        let entry = Entry {
            user,
            event,
            data: data.clone(),
            event_id: event_id.clone(),
            topics: parts.iter().map(PartName::topic).collect(),
            change: change(event, &fields, strategy.as_deref()),
            strategy: new,
        };
        Ok(Some((account, parts, entry)))
    }
}

/// Why nothing was recorded, for a publisher; the log says more.
fn refusal(failed: &JournalError) -> Rejection {
    let reason = match failed {
        JournalError::Full => failed.to_string(),
        JournalError::Damaged { what } => format!("the journal is damaged: {what}"),
        JournalError::Folder { .. }
        | JournalError::Taken { .. }
        | JournalError::Foreign { .. }
        | JournalError::Store(_) => "the journal cannot be written".to_owned(),
    };
    Rejection::new(NOT_DURABLE, reason)
}

/// The topics of an event, its own first.
fn parts(event: &str, strategy: Option<&str>) -> Vec<PartName> {
    let kind = event.split_once('.').map_or(event, |(kind, _)| kind);
    match (kind, strategy) {
        ("order", None) => vec![PartName::Of(Part::Orders)],
        ("order", Some(strategy)) => {
            vec![PartName::Of(Part::Orders), PartName::StrategyOrders(strategy.into())]
        }
        ("trade", _) => vec![PartName::Of(Part::Trades)],
        ("balance", _) => vec![PartName::Of(Part::Balances)],
        ("deposit", _) => vec![PartName::Of(Part::Deposits)],
        ("position", _) => vec![PartName::Of(Part::Positions)],
        (_, Some(strategy)) => vec![PartName::Strategy(strategy.into())],
        (_, None) => Vec::new(),
    }
}

impl PartName {
    /// The topic's name in the journal: the one that clients use.
    pub(super) fn topic(&self) -> Box<str> {
        match self {
            PartName::Of(part) => {
                let mut name = Vec::new();
                part.write_name("", &mut name);
                String::from_utf8_lossy(&name).into()
            }
            PartName::Strategy(strategy) => format!("strategy:{strategy}").into(),
            PartName::StrategyOrders(strategy) => format!("strategy:{strategy}:orders").into(),
        }
    }
}

/// The code of what may be published again later.
pub const NOT_DURABLE: &str = "NOT_DURABLE";
