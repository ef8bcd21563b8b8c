//! Layer normalisation.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, flat};
use crate::exec::host::math::sum;
use crate::exec::host::{pieces3, wide};
use crate::step::op::{LayerNorm, LayerNormGradient, NORM_ROWS};

impl Run for LayerNorm {
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(0, 1);
        let (x, gain, bias, eps) = (frame.floats(0), frame.floats(1), frame.floats(2), self.eps as f32);
        let rows = NORM_ROWS as usize;
        pieces3(frame.take(), [rows * d, rows, rows], |i, y, mean, scale| {
            let x = &x[i * rows * d..][..y.len()];
            for (r, (x, y)) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).enumerate() {
                (mean[r], scale[r]) = normalise(x, y, gain, bias, eps);
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let d = x.dim(0, 1);
        let (input, gain, bias): (Tensor<2>, Tensor<1>, Tensor<1>) = (x.take(0), x.take(1), x.take(2));
        let mean = input.clone().mean_dim(1);
        let centred = input - mean.clone();
        let scale = ((centred.clone() * centred.clone()).mean_dim(1) + self.eps).sqrt().recip();
        let y = centred * scale.clone() * gain.reshape([1, d]) + bias.reshape([1, d]);
        vec![flat(y), flat(mean), flat(scale)]
    }
}

#[inline(always)]
fn normalise(x: &[f32], y: &mut [f32], gain: &[f32], bias: &[f32], eps: f32) -> (f32, f32) {
    let d = x.len();
    let mean = sum(d, |i| x[i]) / d as f32;
    let variance = sum(d, |i| (x[i] - mean) * (x[i] - mean)) / d as f32;
    let scale = 1.0 / (variance + eps).sqrt();
    for (((y, x), g), b) in y.iter_mut().zip(x).zip(gain).zip(bias) {
        *y = (x - mean) * scale * g + b;
    }
    (mean, scale)
}

impl Run for LayerNormGradient {
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(1, 1);
        let (x, mean, scale, gain) = (frame.floats(1), frame.floats(2), frame.floats(3), frame.floats(4));
        let [dx, dgain, dbias] = frame.take();
        let rows = NORM_ROWS as usize;
        let parts = dx.len().div_ceil(rows * d);
        let (mut gains, mut biases) = (vec![0f32; parts * d], vec![0f32; parts * d]);
        pieces3([dx, &mut gains, &mut biases], [rows * d, d, d], |i, dx, dgain, dbias| {
            let x = &x[i * rows * d..][..dx.len()];
            for (r, (x, dx)) in x.chunks_exact(d).zip(dx.chunks_exact_mut(d)).enumerate() {
                let row = i * rows + r;
                backward(x, dx, (mean[row], scale[row]), gain, dgain, dbias);
            }
        });
        wide(|| {
            for (out, parts) in [(dgain, &gains), (dbias, &biases)] {
                for part in parts.chunks_exact(d) {
                    for (sum, x) in out.iter_mut().zip(part) {
                        *sum += x;
                    }
                }
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (t, d) = (x.dim(1, 0), x.dim(1, 1));
        let (dy, input): (Tensor<2>, Tensor<2>) = (x.take(0), x.take(1));
        let (mean, scale) = (x.flat(2).reshape([t, 1]), x.flat(3).reshape([t, 1]));
        let gain = x.flat(4).reshape([1, d]);
        let normal = (input - mean) * scale.clone();
        let dbias = dy.clone().sum_dim(0);
        let product = dy.clone() * normal.clone();
        let dgain = product.clone().sum_dim(0);
        let along = (product * gain.clone()).mean_dim(1);
        let g = dy * gain;
        let average = g.clone().mean_dim(1);
        let dx = (g - average - normal * along) * scale;
        vec![flat(dx), flat(dgain), flat(dbias)]
    }
}

/// One row; `dx` holds dy at first.
#[inline(always)]
fn backward(x: &[f32], dx: &mut [f32], (mean, scale): (f32, f32), gain: &[f32], dgain: &mut [f32], dbias: &mut [f32]) {
    let d = x.len();
    for i in 0..d {
        dgain[i] += dx[i] * (x[i] - mean) * scale;
        dbias[i] += dx[i];
        dx[i] *= gain[i];
    }
    let average = sum(d, |i| dx[i]) / d as f32;
    let along = sum(d, |i| dx[i] * (x[i] - mean)) * scale / d as f32;
    for i in 0..d {
        dx[i] = (dx[i] - average - (x[i] - mean) * scale * along) * scale;
    }
}
