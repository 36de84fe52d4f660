//! A Rust file as the rules see it: comments, literals and test code blanked, lines kept.

/// One file.
pub(crate) struct SourceFile {
    /// From the crate's root, with `/`.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
    /// The same bytes with comments and the insides of literals turned to spaces.
    pub(crate) code: String,
    /// [`SourceFile::code`] with items under `#[cfg(test)]` turned to spaces as well.
    pub(crate) shipped: String,
    /// How many lines such items take.
    pub(crate) test_lines: usize,
}

impl SourceFile {
    /// Looks at `text`.
    pub(crate) fn new(path: &str, text: &str) -> SourceFile {
        let code = blank(text);
        let (shipped, test_lines) = without_tests(&code);
        SourceFile { path: path.into(), text: text.into(), code, shipped, test_lines }
    }

    /// Whether the whole file is test code: `tests.rs` beside the code that it tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || !self.path.starts_with("src/")
    }
}

/// The line of a place, from 1.
pub(crate) fn line_of(code: &str, at: usize) -> usize {
    code.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// Where `word` stands as a word of its own.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |byte: Option<&u8>| byte.is_some_and(|&byte| byte == b'_' || byte.is_ascii_alphanumeric());
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let bytes = code.as_bytes();
        !part(at.checked_sub(1).and_then(|before| bytes.get(before))) && !part(bytes.get(at + word.len()))
    })
}

/// The identifier at the start of `code`.
pub(crate) fn identifier(code: &str) -> &str {
    let end = code.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(code.len());
    &code[..end]
}

/// The end (exclusive) of the item whose body or `;` comes next after `from`.
pub(crate) fn end_of_item(code: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn without_tests(code: &str) -> (String, usize) {
    let mut shipped = code.as_bytes().to_vec();
    let mut lines = 0;
    let mut from = 0;
    while let Some(found) = code[from..].find(CFG_TEST) {
        let start = from + found;
        let end = end_of_item(code, start + CFG_TEST.len());
        lines += line_of(code, end) - line_of(code, start) + 1;
        cover(&mut shipped[start..end]);
        from = end;
    }
    (String::from_utf8(shipped).expect("whole items were covered"), lines)
}

fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let in_word = at > 0 && (bytes[at - 1] == b'_' || bytes[at - 1].is_ascii_alphanumeric());
        let length = match rest {
            [b'/', b'/', ..] => rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => block_comment(rest),
            [b'"', ..] => quoted(rest),
            [b'r', b'"' | b'#', ..] if !in_word => raw(rest, 1),
            [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => raw(rest, 2),
            [b'\'', ..] => character(rest),
            _ => 0,
        };
        cover(&mut out[at..at + length]);
        at += length.max(1);
    }
    String::from_utf8(out).expect("whole characters were covered")
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match &text[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// A raw string whose prefix letters take `prefix` bytes; zero for a raw identifier such as `r#fn`.
fn raw(text: &[u8], prefix: usize) -> usize {
    let hashes = text[prefix..].iter().take_while(|&&byte| byte == b'#').count();
    let open = prefix + hashes;
    if text.get(open) != Some(&b'"') {
        return 0;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let inside = &text[open + 1..];
    let end = inside.windows(close.len()).position(|window| window == close);
    end.map_or(text.len(), |end| open + 1 + end + close.len())
}

/// A character literal; zero for a lifetime.
fn character(text: &[u8]) -> usize {
    match text {
        [_, b'\\', _, rest @ ..] => rest.iter().position(|&byte| byte == b'\'').map_or(0, |end| end + 4),
        [_, first, ..] => {
            let width = match first {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if text.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        _ => 0,
    }
}

fn cover(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

const CFG_TEST: &str = "#[cfg(test)]";

mod self_tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seen: &str) {
        let code = blank(text);
        assert_eq!(code.len(), text.len(), "{text}");
        assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), seen, "{text}");
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        check("a // fn b() {\nc", "a c");
        check("a /* { /* { */ { */ b", "a b");
        check(r#"a "{ \" }" b"#, "a b");
        check(r##"a r#"{ " }"# b br"{" c"##, "a b c");
        check("a '{' '\\'' '\\u{7b}' '→' b", "a b");
        check("fn a<'a>(b: &'a str) {}", "fn a<'a>(b: &'a str) {}");
        check("r#fn for_r", "r#fn for_r");
    }

    #[test]
    fn test_items_are_not_shipped() {
        let file = SourceFile::new(
            "src/a.rs",
            "a\n#[cfg(test)]\nmod tests {\n    x { }\n}\nb\n#[cfg(test)]\nmod more;\nc\n",
        );
        assert_eq!(file.shipped.split_whitespace().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(file.test_lines, 6);
    }
}
