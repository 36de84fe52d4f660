//! Reads JSON without building a tree: a flat tape that is used again and again, and a cursor on it.
//!
//! Once its buffers have grown to the size of the messages, reading allocates nothing.

use simd_json::{Buffers, Node, StaticNode, Tape};

/// Parses one message after the other into the same buffers.
pub struct Json {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Json {
    /// Empty buffers.
    pub fn new() -> Json {
        Json { buffers: Buffers::with_max_depth(0, DEEPEST), tape: Tape(Vec::new()) }
    }

    /// Parses `bytes` in place (escapes are resolved there) and lets `look` see the value.
    ///
    /// # Errors
    /// When `bytes` are not one JSON value, or nest deeper than 32 levels.
    #[inline]
    pub fn read<R>(
        &mut self,
        bytes: &mut [u8],
        look: impl FnOnce(Value<'_>) -> R,
    ) -> Result<R, simd_json::Error> {
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let filled = simd_json::fill_tape(bytes, &mut self.buffers, &mut tape);
        let seen = filled.map(|()| look(Value { nodes: &tape.0 }));
        self.tape = tape.reset();
        seen
    }
}

impl Default for Json {
    fn default() -> Json {
        Json::new()
    }
}

/// One value on the tape.
///
/// Invariant: the first of `nodes` is the value's own; what follows it belongs to it, as far as its
/// count says, or to its neighbours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Value<'a> {
    nodes: &'a [Node<'a>],
}

impl<'a> Value<'a> {
    /// The text, if it is a string.
    #[inline]
    pub fn text(self) -> Option<&'a str> {
        match self.nodes.first() {
            Some(Node::String(text)) => Some(text),
            Some(Node::Object { .. } | Node::Array { .. } | Node::Static(_)) | None => None,
        }
    }

    /// The number, if it is a whole one that is not negative.
    #[inline]
    pub fn unsigned(self) -> Option<u64> {
        match self.constant()? {
            StaticNode::U64(number) => Some(number),
            StaticNode::I64(number) => u64::try_from(number).ok(),
            StaticNode::F64(_) | StaticNode::Bool(_) | StaticNode::Null => None,
        }
    }

    /// The number, if it is a whole one that fits.
    #[inline]
    pub fn signed(self) -> Option<i64> {
        match self.constant()? {
            StaticNode::I64(number) => Some(number),
            StaticNode::U64(number) => i64::try_from(number).ok(),
            StaticNode::F64(_) | StaticNode::Bool(_) | StaticNode::Null => None,
        }
    }

    /// The truth value, if it is one.
    #[inline]
    pub fn truth(self) -> Option<bool> {
        match self.constant()? {
            StaticNode::Bool(truth) => Some(truth),
            StaticNode::I64(_) | StaticNode::U64(_) | StaticNode::F64(_) | StaticNode::Null => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.constant(), Some(StaticNode::Null))
    }

    /// Whether it is an object.
    #[inline]
    pub fn is_object(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Object { .. }))
    }

    /// Whether it is an array.
    #[inline]
    pub fn is_array(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Array { .. }))
    }

    /// The names and values of an object, in their order; nothing of any other value.
    #[inline]
    pub fn fields(self) -> Fields<'a> {
        match self.nodes.first() {
            Some(&Node::Object { count, .. }) => Fields { nodes: self.inside(count) },
            Some(Node::String(_) | Node::Array { .. } | Node::Static(_)) | None => Fields { nodes: &[] },
        }
    }

    /// The values of an array; nothing of any other value.
    #[inline]
    pub fn items(self) -> Items<'a> {
        match self.nodes.first() {
            Some(&Node::Array { count, .. }) => Items { nodes: self.inside(count) },
            Some(Node::String(_) | Node::Object { .. } | Node::Static(_)) | None => Items { nodes: &[] },
        }
    }

    /// The first field of that name.
    pub fn field(self, name: &str) -> Option<Value<'a>> {
        self.fields().find(|&(found, _)| found == name).map(|(_, value)| value)
    }

    #[inline]
    fn constant(self) -> Option<StaticNode> {
        match self.nodes.first() {
            Some(Node::Static(constant)) => Some(*constant),
            Some(Node::String(_) | Node::Object { .. } | Node::Array { .. }) | None => None,
        }
    }

    #[inline]
    fn inside(self, count: usize) -> &'a [Node<'a>] {
        self.nodes.get(1..=count).unwrap_or_default()
    }
}

