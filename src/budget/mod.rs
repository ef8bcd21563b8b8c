//! What a recipe costs on a device: memory over time, FLOPs, bytes moved, seconds, steps and tokens.
//!
//! Invariant: nothing here knows a span or burn.
//!
//! What is left out: the text held in memory, which is added when it is known.

mod compose;
pub mod fit;
mod fold;
mod phases;
pub mod pool;
pub mod reserved;
mod run;
mod search;
mod time;

pub use fit::{candidates, fit};
pub use fold::{Segment, Segments, WalkCost, segments, walk_cost};
pub use phases::{Event, Phase, READ_AT_ONCE, phases};
pub use reserved::Reserved;
pub use run::{Bounds, RunEstimate, Stage, Tempo, interval};
pub use time::{beside, error, palm_utilisation, utilisation, work};

use serde::{Deserialize, Serialize};

use crate::device::{Cache, Device, DeviceKind, Lanes};
use crate::recipe::settings::Recipe;
use crate::step::graph::StepGraph;
use crate::step::lifetime::{Bill, Lifetimes, timeline};
use crate::step::op::{self, Backend, Host, Packed, Panels};
use crate::step::parameter::ParameterCounts;
use crate::step::recompute::{Group, Recompute};
use crate::step::tensor::Part;
use crate::step::{StepGraphs, Walk};
use crate::units::{ByteRate, Bytes, Flops, Seconds};

/// Sustained rate of writing a checkpoint where it was not measured, assumed: an ordinary disk with the file system's syncs.
pub const ASSUMED_DISK: ByteRate = ByteRate(2.5e8);

/// Room for queues of the thread pool and the micro-batch that is being fed.
const QUEUES: Bytes = Bytes(256 << 10);

/// Room for what a run keeps for each operation of a micro-step on the CPU, in all walks together: lifetimes, the slot and burn's
/// handle of each tensor. Operations that are done again share it, so that all recomputations have the same room. A bound, assumed:
/// with the queues, 0.9 to 2.3 KB were seen by `tests/memory.rs`, at 79 to 367 operations.
const LISTS_PER_OPERATION: Bytes = Bytes(2 << 10);

/// Room for the lists that a run is made of.
fn lists(graphs: &StepGraphs) -> Bytes {
    QUEUES + LISTS_PER_OPERATION * fold::operations(graphs, Walk::First)
}

/// How operations are carried out on a device.
pub fn backend(device: &Device) -> Backend {
    match device.kind {
        DeviceKind::Cpu { threads } => {
            let Lanes { lanes, caches } = device.lanes.unwrap_or(Lanes::ASSUMED);
            let caches = caches.map(|Cache { bytes, ways, line }| op::Cache { bytes, ways, line });
            Backend::Host(Host { threads, panels: Panels { lanes, caches } })
        }
        DeviceKind::Cuda | DeviceKind::Rocm => Backend::Plain,
    }
}

/// The moment of the highest memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// All bytes.
    pub bytes: Bytes,
    /// Bytes by part, in the order of [`Part::ALL`].
    pub parts: Vec<(Part, Bytes)>,
    /// In which walk; none between the steps, where the state is saved.
    pub walk: Option<Walk>,
    /// Index of the operation in that walk.
    pub index: usize,
    /// The operation for people: `layer norm gradient in block 3`.
    pub operation: String,
}

impl Peak {
    /// The bytes of tensors and workspace, without the process around them.
    pub fn tensors(&self) -> Bytes {
        self.parts.iter().filter(|(part, _)| *part != Part::Process).map(|(_, bytes)| *bytes).sum()
    }
}

/// What one operation costs.
#[derive(Clone, Debug, PartialEq)]
pub struct OpCost {
    /// FLOPs of its matrix products.
    pub flops: Flops,
    /// Bytes moved.
    pub moved: Bytes,
    /// Time.
    pub time: Seconds,
    /// Live memory while it runs.
    pub live: Bytes,
}

