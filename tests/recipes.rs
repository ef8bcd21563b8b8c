//! The shipped recipes: parameters and FLOPs against the official models' (`golden/params.json`, `golden/flops.json`), and against the
//! formulas of the paper's architecture where no model was instantiated.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::Path;

use common::{costed_file, shipped};
use cramplan::check::Costed;
use cramplan::device::find;
use cramplan::step::Walk;
use serde_json::Value;

fn recipe(name: &str, overrides: &[&str]) -> Costed {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes").join(format!("{name}.ron"));
    costed_file(&path, overrides, find("rtx-a6000").unwrap())
}

/// The official code counted with the exemptions of its second version, whatever the configuration.
fn counted(name: &str) -> (u64, u64, u64, u64) {
    let counts = recipe(name, &["optimizer.decay=ExceptNorms"]).estimate.parameters;
    (counts.total, counts.embedding, counts.non_embedding, counts.decayed)
}

#[test]
fn parameters_are_those_of_the_official_models() {
    let golden: Value = serde_json::from_str(include_str!("golden/params.json")).unwrap();
    let models = golden["models"].as_object().unwrap();
    for (official, model) in models {
        let name = official.strip_prefix("v1/").unwrap_or(official);
        let number = |key: &str| model[key].as_u64().unwrap();
        let wanted = (number("total"), number("word_embedding"), number("non_embedding"), number("decay_params"));
        assert_eq!(counted(name), wanted, "{official}: total, words, all but tables, decayed");
    }
    assert_eq!(models.len(), 7);
}

/// A row of the paper's table of architectures.
struct Row {
    name: &'static str,
    /// Blocks, width, intermediate width, vocabulary's table width.
    extents: [u64; 4],
    gated: bool,
    /// Of queries, keys, values and everything else in the model; of the decoder.
    biases: [bool; 2],
    /// Rows of the table of positions; 0 is the one factor of the sinusoids.
    places: u64,
    /// None, plain or nonlinear.
    head: u64,
    final_norm: bool,
}

/// Those without an instantiated model.
const ROWS: [Row; 7] = [
    Row {
        name: "crammed-large-izsak",
        extents: [24, 1024, 4096, 1024],
        gated: false,
        biases: [true, true],
        places: 128,
        head: 2,
        final_norm: false,
    },
    Row {
        name: "crammed-bamboo",
        extents: [48, 384, 1536, 384],
        gated: true,
        biases: [false, false],
        places: 0,
        head: 0,
        final_norm: true,
    },
    Row {
        name: "bert-c2",
        extents: [12, 768, 3072, 768],
        gated: false,
        biases: [true, true],
        places: 0,
        head: 2,
        final_norm: false,
    },
    Row {
        name: "bert-c3",
        extents: [12, 768, 3072, 768],
        gated: false,
        biases: [true, false],
        places: 0,
        head: 1,
        final_norm: false,
    },
    Row {
        name: "bert-c4",
        extents: [12, 768, 3072, 768],
        gated: true,
        biases: [false, false],
        places: 0,
        head: 1,
        final_norm: true,
    },
    Row {
        name: "bert-i4",
        extents: [8, 1088, 4352, 1088],
        gated: false,
        biases: [false, false],
        places: 0,
        head: 1,
        final_norm: true,
    },
    Row {
        name: "bert-tiny",
        extents: [4, 384, 1024, 96],
        gated: false,
        biases: [true, true],
        places: 128,
        head: 2,
        final_norm: false,
    },
];

/// Total, and norms and biases, of a row: with V = 32768, four D×D a block for attention, D×I and I'×D for the feed-forward half, and two
/// numbers a column for each norm.
fn by_formula(row: &Row) -> (u64, u64) {
    let [l, d, i, e] = row.extents;
    let v = 32_768;
    let inner = if row.gated { i / 2 } else { i };
    let [dense, decoder] = row.biases;
    let if_dense = |n: u64| if dense { n } else { 0 };
    let narrow = if e == d { 0 } else { 2 * d * e };
    let head = if row.head > 0 { d * d } else { 0 };
    let matrices = v * e + narrow + l * (4 * d * d + d * i + inner * d) + head + if row.places > 0 { row.places * d } else { 1 };
    let norms = 2 * d * (1 + 2 * l + u64::from(row.final_norm) + u64::from(row.head == 2));
    // Queries, keys, values, attention's output, both sides of the feed-forward half; the head's transform; the narrow table's projections.
    let biases = if_dense(l * (4 * d + i + d))
        + if_dense(if row.head > 0 { d } else { 0 })
        + if_dense(if e == d { 0 } else { d + e })
        + if decoder { v } else { 0 };
    (matrices + norms + biases, norms + biases)
}

#[test]
fn parameters_of_the_other_configurations_are_those_of_the_formulas() {
    for row in &ROWS {
        let (total, spared) = by_formula(row);
        let found = counted(row.name);
        assert_eq!((found.0, found.3), (total, total - spared), "{}", row.name);
    }
}

#[test]
fn flops_are_those_of_the_official_models_in_every_shape() {
    let golden: Value = serde_json::from_str(include_str!("golden/flops.json")).unwrap();
    let shapes = golden["flops"].as_object().unwrap();
    for (shape, flops) in shapes {
        let [name, extents, prediction] = shape.split('/').collect::<Vec<_>>()[..] else { panic!("{shape}") };
        let (batch, sequence) = extents[1..].split_once("xS").unwrap();
        let prediction = if prediction == "dense" { "Dense()" } else { "Sparse(15%)" };
        let overrides = [
            format!("micro_batch={batch}"),
            format!("model.sequence={sequence}"),
            format!("objective.prediction={prediction}"),
            "recompute=Nothing".to_owned(),
        ];
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        let costed = recipe(name, &overrides);
        let walk = costed.estimate.walk(Walk::First);
        let wanted = |key: &str| u128::from(flops[key].as_u64().unwrap());
        assert_eq!((walk.forward.0, walk.model().0), (wanted("forward"), wanted("forward_backward")), "{shape}");
    }
    assert_eq!(shapes.len(), 9);
}

#[test]
fn every_recipe_is_valid_and_named_after_its_file() {
    let all = shipped();
    assert!(all.len() > 45, "{}", all.len());
    for path in all {
        let costed = costed_file(&path, &[], find("rtx-a6000").unwrap());
        let stem = path.file_stem().unwrap().to_string_lossy();
        let prefix = if path.parent().unwrap().ends_with("ablations") { "crammed-bert-" } else { "" };
        assert_eq!(costed.recipe.name, format!("{prefix}{stem}"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("// "), "{stem} says what it is");
    }
}

/// An ablation differs from crammed-BERT, and from every other one.
#[test]
fn every_ablation_is_another_training() {
    let mut seen = vec![recipe("crammed-bert", &["name=\"same\""]).recipe];
    for path in shipped().into_iter().filter(|path| path.parent().unwrap().ends_with("ablations")) {
        let found = costed_file(&path, &["name=\"same\""], find("rtx-a6000").unwrap()).recipe;
        assert!(!seen.contains(&found), "{}", path.display());
        seen.push(found);
    }
}
