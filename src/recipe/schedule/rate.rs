//! The learning rate.

use std::f64::consts::PI;

use super::Moment;
use super::course::Course;
use crate::recipe::decode::{Pair, Portion};
use crate::recipe::settings::{Batch, LearningRate, Recipe};
use crate::units::Ratio;

/// What rounding may take from a whole number of cycles.
const GRACE: f64 = 1e-12;

impl Recipe {
    /// The learning rate of a step that begins at a moment; never below zero.
    pub fn rate(&self, moment: &Moment) -> f64 {
        let course = Course::of_rate(self, moment);
        let warm = self.lr.warmup().map_or(1.0, |warmup| course.over(&warmup));
        let factor = if warm < 1.0 { warm } else { self.factor(&course) };
        self.lr.peak() * cooled(&self.lr, &course, factor).max(0.0)
    }

    /// Whether rates or divisors depend on the clock beyond the progress, so that a replay has to know it too.
    pub fn reads_clock(&self) -> bool {
        let ramp = if let Batch::Ramp { until, .. } = self.batch { Some(until) } else { None };
        [self.lr.warmup(), ramp].into_iter().flatten().any(|portion| matches!(portion, Portion::Time(_)))
    }

    /// The share of the peak after the warm-up and before the cooldown.
    fn factor(&self, course: &Course<'_>) -> f64 {
        let x = course.now / course.total;
        let official = course.is_official_by_budget(self);
        match &self.lr {
            LearningRate::Constant { .. } | LearningRate::Trapezoid { .. } => 1.0,
            LearningRate::Triangle { start, peak_at, .. } => {
                let up = start.0 + x * (1.0 - start.0) / peak_at.0;
                let down = (1.0 - x) / (1.0 - peak_at.0);
                up.min(down)
            }
            LearningRate::Linear { warmup, .. } => {
                let all = course.total - course.ended(warmup);
                if all > 0.0 { ((course.total - course.now) / all).min(1.0) } else { 0.0 }
            }
            LearningRate::Cosine { warmup, end, .. } => end.0 + (1.0 - end.0) * half_cosine(course.after(warmup)),
            LearningRate::CosineRestarts { warmup, cycles, .. } => {
                let p = course.after(warmup);
                if p >= 1.0 && !official { 0.0 } else { half_cosine(cycle(p * *cycles as f64)) }
            }
            LearningRate::InverseCosine { .. } => half_cosine(1.0 - x),
            LearningRate::Polynomial { warmup, power, end, .. } => {
                let now = if official { course.micro_steps() } else { course.now };
                let p = course.between(course.ended(warmup), now);
                end.0 + (1.0 - end.0) * libm::pow(1.0 - p, *power)
            }
            LearningRate::InverseSqrt { warmup, .. } if warmup.is_nothing() => {
                let done = if course.official { course.now } else { course.moment.steps as f64 };
                libm::sqrt(1.0 / (done + 1.0))
            }
            LearningRate::InverseSqrt { warmup, .. } => libm::sqrt(1.0 / course.over(warmup)).min(1.0),
            LearningRate::Ramp { .. } => x,
            LearningRate::MultiCycle { cycles, .. } => {
                let length = course.share(1.0 / *cycles as f64);
                // As many cycles as steps, or more, are no longer than a step.
                let q = if length > 0.0 { cycle(course.now / length) } else { 0.0 };
                if q < 0.5 { 2.0 * q } else { 2.0 - 2.0 * q }
            }
            LearningRate::Piecewise { points, .. } => joined(points, x),
        }
    }
}

/// (1 + cos πp)/2.
fn half_cosine(p: f64) -> f64 {
    0.5 * (1.0 + libm::cos(PI * p))
}

/// How far a cycle is, 0 to 1; where one ends the next one begins.
fn cycle(cycles: f64) -> f64 {
    (cycles - (cycles + GRACE).floor()).max(0.0)
}

/// The same before the cooldown, and linear to zero in it.
fn cooled(lr: &LearningRate, course: &Course<'_>, factor: f64) -> f64 {
    let length = lr.cooldown().map_or(0.0, |cooldown| course.closing(&cooldown));
    let begin = course.total - length;
    if length <= 0.0 || course.now <= begin {
        return factor;
    }
    let begin = begin.max(0.0);
    let at_begin = match lr {
        LearningRate::InverseCosine { .. } => half_cosine(1.0 - begin / course.total),
        LearningRate::Ramp { .. } => begin / course.total,
        // With the inverse square root of what is over; a cooldown that begins before the warm-up is over begins at the peak.
        LearningRate::InverseSqrt { .. } if begin > 0.0 => (factor * libm::sqrt(course.now / begin)).min(1.0),
        _ => 1.0,
    };
    factor.min(at_begin * (course.total - course.now) / length)
}

/// The line through points at a progress.
fn joined(points: &[Pair], x: f64) -> f64 {
    let after = points.partition_point(|point| point.0 <= x);
    match (after.checked_sub(1).and_then(|before| points.get(before)), points.get(after)) {
        (Some(a), Some(b)) => a.1 + (b.1 - a.1) * ((x - a.0) / (b.0 - a.0)),
        (Some(only), None) | (None, Some(only)) => only.1,
        (None, None) => 0.0,
    }
}

impl LearningRate {
    /// The highest rate.
    pub fn peak(&self) -> f64 {
        match self {
            Self::Constant { rate } => *rate,
            Self::Triangle { peak, .. }
            | Self::Trapezoid { peak, .. }
            | Self::Linear { peak, .. }
            | Self::Cosine { peak, .. }
            | Self::CosineRestarts { peak, .. }
            | Self::InverseCosine { peak, .. }
            | Self::Polynomial { peak, .. }
            | Self::InverseSqrt { peak, .. }
            | Self::Ramp { peak, .. }
            | Self::MultiCycle { peak, .. }
            | Self::Piecewise { peak, .. } => *peak,
        }
    }

    /// The warm-up, where it has one.
    pub fn warmup(&self) -> Option<Portion> {
        match self {
            Self::Trapezoid { warmup, .. }
            | Self::Linear { warmup, .. }
            | Self::Cosine { warmup, .. }
            | Self::CosineRestarts { warmup, .. }
            | Self::Polynomial { warmup, .. }
            | Self::InverseSqrt { warmup, .. } => Some(*warmup).filter(|warmup| !warmup.is_nothing()),
            _ => None,
        }
    }

    /// The cooldown, where it has one.
    pub fn cooldown(&self) -> Option<Portion> {
        match self {
            Self::Trapezoid { cooldown, .. }
            | Self::InverseCosine { cooldown, .. }
            | Self::InverseSqrt { cooldown, .. }
            | Self::Ramp { cooldown, .. } => Some(*cooldown).filter(|cooldown| !cooldown.is_nothing()),
            _ => None,
        }
    }

    /// The progress at which it takes another course, as far as its shares tell.
    pub fn turns(&self) -> Vec<Ratio> {
        let share = |portion: Option<Portion>| if let Some(Portion::Share(share)) = portion { Some(share.0) } else { None };
        match self {
            Self::Triangle { peak_at, .. } => vec![*peak_at],
            Self::Piecewise { points, .. } => points.iter().map(|point| Ratio(point.0)).collect(),
            other => {
                let (warm, cool) = (share(other.warmup()), share(other.cooldown()).map(|share| 1.0 - share));
                warm.into_iter().chain(cool).map(Ratio).collect()
            }
        }
    }
}
