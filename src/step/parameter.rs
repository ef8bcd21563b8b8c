//! The parameters of the model: names, shapes, who decays and how they begin.

use serde::{Deserialize, Serialize};

use super::tensor::{ParameterId, Shape};
use crate::recipe::settings::{Biases, Decay, Encoder, FeedForward, Norm, Placement, Positions, Recipe, Transform};

/// How a parameter begins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Init {
    /// Independent draws from N(0, std²).
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// One value everywhere.
    Constant(f64),
}

/// What kind of parameter it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The word table, which is also the decoder where they are tied.
    Embedding,
    /// What tells places and types of tokens: the factor of the sinusoids, or a learned table.
    Position,
    /// Gain or bias of a norm.
    Norm,
    /// Bias of a projection.
    Bias,
    /// A matrix.
    Matrix,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in its block, or in the model.
    pub part: &'static str,
    /// Its shape; matrices are `[in, out]`.
    pub shape: Shape,
    /// What it is.
    pub kind: Kind,
    /// Whether weight decay applies to it.
    pub decays: bool,
    /// How it begins.
    pub init: Init,
    /// The block it belongs to.
    pub block: Option<u64>,
}

impl Parameter {
    /// Its name in saved weights: `block.3.attention.query`.
    pub fn name(&self) -> String {
        self.block.map_or_else(|| self.part.to_owned(), |block| self.name_in(block))
    }

    /// As [`Parameter::name`], were it in another block.
    pub fn name_in(&self, block: u64) -> String {
        format!("block.{block}.{}", self.part)
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1_u64, |n, d| n.saturating_mul(*d))
    }
}

/// A projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// The matrix `[in, out]`.
    pub weight: ParameterId,
    /// The bias `[out]`.
    pub bias: Option<ParameterId>,
}

/// A normalisation of rows of width D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormParameters {
    /// `[D]`, or `[1]` where one gain is for all columns.
    pub gain: ParameterId,
    /// `[D]`, where the norm has one.
    pub bias: Option<ParameterId>,
}

/// The input projections of a feed-forward half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// Value and gate.
    Gated(Linear, Linear),
    /// One projection.
    Plain(Linear),
}

/// The parameters of a block.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the field's own")]
pub struct Block {
    pub attention_norm: NormParameters,
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    pub output: Linear,
    /// The second norm of a sandwich.
    pub attention_out_norm: Option<NormParameters>,
    pub feed_forward_norm: NormParameters,
    pub inputs: Inputs,
    pub down: Linear,
    /// The second norm of a sandwich.
    pub feed_forward_out_norm: Option<NormParameters>,
}

/// How places are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// A factor `[1]` of the sinusoids.
    Factor(ParameterId),
    /// A table `[M, D]`.
    Table(ParameterId),
    /// Without parameters.
    Fixed,
}

/// All parameters of a model, in a fixed order.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    all: Vec<Parameter>,
    /// The word table `[V, E]`.
    pub words: ParameterId,
    /// From E to D.
    pub word_projection: Option<Linear>,
    /// The table of token types.
    pub token_types: Option<ParameterId>,
    /// How places are told.
    pub places: Places,
    /// Norm after the embedding.
    pub embedding_norm: Option<NormParameters>,
    /// The blocks, first to last.
    pub blocks: Vec<Block>,
    /// Norm after the last block.
    pub final_norm: Option<NormParameters>,
    /// The head's transform, and its norm where it has one.
    pub transform: Option<(Linear, Option<NormParameters>)>,
    /// From D back to E.
    pub head_projection: Option<Linear>,
    /// The decoder `[V, D]`, where it is not the word table.
    pub decoder: Option<ParameterId>,
    /// The decoder's bias `[V]`.
    pub decoder_bias: Option<ParameterId>,
}

/// Counts that a verdict shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterCounts {
    /// All.
    pub total: u64,
    /// The word table.
    pub embedding: u64,
    /// All but the word table and what tells places and types, as the paper counts.
    pub non_embedding: u64,
    /// Those that weight decay applies to.
    pub decayed: u64,
}

