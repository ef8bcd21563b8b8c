//! Matrix products: burn's on every device; into a sum, on the CPU, without making the product first.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, flat};
use crate::exec::host::matrix::{Layout, Threads, product};
use crate::step::op::{MatMul, MatMulAccumulate};

fn multiply(rule: MatMul, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let a = if rule.transpose_a { a.transpose() } else { a };
    let b = if rule.transpose_b { b.transpose() } else { b };
    a.matmul(b)
}

impl Run for MatMul {
    fn has_host_form(&self) -> bool {
        false
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (a, b) = (x.take(0), x.take(1));
        vec![flat(multiply(*self, a, b))]
    }
}

impl Run for MatMulAccumulate {
    fn host(&self, frame: &mut Frame<'_>) {
        let layout = |i: usize| Layout::full(frame.dim(i, 0), frame.dim(i, 1));
        let (a, b) = (layout(1).transposed_if(self.0.transpose_a), layout(2).transposed_if(self.0.transpose_b));
        let sum_layout = layout(0);
        let (da, db) = (frame.floats(1), frame.floats(2));
        let [sum] = frame.take();
        product((sum, sum_layout), (da, a), (db, b), 1.0, 1.0, Threads::All);
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (sum, a, b): (Tensor<2>, _, _) = (x.take(0), x.take(1), x.take(2));
        vec![flat(sum + multiply(self.0, a, b))]
    }
}