/// The whole estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Sequences per micro-batch.
    pub micro_batch: u64,
    /// Micro-batches per step at the full batch.
    pub accumulation: u64,
    /// What is recomputed.
    pub recompute: Recompute,
    /// Tokens per micro-batch.
    pub micro_tokens: u64,
    /// Parameters.
    pub parameters: ParameterCounts,
    /// Peak memory.
    pub peak: Peak,
    /// The phases of the run, each with its highest memory; the highest of all is the peak.
    pub phases: Vec<Phase>,
    /// What the memory may be.
    pub limit: Bytes,
    /// Where the limit comes from.
    pub limit_source: String,
    /// Cost of each walk, in the order of [`Walk::ALL`].
    pub walks: Vec<WalkCost>,
    /// Size of a checkpoint.
    pub checkpoint: Bytes,
    /// How long it takes to write one.
    pub saving: Seconds,
    /// What a card takes for all of it; none on a CPU, and where it was not asked for.
    pub reserved: Option<Reserved>,
    /// The run from first to last step.
    pub run: RunEstimate,
}

impl Estimate {
    /// Whether it all lies within the limit.
    pub fn fits(&self) -> bool {
        self.peak.bytes <= self.limit && self.reserved.as_ref().is_none_or(|reserved| reserved.fits(self.limit))
    }

    /// What the device has to give: on a card what is reserved, where that is more than what lives.
    pub fn needed(&self) -> Bytes {
        self.reserved.as_ref().map_or(self.peak.bytes, |reserved| reserved.total().max(self.peak.bytes))
    }

    /// The cost of a walk.
    pub fn walk(&self, walk: Walk) -> &WalkCost {
        &self.walks[walk as usize]
    }

    /// Model FLOPs of a micro-step, forward and backward, without recomputation.
    pub fn micro_step_flops(&self) -> Flops {
        let first = self.walk(Walk::First);
        first.forward + first.backward
    }

    /// FLOPs of a micro-step as they are executed, recomputation included.
    pub fn executed_flops(&self) -> Flops {
        self.micro_step_flops() + self.walk(Walk::First).recompute
    }

    /// What the run follows from.
    pub fn tempo(&self) -> Tempo {
        Tempo {
            micro_batch: self.micro_batch,
            accumulation: self.accumulation,
            micro_tokens: self.micro_tokens,
            micro_step_flops: self.micro_step_flops(),
            walks: Walk::ALL.map(|walk| self.walk(walk).time),
            saving: self.saving,
        }
    }

    /// Time of a step with this many micro-batches.
    pub fn step_time(&self, accumulation: u64) -> Seconds {
        self.tempo().step_time(accumulation)
    }
}

/// The costs of a graph's operations, in order.
pub fn operations(graph: &StepGraph, device: &Device, ambient: Bill) -> Vec<OpCost> {
    let instants = timeline(graph, &Lifetimes::of(graph), backend(device), ambient);
    let costs = graph.nodes().zip(instants).map(|(node, instant)| {
        let (rule, types) = (node.op.rule(), graph.signature(node));
        OpCost {
            flops: rule.flops(types),
            moved: rule.moved(types, backend(device)),
            time: time::seconds(&node.op, types, device),
            live: instant.during.total(),
        }
    });
    costs.collect()
}

/// State that is in memory during a walk but is not part of its graph: moments, position table, gradients.
pub fn ambient(graphs: &StepGraphs, device: &Device, walk: Walk) -> Bill {
    let table = Bytes(graphs.extents.sequence * graphs.extents.width * 4);
    let mut bill = Bill::default();
    bill.add(Part::Process, device.overhead.value);
    if let Backend::Host(host) = backend(device) {
        bill.add(Part::Workspace, lists(graphs) + slabs(graphs, host));
    }
    match walk {
        Walk::Update => bill.add(Part::Weights, table),
        Walk::First | Walk::Further | Walk::Evaluate => bill.add(Part::Optimizer, Bytes(graphs.counts().total) * 8),
    }
    bill
}

