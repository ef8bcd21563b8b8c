//! The format of a certificate, as serde types: what `cramplan plan --out` writes and `cramplan verify` reads.
//!
//! A certificate states a plan in full: the recipe with every default filled in, the device, each operation of each walk with
//! what it takes, and what that adds up to. It is RON. The hash is over the content's canonical text ([`Content`] as RON without
//! spaces, names of structs or order of fields as written), so layout, comments and where the file lies do not matter.
//!
//! Invariant: a field that is not declared here is refused, so nothing in a certificate escapes the laws; whoever adds a
//! statement adds its law, or says in [`super::UNCHECKED`] why there is none.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::recipe::Recipe;
use crate::device::Device;
use crate::units::{Bytes, Flops, Ratio, Seconds, Tokens};

/// Format of the files; those of another version are refused.
pub const VERSION: u32 = 3;

/// A certificate; `R` is how its recipe is read: as this stage's own types, or as the planner's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Plan", deny_unknown_fields)]
pub struct Certificate<R = Recipe> {
    /// Format of the file.
    pub version: u32,
    /// SHA-256 of the content, hexadecimal.
    pub hash: String,
    /// Where it was planned; not part of the hash.
    pub origin: Origin,
    /// What is certified.
    pub content: Content<R>,
}

/// Where a plan comes from: for finding the recipe again, and its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The directory that relative paths of the recipe start from, absolute.
    pub base: String,
    /// The recipe's file in that directory; empty where there is none.
    pub recipe: String,
    /// What was replaced in it with `--set`.
    pub overrides: Vec<String>,
}

/// What is certified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content<R = Recipe> {
    /// Name and version of the program that planned.
    pub program: String,
    /// The processor that it was planned on and for; none where the plan is for a card.
    pub processor: Option<String>,
    /// Key of the prepared text, SHA-256; none where it was not prepared when the plan was made.
    pub data: Option<String>,
    /// The recipe, with every default filled in.
    pub recipe: R,
    /// The device it was planned for, each number with its source.
    pub device: Device,
    /// The extents that every shape follows from.
    pub extents: Extents,
    /// How many blocks, from the first, compute again for backward: norms, gates, attention, projections, residuals.
    pub recompute: [u64; 5],
    /// The parameters of the model.
    pub parameters: Vec<Parameter>,
    /// How many there are.
    pub counts: Counts,
    /// Micro-batches per step at the full batch.
    pub accumulation: u64,
    /// Tokens per micro-batch.
    pub micro_tokens: u64,
    /// Memory at the peak, and where that is.
    pub peak: Peak,
    /// What the memory may be.
    pub limit: Bytes,
    /// Where the limit comes from.
    pub limit_source: String,
    /// Size of a checkpoint.
    pub checkpoint: Bytes,
    /// Memory while the state is saved.
    pub saving: Bill,
    /// How long it takes to write a checkpoint.
    pub saving_time: Seconds,
    /// The run from first to last step.
    pub run: Run,
    /// First micro-step, further micro-step, update and evaluation.
    pub walks: Vec<Walk>,
}

/// The extents of a micro-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extents {
    /// Sequences in a micro-batch B.
    pub batch: u64,
    /// Tokens in a sequence S.
    pub sequence: u64,
    /// Width D.
    pub width: u64,
    /// Heads H.
    pub heads: u64,
    /// Width of the rows that enter the output projection of the feed-forward half.
    pub inner: u64,
    /// Blocks L.
    pub depth: u64,
    /// Vocabulary V.
    pub vocabulary: u64,
    /// Rows that the decoder sees in a micro-batch N.
    pub predicted: u64,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name in saved weights.
    pub name: String,
    /// Its shape; matrices are `[in, out]`.
    pub shape: Vec<u64>,
    /// Whether weight decay applies to it.
    pub decays: bool,
}

/// Numbers of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// The word table.
    pub embedding: u64,
    /// All but the word table and what tells places and types.
    pub non_embedding: u64,
    /// Those that weight decay applies to.
    pub decayed: u64,
}

/// The highest memory of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peak {
    /// Bytes.
    pub bytes: Bytes,
    /// In which walk; none where it is while the state is saved.
    pub walk: Option<WalkName>,
}

/// Bytes by part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bill {
    /// Parameters and constant tables.
    pub weights: Bytes,
    /// Accumulated gradients.
    pub gradients: Bytes,
    /// Moments.
    pub optimizer: Bytes,
    /// Inputs and what forward keeps for backward.
    pub activations: Bytes,
    /// Temporaries inside one operation, and what threads keep for them.
    pub workspace: Bytes,
    /// The program and its runtime.
    pub process: Bytes,
}

impl Bill {
    /// The sum of the parts.
    pub fn total(&self) -> Bytes {
        self.weights + self.gradients + self.optimizer + self.activations + self.workspace + self.process
    }
}

