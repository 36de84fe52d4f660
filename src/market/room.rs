//! Rooms: the names that publishers may broadcast to, and what they may call what they pass on.

use std::sync::Arc;

use super::RoomId;

/// The rooms of the configuration and [`TRADING`]; they do not change while the process runs.
#[derive(Clone, Debug, Default)]
pub struct Rooms {
    rooms: Vec<(Arc<str>, Audience)>,
}

/// The room that is always there: what is broadcast to it goes to all who listen to the public fills.
pub const TRADING: &str = "trading";

/// Names that the clients of Socket.IO keep to themselves: one that hears an event of such a name takes
/// it for an attack and leaves.
pub const RESERVED_EVENTS: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Who may listen to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everybody.
    Public,
    /// Users with a token.
    Users,
}

impl Rooms {
    /// Rooms for everybody, and rooms for users. One that is named twice is for users.
    pub fn new(public: &[String], users: &[String]) -> Rooms {
        let named = |list: &[String], audience| {
            list.iter().map(|name| (Arc::from(name.as_str()), audience)).collect::<Vec<_>>()
        };
        let mut rooms = named(users, Audience::Users);
        rooms.extend(named(public, Audience::Public));
        rooms.push((TRADING.into(), Audience::Public));
        Rooms { rooms }
    }

    /// A room's number and who may listen to it.
    pub fn find(&self, name: &str) -> Option<(RoomId, Audience)> {
        let at = self.rooms.iter().position(|(known, _)| **known == *name)?;
        Some((RoomId(u32::try_from(at).ok()?), self.rooms[at].1))
    }

    /// Who may listen to a room.
    pub fn audience(&self, id: RoomId) -> Option<Audience> {
        self.rooms.get(id.0 as usize).map(|(_, audience)| *audience)
    }

    /// A room's name.
    pub fn name(&self, id: RoomId) -> Option<&Arc<str>> {
        self.rooms.get(id.0 as usize).map(|(name, _)| name)
    }
}
