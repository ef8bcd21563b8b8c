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

    /// The stretches of progress with one accumulation each: (end of the stretch, micro-batches per step).
    pub fn stages(&self, micro_batch: u64) -> Vec<(Ratio, u64)> {
        match *self {
            Self::Constant { .. } => vec![(Ratio(1.0), self.accumulation(Ratio(0.0), micro_batch))],
            Self::Ramp { to, until } => {
                let full = to.div_ceil(micro_batch);
                let end = |k: u64| Ratio((k as f64 * micro_batch as f64 / to as f64 * until.0).min(1.0));
                (1..=full).map(|k| (if k == full { Ratio(1.0) } else { end(k) }, k)).collect()
            }
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
    fn stages_agree_with_the_accumulation_inside_each() {
        for (batch, micro) in [(Batch::Ramp { to: 8192, until: Ratio(0.6) }, 96), (Batch::Constant { size: 100 }, 32)] {
            let mut start = 0.0;
            for (end, count) in batch.stages(micro) {
                assert_eq!(batch.accumulation(Ratio(f64::midpoint(start, end.0)), micro), count);
                start = end.0;
            }
        }
    }
}
