//! Every optimizer in both forms against its formula in f64, over steps that follow each other.

use burn::tensor::Device;

use crate::exec::op::Scalars;
use crate::exec::value::Value;
use crate::exec::walk::{Form, Walker};
use crate::rng::{Purpose, Stream};
use crate::step::graph::{Pass, Place, StepGraph};
use crate::step::op::{Adafactor, Adam, AdamW, Lamb, Lion, Muon, Op, RAdam, Sgd};
use crate::step::tensor::{ParameterId, Role, TensorId, TensorType};

const RATE: f64 = 1e-2;
const FACTOR: f64 = 0.5;

/// A parameter's weight and gradient, and what is kept of it, in f64.
struct Exact {
    w: Vec<f64>,
    kept: Vec<Vec<f64>>,
}

/// The formula of a step: changes the state by the clipped gradient at step t.
type Formula<'a> = &'a dyn Fn(&mut Exact, &[f64], f64);

fn drawn(n: usize, seed: u64) -> Vec<f32> {
    let stream = Stream::new(seed, Purpose::Init);
    (0..n as u64).map(|i| stream.normal_pair(0, i).0 as f32).collect()
}

fn exact(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// One step of an operation in a form; gives its outputs.
fn step(op: &Op, shapes: &[Vec<u64>], inputs: &[Vec<f32>], t: u64, form: Form) -> Vec<Vec<f32>> {
    let device = Device::flex();
    let mut graph = StepGraph::default();
    let source = |(i, shape): (usize, &Vec<u64>)| graph.source(TensorType::f32(shape), Role::Weight(ParameterId(i as u32)));
    let ids: Vec<TensorId> = shapes.iter().enumerate().map(source).collect();
    for id in graph.push(op.clone(), &ids, Pass::Update, Place::Head) {
        graph.keep(id);
    }
    let feed = |role: Role, _: &TensorType| Some(Value::float(inputs[role.parameter()?.0 as usize].clone(), &device));
    let made = Walker::new(&graph, form, &device).walk(Scalars::update(RATE, t), feed).unwrap();
    made.iter().map(|(_, _, value)| value.to_floats()).collect()
}

/// Holds eight steps on a parameter of a shape, from a state of zeros, against the formula; `kept` are the shapes of what is kept.
fn follows(op: impl Into<Op>, shape: &[u64], kept: &[&[u64]], formula: Formula<'_>) {
    follows_within(1e-5, &op.into(), shape, kept, formula);
}

/// The same within a share of the length of each output.
fn follows_within(share: f64, op: &Op, shape: &[u64], kept: &[&[u64]], formula: Formula<'_>) {
    let n = shape.iter().product::<u64>() as usize;
    let size = |shape: &[u64]| shape.iter().product::<u64>() as usize;
    for form in [Form::Host, Form::Plain] {
        let begin = drawn(n, 1);
        let mut truth = Exact { w: exact(&begin), kept: kept.iter().map(|shape| vec![0.0; size(shape)]).collect() };
        let mut state: Vec<Vec<f32>> = [begin].into_iter().chain(kept.iter().map(|shape| vec![0.0; size(shape)])).collect();
        for t in 1..=8u64 {
            let gradient: Vec<f32> = drawn(n, 10 + t).iter().map(|x| x * 0.1).collect();
            let clipped: Vec<f64> = exact(&gradient).iter().map(|g| g * FACTOR).collect();
            formula(&mut truth, &clipped, t as f64);
            let shapes: Vec<Vec<u64>> =
                [shape, shape].into_iter().chain(kept.iter().copied()).chain([&[2u64][..]]).map(<[u64]>::to_vec).collect();
            let weight = state.remove(0);
            let inputs: Vec<Vec<f32>> = [weight, gradient].into_iter().chain(state).chain([vec![3.0, FACTOR as f32]]).collect();
            state = step(op, &shapes, &inputs, t, form);
            let truths = [&truth.w].into_iter().chain(&truth.kept);
            assert_eq!(state.len(), 1 + kept.len());
            for (o, (made, truth)) in state.iter().zip(truths).enumerate() {
                let miss = made.iter().zip(truth).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>().sqrt();
                let length = truth.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
                assert!(miss / length < share, "{op:?} {form:?} step {t} output {o}: {:e}", miss / length);
            }
        }
    }
}

/// Shapes of a matrix, a vector, one number, and a vector of more than one piece.
const SHAPES: [&[u64]; 4] = [&[6, 10], &[7], &[1], &[40_000]];

const BETAS: (f64, f64) = (0.9, 0.98);

/// The first moment over the root of the second, both corrected for their bias.
fn adam(x: &mut Exact, g: &[f64], t: f64, eps: f64) -> Vec<f64> {
    let (b1, b2) = BETAS;
    let mut step = Vec::new();
    for (i, g) in g.iter().enumerate() {
        x.kept[0][i] = b1 * x.kept[0][i] + (1.0 - b1) * g;
        x.kept[1][i] = b2 * x.kept[1][i] + (1.0 - b2) * g * g;
        step.push(x.kept[0][i] / (1.0 - libm::pow(b1, t)) / ((x.kept[1][i] / (1.0 - libm::pow(b2, t))).sqrt() + eps));
    }
    step
}

/// Gradients with L2 decay.
fn decayed(w: &[f64], g: &[f64], decay: f64) -> Vec<f64> {
    w.iter().zip(g).map(|(w, g)| g + decay * w).collect()
}

fn subtract(w: &mut [f64], step: &[f64], rate: f64) {
    w.iter_mut().zip(step).for_each(|(w, step)| *w -= rate * step);
}

#[test]
fn adamw_and_adam() {
    for shape in SHAPES {
        follows(AdamW { betas: BETAS, eps: 1e-6, weight_decay: 0.1 }, shape, &[shape; 2], &|x, g, t| {
            let step = adam(x, g, t, 1e-6);
            x.w.iter_mut().for_each(|w| *w *= 1.0 - RATE * 0.1);
            subtract(&mut x.w, &step, RATE);
        });
        follows(Adam { betas: BETAS, eps: 1e-6, weight_decay: 0.1 }, shape, &[shape; 2], &|x, g, t| {
            let g = decayed(&x.w, g, 0.1);
            let step = adam(x, &g, t, 1e-6);
            subtract(&mut x.w, &step, RATE);
        });
    }
}

/// With β₂ = 0.9 the last three of these steps are rectified; with 0.6 none is, ever.
#[test]
fn radam() {
    for (b2, steps) in [(0.9, 3), (0.6, 0)] {
        let (b1, longest) = (0.9, 2.0 / (1.0 - b2) - 1.0);
        let power = |t| f64::powi(b2, t);
        let rectified = (1..=8).filter(|t| longest - 2.0 * f64::from(*t) * power(*t) / (1.0 - power(*t)) > 5.0).count();
        assert_eq!(rectified, steps, "{b2}");
        follows(RAdam { betas: (b1, b2), eps: 1e-8, weight_decay: 0.1 }, SHAPES[0], &[SHAPES[0]; 2], &|x, g, t| {
            let g = decayed(&x.w, g, 0.1);
            let mut step = Vec::new();
            let rho = longest - 2.0 * t * libm::pow(b2, t) / (1.0 - libm::pow(b2, t));
            for (i, g) in g.iter().enumerate() {
                x.kept[0][i] = b1 * x.kept[0][i] + (1.0 - b1) * g;
                x.kept[1][i] = b2 * x.kept[1][i] + (1.0 - b2) * g * g;
                let first = x.kept[0][i] / (1.0 - libm::pow(b1, t));
                let above = (rho - 4.0) * (rho - 2.0) * longest;
                let below = (longest - 4.0) * (longest - 2.0) * rho;
                let rectified = (above / below).sqrt() * (1.0 - libm::pow(b2, t)).sqrt() / (x.kept[1][i].sqrt() + 1e-8);
                step.push(if rho > 5.0 { first * rectified } else { first });
            }
            subtract(&mut x.w, &step, RATE);
        });
    }
}

#[test]
fn lamb() {
    for shape in SHAPES {
        follows(Lamb { betas: BETAS, eps: 1e-6, weight_decay: 0.1 }, shape, &[shape; 2], &|x, g, t| {
            let step = adam(x, g, t, 1e-6);
            let step = decayed(&x.w, &step, 0.1);
            let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
            let ratio = length(&x.w) / length(&step);
            subtract(&mut x.w, &step, RATE * ratio);
        });
    }
}

/// A bias begins at zero, and must be able to leave it; a step of nothing changes nothing.
#[test]
fn lamb_where_a_norm_is_zero() {
    let op = Lamb { betas: BETAS, eps: 1e-6, weight_decay: 0.0 }.into();
    let shapes = [vec![3], vec![3], vec![3], vec![3], vec![2]];
    let zeros = vec![0.0f32; 3];
    for form in [Form::Host, Form::Plain] {
        let inputs = [zeros.clone(), vec![0.1, -0.1, 0.1], zeros.clone(), zeros.clone(), vec![1.0, 1.0]];
        let made = step(&op, &shapes, &inputs, 1, form);
        assert!(made[0].iter().zip([-0.01, 0.01, -0.01]).all(|(a, b)| (a - b).abs() < 1e-5), "{form:?} {:?}", made[0]);
        let inputs = [vec![1.0, 2.0, 3.0], zeros.clone(), zeros.clone(), zeros.clone(), vec![0.0, 1.0]];
        assert_eq!(step(&op, &shapes, &inputs, 1, form)[0], [1.0, 2.0, 3.0], "{form:?}");
        let inputs = [zeros.clone(), zeros.clone(), zeros.clone(), zeros.clone(), vec![0.0, 1.0]];
        assert_eq!(step(&op, &shapes, &inputs, 1, form)[0], zeros, "{form:?}");
    }
}

#[test]
fn lion() {
    for shape in SHAPES {
        follows(Lion { betas: (0.9, 0.99), weight_decay: 0.1 }, shape, &[shape], &|x, g, _| {
            for (i, g) in g.iter().enumerate() {
                let share = 0.9 * x.kept[0][i] + 0.1 * g;
                x.kept[0][i] = 0.99 * x.kept[0][i] + 0.01 * g;
                x.w[i] = x.w[i] * (1.0 - RATE * 0.1) - RATE * share.signum();
            }
        });
    }
    let op = Lion { betas: (0.9, 0.99), weight_decay: 0.0 }.into();
    for form in [Form::Host, Form::Plain] {
        let inputs = [vec![1.0], vec![0.0], vec![0.0], vec![0.0, 1.0]];
        assert_eq!(step(&op, &[vec![1], vec![1], vec![1], vec![2]], &inputs, 1, form)[0], [1.0], "{form:?}: sign(0) is 0");
    }
}

#[test]
fn sgd_without_momentum_with_it_and_looking_ahead() {
    for shape in SHAPES {
        follows(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.1 }, shape, &[], &|x, g, _| {
            let g = decayed(&x.w, g, 0.1);
            subtract(&mut x.w, &g, RATE);
        });
        for nesterov in [false, true] {
            follows(Sgd { momentum: 0.9, nesterov, weight_decay: 0.1 }, shape, &[shape], &|x, g, t| {
                let g = decayed(&x.w, g, 0.1);
                // PyTorch takes the first gradient as the momentum, which is the same from a momentum of zero.
                x.kept[0] = if t > 1.5 { x.kept[0].iter().zip(&g).map(|(m, g)| 0.9 * m + g).collect() } else { g.clone() };
                let ahead: Vec<f64> = x.kept[0].iter().zip(&g).map(|(m, g)| g + 0.9 * m).collect();
                let step = if nesterov { ahead } else { x.kept[0].clone() };
                subtract(&mut x.w, &step, RATE);
            });
        }
    }
}

