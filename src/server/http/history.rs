//! `/api/v1/…`: what a chart or a bot asks for once, before or beside the stream. It agrees with the
//! stream: the same objects, the same numbers.

use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use super::query::{BadField, Query};
use super::{Market, reply};
use crate::coalesce::checksum;
use crate::dialect::native;
use crate::encode::json;
use crate::engine::NoHistory;
use crate::market::{Depth, Interval, Millis};
use crate::server::Door;
use crate::server::answer::{Answer, error, wrong_method};
use crate::shard::BarsWanted;
use crate::state::{BookSnapshot, BookStatus};

/// Why a question about the market is not answered.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It is asked wrongly.
    BadField(BadField),
    /// The shard does not answer.
    NoHistory(NoHistory),
    /// The book is not to be trusted at present.
    NoBook(BookStatus),
    /// There is no such address.
    Unknown,
}

impl From<BadField> for Unanswered {
    fn from(bad: BadField) -> Unanswered {
        Unanswered::BadField(bad)
    }
}

impl From<NoHistory> for Unanswered {
    fn from(none: NoHistory) -> Unanswered {
        Unanswered::NoHistory(none)
    }
}

impl Market {
    /// Answers `/api/v1/…` and `/udf/…`.
    pub(super) async fn history(&self, asked: &Parts, door: &Door) -> Answer {
        let mut answer = match asked.method {
            Method::OPTIONS => reply::preflight(),
            Method::GET | Method::HEAD => {
                let query = Query::new(asked.uri.query());
                let path = asked.uri.path();
                match path.strip_prefix("/udf/") {
                    Some(path) => self.udf(path, &query, asked).await,
                    None => match self.look_up(path, &query).await {
                        Ok(text) => reply::json(text, &asked.headers),
                        Err(unanswered) => unanswered.answer(),
                    },
                }
            }
            _ => wrong_method("GET, HEAD, OPTIONS"),
        };
        reply::open_to_pages(&mut answer, &asked.headers, door);
        answer
    }

    async fn look_up(&self, path: &str, query: &Query<'_>) -> Result<Vec<u8>, Unanswered> {
        match path {
            "/api/v1/klines" => self.klines(query).await,
            "/api/v1/book" => self.book(query),
            "/api/v1/ticker" => self.tickers(query),
            "/api/v1/trades" => self.trades(query).await,
            "/api/v1/symbols" => Ok(self.symbols()),
            "/api/v1/openapi.json" => Ok(OPENAPI.to_vec()),
            _ => Err(Unanswered::Unknown),
        }
    }

    async fn klines(&self, query: &Query<'_>) -> Result<Vec<u8>, Unanswered> {
        let (id, symbol) = query.symbol(self.engine.symbols())?;
        let interval = interval(query)?;
        let from = query.whole("from", 0, LATEST)?.unwrap_or(0);
        let to = query.whole("to", 0, LATEST)?.unwrap_or(LATEST);
        if from >= to {
            return Err(
                BadField::new("to", "to is later than from: bars that open in [from, to) are given").into()
            );
        }
        let most = count(query, MOST_BARS, USUAL_BARS)?;
        let past = self.engine.history().bars(id, BarsWanted { interval, from, to, most }).await?;
        let mut out = opening(&symbol);
        json::key("interval", &mut out);
        json::string(interval.name(), &mut out);
        place(&past.epoch, past.seq, &mut out);
        json::key("bars", &mut out);
        list(&past.bars, &mut out, |at, bar, out| {
            let closed = !(past.last_is_open && at + 1 == past.bars.len());
            native::bar(&symbol, past.scale, interval, bar, closed, out);
        });
        out.push(b'}');
        Ok(out)
    }

    async fn trades(&self, query: &Query<'_>) -> Result<Vec<u8>, Unanswered> {
        let (id, symbol) = query.symbol(self.engine.symbols())?;
        let past = self.engine.history().trades(id, count(query, MOST_TRADES, USUAL_TRADES)?).await?;
        let mut out = opening(&symbol);
        place(&past.epoch, past.seq, &mut out);
        json::key("trades", &mut out);
        list(&past.trades, &mut out, |_, (trade, price), out| native::trade(trade, *price, &symbol, out));
        out.push(b'}');
        Ok(out)
    }

    fn book(&self, query: &Query<'_>) -> Result<Vec<u8>, Unanswered> {
        let (id, symbol) = query.symbol(self.engine.symbols())?;
        let depth = depth(query)?;
        let Some(cells) = self.engine.board().cells(id) else {
            return Err(Unanswered::NoBook(BookStatus::Empty));
        };
        cells.book.with(|book| {
            if book.status != BookStatus::Good {
                return Err(Unanswered::NoBook(book.status));
            }
            let [bids, asks] = [&book.bids, &book.asks].map(|side| &side[..depth.min(side.len())]);
            let mut out = opening(&symbol);
            json::key("bids", &mut out);
            json::levels(bids, book.scale, &mut out);
            json::key("asks", &mut out);
            json::levels(asks, book.scale, &mut out);
            json::integer_field("lastUpdateId", book.last_update_id, &mut out);
            json::integer_field("time", book.time, &mut out);
            json::integer_field("checksum", checksum(bids, asks), &mut out);
            out.push(b'}');
            Ok(out)
        })
    }

