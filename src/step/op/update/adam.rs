//! Adam and its kin: the mean of the gradients over the root of the mean of their squares.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{clipped, with_decay};
use crate::step::op::chain::Handle;
use crate::step::op::{Chain, Rule, Signature, Types};
use crate::step::tensor::TensorType;

/// (weight, gradient, first moment, second moment, norm and factor `[2]`) → the weight and both moments.
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

/// Weight, first and second moment are written over.
const IN_PLACE: &[(usize, usize)] = &[(0, 0), (2, 1), (3, 2)];

fn same_types(inputs: &[TensorType]) -> Types {
    smallvec![inputs[0], inputs[2], inputs[3]]
}

/// Both moments, and the step that they make: m over the root of v, times a number.
pub(super) fn step(c: &mut Chain, g: Handle, m: Handle, v: Handle) -> (Handle, Handle, Handle) {
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
    (step, m, v)
}

impl Rule for AdamW {
    fn name(&self) -> &'static str {
        "AdamW"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        same_types(inputs)
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (w, g) = clipped(types, c, 4);
        let (m, v) = (c.flat(types, 2), c.flat(types, 3));
        let (step, m, v) = step(c, g, m, v);
        let w = c.unary(w);
        let w = c.binary(w, step);
        for made in [w, m, v] {
            c.output(made);
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        IN_PLACE
    }
}

/// (weight, gradient, first moment, second moment, norm and factor `[2]`) → the weight and both moments.
///
/// Kingma & Ba 2015 with L2 decay, as `torch.optim.Adam`: g ← g + decay·w; m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²;
/// w ← w − lr·(m/(1−β₁ᵗ))/(√(v/(1−β₂ᵗ)) + eps).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// L2 decay; zero for parameters that do not decay.
    pub weight_decay: f64,
}

/// (weight, gradient, first moment, second moment, norm and factor `[2]`) → the weight and both moments.
///
/// Liu et al. 2020, as `torch.optim.RAdam`: g, m and v as [`Adam`]; with ρ∞ = 2/(1−β₂) − 1 and ρ = ρ∞ − 2tβ₂ᵗ/(1−β₂ᵗ),
/// w ← w − lr·r·(m/(1−β₁ᵗ))·√(1−β₂ᵗ)/(√v + eps) where ρ > 5, r = √((ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ)); before that
/// w ← w − lr·m/(1−β₁ᵗ), in the same operations: over 0·√v + 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RAdam {
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub eps: f64,
    /// L2 decay; zero for parameters that do not decay.
    pub weight_decay: f64,
}

/// Both with L2 decay.
fn coupled(types: Signature<'_>, c: &mut Chain) {
    let (w, g) = clipped(types, c, 4);
    let g = with_decay(c, g, &w);
    let (m, v) = (c.flat(types, 2), c.flat(types, 3));
    let (step, m, v) = step(c, g, m, v);
    let w = c.binary(w, step);
    for made in [w, m, v] {
        c.output(made);
    }
}

impl Rule for Adam {
    fn name(&self) -> &'static str {
        "Adam"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        same_types(inputs)
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        coupled(types, c);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        IN_PLACE
    }
}

impl Rule for RAdam {
    fn name(&self) -> &'static str {
        "RAdam"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        same_types(inputs)
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        coupled(types, c);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        IN_PLACE
    }
}