/// The last step of Adafactor: no longer than it may be, with or without momentum.
fn shortened(x: &mut Exact, mut u: Vec<f64>, momentum: f64) {
    let mean = u.iter().map(|u| u * u).sum::<f64>() / u.len() as f64;
    let limit = 1.0 / (mean.sqrt() / 0.9).max(1.0);
    for u in &mut u {
        *u *= limit;
    }
    if momentum > 0.0 {
        x.kept[0].iter_mut().zip(&mut u).for_each(|(m, u)| {
            *m = momentum * *m + (1.0 - momentum) * *u;
            *u = *m;
        });
    }
    x.w.iter_mut().for_each(|w| *w *= 1.0 - RATE * 0.1);
    subtract(&mut x.w, &u, RATE);
}

#[test]
fn adafactor() {
    for momentum in [0.0, 0.9] {
        let first = usize::from(momentum > 0.0);
        let op = Adafactor { decay_rate: 0.8, eps: 1e-30, threshold: 0.9, momentum, weight_decay: 0.1, factored: false };
        for shape in [&[7][..], &[1], &[40_000]] {
            let kept = [shape; 2];
            follows(op.clone(), shape, &kept[..=first], &|x, g, t| {
                let beta = 1.0 - libm::pow(t, -0.8);
                let v = &mut x.kept[first];
                v.iter_mut().zip(g).for_each(|(v, g)| *v = beta * *v + (1.0 - beta) * (g * g + 1e-30));
                let u = v.iter().zip(g).map(|(v, g)| g / v.sqrt()).collect();
                shortened(x, u, momentum);
            });
        }
        for (shape, rows, columns) in [(&[6, 10], 6, 10), (&[150, 24], 150, 24), (&[1, 5], 1, 5), (&[5, 1], 5, 1)] {
            let all: [&[u64]; 3] = [shape, &[rows], &[columns]];
            let (rows, columns) = (rows as usize, columns as usize);
            follows(Adafactor { factored: true, ..op.clone() }, shape, &all[1 - first..], &|x, g, t| {
                let beta = 1.0 - libm::pow(t, -0.8);
                let square = |i: usize, j: usize| g[i * columns + j] * g[i * columns + j] + 1e-30;
                for i in 0..rows {
                    let mean = (0..columns).map(|j| square(i, j)).sum::<f64>() / columns as f64;
                    x.kept[first][i] = beta * x.kept[first][i] + (1.0 - beta) * mean;
                }
                for j in 0..columns {
                    let mean = (0..rows).map(|i| square(i, j)).sum::<f64>() / rows as f64;
                    x.kept[first + 1][j] = beta * x.kept[first + 1][j] + (1.0 - beta) * mean;
                }
                let mean = x.kept[first].iter().sum::<f64>() / rows as f64;
                let v = |n: usize| x.kept[first][n / columns] * x.kept[first + 1][n % columns] / mean;
                let u = g.iter().enumerate().map(|(n, g)| g / v(n).sqrt()).collect();
                shortened(x, u, momentum);
            });
        }
    }
}

