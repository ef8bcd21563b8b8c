//! Loss on held-back text with fixed masks.

use super::error::Error;
use super::op::Draws;
use super::trainer::Feed;
use crate::data::{MaskSpec, Shards, evaluation_batch, evaluation_batches, unigram_cross_entropy};

/// Losses of an evaluation, nats; none where no position counts, as before the first evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scores {
    /// Mean over the positions where the input was `<mask>`.
    pub mask_loss: Option<f64>,
    /// Mean over all masked positions.
    pub loss: Option<f64>,
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

    fn value(self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

impl<'a> Evaluator<'a> {
    /// Evaluates on at most `sequences` rows of the held-back text.
    pub fn new(shards: &'a Shards, spec: MaskSpec, sequences: u64) -> Self {
        Self { shards, spec, sequences }
    }

    /// The losses of the model that `evaluate` gives the losses of rows of; none where `interrupted` says so before the end.
    ///
    /// # Errors
    /// What `evaluate` fails with.
    pub fn scores(
        &self,
        mut evaluate: impl FnMut(&Feed) -> Result<Vec<f32>, Error>,
        interrupted: impl Fn() -> bool,
    ) -> Result<Option<Scores>, Error> {
        let (mut masked, mut all) = (Mean::default(), Mean::default());
        for i in 0..evaluation_batches(self.shards, &self.spec, self.sequences) {
            if interrupted() {
                return Ok(None);
            }
            let batch = evaluation_batch(self.shards, &self.spec, self.sequences, i);
            let feed = Feed {
                tokens: batch.tokens,
                rows: batch.rows,
                labels: batch.labels,
                weights: batch.weights,
                draws: Draws::default(),
            };
            let losses = evaluate(&feed)?;
            all.add(&feed.weights, &losses);
            masked.add(&batch.mask_only, &losses);
        }
        Ok(Some(Scores { mask_loss: masked.value(), loss: all.value() }))
    }

    /// Cross entropy of the training set's unigram distribution at the `<mask>` positions, nats; none where there is none.
    pub fn unigram_loss(&self) -> Option<f64> {
        Some(unigram_cross_entropy(self.shards, &self.spec, self.sequences)).filter(|loss| loss.is_finite())
    }
}
