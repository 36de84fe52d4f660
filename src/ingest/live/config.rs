//! Every knob of a live source, its default, and its reason.

use std::time::Duration;

use thiserror::Error;

use super::backoff::BackoffPolicy;
use super::connect::BadUrl;
use crate::ingest::binance::Market;
use crate::market::BadSymbol;

/// What to follow, where, and within which limits.
///
/// Worst-case memory is `queue_messages * message_bytes`; at the size of real messages (2 KB) a
/// full queue holds 2 MB.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// The market.
    pub market: Market,
    /// The symbols, as the venue names them (case does not matter).
    pub symbols: Vec<String>,
    /// Where the streams are, if not at the market's own address.
    pub ws_url: Option<String>,
    /// Where REST is, if not at the market's own address.
    pub rest_url: Option<String>,
    /// How often the book is told.
    pub depth_speed: DepthSpeed,

    /// For name look-up, TCP and TLS.
    pub connect_deadline: Duration,
    /// For the WebSocket handshake.
    pub handshake_deadline: Duration,
    /// For the answer to a subscription.
    pub answer_deadline: Duration,
    /// For one frame to leave.
    pub write_deadline: Duration,
    /// A connection on which nothing comes for this long, not even a ping, is dead. `None`: 40 s more
    /// than the venue's pings are apart, which makes 60 s on spot and 220 s elsewhere.
    pub silence: Option<Duration>,
    /// A connection is replaced when it is this old. The venue closes it at 24 hours; an hour less
    /// leaves time to try again.
    pub renew_after: Duration,
    /// How long a new connection may bring nothing before that is put down to a quiet market.
    pub renew_patience: Duration,
    /// How long the old connection goes on beside the new one: what was on its way when the new one
    /// began must still arrive. Costs every message twice meanwhile.
    pub renew_overlap: Duration,
    /// Waits between attempts to connect.
    pub reconnect: BackoffPolicy,
    /// Connections that may be opened in `connects_window`. The venue allows 300 in five minutes
    /// for an address, which others may share.
    pub connects: u32,
    /// See `connects`.
    pub connects_window: Duration,

    /// The most frames sent on a connection in `messages_window`, pongs among them. The venue allows
    /// 5 a second on spot, 10 on futures.
    pub messages: u32,
    /// See `messages`. Longer than a second, because frames can draw together on their way.
    pub messages_window: Duration,
    /// The most streams on a connection; further symbols get further connections. The venue's limit.
    pub streams_a_connection: usize,
    /// The most streams in one subscription, which keeps the message at about 3 KB.
    pub streams_a_request: usize,
    /// The longest message on a stream; a longer one ends the connection. The longest recorded one
    /// has 60 KB.
    pub message_bytes: usize,
    /// How many messages may wait to be understood; beyond that the connections wait, and so does
    /// the venue.
    pub queue_messages: usize,

    /// For a whole REST request.
    pub rest_deadline: Duration,
    /// The longest REST answer: the list of instruments of spot has several MB, a depth answer 0.3.
    pub rest_bytes: usize,
    /// The shortest time between two REST requests.
    pub rest_gap: Duration,
    /// The most REST requests under way. More than one, so that a slow answer does not keep the
    /// other books waiting.
    pub rest_in_flight: usize,
    /// The weight of requests that we allow ourselves in `rest_window`. `None`: half of what the
    /// venue allows an address, which others may share.
    pub rest_weight: Option<u32>,
    /// See `rest_weight`.
    pub rest_window: Duration,
    /// Waits between requests for the same book, and for the list of instruments.
    pub retry: BackoffPolicy,

    /// Makes the random waits repeatable. `None`: different each time.
    pub seed: Option<u64>,
}

impl LiveConfig {
    /// The default for these symbols of a market.
    pub fn new(market: Market, symbols: Vec<String>) -> LiveConfig {
        LiveConfig { market, symbols, ..LiveConfig::default() }
    }
}

impl Default for LiveConfig {
    fn default() -> LiveConfig {
        let seconds = Duration::from_secs;
        LiveConfig {
            market: Market::Spot,
            symbols: Vec::new(),
            ws_url: None,
            rest_url: None,
            depth_speed: DepthSpeed::Fastest,
            connect_deadline: seconds(10),
            handshake_deadline: seconds(10),
            answer_deadline: seconds(10),
            write_deadline: seconds(10),
            silence: None,
            renew_after: seconds(23 * 3_600),
            renew_patience: seconds(60),
            renew_overlap: seconds(2),
            reconnect: BackoffPolicy {
                first: Duration::from_millis(500),
                longest: seconds(30),
                stable: seconds(60),
            },
            connects: 100,
            connects_window: seconds(300),
            messages: 5,
            messages_window: Duration::from_millis(1_250),
            streams_a_connection: 1_024,
            streams_a_request: 100,
            message_bytes: 4 << 20,
            queue_messages: 1_024,
            rest_deadline: seconds(15),
            rest_bytes: 16 << 20,
            rest_gap: Duration::from_millis(250),
            rest_in_flight: 4,
            rest_weight: None,
            rest_window: seconds(60),
            retry: BackoffPolicy {
                first: Duration::from_millis(500),
                longest: seconds(30),
                stable: seconds(60),
            },
            seed: None,
        }
    }
}

/// How often the venue tells how a book changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DepthSpeed {
    /// Every 100 ms.
    #[default]
    Fastest,
    /// Every second on spot, every 250 ms on futures: a fraction of the traffic.
    Relaxed,
}

/// Why a live source cannot begin, or go on.
#[derive(Debug, Error)]
pub enum LiveError {
    /// An address that is none.
    #[error("{key}: {error}")]
    Url {
        /// Which one.
        key: &'static str,
        /// What is wrong.
        error: BadUrl,
    },
    /// A symbol that cannot be one, or one too many.
    #[error("symbol {symbol:?}: {error}")]
    Symbol {
        /// As it was configured.
        symbol: String,
        /// What is wrong.
        error: BadSymbol,
    },
    /// None of the symbols can be followed.
    #[error(
        "nothing to follow: {market} lists none of the symbols {symbols:?}; see its exchangeInfo for the right names"
    )]
    NothingToFollow {
        /// The market's name.
        market: &'static str,
        /// The symbols that were asked for.
        symbols: Vec<String>,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}
