//! Scaled-sinusoidal positions: a fixed table times one learned scalar.

use serde::{Deserialize, Serialize};

use super::{Backend, Rule, Signature, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::tensor::TensorType;
use crate::units::Bytes;

/// (x `[T, D]`, table `[S, D]`, scale `[1]`) → x + scale · table, the table repeated for each sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddPosition;

impl Rule for AddPosition {
    fn name(&self) -> &'static str {
        "add position"
    }

    fn words(&self) -> Words {
        Words { inputs: &["word vectors", "", ""], outputs: &["word vectors with positions"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[0]]
    }

    /// As plain operations the scaled table and a sum are made.
    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => Bytes::ZERO,
            Backend::Plain => types.inputs[1].bytes() + types.inputs[0].bytes(),
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let scale = backward.emit(PositionGradient, &[dy, node.inputs[1]])[0];
        backward.contribute(node.inputs[2], scale);
        backward.contribute(node.inputs[0], dy);
    }
}

/// (dy `[T, D]`, table `[S, D]`) → `[1]`, the sum of dy ⊙ table over everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PositionGradient;

impl Rule for PositionGradient {
    fn name(&self) -> &'static str {
        "position gradient"
    }

    fn words(&self) -> Words {
        Words { inputs: &["gradient of word vectors", ""], outputs: &[] }
    }

    fn outputs(&self, _inputs: &[TensorType]) -> Vec<TensorType> {
        vec![TensorType::f32(&[1])]
    }

    /// As plain operations the product is made, then its sums; on the host there is one partial sum for each sequence.
    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => Bytes(types.inputs[0].dim(0) / types.inputs[1].dim(0) * 8),
            Backend::Plain => types.inputs[0].bytes() * 2,
        }
    }
}
