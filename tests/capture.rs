//! The plan against what a card would be asked to do: every walk of every shipped recipe in its full size, and of 60 generated ones, is
//! recorded on burn's device that executes nothing, and the recorded operations are replayed by the rules of burn's CUDA backend
//! (`capture/replay.rs`, written apart from the planner's). FLOPs and live bytes are equal, around every single operation of the graph.
//!
//! What the recording cannot show: what the memory manager keeps beyond live tensors, and what the choice of kernels takes.
//!
//! `INSTA_UPDATE=always cargo test --release --test capture` writes the table, `tests/capture/table.snap`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::float_cmp, reason = "a test may panic and show what it sees")]

mod common;
#[path = "capture/replay.rs"]
mod replay;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use burn::tensor::{Device, Int, Tensor};
use burn_ir::{FloatOperationIr, OperationIr, TensorId};
use common::generate::{Size, generated};
use cramplan::exec::op::Scalars;
use cramplan::exec::value::Value;
use cramplan::exec::walk::{Form, Walker};
use cramplan::step::graph::StepGraph;
use cramplan::step::lifetime::{Bill, Instant, Lifetimes, timeline};
use cramplan::step::op::Backend;
use cramplan::step::tensor::{DType, Role, TensorType};
use cramplan::step::{StepGraphs, Walk};
use cramplan::units::Flops;
use replay::Card;

const SEED: u64 = 20_260_731;
const GENERATED: usize = 60;

/// Small ones, with dropout among them.
const SMALL: usize = 20;

/// The graphs of a recipe's text.
fn graphs(text: &str, smaller: &[&str]) -> StepGraphs {
    let card = cramplan::device::find("rtx-a6000").unwrap();
    common::costed(text, smaller, card).graphs()
}

/// Nothing is executed, so no elements are needed; indices alone have some.
fn source(ty: &TensorType, device: &Device) -> Value {
    let length = ty.elements() as usize;
    match ty.dtype {
        DType::I32 => Value::index(vec![0; length], device),
        DType::F32 => Value::Float(Tensor::zeros([length], device)),
    }
}

/// What a walk records: operations before the first of the graph, those of each, and one use of each result.
struct Recorded {
    sources: Vec<OperationIr>,
    operations: Vec<Vec<OperationIr>>,
    results: Vec<OperationIr>,
}

/// Stands between the operations of two nodes: the only tensor of booleans or integers that is made on the device.
fn mark(device: &Device) {
    drop(Tensor::<1, Int>::ones([1], device));
}

fn is_mark(operation: &OperationIr) -> bool {
    matches!(operation, OperationIr::BaseInt(_) | OperationIr::NumericInt(..)) && operation.inputs().next().is_none()
}

fn record(graph: &StepGraph) -> Recorded {
    let device = Device::capture();
    let walker = Walker::new(graph, Form::Plain, &device);
    let captured = device.capture_scope(|scope| {
        let mut sources = graph.tensors().filter(|(id, _)| graph.is_source(*id)).count();
        let feed = |_: Role, ty: &TensorType| {
            let value = source(ty, &device);
            sources -= 1;
            if sources == 0 {
                mark(&device);
            }
            Some(value)
        };
        let made = walker.walk_watched(Scalars::update(1e-3, 1), feed, |_| mark(&device)).unwrap();
        assert_eq!(made.len(), graph.results().len());
        for (_, _, value) in &made {
            if let Value::Float(tensor) = value {
                drop(tensor.clone() * 2.0);
            }
        }
        scope.complete([], [])
    });
    let mut parts = vec![Vec::new()];
    for operation in captured.unwrap().graph.operations {
        if is_mark(&operation) {
            parts.push(Vec::new());
        } else {
            parts.last_mut().unwrap().push(operation);
        }
    }
    let results = parts.pop().unwrap();
    let sources = parts.remove(0);
    assert_eq!(parts.len(), graph.nodes().len());
    Recorded { sources, operations: parts, results }
}

/// FLOPs of the matrix products among operations.
fn flops(operations: &[OperationIr]) -> Flops {
    let products = operations.iter().filter_map(|operation| match operation {
        OperationIr::Float(_, FloatOperationIr::Matmul(product)) => {
            let [m, k] =
                [product.lhs.shape.iter().rev().nth(1), product.lhs.shape.iter().next_back()].map(|x| *x.unwrap() as u64);
            let batch: usize = product.out.shape.iter().rev().skip(2).product();
            Some(Flops::matmul(m, *product.out.shape.iter().next_back().unwrap() as u64, k) * batch as u64)
        }
        _ => None,
    });
    products.sum()
}

/// Live bytes around each operation of the graph: the highest during it, and after it.
fn replayed(recorded: &Recorded) -> Vec<(u64, u64)> {
    let after_all = recorded.operations.len();
    let mut last_use: BTreeMap<TensorId, usize> = BTreeMap::new();
    for (i, operation) in recorded.operations.iter().enumerate().flat_map(|(i, part)| part.iter().map(move |op| (i, op))) {
        operation.inputs().chain(operation.outputs()).for_each(|x| _ = last_use.insert(x.id, i));
    }
    for operation in &recorded.results {
        operation.inputs().for_each(|x| _ = last_use.insert(x.id, after_all));
    }
    let mut card = Card::default();
    recorded.sources.iter().for_each(|operation| card.perform(operation));
    card.highest();
    let mut seen = Vec::new();
    for (i, part) in recorded.operations.iter().enumerate() {
        for operation in part {
            card.perform(operation);
        }
        // What the executor drops without an operation: operands that were lent twice, and outputs that nothing reads.
        let here = part.iter().flat_map(|op| op.inputs().chain(op.outputs()).map(|x| x.id));
        here.filter(|id| last_use[id] == i).for_each(|id| card.remove(id));
        seen.push((card.highest(), card.live()));
    }
    seen
}

