//! How fast plans are made: `cargo bench --no-default-features --bench plans`.
//!
//! A what-if is one (model shape, micro-batch, recomputation) → (peak, seconds, tokens); at least 20,000 a second on one core are wanted,
//! 50 µs each. All of this is on one thread.
//!
//! - *what-ifs of a search*: four shapes, every micro-batch with every recomputation, none left out, each with the run that it makes; the
//!   elements a second are what-ifs.
//! - *what-if*: from scratch, one shape after another: all four graphs are built, costed and walked through the run's batch ramp.
//! - *what-if of a known shape*: the same where the update and the saving of the shape were costed before, as in `budget::fit`.
//! - *cold check*: `cramplan check recipes/crammed-bert.ron` as a process, from its start to its end; at most 10 ms are wanted, and 30 MB, which
//!   `/usr/bin/time -f %M cramplan check recipes/crammed-bert.ron` shows. With burn in the program (`cargo bench --bench plans`) it is larger.
//! - *fit*: the choice among all micro-batches and recomputations, many thousand what-ifs, most of which are put together from pieces.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;
use std::process::Command;

use cramplan::budget::fit::{choose, each};
use cramplan::budget::{Fixed, estimate_at, estimate_with};
use cramplan::device::Device;
use cramplan::recipe::settings::Recipe;
use cramplan::step::recompute::Recompute;
use cramplan::units::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

#[path = "../common/mod.rs"]
mod common;

fn card() -> Device {
    cramplan::device::find("rtx-a6000").unwrap()
}

fn crammed() -> Recipe {
    common::costed(include_str!("../../recipes/crammed-bert.ron"), &[], card()).recipe
}

/// Shapes around crammed-BERT's, each with a micro-batch and something to recompute.
fn shapes() -> Vec<(Recipe, u64, Recompute)> {
    let mut shapes = Vec::new();
    for depth in [4, 12, 16, 24] {
        for width in [256, 512, 768, 1024] {
            for (micro_batch, again) in [(16, 0), (64, depth), (256, depth / 2)] {
                let mut recipe = crammed();
                recipe.model.depth = depth;
                recipe.model.width = width;
                recipe.model.heads = width / 64;
                recipe.model.feed_forward = recipe.model.feed_forward.with_intermediate(4 * width);
                shapes.push((recipe, micro_batch, Recompute([again, again, again / 2, 0, 0])));
            }
        }
    }
    shapes
}

fn plans(criterion: &mut Criterion) {
    let (device, shapes, recipe) = (card(), shapes(), crammed());
    // One shape of each depth, of each width.
    let few: Vec<&Recipe> = shapes.iter().step_by(15).map(|(recipe, ..)| recipe).collect();
    let every = |recipes: &[&Recipe]| {
        let (mut count, mut best) = (0, None);
        for recipe in recipes {
            each(recipe, &device, |what_if| {
                count += 1;
                let seen = (what_if.run.tokens, what_if.point.peak, what_if.run.seconds.0.to_bits());
                best = best.max(Some(seen));
            });
        }
        (count, best)
    };
    let mut group = criterion.benchmark_group("search");
    group.throughput(Throughput::Elements(every(&few).0)).sample_size(10);
    group.bench_function("what-ifs of a search", |bencher| bencher.iter(|| every(black_box(&few))));
    group.finish();
    let mut next = shapes.iter().cycle();
    criterion.bench_function("what-if", |bencher| {
        bencher.iter(|| {
            let (recipe, micro_batch, recompute) = next.next().unwrap();
            let e = estimate_at(black_box(recipe), &device, *micro_batch, *recompute);
            (e.peak.bytes, e.run.seconds, e.run.tokens)
        });
    });
    let known: Vec<(&(Recipe, u64, Recompute), Fixed)> =
        shapes.iter().map(|shape| (shape, Fixed::of(&shape.0, &device))).collect();
    let mut next = known.iter().cycle();
    criterion.bench_function("what-if of a known shape", |bencher| {
        bencher.iter(|| {
            let ((recipe, micro_batch, recompute), fixed) = next.next().unwrap();
            let e = estimate_with(black_box(recipe), &device, fixed, *micro_batch, *recompute);
            (e.peak.bytes, e.run.seconds, e.run.tokens)
        });
    });
    for gib in [48, 12, 4] {
        criterion.bench_function(&format!("fit crammed-bert into {gib} GiB"), |bencher| {
            bencher.iter(|| choose(black_box(&recipe), &device, Bytes::gib(gib)));
        });
    }
}

fn cold(criterion: &mut Criterion) {
    criterion.bench_function("cold check", |bencher| {
        bencher.iter(|| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cramplan"));
            let out =
                command.args(["check", "recipes/crammed-bert.ron"]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
            assert!(out.status.success());
            out
        });
    });
}

criterion_group!(benches, cold, plans);
criterion_main!(benches);
