//! tickcast's own vocabulary, for bots and charts (`PROTOCOL.md` is its page).

mod command;
mod private;
mod update;

pub use command::{error, listed, pong, read, renewed, subscribed, unsubscribed};
pub use private::{event_and_data, fill};
pub use update::{array, bar, book, encode, statistics, ticker, trade};
