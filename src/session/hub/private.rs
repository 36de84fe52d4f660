//! The topics of users that one hub client asked for, and which of them are joined for that.

use crate::dialect::{Channel, Dialect};
use crate::market::{AccountTopic, Everyones, Part, Topic};
use crate::session::{Action, Progress, Subscriptions};

/// What was asked for by name. One update reaches a connection once, however many of these it
/// matches: a topic that another one of them holds already is not joined.
#[derive(Debug, Default)]
pub(super) struct Private {
    asked: Vec<(AccountTopic, String)>,
}

impl Private {
    /// Whether a topic was asked for by this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.asked.iter().any(|(_, known)| known == name)
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.asked.len()
    }

    /// Notes one more.
    pub(super) fn add(&mut self, topic: AccountTopic, name: &str) {
        self.asked.push((topic, name.to_owned()));
    }

    /// Takes one off; whether it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let before = self.asked.len();
        self.asked.retain(|(_, known)| known != name);
        self.asked.len() < before
    }

    /// Takes all off, and gives their names.
    pub(super) fn clear(&mut self) -> Vec<String> {
        self.asked.drain(..).map(|(_, name)| name).collect()
    }

    /// Joins and leaves until exactly the topics are heard that no other one holds. What another one
    /// takes the place of is heard until that one is.
    pub(super) fn settle(&self, dialect: Dialect, topics: &mut Subscriptions, actions: &mut Vec<Action>) {
        let wanted: Vec<AccountTopic> = self
            .asked
            .iter()
            .map(|(topic, _)| *topic)
            .filter(|topic| !self.asked.iter().any(|(other, _)| holds(*other, *topic)))
            .collect();
        let channel_of = |topic: AccountTopic| dialect.of(Topic::Account(topic));
        for channel in wanted.iter().copied().map(channel_of) {
            if topics.begin(channel) {
                actions.push(Action::Join { channel, since: None });
            }
        }
        // A subscription that was to take a place may have ended itself: the second time round another one
        // takes it.
        for channel in topics.in_order().repeat(2) {
            let Topic::Account(topic) = channel.topic else { continue };
            if wanted.contains(&topic) || !topics.contains(channel) {
                continue;
            }
            let heirs = wanted.iter().filter(|heir| holds(**heir, topic) || holds(topic, **heir));
            let is_awaited = |heir: &Channel| topics.progress(*heir).is_some_and(Progress::is_waiting);
            // They are answered in order, at one time unless the ledger comes in between: with the last of
            // them all are heard.
            match heirs.copied().map(channel_of).rfind(is_awaited) {
                Some(_) if topics.is_leaving(channel) => {}
                Some(heir) => topics.end_with(channel, heir),
                None => {
                    topics.end(channel);
                    actions.push(Action::Leave { channel });
                }
            }
        }
    }
}

/// Whether `wide` tells all that `narrow` tells, and more.
fn holds(wide: AccountTopic, narrow: AccountTopic) -> bool {
    let AccountTopic::Own { part: narrow, account } = narrow else { return false };
    match wide {
        AccountTopic::Everyones(Everyones::Orders) => {
            matches!(narrow, Part::Orders | Part::StrategyOrders(_))
        }
        AccountTopic::Everyones(Everyones::Positions) => narrow == Part::Positions,
        AccountTopic::Everyones(Everyones::Strategies) => {
            matches!(narrow, Part::Strategies | Part::Strategy(_))
        }
        AccountTopic::Own { part: Part::Orders, account: of } => {
            of == account && matches!(narrow, Part::StrategyOrders(_))
        }
        AccountTopic::Own { part: Part::Strategies, account: of } => {
            of == account && matches!(narrow, Part::Strategy(_))
        }
        AccountTopic::Own {
            part:
                Part::Trades
                | Part::Balances
                | Part::Deposits
                | Part::Positions
                | Part::Strategy(_)
                | Part::StrategyOrders(_)
                | Part::Llm
                | Part::User,
            ..
        }
        | AccountTopic::Fills => false,
    }
}
