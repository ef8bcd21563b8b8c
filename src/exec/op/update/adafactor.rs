//! Adafactor.

use burn::tensor::Tensor;

use super::lamb::norm;
use super::{Frame, Plain, Run, SHORT, clipped, extents};
use crate::exec::host::math::sum;
use crate::exec::host::{partials, partials1, pieces, pieces2, wide};
use crate::step::op::{Adafactor, NORM_CHUNK, NORM_ROWS};

/// The numbers of a step.
#[derive(Clone, Copy)]
struct Numbers {
    /// β of the second moment.
    beta: f64,
    /// Length of the longest step.
    longest: f64,
    rate: f64,
    /// 1 − lr·decay.
    keep: f64,
    momentum: f64,
}

impl Numbers {
    fn of(op: &Adafactor, t: u64, rate: f64, elements: usize) -> Self {
        Self {
            beta: 1.0 - libm::pow(t as f64, -op.decay_rate),
            longest: op.threshold * libm::sqrt(elements as f64),
            rate,
            keep: 1.0 - rate * op.weight_decay,
            momentum: op.momentum,
        }
    }

    /// By how much a step is shortened, from the sum of its squares.
    fn limit(self, squares: f64) -> f64 {
        (self.longest / libm::sqrt(squares)).min(1.0)
    }

    /// Takes steps on a piece of the weight, and of the momentum where there is one.
    #[inline(always)]
    fn take(self, w: &mut [f32], m: Option<&mut [f32]>, step: impl Fn(usize) -> f32) {
        let (rate, keep, momentum) = (self.rate as f32, self.keep as f32, self.momentum as f32);
        match m {
            None => w.iter_mut().enumerate().for_each(|(j, w)| *w = *w * keep - rate * step(j)),
            Some(m) => {
                for (j, (w, m)) in w.iter_mut().zip(m).enumerate() {
                    *m = momentum * *m + (1.0 - momentum) * step(j);
                    *w = *w * keep - rate * *m;
                }
            }
        }
    }
}

/// Pieces of a weight, and of its momentum where there is one, side by side.
fn in_pieces(w: &mut [f32], m: Option<&mut [f32]>, size: usize, work: impl Fn(usize, &mut [f32], Option<&mut [f32]>) + Sync) {
    match m {
        None => pieces(w, size, |i, w| work(i, w, None)),
        Some(m) => pieces2(w, m, (size, size), |i, w, m| work(i, w, Some(m))),
    }
}

/// A matrix and what is kept of it.
fn matrix(
    op: &Adafactor,
    n: Numbers,
    gradient: (&[f32], f32),
    columns: usize,
    [w, r, c]: [&mut [f32]; 3],
    m: Option<&mut [f32]>,
) {
    let ((gradient, factor), rows, size) = (gradient, r.len(), NORM_ROWS as usize);
    let (beta, eps) = (n.beta as f32, op.eps as f32);
    let mut sums = vec![0f32; rows.div_ceil(size) * columns];
    pieces2(r, &mut sums, (size, columns), |i, r, sums| {
        for (g, r) in gradient[i * size * columns..].chunks_exact(columns).zip(r) {
            let square = |g: f32| g * factor * (g * factor) + eps;
            sums.iter_mut().zip(g).for_each(|(sum, g)| *sum += square(*g));
            *r = beta * *r + (1.0 - beta) * (sum(columns, |j| square(g[j])) / columns as f32);
        }
    });
    let (by_column, others) = sums.split_at_mut(columns);
    wide(|| {
        for part in others.chunks_exact(columns) {
            by_column.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
        }
        for (c, sum) in c.iter_mut().zip(by_column.iter_mut()) {
            *c = beta * *c + (1.0 - beta) * (*sum / rows as f32);
            *sum = 1.0 / c.sqrt();
        }
    });
    let mean = (r.iter().map(|r| f64::from(*r)).sum::<f64>() / rows as f64) as f32;
    let (r, by_column) = (&*r, &*by_column);
    let by_row = |row: usize| factor / (r[row] / mean).sqrt();
    let squares = partials(gradient, size * columns, |i, g| {
        let of_row = |(row, g): (usize, &[f32])| {
            let scale = by_row(i * size + row);
            let square = |j: usize| {
                let u = g[j] * scale * by_column[j];
                u * u
            };
            f64::from(sum(columns, square))
        };
        g.chunks_exact(columns).enumerate().map(of_row).sum()
    });
    let limit = n.limit(squares.iter().sum()) as f32;
    in_pieces(w, m, size * columns, |i, w, mut m| {
        for (row, w) in w.chunks_exact_mut(columns).enumerate() {
            let (scale, row) = (by_row(i * size + row) * limit, row * columns);
            let g = &gradient[i * size * columns + row..][..columns];
            let m = m.as_deref_mut().map(|m| &mut m[row..row + columns]);
            n.take(w, m, |j| g[j] * scale * by_column[j]);
        }
    });
}

