//! JSON text, written straight into the buffer of a frame.

use crate::market::{Decimal, Level, Quantity, Scale, Side, Total, TradeId};

/// Appends `text` as a JSON string.
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text.as_bytes(), out);
    out.push(b'"');
}

/// Appends `text` as the inside of a JSON string (RFC 8259, section 7).
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x00..=0x1f => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

/// Appends a whole number.
#[inline]
pub fn integer(number: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `,"name":number`.
pub fn integer_field(name: &str, number: impl itoa::Integer, out: &mut Vec<u8>) {
    key(name, out);
    integer(number, out);
}

/// Appends `,"name":"sum"`, or nothing where there is none.
pub fn total_field(name: &str, total: Option<Total>, out: &mut Vec<u8>) {
    if let Some(total) = total {
        key(name, out);
        out.push(b'"');
        total.write(out);
        out.push(b'"');
    }
}

/// Appends `,"name":"quantity"`.
pub fn quantity_field(name: &str, quantity: Quantity, out: &mut Vec<u8>) {
    key(name, out);
    out.push(b'"');
    quantity.write(out);
    out.push(b'"');
}

/// Appends `,"price":"price"`.
pub fn price_field(price: Decimal, out: &mut Vec<u8>) {
    key("price", out);
    out.push(b'"');
    price.write(out);
    out.push(b'"');
}

/// Appends `,"side":"BUY"` or `"SELL"`, what the taker did; nothing where the venue does not say it.
pub fn side_field(taker: Option<Side>, out: &mut Vec<u8>) {
    match taker {
        Some(Side::Bid) => out.extend_from_slice(b",\"side\":\"BUY\""),
        Some(Side::Ask) => out.extend_from_slice(b",\"side\":\"SELL\""),
        None => {}
    }
}

/// Appends a trade's number, or its name as text.
pub fn trade_id(id: &TradeId, out: &mut Vec<u8>) {
    match id {
        TradeId::Number(number) => integer(*number, out),
        TradeId::Text(text) => string(text, out),
    }
}

/// Appends `,"name":`. The first field of an object is written by hand.
#[inline]
pub fn key(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends `[["price","quantity"],…]`.
#[inline]
pub fn levels(levels: &[Level], scale: Scale, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, level) in levels.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"[\"" } else { b",[\"" });
        level.price.write(scale, out);
        out.extend_from_slice(b"\",\"");
        level.quantity.write(out);
        out.extend_from_slice(b"\"]");
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_back(text: String) {
            let mut out = Vec::new();
            string(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
