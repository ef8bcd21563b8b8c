//! Rotary positions (Su et al. 2021, "RoFormer").

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::chain::Handle;
use super::{Chain, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;

/// (x `[T, D]`, table `[2·S, D/2H]`) → y `[T, D]`; the table holds the cosines of S places, then their sines.
///
/// Of each head, with a its first half and b its second: a ← a·cos − b·sin, b ← b·cos + a·sin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rotate {
    /// Heads H.
    pub heads: u64,
    /// Tokens in a sequence S.
    pub sequence: u64,
    /// Whether the other way round: the sines with the other sign.
    pub back: bool,
}

impl Rotate {
    /// `[2·S, D/2H]` → cosines and sines, `[1, S, 1, D/2H]` each.
    fn table(self, c: &mut Chain, table: Handle, half: u64) -> [Handle; 2] {
        let elements = self.sequence * half;
        let same = c.again(&table);
        let cos = c.slice(same, 0, elements);
        let sin = c.slice(table, elements, elements);
        [cos, sin].map(|part| c.reshape(part, &[1, self.sequence, 1, half]))
    }

    /// Half `i` of every head, `[B, S, H, D/2H]`.
    fn half(self, c: &mut Chain, x: Handle, i: u64, half: u64) -> Handle {
        let part = c.slice(x, i, 1);
        c.reshape(part, &[0, self.sequence, self.heads, half])
    }
}

impl Rule for Rotate {
    fn name(&self) -> &'static str {
        if self.back { "rotate back" } else { "rotate" }
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Projection)
    }

    fn words(&self) -> Words {
        Words { inputs: &["queries or keys", ""], outputs: &["rotated queries or keys"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let half = types.inputs[1].dim(1);
        let (x, table) = (c.flat(types, 0), c.flat(types, 1));
        let [cos, sin] = self.table(c, table, half);
        let sin = if self.back { c.unary(sin) } else { sin };
        let x = c.reshape(x, &[0, 2, half]);
        let x = c.swap(x, 0, 1);
        let same = c.again(&x);
        let (a, b) = (self.half(c, same, 0, half), self.half(c, x, 1, half));
        let (same, other) = (c.again(&a), c.again(&cos));
        let first = c.binary(same, other);
        let (same, other) = (c.again(&b), c.again(&sin));
        let part = c.binary(same, other);
        let first = c.binary(first, part);
        let second = c.binary(b, cos);
        let part = c.binary(a, sin);
        let second = c.binary(second, part);
        let [first, second] = [first, second].map(|part| c.reshape(part, &[0]));
        let total = types.inputs[0].elements();
        let both = c.cat([first, second], total);
        let both = c.reshape(both, &[2, 0, half]);
        let both = c.swap(both, 0, 1);
        c.output(both);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    /// A rotation's transpose is the rotation back.
    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let (x, table) = (node.inputs[0], node.inputs[1]);
        let made = backward.emit(Self { back: !self.back, ..*self }, &[dy, table]);
        backward.contribute(x, made[0]);
    }
}
