//! What private events leave behind: open orders, balances, positions, pending deposits, strategies.
//!
//! Knows no store: it says which thing an event changes, and how.

use crate::ingest::fields::Fields;

/// What an event changes of what is open or current.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which thing.
    pub key: String,
    /// What becomes of it.
    pub effect: Effect,
}

/// What becomes of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It gets these fields, and keeps those that are not named.
    Merge,
    /// It is there no more.
    Remove,
}

/// What `event` with these fields changes; `None` where it changes nothing, or names no thing.
pub fn change(event: &str, data: &Fields<'_>, strategy: Option<&str>) -> Option<Change> {
    let (kind, what) = event.split_once('.')?;
    let key = match kind {
        "order" => first(data, &["orderId", "id", "clientOrderId"])?,
        "balance" => balance_key(data)?,
        "deposit" => first(data, &["depositId", "id", "txHash"])?,
        "position" => first(data, &["positionId", "id", "symbol"])?,
        "strategy" => strategy?.to_owned(),
        _ => return None,
    };
    let is_over = match (kind, what) {
        // One dialect's `filled` may be a part; it says so.
        ("order", "filled") => data.raw("isFullyFilled") != Some("false"),
        ("order", "cancelled" | "rejected" | "expired") => true,
        ("deposit", "credited") | ("position", "closed") => true,
        _ => false,
    };
    Some(Change { key, effect: if is_over { Effect::Remove } else { Effect::Merge } })
}

/// A balance is one currency's in one wallet, as far as either is named.
fn balance_key(data: &Fields<'_>) -> Option<String> {
    let wallet = first(data, &["walletId", "wallet"]);
    let currency = first(data, &["chainTokenId", "currency", "asset", "token", "symbol"]);
    match (wallet, currency) {
        (Some(wallet), Some(currency)) => Some(format!("{wallet} {currency}")),
        (one, other) => one.or(other),
    }
}

/// `new` over `old`: fields of both, each as it was last written. Both are texts of JSON objects.
pub fn merged(old: Option<&str>, new: &str) -> String {
    let Some(old) = old else { return new.to_owned() };
    let mut out = String::with_capacity(old.len() + new.len());
    let (old, new) = (Fields::read(old).unwrap_or_default(), Fields::read(new).unwrap_or_default());
    // A publisher decides how many there are: the work must not grow with their square.
    let (known, newer) = (old.by_name(), new.by_name());
    let kept = old.iter().map(|(name, value)| (name, newer.written(name).unwrap_or(value)));
    let added = new.iter().filter(|(name, _)| known.written(name).is_none());
    for (name, value) in kept.chain(added) {
        out.push(if out.is_empty() { '{' } else { ',' });
        write_name(name, &mut out);
        out.push(':');
        out.push_str(value);
    }
    if out.is_empty() {
        out.push('{');
    }
    out.push('}');
    out
}

fn write_name(name: &str, out: &mut String) {
    if name.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        // A name is text: it can always be written.
        out.push_str(&serde_json::to_string(name).unwrap_or_default());
    } else {
        out.extend(["\"", name, "\""]);
    }
}

/// The first of these fields that names something.
fn first(data: &Fields<'_>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| data.text(name).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &str, data: &str, expect: Option<(&str, Effect)>) {
        let fields: Fields<'_> = Fields::read(data).unwrap();
        let expect = expect.map(|(key, effect)| Change { key: key.to_owned(), effect });
        assert_eq!(change(event, &fields, Some("grid")), expect, "{event} {data}");
    }

    #[test]
    fn an_order_is_open_until_it_is_filled_in_full_or_ends_otherwise() {
        check("order.created", r#"{"orderId":"a"}"#, Some(("a", Effect::Merge)));
        check("order.partially_filled", r#"{"id":7}"#, Some(("7", Effect::Merge)));
        check("order.filled", r#"{"orderId":"a","isFullyFilled":false}"#, Some(("a", Effect::Merge)));
        check("order.filled", r#"{"orderId":"a"}"#, Some(("a", Effect::Remove)));
        for over in ["order.cancelled", "order.rejected", "order.expired"] {
            check(over, r#"{"orderId":"a"}"#, Some(("a", Effect::Remove)));
        }
        check("order.created", r#"{"price":"1"}"#, None);
    }

    #[test]
    fn balances_are_kept_by_wallet_and_currency_as_far_as_named() {
        let both = r#"{"walletId":"w","chainTokenId":"c","newBalance":"1.50"}"#;
        check("balance.locked", both, Some(("w c", Effect::Merge)));
        check("balance.updated", r#"{"currency":"USD"}"#, Some(("USD", Effect::Merge)));
        check("deposit.credited", r#"{"depositId":"d"}"#, Some(("d", Effect::Remove)));
        check("position.updated", r#"{"symbol":"BTC"}"#, Some(("BTC", Effect::Merge)));
        check("strategy.updated", r#"{}"#, Some(("grid", Effect::Merge)));
        check("trade.executed", r#"{"tradeId":"t"}"#, None);
    }

    #[test]
    fn newer_fields_replace_older_ones_and_digits_stay_as_they_came() {
        let merged = |old, new| merged(Some(old), new);
        assert_eq!(
            merged(r#"{"a":1.50,"b":"x"}"#, r#"{"b":"y","c":1e400}"#),
            r#"{"a":1.50,"b":"y","c":1e400}"#
        );
        assert_eq!(merged("{}", "{}"), "{}");
        assert_eq!(super::merged(None, r#"{ "a": 1 }"#), r#"{ "a": 1 }"#);
        assert_eq!(merged(r#"{"a\"":1}"#, "{}"), r#"{"a\"":1}"#);
        assert_eq!(merged(r#"{"a":1,"b":2}"#, r#"{"a":3,"c":5,"a":4}"#), r#"{"a":4,"b":2,"c":5}"#);
    }

    /// By comparing each field with each this takes minutes.
    #[test]
    fn very_many_fields_are_merged_in_no_time() {
        let object = |from: u32, to: u32, value: &str| {
            let fields: Vec<_> = (from..to).map(|field| format!(r#""f{field}":{value}"#)).collect();
            fields.join(",")
        };
        let (old, new) = (object(0, 100_000, "1"), object(50_000, 150_000, "2.0"));
        let expect = format!("{{{},{new}}}", object(0, 50_000, "1"));
        assert!(merged(Some(&format!("{{{old}}}")), &format!("{{{new}}}")) == expect);
    }
}
