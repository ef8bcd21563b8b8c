//! A walk in plain form: the live memory around each operation, and the sequence in which buffers are taken and given back.
//!
//! The executor gives an operation the tensors that die at it, so that it may overwrite them or let them go half-way, and lends it all
//! others; an output is there from the step that makes it. What an operation does with them is its [`Rule::plain`](super::op::Rule::plain).
//!
//! Where an input dies half-way or an output comes late, the bill of the highest moment says so: it holds the tensors that are there
//! then, and the rest of the bytes is workspace.

use super::graph::{Node, StepGraph};
use super::lifetime::{Bill, Highest, Instant, Lifetimes};
use super::op::Backend;
use super::op::chain::{Chain, Change};
use super::tensor::{DType, Part, Role, TensorId};
use crate::units::{Bytes, Flops};

/// What happens to memory in a walk, in order. Buffers are named by numbers that are used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A tensor is there from before the walk.
    Given {
        /// Which.
        tensor: TensorId,
        /// Its buffer.
        buffer: u32,
        /// Its bytes, not rounded up.
        bytes: Bytes,
    },
    /// A buffer is taken.
    Take {
        /// Its name.
        buffer: u32,
        /// Its bytes, before [`requested`](super::op::chain::requested) rounds them up.
        bytes: Bytes,
    },
    /// A buffer is given back.
    Give {
        /// Its name.
        buffer: u32,
    },
    /// The operation of this index is done, and what dies at it is gone.
    Done(usize),
    /// A tensor outlives the walk.
    Kept {
        /// Which.
        tensor: TensorId,
        /// Its buffer.
        buffer: u32,
    },
}

/// What the chain of an operation came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperationUse {
    /// The most bytes live in it.
    pub peak: Bytes,
    /// The most bytes live in it where products are tuned, or a kernel that copies its operands was found to be the fastest: see
    /// [`chain`](super::op::chain).
    pub tuning: Bytes,
    /// Live bytes after it.
    pub after: Bytes,
    /// FLOPs of its matrix products.
    pub flops: Flops,
}

/// The sequence of allocations of a walk. Those of the host's inputs come first, as the executor sends them.
pub fn allocations(graph: &StepGraph, lifetimes: &Lifetimes) -> Vec<Event> {
    Walked::of(graph, lifetimes, &Bill::default(), Chain::recording()).events
}

/// What each operation's chain comes to, in a walk that starts with `ambient` bytes outside the graph.
pub fn operations(graph: &StepGraph, lifetimes: &Lifetimes, ambient: Bytes) -> Vec<OperationUse> {
    let mut before = Bill::default();
    before.add(Part::Process, ambient);
    let start = super::lifetime::sources(graph, Backend::Plain);
    for part in Part::ALL {
        before.add(part, start.part(part));
    }
    Walked::of(graph, lifetimes, &before, Chain::default()).uses
}

/// The live memory around each operation; `live` is what is there before the first, the sources of the graph among it.
pub(super) fn timeline(graph: &StepGraph, lifetimes: &Lifetimes, live: Bill) -> Vec<Instant> {
    Walked::of(graph, lifetimes, &live, Chain::default()).instants
}

/// Which tensors are there at the highest moment of each operation.
pub(super) fn highest(graph: &StepGraph, lifetimes: &Lifetimes) -> Vec<Highest> {
    Walked::of(graph, lifetimes, &Bill::default(), Chain::default()).highest
}

/// A walk from its first operation to its last.
struct Walked<'a> {
    graph: &'a StepGraph,
    chain: Chain,
    live: Bill,
    /// The buffer of each tensor.
    buffers: Vec<u32>,
    instants: Vec<Instant>,
    highest: Vec<Highest>,
    uses: Vec<OperationUse>,
    events: Vec<Event>,
    /// By operand of the operation at hand: whether it dies there and is no other operand, so that it belongs to the operation alone.
    alone: Vec<bool>,
}

