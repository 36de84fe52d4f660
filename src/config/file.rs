//! The configuration file: TOML with the place of each key.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::setting::Given;
use super::{Config, KNOBS, Place, Problem};

/// Puts the values of `text` into `config`, says where each was set, and reports all that is wrong.
pub(super) fn apply(
    text: &str,
    file: &Path,
    config: &mut Config,
    placed: &mut dyn FnMut(&'static str, Place),
    problems: &mut Vec<Problem>,
) {
    let place = |span: Range<usize>| Place::File { file: file.into(), line: line_of(text, span.start) };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        problems.extend(errors.iter().map(|error| Problem::NotToml {
            place: place(error.span().unwrap_or_default()),
            message: error.message().replace('\n', ", "),
        }));
        return;
    }
    let mut found = Vec::new();
    flatten("", table.get_ref(), &mut found);
    found.sort_by_key(|entry| entry.key_span.start);
    for Entry { key, key_span, value } in found {
        let place = place(key_span);
        let Some(knob) = KNOBS.iter().find(|knob| knob.key == key) else {
            problems.push(Problem::UnknownKey { place, nearest: nearest(&key), key });
            continue;
        };
        match knob.setting.set(config, Given::Toml(value.get_ref())) {
            Ok(()) => placed(knob.key, place),
            Err(mismatch) => {
                let value = shorten(&text[value.span()]);
                problems.push(Problem::Wrong { place, key: knob.key, value, mismatch });
            }
        }
    }
}

/// One `key = value` of the file.
struct Entry<'a> {
    key: String,
    key_span: Range<usize>,
    value: &'a Spanned<DeValue<'a>>,
}

/// Collects the keys with their sections. A section that is not known is one entry of its own.
fn flatten<'a>(section: &str, table: &'a DeTable<'a>, out: &mut Vec<Entry<'a>>) {
    for (name, value) in table.iter() {
        let key = match section {
            "" => name.get_ref().to_string(),
            _ => format!("{section}.{}", name.get_ref()),
        };
        let is_section =
            KNOBS.iter().any(|knob| knob.key.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.')));
        match value.get_ref().as_table() {
            Some(inner) if is_section => flatten(&key, inner, out),
            _ => out.push(Entry { key, key_span: name.span(), value }),
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

/// At most forty characters of the value's first line, without the user and password of an address:
/// it is shown in a message, and messages end up in logs.
pub(super) fn shorten(value: &str) -> String {
    let line = value.lines().next().unwrap_or_default();
    let mut shown: String = match (line.find("://"), line.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}://...{}", &line[..scheme], &line[at..]),
        _ => line.to_owned(),
    };
    let whole = line.len() == value.len();
    match shown.char_indices().nth(40) {
        Some((cut, _)) => shown.replace_range(cut.., "..."),
        None if whole => {}
        None => shown.push_str("..."),
    }
    shown
}

/// The known key that is most like `key`, where one is like it: at most every third letter is
/// wrong, or only its section.
fn nearest(key: &str) -> Option<&'static str> {
    let name = key.rsplit('.').next().unwrap_or(key);
    let elsewhere = KNOBS.iter().find(|knob| knob.key.rsplit('.').next() == Some(name));
    let distances = KNOBS.iter().map(|knob| (distance(key, knob.key), knob));
    let close =
        distances.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| distance * 3 <= key.len());
    close.map(|(_, knob)| knob).or(elsewhere).map(|knob| knob.key)
}

/// How many letters must be put in, taken out or replaced to turn one text into the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
