//! The gate of the feed-forward half: exact GELU (Hendrycks & Gimpel 2016) in a gated linear unit (Shazeer 2020).

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::chain::Handle;
use super::{Chain, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;

/// Φ(z): four functions of each element.
fn cdf(c: &mut Chain, z: Handle) -> Handle {
    c.unary(z)
}

/// (value, gate `[T, I/2]`) → value ⊙ gelu(gate), gelu(z) = z·Φ(z) with the exact normal distribution function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeluGlu;

impl Rule for GeluGlu {
    fn name(&self) -> &'static str {
        "GELU-GLU"
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Gate)
    }

    fn words(&self) -> Words {
        Words { inputs: &["feed-forward values", "feed-forward gates"], outputs: &["gated feed-forward values"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (value, gate) = (c.flat(types, 0), c.flat(types, 1));
        let same = c.again(&gate);
        let phi = cdf(c, same);
        let gelu = c.binary(phi, gate);
        let gated = c.binary(gelu, value);
        c.output(gated);
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let made = backward.emit(GeluGluGradient, &[dy, node.inputs[0], node.inputs[1]]);
        backward.contribute(node.inputs[0], made[0]);
        backward.contribute(node.inputs[1], made[1]);
    }
}

/// (dy, value, gate) → dvalue = dy ⊙ gelu(gate), dgate = dy ⊙ value ⊙ gelu′(gate), gelu′(z) = Φ(z) + z·φ(z).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeluGluGradient;

impl Rule for GeluGluGradient {
    fn name(&self) -> &'static str {
        "GELU-GLU gradient"
    }

    fn words(&self) -> Words {
        Words {
            inputs: &["gradient of gated feed-forward values", "", ""],
            outputs: &["gradient of feed-forward values", "gradient of feed-forward gates"],
        }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[1], inputs[2]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (dy, value, gate) = (c.flat(types, 0), c.flat(types, 1), c.flat(types, 2));
        let same = c.again(&gate);
        let phi = cdf(c, same);
        let (a, b) = (c.again(&gate), c.again(&gate));
        let square = c.binary(a, b);
        let density = c.unary(square);
        let same = c.again(&gate);
        let slope = c.binary(density, same);
        let same = c.again(&phi);
        let slope = c.binary(slope, same);
        let same = c.again(&dy);
        let dvalue = c.binary(phi, gate);
        let dvalue = c.binary(dvalue, same);
        let slope = c.binary(slope, value);
        let dgate = c.binary(slope, dy);
        c.output(dvalue);
        c.output(dgate);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(1, 0), (2, 1)]
    }
}
