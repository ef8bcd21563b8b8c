//! Masked micro-batches: a pure function of the shards, the masking and a cursor.

use super::tokenizer::{MASK, SPECIALS};
use super::{Rows, Shards};
use crate::rng::{Purpose, Stream};
use crate::units::Ratio;

/// How rows are masked and which positions are predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskSpec {
    /// Share of each row's positions that is masked; the count is rounded half to even.
    pub rate: f64,
    /// Whether special tokens are never masked.
    pub protect_special: bool,
    /// Of a row's masked positions, how many show `<mask>` and how many a random token; where not given, each is drawn 8 : 1 : 1.
    pub counts: Option<[u64; 2]>,
    /// Entries of the vocabulary, above the number of special tokens.
    pub vocab: u64,
    /// Positions predicted in a micro-batch, N, at most B·S. N = B·S predicts every position in order.
    pub predicted: u64,
    /// Rows in a micro-batch, B.
    pub batch: u64,
    /// Tokens in a row, S, as in the shards.
    pub sequence: u64,
    /// Seed of masks, replacements and order.
    pub seed: u64,
}

/// The inputs and targets of one micro-batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MicroBatch {
    /// Token ids after masking, `[B·S]`, row after row.
    pub tokens: Vec<i32>,
    /// Positions predicted, `[N]`, as indices into `tokens`, distinct: the masked ones ascending, then fillers.
    pub rows: Vec<i32>,
    /// The token ids that stood there before masking, `[N]`.
    pub labels: Vec<i32>,
    /// 1 for a masked position, 0 for a filler, `[N]`; the caller scales.
    pub weights: Vec<f32>,
    /// 1 for a position that shows `<mask>`, else 0, `[N]`: leaves out replaced and kept tokens.
    pub mask_only: Vec<f32>,
    /// Positions of weight 1.
    pub masked: u64,
    /// Positions that count in `mask_only`.
    pub mask_only_count: u64,
}

/// The training batches; remembers the order of one epoch and nothing else.
#[derive(Clone, Debug)]
pub struct Batcher<'a> {
    shards: &'a Shards,
    spec: MaskSpec,
    epoch: Option<u64>,
    order: Vec<u32>,
}

impl<'a> Batcher<'a> {
    /// Over shards that hold at least one training row.
    pub fn new(shards: &'a Shards, spec: &MaskSpec) -> Self {
        Self { shards, spec: *spec, epoch: None, order: Vec::new() }
    }

    /// The batch of a micro-step, the same whichever batch was asked for before.
    ///
    /// It holds the sequences with cursor B·k to B·(k+1); a batch may reach into the next epoch.
    pub fn train_batch(&mut self, micro_step: u64) -> MicroBatch {
        let first = micro_step * self.spec.batch;
        let shards = self.shards;
        let mask = Stream::new(self.spec.seed, Purpose::Mask);
        let replace = Stream::new(self.spec.seed, Purpose::Replace);
        let mut batch = Draft::default();
        for row in 0..self.spec.batch {
            let tokens = shards.train.sequence(self.index(first + row));
            let base = row * self.spec.sequence;
            let draws = Draws {
                mask: Draw { stream: mask, step: micro_step, base },
                replace: Draw { stream: replace, step: micro_step, base: 2 * base },
            };
            batch.mask_row(tokens, &self.spec, &draws);
        }
        batch.finish(&self.spec)
    }

    /// The training row at a cursor, in the order of its epoch.
    fn index(&mut self, cursor: u64) -> usize {
        let n = self.shards.train.len();
        let epoch = cursor / n as u64;
        if self.epoch != Some(epoch) {
            self.order = Stream::new(self.spec.seed, Purpose::Order).permutation(epoch, n);
            self.epoch = Some(epoch);
        }
        self.order[(cursor % n as u64) as usize] as usize
    }
}

/// One training batch; see [`Batcher::train_batch`], which is faster for many.
pub fn train_batch(shards: &Shards, spec: &MaskSpec, micro_step: u64) -> MicroBatch {
    Batcher::new(shards, spec).train_batch(micro_step)
}

