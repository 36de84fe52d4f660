//! Socket.IO, version 5: namespaces, events and their answers over one Engine.IO session.
//!
//! Knows nothing of what is said: a [`Service`] makes a [`Namespace`] of a name, and that one gets
//! what the client says there and answers through an [`Outlet`].

mod assembly;
mod client;
mod namespace;
mod outlet;
mod packet;
pub mod scan;

pub use client::{Options, SocketIo};
pub use namespace::{AckId, Event, Namespace, Refusal, Service};
pub use outlet::Outlet;
pub use packet::{Kind, MOST_ATTACHMENTS, Malformed, Packet, RESERVED, head};
