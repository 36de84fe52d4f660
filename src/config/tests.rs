//! What a configuration accepts, what it refuses, and in which words.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;

use super::setting::Number;
use super::*;

/// A file's text, variables, and flags.
#[derive(Default)]
struct Input<'a> {
    file: &'a str,
    environment: &'a [(&'static str, &'a str)],
    flags: &'a [(&'static str, &'a str)],
}

/// Loads what `input` says; the file's path is `config.toml` in messages.
fn load(input: &Input<'_>) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::File::create(&file).unwrap().write_all(input.file.as_bytes()).unwrap();
    let look_up = |name: &str| {
        let found = input.environment.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| OsString::from(value))
    };
    let flags = input.flags.iter().map(|&(flag, value)| FlagValue { flag, value: value.into() }).collect();
    let loaded = Config::load(&Layers { file: Some(file.clone()), environment: &look_up, flags });
    loaded.map_err(|error| error.to_string().replace(file.to_str().unwrap(), "config.toml"))
}

#[track_caller]
fn refused(input: Input<'_>, message: &str) {
    assert_eq!(load(&input).unwrap_err(), message);
}

#[track_caller]
fn accepted(input: Input<'_>) -> Config {
    load(&input).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(accepted(Input::default()), Config::default());
}

#[test]
fn every_default_is_a_value_that_its_knob_accepts() {
    for knob in KNOBS {
        let mut config = Config::default();
        if let Some(value) = knob.setting.show(&mut config) {
            let result = knob.setting.set(&mut config, setting::Given::Text(&value));
            assert_eq!(result, Ok(()), "{} = {value}", knob.key);
            assert_eq!(config, Config::default(), "{} is read and written at different places", knob.key);
        }
    }
}

#[test]
fn every_knob_has_a_place_of_its_own() {
    for knob in KNOBS.iter().filter(|knob| matches!(knob.setting, Setting::Whole { .. })) {
        let Setting::Whole { least, most, .. } = knob.setting else { unreachable!() };
        let mut config = Config::default();
        let other = if knob.default_value() == least.to_string() { most } else { least };
        knob.setting.set(&mut config, setting::Given::Text(&other.to_string())).unwrap();
        for untouched in KNOBS.iter().filter(|other| other.key != knob.key) {
            let shown = untouched.setting.show(&mut config).unwrap_or_else(|| untouched.unset.into());
            assert_eq!(shown, untouched.default_value(), "{} changes {}", knob.key, untouched.key);
        }
    }
}

#[test]
fn keys_flags_and_variables_are_unique_and_keys_name_their_unit() {
    let count = |names: Vec<&str>| (names.len(), names.into_iter().collect::<BTreeSet<_>>().len());
    for (all, unique) in [
        count(KNOBS.iter().map(|knob| knob.key).collect()),
        count(KNOBS.iter().filter_map(|knob| knob.flag).collect()),
        count(KNOBS.iter().filter_map(|knob| knob.variable).collect()),
    ] {
        assert_eq!(all, unique);
    }
    for knob in KNOBS {
        let is_time = matches!(
            knob.setting,
            Setting::DepthSpeed(_)
                | Setting::Whole {
                    at: Number::Time(_) | Number::ChosenTime(_),
                    unit: " of milliseconds",
                    ..
                }
        );
        assert_eq!(is_time, knob.key.ends_with("_ms"), "{}", knob.key);
        let is_bytes = matches!(knob.setting, Setting::Whole { unit: " of bytes", .. });
        assert_eq!(is_bytes, knob.key.ends_with("_bytes"), "{}", knob.key);
    }
}

