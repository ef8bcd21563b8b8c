//! Layer normalisation (Ba, Kiros, Hinton 2016), with gain and bias.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{Chain, Host, Rule, Signature, Types, Words};
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

    fn words(&self) -> Words {
        Words { inputs: &[], outputs: &["outputs of layer norm", "means of layer norm", "scales of layer norm"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        let rows = TensorType::f32(&[inputs[0].dim(0)]);
        smallvec![inputs[0], rows, rows]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let d = types.inputs[0].dim(1);
        let [x, gain, bias] = [0, 1, 2].map(|i| c.take(types, i));
        let mean = c.again(&x);
        let mean = c.reduce(mean, 1);
        let same = c.again(&mean);
        let centred = c.binary(x, same);
        let (a, b) = (c.again(&centred), c.again(&centred));
        let square = c.binary(a, b);
        let variance = c.reduce(square, 1);
        let scale = c.unary(variance);
        let same = c.again(&scale);
        let y = c.binary(centred, same);
        let gain = c.reshape(gain, &[1, d]);
        let y = c.binary(y, gain);
        let bias = c.reshape(bias, &[1, d]);
        let y = c.binary(y, bias);
        for made in [y, mean, scale] {
            c.output(made);
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

    fn words(&self) -> Words {
        Words {
            inputs: &["gradient of layer norm outputs", "", "", "", ""],
            outputs: &["gradient of the residual stream", "", ""],
        }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0], inputs[4], inputs[4]]
    }

    /// On the host, partial sums for the gain and the bias, one pair for every [`NORM_ROWS`] rows.
    fn host_workspace(&self, types: Signature<'_>, _host: Host) -> Bytes {
        types.inputs[4].bytes() * (2 * types.inputs[0].dim(0).div_ceil(NORM_ROWS))
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (t, d) = (types.inputs[1].dim(0), types.inputs[1].dim(1));
        let (dy, x) = (c.take(types, 0), c.take(types, 1));
        let [mean, scale] = [2, 3].map(|i| {
            let x = c.flat(types, i);
            c.reshape(x, &[t, 1])
        });
        let gain = c.flat(types, 4);
        let gain = c.reshape(gain, &[1, d]);
        let centred = c.binary(x, mean);
        let same = c.again(&scale);
        let normal = c.binary(centred, same);
        let dbias = c.again(&dy);
        let dbias = c.reduce(dbias, 0);
        let (same, other) = (c.again(&dy), c.again(&normal));
        let product = c.binary(same, other);
        let dgain = c.again(&product);
        let dgain = c.reduce(dgain, 0);
        let same = c.again(&gain);
        let product = c.binary(product, same);
        let along = c.reduce(product, 1);
        let g = c.binary(dy, gain);
        let average = c.again(&g);
        let average = c.reduce(average, 1);
        let dx = c.binary(g, average);
        let along = c.binary(normal, along);
        let dx = c.binary(dx, along);
        let dx = c.binary(dx, scale);
        for made in [dx, dgain, dbias] {
            c.output(made);
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}
