//! The cost of a walk from a graph in which equal blocks stand once: a block is planned once and repeated.
//!
//! The operations of a walk fall into segments: those of a block, and those between. What a segment does to memory, seen from its
//! beginning, is the same in each of the blocks that it stands for: so its peak lies in the first or in the last of them. Tests
//! hold the result against the graph in full, to the byte.

use serde::{Deserialize, Serialize};

use super::{Peak, backend, time};
use crate::device::Device;
use crate::step::graph::{Node, Pass, Place, StepGraph};
use crate::step::lifetime::{Bill, Lifetimes, sources, timeline};
use crate::step::op::{Backend, Signature};
use crate::step::tensor::{Part, Role, TensorId, TensorType};
use crate::step::{StepGraphs, Walk};
use crate::units::{Bytes, Flops, Seconds};

/// What one walk costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WalkCost {
    /// Which walk.
    pub walk: Walk,
    /// FLOPs of the forward pass.
    pub forward: Flops,
    /// FLOPs of what is recomputed for the backward pass.
    pub recompute: Flops,
    /// FLOPs of the backward pass.
    pub backward: Flops,
    /// Time.
    pub time: Seconds,
    /// Highest memory in it.
    pub peak: Bytes,
    /// How many operations.
    pub operations: usize,
}

impl WalkCost {
    /// Model FLOPs: forward and backward, without what is recomputed.
    pub fn model(&self) -> Flops {
        self.forward + self.backward
    }
}

/// Bytes by part, in the order of [`Part::ALL`], with sign: a change. Wide enough for sums of what a [`Bytes`] can say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change([i128; Part::ALL.len()]);

impl Change {
    fn between(from: &Bill, to: &Bill) -> Self {
        Self(Part::ALL.map(|part| i128::from(to.part(part).0) - i128::from(from.part(part).0)))
    }

    fn and(self, other: Self) -> Self {
        let mut sum = self;
        for (a, b) in sum.0.iter_mut().zip(other.0) {
            *a += b;
        }
        sum
    }

    fn plus(self, other: Self, times: u64) -> Self {
        let mut sum = self;
        for (a, b) in sum.0.iter_mut().zip(other.0) {
            *a += b * i128::from(times);
        }
        sum
    }

    /// All parts together.
    pub fn total(self) -> i128 {
        self.0.iter().sum()
    }

    fn bill(self) -> Bill {
        let mut bill = Bill::default();
        for (part, bytes) in Part::ALL.into_iter().zip(self.0) {
            bill.add(part, Bytes(u64::try_from(bytes.max(0)).unwrap_or(u64::MAX)));
        }
        bill
    }
}

/// Operations that follow each other in one block, or between blocks.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// The block as it stands in the graph; none between blocks.
    pub block: Option<u64>,
    /// Whether it belongs to the backward pass.
    pub backward: bool,
    /// For how many blocks it stands.
    pub times: u64,
    /// What one of them does to memory.
    pub change: Change,
    /// The highest memory in it, seen from its beginning, and the index in the segment of the operation that runs then.
    pub highest: (Change, usize),
    /// How long one of them takes.
    pub time: Seconds,
    /// Operations before it in the folded graph, and in it.
    pub nodes: (usize, usize),
    /// FLOPs forward, recomputed and backward.
    pub flops: [Flops; 3],
}

impl Segment {
    fn add(&mut self, pass: Pass, (during, after): (Change, Change)) {
        let highest = self.change.and(during);
        if self.nodes.1 == 0 || highest.total() > self.highest.0.total() {
            self.highest = (highest, self.nodes.1);
        }
        self.change = self.change.and(after);
        self.nodes.1 += 1;
        self.backward |= matches!(pass, Pass::Backward | Pass::Recompute);
    }

    fn empty(block: Option<u64>, times: u64, first: usize) -> Self {
        Self {
            block,
            backward: false,
            times,
            change: Change::default(),
            highest: (Change::default(), 0),
            time: Seconds::ZERO,
            nodes: (first, 0),
            flops: [Flops::ZERO; 3],
        }
    }
}

