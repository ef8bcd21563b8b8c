//! Every rule against burn's autodiff: the forward operation's plain form is run under autodiff, and the gradients that it
//! gives are compared with those of the gradient operations that the rule emits, in both of their forms.

use burn::tensor::{Device, Tensor};

use super::{Draws, Plain, Scalars, runner};
use crate::exec::value::{Value, float_tensor};
use crate::exec::walk::{Form, Walker};
use crate::rng::{Purpose, Stream};
use crate::step::differentiate::{Differentiator, Gradients};
use crate::step::graph::{Pass, Place, StepGraph};
use crate::step::op::{
    Activate, AdamW, Add, AddPosition, AddTable, Attention, ClipFactor, CrossEntropy, Dropout, Embedding, Function, Gate,
    LayerNorm, MatMul, MatMulAccumulate, Op, RmsNorm, Rotate, Scale, SelectRows, Signature, SumSquares,
};
use crate::step::tensor::{ParameterId, Role, TensorId, TensorType};

const SCALARS: Scalars = Scalars { rate: 1e-2, step: 3, draws: Draws { seed: 5, micro_step: 2 } };

/// An operand of an operation under test.
#[derive(Clone, Debug)]
enum Given {
    /// Floats of N(0, 1), of this shape, that get a gradient.
    Normal(Vec<u64>),
    /// The same without a gradient.
    Fixed(Vec<u64>),
    /// Integers.
    Index(Vec<i32>),
}

impl Given {
    fn ty(&self) -> TensorType {
        match self {
            Self::Normal(shape) | Self::Fixed(shape) => TensorType::f32(shape),
            Self::Index(data) => TensorType::i32(&[data.len() as u64]),
        }
    }

    fn value(&self, seed: u64, device: &Device) -> Value {
        match self {
            Self::Index(data) => Value::index(data.clone(), device),
            Self::Normal(_) | Self::Fixed(_) => Value::float(normals(self.ty().elements(), seed), device),
        }
    }
}

fn normals(n: u64, seed: u64) -> Vec<f32> {
    let stream = Stream::new(seed, Purpose::Init);
    (0..n).map(|i| stream.normal_pair(0, i).0 as f32).collect()
}

/// Seed of operand i.
fn seed(i: usize) -> u64 {
    i as u64 + 1
}

/// Seed of the gradient that comes from above.
const ABOVE: u64 = 99;

/// ‖a − b‖ / ‖b‖.
fn difference(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let (above, below): (f64, f64) =
        a.iter().zip(b).map(|(a, b)| (square(a - b), square(*b))).fold((0.0, 0.0), |s, x| (s.0 + x.0, s.1 + x.1));
    libm::sqrt(above / below.max(1e-30))
}

/// The operation and its gradients as a graph; the role `Gradient` is the gradient from above.
fn graph(op: &Op, given: &[Given]) -> (StepGraph, Vec<TensorId>) {
    let mut graph = StepGraph::default();
    let operands: Vec<TensorId> =
        given.iter().enumerate().map(|(i, g)| graph.source(g.ty(), Role::Weight(ParameterId(i as u32)))).collect();
    let output = graph.push(op.clone(), &operands, Pass::Forward, Place::Head)[0];
    let above = graph.source(*graph.ty(output), Role::Gradient(ParameterId(0)));
    let constants = operands.iter().zip(given).filter(|(_, g)| !matches!(g, Given::Normal(_))).map(|(id, _)| *id).collect();
    let mut gradients = Gradients::default();
    gradients.set(output, above);
    let gradients = Differentiator::new(&mut graph, gradients, constants).run();
    let made: Vec<TensorId> = operands.iter().filter_map(|id| gradients.of(*id)).collect();
    graph.keep(output);
    for id in &made {
        graph.keep(*id);
    }
    (graph, made)
}

fn walked(op: &Op, given: &[Given], form: Form) -> Vec<Vec<f32>> {
    let device = Device::flex();
    let (graph, made) = graph(op, given);
    let source = |role: Role, ty: &TensorType| match role {
        Role::Weight(i) => Some(given[i.0 as usize].value(seed(i.0 as usize), &device)),
        _ if ty.elements() == 1 => Some(Value::float(vec![1.0], &device)),
        _ => Some(Value::float(normals(ty.elements(), ABOVE), &device)),
    };
    let results = Walker::new(&graph, form, &device).walk(SCALARS, source).unwrap();
    made.iter().map(|id| results.iter().find(|(i, ..)| i == id).unwrap().2.to_floats()).collect()
}