    /// One symbol's statistics or, without a symbol, those of all that have some.
    fn tickers(&self, query: &Query<'_>) -> Result<Vec<u8>, Unanswered> {
        let mut out = Vec::new();
        if query.text("symbol")?.is_some() {
            let (id, symbol) = query.symbol(self.engine.symbols())?;
            let shown = self.engine.board().cells(id).map(|cells| cells.ticker.get()).unwrap_or_default();
            native::ticker(&symbol, &shown.view, &mut out);
            return Ok(out);
        }
        let mut all = Vec::new();
        self.engine.board().each(|id, cells| all.push((id, cells.ticker.get())));
        all.retain(|(_, ticker)| ticker.version > 0);
        let table = self.engine.symbols().table();
        list(&all, &mut out, |_, (id, ticker), out| {
            let name = table.name(*id).map(|name| &**name).unwrap_or_default();
            native::ticker(name, &ticker.view, out);
        });
        Ok(out)
    }

    fn symbols(&self) -> Vec<u8> {
        let table = self.engine.symbols().table();
        let all: Vec<_> = table.iter().collect();
        let mut out = b"{\"symbols\":".to_vec();
        list(&all, &mut out, |_, (id, name), out| {
            let (scale, status) = self.engine.board().cells(*id).map_or_else(
                || (BookSnapshot::default().scale, BookStatus::Empty),
                |cells| cells.book.with(|book| (book.scale, book.status)),
            );
            out.extend_from_slice(b"{\"symbol\":");
            json::string(name, out);
            json::integer_field("priceDecimals", scale.decimals(), out);
            json::key("book", out);
            json::string(status_name(status), out);
            out.push(b'}');
        });
        out.push(b'}');
        out
    }
}

impl Unanswered {
    fn answer(&self) -> Answer {
        match self {
            Unanswered::BadField(bad) => bad.answer(),
            Unanswered::NoHistory(none) => later("BUSY", &none.to_string()),
            Unanswered::NoBook(status) => {
                let status = status_name(*status);
                later("NO_BOOK", &format!("the book is {status} at present, and would mislead: ask again"))
            }
            Unanswered::Unknown => {
                let message = "there are klines, book, ticker, trades, symbols and openapi.json at /api/v1/";
                error(StatusCode::NOT_FOUND, "NOT_FOUND", message)
            }
        }
    }
}

/// There is no answer now, but soon.
pub(super) fn later(code: &str, message: &str) -> Answer {
    let mut answer = error(StatusCode::SERVICE_UNAVAILABLE, code, message);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Writes an array.
pub(super) fn list<T>(items: &[T], out: &mut Vec<u8>, mut write: impl FnMut(usize, &T, &mut Vec<u8>)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(at, item, out);
    }
    out.push(b']');
}

fn opening(symbol: &str) -> Vec<u8> {
    let mut out = b"{\"symbol\":".to_vec();
    json::string(symbol, &mut out);
    out
}

/// Where the stream of the same topic stands.
fn place(epoch: &str, seq: u64, out: &mut Vec<u8>) {
    json::key("epoch", out);
    json::string(epoch, out);
    json::integer_field("seq", seq, out);
}

fn interval(query: &Query<'_>) -> Result<Interval, BadField> {
    let known = || Interval::ALL.map(Interval::name).join(", ");
    let name = query.text("interval")?;
    let wrong = || BadField::new("interval", format!("interval is one of {}", known()));
    name.and_then(|name| Interval::from_name(&name)).ok_or_else(wrong)
}

fn count(query: &Query<'_>, most: i64, usual: i64) -> Result<usize, BadField> {
    let count = query.whole("limit", 1, most)?.unwrap_or(usual);
    Ok(usize::try_from(count).unwrap_or(1))
}

/// How many levels of a side. What is published with each change is the most that can be had here.
fn depth(query: &Query<'_>) -> Result<usize, BadField> {
    let wrong = || BadField::new("depth", "depth is 1, 5, 10, 20 or 50: the full book is on the stream");
    let Some(name) = query.text("depth")? else { return Ok(BookSnapshot::DEPTH) };
    match Depth::from_name(&name).ok_or_else(wrong)? {
        Depth::D1 => Ok(1),
        Depth::D5 => Ok(5),
        Depth::D10 => Ok(10),
        Depth::D20 => Ok(20),
        Depth::D50 => Ok(50),
        Depth::Full => Err(wrong()),
    }
}

const fn status_name(status: BookStatus) -> &'static str {
    match status {
        BookStatus::Empty => "empty",
        BookStatus::Good => "good",
        BookStatus::Crossed => "crossed",
        BookStatus::Stale(_) => "stale",
    }
}

/// What all of this looks like, for programs.
pub(super) const OPENAPI: &[u8] = include_bytes!("../../../web/openapi.json");

/// The latest time that can be asked for: the end of the year 9999.
pub(super) const LATEST: Millis = 253_402_300_799_999;

/// The most bars of one answer: a chart's screen several times over, and a third of a megabyte.
pub(super) const MOST_BARS: i64 = 1_500;
const USUAL_BARS: i64 = 500;

/// The most trades of one answer.
const MOST_TRADES: i64 = 1_000;
const USUAL_TRADES: i64 = 100;
