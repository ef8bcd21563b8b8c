//! The plain forms, as they would run on a card, recorded by burn's device that executes nothing: every walk of every shipped
//! recipe's shape can be recorded, and the matrix products that are recorded are those of the plan, to the last FLOP.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use burn::tensor::Device;
use burn_ir::{FloatOperationIr, OperationIr};
use cramplan::exec::op::Scalars;
use cramplan::exec::value::Value;
use cramplan::exec::walk::{Form, Walker};
use cramplan::step::tensor::{DType, Role, TensorType};
use cramplan::step::{StepGraphs, Walk};
use cramplan::units::Flops;

/// The graphs of a shipped recipe, with what makes them large made small.
fn graphs(name: &str, smaller: &[&str]) -> StepGraphs {
    let path = format!("{}/recipes/{name}", env!("CARGO_MANIFEST_DIR"));
    let card = cramplan::device::find("rtx-a6000").unwrap();
    common::costed(&std::fs::read_to_string(path).unwrap(), smaller, card).graphs()
}

fn source(role: Role, ty: &TensorType, device: &Device) -> Value {
    let length = ty.elements() as usize;
    match (role, ty.dtype) {
        (_, DType::I32) => Value::index(vec![0; length], device),
        _ => Value::float(vec![0.5; length], device),
    }
}

/// FLOPs of the matrix products that a walk records.
fn recorded(graphs: &StepGraphs, walk: Walk) -> Flops {
    let device = Device::capture();
    let walker = Walker::new(graphs.walk(walk), Form::Plain, &device);
    let captured = device.capture_scope(|scope| {
        let made = walker.walk(Scalars { rate: 1e-3, step: 1 }, |role, ty| Some(source(role, ty, &device))).unwrap();
        assert_eq!(made.len(), graphs.walk(walk).results().len());
        scope.complete([], [])
    });
    let products = captured.unwrap().graph.operations.into_iter().filter_map(|operation| match operation {
        OperationIr::Float(_, FloatOperationIr::Matmul(product)) => {
            let batch: usize = product.out.shape.iter().rev().skip(2).product();
            let [m, k] =
                [product.lhs.shape.iter().rev().nth(1), product.lhs.shape.iter().next_back()].map(|x| *x.unwrap() as u64);
            Some(Flops::matmul(m, *product.out.shape.iter().next_back().unwrap() as u64, k) * batch as u64)
        }
        _ => None,
    });
    products.sum()
}

#[test]
fn every_walk_is_recorded_with_the_flops_of_the_plan() {
    for (name, smaller) in [
        ("quickstart.ron", ["micro_batch=4", "model.depth=4", "data.tokenizer=WordPiece(512)"]),
        ("crammed-bert.ron", ["micro_batch=1", "model.depth=2", "data.tokenizer=WordPiece(1024)"]),
    ] {
        let graphs = graphs(name, &smaller);
        for walk in Walk::ALL {
            let graph = graphs.walk(walk);
            let planned: Flops = graph.nodes().map(|node| graph.with_signature(node, |types| node.op.rule().flops(types))).sum();
            assert_eq!(recorded(&graphs, walk), planned, "{name}: {}", walk.name());
            assert_eq!(planned == Flops::ZERO, walk == Walk::Update);
        }
    }
}
