//! A tensor times a number.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{Chain, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;

/// (x) → factor · x.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The number.
    pub factor: f64,
}

impl Rule for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Residual)
    }

    fn words(&self) -> Words {
        Words { inputs: &["residual stream"], outputs: &["scaled residual stream"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let x = c.flat(types, 0);
        let y = c.unary(x);
        c.output(y);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let made = backward.emit(*self, &[dy]);
        backward.contribute(node.inputs[0], made[0]);
    }
}
