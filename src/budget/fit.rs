//! Choosing micro-batch and recomputation: the least time in the memory that there is.
//!
//! # The space
//!
//! A plan is a micro-batch and, for each [`Kind`](crate::step::recompute::Kind) of operation, how many blocks recompute it.
//!
//! - Micro-batches are the divisors of the full batch up to [`LARGEST`], so that no step is rounded up; or the one that the recipe fixes.
//! - Blocks that recompute a kind are counted from the first, in quarters of the depth rounded up to whole blocks; or as the recipe says.
//!
//! # The order
//!
//! Time is that of a token in a step at the full batch. Of the plans that recompute no more than the recipe asks for, those within
//! [`AS_GOOD`] of the fastest are as good, and of these the one with the lowest peak sets the pace. Of all plans that are not slower, the
//! one with the lowest peak is *the* plan, wherever it fits. Where it does not, it is the fastest that fits; where none does, the one with
//! the lowest peak, and its estimate says that it does not fit.
//!
//! So the plan is found exactly, and more memory never gives a slower one: whatever fits in less than *the* plan is slower than it.

use super::compose::Composer;
use super::reserved::{largest_reservation, reserved};
use super::{Costs, Estimate, Fixed, estimate_with, limit};
use crate::device::Device;
use crate::recipe::decode::MicroBatch;
use crate::recipe::settings::Recipe;
use crate::step::StepGraphs;
use crate::step::recompute::{Kind, Kinds, Recompute};
use crate::units::Bytes;

/// A plan within this factor of the fastest is as good.
pub const AS_GOOD: f64 = 1.01;

/// Largest micro-batch that is considered.
pub const LARGEST: u64 = 4096;

/// What rounding may add to a bound of time.
pub const ROUNDING: f64 = 1.0 + 1e-9;

/// Parts that the blocks are divided into.
const PARTS: u64 = 4;

/// The micro-batches that are considered.
pub fn candidates(full_batch: u64) -> Vec<u64> {
    (1..=full_batch.min(LARGEST)).filter(|b| full_batch.is_multiple_of(*b)).collect()
}

/// How many of `depth` blocks may recompute a kind.
pub fn levels(depth: u64) -> Vec<u64> {
    let mut levels: Vec<u64> = (0..=PARTS).map(|part| (depth * part).div_ceil(PARTS)).collect();
    levels.dedup();
    levels
}

/// Every choice of what to recompute.
pub fn recomputations(depth: u64) -> impl Iterator<Item = Recompute> {
    let levels = levels(depth);
    let count = levels.len().pow(Kind::ALL.len() as u32);
    (0..count).map(move |mut n| {
        let mut level = || {
            let level = levels[n % levels.len()];
            n /= levels.len();
            level
        };
        Recompute(std::array::from_fn(|_| level()))
    })
}

/// A plan of the space with what it costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Sequences in a micro-batch.
    pub micro_batch: u64,
    /// What is recomputed.
    pub recompute: Recompute,
    /// Seconds of a token, in a step at the full batch.
    pub per_token: f64,
    /// Highest memory.
    pub peak: Bytes,
}

impl Point {
    /// What decides between plans that cost the same, so that the order in which they are looked at does not.
    fn last(&self) -> (u64, [u64; Kind::ALL.len()]) {
        let mut blocks = self.recompute.0;
        blocks.reverse();
        (self.micro_batch, blocks)
    }

    pub(super) fn is_lower_than(&self, other: &Self) -> bool {
        (self.peak, self.per_token, self.last()) < (other.peak, other.per_token, other.last())
    }

    pub(super) fn is_faster_than(&self, other: &Self) -> bool {
        (self.per_token, self.peak, self.last()) < (other.per_token, other.peak, other.last())
    }
}

fn lowest(points: impl Iterator<Item = Point>) -> Option<Point> {
    points.reduce(|a, b| if b.is_lower_than(&a) { b } else { a })
}

/// How often a lower limit is tried where a card cannot give what a plan reserves.
const TRIES: usize = 8;

/// The estimate of the plan that the recipe's device and limits lead to.
///
/// On a card the plan must be had from the memory manager too: where what it reserves beside what lives is too much, the search goes on with
/// a limit that is lower by as much.
pub fn fit(recipe: &Recipe, device: &Device) -> Estimate {
    let allowed = limit(recipe, device).0;
    let mut limit = allowed;
    let mut tries = 0;
    let fixed = Fixed::of(recipe, device);
    loop {
        let point = choose_with(recipe, device, &fixed, limit);
        let mut estimate = estimate_with(recipe, device, &fixed, point.micro_batch, point.recompute);
        if estimate.peak.bytes > allowed {
            return estimate;
        }
        let graphs = StepGraphs::build(recipe, point.micro_batch, point.recompute);
        estimate.reserved = reserved(&graphs, device, allowed, estimate.accumulation > 1);
        tries += 1;
        if estimate.fits() || tries == TRIES || estimate.peak.bytes > limit {
            return estimate;
        }
        let over = estimate.needed().saturating_sub(allowed).0.max(1);
        limit = Bytes(limit.0.min(estimate.peak.bytes.0).saturating_sub(over));
    }
}

