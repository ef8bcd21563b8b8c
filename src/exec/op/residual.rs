//! Sums of two tensors.

use burn::tensor::Tensor;

use super::{Frame, Operand, Plain, Run};
use crate::exec::host::{PIECE, pieces};
use crate::step::op::Add;

impl Run for Add {
    /// The output holds one operand at first; the other is the one that is still there (both, where neither dies).
    fn host(&self, frame: &mut Frame<'_>) {
        let other = if matches!(frame.inputs[1], Operand::Taken) { frame.floats(0) } else { frame.floats(1) };
        let [out] = frame.take();
        pieces(out, PIECE, |i, out| {
            for (y, x) in out.iter_mut().zip(&other[i * PIECE..]) {
                *y += x;
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (a, b) = (x.flat(0), x.flat(1));
        vec![a + b]
    }
}
