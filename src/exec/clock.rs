//! How long the parts of a run take, as seen so far.

use crate::recipe::spending::Prices;

/// Seconds, observed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// A micro-step, feeding included: an average in which the last ones weigh most; 0 before the first.
    pub micro_step: f64,
    /// An update, averaged likewise.
    pub update: f64,
    /// The longest evaluation.
    pub evaluation: f64,
    /// The longest saving.
    pub saving: f64,
}

impl Rates {
    /// Notes how long a micro-step took.
    pub fn saw_micro_step(&mut self, seconds: f64) {
        self.micro_step = blend(self.micro_step, seconds);
    }

    /// Notes how long an update took.
    pub fn saw_update(&mut self, seconds: f64) {
        self.update = blend(self.update, seconds);
    }

    /// Prices to spend a budget of `deadline` seconds by. Kept free for the end is what the longest evaluation and saving
    /// took, a tenth (saving: a quarter) more, and 0.2 % of the budget; a micro-step is taken to be 2 % slower than it was.
    pub fn prices(&self, deadline: f64, tokens: u64, flops: f64) -> Prices {
        let reserve = self.evaluation * 1.1 + self.saving * 1.25 + deadline * 0.002;
        Prices { micro_step: self.micro_step * 1.02, update: self.update, reserve, tokens, flops }
    }
}

fn blend(old: f64, new: f64) -> f64 {
    if old == 0.0 { new } else { old * 0.8 + new * 0.2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_times_weigh_most() {
        let mut rates = Rates::default();
        rates.saw_micro_step(1.0);
        rates.saw_micro_step(2.0);
        assert!((rates.micro_step - 1.2).abs() < 1e-12);
    }

    #[test]
    fn the_end_is_kept_free() {
        let rates = Rates { evaluation: 1.0, saving: 0.4, ..Rates::default() };
        assert!((rates.prices(100.0, 1, 1.0).reserve - 1.8).abs() < 1e-12);
    }
}
