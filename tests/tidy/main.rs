//! Holds the shape of the source: which module may use which, how long files and functions may be,
//! what files are called and how they begin.
//!
//! Lengths only ratchet down: what is too long today is listed with its exact length, and a shorter
//! one must lower its entry.

mod arrows;
mod lengths;
mod source;

use std::fmt;
use std::path::{Path, PathBuf};

use source::SourceFile;

/// Files over the limit, with their exact length today. Split them; add none.
const LONG_FILES: &[(&str, usize)] = &[];

/// Functions over the limit (`path::name`), with their exact length today. Split them; add none.
const LONG_FUNCTIONS: &[(&str, usize)] = &[];

/// A broken rule, where it is broken, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.remedy)
    }
}

#[test]
fn modules_use_only_what_stands_below_them() {
    report(files(&["src"]).iter().flat_map(arrows::check).collect());
}

#[test]
fn files_are_short() {
    report(lengths::check_files(&files(&["src"]), LONG_FILES));
}

#[test]
fn functions_are_short() {
    report(lengths::check_functions(&files(&ALL), LONG_FUNCTIONS));
}

#[test]
fn every_file_says_first_what_it_owns() {
    report(files(&ALL).iter().filter_map(check_opening).collect());
}

#[test]
fn file_names_say_what_is_inside() {
    report(files(&ALL).iter().filter_map(check_name).collect());
}

fn check_opening(file: &SourceFile) -> Option<Finding> {
    let first = file.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//! ").is_some_and(|sentence| !sentence.trim().is_empty());
    let remedy = "begin the file with one `//!` sentence that says what it owns".into();
    (!says).then(|| Finding { path: file.path.clone(), line: 1, remedy })
}

fn check_name(file: &SourceFile) -> Option<Finding> {
    let parts = file.path.trim_end_matches(".rs").split('/');
    let vague = parts.skip(1).find(|part| VAGUE.contains(part))?;
    let remedy = format!("`{vague}` could hold anything: name it after the one thing it owns");
    Some(Finding { path: file.path.clone(), line: 1, remedy })
}

/// All Rust files in these folders of the crate, in order.
fn files(folders: &[&str]) -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in folders.iter().map(|folder| root.join(folder)).filter(|folder| folder.is_dir()) {
        collect(&folder, &mut paths);
    }
    paths.sort();
    let files = paths.iter().map(|path| {
        let short = path
            .strip_prefix(root)
            .expect("it was found below the root")
            .to_string_lossy()
            .replace('\\', "/");
        SourceFile::new(&short, &std::fs::read_to_string(path).expect("a source file is text"))
    });
    files.collect()
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the crate's folders can be read") {
        let path = entry.expect("the crate's folders can be read").path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

#[track_caller]
fn report(findings: Vec<Finding>) {
    let lines: Vec<_> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "{} broken:\n{}", lines.len(), lines.join("\n"));
}

const ALL: [&str; 4] = ["src", "tests", "benches", "examples"];

const VAGUE: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "manager", "core", "inner"];

mod self_tests {
    use super::*;

    #[test]
    fn the_tree_is_looked_at() {
        let files = files(&ALL);
        for known in ["src/lib.rs", "src/market/symbol.rs", "tests/tidy/main.rs"] {
            assert!(files.iter().any(|file| file.path == known), "{known} was not read");
        }
    }

    #[test]
    fn a_file_without_its_sentence_is_found() {
        let opening = |text| check_opening(&SourceFile::new("src/a.rs", text)).map(|found| found.to_string());
        assert_eq!(opening("//! Owns a.\nfn a() {}"), None);
        let remedy = "src/a.rs:1: begin the file with one `//!` sentence that says what it owns";
        for wrong in ["", "//!\n", "use std::fmt;\n//! Late.", "/// Not the file's own.\nfn a() {}"] {
            assert_eq!(opening(wrong).as_deref(), Some(remedy), "{wrong:?}");
        }
    }

    #[test]
    fn a_vague_name_is_found() {
        let name = |path| check_name(&SourceFile::new(path, "")).map(|found| found.to_string());
        assert_eq!(name("src/state/book.rs"), None);
        assert_eq!(name("src/state/scores.rs"), None);
        let remedy = ":1: `utils` could hold anything: name it after the one thing it owns";
        for wrong in ["src/state/utils.rs", "src/utils/mod.rs"] {
            assert_eq!(name(wrong), Some(format!("{wrong}{remedy}")));
        }
    }
}