/// Number of batches that hold the first `sequences` rows held back, or all if there are fewer.
pub fn evaluation_batches(shards: &Shards, spec: &MaskSpec, sequences: u64) -> usize {
    used(&shards.validation, sequences).div_ceil(spec.batch as usize)
}

/// Batch `index` of the rows held back. A row's mask depends on its number and the seed, and never changes.
///
/// Rows that lack to a full batch are repeats, unmasked and of weight 0.
pub fn evaluation_batch(shards: &Shards, spec: &MaskSpec, sequences: u64, index: usize) -> MicroBatch {
    let count = used(&shards.validation, sequences);
    let stream = Stream::new(spec.seed, Purpose::EvaluationMask);
    let mut batch = Draft::default();
    for row in (0..spec.batch as usize).map(|row| index * spec.batch as usize + row) {
        let tokens = shards.validation.sequence(row % count.max(1));
        let draw = |base| Draw { stream, step: row as u64, base };
        let draws = Draws { mask: draw(0), replace: draw(spec.sequence) };
        if row < count { batch.mask_row(tokens, spec, &draws) } else { batch.plain_row(tokens) }
    }
    batch.finish(spec)
}

/// Cross entropy in nats of the training set's distribution of tokens (counts plus one), over exactly the
/// `<mask>` positions of the evaluation batches; not a number if there is none.
pub fn unigram_cross_entropy(shards: &Shards, spec: &MaskSpec, sequences: u64) -> f64 {
    let total: u64 = shards.unigrams.iter().map(|count| count + 1).sum();
    let loss = |label: i32| {
        let count = shards.unigrams.get(label as usize).copied().unwrap_or_default() + 1;
        libm::log(total as f64 / count as f64)
    };
    let (mut sum, mut positions) = (0.0, 0);
    for index in 0..evaluation_batches(shards, spec, sequences) {
        let batch = evaluation_batch(shards, spec, sequences, index);
        let counted = batch.labels.iter().zip(&batch.mask_only).filter(|(_, weight)| **weight > 0.0);
        sum += counted.map(|(label, _)| loss(*label)).sum::<f64>();
        positions += batch.mask_only_count;
    }
    sum / positions as f64
}

/// Rows held back that are used.
fn used(validation: &Rows, sequences: u64) -> usize {
    validation.len().min(usize::try_from(sequences).unwrap_or(usize::MAX))
}

/// Draws of one row: a stream, its step, and the first position that is the row's.
struct Draw {
    stream: Stream,
    step: u64,
    base: u64,
}

impl Draw {
    /// Uniform in 0..n.
    fn below(&self, position: usize, n: u64) -> u64 {
        self.stream.below(self.step, self.base + position as u64, n)
    }

    /// Uniform in [0, 1).
    fn uniform(&self, position: usize) -> f64 {
        self.stream.uniform(self.step, self.base + position as u64)
    }
}

/// Where the choices of a row come from: S positions for the mask, 2·S for the replacements.
struct Draws {
    mask: Draw,
    replace: Draw,
}

/// What became of a position.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Seen,
    Masked,
    Replaced,
}

/// A micro-batch in the making.
#[derive(Default)]
struct Draft {
    shown: Vec<u32>,
    labels: Vec<u32>,
    fates: Vec<Fate>,
}

impl Draft {
    /// Adds a row as it is.
    fn plain_row(&mut self, tokens: &[u32]) {
        self.shown.extend_from_slice(tokens);
        self.labels.extend_from_slice(tokens);
        self.fates.resize(self.labels.len(), Fate::Seen);
    }

