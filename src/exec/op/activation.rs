//! Functions of each element, alone or as a gate.

use burn::tensor::Tensor;

use super::{Frame, Plain, Run};
use crate::exec::host::math::{normal, sigmoid, tanh};
use crate::exec::host::{PIECE, pieces, pieces2};
use crate::step::op::{Activate, ActivateGradient, Function, Gate, GateGradient};

/// √(2/π) and 0.044715, of the approximation of GELU.
const ROOT: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// A function with its derivative; a type of its own each, so that the loops over elements are compiled for each.
trait Curve {
    /// f(z) and f′(z).
    fn at(z: f32) -> (f32, f32);
}

struct Gelu;
struct GeluTanh;
struct Relu;
struct SquaredRelu;
struct Silu;
struct Sigmoid;
struct Tanh;

impl Curve for Gelu {
    #[inline(always)]
    fn at(z: f32) -> (f32, f32) {
        let (cdf, slope) = normal(z);
        (z * cdf, slope)
    }
}

impl Curve for GeluTanh {
    #[inline(always)]
    fn at(z: f32) -> (f32, f32) {
        let t = tanh(ROOT * (z + CUBIC * z * z * z));
        let share = 0.5 * (1.0 + t);
        (z * share, share + 0.5 * z * (1.0 - t * t) * ROOT * (1.0 + 3.0 * CUBIC * z * z))
    }
}

impl Curve for Relu {
    #[inline(always)]
    fn at(z: f32) -> (f32, f32) {
        (z.max(0.0), if z > 0.0 { 1.0 } else { 0.0 })
    }
}

impl Curve for SquaredRelu {
    #[inline(always)]
    fn at(z: f32) -> (f32, f32) {
        let part = z.max(0.0);
        (part * part, 2.0 * part)
    }
}

impl Curve for Silu {
    #[inline(always)]
    fn at(z: f32) -> (f32, f32) {
        let share = sigmoid(z);
        (z * share, share * (1.0 + z * (1.0 - share)))
    }
}

impl Curve for Sigmoid {
    #[inline(always)]
    fn at(z: f32) -> (f32, f32) {
        let share = sigmoid(z);
        (share, share * (1.0 - share))
    }
}

impl Curve for Tanh {
    #[inline(always)]
    fn at(z: f32) -> (f32, f32) {
        let t = tanh(z);
        (t, 1.0 - t * t)
    }
}

/// Calls a function that is generic over the curve.
macro_rules! with_curve {
    ($function:expr, $call:ident($($argument:expr),*)) => {
        match $function {
            Function::Gelu => $call::<Gelu>($($argument),*),
            Function::GeluTanh => $call::<GeluTanh>($($argument),*),
            Function::Relu => $call::<Relu>($($argument),*),
            Function::SquaredRelu => $call::<SquaredRelu>($($argument),*),
            Function::Silu => $call::<Silu>($($argument),*),
            Function::Sigmoid => $call::<Sigmoid>($($argument),*),
            Function::Tanh => $call::<Tanh>($($argument),*),
        }
    };
}

fn activate<C: Curve>(frame: &mut Frame<'_>) {
    let z = frame.floats(0);
    let [out] = frame.take();
    pieces(out, PIECE, |i, out| {
        for (y, z) in out.iter_mut().zip(&z[i * PIECE..]) {
            *y = C::at(*z).0;
        }
    });
}

/// The output holds z at first.
fn activate_back<C: Curve>(frame: &mut Frame<'_>) {
    let dy = frame.floats(0);
    let [z] = frame.take();
    pieces(z, PIECE, |i, z| {
        for (z, dy) in z.iter_mut().zip(&dy[i * PIECE..]) {
            *z = dy * C::at(*z).1;
        }
    });
}

fn open<C: Curve>(frame: &mut Frame<'_>) {
    let (value, gate) = (frame.floats(0), frame.floats(1));
    let [out] = frame.take();
    pieces(out, PIECE, |i, out| {
        let (value, gate) = (&value[i * PIECE..][..out.len()], &gate[i * PIECE..][..out.len()]);
        for ((y, v), g) in out.iter_mut().zip(value).zip(gate) {
            *y = v * C::at(*g).0;
        }
    });
}

/// The outputs hold value and gate at first.
fn open_back<C: Curve>(frame: &mut Frame<'_>) {
    let dy = frame.floats(0);
    let [value, gate] = frame.take();
    pieces2(value, gate, (PIECE, PIECE), |i, value, gate| {
        let dy = &dy[i * PIECE..][..value.len()];
        for ((v, g), dy) in value.iter_mut().zip(gate).zip(dy) {
            let (opened, slope) = C::at(*g);
            *g = dy * *v * slope;
            *v = dy * opened;
        }
    });
}

