//! Whole models against an independent implementation in PyTorch (`tests/reference`): the loss, the gradient of every parameter, and the
//! weights after three steps. Both forms of every operation, and with everything recomputed.
//!
//! The answers were computed in f64, so that a difference is ours alone.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::Device;
use cramplan::exec::op::Scalars;
use cramplan::exec::state::State;
use cramplan::exec::trainer::{Feed, Trainer};
use cramplan::exec::value::Value;
use cramplan::exec::walk::Form;
use cramplan::recipe::settings::Recipe;
use cramplan::step::StepGraphs;
use cramplan::step::parameter::Parameters;
use cramplan::step::recompute::Recompute;
use safetensors::SafeTensors;
use serde::Deserialize;

/// The options of a case, as `tests/reference/README.md` describes them.
#[derive(Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "the options of a model")]
struct Case {
    name: String,
    vocabulary: u64,
    width: u64,
    depth: u64,
    heads: u64,
    sequence: u64,
    batch: u64,
    embedding_width: Option<u64>,
    token_types: u64,
    positions: String,
    learned_positions: Option<u64>,
    theta: Option<f64>,
    embedding_norm: bool,
    norm: String,
    eps: f64,
    placement: String,
    attention: String,
    causal: bool,
    softmax_blocks: Vec<u64>,
    feed_forward: String,
    intermediate: u64,
    activation: String,
    feed_forward_every: u64,
    passes: u64,
    biases_qkv: bool,
    biases_dense: bool,
    biases_decoder: bool,
    final_norm: bool,
    head: String,
    tied: bool,
    prediction: String,
    z_loss: f64,
    label_smoothing: f64,
    focal: f64,
    sgd_lr: f64,
    zero_gradient: Vec<String>,
}

/// A norm by length that is cut off at eps, where ours goes over smoothly; and an untied decoder of a narrow table's width, where ours is
/// D wide.
const DIFFERENT: [&str; 2] = ["scale-norm-clamped", "untied-factorised"];

#[derive(Deserialize)]
struct AdamW {
    lr: f64,
    betas: (f64, f64),
    eps: f64,
    weight_decay: f64,
}

#[derive(Deserialize)]
struct Reference {
    steps: u64,
    adamw: AdamW,
    cases: Vec<Case>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/reference/cases")
}

fn cases() -> Reference {
    serde_json::from_str(&std::fs::read_to_string(folder().join("cases.json")).unwrap()).unwrap()
}

/// `gelu_tanh` as `GeluTanh`.
fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

impl Case {
    /// Whether the recipe language can say it: what is left out is in no schema, or differs on purpose.
    fn is_expressible(&self) -> bool {
        let blocks_are_alike = self.softmax_blocks.is_empty() && self.feed_forward_every == 1 && self.passes == 1;
        self.attention == "softmax" && blocks_are_alike && !DIFFERENT.contains(&self.name.as_str())
    }

