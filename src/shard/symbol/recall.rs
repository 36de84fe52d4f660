//! What a symbol begins with when there was an earlier run: its bars.

use super::SymbolState;
use crate::market::KeptBar;

impl SymbolState {
    /// Begins with closed bars of an earlier run.
    pub(in crate::shard) fn recall(&mut self, kept: &[KeptBar]) {
        let Some(widest) = kept.iter().max_by_key(|kept| kept.scale) else { return };
        // A price with the most decimals makes the symbol's scale grow to it, as its trade once did.
        let _ = self.book.price(widest.bar.close.to_decimal(widest.scale));
        self.bars.recall(self.book.scale(), kept);
    }
}