#[test]
fn a_file_can_set_every_kind_of_value() {
    let config = accepted(Input {
        file: "listen = '[::1]:4000'\nsource = 'binance-usdm'\nsymbols = ['BTCUSDT', 'ETHUSDT', 'BTCUSDT']\n\
               data_dir = 'data'\ndev = true\nallowed_origins = ['https://Example.com/']\nlog = 'tickcast=debug,warn'\n\
               log_format = 'json'\nreplay.speed = 'max'\n[binance]\nws_url = 'ws://127.0.0.1:9/'\ndepth_ms = 250\n\
               [limits]\nmessage_bytes = 0x1000\nping_ms = 1_500\n[threads]\nworker_threads = 3\n",
        ..Input::default()
    });
    assert_eq!(config.listen, "[::1]:4000".parse().unwrap());
    assert_eq!(config.source, Source::Binance(BinanceMarket::UsdMargined));
    assert_eq!(config.symbols, ["BTCUSDT", "ETHUSDT"]);
    assert_eq!(config.data_dir, Some("data".into()));
    assert!(config.dev);
    assert_eq!(config.allowed_origins, ["https://example.com"]);
    assert_eq!(config.log, "tickcast=debug,warn");
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.replay.speed, ReplaySpeed::Max);
    assert_eq!(config.binance.ws_url.as_deref(), Some("ws://127.0.0.1:9"));
    assert_eq!(config.binance.depth, Duration::from_millis(250));
    assert_eq!(config.limits.message_bytes.get(), 4096);
    assert_eq!(config.limits.ping, Duration::from_millis(1500));
    assert_eq!(config.threads.workers().get(), 3);
}

#[test]
fn flags_win_over_environment_over_file() {
    let file = "listen = '127.0.0.9:1'\nlog = 'error'\nsource = 'none'";
    let environment = [("PORT", "2"), ("RUST_LOG", "debug"), ("CLIENT_URL", "http://a.b, http://c.d:1")];
    let config = accepted(Input { file, environment: &environment, ..Input::default() });
    assert_eq!(config.listen, "127.0.0.9:2".parse().unwrap(), "PORT changes the port alone");
    assert_eq!(config.log, "debug");
    assert_eq!(config.allowed_origins, ["http://a.b", "http://c.d:1"]);

    let flags = [("--listen", "127.0.0.1:3"), ("--source", "replay:a.zst,b.zst"), ("--seed", "7")];
    let config = accepted(Input { file, environment: &environment, flags: &flags });
    assert_eq!(config.listen, "127.0.0.1:3".parse().unwrap());
    assert_eq!(config.source, Source::Replay(vec!["a.zst".into(), "b.zst".into()]));
    assert_eq!(config.simulated.seed, 7);
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let environment = [("PORT", ""), ("JWT_SECRET", ""), ("NODE_ENV", "production")];
    let config = accepted(Input { environment: &environment, ..Input::default() });
    assert_eq!(config, Config::default());
}

