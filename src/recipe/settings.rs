//! The recipe itself: the typed settings that every later stage works from. Each field is declared once, here.

use super::decode::{Interval, MicroBatch, Pair, Portion};
use super::schema::{Range, choice, record};
use crate::units::{Bytes, Flops, Ratio, Seconds};

const ANY: f64 = f64::INFINITY;

/// A hundred years, in seconds.
const CENTURY: f64 = 3.156e9;

/// The least that f32 arithmetic can add to something and divide by.
const LEAST: f64 = 1e-37;

record! {
    /// A training run: what to train, on what, and what may be spent.
    Recipe {
        /// A name for the run's directory: letters, digits, `-`, `_` and `.`.
        name: String;
        /// Seed of every random draw.
        seed: u64 [Range::closed(0.0, 9_007_199_254_740_992.0)] = "0";
        /// What may be spent.
        budget: Budget;
        /// What is read.
        data: Corpus;
        /// What is trained.
        model: Encoder;
        /// What it is trained to do.
        objective: MaskedLm;
        /// Sequences per optimizer step.
        batch: Batch;
        /// Sequences per forward pass; `Auto` takes the fastest that fits.
        micro_batch: MicroBatch [Range::closed(1.0, 1_048_576.0)] = "Auto";
        /// What backward computes again instead of keeping it in memory; the weights are the same to the bit.
        recompute: Recomputation = "Auto";
        /// How gradients become weights.
        optimizer: Optimizer;
        /// The learning rate as a function of progress through the budget.
        lr: LearningRate;
        /// How schedules are counted: exactly, or as the official code of the paper counts.
        counting: Counting = "Exact";
        /// Loss on held-back text with fixed masks.
        evaluation: Evaluation = "Evaluation()";
        /// How often the run is saved.
        checkpoint: Checkpoint = "Checkpoint()";
    }
}

record! {
    /// What may be spent; whichever limit is reached first ends the run.
    Budget {
        /// Wall-clock time from the first micro-step to the saved model.
        time: Option<Seconds> [Range::above(0.0, CENTURY)];
        /// Tokens read by the model.
        tokens: Option<u64> [Range::closed(1.0, 1e18)];
        /// Optimizer steps.
        steps: Option<u64> [Range::closed(1.0, 1e15)];
        /// Model FLOPs, forward and backward.
        flops: Option<Flops> [Range::above(0.0, 1e27)];
        /// The card to plan for, a name that `cramplan devices` lists; else this machine's.
        device: Option<String>;
        /// A limit below the device's memory.
        memory: Option<Bytes> [Range::closed(1_048_576.0, ANY)];
    }
}

record! {
    /// The text, and how it becomes tokens.
    Corpus {
        /// Where the text comes from, in this order.
        sources: Vec<TextSource>;
        /// How text is cut into tokens.
        tokenizer: Tokenizer;
        /// Clean-up before tokenising; applied in the order quotes, lower case, accents, ASCII, spaces.
        normalize: Vec<Normalization> = "[Quotes, Lowercase, StripAccents, CollapseSpaces, Ascii]";
        /// Share of the documents held back for evaluation.
        validation: Ratio [Range::above(0.0, 0.5)] = "2%";
    }
}

choice! {
    /// A source of text.
    TextSource {
        /// Files by glob, relative to the recipe that is run (not to one that it imports): `.txt`, `.txt.gz`, `.txt.zst`. A paragraph is a document.
        Text {
            /// The glob.
            path: String;
        }
        /// A built-in synthetic language whose best reachable loss is known; needs no download.
        Synthetic {
            /// How many sentences.
            sentences: u64 [Range::closed(100.0, 1e9)];
        }
    }
}

choice! {
    /// How text is cut into tokens.
    Tokenizer {
        /// WordPiece, trained on the corpus.
        WordPiece {
            /// Size of the vocabulary, special tokens included.
            vocab: u64 [Range::closed(64.0, 1_048_576.0)];
        }
    }
}

