//! Dropout (Srivastava et al. 2014).

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{Chain, Rule, Signature, Types};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;

/// (x `[T, D]`) → x ⊙ M, where each element of M is 0 with probability `rate`, else 1/(1 − rate).
///
/// M is a function of the seed, the micro-step, the site and the place of the element: backward, and what is recomputed, draw the same again,
/// and nothing is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// Probability of 0.
    pub rate: f64,
    /// Which dropout of the model it is: no two have the same number.
    pub site: u32,
}

impl Rule for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Residual)
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let x = c.flat(types, 0);
        let mask = c.filled(&[types.inputs[0].elements()]);
        let y = c.binary(x, mask);
        c.output(y);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    /// What is not there has no gradient, and the rest grows by the same factor.
    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let made = backward.emit(*self, &[dy]);
        backward.contribute(node.inputs[0], made[0]);
    }
}
