//! Loss on held-back text with fixed masks.

use super::error::Error;
use super::trainer::{Feed, Trainer};
use crate::data::{MaskSpec, Shards, evaluation_batch, evaluation_batches, unigram_cross_entropy};

/// Losses of an evaluation, nats; not a number before the first one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Mean over the positions where the input was `<mask>`.
    pub mask_loss: f64,
    /// Mean over all masked positions.
    pub loss: f64,
}

impl Default for Scores {
    fn default() -> Self {
        Self { mask_loss: f64::NAN, loss: f64::NAN }
    }
}

/// The held-back text of a run.
#[derive(Debug)]
pub struct Evaluator<'a> {
    shards: &'a Shards,
    spec: MaskSpec,
    sequences: u64,
}

/// Σ weight and Σ weight · loss.
#[derive(Clone, Copy, Default)]
struct Mean {
    weight: f64,
    sum: f64,
}

impl Mean {
    fn add(&mut self, weights: &[f32], losses: &[f32]) {
        for (w, x) in weights.iter().zip(losses) {
            self.weight += f64::from(*w);
            self.sum += f64::from(*w) * f64::from(*x);
        }
    }

    fn value(self) -> f64 {
        self.sum / self.weight
    }
}

impl<'a> Evaluator<'a> {
    /// Evaluates on at most `sequences` rows of the held-back text.
    pub fn new(shards: &'a Shards, spec: MaskSpec, sequences: u64) -> Self {
        Self { shards, spec, sequences }
    }

    /// The model's losses.
    ///
    /// # Errors
    /// As [`Trainer::evaluate`].
    pub fn scores(&self, trainer: &mut Trainer) -> Result<Scores, Error> {
        let (mut masked, mut all) = (Mean::default(), Mean::default());
        for i in 0..evaluation_batches(self.shards, &self.spec, self.sequences) {
            let batch = evaluation_batch(self.shards, &self.spec, self.sequences, i);
            let feed = Feed { tokens: batch.tokens, rows: batch.rows, labels: batch.labels, weights: batch.weights };
            let losses = trainer.evaluate(&feed)?;
            all.add(&feed.weights, &losses);
            masked.add(&batch.mask_only, &losses);
        }
        Ok(Scores { mask_loss: masked.value(), loss: all.value() })
    }

    /// Cross entropy of the training set's unigram distribution at the `<mask>` positions, nats.
    pub fn unigram_loss(&self) -> f64 {
        unigram_cross_entropy(self.shards, &self.spec, self.sequences)
    }
}
