//! The query of a request: its fields by name, and what is wrong with them.

use std::borrow::Cow;

use hyper::StatusCode;
use serde_json::json;

use crate::market::{SymbolId, Symbols};
use crate::server::answer::{Answer, body};

/// The fields of a query.
#[derive(Debug)]
pub(super) struct Query<'a> {
    text: &'a str,
}

/// A field that is missing or cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadField {
    /// Which.
    pub(super) field: &'static str,
    /// What would be right.
    pub(super) message: String,
}

impl BadField {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> BadField {
        BadField { field, message: message.into() }
    }

    /// The answer that says so.
    pub(super) fn answer(&self) -> Answer {
        let value = json!({"code": "BAD_FIELD", "field": self.field, "message": self.message});
        body(StatusCode::BAD_REQUEST, &value)
    }
}

impl<'a> Query<'a> {
    /// The fields of this text, which may be none.
    pub(super) fn new(text: Option<&'a str>) -> Query<'a> {
        Query { text: text.unwrap_or_default() }
    }

    /// A field's value. An empty one counts as absent; of several the first counts.
    pub(super) fn text(&self, field: &'static str) -> Result<Option<Cow<'a, str>>, BadField> {
        let value = self.text.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == field).then_some(value)
        });
        match value.map(decode) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value).filter(|value| !value.is_empty())),
            Some(None) => Err(BadField::new(field, format!("{field} is not percent-encoded UTF-8"))),
        }
    }

    /// A whole number from `least` to `most`.
    pub(super) fn whole(&self, field: &'static str, least: i64, most: i64) -> Result<Option<i64>, BadField> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        let wrong = || BadField::new(field, format!("{field} is a whole number from {least} to {most}"));
        number.map(Some).ok_or_else(wrong)
    }

    /// The symbol, which must be known, and its name.
    pub(super) fn symbol(&self, symbols: &Symbols) -> Result<(SymbolId, Cow<'a, str>), BadField> {
        let missing = || BadField::new("symbol", "symbol is missing: /api/v1/symbols lists them");
        let name = self.text("symbol")?.ok_or_else(missing)?;
        let unknown = || {
            let shown: String = name.chars().take(SHOWN).collect();
            BadField::new("symbol", format!("no symbol {shown:?} here: /api/v1/symbols lists them"))
        };
        symbols.with(|table| table.id(&name)).ok_or_else(unknown).map(|id| (id, name.clone()))
    }
}

/// Percent-decodes; `None` where that gives no text.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(text.into());
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?].map(|digit| char::from(digit).to_digit(16));
                u8::try_from(digits[0]? * 16 + digits[1]?).ok()?
            }
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::from)
}

/// Characters of a wrong value that are said back.
const SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_empty_ones_are_absent() {
        let query = Query::new(Some("symbol=BTC%2FUSD&empty=&plus=a+b&x=%zz&y=%ff&first=1&first=2"));
        assert_eq!(query.text("symbol").unwrap().unwrap(), "BTC/USD");
        assert_eq!(query.text("plus").unwrap().unwrap(), "a b");
        assert_eq!(query.text("first").unwrap().unwrap(), "1");
        assert_eq!(query.text("empty"), Ok(None));
        assert_eq!(query.text("absent"), Ok(None));
        for field in ["x", "y"] {
            assert_eq!(query.text(field).unwrap_err().field, field);
        }
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let query = Query::new(Some("a=5&b=11&c=five&d=99999999999999999999"));
        assert_eq!(query.whole("a", 1, 10), Ok(Some(5)));
        for field in ["b", "c", "d"] {
            assert_eq!(query.whole(field, 1, 10).unwrap_err().field, field);
        }
    }
}
