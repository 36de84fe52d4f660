//! What the command line understands.

use clap::CommandFactory;

use super::*;
use crate::config::KNOBS;

fn parse(line: &str) -> Command {
    let words = std::iter::once("tickcast").chain(line.split(' '));
    Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}")).command
}

#[track_caller]
fn refused(line: &str, part: &str) {
    let words = std::iter::once("tickcast").chain(line.split_whitespace());
    let text = Cli::try_parse_from(words).unwrap_err().to_string();
    assert!(text.contains(part), "{line}: {text}");
}

#[test]
fn the_definitions_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn serve_offers_exactly_the_flags_that_knobs_name() {
    let all = ServeArgs {
        listen: Some(String::new()),
        source: Some(String::new()),
        symbols: Some(String::new()),
        data_dir: Some(String::new()),
        config: Some(PathBuf::new()),
        dev: true,
        page: true,
        rate: Some(String::new()),
        seed: Some(String::new()),
        worker_threads: Some(String::new()),
    };
    let mut passed_on: Vec<_> = all.flags().into_iter().map(|given| given.flag.to_owned()).collect();
    let mut of_knobs: Vec<_> = KNOBS.iter().filter_map(|knob| knob.flag).map(str::to_owned).collect();
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let flags = serve.get_arguments().filter_map(|arg| arg.get_long()).map(|long| format!("--{long}"));
    let mut of_clap: Vec<_> = flags.filter(|flag| flag != "--config").collect();
    for names in [&mut passed_on, &mut of_knobs, &mut of_clap] {
        names.sort();
    }
    assert_eq!(passed_on, of_knobs);
    assert_eq!(of_clap, of_knobs);
}

#[test]
fn the_help_of_serve_tells_the_real_defaults() {
    let mut command = Cli::command();
    let serve = command.find_subcommand_mut("serve").unwrap();
    for knob in KNOBS.iter().filter(|knob| {
        !["--symbols", "--data-dir", "--dev", "--page"].contains(&knob.flag.unwrap_or("--dev"))
    }) {
        let long = knob.flag.unwrap().trim_start_matches("--");
        let flag = serve.get_arguments().find(|arg| arg.get_long() == Some(long)).unwrap();
        let help = flag.get_help().unwrap().to_string();
        let default = format!("[default: {}]", knob.default_value());
        assert!(help.ends_with(&default), "{long}: {help:?} should end in {default}");
    }
}

#[test]
fn serve_puts_flags_over_the_environment() {
    let Command::Serve(args) =
        parse("serve --source binance --symbols BTCUSDT,ETHUSDT --worker-threads 3 --dev")
    else {
        panic!("serve is Serve");
    };
    let environment = |name: &str| (name == "PORT").then(|| OsString::from("4000"));
    let config = args.config(&environment).unwrap();
    assert_eq!(config.listen.port(), 4000);
    assert_eq!(config.source, Source::Binance(BinanceMarket::Spot));
    assert_eq!(config.symbols, ["BTCUSDT", "ETHUSDT"]);
    assert_eq!(config.threads.workers().get(), 3);
    assert!(config.dev);
}

#[test]
fn serve_tells_wrong_values_in_the_words_of_the_configuration() {
    let Command::Serve(args) = parse("serve --seed x") else { panic!("serve is Serve") };
    let error = args.config(&|_| None).unwrap_err().to_string();
    assert_eq!(
        error,
        "flag --seed: simulated.seed = \"x\": a whole number from 0 to 9223372036854775807 is needed"
    );
}

#[test]
fn a_replay_takes_files_and_hurries_when_only_its_summary_is_asked_for() {
    let speed = |line| {
        let Command::Replay(args) = parse(line) else { panic!("replay is Replay") };
        (args.files.len(), args.speed().to_string())
    };
    assert_eq!(speed("replay a b"), (2, "1".into()));
    assert_eq!(speed("replay a --summary"), (1, "max".into()));
    assert_eq!(speed("replay a --summary --speed 20"), (1, "20".into()));
    assert_eq!(speed("replay a --speed max"), (1, "max".into()));
    refused("replay", "<FILE>...");
    refused("replay a --speed 0", "a whole number from 1, or max, is needed");
}

#[test]
fn a_recording_needs_a_venue_symbols_and_a_file() {
    let line = "record --source binance-coinm --symbols BTCUSD_PERP,ETHUSD_PERP --out x.gz --for 60";
    let Command::Record(args) = parse(line) else { panic!("record is Record") };
    let expected = RecordArgs {
        source: BinanceMarket::CoinMargined,
        symbols: vec!["BTCUSD_PERP".into(), "ETHUSD_PERP".into()],
        out: "x.gz".into(),
        config: None,
        stop_after: Some(Duration::from_secs(60)),
    };
    assert_eq!(args, expected);
    refused("record --source simulated --symbols A --out x", "can be recorded");
    refused("record --source kraken --symbols A --out x", "not built yet");
    refused("record --source binance --symbols A, --out x", "a symbol has 1 to 64 bytes");
    refused("record --source binance --symbols A --out x --for 0", "whole number of seconds");
    refused("record --source binance --out x", "--symbols");
}

#[test]
fn a_load_refuses_what_means_nothing_in_the_words_of_its_flags() {
    let Command::Load(load) = parse("load --topics book:A,trades:A --slow 5:1000") else {
        panic!("load is Load")
    };
    assert_eq!(load.topics, ["book:A", "trades:A"]);
    assert_eq!(load.slow, Some(Slow { receivers: 5, bytes_per_second: 1_000 }));
    let Command::Tail(tail) = parse("tail a") else { panic!("tail is Tail") };
    assert_eq!(load.url.to_string(), tail.url);
    refused("load 127.0.0.1:3000 --topics a", "write ws://host[:port][/path][?query]");
    refused("load wss://host/ --topics a", "TLS is not spoken here");
    refused("load --connections 0", "a whole number from 1 to 10000000 is needed");
    refused("load --publish ws://host/pub --rate 0", "a whole number from 1 to 10000000 is needed");
    refused("load --publish ws://host/pub --size 31", "a whole number from 32 (the stamp alone)");
    refused("load --rate 5", "--publish");
    refused("load --resume-after 5", "--stopped");
    refused("load --raw-path sub", "a path is needed, such as /sub");
    refused("load --slow 5", "write RECEIVERS:BYTES_PER_SECOND");
    refused("load --slow 5:0", "write RECEIVERS:BYTES_PER_SECOND");
    refused("load --for 0", "a whole number of seconds from 1 is needed");
    refused("load --warmup x", "a whole number of seconds is needed");
}

#[test]
fn tail_and_demo_talk_to_the_same_default_address() {
    let Command::Tail(tail) = parse("tail trades:BTCUSDT ticker:* --json") else { panic!("tail is Tail") };
    let Command::Demo(demo) = parse("demo") else { panic!("demo is Demo") };
    assert_eq!(tail.topics, ["trades:BTCUSDT", "ticker:*"]);
    assert!(tail.json);
    let config = demo.config();
    assert_eq!(config.listen, Config::default().listen);
    assert_eq!(tail.url, format!("ws://{}/v1/ws", config.listen));
    assert_eq!(config.source, Source::Simulated);
}
