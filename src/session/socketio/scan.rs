//! JSON text looked at without reading it in: where values end, and what lies inside.
//!
//! What clients write is passed on as they wrote it, so that numbers and the order of members stay.

/// The items of the array that `json` is, as they are written; `None` where it is no array, or no JSON.
pub fn items(json: &str) -> Option<Vec<&str>> {
    parts(json, b'[', b']', |bytes, start| {
        let end = value_end(bytes, start)?;
        Some((&json[start..end], end))
    })
}

/// The members of the object that `json` is: each name as it is written, with its quotation marks,
/// and its value. `None` where it is no object, or no JSON.
pub fn members(json: &str) -> Option<Vec<(&str, &str)>> {
    parts(json, b'{', b'}', |bytes, start| {
        let name_end = string_end(bytes, start)?;
        let value = colon(bytes, name_end)?;
        let end = value_end(bytes, value)?;
        Some(((&json[start..name_end], &json[value..end]), end))
    })
}

/// What lies between `open` and `close` and their commas. `part` reads one from where it begins, and
/// says where it ends.
fn parts<T>(
    json: &str,
    open: u8,
    close: u8,
    part: impl Fn(&[u8], usize) -> Option<(T, usize)>,
) -> Option<Vec<T>> {
    let bytes = json.as_bytes();
    let mut at = space(bytes, 0);
    if bytes.get(at) != Some(&open) {
        return None;
    }
    let mut parts = Vec::new();
    at = space(bytes, at + 1);
    if bytes.get(at) != Some(&close) {
        loop {
            let (found, end) = part(bytes, at)?;
            parts.push(found);
            at = space(bytes, end);
            if bytes.get(at) != Some(&b',') {
                break;
            }
            at = space(bytes, at + 1);
        }
    }
    let whole = bytes.get(at) == Some(&close) && space(bytes, at + 1) == bytes.len();
    whole.then_some(parts)
}

/// Where the value ends that begins at `at`. Nesting costs a byte a level and no stack.
fn value_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open = Vec::new();
    loop {
        at = space(bytes, at);
        match *bytes.get(at)? {
            b'{' => {
                at = space(bytes, at + 1);
                if bytes.get(at) != Some(&b'}') {
                    open.push(b'}');
                    at = colon(bytes, string_end(bytes, at)?)?;
                    continue;
                }
                at += 1;
            }
            b'[' => {
                at = space(bytes, at + 1);
                if bytes.get(at) != Some(&b']') {
                    open.push(b']');
                    continue;
                }
                at += 1;
            }
            b'"' => at = string_end(bytes, at)?,
            b'-' | b'0'..=b'9' => at = number_end(bytes, at)?,
            b't' => at = word_end(bytes, at, b"true")?,
            b'f' => at = word_end(bytes, at, b"false")?,
            b'n' => at = word_end(bytes, at, b"null")?,
            _ => return None,
        }
        // A value has ended: what is open goes on, or ends too.
        loop {
            let Some(&close) = open.last() else { return Some(at) };
            at = space(bytes, at);
            match *bytes.get(at)? {
                b',' if close == b'}' => {
                    at = space(bytes, at + 1);
                    at = colon(bytes, string_end(bytes, at)?)?;
                    break;
                }
                b',' => {
                    at += 1;
                    break;
                }
                byte if byte == close => {
                    open.pop();
                    at += 1;
                }
                _ => return None,
            }
        }
    }
}

fn space(bytes: &[u8], at: usize) -> usize {
    let spaces = bytes[at.min(bytes.len())..].iter();
    at + spaces.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// Where the value of a member begins whose name ended at `at`.
fn colon(bytes: &[u8], at: usize) -> Option<usize> {
    let at = space(bytes, at);
    (bytes.get(at) == Some(&b':')).then(|| space(bytes, at + 1))
}

fn word_end(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes[at..].starts_with(word).then_some(at + word.len())
}

fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match *bytes.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' if bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => at += 6,
                _ => return None,
            },
            0x00..=0x1f => return None,
            _ => at += 1,
        }
    }
}

fn number_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    let digits =
        |at: usize| bytes[at.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    at += usize::from(bytes[at] == b'-');
    let whole = digits(at);
    if whole == 0 || (whole > 1 && bytes[at] == b'0') {
        return None;
    }
    at += whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    Some(at)
}

/// Whether all of `json` is one object.
pub(super) fn is_object(json: &str) -> bool {
    let bytes = json.as_bytes();
    bytes.get(space(bytes, 0)) == Some(&b'{') && is_json(json)
}

/// Whether all of `json` is one text.
pub(super) fn is_text(json: &str) -> bool {
    let bytes = json.as_bytes();
    bytes.get(space(bytes, 0)) == Some(&b'"') && is_json(json)
}

fn is_json(json: &str) -> bool {
    value_end(json.as_bytes(), 0).is_some_and(|end| space(json.as_bytes(), end) == json.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn items_and_members_stay_as_they_are_written() {
        assert_eq!(
            items(r#" [ "a" ,1.50, {"b" : [ 2 ]} ,[] ] "#),
            Some(vec![r#""a""#, "1.50", r#"{"b" : [ 2 ]}"#, "[]"])
        );
        assert_eq!(items("[]"), Some(vec![]));
        assert_eq!(
            members(r#"{"a":1e3, "b\u0020":{}}"#),
            Some(vec![(r#""a""#, "1e3"), (r#""b\u0020""#, "{}")])
        );
        assert_eq!(members("{ }"), Some(vec![]));
    }

    #[test]
    fn what_is_no_json_is_none() {
        for wrong in [
            "",
            "[",
            "]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[01]",
            "[1.]",
            "[.5]",
            "[+1]",
            "[1e]",
            "[NaN]",
            "['a']",
            "[\"a]",
            "[\"\\x\"]",
            "[\"\\u12g4\"]",
            "[\"\n\"]",
            "[1]x",
            "[tru]",
            "[{]}",
            "[{\"a\"}]",
            "[{\"a\":1,}]",
            "[-]",
            "{}",
        ] {
            assert_eq!(items(wrong), None, "{wrong}");
        }
        assert_eq!(members("[]"), None);
    }

    #[test]
    fn nesting_of_any_depth_takes_no_stack() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(items(&deep).map(|items| items.len()), Some(1));
    }

    proptest! {
        #[test]
        fn the_verdict_is_that_of_a_reader(text in r#"[\[\]{}",:0-9eE+\-.truefalsn \\u]{0,24}"#) {
            let read = serde_json::from_str::<Vec<serde_json::Value>>(&text);
            // Numbers beyond a float are JSON all the same, and so is half a character's escape.
            let beyond = read.as_ref().is_err_and(|error| error.to_string().contains("out of range") || text.contains("\\u"));
            prop_assert!(beyond || items(&text).is_some() == read.is_ok(), "{}", text);
        }
    }
}
