//! What a recipe costs on a device: memory over time, FLOPs, bytes moved, seconds, steps and tokens.
//!
//! Invariant: nothing here knows a span or burn.
//!
//! What is left out: the text held in memory, which is added when it is known.

mod compose;
mod costs;
pub mod fit;
mod fold;
mod phases;
pub mod pool;
pub mod reserved;
mod run;
mod search;
mod time;

pub use costs::{Costs, Fixed};
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
use crate::step::recompute::Recompute;
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
        self.walk(Walk::First).model()
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
    let mut bill = Bill::default();
    bill.add(Part::Process, device.overhead.value);
    if let Backend::Host(host) = backend(device) {
        bill.add(Part::Workspace, lists(graphs) + slabs(graphs, host));
    }
    match walk {
        Walk::Update => bill.add(Part::Weights, graphs.table_bytes()),
        Walk::First | Walk::Further | Walk::Evaluate => bill.add(Part::Optimizer, graphs.moment_bytes()),
    }
    bill
}

/// The slabs that threads keep from their first matrix product on: those of the pool where a product of theirs uses one, and that of
/// the thread which walks where it does such a product alone.
fn slabs(graphs: &StepGraphs, host: Host) -> Bytes {
    // The first micro-step has the products of all walks but the update, at their extents.
    let of = |graph: &StepGraph| -> Vec<Packed> {
        graph.nodes().flat_map(|node| node.op.rule().host_products(graph.signature(node), host)).collect()
    };
    let nodes = graphs.multiplying().flat_map(of);
    let (mut pool, mut walking) = (false, false);
    for Packed { shared, .. } in nodes.filter(|product| product.slab) {
        pool |= shared;
        walking |= !shared;
    }
    host.panels.slab() * (u64::from(pool) * host.threads + u64::from(walking))
}

/// Estimates a recipe on a device from its graphs, full or folded.
pub fn estimate(recipe: &Recipe, graphs: &StepGraphs, device: &Device, recompute: Recompute) -> Estimate {
    let costs = Costs::of_graphs(graphs, device, recipe.full_batch() > graphs.extents.batch);
    with_costs(recipe, graphs, device, recompute, costs)
}

fn with_costs(recipe: &Recipe, graphs: &StepGraphs, device: &Device, recompute: Recompute, costs: Costs) -> Estimate {
    let micro_batch = graphs.extents.batch;
    let phases = phases(&costs, graphs, device);
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
    bill.add(Part::Weights, Bytes(graphs.counts().total) * 4 + graphs.table_bytes());
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
