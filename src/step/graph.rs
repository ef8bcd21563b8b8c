//! The step graph: operations as nodes, tensors as edges, in the order of execution.

use std::fmt;

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
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

/// Types of some operands; no operation but the global norm has more than five.
pub type Types = SmallVec<[TensorType; 5]>;

/// Some operands.
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
}

/// One walk through the model: a micro-step, an update or an evaluation.
///
/// Invariant: node indices are the order of execution, so every producer comes before its consumers
/// ([`StepGraph::is_ordered`], tested for every graph that is built).
#[derive(Clone, Debug, Default)]
pub struct StepGraph {
    graph: DiGraph<Node, TensorId>,
    tensors: Vec<Tensor>,
    producers: Vec<Option<NodeIndex>>,
    results: Vec<TensorId>,
}

impl StepGraph {
    /// Adds a tensor that no operation makes.
    pub fn source(&mut self, ty: TensorType, role: Role) -> TensorId {
        self.tensor(Tensor { ty, role }, None)
    }

    fn tensor(&mut self, tensor: Tensor, producer: Option<NodeIndex>) -> TensorId {
        self.tensors.push(tensor);
        self.producers.push(producer);
        TensorId((self.tensors.len() - 1) as u32)
    }

    /// Adds an operation at the end and gives its outputs, which are activations until [`StepGraph::set_role`] says otherwise.
    pub fn push(&mut self, op: impl Into<Op>, inputs: &[TensorId], pass: Pass, place: Place) -> Operands {
        let op = op.into();
        let types: Types = inputs.iter().map(|id| *self.ty(*id)).collect();
        let made = op.rule().outputs(&types);
        let node = Node { op, inputs: Operands::from_slice(inputs), outputs: Operands::new(), pass, place };
        let index = self.graph.add_node(node);
        for input in inputs {
            if let Some(producer) = self.producers[input.0 as usize] {
                self.graph.add_edge(producer, index, *input);
            }
        }
        let outputs: Operands =
            made.into_iter().map(|ty| self.tensor(Tensor { ty, role: Role::Activation }, Some(index))).collect();
        self.graph[index].outputs.clone_from(&outputs);
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
        self.producers[id.0 as usize].map(|index| &self.graph[index])
    }

    /// All tensors with their ids.
    pub fn tensors(&self) -> impl Iterator<Item = (TensorId, &Tensor)> {
        self.tensors.iter().enumerate().map(|(i, t)| (TensorId(i as u32), t))
    }

    /// The operations in the order of execution.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        (0..self.graph.node_count()).map(|i| &self.graph[NodeIndex::new(i)])
    }

    /// Types of a node's operands.
    pub fn types(&self, node: &Node) -> (Types, Types) {
        let types = |ids: &[TensorId]| ids.iter().map(|id| *self.ty(*id)).collect();
        (types(&node.inputs), types(&node.outputs))
    }

    /// Calls `f` with the node's signature.
    pub fn with_signature<R>(&self, node: &Node, f: impl FnOnce(Signature<'_>) -> R) -> R {
        let (inputs, outputs) = self.types(node);
        f(Signature { inputs: &inputs, outputs: &outputs })
    }

    /// Whether every producer stands before its consumers.
    pub fn is_ordered(&self) -> bool {
        self.graph.edge_references().all(|e| e.source() < e.target())
    }
}
