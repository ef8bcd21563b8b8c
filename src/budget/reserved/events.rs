//! The reservations of a training, in order, from its graphs.

use crate::budget::pool::Event;
use crate::budget::pool::cuda::tensor_bytes;
use crate::step::graph::StepGraph;
use crate::step::lifetime::Lifetimes;
use crate::step::tensor::{ParameterId, Role, TensorType};
use crate::step::{StepGraphs, Walk, plain};

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

/// Lists of a tensor for each parameter: weights, gradients, and four of moments.
const LISTS: u32 = 6;

/// Which of them is that of the gradients.
const GRADIENTS: u32 = 3;

impl Identities {
    /// Of what outlives a walk; none for inputs and activations.
    pub fn state(self, role: Role) -> Option<u32> {
        let among = |list: u32, p: ParameterId| Some(list * self.parameters + p.0);
        match role {
            Role::Weight(p) => among(0, p),
            Role::FirstMoment(p) => among(1, p),
            Role::SecondMoment(p) => among(2, p),
            Role::Gradient(p) => among(GRADIENTS, p),
            Role::RowMoment(p) => among(4, p),
            Role::ColumnMoment(p) => among(5, p),
            Role::PositionTable => Some(LISTS * self.parameters),
            Role::Input(_) | Role::Activation => None,
        }
    }

    /// The first that a walk may use for what it makes.
    pub fn first_passing(self) -> u32 {
        LISTS * self.parameters + 1
    }
}

impl Schedule {
    /// The schedule of a training on a device that carries out chains of plain tensor operations.
    pub fn of(graphs: &StepGraphs) -> Self {
        Self::with_update(graphs, None)
    }

    /// The same where the events of the update are known from another plan of the same recipe: they depend neither on its micro-batch nor on
    /// what it recomputes.
    pub fn with_update(graphs: &StepGraphs, update: Option<&[Event]>) -> Self {
        let identities = Identities { parameters: graphs.parameters.iter().len() as u32 };
        let walks = Walk::ALL.map(|walk| {
            if let (Walk::Update, Some(known)) = (walk, update) {
                return known.to_vec();
            }
            let mut events = Vec::new();
            if walk == Walk::First {
                // The gradients of the step before are dropped.
                events.extend((0..identities.parameters).map(|p| Event::Free { id: GRADIENTS * identities.parameters + p }));
            }
            walk_events(graphs.walk(walk), identities, &mut events);
            events
        });
        Self { start: start(graphs, identities), walks }
    }
}

impl Schedule {
    /// The largest reservation, bytes.
    pub fn largest(&self) -> Option<u64> {
        let events = self.walks.iter().flatten().chain(&self.start);
        events.filter_map(|event| if let Event::Reserve { bytes, .. } = event { Some(*bytes) } else { None }).max()
    }

    /// The same for a program that begins with reserving as much as its largest tensor takes, and dropping it. The manager's
    /// pages are then of their final size before anything lives on them: none becomes outdated, and none waits to go back to the
    /// driver.
    #[must_use]
    pub fn primed(mut self) -> Self {
        if let Some(bytes) = self.largest() {
            self.start.splice(0..0, [Event::Reserve { id: 0, bytes }, Event::Free { id: 0 }]);
        }
        self
    }
}

/// The state, in the order in which the executor makes it.
fn start(graphs: &StepGraphs, identities: Identities) -> Vec<Event> {
    let weights = graphs.parameters.iter().map(|(id, p)| (Role::Weight(id), p.elements()));
    let moments = graphs.moments().map(|(moment, id, shape)| (moment.of(id), TensorType::f32(&shape).elements()));
    let table = graphs.position_table().map(|[rows, columns]| (Role::PositionTable, rows * columns));
    let reserve = |(role, elements)| Some(Event::Reserve { id: identities.state(role)?, bytes: tensor_bytes(&[elements], 4) });
    weights.chain(moments).chain(table).filter_map(reserve).collect()
}

/// The events of a walk: what its plain form takes and gives back, temporaries included.
fn walk_events(graph: &StepGraph, identities: Identities, events: &mut Vec<Event>) {
    // What is there from before the walk has the state's identity; all else is the walk's own. Buffers that are there come first, and so have
    // the lowest names.
    let mut state: Vec<Option<u32>> = Vec::new();
    let id = |state: &[Option<u32>], buffer: u32| {
        state.get(buffer as usize).copied().flatten().unwrap_or(identities.first_passing() + buffer)
    };
    let allocations = plain::allocations(graph, &Lifetimes::of(graph));
    events.reserve(allocations.len());
    for event in allocations {
        match event {
            plain::Event::Given { tensor, buffer, .. } => {
                if let Some(identity) = identities.state(graph.get(tensor).role) {
                    state.resize(state.len().max(buffer as usize + 1), None);
                    state[buffer as usize] = Some(identity);
                }
            }
            plain::Event::Take { buffer, bytes } => {
                events.push(Event::Reserve { id: id(&state, buffer), bytes: tensor_bytes(&[bytes.0], 1) });
            }
            plain::Event::Give { buffer } => events.push(Event::Free { id: id(&state, buffer) }),
            plain::Event::Done(_) => {}
            // What the walk leaves becomes state, or is read and dropped.
            plain::Event::Kept { tensor, buffer } => {
                let from = id(&state, buffer);
                match identities.state(graph.get(tensor).role) {
                    Some(to) if to != from => events.push(Event::Rename { from, to }),
                    Some(_) => {}
                    None => events.push(Event::Free { id: from }),
                }
            }
        }
    }
}