#[test]
fn a_wrong_value_names_its_place_its_key_itself_and_the_remedy() {
    let table = [
        (
            "[limits]\n\nmessage_bytes = \"big\"",
            "config.toml:3: limits.message_bytes = \"big\": a whole number of bytes from 1024 to 16777216 is needed",
        ),
        (
            "limits.message_bytes = 5",
            "config.toml:1: limits.message_bytes = 5: a whole number of bytes from 1024 to 16777216 is needed",
        ),
        (
            "limits.ping_ms = -1",
            "config.toml:1: limits.ping_ms = -1: a whole number of milliseconds from 100 to 3600000 is needed",
        ),
        (
            "limits.symbols = 1.5",
            "config.toml:1: limits.symbols = 1.5: a whole number from 1 to 1000000 is needed",
        ),
        ("bars.kept = 0", "config.toml:1: bars.kept = 0: a whole number of bars from 1 to 100000 is needed"),
        ("dev = 'yes'", "config.toml:1: dev = 'yes': true or false is needed"),
        (
            "listen = 3000",
            "config.toml:1: listen = 3000: an address with its port, such as 127.0.0.1:3000, is needed",
        ),
        (
            "symbols = 'BTCUSDT'",
            "config.toml:1: symbols = 'BTCUSDT': a list such as [\"BTCUSDT\", \"ETHUSDT\"] is needed",
        ),
        (
            "symbols = ['BTC USD']",
            "config.toml:1: symbols = ['BTC USD']: \"BTC USD\": a symbol may not hold ' '",
        ),
        (
            "log = 'a=b=c'",
            "config.toml:1: log = 'a=b=c': a filter such as info or tickcast=debug,warn is needed",
        ),
        ("log_format = 'xml'", "config.toml:1: log_format = 'xml': text or json is needed"),
        ("data_dir = ''", "config.toml:1: data_dir = '': the path of a folder is needed"),
        ("replay.speed = 0", "config.toml:1: replay.speed = 0: a whole number from 1, or max, is needed"),
        ("binance.depth_ms = 200", "config.toml:1: binance.depth_ms = 200: 100, 250 or 1000 is needed"),
        (
            "binance.ws_url = 'https://a.b'",
            "config.toml:1: binance.ws_url = 'https://a.b': an address that begins with wss:// or ws://, without a user, is needed",
        ),
        (
            "binance.rest_url = 'https://'",
            "config.toml:1: binance.rest_url = 'https://': an address that begins with https:// or http://, without a user, is needed",
        ),
        (
            "allowed_origins = ['a.b']",
            "config.toml:1: allowed_origins = ['a.b']: a list of origins such as https://example.com (scheme, host, port, no path) is needed",
        ),
        ("limits = 5", "config.toml:1: there is no key limits; the README lists all keys"),
        (
            "[limits]\nmesage_bytes = 5",
            "config.toml:2: there is no key limits.mesage_bytes; did you mean limits.message_bytes?",
        ),
        (
            "outbox_bytes = 5",
            "config.toml:1: there is no key outbox_bytes; did you mean limits.outbox_bytes?",
        ),
        ("[fanout]\nx = 1", "config.toml:1: there is no key fanout; the README lists all keys"),
        ("jwt_secret = 'hunter2'", "config.toml:1: there is no key jwt_secret; the README lists all keys"),
        ("\nlisten = ", "config.toml:2: not TOML: string values must be quoted, expected literal string"),
    ];
    for (file, message) in table {
        refused(Input { file, ..Input::default() }, message);
    }
}

#[test]
fn all_tickers_come_at_ticks_alone_so_that_there_must_be_some() {
    refused(
        Input { file: "throttle.tickers_ms = 0", ..Input::default() },
        "config.toml:1: throttle.tickers_ms = 0: a whole number of milliseconds from 1 to 60000 is needed",
    );
}

#[test]
fn a_refused_address_is_shown_without_its_password_and_a_long_value_cut() {
    refused(
        Input { file: "binance.rest_url = 'https://me:hunter2@a.b'", ..Input::default() },
        "config.toml:1: binance.rest_url = 'https://...@a.b': an address that begins with https:// or http://, without \
         a user, is needed",
    );
    let long = "x".repeat(1_000);
    let error = load(&Input { flags: &[("--seed", &long)], ..Input::default() }).unwrap_err();
    assert!(error.starts_with(&format!("flag --seed: simulated.seed = \"{}...\": ", &long[..40])), "{error}");
}

