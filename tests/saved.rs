//! What crammed-BERT keeps for backward, against what PyTorch keeps for it (`activation_bytes` of the official model at 8 × 128 in f32, the decoder
//! on 15 % of the positions, without dropout: unique storages saved by autograd, parameters left out), and what it costs to keep less.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use std::collections::BTreeSet;

use cramplan::budget::estimate_at;
use cramplan::recipe::settings::{Prediction, Recipe};
use cramplan::step::graph::Pass;
use cramplan::step::recompute::{Kind, Recompute};
use cramplan::step::tensor::{Role, TensorId};
use cramplan::step::{StepGraphs, Walk};
use cramplan::units::{Bytes, Ratio};

const PYTORCH: u64 = 933_215_444;

fn crammed() -> Recipe {
    let card = cramplan::device::find("rtx-a6000").unwrap();
    let mut recipe = common::costed(include_str!("../recipes/crammed-bert.ron"), &[], card).recipe;
    recipe.objective.prediction = Prediction::Sparse { share: Some(Ratio(0.15)) };
    recipe
}

/// Bytes that are fed or made by forward and read after it.
fn saved(recipe: &Recipe, recompute: Recompute) -> Bytes {
    let graphs = StepGraphs::build(recipe, 8, recompute);
    let graph = graphs.walk(Walk::First);
    let later = graph.nodes().filter(|node| matches!(node.pass, Pass::Recompute | Pass::Backward));
    let of_forward = |id: &TensorId| match graph.producer(*id) {
        Some(node) => node.pass == Pass::Forward,
        None => matches!(graph.get(*id).role, Role::Input(_)),
    };
    let saved: BTreeSet<TensorId> = later.flat_map(|node| node.inputs.iter().copied()).filter(of_forward).collect();
    saved.iter().map(|id| graph.ty(*id).bytes()).sum()
}

#[test]
fn no_more_is_kept_than_pytorch_keeps() {
    let kept = saved(&crammed(), Recompute::NOTHING);
    println!("kept {kept:?}, PyTorch {PYTORCH}: {:.1} %", kept.0 as f64 / PYTORCH as f64 * 100.0);
    assert!(kept.0 <= PYTORCH, "{kept:?}");
}

#[test]
fn for_two_percent_more_arithmetic_at_most_sixty_percent_is_kept() {
    let (recipe, card) = (crammed(), cramplan::device::find("rtx-a6000").unwrap());
    let mut again = Recompute::NOTHING;
    for kind in [Kind::Norm, Kind::Gate, Kind::Attention] {
        again.0[kind as usize] = recipe.model.depth;
    }
    let e = estimate_at(&recipe, &card, 8, again);
    let more = e.executed_flops().as_f64() / e.micro_step_flops().as_f64() - 1.0;
    let kept = saved(&recipe, again);
    let share = kept.0 as f64 / PYTORCH as f64;
    println!("kept {kept:?}, {:.1} % of PyTorch's, for {:.2} % more FLOPs", share * 100.0, more * 100.0);
    assert!(more <= 0.02 && share <= 0.6, "{more} {share}");
}
