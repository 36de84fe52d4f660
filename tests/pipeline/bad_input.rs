//! What a venue sends wrong: each is told or counted, and nothing else is lost with it.

use tickcast::ingest::FeedError;
use tickcast::ingest::binance::{Feed, Heard, Market, UnknownSymbols};
use tickcast::market::{Event, Interval, StaleReason};
use tickcast::shard::ShardConfig;
use tickcast::state::BookStatus;

use crate::support::world::World;

const START: i64 = 1_732_000_020_000;

/// A feed of one symbol whose book stands, with a listener.
struct Bench {
    world: World,
    feed: Feed,
    member: usize,
    next: u64,
}

impl Bench {
    fn new() -> Bench {
        let mut world = World::new(ShardConfig::default()).keep();
        world.now = START;
        let symbol = world.symbol("BTCUSDT");
        world.event(symbol, Event::Scale { tick: "0.01".parse().unwrap() });
        let mut feed = Feed::new(Market::Spot, world.symbols.clone(), UnknownSymbols::Refuse);
        let snapshot = r#"{"lastUpdateId":10,"bids":[["100.00","1"]],"asks":[["101.00","1"]]}"#;
        feed.depth(START, "BTCUSDT", &mut snapshot.as_bytes().to_vec(), &mut world).unwrap();
        let member = world.join("book:BTCUSDT");
        Bench { world, feed, member, next: 11 }
    }

    fn hear(&mut self, message: &str) -> Result<Heard, FeedError> {
        self.feed.message(self.world.now, &mut message.as_bytes().to_vec(), &mut self.world)
    }

