//! Layer normalisation (Ba, Kiros, Hinton 2016), with gain and bias.

use serde::{Deserialize, Serialize};

use super::{Backend, Rule, Signature};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;
use crate::units::Bytes;

/// (x `[T, D]`, gain `[D]`, bias `[D]`) → y `[T, D]`, mean `[T]`, 1/σ `[T]`; y = (x − mean)/σ · gain + bias, σ² = variance + eps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f64,
}

impl Rule for LayerNorm {
    fn name(&self) -> &'static str {
        "layer norm"
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Norm)
    }

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        let rows = TensorType::f32(&[inputs[0].dim(0)]);
        vec![inputs[0], rows, rows]
    }

    /// As plain operations: the centred rows, their squares, and the scaled rows.
    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => Bytes::ZERO,
            Backend::Plain => types.inputs[0].bytes() * 2 + types.outputs[1].bytes() * 2,
        }
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let [x, gain, bias] = node.inputs[..] else { return };
        let [_, mean, scale] = node.outputs[..] else { return };
        let made = backward.emit(LayerNormGradient, &[dy, x, mean, scale, gain]);
        backward.contribute(x, made[0]);
        backward.contribute(gain, made[1]);
        backward.contribute(bias, made[2]);
    }
}

/// Rows that share one partial sum of the gradients of gain and bias.
pub const NORM_ROWS: u64 = 64;

/// (dy, x `[T, D]`, mean, 1/σ `[T]`, gain `[D]`) → dx `[T, D]`, dgain `[D]`, dbias `[D]`.
///
/// With n = (x − mean)/σ and g = dy ⊙ gain: dx = (g − mean(g) − n · mean(g ⊙ n))/σ, means over D.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerNormGradient;

impl Rule for LayerNormGradient {
    fn name(&self) -> &'static str {
        "layer norm gradient"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[0], inputs[4], inputs[4]]
    }

    /// On the host, partial sums for the gain and the bias, one pair for every [`NORM_ROWS`] rows.
    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => types.inputs[4].bytes() * (2 * types.inputs[0].dim(0).div_ceil(NORM_ROWS)),
            Backend::Plain => types.inputs[0].bytes() * 4 + types.inputs[2].bytes() * 4,
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}
