//! What clients of the gateways write, read once.

use serde::Deserialize;

use super::Fault;
use crate::dialect::wrong;
use crate::session::socketio::Event;

/// The argument of `subscribe` and its kin. Members that a gateway has no use for are passed over.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// What of.
    pub(super) channel: Option<String>,
    /// Of which symbol.
    pub(super) symbol: Option<String>,
    /// Of which symbols.
    pub(super) symbols: Option<Vec<String>>,
    /// How long a bar is.
    pub(super) interval: Option<String>,
    /// `delta`, or the whole book each time.
    pub(super) mode: Option<String>,
}

impl Asked {
    /// Reads the first argument of an event.
    pub(super) fn read(event: &Event<'_>) -> Result<Asked, Fault> {
        let Some(first) = event.arguments.first() else {
            return Err(Fault::new("BAD_MESSAGE", format!("{} takes an object with channel", event.name)));
        };
        serde_json::from_str(first).map_err(|error| {
            let wrong = wrong(&error);
            Fault::new("BAD_MESSAGE", format!("{} takes an object with channel: {wrong}", event.name))
        })
    }

    /// The channel, which must be named.
    pub(super) fn channel(&self) -> Result<&str, Fault> {
        self.channel.as_deref().ok_or_else(|| Fault::new("BAD_MESSAGE", "no channel is named"))
    }
}

/// A client's own words, not at any length.
pub(super) fn repeated(text: &str) -> String {
    text.chars().take(MOST_REPEATED).collect()
}

const MOST_REPEATED: usize = 64;
