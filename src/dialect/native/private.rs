//! What publishers tell of users, as native messages say it.

use crate::encode::json;
use crate::market::UpdateBody;

/// Appends what stands after `ts`: `userSeq` and `data`.
pub(super) fn write(body: &UpdateBody<'_>, out: &mut Vec<u8>) {
    match *body {
        UpdateBody::Private { event, data, user_seq, .. } => {
            if let Some(user_seq) = user_seq {
                json::integer_field("userSeq", user_seq, out);
            }
            json::key("data", out);
            event_and_data(event, data, out);
        }
        UpdateBody::PrivateSnapshot { name, items, user_seq, recovered } => {
            json::integer_field("userSeq", user_seq, out);
            if let Some(recovered) = recovered {
                json::key("recovered", out);
                out.extend_from_slice(if recovered { b"true" } else { b"false" });
            }
            json::key("data", out);
            out.extend_from_slice(b"{\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            snapshot(name, items, out);
            out.push(b'}');
        }
        UpdateBody::Passing { event, data, .. } => {
            json::key("data", out);
            out.extend_from_slice(b"{\"event\":");
            json::string(event, out);
            json::key("data", out);
            out.extend_from_slice(data.as_bytes());
            out.push(b'}');
        }
        UpdateBody::Fill { symbol, side, price } => {
            json::key("data", out);
            fill(symbol, side, price, out);
        }
        UpdateBody::BookSnapshot { .. }
        | UpdateBody::BookDelta { .. }
        | UpdateBody::Stale
        | UpdateBody::Trade { .. }
        | UpdateBody::TradesSnapshot { .. }
        | UpdateBody::Ticker { .. }
        | UpdateBody::Tickers { .. }
        | UpdateBody::Kline { .. } => {}
    }
}

/// Appends somebody's fill; all three are JSON texts already.
pub fn fill(symbol: &str, side: &str, price: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"symbol\":");
    out.extend_from_slice(symbol.as_bytes());
    json::key("side", out);
    out.extend_from_slice(side.as_bytes());
    json::key("price", out);
    out.extend_from_slice(price.as_bytes());
    out.push(b'}');
}

/// Appends the published object with `event` as its first field.
pub fn event_and_data(event: &str, data: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"event\":");
    json::string(event, out);
    // The published object goes on behind our field, without being read again.
    let fields = data.trim_start().strip_prefix('{').unwrap_or("}").trim_start();
    if !fields.starts_with('}') {
        out.push(b',');
    }
    out.extend_from_slice(fields.as_bytes());
}

/// A strategy is one thing, all else are lists of things.
fn snapshot(name: &str, items: &[Box<str>], out: &mut Vec<u8>) {
    if name == "strategy" {
        out.extend_from_slice(items.first().map_or("null", |item| item).as_bytes());
        return;
    }
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item.as_bytes());
    }
    out.push(b']');
}
