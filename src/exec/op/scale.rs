//! A tensor times a number.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run};
use crate::exec::host::{PIECE, pieces};
use crate::step::op::Scale;

impl Run for Scale {
    fn host(&self, frame: &mut Frame<'_>) {
        let factor = self.factor as f32;
        let [out] = frame.take();
        pieces(out, PIECE, |_, out| out.iter_mut().for_each(|x| *x *= factor));
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        vec![x.flat(0) * self.factor]
    }
}
