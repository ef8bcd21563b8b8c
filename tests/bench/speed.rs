//! Training speed on this CPU: whole optimizer steps of two models, cramplan's side of the pair with `tests/reference/speed.py`.
//!
//! `SHAPE=tiny cargo bench --bench speed` (or `SHAPE=crammed`) prints one line of JSON: the median seconds of a step, tokens a second, and the
//! most memory that the process ever had. `tests/reference/speed.sh` runs both sides in turns.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark may panic and shows what it sees")]

#[path = "../common/mod.rs"]
mod common;

use std::time::Instant;

use burn::tensor::Device;
use cramplan::data::Batcher;
use cramplan::exec::job::mask_spec_of;
use cramplan::exec::op::{Draws, Scalars};
use cramplan::exec::probe::tokens;
use cramplan::exec::state::State;
use cramplan::exec::trainer::{Feed, Trainer};
use cramplan::exec::walk::Form;
use cramplan::heap::keep_big_buffers;
use cramplan::step::StepGraphs;
use cramplan::step::recompute::Recompute;

/// A model, its micro-batch, and how many steps are timed after as many as two that are not.
struct Shape {
    model: &'static str,
    vocabulary: u64,
    batch: u64,
    sequence: u64,
    steps: u64,
}

fn shape() -> Shape {
    let crammed = std::env::var("SHAPE").is_ok_and(|name| name == "crammed");
    if crammed {
        let model = "width: 768, depth: 16, heads: 12, sequence: 128, feed_forward: Glu(intermediate: 3072)";
        Shape { model, vocabulary: 32_768, batch: 8, sequence: 128, steps: 5 }
    } else {
        let model = "width: 128, depth: 2, heads: 4, sequence: 128, feed_forward: Glu(intermediate: 512)";
        Shape { model, vocabulary: 4096, batch: 32, sequence: 128, steps: 30 }
    }
}

/// The most memory that this process ever had, bytes: `VmHWM` of Linux.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1024
}

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    keep_big_buffers();
    let Shape { model, vocabulary, batch, sequence, steps } = shape();
    let recipe = common::recipe(&format!(
        "Recipe(
    name: \"speed\",
    budget: Budget(steps: 100),
    data: Corpus(sources: [Synthetic(1000)], tokenizer: WordPiece(vocab: {vocabulary})),
    model: Encoder({model}),
    objective: MaskedLm(rate: 25%),
    batch: Constant({batch}),
    micro_batch: {batch},
    optimizer: AdamW(clip: 0.5),
    lr: Constant(1e-3),
)"
    ));
    let device = Device::flex();
    let graphs = StepGraphs::build(&recipe, batch, Recompute::NOTHING);
    let state = State::initial(&graphs, 0, &device);
    let shards = tokens(&recipe, 8 * batch);
    let mut trainer = Trainer::new(graphs, state, Form::Host, &device);
    let mut batcher = Batcher::new(&shards, &mask_spec_of(&recipe, batch));
    let mut seconds = Vec::new();
    for step in 0..steps + 2 {
        let began = Instant::now();
        let feed = Feed::of(batcher.train_batch(step), 1, Draws::default());
        trainer.micro_step(&feed, true, &mut |_| {}).unwrap();
        trainer.update(Scalars::update(1e-3, step + 1), &mut |_| {}).unwrap();
        if step >= 2 {
            seconds.push(began.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let rate = (batch * sequence) as f64 / median;
    println!("{{\"who\": \"cramplan\", \"step_s\": {median:.5}, \"tokens_s\": {rate:.1}, \"peak_bytes\": {}}}", peak());
}
