//! What a namespace is to those who serve one.

use std::borrow::Cow;

use super::{Outlet, scan};
use crate::market::{Millis, Topic};

/// Knows which namespaces there are.
pub trait Service: Send + Sync {
    /// One client's side of the namespace of this name; `None` where there is none.
    fn open(&self, name: &str) -> Option<Box<dyn Namespace>>;
}

/// One namespace as one client uses it.
pub trait Namespace {
    /// The client wants to join, under the name `sid`; `auth` is the JSON object that it sends along.
    /// What it is told here comes right behind the answer that it did.
    ///
    /// # Errors
    /// [`Refusal`], before anything else was done: the client is told why, and may try again.
    fn connect(&mut self, now: Millis, sid: &str, auth: &str, out: &mut Outlet<'_>) -> Result<(), Refusal>;

    /// The client says something.
    fn event(&mut self, now: Millis, event: &Event<'_>, out: &mut Outlet<'_>);

    /// The client answers what was asked with [`Outlet::ask`]; the array of its answer, as it is written.
    fn acked(&mut self, _now: Millis, _id: AckId, _answer: &str, _out: &mut Outlet<'_>) {}

    /// The client leaves, or is made to. Its subscriptions end by themselves.
    fn disconnect(&mut self) {}

    /// When it wants to [`advance`](Namespace::advance) although nothing was said.
    fn next_due(&self) -> Option<Millis> {
        None
    }

    /// Time has come to `now`.
    fn advance(&mut self, _now: Millis, _out: &mut Outlet<'_>) {}

    /// What a topic is called, for people.
    fn name(&self, topic: Topic) -> String;
}

/// The number by which an event and its answer find each other.
pub type AckId = u64;

/// Why a client may not join a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For people.
    pub message: Cow<'static, str>,
    /// For programs; JSON.
    pub data: Option<String>,
}

/// What a client said in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What happened.
    pub name: Cow<'a, str>,
    /// The rest of what it said, each value as it is written.
    pub arguments: Vec<&'a str>,
    /// The bytes that belong to it; each stands in the arguments as `{"_placeholder":true,"num":n}`.
    pub attachments: &'a [Vec<u8>],
    /// The number of the answer that it waits for, where it waits for one.
    pub ack: Option<AckId>,
}

impl<'a> Event<'a> {
    /// Takes the array of an event apart. `None` where there is no name: an event without a payload,
    /// which the protocol's own server passes over too.
    pub(super) fn read(
        data: Option<&'a str>,
        ack: Option<AckId>,
        attachments: &'a [Vec<u8>],
    ) -> Option<Event<'a>> {
        let mut items = scan::items(data?)?;
        let first = items.first().copied()?;
        items.remove(0);
        let name = match first.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            // Half a character's escape is in no name that anybody waits for.
            Some(text) if text.contains('\\') => Cow::Owned(serde_json::from_str(first).unwrap_or_default()),
            Some(text) => Cow::Borrowed(text),
            None => Cow::Borrowed(first),
        };
        Some(Event { name, arguments: items, attachments, ack })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_name_and_values_as_they_are_written() {
        let read = |data| Event::read(Some(data), Some(7), &[]);
        let event = read(r#"["message",1.0,"2",{"3":[true]}]"#).unwrap();
        assert_eq!((&*event.name, event.ack), ("message", Some(7)));
        assert_eq!(event.arguments, ["1.0", r#""2""#, r#"{"3":[true]}"#]);
        assert_eq!(read(r#"["a\u0062\"c"]"#).unwrap().name, "ab\"c");
        assert_eq!(read("[12]").unwrap().name, "12");
        assert_eq!(Event::read(None, None, &[]), None);
    }
}
