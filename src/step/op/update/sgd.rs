//! Stochastic gradient descent, with momentum or without.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{clipped, with_decay};
use crate::step::op::{Chain, Rule, Signature, Types};
use crate::step::tensor::TensorType;

/// (weight, gradient, norm and factor `[2]`) → the weight; with momentum (weight, gradient, first moment, norm and factor `[2]`) → the
/// weight and the moment.
///
/// As `torch.optim.SGD`: g ← g + decay·w; m ← μm + g; w ← w − lr·m, with Nesterov's momentum w ← w − lr·(g + μm); without any
/// w ← w − lr·g. The moment begins at zero, so that the first step is the same in all three but for Nesterov's μ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    /// Momentum μ; 0 is none.
    pub momentum: f64,
    /// Whether it looks ahead.
    pub nesterov: bool,
    /// L2 decay; zero for parameters that do not decay.
    pub weight_decay: f64,
}

impl Sgd {
    /// Whether there is a moment.
    pub fn has_momentum(&self) -> bool {
        self.momentum > 0.0
    }
}

impl Rule for Sgd {
    fn name(&self) -> &'static str {
        "SGD"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        if self.has_momentum() { smallvec![inputs[0], inputs[2]] } else { smallvec![inputs[0]] }
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (w, g) = clipped(types, c, types.inputs.len() - 1);
        let g = with_decay(c, g, &w);
        if !self.has_momentum() {
            let step = c.unary(g);
            let w = c.binary(w, step);
            return c.output(w);
        }
        let m = c.flat(types, 2);
        let m = c.unary(m);
        let (m, step) = if self.nesterov {
            let same = c.again(&g);
            let m = c.binary(m, same);
            let part = c.again(&m);
            let part = c.unary(part);
            let step = c.binary(g, part);
            (m, step)
        } else {
            let m = c.binary(m, g);
            let step = c.again(&m);
            (m, step)
        };
        let step = c.unary(step);
        let w = c.binary(w, step);
        c.output(w);
        c.output(m);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        if self.has_momentum() { &[(0, 0), (2, 1)] } else { &[(0, 0)] }
    }
}
