//! When each tensor dies, and which output is written into whose buffer.

use smallvec::SmallVec;

use super::graph::{Node, Operands, StepGraph};
use super::op::{Backend, Host};
use super::tensor::{Part, TensorId};
use crate::units::Bytes;

/// Pairs (input, output) of operand indices where the output takes over the input's buffer.
pub type Reuse = SmallVec<[(usize, usize); 3]>;

/// The lifetimes of a graph's tensors under its order of execution.
///
/// Invariant: a tensor dies at exactly one operation, or is among the results, or is a source that nothing uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Per operation: the tensors whose memory is free after it, those overwritten in place among them.
    pub deaths: Vec<Operands>,
    /// Per operation: what is overwritten in place.
    pub reuse: Vec<Reuse>,
}

impl Lifetimes {
    /// Lifetimes by last use.
    pub fn of(graph: &StepGraph) -> Self {
        let count = graph.nodes().len();
        let mut last_use: Vec<Option<usize>> = vec![None; graph.tensors().count()];
        for (i, node) in graph.nodes().enumerate() {
            // An output that nobody reads dies where it is made.
            for id in node.inputs.iter().chain(&node.outputs) {
                last_use[id.0 as usize] = Some(i);
            }
        }
        for id in graph.results() {
            last_use[id.0 as usize] = None;
        }
        let mut deaths = vec![Operands::new(); count];
        for (id, last) in last_use.into_iter().enumerate() {
            if let Some(i) = last {
                deaths[i].push(TensorId(id as u32));
            }
        }
        let reuse = graph.nodes().zip(&deaths).map(|(node, dying)| reuse(node, dying)).collect();
        Self { deaths, reuse }
    }
}

fn reuse(node: &Node, dying: &[TensorId]) -> Reuse {
    let mut pairs = Reuse::new();
    for (input, output) in node.op.rule().in_place().iter().copied() {
        let Some(id) = node.inputs.get(input) else { continue };
        let alone = node.inputs.iter().filter(|other| *other == id).count() == 1;
        if alone && dying.contains(id) && pairs.iter().all(|(i, o)| *i != input && *o != output) {
            pairs.push((input, output));
        }
    }
    pairs
}

/// Live memory around one operation, by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instant {
    /// Live while the operation runs: what was there, its new outputs and its workspace.
    pub during: Bill,
    /// Live after it.
    pub after: Bill,
}

/// How the tensors that are there at an operation's highest moment differ from those that are there before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Highest {
    /// Inputs that are no longer there: their buffers are given back, or hold an output by now.
    pub gone: Operands,
    /// Outputs that are there already.
    pub made: Operands,
    /// Pairs of operand indices where an output takes over an input's buffer.
    pub reuse: Reuse,
    /// Operands that are not there: inputs whose buffers are given back by then, outputs that are still to be made.
    pub absent: Operands,
}

/// Bytes by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill([Bytes; Part::ALL.len()]);

impl Bill {
    /// The bytes of a part.
    pub fn part(&self, part: Part) -> Bytes {
        self.0[part as usize]
    }

    /// Adds bytes to a part.
    pub fn add(&mut self, part: Part, bytes: Bytes) {
        self.0[part as usize] += bytes;
    }

    pub(super) fn remove(&mut self, part: Part, bytes: Bytes) {
        self.0[part as usize] = self.0[part as usize].saturating_sub(bytes);
    }

    /// The sum of all parts.
    pub fn total(&self) -> Bytes {
        self.0.iter().copied().sum()
    }
}

/// The bill of the tensors that are there before the first operation.
pub fn sources(graph: &StepGraph, backend: Backend) -> Bill {
    let mut bill = Bill::default();
    for (id, tensor) in graph.tensors() {
        if graph.is_source(id) {
            bill.add(tensor.role.part(), backend.holds(&tensor.ty));
        }
    }
    bill
}

/// The live memory around each operation of a walk that starts with `ambient` bytes outside the graph.
pub fn timeline(graph: &StepGraph, lifetimes: &Lifetimes, backend: Backend, ambient: Bill) -> Vec<Instant> {
    let mut live = ambient;
    let start = sources(graph, backend);
    for part in Part::ALL {
        live.add(part, start.part(part));
    }
    match backend {
        Backend::Host(host) => on_host(graph, lifetimes, host, live),
        Backend::Plain => super::plain::timeline(graph, lifetimes, live),
    }
}

