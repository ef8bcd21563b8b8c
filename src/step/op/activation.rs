//! Functions of each element, alone or as the gate of a gated linear unit (Shazeer 2020).

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::chain::Handle;
use super::{Chain, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;

/// A function f of each element; formulas and sources are those of [`settings::Activation`](crate::recipe::settings::Activation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the field's own")]
pub enum Function {
    Gelu,
    GeluTanh,
    Relu,
    SquaredRelu,
    Silu,
    Sigmoid,
    Tanh,
}

impl Function {
    /// All functions.
    pub const ALL: [Self; 7] = [Self::Gelu, Self::GeluTanh, Self::Relu, Self::SquaredRelu, Self::Silu, Self::Sigmoid, Self::Tanh];

    /// f(z) in plain form, `exec::op::activation::value`.
    fn value(self, c: &mut Chain, z: Handle) -> Handle {
        match self {
            Self::Gelu | Self::Silu => {
                let share = smooth_step(c, &z);
                c.binary(share, z)
            }
            Self::GeluTanh => {
                let share = tanh_step(c, &z);
                c.binary(share, z)
            }
            Self::Relu => positive(c, z),
            Self::SquaredRelu => {
                let part = positive(c, z);
                let same = c.again(&part);
                c.binary(same, part)
            }
            Self::Sigmoid | Self::Tanh => c.unary(z),
        }
    }

    /// f′(z) in plain form, and what f(z) is made of where that is kept: `exec::op::activation::Slope`.
    fn slope(self, c: &mut Chain, z: Handle, keep: bool) -> Slope {
        match self {
            Self::Gelu => {
                let share = smooth_step(c, &z);
                let (a, b) = (c.again(&z), c.again(&z));
                let square = c.binary(a, b);
                let density = c.unary(square);
                let ((last, z), (phi, share)) = (split(c, z, keep), split(c, share, keep));
                let slope = c.binary(density, last);
                Slope { rate: c.binary(slope, phi), share, z }
            }
            Self::GeluTanh => {
                let share = tanh_step(c, &z);
                let (a, b) = (c.again(&z), c.again(&z));
                let square = c.binary(a, b);
                let factor = c.unary(square);
                let (last, z) = split(c, z, keep);
                let inner = c.binary(factor, last);
                let same = c.again(&share);
                let rest = c.unary(same);
                let same = c.again(&share);
                let rest = c.binary(rest, same);
                let rest = c.unary(rest);
                let rest = c.binary(rest, inner);
                let (last, share) = split(c, share, keep);
                Slope { rate: c.binary(rest, last), share, z }
            }
            Self::Silu => {
                let share = smooth_step(c, &z);
                let (last, z) = split(c, z, keep);
                let same = c.again(&share);
                let rest = c.unary(same);
                let rest = c.binary(rest, last);
                let rest = c.unary(rest);
                let (last, share) = split(c, share, keep);
                Slope { rate: c.binary(rest, last), share, z }
            }
            Self::Relu | Self::SquaredRelu => {
                let part = positive(c, z);
                let (last, share) = split(c, part, keep);
                Slope { rate: c.unary(last), share, z: None }
            }
            Self::Sigmoid => {
                let share = c.unary(z);
                let same = c.again(&share);
                let rest = c.unary(same);
                let (last, share) = split(c, share, keep);
                Slope { rate: c.binary(rest, last), share, z: None }
            }
            Self::Tanh => {
                let t = c.unary(z);
                let (last, share) = split(c, t, keep);
                let same = c.again(&last);
                let square = c.binary(same, last);
                Slope { rate: c.unary(square), share, z: None }
            }
        }
    }

    /// f(z) and f′(z) in plain form, of a gate.
    fn value_and_slope(self, c: &mut Chain, z: Handle) -> (Option<Handle>, Handle) {
        let Slope { rate: slope, share, z } = self.slope(c, z, true);
        let value = share.map(|share| match (z, self) {
            (Some(z), _) => c.binary(share, z),
            (None, Self::SquaredRelu) => {
                let same = c.again(&share);
                c.binary(same, share)
            }
            (None, _) => share,
        });
        (value, slope)
    }
}

/// f′(z), and what f(z) is made of where that is asked for.
struct Slope {
    rate: Handle,
    share: Option<Handle>,
    z: Option<Handle>,
}

/// A tensor for its last use in the slope, and once more where it is kept.
fn split(c: &mut Chain, x: Handle, keep: bool) -> (Handle, Option<Handle>) {
    if keep { (c.again(&x), Some(x)) } else { (x, None) }
}

/// Φ(z), or 1/(1 + e⁻ᶻ): four functions of each element.
fn smooth_step(c: &mut Chain, z: &Handle) -> Handle {
    let same = c.again(z);
    c.unary(same)
}

/// (1 + tanh(√(2/π)·(z + 0.044715·z³)))/2.
fn tanh_step(c: &mut Chain, z: &Handle) -> Handle {
    let (a, b) = (c.again(z), c.again(z));
    let square = c.binary(a, b);
    let inner = c.unary(square);
    let same = c.again(z);
    let inner = c.binary(inner, same);
    c.unary(inner)
}

/// max(z, 0) as (|z| + z)/2.
fn positive(c: &mut Chain, z: Handle) -> Handle {
    let same = c.again(&z);
    let length = c.unary(same);
    let sum = c.binary(length, z);
    c.unary(sum)
}

/// (z) → f(z), of each element.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Activate(pub Function);

impl Rule for Activate {
    fn name(&self) -> &'static str {
        match self.0 {
            Function::Gelu => "GELU",
            Function::GeluTanh => "tanh GELU",
            Function::Relu => "ReLU",
            Function::SquaredRelu => "squared ReLU",
            Function::Silu => "SiLU",
            Function::Sigmoid => "sigmoid",
            Function::Tanh => "tanh",
        }
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Gate)
    }

    fn words(&self) -> Words {
        Words { inputs: &["feed-forward inputs"], outputs: &["activated feed-forward values"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let z = c.flat(types, 0);
        let y = self.0.value(c, z);
        c.output(y);
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let made = backward.emit(ActivateGradient(self.0), &[dy, node.inputs[0]]);
        backward.contribute(node.inputs[0], made[0]);
    }
}

/// (dy, z) → dz = dy ⊙ f′(z).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActivateGradient(pub Function);

impl Rule for ActivateGradient {
    fn name(&self) -> &'static str {
        match self.0 {
            Function::Gelu => "GELU gradient",
            Function::GeluTanh => "tanh GELU gradient",
            Function::Relu => "ReLU gradient",
            Function::SquaredRelu => "squared ReLU gradient",
            Function::Silu => "SiLU gradient",
            Function::Sigmoid => "sigmoid gradient",
            Function::Tanh => "tanh gradient",
        }
    }

    fn words(&self) -> Words {
        Words { inputs: &["gradient of activated feed-forward values", ""], outputs: &["gradient of feed-forward inputs"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[1]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (dy, z) = (c.flat(types, 0), c.flat(types, 1));
        let slope = self.0.slope(c, z, false).rate;
        let dz = c.binary(slope, dy);
        c.output(dz);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(1, 0)]
    }
}

/// (value, gate `[T, I/2]`) → value ⊙ f(gate).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate(pub Function);

impl Rule for Gate {
    fn name(&self) -> &'static str {
        match self.0 {
            Function::Gelu => "GELU-GLU",
            Function::GeluTanh => "tanh-GELU-GLU",
            Function::Relu => "ReLU-GLU",
            Function::SquaredRelu => "squared-ReLU-GLU",
            Function::Silu => "SiLU-GLU",
            Function::Sigmoid => "GLU",
            Function::Tanh => "tanh-GLU",
        }
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Gate)
    }

    fn words(&self) -> Words {
        Words { inputs: &["feed-forward values", "feed-forward gates"], outputs: &["gated feed-forward values"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (value, gate) = (c.flat(types, 0), c.flat(types, 1));
        let opened = self.0.value(c, gate);
        let gated = c.binary(opened, value);
        c.output(gated);
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let made = backward.emit(GateGradient(self.0), &[dy, node.inputs[0], node.inputs[1]]);
        backward.contribute(node.inputs[0], made[0]);
        backward.contribute(node.inputs[1], made[1]);
    }
}

/// (dy, value, gate) → dvalue = dy ⊙ f(gate), dgate = dy ⊙ value ⊙ f′(gate).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateGradient(pub Function);

impl Rule for GateGradient {
    fn name(&self) -> &'static str {
        match self.0 {
            Function::Gelu => "GELU-GLU gradient",
            Function::GeluTanh => "tanh-GELU-GLU gradient",
            Function::Relu => "ReLU-GLU gradient",
            Function::SquaredRelu => "squared-ReLU-GLU gradient",
            Function::Silu => "SiLU-GLU gradient",
            Function::Sigmoid => "GLU gradient",
            Function::Tanh => "tanh-GLU gradient",
        }
    }

    fn words(&self) -> Words {
        Words {
            inputs: &["gradient of gated feed-forward values", "", ""],
            outputs: &["gradient of feed-forward values", "gradient of feed-forward gates"],
        }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[1], inputs[2]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (dy, value, gate) = (c.flat(types, 0), c.flat(types, 1), c.flat(types, 2));
        let (opened, slope) = self.0.value_and_slope(c, gate);
        let dvalue = opened.map(|opened| {
            let same = c.again(&dy);
            c.binary(opened, same)
        });
        let slope = c.binary(slope, value);
        let dgate = c.binary(slope, dy);
        dvalue.into_iter().chain([dgate]).for_each(|made| c.output(made));
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(1, 0), (2, 1)]
    }
}
