//! Accounts and strategies: the small numbers that stand for them, and the topics about them.

use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHashMap;

/// A user inside the engine: its place in [`Accounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u32);

/// A strategy inside the engine: its place in [`Accounts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrategyId(pub u32);

/// A topic that no shard knows: it comes from publishers and goes through the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountTopic {
    /// What happens to one user. Only that user's own sessions may hear it.
    Own {
        /// Whose; from a token, never from what a client writes.
        account: AccountId,
        /// What of it.
        part: Part,
    },
    /// What happens to all users: for admins.
    Everyones(Everyones),
    /// The public, anonymised flow of fills, called `trading`.
    Fills,
}

/// What happens to a user, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// `orders`.
    Orders,
    /// `trades`: the user's own.
    Trades,
    /// `balances`.
    Balances,
    /// `deposits`.
    Deposits,
    /// `positions`.
    Positions,
    /// `strategies`: all of the user's, for the dialect that has such a topic.
    Strategies,
    /// `strategy:{id}`.
    Strategy(StrategyId),
    /// `strategy:{id}:orders`.
    StrategyOrders(StrategyId),
    /// `llm`: streamed answers of a model; not stored.
    Llm,
    /// `user`: whatever a publisher sends to the user; not stored.
    User,
}

impl Part {
    /// The part of that name, but for those of one strategy, whose names hold its own.
    pub fn from_name(name: &str) -> Option<Part> {
        Some(match name {
            "orders" => Part::Orders,
            "trades" => Part::Trades,
            "balances" => Part::Balances,
            "deposits" => Part::Deposits,
            "positions" => Part::Positions,
            "llm" => Part::Llm,
            "user" => Part::User,
            _ => return None,
        })
    }

    /// The strategy's own name and whether its orders are meant, where `name` is of one strategy.
    pub fn strategy_of(name: &str) -> Option<(&str, bool)> {
        let rest = name.strip_prefix("strategy:")?;
        Some(match rest.strip_suffix(":orders") {
            Some(strategy) => (strategy, true),
            None => (rest, false),
        })
    }

    /// Appends its name; `strategy` is that of the strategy, where it is of one.
    pub fn write_name(self, strategy: &str, out: &mut Vec<u8>) {
        let mut put = |parts: &[&str]| parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        match self {
            Part::Orders => put(&["orders"]),
            Part::Trades => put(&["trades"]),
            Part::Balances => put(&["balances"]),
            Part::Deposits => put(&["deposits"]),
            Part::Positions => put(&["positions"]),
            Part::Strategies => put(&["strategies"]),
            Part::Strategy(_) => put(&["strategy:", strategy]),
            Part::StrategyOrders(_) => put(&["strategy:", strategy, ":orders"]),
            Part::Llm => put(&["llm"]),
            Part::User => put(&["user"]),
        }
    }

    /// Its strategy, where it is of one.
    pub const fn strategy(self) -> Option<StrategyId> {
        match self {
            Part::Strategy(strategy) | Part::StrategyOrders(strategy) => Some(strategy),
            Part::Orders
            | Part::Trades
            | Part::Balances
            | Part::Deposits
            | Part::Positions
            | Part::Strategies
            | Part::Llm
            | Part::User => None,
        }
    }
}

/// What admins may hear of all users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Everyones {
    /// Everybody's orders.
    Orders,
    /// Everybody's positions.
    Positions,
    /// Everybody's strategies.
    Strategies,
}

/// The users and strategies that are known. Numbers are given out and never taken back.
///
/// Asked when somebody connects, subscribes or publishes, not when something is sent.
#[derive(Debug, Default)]
pub struct Accounts {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    users: Vec<Arc<str>>,
    by_user: FxHashMap<Arc<str>, AccountId>,
    strategies: Vec<(Arc<str>, AccountId)>,
    by_strategy: FxHashMap<Arc<str>, StrategyId>,
}

impl Accounts {
    /// The number of a user, who becomes known if it was not.
    pub fn id(&self, user: &str) -> AccountId {
        if let Some(id) = self.read(|table| table.by_user.get(user).copied()) {
            return id;
        }
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&id) = table.by_user.get(user) {
            return id;
        }
        let id = AccountId(u32::try_from(table.users.len()).unwrap_or(u32::MAX));
        let user: Arc<str> = user.into();
        table.users.push(user.clone());
        table.by_user.insert(user, id);
        id
    }

    /// The name of a user.
    pub fn name(&self, id: AccountId) -> Option<Arc<str>> {
        self.read(|table| table.users.get(id.0 as usize).cloned())
    }

    /// A strategy and whose it is.
    pub fn strategy(&self, name: &str) -> Option<(StrategyId, AccountId)> {
        self.read(|table| {
            let id = *table.by_strategy.get(name)?;
            Some((id, table.strategies[id.0 as usize].1))
        })
    }

    /// The name of a strategy.
    pub fn strategy_name(&self, id: StrategyId) -> Option<Arc<str>> {
        self.read(|table| table.strategies.get(id.0 as usize).map(|(name, _)| name.clone()))
    }

    /// A strategy becomes known as `owner`'s; one that is known stays whose it is.
    pub fn add_strategy(&self, name: &str, owner: AccountId) -> StrategyId {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&id) = table.by_strategy.get(name) {
            return id;
        }
        let id = StrategyId(u32::try_from(table.strategies.len()).unwrap_or(u32::MAX));
        let name: Arc<str> = name.into();
        table.strategies.push((name.clone(), owner));
        table.by_strategy.insert(name, id);
        id
    }

    fn read<R>(&self, look: impl FnOnce(&Table) -> R) -> R {
        look(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_stays_with_its_first_owner() {
        let accounts = Accounts::default();
        let (ann, bob) = (accounts.id("ann"), accounts.id("bob"));
        assert_ne!(ann, bob);
        assert_eq!(accounts.id("ann"), ann);
        let grid = accounts.add_strategy("grid", ann);
        assert_eq!(accounts.add_strategy("grid", bob), grid);
        assert_eq!(accounts.strategy("grid"), Some((grid, ann)));
        assert_eq!(accounts.strategy("other"), None);
    }

    #[test]
    fn names_of_strategies_are_read_from_the_right() {
        assert_eq!(Part::strategy_of("strategy:a:b:orders"), Some(("a:b", true)));
        assert_eq!(Part::strategy_of("strategy:a:b"), Some(("a:b", false)));
        assert_eq!(Part::strategy_of("orders"), None);
    }
}