choice! {
    /// A clean-up of the text.
    Normalization {
        /// Typographic double quotes (two backticks, two apostrophes) to `"`.
        Quotes {}
        /// Lower case.
        Lowercase {}
        /// Accents are dropped (NFD, then no combining marks).
        StripAccents {}
        /// Runs of spaces become one.
        CollapseSpaces {}
        /// Characters outside ASCII are dropped.
        Ascii {}
    }
}

record! {
    /// A transformer encoder: pre-norm, no biases, scaled-sinusoidal positions, tied decoder.
    Encoder {
        /// Hidden width D.
        width: u64 [Range::closed(2.0, 65_536.0)];
        /// Number of blocks L.
        depth: u64 [Range::closed(1.0, 1_024.0)];
        /// Attention heads; divides the width.
        heads: u64 [Range::closed(1.0, 1_024.0)];
        /// Tokens in a sequence S.
        sequence: u64 [Range::closed(8.0, 65_536.0)];
        /// The feed-forward half of a block.
        feed_forward: FeedForward;
        /// The normalisation before each half, after the embedding and at the end.
        norm: Norm = "LayerNorm()";
        /// Initial weights of matrices and embeddings.
        init: Initialization = "Normal()";
    }
}

choice! {
    /// The feed-forward half of a block.
    FeedForward {
        /// Gated with exact GELU: y = (x·V ⊙ gelu(x·G))·O.
        GeluGlu {
            /// Width of the input projection, value and gate together (the paper's `intermed_size`); half of it enters the output projection.
            intermediate: u64 [Range::closed(2.0, 1_048_576.0)];
        }
    }
}

choice! {
    /// A normalisation.
    Norm {
        /// Layer normalisation with gain and bias.
        LayerNorm {
            /// Added to the variance.
            eps: f64 [Range::closed(LEAST, 1.0)] = "1e-12";
        }
    }
}

choice! {
    /// Initial weights.
    Initialization {
        /// Independent draws from N(0, std²).
        Normal {
            /// Standard deviation.
            std: f64 [Range::above(0.0, 10.0)] = "0.02";
        }
    }
}

record! {
    /// Masked language modelling: of the masked tokens 80 % become `<mask>`, 10 % a random token, 10 % stay.
    MaskedLm {
        /// Share of the tokens of each sequence that is masked, an exact count per sequence.
        rate: Ratio [Range::open(0.0, 1.0)] = "25%";
        /// Which positions the decoder sees.
        prediction: Prediction = "Sparse()";
        /// Whether special tokens such as `<sep>` are never masked.
        protect_special: bool = "true";
    }
}

choice! {
    /// Which positions the decoder sees; the loss is the same either way.
    Prediction {
        /// Only a share of the positions, the masked ones first.
        Sparse {
            /// Share of the positions of a micro-batch; the masking rate where not given.
            share: Option<Ratio> [Range::above(0.0, 1.0)];
        }
        /// All positions.
        Dense {}
    }
}

choice! {
    /// Sequences per optimizer step.
    Batch {
        /// Linear growth from one micro-batch, in whole micro-batches.
        Ramp {
            /// The full batch.
            to: u64 [Range::closed(1.0, 1_048_576.0)];
            /// When it is reached: at a progress, or after so many steps, so many tokens or so long.
            until: Portion [Range::above(0.0, 1.0)];
        }
        /// The same from first to last.
        Constant {
            /// The batch.
            size: u64 [Range::closed(1.0, 1_048_576.0)];
        }
    }
}

choice! {
    /// What backward computes again instead of keeping it in memory.
    Recomputation {
        /// As much as fits is kept; the rest is chosen for the least time.
        Auto {}
        /// Everything is kept.
        Nothing {}
        /// All that the blocks make: the input of each is kept, and nothing else.
        Blocks {}
        /// By kind of operation, the share of the blocks that compute it again, counted from the first and rounded up to whole blocks.
        Parts {
            /// The normalised rows; no matrix product.
            norms: Ratio [Range::closed(0.0, 1.0)] = "0%";
            /// The gated rows of the feed-forward half; no matrix product.
            gates: Ratio [Range::closed(0.0, 1.0)] = "0%";
            /// Probabilities and context of attention.
            attention: Ratio [Range::closed(0.0, 1.0)] = "0%";
            /// Queries, keys, values and both halves of the feed-forward input.
            projections: Ratio [Range::closed(0.0, 1.0)] = "0%";
            /// The sum between the halves of a block.
            residuals: Ratio [Range::closed(0.0, 1.0)] = "0%";
        }
    }
}

