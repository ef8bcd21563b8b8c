//! The recipe itself: the typed settings that every later stage works from. Each field is declared once, here.
//!
//! # Models and the official code
//!
#![doc = include_str!("model_deviations.md")]

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
    /// A transformer encoder.
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
        /// How tokens look at each other.
        attention: Attention = "Softmax()";
        /// How rows are normalised: in the blocks, after the embedding, in the head and at the end.
        norm: Norm = "LayerNorm()";
        /// Where the norms of a block stand.
        placement: Placement = "PreNorm";
        /// Which projections have a bias.
        biases: Biases = "Biases()";
        /// How the place of a token is told.
        positions: Positions = "ScaledSinusoidal";
        /// Rows of a table of token types; the first is added to every token, as all text here is of one type. 0 is no table.
        token_types: u64 [Range::closed(0.0, 16.0)] = "0";
        /// From tokens to rows.
        embedding: Embedding = "Embedding()";
        /// From rows to scores of the vocabulary.
        head: Head = "Head()";
        /// What is set to zero at random in training, never in evaluation.
        dropout: Dropout = "Dropout()";
        /// Initial weights of matrices and tables; biases begin at 0, gains at 1.
        init: Initialization = "Normal()";
    }
}

choice! {
    /// The feed-forward half of a block.
    FeedForward {
        /// Gated (Shazeer 2020): y = (x·V ⊙ f(x·G))·O.
        Glu {
            /// Width of the input projection, value and gate together (the paper's `intermed_size`); half of it enters the output projection.
            intermediate: u64 [Range::closed(2.0, 1_048_576.0)];
            /// The function f of the gate.
            activation: Activation = "Gelu";
        }
        /// Plain: y = f(x·A)·O.
        Mlp {
            /// Width of the input projection; all of it enters the output projection.
            intermediate: u64 [Range::closed(1.0, 1_048_576.0)];
            /// The function f.
            activation: Activation = "Gelu";
        }
    }
}

choice! {
    /// How tokens look at each other.
    Attention {
        /// Softmax of the scores of queries and keys (Vaswani et al. 2017).
        Softmax {
            /// Whether a token looks only at itself and the tokens before it.
            causal: bool = "false";
        }
    }
}

choice! {
    /// A function of each element.
    Activation {
        /// z·Φ(z) with the exact normal distribution function (Hendrycks & Gimpel 2016).
        Gelu {}
        /// z·(1 + tanh(√(2/π)·(z + 0.044715·z³)))/2, the approximation of it.
        GeluTanh {}
        /// max(z, 0).
        Relu {}
        /// max(z, 0)² (So et al. 2021).
        SquaredRelu {}
        /// z/(1 + e⁻ᶻ), also called swish.
        Silu {}
        /// 1/(1 + e⁻ᶻ), the gate of the first gated linear units (Dauphin et al. 2017).
        Sigmoid {}
        /// tanh(z).
        Tanh {}
    }
}

choice! {
    /// A normalisation of each row x.
    Norm {
        /// (x − mean)/√(variance + eps)·gain + bias, a gain and a bias for each column (Ba, Kiros, Hinton 2016).
        LayerNorm {
            /// Added to the variance.
            eps: f64 [Range::closed(LEAST, 1.0)] = "1e-12";
        }
        /// x/√(mean of x² + eps)·gain, a gain for each column (Zhang & Sennrich 2019).
        RmsNorm {
            /// Added to the mean of the squares.
            eps: f64 [Range::closed(LEAST, 1.0)] = "1e-6";
        }
        /// x/√(‖x‖² + eps²)·gain with one gain, which begins at √D (Nguyen & Salazar 2019).
        ScaleNorm {
            /// The length below which a row is not brought to length 1.
            eps: f64 [Range::closed(1e-12, 1.0)] = "1e-6";
        }
    }
}

choice! {
    /// Where the norms of a block stand; f is attention or the feed-forward half.
    Placement {
        /// x + f(norm(x)).
        PreNorm {}
        /// norm(x + f(x)), as in the first transformers and in BERT.
        PostNorm {}
        /// x + norm(f(norm(x))).
        Sandwich {}
        /// norm(α·x + f(x)) with α = (2L)^¼ (Wang et al. 2022, "DeepNet").
        DeepNorm {}
    }
}

