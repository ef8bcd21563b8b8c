//! The budget as something that is spent: how far it is spent, and what it still buys. The planner simulates the run with these
//! functions and the executor runs by them.

use super::settings::Budget;
use crate::units::Flops;

/// What has been spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Clock of the run, seconds.
    pub seconds: f64,
    /// Optimizer steps.
    pub steps: u64,
    /// Micro-steps.
    pub micro_steps: u64,
}

/// What the parts of a run cost, estimated or observed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// Seconds of a micro-step; 0 where it is not known yet.
    pub micro_step: f64,
    /// Seconds of an update.
    pub update: f64,
    /// Seconds that are not for steps: what is kept free for the last evaluation and saving.
    pub reserve: f64,
    /// Tokens of a micro-step.
    pub tokens: u64,
    /// Model FLOPs of a micro-step.
    pub flops: f64,
}

/// A limit of the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Limit {
    /// `budget.time`.
    #[default]
    Time,
    /// `budget.tokens`.
    Tokens,
    /// `budget.steps`.
    Steps,
    /// `budget.flops`.
    Flops,
}

impl Limit {
    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Tokens => "tokens",
            Self::Steps => "steps",
            Self::Flops => "flops",
        }
    }
}

impl Budget {
    /// Seconds for steps: the time less what is kept free for the end.
    fn usable(&self, prices: &Prices) -> Option<f64> {
        self.time.map(|t| (t.0 - prices.reserve).max(t.0 * 1e-3))
    }

    /// The share of each limit that is spent, not bounded.
    pub fn shares(&self, spent: &Spent, prices: &Prices) -> [Option<(Limit, f64)>; 4] {
        let micro = spent.micro_steps as f64;
        let time = self.usable(prices).map(|usable| (Limit::Time, spent.seconds / usable));
        let tokens = self.tokens.map(|n| (Limit::Tokens, micro * prices.tokens as f64 / n as f64));
        let steps = self.steps.map(|n| (Limit::Steps, spent.steps as f64 / n as f64));
        let flops = self.flops.map(|n| (Limit::Flops, micro * prices.flops / n.as_f64()));
        [time, tokens, steps, flops]
    }

    /// Progress, 0 to 1: the share of whichever limit is furthest spent.
    pub fn progress(&self, spent: &Spent, prices: &Prices) -> f64 {
        Meter::new(self, prices).progress(spent)
    }

    /// How many micro-steps of one more optimizer step the budget still buys; none where it buys no step.
    pub fn affordable(&self, spent: &Spent, prices: &Prices) -> u64 {
        Meter::new(self, prices).affordable(spent)
    }
}

/// A budget at given prices, with all that does not depend on what is spent worked out. A limit that is not set is infinite.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    /// What each limit holds: seconds, tokens, steps, FLOPs.
    limits: [f64; 4],
    /// Tokens and FLOPs of a micro-step.
    tokens: f64,
    flops: f64,
    micro_step: f64,
    update: f64,
    steps: u64,
    /// Micro-steps that tokens and FLOPs buy in all.
    micro_steps: u64,
}

impl Meter {
    /// A budget at these prices.
    pub fn new(budget: &Budget, prices: &Prices) -> Self {
        let limit = |limit: Option<f64>| limit.unwrap_or(f64::INFINITY);
        let tokens = budget.tokens.map_or(u64::MAX, |n| n / prices.tokens.max(1));
        let flops = budget.flops.map_or(u64::MAX, |n| whole(n.as_f64() / prices.flops));
        Self {
            limits: [
                limit(budget.usable(prices)),
                limit(budget.tokens.map(|n| n as f64)),
                limit(budget.steps.map(|n| n as f64)),
                limit(budget.flops.map(Flops::as_f64)),
            ],
            tokens: prices.tokens as f64,
            flops: prices.flops,
            micro_step: prices.micro_step,
            update: prices.update,
            steps: budget.steps.unwrap_or(u64::MAX),
            micro_steps: tokens.min(flops),
        }
    }

    /// The share of each limit that is spent, not bounded; 0 where there is none.
    pub fn shares(&self, spent: &Spent) -> [f64; 4] {
        let micro = spent.micro_steps as f64;
        let [time, tokens, steps, flops] = self.limits;
        [spent.seconds / time, micro * self.tokens / tokens, spent.steps as f64 / steps, micro * self.flops / flops]
    }

    /// See [`Budget::progress`].
    pub fn progress(&self, spent: &Spent) -> f64 {
        self.shares(spent).into_iter().fold(0.0, f64::max).min(1.0)
    }

    /// See [`Budget::affordable`].
    pub fn affordable(&self, spent: &Spent) -> u64 {
        if spent.steps >= self.steps {
            return 0;
        }
        let limited = self.limits[0].is_finite() && self.micro_step > 0.0;
        let left = (self.limits[0] - spent.seconds - self.update) / self.micro_step;
        let time = if limited { whole(left) } else { u64::MAX };
        // Without such a limit this is still more than any step asks for.
        time.min(self.micro_steps.saturating_sub(spent.micro_steps))
    }
}

/// The whole part of a number, with a billionth of grace for rounding.
fn whole(x: f64) -> u64 {
    (x + 1e-9).max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seconds;

    fn budget() -> Budget {
        Budget { time: None, tokens: None, steps: None, flops: None, device: None, memory: None }
    }

    fn prices() -> Prices {
        Prices { micro_step: 0.5, update: 0.1, reserve: 1.8, tokens: 100, flops: 1e6 }
    }

    #[test]
    fn the_limit_that_is_furthest_spent_leads() {
        let budget = Budget { tokens: Some(1000), steps: Some(10), ..budget() };
        let spent = Spent { steps: 2, micro_steps: 5, ..Spent::default() };
        assert!((budget.progress(&spent, &prices()) - 0.5).abs() < 1e-12);
        assert_eq!(budget.affordable(&spent, &prices()), 5);
    }

    #[test]
    fn time_keeps_the_end_free() {
        let budget = Budget { time: Some(Seconds(100.0)), ..budget() };
        let spent = |seconds| Spent { seconds, ..Spent::default() };
        assert!((budget.progress(&spent(98.2), &prices()) - 1.0).abs() < 1e-12);
        assert_eq!(budget.affordable(&spent(97.0), &prices()), 2);
        assert_eq!(budget.affordable(&spent(98.2), &prices()), 0);
    }

    #[test]
    fn tokens_are_never_overspent_and_steps_end_exactly() {
        let tokens = Budget { tokens: Some(250), ..budget() };
        assert_eq!(tokens.affordable(&Spent::default(), &prices()), 2);
        let steps = Budget { steps: Some(3), ..budget() };
        assert_eq!(steps.affordable(&Spent { steps: 3, ..Spent::default() }, &prices()), 0);
    }
}
