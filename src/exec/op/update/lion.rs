//! Lion.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run, clipped};
use crate::exec::host::{PIECE, pieces2};
use crate::step::op::Lion;

/// −1, 0 or 1; what is not a number stays so.
#[inline(always)]
fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

impl Run for Lion {
    fn host(&self, frame: &mut Frame<'_>) {
        let (b1, b2) = (self.betas.0 as f32, self.betas.1 as f32);
        let (rate, keep) = (frame.scalars.rate as f32, (1.0 - frame.scalars.rate * self.weight_decay) as f32);
        let (gradient, factor) = (frame.floats(1), frame.floats(3)[1]);
        let [w, m] = frame.take();
        pieces2(w, m, (PIECE, PIECE), |i, w, m| {
            let g = &gradient[i * PIECE..][..w.len()];
            for ((w, m), g) in w.iter_mut().zip(m).zip(g) {
                let g = g * factor;
                let step = sign(b1 * *m + (1.0 - b1) * g);
                *m = b2 * *m + (1.0 - b2) * g;
                *w = *w * keep - rate * step;
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (b1, b2) = self.betas;
        let (rate, keep) = (x.scalars.rate, 1.0 - x.scalars.rate * self.weight_decay);
        let (w, g, m) = (x.flat(0), clipped(&mut x, 3), x.flat(2));
        let step = (m.clone() * b1 + g.clone() * (1.0 - b1)).sign() * rate;
        let m = m * b2 + g * (1.0 - b2);
        vec![w * keep - step, m]
    }
}
