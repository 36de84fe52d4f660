//! The live Binance source against a venue of our own that misbehaves on request.

#[path = "support/live.rs"]
mod live;
#[path = "support/venue.rs"]
mod venue;

use std::time::Duration;

use tickcast::ingest::binance::Market;
use tickcast::ingest::live::{LiveConfig, LiveError};
use tickcast::market::StaleReason;

use self::live::{Follower, quick};
use self::venue::{DiffMischief, Limits, RestMischief, Rule, Venue};

const BTC: &str = "BTCUSDT";
const ETH: &str = "ETHUSDT";
const SYMBOLS: [&str; 2] = [BTC, ETH];

/// A venue, a follower, and both books in step.
async fn in_step(market: Market, rule: Rule) -> (Venue, Follower) {
    in_step_with(market, rule, |_| {}).await
}

async fn in_step_with(market: Market, rule: Rule, change: impl FnOnce(&mut LiveConfig)) -> (Venue, Follower) {
    let venue = Venue::start(rule, &SYMBOLS).await;
    let mut config = quick(&venue, market, &SYMBOLS);
    change(&mut config);
    let follower = Follower::start(config);
    venue.until("all is subscribed", |log| streams(log) == 8).await;
    for symbol in SYMBOLS {
        venue.change(symbol);
        follower.in_step(&venue, symbol).await;
    }
    (venue, follower)
}

fn streams(log: &venue::Log) -> usize {
    log.connections.iter().filter(|seen| seen.open).map(|seen| seen.streams.len()).sum()
}

/// Makes trouble, changes the books, and sees them in step again after so many snapshots in all.
async fn heals(market: Market, rule: Rule, snapshots: u64, trouble: impl FnOnce(&Venue)) -> Follower {
    let (venue, follower) = in_step(market, rule).await;
    trouble(&venue);
    for _ in 0..5 {
        venue.change(BTC);
        venue.change(ETH);
    }
    follower.in_step(&venue, BTC).await;
    follower.in_step(&venue, ETH).await;
    follower.snapshots(snapshots).await;
    follower
}

