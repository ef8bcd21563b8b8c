//! The gate of the feed-forward half: exact GELU (Hendrycks & Gimpel 2016) in a gated linear unit (Shazeer 2020).

use serde::{Deserialize, Serialize};

use super::{Backend, Rule, Signature};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;
use crate::units::Bytes;

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

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[0]]
    }

    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => Bytes::ZERO,
            Backend::Plain => types.inputs[0].bytes() * 3,
        }
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

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[1], inputs[2]]
    }

    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => Bytes::ZERO,
            Backend::Plain => types.inputs[0].bytes() * 5,
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(1, 0), (2, 1)]
    }
}