/// The plain form's outputs on a device, from operands that are tensors already.
fn plain(op: &Op, given: &[Given], operands: Vec<Value>, device: &Device) -> Vec<Tensor<1>> {
    let inputs: Vec<TensorType> = given.iter().map(Given::ty).collect();
    let outputs = op.rule().outputs(&inputs);
    let types = Signature { inputs: &inputs, outputs: &outputs };
    runner(op).plain(Plain { inputs: operands, types, device, scalars: SCALARS })
}

/// Gradients by burn's autodiff of Σ output · above.
fn oracle(op: &Op, given: &[Given]) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let operands: Vec<Value> = given
        .iter()
        .enumerate()
        .map(|(i, g)| match (g, g.value(seed(i), &device)) {
            (Given::Normal(_), Value::Float(tensor)) => Value::Float(tensor.require_grad()),
            (_, value) => value,
        })
        .collect();
    let output = plain(op, given, operands.clone(), &device).swap_remove(0);
    let length = output.dims()[0] as u64;
    let above = if length == 1 { vec![1.0] } else { normals(length, ABOVE) };
    let gradients = (output * float_tensor(above, &device)).sum().backward();
    let wanted = operands.iter().zip(given).filter(|(_, g)| matches!(g, Given::Normal(_)));
    wanted
        .map(|(value, _)| match value {
            Value::Float(tensor) => tensor.grad(&gradients).unwrap().to_data().try_to_vec().unwrap(),
            Value::Index(_) => Vec::new(),
        })
        .collect()
}

/// Holds a rule's gradients, in both forms, against autodiff.
fn agrees(op: impl Into<Op>, given: &[Given]) {
    let op = op.into();
    let oracle = oracle(&op, given);
    for form in [Form::Plain, Form::Host] {
        let ours = walked(&op, given, form);
        assert_eq!(ours.len(), oracle.len(), "{op:?}: a gradient is missing");
        for (i, (a, b)) in ours.iter().zip(&oracle).enumerate() {
            assert!(difference(a, b) < 1e-5, "{op:?}, {form:?}, operand {i}: {:e}", difference(a, b));
        }
    }
    agrees_with_differences(&op, given, &oracle);
}

/// How far an operand is moved either way; of numbers about 1, so that rounding and curvature count about alike.
const STEP: f32 = 1e-2;

/// Holds gradients against central differences: how Σ output · above changes along a random direction of each operand.
fn agrees_with_differences(op: &Op, given: &[Given], gradients: &[Vec<f32>]) {
    let device = Device::flex();
    let moved = |operand: usize, direction: &[f32], step: f32| -> f64 {
        let operands = given.iter().enumerate().map(|(i, g)| match g.value(seed(i), &device) {
            Value::Float(tensor) if i == operand => Value::Float(tensor + float_tensor(direction.to_vec(), &device) * step),
            other => other,
        });
        let output: Vec<f32> = plain(op, given, operands.collect(), &device).swap_remove(0).to_data().try_to_vec().unwrap();
        let above = if output.len() == 1 { vec![1.0] } else { normals(output.len() as u64, ABOVE) };
        output.iter().zip(above).map(|(x, a)| f64::from(*x) * f64::from(a)).sum()
    };
    // Of numbers near the bend of a ReLU, some step across it.
    let bent = matches!(op, Op::Activate(Activate(Function::Relu)) | Op::Gate(Gate(Function::Relu)));
    let most = if bent { 1e-1 } else { 1e-2 };
    let wanted = given.iter().enumerate().filter(|(_, g)| matches!(g, Given::Normal(_)));
    for ((i, g), gradient) in wanted.zip(gradients) {
        let direction = normals(g.ty().elements(), 1000 + i as u64);
        let along: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
        let length = libm::sqrt(gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum());
        let seen = (moved(i, &direction, STEP) - moved(i, &direction, -STEP)) / f64::from(2.0 * STEP);
        assert!(
            (seen - along).abs() < most * length,
            "{op:?}, operand {i}: {seen} by differences, {along} by the gradient, of {length}"
        );
    }
}