impl<'a> Walked<'a> {
    fn of(graph: &'a StepGraph, lifetimes: &Lifetimes, live: &Bill, chain: Chain) -> Self {
        let count = graph.nodes().len();
        let mut walked = Self {
            graph,
            chain,
            live: *live,
            buffers: vec![0; graph.tensors().count()],
            instants: Vec::with_capacity(count),
            highest: Vec::with_capacity(count),
            uses: Vec::with_capacity(count),
            events: Vec::new(),
            alone: Vec::new(),
        };
        if walked.chain.is_recording() {
            walked.begin();
        }
        for (i, (node, deaths)) in graph.nodes().zip(&lifetimes.deaths).enumerate() {
            walked.operation(node, deaths);
            if walked.chain.is_recording() {
                walked.flush();
                walked.events.push(Event::Done(i));
            }
        }
        if walked.chain.is_recording() {
            walked.end();
        }
        walked
    }

    /// The sources: what the host feeds is sent, all else is there.
    fn begin(&mut self) {
        for (id, tensor) in self.graph.tensors().filter(|(id, tensor)| self.graph.is_source(*id) && tensor.ty.dtype == DType::F32)
        {
            let (bytes, name) = (tensor.ty.bytes(), self.chain.name(tensor.ty.bytes()));
            self.buffers[id.0 as usize] = name;
            if matches!(tensor.role, Role::Input(_)) {
                self.flush();
            } else {
                self.chain.take_changes();
                self.events.push(Event::Given { tensor: id, buffer: name, bytes });
            }
        }
    }

    /// One operation, and the deaths at it.
    fn operation(&mut self, node: &Node, deaths: &[TensorId]) {
        let graph = self.graph;
        self.chain.begin(self.live.total());
        self.alone.clear();
        self.alone.extend(node.inputs.iter().map(|id| deaths.contains(id) && occurrences(node, *id) == 1));
        for (i, id) in node.inputs.iter().enumerate() {
            let ty = graph.ty(*id);
            if ty.dtype == DType::I32 {
                self.chain.host_operand();
                continue;
            }
            let alone = self.alone[i];
            let first = if alone { None } else { node.inputs[..i].iter().position(|earlier| earlier == id) };
            self.chain.operand(ty.bytes(), self.buffers[id.0 as usize], alone, first);
        }
        node.op.rule().plain(graph.signature(node), &mut self.chain);
        self.chain.end();
        let highest = self.highest(node);
        let during = self.during(&highest);
        self.bill(node, deaths);
        let (peak, tuning, flops) = (self.chain.peak(), self.chain.tuning(), self.chain.flops());
        self.uses.push(OperationUse { peak, tuning, after: self.live.total(), flops });
        self.instants.push(Instant { during, after: self.live });
        self.highest.push(highest);
    }

    /// What the operation's highest moment has and lacks.
    fn highest(&self, node: &Node) -> Highest {
        let mut highest = Highest::default();
        let taken_over = |o: usize| Some((self.chain.taken_over(o)?, o));
        highest.reuse.extend((0..node.outputs.len()).filter_map(taken_over));
        for (i, id) in node.inputs.iter().enumerate() {
            let held = self.graph.ty(*id).dtype != DType::I32;
            if highest.reuse.iter().any(|(input, _)| *input == i) {
                highest.gone.push(*id);
            } else if held && self.alone[i] && !self.chain.operand_at_peak(i) {
                highest.gone.push(*id);
                highest.absent.push(*id);
            }
        }
        for (o, id) in node.outputs.iter().enumerate() {
            if self.chain.output_at_peak(o) { highest.made.push(*id) } else { highest.absent.push(*id) }
        }
        highest
    }

    /// The bill of that moment.
    fn during(&self, highest: &Highest) -> Bill {
        let mut bill = self.live;
        for id in &highest.gone {
            bill.remove(self.graph.get(*id).role.part(), Backend::Plain.holds(self.graph.ty(*id)));
        }
        for id in &highest.made {
            bill.add(self.graph.get(*id).role.part(), self.graph.ty(*id).bytes());
        }
        bill.add(Part::Workspace, self.chain.peak().saturating_sub(bill.total()));
        bill
    }

    /// Takes the outputs into the bill and the deaths out of it.
    fn bill(&mut self, node: &Node, deaths: &[TensorId]) {
        for (o, id) in node.outputs.iter().enumerate() {
            self.live.add(self.graph.get(*id).role.part(), self.graph.ty(*id).bytes());
            self.buffers[id.0 as usize] = self.chain.output_name(o).unwrap_or_default();
        }
        for id in deaths {
            self.live.remove(self.graph.get(*id).role.part(), Backend::Plain.holds(self.graph.ty(*id)));
            let inside = node.inputs.contains(id) && occurrences(node, *id) == 1;
            if !inside && self.graph.ty(*id).dtype == DType::F32 {
                self.chain.forget(self.buffers[id.0 as usize]);
            }
        }
    }

