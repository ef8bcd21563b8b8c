//! Extents, parameters and batch: what follows from the recipe's fields alone.

use super::format::{Content, Counts, Extents, Parameter};
use super::optimizer::decays;
use super::recipe::{
    Batch, Encoder, FeedForward, MicroBatch, Norm, Placement, Positions, Prediction, Recipe, Recomputation, Tokenizer, Transform,
};
use super::{At, Book, Law};
use crate::units::Ratio;

/// Checks extents, parameters and batch.
pub fn check(content: &Content, book: &mut Book) {
    extents(content, book);
    parameters(content, book);
    batch(content, book);
    recompute(content, book);
}

/// What the recipe asks to be recomputed: shares of the depth, rounded up to whole blocks.
fn recompute(content: &Content, book: &mut Book) {
    let depth = content.extents.depth;
    let within = content.recompute.iter().all(|blocks| *blocks <= depth);
    book.hold(Law::Recompute, At::field("recompute"), within, content.recompute, format!("{depth} blocks at most"));
    let blocks = |share: Ratio| ((share.0 * depth as f64 - 1e-9).ceil().max(0.0) as u64).min(depth);
    let asked = match content.recipe.recompute {
        Recomputation::Auto {} => return,
        Recomputation::Nothing {} => [0; 5],
        Recomputation::Blocks {} => [depth; 5],
        Recomputation::Parts { norms, gates, attention, projections, residuals } => {
            [norms, gates, attention, projections, residuals].map(blocks)
        }
    };
    book.equal(Law::Recompute, At::field("recompute"), content.recompute, asked);
}

/// Each extent from its field; of the rows, `round(share · B · S)`, half to even, are predicted, one at least.
fn extents(content: &Content, book: &mut Book) {
    let (recipe, stated) = (&content.recipe, content.extents);
    let Tokenizer::WordPiece { vocab } = recipe.data.tokenizer;
    let rows = stated.batch.saturating_mul(recipe.model.sequence);
    let predicted = match &recipe.objective.prediction {
        Prediction::Dense {} => rows,
        Prediction::Sparse { share } => {
            let share = share.unwrap_or(recipe.objective.rate).0;
            ((share * rows as f64).round_ties_even() as u64).min(rows).max(1)
        }
    };
    let (inner, halves) = match recipe.model.feed_forward {
        FeedForward::Glu { intermediate, .. } => (intermediate / 2, intermediate.is_multiple_of(2)),
        FeedForward::Mlp { intermediate, .. } => (intermediate, true),
    };
    let derived = Extents {
        batch: stated.batch,
        sequence: recipe.model.sequence,
        width: recipe.model.width,
        heads: recipe.model.heads,
        inner,
        depth: recipe.model.depth,
        vocabulary: vocab,
        predicted,
    };
    book.equal(Law::Extents, At::field("extents"), stated, derived);
    book.equal(Law::Extents, At::field("micro_tokens"), content.micro_tokens, rows);
    book.hold(Law::Extents, At::field("extents.inner"), halves, stated.inner, "half of an even number");
    let divides = stated.heads > 0 && stated.width.is_multiple_of(stated.heads);
    book.hold(Law::Extents, At::field("extents.heads"), divides, stated.heads, "a divisor of the width");
}

/// Shape of the fixed table of places: a row of sinusoids for each, or a row of cosines and one of sines of half a head's width.
pub fn position_table(model: &Encoder) -> Option<Vec<u64>> {
    match model.positions {
        Positions::ScaledSinusoidal {} | Positions::Sinusoidal {} => Some(vec![model.sequence, model.width]),
        Positions::Rotary { .. } => Some(vec![model.sequence.saturating_mul(2), model.width / model.heads.max(1) / 2]),
        Positions::Learned { .. } | Positions::NoPositions {} => None,
    }
}

/// What sort of parameter it is, for who counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Words,
    Places,
    Other,
}

/// The parameters against the model, and their sums.
fn parameters(content: &Content, book: &mut Book) {
    let all = list(&content.recipe.model, content.extents);
    let decays = |name: &str| decays(&content.recipe.optimizer, name);
    let elements = |shape: &[u64]| shape.iter().fold(1u128, |n, extent| n.saturating_mul(u128::from(*extent)));
    let sum = |keep: &dyn Fn(&str, Sort) -> bool| {
        let kept = all.iter().filter(|(name, _, sort)| keep(name, *sort)).map(|(_, shape, _)| elements(shape));
        u64::try_from(kept.fold(0u128, u128::saturating_add)).unwrap_or(u64::MAX)
    };
    let derived = Counts {
        total: sum(&|_, _| true),
        embedding: sum(&|_, sort| sort == Sort::Words),
        non_embedding: sum(&|_, sort| !matches!(sort, Sort::Words | Sort::Places)),
        decayed: sum(&|name, _| decays(name)),
    };
    book.equal(Law::Parameters, At::field("counts"), content.counts, derived);
    if book.equal(Law::Parameters, At::field("parameters"), content.parameters.len(), all.len()) {
        for (stated, (name, shape, _)) in content.parameters.iter().zip(all) {
            let derived = Parameter { decays: decays(&name), name, shape };
            book.equal(Law::Parameters, At::field("parameters"), stated, &derived);
        }
    }
}