impl Parameters {
    /// The parameters of a recipe's model, with this many blocks.
    pub fn of(recipe: &Recipe, blocks: u64) -> Self {
        let model = &recipe.model;
        let (d, e, v) = (model.width, model.embedding_width(), recipe.vocabulary());
        let Biases { dense, decoder, .. } = model.biases;
        let mut list = List::new(recipe, blocks);
        let words = list.table("embedding.word", v, e, Kind::Embedding);
        let word_projection =
            (e != d).then(|| list.linear("embedding.projection", dense.then_some("embedding.projection_bias"), e, d));
        let token_types =
            (model.token_types > 0).then(|| list.table("embedding.token_type", model.token_types, d, Kind::Position));
        let places = list.places(&model.positions, model.sequence, d);
        let embedding_norm = model.embedding.input_norm.then(|| list.norm(["embedding.norm.gain", "embedding.norm.bias"]));
        let blocks = (0..blocks).map(|i| list.block(i)).collect();
        let final_norm = model.head.final_norm.then(|| list.norm(["final_norm.gain", "final_norm.bias"]));
        let mut transform = || list.linear("head.transform", dense.then_some("head.transform_bias"), d, d);
        let transform = match model.head.transform {
            Transform::Skipped {} => None,
            Transform::Projected {} => Some((transform(), None)),
            Transform::Nonlinear {} => Some((transform(), Some(list.norm(["head.norm.gain", "head.norm.bias"])))),
        };
        let tied = model.embedding.tied;
        let head_projection =
            (tied && e != d).then(|| list.linear("head.projection", dense.then_some("head.projection_bias"), d, e));
        let decoder_weight = (!tied).then(|| list.table("head.decoder", v, d, Kind::Matrix));
        let decoder_bias = decoder.then(|| list.bias("head.decoder_bias", v));
        Self {
            all: list.all,
            words,
            word_projection,
            token_types,
            places,
            embedding_norm,
            blocks,
            final_norm,
            transform,
            head_projection,
            decoder: decoder_weight,
            decoder_bias,
        }
    }

    /// The parameters with their ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ParameterId, &Parameter)> {
        self.all.iter().enumerate().map(|(i, p)| (ParameterId(i as u32), p))
    }

    /// A parameter.
    pub fn get(&self, id: ParameterId) -> &Parameter {
        &self.all[id.0 as usize]
    }

    /// The counts, each parameter of block i taken `times(i)` times.
    pub fn counts(&self, times: impl Fn(u64) -> u64) -> ParameterCounts {
        let elements = |p: &Parameter| p.elements().saturating_mul(p.block.map_or(1, &times));
        let sum =
            |keep: &dyn Fn(&Parameter) -> bool| self.all.iter().filter(|p| keep(p)).map(elements).fold(0, u64::saturating_add);
        ParameterCounts {
            total: sum(&|_| true),
            embedding: sum(&|p| p.kind == Kind::Embedding),
            non_embedding: sum(&|p| !matches!(p.kind, Kind::Embedding | Kind::Position)),
            decayed: sum(&|p| p.decays),
        }
    }
}

struct List<'a> {
    all: Vec<Parameter>,
    model: &'a Encoder,
    std: f64,
    decay: &'a Decay,
    /// The block that is being listed.
    block: Option<u64>,
}

impl<'a> List<'a> {
    fn new(recipe: &'a Recipe, blocks: u64) -> Self {
        let model = &recipe.model;
        Self {
            all: Vec::with_capacity(12 + 22 * blocks as usize),
            model,
            std: model.init.std(model.width, model.depth),
            decay: recipe.optimizer.decay(),
            block: None,
        }
    }

    fn add(&mut self, part: &'static str, shape: &[u64], kind: Kind, init: Init) -> ParameterId {
        let decays = self.decay.applies(kind, part);
        self.all.push(Parameter { part, shape: Shape::new(shape), kind, decays, init, block: self.block });
        ParameterId((self.all.len() - 1) as u32)
    }

