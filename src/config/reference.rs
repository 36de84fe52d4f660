//! The tables of all keys and variables for the README.

use std::fmt::Write;

use super::{Config, KNOBS, Knob, SECRETS};

impl Config {
    /// All keys with their defaults and meanings, as Markdown.
    pub fn reference() -> String {
        let mut out = String::from("| key | default | also | meaning |\n|---|---|---|---|\n");
        for knob in KNOBS {
            let (key, default, also, meaning) = (knob.key, default(knob), also(knob), knob.meaning);
            // Writing to a String cannot fail.
            let _ = writeln!(out, "| `{key}` | {default} | {also} | {meaning} |");
        }
        out.push_str("\nSecrets stand in the environment alone, and nothing prints them:\n\n");
        out.push_str("| variable | meaning | today |\n|---|---|---|\n");
        for secret in &SECRETS {
            let _ = writeln!(
                out,
                "| `{}` | {} | {} |",
                secret.variable,
                secret.meaning,
                secret.unused.unwrap_or("in use")
            );
        }
        out
    }
}

fn default(knob: &Knob) -> String {
    let value = knob.default_value();
    if value == knob.unset { value } else { format!("`{value}`") }
}

fn also(knob: &Knob) -> String {
    let given: Vec<_> =
        [knob.flag, knob.variable].into_iter().flatten().map(|name| format!("`{name}`")).collect();
    given.join(", ")
}
