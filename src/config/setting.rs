//! The kinds of values a knob can have: how each is read, checked, stored and shown.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;
use tracing_subscriber::EnvFilter;

use super::{Config, HubPayload, LogFormat, Mismatch, ReplaySpeed, Source, TokenAlgorithm};
use crate::market::check_symbol;

/// Where a knob's value lives in a [`Config`], and what it may be.
///
/// One accessor both writes the value and reads the default, so that the two cannot drift apart.
#[derive(Clone, Copy, Debug)]
pub enum Setting {
    /// A whole number.
    Whole {
        /// Where.
        at: Number,
        /// ` of bytes` or the like, as messages say it.
        unit: &'static str,
        /// The smallest that fits.
        least: u64,
        /// The largest that fits.
        most: u64,
    },
    /// A time that the venue offers only in a few lengths.
    DepthSpeed(fn(&mut Config) -> &mut Duration),
    /// Yes or no.
    Switch(fn(&mut Config) -> &mut bool),
    /// An address to listen on.
    Address(fn(&mut Config) -> &mut SocketAddr),
    /// A source of market data.
    Source(fn(&mut Config) -> &mut Source),
    /// Names of symbols.
    Symbols(fn(&mut Config) -> &mut Vec<String>),
    /// Names of rooms.
    Names(fn(&mut Config) -> &mut Vec<String>),
    /// Origins of web pages.
    Origins(fn(&mut Config) -> &mut Vec<String>),
    /// A folder.
    Folder(fn(&mut Config) -> &mut Option<PathBuf>),
    /// An address of a venue; its schemes, `wss://` first.
    Url(fn(&mut Config) -> &mut Option<String>, &'static [&'static str; 2]),
    /// Which log lines are written.
    LogFilter(fn(&mut Config) -> &mut String),
    /// How they are written.
    LogFormat(fn(&mut Config) -> &mut LogFormat),
    /// How the hub's payloads stand in their messages.
    HubPayload(fn(&mut Config) -> &mut HubPayload),
    /// How tokens are signed, or left to the key.
    Algorithm(fn(&mut Config) -> &mut Option<TokenAlgorithm>),
    /// A text that means something elsewhere.
    Text(fn(&mut Config) -> &mut Option<String>),
    /// How fast a recording is played.
    Speed(fn(&mut Config) -> &mut ReplaySpeed),
}

/// A whole number's place.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// Never zero.
    Count(fn(&mut Config) -> &mut NonZeroUsize),
    /// Never zero, or left to the engine.
    Chosen(fn(&mut Config) -> &mut Option<NonZeroUsize>),
    /// May be zero.
    Amount(fn(&mut Config) -> &mut usize),
    /// Any.
    Seed(fn(&mut Config) -> &mut u64),
    /// Milliseconds.
    Time(fn(&mut Config) -> &mut Duration),
    /// Milliseconds, or left to the engine.
    ChosenTime(fn(&mut Config) -> &mut Option<Duration>),
}

/// A value as the operator gave it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given<'a> {
    /// Text of a flag or of the environment: every kind of value is written in it.
    Text(&'a str),
    /// A value of the file, which has a type.
    Toml(&'a DeValue<'a>),
}

