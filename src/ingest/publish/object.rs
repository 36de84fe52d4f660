//! From text to objects: what kind each is, and whom it is for.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Rejection, market};
use crate::ingest::fields::Fields;
use crate::market::{BookChange, Millis, OfficialTicker, RESERVED_EVENTS, SymbolId, Trade};

/// An object that was understood.
#[derive(Debug)]
pub struct Object {
    /// The publisher's name for it, by which a repetition is known.
    pub event_id: Option<Box<str>>,
    /// What it says.
    pub kind: Kind,
}

/// What an object says.
#[derive(Debug)]
pub enum Kind {
    /// Something about a market.
    Market(SymbolId, Market),
    /// Something that happened to a user, by one of the known names.
    Private(Private),
    /// Something for a room, untouched.
    Room {
        /// Which.
        room: String,
        /// The publisher's name for it.
        event: String,
        /// JSON text.
        data: Box<str>,
    },
    /// Something for all sessions of a user, untouched.
    User {
        /// Who.
        user: Arc<str>,
        /// The publisher's name for it.
        event: String,
        /// JSON text.
        data: Box<str>,
    },
}

/// What is said about a market.
#[derive(Debug)]
pub enum Market {
    /// A trade.
    Trade(Trade),
    /// A book or a change of one, before its order was checked.
    Book(Box<BookChange>),
    /// Official statistics.
    Ticker(Box<OfficialTicker>),
}

/// What happened to a user.
#[derive(Debug)]
pub struct Private {
    /// Who; `None` where a strategy stands for its owner.
    pub user: Option<Arc<str>>,
    /// One of the known names.
    pub event: &'static str,
    /// The strategy that it belongs to.
    pub strategy: Option<Box<str>>,
    /// The text of a JSON object.
    pub data: Box<str>,
}

/// Splits a body into its objects: a list, one object, or one a line.
///
/// # Errors
/// When it is none of these.
pub fn split(body: &str) -> Result<Vec<&str>, Rejection> {
    let body = body.trim();
    if body.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(body)
            .map_err(|error| Rejection::new("NOT_JSON", format!("the list is not JSON: {error}")))?;
        return Ok(items.into_iter().map(RawValue::get).collect());
    }
    if body.is_empty() {
        return Err(Rejection::new(
            "NOT_JSON",
            "nothing was published: send an object, a list, or one a line",
        ));
    }
    if serde_json::from_str::<&RawValue>(body).is_ok() {
        return Ok(vec![body]);
    }
    Ok(body.lines().map(str::trim).filter(|line| !line.is_empty()).collect())
}

impl Object {
    /// Reads one object. `find` knows the symbols; `now` is when it was taken in.
    ///
    /// # Errors
    /// [`Rejection`] names what is wrong with it.
    pub fn read(
        text: &str,
        now: Millis,
        find: &dyn Fn(&str) -> Option<SymbolId>,
    ) -> Result<Object, Rejection> {
        let fields = Fields::read(text)
            .map_err(|error| Rejection::new("NOT_JSON", format!("not a JSON object: {error}")))?;
        let event_id = named(&fields, "eventId", MOST_NAME)?.map(String::into_boxed_str);
        let kind = match fields.raw("type") {
            Some(_) => {
                let name: String = string(&fields, "type")?;
                match PRIVATE.iter().find(|known| **known == name) {
                    Some(event) => Kind::Private(private(&fields, event)?),
                    None => market::read(&name, &fields, now, find)?,
                }
            }
            None if fields.raw("room").is_some() => Kind::Room {
                room: string(&fields, "room")?,
                event: event(&fields)?,
                data: fields.raw("data").unwrap_or("null").into(),
            },
            None if fields.raw("userId").is_some() => Kind::User {
                user: user(&fields)?.ok_or_else(|| Rejection::field("userId", USER))?,
                event: event(&fields)?,
                data: fields.raw("data").unwrap_or("null").into(),
            },
            None => {
                return Err(Rejection::new(
                    "UNKNOWN_TYPE",
                    "an object has a \"type\", a \"room\" or a \"userId\"",
                ));
            }
        };
        Ok(Object { event_id, kind })
    }
}