/// A walk as its segments, and the memory that it starts with.
#[derive(Clone, Debug)]
pub struct Segments {
    /// Memory before the first operation.
    pub start: Change,
    /// The segments in order.
    pub all: Vec<Segment>,
}

/// The segments of a walk that starts with `ambient` bytes outside the graph.
pub fn segments(graphs: &StepGraphs, walk: Walk, device: &Device, ambient: Bill) -> Segments {
    let graph = graphs.walk(walk);
    let backend = backend(device);
    let instants = timeline(graph, &Lifetimes::of(graph), backend, Bill::default());
    let mut all: Vec<Segment> = Vec::with_capacity(2 * graphs.groups.len() + 4);
    let mut before = sources(graph, backend);
    let (a_walk, an_operation) = time::beside(walk, graphs.extents.rows(), device);
    for (i, (node, instant)) in graph.nodes().zip(&instants).enumerate() {
        let block = block_of(graphs, graph, node);
        if all.last().is_none_or(|last| last.block != block) {
            all.push(Segment::empty(block, block.map_or(1, |b| graphs.times(b)), i));
        }
        let Some(segment) = all.last_mut() else { continue };
        let mut types = graph.signature(node);
        let mut change = (Change::between(&before, &instant.during), Change::between(&before, &instant.after));
        // The norm of the whole gradient takes one operand of each parameter: here of all blocks.
        let all_copies = meets_all(graph, node).then(|| copies(graphs, graph, node));
        if let Some(inputs) = &all_copies {
            types = Signature { inputs, ..types };
            change = of_all(node, types, backend);
        }
        segment.add(node.pass, change);
        segment.time += time::seconds(&node.op, types, device) + an_operation;
        segment.flops[pass_index(node.pass)] += node.op.rule().flops(types);
        before = instant.after;
    }
    // Every walk begins and ends outside the blocks.
    if let Some(last) = all.last_mut() {
        last.time += a_walk;
    }
    Segments { start: start(graphs, graph, backend, ambient), all }
}

/// The block that an operation belongs to; in the update, that of its parameter.
fn block_of(graphs: &StepGraphs, graph: &StepGraph, node: &Node) -> Option<u64> {
    let parameter = match node.place {
        Place::Block(i) => return Some(i),
        Place::Parameter(id) => id,
        Place::GlobalNorm => match node.inputs[..] {
            [input] => match graph.get(input).role {
                Role::Gradient(id) => id,
                _ => return None,
            },
            _ => return None,
        },
        Place::Embedding | Place::Head => return None,
    };
    graphs.parameters.get(parameter).block
}

/// Memory before the walk: what is ambient, and the tensors that no operation makes, for every block.
fn start(graphs: &StepGraphs, graph: &StepGraph, backend: Backend, ambient: Bill) -> Change {
    let mut start = Change::between(&Bill::default(), &ambient);
    for (_, tensor) in graph.tensors().filter(|(id, _)| graph.is_source(*id)) {
        let block = tensor.role.parameter().and_then(|id| graphs.parameters.get(id).block);
        let times = block.map_or(1, |block| graphs.times(block));
        start.0[tensor.role.part() as usize] += i128::from(backend.holds(&tensor.ty).0) * i128::from(times);
    }
    start
}

/// Where the FLOPs of a pass are counted.
fn pass_index(pass: Pass) -> usize {
    match pass {
        Pass::Forward | Pass::Update => 0,
        Pass::Recompute => 1,
        Pass::Backward => 2,
    }
}

/// How many operations a walk has, those of all blocks counted and those that are done again left out: the same number, whatever is
/// recomputed.
pub fn operations(graphs: &StepGraphs, walk: Walk) -> u64 {
    let graph = graphs.walk(walk);
    let once = graph.nodes().filter(|node| node.pass != Pass::Recompute);
    once.map(|node| block_of(graphs, graph, node).map_or(1, |block| graphs.times(block))).sum()
}

