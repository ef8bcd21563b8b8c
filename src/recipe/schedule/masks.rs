//! How many masked tokens show what.

use crate::recipe::settings::{Counting, Recipe};
use crate::units::Ratio;

impl Recipe {
    /// Tokens of a sequence that are masked: `round(rate · S)`, half to even.
    pub fn masked(&self) -> u64 {
        self.objective.rate.of(self.model.sequence)
    }

    /// Of the masked tokens of a sequence, how many show `<mask>` and how many a random token, where they are counted out; the rest show
    /// themselves. Counted exactly, each is drawn.
    pub fn mask_counts(&self) -> Option<[u64; 2]> {
        let masked = self.masked();
        let shown = Ratio(0.8).of(masked);
        match self.counting {
            Counting::Exact {} => None,
            Counting::Official { .. } => Some([shown, Ratio(0.9).of(masked) - shown]),
        }
    }
}
