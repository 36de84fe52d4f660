//! A book as a ladder of text: asks above, bids below, each with the depth up to it as a bar.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

/// One book, kept from a snapshot and deltas as `PROTOCOL.md` says.
#[derive(Debug, Default)]
pub(super) struct Ladder {
    topic: String,
    epoch: String,
    seq: u64,
    good: bool,
    /// By price in units of its last decimal.
    bids: BTreeMap<i128, (String, String)>,
    asks: BTreeMap<i128, (String, String)>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// There is something new to draw.
    Changed,
    /// The book does not follow from what is held: it has to be subscribed to anew.
    Broken,
    /// It is no message of a book.
    Nothing,
}

impl Ladder {
    /// Takes a message in.
    pub(super) fn hear(&mut self, message: &Value) -> Heard {
        let word = |field: &str| message[field].as_str().unwrap_or_default();
        match word("type") {
            "stale" => self.good = false,
            "snapshot" => {
                self.bids.clear();
                self.asks.clear();
                (self.good, self.topic, self.epoch) = (true, word("topic").into(), word("epoch").into());
                self.set(message);
            }
            "delta" if self.good && self.epoch == word("epoch") && message["prevSeq"] == self.seq => {
                self.set(message);
            }
            "delta" => {
                self.good = false;
                return Heard::Broken;
            }
            _ => return Heard::Nothing,
        }
        Heard::Changed
    }

    fn set(&mut self, message: &Value) {
        self.seq = message["seq"].as_u64().unwrap_or_default();
        for (side, name) in [(&mut self.bids, "bids"), (&mut self.asks, "asks")] {
            for level in message["data"][name].as_array().into_iter().flatten() {
                let [Some(price), Some(quantity)] = [level[0].as_str(), level[1].as_str()] else { continue };
                let Ok(key) = price.replace('.', "").parse() else { continue };
                match quantity {
                    "0" => drop(side.remove(&key)),
                    _ => drop(side.insert(key, (price.to_owned(), quantity.to_owned()))),
                }
            }
        }
    }

    /// The ladder as lines, `rows` levels a side; with colours where they are wanted.
    pub(super) fn draw(&self, rows: usize, colours: bool) -> String {
        let paint = |code: &str| if colours { format!("\x1b[{code}m") } else { String::new() };
        let (red, green, plain) = (paint("31"), paint("32"), paint("0"));
        let asks = cumulated(self.asks.values().take(rows));
        let bids = cumulated(self.bids.values().rev().take(rows));
        let most = asks.last().into_iter().chain(bids.last()).fold(0.0_f64, |most, row| most.max(row.2));
        let mut text = String::new();
        let state = if self.good { "" } else { "  (not good at present)" };
        let _ = writeln!(text, "{} {}{state}", self.topic, self.seq);
        for (colour, row) in
            asks.iter().rev().map(|row| (&red, row)).chain(bids.iter().map(|row| (&green, row)))
        {
            let _ = writeln!(
                text,
                "{colour}{:>14}{plain} {:>16}  {colour}{}{plain}",
                row.0,
                row.1,
                bar(row.2, most)
            );
        }
        text
    }
}

/// Price, quantity, and the sum of the quantities so far: for the eye alone, so that floats do.
fn cumulated<'a>(levels: impl Iterator<Item = &'a (String, String)>) -> Vec<(&'a str, &'a str, f64)> {
    let mut sum = 0.0;
    let add = |(price, quantity): &'a (String, String)| {
        sum += quantity.parse::<f64>().unwrap_or_default();
        (price.as_str(), quantity.as_str(), sum)
    };
    levels.map(add).collect()
}

fn bar(sum: f64, most: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to WIDTH")]
    let cells = if most > 0.0 { (sum / most * WIDTH).round() as usize } else { 0 };
    "▇".repeat(cells)
}

/// The longest bar.
const WIDTH: f64 = 36.0;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_shows_what_follows_and_nothing_else() {
        let mut ladder = Ladder::default();
        let message = |kind: &str, seq: u64, bids: Value, asks: Value| {
            json!({"type": kind, "topic": "book:X:5:100ms", "epoch": "e", "seq": seq, "prevSeq": seq - 1,
                   "data": {"bids": bids, "asks": asks}})
        };
        assert_eq!(ladder.hear(&message("delta", 1, json!([]), json!([]))), Heard::Broken);
        let (bids, asks) = (json!([["1.0", "2"], ["0.9", "2"]]), json!([["1.1", "1"]]));
        assert_eq!(ladder.hear(&message("snapshot", 7, bids, asks)), Heard::Changed);
        assert_eq!(
            ladder.hear(&message("delta", 8, json!([["0.9", "0"]]), json!([["1.2", "3"]]))),
            Heard::Changed
        );
        let drawn = ladder.draw(5, false);
        let prices: Vec<_> =
            drawn.lines().skip(1).map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(prices, ["1.2", "1.1", "1.0"]);
        assert!(drawn.starts_with("book:X:5:100ms 8\n"), "{drawn}");
        assert!(drawn.lines().nth(1).unwrap().ends_with(&"▇".repeat(36)), "{drawn}");
        assert_eq!(ladder.hear(&message("delta", 10, json!([]), json!([]))), Heard::Broken);
        assert!(ladder.draw(5, false).contains("not good"));
    }
}
