//! LAMB.

use burn::tensor::Tensor;

use super::adam::{self, Coefficients};
use super::{Frame, Plain, Run, SHORT, clipped, extents, squares};
use crate::exec::host::math::sum;
use crate::exec::host::{partials3, pieces3};
use crate::exec::op::Scalars;
use crate::step::op::{Lamb, NORM_CHUNK};

/// Added to the length of the step, which is then no divisor of zero.
const LEAST: f64 = 1e-20;

/// ‖x‖ `[1]`, rows first.
pub(super) fn norm(x: Tensor<1>, rows: usize, columns: usize) -> Tensor<1> {
    let x: Tensor<2> = x.reshape([rows, columns]);
    (x.clone() * x).sum_dim(1).sum_dim(0).reshape([1]).sqrt()
}

/// The step of an element without rate and ratio: first·m/(√v·root + add) + decay·w.
#[inline(always)]
fn direction(w: f32, m: f32, v: f32, [first, root, add, decay]: [f32; 4]) -> f32 {
    first * m / (v.sqrt() * root + add) + decay * w
}

impl Lamb {
    /// Without the rate, which goes with the ratio of the norms.
    fn coefficients(&self, scalars: Scalars) -> Coefficients {
        Coefficients::new(self.betas, self.eps, Scalars { rate: 1.0, ..scalars })
    }
}

impl Run for Lamb {
    fn host(&self, frame: &mut Frame<'_>) {
        let c = self.coefficients(frame.scalars);
        let (b1, b2, decay) = (self.betas.0 as f32, self.betas.1 as f32, self.weight_decay as f32);
        let numbers = [c.rate as f32, c.root as f32, c.add as f32, decay];
        let (gradient, factor) = (frame.floats(1), frame.floats(4)[1]);
        let [w, m, v] = frame.take::<3>();
        let size = NORM_CHUNK as usize;
        let parts = partials3([&mut *w, &mut *m, &mut *v], size, |i, w, m, v| {
            for ((m, v), g) in m.iter_mut().zip(v.iter_mut()).zip(&gradient[i * size..]) {
                let g = g * factor;
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
            }
            let mut steps = 0.0;
            for start in (0..w.len()).step_by(SHORT) {
                let w = &w[start..w.len().min(start + SHORT)];
                let (m, v) = (&m[start..][..w.len()], &v[start..][..w.len()]);
                let square = |i: usize| {
                    let r = direction(w[i], m[i], v[i], numbers);
                    r * r
                };
                steps += f64::from(sum(w.len(), square));
            }
            (squares(w), steps)
        });
        let [length, of_step] = [parts.iter().map(|p| p.0).sum::<f64>(), parts.iter().map(|p| p.1).sum::<f64>()].map(libm::sqrt);
        let ratio = if length > 0.0 { length / (of_step + LEAST) } else { 1.0 };
        let rate = (frame.scalars.rate * ratio) as f32;
        pieces3([w, m, v], [size; 3], |_, w, m, v| {
            for ((w, m), v) in w.iter_mut().zip(m).zip(v) {
                *w -= rate * direction(*w, *m, *v, numbers);
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (c, rate) = (self.coefficients(x.scalars), x.scalars.rate);
        let (rows, columns) = extents(&x);
        let (w, g, m, v) = (x.flat(0), clipped(&mut x, 4), x.flat(2), x.flat(3));
        let (step, m, v) = adam::step(g, m, v, self.betas, c);
        let r = step + w.clone() * self.weight_decay;
        let length = norm(w.clone(), rows, columns);
        let of_step = norm(r.clone(), rows, columns);
        let rest = length.clone().sign() * -1.0 + 1.0;
        let ratio = length / (of_step + LEAST) + rest;
        vec![w - r * (ratio * rate), m, v]
    }
}