record! {
    /// Which projections have a bias.
    Biases {
        /// Queries, keys and values.
        qkv: bool = "false";
        /// All others: attention's output, the feed-forward half, the projection of a narrower embedding, the head's transform.
        dense: bool = "false";
        /// The scores of the vocabulary.
        decoder: bool = "false";
    }
}

choice! {
    /// How the place of a token is told.
    Positions {
        /// Sinusoids times one learned factor, added to the word vectors; the factor begins at D^-½.
        ScaledSinusoidal {}
        /// Sinusoids, added to the word vectors (Vaswani et al. 2017).
        Sinusoidal {}
        /// A learned table, added to the word vectors.
        Learned {
            /// Rows of the table, at least the sequence; the sequence where not given.
            length: Option<u64> [Range::closed(1.0, 1_048_576.0)];
        }
        /// Queries and keys are rotated by angles that grow with the place (Su et al. 2021), first half of a head against its second.
        Rotary {
            /// The angle of pair i is place · theta^(−2i/(D/H)).
            theta: f64 [Range::closed(1.0, 1e9)] = "10_000";
        }
        /// Not at all.
        NoPositions {}
    }
}

record! {
    /// From tokens to rows.
    Embedding {
        /// Width of the word table, where it is not D: word vectors are projected up to D, and back before a tied decoder (Lan et al. 2020).
        table_width: Option<u64> [Range::closed(1.0, 65_536.0)];
        /// Whether rows are normalised before the first block.
        input_norm: bool = "true";
        /// Whether the word table is also the decoder.
        tied: bool = "true";
    }
}

record! {
    /// From rows to scores of the vocabulary.
    Head {
        /// Whether rows are normalised after the last block.
        final_norm: bool = "true";
        /// What is done to rows before the decoder.
        transform: Transform = "Skipped";
    }
}

record! {
    /// Dropout (Srivastava et al. 2014): each number is set to zero with this probability, and the others grow so that the mean stays.
    Dropout {
        /// Of the rows that enter the first block.
        inputs: Ratio [Range::below(0.0, 1.0)] = "0%";
        /// Of the probabilities of attention.
        probabilities: Ratio [Range::below(0.0, 1.0)] = "0%";
        /// Of what either half of a block adds.
        branches: Ratio [Range::below(0.0, 1.0)] = "0%";
    }
}

choice! {
    /// What is done to rows before the decoder.
    Transform {
        /// Nothing.
        Skipped {}
        /// A projection D to D.
        Projected {}
        /// A projection D to D, the activation of the feed-forward half without its gate, and a norm.
        Nonlinear {}
    }
}

choice! {
    /// Initial weights: independent draws from N(0, std²).
    Initialization {
        /// One standard deviation for all.
        Normal {
            /// It.
            std: f64 [Range::above(0.0, 10.0)] = "0.02";
        }
        /// √(2/(5·D)), about that of Nguyen & Salazar 2019.
        Small {}
        /// √(1/(3·D)), as in Megatron-LM.
        Megatron {}
        /// 2/(L·√D) (Wang & Komatsuzaki 2021).
        Wang {}
        /// (8·L)^-¼, as the official code does for deepnorm.
        DeepNorm {}
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
        /// What a prediction loses in training; evaluation is always by cross entropy alone.
        loss: Loss = "CrossEntropy()";
    }
}

