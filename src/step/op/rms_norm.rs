//! Norms that do not centre: root mean square (Zhang & Sennrich 2019) with a gain for each column, and by length (Nguyen & Salazar 2019)
//! with one gain.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::chain::Handle;
use super::{Chain, Host, NORM_ROWS, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;
use crate::units::Bytes;

/// (x `[T, D]`, gain `[D]` or `[1]`) → y `[T, D]`, 1/ρ `[T]`; y = x/ρ · factor · gain, ρ² = mean(x²) + eps.
///
/// With a factor of D^-½ and one gain this is the norm by length: x/√(‖x‖² + D·eps) · gain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RmsNorm {
    /// Added to the mean of the squares.
    pub eps: f64,
    /// Beside the gain.
    pub factor: f64,
}

impl Rule for RmsNorm {
    fn name(&self) -> &'static str {
        "RMS norm"
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Norm)
    }

    fn words(&self) -> Words {
        Words { inputs: &[], outputs: &["outputs of RMS norm", "scales of RMS norm"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0], TensorType::f32(&[inputs[0].dim(0)])]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let [x, gain] = [0, 1].map(|i| c.take(types, i));
        let (a, b) = (c.again(&x), c.again(&x));
        let square = c.binary(a, b);
        let mean = c.reduce(square, 1);
        let scale = c.unary(mean);
        let same = c.again(&scale);
        let y = c.binary(x, same);
        let gain = weighted(c, types.inputs[1], gain);
        let y = c.binary(y, gain);
        for made in [y, scale] {
            c.output(made);
        }
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let [x, gain] = node.inputs[..] else { return };
        let made = backward.emit(RmsNormGradient { factor: self.factor }, &[dy, x, node.outputs[1], gain]);
        backward.contribute(x, made[0]);
        backward.contribute(gain, made[1]);
    }
}

/// factor · gain as a row.
fn weighted(c: &mut Chain, gain: TensorType, handle: Handle) -> Handle {
    let row = c.reshape(handle, &[1, gain.elements()]);
    c.unary(row)
}

/// (dy, x `[T, D]`, 1/ρ `[T]`, gain `[D]` or `[1]`) → dx `[T, D]`, dgain as the gain.
///
/// With n = x/ρ and g = dy ⊙ gain · factor: dx = (g − n · mean(g ⊙ n))/ρ; dgain = factor · Σ dy ⊙ n, over all that the gain is for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RmsNormGradient {
    /// As in [`RmsNorm`].
    pub factor: f64,
}

impl Rule for RmsNormGradient {
    fn name(&self) -> &'static str {
        "RMS norm gradient"
    }

    fn words(&self) -> Words {
        Words { inputs: &["gradient of RMS norm outputs", "", "", ""], outputs: &["gradient of the residual stream", ""] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0], inputs[3]]
    }

    /// On the host, a partial sum for each column for every [`NORM_ROWS`] rows.
    fn host_workspace(&self, types: Signature<'_>, _host: Host) -> Bytes {
        Bytes(4 * types.inputs[0].dim(1)) * types.inputs[0].dim(0).div_ceil(NORM_ROWS)
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let t = types.inputs[1].dim(0);
        let (dy, x) = (c.take(types, 0), c.take(types, 1));
        let scale = c.flat(types, 2);
        let scale = c.reshape(scale, &[t, 1]);
        let gain = c.flat(types, 3);
        let gain = weighted(c, types.inputs[3], gain);
        let same = c.again(&scale);
        let normal = c.binary(x, same);
        let (same, other) = (c.again(&dy), c.again(&normal));
        let product = c.binary(same, other);
        let dgain = c.again(&product);
        let dgain = c.reduce(dgain, 0);
        let dgain = if types.inputs[3].elements() == 1 { c.reduce(dgain, 1) } else { dgain };
        let dgain = c.unary(dgain);
        let same = c.again(&gain);
        let product = c.binary(product, same);
        let along = c.reduce(product, 1);
        let g = c.binary(dy, gain);
        let along = c.binary(normal, along);
        let dx = c.binary(g, along);
        let dx = c.binary(dx, scale);
        for made in [dx, dgain] {
            c.output(made);
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}
