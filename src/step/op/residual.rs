//! Sums: residual connections, and gradients that arrive from two sides.

use serde::{Deserialize, Serialize};

use super::{Backend, Rule, Signature};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;
use crate::units::Bytes;

/// (a, b) → a + b, of one shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Add;

impl Rule for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Residual)
    }

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[0]]
    }

    fn workspace(&self, _types: Signature<'_>, _backend: Backend) -> Bytes {
        Bytes::ZERO
    }

    /// Into whichever operand dies here; the first such pair counts.
    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (1, 0)]
    }

    /// The same gradient serves both operands; liveness decides who may overwrite it.
    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        backward.contribute(node.inputs[0], dy);
        backward.contribute(node.inputs[1], dy);
    }
}
