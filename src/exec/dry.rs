//! A dry run: three real micro-steps and an update, held against the plan.

use std::time::Instant;

use burn::tensor::Device;

use super::error::Error;
use super::job::{Observed, Watch, mask_spec};
use super::op::{Draws, Scalars};
use super::state::State;
use super::trainer::{Feed, Trainer, prime};
use super::walk::Form;
use crate::data::{Batcher, Shards};
use crate::ledger::Compared;
use crate::plan::Plan;
use crate::step::Walk;

/// What a dry run saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DryRun {
    /// Seconds of a micro-step: the last of the three, when everything is warm.
    pub micro_step: Compared,
    /// Seconds of an update.
    pub update: Compared,
    /// Peak of the heap, bytes.
    pub heap_bytes: Compared,
    /// Peak of the resident memory, bytes.
    pub resident_bytes: Compared,
    /// Loss of the last micro-step, nats.
    pub loss: f64,
}

/// Micro-steps of a dry run.
const MICRO_STEPS: u64 = 3;

/// Does the first micro-steps of a run, and one update; nothing is written. None where it was interrupted.
///
/// # Errors
/// As [`Trainer::micro_step`].
pub fn dry_run(
    plan: &Plan,
    shards: &Shards,
    device: &Device,
    form: Form,
    watch: &mut dyn Watch,
) -> Result<Option<DryRun>, Error> {
    let graphs = plan.graphs().built();
    watch.reset_memory();
    prime(&graphs, form, device);
    let state = State::initial(&graphs, plan.recipe.seed, device);
    let mut trainer = Trainer::new(graphs, state, form, device);
    let mut batcher = Batcher::new(shards, &mask_spec(plan));
    let (mut seconds, mut loss) = (0.0, 0.0);
    // A step of one micro-batch has no further micro-steps, and its plan no room for them.
    let alone = plan.estimate.accumulation == 1;
    for k in 0..MICRO_STEPS {
        if watch.interrupted() {
            return Ok(None);
        }
        let feed = Feed::of(batcher.train_batch(k), 1, Draws { seed: plan.recipe.seed, micro_step: k });
        let began = Instant::now();
        loss = trainer.micro_step(&feed, k == 0 || alone, &mut |_| {})?;
        seconds = began.elapsed().as_secs_f64();
    }
    let began = Instant::now();
    trainer.update(Scalars::update(plan.recipe.lr.peak(), 1), &mut |_| {})?;
    let update = began.elapsed().as_secs_f64();
    let Observed { heap, resident } = watch.memory();
    let e = &plan.estimate;
    let seen = |planned: f64, observed: Option<f64>| Compared { planned, observed };
    Ok(Some(DryRun {
        micro_step: seen(e.walk(if alone { Walk::First } else { Walk::Further }).time.0, Some(seconds)),
        update: seen(e.walk(Walk::Update).time.0, Some(update)),
        heap_bytes: seen(e.peak.tensors().as_f64(), heap.map(crate::units::Bytes::as_f64)),
        resident_bytes: seen((e.peak.bytes + shards.bytes()).as_f64(), resident.map(crate::units::Bytes::as_f64)),
        loss,
    }))
}
