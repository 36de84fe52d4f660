//! TradeWithAI's clients: how many there are, and what each is subscribed to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Who is connected. Changed when somebody comes, goes or subscribes, never when something is sent.
#[derive(Debug, Default)]
pub struct Presence {
    clients: Mutex<BTreeMap<String, Client>>,
    /// Whether somebody came or went since the number was last told.
    changed: AtomicBool,
}

/// One client as `/stats` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its user.
    pub user: Arc<str>,
    /// The address of its token.
    pub email: Option<Arc<str>>,
    /// What it is subscribed to, by name.
    pub subscriptions: Vec<String>,
}

impl Presence {
    /// All clients, by their names.
    pub fn clients(&self) -> Vec<(String, Client)> {
        self.with(|clients| clients.iter().map(|(id, client)| (id.clone(), client.clone())).collect())
    }

    /// How many there are, where somebody came or went since this was last asked. Also where as many
    /// went as came: those who came have not been told.
    pub fn changed_count(&self) -> Option<usize> {
        self.changed.swap(false, Ordering::AcqRel).then(|| self.with(|clients| clients.len()))
    }

    /// Not everybody could be told the number.
    pub fn tell_again(&self) {
        self.changed.store(true, Ordering::Release);
    }

    pub(super) fn enter(&self, id: &str, client: Client) {
        self.with(|clients| clients.insert(id.to_owned(), client));
        self.changed.store(true, Ordering::Release);
    }

    pub(super) fn leave(&self, id: &str) {
        self.with(|clients| clients.remove(id));
        self.changed.store(true, Ordering::Release);
    }

    pub(super) fn subscribed(&self, id: &str, subscriptions: &[String]) {
        self.with(|clients| {
            if let Some(client) = clients.get_mut(id) {
                client.subscriptions = subscriptions.to_vec();
            }
        });
    }

    fn with<R>(&self, act: impl FnOnce(&mut BTreeMap<String, Client>) -> R) -> R {
        act(&mut self.clients.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_once_however_often_it_is_asked() {
        let presence = Presence::default();
        assert_eq!(presence.changed_count(), None);
        let client = Client { user: "u1".into(), email: None, subscriptions: Vec::new() };
        presence.enter("a", client.clone());
        presence.enter("b", client);
        assert_eq!((presence.changed_count(), presence.changed_count()), (Some(2), None));
        presence.leave("a");
        assert_eq!(presence.changed_count(), Some(1));
        presence.subscribed("b", &["trading".into()]);
        assert_eq!(presence.clients()[0].1.subscriptions, ["trading"]);
    }
}