/// The fields of an object.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    nodes: &'a [Node<'a>],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<(&'a str, Value<'a>)> {
        let (name, rest) = self.nodes.split_first()?;
        let Node::String(name) = name else { return None };
        self.nodes = after(rest);
        Some((name, Value { nodes: rest }))
    }
}

/// The values of an array.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    nodes: &'a [Node<'a>],
}

impl<'a> Items<'a> {
    /// Takes the next value when it is an array that begins with two strings, as a price level does.
    #[inline]
    pub fn next_pair(&mut self) -> Option<(&'a str, &'a str)> {
        match self.nodes {
            [Node::Array { count: 2, .. }, Node::String(first), Node::String(second), rest @ ..] => {
                self.nodes = rest;
                Some((first, second))
            }
            [Node::Array { .. }, Node::String(first), Node::String(second), ..] => {
                self.nodes = after(self.nodes);
                Some((first, second))
            }
            _ => None,
        }
    }

    /// Whether all of them were taken.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        let value = self.nodes;
        self.nodes = if value.is_empty() { return None } else { after(value) };
        Some(Value { nodes: value })
    }
}

/// What follows the value that `nodes` begin with.
#[inline]
fn after<'a>(nodes: &'a [Node<'a>]) -> &'a [Node<'a>] {
    let length = match nodes.first() {
        Some(&(Node::Object { count, .. } | Node::Array { count, .. })) => count + 1,
        Some(Node::String(_) | Node::Static(_)) => 1,
        None => 0,
    };
    nodes.get(length..).unwrap_or_default()
}

/// No message of a venue nests deeper than eight; what does is an attempt to make us work.
const DEEPEST: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_steps_over_what_it_does_not_want() {
        let mut json = Json::new();
        for _ in 0..2 {
            let mut text = br#"{"x":{"y":[1,{"z":[]}]},"n":-5,"b":[["1.5","2"],["3","4","more"],[]],"t":true,"e":"a\"b","0":null}"#.to_vec();
            json.read(&mut text, |value| {
                let names: Vec<_> = value.fields().map(|(name, _)| name.to_owned()).collect();
                assert_eq!(names, ["x", "n", "b", "t", "e", "0"]);
                assert_eq!(value.field("n").and_then(Value::signed), Some(-5));
                assert_eq!(value.field("n").and_then(Value::unsigned), None);
                assert_eq!(value.field("t").and_then(Value::truth), Some(true));
                assert_eq!(value.field("e").and_then(Value::text), Some("a\"b"));
                assert!(value.field("0").is_some_and(Value::is_null));
                let mut levels = value.field("b").unwrap().items();
                assert_eq!(levels.next_pair(), Some(("1.5", "2")));
                assert_eq!(levels.next_pair(), Some(("3", "4")));
                assert_eq!(levels.next_pair(), None);
                assert!(!levels.is_empty());
                assert_eq!(value.field("x").unwrap().field("y").unwrap().items().count(), 2);
            })
            .unwrap();
        }
    }

    #[test]
    fn a_value_of_another_kind_has_no_fields_and_no_items() {
        let mut json = Json::new();
        json.read(&mut b"5".to_vec(), |value| {
            assert_eq!((value.fields().count(), value.items().count()), (0, 0));
            assert_eq!(value.text(), None);
        })
        .unwrap();
        assert!(json.read(&mut [], |_| ()).is_err());
        assert!(json.read(&mut [b'['; 40], |_| ()).is_err());
    }

    fn walk(value: Value<'_>) -> usize {
        let fields: usize = value.fields().map(|(_, value)| walk(value)).sum();
        1 + fields + value.items().map(walk).sum::<usize>()
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, text in "[\\[\\]{}\":,0-9a \\\\-]{0,40}") {
            let mut json = Json::new();
            for mut bytes in [bytes, text.into_bytes()] {
                let _ = json.read(&mut bytes, walk);
            }
        }
    }
}
