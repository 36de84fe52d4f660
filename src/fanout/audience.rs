//! Connections that listen to the very same topics, served as one.

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::connection::Connection;
use crate::dialect::Dialect;
use crate::market::Topic;

/// A worker's connections by what they listen to.
///
/// What is sent in a round is the same for all members of an [`Audience`], so that its bytes are put
/// together once and written to each member with one call: no queue, no count and no copy of its
/// own for a connection that keeps up. A client whose topics nobody shares is an audience of one.
///
/// Invariants: a connection is a member of exactly the audience of its present topics, or of none
/// where it has none; an audience has members and topics.
pub(super) struct Audiences {
    all: Vec<Audience>,
    free: Vec<AudienceId>,
    by_key: FxHashMap<u128, AudienceId>,
    by_topic: FxHashMap<(Topic, Dialect), Vec<AudienceId>>,
    hashers: [RandomState; 2],
}

/// An audience's place in [`Audiences`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AudienceId(u32);

/// A connection's place in its audience.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    audience: AudienceId,
    at: usize,
}

/// Connections with the same topics in the same dialect.
pub(super) struct Audience {
    key: u128,
    pub(super) members: Vec<Rc<Connection>>,
    /// Each topic with this audience's place in the topic's list.
    topics: FxHashMap<(Topic, Dialect), usize>,
    /// Which of the round's broadcasts it gets, in order.
    pub(super) pending: Vec<u32>,
}

impl Audiences {
    pub(super) fn new() -> Audiences {
        Audiences {
            all: Vec::new(),
            free: Vec::new(),
            by_key: FxHashMap::default(),
            by_topic: FxHashMap::default(),
            // Keys are random, so that no client can choose topics whose keys collide.
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// Notes for every audience of `topic` that it gets broadcast number `at` of this round; those
    /// for which it is the first are put into `touched`. Whether there is any.
    pub(super) fn note(&mut self, topic: (Topic, Dialect), at: u32, touched: &mut Vec<AudienceId>) -> bool {
        let Some(audiences) = self.by_topic.get(&topic) else { return false };
        for &id in audiences {
            let audience = &mut self.all[id.0 as usize];
            if audience.pending.is_empty() {
                touched.push(id);
            }
            audience.pending.push(at);
        }
        true
    }

    pub(super) fn get_mut(&mut self, id: AudienceId) -> &mut Audience {
        &mut self.all[id.0 as usize]
    }

    /// Seats a connection where its topics say, or nowhere when it has none.
    pub(super) fn seat(&mut self, connection: &Rc<Connection>, topics: &[(Topic, Dialect)]) {
        self.unseat(connection);
        if topics.is_empty() {
            return;
        }
        let key = topics.iter().fold(0, |key, topic| key ^ self.hash(*topic));
        let id = match self.by_key.get(&key) {
            Some(&id) => id,
            None => self.open(key, topics),
        };
        let members = &mut self.all[id.0 as usize].members;
        connection.seat.set(Some(Seat { audience: id, at: members.len() }));
        members.push(connection.clone());
    }

    /// Takes a connection from its audience.
    pub(super) fn unseat(&mut self, connection: &Connection) {
        let Some(Seat { audience, at }) = connection.seat.take() else { return };
        let members = &mut self.all[audience.0 as usize].members;
        members.swap_remove(at);
        if let Some(moved) = members.get(at) {
            moved.seat.set(Some(Seat { audience, at }));
        }
        if members.is_empty() {
            self.close(audience);
        }
    }

    fn open(&mut self, key: u128, topics: &[(Topic, Dialect)]) -> AudienceId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.all.push(Audience::empty());
            AudienceId(u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX))
        });
        let audience = &mut self.all[id.0 as usize];
        audience.key = key;
        for &topic in topics {
            let list = self.by_topic.entry(topic).or_default();
            audience.topics.insert(topic, list.len());
            list.push(id);
        }
        self.by_key.insert(key, id);
        id
    }

    fn close(&mut self, id: AudienceId) {
        let closed = std::mem::replace(&mut self.all[id.0 as usize], Audience::empty());
        self.by_key.remove(&closed.key);
        for (topic, at) in closed.topics {
            let Some(list) = self.by_topic.get_mut(&topic) else { continue };
            list.swap_remove(at);
            match list.get(at) {
                Some(moved) => _ = self.all[moved.0 as usize].topics.insert(topic, at),
                None if list.is_empty() => _ = self.by_topic.remove(&topic),
                None => {}
            }
        }
        self.free.push(id);
    }

    fn hash(&self, topic: (Topic, Dialect)) -> u128 {
        let [high, low] =
            [&self.hashers[0], &self.hashers[1]].map(|hasher| u128::from(hasher.hash_one(topic)));
        high << 64 | low
    }
}

impl Audience {
    fn empty() -> Audience {
        Audience { key: 0, members: Vec::new(), topics: FxHashMap::default(), pending: Vec::new() }
    }
}
