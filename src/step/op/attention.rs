//! Softmax attention over all positions of a sequence, H heads of width D/H.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::chain::Handle;
use super::{Chain, Dropout, Host, MatMul, Packed, Rule, Signature, Types, Words};
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
    /// Whether a token looks only at itself and those before it: the scores of the others are −∞.
    pub causal: bool,
    /// What the probabilities go through before they meet the values; the output holds them as they were.
    pub dropout: Option<Dropout>,
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

    /// The products of one head: scores, then context.
    fn forward(self, width: u64, host: Host) -> Vec<Packed> {
        let (s, d) = (self.sequence, width / self.heads);
        let product = |rule, extents| Packed { shared: true, ..host.panels.product(rule, extents) };
        vec![product(MatMul::TRANSPOSE_B, (s, s, d)), product(MatMul::PLAIN, (s, d, s))]
    }

    /// The products of one head's gradient: dV and dK, dP, dQ.
    fn backward(self, width: u64, host: Host) -> Vec<Packed> {
        let (s, d) = (self.sequence, width / self.heads);
        let product = |rule, extents| Packed { shared: true, ..host.panels.product(rule, extents) };
        vec![product(MatMul::TRANSPOSE_A, (s, d, s)), product(MatMul::TRANSPOSE_B, (s, s, d)), product(MatMul::PLAIN, (s, d, s))]
    }

    /// Bytes of the probabilities of a head.
    fn square(self) -> Bytes {
        TensorType::f32(&[self.sequence, self.sequence]).bytes()
    }

    /// The probabilities after dropout.
    fn dropped(self, c: &mut Chain, p: &Handle, types: Signature<'_>) -> Handle {
        let same = c.again(p);
        if self.dropout.is_none() {
            return same;
        }
        let mask = c.filled(&self.probabilities(&types.inputs[0]).shape);
        c.binary(mask, same)
    }

    /// `[B·S·D]` → `[B, H, S, D/H]`.
    fn apart(self, c: &mut Chain, x: Handle, width: u64) -> Handle {
        let x = c.reshape(x, &[0, self.sequence, self.heads, width / self.heads]);
        c.swap(x, 1, 2)
    }
}

/// The most that products take which follow each other.
fn highest(products: &[Packed]) -> Bytes {
    products.iter().map(|product| product.bytes).max().unwrap_or_default()
}

impl Rule for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Attention)
    }

    fn words(&self) -> Words {
        Words { inputs: &["queries", "keys", "values"], outputs: &["outputs of attention", "probabilities of attention"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0], self.probabilities(&inputs[0])]
    }

    fn flops(&self, types: Signature<'_>) -> Flops {
        self.product(&types.inputs[0]) * 2
    }

    /// Each thread's panels, and its `[S, S]` of probabilities after dropout.
    fn host_workspace(&self, types: Signature<'_>, host: Host) -> Bytes {
        let dropped = self.dropout.map_or(Bytes::ZERO, |_| self.square());
        (dropped + highest(&self.forward(types.inputs[0].dim(1), host))) * host.threads
    }

    fn host_products(&self, types: Signature<'_>, host: Host) -> Vec<Packed> {
        self.forward(types.inputs[0].dim(1), host)
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let width = types.inputs[0].dim(1);
        let [q, k, v] = [0, 1, 2].map(|i| {
            let x = c.flat(types, i);
            self.apart(c, x, width)
        });
        let k = c.transpose(k);
        let scores = c.matmul(q, k);
        let scores = c.unary(scores);
        let scores = if self.causal {
            let mask = c.filled(&[1, 1, self.sequence, self.sequence]);
            c.binary(scores, mask)
        } else {
            scores
        };
        let top = c.again(&scores);
        let top = c.reduce(top, 3);
        let e = c.binary(scores, top);
        let e = c.unary(e);
        let same = c.again(&e);
        let sum = c.reduce(e, 3);
        let p = c.binary(same, sum);
        let dropped = self.dropped(c, &p, types);
        let context = c.matmul(dropped, v);
        let context = together(c, context);
        c.output(context);
        c.output(p);
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
/// dv = Pᵀ·do; dP = do·vᵀ; dS = P ⊙ (dP − rowsum(dP ⊙ P)); dq = dS·k/√(D/H); dk = dSᵀ·q/√(D/H). With dropout, dv = P′ᵀ·do and
/// dS = P′ ⊙ dP − P ⊙ rowsum(P′ ⊙ dP), P′ being what is left of P.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionGradient(pub Attention);

/// `[B, H, S, D/H]` → `[B·S·D]`.
fn together(c: &mut Chain, x: Handle) -> Handle {
    let x = c.swap(x, 1, 2);
    c.reshape(x, &[0])
}

impl Rule for AttentionGradient {
    fn name(&self) -> &'static str {
        "attention gradient"
    }

    fn words(&self) -> Words {
        Words {
            inputs: &["gradient of attention outputs", "", "", "", ""],
            outputs: &["gradient of queries", "gradient of keys", "gradient of values"],
        }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[1], inputs[2], inputs[3]]
    }

    fn flops(&self, types: Signature<'_>) -> Flops {
        self.0.product(&types.inputs[0]) * 4
    }

    /// Each thread's panels, its `[S, S]` of gradients of the scores, and one of probabilities after dropout.
    fn host_workspace(&self, types: Signature<'_>, host: Host) -> Bytes {
        let scores = self.0.square() * if self.0.dropout.is_some() { 2 } else { 1 };
        (scores + highest(&self.0.backward(types.inputs[0].dim(1), host))) * host.threads
    }

    fn host_products(&self, types: Signature<'_>, host: Host) -> Vec<Packed> {
        self.0.backward(types.inputs[0].dim(1), host)
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let width = types.inputs[0].dim(1);
        let [dout, q, k, v] = [0, 1, 2, 3].map(|i| {
            let x = c.flat(types, i);
            self.0.apart(c, x, width)
        });
        let p = c.take(types, 4);
        let (same, v) = (c.again(&dout), c.transpose(v));
        let dp = c.matmul(same, v);
        let dropped = self.0.dropped(c, &p, Signature { inputs: &types.inputs[1..], ..types });
        let turned = c.again(&dropped);
        let turned = c.transpose(turned);
        let dv = c.matmul(turned, dout);
        let dv = together(c, dv);
        let products = c.binary(dp, dropped);
        let along = c.again(&products);
        let along = c.reduce(along, 3);
        let along = c.binary(p, along);
        let ds = c.binary(products, along);
        let ds = c.unary(ds);
        let same = c.again(&ds);
        let dq = c.matmul(same, k);
        let dq = together(c, dq);
        let ds = c.transpose(ds);
        let dk = c.matmul(ds, q);
        let dk = together(c, dk);
        for gradient in [dq, dk, dv] {
            c.output(gradient);
        }
    }
}