    /// Adds a masked row: of the chosen positions 80 % show `<mask>`, 10 % a random token, 10 % themselves. They are in random order, so that
    /// the first of them can be counted off.
    fn mask_row(&mut self, tokens: &[u32], spec: &MaskSpec, draws: &Draws) {
        let start = self.labels.len();
        self.plain_row(tokens);
        for (index, column) in (0..).zip(chosen(tokens, spec, &draws.mask)) {
            let (shows_mask, shows_random) = if let Some([masks, random]) = spec.counts {
                (index < masks, index < masks + random)
            } else {
                let kind = draws.replace.uniform(2 * column);
                (kind < 0.8, kind < 0.9)
            };
            self.fates[start + column] = if shows_mask { Fate::Masked } else { Fate::Replaced };
            if shows_mask {
                self.shown[start + column] = MASK;
            } else if shows_random {
                let specials = SPECIALS.len() as u64;
                let ordinary = spec.vocab.saturating_sub(specials);
                self.shown[start + column] = (specials + draws.replace.below(2 * column + 1, ordinary)) as u32;
            }
        }
    }

    /// The positions predicted: all in order, or the masked ones first and then fillers.
    fn positions(&self, predicted: usize) -> Vec<usize> {
        let all = 0..self.fates.len();
        if predicted >= self.fates.len() {
            return all.collect();
        }
        let hidden = all.clone().filter(|&i| self.fates[i] != Fate::Seen);
        hidden.chain(all.filter(|&i| self.fates[i] == Fate::Seen)).take(predicted).collect()
    }

    /// The finished batch.
    fn finish(self, spec: &MaskSpec) -> MicroBatch {
        let positions = self.positions(spec.predicted as usize);
        let weigh = |weight: &dyn Fn(Fate) -> bool| -> Vec<f32> {
            positions.iter().map(|&i| f32::from(u8::from(weight(self.fates[i])))).collect()
        };
        let weights = weigh(&|fate| fate != Fate::Seen);
        let mask_only = weigh(&|fate| fate == Fate::Masked);
        let count = |weights: &[f32]| weights.iter().filter(|w| **w > 0.0).count() as u64;
        MicroBatch {
            tokens: self.shown.iter().map(|&t| t.cast_signed()).collect(),
            labels: positions.iter().map(|&i| self.labels[i].cast_signed()).collect(),
            rows: positions.iter().map(|&i| (i as u32).cast_signed()).collect(),
            masked: count(&weights),
            mask_only_count: count(&mask_only),
            weights,
            mask_only,
        }
    }
}

