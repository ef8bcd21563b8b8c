//! What the walks of a step cost at a micro-batch and a choice of what to recompute.

use super::{Peak, Segments, WalkCost, ambient, beside, run, saving_peak, segments, walk_cost};
use crate::device::Device;
use crate::recipe::settings::Recipe;
use crate::step::lifetime::Bill;
use crate::step::recompute::{Group, Recompute};
use crate::step::{StepGraphs, Walk};
use crate::units::{Bytes, Seconds};

/// What the walks of a step cost, and the highest memory.
#[derive(Clone, Debug)]
pub struct Costs {
    /// In the order of [`Walk::ALL`].
    pub walks: Vec<WalkCost>,
    /// The highest memory in each walk, in the order of [`Walk::ALL`], and while the state is saved.
    pub peaks: Vec<Peak>,
    /// The highest of all that happens in the run.
    pub peak: Peak,
    /// The largest tensor of a micro-step.
    pub largest: Bytes,
    /// Size of a checkpoint.
    pub checkpoint: Bytes,
    /// The first micro-step and a further one, as their segments.
    pub micro_steps: [Segments; 2],
    /// Whether the full batch takes more than one micro-step, so that there are further ones.
    pub accumulates: bool,
}

impl Costs {
    /// The costs of a recipe at a micro-batch and a choice of what to recompute, from folded graphs.
    pub fn of(recipe: &Recipe, device: &Device, fixed: &Fixed, micro_batch: u64, recompute: Recompute) -> Self {
        let graphs = StepGraphs::folded(recipe, micro_batch, recompute.groups(recipe.model.depth));
        Self::of_folded(recipe, &graphs, device, fixed)
    }

    pub(super) fn of_folded(recipe: &Recipe, graphs: &StepGraphs, device: &Device, fixed: &Fixed) -> Self {
        // All blocks are alike where nothing is recomputed; what stands around them is that of the step as it is.
        let alike = StepGraphs::folded(recipe, graphs.extents.batch, one_group(recipe));
        let other = |walk| cost_in(&alike, walk, device, ambient(graphs, device, walk)).1;
        let (update, saving) = if fixed.holds_for(graphs, device) {
            (fixed.update.clone(), fixed.saving.clone())
        } else {
            (other(Walk::Update), saving_peak(graphs, device))
        };
        let accumulates = recipe.full_batch() > graphs.extents.batch;
        Self::together(graphs, device, accumulates, [update, other(Walk::Evaluate)], saving)
    }

    /// The costs of a step from its graphs, full or folded; `accumulates` where a step can have several micro-steps.
    pub fn of_graphs(graphs: &StepGraphs, device: &Device, accumulates: bool) -> Self {
        let others = [Walk::Update, Walk::Evaluate].map(|walk| cost(graphs, walk, device).1);
        Self::together(graphs, device, accumulates, others, saving_peak(graphs, device))
    }

    fn together(
        graphs: &StepGraphs,
        device: &Device,
        accumulates: bool,
        [update, evaluate]: [(WalkCost, Peak); 2],
        saving: Peak,
    ) -> Self {
        let [(first, first_cost), (further, further_cost)] = [Walk::First, Walk::Further].map(|walk| cost(graphs, walk, device));
        let (walks, mut peaks): (Vec<WalkCost>, Vec<Peak>) = [first_cost, further_cost, update, evaluate].into_iter().unzip();
        let happens = |peak: &&Peak| accumulates || peak.walk != Some(Walk::Further);
        let peak = peaks.iter().filter(happens).fold(&saving, |a, b| if b.bytes >= a.bytes { b } else { a }).clone();
        peaks.push(saving);
        let largest = graphs.walk(Walk::First).tensors().map(|(_, tensor)| tensor.ty.bytes()).max().unwrap_or_default();
        let checkpoint = graphs.checkpoint();
        Self { walks, peaks, peak, largest, checkpoint, micro_steps: [first, further], accumulates }
    }

    /// Highest memory outside the micro-steps.
    pub(super) fn elsewhere(&self) -> Bytes {
        let outside = self.peaks.iter().filter(|peak| !matches!(peak.walk, Some(Walk::First | Walk::Further)));
        outside.map(|peak| peak.bytes).max().unwrap_or_default()
    }

    /// Seconds of a token in a step of so many micro-batches of so many tokens.
    pub fn per_token(&self, accumulation: u64, micro_tokens: u64) -> f64 {
        self.per_token_with([Walk::First, Walk::Further].map(|walk| self.walks[walk as usize].time), accumulation, micro_tokens)
    }

    /// As [`Costs::per_token`], with other times of the first and of a further micro-step.
    pub(super) fn per_token_with(&self, [first, further]: [Seconds; 2], accumulation: u64, micro_tokens: u64) -> f64 {
        let update = self.walks[Walk::Update as usize].time;
        run::step_time([first, further, update], accumulation).0 / (accumulation * micro_tokens) as f64
    }
}

/// What a recipe costs beside its micro-steps: on a card the same for every micro-batch and whatever is recomputed. On the CPU threads keep
/// what their products took, which depends on both.
#[derive(Clone, Debug)]
pub struct Fixed {
    update: (WalkCost, Peak),
    saving: Peak,
    /// Seconds of the update beside its operations.
    beside: Seconds,
    /// What stands around the update.
    ambient: Bill,
}

impl Fixed {
    /// Of a recipe on a device.
    pub fn of(recipe: &Recipe, device: &Device) -> Self {
        let graphs = StepGraphs::folded(recipe, 1, one_group(recipe));
        let update = cost(&graphs, Walk::Update, device).1;
        let (saving, ambient) = (saving_peak(&graphs, device), ambient(&graphs, device, Walk::Update));
        Self { update, saving, beside: Self::beside(&graphs, device), ambient }
    }

    fn beside(graphs: &StepGraphs, device: &Device) -> Seconds {
        beside(Walk::Update, graphs.extents.rows(), device).0
    }

    /// Whether the update costs the same with these graphs: its time where it was measured, and what stands around it, may depend on them.
    fn holds_for(&self, graphs: &StepGraphs, device: &Device) -> bool {
        Self::beside(graphs, device) == self.beside && ambient(graphs, device, Walk::Update) == self.ambient
    }
}

/// All blocks as one group that recomputes nothing.
fn one_group(recipe: &Recipe) -> Vec<Group> {
    Recompute::NOTHING.groups(recipe.model.depth)
}

/// A walk as its segments, its cost and its peak.
fn cost(graphs: &StepGraphs, walk: Walk, device: &Device) -> (Segments, (WalkCost, Peak)) {
    cost_in(graphs, walk, device, ambient(graphs, device, walk))
}

/// The same with this around the graph.
fn cost_in(graphs: &StepGraphs, walk: Walk, device: &Device, ambient: Bill) -> (Segments, (WalkCost, Peak)) {
    let segments = segments(graphs, walk, device, ambient);
    let cost = walk_cost(graphs, walk, &segments);
    (segments, cost)
}