/// Φ(z) by burn's error function.
fn cdf(z: Tensor<1>) -> Tensor<1> {
    ((z * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0) * 0.5
}

/// 1/(1 + e⁻ᶻ).
fn logistic(z: Tensor<1>) -> Tensor<1> {
    (z.neg().exp() + 1.0).recip()
}

/// (1 + tanh(√(2/π)·(z + 0.044715·z³)))/2.
fn tanh_step(z: &Tensor<1>) -> Tensor<1> {
    let inner = (z.clone() * z.clone() * (f64::from(ROOT) * f64::from(CUBIC)) + f64::from(ROOT)) * z.clone();
    (inner.tanh() + 1.0) * 0.5
}

/// max(z, 0).
fn positive(z: Tensor<1>) -> Tensor<1> {
    (z.clone().abs() + z) * 0.5
}

fn value(function: Function, z: Tensor<1>) -> Tensor<1> {
    match function {
        Function::Gelu => cdf(z.clone()) * z,
        Function::GeluTanh => tanh_step(&z) * z,
        Function::Relu => positive(z),
        Function::SquaredRelu => {
            let part = positive(z);
            part.clone() * part
        }
        Function::Silu => logistic(z.clone()) * z,
        Function::Sigmoid => logistic(z),
        Function::Tanh => z.tanh(),
    }
}

/// f′(z), and what f(z) is made of where that is asked for.
struct Slope {
    rate: Tensor<1>,
    share: Option<Tensor<1>>,
    z: Option<Tensor<1>>,
}

/// A tensor for its last use in the slope, and once more where it is kept.
fn split(x: Tensor<1>, keep: bool) -> (Tensor<1>, Option<Tensor<1>>) {
    if keep { (x.clone(), Some(x)) } else { (x, None) }
}

impl Slope {
    fn of(function: Function, z: Tensor<1>, keep: bool) -> Self {
        match function {
            Function::Gelu => {
                let share = cdf(z.clone());
                let density = (z.clone() * z.clone() * -0.5).exp() * 0.398_942_280_401_432_7;
                let ((last, z), (phi, share)) = (split(z, keep), split(share, keep));
                Self { rate: density * last + phi, share, z }
            }
            Function::GeluTanh => {
                let share = tanh_step(&z);
                let (root, cubic) = (f64::from(ROOT), f64::from(CUBIC));
                let factor = z.clone() * z.clone() * (3.0 * root * cubic) + root;
                let (last, z) = split(z, keep);
                let inner = factor * last;
                let rest = (share.clone().neg() + 1.0) * share.clone() * 2.0 * inner;
                let (last, share) = split(share, keep);
                Self { rate: rest + last, share, z }
            }
            Function::Silu => {
                let share = logistic(z.clone());
                let (last, z) = split(z, keep);
                let rest = (share.clone().neg() + 1.0) * last + 1.0;
                let (last, share) = split(share, keep);
                Self { rate: rest * last, share, z }
            }
            Function::Relu => {
                let (last, share) = split(positive(z), keep);
                Self { rate: last.sign(), share, z: None }
            }
            Function::SquaredRelu => {
                let (last, share) = split(positive(z), keep);
                Self { rate: last * 2.0, share, z: None }
            }
            Function::Sigmoid => {
                let share = logistic(z);
                let rest = share.clone().neg() + 1.0;
                let (last, share) = split(share, keep);
                Self { rate: rest * last, share, z: None }
            }
            Function::Tanh => {
                let (last, share) = split(z.tanh(), keep);
                Self { rate: (last.clone() * last).neg() + 1.0, share, z: None }
            }
        }
    }

    /// f(z) and f′(z), of a gate.
    fn and_value(function: Function, z: Tensor<1>) -> (Option<Tensor<1>>, Tensor<1>) {
        let Self { rate: slope, share, z } = Self::of(function, z, true);
        let value = share.map(|share| match (z, function) {
            (Some(z), _) => share * z,
            (None, Function::SquaredRelu) => share.clone() * share,
            (None, _) => share,
        });
        (value, slope)
    }
}

impl Run for Activate {
    fn host(&self, frame: &mut Frame<'_>) {
        with_curve!(self.0, activate(frame));
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        vec![value(self.0, x.flat(0))]
    }
}

impl Run for ActivateGradient {
    fn host(&self, frame: &mut Frame<'_>) {
        with_curve!(self.0, activate_back(frame));
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (dy, z) = (x.flat(0), x.flat(1));
        vec![Slope::of(self.0, z, false).rate * dy]
    }
}

impl Run for Gate {
    fn host(&self, frame: &mut Frame<'_>) {
        with_curve!(self.0, open(frame));
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (values, gate) = (x.flat(0), x.flat(1));
        vec![value(self.0, gate) * values]
    }
}

impl Run for GateGradient {
    fn host(&self, frame: &mut Frame<'_>) {
        with_curve!(self.0, open_back(frame));
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (dy, values, gate) = (x.flat(0), x.flat(1), x.flat(2));
        let (opened, slope) = Slope::and_value(self.0, gate);
        let dvalues = opened.map(|opened| opened * dy.clone());
        dvalues.into_iter().chain([slope * values * dy]).collect()
    }
}