    fn recipe(&self, optimizer: &str) -> Recipe {
        let Self { vocabulary, width, depth, heads, sequence, batch, intermediate, causal, eps, .. } = self;
        let positions = match (self.positions.as_str(), self.learned_positions, self.theta) {
            ("learned", Some(length), _) => format!("Learned(length: {length})"),
            ("rotary", _, Some(theta)) => format!("Rotary(theta: {theta})"),
            (name, ..) => camel(name),
        };
        let table_width = self.embedding_width.map_or_else(|| "None".to_owned(), |e| e.to_string());
        let transform = if self.head == "linear" { "Projected".to_owned() } else { camel(&self.head) };
        let loss = if self.focal > 0.0 {
            format!("Focal(gamma: {})", self.focal)
        } else {
            format!("CrossEntropy(z_loss: {}, label_smoothing: {})", self.z_loss, self.label_smoothing)
        };
        common::recipe(&format!(
            "Recipe(
    name: \"parity\",
    budget: Budget(steps: 3),
    data: Corpus(sources: [Synthetic(1000)], tokenizer: WordPiece(vocab: {vocabulary})),
    model: Encoder(
        width: {width}, depth: {depth}, heads: {heads}, sequence: {sequence},
        feed_forward: {feed_forward}(intermediate: {intermediate}, activation: {activation}),
        attention: Softmax(causal: {causal}), norm: {norm}(eps: {eps}), placement: {placement},
        biases: Biases(qkv: {qkv}, dense: {dense}, decoder: {decoder}), positions: {positions}, token_types: {types},
        embedding: Embedding(table_width: {table_width}, input_norm: {input_norm}, tied: {tied}),
        head: Head(final_norm: {final_norm}, transform: {transform}),
    ),
    objective: MaskedLm(rate: 25%, prediction: {prediction}, loss: {loss}),
    batch: Constant({batch}),
    micro_batch: {batch},
    optimizer: {optimizer},
    lr: Constant(1e-3),
)",
            feed_forward = camel(&self.feed_forward),
            activation = camel(&self.activation),
            norm = camel(&self.norm),
            placement = camel(&self.placement),
            qkv = self.biases_qkv,
            dense = self.biases_dense,
            decoder = self.biases_decoder,
            types = self.token_types,
            input_norm = self.embedding_norm,
            tied = self.tied,
            final_norm = self.final_norm,
            prediction = camel(&self.prediction),
        ))
    }
}

/// What a case's file holds.
struct Answers {
    floats: BTreeMap<String, Vec<f32>>,
    feed: Feed,
    loss: f64,
}

impl Answers {
    fn read(name: &str) -> Self {
        let bytes = std::fs::read(folder().join(format!("{name}.safetensors"))).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let words = |name: &str| -> Vec<[u8; 4]> {
            file.tensor(name).unwrap().data().chunks_exact(4).map(|x| x.try_into().unwrap()).collect()
        };
        let integers = |name: &str| -> Vec<i32> { words(name).into_iter().map(i32::from_le_bytes).collect() };
        let floats = |name: &str| -> Vec<f32> { words(name).into_iter().map(f32::from_le_bytes).collect() };
        let named =
            file.names().into_iter().filter(|name| name.contains('.') && !name.starts_with("input.") || *name == "row_losses");
        Self {
            floats: named.map(|name| (name.to_owned(), floats(name))).collect(),
            feed: Feed {
                tokens: integers("input.tokens"),
                rows: integers("input.rows"),
                labels: integers("input.labels"),
                weights: floats("input.weights"),
                ..Feed::default()
            },
            loss: f64::from_le_bytes(file.tensor("loss64").unwrap().data().try_into().unwrap()),
        }
    }

    fn state(&self, graphs: &StepGraphs, device: &Device) -> State {
        let mut state = State::initial(graphs, 0, device);
        let given = self.floats.keys().filter(|name| name.starts_with("weight.")).count();
        assert_eq!(given, graphs.parameters.iter().len(), "as many parameters");
        for ((_, p), slot) in graphs.parameters.iter().zip(&mut state.weights) {
            let data = self.floats.get(&format!("weight.{}", p.name())).unwrap_or_else(|| panic!("there is no {}", p.name()));
            assert_eq!(data.len() as u64, p.elements(), "{}", p.name());
            *slot = Some(Value::float(data.clone(), device));
        }
        state
    }
}

/// ‖a − b‖ and ‖b‖.
fn lengths(a: &[f32], b: &[f32]) -> (f64, f64) {
    assert_eq!(a.len(), b.len());
    let length = |squares: &mut dyn Iterator<Item = f64>| squares.sum::<f64>().sqrt();
    let difference = length(&mut a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)));
    (difference, length(&mut b.iter().map(|x| f64::from(*x).powi(2))))
}

/// The worst relative difference, L2, of some tensors from the answers under a prefix; those whose true value is zero are held to be small.
fn worst(tensors: &[Option<Value>], parameters: &Parameters, answers: &Answers, prefix: &str, zero: &[String]) -> (f64, String) {
    let mut worst = (0.0, String::new());
    for ((_, p), value) in parameters.iter().zip(tensors) {
        let (difference, length) =
            lengths(&value.as_ref().unwrap().to_floats(), &answers.floats[&format!("{prefix}.{}", p.name())]);
        if zero.contains(&p.name()) && prefix == "gradient" {
            // A bias of keys moves all scores of a row alike. What is left is rounding: of gradients about 1.
            assert!(difference < ZERO, "{}: {difference:e}", p.name());
        } else if difference / length > worst.0 {
            worst = (difference / length, p.name());
        }
    }
    worst
}