    /// What is left: results outlive the walk, sources that nothing needed go.
    fn end(&mut self) {
        for (id, tensor) in self.graph.tensors() {
            let buffer = self.buffers[id.0 as usize];
            let unused = || self.graph.nodes().all(|node| !node.inputs.contains(&id));
            if self.graph.results().contains(&id) {
                self.events.push(Event::Kept { tensor: id, buffer });
            } else if self.graph.is_source(id) && tensor.ty.dtype == DType::F32 && unused() {
                self.events.push(Event::Give { buffer });
            }
        }
    }

    fn flush(&mut self) {
        self.events.extend(self.chain.take_changes().into_iter().map(|change| match change {
            Change::Take(buffer, bytes) => Event::Take { buffer, bytes },
            Change::Give(buffer) => Event::Give { buffer },
        }));
    }
}

fn occurrences(node: &Node, id: TensorId) -> usize {
    node.inputs.iter().filter(|input| **input == id).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::recipe::testing::recipe;
    use crate::step::recompute::Recompute;
    use crate::step::{StepGraphs, Walk};

    /// Live bytes after each operation, the highest in each, and the buffers at the end, from the sequence alone.
    fn replay(events: &[Event]) -> (Vec<(Bytes, Bytes)>, BTreeMap<u32, Bytes>) {
        let mut held = BTreeMap::new();
        let mut seen = Vec::new();
        let sum = |held: &BTreeMap<u32, Bytes>| held.values().copied().sum::<Bytes>();
        let mut highest = Bytes::ZERO;
        for event in events {
            match event {
                Event::Given { buffer, bytes, .. } | Event::Take { buffer, bytes } => {
                    assert!(held.insert(*buffer, *bytes).is_none(), "{event:?}");
                    highest = highest.max(sum(&held));
                }
                Event::Give { buffer } => assert!(held.remove(buffer).is_some(), "{event:?}"),
                Event::Done(_) => {
                    seen.push((highest, sum(&held)));
                    highest = sum(&held);
                }
                Event::Kept { buffer, .. } => assert!(held.contains_key(buffer), "{event:?}"),
            }
        }
        (seen, held)
    }

    #[test]
    fn the_sequence_of_allocations_and_the_timeline_agree() {
        // A width whose rows are padded, and one whose rows are not.
        for width in [32, 48] {
            let mut recipe = recipe();
            recipe.model.width = width;
            let graphs = StepGraphs::build(&recipe, 4, Recompute::NOTHING);
            for walk in Walk::ALL {
                let graph = graphs.walk(walk);
                let lifetimes = Lifetimes::of(graph);
                let events = allocations(graph, &lifetimes);
                let (seen, held) = replay(&events);
                let instants = crate::step::lifetime::timeline(graph, &lifetimes, Backend::Plain, Bill::default());
                assert_eq!(seen.len(), instants.len());
                for (i, ((high, after), instant)) in seen.iter().zip(&instants).enumerate() {
                    let name = graph.nodes().nth(i).map(|node| node.op.rule().name());
                    assert_eq!(*high, instant.during.total(), "{walk:?} {i} {name:?}");
                    assert_eq!(*after, instant.after.total(), "{walk:?} {i} {name:?}");
                }
                let kept: Bytes = graph.results().iter().map(|id| graph.ty(*id).bytes()).sum();
                assert_eq!(held.values().copied().sum::<Bytes>(), kept, "{walk:?}");
            }
        }
    }

    #[test]
    fn a_chain_has_the_flops_of_its_rule() {
        let graphs = StepGraphs::build(&recipe(), 4, Recompute::NOTHING);
        for walk in Walk::ALL {
            let graph = graphs.walk(walk);
            let uses = operations(graph, &Lifetimes::of(graph), Bytes::ZERO);
            for (node, used) in graph.nodes().zip(uses) {
                assert_eq!(used.flops, node.op.rule().flops(graph.signature(node)), "{}", node.op.rule().name());
                assert!(used.tuning >= used.peak && used.peak >= used.after, "{}: {used:?}", node.op.rule().name());
            }
        }
    }
}
