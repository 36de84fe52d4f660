//! What an exchange's backend publishes: one object, a list, or a line each.
//!
//! Each object is judged by itself: a wrong one is refused by its place, with what would be right,
//! and takes no other with it.

mod book;
mod market;
mod object;
mod seen;

#[cfg(test)]
mod tests;

pub use book::{BookOrder, Verdict};
pub use object::{Kind, Market, Object, Private, id_of, split};
pub use seen::Seen;

use serde::Serialize;

/// Why an object was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Rejection {
    /// A rejection.
    pub fn new(code: &'static str, message: impl Into<String>) -> Rejection {
        Rejection { code, message: message.into() }
    }

    fn field(name: &str, needed: &str) -> Rejection {
        Rejection::new("BAD_FIELD", format!("\"{name}\" must be {needed}"))
    }
}
