//! The fields of a JSON object, each value as the text that it came in.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of a JSON object in their order, each value as the text that it came in: numbers keep
/// their digits.
#[derive(Debug, Default)]
pub struct Fields<'a> {
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// When the text is no JSON object.
    pub fn read(text: &'a str) -> Result<Fields<'a>, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// All of them, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.fields.iter().map(|(name, value)| (&**name, value.get()))
    }

    /// The text of a field, also where it is null. Of several it is the last.
    pub fn written(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    /// The same fields, to be asked for many of them.
    pub fn by_name(&self) -> ByName<'_, 'a> {
        if self.fields.len() <= FEW {
            return ByName::Few(self);
        }
        let mut sorted: Vec<_> = self.iter().collect();
        // Of several of one name the last stays last.
        sorted.sort_by_key(|(name, _)| *name);
        ByName::Sorted(sorted)
    }

    /// The text of a field; `None` where there is none, or it is null.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.written(name).filter(|value| *value != "null")
    }

    /// The text in a field that holds text or a whole number.
    pub fn text(&self, name: &str) -> Option<String> {
        let raw = self.raw(name)?;
        let is_number = raw.strip_prefix('-').unwrap_or(raw).bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Some(raw.to_owned()) } else { serde_json::from_str(raw).ok() }
    }
}

/// Fields of which one is found quickly, however many there are.
#[derive(Debug)]
pub enum ByName<'f, 'a> {
    /// So few that looking at them is quicker than sorting them.
    Few(&'f Fields<'a>),
    /// In the order of their names.
    Sorted(Vec<(&'f str, &'a str)>),
}

/// Fields up to which nothing is sorted.
const FEW: usize = 24;

impl<'a> ByName<'_, 'a> {
    /// As [`Fields::written`].
    pub fn written(&self, name: &str) -> Option<&'a str> {
        match self {
            ByName::Few(fields) => fields.written(name),
            ByName::Sorted(sorted) => {
                let behind = sorted.partition_point(|(known, _)| *known <= name);
                let (known, value) = sorted.get(behind.checked_sub(1)?)?;
                (*known == name).then_some(*value)
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Fields<'a>, D::Error> {
        from.deserialize_map(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<Name<'de>>()? {
            fields.push((name.0, map.next_value()?));
        }
        Ok(Fields { fields })
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
