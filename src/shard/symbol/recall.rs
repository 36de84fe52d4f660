//! What a symbol begins with when there was an earlier run: its bars.

use super::SymbolState;
use crate::market::KeptBar;

impl SymbolState {
    /// Begins with closed bars of an earlier run.
    pub(in crate::shard) fn recall(&mut self, kept: &[KeptBar]) {
        // Each makes the symbol's scale grow to its own, as its trades once did, and no further than
        // the highest of all still fits.
        for kept in kept {
            let _ = self.book.price(kept.bar.high.to_decimal(kept.scale));
        }
        self.bars.recall(self.book.scale(), kept);
        // The board shows the scale from the start: the next trade does not change it any more.
        self.touched.book = !kept.is_empty();
        self.publish();
    }
}
