//! Matrix products, alone or added to a sum.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::chain::Handle;
use super::{Chain, Host, Packed, Rule, Signature, Types};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::TensorType;
use crate::units::{Bytes, Flops};

/// (a, b) → op(a) · op(b), where op transposes if asked to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatMul {
    /// Whether a is transposed.
    pub transpose_a: bool,
    /// Whether b is transposed.
    pub transpose_b: bool,
}

impl MatMul {
    /// a · b.
    pub const PLAIN: Self = Self { transpose_a: false, transpose_b: false };
    /// a · bᵀ.
    pub const TRANSPOSE_B: Self = Self { transpose_a: false, transpose_b: true };
    /// aᵀ · b.
    pub const TRANSPOSE_A: Self = Self { transpose_a: true, transpose_b: false };

    /// The extents (m, n, k) of m×k by k×n.
    pub fn extents(self, a: &TensorType, b: &TensorType) -> (u64, u64, u64) {
        let (m, k) = if self.transpose_a { (a.dim(1), a.dim(0)) } else { (a.dim(0), a.dim(1)) };
        let n = if self.transpose_b { b.dim(0) } else { b.dim(1) };
        (m, n, k)
    }
}

fn multiply(rule: MatMul, c: &mut Chain, a: Handle, b: Handle) -> Handle {
    let a = if rule.transpose_a { c.transpose(a) } else { a };
    let b = if rule.transpose_b { c.transpose(b) } else { b };
    c.matmul(a, b)
}

impl Rule for MatMul {
    fn name(&self) -> &'static str {
        "matrix product"
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Projection)
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        let (m, n, _) = self.extents(&inputs[0], &inputs[1]);
        smallvec![TensorType::f32(&[m, n])]
    }

    fn flops(&self, types: Signature<'_>) -> Flops {
        let (m, n, k) = self.extents(&types.inputs[0], &types.inputs[1]);
        Flops::matmul(m, n, k)
    }

    fn host_workspace(&self, types: Signature<'_>, host: Host) -> Bytes {
        host.panels.product(*self, self.extents(&types.inputs[0], &types.inputs[1])).bytes
    }

    fn host_products(&self, types: Signature<'_>, host: Host) -> Vec<Packed> {
        vec![host.panels.product(*self, self.extents(&types.inputs[0], &types.inputs[1]))]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (a, b) = (c.take(types, 0), c.take(types, 1));
        let product = multiply(*self, c, a, b);
        c.output(product);
    }

    /// For c = op(a)·op(b): da = dc·op(b)ᵀ and db = op(a)ᵀ·dc, each transposed back where its operand was.
    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dc) = backward.gradient(node.outputs[0]) else { return };
        let (a, b) = (node.inputs[0], node.inputs[1]);
        // The weight's gradient first: after it, what forward saved for it can die.
        if self.transpose_b {
            backward.contribute_product(b, Self { transpose_a: true, transpose_b: self.transpose_a }, dc, a);
        } else {
            backward.contribute_product(b, Self { transpose_a: !self.transpose_a, transpose_b: false }, a, dc);
        }
        if self.transpose_a {
            backward.contribute_product(a, Self { transpose_a: self.transpose_b, transpose_b: true }, b, dc);
        } else {
            backward.contribute_product(a, Self { transpose_a: false, transpose_b: !self.transpose_b }, dc, b);
        }
    }
}

/// (sum, a, b) → sum + op(a) · op(b).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatMulAccumulate(pub MatMul);

impl Rule for MatMulAccumulate {
    fn name(&self) -> &'static str {
        "matrix product into a sum"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn flops(&self, types: Signature<'_>) -> Flops {
        let (m, n, k) = self.0.extents(&types.inputs[1], &types.inputs[2]);
        Flops::matmul(m, n, k)
    }

    fn host_workspace(&self, types: Signature<'_>, host: Host) -> Bytes {
        host.panels.product(self.0, self.0.extents(&types.inputs[1], &types.inputs[2])).bytes
    }

    fn host_products(&self, types: Signature<'_>, host: Host) -> Vec<Packed> {
        vec![host.panels.product(self.0, self.0.extents(&types.inputs[1], &types.inputs[2]))]
    }

    /// The product is made before it is added.
    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (sum, a, b) = (c.take(types, 0), c.take(types, 1), c.take(types, 2));
        let product = multiply(self.0, c, a, b);
        let sum = c.binary(sum, product);
        c.output(sum);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}
