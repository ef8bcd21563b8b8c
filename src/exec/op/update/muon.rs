//! Muon.

use burn::tensor::Tensor;

use super::lamb::norm;
use super::{Frame, Plain, Run, clipped, extents, squares};
use crate::exec::host::matrix::{Layout, Threads, product};
use crate::exec::host::{PIECE, partials2, pieces, pieces2};
use crate::step::op::{MatMul, Muon};

/// Added to the length of the momentum, which is then no divisor of zero.
const LEAST: f64 = 1e-7;

impl Muon {
    /// The rate with the scale of a matrix, and what is kept of the weight: 1 − lr·k·decay.
    fn rates(&self, rate: f64, rows: usize, columns: usize) -> (f64, f64) {
        let rate = rate * self.rate;
        (rate * libm::sqrt((columns as f64 / rows as f64).max(1.0)), 1.0 - rate * self.weight_decay)
    }
}

/// c ← keep·c + factor·op(a)·op(b), each a whole matrix of rows and columns.
fn multiply(rule: MatMul, c: &mut [f32], a: (&[f32], [usize; 2]), b: (&[f32], [usize; 2]), keep: f64, factor: f64) {
    let layout = |[rows, columns]: [usize; 2], turned| Layout::full(rows, columns).transposed_if(turned);
    let (la, lb) = (layout(a.1, rule.transpose_a), layout(b.1, rule.transpose_b));
    product((c, Layout::full(la.rows, lb.columns)), (a.0, la), (b.0, lb), keep as f32, factor as f32, Threads::All);
}

/// Five steps of the polynomial on a matrix, in place.
fn orthogonal(x: &mut [f32], rows: usize, columns: usize) {
    let [a, b, c] = Muon::POLYNOMIAL;
    let short = rows.min(columns);
    let [(gram, _), (square, _), (last, _)] = Muon::products(rows as u64, columns as u64);
    let (whole, small) = ([rows, columns], [short, short]);
    let mut next = vec![0f32; x.len()];
    let (mut first, mut second) = (vec![0f32; short * short], vec![0f32; short * short]);
    for _ in 0..Muon::STEPS {
        multiply(gram, &mut first, (x, whole), (x, whole), 0.0, 1.0);
        second.copy_from_slice(&first);
        multiply(square, &mut second, (&first, small), (&first, small), b, c);
        next.copy_from_slice(x);
        let (left, right) = if rows > columns { ((&*x, whole), (&*second, small)) } else { ((&*second, small), (&*x, whole)) };
        multiply(last, &mut next, left, right, a, 1.0);
        x.copy_from_slice(&next);
    }
}

impl Run for Muon {
    fn host(&self, frame: &mut Frame<'_>) {
        let (rows, columns) = (frame.dim(0, 0), frame.dim(0, 1));
        let (rate, keep) = self.rates(frame.scalars.rate, rows, columns);
        let (momentum, gradient, factor) = (self.momentum as f32, frame.floats(1), frame.floats(3)[1]);
        let (now, ahead) = if self.nesterov { (1.0, momentum) } else { (0.0, 1.0) };
        let [w, m] = frame.take();
        let mut x = vec![0f32; rows * columns];
        let parts = partials2(m, &mut x, PIECE, |i, m, x| {
            for ((m, x), g) in m.iter_mut().zip(x.iter_mut()).zip(&gradient[i * PIECE..]) {
                let g = g * factor;
                *m = momentum * *m + g;
                *x = now * g + ahead * *m;
            }
            squares(x)
        });
        let scale = (1.0 / (libm::sqrt(parts.iter().sum()) + LEAST)) as f32;
        drop(parts);
        pieces(&mut x, PIECE, |_, x| x.iter_mut().for_each(|x| *x *= scale));
        orthogonal(&mut x, rows, columns);
        let (rate, keep) = (rate as f32, keep as f32);
        pieces2(w, &mut x, (PIECE, PIECE), |_, w, x| {
            w.iter_mut().zip(x).for_each(|(w, x)| *w = *w * keep - rate * *x);
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (rows, columns) = extents(&x);
        let (rate, keep) = self.rates(x.scalars.rate, rows, columns);
        let [a, b, c] = Muon::POLYNOMIAL;
        let (w, g) = (x.flat(0), clipped(&mut x, 3));
        let m = x.flat(2) * self.momentum;
        let (m, u) = if self.nesterov {
            let m = m + g.clone();
            let u = g + m.clone() * self.momentum;
            (m, u)
        } else {
            let m = m + g;
            let u = m.clone();
            (m, u)
        };
        let length = norm(u.clone(), rows, columns) + LEAST;
        let mut x: Tensor<2> = (u / length).reshape([rows, columns]);
        for _ in 0..Muon::STEPS {
            let (left, right) = (x.clone(), x.clone());
            let gram = if rows > columns { left.transpose().matmul(right) } else { left.matmul(right.transpose()) };
            let square = gram.clone().matmul(gram.clone()) * c;
            let polynomial = square + gram * b;
            let same = x.clone();
            let product = if rows > columns { same.matmul(polynomial) } else { polynomial.matmul(same) };
            x = x * a + product;
        }
        let step = x.reshape([rows * columns]) * rate;
        vec![w * keep - step, m]
    }
}