/// Any other parameter and what is kept of it.
fn whole(op: &Adafactor, n: Numbers, (gradient, factor): (&[f32], f32), [w, v]: [&mut [f32]; 2], m: Option<&mut [f32]>) {
    let (beta, eps, size) = (n.beta as f32, op.eps as f32, NORM_CHUNK as usize);
    let squares = partials1(v, size, |i, v| {
        let mut squares = 0.0;
        for start in (0..v.len()).step_by(SHORT) {
            let end = v.len().min(start + SHORT);
            let (v, g) = (&mut v[start..end], &gradient[i * size + start..][..end - start]);
            for (v, g) in v.iter_mut().zip(g) {
                *v = beta * *v + (1.0 - beta) * (g * factor * (g * factor) + eps);
            }
            let square = |j: usize| {
                let u = g[j] * factor / v[j].sqrt();
                u * u
            };
            squares += f64::from(sum(end - start, square));
        }
        squares
    });
    let scale = factor * n.limit(squares.iter().sum()) as f32;
    let v = &*v;
    in_pieces(w, m, size, |i, w, m| {
        let (g, v) = (&gradient[i * size..][..w.len()], &v[i * size..][..w.len()]);
        n.take(w, m, |j| g[j] * scale / v[j].sqrt());
    });
}

impl Run for Adafactor {
    fn host(&self, frame: &mut Frame<'_>) {
        let n = Numbers::of(self, frame.scalars.step, frame.scalars.rate, frame.types.inputs[0].elements() as usize);
        let gradient = (frame.floats(1), frame.floats(frame.inputs.len() - 1)[1]);
        let columns = frame.dim(0, 1);
        match (self.has_momentum(), self.factored) {
            (false, false) => whole(self, n, gradient, frame.take(), None),
            (false, true) => matrix(self, n, gradient, columns, frame.take(), None),
            (true, false) => {
                let [w, m, v] = frame.take();
                whole(self, n, gradient, [w, v], Some(m));
            }
            (true, true) => {
                let [w, m, r, c] = frame.take();
                matrix(self, n, gradient, columns, [w, r, c], Some(m));
            }
        }
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (rows, columns) = extents(&x);
        let n = Numbers::of(self, x.scalars.step, x.scalars.rate, rows * columns);
        let last = x.inputs.len() - 1;
        let (w, g) = (x.flat(0), clipped(&mut x, last));
        let (u, second) = if self.factored { factored(self, n, &mut x, g) } else { unfactored(self, n, &mut x, g) };
        let limit = (norm(u.clone(), rows, columns).recip() * n.longest).clamp_max(1.0);
        let u = u * limit;
        let (step, first) = if self.has_momentum() {
            let m = x.flat(2) * n.momentum + u * (1.0 - n.momentum);
            (m.clone(), Some(m))
        } else {
            (u, None)
        };
        let step = step * n.rate;
        [w * n.keep - step].into_iter().chain(first).chain(second).collect()
    }
}

/// g/√v of a matrix, and both parts of its second moment.
fn factored(op: &Adafactor, n: Numbers, x: &mut Plain<'_>, g: Tensor<1>) -> (Tensor<1>, Vec<Tensor<1>>) {
    let (rows, columns) = extents(x);
    let (r, c) = (x.flat(op.second()), x.flat(op.second() + 1));
    let g: Tensor<2> = g.reshape([rows, columns]);
    let square = g.clone() * g.clone() + op.eps;
    let r = r * n.beta + square.clone().mean_dim(1).reshape([rows]) * (1.0 - n.beta);
    let c = c * n.beta + square.mean_dim(0).reshape([columns]) * (1.0 - n.beta);
    let mean = r.clone().mean_dim(0);
    let by_row = (r.clone() / mean).sqrt().recip().reshape([rows, 1]);
    let by_column = c.clone().sqrt().recip().reshape([1, columns]);
    let u = g * by_row * by_column;
    (u.reshape([rows * columns]), vec![r, c])
}

/// g/√v of any other parameter, and its second moment.
fn unfactored(op: &Adafactor, n: Numbers, x: &mut Plain<'_>, g: Tensor<1>) -> (Tensor<1>, Vec<Tensor<1>>) {
    let v = x.flat(op.second());
    let square = g.clone() * g.clone() + op.eps;
    let v = v * n.beta + square * (1.0 - n.beta);
    let u = g / v.clone().sqrt();
    (u, vec![v])
}