impl Setting {
    /// Stores `given`, or says what is wrong with it and leaves `config` as it was.
    pub(super) fn set(&self, config: &mut Config, given: Given<'_>) -> Result<(), Mismatch> {
        match *self {
            Setting::Whole { at, unit, least, most } => {
                let fits = |number: &u64| (least..=most).contains(number);
                let wrong = || Mismatch::Whole { unit, least, most };
                at.set(config, given.whole().filter(fits).ok_or_else(wrong)?).ok_or_else(wrong)?;
            }
            Setting::DepthSpeed(at) => {
                let known = given.whole().filter(|speed| DEPTH_SPEEDS.contains(speed));
                *at(config) = Duration::from_millis(known.ok_or(needed("100, 250 or 1000"))?);
            }
            Setting::Switch(at) => *at(config) = given.switch().ok_or(needed("true or false"))?,
            Setting::Address(at) => {
                let address = given.text().and_then(|text| text.parse().ok());
                *at(config) = address.ok_or(needed("an address with its port, such as 127.0.0.1:3000,"))?;
            }
            Setting::Source(at) => {
                let text = given.text().ok_or(needed("the name of a source, in quotes,"))?;
                *at(config) = text.parse()?;
            }
            Setting::Symbols(at) => *at(config) = symbols(given)?,
            Setting::Names(at) => *at(config) = names(given)?,
            Setting::Origins(at) => *at(config) = origins(given)?,
            Setting::Folder(at) => {
                let text = given.text().filter(|text| !text.is_empty());
                *at(config) = Some(PathBuf::from(&*text.ok_or(needed("the path of a folder"))?));
            }
            Setting::Url(at, schemes) => *at(config) = Some(url(given, schemes)?),
            Setting::LogFilter(at) => {
                let valid = given.text().filter(|text| EnvFilter::try_new(text).is_ok());
                let wrong = needed("a filter such as info or tickcast=debug,warn");
                *at(config) = valid.ok_or(wrong)?.into_owned();
            }
            Setting::LogFormat(at) => {
                *at(config) = match given.text().as_deref() {
                    Some("text") => LogFormat::Text,
                    Some("json") => LogFormat::Json,
                    _ => return Err(needed("text or json")),
                }
            }
            Setting::HubPayload(at) => {
                *at(config) = match given.text().as_deref() {
                    Some("object") => HubPayload::Object,
                    Some("string") => HubPayload::Text,
                    _ => return Err(needed("object or string")),
                }
            }
            Setting::Algorithm(at) => {
                let text = given.text();
                let known = TokenAlgorithm::ALL.into_iter().find(|one| text.as_deref() == Some(one.name()));
                *at(config) = Some(known.ok_or(needed("HS256, RS256, ES256 or EdDSA"))?);
            }
            Setting::Text(at) => {
                let text = given.text().filter(|text| !text.is_empty());
                *at(config) = Some(text.ok_or(needed("a text that is not empty"))?.into_owned());
            }
            Setting::Speed(at) => {
                let text = given.text().or_else(|| given.whole().map(|times| times.to_string().into()));
                let speed = text.and_then(|text| text.parse().ok());
                *at(config) = speed.ok_or(needed("a whole number from 1, or max,"))?;
            }
        }
        Ok(())
    }

    /// The present value as the operator would write it; `None` where nothing is set.
    pub(super) fn show(&self, config: &mut Config) -> Option<String> {
        match *self {
            Setting::Whole { at, .. } => at.show(config),
            Setting::DepthSpeed(at) => Some(at(config).as_millis().to_string()),
            Setting::Switch(at) => Some(at(config).to_string()),
            Setting::Address(at) => Some(at(config).to_string()),
            Setting::Source(at) => Some(at(config).to_string()),
            Setting::Symbols(at) | Setting::Names(at) | Setting::Origins(at) => {
                Some(at(config).join(",")).filter(|list| !list.is_empty())
            }
            Setting::Folder(at) => at(config).as_ref().map(|path| path.display().to_string()),
            Setting::Url(at, _) | Setting::Text(at) => at(config).clone(),
            Setting::Algorithm(at) => at(config).map(|algorithm| algorithm.name().to_owned()),
            Setting::LogFilter(at) => Some(at(config).clone()),
            Setting::HubPayload(at) => Some(match at(config) {
                HubPayload::Object => "object".into(),
                HubPayload::Text => "string".into(),
            }),
            Setting::LogFormat(at) => Some(match at(config) {
                LogFormat::Text => "text".into(),
                LogFormat::Json => "json".into(),
            }),
            Setting::Speed(at) => Some(at(config).to_string()),
        }
    }
}

impl Number {
    /// Stores `number`; `None` when it cannot be held.
    fn set(self, config: &mut Config, number: u64) -> Option<()> {
        let size = usize::try_from(number).ok();
        match self {
            Number::Count(at) => *at(config) = NonZeroUsize::new(size?)?,
            Number::Chosen(at) => *at(config) = Some(NonZeroUsize::new(size?)?),
            Number::Amount(at) => *at(config) = size?,
            Number::Seed(at) => *at(config) = number,
            Number::Time(at) => *at(config) = Duration::from_millis(number),
            Number::ChosenTime(at) => *at(config) = Some(Duration::from_millis(number)),
        }
        Some(())
    }

