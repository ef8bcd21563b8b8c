//! Lion: the sign of a momentum.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::clipped;
use crate::step::op::{Chain, Rule, Signature, Types};
use crate::step::tensor::TensorType;

/// (weight, gradient, first moment, norm and factor `[2]`) → the weight and the moment.
///
/// Chen et al. 2023, algorithm 2: u = sign(β₁m + (1−β₁)g); m ← β₂m + (1−β₂)g; w ← w·(1 − lr·decay) − lr·u; sign(0) is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lion {
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Decoupled weight decay; zero for parameters that do not decay.
    pub weight_decay: f64,
}

impl Rule for Lion {
    fn name(&self) -> &'static str {
        "Lion"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0], inputs[2]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (w, g) = clipped(types, c, 3);
        let m = c.flat(types, 2);
        let (share, same) = (c.again(&m), c.again(&g));
        let (share, part) = (c.unary(share), c.unary(same));
        let step = c.binary(share, part);
        let step = c.unary(step);
        let (m, part) = (c.unary(m), c.unary(g));
        let m = c.binary(m, part);
        let w = c.unary(w);
        let w = c.binary(w, step);
        for made in [w, m] {
            c.output(made);
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (2, 1)]
    }
}
