//! The norm of the whole gradient, and its clipping.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use crate::step::op::chain::Handle;
use crate::step::op::{Chain, Host, Rule, Signature, Types, Words};
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
