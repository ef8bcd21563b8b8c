//! What an operation says of itself: shapes, workspace, FLOPs, traffic and seconds; and the sums of a walk.

use super::format::{Content, DType, Op, Operation, Pass, Tensor, Walk};
use super::graph::bytes;
use super::shape::{Operand, outputs, product_extents};
use super::workspace::{self, Cpu, orthogonal};
use super::{At, Book, Law, time};
use crate::units::{Bytes, Flops};

/// Checks the operations of a walk, each alone, and their sums.
pub fn check<R>(content: &Content<R>, walk: &Walk, book: &mut Book) {
    let cpu = Cpu::of(&content.device);
    for (i, o) in walk.operations.iter().enumerate() {
        let of = |ids: &[u32]| ids.iter().map(|id| &walk.tensors[*id as usize]).collect::<Vec<&Tensor>>();
        let (taken, made) = (of(&o.inputs), of(&o.outputs));
        let at = |field| At::walk(walk.walk, field).operation(i);
        // Every other law of the operation asks for lawful shapes.
        if !shapes(&o.op, &taken, &made, at("outputs"), book) {
            continue;
        }
        // On a card it is what its chain holds beside the tensors at its highest moment: see the law of live bytes.
        if let Some(cpu) = cpu {
            book.equal(Law::Workspace, at("workspace"), o.workspace, Bytes(workspace::on_cpu(&o.op, &taken, cpu)));
        }
        book.equal(Law::Flops, at("flops"), o.flops, Flops(flops(&o.op, &taken)));
        book.equal(Law::Traffic, at("moved"), o.moved, Bytes(traffic(&o.op, &taken, &made)));
        time::operation(o, &taken, &content.device, at("seconds"), book);
    }
    totals(walk, book);
    time::beside(content, walk, book);
}

/// Whether the shapes of what an operation makes follow from what it takes.
pub fn has_lawful_shapes(walk: &Walk, o: &Operation) -> bool {
    let of = |ids: &[u32]| ids.iter().map(|id| &walk.tensors[*id as usize]).collect::<Vec<&Tensor>>();
    let taken = of(&o.inputs);
    let operands: Vec<Operand<'_>> = taken.iter().map(|t| (t.shape.as_slice(), t.dtype)).collect();
    let stated: Vec<Vec<u64>> = of(&o.outputs).iter().map(|t| t.shape.clone()).collect();
    outputs(&o.op, &operands) == Some(stated)
}

fn shapes(op: &Op, taken: &[&Tensor], made: &[&Tensor], at: At, book: &mut Book) -> bool {
    let operands: Vec<Operand<'_>> = taken.iter().map(|t| (t.shape.as_slice(), t.dtype)).collect();
    let stated: Vec<Vec<u64>> = made.iter().map(|t| t.shape.clone()).collect();
    let derived = outputs(op, &operands);
    let floats = made.iter().all(|t| t.dtype == DType::F32);
    let holds = derived.as_ref() == Some(&stated) && floats;
    let inputs: Vec<&[u64]> = operands.iter().map(|(shape, _)| *shape).collect();
    let derived = derived.map_or_else(|| format!("nothing: it does not take {inputs:?}"), |shapes| format!("{shapes:?} of f32"));
    book.hold(Law::Shape, at, holds, stated, derived)
}

/// 2·m·n·k for a product of m×k by k×n. Attention is two products of S×S by D for each sequence, its gradient four.
fn flops(op: &Op, inputs: &[&Tensor]) -> u128 {
    let product = |transpose_a: bool, transpose_b: bool, a: &Tensor, b: &Tensor| {
        let extents = product_extents(transpose_a, transpose_b, &a.shape, &b.shape);
        extents.map_or(0, |(m, n, k)| 2u128.saturating_mul(u128::from(m) * u128::from(n)).saturating_mul(u128::from(k)))
    };
    // T rows are T/S sequences of S: 2·(T/S)·S·S·D is 2·T·S·D.
    let scores = |sequence: u64| 2u128.saturating_mul(u128::from(bytes(inputs[0]) / 4)).saturating_mul(u128::from(sequence));
    match op {
        Op::MatMul { transpose_a, transpose_b } => product(*transpose_a, *transpose_b, inputs[0], inputs[1]),
        Op::MatMulAccumulate { transpose_a, transpose_b } => product(*transpose_a, *transpose_b, inputs[1], inputs[2]),
        // Five times, each product of it.
        Op::Muon { .. } => orthogonal(&inputs[0].shape).iter().fold(0u128, |sum, product| {
            let (m, n, k) = product.extents;
            sum.saturating_add((10 * u128::from(m)).saturating_mul(u128::from(n)).saturating_mul(u128::from(k)))
        }),
        Op::Attention { sequence, .. } => scores(*sequence).saturating_mul(2),
        Op::AttentionGradient { sequence, .. } => scores(*sequence).saturating_mul(4),
        _ => 0,
    }
}

/// Every operand once; of tables only the rows that are asked for, which are read, written and, where they are added to, read again.
fn traffic(op: &Op, inputs: &[&Tensor], outputs: &[&Tensor]) -> u64 {
    let all = |tensors: &[&Tensor]| tensors.iter().fold(0u64, |n, t| n.saturating_add(bytes(t)));
    match op {
        Op::Embedding => all(&[outputs[0], outputs[0], inputs[1]]),
        Op::EmbeddingGradient => all(&[inputs[1], inputs[1], inputs[1], inputs[2]]),
        Op::SelectRows => all(&[outputs[0], outputs[0]]),
        // Both norms are known only when everything has been read once.
        Op::Lamb { .. } => all(inputs).saturating_add(all(outputs)).saturating_add(all(outputs)),
        // The gradient is read for the second moment, the step's length and the step; or twice, and the second moment with it.
        Op::Adafactor { .. } => all(inputs).saturating_add(all(outputs)).saturating_add(all(&[inputs[1], inputs[1]])),
        _ => all(inputs).saturating_add(all(outputs)),
    }
}

fn totals(walk: &Walk, book: &mut Book) {
    let sum = |pass: Pass| walk.operations.iter().filter(|o| o.pass == pass).map(|o| o.flops).sum::<Flops>();
    book.equal(Law::Total, At::walk(walk.walk, "forward"), walk.forward, sum(Pass::Forward) + sum(Pass::Update));
    book.equal(Law::Total, At::walk(walk.walk, "recompute"), walk.recompute, sum(Pass::Recompute));
    book.equal(Law::Total, At::walk(walk.walk, "backward"), walk.backward, sum(Pass::Backward));
    let seconds: f64 = walk.operations.iter().map(|o: &Operation| o.seconds.0).sum();
    let (once, each) = walk.beside;
    let beside = once.0 + each.0 * walk.operations.len() as f64;
    book.close(Law::Total, At::walk(walk.walk, "seconds"), walk.seconds.0, seconds + beside);
}
