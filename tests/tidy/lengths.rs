//! How long files and functions may be.

use super::Finding;
use super::source::{SourceFile, end_of_item, identifier, line_of, words};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;

/// Files over the limit, not counting their tests.
pub(crate) fn check_files(files: &[SourceFile], listed: &[(&str, usize)]) -> Vec<Finding> {
    let shipped = files.iter().filter(|file| !file.is_test());
    let found = shipped.map(|file| Measured {
        name: file.path.clone(),
        path: file.path.clone(),
        line: 1,
        lines: file.text.lines().count() - file.test_lines,
    });
    let limit = Limit { most: FILE_LINES, what: "lines without tests", list: "LONG_FILES" };
    limit.ratchet(&found.collect::<Vec<_>>(), listed)
}

/// Functions over the limit, tests among them.
pub(crate) fn check_functions(files: &[SourceFile], listed: &[(&str, usize)]) -> Vec<Finding> {
    let found: Vec<_> = files.iter().flat_map(functions).collect();
    let limit = Limit { most: FUNCTION_LINES, what: "lines in one function", list: "LONG_FUNCTIONS" };
    limit.ratchet(&found, listed)
}

struct Measured {
    name: String,
    path: String,
    line: usize,
    lines: usize,
}

fn functions(file: &SourceFile) -> Vec<Measured> {
    let code = &file.code;
    let measure = |at: usize| {
        let after = code[at + "fn".len()..].trim_start();
        // A function pointer's type has no name.
        let name = Some(identifier(after)).filter(|name| !name.is_empty())?;
        let (line, last) = (line_of(code, at), line_of(code, end_of_item(code, at)));
        let name = format!("{}::{name}", file.path);
        Some(Measured { name, path: file.path.clone(), line, lines: last - line + 1 })
    };
    words(code, "fn").filter_map(measure).collect()
}

struct Limit {
    most: usize,
    what: &'static str,
    list: &'static str,
}

impl Limit {
    fn ratchet(&self, found: &[Measured], listed: &[(&str, usize)]) -> Vec<Finding> {
        let Limit { most, what, list } = self;
        let mut findings = Vec::new();
        for item in found {
            let allowed = listed.iter().find(|(name, _)| *name == item.name).map(|(_, lines)| *lines);
            let lines = item.lines;
            let remedy = match allowed {
                Some(allowed) if lines > allowed => {
                    format!("{lines} {what}, {allowed} are allowed for {}: split it", item.name)
                }
                Some(_) if lines <= *most => {
                    format!("only {lines} {what}: take {} out of {list} in tests/tidy/main.rs", item.name)
                }
                Some(allowed) if lines < allowed => {
                    format!(
                        "now {lines} {what}: lower the entry of {} in {list} in tests/tidy/main.rs",
                        item.name
                    )
                }
                None if lines > *most => format!("{lines} {what} ({}), at most {most}: split it", item.name),
                Some(_) | None => continue,
            };
            findings.push(Finding { path: item.path.clone(), line: item.line, remedy });
        }
        for (name, _) in listed.iter().filter(|(name, _)| !found.iter().any(|item| item.name == *name)) {
            let remedy = format!("{list} names {name}, which is gone: take it out");
            findings.push(Finding { path: "tests/tidy/main.rs".into(), line: 1, remedy });
        }
        findings
    }
}

mod self_tests {
    use super::*;

    fn told(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(500));
        let file = |lines| [SourceFile::new("src/a.rs", &format!("{}{tests}", "//! A.\n".repeat(lines)))];
        assert_eq!(told(&check_files(&file(400), &[])), [""; 0]);
        assert_eq!(
            told(&check_files(&file(401), &[])),
            ["src/a.rs:1: 401 lines without tests (src/a.rs), at most 400: split it"]
        );
    }

    #[test]
    fn a_listed_length_only_goes_down() {
        let check = |lines: usize, allowed| {
            let file = SourceFile::new("src/a.rs", &"//! A.\n".repeat(lines));
            told(&check_files(&[file], &[("src/a.rs", allowed)])).pop()
        };
        assert_eq!(check(450, 450), None);
        assert!(check(451, 450).unwrap().contains("450 are allowed for src/a.rs: split it"));
        assert!(check(449, 450).unwrap().contains("lower the entry of src/a.rs in LONG_FILES"));
        assert!(check(400, 450).unwrap().contains("take src/a.rs out of LONG_FILES"));
        assert!(
            told(&check_files(&[], &[("src/b.rs", 450)])).pop().unwrap().contains("src/b.rs, which is gone")
        );
    }

    #[test]
    fn a_long_function_is_found_whatever_its_text_holds() {
        let body = "    let a = (\"}\", '}', b: fn(u8), [0_u8; 4]); // }\n";
        let text = |lines| {
            format!(
                "type F = fn(u8);\npub fn long<'a>(a: [u8; 2]) -> [u8; 4] {{\n{}}}\n\nfn next() {{}}\n",
                body.repeat(lines)
            )
        };
        let check = |lines| told(&check_functions(&[SourceFile::new("src/a.rs", &text(lines))], &[]));
        assert_eq!(check(68), [""; 0]);
        assert_eq!(
            check(69),
            ["src/a.rs:2: 71 lines in one function (src/a.rs::long), at most 70: split it"]
        );
    }
}
