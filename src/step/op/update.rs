//! From gradients to weights: the global norm, its clipping, AdamW.

use serde::{Deserialize, Serialize};

use super::{Backend, Rule, Signature, Words};
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

    fn outputs(&self, _inputs: &[TensorType]) -> Vec<TensorType> {
        vec![TensorType::f32(&[1])]
    }

    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        let partials = Bytes(types.inputs[0].elements().div_ceil(SUM_CHUNK) * 8);
        match backend {
            Backend::Host { .. } => partials,
            Backend::Plain => types.inputs[0].bytes() * 2 + partials,
        }
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

    fn outputs(&self, _inputs: &[TensorType]) -> Vec<TensorType> {
        vec![TensorType::f32(&[2])]
    }

    fn workspace(&self, types: Signature<'_>, _backend: Backend) -> Bytes {
        Bytes(types.inputs.len() as u64 * 8)
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

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[0], inputs[2], inputs[3]]
    }

    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => Bytes::ZERO,
            Backend::Plain => types.inputs[0].bytes() * 4,
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0), (2, 1), (3, 2)]
    }
}