#[test]
fn flags_and_variables_are_checked_like_the_file() {
    let flag =
        |flag, value, message: &str| refused(Input { flags: &[(flag, value)], ..Input::default() }, message);
    flag(
        "--listen",
        "localhost",
        "flag --listen: listen = \"localhost\": an address with its port, such as 127.0.0.1:3000, is needed",
    );
    flag(
        "--rate",
        "fast",
        "flag --rate: simulated.rate = \"fast\": a whole number of events a second from 1 to 10000000 is needed",
    );
    flag(
        "--source",
        "kraken",
        "flag --source: source = \"kraken\": this source is not built yet; there are none, simulated, binance, binance-us, binance-usdm, binance-coinm, replay:FILE[,FILE...]",
    );
    flag(
        "--source",
        "nasdaq",
        "flag --source: source = \"nasdaq\": there is no such source; there are none, simulated, binance, binance-us, binance-usdm, binance-coinm, replay:FILE[,FILE...]",
    );
    flag(
        "--source",
        "replay:",
        "flag --source: source = \"replay:\": a replay needs files: replay:FILE or replay:FILE,FILE",
    );
    flag(
        "--symbols",
        "BTCUSDT,",
        "flag --symbols: symbols = \"BTCUSDT,\": \"\": a symbol has 1 to 64 bytes, this one 0",
    );
    let environment = [("PORT", "70000")];
    refused(
        Input { environment: &environment, ..Input::default() },
        "environment variable PORT: listen = \"70000\": a whole number from 0 to 65535 is needed",
    );
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    refused(
        Input {
            file: "bogus = 1\n[tape]\nkept = 'x'\n[bars]\nkept = [\n1]\n",
            flags: &[("--rate", "0")],
            ..Input::default()
        },
        "config.toml:1: there is no key bogus; the README lists all keys\n\
         config.toml:3: tape.kept = 'x': a whole number of trades from 1 to 1000000 is needed\n\
         config.toml:5: bars.kept = [...: a whole number of bars from 1 to 100000 is needed\n\
         flag --rate: simulated.rate = \"0\": a whole number of events a second from 1 to 10000000 is needed",
    );
}

#[test]
fn development_mode_stays_on_loopback() {
    for local in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert!(accepted(Input { flags: &[("--dev", "true"), ("--listen", local)], ..Input::default() }).dev);
    }
    refused(
        Input {
            environment: &[("NODE_ENV", "development")],
            flags: &[("--listen", "0.0.0.0:1")],
            ..Input::default()
        },
        "environment variable NODE_ENV: dev = true: development mode lets clients in without a token, so listen must be \
         a loopback address such as 127.0.0.1:3000; it is 0.0.0.0:1",
    );
}

#[test]
fn a_venue_needs_symbols_and_a_speed_that_it_offers() {
    refused(
        Input { file: "source = 'binance'\nbinance.depth_ms = 250", ..Input::default() },
        "config.toml:1: source = binance: symbols are needed as well, such as --symbols BTCUSDT,ETHUSDT\n\
         config.toml:2: binance.depth_ms = 250: binance sends book changes every 100 or 1000 ms only",
    );
    refused(
        Input { file: "symbols = ['A', 'B']\nlimits.symbols = 1", ..Input::default() },
        "config.toml:1: symbols names 2 of them, more than limits.symbols = 1 allows: name fewer, or raise the limit",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let file = Some("no/such/file.toml".into());
    let error = Config::load(&Layers { file, environment: &|_| None, flags: Vec::new() }).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("no/such/file.toml: ") && text.ends_with("(named by --config)"), "{text}");
}

#[test]
fn secrets_are_kept_warned_of_and_never_printed() {
    let environment = [("JWT_SECRET", "hunter2"), ("REDIS_URL", "redis://:hunter2@host")];
    let config = accepted(Input { environment: &environment, ..Input::default() });
    assert_eq!(config.secrets.jwt_secret.as_deref(), Some("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(format!("{config:?}").contains("JWT_SECRET: set"));
    assert_eq!(
        config.warnings(),
        [
            "REDIS_URL is set and has no effect: nodes are not connected to each other yet",
            "JWT_SECRET is shorter than 32 bytes: it can be guessed, use a random one (openssl rand -hex 32)",
        ]
    );
    assert_eq!(Config::default().warnings(), [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_named() {
    use std::os::unix::ffi::OsStringExt;
    let environment = |name: &str| (name == "JWT_SECRET").then(|| OsString::from_vec(vec![0xff]));
    let error =
        Config::load(&Layers { file: None, environment: &environment, flags: Vec::new() }).unwrap_err();
    assert_eq!(error.to_string(), "environment variable JWT_SECRET: its value is not UTF-8 text");
}