    fn table(&mut self, part: &'static str, rows: u64, columns: u64, kind: Kind) -> ParameterId {
        let std = self.std;
        self.add(part, &[rows, columns], kind, Init::Normal { std })
    }

    fn bias(&mut self, part: &'static str, columns: u64) -> ParameterId {
        self.add(part, &[columns], Kind::Bias, Init::Constant(0.0))
    }

    /// A projection, with a bias where that has a name.
    fn linear(&mut self, part: &'static str, bias: Option<&'static str>, rows: u64, columns: u64) -> Linear {
        let weight = self.table(part, rows, columns, Kind::Matrix);
        Linear { weight, bias: bias.map(|part| self.bias(part, columns)) }
    }

    fn norm(&mut self, [gain, bias]: [&'static str; 2]) -> NormParameters {
        let d = self.model.width;
        let (extent, first) = match self.model.norm {
            Norm::LayerNorm { .. } | Norm::RmsNorm { .. } => (d, 1.0),
            Norm::ScaleNorm { .. } => (1, libm::sqrt(d as f64)),
        };
        let gain = self.add(gain, &[extent], Kind::Norm, Init::Constant(first));
        let has_bias = matches!(self.model.norm, Norm::LayerNorm { .. });
        let bias = has_bias.then(|| self.add(bias, &[d], Kind::Norm, Init::Constant(0.0)));
        NormParameters { gain, bias }
    }

    fn places(&mut self, positions: &Positions, sequence: u64, d: u64) -> Places {
        match positions {
            // The official code begins the factor at D^-½.
            Positions::ScaledSinusoidal {} => {
                let first = Init::Constant(1.0 / libm::sqrt(d as f64));
                Places::Factor(self.add("embedding.position_scale", &[1], Kind::Position, first))
            }
            Positions::Learned { length } => {
                Places::Table(self.table("embedding.position", length.unwrap_or(sequence), d, Kind::Position))
            }
            Positions::Sinusoidal {} | Positions::Rotary { .. } | Positions::NoPositions {} => Places::Fixed,
        }
    }

    fn block(&mut self, i: u64) -> Block {
        self.block = Some(i);
        let model = self.model;
        let (d, inner) = (model.width, model.feed_forward.inner());
        let (qkv, dense) = (model.biases.qkv, model.biases.dense);
        let sandwich = matches!(model.placement, Placement::Sandwich {});
        let block = Block {
            attention_norm: self.norm(["attention_norm.gain", "attention_norm.bias"]),
            query: self.linear("attention.query", qkv.then_some("attention.query_bias"), d, d),
            key: self.linear("attention.key", qkv.then_some("attention.key_bias"), d, d),
            value: self.linear("attention.value", qkv.then_some("attention.value_bias"), d, d),
            output: self.linear("attention.output", dense.then_some("attention.output_bias"), d, d),
            attention_out_norm: sandwich.then(|| self.norm(["attention_out_norm.gain", "attention_out_norm.bias"])),
            feed_forward_norm: self.norm(["feed_forward_norm.gain", "feed_forward_norm.bias"]),
            inputs: match model.feed_forward {
                FeedForward::Glu { .. } => Inputs::Gated(
                    self.linear("feed_forward.value", dense.then_some("feed_forward.value_bias"), d, inner),
                    self.linear("feed_forward.gate", dense.then_some("feed_forward.gate_bias"), d, inner),
                ),
                FeedForward::Mlp { .. } => {
                    Inputs::Plain(self.linear("feed_forward.input", dense.then_some("feed_forward.input_bias"), d, inner))
                }
            },
            down: self.linear("feed_forward.output", dense.then_some("feed_forward.output_bias"), inner, d),
            feed_forward_out_norm: sandwich.then(|| self.norm(["feed_forward_out_norm.gain", "feed_forward_out_norm.bias"])),
        };
        self.block = None;
        block
    }
}