    fn show(self, config: &mut Config) -> Option<String> {
        Some(match self {
            Number::Count(at) => at(config).to_string(),
            Number::Chosen(at) => at(config).as_ref()?.to_string(),
            Number::Amount(at) => at(config).to_string(),
            Number::Seed(at) => at(config).to_string(),
            Number::Time(at) => at(config).as_millis().to_string(),
            Number::ChosenTime(at) => at(config).as_ref()?.as_millis().to_string(),
        })
    }
}

impl<'a> Given<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Given::Text(text) => Some(text.into()),
            Given::Toml(value) => value.as_str().map(Cow::from),
        }
    }

    fn whole(self) -> Option<u64> {
        match self {
            Given::Text(text) => text.parse().ok(),
            Given::Toml(value) => {
                let number = value.as_integer()?;
                u64::from_str_radix(number.as_str(), number.radix()).ok()
            }
        }
    }

    fn switch(self) -> Option<bool> {
        match self {
            Given::Text(text) => text.parse().ok(),
            Given::Toml(value) => value.as_bool(),
        }
    }

    fn list(self) -> Option<Vec<&'a str>> {
        match self {
            Given::Text(text) => Some(text.split(',').map(str::trim).collect()),
            Given::Toml(value) => value.as_array()?.iter().map(|item| item.get_ref().as_str()).collect(),
        }
    }
}

fn symbols(given: Given<'_>) -> Result<Vec<String>, Mismatch> {
    let mut symbols: Vec<String> = Vec::new();
    for symbol in given.list().ok_or(needed("a list such as [\"BTCUSDT\", \"ETHUSDT\"]"))? {
        check_symbol(symbol).map_err(|error| Mismatch::Symbol { symbol: symbol.into(), error })?;
        if !symbols.iter().any(|known| known == symbol) {
            symbols.push(symbol.into());
        }
    }
    Ok(symbols)
}

fn names(given: Given<'_>) -> Result<Vec<String>, Mismatch> {
    let wrong = needed("a list of names such as [\"news\"], each of 1 to 64 bytes without spaces,");
    let fits = |name: &&str| {
        !name.is_empty() && name.len() <= 64 && !name.contains(|c: char| c.is_whitespace() || c.is_control())
    };
    let list = given.list().filter(|list| list.iter().all(fits));
    Ok(list.ok_or(wrong)?.into_iter().map(str::to_owned).collect())
}

fn origins(given: Given<'_>) -> Result<Vec<String>, Mismatch> {
    let wrong = needed("a list of origins such as https://example.com (scheme, host, port, no path)");
    let list = given.list().ok_or(wrong.clone())?;
    let check = |origin: &str| {
        // Browsers send no slash at the end, people write one.
        let origin = origin.strip_suffix('/').unwrap_or(origin);
        let (scheme, host) = origin.split_once("://")?;
        let good = ["http", "https"].contains(&scheme) && is_host(host) && !host.contains('/');
        good.then(|| origin.to_ascii_lowercase())
    };
    list.into_iter().map(|origin| check(origin).ok_or(wrong.clone())).collect()
}

fn url(given: Given<'_>, schemes: &'static [&'static str; 2]) -> Result<String, Mismatch> {
    let good =
        |text: &Cow<'_, str>| schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(is_host));
    let wrong = match schemes {
        ["wss://", _] => needed("an address that begins with wss:// or ws://, without a user,"),
        _ => needed("an address that begins with https:// or http://, without a user,"),
    };
    Ok(given.text().filter(good).ok_or(wrong)?.trim_end_matches('/').to_owned())
}

fn is_host(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('/')
        // A name and password here would come to light in logs.
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@')
}

const fn needed(needed: &'static str) -> Mismatch {
    Mismatch::Needed { needed }
}

/// What the markets of Binance offer, taken together.
const DEPTH_SPEEDS: [u64; 3] = [100, 250, 1000];
