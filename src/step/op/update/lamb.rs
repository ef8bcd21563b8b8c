//! LAMB: the direction of AdamW, scaled to the length of the parameter.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{adam, clipped};
use crate::step::op::chain::Handle;
use crate::step::op::{Backend, Chain, Host, Rule, Signature, Types};
use crate::step::tensor::TensorType;
use crate::units::Bytes;

/// (weight, gradient, first moment, second moment, norm and factor `[2]`) → the weight and both moments.
///
/// You et al. 2020, algorithm 2 with φ the identity: m and v as AdamW; r = (m/(1−β₁ᵗ))/(√(v/(1−β₂ᵗ)) + eps) + decay·w;
/// w ← w − lr·q·r with q = ‖w‖/‖r‖, and q = 1 where ‖w‖ or ‖r‖ is 0. Norms are of the whole parameter.
///
/// Without a branch: q = ‖w‖/(‖r‖ + 10⁻²⁰) + (1 − sign ‖w‖), which differs from it only where r is 0 and q does not matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lamb {
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Weight decay, a part of the direction; zero for parameters that do not decay.
    pub weight_decay: f64,
}

/// Elements that are summed into one partial sum of each norm on the CPU; the partial sums are then added in order.
pub const NORM_CHUNK: u64 = 16_384;

/// ‖x‖ `[1]` of a flat tensor: rows first, as the sum of squares; a parameter that is no matrix is one row.
pub(super) fn norm(c: &mut Chain, x: Handle, rows: u64) -> Handle {
    let x = c.reshape(x, &[rows, 0]);
    let same = c.again(&x);
    let square = c.binary(same, x);
    let sums = c.reduce(square, 1);
    let sum = c.reduce(sums, 0);
    let sum = c.reshape(sum, &[1]);
    c.unary(sum)
}

/// Rows of a parameter of rank 2; every other is one row.
pub(super) fn rows(parameter: &TensorType) -> u64 {
    if let [rows, _] = *parameter.shape { rows } else { 1 }
}

impl Rule for Lamb {
    fn name(&self) -> &'static str {
        "LAMB"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0], inputs[2], inputs[3]]
    }

    /// Weight and moments are read once more after the norms are known.
    fn moved(&self, types: Signature<'_>, _backend: Backend) -> Bytes {
        types.bytes() + types.outputs.iter().map(TensorType::bytes).sum()
    }

    fn host_workspace(&self, types: Signature<'_>, _host: Host) -> Bytes {
        Bytes(types.inputs[0].elements().div_ceil(NORM_CHUNK) * 16)
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let rows = rows(&types.inputs[0]);
        let (w, g) = clipped(types, c, 4);
        let (m, v) = (c.flat(types, 2), c.flat(types, 3));
        let (step, m, v) = adam::step(c, g, m, v);
        let part = c.again(&w);
        let part = c.unary(part);
        let r = c.binary(step, part);
        let same = c.again(&w);
        let length = norm(c, same, rows);
        let same = c.again(&r);
        let of_step = norm(c, same, rows);
        let rest = c.again(&length);
        let rest = c.unary(rest);
        let of_step = c.unary(of_step);
        let ratio = c.binary(length, of_step);
        let ratio = c.binary(ratio, rest);
        let ratio = c.unary(ratio);
        let step = c.binary(r, ratio);
        let w = c.binary(w, step);
        for made in [w, m, v] {
            c.output(made);
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (2, 1), (3, 2)]
    }
}
