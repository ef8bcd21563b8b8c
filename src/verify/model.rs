//! Extents, parameters and batch: what follows from the recipe's fields alone.

use super::format::{Content, Counts, Extents, Parameter};
use super::optimizer::decays;
use super::recipe::{Batch, FeedForward, MicroBatch, Prediction, Recipe, Recomputation, Tokenizer};
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
    let FeedForward::GeluGlu { intermediate } = recipe.model.feed_forward;
    let Tokenizer::WordPiece { vocab } = recipe.data.tokenizer;
    let rows = stated.batch.saturating_mul(recipe.model.sequence);
    let predicted = match &recipe.objective.prediction {
        Prediction::Dense {} => rows,
        Prediction::Sparse { share } => {
            let share = share.unwrap_or(recipe.objective.rate).0;
            ((share * rows as f64).round_ties_even() as u64).min(rows).max(1)
        }
    };
    let derived = Extents {
        batch: stated.batch,
        sequence: recipe.model.sequence,
        width: recipe.model.width,
        heads: recipe.model.heads,
        half: intermediate / 2,
        depth: recipe.model.depth,
        vocabulary: vocab,
        predicted,
    };
    book.equal(Law::Extents, At::field("extents"), stated, derived);
    book.equal(Law::Extents, At::field("micro_tokens"), content.micro_tokens, rows);
    let halves = stated.half.checked_mul(2);
    book.equal(Law::Extents, At::field("extents.half"), halves, Some(intermediate));
    let divides = stated.heads > 0 && stated.width.is_multiple_of(stated.heads);
    book.hold(Law::Extents, At::field("extents.heads"), divides, stated.heads, "a divisor of the width");
}

/// V·D for the words, 1 for the positions, 2·D for each norm; in a block four D·D for attention, and three D·(I/2) for the gate.
fn parameters(content: &Content, book: &mut Book) {
    let e = content.extents;
    let (d, half) = (u128::from(e.width), u128::from(e.half));
    let norms = 2 * d * (2 + 2 * u128::from(e.depth));
    let block = 4 * d * d + 3 * d * half;
    let embedding = u128::from(e.vocabulary) * d;
    let total = embedding + 1 + norms + u128::from(e.depth).saturating_mul(block);
    let decays = |name: &str| decays(&content.recipe.optimizer, name);
    let matrices = u128::from(e.depth).saturating_mul(block);
    let kinds = [
        ("embedding.word", embedding),
        ("embedding.position_scale", 1),
        ("final_norm.gain", norms / 2),
        ("final_norm.bias", norms / 2),
        ("block.0.attention.query", matrices),
    ];
    let decayed = kinds.into_iter().filter(|(name, _)| decays(name)).fold(0u128, |n, (_, elements)| n.saturating_add(elements));
    let number = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
    let derived = Counts {
        total: number(total),
        embedding: number(embedding),
        non_embedding: number(total - embedding - 1),
        decayed: number(decayed),
    };
    book.equal(Law::Parameters, At::field("counts"), content.counts, derived);
    let expected = u128::from(e.depth) * 11 + 6;
    if book.equal(Law::Parameters, At::field("parameters"), content.parameters.len() as u128, expected) {
        for (stated, derived) in content.parameters.iter().zip(list(e, &decays)) {
            book.equal(Law::Parameters, At::field("parameters"), stated, &derived);
        }
    }
}

/// The parameters in their order.
fn list(e: Extents, decays: &dyn Fn(&str) -> bool) -> Vec<Parameter> {
    let mut all = Vec::new();
    let mut add = |name: String, shape: &[u64]| {
        let decays = decays(&name);
        all.push(Parameter { name, shape: shape.to_vec(), decays });
    };
    add("embedding.word".to_owned(), &[e.vocabulary, e.width]);
    add("embedding.position_scale".to_owned(), &[1]);
    let norm = |add: &mut dyn FnMut(String, &[u64]), name: &str| {
        add(format!("{name}.gain"), &[e.width]);
        add(format!("{name}.bias"), &[e.width]);
    };
    norm(&mut add, "embedding.norm");
    for i in 0..e.depth {
        norm(&mut add, &format!("block.{i}.attention_norm"));
        for part in ["query", "key", "value", "output"] {
            add(format!("block.{i}.attention.{part}"), &[e.width, e.width]);
        }
        norm(&mut add, &format!("block.{i}.feed_forward_norm"));
        for part in ["value", "gate"] {
            add(format!("block.{i}.feed_forward.{part}"), &[e.width, e.half]);
        }
        add(format!("block.{i}.feed_forward.output"), &[e.half, e.width]);
    }
    norm(&mut add, "final_norm");
    all
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
