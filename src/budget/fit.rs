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
//!
//! On a card a plan fits where what it reserves fits ([`reserved`](super::reserved)), which is more than what lives, and is known for a plan
//! only after its allocations were replayed. The plans that are tried are *the* plan and then those that are chosen for less and less live
//! memory: each is slower than the one before and lives in less. They are the same whatever the limit is, and so is what each of them reserves;
//! the first that fits is taken. So here, too, more memory never gives a slower plan. A plan that is slower *and* lives in more than another is
//! not tried, though it might reserve less.

use super::compose::Composer;
pub use super::compose::WhatIf;
use super::reserved::{largest_reservation, reserved, reserved_within};
use super::{Costs, Estimate, Fixed, estimate_with, limit};
use crate::device::{Device, DeviceKind};
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

/// The estimate of the plan that the recipe's device and limits lead to.
///
/// On a card what a plan reserves must lie within the limit too. Plans are tried in the order of the module's documentation: after one that
/// reserves too much comes the one that would be chosen if it lived in a byte less.
pub fn fit(recipe: &Recipe, device: &Device) -> Estimate {
    let allowed = limit(recipe, device).0;
    let mut limit = allowed;
    let fixed = Fixed::of(recipe, device);
    let mut space = Space::of(recipe, device, &fixed);
    let mut update = None;
    loop {
        let point = space.choose(limit);
        let estimate = |reserved| {
            let estimate = estimate_with(recipe, device, &fixed, point.micro_batch, point.recompute);
            Estimate { reserved, ..estimate }
        };
        // On a CPU nothing is reserved beside what lives.
        if point.peak > allowed || matches!(device.kind, DeviceKind::Cpu { .. }) {
            return estimate(None);
        }
        let graphs = StepGraphs::build(recipe, point.micro_batch, point.recompute);
        let accumulates = recipe.full_batch() > point.micro_batch;
        if let Some(reserved) = reserved_within(&graphs, device, allowed, accumulates, &mut update) {
            return estimate(Some(reserved));
        }
        if point.peak > limit {
            // No plan is lower. What would become of this one under the limit is for people to know.
            return estimate(reserved(&graphs, device, Some(allowed), accumulates));
        }
        limit = point.peak.saturating_sub(Bytes(1));
    }
}

/// The plan of the space for a limit of memory; see the module's documentation for the order.
pub fn choose(recipe: &Recipe, device: &Device, limit: Bytes) -> Point {
    Space::of(recipe, device, &Fixed::of(recipe, device)).choose(limit)
}

/// Every plan of the space, with the run that it makes, the fastest micro-batch first; nothing is left out for being too slow. The
/// pieces of a micro-batch are planned once, so that each of its plans takes little more than its run does.
pub fn each(recipe: &Recipe, device: &Device, mut visit: impl FnMut(&WhatIf)) {
    let mut space = Space::of(recipe, device, &Fixed::of(recipe, device));
    let all = || recomputations(recipe.model.depth).collect();
    let choices: Vec<Recompute> = Recompute::asked(recipe).map_or_else(all, |asked| vec![asked]);
    for composer in &mut space.composers {
        for recompute in &choices {
            visit(&composer.what_if(*recompute));
        }
    }
}

/// The plans of a recipe on a device. What was found out about them for one limit is known for the next.
struct Space<'a> {
    /// By micro-batch, the fastest first.
    composers: Vec<Composer<'a>>,
    /// Whether what is recomputed is left open.
    open: bool,
}

impl<'a> Space<'a> {
    fn of(recipe: &'a Recipe, device: &'a Device, fixed: &Fixed) -> Self {
        let batches = match recipe.micro_batch {
            MicroBatch::Fixed(batch) => vec![batch],
            MicroBatch::Auto => candidates(recipe.full_batch()),
        };
        let asked = Recompute::asked(recipe);
        let composer = |batch| {
            let (point, costs) = plain(recipe, device, fixed, batch, asked.unwrap_or(Recompute::NOTHING));
            Composer::new(recipe, device, point, costs)
        };
        let mut composers: Vec<Composer<'a>> = batches.into_iter().map(composer).collect();
        // What is too large for one reservation is too large however much is free; where everything is, the estimate says so.
        if let Some(most) = largest_reservation(device)
            && composers.iter().any(|composer| composer.largest() <= most)
        {
            composers.retain(|composer| composer.largest() <= most);
        }
        composers.sort_by(|a, b| a.plain().per_token.total_cmp(&b.plain().per_token));
        Self { composers, open: asked.is_none() }
    }

    fn choose(&mut self, limit: Bytes) -> Point {
        let points: Vec<Point> = self.composers.iter().map(Composer::plain).collect();
        let points = || points.iter().copied();
        let fastest = points().map(|point| point.per_token).fold(f64::INFINITY, f64::min);
        let Some(pace) = lowest(points().filter(|point| point.per_token <= fastest * AS_GOOD)) else {
            return Point { micro_batch: 1, recompute: Recompute::NOTHING, per_token: f64::INFINITY, peak: Bytes(u64::MAX) };
        };
        if !self.open {
            return settle(pace, limit, points());
        }
        let the = self.composers.iter_mut().fold(pace, |best, composer| composer.lowest_as_fast_as(best));
        if the.peak <= limit {
            return the;
        }
        // What fits without recomputing sets the pace, and most of the others cannot keep it.
        let fitting = points().filter(|point| point.peak <= limit).reduce(|a, b| if b.is_faster_than(&a) { b } else { a });
        let fastest = self.composers.iter_mut().fold(fitting, |best, composer| composer.fastest_within(limit, best));
        fastest.unwrap_or_else(|| {
            // Where no plan can be lower than one that is known already none is looked for.
            let mut composers: Vec<&mut Composer<'a>> = self.composers.iter_mut().collect();
            composers.sort_by_key(|composer| composer.least());
            composers.into_iter().fold(the, |best, c| if c.least() > best.peak { best } else { c.lowest(best) })
        })
    }
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