/// Holds the host form of an operation that has no gradient against its plain form, output by output.
fn forms_agree(op: impl Into<Op>, given: &[Given]) {
    let op = op.into();
    let device = Device::flex();
    let operands: Vec<Value> = given.iter().enumerate().map(|(i, g)| g.value(seed(i), &device)).collect();
    let wanted = plain(&op, given, operands, &device);
    let mut graph = StepGraph::default();
    let ids: Vec<TensorId> =
        given.iter().enumerate().map(|(i, g)| graph.source(g.ty(), Role::Weight(ParameterId(i as u32)))).collect();
    let outputs = graph.push(op.clone(), &ids, Pass::Update, Place::Head);
    for id in &outputs {
        graph.keep(*id);
    }
    let source = |role: Role, _: &TensorType| match role {
        Role::Weight(i) => Some(given[i.0 as usize].value(seed(i.0 as usize), &device)),
        _ => None,
    };
    let made = Walker::new(&graph, Form::Host, &device).walk(SCALARS, source).unwrap();
    for (o, (tensor, (_, _, value))) in wanted.into_iter().zip(made).enumerate() {
        let wanted: Vec<f32> = tensor.to_data().try_to_vec().unwrap();
        let difference = difference(&value.to_floats(), &wanted);
        assert!(difference < 1e-5, "{op:?}, output {o}: {difference:e}");
    }
}

fn normal(shape: &[u64]) -> Given {
    Given::Normal(shape.to_vec())
}

#[test]
fn every_matrix_product_rule() {
    for (a, b, op) in [
        ([5, 7], [7, 3], MatMul::PLAIN),
        ([5, 7], [3, 7], MatMul::TRANSPOSE_B),
        ([7, 5], [7, 3], MatMul::TRANSPOSE_A),
        ([7, 5], [3, 7], MatMul { transpose_a: true, transpose_b: true }),
    ] {
        agrees(op, &[normal(&a), normal(&b)]);
        forms_agree(MatMulAccumulate(op), &[normal(&[5, 3]), normal(&a), normal(&b)]);
    }
}

#[test]
fn layer_norm_over_more_rows_than_one_partial_sum() {
    agrees(LayerNorm { eps: 1e-12 }, &[normal(&[150, 24]), normal(&[24]), normal(&[24])]);
}

#[test]
fn norms_that_do_not_centre_with_a_gain_for_each_column_and_with_one() {
    for (eps, factor) in [(1e-6, 1.0), (0.3, 0.7)] {
        agrees(RmsNorm { eps, factor }, &[normal(&[150, 24]), normal(&[24])]);
        agrees(RmsNorm { eps, factor }, &[normal(&[150, 24]), normal(&[1])]);
    }
}

#[test]
fn attention() {
    for causal in [false, true] {
        for dropout in [None, Some(Dropout { rate: 0.3, site: 7 })] {
            let op = Attention { heads: 3, sequence: 8, causal, dropout };
            agrees(op, &[normal(&[32, 12]), normal(&[32, 12]), normal(&[32, 12])]);
            forms_agree(op, &[normal(&[32, 12]), normal(&[32, 12]), normal(&[32, 12])]);
        }
    }
}

#[test]
fn every_function_alone_and_as_a_gate_over_more_than_one_piece() {
    for function in Function::ALL {
        agrees(Activate(function), &[normal(&[300, 64])]);
        agrees(Gate(function), &[normal(&[300, 64]), normal(&[300, 64])]);
    }
}

#[test]
fn rows_of_a_table_in_turn_with_rows_that_are_not_used() {
    agrees(AddTable { period: 1 }, &[normal(&[150, 300]), normal(&[300])]);
    agrees(AddTable { period: 1 }, &[normal(&[150, 5]), normal(&[2, 5])]);
    agrees(AddTable { period: 6 }, &[normal(&[420, 5]), normal(&[6, 5])]);
    agrees(AddTable { period: 6 }, &[normal(&[12, 5]), normal(&[9, 5])]);
    agrees(AddTable { period: 4 }, &[normal(&[12, 5]), Given::Fixed(vec![4, 5])]);
}

#[test]
fn rotations_and_their_way_back() {
    for back in [false, true] {
        agrees(Rotate { heads: 3, sequence: 4, back }, &[normal(&[12, 18]), Given::Fixed(vec![8, 3])]);
    }
}

#[test]
fn dropout() {
    agrees(Dropout { rate: 0.3, site: 1 }, &[normal(&[40, 130])]);
    forms_agree(Dropout { rate: 0.3, site: 1 }, &[normal(&[40, 130])]);
}

#[test]
fn a_tensor_times_a_number() {
    agrees(Scale { factor: -1.5 }, &[normal(&[40, 3])]);
}

#[test]
fn addition_of_two_tensors_and_of_a_tensor_to_itself() {
    agrees(Add, &[normal(&[10, 3]), normal(&[10, 3])]);
    let mut graph = StepGraph::default();
    let x = graph.source(TensorType::f32(&[3]), Role::Weight(ParameterId(0)));
    let sum = graph.push(Add, &[x, x], Pass::Forward, Place::Head)[0];
    graph.keep(sum);
    for form in [Form::Host, Form::Plain] {
        let device = Device::flex();
        let walker = Walker::new(&graph, form, &device);
        let results = walker.walk(SCALARS, |_, _| Some(Value::float(vec![1.0, 2.0, 3.0], &device))).unwrap();
        assert_eq!(results[0].2.to_floats(), [2.0, 4.0, 6.0], "{form:?}");
    }
}

