//! A moment as a schedule counts it: how far the run is, and how long its portions are.
//!
//! Invariant: both ways of counting go through one set of formulas, over a progress of 1 or over whole steps of all.

use super::Moment;
use crate::recipe::decode::Portion;
use crate::recipe::settings::{Budget, Counting, Recipe};

/// A moment on the scale that a schedule is drawn on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course<'r> {
    /// How far it is: progress, or whole fake steps.
    pub now: f64,
    /// How far the end is: 1, or the number of fake steps.
    pub total: f64,
    pub moment: Moment,
    budget: &'r Budget,
    /// Whether it is counted as the official code counts.
    pub official: bool,
}

impl<'r> Course<'r> {
    /// As the learning rate counts.
    pub fn of_rate(recipe: &'r Recipe, moment: &Moment) -> Self {
        let course = Self::of_budget(recipe, moment);
        match recipe.counting {
            Counting::Official { by_budget: false, .. } => Self { now: course.micro_steps(), ..course },
            _ => course,
        }
    }

    /// As the batch counts: along the budget in any case.
    pub fn of_budget(recipe: &'r Recipe, moment: &Moment) -> Self {
        let (progress, budget) = (moment.progress.clamp(0.0, 1.0), &recipe.budget);
        let scale = |now, total, official| Self { now, total, moment: *moment, budget, official };
        match recipe.counting {
            Counting::Exact {} => scale(progress, 1.0, false),
            // The official counter asks for the time from its second call on.
            Counting::Official { micro_steps: all, .. } if moment.micro_steps == 0 => scale(0.0, all as f64, true),
            Counting::Official { micro_steps: all, .. } => scale((progress * all as f64).trunc(), all as f64, true),
        }
    }

    /// Micro-steps done, up to the end.
    pub fn micro_steps(&self) -> f64 {
        (self.moment.micro_steps as f64).min(self.total)
    }

    /// Whether the official code's ways of following the budget are wanted.
    pub fn is_official_by_budget(&self, recipe: &Recipe) -> bool {
        self.official && matches!(recipe.counting, Counting::Official { by_budget: true, .. })
    }

    /// A share of the whole on this scale.
    pub fn share(&self, share: f64) -> f64 {
        if self.official { (share * self.total).trunc() } else { share }
    }

    /// How much of a portion that begins with the run is over: 1 is all of it, and of no portion all is over at once.
    pub fn over(&self, portion: &Portion) -> f64 {
        let Moment { steps, tokens, seconds, .. } = self.moment;
        match portion {
            Portion::Share(share) => part(self.now, self.share(share.0)),
            Portion::Steps(n) if self.official => part(self.now, *n as f64),
            Portion::Steps(n) => part(steps as f64, *n as f64),
            Portion::Tokens(n) => part(tokens as f64, *n as f64),
            Portion::Time(time) => part(seconds, time.0),
        }
    }

    /// Where a portion ended that is over. What is counted apart from the progress ended where the pace since the beginning has it.
    pub fn ended(&self, portion: &Portion) -> f64 {
        match portion {
            Portion::Share(share) => self.share(share.0),
            Portion::Steps(n) if self.official => *n as f64,
            counted => self.now / self.over(counted),
        }
    }

    /// How long a portion is that ends with the run; nothing where the budget does not tell.
    pub fn closing(&self, portion: &Portion) -> f64 {
        match portion {
            Portion::Steps(n) if self.official => *n as f64,
            any => self.share(any.share_of(self.budget).unwrap_or(0.0)),
        }
    }

    /// How much is over of what comes after a warm-up, 0 to 1.
    pub fn after(&self, warmup: &Portion) -> f64 {
        self.between(self.ended(warmup), self.now)
    }

    /// How much is over at `now` of what comes after `start`, 0 to 1.
    pub fn between(&self, start: f64, now: f64) -> f64 {
        let length = self.total - start;
        if length > 0.0 { ((now - start) / length).clamp(0.0, 1.0) } else { 1.0 }
    }
}

/// A part of a whole; of nothing, all.
fn part(now: f64, whole: f64) -> f64 {
    if whole > 0.0 { now / whole } else { f64::INFINITY }
}

impl Portion {
    /// Whether it is nothing.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Share(share) if share.0 <= 0.0)
    }

    /// The share of a budget that it is, where the budget limits the same.
    pub fn share_of(&self, budget: &Budget) -> Option<f64> {
        match self {
            Self::Share(share) => Some(share.0),
            Self::Steps(n) => budget.steps.map(|all| *n as f64 / all as f64),
            Self::Tokens(n) => budget.tokens.map(|all| *n as f64 / all as f64),
            Self::Time(time) => budget.time.map(|all| time.0 / all.0),
        }
    }
}
