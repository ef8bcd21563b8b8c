//! Scaled-sinusoidal positions.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, flat};
use crate::exec::host::math::sum;
use crate::exec::host::{partials, pieces};
use crate::step::op::{AddPosition, PositionGradient};

impl Run for AddPosition {
    fn host(&self, frame: &mut Frame<'_>) {
        let (table, scale) = (frame.floats(1), frame.floats(2)[0]);
        let [out] = frame.take();
        pieces(out, table.len(), |_, out| {
            for (y, t) in out.iter_mut().zip(table) {
                *y += scale * t;
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (s, d) = (x.dim(1, 0), x.dim(1, 1));
        let input = x.flat(0).reshape([-1, s as isize, d as isize]);
        let offset = x.flat(1) * x.flat(2);
        let sum: Tensor<3> = input + offset.reshape([1, s, d]);
        vec![flat(sum)]
    }
}

impl Run for PositionGradient {
    fn host(&self, frame: &mut Frame<'_>) {
        let (dy, table) = (frame.floats(0), frame.floats(1));
        let parts = partials(dy, table.len(), |_, dy| {
            let d = 1024;
            dy.chunks(d).zip(table.chunks(d)).map(|(a, b)| f64::from(sum(a.len(), |i| a[i] * b[i]))).sum()
        });
        let [out] = frame.take();
        out[0] = parts.iter().sum::<f64>() as f32;
    }

    /// The sequences are summed first: the product is as small as the table.
    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (s, d) = (x.dim(1, 0), x.dim(1, 1));
        let dy: Tensor<3> = x.flat(0).reshape([-1, s as isize, d as isize]);
        let table = x.flat(1).reshape([1, s, d]);
        vec![flat((dy.sum_dim(0) * table).sum_dim(2).sum_dim(1))]
    }
}
