//! The parameters of the model: names, shapes, who decays and how they begin.

use serde::{Deserialize, Serialize};

use super::Extents;
use super::tensor::{ParameterId, Shape};
use crate::recipe::settings::{Decay, Initialization, Recipe};

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
    /// The word table, which is also the decoder.
    Embedding,
    /// The factor of the position table.
    PositionScale,
    /// Gain or bias of a norm.
    Norm,
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

/// The parameters of a block.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are the field's own")]
pub struct Block {
    pub attention_norm: (ParameterId, ParameterId),
    pub query: ParameterId,
    pub key: ParameterId,
    pub value: ParameterId,
    pub output: ParameterId,
    pub feed_forward_norm: (ParameterId, ParameterId),
    pub up: ParameterId,
    pub gate: ParameterId,
    pub down: ParameterId,
}

/// All parameters of a model, in a fixed order.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    all: Vec<Parameter>,
    /// The word table `[V, D]`.
    pub words: ParameterId,
    /// The factor of the position table `[1]`.
    pub position_scale: ParameterId,
    /// Norm after the embedding.
    pub embedding_norm: (ParameterId, ParameterId),
    /// The blocks, first to last.
    pub blocks: Vec<Block>,
    /// Norm before the decoder.
    pub final_norm: (ParameterId, ParameterId),
}

/// Counts that a verdict shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterCounts {
    /// All.
    pub total: u64,
    /// The word table.
    pub embedding: u64,
    /// All but the word table and the position factor, as the paper counts.
    pub non_embedding: u64,
    /// Those that weight decay applies to.
    pub decayed: u64,
}

impl Parameters {
    /// The parameters of a recipe's model, with this many blocks.
    pub fn of(recipe: &Recipe, e: &Extents, blocks: u64) -> Self {
        let Initialization::Normal { std } = recipe.model.init;
        let mut list =
            List { all: Vec::with_capacity(5 + 11 * blocks as usize), std, decay: recipe.optimizer.decay(), block: None };
        let d = e.width;
        let words = list.add("embedding.word", &[e.vocabulary, d], Kind::Embedding, Init::Normal { std });
        // The official code begins the factor at D^-½.
        let position_scale =
            list.add("embedding.position_scale", &[1], Kind::PositionScale, Init::Constant(1.0 / libm::sqrt(d as f64)));
        let embedding_norm = list.norm(["embedding.norm.gain", "embedding.norm.bias"], d);
        let blocks = (0..blocks).map(|i| list.block(i, d, e.half)).collect();
        let final_norm = list.norm(["final_norm.gain", "final_norm.bias"], d);
        Self { all: list.all, words, position_scale, embedding_norm, blocks, final_norm }
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
            non_embedding: sum(&|p| !matches!(p.kind, Kind::Embedding | Kind::PositionScale)),
            decayed: sum(&|p| p.decays),
        }
    }
}

struct List<'a> {
    all: Vec<Parameter>,
    std: f64,
    decay: &'a Decay,
    /// The block that is being listed.
    block: Option<u64>,
}

impl List<'_> {
    fn add(&mut self, part: &'static str, shape: &[u64], kind: Kind, init: Init) -> ParameterId {
        let decays = self.decay.applies(kind, part);
        self.all.push(Parameter { part, shape: Shape::new(shape), kind, decays, init, block: self.block });
        ParameterId((self.all.len() - 1) as u32)
    }

    fn norm(&mut self, [gain, bias]: [&'static str; 2], d: u64) -> (ParameterId, ParameterId) {
        let gain = self.add(gain, &[d], Kind::Norm, Init::Constant(1.0));
        let bias = self.add(bias, &[d], Kind::Norm, Init::Constant(0.0));
        (gain, bias)
    }

    fn matrix(&mut self, part: &'static str, rows: u64, columns: u64) -> ParameterId {
        let std = self.std;
        self.add(part, &[rows, columns], Kind::Matrix, Init::Normal { std })
    }

    fn block(&mut self, i: u64, d: u64, half: u64) -> Block {
        self.block = Some(i);
        let block = Block {
            attention_norm: self.norm(["attention_norm.gain", "attention_norm.bias"], d),
            query: self.matrix("attention.query", d, d),
            key: self.matrix("attention.key", d, d),
            value: self.matrix("attention.value", d, d),
            output: self.matrix("attention.output", d, d),
            feed_forward_norm: self.norm(["feed_forward_norm.gain", "feed_forward_norm.bias"], d),
            up: self.matrix("feed_forward.value", d, half),
            gate: self.matrix("feed_forward.gate", d, half),
            down: self.matrix("feed_forward.output", half, d),
        };
        self.block = None;
        block
    }
}
