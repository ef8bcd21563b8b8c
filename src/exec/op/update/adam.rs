//! Adam and its kin.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, clipped};
use crate::exec::host::{PIECE, pieces3};
use crate::exec::op::Scalars;
use crate::step::op::{Adam, AdamW, RAdam};

/// The numbers of a step: w ← w·keep − rate·m/(√v·root + add).
#[derive(Clone, Copy, Debug)]
pub(super) struct Coefficients {
    pub rate: f64,
    pub root: f64,
    pub add: f64,
}

impl Coefficients {
    /// As AdamW: lr/(1 − β₁ᵗ), 1/√(1 − β₂ᵗ) and eps.
    pub fn new(betas: (f64, f64), eps: f64, scalars: Scalars) -> Self {
        let power = |beta: f64| libm::pow(beta, scalars.step as f64);
        Self { rate: scalars.rate / (1.0 - power(betas.0)), root: 1.0 / libm::sqrt(1.0 - power(betas.1)), add: eps }
    }

    /// Rectified; momentum alone while the rectification cannot be computed.
    fn rectified(betas: (f64, f64), eps: f64, scalars: Scalars) -> Self {
        let t = scalars.step as f64;
        let power = |beta: f64| libm::pow(beta, t);
        let rate = scalars.rate / (1.0 - power(betas.0));
        let (seen, longest) = (1.0 - power(betas.1), 2.0 / (1.0 - betas.1) - 1.0);
        let length = longest - 2.0 * t * power(betas.1) / seen;
        if length <= 5.0 {
            return Self { rate, root: 0.0, add: 1.0 };
        }
        let of = |length: f64| (length - 4.0) * (length - 2.0) / length;
        Self { rate: rate * libm::sqrt(of(length) / of(longest) * seen), root: 1.0, add: eps }
    }
}

/// Both moments and the step, rate included.
pub(super) fn step(
    g: Tensor<1>,
    m: Tensor<1>,
    v: Tensor<1>,
    (b1, b2): (f64, f64),
    c: Coefficients,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let m = m * b1 + g.clone() * (1.0 - b1);
    let v = v * b2 + g.clone() * g * (1.0 - b2);
    let step = m.clone() / (v.clone().sqrt() * c.root + c.add) * c.rate;
    (step, m, v)
}

impl Run for AdamW {
    fn host(&self, frame: &mut Frame<'_>) {
        let c = Coefficients::new(self.betas, self.eps, frame.scalars);
        let (b1, b2, eps) = (self.betas.0 as f32, self.betas.1 as f32, self.eps as f32);
        let keep = 1.0 - frame.scalars.rate * self.weight_decay;
        let (rate, second, keep) = (c.rate as f32, c.root as f32, keep as f32);
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
        let c = Coefficients::new(self.betas, self.eps, x.scalars);
        let keep = 1.0 - x.scalars.rate * self.weight_decay;
        let (w, g, m, v) = (x.flat(0), clipped(&mut x, 4), x.flat(2), x.flat(3));
        let (step, m, v) = step(g, m, v, self.betas, c);
        vec![w * keep - step, m, v]
    }
}

/// With L2 decay.
fn coupled_host(frame: &mut Frame<'_>, betas: (f64, f64), decay: f64, c: Coefficients) {
    let (b1, b2, decay) = (betas.0 as f32, betas.1 as f32, decay as f32);
    let (rate, root, add) = (c.rate as f32, c.root as f32, c.add as f32);
    let (gradient, factor) = (frame.floats(1), frame.floats(4)[1]);
    pieces3(frame.take(), [PIECE; 3], |i, w, m, v| {
        let g = &gradient[i * PIECE..][..w.len()];
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            let g = g * factor + decay * *w;
            *m = b1 * *m + (1.0 - b1) * g;
            *v = b2 * *v + (1.0 - b2) * g * g;
            *w -= rate * *m / (v.sqrt() * root + add);
        }
    });
}

/// With L2 decay.
fn coupled_plain(mut x: Plain<'_>, betas: (f64, f64), decay: f64, c: Coefficients) -> Vec<Tensor<1>> {
    let (w, g) = (x.flat(0), clipped(&mut x, 4));
    let g = g + w.clone() * decay;
    let (m, v) = (x.flat(2), x.flat(3));
    let (step, m, v) = step(g, m, v, betas, c);
    vec![w - step, m, v]
}

impl Run for Adam {
    fn host(&self, frame: &mut Frame<'_>) {
        let c = Coefficients::new(self.betas, self.eps, frame.scalars);
        coupled_host(frame, self.betas, self.weight_decay, c);
    }

    fn plain(&self, x: Plain<'_>) -> Vec<Tensor<1>> {
        let c = Coefficients::new(self.betas, self.eps, x.scalars);
        coupled_plain(x, self.betas, self.weight_decay, c)
    }
}

impl Run for RAdam {
    fn host(&self, frame: &mut Frame<'_>) {
        let c = Coefficients::rectified(self.betas, self.eps, frame.scalars);
        coupled_host(frame, self.betas, self.weight_decay, c);
    }

    fn plain(&self, x: Plain<'_>) -> Vec<Tensor<1>> {
        let c = Coefficients::rectified(self.betas, self.eps, x.scalars);
        coupled_plain(x, self.betas, self.weight_decay, c)
    }
}
