//! From gradients to weights: the global norm, its clipping, AdamW.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::chain::Handle;
use super::{Chain, Host, Rule, Signature, Types, Words};
use crate::step::tensor::TensorType;
use crate::units::Bytes;

/// (g) → `[1]`, the sum of squares in a fixed order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SumSquares;

/// Elements that are summed into one partial sum; the partial sums are then added in order.
pub const SUM_CHUNK: u64 = 65_536;

impl Rule for SumSquares {
    fn name(&self) -> &'static str {
        "sum of squares"
    }

    fn words(&self) -> Words {
        Words { inputs: &[], outputs: &["sums of squares"] }
    }

    fn outputs(&self, _inputs: &[TensorType]) -> Types {
        smallvec![TensorType::f32(&[1])]
    }

    fn host_workspace(&self, types: Signature<'_>, _host: Host) -> Bytes {
        Bytes(types.inputs[0].elements().div_ceil(SUM_CHUNK) * 8)
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let rows = if let [rows, _] = *types.inputs[0].shape { rows } else { 1 };
        let g = c.flat(types, 0);
        let g = c.reshape(g, &[rows, 0]);
        let same = c.again(&g);
        let square = c.binary(same, g);
        let sums = c.reduce(square, 1);
        let sum = c.reduce(sums, 0);
        c.output(sum);
    }
}

/// (sums of squares, each `[1]`) → `[2]`: the global norm, and the factor min(1, max/(norm + 10⁻⁶)) as in PyTorch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipFactor {
    /// The largest norm; without one the factor is 1 and the norm is only reported.
    pub max: Option<f64>,
}

impl Rule for ClipFactor {
    fn name(&self) -> &'static str {
        "clip factor"
    }

    fn words(&self) -> Words {
        Words { inputs: &[], outputs: &["norm and clip factor"] }
    }

    fn outputs(&self, _inputs: &[TensorType]) -> Types {
        smallvec![TensorType::f32(&[2])]
    }

    fn host_workspace(&self, types: Signature<'_>, _host: Host) -> Bytes {
        Bytes(types.inputs.len() as u64 * 8)
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let count = types.inputs.len();
        let sums: Vec<Handle> = (0..count).map(|i| c.flat(types, i)).collect();
        let sums = c.cat(sums, count as u64);
        let sum = c.reduce(sums, 0);
        let norm = c.unary(sum);
        let factor = if self.max.is_some() {
            let factor = c.again(&norm);
            let factor = c.unary(factor);
            c.clamp_max(factor)
        } else {
            c.filled(&[1])
        };
        let both = c.cat([norm, factor], 2);
        c.output(both);
    }
}

/// (weight, gradient, first moment, second moment, norm and factor `[2]`) → the three updated.
///
/// Loshchilov & Hutter 2019, as PyTorch computes it: g ← factor·g; m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²;
/// w ← w·(1 − lr·decay) − lr·(m/(1−β₁ᵗ))/(√(v/(1−β₂ᵗ)) + eps). Rate and t are inputs of the step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamW {
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay; zero for parameters that do not decay.
    pub weight_decay: f64,
}

impl Rule for AdamW {
    fn name(&self) -> &'static str {
        "AdamW"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0], inputs[2], inputs[3]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let [w, g, m, v, clip] = [0, 1, 2, 3, 4].map(|i| c.flat(types, i));
        let factor = c.slice(clip, 1, 1);
        let g = c.binary(g, factor);
        let (m, same) = (c.unary(m), c.again(&g));
        let part = c.unary(same);
        let m = c.binary(m, part);
        let (v, same) = (c.unary(v), c.again(&g));
        let square = c.binary(same, g);
        let square = c.unary(square);
        let v = c.binary(v, square);
        let root = c.again(&v);
        let root = c.unary(root);
        let same = c.again(&m);
        let step = c.binary(same, root);
        let step = c.unary(step);
        let w = c.unary(w);
        let w = c.binary(w, step);
        for made in [w, m, v] {
            c.output(made);
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (2, 1), (3, 2)]
    }
}
