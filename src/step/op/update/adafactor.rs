//! Adafactor: the second moment of a matrix as that of its rows times that of its columns.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::lamb::rows;
use super::{NORM_CHUNK, clipped};
use crate::step::op::chain::Handle;
use crate::step::op::{Backend, Chain, Host, NORM_ROWS, Rule, Signature, Types};
use crate::step::tensor::TensorType;
use crate::units::Bytes;

/// (weight, gradient, what is kept, norm and factor `[2]`) → the weight and what is kept: the first moment where there is momentum; of a
/// matrix the second moment by rows `[R]` and by columns `[C]`, of any other parameter the second moment itself.
///
/// Shazeer & Stern 2018, algorithms 4 and 5 without relative steps, with means in the place of sums: β = 1 − t^(−rate);
/// of a matrix r ← βr + (1−β)·mean over each row of (g² + eps), c likewise over each column, v = r·c/mean(r); of any other parameter
/// v ← βv + (1−β)(g² + eps). u = g/√v, and u ← u·min(1, threshold/RMS(u)). With momentum m ← μm + (1−μ)u, and u = m from there on.
/// w ← w·(1 − lr·decay) − lr·u.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adafactor {
    /// How fast β goes to 1.
    pub decay_rate: f64,
    /// Added to the squares.
    pub eps: f64,
    /// The largest root of the mean square of a step.
    pub threshold: f64,
    /// Momentum μ; 0 is none.
    pub momentum: f64,
    /// Decoupled weight decay; zero for parameters that do not decay.
    pub weight_decay: f64,
    /// Whether it is a matrix, with its second moment in two parts.
    pub factored: bool,
}

impl Adafactor {
    /// Whether there is a first moment.
    pub fn has_momentum(&self) -> bool {
        self.momentum > 0.0
    }

    /// Place of the second moment, or of its first part, among the inputs.
    pub fn second(&self) -> usize {
        2 + usize::from(self.has_momentum())
    }

    /// g/√v of a matrix `[R, C]`, and both parts of the second moment.
    fn factored(&self, types: Signature<'_>, c: &mut Chain, g: Handle) -> (Handle, Vec<Handle>) {
        let (rows, columns) = (types.inputs[0].dim(0), types.inputs[0].dim(1));
        let (r, k) = (c.flat(types, self.second()), c.flat(types, self.second() + 1));
        let g = c.reshape(g, &[rows, columns]);
        let (a, b) = (c.again(&g), c.again(&g));
        let square = c.binary(a, b);
        let square = c.unary(square);
        let r = c.unary(r);
        let same = c.again(&square);
        let mean = c.reduce(same, 1);
        let mean = c.reshape(mean, &[rows]);
        let mean = c.unary(mean);
        let r = c.binary(r, mean);
        let k = c.unary(k);
        let mean = c.reduce(square, 0);
        let mean = c.reshape(mean, &[columns]);
        let mean = c.unary(mean);
        let k = c.binary(k, mean);
        let same = c.again(&r);
        let mean = c.reduce(same, 0);
        let same = c.again(&r);
        let by_row = c.binary(same, mean);
        let by_row = c.unary(by_row);
        let by_row = c.reshape(by_row, &[rows, 1]);
        let same = c.again(&k);
        let by_column = c.unary(same);
        let by_column = c.reshape(by_column, &[1, columns]);
        let u = c.binary(g, by_row);
        let u = c.binary(u, by_column);
        let u = c.reshape(u, &[0]);
        (u, vec![r, k])
    }

    /// g/√v of any other parameter, and its second moment.
    fn whole(&self, types: Signature<'_>, c: &mut Chain, g: Handle) -> (Handle, Vec<Handle>) {
        let v = c.flat(types, self.second());
        let (a, b) = (c.again(&g), c.again(&g));
        let square = c.binary(a, b);
        let square = c.unary(square);
        let v = c.unary(v);
        let square = c.unary(square);
        let v = c.binary(v, square);
        let root = c.again(&v);
        let root = c.unary(root);
        let u = c.binary(g, root);
        (u, vec![v])
    }
}

impl Rule for Adafactor {
    fn name(&self) -> &'static str {
        "Adafactor"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        let kept = &inputs[2..inputs.len() - 1];
        let mut types: Types = smallvec![inputs[0]];
        types.extend_from_slice(kept);
        types
    }

    /// The gradient is read for the second moment, for the length of the step, and for the step; what is no matrix is read twice, and its
    /// second moment with it.
    fn moved(&self, types: Signature<'_>, _backend: Backend) -> Bytes {
        types.bytes() + types.inputs[1].bytes() * 2
    }

    /// Partial sums of the columns and one of the step's square for each piece of rows; of what is no matrix the latter alone.
    fn host_workspace(&self, types: Signature<'_>, _host: Host) -> Bytes {
        let parameter = &types.inputs[0];
        if self.factored {
            Bytes(parameter.dim(0).div_ceil(NORM_ROWS) * (parameter.dim(1) * 4 + 8))
        } else {
            Bytes(parameter.elements().div_ceil(NORM_CHUNK) * 8)
        }
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (w, g) = clipped(types, c, types.inputs.len() - 1);
        let (u, second) = if self.factored { self.factored(types, c, g) } else { self.whole(types, c, g) };
        let same = c.again(&u);
        let length = super::lamb::norm(c, same, rows(&types.inputs[0]));
        let limit = c.unary(length);
        let limit = c.clamp_max(limit);
        let u = c.binary(u, limit);
        let (step, first) = if self.has_momentum() {
            let m = c.flat(types, 2);
            let m = c.unary(m);
            let part = c.unary(u);
            let m = c.binary(m, part);
            let step = c.again(&m);
            (step, Some(m))
        } else {
            (u, None)
        };
        let step = c.unary(step);
        let w = c.unary(w);
        let w = c.binary(w, step);
        c.output(w);
        for made in first.into_iter().chain(second) {
            c.output(made);
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        let kept = usize::from(self.has_momentum()) + 1 + usize::from(self.factored);
        &[(0, 0), (2, 1), (3, 2), (4, 3)][..=kept]
    }
}
