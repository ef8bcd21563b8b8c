//! Where a run stands.

use crate::recipe::spending::Spent;

/// Where a run stands when a step begins: all that a schedule may depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moment {
    /// Progress through the budget, 0 to 1.
    pub progress: f64,
    /// Clock of the run, seconds.
    pub seconds: f64,
    /// Optimizer steps done.
    pub steps: u64,
    /// Micro-steps done.
    pub micro_steps: u64,
    /// Tokens read.
    pub tokens: u64,
}

impl Moment {
    /// The moment at a progress, when so much is spent on micro-steps of so many tokens.
    pub fn new(progress: f64, spent: &Spent, micro_tokens: u64) -> Self {
        let Spent { seconds, steps, micro_steps } = *spent;
        Self { progress, seconds, steps, micro_steps, tokens: micro_steps.saturating_mul(micro_tokens) }
    }
}
