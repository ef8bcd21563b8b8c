//! The cost of every choice of what to recompute, put together from pieces.
//!
//! For one micro-batch, a graph with one block for each set of [`Kinds`] gives what such a block does in forward and in backward. Any
//! choice is then a sum over groups of equal blocks: no graph is built for it. Tests hold the sums against graphs in full.

use std::array;

use super::fit::{Point, ROUNDING, levels};
use super::fold::{Segment, Segments, repetitions, segments};
use super::run::{self, RunEstimate, Tempo};
use super::search::{Pace, each_within};
use super::{Costs, ambient, disk};
use crate::device::Device;
use crate::recipe::settings::Recipe;
use crate::step::recompute::{Group, Kind, Kinds, Recompute};
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
#[derive(Clone, Debug, Default)]
struct Pieces {
    forward: [Piece; Kinds::COUNT],
    backward: [Piece; Kinds::COUNT],
}

/// A stretch of a walk.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Operations of no block.
    Between(Piece),
    /// The blocks, first to last.
    Forward,
    /// The blocks, last to first.
    Backward,
}

impl Step {
    fn of(segment: &Segment) -> Self {
        match (segment.block, segment.backward) {
            (None, _) => Self::Between(Piece::of(segment)),
            (Some(_), false) => Self::Forward,
            (Some(_), true) => Self::Backward,
        }
    }
}

/// A plan and the run that it makes.
#[derive(Clone, Debug, PartialEq)]
pub struct WhatIf {
    /// The plan.
    pub point: Point,
    /// Its run: steps, tokens, seconds.
    pub run: RunEstimate,
}

/// All plans of one micro-batch.
pub struct Composer<'a> {
    recipe: &'a Recipe,
    device: &'a Device,
    plain: Point,
    costs: Costs,
    /// What each micro-step goes through, in the order of [`WALKS`].
    steps: [Vec<Step>; WALKS.len()],
    /// In the order of the walks, for the sets of these kinds.
    pieces: Box<[Pieces; WALKS.len()]>,
    /// The sets whose pieces there are.
    built: [bool; Kinds::COUNT],
    /// By kind, what a token takes where the fewest blocks recompute that kind alone; found when it is first asked for.
    least: Option<[f64; Kind::ALL.len()]>,
}

impl<'a> Composer<'a> {
    /// Starts from the plan that recomputes what the recipe asks for, or nothing.
    pub fn new(recipe: &'a Recipe, device: &'a Device, plain: Point, costs: Costs) -> Self {
        let steps = costs.micro_steps.each_ref().map(|walk| walk.all.iter().map(Step::of).collect());
        let built = [false; Kinds::COUNT];
        Self { recipe, device, plain, costs, steps, pieces: Box::default(), built, least: None }
    }

    /// The plan that recomputes what the recipe asks for, or nothing.
    pub fn plain(&self) -> Point {
        self.plain
    }

    /// No plan's peak is lower: the state, what is not recomputed, and the inputs of all blocks, which are always kept.
    pub fn least(&self) -> Bytes {
        let model = &self.recipe.model;
        let inputs = Bytes(self.plain.micro_batch) * model.sequence * model.width * 4 * model.depth;
        (bytes(self.costs.micro_steps[0].start.total()) + inputs).max(self.costs.elsewhere())
    }

    /// The largest tensor of any walk.
    pub fn largest(&self) -> Bytes {
        self.costs.largest
    }

    /// The kinds that a plan can recompute, in the fewest blocks at least, without taking longer than so for a token. More kinds take no less
    /// than one of them.
    pub fn affordable(&mut self, per_token: f64) -> Kinds {
        let least = match self.least {
            Some(least) => least,
            None => *self.least.insert(self.least_times()),
        };
        let affordable = Kind::ALL.into_iter().zip(least).filter(|(_, least)| *least <= per_token * ROUNDING);
        affordable.fold(Kinds::default(), |kinds, (kind, _)| kinds.with(kind))
    }

