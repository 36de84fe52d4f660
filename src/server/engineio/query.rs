//! What an Engine.IO client says in the address of its request.

/// The value of `name` in a query, its escapes undone; the first where there are several.
pub fn value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| unescaped(value))
}

/// Undoes `%41` and `+`. What is no escape stays as it is.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        (rest, _) = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                (&tail[2..], bytes.push(u8::try_from(high << 4 | low).unwrap_or_default()))
            }
            (b'+', ..) => (tail, bytes.push(b' ')),
            _ => (tail, bytes.push(*first)),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_name_and_without_its_escapes() {
        let query = "EIO=4&transport=polling&tokens=no&token=a.b%2Fc%2B&t&x=%zz%4";
        for (name, expected) in [
            ("EIO", Some("4")),
            ("transport", Some("polling")),
            ("token", Some("a.b/c+")),
            ("t", Some("")),
            ("x", Some("%zz%4")),
            ("sid", None),
            ("en", None),
        ] {
            assert_eq!(value(query, name).as_deref(), expected, "{name}");
        }
    }
}
