//! The gated linear unit with exact GELU.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run};
use crate::exec::host::math::normal;
use crate::exec::host::{PIECE, pieces, pieces2};
use crate::step::op::{GeluGlu, GeluGluGradient};

/// Φ(z) by burn's error function.
fn cdf(z: Tensor<1>) -> Tensor<1> {
    ((z * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0) * 0.5
}

impl Run for GeluGlu {
    fn host(&self, frame: &mut Frame<'_>) {
        let (value, gate) = (frame.floats(0), frame.floats(1));
        let [out] = frame.take();
        pieces(out, PIECE, |i, out| {
            let (value, gate) = (&value[i * PIECE..][..out.len()], &gate[i * PIECE..][..out.len()]);
            for ((y, v), g) in out.iter_mut().zip(value).zip(gate) {
                *y = v * g * normal(*g).0;
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (value, gate) = (x.flat(0), x.flat(1));
        vec![cdf(gate.clone()) * gate * value]
    }
}

impl Run for GeluGluGradient {
    /// The outputs hold value and gate at first.
    fn host(&self, frame: &mut Frame<'_>) {
        let dy = frame.floats(0);
        let [value, gate] = frame.take();
        pieces2(value, gate, (PIECE, PIECE), |i, value, gate| {
            let dy = &dy[i * PIECE..][..value.len()];
            for ((v, g), dy) in value.iter_mut().zip(gate).zip(dy) {
                let (cdf, slope) = normal(*g);
                let dv = dy * *g * cdf;
                *g = dy * *v * slope;
                *v = dv;
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (dy, value, gate) = (x.flat(0), x.flat(1), x.flat(2));
        let phi = cdf(gate.clone());
        let density = (gate.clone() * gate.clone() * -0.5).exp() * 0.398_942_280_401_432_7;
        let slope = density * gate.clone() + phi.clone();
        vec![phi * gate * dy.clone(), slope * value * dy]
    }
}
