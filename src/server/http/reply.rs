//! An answer made fit for the one who asked: compressed, tagged, and open to the pages that may read it.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    IF_NONE_MATCH, ORIGIN, VARY,
};
use hyper::{Response, StatusCode};

use crate::server::answer::Answer;
use crate::server::{Content, Door};

/// JSON that may be kept as long as it is asked again whether it still holds.
pub(super) fn json(text: Vec<u8>, headers: &HeaderMap) -> Answer {
    let tag = format!("W/\"{:08x}-{:x}\"", crc32fast::hash(&text), text.len());
    let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("W/\"\""));
    if holds(headers, &tag) {
        return not_modified(tag);
    }
    let mut answer = Response::new(Content::default());
    let own = answer.headers_mut();
    own.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    own.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    own.insert(ETAG, tag);
    own.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let compressed =
        (text.len() >= WORTH_IT && accepts_gzip(headers)).then(|| gzip(&text, Compression::fast()));
    let text = match compressed.flatten() {
        Some(compressed) => {
            own.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            compressed
        }
        None => text,
    };
    *answer.body_mut() = Content::from(Bytes::from(text));
    answer
}

/// Says that what the asker holds still holds.
pub(super) fn not_modified(tag: HeaderValue) -> Answer {
    let mut answer = Response::new(Content::default());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    answer.headers_mut().insert(ETAG, tag);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    answer
}

/// Whether the asker holds what has this tag.
pub(super) fn holds(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    // A proxy that compresses makes strong tags weak: both are the same text.
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let tag = plain(tag.to_str().unwrap_or_default());
    let held = headers.get_all(IF_NONE_MATCH).iter().filter_map(|held| held.to_str().ok());
    held.flat_map(|held| held.split(',')).any(|held| held.trim() == "*" || plain(held) == tag)
}

/// Whether the asker takes gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = quality.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32));
        matches!(name.trim(), "gzip" | "*") && !refused
    })
}

/// The text, compressed; `None` where that fails, which memory does not.
pub(super) fn gzip(text: &[u8], level: Compression) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), level);
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}

/// Lets pages of allowed origins read the answer.
pub(super) fn open_to_pages(answer: &mut Answer, headers: &HeaderMap, door: &Door) {
    let own = answer.headers_mut();
    own.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = headers.get(ORIGIN).filter(|origin| door.allows(origin)) {
        own.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

/// The answer to a page that asks whether it may ask.
pub(super) fn preflight() -> Answer {
    let mut answer = Response::new(Content::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let own = answer.headers_mut();
    own.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    own.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, if-none-match"));
    own.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer
}

/// Shorter texts fit one packet as they are.
const WORTH_IT: usize = 1_200;

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: hyper::header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn gzip_is_used_where_it_is_taken() {
        for (accepted, taken) in [
            ("gzip, br", true),
            ("br;q=1, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("br", false),
        ] {
            assert_eq!(accepts_gzip(&with(ACCEPT_ENCODING, accepted)), taken, "{accepted}");
        }
    }

    #[test]
    fn a_tag_is_known_again_weak_or_strong_and_among_others() {
        let tag = HeaderValue::from_static("W/\"a\"");
        for (held, known) in
            [("W/\"a\"", true), ("\"a\"", true), ("\"b\", W/\"a\"", true), ("*", true), ("\"b\"", false)]
        {
            assert_eq!(holds(&with(IF_NONE_MATCH, held), &tag), known, "{held}");
        }
    }
}