/// What a gradient that is truly zero may come to, L2.
const ZERO: f64 = 1e-6;

/// The worst differences seen in a case.
#[derive(Default)]
struct Seen {
    loss: f64,
    gradient: (f64, String),
    sgd: (f64, String),
    adamw: (f64, String),
}

/// Three steps of an optimizer on the same batch.
struct Run<'a> {
    case: &'a Case,
    answers: &'a Answers,
    form: Form,
    recompute: Recompute,
}

impl Run<'_> {
    /// Calls `seen` with the loss and the gradients of the first step; gives the worst difference of the weights after the last.
    fn steps(&self, optimizer: &str, prefix: &str, (rate, steps): (f64, u64), seen: impl FnOnce(f64, &Trainer)) -> (f64, String) {
        let device = Device::flex();
        let graphs = StepGraphs::build(&self.case.recipe(optimizer), self.case.batch, self.recompute);
        let mut trainer = Trainer::new(graphs.clone(), self.answers.state(&graphs, &device), self.form, &device);
        let mut seen = Some(seen);
        for step in 1..=steps {
            let loss = trainer.micro_step(&self.answers.feed, true, &mut |_| {}).unwrap();
            if let Some(seen) = seen.take() {
                seen(loss, &trainer);
            }
            trainer.update(Scalars::update(rate, step), &mut |_| {}).unwrap();
        }
        worst(&trainer.state.weights, &graphs.parameters, self.answers, prefix, &self.case.zero_gradient)
    }
}

fn compared(case: &Case, cases: &Reference, answers: &Answers, form: Form, recompute: Recompute) -> Seen {
    let AdamW { lr, betas, eps, weight_decay } = cases.adamw;
    let adamw = format!("AdamW(betas: ({}, {}), eps: {eps}, weight_decay: {weight_decay})", betas.0, betas.1);
    let run = Run { case, answers, form, recompute };
    let mut seen = Seen::default();
    seen.adamw = run.steps(&adamw, "adamw", (lr, cases.steps), |loss, trainer| {
        seen.loss = (loss / answers.loss - 1.0).abs();
        let parameters = &trainer.graphs().parameters;
        seen.gradient = worst(&trainer.state.gradients, parameters, answers, "gradient", &case.zero_gradient);
    });
    seen.sgd = run.steps("Sgd(momentum: 0, weight_decay: 0)", "sgd", (case.sgd_lr, cases.steps), |_, _| {});
    seen
}

#[test]
fn losses_gradients_and_steps_are_those_of_pytorch() {
    let cases = cases();
    let mut count = 0;
    for case in cases.cases.iter().filter(|case| case.is_expressible()) {
        let answers = Answers::read(&case.name);
        for (form, recompute) in
            [(Form::Host, Recompute::NOTHING), (Form::Plain, Recompute::NOTHING), (Form::Host, Recompute::everything(case.depth))]
        {
            let Seen { loss, gradient, sgd, adamw } = compared(case, &cases, &answers, form, recompute);
            let name = &case.name;
            println!(
                "{name:<28} {form:?} loss {loss:.1e} gradient {:.1e} {} SGD {:.1e} {} AdamW {:.1e} {}",
                gradient.0, gradient.1, sgd.0, sgd.1, adamw.0, adamw.1
            );
            assert!(loss < 1e-6, "{name}, {form:?}: loss {loss:e}");
            assert!(gradient.0 < 1e-4, "{name}, {form:?}: gradient {gradient:?}");
            assert!(sgd.0 < 1e-4, "{name}, {form:?}: SGD {sgd:?}");
            assert!(adamw.0 < 1e-4, "{name}, {form:?}: AdamW {adamw:?}");
        }
        count += 1;
    }
    assert!(count >= 15, "{count} cases");
}