choice! {
    /// What a prediction loses, with p the probability of the right token and Z the sum of the exponentials of all scores.
    Loss {
        /// −ln p, in nats.
        CrossEntropy {
            /// So many times (ln Z)² on top, which keeps scores from growing (Chowdhery et al. 2022, "PaLM").
            z_loss: f64 [Range::closed(0.0, 10.0)] = "0.0";
            /// The share of the target that is spread over all tokens alike (Szegedy et al. 2016).
            label_smoothing: Ratio [Range::below(0.0, 1.0)] = "0%";
        }
        /// −(1 − p)^gamma · ln p: what is predicted well already counts less (Lin et al. 2017).
        Focal {
            /// The exponent; 5 in the official code. Below 1 the slope would have no bound.
            gamma: f64 [Range::closed(1.0, 100.0)] = "5.0";
        }
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
            /// The activated rows of the feed-forward half, gated or not; no matrix product.
            gates: Ratio [Range::closed(0.0, 1.0)] = "0%";
            /// Probabilities and context of attention.
            attention: Ratio [Range::closed(0.0, 1.0)] = "0%";
            /// Queries, keys, values and the input of the feed-forward half, with their biases and rotations.
            projections: Ratio [Range::closed(0.0, 1.0)] = "0%";
            /// The sum between the halves of a block, and what is done to what is added there: dropout, scaling, a sandwich's second norm.
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
        /// Adam (Kingma & Ba 2015): decay is added to the gradient, where AdamW takes it off the weights.
        Adam {
            /// Decay rates of the first and second moment.
            betas: Pair [Range::below(0.0, 1.0)] = "(0.9, 0.999)";
            /// Added to the root of the second moment.
            eps: f64 [Range::closed(LEAST, 1.0)] = "1e-8";
            /// L2 decay: so many times the weight is added to the clipped gradient.
            weight_decay: f64 [Range::closed(0.0, 10.0)] = "0";
            /// Which parameters decay.
            decay: Decay = "ExceptNorms";
            /// Largest global L2 norm of the gradient; not given, it is not clipped.
            clip: Option<f64> [Range::above(0.0, 1e9)];
        }
        /// Rectified Adam (Liu et al. 2020): plain momentum until the second moment is known well enough; L2 decay.
        RAdam {
            /// Decay rates of the first and second moment.
            betas: Pair [Range::below(0.0, 1.0)] = "(0.9, 0.999)";
            /// Added to the root of the second moment, before its bias is corrected.
            eps: f64 [Range::closed(LEAST, 1.0)] = "1e-8";
            /// L2 decay: so many times the weight is added to the clipped gradient.
            weight_decay: f64 [Range::closed(0.0, 10.0)] = "0";
            /// Which parameters decay.
            decay: Decay = "ExceptNorms";
            /// Largest global L2 norm of the gradient; not given, it is not clipped.
            clip: Option<f64> [Range::above(0.0, 1e9)];
        }
        /// LAMB (You et al. 2020): the direction of AdamW, of each parameter as long as the parameter itself.
        Lamb {
            /// Decay rates of the first and second moment.
            betas: Pair [Range::below(0.0, 1.0)] = "(0.9, 0.999)";
            /// Added to the root of the second moment.
            eps: f64 [Range::closed(LEAST, 1.0)] = "1e-6";
            /// Weight decay, a part of the direction.
            weight_decay: f64 [Range::closed(0.0, 10.0)] = "0.01";
            /// Which parameters decay.
            decay: Decay = "ExceptNorms";
            /// Largest global L2 norm of the gradient; not given, it is not clipped.
            clip: Option<f64> [Range::above(0.0, 1e9)];
        }
        /// Lion (Chen et al. 2023): steps of one length by the sign of a momentum; keeps one moment.
        Lion {
            /// Share of the momentum in the step, and decay rate of the momentum.
            betas: Pair [Range::below(0.0, 1.0)] = "(0.9, 0.99)";
            /// Decoupled weight decay, times the learning rate.
            weight_decay: f64 [Range::closed(0.0, 10.0)] = "0.1";
            /// Which parameters decay.
            decay: Decay = "ExceptNorms";
            /// Largest global L2 norm of the gradient; not given, it is not clipped.
            clip: Option<f64> [Range::above(0.0, 1e9)];
        }
        /// Stochastic gradient descent; without momentum it keeps nothing beside the weights.
        Sgd {
            /// Share of the last step that goes on in the next (Polyak 1964); 0 is without momentum.
            momentum: f64 [Range::below(0.0, 1.0)] = "0.9";
            /// Looks ahead along the momentum (Nesterov 1983); without momentum it is of no effect.
            nesterov: bool = "false";
            /// L2 decay: so many times the weight is added to the clipped gradient.
            weight_decay: f64 [Range::closed(0.0, 10.0)] = "0";
            /// Which parameters decay.
            decay: Decay = "ExceptNorms";
            /// Largest global L2 norm of the gradient; not given, it is not clipped.
            clip: Option<f64> [Range::above(0.0, 1e9)];
        }
        /// Adafactor (Shazeer & Stern 2018), without relative steps: of a matrix it keeps a row and a column in the place of a second moment.
        Adafactor {
            /// Decay rate of the mean of the steps; 0 is none, and keeps no first moment.
            momentum: f64 [Range::below(0.0, 1.0)] = "0";
            /// How fast the mean of the squares slows down: in step t its decay rate is 1 − t^(−decay_rate).
            decay_rate: f64 [Range::above(0.0, 1.0)] = "0.8";
            /// Added to the squares.
            eps: f64 [Range::closed(LEAST, 1.0)] = "1e-30";
            /// The largest root of the mean square of a parameter's step, before the learning rate.
            threshold: f64 [Range::above(0.0, 1e9)] = "1";
            /// Decoupled weight decay, times the learning rate.
            weight_decay: f64 [Range::closed(0.0, 10.0)] = "0";
            /// Which parameters decay.
            decay: Decay = "ExceptNorms";
            /// Largest global L2 norm of the gradient; not given, it is not clipped.
            clip: Option<f64> [Range::above(0.0, 1e9)];
        }
        /// Muon (Jordan et al. 2024): orthogonal steps for the matrices of the blocks, from a momentum; AdamW for all other parameters.
        Muon {
            /// Share of the last step that goes on in the next, of matrices.
            momentum: f64 [Range::open(0.0, 1.0)] = "0.95";
            /// Looks ahead along the momentum.
            nesterov: bool = "true";
            /// Learning rate of matrices as a multiple of `lr`, which is that of AdamW.
            matrix_rate: f64 [Range::above(0.0, 1e6)] = "20";
            /// Decay rates of the first and second moment of AdamW.
            betas: Pair [Range::below(0.0, 1.0)] = "(0.9, 0.95)";
            /// Added to the root of the second moment of AdamW.
            eps: f64 [Range::closed(LEAST, 1.0)] = "1e-8";
            /// Decoupled weight decay, times the learning rate of the parameter.
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
        /// All but biases and the gains of the norms, as in the official code's second version.
        ExceptNorms {}
        /// All but biases, as in the official code's first version, whose list misses the gains of its own norms.
        ExceptBiases {}
        /// Every parameter.
        Everything {}
        /// By kind of parameter.
        Only {
            /// All matrices but the word table: those of the blocks, of the head, of a narrow embedding, and an untied decoder.
            matrices: bool = "false";
            /// The word table, which is also the decoder where they are tied.
            embeddings: bool = "false";
            /// What tells places and types: the factor of the sinusoids, learned tables.
            positions: bool = "false";
            /// The gains of the norms.
            norms: bool = "false";
            /// All biases, those of the norms included.
            biases: bool = "false";
        }
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

impl FeedForward {
    /// Width of the input projection, value and gate together.
    pub fn intermediate(&self) -> u64 {
        let (Self::Glu { intermediate, .. } | Self::Mlp { intermediate, .. }) = *self;
        intermediate
    }

    /// The same with another width.
    #[must_use]
    pub fn with_intermediate(&self, width: u64) -> Self {
        let mut other = self.clone();
        let (Self::Glu { intermediate, .. } | Self::Mlp { intermediate, .. }) = &mut other;
        *intermediate = width;
        other
    }

    /// Width of the rows that enter the output projection.
    pub fn inner(&self) -> u64 {
        match *self {
            Self::Glu { intermediate, .. } => intermediate / 2,
            Self::Mlp { intermediate, .. } => intermediate,
        }
    }

    /// The function of each element.
    pub fn activation(&self) -> &Activation {
        let (Self::Glu { activation, .. } | Self::Mlp { activation, .. }) = self;
        activation
    }
}

impl Encoder {
    /// Whether the width falls into so many heads, of an even width where they are rotated.
    pub fn allows_heads(&self, heads: u64) -> bool {
        let rotates = matches!(self.positions, Positions::Rotary { .. });
        self.width.is_multiple_of(heads) && (!rotates || (self.width / heads).is_multiple_of(2))
    }

    /// Width of the word table E.
    pub fn embedding_width(&self) -> u64 {
        self.embedding.table_width.unwrap_or(self.width)
    }
}

impl Initialization {
    /// Standard deviation of the first weights of a model of this width and depth.
    pub fn std(&self, width: u64, depth: u64) -> f64 {
        let (d, l) = (width as f64, depth as f64);
        match *self {
            Self::Normal { std } => std,
            Self::Small {} => libm::sqrt(2.0 / (5.0 * d)),
            Self::Megatron {} => libm::sqrt(1.0 / (3.0 * d)),
            Self::Wang {} => 2.0 / (l * libm::sqrt(d)),
            Self::DeepNorm {} => libm::pow(8.0 * l, -0.25),
        }
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
