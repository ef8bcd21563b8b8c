//! The cost of every choice of what to recompute, put together from pieces.
//!
//! For one micro-batch, a graph with one block for each set of [`Kinds`] gives what such a block does in forward and in backward. Any
//! choice is then a sum over groups of equal blocks: no graph is built for it. Tests hold the sums against graphs in full.

use std::array;

use super::fit::{Point, recomputations};
use super::fold::{Segment, Segments, segments};
use super::{Costs, ambient};
use crate::device::Device;
use crate::recipe::settings::Recipe;
use crate::step::recompute::{Group, Kinds, Recompute};
use crate::step::{StepGraphs, Walk};
use crate::units::{Bytes, Seconds};

/// The walks that recompute.
const WALKS: [Walk; 2] = [Walk::First, Walk::Further];

/// A block of a walk, in one pass.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    change: i128,
    highest: i128,
    time: Seconds,
}

impl Piece {
    fn of(segment: &Segment) -> Self {
        Self { change: segment.change.total(), highest: segment.highest.0.total(), time: segment.time }
    }
}

/// The pieces of a walk, by set of kinds.
#[derive(Clone, Debug)]
struct Pieces {
    forward: [Piece; Kinds::COUNT],
    backward: [Piece; Kinds::COUNT],
}

/// All plans of one micro-batch.
pub struct Composer<'a> {
    recipe: &'a Recipe,
    device: &'a Device,
    plain: Point,
    costs: &'a Costs,
    pieces: Option<[Pieces; WALKS.len()]>,
}

impl<'a> Composer<'a> {
    /// Starts from the plan that recomputes nothing.
    pub fn new(recipe: &'a Recipe, device: &'a Device, plain: &Point, costs: &'a Costs) -> Self {
        Self { recipe, device, plain: *plain, costs, pieces: None }
    }

    /// The plan that recomputes nothing.
    pub fn plain(&self) -> Point {
        self.plain
    }

    /// No plan's peak is lower: the state, what is not recomputed, and the inputs of all blocks, which are always kept.
    pub fn least(&self) -> Bytes {
        let model = &self.recipe.model;
        let inputs = Bytes(self.plain.micro_batch) * model.sequence * model.width * 4 * model.depth;
        (bytes(self.costs.micro_steps[0].start.total()) + inputs).max(self.costs.elsewhere())
    }

    /// The plans that take at most so long for a token.
    pub fn points_within(&mut self, per_token: f64) -> impl Iterator<Item = Point> {
        self.build();
        let this = &*self;
        let within = move |recompute: &Recompute| this.per_token(recompute) <= per_token;
        recomputations(this.recipe.model.depth).filter(within).map(|recompute| this.point(recompute))
    }

    /// The fastest plan that fits, or `best` where that is faster.
    pub fn fastest(&mut self, limit: Bytes, best: Option<Point>) -> Option<Point> {
        self.build();
        let mut best = best;
        for recompute in recomputations(self.recipe.model.depth) {
            let pace = best.map_or(f64::INFINITY, |best| best.per_token);
            if self.per_token(&recompute) <= pace {
                let point = self.point(recompute);
                if point.peak <= limit && best.is_none_or(|best| point.is_faster_than(&best)) {
                    best = Some(point);
                }
            }
        }
        best
    }

    /// The plan with the lowest peak, or `best` where that is lower.
    pub fn lowest(&mut self, best: Point) -> Point {
        self.points_within(f64::INFINITY).fold(best, |best, point| if point.is_lower_than(&best) { point } else { best })
    }

    fn build(&mut self) {
        if self.pieces.is_some() {
            return;
        }
        let groups = (0..Kinds::COUNT).map(|n| Group { kinds: Kinds::number(n), times: 1 }).collect();
        let graphs = StepGraphs::folded(self.recipe, self.plain.micro_batch, groups);
        self.pieces = Some(WALKS.map(|walk| {
            let all = segments(&graphs, walk, self.device, ambient(&graphs, self.device, walk)).all;
            let mut pieces = Pieces { forward: [Piece::default(); Kinds::COUNT], backward: [Piece::default(); Kinds::COUNT] };
            for segment in &all {
                if let Some(block) = segment.block {
                    let side = if segment.backward { &mut pieces.backward } else { &mut pieces.forward };
                    side[block as usize] = Piece::of(segment);
                }
            }
            pieces
        }));
    }

    fn point(&self, recompute: Recompute) -> Point {
        Point { recompute, per_token: self.per_token(&recompute), peak: self.peak(&recompute), ..self.plain }
    }

    /// The walk's pieces in order, those of blocks by `visit` with how often each stands there.
    fn walk(&self, w: usize, recompute: &Recompute, mut visit: impl FnMut(Piece, u64)) {
        let (Some(pieces), Some(segments)) = (&self.pieces, self.costs.micro_steps.get(w)) else { return };
        let groups = Groups::of(recompute, self.recipe.model.depth);
        for segment in &segments.all {
            match (segment.block, segment.backward) {
                (None, _) => visit(Piece::of(segment), 1),
                (Some(_), false) => groups.iter().for_each(|g| visit(pieces[w].forward[g.kinds.index()], g.times)),
                (Some(_), true) => groups.iter().rev().for_each(|g| visit(pieces[w].backward[g.kinds.index()], g.times)),
            }
        }
    }

    fn per_token(&self, recompute: &Recompute) -> f64 {
        let times = array::from_fn(|w| {
            let mut time = Seconds::ZERO;
            self.walk(w, recompute, |piece, times| time += piece.time * times as f64);
            time
        });
        let accumulation = self.recipe.full_batch().div_ceil(self.plain.micro_batch);
        self.costs.per_token_with(times, accumulation, self.plain.micro_batch * self.recipe.model.sequence)
    }

    fn peak(&self, recompute: &Recompute) -> Bytes {
        let mut highest = 0;
        for (w, Segments { start, .. }) in self.costs.micro_steps.iter().enumerate() {
            let mut live = start.total();
            self.walk(w, recompute, |piece, times| {
                let repetition = if piece.change > 0 { times.saturating_sub(1) } else { 0 };
                if times > 0 {
                    highest = highest.max(live + piece.change * i128::from(repetition) + piece.highest);
                }
                live += piece.change * i128::from(times);
            });
        }
        bytes(highest).max(self.costs.elsewhere())
    }
}

fn bytes(n: i128) -> Bytes {
    Bytes(u64::try_from(n.max(0)).unwrap_or(u64::MAX))
}

/// [`Recompute::groups`] without memory from the heap.
struct Groups {
    groups: [Group; Self::MOST],
    count: usize,
}

impl Groups {
    const MOST: usize = crate::step::recompute::Kind::ALL.len() + 1;

    fn of(recompute: &Recompute, depth: u64) -> Self {
        let mut cuts = [depth; Self::MOST];
        for (cut, blocks) in cuts.iter_mut().zip(recompute.0) {
            *cut = blocks.min(depth);
        }
        cuts.sort_unstable();
        let mut groups = [Group { kinds: Kinds::default(), times: 0 }; Self::MOST];
        let (mut count, mut from) = (0, 0);
        for cut in cuts.into_iter().filter(|cut| *cut > 0) {
            if cut > from {
                groups[count] = Group { kinds: recompute.kinds(from), times: cut - from };
                count += 1;
            }
            from = cut;
        }
        Self { groups, count }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &Group> {
        self.groups[..self.count].iter()
    }
}