/// The slabs that threads keep from their first matrix product on: those of the pool where a product of theirs uses one, and that of
/// the thread which walks where it does such a product alone.
fn slabs(graphs: &StepGraphs, host: Host) -> Bytes {
    // The first micro-step has the products of all walks, at their extents.
    let graph = graphs.walk(Walk::First);
    let nodes = graph.nodes().flat_map(|node| node.op.rule().host_products(graph.signature(node), host));
    let (mut pool, mut walking) = (false, false);
    for Packed { shared, .. } in nodes.filter(|product| product.slab) {
        pool |= shared;
        walking |= !shared;
    }
    host.panels.slab() * (u64::from(pool) * host.threads + u64::from(walking))
}

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

    fn of_folded(recipe: &Recipe, graphs: &StepGraphs, device: &Device, fixed: &Fixed) -> Self {
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
        let checkpoint = Bytes(graphs.counts().total.saturating_mul(12));
        Self { walks, peaks, peak, largest, checkpoint, micro_steps: [first, further], accumulates }
    }

    /// Highest memory outside the micro-steps.
    fn elsewhere(&self) -> Bytes {
        let outside = self.peaks.iter().filter(|peak| !matches!(peak.walk, Some(Walk::First | Walk::Further)));
        outside.map(|peak| peak.bytes).max().unwrap_or_default()
    }

    /// Seconds of a token in a step of so many micro-batches of so many tokens.
    pub fn per_token(&self, accumulation: u64, micro_tokens: u64) -> f64 {
        self.per_token_with([Walk::First, Walk::Further].map(|walk| self.walks[walk as usize].time), accumulation, micro_tokens)
    }

    /// As [`Costs::per_token`], with other times of the first and of a further micro-step.
    fn per_token_with(&self, [first, further]: [Seconds; 2], accumulation: u64, micro_tokens: u64) -> f64 {
        let update = self.walks[Walk::Update as usize].time;
        (first + further * (accumulation - 1) as f64 + update).0 / (accumulation * micro_tokens) as f64
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

/// Estimates a recipe on a device from its graphs, full or folded.
pub fn estimate(recipe: &Recipe, graphs: &StepGraphs, device: &Device, recompute: Recompute) -> Estimate {
    let costs = Costs::of_graphs(graphs, device, recipe.full_batch() > graphs.extents.batch);
    with_costs(recipe, graphs, device, recompute, costs)
}

fn with_costs(recipe: &Recipe, graphs: &StepGraphs, device: &Device, recompute: Recompute, costs: Costs) -> Estimate {
    let micro_batch = graphs.extents.batch;
    let phases = phases(&costs, graphs, device, recipe.full_batch() > micro_batch);
    let Costs { walks, peak, checkpoint, .. } = costs;
    let (limit, limit_source) = limit(recipe, device);
    let parameters = graphs.counts();
    let mut estimate = Estimate {
        micro_batch,
        accumulation: recipe.full_batch().div_ceil(micro_batch),
        recompute,
        micro_tokens: graphs.extents.rows(),
        parameters,
        peak,
        phases,
        limit,
        limit_source,
        walks,
        checkpoint,
        saving: disk(device).time(checkpoint),
        reserved: None,
        run: RunEstimate::default(),
    };
    estimate.run = run::estimate(recipe, &estimate.tempo());
    estimate
}

/// The estimate with these times of its walks instead of its own, and the run that they make: for a plan whose times were measured, and
/// which states them.
#[must_use]
pub fn with_times(recipe: &Recipe, mut estimate: Estimate, times: &[Seconds]) -> Estimate {
    for (walk, time) in estimate.walks.iter_mut().zip(times) {
        walk.time = *time;
    }
    estimate.run = run::estimate(recipe, &estimate.tempo());
    estimate
}

/// Rate at which a checkpoint is written.
pub fn disk(device: &Device) -> ByteRate {
    device.calibration.as_ref().and_then(|calibration| calibration.disk).unwrap_or(ASSUMED_DISK)
}

/// The estimate of a recipe at a micro-batch and a choice of what to recompute, from folded graphs.
pub fn estimate_at(recipe: &Recipe, device: &Device, micro_batch: u64, recompute: Recompute) -> Estimate {
    estimate_with(recipe, device, &Fixed::of(recipe, device), micro_batch, recompute)
}

/// As [`estimate_at`], where several plans of one recipe are estimated.
pub fn estimate_with(recipe: &Recipe, device: &Device, fixed: &Fixed, micro_batch: u64, recompute: Recompute) -> Estimate {
    let graphs = StepGraphs::folded(recipe, micro_batch, recompute.groups(recipe.model.depth));
    let costs = Costs::of_folded(recipe, &graphs, device, fixed);
    with_costs(recipe, &graphs, device, recompute, costs)
}

fn limit(recipe: &Recipe, device: &Device) -> (Bytes, String) {
    match recipe.budget.memory {
        Some(asked) if asked < device.memory.value => (asked, "`budget.memory`".to_owned()),
        _ => (device.memory.value, device.memory.source.clone()),
    }
}

/// Memory while the state is saved: the host writes one tensor after another, each by way of two copies.
pub fn saving(graphs: &StepGraphs, device: &Device) -> Bill {
    let mut bill = ambient(graphs, device, Walk::Evaluate);
    let e = &graphs.extents;
    bill.add(Part::Weights, Bytes(graphs.counts().total) * 4 + Bytes(e.sequence * e.width * 4));
    if let Backend::Host(_) = backend(device) {
        bill.add(Part::Workspace, graphs.largest() * 2);
    }
    bill
}

fn saving_peak(graphs: &StepGraphs, device: &Device) -> Peak {
    peak_of(saving(graphs, device), None, 0, "saving a checkpoint".to_owned())
}

fn peak_of(bill: Bill, walk: Option<Walk>, index: usize, operation: String) -> Peak {
    let parts = Part::ALL.into_iter().map(|part| (part, bill.part(part))).collect();
    Peak { bytes: bill.total(), parts, walk, index, operation }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::settings::Prediction;
    use crate::recipe::testing;
    use crate::units::Ratio;

    fn test_device() -> Device {
        let facts = crate::device::HostFacts {
            model: "test".into(),
            threads: 2,
            clock: None,
            avx512: false,
            halved: false,
            avx2: true,
            memory: crate::device::Sourced::new(Bytes::gib(8), "test"),
            caches: None,
        };
        crate::device::cpu(&facts)
    }

    /// FLOPs of crammed-BERT as PyTorch's flop counter gives them for the official model: (micro-batch, sequence, whether the decoder sees
    /// all positions or 15 %, forward, forward and backward).
    const OFFICIAL: [(u64, u64, bool, u128, u128); 6] = [
        (1, 128, false, 25_920_798_720, 77_762_396_160),
        (1, 128, true, 31_406_948_352, 94_220_845_056),
        (8, 128, false, 207_467_053_056, 622_401_159_168),
        (8, 128, true, 251_255_586_816, 753_766_760_448),
        (2, 512, false, 226_794_405_888, 680_383_217_664),
        (2, 512, true, 270_582_939_648, 811_748_818_944),
    ];

    #[test]
    fn flops_of_crammed_bert_equal_those_of_the_official_code() {
        let mut recipe = testing::parse(include_str!("../../recipes/crammed-bert.ron"));
        for (batch, sequence, dense, forward, both) in OFFICIAL {
            recipe.model.sequence = sequence;
            recipe.objective.prediction =
                if dense { Prediction::Dense {} } else { Prediction::Sparse { share: Some(Ratio(0.15)) } };
            let estimate = estimate_at(&recipe, &test_device(), batch, Recompute::NOTHING);
            assert_eq!(estimate.walk(Walk::First).forward, Flops(forward));
            assert_eq!(estimate.micro_step_flops(), Flops(both));
        }
    }

    #[test]
    fn parameters_of_crammed_bert_equal_those_of_the_official_code() {
        let recipe = testing::parse(include_str!("../../recipes/crammed-bert.ron"));
        let counts = StepGraphs::build(&recipe, 1, Recompute::NOTHING).counts();
        assert_eq!((counts.total, counts.non_embedding, counts.decayed), (119_589_889, 94_424_064, 119_537_665));
    }

    #[test]
    fn a_larger_micro_batch_never_needs_less_memory() {
        let recipe = testing::recipe();
        let peaks: Vec<Bytes> =
            [1, 2, 3, 4, 8, 16].map(|b| estimate_at(&recipe, &test_device(), b, Recompute::NOTHING).peak.bytes).to_vec();
        assert!(peaks.is_sorted());
    }

    #[test]
    fn a_budget_in_steps_is_planned_exactly() {
        let recipe = testing::recipe();
        let estimate = estimate_at(&recipe, &test_device(), 4, Recompute::NOTHING);
        assert_eq!((estimate.run.steps, estimate.run.tokens.0), (20, 20 * 8 * 16));
    }
}
