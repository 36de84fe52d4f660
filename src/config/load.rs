//! Flags over environment over file over default, and the rules that several values share.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::file::{self, shorten};
use super::setting::Given;
use super::{Config, ConfigError, KNOBS, Knob, Mismatch, Place, Problem, SECRETS, Source};

/// A flag of the command line with its value as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlagValue {
    /// The flag, such as `--listen`: one that a [`Knob`] names.
    pub flag: &'static str,
    /// Its value; `true` for a switch.
    pub value: String,
}

/// What a configuration is made of.
pub struct Layers<'a> {
    /// The file that was named, if any.
    pub file: Option<PathBuf>,
    /// Looks a variable up: `std::env::var_os` but for tests.
    pub environment: &'a dyn Fn(&str) -> Option<OsString>,
    /// What the command line says.
    pub flags: Vec<FlagValue>,
}

impl Config {
    /// Reads all layers and checks the whole.
    ///
    /// # Errors
    /// [`ConfigError`] holds every problem that was found, each with its place and its remedy.
    pub fn load(layers: &Layers<'_>) -> Result<Config, ConfigError> {
        let mut loading = Loading::default();
        if let Some(file) = &layers.file {
            loading.file(file);
        }
        loading.environment(layers.environment);
        for FlagValue { flag, value } in &layers.flags {
            for knob in KNOBS.iter().filter(|knob| knob.flag == Some(flag)) {
                loading.set(knob, Place::Flag(flag), value);
            }
        }
        loading.finish()
    }
}

#[derive(Default)]
struct Loading {
    config: Config,
    /// Where each value that is no default came from.
    places: BTreeMap<&'static str, Place>,
    problems: Vec<Problem>,
}

impl Loading {
    fn file(&mut self, file: &PathBuf) {
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let placed = &mut |key, place| drop(self.places.insert(key, place));
                file::apply(&text, file, &mut self.config, placed, &mut self.problems);
            }
            Err(error) => self.problems.push(Problem::Unreadable { file: file.clone(), error }),
        }
    }

    fn environment(&mut self, environment: &dyn Fn(&str) -> Option<OsString>) {
        for knob in KNOBS {
            let Some(variable) = knob.variable else { continue };
            let Some(value) = self.variable(environment, variable) else { continue };
            let place = Place::Environment(variable);
            match variable {
                "PORT" => self.port(knob, place, &value),
                // Other programs read it too: its other values are none of our business.
                "NODE_ENV" if value != "development" => {}
                "NODE_ENV" => self.set(knob, place, "true"),
                _ => self.set(knob, place, &value),
            }
        }
        for secret in &SECRETS {
            let value = self.variable(environment, secret.variable);
            *(secret.place)(&mut self.config.secrets) = value;
        }
    }

    /// A variable's text. An empty one counts as unset, as shells and containers have it.
    fn variable(
        &mut self,
        environment: &dyn Fn(&str) -> Option<OsString>,
        variable: &'static str,
    ) -> Option<String> {
        match environment(variable)?.into_string() {
            Ok(text) => Some(text).filter(|text| !text.is_empty()),
            Err(_) => {
                self.problems.push(Problem::NotText { variable });
                None
            }
        }
    }

    fn port(&mut self, knob: &'static Knob, place: Place, value: &str) {
        match value.parse() {
            Ok(port) => {
                self.config.listen.set_port(port);
                self.places.insert(knob.key, place);
            }
            Err(_) => {
                let mismatch = Mismatch::Whole { unit: "", least: 0, most: u16::MAX.into() };
                self.wrong(knob, place, value, mismatch);
            }
        }
    }

    fn set(&mut self, knob: &'static Knob, place: Place, value: &str) {
        match knob.setting.set(&mut self.config, Given::Text(value)) {
            Ok(()) => drop(self.places.insert(knob.key, place)),
            Err(mismatch) => self.wrong(knob, place, value, mismatch),
        }
    }

    fn wrong(&mut self, knob: &'static Knob, place: Place, value: &str, mismatch: Mismatch) {
        let value = format!("{:?}", shorten(value));
        self.problems.push(Problem::Wrong { place, key: knob.key, value, mismatch });
    }

    fn place(&self, key: &'static str) -> Place {
        self.places.get(key).cloned().unwrap_or(Place::Default)
    }

    fn finish(mut self) -> Result<Config, ConfigError> {
        // Rules between values would only repeat what is already said of a wrong one.
        if self.problems.is_empty() {
            self.check_together();
        }
        match self.problems.is_empty() {
            true => Ok(self.config),
            false => Err(ConfigError { problems: self.problems }),
        }
    }

    fn check_together(&mut self) {
        let Config { listen, dev, ref source, ref symbols, ref limits, ref binance, .. } = self.config;
        let mut problems = Vec::new();
        if dev && !is_loopback(listen) {
            problems.push(Problem::DevelopmentInTheOpen { place: self.place("dev"), listen });
        }
        if symbols.len() > limits.symbols.get() {
            let (count, most) = (symbols.len(), limits.symbols.get());
            problems.push(Problem::TooManySymbols { place: self.place("symbols"), count, most });
        }
        if let Source::Binance(market) = *source {
            if symbols.is_empty() {
                problems.push(Problem::NoSymbols { place: self.place("source"), source_name: market.name() });
            }
            if !market.offers(binance.depth) {
                let offered =
                    market.depth_speeds().iter().map(u64::to_string).collect::<Vec<_>>().join(" or ");
                problems.push(Problem::Wrong {
                    place: self.place("binance.depth_ms"),
                    key: "binance.depth_ms",
                    value: binance.depth.as_millis().to_string(),
                    mismatch: Mismatch::NotOffered { market: market.name(), offered },
                });
            }
        }
        self.problems = problems;
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
