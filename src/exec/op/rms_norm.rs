//! Norms that do not centre.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, flat};
use crate::exec::host::math::sum;
use crate::exec::host::{pieces2, wide};
use crate::step::op::{NORM_ROWS, RmsNorm, RmsNormGradient};

/// Gains for the columns: a number for each, or one for all.
#[derive(Clone, Copy)]
struct Gains<'a> {
    all: &'a [f32],
    factor: f32,
}

impl Gains<'_> {
    /// y ← y ⊙ gain · factor.
    #[inline(always)]
    fn apply(self, y: &mut [f32]) {
        if let [one] = self.all {
            let gain = one * self.factor;
            for y in y.iter_mut() {
                *y *= gain;
            }
        } else {
            for (y, gain) in y.iter_mut().zip(self.all) {
                *y *= gain * self.factor;
            }
        }
    }
}

impl Run for RmsNorm {
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(0, 1);
        let (x, eps) = (frame.floats(0), self.eps as f32);
        let gains = Gains { all: frame.floats(1), factor: self.factor as f32 };
        let [y, scale] = frame.take();
        let rows = NORM_ROWS as usize;
        pieces2(y, scale, (rows * d, rows), |i, y, scale| {
            let x = &x[i * rows * d..][..y.len()];
            for ((x, y), scale) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).zip(scale) {
                *scale = 1.0 / (sum(d, |i| x[i] * x[i]) / d as f32 + eps).sqrt();
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x * *scale);
                gains.apply(y);
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (input, gain): (Tensor<2>, Tensor<1>) = (x.take(0), x.take(1));
        let scale = ((input.clone() * input.clone()).mean_dim(1) + self.eps).sqrt().recip();
        let y = input * scale.clone() * weighted(gain, self.factor);
        vec![flat(y), flat(scale)]
    }
}

/// factor · gain as a row.
fn weighted(gain: Tensor<1>, factor: f64) -> Tensor<2> {
    let row: Tensor<2> = gain.reshape([1, -1]);
    row * factor
}

impl Run for RmsNormGradient {
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(1, 1);
        let (x, scale) = (frame.floats(1), frame.floats(2));
        let gains = Gains { all: frame.floats(3), factor: self.factor as f32 };
        let [dx, dgain] = frame.take();
        let rows = NORM_ROWS as usize;
        let parts = dx.len().div_ceil(rows * d);
        let mut columns = vec![0f32; parts * d];
        pieces2(dx, &mut columns, (rows * d, d), |i, dx, columns| {
            let x = &x[i * rows * d..][..dx.len()];
            for (r, (x, dx)) in x.chunks_exact(d).zip(dx.chunks_exact_mut(d)).enumerate() {
                backward(x, dx, scale[i * rows + r], gains, columns);
            }
        });
        wide(|| {
            for part in columns.chunks_exact(d) {
                if let [one] = dgain {
                    *one += sum(d, |i| part[i]) * gains.factor;
                } else {
                    dgain.iter_mut().zip(part).for_each(|(sum, x)| *sum += x * gains.factor);
                }
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let t = x.dim(1, 0);
        let (dy, input): (Tensor<2>, Tensor<2>) = (x.take(0), x.take(1));
        let scale = x.flat(2).reshape([t, 1]);
        let one = x.types.inputs[3].elements() == 1;
        let gain = weighted(x.flat(3), self.factor);
        let normal = input * scale.clone();
        let product = dy.clone() * normal.clone();
        let dgain = product.clone().sum_dim(0);
        let dgain = if one { dgain.sum_dim(1) } else { dgain } * self.factor;
        let along = (product * gain.clone()).mean_dim(1);
        let g = dy * gain;
        let dx = (g - normal * along) * scale;
        vec![flat(dx), flat(dgain)]
    }
}

/// One row; `dx` holds dy at first. `columns` takes Σ dy ⊙ n.
#[inline(always)]
fn backward(x: &[f32], dx: &mut [f32], scale: f32, gains: Gains<'_>, columns: &mut [f32]) {
    let d = x.len();
    for i in 0..d {
        columns[i] += dx[i] * x[i] * scale;
    }
    gains.apply(dx);
    let along = sum(d, |i| dx[i] * x[i]) * scale / d as f32;
    for i in 0..d {
        dx[i] = (dx[i] - x[i] * scale * along) * scale;
    }
}
