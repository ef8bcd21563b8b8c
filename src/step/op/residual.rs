//! Sums: residual connections, and gradients that arrive from two sides.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{Chain, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;

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

    fn words(&self) -> Words {
        Words { inputs: &["branch of the residual stream", ""], outputs: &["residual stream"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (a, b) = (c.flat(types, 0), c.flat(types, 1));
        let sum = c.binary(a, b);
        c.output(sum);
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
