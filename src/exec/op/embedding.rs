//! Rows of a table by token id.

use burn::tensor::{IndexingUpdateOp, Tensor};

use super::{Frame, Plain, Run, flat};
use crate::step::op::{Embedding, EmbeddingGradient, SelectRows, Zeros};

/// A table's rows by token id are its rows selected.
impl Run for Embedding {
    fn host(&self, frame: &mut Frame<'_>) {
        SelectRows.host(frame);
    }

    fn plain(&self, x: Plain<'_>) -> Vec<Tensor<1>> {
        SelectRows.plain(x)
    }
}

impl Run for EmbeddingGradient {
    /// One thread, in the order of the positions: repeated tokens are added in one fixed order.
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(0, 1);
        let (dy, ids) = (frame.floats(1), frame.indices(2));
        let [sum] = frame.take();
        for (dy, id) in dy.chunks_exact(d).zip(ids) {
            for (s, x) in sum[*id as usize * d..][..d].iter_mut().zip(dy) {
                *s += x;
            }
        }
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let ids = x.index(2);
        let (sum, dy): (Tensor<2>, Tensor<2>) = (x.take(0), x.take(1));
        vec![flat(sum.select_assign(0, ids, dy, IndexingUpdateOp::Add))]
    }
}

impl Run for Zeros {
    fn host(&self, _frame: &mut Frame<'_>) {}

    fn plain(&self, x: Plain<'_>) -> Vec<Tensor<1>> {
        let length = x.types.outputs[0].elements() as usize;
        vec![Tensor::zeros([length], x.device)]
    }
}
