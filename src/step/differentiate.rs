//! Reverse-mode differentiation as a pass over the step graph.
//!
//! The forward operations are walked backwards; each adds the operations that make its inputs' gradients. A gradient that
//! arrives from several sides is summed into one tensor, matrix products directly (`sum + a·b`), so that no second tensor
//! of a weight's size exists where the backend can avoid it.

use std::collections::BTreeMap;

use super::graph::{Node, Operands, Pass, Place, StepGraph};
use super::op::{Add, MatMul, MatMulAccumulate, Op};
use super::tensor::{TensorId, TensorType};

/// The state of the backward pass: the graph so far and the gradient of each tensor.
#[derive(Debug)]
pub struct Differentiator<'a> {
    graph: &'a mut StepGraph,
    gradients: BTreeMap<TensorId, TensorId>,
    constants: Vec<TensorId>,
    place: Place,
}

impl<'a> Differentiator<'a> {
    /// Starts with the gradients that are already there (those accumulated by earlier micro-steps); tensors in `constants`
    /// get no gradient.
    pub fn new(graph: &'a mut StepGraph, gradients: BTreeMap<TensorId, TensorId>, constants: Vec<TensorId>) -> Self {
        Self { graph, gradients, constants, place: Place::Head }
    }

    /// Adds the gradients of all operations so far and returns the gradient of each tensor.
    pub fn run(mut self) -> BTreeMap<TensorId, TensorId> {
        let forward: Vec<Node> = self.graph.nodes().cloned().collect();
        for node in forward.iter().rev() {
            self.place = node.place;
            node.op.rule().differentiate(node, &mut self);
        }
        self.gradients
    }

    /// The gradient of a tensor, so far.
    pub fn gradient(&self, of: TensorId) -> Option<TensorId> {
        self.gradients.get(&of).copied()
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
        if self.constants.contains(&to) {
            return;
        }
        let sum = match self.gradient(to) {
            Some(sum) => self.emit(Add, &[sum, gradient])[0],
            None => gradient,
        };
        self.gradients.insert(to, sum);
    }

    /// Adds a matrix product to the gradient of a tensor.
    pub fn contribute_product(&mut self, to: TensorId, product: MatMul, a: TensorId, b: TensorId) {
        if self.constants.contains(&to) {
            return;
        }
        let sum = match self.gradient(to) {
            Some(sum) => self.emit(MatMulAccumulate(product), &[sum, a, b])[0],
            None => self.emit(product, &[a, b])[0],
        };
        self.gradients.insert(to, sum);
    }

    /// Puts a tensor in the place of a gradient that it already contains.
    pub fn replace(&mut self, of: TensorId, gradient: TensorId) {
        self.gradients.insert(of, gradient);
    }
}