/// Whether an operation takes one operand of each parameter.
fn meets_all(graph: &StepGraph, node: &Node) -> bool {
    node.place == Place::GlobalNorm && node.inputs.iter().all(|id| !graph.is_source(*id))
}

/// Types of the operands of all blocks.
fn copies(graphs: &StepGraphs, graph: &StepGraph, node: &Node) -> Vec<TensorType> {
    let times = |id: &TensorId| graph.producer(*id).and_then(|made| block_of(graphs, graph, made)).map_or(1, |b| graphs.times(b));
    node.inputs.iter().flat_map(|id| std::iter::repeat_n(*graph.ty(*id), times(id) as usize)).collect()
}

/// What an operation does to memory, during and after it, that takes one operand of each parameter: its workspace, its results, and nobody
/// needs the operands afterwards.
fn of_all(node: &Node, types: Signature<'_>, backend: Backend) -> (Change, Change) {
    let sum = |types: &[TensorType]| types.iter().map(|ty| i128::from(ty.bytes().0)).sum::<i128>();
    let mut during = Change::default();
    during.0[Part::Activations as usize] = sum(types.outputs);
    let mut after = during;
    during.0[Part::Workspace as usize] = i128::from(node.op.rule().workspace(types, backend).0);
    after.0[Part::Activations as usize] -= sum(types.inputs);
    (during, after)
}

/// How often a block of a group is repeated before the one with the highest memory: where each block adds to what is live that is the last of
/// them, else the first.
pub fn repetitions(change: i128, times: u64) -> u64 {
    if change > 0 { times.saturating_sub(1) } else { 0 }
}

/// What a walk costs, and its peak.
pub fn walk_cost(graphs: &StepGraphs, walk: Walk, Segments { start, all }: &Segments) -> (WalkCost, Peak) {
    let mut live = *start;
    let mut operations = 0;
    let mut highest: Option<(Change, usize, &Segment, u64)> = None;
    let (mut flops, mut time) = ([Flops::ZERO; 3], Seconds::ZERO);
    for segment in all {
        let repetition = repetitions(segment.change.total(), segment.times);
        let here = live.plus(segment.change, repetition).plus(segment.highest.0, 1);
        if segment.times > 0 && highest.as_ref().is_none_or(|(bill, ..)| here.total() > bill.total()) {
            highest = Some((here, operations + repetition as usize * segment.nodes.1 + segment.highest.1, segment, repetition));
        }
        live = live.plus(segment.change, segment.times);
        operations += segment.nodes.1 * segment.times as usize;
        time += segment.time * segment.times as f64;
        for (sum, part) in flops.iter_mut().zip(segment.flops) {
            *sum += part * segment.times;
        }
    }
    let (bill, index, name) = highest.map_or((*start, 0, String::new()), |(bill, index, segment, repetition)| {
        (bill, index, name(graphs, walk, segment, repetition))
    });
    let peak = super::peak_of(bill.bill(), Some(walk), index, name);
    let [forward, recompute, backward] = flops;
    (WalkCost { walk, forward, recompute, backward, time, peak: peak.bytes, operations }, peak)
}

/// The operation at a segment's highest memory, for people, with the number of its block in the whole model.
fn name(graphs: &StepGraphs, walk: Walk, segment: &Segment, repetition: u64) -> String {
    let Some(node) = graphs.walk(walk).nodes().nth(segment.nodes.0 + segment.highest.1) else { return String::new() };
    let operation = node.op.rule().name();
    let before = |block: u64| graphs.groups.iter().take(block as usize).map(|group| group.times).sum::<u64>();
    match (node.place, segment.block) {
        (Place::Block(_), Some(block)) => {
            let inside = if segment.backward { segment.times - 1 - repetition } else { repetition };
            format!("{operation} in {}", Place::Block(before(block) + inside))
        }
        (Place::Parameter(id), Some(block)) => {
            format!("{operation} of {}", graphs.parameters.get(id).name_in(before(block) + repetition))
        }
        (Place::Parameter(id), None) => format!("{operation} of {}", graphs.parameters.get(id).name()),
        (place, _) => format!("{operation} in {place}"),
    }
}
