//! Softmax attention over all positions of a sequence, H heads of width D/H.

use serde::{Deserialize, Serialize};

use super::{Backend, Rule, Signature};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;
use crate::units::{Bytes, Flops};

/// (q, k, v `[T, D]`) → context `[T, D]`, probabilities `[B, H, S, S]`.
///
/// Per sequence and head: P = softmax(q·kᵀ/√(D/H)), context = P·v. The probabilities are what backward needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Heads H.
    pub heads: u64,
    /// Tokens in a sequence S.
    pub sequence: u64,
}

impl Attention {
    fn batch(self, rows: u64) -> u64 {
        rows / self.sequence
    }

    /// FLOPs of one of the products: 2·B·S·S·D.
    fn product(self, x: &TensorType) -> Flops {
        Flops::matmul(self.sequence, self.sequence, x.dim(1)) * self.batch(x.dim(0))
    }

    fn probabilities(self, x: &TensorType) -> TensorType {
        TensorType::f32(&[self.batch(x.dim(0)), self.heads, self.sequence, self.sequence])
    }

    fn scratch(self, threads: u64) -> Bytes {
        TensorType::f32(&[threads, self.sequence, self.sequence]).bytes()
    }
}

impl Rule for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Attention)
    }

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[0], self.probabilities(&inputs[0])]
    }

    fn flops(&self, types: Signature<'_>) -> Flops {
        self.product(&types.inputs[0]) * 2
    }

    /// As plain operations: heads moved apart (q, k, v and the context), the scores, and two chains of softmax.
    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { threads } => self.scratch(threads),
            Backend::Plain => types.inputs[0].bytes() * 4 + types.outputs[1].bytes() * 2,
        }
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let [q, k, v] = node.inputs[..] else { return };
        let made = backward.emit(AttentionGradient(*self), &[dy, q, k, v, node.outputs[1]]);
        for (input, gradient) in [q, k, v].into_iter().zip(made) {
            backward.contribute(input, gradient);
        }
    }
}

/// (dcontext, q, k, v `[T, D]`, P `[B, H, S, S]`) → dq, dk, dv `[T, D]`.
///
/// dv = Pᵀ·do; dP = do·vᵀ; dS = P ⊙ (dP − rowsum(dP ⊙ P)); dq = dS·k/√(D/H); dk = dSᵀ·q/√(D/H).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionGradient(pub Attention);

impl Rule for AttentionGradient {
    fn name(&self) -> &'static str {
        "attention gradient"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[1], inputs[2], inputs[3]]
    }

    fn flops(&self, types: Signature<'_>) -> Flops {
        self.0.product(&types.inputs[0]) * 4
    }

    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { threads } => self.0.scratch(threads),
            Backend::Plain => types.inputs[0].bytes() * 5 + types.inputs[4].bytes() * 3,
        }
    }
}
