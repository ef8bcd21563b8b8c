//! Reverse-mode differentiation as a pass over the step graph.
//!
//! The forward operations are walked backwards; each adds the operations that make its inputs' gradients. A gradient that
//! arrives from several sides is summed into one tensor, matrix products directly (`sum + a·b`), so that no second tensor
//! of a weight's size exists where the backend can avoid it.

use super::graph::{Operands, Pass, Place, StepGraph};
use super::op::{Add, MatMul, MatMulAccumulate, Op};
use super::tensor::{TensorId, TensorType};

/// The gradient of each tensor that has one, by tensor.
#[derive(Clone, Debug, Default)]
pub struct Gradients(Vec<Option<TensorId>>);

impl Gradients {
    /// The gradient of a tensor.
    pub fn of(&self, id: TensorId) -> Option<TensorId> {
        self.0.get(id.0 as usize).copied().flatten()
    }

    /// Notes the gradient of a tensor.
    pub fn set(&mut self, id: TensorId, gradient: TensorId) {
        let i = id.0 as usize;
        if self.0.len() <= i {
            self.0.resize(i + 1, None);
        }
        self.0[i] = Some(gradient);
    }
}

/// The state of the backward pass: the graph so far and the gradient of each tensor.
#[derive(Debug)]
pub struct Differentiator<'a> {
    graph: &'a mut StepGraph,
    gradients: Gradients,
    constants: Vec<TensorId>,
    place: Place,
}

impl<'a> Differentiator<'a> {
    /// Starts with the gradients that are already there (those accumulated by earlier micro-steps); tensors in `constants`
    /// get no gradient.
    pub fn new(graph: &'a mut StepGraph, gradients: Gradients, constants: Vec<TensorId>) -> Self {
        Self { graph, gradients, constants, place: Place::Head }
    }

    /// Adds the gradients of all operations so far and returns the gradient of each tensor.
    pub fn run(mut self) -> Gradients {
        let forward = self.graph.nodes().len();
        for i in (0..forward).rev() {
            let node = self.graph.node(i).clone();
            self.place = node.place;
            node.op.rule().differentiate(&node, &mut self);
        }
        self.gradients
    }

    /// The gradient of a tensor, so far.
    pub fn gradient(&self, of: TensorId) -> Option<TensorId> {
        self.gradients.of(of)
    }

    /// Whether a tensor gets no gradient.
    pub fn is_constant(&self, id: TensorId) -> bool {
        self.constants.contains(&id)
    }

    /// A tensor's type.
    pub fn ty(&self, id: TensorId) -> &TensorType {
        self.graph.ty(id)
    }

    /// Adds an operation of the backward pass.
    pub fn emit(&mut self, op: impl Into<Op>, inputs: &[TensorId]) -> Operands {
        self.graph.push(op, inputs, Pass::Backward, self.place)
    }

    /// Adds a tensor to the gradient of another.
    pub fn contribute(&mut self, to: TensorId, gradient: TensorId) {
        if self.is_constant(to) {
            return;
        }
        let sum = match self.gradient(to) {
            Some(sum) => self.emit(Add, &[sum, gradient])[0],
            None => gradient,
        };
        self.gradients.set(to, sum);
    }

    /// Adds a matrix product to the gradient of a tensor.
    pub fn contribute_product(&mut self, to: TensorId, product: MatMul, a: TensorId, b: TensorId) {
        if self.is_constant(to) {
            return;
        }
        let sum = match self.gradient(to) {
            Some(sum) => self.emit(MatMulAccumulate(product), &[sum, a, b])[0],
            None => self.emit(product, &[a, b])[0],
        };
        self.gradients.set(to, sum);
    }

    /// Puts a tensor in the place of a gradient that it already contains.
    pub fn replace(&mut self, of: TensorId, gradient: TensorId) {
        self.gradients.set(of, gradient);
    }
}
