//! What came of a run: planned against observed.

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The budget is spent and the model saved.
    Finished,
    /// The user stopped it; it can be resumed.
    Interrupted,
}

/// A quantity as it was planned and as it was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// By the plan.
    pub planned: f64,
    /// In the run; absent where it could not be seen.
    pub observed: Option<f64>,
}

/// The record of a run's outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub reason: Reason,
    /// Hash of the plan.
    pub plan: String,
    /// Optimizer steps.
    pub steps: Compared,
    /// Tokens read.
    pub tokens: Compared,
    /// Wall-clock seconds from the first micro-step to the saved model.
    pub seconds: Compared,
    /// The deadline in seconds, where the budget has one.
    pub deadline: Option<f64>,
    /// Peak of the program's heap while it trained, bytes; on the CPU tensors live there.
    pub heap_bytes: Compared,
    /// Peak of the process's resident memory while it trained, bytes.
    pub resident_bytes: Compared,
    /// Tokens per second of training, without evaluation and saving.
    pub tokens_per_second: f64,
    /// Model FLOPs per second of training over the device's peak (MFU).
    pub utilisation: f64,
    /// Last validation loss where the input was `<mask>`, nats; none where no position of the held-back text shows it.
    pub mask_loss: Option<f64>,
    /// Last validation loss of all tokens to predict, nats.
    pub loss: Option<f64>,
    /// Cross entropy of the training set's unigram distribution at the same `<mask>` positions, nats.
    pub unigram_loss: Option<f64>,
    /// The synthetic language's bigram loss, nats, where it was the source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bigram_loss: Option<f64>,
    /// The synthetic language's best reachable loss, nats, where it was the source.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub best_loss: Option<f64>,
    /// SHA-256 of the final weights.
    pub weights: String,
}
