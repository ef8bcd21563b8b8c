//! How long the parts of a run take, as seen so far.

use std::collections::VecDeque;

use crate::recipe::spending::Prices;

/// How many of the last times count.
const LAST: usize = 9;

/// The last few durations of something; their median is what the next one is expected to take, so that a single stall of
/// the machine does not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    /// What is expected before anything was seen, seconds.
    expected: f64,
    seen: VecDeque<f64>,
}

impl Recent {
    /// Nothing seen yet.
    pub fn expecting(seconds: f64) -> Self {
        Self { expected: seconds, seen: VecDeque::new() }
    }

    /// Notes a duration in seconds.
    pub fn saw(&mut self, seconds: f64) {
        if self.seen.len() == LAST {
            self.seen.pop_front();
        }
        self.seen.push_back(seconds);
    }

    /// What the next one is expected to take, seconds.
    pub fn seconds(&self) -> f64 {
        let mut sorted: Vec<f64> = self.seen.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(self.expected)
    }
}

/// Durations of the parts of a run, seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// A micro-step, feeding included.
    pub micro_step: Recent,
    /// An update.
    pub update: Recent,
    /// The longest evaluation.
    pub evaluation: f64,
    /// The longest saving.
    pub saving: f64,
}

impl Rates {
    /// Prices to spend a budget of `deadline` seconds by. Kept free for the end is what the longest evaluation and saving
    /// took, a tenth (saving: a quarter) more, and 0.2 % of the budget; a micro-step is taken to be 2 % slower than it was.
    pub fn prices(&self, deadline: f64, tokens: u64, flops: f64) -> Prices {
        let reserve = self.evaluation * 1.1 + self.saving * 1.25 + deadline * 0.002;
        Prices { micro_step: self.micro_step.seconds() * 1.02, update: self.update.seconds(), reserve, tokens, flops }
    }

    /// Seconds that are needed after a micro-step that is about to begin, without any margin: itself, the update, the last
    /// evaluation and saving.
    pub fn to_the_end(&self) -> f64 {
        self.micro_step.seconds() + self.update.seconds() + self.evaluation + self.saving
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_stall_does_not_count() {
        let mut recent = Recent::expecting(7.0);
        assert_eq!(recent.seconds(), 7.0);
        for seconds in [1.0, 1.1, 60.0, 0.9] {
            recent.saw(seconds);
        }
        assert_eq!(recent.seconds(), 1.1);
        (0..LAST).for_each(|_| recent.saw(2.0));
        assert_eq!(recent.seconds(), 2.0);
    }

    #[test]
    fn the_end_is_kept_free() {
        let rates = Rates { evaluation: 1.0, saving: 0.4, ..Rates::default() };
        assert!((rates.prices(100.0, 1, 1.0).reserve - 1.8).abs() < 1e-12);
    }
}