/// Which walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WalkName {
    /// First micro-step of a step.
    First,
    /// Every later micro-step of a step.
    Further,
    /// Clipping and the optimizer.
    Update,
    /// Forward only.
    Evaluate,
}

impl WalkName {
    /// All, in the order of a certificate.
    pub const ALL: [Self; 4] = [Self::First, Self::Further, Self::Update, Self::Evaluate];

    /// The words for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first micro-step",
            Self::Further => "further micro-step",
            Self::Update => "update",
            Self::Evaluate => "evaluation",
        }
    }
}

/// One walk: its tensors, its operations in the order of execution, and what they add up to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walk {
    /// Which.
    pub walk: WalkName,
    /// FLOPs of the forward pass, or of the update.
    pub forward: Flops,
    /// FLOPs of what is recomputed.
    pub recompute: Flops,
    /// FLOPs of the backward pass.
    pub backward: Flops,
    /// Time.
    pub seconds: Seconds,
    /// Time beside the operations: of the walk, and of each operation on top of its own.
    pub beside: (Seconds, Seconds),
    /// The highest memory in it.
    pub peak: Moment,
    /// Memory that is held in the walk and is no tensor of it.
    pub ambient: Bill,
    /// Tensors; a tensor's number is its place in this list.
    pub tensors: Vec<Tensor>,
    /// Tensors that outlive the walk.
    pub results: Vec<u32>,
    /// The operations.
    pub operations: Vec<Operation>,
}

/// The moment of a walk's highest memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// Which operation runs then, counted from 0.
    pub operation: usize,
    /// All bytes.
    pub bytes: Bytes,
    /// By part.
    pub parts: Bill,
    /// The live tensors, each with its bytes.
    pub holders: Vec<(u32, Bytes)>,
}

/// A tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tensor {
    /// Extents, slowest first.
    pub shape: Vec<u64>,
    /// Type of the elements.
    pub dtype: DType,
    /// What it is for.
    pub role: Role,
}

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// 32-bit integers.
    I32,
}

/// What a tensor is for; numbers are places in the list of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// A parameter's value.
    Weight(u32),
    /// A parameter's gradient.
    Gradient(u32),
    /// A parameter's first moment.
    FirstMoment(u32),
    /// A parameter's second moment.
    SecondMoment(u32),
    /// The second moment of a matrix by rows.
    RowMoment(u32),
    /// The second moment of a matrix by columns.
    ColumnMoment(u32),
    /// The fixed table of places.
    PositionTable,
    /// Fed by the host: token ids after masking.
    Tokens,
    /// Fed by the host: positions that the decoder sees.
    Rows,
    /// Fed by the host: the tokens to predict there.
    Labels,
    /// Fed by the host: weight of each prediction in the loss.
    LossWeights,
    /// Made and used within the step.
    Activation,
}

/// Which pass of the step an operation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pass {
    /// From tokens to the loss.
    Forward,
    /// Operations of the forward pass that are done again for the backward pass.
    Recompute,
    /// From the loss to the gradients.
    Backward,
    /// From gradients to weights.
    Update,
}

/// Where in the model an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// From tokens to the first block.
    Embedding,
    /// A block, counted from 0.
    Block(u64),
    /// From the last block to the loss.
    Head,
    /// The norm of the whole gradient.
    GlobalNorm,
    /// A parameter.
    Parameter(u32),
}

/// An operation of a walk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// What is done.
    pub op: Op,
    /// To which tensors.
    pub inputs: Vec<u32>,
    /// What is born.
    pub outputs: Vec<u32>,
    /// Which pass it belongs to.
    pub pass: Pass,
    /// Where in the model.
    pub place: Place,
    /// Tensors that die here, those overwritten in place among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dies: Vec<u32>,
    /// Pairs of tensors (input, output): the output takes the input's memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_place: Vec<(u32, u32)>,
    /// Operands that are not there at its highest moment, beside those overwritten: inputs that went before it, outputs that come after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<u32>,
    /// Memory beside the tensors at its highest moment.
    pub workspace: Bytes,
    /// FLOPs of its matrix products.
    pub flops: Flops,
    /// Bytes moved to and from memory.
    pub moved: Bytes,
    /// Time.
    pub seconds: Seconds,
    /// All live bytes at its highest moment.
    pub during: Bytes,
    /// All live bytes after it.
    pub after: Bytes,
}

