//! What a recipe costs on a device: memory over time, FLOPs, bytes moved, seconds, steps and tokens.
//!
//! Invariant: nothing here knows a span or burn.
//!
//! What is left out: the text held in memory, which is added when it is known, and how efficiency varies with shape.

mod fit;
mod run;
mod time;

pub use fit::{best_micro_batch, candidates};
pub use run::{RunEstimate, Stage};

use serde::{Deserialize, Serialize};

use crate::device::{Device, DeviceKind};
use crate::recipe::settings::Recipe;
use crate::step::graph::{Node, Pass, StepGraph};
use crate::step::lifetime::{Bill, Lifetimes, timeline};
use crate::step::op::Backend;
use crate::step::parameter::ParameterCounts;
use crate::step::tensor::Part;
use crate::step::{StepGraphs, Walk};
use crate::units::{Bytes, Flops, Seconds};

/// Sustained rate of writing a checkpoint, assumed: an ordinary disk with the file system's syncs.
pub const DISK_BYTES_PER_SECOND: f64 = 2.5e8;

/// What each thread keeps from its first matrix product on: `gemm`'s slab of 512 by 512 elements, and room for the lists
/// that a step is made of.
const KEPT_PER_THREAD: Bytes = Bytes(5 << 18);

/// How operations are carried out on a device.
pub fn backend(device: &Device) -> Backend {
    match device.kind {
        DeviceKind::Cpu { threads } => Backend::Host { threads },
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

/// What one walk costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WalkCost {
    /// Which walk.
    pub walk: Walk,
    /// FLOPs of the forward pass.
    pub forward: Flops,
    /// FLOPs of the backward pass.
    pub backward: Flops,
    /// Time.
    pub time: Seconds,
    /// Highest memory in it.
    pub peak: Bytes,
    /// How many operations.
    pub operations: usize,
}

/// The whole estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Sequences per micro-batch.
    pub micro_batch: u64,
    /// Micro-batches per step at the full batch.
    pub accumulation: u64,
    /// Tokens per micro-batch.
    pub micro_tokens: u64,
    /// Parameters.
    pub parameters: ParameterCounts,
    /// Peak memory.
    pub peak: Peak,
    /// What the memory may be.
    pub limit: Bytes,
    /// Where the limit comes from.
    pub limit_source: String,
    /// Cost of each walk, in the order of [`Walk::ALL`].
    pub walks: Vec<WalkCost>,
    /// Size of a checkpoint.
    pub checkpoint: Bytes,
    /// The run from first to last step.
    pub run: RunEstimate,
}

