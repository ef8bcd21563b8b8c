//! The batch: micro-batches of a step, and by what their gradients are divided.

use super::Moment;
use super::course::Course;
use crate::recipe::decode::Portion;
use crate::recipe::settings::{Batch, Counting, Recipe};

/// Where steps with one accumulation end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StageEnd {
    /// At a progress.
    Progress(f64),
    /// Where this share of the ramp is over, which is not counted in progress.
    Ramped(f64),
}

impl Recipe {
    /// Micro-batches of a step that begins at a moment.
    ///
    /// A ramp grows linearly and is rounded up to whole micro-batches, one at least; the full batch is rounded up as well where the
    /// micro-batch does not divide it.
    pub fn accumulation(&self, moment: &Moment, micro_batch: u64) -> u64 {
        let Batch::Ramp { to, until } = &self.batch else { return self.full_batch().div_ceil(micro_batch) };
        if self.counting != (Counting::Exact {}) {
            return self.official_batch(moment, micro_batch).div_ceil(micro_batch);
        }
        let full = to.div_ceil(micro_batch);
        let wanted = Course::of_budget(self, moment).over(until) * *to as f64 / micro_batch as f64;
        (wanted.ceil() as u64).clamp(1, full)
    }

    /// By how much the sum of the micro-batches' mean losses is divided in a step of `accumulation` of them.
    ///
    /// That is their number; the official code divides by the whole micro-batches of the batch, where it accumulates one more.
    pub fn divisor(&self, moment: &Moment, accumulation: u64, micro_batch: u64) -> u64 {
        if self.counting == (Counting::Exact {}) {
            return accumulation;
        }
        let batch = self.official_batch(moment, micro_batch);
        // A step that the budget cuts short has no counterpart there.
        if accumulation < batch.div_ceil(micro_batch) { accumulation } else { (batch / micro_batch).max(1) }
    }

    /// Sequences of a step as the official code counts them: linear growth, a micro-batch ahead of the whole ones.
    pub fn official_batch(&self, moment: &Moment, micro_batch: u64) -> u64 {
        let Batch::Ramp { to, until } = &self.batch else { return self.full_batch() };
        let (course, full, micro) = (Course::of_budget(self, moment), *to as f64, micro_batch as f64);
        let wanted = match until {
            Portion::Share(until) => course.now * (full / (course.total * until.0)),
            Portion::Steps(n) if moment.micro_steps < *n => moment.micro_steps as f64 * full / *n as f64,
            Portion::Steps(_) => return *to,
            counted => course.over(counted) * full,
        };
        let grown = (whole_parts(wanted, micro) as u64).saturating_add(1).saturating_mul(micro_batch);
        // There the cap is missing in a ramp over steps, which ends before it would be passed by a whole micro-batch.
        if matches!(until, Portion::Steps(_)) { grown } else { grown.min(*to) }
    }

    /// Up to where steps have this accumulation.
    pub fn stage_end(&self, accumulation: u64, micro_batch: u64) -> StageEnd {
        let Batch::Ramp { to, until } = &self.batch else { return StageEnd::Progress(1.0) };
        if accumulation >= to.div_ceil(micro_batch) {
            return StageEnd::Progress(1.0);
        }
        let part = accumulation as f64 * micro_batch as f64 / *to as f64;
        match until {
            Portion::Share(until) => StageEnd::Progress((part * until.0).min(1.0)),
            _ => StageEnd::Ramped(part),
        }
    }

    /// How much of the batch ramp is over, as it is counted.
    pub fn ramped(&self, moment: &Moment) -> f64 {
        let Batch::Ramp { until, .. } = &self.batch else { return 1.0 };
        match (until, &self.counting) {
            (Portion::Steps(n), Counting::Official { .. }) => moment.micro_steps as f64 / *n as f64,
            _ => Course::of_budget(self, moment).over(until),
        }
    }
}

/// Python's `a // b` of numbers that are not negative: the quotient is not rounded before it is cut.
fn whole_parts(a: f64, b: f64) -> f64 {
    ((a - a % b) / b).round()
}
