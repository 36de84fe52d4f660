//! The page as a browser is given it.

use crate::ask::{ask, get};
use crate::running::Running;

#[test]
fn the_page_is_served_where_it_is_asked_for() {
    let without = Running::start(|_| {});
    assert_eq!(get(&without, "/").status, 404);
    let server = Running::start(|config| config.page = true);
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/licences.txt", "text/plain; charset=utf-8"),
    ] {
        let plain = get(&server, path);
        assert_eq!((plain.status, plain.header("content-type")), (200, Some(kind)), "{path}");
        let policy = plain.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let compressed = ask(&server, "GET", path, &["Accept-Encoding: gzip, br"]);
        assert_eq!(compressed.text(), plain.body, "{path}");
        let tag = format!("If-None-Match: {}", plain.header("etag").unwrap());
        let held = ask(&server, "GET", path, &[&tag]);
        assert_eq!((held.status, held.body.len()), (304, 0), "{path}");
    }
    assert_eq!(ask(&server, "POST", "/", &[]).status, 405);
    assert_eq!(get(&server, "/../Cargo.toml").status, 404);
}

#[test]
fn the_page_asks_no_other_host_for_anything() {
    let server = Running::start(|config| config.page = true);
    for path in ["/", "/page.css"] {
        let text = String::from_utf8(get(&server, path).body).unwrap();
        for loading in ["src=\"http", "src=\"//", "url(http", "url(//", "@import"] {
            assert!(!text.contains(loading), "{path} has {loading}");
        }
    }
}
