//! The step graph: operations as nodes, tensors as edges, in the order of execution.

use std::fmt;

use smallvec::SmallVec;

use super::op::{Op, Signature};
use super::tensor::{ParameterId, Role, Tensor, TensorId, TensorType};

/// Which pass of the step an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Pass {
    /// From tokens to the loss.
    Forward,
    /// Operations of the forward pass that are done again for the backward pass.
    Recompute,
    /// From the loss to the gradients.
    Backward,
    /// From gradients to weights.
    Update,
}

impl Pass {
    /// The word for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Recompute => "recompute",
            Self::Backward => "backward",
            Self::Update => "update",
        }
    }
}

/// Where in the model an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Place {
    /// From tokens to the first block.
    Embedding,
    /// A block, counted from 0.
    Block(u64),
    /// From the last block to the loss.
    Head,
    /// The norm of the whole gradient.
    GlobalNorm,
    /// A parameter.
    Parameter(ParameterId),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedding => f.write_str("embedding"),
            Self::Block(i) => write!(f, "block {i}"),
            Self::Head => f.write_str("head"),
            Self::GlobalNorm => f.write_str("global norm"),
            Self::Parameter(id) => write!(f, "parameter {}", id.0),
        }
    }
}

/// Some operands; few operations have more than five.
pub type Operands = SmallVec<[TensorId; 5]>;

/// An operation with its operands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is done.
    pub op: Op,
    /// To which tensors, in the operation's order.
    pub inputs: Operands,
    /// What comes out.
    pub outputs: Operands,
    /// Which pass it belongs to.
    pub pass: Pass,
    /// Where in the model.
    pub place: Place,
    /// Where the types of its operands begin in the graph's list of them.
    types: u32,
}

/// One walk through the model: a micro-step, an update or an evaluation.
///
/// Invariant: node indices are the order of execution, so every producer comes before its consumers
/// ([`StepGraph::is_ordered`], tested for every graph that is built).
#[derive(Clone, Debug, Default)]
pub struct StepGraph {
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
    /// By tensor: the operation that makes it.
    producers: Vec<Option<u32>>,
    results: Vec<TensorId>,
    /// Types of the inputs and outputs of all operations, one operation after the other: so that a signature is a view of them.
    types: Vec<TensorType>,
}

impl StepGraph {
    /// A graph with room for so many operations.
    pub fn with_capacity(operations: usize) -> Self {
        Self {
            nodes: Vec::with_capacity(operations),
            tensors: Vec::with_capacity(2 * operations),
            producers: Vec::with_capacity(2 * operations),
            results: Vec::new(),
            types: Vec::with_capacity(6 * operations),
        }
    }

    /// Adds a tensor that no operation makes.
    pub fn source(&mut self, ty: TensorType, role: Role) -> TensorId {
        self.tensor(Tensor { ty, role }, None)
    }

    fn tensor(&mut self, tensor: Tensor, producer: Option<u32>) -> TensorId {
        self.tensors.push(tensor);
        self.producers.push(producer);
        TensorId((self.tensors.len() - 1) as u32)
    }

    /// Adds an operation at the end and gives its outputs, which are activations until [`StepGraph::set_role`] says otherwise.
    pub fn push(&mut self, op: impl Into<Op>, inputs: &[TensorId], pass: Pass, place: Place) -> Operands {
        let op = op.into();
        let first = self.types.len();
        self.types.extend(inputs.iter().map(|id| self.tensors[id.0 as usize].ty));
        let made = op.rule().outputs(&self.types[first..]);
        self.types.extend_from_slice(&made);
        let index = self.nodes.len() as u32;
        let mut outputs = Operands::new();
        for ty in made {
            outputs.push(self.tensor(Tensor { ty, role: Role::Activation }, Some(index)));
        }
        let (inputs, of_node) = (Operands::from_slice(inputs), Operands::from_slice(&outputs));
        self.nodes.push(Node { op, inputs, outputs: of_node, pass, place, types: first as u32 });
        outputs
    }

    /// Adds an operation of another graph once more, on operands of the same types; gives its outputs, in the roles that they have there.
    pub fn push_like(&mut self, from: &Self, node: &Node, inputs: Operands, pass: Pass) -> Operands {
        let first = self.types.len() as u32;
        let types = node.types as usize;
        self.types.extend_from_slice(&from.types[types..types + node.inputs.len() + node.outputs.len()]);
        let index = self.nodes.len() as u32;
        let mut outputs = Operands::new();
        for id in &node.outputs {
            outputs.push(self.tensor(*from.get(*id), Some(index)));
        }
        let of_node = Operands::from_slice(&outputs);
        self.nodes.push(Node { op: node.op.clone(), inputs, outputs: of_node, pass, place: node.place, types: first });
        outputs
    }

    /// Says what a tensor is for.
    pub fn set_role(&mut self, id: TensorId, role: Role) {
        self.tensors[id.0 as usize].role = role;
    }

    /// Marks a tensor that outlives the walk.
    pub fn keep(&mut self, id: TensorId) {
        self.results.push(id);
    }

    /// Tensors that outlive the walk.
    pub fn results(&self) -> &[TensorId] {
        &self.results
    }

    /// A tensor.
    pub fn get(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0 as usize]
    }

    /// A tensor's type.
    pub fn ty(&self, id: TensorId) -> &TensorType {
        &self.get(id).ty
    }

    /// Whether no operation makes this tensor.
    pub fn is_source(&self, id: TensorId) -> bool {
        self.producers[id.0 as usize].is_none()
    }

    /// The operation that makes a tensor.
    pub fn producer(&self, id: TensorId) -> Option<&Node> {
        self.producers[id.0 as usize].map(|index| &self.nodes[index as usize])
    }

    /// All tensors with their ids.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (TensorId, &Tensor)> {
        self.tensors.iter().enumerate().map(|(i, t)| (TensorId(i as u32), t))
    }

    /// The operation that is carried out as number `i`.
    pub fn node(&self, i: usize) -> &Node {
        &self.nodes[i]
    }

    /// The operations in the order of execution.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes.iter()
    }

    /// Types of a node's operands.
    pub fn signature(&self, node: &Node) -> Signature<'_> {
        let types = &self.types[node.types as usize..];
        let (inputs, rest) = types.split_at(node.inputs.len());
        Signature { inputs, outputs: &rest[..node.outputs.len()] }
    }

    /// Whether every producer stands before its consumers.
    pub fn is_ordered(&self) -> bool {
        let made_before = |id: &TensorId, i: usize| self.producers[id.0 as usize].is_none_or(|made| (made as usize) < i);
        self.nodes.iter().enumerate().all(|(i, node)| node.inputs.iter().all(|id| made_before(id, i)))
    }
}
