//! Stochastic gradient descent.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, clipped};
use crate::exec::host::{PIECE, pieces, pieces2};
use crate::step::op::Sgd;

impl Run for Sgd {
    fn host(&self, frame: &mut Frame<'_>) {
        let (momentum, decay, rate) = (self.momentum as f32, self.weight_decay as f32, frame.scalars.rate as f32);
        let gradient = frame.floats(1);
        if !self.has_momentum() {
            let factor = frame.floats(2)[1];
            let [w] = frame.take();
            return pieces(w, PIECE, |i, w| {
                for (w, g) in w.iter_mut().zip(&gradient[i * PIECE..]) {
                    *w -= rate * (g * factor + decay * *w);
                }
            });
        }
        // The share of the gradient itself in the step: all but the moment's.
        let (now, ahead) = if self.nesterov { (1.0, momentum) } else { (0.0, 1.0) };
        let factor = frame.floats(3)[1];
        let [w, m] = frame.take();
        pieces2(w, m, (PIECE, PIECE), |i, w, m| {
            for ((w, m), g) in w.iter_mut().zip(m).zip(&gradient[i * PIECE..]) {
                let g = g * factor + decay * *w;
                *m = momentum * *m + g;
                *w -= rate * (now * g + ahead * *m);
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (rate, last) = (x.scalars.rate, x.inputs.len() - 1);
        let (w, g) = (x.flat(0), clipped(&mut x, last));
        let g = g + w.clone() * self.weight_decay;
        if !self.has_momentum() {
            return vec![w - g * rate];
        }
        let m = x.flat(2) * self.momentum;
        let (m, step) = if self.nesterov {
            let m = m + g.clone();
            let step = g + m.clone() * self.momentum;
            (m, step)
        } else {
            let m = m + g;
            let step = m.clone();
            (m, step)
        };
        vec![w - step * rate, m]
    }
}