#[test]
fn embedding_with_repeated_tokens() {
    agrees(Embedding, &[normal(&[6, 4]), Given::Index(vec![1, 3, 1, 0, 5, 1])]);
}

#[test]
fn positions() {
    agrees(AddPosition, &[normal(&[12, 5]), Given::Fixed(vec![4, 5]), normal(&[1])]);
}

#[test]
fn selected_rows() {
    agrees(SelectRows, &[normal(&[9, 4]), Given::Index(vec![7, 2, 3])]);
}

#[test]
fn cross_entropy_with_weights() {
    let given = [normal(&[6, 50]), Given::Index(vec![0, 49, 7, 7, 3, 12]), Given::Fixed(vec![6])];
    for (z_loss, label_smoothing, focal) in
        [(0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.2, 0.0), (0.1, 0.2, 0.0), (0.0, 0.0, 2.5), (0.0, 0.0, 1.0)]
    {
        let op = CrossEntropy { z_loss, label_smoothing, focal };
        agrees(op, &given);
        forms_agree(op, &given);
    }
}

#[test]
fn sums_of_squares_over_more_than_one_chunk() {
    forms_agree(SumSquares, &[normal(&[300, 300])]);
}

#[test]
fn clipping() {
    for max in [None, Some(0.5), Some(1e9)] {
        let squares = |x: f32| Value::float(vec![x], &Device::flex());
        let mut graph = StepGraph::default();
        let ids = [0, 1].map(|i| graph.source(TensorType::f32(&[1]), Role::Weight(ParameterId(i))));
        let made = graph.push(ClipFactor { max }, &ids, Pass::Update, Place::Head)[0];
        graph.keep(made);
        for form in [Form::Host, Form::Plain] {
            let source = |role, _: &TensorType| {
                if let Role::Weight(ParameterId(i)) = role { Some(squares([9.0, 16.0][i as usize])) } else { None }
            };
            let result = Walker::new(&graph, form, &Device::flex()).walk(SCALARS, source).unwrap()[0].2.to_floats();
            let factor = if max == Some(0.5) { 0.1 } else { 1.0 };
            assert!(difference(&result, &[5.0, factor]) < 1e-6, "{max:?} {form:?} {result:?}");
        }
    }
}

/// Three steps by hand with the numbers of PyTorch's documentation of AdamW, in f64.
#[test]
fn adamw_in_both_forms_equals_the_formula() {
    let op = AdamW { betas: (0.9, 0.98), eps: 1e-6, weight_decay: 0.1 };
    let (lr, t) = (SCALARS.rate, f64::from(SCALARS.step as u32));
    let (w, g, m, v) = (0.7f64, -0.3f64, 0.05f64, 0.002f64);
    let g = g * 0.5;
    let (m2, v2) = (0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g * g);
    let (mh, vh) = (m2 / (1.0 - libm::pow(0.9, t)), v2 / (1.0 - libm::pow(0.98, t)));
    let w2 = w * (1.0 - lr * 0.1) - lr * mh / (libm::sqrt(vh) + 1e-6);
    let given = [[0.7f32].as_slice(), &[-0.3], &[0.05], &[0.002], &[3.0, 0.5]];
    let mut graph = StepGraph::default();
    let ids: Vec<TensorId> = given
        .iter()
        .enumerate()
        .map(|(i, x)| graph.source(TensorType::f32(&[x.len() as u64]), Role::Weight(ParameterId(i as u32))))
        .collect();
    for id in graph.push(op, &ids, Pass::Update, Place::Head) {
        graph.keep(id);
    }
    for form in [Form::Host, Form::Plain] {
        let device = Device::flex();
        let source = |role, _: &TensorType| {
            if let Role::Weight(ParameterId(i)) = role { Some(Value::float(given[i as usize].to_vec(), &device)) } else { None }
        };
        let made = Walker::new(&graph, form, &device).walk(SCALARS, source).unwrap();
        let made: Vec<f32> = made.iter().map(|(_, _, value)| value.to_floats()[0]).collect();
        assert!(difference(&made, &[w2 as f32, m2 as f32, v2 as f32]) < 1e-6, "{form:?} {made:?}");
    }
}
