//! The reservations of a training, in order, from its graphs.
//!
//! Until every operation states its temporaries one by one, an operation's workspace stands for them, in pieces no larger than
//! its largest operand: a temporary that is larger than all operands would make the manager's pages larger than they will be.

use crate::budget::pool::Event;
use crate::budget::pool::cuda::tensor_bytes;
use crate::step::graph::{Node, StepGraph};
use crate::step::lifetime::Lifetimes;
use crate::step::op::Backend;
use crate::step::tensor::{ParameterId, Role, TensorId, TensorType};
use crate::step::{StepGraphs, Walk};

/// What a training reserves and drops, in the program's order.
///
/// Identities: [`Identities`]. Whatever a walk reserves and does not drop or rename to the identity of a state stays for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The state: weights, moments, table.
    pub start: Vec<Event>,
    /// Each walk, in the order of [`Walk::ALL`].
    pub walks: [Vec<Event>; Walk::ALL.len()],
}

/// The identities of a training's memory: the state first, so that it has the same in every walk.
#[derive(Clone, Copy, Debug)]
pub struct Identities {
    /// Parameters.
    pub parameters: u32,
}

impl Identities {
    /// Of what outlives a walk; none for inputs and activations.
    pub fn state(self, role: Role) -> Option<u32> {
        let among = |list: u32, p: ParameterId| Some(list * self.parameters + p.0);
        match role {
            Role::Weight(p) => among(0, p),
            Role::FirstMoment(p) => among(1, p),
            Role::SecondMoment(p) => among(2, p),
            Role::Gradient(p) => among(3, p),
            Role::PositionTable => Some(4 * self.parameters),
            Role::Input(_) | Role::Activation => None,
        }
    }

    /// The first that a walk may use for what it makes.
    pub fn first_passing(self) -> u32 {
        4 * self.parameters + 1
    }
}

impl Schedule {
    /// The schedule of a training on a device that carries out chains of plain tensor operations.
    pub fn of(graphs: &StepGraphs) -> Self {
        let identities = Identities { parameters: graphs.parameters.iter().len() as u32 };
        let walks = Walk::ALL.map(|walk| {
            let mut events = Vec::new();
            if walk == Walk::First {
                // The gradients of the step before are dropped.
                events.extend((0..identities.parameters).map(|p| Event::Free { id: 3 * identities.parameters + p }));
            }
            Events::new(graphs.walk(walk), identities).all(&mut events);
            events
        });
        Self { start: start(graphs, identities), walks }
    }
}

impl Schedule {
    /// The same for a program that begins with reserving as much as its largest tensor takes, and dropping it. The manager's
    /// pages are then of their final size before anything lives on them: none becomes outdated, and none waits to go back to the
    /// driver.
    #[must_use]
    pub fn primed(mut self) -> Self {
        let events = self.walks.iter().flatten().chain(&self.start);
        let sizes = events.filter_map(|event| if let Event::Reserve { bytes, .. } = event { Some(*bytes) } else { None });
        if let Some(bytes) = sizes.max() {
            self.start.splice(0..0, [Event::Reserve { id: 0, bytes }, Event::Free { id: 0 }]);
        }
        self
    }
}

/// The state, in the order in which the executor makes it.
fn start(graphs: &StepGraphs, identities: Identities) -> Vec<Event> {
    let lists: [fn(ParameterId) -> Role; 3] = [Role::Weight, Role::FirstMoment, Role::SecondMoment];
    let parameters = lists.into_iter().flat_map(|role| graphs.parameters.iter().map(move |(id, p)| (role(id), p.elements())));
    let table = (Role::PositionTable, graphs.extents.sequence * graphs.extents.width);
    let reserve = |(role, elements)| Some(Event::Reserve { id: identities.state(role)?, bytes: tensor_bytes(&[elements], 4) });
    parameters.chain([table]).filter_map(reserve).collect()
}

/// One walk's events in the making.
struct Events<'a> {
    graph: &'a StepGraph,
    lifetimes: Lifetimes,
    identities: Identities,
    /// The identity of each tensor.
    ids: Vec<u32>,
}

/// What a tensor takes; the executor's tensors are flat.
fn bytes(ty: &TensorType) -> u64 {
    tensor_bytes(&[ty.elements()], ty.dtype.size())
}

impl<'a> Events<'a> {
    fn new(graph: &'a StepGraph, identities: Identities) -> Self {
        let id = |(id, tensor): (TensorId, &crate::step::tensor::Tensor)| {
            let state = if graph.is_source(id) { identities.state(tensor.role) } else { None };
            state.unwrap_or(identities.first_passing() + id.0)
        };
        Self { graph, lifetimes: Lifetimes::of(graph), identities, ids: graph.tensors().map(id).collect() }
    }

    fn id(&self, tensor: TensorId) -> u32 {
        self.ids[tensor.0 as usize]
    }

    fn reserve(&self, tensor: TensorId) -> Event {
        Event::Reserve { id: self.id(tensor), bytes: bytes(self.graph.ty(tensor)) }
    }

    fn all(mut self, events: &mut Vec<Event>) {
        let inputs =
            self.graph.tensors().filter(|(id, tensor)| self.graph.is_source(*id) && matches!(tensor.role, Role::Input(_)));
        events.extend(inputs.map(|(id, _)| self.reserve(id)));
        for (i, node) in self.graph.nodes().enumerate() {
            self.operation(i, node, events);
        }
        self.end(events);
    }

    fn operation(&mut self, i: usize, node: &Node, events: &mut Vec<Event>) {
        let temporaries = events.len();
        self.temporaries(node, events);
        let made = events.len() - temporaries;
        let mut taken = Vec::new();
        for (o, output) in node.outputs.iter().enumerate() {
            if let Some((input, _)) = self.lifetimes.reuse[i].iter().find(|(_, output)| *output == o) {
                let input = node.inputs[*input];
                self.ids[output.0 as usize] = self.id(input);
                taken.push(input);
            } else {
                events.push(self.reserve(*output));
            }
        }
        for at in temporaries..temporaries + made {
            if let Event::Reserve { id, .. } = events[at] {
                events.push(Event::Free { id });
            }
        }
        let deaths = self.lifetimes.deaths[i].iter().filter(|id| !taken.contains(id));
        events.extend(deaths.map(|id| Event::Free { id: self.id(*id) }));
    }

    fn temporaries(&self, node: &Node, events: &mut Vec<Event>) {
        let types = self.graph.signature(node);
        let largest = types.inputs.iter().chain(types.outputs).map(bytes).max().unwrap_or(0);
        let workspace = node.op.rule().workspace(types, Backend::Plain).0;
        let piece = largest.max(1);
        let first = self.identities.first_passing() + self.ids.len() as u32;
        let pieces = (first..).zip(0..workspace.div_ceil(piece));
        events.extend(pieces.map(|(id, i)| Event::Reserve { id, bytes: tensor_bytes(&[piece.min(workspace - i * piece)], 1) }));
    }

    /// What the walk leaves becomes state, or is read and dropped.
    fn end(&self, events: &mut Vec<Event>) {
        for result in self.graph.results() {
            let from = self.id(*result);
            match self.identities.state(self.graph.get(*result).role) {
                Some(to) if to != from => events.push(Event::Rename { from, to }),
                Some(_) => {}
                None => events.push(Event::Free { id: from }),
            }
        }
    }
}