#[tokio::test]
async fn books_trades_quotes_and_tickers_arrive_from_every_market() {
    for market in Market::ALL {
        let rule = match market {
            Market::Spot | Market::Us => Rule::Spot,
            Market::UsdM | Market::CoinM => Rule::Futures,
        };
        let (venue, follower) = in_step(market, rule).await;
        for _ in 0..50 {
            venue.change(BTC);
            venue.trade(BTC);
        }
        venue.tick(BTC);
        follower.in_step(&venue, BTC).await;
        follower
            .until("all trades and the ticker", |seen| {
                let btc = seen.symbol(BTC);
                btc.trades == venue.trades(BTC) && btc.tickers == 1 && btc.quotes == 51
            })
            .await;
        follower.snapshots(2).await;
        assert_eq!(follower.seen().symbol(BTC).stale, []);
        follower.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_gap_makes_the_book_stale_and_one_snapshot_heals_it() {
    for (market, rule) in [(Market::Spot, Rule::Spot), (Market::UsdM, Rule::Futures)] {
        let follower = heals(market, rule, 3, |venue| venue.spoil_next_diff(BTC, DiffMischief::Skip)).await;
        assert_eq!(follower.seen().symbol(BTC).stale, [StaleReason::Gap]);
        assert_eq!(follower.seen().symbol(ETH).stale, []);
    }
}

#[tokio::test]
async fn a_repeated_diff_changes_nothing() {
    let repeat = |venue: &Venue| venue.spoil_next_diff(BTC, DiffMischief::Repeat);
    let follower = heals(Market::Spot, Rule::Spot, 2, repeat).await;
    assert_eq!(follower.seen().symbol(BTC).stale, []);
}

#[tokio::test]
async fn diffs_in_the_wrong_order_are_a_gap() {
    let swap = |venue: &Venue| venue.spoil_next_diff(BTC, DiffMischief::SwapWithNext);
    let follower = heals(Market::CoinM, Rule::Futures, 3, swap).await;
    assert_eq!(follower.seen().symbol(BTC).stale, [StaleReason::Gap]);
}

#[tokio::test]
async fn messages_that_cannot_be_understood_are_counted_and_lose_nothing_else() {
    let follower = heals(Market::Spot, Rule::Spot, 2, |venue| {
        venue.say("no json");
        venue.say(r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","s":"BTCUSDT"}}"#);
        venue.say(r#"{"stream":"xrpusdt@trade","data":{"e":"trade","E":1,"s":"XRPUSDT","t":1,"p":"1","q":"1","T":1,"m":true}}"#);
        venue.say_bytes(&[0, 159, 146, 150]);
    })
    .await;
    assert_eq!(follower.counters().bad_messages.read(), 4);
    assert_eq!(follower.counters().connects.read(), 1);
}

#[tokio::test]
async fn a_connection_that_ends_makes_its_books_stale_and_a_new_one_heals_them() {
    let endings: [fn(&Venue); 3] = [
        |venue| venue.drop_all(),
        |venue| venue.close_all(1008, "Pong timeout"),
        // Longer than a message may be.
        |venue| venue.say(&"x".repeat(100_000)),
    ];
    for ending in endings {
        let (venue, follower) = in_step(Market::Spot, Rule::Spot).await;
        ending(&venue);
        venue.until("it is back", |log| log.connections.len() == 2 && streams(log) == 8).await;
        for symbol in SYMBOLS {
            venue.change(symbol);
            follower.in_step(&venue, symbol).await;
            assert_eq!(follower.seen().symbol(symbol).stale, [StaleReason::Disconnected]);
        }
        follower.snapshots(4).await;
        assert_eq!(follower.counters().interruptions.read(), 1);
    }
}

#[tokio::test]
async fn silence_ends_a_connection_and_pings_do_not_let_it_be_silent() {
    let silence = Duration::from_millis(250);
    let (venue, follower) =
        in_step_with(Market::Spot, Rule::Spot, |config| config.silence = Some(silence)).await;
    let quiet_until = tokio::time::Instant::now() + 3 * silence;
    let mut beat = tokio::time::interval(silence / 4);
    while tokio::time::Instant::now() < quiet_until {
        beat.tick().await;
        venue.ping(b"there?");
    }
    assert_eq!(follower.counters().connects.read(), 1, "pings are a sign of life");
    venue.be_silent(true);
    follower.until("it was told", |seen| seen.symbol(BTC).stale == [StaleReason::Disconnected]).await;
    venue.be_silent(false);
    venue.until("it is back", |log| log.open() == 1 && streams(log) == 8).await;
    venue.change(BTC);
    follower.in_step(&venue, BTC).await;
}

#[tokio::test]
async fn a_ping_is_answered_with_its_own_payload_and_a_flood_of_them_within_the_limit() {
    let (venue, follower) = in_step(Market::Spot, Rule::Spot).await;
    venue.ping(b"1700000000000");
    venue.until("the pong", |log| log.connections[0].pongs == [b"1700000000000"]).await;
    for at in 0..50_u8 {
        venue.ping(&[at]);
    }
    venue.until("the newest is answered", |log| log.connections[0].pongs.last() == Some(&vec![49])).await;
    assert_eq!(venue.log().connections[0].broke, None);
    assert_eq!(follower.counters().pings.read(), 51);
}

#[tokio::test]
async fn a_snapshot_older_than_the_diffs_is_asked_for_again() {
    for (market, rule) in [(Market::Spot, Rule::Spot), (Market::UsdM, Rule::Futures)] {
        let venue = Venue::start(rule, &[BTC]).await;
        venue.change(BTC);
        venue.spoil_rest([
            RestMischief::Late(Duration::ZERO),
            RestMischief::Old,
            RestMischief::Old,
            RestMischief::Old,
        ]);
        let follower = Follower::start(quick(&venue, market, &[BTC]));
        // With nothing to compare it to, the first one is taken; the first diff then shows the hole.
        follower.until_counted("one is in", |counters| counters.snapshots_taken.read() == 1).await;
        venue.change(BTC);
        follower.until_counted("two were too old", |counters| counters.snapshots_too_old.read() == 2).await;
        follower.in_step(&venue, BTC).await;
        assert_eq!(follower.seen().symbol(BTC).stale, [StaleReason::Gap]);
        follower.snapshots(2).await;
    }
}

#[tokio::test]
async fn rest_answers_of_no_use_are_asked_for_again() {
    for (mischief, bad) in [
        (RestMischief::Status(500, None), 0),
        (RestMischief::Status(403, None), 0),
        (RestMischief::Garbage(b"<html>".to_vec()), 1),
        (RestMischief::Garbage(vec![b'x'; 300_000]), 0),
        (RestMischief::Late(Duration::from_secs(60)), 0),
    ] {
        let venue = Venue::start(Rule::Spot, &[BTC]).await;
        venue.spoil_rest([mischief.clone(), RestMischief::Late(Duration::ZERO), mischief.clone()]);
        let follower = Follower::start(quick(&venue, Market::Spot, &[BTC]));
        venue.until("it was asked three times", |log| log.requests.len() == 4).await;
        venue.change(BTC);
        follower.in_step(&venue, BTC).await;
        assert_eq!(follower.counters().bad_messages.read(), 2 * bad, "{mischief:?}");
        follower.snapshots(1).await;
    }
}

#[tokio::test]
async fn the_venue_is_left_alone_for_as_long_as_it_wants() {
    for status in [429, 418] {
        let (venue, follower) = in_step(Market::Spot, Rule::Spot).await;
        let before = venue.log().requests.len();
        venue.spoil_rest([RestMischief::Status(status, Some(1))]);
        for symbol in SYMBOLS {
            venue.spoil_next_diff(symbol, DiffMischief::Skip);
            venue.change(symbol);
            venue.change(symbol);
        }
        for symbol in SYMBOLS {
            follower.in_step(&venue, symbol).await;
        }
        let log = venue.log();
        let times: Vec<_> = log.requests[before..].iter().map(|(at, _)| *at).collect();
        // A second request may have been under way when the first one was refused.
        let refused = times[0];
        let early = times.iter().filter(|at| **at - refused < Duration::from_millis(900)).count();
        assert!(early <= 2 && times.len() > early, "{times:?}");
        assert_eq!(follower.counters().holds.read(), 1);
    }
}

#[tokio::test]
async fn a_refused_handshake_is_tried_again_and_not_before_the_venue_wants_it() {
    let venue = Venue::start(Rule::Spot, &[BTC]).await;
    venue.refuse_sockets(Some((429, 1)));
    let follower = Follower::start(quick(&venue, Market::Spot, &[BTC]));
    follower.until_counted("it was refused", |counters| counters.holds.read() == 1).await;
    venue.refuse_sockets(None);
    let refused = tokio::time::Instant::now();
    venue.until("it is subscribed", |log| streams(log) == 4).await;
    assert!(refused.elapsed() > Duration::from_millis(800), "{:?}", refused.elapsed());
    venue.change(BTC);
    follower.in_step(&venue, BTC).await;
}

#[tokio::test]
async fn a_renewal_loses_nothing_and_doubles_no_trade() {
    let (venue, follower) = in_step_with(Market::Spot, Rule::Spot, |config| {
        config.renew_after = Duration::from_millis(300);
        config.renew_overlap = Duration::from_millis(100);
    })
    .await;
    let mut beat = tokio::time::interval(Duration::from_millis(2));
    while follower.counters().renewals.read() < 3 {
        beat.tick().await;
        venue.change(BTC);
        venue.trade(BTC);
    }
    follower.in_step(&venue, BTC).await;
    follower.until("all trades", |seen| seen.symbol(BTC).trades == venue.trades(BTC)).await;
    assert_eq!(follower.seen().symbol(BTC).stale, []);
    follower.snapshots(2).await;
    assert_eq!(follower.counters().interruptions.read(), 0);
    venue
        .until("the old ones were left politely", |log| {
            log.connections[..3].iter().all(|seen| seen.closed_with == Some(1000))
        })
        .await;
}

#[tokio::test]
async fn an_announced_shutdown_is_met_by_a_new_connection_before_the_old_one_ends() {
    let (venue, follower) = in_step(Market::Spot, Rule::Spot).await;
    venue.say(r#"{"e":"serverShutdown","E":1770123456789}"#);
    venue.until("the next one is subscribed", |log| streams(log) == 16).await;
    venue.change(BTC);
    venue.trade(BTC);
    venue.until("the old one was left", |log| log.connections[0].closed_with == Some(1000)).await;
    venue.change(BTC);
    follower.in_step(&venue, BTC).await;
    follower.until("the trade, once", |seen| seen.symbol(BTC).trades == [1]).await;
    assert_eq!(follower.seen().symbol(BTC).stale, []);
    follower.snapshots(2).await;
}

#[tokio::test]
async fn messages_a_second_and_streams_a_connection_stay_within_the_limits() {
    let names: Vec<String> = (0..40).map(|at| format!("S{at}USDT")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let limits = Limits { messages: 5, window: Duration::from_millis(100), streams: 64 };
    let venue = Venue::start_with(Rule::Spot, &names, limits).await;
    let mut config = quick(&venue, Market::Spot, &names);
    (config.messages, config.messages_window) = (5, Duration::from_millis(125));
    (config.streams_a_connection, config.streams_a_request) = (64, 4);
    let follower = Follower::start(config);
    venue.until("all is subscribed", |log| streams(log) == 160).await;
    venue.ping(b"");
    for name in &names {
        venue.change(name);
        follower.in_step(&venue, name).await;
    }
    let log = venue.log();
    assert_eq!(log.connections.len(), 3, "16 symbols of four streams each fit on one");
    for seen in &log.connections {
        assert_eq!(seen.broke, None);
        assert!(seen.busiest(limits.window) <= 5 && seen.streams.len() <= 64);
    }
    assert_eq!(log.depth_requests(), 40);
}

#[tokio::test]
async fn a_subscription_without_an_answer_ends_the_connection() {
    let venue = Venue::start(Rule::Spot, &[BTC]).await;
    venue.answer_nothing(true);
    let mut config = quick(&venue, Market::Spot, &[BTC]);
    config.answer_deadline = Duration::from_millis(100);
    let follower = Follower::start(config);
    venue.until("it tried twice", |log| log.connections.len() == 2).await;
    venue.answer_nothing(false);
    // Books are asked for only when all subscriptions are answered.
    venue.until("it is back", |log| log.depth_requests() == 1).await;
    venue.change(BTC);
    follower.in_step(&venue, BTC).await;
}

#[tokio::test]
async fn symbols_that_the_venue_does_not_list_are_left_out_and_the_others_followed() {
    let venue = Venue::start(Rule::Futures, &[BTC]).await;
    let follower = Follower::start(quick(&venue, Market::UsdM, &["btcusdt", "NOPEUSDT", "BTCUSDT"]));
    venue.until("it is subscribed", |log| streams(log) == 4).await;
    venue.change(BTC);
    follower.in_step(&venue, BTC).await;
    assert!(follower.seen().symbol(BTC).scaled);
    let paths: Vec<String> = venue.log().connections.into_iter().map(|seen| seen.path).collect();
    assert!(paths.contains(&"/public/stream".into()) && paths.contains(&"/market/stream".into()));
}

#[tokio::test]
async fn a_source_with_nothing_to_follow_says_so() {
    let venue = Venue::start(Rule::Spot, &[BTC]).await;
    let ended = Follower::start(quick(&venue, Market::Spot, &["NOPEUSDT"])).ended().await;
    assert!(matches!(ended, Err(LiveError::NothingToFollow { .. })), "{ended:?}");
    let mut config = quick(&venue, Market::Spot, &[BTC]);
    config.ws_url = Some("venue".into());
    let ended = Follower::start(config).ended().await;
    assert!(matches!(ended, Err(LiveError::Url { key: "ws_url", .. })), "{ended:?}");
}

#[tokio::test]
async fn a_stop_ends_it_at_once_whatever_it_is_waiting_for() {
    let states: [fn(&Venue, &mut LiveConfig); 4] = [
        |_, _| {},
        |venue, _| venue.refuse_sockets(Some((418, 3_600))),
        |venue, _| venue.spoil_rest([RestMischief::Late(Duration::from_secs(60))]),
        |venue, config| {
            venue.be_silent(true);
            config.rest_url = Some("http://127.0.0.1:9".into());
            config.retry.first = Duration::from_secs(60);
        },
    ];
    for prepare in states {
        let venue = Venue::start(Rule::Spot, &[BTC]).await;
        let mut config = quick(&venue, Market::Spot, &[BTC]);
        prepare(&venue, &mut config);
        let refused = config.rest_url == Some("http://127.0.0.1:9".into());
        let follower = Follower::start(config);
        if !refused {
            venue.until("it began", |log| !log.requests.is_empty()).await;
        }
        let stopping = tokio::time::Instant::now();
        follower.stop().await.unwrap();
        assert!(stopping.elapsed() < Duration::from_secs(2), "{:?}", stopping.elapsed());
    }
}

#[tokio::test]
async fn the_tap_sees_everything_in_order_before_it_is_understood() {
    let (venue, follower) = in_step(Market::Spot, Rule::Spot).await;
    venue.say("no json");
    follower.until("the nonsense", |seen| seen.tapped.iter().any(|line| line == "text no json")).await;
    let tapped = follower.seen().tapped;
    let begins = |at: usize, with: &str| assert!(tapped[at].starts_with(with), "{}", tapped[at]);
    begins(0, "answer /api/v3/exchangeInfo?showPermissionSets=false 200 {");
    begins(1, "opened /stream");
    begins(2, r#"sent {"id":1,"method":"SUBSCRIBE""#);
    begins(3, r#"text {"result":null,"id":1}"#);
    assert!(
        tapped.iter().any(|line| line.starts_with("answer /api/v3/depth?symbol=BTCUSDT&limit=5000 200 {"))
    );
}