    fn least_times(&self) -> [f64; Kind::ALL.len()] {
        let alone = Kind::ALL.map(|kind| Kinds::default().with(kind));
        let groups = std::iter::once(Kinds::default()).chain(alone).map(|kinds| Group { kinds, times: 1 }).collect();
        let graphs = StepGraphs::folded(self.recipe, self.plain.micro_batch, groups);
        let all = segments(&graphs, Walk::First, self.device, ambient(&graphs, self.device, Walk::First)).all;
        let mut backward = all.iter().filter(|segment| segment.backward && segment.block.is_some()).rev();
        let nothing = backward.next().map_or(0.0, |segment| segment.time.0);
        let fewest = levels(self.recipe.model.depth).into_iter().find(|blocks| *blocks > 0).unwrap_or(1) as f64;
        let tokens = self.micro_tokens() as f64;
        let mut least = backward.map(|segment| self.plain.per_token + (segment.time.0 - nothing) * fewest / tokens);
        array::from_fn(|_| least.next().unwrap_or(f64::INFINITY))
    }

    /// The plan with the lowest peak of those that recompute some of `kinds` and take at most so long for a token, or `best` where that is
    /// lower.
    pub fn lowest_within(&mut self, per_token: f64, kinds: Kinds, best: Point) -> Point {
        self.build(kinds);
        let mut best = best;
        each_within(self.recipe.model.depth, kinds, &self.pace(), per_token * ROUNDING, |recompute| {
            if self.per_token(&recompute) <= per_token {
                let point = self.point(recompute);
                if point.is_lower_than(&best) {
                    best = point;
                }
            }
            per_token * ROUNDING
        });
        best
    }

    /// The fastest plan that fits of those that recompute some of `kinds`, or `best` where that is faster.
    pub fn fastest(&mut self, limit: Bytes, kinds: Kinds, best: Option<Point>) -> Option<Point> {
        self.build(kinds);
        let mut best = best;
        let within = |best: &Option<Point>| best.map_or(f64::INFINITY, |best| best.per_token * ROUNDING);
        each_within(self.recipe.model.depth, kinds, &self.pace(), within(&best), |recompute| {
            if self.per_token(&recompute) <= best.map_or(f64::INFINITY, |best| best.per_token) {
                let point = self.point(recompute);
                if point.peak <= limit && best.is_none_or(|best| point.is_faster_than(&best)) {
                    best = Some(point);
                }
            }
            within(&best)
        });
        best
    }

    /// The plan with the lowest peak, or `best` where that is lower.
    pub fn lowest(&mut self, best: Point) -> Point {
        self.lowest_within(f64::INFINITY, Kinds::ALL, best)
    }

    /// Seconds that a token takes, as a sum over the blocks.
    fn pace(&self) -> Pace {
        let accumulation = self.accumulation();
        let tokens = (accumulation * self.micro_tokens()) as f64;
        let weights = [1.0 / tokens, (accumulation - 1) as f64 / tokens];
        let mut pace = Pace { elsewhere: self.costs.walks[Walk::Update as usize].time.0 / tokens, block: [0.0; Kinds::COUNT] };
        for ((steps, pieces), weight) in self.steps.iter().zip(self.pieces.iter()).zip(weights) {
            let between = steps.iter().map(|step| if let Step::Between(piece) = step { piece.time.0 } else { 0.0 });
            pace.elsewhere += between.sum::<f64>() * weight;
            for ((block, forward), backward) in pace.block.iter_mut().zip(&pieces.forward).zip(&pieces.backward) {
                *block += (forward.time + backward.time).0 * weight;
            }
        }
        pace
    }

    fn accumulation(&self) -> u64 {
        self.recipe.full_batch().div_ceil(self.plain.micro_batch)
    }

    fn micro_tokens(&self) -> u64 {
        self.plain.micro_batch * self.recipe.model.sequence
    }

