//! The README's table of settings is the one that the code renders.

use std::path::Path;

use tickcast::config::Config;

const BEGIN: &str = "<!-- config -->\n";
const END: &str = "<!-- /config -->";

/// The text before, between and after the markers.
fn split(readme: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    Some((before, table, after))
}

#[test]
fn the_readme_lists_every_setting_as_the_code_has_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, table, after) = split(&readme)
        .unwrap_or_else(|| panic!("README.md: put the lines {BEGIN:?} and {END:?} where the table belongs"));
    let reference = Config::reference();
    if std::env::var_os("TICKCAST_UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, format!("{before}{BEGIN}{reference}{END}{after}")).unwrap();
        return;
    }
    assert!(
        table == reference,
        "README.md: its table of settings is out of date; run TICKCAST_UPDATE=1 cargo test --test readme"
    );
}