/// What a publisher calls its request: raw JSON of a number or a short text, for the answer.
pub fn id_of(text: &str) -> Option<Box<str>> {
    let fields = Fields::read(text).ok()?;
    let id = fields.raw("id")?;
    (id.len() <= MOST_NAME && !id.starts_with(['{', '['])).then(|| id.into())
}

fn private(fields: &Fields<'_>, event: &'static str) -> Result<Private, Rejection> {
    let data = fields.raw("data").filter(|data| data.starts_with('{'));
    let data = data.ok_or_else(|| Rejection::field("data", "an object"))?;
    let inside = Fields::read(data).unwrap_or_default();
    let beside = named(fields, "strategyId", MOST_NAME)?;
    let strategy = match beside {
        Some(beside) => Some(beside),
        None if event.starts_with("order.") => named(&inside, "strategyId", MOST_NAME)?,
        None => None,
    };
    if event == "strategy.updated" && strategy.is_none() {
        return Err(Rejection::field("strategyId", "the name of the strategy"));
    }
    if strategy.as_ref().is_some_and(|strategy| strategy.ends_with(ORDERS)) {
        return Err(Rejection::field("strategyId", "a name that does not end with \":orders\""));
    }
    let user = user(fields)?;
    if user.is_none() && event != "strategy.updated" {
        return Err(Rejection::field("userId", USER));
    }
    Ok(Private { user, event, strategy: strategy.map(String::into_boxed_str), data: data.into() })
}

fn user(fields: &Fields<'_>) -> Result<Option<Arc<str>>, Rejection> {
    Ok(named(fields, "userId", MOST_NAME)?.map(Arc::from))
}

/// A name: text or a whole number, of at most `most` bytes.
fn named(fields: &Fields<'_>, name: &str, most: usize) -> Result<Option<String>, Rejection> {
    if fields.raw(name).is_none() {
        return Ok(None);
    }
    let text = fields
        .text(name)
        .filter(|text| !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control));
    text.map(Some)
        .ok_or_else(|| Rejection::field(name, "a text of 1 to 256 bytes without control characters"))
}

fn string(fields: &Fields<'_>, name: &str) -> Result<String, Rejection> {
    let text: Option<String> = fields.raw(name).and_then(|raw| serde_json::from_str(raw).ok());
    let fits = text.filter(|text| !text.is_empty() && text.len() <= MOST_NAME);
    fits.ok_or_else(|| Rejection::field(name, "a text of 1 to 256 bytes"))
}

/// What a publisher calls something that is passed on as it is.
fn event(fields: &Fields<'_>) -> Result<String, Rejection> {
    let event = string(fields, "event")?;
    match RESERVED_EVENTS.contains(&&*event) {
        true => {
            Err(Rejection::field("event", "another name: Socket.IO's clients keep this one to themselves"))
        }
        false => Ok(event),
    }
}

const USER: &str = "the user: a text of 1 to 256 bytes";

const MOST_NAME: usize = 256;

/// How the topic of a strategy's orders ends: a strategy that is called so would have the topic of
/// another one's orders.
const ORDERS: &str = ":orders";

/// What can happen to a user.
const PRIVATE: [&str; 22] = [
    "order.created",
    "order.submitted",
    "order.filled",
    "order.partially_filled",
    "order.cancelled",
    "order.rejected",
    "order.expired",
    "trade.executed",
    "balance.updated",
    "balance.locked",
    "balance.unlocked",
    "deposit.detected",
    "deposit.confirmed",
    "deposit.credited",
    "position.opened",
    "position.updated",
    "position.closed",
    "strategy.updated",
    "llm.start",
    "llm.chunk",
    "llm.error",
    "llm.complete",
];