/// The plan of the space for a limit of memory; see the module's documentation for the order.
pub fn choose(recipe: &Recipe, device: &Device, limit: Bytes) -> Point {
    choose_with(recipe, device, &Fixed::of(recipe, device), limit)
}

fn choose_with(recipe: &Recipe, device: &Device, fixed: &Fixed, limit: Bytes) -> Point {
    let batches = match recipe.micro_batch {
        MicroBatch::Fixed(batch) => vec![batch],
        MicroBatch::Auto => candidates(recipe.full_batch()),
    };
    let asked = Recompute::asked(recipe);
    let mut plain: Vec<(Point, Costs)> =
        batches.into_iter().map(|batch| plain(recipe, device, fixed, batch, asked.unwrap_or(Recompute::NOTHING))).collect();
    // What is too large for one reservation is too large however much is free; where everything is, the estimate says so.
    if let Some(most) = largest_reservation(device)
        && plain.iter().any(|(_, costs)| costs.largest <= most)
    {
        plain.retain(|(_, costs)| costs.largest <= most);
    }
    plain.sort_by(|a, b| a.0.per_token.total_cmp(&b.0.per_token));
    let points = || plain.iter().map(|(point, _)| *point);
    let fastest = points().map(|point| point.per_token).fold(f64::INFINITY, f64::min);
    let Some(pace) = lowest(points().filter(|point| point.per_token <= fastest * AS_GOOD)) else {
        return Point { micro_batch: 1, recompute: Recompute::NOTHING, per_token: f64::INFINITY, peak: Bytes(u64::MAX) };
    };
    if asked.is_some() {
        return settle(pace, limit, points());
    }
    let mut composers: Vec<Composer<'_>> =
        plain.iter().map(|(point, costs)| Composer::new(recipe, device, point, costs)).collect();
    let the = composers.iter_mut().fold(pace, |best, composer| composer.lowest_as_fast_as(best));
    if the.peak <= limit {
        return the;
    }
    // What fits without recomputing sets the pace, and most of the others cannot keep it.
    let fitting = points().filter(|point| point.peak <= limit).reduce(|a, b| if b.is_faster_than(&a) { b } else { a });
    let fastest = composers.iter_mut().fold(fitting, |best, composer| composer.fastest_within(limit, best));
    fastest.unwrap_or_else(|| {
        // Where no plan can be lower than one that is known already none is looked for.
        composers.sort_by_key(Composer::least);
        composers.iter_mut().fold(the, |best, composer| if composer.least() > best.peak { best } else { composer.lowest(best) })
    })
}

/// The plan where what is recomputed is fixed.
fn settle(pace: Point, limit: Bytes, points: impl Iterator<Item = Point> + Clone) -> Point {
    if pace.peak <= limit {
        return pace;
    }
    let fitting = points.clone().filter(|point| point.peak <= limit);
    let fastest = fitting.reduce(|a, b| if b.is_faster_than(&a) { b } else { a });
    fastest.or_else(|| lowest(points)).unwrap_or(pace)
}

/// A plan costed from its folded graphs.
fn plain(recipe: &Recipe, device: &Device, fixed: &Fixed, micro_batch: u64, recompute: Recompute) -> (Point, Costs) {
    let costs = Costs::of(recipe, device, fixed, micro_batch, recompute);
    let per_token = costs.per_token(recipe.full_batch().div_ceil(micro_batch), micro_batch * recipe.model.sequence);
    (Point { micro_batch, recompute, per_token, peak: costs.peak.bytes }, costs)
}

impl Composer<'_> {
    /// The plan with the lowest peak of those that are not slower than `best`, and `best` itself.
    fn lowest_as_fast_as(&mut self, best: Point) -> Point {
        // Recomputing only ever takes longer than keeping, and what a block is given is always kept.
        if self.plain().per_token > best.per_token || self.least() >= best.peak {
            return best;
        }
        let kinds = self.affordable(best.per_token);
        if kinds == Kinds::default() {
            return best;
        }
        self.lowest_within(best.per_token, kinds, best)
    }

    /// The fastest plan that fits, or `best` where that is faster.
    fn fastest_within(&mut self, limit: Bytes, best: Option<Point>) -> Option<Point> {
        let pace = best.map_or(f64::INFINITY, |best| best.per_token);
        if self.plain().per_token > pace || self.least() > limit {
            return best;
        }
        let kinds = if best.is_some() { self.affordable(pace) } else { Kinds::ALL };
        if kinds == Kinds::default() { best } else { self.fastest(limit, kinds, best) }
    }
}
