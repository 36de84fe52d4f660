//! `/udf/…`: TradingView's "Universal Data Feed", by which its charting library reads history.
//!
//! Times are whole seconds and prices are numbers here, because that is what the library reads.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use super::history::{LATEST, MOST_BARS, later, list};
use super::query::{BadField, Query};
use super::{Market, reply};
use crate::clock::Clock;
use crate::encode::json as write;
use crate::market::{Interval, Millis, SymbolId};
use crate::server::Content;
use crate::server::answer::{Answer, body, error};
use crate::shard::{BarsWanted, PastBars};

impl Market {
    pub(super) async fn udf(&self, path: &str, query: &Query<'_>, asked: &Parts) -> Answer {
        let text = match path {
            "config" => Ok(config().to_string().into_bytes()),
            "symbols" => self.udf_symbol(query).await,
            "search" => self.udf_search(query),
            "history" => match self.udf_history(query).await {
                Ok(Ok(past)) => Ok(past),
                Ok(Err(none)) => return later("BUSY", &none.to_string()),
                Err(bad) => Err(bad),
            },
            "time" => return time(),
            _ => {
                let message = "there are config, symbols, search, history and time at /udf/";
                return error(StatusCode::NOT_FOUND, "NOT_FOUND", message);
            }
        };
        match text {
            Ok(text) => reply::json(text, &asked.headers),
            // The library reads `s` and `errmsg`, whatever the status.
            Err(BadField { field, message }) => body(
                StatusCode::BAD_REQUEST,
                &json!({"s": "error", "errmsg": message, "code": "BAD_FIELD", "field": field}),
            ),
        }
    }

    async fn udf_symbol(&self, query: &Query<'_>) -> Result<Vec<u8>, BadField> {
        let (id, name) = query.symbol(self.engine.symbols())?;
        if self.engine.board().cells(id).is_none() {
            // Whoever asks for bars lets a symbol of an earlier run begin, and its scale is known then. A
            // busy engine is asked again with the history itself.
            let wanted = BarsWanted { interval: Interval::M1, from: 0, to: 0, most: 1 };
            let _ = self.engine.history().bars(id, wanted).await;
        }
        let decimals = u32::from(self.price_decimals(id));
        let described = json!({
            "name": name, "ticker": name, "description": name, "type": "crypto",
            "exchange": EXCHANGE, "listed_exchange": EXCHANGE,
            "session": "24x7", "timezone": "Etc/UTC", "format": "price",
            "minmov": 1, "pricescale": 10_u64.pow(decimals.min(19)),
            "has_intraday": true, "intraday_multipliers": ["1", "3", "5", "15", "30", "60", "240"],
            "has_daily": true, "daily_multipliers": ["1"],
            "has_weekly_and_monthly": true, "weekly_multipliers": ["1"], "monthly_multipliers": ["1"],
            "supported_resolutions": RESOLUTIONS.map(|(name, _)| name),
            "volume_precision": 8, "data_status": "streaming",
        });
        Ok(described.to_string().into_bytes())
    }

    fn udf_search(&self, query: &Query<'_>) -> Result<Vec<u8>, BadField> {
        let text = query.text("query")?.unwrap_or_default().to_uppercase();
        let most = query.whole("limit", 1, MOST_FOUND)?.unwrap_or(USUAL_FOUND);
        let fits = |field, own: &str| {
            Ok::<_, BadField>(query.text(field)?.is_none_or(|asked| asked.eq_ignore_ascii_case(own)))
        };
        if !fits("type", "crypto")? || !fits("exchange", EXCHANGE)? {
            return Ok(b"[]".to_vec());
        }
        let table = self.engine.symbols().table();
        let found = table.iter().filter(|(_, name)| name.to_uppercase().contains(&text));
        let shown = |(_, name): (_, &std::sync::Arc<str>)| {
            json!({
                "symbol": &**name, "full_name": &**name, "description": &**name,
                "exchange": EXCHANGE, "ticker": &**name, "type": "crypto",
            })
        };
        let most = usize::try_from(most).unwrap_or(1);
        Ok(Value::Array(found.take(most).map(shown).collect()).to_string().into_bytes())
    }

