//! Connections that listen to the very same topics, served as one.

use std::hash::{BuildHasher, Hash, RandomState};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::connection::Connection;
use crate::dialect::Channel;
use crate::session::websocket::Compression;

/// A worker's connections by what they listen to.
///
/// What is sent in a round is the same for all members of an [`Audience`], so that its bytes are put
/// together once and written to each member with one call: no queue, no count and no copy of its
/// own for a connection that keeps up. A client whose topics nobody shares is an audience of one.
///
/// Invariants: a connection is a member of exactly the audience of its present channels, or of none
/// where it has none; an audience has members and channels.
pub(super) struct Audiences {
    all: Vec<Audience>,
    free: Vec<AudienceId>,
    by_key: FxHashMap<u128, AudienceId>,
    by_channel: FxHashMap<Channel, Vec<AudienceId>>,
    hashers: [RandomState; 2],
}

/// An audience's place in [`Audiences`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AudienceId(u32);

/// A connection's place in its audience.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    audience: AudienceId,
    at: u32,
}

/// Connections with the same channels and the same compression: their bytes are the same.
pub(super) struct Audience {
    key: u128,
    pub(super) compression: Compression,
    pub(super) members: Vec<Rc<Connection>>,
    /// Each channel with this audience's place in the channel's list.
    channels: FxHashMap<Channel, usize>,
    /// Which of the round's broadcasts it gets, in order.
    pub(super) pending: Vec<u32>,
}

impl Audiences {
    pub(super) fn new() -> Audiences {
        Audiences {
            all: Vec::new(),
            free: Vec::new(),
            by_key: FxHashMap::default(),
            by_channel: FxHashMap::default(),
            // Keys are random, so that no client can choose channels whose keys collide.
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// Notes for every audience of `channel` that it gets broadcast number `at` of this round; those
    /// for which it is the first are put into `touched`. Whether there is any.
    pub(super) fn note(&mut self, channel: Channel, at: u32, touched: &mut Vec<AudienceId>) -> bool {
        let Some(audiences) = self.by_channel.get(&channel) else { return false };
        for &id in audiences {
            let audience = &mut self.all[id.0 as usize];
            if audience.pending.is_empty() {
                touched.push(id);
            }
            audience.pending.push(at);
        }
        true
    }

    /// Whether there is no audience, nor a trace of one.
    #[cfg(test)]
    pub(super) fn are_none(&self) -> bool {
        self.by_key.is_empty() && self.by_channel.is_empty() && self.free.len() == self.all.len()
    }

    pub(super) fn get_mut(&mut self, id: AudienceId) -> &mut Audience {
        &mut self.all[id.0 as usize]
    }

    /// Seats a connection where its channels say, or nowhere when it has none.
    pub(super) fn seat(&mut self, connection: &Rc<Connection>, channels: &[Channel]) {
        self.unseat(connection);
        if channels.is_empty() {
            return;
        }
        let compression = connection.compression;
        let key = channels.iter().fold(self.hash(compression), |key, channel| key ^ self.hash(*channel));
        let id = match self.by_key.get(&key) {
            Some(&id) => id,
            None => self.open(key, compression, channels),
        };
        let members = &mut self.all[id.0 as usize].members;
        let at = u32::try_from(members.len()).unwrap_or(u32::MAX);
        connection.seat.set(Some(Seat { audience: id, at }));
        members.push(connection.clone());
    }

    /// Takes a connection from its audience.
    pub(super) fn unseat(&mut self, connection: &Connection) {
        let Some(Seat { audience, at }) = connection.seat.take() else { return };
        let members = &mut self.all[audience.0 as usize].members;
        members.swap_remove(at as usize);
        if let Some(moved) = members.get(at as usize) {
            moved.seat.set(Some(Seat { audience, at }));
        }
        if members.is_empty() {
            self.close(audience);
        }
    }

    fn open(&mut self, key: u128, compression: Compression, channels: &[Channel]) -> AudienceId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.all.push(Audience::empty());
            AudienceId(u32::try_from(self.all.len() - 1).unwrap_or(u32::MAX))
        });
        let audience = &mut self.all[id.0 as usize];
        audience.key = key;
        audience.compression = compression;
        for &channel in channels {
            let list = self.by_channel.entry(channel).or_default();
            audience.channels.insert(channel, list.len());
            list.push(id);
        }
        self.by_key.insert(key, id);
        id
    }

    fn close(&mut self, id: AudienceId) {
        let closed = std::mem::replace(&mut self.all[id.0 as usize], Audience::empty());
        self.by_key.remove(&closed.key);
        for (channel, at) in closed.channels {
            let Some(list) = self.by_channel.get_mut(&channel) else { continue };
            list.swap_remove(at);
            match list.get(at) {
                Some(moved) => _ = self.all[moved.0 as usize].channels.insert(channel, at),
                None if list.is_empty() => _ = self.by_channel.remove(&channel),
                None => {}
            }
        }
        self.free.push(id);
    }

    fn hash(&self, part: impl Hash + Copy) -> u128 {
        let [high, low] =
            [&self.hashers[0], &self.hashers[1]].map(|hasher| u128::from(hasher.hash_one(part)));
        high << 64 | low
    }
}

impl Audience {
    fn empty() -> Audience {
        Audience {
            key: 0,
            compression: Compression::Off,
            members: Vec::new(),
            channels: FxHashMap::default(),
            pending: Vec::new(),
        }
    }
}