/// The columns of a row that are masked: the first ones of a random order, as many as the rate says.
fn chosen(tokens: &[u32], spec: &MaskSpec, draw: &Draw) -> Vec<usize> {
    let special = |column: usize| (tokens[column] as usize) < SPECIALS.len();
    let mut columns: Vec<usize> = (0..tokens.len()).filter(|&c| !(spec.protect_special && special(c))).collect();
    let count = columns.len().min(Ratio(spec.rate).of(tokens.len() as u64) as usize);
    for i in 0..count {
        let left = (columns.len() - i) as u64;
        columns.swap(i, i + draw.below(i, left) as usize);
    }
    columns.truncate(count);
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPEC: MaskSpec =
        MaskSpec { rate: 0.25, protect_special: true, counts: None, vocab: 100, predicted: 12, batch: 3, sequence: 16, seed: 4 };

    /// Seven training rows and five held back; token 5 (`<sep>`) every ninth.
    fn shards() -> Shards {
        let tokens = |n: u32| (0..n * 16).map(|i| if i % 9 == 0 { 5 } else { 7 + i % 93 }).collect();
        Shards::new(Rows::new(tokens(7), 16), Rows::new(tokens(5), 16), 100)
    }

    #[test]
    fn an_epoch_holds_each_row_once_and_batches_straddle_epochs() {
        let (shards, mut seen) = (shards(), Vec::new());
        let mut batcher = Batcher::new(&shards, &SPEC);
        seen.extend((0..14).map(|cursor| batcher.index(cursor)));
        for epoch in seen.chunks_mut(7) {
            epoch.sort_unstable();
            assert_eq!(epoch, [0, 1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn shares_are_eight_to_one_to_one() {
        let (shards, mut counts) = (shards(), [0u64; 3]);
        for step in 0..500 {
            let batch = train_batch(&shards, &SPEC, step);
            counts[0] += batch.masked;
            counts[1] += batch.mask_only_count;
            counts[2] += batch.rows.iter().zip(&batch.labels).filter(|(r, l)| batch.tokens[**r as usize] == **l).count() as u64;
        }
        assert_eq!(counts[0], 500 * 12);
        assert!((4680..4920).contains(&counts[1]) && (500..720).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn counted_shares_are_the_same_in_every_row() {
        let spec = MaskSpec { rate: 0.5, protect_special: false, counts: Some([5, 2]), batch: 1, predicted: 16, ..SPEC };
        for step in 0..50 {
            let batch = train_batch(&shards(), &spec, step);
            let kept = (0..16).filter(|&i| batch.weights[i] > 0.0 && batch.tokens[i] == batch.labels[i]).count();
            // A random token may be the one that stood there.
            assert!(batch.masked == 8 && batch.mask_only_count == 5 && (1..=3).contains(&kept), "{batch:?}");
        }
    }

    #[test]
    fn every_position_is_predicted_in_order_where_all_are() {
        let batch = train_batch(&shards(), &MaskSpec { predicted: 48, ..SPEC }, 2);
        assert!(batch.rows.iter().copied().eq(0..48) && batch.weights.iter().filter(|w| **w > 0.0).count() == 12);
    }

    #[test]
    fn evaluation_counts_each_row_once_and_fills_with_weightless_repeats() {
        let shards = shards();
        assert_eq!(evaluation_batches(&shards, &SPEC, 99), 2);
        let masked: Vec<_> = (0..2).map(|i| evaluation_batch(&shards, &SPEC, 99, i).masked).collect();
        assert_eq!(masked, [12, 8]);
        let alone = MaskSpec { batch: 1, predicted: 4, ..SPEC };
        let third = evaluation_batch(&shards, &alone, 99, 2);
        assert_eq!(third.tokens, evaluation_batch(&shards, &SPEC, 99, 0).tokens[32..]);
    }

    #[test]
    fn the_unigram_loss_is_that_of_the_counts() {
        let shards = shards();
        let loss = unigram_cross_entropy(&shards, &SPEC, 5);
        assert!((3.9..libm::log(100.0) + 0.1).contains(&loss), "{loss}");
        let flat = Shards { unigrams: vec![3; 100], ..shards };
        assert!((unigram_cross_entropy(&flat, &SPEC, 5) - libm::log(100.0)).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_batch_is_pure_in_its_cursor(steps in prop::collection::vec(0u64..40, 1..8)) {
            let shards = shards();
            let mut batcher = Batcher::new(&shards, &SPEC);
            for step in steps {
                prop_assert_eq!(batcher.train_batch(step), train_batch(&shards, &SPEC, step));
            }
        }

        #[test]
        fn masks_have_the_exact_count_and_rows_are_distinct(
            rate in 0.0f64..1.0, predicted in 1u64..=48, protect_special in any::<bool>(), step in 0u64..50,
        ) {
            let spec = MaskSpec { rate, protect_special, predicted, ..SPEC };
            let batch = train_batch(&shards(), &spec, step);
            let mut batcher_rows = batch.rows.clone();
            batcher_rows.sort_unstable();
            batcher_rows.dedup();
            prop_assert_eq!(batcher_rows.len() as u64, predicted);
            let full = train_batch(&shards(), &MaskSpec { predicted: 48, ..spec }, step);
            let specials = full.labels.iter().filter(|l| **l < 7).count() as u64;
            let wanted = 3 * Ratio(rate).of(16);
            prop_assert!(full.masked <= wanted && (full.masked == wanted || protect_special));
            prop_assert!(full.masked >= wanted.saturating_sub(specials));
            prop_assert_eq!(batch.masked, full.masked.min(predicted));
            let touched = |i: usize| full.tokens[i] != full.labels[i];
            prop_assert!((0..48).all(|i| !touched(i) || full.weights[i] > 0.0));
            prop_assert!(!protect_special || (0..48).all(|i| full.labels[i] >= 7 || full.weights[i] <= 0.0));
        }
    }
}
