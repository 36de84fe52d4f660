//! Which module may use which: only those that stand below it.

use super::Finding;
use super::source::{SourceFile, identifier, line_of, words};

/// All modules, lowest first.
const ORDER: [&str; 18] = [
    "market", "clock", "metrics", "config", "ingest", "state", "coalesce", "journal", "relay", "encode",
    "dialect", "shard", "auth", "session", "fanout", "engine", "server", "cli",
];

/// Modules that may use less than all that stands below them.
const NARROW: [(&str, &[&str]); 4] = [
    ("clock", &["market"]),
    ("metrics", &["market"]),
    ("config", &["market"]),
    // The pipeline of one shard is pure: no thread, socket, disk or source is in its reach.
    ("shard", &["market", "state", "coalesce", "encode", "dialect"]),
];

/// The arrows of `file` that point up.
pub(crate) fn check(file: &SourceFile) -> Vec<Finding> {
    let Some(module) = module_of(&file.path) else { return Vec::new() };
    if file.is_test() {
        return Vec::new();
    }
    let find = |(at, used): (usize, &str)| {
        let remedy = judge(module, used)?;
        Some(Finding { path: file.path.clone(), line: line_of(&file.shipped, at), remedy })
    };
    uses(file).into_iter().filter_map(find).collect()
}

/// The module of the crate that a file belongs to; `None` for `lib.rs` and `main.rs`, which are free.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let module = inside.split('/').next()?.trim_end_matches(".rs");
    (!["lib", "main"].contains(&module)).then_some(module)
}

fn judge(module: &str, used: &str) -> Option<String> {
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let Some(user) = place(module) else {
        return Some(format!("module {module} has no place: give it one in ORDER in tests/tidy/arrows.rs"));
    };
    if used == module {
        return None;
    }
    let Some(target) = place(used) else {
        return Some(format!("crate::{used} is no module with a place: name the module that owns the item"));
    };
    let narrow = NARROW.iter().find(|(name, _)| *name == module);
    match narrow {
        Some((_, allowed)) if !allowed.contains(&used) => Some(format!(
            "{module} may use only {}, not crate::{used}: take what is needed as an argument",
            allowed.join(", ")
        )),
        _ if target > user => Some(format!(
            "{module} may not use crate::{used}, which stands above it: take what is needed as an argument, or move \
             the shared type down"
        )),
        _ => None,
    }
}

/// Each module of the crate that the shipped code names, and where.
fn uses(file: &SourceFile) -> Vec<(usize, &str)> {
    let code = &file.shipped;
    let mut found = Vec::new();
    for at in words(code, "crate") {
        if let Some(rest) = after_colons(&code[at + "crate".len()..]) {
            names(code, rest, &mut found);
        }
    }
    for at in words(code, "super") {
        if let Some(rest) = above_root(code, at, depth_of(&file.path)) {
            names(code, rest, &mut found);
        }
    }
    found
}

/// How many times `super` leads from a file's top level to the crate's root.
fn depth_of(path: &str) -> usize {
    path.split('/').filter(|part| !["src", "mod.rs"].contains(part)).count()
}

/// What follows a chain of `super::` that begins at `at` and reaches the root.
fn above_root(code: &str, at: usize, depth: usize) -> Option<&str> {
    if code[..at].ends_with("super::") {
        return None;
    }
    let (mut rest, mut steps) = (&code[at..], 0);
    while let Some(next) = rest.strip_prefix("super").and_then(after_colons) {
        (rest, steps) = (next, steps + 1);
    }
    (steps >= depth).then_some(rest)
}

fn after_colons(code: &str) -> Option<&str> {
    code.trim_start().strip_prefix("::").map(str::trim_start)
}

/// The first name of a path, or of each path of a group. `rest` is a tail of `code`'s part.
fn names<'a>(code: &'a str, rest: &'a str, found: &mut Vec<(usize, &'a str)>) {
    let offset = |part: &str| part.as_ptr() as usize - code.as_ptr() as usize;
    let Some(group) = rest.strip_prefix('{') else {
        found.push((offset(rest), identifier(rest)));
        return;
    };
    let mut depth = 0_usize;
    let mut expected = true;
    for (at, c) in group.char_indices() {
        match c {
            '}' if depth == 0 => return,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            _ if expected && !c.is_whitespace() => {
                found.push((offset(&group[at..]), identifier(&group[at..])));
                expected = false;
            }
            _ => {}
        }
    }
}

mod self_tests {
    use super::*;

    #[track_caller]
    fn told(path: &str, text: &str) -> Vec<String> {
        check(&SourceFile::new(path, text)).iter().map(Finding::to_string).collect()
    }

    const UP: &str = "state may not use crate::session, which stands above it: take what is needed as an argument, or move the shared type down";

    #[test]
    fn an_arrow_upwards_is_found_however_it_is_written() {
        for text in [
            "\nuse crate::session::Session;",
            "\nuse crate::{market::Side, session::{Session, state}};",
            "\nuse crate::{\nsession};",
            "\nfn a() -> crate::session::Session {}",
            "\nuse crate :: session;",
            "\npub(crate) use super::super::session::Session;",
        ] {
            let line = if text.contains("{\n") { 3 } else { 2 };
            assert_eq!(
                told("src/state/book.rs", text),
                [format!("src/state/book.rs:{line}: {UP}")],
                "{text}"
            );
        }
        assert_eq!(told("src/state/mod.rs", "use super::session;"), [format!("src/state/mod.rs:1: {UP}")]);
        assert_eq!(told("src/clock.rs", "use super::state;").len(), 1);
    }

    #[test]
    fn arrows_down_tests_comments_and_the_map_are_free() {
        let down = "use crate::market::{Side, session};\nuse super::{ladder, session};\npub(crate) fn a() {}\n\
                    // crate::session\n#[cfg(test)]\nmod tests { use crate::session; use super::super::session; }\n";
        assert_eq!(told("src/state/book.rs", down), [""; 0]);
        assert_eq!(told("src/state/tests.rs", "use crate::session;"), [""; 0]);
        assert_eq!(told("src/lib.rs", "use crate::cli;"), [""; 0]);
        assert_eq!(told("src/engine.rs", "use crate::{shard, session, fanout, config, clock};"), [""; 0]);
    }

    #[test]
    fn narrow_modules_use_only_what_they_are_given() {
        assert_eq!(
            told("src/shard.rs", "use crate::{state, journal};"),
            [
                "src/shard.rs:1: shard may use only market, config, state, coalesce, encode, dialect, not crate::journal: take what is needed as an argument"
            ]
        );
        assert_eq!(told("src/config/load.rs", "use crate::clock;").len(), 1);
    }

    #[test]
    fn a_module_without_a_place_is_found() {
        assert_eq!(
            told("src/misc.rs", "use crate::market;"),
            ["src/misc.rs:1: module misc has no place: give it one in ORDER in tests/tidy/arrows.rs"]
        );
        assert_eq!(told("src/state/book.rs", "use crate::Thing;").len(), 1);
    }
}
