//! Dropout.

use burn::tensor::{DType, Tensor, TensorData};

use super::{Draws, Frame, Plain, Run};
use crate::exec::host::draws::Mask;
use crate::exec::host::pieces;
use crate::step::op::Dropout;

impl Run for Dropout {
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(0, 1);
        let mask = Mask::new(*self, frame.scalars.draws);
        let [out] = frame.take();
        pieces(out, d, |r, row| mask.apply(r, row, |_, x| x));
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (rows, width) = (x.dim(0, 0), x.dim(0, 1));
        let mask = mask(*self, x.scalars.draws, [rows, width], &x);
        vec![x.flat(0) * mask]
    }
}

/// The mask of rows, sent to the device.
pub fn mask(dropout: Dropout, draws: Draws, [rows, width]: [usize; 2], x: &Plain<'_>) -> Tensor<1> {
    let mask = Mask::new(dropout, draws).rows(rows, width);
    Tensor::from_data(TensorData::new(mask, [rows * width]), (x.device, DType::F32))
}
