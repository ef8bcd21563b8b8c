//! Matrix products. On the CPU they are the `gemm` crate's, which burn's `flex` calls too: called directly, a product can be
//! added to a sum without being made first, and its result is not copied (`flex` makes each result twice, the second time
//! aligned).

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, flat};
use crate::exec::host::matrix::{Layout, Threads, product};
use crate::step::op::{MatMul, MatMulAccumulate};

fn multiply(rule: MatMul, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let a = if rule.transpose_a { a.transpose() } else { a };
    let b = if rule.transpose_b { b.transpose() } else { b };
    a.matmul(b)
}

/// c ← keep·c + op(a)·op(b), a and b being inputs `i` and `i + 1`.
fn multiply_into(rule: MatMul, frame: &mut Frame<'_>, i: usize, keep: f32) {
    let layout = |i: usize| Layout::full(frame.dim(i, 0), frame.dim(i, 1));
    let (a, b) = (layout(i).transposed_if(rule.transpose_a), layout(i + 1).transposed_if(rule.transpose_b));
    let (da, db) = (frame.floats(i), frame.floats(i + 1));
    let [c] = frame.take();
    product((c, Layout::full(a.rows, b.columns)), (da, a), (db, b), keep, 1.0, Threads::All);
}

impl Run for MatMul {
    fn host(&self, frame: &mut Frame<'_>) {
        multiply_into(*self, frame, 0, 0.0);
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (a, b) = (x.take(0), x.take(1));
        vec![flat(multiply(*self, a, b))]
    }
}

impl Run for MatMulAccumulate {
    fn host(&self, frame: &mut Frame<'_>) {
        multiply_into(self.0, frame, 1, 1.0);
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (sum, a, b): (Tensor<2>, _, _) = (x.take(0), x.take(1), x.take(2));
        vec![flat(sum + multiply(self.0, a, b))]
    }
}