impl Estimate {
    /// Whether the peak lies within the limit.
    pub fn fits(&self) -> bool {
        self.peak.bytes <= self.limit
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
}

/// The costs of a graph's operations, in order.
pub fn operations(graph: &StepGraph, device: &Device, ambient: Bill) -> Vec<OpCost> {
    let instants = timeline(graph, &Lifetimes::of(graph), backend(device), ambient);
    let costs = graph.nodes().zip(instants).map(|(node, instant)| {
        graph.with_signature(node, |types| OpCost {
            flops: node.op.rule().flops(types),
            moved: node.op.rule().moved(types, backend(device)),
            time: time::seconds(&node.op, types, device),
            live: instant.during.total(),
        })
    });
    costs.collect()
}

/// State that is in memory during a walk but is not part of its graph: moments, position table, gradients.
pub fn ambient(graphs: &StepGraphs, device: &Device, walk: Walk) -> Bill {
    let weights: Bytes = graphs.parameters.iter().map(|(_, p)| Bytes(p.elements() * 4)).sum();
    let table = Bytes(graphs.extents.sequence * graphs.extents.width * 4);
    let mut bill = Bill::default();
    bill.add(Part::Process, device.overhead.value);
    if let Backend::Host { threads } = backend(device) {
        bill.add(Part::Workspace, KEPT_PER_THREAD * threads);
    }
    match walk {
        Walk::Update => bill.add(Part::Weights, table),
        Walk::First | Walk::Further | Walk::Evaluate => bill.add(Part::Optimizer, weights * 2),
    }
    bill
}

/// Estimates a recipe on a device at a given micro-batch.
pub fn estimate(recipe: &Recipe, graphs: &StepGraphs, device: &Device) -> Estimate {
    let (walks, peak) = walks(graphs, device);
    let (limit, limit_source) = limit(recipe, device);
    let parameters = graphs.parameters.counts();
    let checkpoint = Bytes(parameters.total.saturating_mul(12));
    let micro_batch = graphs.extents.batch;
    let accumulation = recipe.full_batch().div_ceil(micro_batch);
    let mut estimate = Estimate {
        micro_batch,
        accumulation,
        micro_tokens: graphs.extents.rows(),
        parameters,
        peak,
        limit,
        limit_source,
        walks,
        checkpoint,
        run: RunEstimate::default(),
    };
    estimate.run = run::estimate(recipe, &estimate);
    estimate
}

/// How long it takes to write a checkpoint.
pub fn checkpoint_time(bytes: Bytes) -> Seconds {
    Seconds(bytes.as_f64() / DISK_BYTES_PER_SECOND)
}

fn limit(recipe: &Recipe, device: &Device) -> (Bytes, String) {
    match recipe.budget.memory {
        Some(asked) if asked < device.memory.value => (asked, "`budget.memory`".to_owned()),
        _ => (device.memory.value, device.memory.source.clone()),
    }
}

fn walks(graphs: &StepGraphs, device: &Device) -> (Vec<WalkCost>, Peak) {
    let mut costs = Vec::new();
    let mut highest = saving(graphs, device);
    for walk in Walk::ALL {
        let (cost, peak) = walk_cost(graphs.walk(walk), walk, device, ambient(graphs, device, walk));
        if peak.bytes >= highest.bytes {
            highest = peak;
        }
        costs.push(cost);
    }
    (costs, highest)
}

/// Memory while the state is saved: the host writes one tensor after another, each by way of two copies.
fn saving(graphs: &StepGraphs, device: &Device) -> Peak {
    let mut bill = ambient(graphs, device, Walk::Evaluate);
    let e = &graphs.extents;
    let sizes: Vec<Bytes> = graphs.parameters.iter().map(|(_, p)| Bytes(p.elements().saturating_mul(4))).collect();
    bill.add(Part::Weights, sizes.iter().copied().sum::<Bytes>() + Bytes(e.sequence * e.width * 4));
    if let Backend::Host { .. } = backend(device) {
        bill.add(Part::Workspace, sizes.into_iter().max().unwrap_or_default() * 2);
    }
    peak_of(bill, None, 0, "saving a checkpoint".to_owned())
}

fn peak_of(bill: Bill, walk: Option<Walk>, index: usize, operation: String) -> Peak {
    let parts = Part::ALL.into_iter().map(|part| (part, bill.part(part))).collect();
    Peak { bytes: bill.total(), parts, walk, index, operation }
}

fn walk_cost(graph: &StepGraph, walk: Walk, device: &Device, ambient: Bill) -> (WalkCost, Peak) {
    let instants = timeline(graph, &Lifetimes::of(graph), backend(device), ambient);
    let mut cost =
        WalkCost { walk, forward: Flops::ZERO, backward: Flops::ZERO, time: Seconds::ZERO, peak: Bytes::ZERO, operations: 0 };
    let (mut highest, mut at): (Bill, Option<(usize, &Node)>) = (Bill::default(), None);
    for (index, (node, instant)) in graph.nodes().zip(&instants).enumerate() {
        let (flops, time) =
            graph.with_signature(node, |types| (node.op.rule().flops(types), time::seconds(&node.op, types, device)));
        match node.pass {
            Pass::Forward => cost.forward += flops,
            Pass::Backward => cost.backward += flops,
            Pass::Update => {}
        }
        cost.time += time;
        cost.operations += 1;
        if instant.during.total() > highest.total() {
            (highest, at) = (instant.during, Some((index, node)));
        }
    }
    cost.peak = highest.total();
    let (index, name) = at.map_or((0, String::new()), |(i, node)| (i, format!("{} in {}", node.op.rule().name(), node.place)));
    (cost, peak_of(highest, Some(walk), index, name))
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
        };
        crate::device::cpu(&facts)
    }

    /// FLOPs of crammed-BERT at 8 × 128 as PyTorch's flop counter gives them for the official model.
    #[test]
    fn flops_of_crammed_bert_equal_those_of_the_official_code() {
        let mut recipe = testing::parse(include_str!("../../recipes/crammed-bert.ron"));
        for (prediction, forward, both) in [
            (Prediction::Dense {}, 251_255_586_816, 753_766_760_448),
            (Prediction::Sparse { share: Some(Ratio(0.15)) }, 207_467_053_056, 622_401_159_168),
        ] {
            recipe.objective.prediction = prediction;
            let estimate = estimate(&recipe, &StepGraphs::build(&recipe, 8), &test_device());
            assert_eq!(estimate.walk(Walk::First).forward, Flops(forward));
            assert_eq!(estimate.micro_step_flops(), Flops(both));
        }
    }

    #[test]
    fn parameters_of_crammed_bert_equal_those_of_the_official_code() {
        let recipe = testing::parse(include_str!("../../recipes/crammed-bert.ron"));
        let counts = StepGraphs::build(&recipe, 1).parameters.counts();
        assert_eq!((counts.total, counts.non_embedding, counts.decayed), (119_589_889, 94_424_064, 119_537_665));
    }

    #[test]
    fn a_larger_micro_batch_never_needs_less_memory() {
        let recipe = testing::recipe();
        let peaks: Vec<Bytes> =
            [1, 2, 3, 4, 8, 16].map(|b| estimate(&recipe, &StepGraphs::build(&recipe, b), &test_device()).peak.bytes).to_vec();
        assert!(peaks.is_sorted());
    }

    #[test]
    fn a_budget_in_steps_is_planned_exactly() {
        let recipe = testing::recipe();
        let estimate = estimate(&recipe, &StepGraphs::build(&recipe, 4), &test_device());
        assert_eq!((estimate.run.steps, estimate.run.tokens.0), (20, 20 * 8 * 16));
    }
}