    async fn udf_history(
        &self,
        query: &Query<'_>,
    ) -> Result<Result<Vec<u8>, crate::engine::NoHistory>, BadField> {
        let (id, _) = query.symbol(self.engine.symbols())?;
        let interval = resolution(query)?;
        // A library that counts back from `to` comes to times before 1970.
        let second = |field| query.whole(field, -LATEST / SECOND, LATEST / SECOND);
        let from =
            second("from")?.ok_or_else(|| BadField::new("from", "from is missing: seconds since 1970"))?;
        let to = second("to")?.ok_or_else(|| BadField::new("to", "to is missing: seconds since 1970"))?;
        if from > to {
            return Err(BadField::new("to", "to is not before from: bars that open in [from, to) are given"));
        }
        let countback = query.whole("countback", 1, i64::from(i32::MAX))?;
        // So many bars before `to` are wanted, wherever the first of them lies; `from` then is a guess.
        let from = if countback.is_some() { 0 } else { from * SECOND };
        let most = usize::try_from(countback.unwrap_or(MOST_BARS).min(MOST_BARS)).unwrap_or(1);
        let wanted = BarsWanted { interval, from, to: to * SECOND, most };
        Ok(self.engine.history().bars(id, wanted).await.map(|past| history(&past)))
    }

    fn price_decimals(&self, id: SymbolId) -> u8 {
        self.engine.board().cells(id).map_or(0, |cells| cells.book.with(|book| book.scale.decimals()))
    }
}

fn config() -> Value {
    json!({
        "supported_resolutions": RESOLUTIONS.map(|(name, _)| name),
        "supports_group_request": false, "supports_marks": false, "supports_timescale_marks": false,
        "supports_search": true, "supports_time": true,
        "exchanges": [{"value": EXCHANGE, "name": EXCHANGE, "desc": EXCHANGE}],
        "symbols_types": [{"name": "crypto", "value": "crypto"}],
    })
}

/// Columns of numbers, as text made straight from the exact ones.
fn history(past: &PastBars) -> Vec<u8> {
    if past.bars.is_empty() {
        let mut none = json!({"s": "no_data"});
        if let Some(earlier) = past.earlier {
            none["nextTime"] = json!(earlier / SECOND);
        }
        return none.to_string().into_bytes();
    }
    let mut out = b"{\"s\":\"ok\"".to_vec();
    write::key("t", &mut out);
    list(&past.bars, &mut out, |_, bar, out| write::integer(bar.open_time / SECOND, out));
    for (at, name) in ["o", "h", "l", "c"].into_iter().enumerate() {
        write::key(name, &mut out);
        list(&past.bars, &mut out, |_, bar, out| {
            [bar.open, bar.high, bar.low, bar.close][at].write(past.scale, out);
        });
    }
    write::key("v", &mut out);
    list(&past.bars, &mut out, |_, bar, out| bar.volume.trimmed(0).write(out));
    out.push(b'}');
    out
}

/// The server's time in seconds, as plain text.
fn time() -> Answer {
    let now: Millis = Clock::start().now();
    let mut answer = Response::new(Content::from((now / SECOND).to_string()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn resolution(query: &Query<'_>) -> Result<Interval, BadField> {
    let name = query.text("resolution")?.unwrap_or_default();
    // Some versions of the library leave the 1 out.
    let full = if matches!(&*name, "D" | "W" | "M") { format!("1{name}") } else { name.into_owned() };
    let known = RESOLUTIONS.iter().find(|(known, _)| *known == full).map(|(_, interval)| *interval);
    known.ok_or_else(|| {
        let known = RESOLUTIONS.map(|(name, _)| name).join(", ");
        BadField::new("resolution", format!("resolution is one of {known}"))
    })
}

const SECOND: Millis = 1_000;

/// What the one market here is called where the library wants an exchange.
const EXCHANGE: &str = "tickcast";

/// The library's names of the intervals: minutes as a number, then days, weeks and months.
const RESOLUTIONS: [(&str, Interval); 10] = [
    ("1", Interval::M1),
    ("3", Interval::M3),
    ("5", Interval::M5),
    ("15", Interval::M15),
    ("30", Interval::M30),
    ("60", Interval::H1),
    ("240", Interval::H4),
    ("1D", Interval::D1),
    ("1W", Interval::W1),
    ("1M", Interval::Month1),
];

/// Symbols of one search.
const MOST_FOUND: i64 = 100;
const USUAL_FOUND: i64 = 30;
