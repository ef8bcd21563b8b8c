//! A recipe as a certificate states it: this stage's own reading of it.
//!
//! Invariant: fields stand in the order of the planner's types, since the canonical text that is hashed has this order.

#![allow(missing_docs, reason = "the names are the recipe's own; `cramplan explain` describes them")]

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Flops, Ratio, Seconds};

/// A training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub name: String,
    pub seed: u64,
    pub budget: Budget,
    pub data: Corpus,
    pub model: Encoder,
    pub objective: MaskedLm,
    pub batch: Batch,
    pub micro_batch: MicroBatch,
    pub recompute: Recomputation,
    pub optimizer: Optimizer,
    pub lr: LearningRate,
    pub counting: Counting,
    pub evaluation: Evaluation,
    pub checkpoint: Checkpoint,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub time: Option<Seconds>,
    pub tokens: Option<u64>,
    pub steps: Option<u64>,
    pub flops: Option<Flops>,
    pub device: Option<String>,
    pub memory: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Corpus {
    pub sources: Vec<TextSource>,
    pub tokenizer: Tokenizer,
    pub normalize: Vec<Normalization>,
    pub validation: Ratio,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum TextSource {
    Text { path: String },
    Synthetic { sentences: u64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Tokenizer {
    WordPiece { vocab: u64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Normalization {
    Quotes {},
    Lowercase {},
    StripAccents {},
    CollapseSpaces {},
    Ascii {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    pub width: u64,
    pub depth: u64,
    pub heads: u64,
    pub sequence: u64,
    pub feed_forward: FeedForward,
    pub attention: Attention,
    pub norm: Norm,
    pub placement: Placement,
    pub biases: Biases,
    pub positions: Positions,
    pub token_types: u64,
    pub embedding: Embedding,
    pub head: Head,
    pub dropout: Dropout,
    pub init: Initialization,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FeedForward {
    Glu { intermediate: u64, activation: Activation },
    Mlp { intermediate: u64, activation: Activation },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Attention {
    Softmax { causal: bool },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Activation {
    Gelu {},
    GeluTanh {},
    Relu {},
    SquaredRelu {},
    Silu {},
    Sigmoid {},
    Tanh {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Norm {
    LayerNorm { eps: f64 },
    RmsNorm { eps: f64 },
    ScaleNorm { eps: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Placement {
    PreNorm {},
    PostNorm {},
    Sandwich {},
    DeepNorm {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Biases {
    pub qkv: bool,
    pub dense: bool,
    pub decoder: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Positions {
    ScaledSinusoidal {},
    Sinusoidal {},
    Learned { length: Option<u64> },
    Rotary { theta: f64 },
    NoPositions {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    pub table_width: Option<u64>,
    pub input_norm: bool,
    pub tied: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    pub inputs: Ratio,
    pub probabilities: Ratio,
    pub branches: Ratio,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    pub final_norm: bool,
    pub transform: Transform,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Transform {
    Skipped {},
    Projected {},
    Nonlinear {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Initialization {
    Normal { std: f64 },
    Small {},
    Megatron {},
    Wang {},
    DeepNorm {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskedLm {
    pub rate: Ratio,
    pub prediction: Prediction,
    pub protect_special: bool,
    pub loss: Loss,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Loss {
    CrossEntropy { z_loss: f64, label_smoothing: Ratio },
    Focal { gamma: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Prediction {
    Sparse { share: Option<Ratio> },
    Dense {},
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Batch {
    Ramp { to: u64, until: Portion },
    Constant { size: u64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum MicroBatch {
    Auto,
    Fixed(u64),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Recomputation {
    Auto {},
    Nothing {},
    Blocks {},
    Parts { norms: Ratio, gates: Ratio, attention: Ratio, projections: Ratio, residuals: Ratio },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Optimizer {
    AdamW {
        betas: Pair,
        eps: f64,
        weight_decay: f64,
        decay: Decay,
        clip: Option<f64>,
    },
    Adam {
        betas: Pair,
        eps: f64,
        weight_decay: f64,
        decay: Decay,
        clip: Option<f64>,
    },
    RAdam {
        betas: Pair,
        eps: f64,
        weight_decay: f64,
        decay: Decay,
        clip: Option<f64>,
    },
    Lamb {
        betas: Pair,
        eps: f64,
        weight_decay: f64,
        decay: Decay,
        clip: Option<f64>,
    },
    Lion {
        betas: Pair,
        weight_decay: f64,
        decay: Decay,
        clip: Option<f64>,
    },
    Sgd {
        momentum: f64,
        nesterov: bool,
        weight_decay: f64,
        decay: Decay,
        clip: Option<f64>,
    },
    Adafactor {
        momentum: f64,
        decay_rate: f64,
        eps: f64,
        threshold: f64,
        weight_decay: f64,
        decay: Decay,
        clip: Option<f64>,
    },
    Muon {
        momentum: f64,
        nesterov: bool,
        matrix_rate: f64,
        betas: Pair,
        eps: f64,
        weight_decay: f64,
        decay: Decay,
        clip: Option<f64>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Decay {
    ExceptNorms {},
    ExceptBiases {},
    Everything {},
    Only { matrices: bool, embeddings: bool, positions: bool, norms: bool, biases: bool },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum LearningRate {
    Triangle { peak: f64, start: Ratio, peak_at: Ratio },
    Trapezoid { peak: f64, warmup: Portion, cooldown: Portion },
    Linear { peak: f64, warmup: Portion },
    Cosine { peak: f64, warmup: Portion, end: Ratio },
    CosineRestarts { peak: f64, warmup: Portion, cycles: u64 },
    InverseCosine { peak: f64, cooldown: Portion },
    Polynomial { peak: f64, warmup: Portion, power: f64, end: Ratio },
    InverseSqrt { peak: f64, warmup: Portion, cooldown: Portion },
    Ramp { peak: f64, cooldown: Portion },
    MultiCycle { peak: f64, cycles: u64 },
    Piecewise { peak: f64, points: Vec<Pair> },
    Constant { rate: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Counting {
    Exact {},
    Official { micro_steps: u64, by_budget: bool },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    pub every: Interval,
    pub sequences: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    pub every: Interval,
    pub keep: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Portion {
    Share(Ratio),
    Steps(u64),
    Tokens(u64),
    Time(Seconds),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Interval {
    Share(Ratio),
    Time(Seconds),
    Steps(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair(pub f64, pub f64);