/// a·b of matrices as rows.
fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let cell = |row: &Vec<f64>, j: usize| row.iter().zip(b).map(|(x, other)| x * other[j]).sum();
    a.iter().map(|row| (0..b[0].len()).map(|j| cell(row, j)).collect()).collect()
}

fn turned(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..a[0].len()).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

/// k·a + l·b.
fn sum(k: f64, a: &[Vec<f64>], l: f64, b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| k * a + l * b).collect()).collect()
}

/// Transposed where it is taller than wide, as in the reference: our products go the other way round.
#[test]
fn muon() {
    for shape in [[6, 10], [10, 6], [7, 7], [150, 24], [24, 150]] {
        let (rows, columns) = (shape[0] as usize, shape[1] as usize);
        for nesterov in [true, false] {
            let op = Muon { momentum: 0.95, nesterov, rate: 3.0, weight_decay: 0.1 }.into();
            let shape: &[u64] = &shape;
            follows_within(1e-4, &op, shape, &[shape], &|x, g, _| {
                x.kept[0].iter_mut().zip(g).for_each(|(m, g)| *m = 0.95 * *m + g);
                let m = &x.kept[0];
                let u: Vec<f64> = if nesterov { g.iter().zip(m).map(|(g, m)| g + 0.95 * m).collect() } else { m.clone() };
                let length = u.iter().map(|u| u * u).sum::<f64>().sqrt() + 1e-7;
                let matrix: Vec<Vec<f64>> = u.chunks(columns).map(|row| row.iter().map(|u| u / length).collect()).collect();
                let mut z = if rows > columns { turned(&matrix) } else { matrix };
                for _ in 0..5 {
                    let a = product(&z, &turned(&z));
                    let b = sum(-4.7750, &a, 2.0315, &product(&a, &a));
                    z = sum(3.4445, &z, 1.0, &product(&b, &z));
                }
                let z = if rows > columns { turned(&z) } else { z };
                let scale = (columns as f64 / rows as f64).max(1.0).sqrt();
                x.w.iter_mut().for_each(|w| *w *= 1.0 - RATE * 3.0 * 0.1);
                subtract(&mut x.w, &z.concat(), RATE * 3.0 * scale);
            });
        }
    }
}