/// Which tensors are there at the highest moment of each operation; with its workspace they are [`Instant::during`], exactly.
pub fn highest(graph: &StepGraph, lifetimes: &Lifetimes, backend: Backend) -> Vec<Highest> {
    match backend {
        Backend::Host { .. } => graph.nodes().zip(&lifetimes.reuse).map(|(node, reuse)| highest_on_host(node, reuse)).collect(),
        Backend::Plain => super::plain::highest(graph, lifetimes),
    }
}

/// A kernel has all its operands from its first step to its last.
fn highest_on_host(node: &Node, reuse: &Reuse) -> Highest {
    let gone = reuse.iter().map(|(input, _)| node.inputs[*input]).collect();
    Highest { gone, made: node.outputs.clone(), reuse: reuse.clone(), absent: Operands::new() }
}

fn on_host(graph: &StepGraph, lifetimes: &Lifetimes, host: Host, mut live: Bill) -> Vec<Instant> {
    let mut instants = Vec::with_capacity(graph.nodes().len());
    for (i, node) in graph.nodes().enumerate() {
        let workspace = node.op.rule().host_workspace(graph.signature(node), host);
        let reused = &lifetimes.reuse[i];
        for (o, id) in node.outputs.iter().enumerate() {
            let tensor = graph.get(*id);
            if let Some((input, _)) = reused.iter().find(|(_, output)| *output == o) {
                // The buffer changes hands, and perhaps the part it is billed to.
                live.remove(graph.get(node.inputs[*input]).role.part(), tensor.ty.bytes());
            }
            live.add(tensor.role.part(), tensor.ty.bytes());
        }
        let mut during = live;
        during.add(Part::Workspace, workspace);
        for id in &lifetimes.deaths[i] {
            let taken_over = reused.iter().any(|(input, _)| node.inputs[*input] == *id);
            if !taken_over {
                live.remove(graph.get(*id).role.part(), graph.ty(*id).bytes());
            }
        }
        instants.push(Instant { during, after: live });
    }
    instants
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::recipe;
    use crate::step::op::{Cache, Panels};
    use crate::step::recompute::Recompute;
    use crate::step::{StepGraphs, Walk};

    fn host() -> Backend {
        let cache = |bytes, ways| Cache { bytes, ways, line: 64 };
        let panels = Panels { lanes: 16, caches: [cache(48 << 10, 12), cache(1 << 20, 16), cache(32 << 20, 16)] };
        Backend::Host(Host { threads: 2, panels })
    }

    #[test]
    fn what_is_left_after_a_walk_is_exactly_its_results() {
        let graphs = StepGraphs::build(&recipe(), 4, Recompute::NOTHING);
        for walk in Walk::ALL {
            let graph = graphs.walk(walk);
            let lifetimes = Lifetimes::of(graph);
            let end = timeline(graph, &lifetimes, host(), Bill::default()).pop().unwrap().after;
            let unused: Bytes = graph
                .tensors()
                .filter(|(id, _)| {
                    graph.is_source(*id) && graph.nodes().all(|n| !n.inputs.contains(id)) && !graph.results().contains(id)
                })
                .map(|(_, t)| t.ty.bytes())
                .sum();
            let results: Bytes = graph.results().iter().map(|id| graph.ty(*id).bytes()).sum();
            assert_eq!(end.total(), results + unused, "{walk:?}");
        }
    }

    #[test]
    fn a_second_micro_step_adds_into_the_gradients_in_place() {
        let graphs = StepGraphs::build(&recipe(), 4, Recompute::NOTHING);
        let graph = graphs.walk(Walk::Further);
        let lifetimes = Lifetimes::of(graph);
        for (node, reuse) in graph.nodes().zip(&lifetimes.reuse) {
            if matches!(node.op, crate::step::op::Op::MatMulAccumulate(_)) {
                assert_eq!(reuse[..], [(0, 0)], "{}", node.place);
            }
        }
    }
}