/// A walk's peaks, planned and recorded.
struct Row {
    planned: u64,
    recorded: u64,
}

impl Row {
    fn over(&self) -> f64 {
        (self.planned as f64 - self.recorded as f64) / self.recorded as f64
    }
}

/// Holds a walk's plan against its recording, operation by operation.
fn compared(name: &str, graph: &StepGraph, walk: Walk) -> Row {
    let recorded = record(graph);
    let seen = replayed(&recorded);
    let instants: Vec<Instant> = timeline(graph, &Lifetimes::of(graph), Backend::Plain, Bill::default());
    for (i, (node, part)) in graph.nodes().zip(&recorded.operations).enumerate() {
        let place = format!("{name}: {} {i}: {} in {}", walk.name(), node.op.rule().name(), node.place);
        assert_eq!(flops(part), node.op.rule().flops(graph.signature(node)), "{place}");
        let planned = (instants[i].during.total().0, instants[i].after.total().0);
        assert_eq!(planned, seen[i], "{place}, highest and after it: {part:#?}");
    }
    let peak = |bytes: &mut dyn Iterator<Item = u64>| bytes.max().unwrap_or_default();
    Row {
        planned: peak(&mut instants.iter().map(|i| i.during.total().0)),
        recorded: peak(&mut seen.iter().map(|(high, _)| *high)),
    }
}

fn table(recipes: &[(String, StepGraphs)]) -> (String, Vec<f64>) {
    let mut text = String::from(
        "Written by `INSTA_UPDATE=always cargo test --release --test capture`. Live bytes on CUDA at the highest moment of each walk: planned,\n\
         and replayed from the operations that burn's capture device recorded of the executor, by the rules of burn-cubecl 0.22.1.\n\
         Not covered: optimizer state outside the walk, what the memory manager keeps beyond live bytes, tuning. No card was used.\n\n",
    );
    let mut differences = Vec::new();
    writeln!(text, "{:<26} {:<20} {:>15} {:>15} {:>8}", "recipe", "walk", "planned", "recorded", "over").unwrap();
    for (name, graphs) in recipes {
        for walk in Walk::ALL {
            let row = compared(name, graphs.walk(walk), walk);
            let over = 100.0 * row.over();
            writeln!(text, "{name:<26} {:<20} {:>15} {:>15} {over:>7.3}%", walk.name(), row.planned, row.recorded).unwrap();
            differences.push(row.over());
        }
    }
    differences.sort_by(f64::total_cmp);
    let (median, most) = (differences[differences.len() / 2], differences[differences.len() - 1]);
    writeln!(text, "\nover in {} walks: median {:.3}%, most {:.3}%", differences.len(), 100.0 * median, 100.0 * most).unwrap();
    (text, differences)
}

/// The shipped recipes as they are, with the micro-batch that the plan takes, and the generated ones.
fn recipes() -> Vec<(String, StepGraphs)> {
    let card = || cramplan::device::find("rtx-a6000").unwrap();
    let shipped = common::shipped();
    let shipped = shipped.iter().map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let costed = common::costed_file(path, &[], card());
        let dropout = &costed.recipe.model.dropout;
        let drops = [dropout.inputs, dropout.probabilities, dropout.branches].iter().any(|rate| rate.0 > 0.0);
        // The host draws a dropout's mask also where nothing is executed, and the recording keeps it.
        let costed = if drops { common::costed_file(path, &["micro_batch=2"], card()) } else { costed };
        (name, costed.graphs())
    });
    let texts = generated(SEED, GENERATED, Size::Large);
    let made = texts.iter().enumerate().map(|(i, text)| (format!("generated {i}"), graphs(text, &[])));
    let texts = generated(SEED, SMALL, Size::Small);
    let small = texts.iter().enumerate().map(|(i, text)| (format!("generated small {i}"), graphs(text, &[])));
    shipped.chain(made).chain(small).collect()
}

/// Every optimizer, on matrices that are square, wide and tall, with rows that a card pads and rows that it does not.
#[test]
fn the_update_of_every_optimizer_is_recorded_with_the_memory_of_the_plan() {
    let recipe = include_str!("../recipes/quickstart.ron");
    for optimizer in [
        "AdamW(clip: 0.5)",
        "Adam()",
        "RAdam(clip: 1)",
        "Lamb()",
        "Lion()",
        "Sgd(momentum: 0)",
        "Sgd()",
        "Sgd(nesterov: true)",
        "Adafactor()",
        "Adafactor(momentum: 0.9)",
        "Muon()",
        "Muon(nesterov: false)",
    ] {
        for (width, intermediate) in [(128, 768), (60, 100), (100, 50)] {
            let model = [format!("model.width={width}"), format!("model.feed_forward.intermediate={intermediate}")];
            let graphs = graphs(recipe, &[&format!("optimizer={optimizer}"), &model[0], &model[1]]);
            let row = compared(optimizer, graphs.walk(Walk::Update), Walk::Update);
            assert_eq!(row.planned, row.recorded, "{optimizer}");
        }
    }
}

#[test]
fn every_walk_is_recorded_with_the_flops_and_the_memory_of_the_plan() {
    let recipes = recipes();
    assert!(recipes.len() >= GENERATED + 3);
    let (text, differences) = table(&recipes);
    assert!(differences.iter().all(|over| *over == 0.0), "{text}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("capture");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("table", text));
}