/// What an operation does, with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are those of the operations in `step::op`, where they are described")]
pub enum Op {
    Embedding,
    EmbeddingGradient,
    Zeros { shape: Vec<u64> },
    AddPosition,
    PositionGradient,
    LayerNorm { eps: f64 },
    LayerNormGradient,
    MatMul { transpose_a: bool, transpose_b: bool },
    MatMulAccumulate { transpose_a: bool, transpose_b: bool },
    RmsNorm { eps: f64, factor: f64 },
    RmsNormGradient { factor: f64 },
    AddTable { period: u64 },
    TableGradient { period: u64, shape: Vec<u64> },
    Rotate { heads: u64, sequence: u64, back: bool },
    Attention { heads: u64, sequence: u64, causal: bool, dropout: Option<(f64, u32)> },
    AttentionGradient { heads: u64, sequence: u64, causal: bool, dropout: Option<(f64, u32)> },
    Gate { function: Function },
    GateGradient { function: Function },
    Activate { function: Function },
    ActivateGradient { function: Function },
    Add,
    Scale { factor: f64 },
    Dropout { rate: f64, site: u32 },
    SelectRows,
    ScatterRows { total: u64 },
    CrossEntropy { z_loss: f64, label_smoothing: f64, focal: f64 },
    CrossEntropyGradient { z_loss: f64, label_smoothing: f64, focal: f64 },
    SumSquares,
    ClipFactor { max: Option<f64> },
    AdamW { betas: (f64, f64), eps: f64, weight_decay: f64 },
    Adam { betas: (f64, f64), eps: f64, weight_decay: f64 },
    RAdam { betas: (f64, f64), eps: f64, weight_decay: f64 },
    Lamb { betas: (f64, f64), eps: f64, weight_decay: f64 },
    Lion { betas: (f64, f64), weight_decay: f64 },
    Sgd { momentum: f64, nesterov: bool, weight_decay: f64 },
    Adafactor { decay_rate: f64, eps: f64, threshold: f64, momentum: f64, weight_decay: f64, factored: bool },
    Muon { momentum: f64, nesterov: bool, rate: f64, weight_decay: f64 },
}

/// A function of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of `step::op::Function`, where they are described")]
pub enum Function {
    Gelu,
    GeluTanh,
    Relu,
    SquaredRelu,
    Silu,
    Sigmoid,
    Tanh,
}

impl Op {
    /// Its name without its parameters.
    pub fn name(&self) -> String {
        let debug = format!("{self:?}");
        debug.chars().take_while(char::is_ascii_alphabetic).collect()
    }
}

/// The run from first to last step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Optimizer steps.
    pub steps: u64,
    /// Micro-steps.
    pub micro_steps: u64,
    /// Tokens read.
    pub tokens: Tokens,
    /// Model FLOPs.
    pub flops: Flops,
    /// Wall-clock time, evaluation and checkpoints included.
    pub seconds: Seconds,
    /// Time spent on evaluation and checkpoints.
    pub overhead: Seconds,
    /// Which limit of the budget is reached first.
    pub binds: Limit,
    /// Evaluations on the clock, the last included.
    pub evaluations: u64,
    /// Checkpoints on the clock, the last included.
    pub checkpoints: u64,
    /// The stages of the batch ramp.
    pub stages: Vec<Stage>,
}

/// A limit of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the recipe's own")]
pub enum Limit {
    Time,
    Tokens,
    Steps,
    Flops,
}

/// A stretch of the run with one batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Progress after its last step.
    pub until: Ratio,
    /// Micro-batches per step.
    pub accumulation: u64,
    /// Optimizer steps in it.
    pub steps: u64,
    /// Time of one step.
    pub step_time: Seconds,
}

/// Why a text is no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It has another format.
    Version(u32),
    /// It cannot be read, and why.
    Text(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "it is of format {version}, this program reads {VERSION}"),
            Self::Text(why) => f.write_str(why),
        }
    }
}

/// The part of a file that every format has.
#[derive(Deserialize)]
#[serde(rename = "Plan")]
struct Head {
    version: u32,
}

impl<R: Serialize + DeserializeOwned> Certificate<R> {
    /// Reads a certificate, without holding it against any law.
    ///
    /// # Errors
    /// Where the text is none, or is of another format.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let version = |version| if version == VERSION { None } else { Some(Unreadable::Version(version)) };
        match ron::from_str::<Self>(text) {
            Ok(certificate) => version(certificate.version).map_or(Ok(certificate), Err),
            Err(error) => {
                let other = ron::from_str::<Head>(text).ok().and_then(|head| version(head.version));
                Err(other.unwrap_or_else(|| Unreadable::Text(error.to_string())))
            }
        }
    }

    /// The file's text: an operation or a tensor a line.
    pub fn write(&self) -> String {
        let pretty = ron::ser::PrettyConfig::new().struct_names(true).depth_limit(5).indentor("  ");
        // Serialising plain data to a string cannot fail.
        ron::ser::to_string_pretty(self, pretty).unwrap_or_default() + "\n"
    }
}

impl<R: Serialize> Certificate<R> {
    /// Seals a content: format, hash and origin around it.
    pub fn seal(content: Content<R>, origin: Origin) -> Self {
        let hash = content.hash();
        Self { version: VERSION, hash, origin, content }
    }
}

impl<R: Serialize> Content<R> {
    /// SHA-256 of the canonical text, hexadecimal.
    pub fn hash(&self) -> String {
        let text = ron::ser::to_string(&(VERSION, self)).unwrap_or_default();
        format!("{:x}", Sha256::digest(text))
    }
}
