//! Selecting and scattering rows.

use burn::tensor::{IndexingUpdateOp, Tensor};

use super::{Frame, Plain, Run, flat};
use crate::step::op::{ScatterRows, SelectRows};

impl Run for SelectRows {
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(0, 1);
        let (x, rows) = (frame.floats(0), frame.indices(1));
        let [out] = frame.take();
        for (y, row) in out.chunks_exact_mut(d).zip(rows) {
            y.copy_from_slice(&x[*row as usize * d..][..d]);
        }
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let rows = x.index(1);
        let input: Tensor<2> = x.take(0);
        vec![flat(input.select(0, rows))]
    }
}

impl Run for ScatterRows {
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(0, 1);
        let (dy, rows) = (frame.floats(0), frame.indices(1));
        let [out] = frame.take();
        for (dy, row) in dy.chunks_exact(d).zip(rows) {
            out[*row as usize * d..][..d].copy_from_slice(dy);
        }
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let rows = x.index(1);
        let dy: Tensor<2> = x.take(0);
        let zeros = Tensor::<2>::zeros([self.total as usize, dy.dims()[1]], x.device);
        vec![flat(zeros.select_assign(0, rows, dy, IndexingUpdateOp::Add))]
    }
}
