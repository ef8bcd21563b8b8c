//! The whole model against burn's autodiff: a two-layer model written here with burn's own functions, on its own tape, must
//! give the loss and the gradients that walking the step graph gives.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use std::collections::BTreeMap;

use burn::tensor::activation::{gelu, log_softmax, softmax};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use cramplan::exec::state::{State, sinusoids};
use cramplan::exec::trainer::{Feed, Trainer};
use cramplan::exec::walk::Form;
use cramplan::recipe::settings::Recipe;
use cramplan::step::StepGraphs;
use cramplan::step::recompute::Recompute;

const RECIPE: &str = r#"Recipe(
    name: "oracle",
    budget: Budget(steps: 1),
    data: Corpus(sources: [Synthetic(2000)], tokenizer: WordPiece(vocab: 512)),
    model: Encoder(width: 32, depth: 2, heads: 4, sequence: 16, feed_forward: Glu(intermediate: 64), init: Normal(std: 0.2)),
    objective: MaskedLm(rate: 25%),
    batch: Constant(4),
    micro_batch: 4,
    optimizer: AdamW(clip: 0.5),
    lr: Constant(1e-3),
)"#;

fn recipe() -> Recipe {
    common::costed(RECIPE, &[], cramplan::device::find("rtx-a6000").unwrap()).recipe
}

/// A fixed micro-batch: 64 tokens of which 16 are predicted, one with weight 0.
fn feed() -> Feed {
    let tokens = (0..64).map(|i| (i * 37 + 11) % 512).collect();
    let rows: Vec<i32> = (0..16).map(|i| i * 4 + i % 3).collect();
    let labels = (0..16).map(|i| (i * 101 + 3) % 512).collect();
    let weights = (0..16).map(|i| if i == 15 { 0.0 } else { 1.0 / 15.0 }).collect();
    Feed { tokens, rows, labels, weights, ..Feed::default() }
}

fn index(data: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(data.to_vec(), [data.len()]), (device, DType::I32))
}

fn floats<const D: usize>(data: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::<1>::from_data(TensorData::new(data, [shape.iter().product::<usize>()]), device).reshape(shape)
}

/// The model's parameters by name, as flat tensors that want a gradient.
struct Weights(BTreeMap<String, (Tensor<1>, Vec<usize>)>);

impl Weights {
    fn vector(&self, name: &str) -> Tensor<2> {
        let (tensor, shape) = &self.0[name];
        tensor.clone().reshape([1, shape[0]])
    }

    fn matrix(&self, name: &str) -> Tensor<2> {
        let (tensor, shape) = &self.0[name];
        tensor.clone().reshape([shape[0], shape[1]])
    }
}

fn layer_norm(x: Tensor<2>, w: &Weights, name: &str) -> Tensor<2> {
    let (variance, mean) = x.clone().var_mean_bias(1);
    (x - mean) / (variance + 1e-12).sqrt() * w.vector(&format!("{name}.gain")) + w.vector(&format!("{name}.bias"))
}

fn attention(x: &Tensor<2>, w: &Weights, block: &str) -> Tensor<2> {
    let heads = |part: &str| {
        let projected = x.clone().matmul(w.matrix(&format!("{block}.attention.{part}")));
        projected.reshape([4, 16, 4, 8]).swap_dims(1, 2)
    };
    let (q, k, v) = (heads("query"), heads("key"), heads("value"));
    let probabilities = softmax(q.matmul(k.transpose()).div_scalar(8f32.sqrt()), 3);
    let context = probabilities.matmul(v).swap_dims(1, 2).reshape([64, 32]);
    context.matmul(w.matrix(&format!("{block}.attention.output")))
}

fn feed_forward(x: &Tensor<2>, w: &Weights, block: &str) -> Tensor<2> {
    let project = |part: &str| x.clone().matmul(w.matrix(&format!("{block}.feed_forward.{part}")));
    (project("value") * gelu(project("gate"))).matmul(w.matrix(&format!("{block}.feed_forward.output")))
}

fn loss(w: &Weights, feed: &Feed, device: &Device) -> Tensor<1> {
    let words = w.matrix("embedding.word");
    let positions = floats(sinusoids(16, 32), [16, 32], device).repeat_dim(0, 4);
    let scale = w.0["embedding.position_scale"].0.clone().reshape([1, 1]);
    let x = words.clone().select(0, index(&feed.tokens, device)) + positions * scale;
    let mut x = layer_norm(x, w, "embedding.norm");
    for i in 0..2 {
        let block = format!("block.{i}");
        x = x.clone() + attention(&layer_norm(x, w, &format!("{block}.attention_norm")), w, &block);
        x = x.clone() + feed_forward(&layer_norm(x, w, &format!("{block}.feed_forward_norm")), w, &block);
    }
    let x = layer_norm(x, w, "final_norm").select(0, index(&feed.rows, device));
    let log = log_softmax(x.matmul(words.transpose()), 1);
    let picked = log.gather(1, index(&feed.labels, device).reshape([16, 1])).reshape([16]);
    (picked * floats(feed.weights.clone(), [16], device)).sum().neg()
}

fn relative(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>();
    let above = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    (above / norm(&mut b.iter().map(|x| f64::from(*x))).max(1e-30)).sqrt()
}

#[test]
fn loss_and_gradients_of_a_two_layer_model_equal_those_of_autodiff() {
    let recipe = recipe();
    let graphs = StepGraphs::build(&recipe, 4, Recompute::NOTHING);
    let plain = Device::flex();
    let state = State::initial(&graphs, 7, &plain);

    let taped = Device::flex().autodiff();
    let named = graphs.parameters.iter().zip(&state.weights).map(|((_, p), value)| {
        let data = value.as_ref().unwrap().to_floats();
        let shape: Vec<usize> = p.shape.iter().map(|d| *d as usize).collect();
        (p.name(), (floats(data.clone(), [data.len()], &taped).require_grad(), shape))
    });
    let weights = Weights(named.collect());
    let expected = loss(&weights, &feed(), &taped);
    let tape = expected.clone().backward();
    let expected: f32 = expected.into_scalar();

    for form in [Form::Host, Form::Plain] {
        let mut trainer = Trainer::new(graphs.clone(), state.clone(), form, &plain);
        let observed = trainer.micro_step(&feed(), true, &mut |_| {}).unwrap();
        assert!((observed / f64::from(expected) - 1.0).abs() < 1e-5, "{form:?}: loss {observed} against {expected}");
        for ((_, p), gradient) in graphs.parameters.iter().zip(&trainer.state.gradients) {
            let ours = gradient.as_ref().unwrap().to_floats();
            let theirs: Vec<f32> = weights.0[&p.name()].0.grad(&tape).unwrap().to_data().try_to_vec().unwrap();
            assert!(relative(&ours, &theirs) < 1e-5, "{form:?}, {}: {:e}", p.name(), relative(&ours, &theirs));
        }
        // A second micro-step adds the same again.
        trainer.micro_step(&feed(), false, &mut |_| {}).unwrap();
        let (_, first) = graphs.parameters.iter().zip(&trainer.state.gradients).next().unwrap();
        let doubled: Vec<f32> =
            weights.0["embedding.word"].0.grad(&tape).unwrap().mul_scalar(2.0).to_data().try_to_vec().unwrap();
        assert!(relative(&first.as_ref().unwrap().to_floats(), &doubled) < 1e-5, "{form:?}: accumulation");
    }
}
