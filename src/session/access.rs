//! What a session may hear besides markets: its user's own topics, rooms, and the public fills.

use std::sync::Arc;

use crate::auth::{Ended, Grant, Refused, Tokens, audit};
use crate::dialect::RefusalCode;
use crate::market::{AccountId, AccountTopic, Accounts, Audience, Millis, Part, Rooms, TRADING, Topic};

/// A session's grant, and what names mean under it.
///
/// Invariant: the account in a topic that it finds is always its own; no text of a client names one.
#[derive(Clone)]
pub struct Access {
    accounts: Arc<Accounts>,
    rooms: Arc<Rooms>,
    tokens: Arc<Tokens>,
    grant: Option<Grant>,
}

impl Access {
    /// The access of who came with this grant, or without one.
    pub const fn new(
        accounts: Arc<Accounts>,
        rooms: Arc<Rooms>,
        tokens: Arc<Tokens>,
        grant: Option<Grant>,
    ) -> Access {
        Access { accounts, rooms, tokens, grant }
    }

    /// What the session is granted; `None` is nobody.
    pub const fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// The session's account.
    pub fn account(&self) -> Option<AccountId> {
        self.grant.as_ref().map(|grant| self.accounts.id(grant.user()))
    }

    /// The topic of a name that is no market's; `None` where it may be a market's.
    pub fn find(&self, name: &str) -> Option<Result<Topic, (RefusalCode, String)>> {
        if matches!(name, TRADING | "room:trading") {
            return Some(Ok(Topic::Account(AccountTopic::Fills)));
        }
        if let Some(room) = name.strip_prefix("room:") {
            return Some(self.room(room));
        }
        let part = match (Part::from_name(name), Part::strategy_of(name)) {
            (Some(part), _) => Ok(part),
            (None, Some((strategy, orders))) => Err((strategy, orders)),
            (None, None) => return None,
        };
        let Some(account) = self.account() else {
            let message = "a private topic needs a connection with a token".to_owned();
            return Some(Err((RefusalCode::Unauthorized, message)));
        };
        let part = match part {
            Ok(part) => part,
            Err((strategy, orders)) => match self.accounts.strategy(strategy) {
                Some((id, owner)) if owner == account => {
                    if orders {
                        Part::StrategyOrders(id)
                    } else {
                        Part::Strategy(id)
                    }
                }
                // Not known and not one's own look the same from outside.
                Some(_) | None => {
                    return Some(Err(self.forbidden(name, "there is no such strategy of yours")));
                }
            },
        };
        Some(Ok(Topic::Account(AccountTopic::Own { account, part })))
    }

    fn room(&self, name: &str) -> Result<Topic, (RefusalCode, String)> {
        match self.rooms.find(name) {
            Some((room, Audience::Public)) => Ok(Topic::Room(room)),
            Some((room, Audience::Users)) if self.grant.is_some() => Ok(Topic::Room(room)),
            Some((_, Audience::Users)) => {
                Err((RefusalCode::Unauthorized, "this room needs a connection with a token".to_owned()))
            }
            None => Err((RefusalCode::UnknownTopic, format!("there is no room {name:?} here"))),
        }
    }

    /// A refusal that stands in the audit log.
    pub fn forbidden(&self, what: &str, why: &str) -> (RefusalCode, String) {
        audit::forbidden(self.grant.as_ref().map(|grant| &**grant.user()), "subscribe", what);
        (RefusalCode::Forbidden, why.to_owned())
    }

    /// Whether a topic may be heard under a grant alone.
    pub fn is_private(&self, topic: Topic) -> bool {
        match topic {
            Topic::Account(AccountTopic::Own { .. } | AccountTopic::Everyones(_)) => true,
            Topic::Room(room) => self.rooms.audience(room).is_none_or(|audience| audience == Audience::Users),
            Topic::Account(AccountTopic::Fills)
            | Topic::Book { .. }
            | Topic::Ticker { .. }
            | Topic::Tickers
            | Topic::Trades { .. }
            | Topic::Kline { .. } => false,
        }
    }

    /// Takes a fresh token. Whether the topics of before may stay: those of another user may not.
    ///
    /// # Errors
    /// [`Refused`]; what was granted before stays granted as long as it was.
    pub fn renew(&mut self, now: Millis, token: &str) -> Result<bool, Refused> {
        let grant = self.tokens.verify(now, token).inspect_err(|refused| {
            let user = self.grant.as_ref().map_or("nobody", |grant| grant.user());
            audit::token_refused(user, "renewal", *refused);
        })?;
        let may_stay = self
            .grant
            .as_ref()
            .is_none_or(|old| old.user() == grant.user() && (!old.is_admin() || grant.is_admin()));
        self.grant = Some(grant);
        Ok(may_stay)
    }

    /// When the token ends.
    pub fn expires(&self) -> Option<Millis> {
        self.grant.as_ref().and_then(Grant::expires)
    }

    /// The same, but for a grant that has ended already because its key has gone.
    pub fn ends(&self) -> Option<Millis> {
        self.grant.as_ref().and_then(|grant| self.tokens.ends(grant))
    }

    /// Drops a grant that holds no longer, and says why it does not.
    pub fn expire(&mut self, now: Millis) -> Option<Ended> {
        let ended = self.tokens.ended(now, self.grant.as_ref()?)?;
        self.grant = None;
        Some(ended)
    }

    /// The name that stands in a topic's own: a room's or a strategy's.
    pub fn inner_name(&self, topic: Topic) -> Option<Arc<str>> {
        match topic {
            Topic::Room(room) => self.rooms.name(room).cloned(),
            Topic::Account(AccountTopic::Own { part, .. }) => {
                part.strategy().and_then(|strategy| self.accounts.strategy_name(strategy))
            }
            Topic::Account(AccountTopic::Everyones(_) | AccountTopic::Fills)
            | Topic::Book { .. }
            | Topic::Ticker { .. }
            | Topic::Tickers
            | Topic::Trades { .. }
            | Topic::Kline { .. } => None,
        }
    }
}