choice! {
    /// How gradients become weights.
    Optimizer {
        /// AdamW (Loshchilov & Hutter 2019): decoupled weight decay.
        AdamW {
            /// Decay rates of the first and second moment.
            betas: Pair [Range::below(0.0, 1.0)] = "(0.9, 0.98)";
            /// Added to the root of the second moment.
            eps: f64 [Range::closed(LEAST, 1.0)] = "1e-12";
            /// Decoupled weight decay, times the learning rate.
            weight_decay: f64 [Range::closed(0.0, 10.0)] = "0.01";
            /// Which parameters decay.
            decay: Decay = "ExceptNorms";
            /// Largest global L2 norm of the gradient; not given, it is not clipped.
            clip: Option<f64> [Range::above(0.0, 1e9)];
        }
    }
}

choice! {
    /// Which parameters decay.
    Decay {
        /// All but the gains and biases of the norms, as in the official code's second version.
        ExceptNorms {}
        /// Every parameter.
        Everything {}
    }
}

choice! {
    /// The learning rate as a function of progress x; p is the progress after the warm-up, (x − w) / (1 − w).
    LearningRate {
        /// Linear from `start · peak` up to the peak, then linear to zero at the deadline: min(start + x·(1 − start)/peak_at, (1 − x)/(1 − peak_at)).
        Triangle {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// The first rate as a share of the peak.
            start: Ratio [Range::closed(0.0, 1.0)] = "0%";
            /// The progress at which the peak is reached.
            peak_at: Ratio [Range::open(0.0, 1.0)] = "50%";
        }
        /// Warm-up, the peak, cooldown (warmup-stable-decay): min(x/w, 1, (1 − x)/c).
        Trapezoid {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// How long the rate grows linearly from zero: a share, steps, tokens or time; `0%` is no warm-up.
            warmup: Portion [Range::closed(0.0, 1.0)] = "0%";
            /// How long the rate falls linearly to zero at the end; in anything but a share, the budget must limit the same.
            cooldown: Portion [Range::closed(0.0, 1.0)] = "0%";
        }
        /// Warm-up, then linear to zero: 1 − p.
        Linear {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// How long the rate grows linearly from zero: a share, steps, tokens or time; `0%` is no warm-up.
            warmup: Portion [Range::closed(0.0, 1.0)] = "0%";
        }
        /// Warm-up, then half a cosine down to `end · peak`: end + (1 − end)·(1 + cos πp)/2.
        Cosine {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// How long the rate grows linearly from zero: a share, steps, tokens or time; `0%` is no warm-up.
            warmup: Portion [Range::closed(0.0, 1.0)] = "0%";
            /// The last rate as a share of the peak.
            end: Ratio [Range::closed(0.0, 1.0)] = "0%";
        }
        /// Warm-up, then half a cosine down to zero in each cycle (warm restarts): (1 + cos π·frac(cycles·p))/2.
        CosineRestarts {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// How long the rate grows linearly from zero: a share, steps, tokens or time; `0%` is no warm-up.
            warmup: Portion [Range::closed(0.0, 1.0)] = "0%";
            /// How many times it falls.
            cycles: u64 [Range::closed(1.0, 1e6)] = "4";
        }
        /// Half a cosine up, (1 + cos π(1 − x))/2, and from the cooldown on linear to zero.
        InverseCosine {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// How long the rate falls linearly to zero at the end; in anything but a share, the budget must limit the same.
            cooldown: Portion [Range::closed(0.0, 1.0)] = "0%";
        }
        /// Warm-up, then end + (1 − end)·(1 − p)^power.
        Polynomial {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// How long the rate grows linearly from zero: a share, steps, tokens or time; `0%` is no warm-up.
            warmup: Portion [Range::closed(0.0, 1.0)] = "0%";
            /// The power; 1 is linear.
            power: f64 [Range::above(0.0, 100.0)] = "1";
            /// The last rate as a share of the peak.
            end: Ratio [Range::closed(0.0, 1.0)] = "0%";
        }
        /// Warm-up, then with its inverse square root, √(w/x), and from the cooldown on linear to zero; without warm-up 1/√n in step n.
        InverseSqrt {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// How long the rate grows linearly from zero: a share, steps, tokens or time; `0%` is no warm-up.
            warmup: Portion [Range::closed(0.0, 1.0)] = "0%";
            /// How long the rate falls linearly to zero at the end; in anything but a share, the budget must limit the same.
            cooldown: Portion [Range::closed(0.0, 1.0)] = "0%";
        }
        /// Linear from zero towards the peak at the deadline, x, and from the cooldown on linear to zero.
        Ramp {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// How long the rate falls linearly to zero at the end; in anything but a share, the budget must limit the same.
            cooldown: Portion [Range::closed(0.0, 1.0)] = "0%";
        }
        /// Triangles from zero to the peak and back, one after the other: 1 − |1 − 2·frac(cycles·x)|.
        MultiCycle {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// How many.
            cycles: u64 [Range::closed(1.0, 1e6)] = "8";
        }
        /// Linear from point to point; before the first as at the first, after the last as at the last.
        Piecewise {
            /// The highest rate.
            peak: f64 [Range::above(0.0, 1e3)];
            /// Points `(progress, share of the peak)` in the order of progress, such as `[(0%, 0%), (10%, 100%), (100%, 0%)]`; two at one progress make a jump.
            points: Vec<Pair> [Range::closed(0.0, 1.0)];
        }
        /// The same from first to last.
        Constant {
            /// The rate.
            rate: f64 [Range::above(0.0, 1e3)];
        }
    }
}

