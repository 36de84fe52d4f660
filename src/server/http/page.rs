//! The page at `/`, built ahead and part of the program (`web/` holds its sources).

use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use hyper::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response};

use super::reply;
use super::visitor::TOKEN;
use crate::server::Content;
use crate::server::answer::{Answer, wrong_method};

/// A file of the page.
struct Asset {
    path: &'static str,
    kind: &'static str,
    text: &'static [u8],
}

/// The file at an address. Where the page `has_account` it is told where to ask for a token.
pub(super) fn find(path: &str, has_account: bool) -> Option<&'static Served> {
    match path {
        "/" if has_account => Some(&WITH_ACCOUNT),
        _ => SERVED.iter().find(|served| served.path == path),
    }
}

/// Answers a request for it.
pub(super) fn answer(served: &Served, method: &Method, headers: &HeaderMap) -> Answer {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return wrong_method("GET, HEAD");
    }
    let mut answer = if reply::holds(headers, &served.tag) {
        reply::not_modified(served.tag.clone())
    } else {
        served.whole(headers)
    };
    let own = answer.headers_mut();
    own.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    own.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    own.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    own.insert(VARY, HeaderValue::from_static("accept-encoding"));
    answer
}

/// A file with what is worked out of it once.
pub(super) struct Served {
    path: &'static str,
    kind: &'static str,
    text: Bytes,
    tag: HeaderValue,
    compressed: Option<Bytes>,
}

impl Served {
    fn new(asset: &'static Asset, text_instead: Option<Vec<u8>>) -> Served {
        let text = text_instead.map_or(Bytes::from_static(asset.text), Bytes::from);
        let tag = format!("\"{:08x}-{:x}\"", crc32fast::hash(&text), text.len());
        Served {
            path: asset.path,
            kind: asset.kind,
            tag: HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\"")),
            compressed: reply::gzip(&text, Compression::best()).map(Bytes::from),
            text,
        }
    }

    fn whole(&self, headers: &HeaderMap) -> Answer {
        let compressed = self.compressed.as_ref().filter(|_| reply::accepts_gzip(headers));
        let text = compressed.unwrap_or(&self.text).clone();
        let mut answer = Response::new(Content::from(text));
        let own = answer.headers_mut();
        if compressed.is_some() {
            own.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        own.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        // Asked for again each time, and answered 304: a new version of the program shows at once.
        own.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        own.insert(ETAG, self.tag.clone());
        answer
    }
}

static SERVED: LazyLock<Vec<Served>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| Served::new(asset, None)).collect());

/// The page of a server whose visitors have an account.
static WITH_ACCOUNT: LazyLock<Served> = LazyLock::new(|| {
    let [index, ..] = &ASSETS;
    let told = format!("<html data-account=\"{TOKEN}\" ");
    let text = String::from_utf8_lossy(index.text).replacen("<html ", &told, 1);
    Served::new(index, Some(text.into_bytes()))
});

/// The page runs its own files and talks to its own server; nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static ASSETS: [Asset; 5] = [
    Asset {
        path: "/",
        kind: "text/html; charset=utf-8",
        text: include_bytes!("../../../web/dist/index.html"),
    },
    Asset {
        path: "/page.js",
        kind: "text/javascript; charset=utf-8",
        text: include_bytes!("../../../web/dist/page.js"),
    },
    Asset {
        path: "/page.css",
        kind: "text/css; charset=utf-8",
        text: include_bytes!("../../../web/dist/page.css"),
    },
    Asset { path: "/icon.svg", kind: "image/svg+xml", text: include_bytes!("../../../web/dist/icon.svg") },
    Asset {
        path: "/licences.txt",
        kind: "text/plain; charset=utf-8",
        text: include_bytes!("../../../web/dist/licences.txt"),
    },
];
