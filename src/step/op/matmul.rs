//! Matrix products, alone or added to a sum.

use serde::{Deserialize, Serialize};

use super::{Backend, Rule, Signature};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
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

impl Rule for MatMul {
    fn name(&self) -> &'static str {
        "matrix product"
    }

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        let (m, n, _) = self.extents(&inputs[0], &inputs[1]);
        vec![TensorType::f32(&[m, n])]
    }

    fn flops(&self, types: Signature<'_>) -> Flops {
        let (m, n, k) = self.extents(&types.inputs[0], &types.inputs[1]);
        Flops::matmul(m, n, k)
    }

    /// Packing buffers are a few hundred KiB a thread, kept by the library from call to call: part of the process.
    fn workspace(&self, _types: Signature<'_>, _backend: Backend) -> Bytes {
        Bytes::ZERO
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

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[0].clone()]
    }

    fn flops(&self, types: Signature<'_>) -> Flops {
        let (m, n, k) = self.0.extents(&types.inputs[1], &types.inputs[2]);
        Flops::matmul(m, n, k)
    }

    /// As plain operations the product is made before it is added.
    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => Bytes::ZERO,
            Backend::Plain => types.outputs[0].bytes(),
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}