/// A list of parameters in the making.
struct List<'a> {
    model: &'a Encoder,
    all: Vec<(String, Vec<u64>, Sort)>,
}

impl List<'_> {
    fn add(&mut self, name: impl Into<String>, shape: &[u64], sort: Sort) {
        self.all.push((name.into(), shape.to_vec(), sort));
    }

    /// A matrix, and its bias where there is one.
    fn linear(&mut self, name: &str, [rows, columns]: [u64; 2], biased: bool) {
        self.add(name, &[rows, columns], Sort::Other);
        if biased {
            self.add(format!("{name}_bias"), &[columns], Sort::Other);
        }
    }

    fn norm(&mut self, name: &str) {
        let gains = if matches!(self.model.norm, Norm::ScaleNorm { .. }) { 1 } else { self.model.width };
        self.add(format!("{name}.gain"), &[gains], Sort::Other);
        if matches!(self.model.norm, Norm::LayerNorm { .. }) {
            self.add(format!("{name}.bias"), &[self.model.width], Sort::Other);
        }
    }

    fn block(&mut self, i: u64, inner: u64) {
        let (d, qkv, dense) = (self.model.width, self.model.biases.qkv, self.model.biases.dense);
        let sandwich = matches!(self.model.placement, Placement::Sandwich {});
        let name = |part: &str| format!("block.{i}.{part}");
        self.norm(&name("attention_norm"));
        for part in ["query", "key", "value"] {
            self.linear(&name(&format!("attention.{part}")), [d, d], qkv);
        }
        self.linear(&name("attention.output"), [d, d], dense);
        if sandwich {
            self.norm(&name("attention_out_norm"));
        }
        self.norm(&name("feed_forward_norm"));
        let inputs: &[&str] = match self.model.feed_forward {
            FeedForward::Glu { .. } => &["value", "gate"],
            FeedForward::Mlp { .. } => &["input"],
        };
        for part in inputs {
            self.linear(&name(&format!("feed_forward.{part}")), [d, inner], dense);
        }
        self.linear(&name("feed_forward.output"), [inner, d], dense);
        if sandwich {
            self.norm(&name("feed_forward_out_norm"));
        }
    }
}

/// The parameters in their order.
fn list(model: &Encoder, e: Extents) -> Vec<(String, Vec<u64>, Sort)> {
    let mut list = List { model, all: Vec::new() };
    let (d, width) = (model.width, model.embedding.table_width.unwrap_or(model.width));
    list.add("embedding.word", &[e.vocabulary, width], Sort::Words);
    if width != d {
        list.linear("embedding.projection", [width, d], model.biases.dense);
    }
    if model.token_types > 0 {
        list.add("embedding.token_type", &[model.token_types, d], Sort::Places);
    }
    match model.positions {
        Positions::ScaledSinusoidal {} => list.add("embedding.position_scale", &[1], Sort::Places),
        Positions::Learned { length } => list.add("embedding.position", &[length.unwrap_or(model.sequence), d], Sort::Places),
        _ => {}
    }
    if model.embedding.input_norm {
        list.norm("embedding.norm");
    }
    for i in 0..e.depth {
        list.block(i, e.inner);
    }
    if model.head.final_norm {
        list.norm("final_norm");
    }
    if !matches!(model.head.transform, Transform::Skipped {}) {
        list.linear("head.transform", [d, d], model.biases.dense);
    }
    if matches!(model.head.transform, Transform::Nonlinear {}) {
        list.norm("head.norm");
    }
    if !model.embedding.tied {
        list.add("head.decoder", &[e.vocabulary, d], Sort::Other);
    } else if width != d {
        list.linear("head.projection", [d, width], model.biases.dense);
    }
    if model.biases.decoder {
        list.add("head.decoder_bias", &[e.vocabulary], Sort::Other);
    }
    list.all
}

/// The batch at full size, in sequences.
pub fn full_batch(recipe: &Recipe) -> u64 {
    match recipe.batch {
        Batch::Ramp { to, .. } => to,
        Batch::Constant { size } => size,
    }
}

/// The fewest micro-batches that hold the full batch; a micro-batch that is asked for is kept.
fn batch(content: &Content, book: &mut Book) {
    let (full, micro) = (full_batch(&content.recipe), content.extents.batch);
    if !book.hold(Law::Batch, At::field("extents.batch"), micro > 0, micro, "one sequence at least") {
        return;
    }
    book.equal(Law::Batch, At::field("accumulation"), content.accumulation, full.div_ceil(micro));
    match content.recipe.micro_batch {
        MicroBatch::Fixed(asked) => book.equal(Law::Batch, At::field("extents.batch"), micro, asked),
        MicroBatch::Auto => {
            book.hold(Law::Batch, At::field("extents.batch"), full.is_multiple_of(micro), micro, "a divisor of the batch")
        }
    };
}
