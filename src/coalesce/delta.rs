//! What changed between two pictures of one side of a book.

use std::cmp::Ordering;

use crate::market::{Level, Quantity, Side};

/// Puts into `delta` what turns `old` into `new`: absolute quantities, zero for a level that left.
///
/// Both are best first without a price twice, and so is the delta. A level that leaves a window of
/// limited depth is a removal like any other, so that a client's book never holds more than it asked for.
pub fn difference(side: Side, old: &[Level], new: &[Level], delta: &mut Vec<Level>) {
    let (mut o, mut n) = (0, 0);
    while o < old.len() || n < new.len() {
        let order = match (old.get(o), new.get(n)) {
            (Some(old), Some(new)) => side.rank(old.price, new.price),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        match order {
            Ordering::Less => {
                delta.push(Level { price: old[o].price, quantity: Quantity::ZERO });
                o += 1;
            }
            Ordering::Greater => {
                delta.push(new[n]);
                n += 1;
            }
            Ordering::Equal => {
                if old[o].quantity != new[n].quantity {
                    delta.push(new[n]);
                }
                (o, n) = (o + 1, n + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::market::{Decimal, Price};
    use crate::state::Ladder;

    fn ladder(side: Side, levels: &[(i64, i64)]) -> Ladder {
        let mut ladder = Ladder::new(side);
        for &(price, units) in levels {
            ladder.set(Price(price), Quantity::new(Decimal::new(units, 0)).unwrap());
        }
        ladder
    }

    proptest! {
        #[test]
        fn the_old_picture_and_the_delta_give_the_new_one(
            bid: bool,
            depth in 1_usize..12,
            old in proptest::collection::vec((0_i64..30, 0_i64..3), 0..40),
            new in proptest::collection::vec((0_i64..30, 0_i64..3), 0..40),
        ) {
            let side = if bid { Side::Bid } else { Side::Ask };
            let (mut before, mut after, mut delta) = (Vec::new(), Vec::new(), Vec::new());
            ladder(side, &old).copy_top(depth, &mut before);
            ladder(side, &new).copy_top(depth, &mut after);
            difference(side, &before, &after, &mut delta);
            let mut client = Ladder::new(side);
            client.replace(&before, |_, _| {});
            for level in &delta {
                let was = client.set(level.price, level.quantity);
                prop_assert!(was != level.quantity, "no change is told that is none");
            }
            prop_assert_eq!(client.iter().collect::<Vec<_>>(), after);
        }
    }
}
