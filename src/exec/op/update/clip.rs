//! The norm of the whole gradient, and its clipping.

use burn::tensor::Tensor;

use super::squares;
use crate::exec::host::partials;
use crate::exec::op::{Frame, Plain, Run};
use crate::step::op::{ClipFactor, SUM_CHUNK, SumSquares};

impl Run for SumSquares {
    fn host(&self, frame: &mut Frame<'_>) {
        let parts = partials(frame.floats(0), SUM_CHUNK as usize, |_, piece| squares(piece));
        let [out] = frame.take();
        out[0] = parts.iter().sum::<f64>() as f32;
    }

    /// Rows are summed first, so that no single sum is longer than the longest extent: on the devices whose order of
    /// summation depends on the length alone, that fixes the order.
    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (rows, columns) = match *x.types.inputs[0].shape {
            [r, c] => (r as usize, c as usize),
            _ => (1, x.types.inputs[0].elements() as usize),
        };
        let g: Tensor<2> = x.flat(0).reshape([rows, columns]);
        vec![(g.clone() * g).sum_dim(1).sum_dim(0).reshape([1])]
    }
}

impl Run for ClipFactor {
    fn host(&self, frame: &mut Frame<'_>) {
        let total: f64 = (0..frame.inputs.len()).map(|i| f64::from(frame.floats(i)[0])).sum();
        let [out] = frame.take();
        let norm = libm::sqrt(total);
        out[0] = norm as f32;
        out[1] = self.max.map_or(1.0, |max| (max / (norm + 1e-6)).min(1.0)) as f32;
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let sums: Vec<Tensor<1>> = (0..x.inputs.len()).map(|i| x.flat(i)).collect();
        let norm = Tensor::cat(sums, 0).sum_dim(0).sqrt();
        let factor = match self.max {
            Some(max) => ((norm.clone() + 1e-6).recip() * max).clamp_max(1.0),
            None => norm.ones_like(),
        };
        vec![Tensor::cat(vec![norm, factor], 0)]
    }
}
