//! Learning rate and batch as functions of progress through the budget, 0 to 1.

use super::settings::{Batch, LearningRate};
use crate::units::Ratio;

impl LearningRate {
    /// The rate at a progress; never below zero, also past the end of the budget.
    ///
    /// `Triangle` is the paper's `budget-triangle2` in general form: start + x·(1 − start)/peak_at up to the peak,
    /// (1 − x)/(1 − peak_at) after it.
    pub fn at(&self, progress: Ratio) -> f64 {
        let x = progress.clamped().0;
        match *self {
            Self::Constant { rate } => rate,
            Self::Triangle { peak, start, peak_at } => {
                let up = start.0 + x * (1.0 - start.0) / peak_at.0;
                let down = (1.0 - x) / (1.0 - peak_at.0);
                peak * up.min(down).max(0.0)
            }
        }
    }

    /// The highest rate.
    pub fn peak(&self) -> f64 {
        match *self {
            Self::Triangle { peak, .. } => peak,
            Self::Constant { rate } => rate,
        }
    }
}

impl Batch {
    /// Micro-batches per optimizer step at a progress.
    ///
    /// A ramp grows linearly and is rounded up to whole micro-batches, so the first step has one; the full batch is
    /// rounded up as well where the micro-batch does not divide it.
    pub fn accumulation(&self, progress: Ratio, micro_batch: u64) -> u64 {
        let x = progress.clamped().0;
        match *self {
            Self::Constant { size } => size.div_ceil(micro_batch),
            Self::Ramp { to, until } => {
                let full = to.div_ceil(micro_batch);
                let wanted = (x / until.0 * to as f64 / micro_batch as f64).floor() as u64 + 1;
                wanted.min(full)
            }
        }
    }

    /// The progress up to which steps have this accumulation.
    pub fn stage_end(&self, accumulation: u64, micro_batch: u64) -> Ratio {
        match *self {
            Self::Ramp { to, until } if accumulation < to.div_ceil(micro_batch) => {
                Ratio((accumulation as f64 * micro_batch as f64 / to as f64 * until.0).min(1.0))
            }
            _ => Ratio(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper() -> LearningRate {
        LearningRate::Triangle { peak: 1e-3, start: Ratio(0.25), peak_at: Ratio(0.75) }
    }

    #[test]
    fn the_paper_s_triangle_starts_at_a_quarter_peaks_at_three_quarters_and_lands_on_zero() {
        let at = |x| paper().at(Ratio(x));
        assert_eq!([at(0.0), at(0.75), at(1.0), at(1.5)], [0.25e-3, 1e-3, 0.0, 0.0]);
        assert!((at(0.5) - 0.75e-3).abs() < 1e-18 && (at(0.875) - 0.5e-3).abs() < 1e-18);
    }

    #[test]
    fn a_ramp_grows_in_whole_micro_batches() {
        let ramp = Batch::Ramp { to: 8192, until: Ratio(0.6) };
        let at = |x| ramp.accumulation(Ratio(x), 128);
        assert_eq!([at(0.0), at(0.3), at(0.6), at(1.0)], [1, 33, 64, 64]);
    }

    #[test]
    fn a_stage_ends_where_the_accumulation_grows() {
        let ramp = Batch::Ramp { to: 8192, until: Ratio(0.6) };
        for accumulation in 1..86 {
            let end = ramp.stage_end(accumulation, 96).0;
            assert_eq!(ramp.accumulation(Ratio(end - 1e-6), 96), accumulation);
            assert_eq!(ramp.accumulation(Ratio(end + 1e-6), 96), accumulation + 1);
        }
        assert_eq!((ramp.stage_end(86, 96), Batch::Constant { size: 100 }.stage_end(4, 32)), (Ratio(1.0), Ratio(1.0)));
    }
}