choice! {
    /// How schedules, the batch ramp and masks are counted.
    Counting {
        /// Progress is what it is; a step is the mean over its micro-batches; of the masked tokens each is drawn 8 : 1 : 1.
        Exact {}
        /// As the official code of the paper counts, to compare with it: progress in whole fake steps, the ramp a micro-batch ahead, the loss divided by whole micro-batches, masks by count.
        Official {
            /// Micro-steps that the whole budget stands for, `train.steps` there.
            micro_steps: u64 [Range::closed(1.0, 1e15)];
            /// Whether the learning rate follows the budget, as the `budget-` schedules do there, or counts micro-steps, as the others do.
            by_budget: bool = "true";
        }
    }
}

record! {
    /// Loss on held-back text with fixed masks.
    Evaluation {
        /// How often; the last evaluation is always at the end.
        every: Interval = "20%";
        /// Most sequences of held-back text to use.
        sequences: u64 [Range::closed(1.0, 1e9)] = "512";
    }
}

record! {
    /// How often the run is saved.
    Checkpoint {
        /// How often; the end is always saved.
        every: Interval = "10min";
        /// How many are kept.
        keep: u64 [Range::closed(1.0, 1_000.0)] = "2";
    }
}

impl Recipe {
    /// Size of the vocabulary, V.
    pub fn vocabulary(&self) -> u64 {
        let Tokenizer::WordPiece { vocab } = self.data.tokenizer;
        vocab
    }

    /// The batch at full size, in sequences.
    pub fn full_batch(&self) -> u64 {
        match self.batch {
            Batch::Ramp { to, .. } => to,
            Batch::Constant { size } => size,
        }
    }

    /// Number of rows N that the decoder sees in a micro-batch of `rows` positions.
    ///
    /// `round(share · B · S)`, half to even, as in the official code; at least one.
    pub fn predicted_rows(&self, rows: u64) -> u64 {
        match self.objective.prediction {
            Prediction::Dense {} => rows,
            Prediction::Sparse { share } => share.unwrap_or(self.objective.rate).of(rows).clamp(1, rows),
        }
    }
}
