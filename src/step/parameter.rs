//! The parameters of the model: names, shapes, who decays and how they begin.

use serde::{Deserialize, Serialize};

use super::Extents;
use super::tensor::ParameterId;
use crate::recipe::settings::{Decay, Initialization, Optimizer, Recipe};

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name in saved weights.
    pub name: String,
    /// Its shape; matrices are `[in, out]`.
    pub shape: Vec<u64>,
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
    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1u64, |n, d| n.saturating_mul(*d))
    }
}

/// The parameters of a block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
        let Optimizer::AdamW { decay, .. } = &recipe.optimizer;
        let mut list = List { all: Vec::new(), std, norms_decay: matches!(decay, Decay::Everything {}), block: None };
        let d = e.width;
        let words = list.add("embedding.word", &[e.vocabulary, d], Kind::Embedding, Init::Normal { std });
        // The official code begins the factor at D^-½.
        let position_scale =
            list.add("embedding.position_scale", &[1], Kind::PositionScale, Init::Constant(1.0 / libm::sqrt(d as f64)));
        let embedding_norm = list.norm("embedding.norm", d);
        let blocks = (0..blocks).map(|i| list.block(i, d, e.half)).collect();
        let final_norm = list.norm("final_norm", d);
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

struct List {
    all: Vec<Parameter>,
    std: f64,
    norms_decay: bool,
    /// The block that is being listed.
    block: Option<u64>,
}

impl List {
    fn add(&mut self, name: &str, shape: &[u64], kind: Kind, init: Init) -> ParameterId {
        let decays = kind != Kind::Norm || self.norms_decay;
        self.all.push(Parameter { name: name.to_owned(), shape: shape.to_vec(), kind, decays, init, block: self.block });
        ParameterId((self.all.len() - 1) as u32)
    }

    fn norm(&mut self, name: &str, d: u64) -> (ParameterId, ParameterId) {
        let gain = self.add(&format!("{name}.gain"), &[d], Kind::Norm, Init::Constant(1.0));
        let bias = self.add(&format!("{name}.bias"), &[d], Kind::Norm, Init::Constant(0.0));
        (gain, bias)
    }

    fn matrix(&mut self, name: &str, rows: u64, columns: u64) -> ParameterId {
        let std = self.std;
        self.add(name, &[rows, columns], Kind::Matrix, Init::Normal { std })
    }

    fn block(&mut self, i: u64, d: u64, half: u64) -> Block {
        self.block = Some(i);
        let block = Block {
            attention_norm: self.norm(&format!("block.{i}.attention_norm"), d),
            query: self.matrix(&format!("block.{i}.attention.query"), d, d),
            key: self.matrix(&format!("block.{i}.attention.key"), d, d),
            value: self.matrix(&format!("block.{i}.attention.value"), d, d),
            output: self.matrix(&format!("block.{i}.attention.output"), d, d),
            feed_forward_norm: self.norm(&format!("block.{i}.feed_forward_norm"), d),
            up: self.matrix(&format!("block.{i}.feed_forward.value"), d, half),
            gate: self.matrix(&format!("block.{i}.feed_forward.gate"), d, half),
            down: self.matrix(&format!("block.{i}.feed_forward.output"), half, d),
        };
        self.block = None;
        block
    }
}
