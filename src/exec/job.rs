//! What a run is asked for, and who watches it.

use std::path::PathBuf;

use burn::tensor::Device;

use super::walk::Form;
use crate::data::{MaskSpec, Shards, SyntheticFacts};
use crate::ledger::{Position, Recorded, RunDirectory};
use crate::plan::Plan;
use crate::plan::view::trace::Heap;
use crate::recipe::settings::Recipe;
use crate::units::Bytes;

/// Where the steps get their progress from.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// The budget and the clock.
    Budget,
    /// The record of another run.
    Replay {
        /// Its name, for the record.
        of: String,
        /// Its steps.
        steps: Vec<Recorded>,
    },
}

/// Where a run begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// With new weights.
    Fresh,
    /// At the last of these checkpoints that can be read.
    Checkpoint(Vec<(PathBuf, Position)>),
}

/// What someone who watches the run is shown after each micro-step.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What is being done.
    pub phase: &'static str,
    /// Optimizer steps done.
    pub step: u64,
    /// Micro-steps done in this step, and all of them.
    pub micro: (u64, u64),
    /// Share of the budget that is spent, 0 to 1.
    pub progress: f64,
    /// Loss of the last step, nats.
    pub loss: Option<f64>,
    /// Last validation loss on `<mask>`, nats.
    pub mask_loss: Option<f64>,
    /// Tokens per second of training.
    pub tokens_per_second: f64,
    /// Learning rate.
    pub rate: f64,
    /// Sequences per optimizer step.
    pub batch: u64,
    /// Seconds spent and seconds left, as far as can be said.
    pub seconds: (f64, Option<f64>),
}

/// Peaks of memory since they were last reset.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed {
    /// The program's heap, above what was there when the observation began.
    pub heap: Option<Bytes>,
    /// The process's resident memory.
    pub resident: Option<Bytes>,
}

/// The outside world of a run.
pub trait Watch {
    /// Whether the user asked to stop.
    fn interrupted(&self) -> bool;
    /// Shows where the run stands.
    fn status(&mut self, status: &Status);
    /// Says something that stays on the screen.
    fn say(&mut self, line: &str);
    /// Begins to observe memory anew.
    fn reset_memory(&mut self);
    /// Memory since then.
    fn memory(&self) -> Observed;
    /// The heap's peak since the last call, and the heap now, both above what was there when the observation began.
    fn heap(&self) -> Option<Heap>;
    /// The wall clock, UTC.
    fn now(&self) -> String;
}

/// A run to be done.
pub struct Job<'a> {
    /// What to run.
    pub plan: &'a Plan,
    /// Where it is recorded.
    pub directory: &'a RunDirectory,
    /// The tokens.
    pub shards: &'a Shards,
    /// What the tokens were made from, as a hash.
    pub corpus: &'a str,
    /// What is known of the synthetic language, where it is the source.
    pub language: Option<SyntheticFacts>,
    /// Where to compute.
    pub device: Device,
    /// How.
    pub form: Form,
    /// Where to begin.
    pub start: Start,
    /// Who sets the pace.
    pub pace: Pace,
}

/// How the plan masks.
pub fn mask_spec(plan: &Plan) -> MaskSpec {
    mask_spec_of(&plan.recipe, plan.estimate.micro_batch)
}

/// How a recipe masks at a micro-batch.
pub fn mask_spec_of(recipe: &Recipe, batch: u64) -> MaskSpec {
    MaskSpec {
        rate: recipe.objective.rate.0,
        protect_special: recipe.objective.protect_special,
        counts: recipe.mask_counts(),
        vocab: recipe.vocabulary(),
        predicted: recipe.predicted_rows(batch * recipe.model.sequence),
        batch,
        sequence: recipe.model.sequence,
        seed: recipe.seed,
    }
}
