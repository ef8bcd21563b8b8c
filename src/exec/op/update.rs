//! From gradients to weights.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, Scalars};
use crate::exec::host::math::sum;
use crate::exec::host::{PIECE, partials, pieces3};
use crate::step::op::{AdamW, ClipFactor, SUM_CHUNK, SumSquares};

impl Run for SumSquares {
    fn host(&self, frame: &mut Frame<'_>) {
        let parts = partials(frame.floats(0), SUM_CHUNK as usize, |_, piece| {
            piece.chunks(1024).map(|x| f64::from(sum(x.len(), |i| x[i] * x[i]))).sum()
        });
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

/// What the update of this step needs besides the tensors.
struct Coefficients {
    /// lr/(1 − β₁ᵗ).
    rate: f64,
    /// 1/√(1 − β₂ᵗ).
    second: f64,
    /// 1 − lr·decay.
    keep: f64,
}

impl Coefficients {
    fn new(op: &AdamW, scalars: Scalars) -> Self {
        let power = |beta: f64| libm::pow(beta, scalars.step as f64);
        Self {
            rate: scalars.rate / (1.0 - power(op.betas.0)),
            second: 1.0 / libm::sqrt(1.0 - power(op.betas.1)),
            keep: 1.0 - scalars.rate * op.weight_decay,
        }
    }
}

impl Run for AdamW {
    fn host(&self, frame: &mut Frame<'_>) {
        let c = Coefficients::new(self, frame.scalars);
        let (b1, b2, eps) = (self.betas.0 as f32, self.betas.1 as f32, self.eps as f32);
        let (rate, second, keep) = (c.rate as f32, c.second as f32, c.keep as f32);
        let (gradient, factor) = (frame.floats(1), frame.floats(4)[1]);
        pieces3(frame.take(), [PIECE; 3], |i, w, m, v| {
            let g = &gradient[i * PIECE..][..w.len()];
            for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
                let g = g * factor;
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *w = *w * keep - rate * *m / (v.sqrt() * second + eps);
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let c = Coefficients::new(self, x.scalars);
        let (b1, b2) = self.betas;
        let (w, g, m, v) = (x.flat(0), x.flat(1), x.flat(2), x.flat(3));
        let factor = x.flat(4).narrow(0, 1, 1);
        let g = g * factor;
        let m = m * b1 + g.clone() * (1.0 - b1);
        let v = v * b2 + g.clone() * g * (1.0 - b2);
        let step = m.clone() / (v.clone().sqrt() * c.second + self.eps) * c.rate;
        vec![w * c.keep - step, m, v]
    }
}
