//! By which a client proves that its book is the server's.

use crate::market::Level;

/// How many levels of a side a checksum covers.
pub const CHECKSUM_DEPTH: usize = 10;

/// CRC-32 (IEEE) of the best ten levels, or of all where there are less: asks ascending, then bids
/// descending; of each level the price's text and the quantity's text, both without the point and
/// without leading zeros. This is Kraken's rule ("Book checksum", WebSocket API v2).
///
/// `bids` and `asks` are best first. Without point and leading zeros a decimal is its mantissa, so
/// that no text has to be made for it.
pub fn checksum(bids: &[Level], asks: &[Level]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut text = [0_u8; 64];
    let mut digits = itoa::Buffer::new();
    for level in asks.iter().take(CHECKSUM_DEPTH).chain(bids.iter().take(CHECKSUM_DEPTH)) {
        let mut length = 0;
        for number in [level.price.0, level.quantity.decimal().mantissa()] {
            let number = if number == 0 { "" } else { digits.format(number) };
            text[length..length + number.len()].copy_from_slice(number.as_bytes());
            length += number.len();
        }
        hasher.update(&text[..length]);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Decimal, Price, Quantity};

    fn levels(texts: &[(&str, &str)]) -> Vec<Level> {
        let level = |(price, quantity): &(&str, &str)| Level {
            price: Price(price.parse::<Decimal>().unwrap().mantissa()),
            quantity: Quantity::parse(quantity.as_bytes()).unwrap(),
        };
        texts.iter().map(level).collect()
    }

    /// The example of Kraken's own page: "Book Checksum (v2)", BTC/USD.
    #[test]
    fn krakens_published_example_holds() {
        let asks = levels(&[
            ("45285.2", "0.00100000"),
            ("45286.4", "1.54571953"),
            ("45286.6", "1.54571109"),
            ("45289.6", "1.54560911"),
            ("45290.2", "0.15890660"),
            ("45291.8", "1.54553491"),
            ("45294.7", "0.04454749"),
            ("45296.1", "0.35380000"),
            ("45297.5", "0.09945542"),
            ("45299.5", "0.18772827"),
        ]);
        let bids = levels(&[
            ("45283.5", "0.10000000"),
            ("45283.4", "1.54582015"),
            ("45282.1", "0.10000000"),
            ("45281.0", "0.10000000"),
            ("45280.3", "1.54592586"),
            ("45279.0", "0.07990000"),
            ("45277.6", "0.03310103"),
            ("45277.5", "0.30000000"),
            ("45277.3", "1.54602737"),
            ("45276.6", "0.15445238"),
        ]);
        assert_eq!(checksum(&bids, &asks), 3_310_070_434);
    }

    #[test]
    fn an_empty_book_has_the_checksum_of_nothing() {
        assert_eq!(checksum(&[], &[]), 0);
    }
}