    /// A diff that continues where the last one ended.
    fn diff(&mut self, bids: &str, asks: &str) -> String {
        let id = self.next;
        self.next += 1;
        format!(r#"{{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":{id},"u":{id},"b":{bids},"a":{asks}}}"#)
    }

    fn trade(id: u64, time: i64) -> String {
        format!(
            r#"{{"e":"trade","E":{time},"s":"BTCUSDT","t":{id},"p":"100.50","q":"1","T":{time},"m":true,"M":true}}"#
        )
    }

    /// What is right still arrives: the listener's book changes as it should.
    #[track_caller]
    fn goes_on(&mut self) {
        let quantity = self.next.to_string();
        let right = self.diff(&format!(r#"[["99.00","{quantity}"]]"#), "[]");
        assert_eq!(self.hear(&right).unwrap(), Heard::Market);
        self.world.compare_all();
        let book = self.world.book(self.member).unwrap();
        assert!(book.good && book.bids().any(|level| level == ("99.00", &quantity)), "{book:?}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name_and_the_rest_goes_on() {
    let mut bench = Bench::new();
    let ten_mb = format!(r#"{{"e":"depthUpdate","s":"{}"}}"#, "X".repeat(10 << 20));
    let wrong = [
        ("", "not JSON"),
        ("\u{0}\u{1}", "not JSON"),
        (r#"{"e":"depthUpdate","#, "not JSON"),
        (
            r#"{"e":"trade","E":1,"s":"NONE","t":1,"p":"1","q":"1","T":1,"m":true,"M":true}"#,
            "no symbol \"NONE\"",
        ),
        (r#"{"u":1,"s":"BTCUSDT","b":"1","B":"-1","a":"2","A":"1"}"#, "may not be negative"),
        (r#"{"u":1,"s":"BTCUSDT","b":"1e3","B":"1","a":"2","A":"1"}"#, "1e3"),
        (&ten_mb, "limit"),
    ];
    for (message, why) in wrong {
        let error = bench.hear(message).unwrap_err().to_string();
        let shown: String = message.chars().take(60).collect();
        assert!(error.contains(why) && error.len() < 300, "{shown}: {error}");
        bench.goes_on();
    }
}

#[test]
fn a_diff_with_a_negative_quantity_is_left_out_whole_and_shows_as_a_gap() {
    let mut bench = Bench::new();
    let wrong = bench.diff(r#"[["98.00","5"],["97.00","-1"]]"#, "[]");
    assert!(bench.hear(&wrong).unwrap_err().to_string().contains("may not be negative"));
    let next = bench.diff(r#"[["96.00","1"]]"#, "[]");
    bench.hear(&next).unwrap();
    assert!(!bench.world.book(bench.member).unwrap().good, "what was left out is missing");
    assert_eq!(bench.feed.wanting().count(), 1, "and a snapshot is asked for");
    let snapshot = r#"{"lastUpdateId":12,"bids":[["100.00","1"]],"asks":[["101.00","1"]]}"#;
    let mut snapshot = snapshot.as_bytes().to_vec();
    bench.feed.depth(bench.world.now, "BTCUSDT", &mut snapshot, &mut bench.world).unwrap();
    bench.goes_on();
}

#[test]
fn a_diff_with_a_price_that_cannot_be_held_is_a_gap_and_the_book_is_asked_for_again() {
    let mut bench = Bench::new();
    let far = bench.diff("[]", r#"[["100000.00","1"]]"#);
    bench.hear(&far).unwrap();
    let garbage = bench.diff(r#"[["98.12345678901234","5"]]"#, "[]");
    bench.hear(&garbage).unwrap();
    assert!(!bench.world.book(bench.member).unwrap().good);
    let next = bench.diff(r#"[["96.00","1"]]"#, "[]");
    bench.hear(&next).unwrap();
    let id = bench.world.symbol("BTCUSDT");
    assert_eq!(bench.feed.wanting().collect::<Vec<_>>(), [id], "a snapshot is asked for");
    assert_eq!(bench.feed.counts(id).gaps, 1);
    let snapshot = r#"{"lastUpdateId":13,"bids":[["100.00","1"]],"asks":[["101.00","1"]]}"#;
    let mut snapshot = snapshot.as_bytes().to_vec();
    bench.feed.depth(bench.world.now, "BTCUSDT", &mut snapshot, &mut bench.world).unwrap();
    assert_eq!(bench.feed.wanting().count(), 0);
    bench.goes_on();
    assert_eq!(bench.world.state("BTCUSDT").book().scale().decimals(), 2, "no trace of it is left");
}

#[test]
fn a_snapshot_with_a_price_that_cannot_be_held_is_asked_for_again() {
    let mut bench = Bench::new();
    let snapshot = r#"{"lastUpdateId":12,"bids":[["9000.123456789012345","1"]],"asks":[["90000.00","1"]]}"#;
    let mut bytes = snapshot.as_bytes().to_vec();
    bench.feed.depth(bench.world.now, "BTCUSDT", &mut bytes, &mut bench.world).unwrap();
    let next = bench.diff(r#"[["96.00","1"]]"#, "[]");
    bench.hear(&next).unwrap();
    assert_eq!(bench.feed.wanting().count(), 1);
}

#[test]
fn a_bar_with_more_trades_than_can_be_is_left_out() {
    let mut bench = Bench::new();
    for id in 0..2 {
        let open = START + id * 60_000;
        let bar = format!(
            r#"{{"e":"kline","E":{open},"s":"BTCUSDT","k":{{"t":{open},"T":1,"s":"BTCUSDT","i":"1m","o":"1","c":"1","h":"1","l":"1","v":"1","n":18446744073709551615,"x":true,"q":"1","V":"1","Q":"1"}}}}"#
        );
        bench.hear(&bar).unwrap();
    }
    bench.goes_on();
    let state = bench.world.state("BTCUSDT");
    assert_eq!((state.counts().bars_left_out, state.bars().series(Interval::H1).open()), (2, None));
}

#[test]
fn a_price_off_the_tick_is_kept_and_counted() {
    let mut bench = Bench::new();
    let off = bench.diff(r#"[["98.123","5"]]"#, "[]");
    bench.hear(&off).unwrap();
    assert_eq!(bench.world.state("BTCUSDT").book().counts().off_tick, 1);
    bench.world.compare_all();
    assert_eq!(bench.world.book(bench.member).unwrap().bids().last(), Some(("98.123", "5")));
}

#[test]
fn a_crossed_book_is_counted_announced_and_healed() {
    let mut bench = Bench::new();
    let crossed = bench.diff(r#"[["101.00","5"]]"#, "[]");
    bench.hear(&crossed).unwrap();
    assert_eq!(bench.world.state("BTCUSDT").book().status(), BookStatus::Crossed);
    assert_eq!(bench.world.state("BTCUSDT").book().counts().crossed, 1);
    assert!(!bench.world.book(bench.member).unwrap().good);
    let healed = bench.diff(r#"[["101.00","0"]]"#, "[]");
    bench.hear(&healed).unwrap();
    bench.goes_on();
}

#[test]
fn a_book_that_stays_crossed_for_five_seconds_is_asked_for_again() {
    let mut bench = Bench::new();
    let status = |bench: &mut Bench| bench.world.state("BTCUSDT").book().status();
    // Healed in between: the five seconds begin anew.
    for (bid, at) in [("5", 0), ("0", 2_000), ("5", 3_000)] {
        bench.world.advance(START + at);
        let diff = bench.diff(&format!(r#"[["101.00","{bid}"]]"#), "[]");
        bench.hear(&diff).unwrap();
    }
    bench.world.advance(START + 7_999);
    let quiet = bench.diff(r#"[["96.00","1"]]"#, "[]");
    bench.hear(&quiet).unwrap();
    assert_eq!((status(&mut bench), bench.feed.wanting().count()), (BookStatus::Crossed, 0));
    bench.world.advance(START + 8_000);
    assert_eq!(status(&mut bench), BookStatus::Stale(StaleReason::Crossed));
    let next = bench.diff(r#"[["96.00","2"]]"#, "[]");
    bench.hear(&next).unwrap();
    assert_eq!(bench.feed.wanting().count(), 1);
    let snapshot = r#"{"lastUpdateId":15,"bids":[["100.00","1"]],"asks":[["101.00","1"]]}"#;
    let mut snapshot = snapshot.as_bytes().to_vec();
    bench.feed.depth(bench.world.now, "BTCUSDT", &mut snapshot, &mut bench.world).unwrap();
    bench.goes_on();
}

#[test]
fn times_that_go_back_change_history_and_nothing_else() {
    let mut bench = Bench::new();
    for (id, time) in [(1, START), (2, START + 60_000), (3, START + 30_000), (4, START + 60_001)] {
        bench.world.advance(START + 61_000);
        bench.hear(&Bench::trade(id, time)).unwrap();
        bench.goes_on();
    }
    // More than a day off the clock is no late trade but a wrong one.
    bench.hear(&Bench::trade(5, START - 2 * 86_400_000)).unwrap();
    let state = bench.world.state("BTCUSDT");
    assert_eq!(state.counts().trades_refused, 1);
    let series = state.bars().series(Interval::M1);
    let counted: Vec<_> =
        series.closed().chain(series.open().copied()).map(|bar| (bar.open_time, bar.trades)).collect();
    assert_eq!(counted, [(START, 2), (START + 60_000, 2)]);
    assert_eq!(state.ticker().trades, 4);
    let last = state.ticker().last_price.map(|price| price.to_string());
    assert_eq!(last, Some("100.50".into()));
    assert_eq!(state.tape().last_seq(), 4);
}
