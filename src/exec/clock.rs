//! What is left of the budget, and what it still buys.

use crate::recipe::settings::Budget;

/// What has been spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Clock of the run, seconds.
    pub seconds: f64,
    /// Optimizer steps.
    pub steps: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Model FLOPs.
    pub flops: f64,
}

/// What the parts of the run take, as seen so far; seconds, FLOPs and tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// A micro-step, feeding included.
    pub micro_step: f64,
    /// An update.
    pub update: f64,
    /// The longest evaluation.
    pub evaluation: f64,
    /// The longest saving.
    pub saving: f64,
    /// Tokens of a micro-step.
    pub tokens: u64,
    /// Model FLOPs of a micro-step.
    pub flops: f64,
}

impl Rates {
    /// Notes how long a micro-step took: an average in which the last ones weigh most.
    pub fn saw_micro_step(&mut self, seconds: f64) {
        self.micro_step = blend(self.micro_step, seconds);
    }

    /// Notes how long an update took.
    pub fn saw_update(&mut self, seconds: f64) {
        self.update = blend(self.update, seconds);
    }

    /// Time kept free for the last evaluation and the last saving: what they took at most, a tenth (saving: a quarter)
    /// more, and 0.2 % of the budget.
    pub fn reserve(&self, deadline: f64) -> f64 {
        self.evaluation * 1.1 + self.saving * 1.25 + deadline * 0.002
    }
}

fn blend(old: f64, new: f64) -> f64 {
    if old == 0.0 { new } else { old * 0.8 + new * 0.2 }
}

/// Progress through the budget, 0 to 1: the share of whichever limit is furthest spent. The time for the last evaluation and
/// saving is taken off the clock first, so that the schedules land when the last step does.
pub fn progress(budget: &Budget, spent: &Spent, rates: &Rates) -> f64 {
    let time = budget.time.map(|t| spent.seconds / (t.0 - rates.reserve(t.0)).max(t.0 * 1e-3));
    let tokens = budget.tokens.map(|n| spent.tokens as f64 / n as f64);
    let steps = budget.steps.map(|n| spent.steps as f64 / n as f64);
    let flops = budget.flops.map(|n| spent.flops / n.as_f64());
    [time, tokens, steps, flops].into_iter().flatten().fold(0.0, f64::max).clamp(0.0, 1.0)
}

/// How many micro-steps of one more optimizer step the budget still buys.
pub fn affordable(budget: &Budget, spent: &Spent, rates: &Rates) -> u64 {
    let whole = |x: f64| if x.is_finite() { (x + 1e-9).max(0.0) as u64 } else { u64::MAX };
    let time = budget.time.map(|t| {
        let left = t.0 - rates.reserve(t.0) - spent.seconds - rates.update;
        if rates.micro_step > 0.0 { whole(left / (rates.micro_step * 1.02)) } else { u64::MAX }
    });
    let tokens = budget.tokens.map(|n| n.saturating_sub(spent.tokens) / rates.tokens.max(1));
    let steps = budget.steps.map(|n| if spent.steps < n { u64::MAX } else { 0 });
    let flops = budget.flops.map(|n| whole((n.as_f64() - spent.flops) / rates.flops));
    [time, tokens, steps, flops].into_iter().flatten().min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seconds;

    fn budget() -> Budget {
        Budget { time: None, tokens: None, steps: None, flops: None, device: None, memory: None }
    }

    fn rates() -> Rates {
        Rates { micro_step: 0.5, update: 0.1, evaluation: 1.0, saving: 0.4, tokens: 100, flops: 1e6 }
    }

    #[test]
    fn the_limit_that_is_furthest_spent_leads() {
        let budget = Budget { tokens: Some(1000), steps: Some(10), ..budget() };
        let spent = Spent { steps: 2, tokens: 500, ..Spent::default() };
        assert!((progress(&budget, &spent, &rates()) - 0.5).abs() < 1e-12);
        assert_eq!(affordable(&budget, &spent, &rates()), 5);
    }

    #[test]
    fn time_keeps_the_last_evaluation_and_saving_free() {
        let budget = Budget { time: Some(Seconds(100.0)), ..budget() };
        let spent = |seconds| Spent { seconds, ..Spent::default() };
        let usable = 100.0 - 1.1 - 0.5 - 0.2;
        assert!((progress(&budget, &spent(usable), &rates()) - 1.0).abs() < 1e-12);
        assert_eq!(affordable(&budget, &spent(usable - 1.2), &rates()), 2);
        assert_eq!(affordable(&budget, &spent(usable), &rates()), 0);
    }

    #[test]
    fn tokens_are_never_overspent_and_steps_end_exactly() {
        let tokens = Budget { tokens: Some(250), ..budget() };
        assert_eq!(affordable(&tokens, &Spent::default(), &rates()), 2);
        let steps = Budget { steps: Some(3), ..budget() };
        assert_eq!(affordable(&steps, &Spent { steps: 3, ..Spent::default() }, &rates()), 0);
    }
}