    /// Plans the blocks that recompute some of these kinds, those that were not yet.
    fn build(&mut self, kinds: Kinds) {
        let sets = (0..Kinds::COUNT).map(Kinds::number).filter(|set| set.is_within(kinds) && !self.built[set.index()]);
        let sets: Vec<Kinds> = sets.collect();
        if sets.is_empty() {
            return;
        }
        let groups = sets.iter().map(|kinds| Group { kinds: *kinds, times: 1 }).collect();
        let graphs = StepGraphs::folded(self.recipe, self.plain.micro_batch, groups);
        for (walk, pieces) in WALKS.into_iter().zip(self.pieces.iter_mut()) {
            for segment in segments(&graphs, walk, self.device, ambient(&graphs, self.device, walk)).all {
                if let Some(block) = segment.block {
                    let side = if segment.backward { &mut pieces.backward } else { &mut pieces.forward };
                    side[sets[block as usize].index()] = Piece::of(&segment);
                }
            }
        }
        for set in sets {
            self.built[set.index()] = true;
        }
    }

    fn point(&self, recompute: Recompute) -> Point {
        Point { recompute, per_token: self.per_token(&recompute), peak: self.peak(&recompute), ..self.plain }
    }

    /// The walk's pieces in order, those of blocks by `visit` with how often each stands there.
    fn walk(&self, w: usize, groups: &Groups, mut visit: impl FnMut(&Piece, u64)) {
        let pieces = &self.pieces;
        for step in &self.steps[w] {
            match step {
                Step::Between(piece) => visit(piece, 1),
                Step::Forward => groups.iter().for_each(|g| visit(&pieces[w].forward[g.kinds.index()], g.times)),
                Step::Backward => groups.iter().rev().for_each(|g| visit(&pieces[w].backward[g.kinds.index()], g.times)),
            }
        }
    }

    /// Times of the first and of a further micro-step.
    fn times(&self, recompute: &Recompute) -> [Seconds; WALKS.len()] {
        let groups = Groups::of(recompute, self.recipe.model.depth);
        array::from_fn(|w| {
            let mut time = Seconds::ZERO;
            self.walk(w, &groups, |piece, times| time += piece.time * times as f64);
            time
        })
    }

    fn per_token(&self, recompute: &Recompute) -> f64 {
        self.costs.per_token_with(self.times(recompute), self.accumulation(), self.micro_tokens())
    }

    /// A plan with the run that it makes; `recompute` is what the recipe asks for where it does.
    pub fn what_if(&mut self, recompute: Recompute) -> WhatIf {
        let walk = |walk: Walk| self.costs.walks[walk as usize].time;
        if recompute == self.plain.recompute {
            return WhatIf { point: self.plain, run: self.run(WALKS.map(walk)) };
        }
        self.build(Kinds::ALL);
        WhatIf { point: self.point(recompute), run: self.run(self.times(&recompute)) }
    }

    /// The run whose first and further micro-steps take so long.
    fn run(&self, [first, further]: [Seconds; WALKS.len()]) -> RunEstimate {
        let walk = |walk: Walk| &self.costs.walks[walk as usize];
        let tempo = Tempo {
            micro_batch: self.plain.micro_batch,
            accumulation: self.accumulation(),
            micro_tokens: self.micro_tokens(),
            micro_step_flops: walk(Walk::First).model(),
            walks: [first, further, walk(Walk::Update).time, walk(Walk::Evaluate).time],
            saving: disk(self.device).time(self.costs.checkpoint),
        };
        run::estimate(self.recipe, &tempo)
    }

    fn peak(&self, recompute: &Recompute) -> Bytes {
        let groups = Groups::of(recompute, self.recipe.model.depth);
        let mut highest = 0;
        let happen = if self.costs.accumulates { 2 } else { 1 };
        for (w, Segments { start, .. }) in self.costs.micro_steps.iter().enumerate().take(happen) {
            let mut live = start.total();
            self.walk(w, &groups, |piece, times| {
                let repetition = repetitions(piece.change, times);
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
    const MOST: usize = Kind::ALL.len() + 1;

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
