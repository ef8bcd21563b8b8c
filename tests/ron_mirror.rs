//! RON without our additions means the same to the `ron` crate: random recipes, read by both into the same typed settings.
//!
//! The mirror is [`Recipe`] itself, which serde reads from `ron`'s parser and the recipe's own stages from ours. `ron` is given
//! `implicit_some`, since recipes write no `Some` and have no line of extensions; and where [`Newtypes::Bare`] says so `unwrap_newtypes`,
//! with which `ron` reads `0.25` for `Ratio(0.25)` and no longer the latter. Every field that may not be left out is written: serde knows no
//! defaults. Rules between fields are not `ron`'s business, so values are compared before them.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may panic and show what it sees")]

#[path = "ron_mirror/draw.rs"]
mod draw;
#[path = "ron_mirror/generate.rs"]
mod generate;
#[path = "ron_mirror/write.rs"]
mod write;

use std::collections::BTreeSet;

use cramplan::diag::{Code, Diagnostic};
use cramplan::recipe::decode::{Decode, Decoder};
use cramplan::recipe::eval::evaluate_alone;
use cramplan::recipe::resolve;
use cramplan::recipe::schema::{RecordInfo, TypeInfo};
use cramplan::recipe::settings::Recipe;
use cramplan::recipe::value::Value;
use cramplan::source::SourceId;
use cramplan::syntax::parse;
use ron::extensions::Extensions;

use self::draw::Draw;
use self::generate::{Newtypes, Node};

/// Recipes of each kind.
const RECIPES: u64 = 600;

static SCHEMA: RecordInfo = Recipe::INFO;

fn recipe(seed: u64) -> (Node, Newtypes, Draw) {
    let mut draw = Draw::new(seed);
    let newtypes = if draw.chance(70) { Newtypes::Named } else { Newtypes::Bare };
    (generate::record(&SCHEMA, false, newtypes, &mut draw), newtypes, draw)
}

fn theirs(text: &str, newtypes: Newtypes) -> Result<Recipe, String> {
    let unwrapped = if newtypes == Newtypes::Bare { Extensions::UNWRAP_NEWTYPES } else { Extensions::empty() };
    let options = ron::Options::default().with_default_extension(Extensions::IMPLICIT_SOME | unwrapped);
    options.from_str(text).map_err(|error| error.to_string())
}

/// The value of a text, or what is wrong with its syntax.
fn read(text: &str) -> Result<Value, Vec<Diagnostic>> {
    let (document, mut found) = parse(SourceId(0), text);
    let (value, more) = evaluate_alone(&document.unwrap());
    found.extend(more);
    if found.is_empty() { Ok(value) } else { Err(found) }
}

/// The settings of a text, before the rules between fields; or what is wrong.
fn ours(text: &str) -> Result<Recipe, Vec<Diagnostic>> {
    let value = read(text)?;
    let mut decoder = Decoder::new(Vec::new());
    let recipe = Recipe::decode(&value, &mut decoder, None);
    let (found, _) = decoder.finish();
    recipe.filter(|_| found.is_empty()).ok_or(found)
}

#[test]
fn any_spelling_means_the_same_to_both() {
    for seed in 0..RECIPES {
        let (node, newtypes, mut draw) = recipe(seed);
        let plain = write::plainly(&node);
        let meant = theirs(&plain, newtypes).unwrap_or_else(|why| panic!("{seed}: `ron`: {why}\n{plain}"));
        assert_eq!(ours(&plain).as_ref(), Ok(&meant), "{seed}:\n{plain}");
        for _ in 0..5 {
            let tokens = write::tokens(&node, &mut draw);
            let text = write::spaced(&tokens, &mut draw);
            assert_eq!(theirs(&text, newtypes).as_ref(), Ok(&meant), "{seed}, `ron`:\n{text}");
            assert_eq!(ours(&text).as_ref(), Ok(&meant), "{seed}:\n{text}");
        }
    }
}

/// What serde writes, as plans are saved, we read.
#[test]
fn what_ron_writes_is_a_recipe() {
    for seed in 0..RECIPES {
        let (node, newtypes, mut draw) = recipe(seed);
        let meant = theirs(&write::plainly(&node), newtypes).unwrap();
        let pretty = ron::ser::PrettyConfig::new()
            .struct_names(draw.chance(70))
            .separate_tuple_members(draw.chance(50))
            .enumerate_arrays(draw.chance(50))
            .escape_strings(draw.chance(70))
            .compact_arrays(draw.chance(50))
            .compact_structs(draw.chance(50))
            .depth_limit(draw.below(6));
        // Without its name a duration is a bare number to us, and refused; so `ron` must write the names where there is one.
        let pretty = if newtypes == Newtypes::Named { pretty.struct_names(true) } else { pretty };
        let text = ron::ser::to_string_pretty(&meant, pretty).unwrap();
        assert_eq!(ours(&text).as_ref(), Ok(&meant), "{seed}:\n{text}");
    }
}

/// A change of a text's tokens.
#[derive(Debug)]
enum Change<'t> {
    Removed(&'t str),
    Swapped(&'t str, &'t str),
}

fn change<'t>(tokens: &'t [String], broken: &mut Vec<String>, draw: &mut Draw) -> Change<'t> {
    let first = draw.below(tokens.len());
    if draw.chance(50) {
        broken.remove(first);
        return Change::Removed(tokens[first].trim_start_matches("r#"));
    }
    let second = if draw.chance(50) { (first + 1) % tokens.len() } else { draw.below(tokens.len()) };
    broken.swap(first, second);
    Change::Swapped(&tokens[first], &tokens[second])
}

/// A token taken out or put elsewhere: what the one refuses the other refuses, and what both take means the same; but for the excused.
#[test]
fn what_is_broken_for_the_one_is_broken_for_the_other() {
    let (mut taken, mut refused, mut excused) = (0, 0, BTreeSet::new());
    for seed in 0..RECIPES {
        let (node, newtypes, mut draw) = recipe(seed);
        let tokens = write::tokens(&node, &mut draw);
        for _ in 0..20 {
            let mut broken = tokens.clone();
            let change = change(&tokens, &mut broken, &mut draw);
            let text = write::spaced(&broken, &mut draw);
            match (ours(&text), theirs(&text, newtypes)) {
                (Ok(found), Ok(wanted)) => {
                    assert_eq!(found, wanted, "{seed}: {change:?}\n{text}");
                    taken += 1;
                }
                (Err(_), Err(_)) => refused += 1,
                (found, wanted) => {
                    let why = excuse(&change, &found);
                    excused.insert(why.unwrap_or_else(|| panic!("{seed}: {change:?}\n{found:?}\n`ron`: {wanted:?}\n{text}")));
                }
            }
            // What `ron` can parse without knowing what is wanted, we can parse too.
            let (_, found) = parse(SourceId(0), &text);
            assert!(found.is_empty() || ron::from_str::<ron::Value>(&text).is_err(), "{seed}: {change:?}\n{found:?}\n{text}");
        }
    }
    println!("{taken} taken and {refused} refused by both; excused: {excused:#?}");
    assert!(taken > 200 && refused > 5000, "{taken} taken, {refused} refused");
}

/// Why only one of the two may take a text. These are all; `the_excuses_are_these` has an example of each.
fn excuse(change: &Change<'_>, ours: &Result<Recipe, Vec<Diagnostic>>) -> Option<&'static str> {
    let is_number = |token: &str| token.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '.'));
    match (ours, change) {
        (Err(found), _) if found.iter().all(|d| d.code == Code::UnknownField) => {
            Some("`ron` ignores fields that a struct has not")
        }
        (Err(found), _) if found.iter().all(|d| d.code == Code::OutOfRange) => Some("`ron` knows no ranges"),
        (Err(found), Change::Removed("Seconds" | "Bytes" | "Flops")) if found.iter().all(|d| d.code == Code::WrongType) => {
            Some("durations, sizes and work want a unit or the name of their type")
        }
        (Err(found), Change::Swapped(..)) if found.iter().all(|d| d.message.ends_with("found 1 values in parentheses")) => {
            Some("a number with a comma after it in parentheses is a tuple of one")
        }
        (Ok(_), Change::Removed("Steps" | "Tokens" | "Fixed")) => Some("a number alone is a number of steps, or a micro-batch"),
        (Ok(_), Change::Removed("Share")) => Some("a number alone up to 1 is a share, where a part of the run is wanted"),
        (Ok(_), Change::Removed("Some")) => Some("a number in parentheses is that number"),
        (Ok(_), Change::Swapped(a, b)) if is_number(a) && is_number(b) => {
            Some("a whole number may be written as a float, and any number with a radix")
        }
        _ => None,
    }
}

/// Each excuse on its own: a recipe that both take, with a change that only one of them does.
#[test]
fn the_excuses_are_these() {
    const PLAIN: &str = r#"(name: "a", seed: 0, budget: Budget(time: Seconds(60.0), steps: Some(20), memory: Bytes(2000000), flops: Flops(9)),
        data: (sources: [Synthetic(sentences: 2000)], tokenizer: WordPiece(vocab: 512), normalize: [], validation: Ratio(0.02)),
        model: (width: 32, depth: 2, heads: 4, sequence: 16, feed_forward: Glu(intermediate: 64, activation: Gelu()), norm: LayerNorm(eps: 1e-12),
            attention: Softmax(causal: false), placement: PreNorm(), biases: (qkv: false, dense: false, decoder: false), positions: Sinusoidal(),
            token_types: 0, embedding: (table_width: None, input_norm: true, tied: true), head: (final_norm: true, transform: Skipped()),
            dropout: (inputs: Ratio(0.0), probabilities: Ratio(0.0), branches: Ratio(0.0)), init: Normal(std: 0.02)),
        objective: (rate: Ratio(0.25), prediction: Sparse(), protect_special: true, loss: Focal(gamma: 5.0)), batch: Constant(size: 8), micro_batch: Fixed(4), recompute: Auto(),
        optimizer: AdamW(betas: (0.9, 0.98), eps: 1e-12, weight_decay: 0.01, decay: Everything(), clip: Some(0.5)),
        lr: Linear(peak: 1e-3, warmup: Tokens(1000)), counting: Exact(), evaluation: (every: Steps(5), sequences: 512), checkpoint: (every: Time(Seconds(600.0)), keep: 2))"#;
    let takes = |text: &str| (ours(text).is_ok(), theirs(text, Newtypes::Named).is_ok());
    assert_eq!(takes(PLAIN), (true, true));
    let (only_we, only_they) = ((true, false), (false, true));
    for (from, to, who) in [
        ("seed: 0", "seed: 0, sead: 1", only_they),
        ("vocab: 512", "vocab: 3", only_they),
        ("Seconds(60.0)", "(60.0)", only_they),
        ("Bytes(2000000)", "(2000000)", only_they),
        ("Flops(9)", "(9)", only_they),
        ("Ratio(0.25)", "(0.25,)", only_they),
        ("Steps(5)", "5", only_we),
        ("Steps(5)", "(5)", only_we),
        ("Fixed(4)", "4", only_we),
        ("Tokens(1000)", "1000", only_we),
        ("Tokens(1000)", "(0.5)", only_we),
        ("Tokens(1000)", "0.06", only_we),
        ("Some(0.5)", "(0.5)", only_we),
        ("depth: 2", "depth: 2.0", only_we),
        ("peak: 1e-3", "peak: 0x1", only_we),
        // What RON writes out and a recipe need not.
        ("Ratio(0.25)", "0.25", only_we),
        ("Constant(size: 8)", "Constant(8)", only_we),
        ("Sparse()", "Sparse", only_we),
        ("(0.9, 0.98)", "[0.9, 0.98]", only_we),
        ("(0.9, 0.98)", "Pair (0.9, 0.98)", only_we),
        ("\"a\"", "'a'", only_we),
        (", keep: 2", "", only_we),
        // And what neither takes, or both.
        ("depth: 2", "depth: 2.5", (false, false)),
        ("Everything()", "Nothing()", (false, false)),
        ("steps: Some(20)", "steps: 20", (true, true)),
    ] {
        let text = PLAIN.replacen(from, to, 1);
        assert_ne!(text, PLAIN, "{from}");
        assert_eq!(takes(&text), who, "{to}: {:?} {:?}", ours(&text).err(), theirs(&text, Newtypes::Named).err());
    }
}

/// Rules between fields refuse a recipe or let it be: no value is changed by them.
#[test]
fn rules_only_refuse() {
    let rules = [
        Code::BadName,
        Code::NoBudget,
        Code::NoSource,
        Code::HeadsDivideWidth,
        Code::OddIntermediate,
        Code::OddHead,
        Code::ShortTable,
        Code::NothingMasked,
        Code::MicroBatchExceedsBatch,
        Code::CooldownUnforeseen,
        Code::SchedulePoints,
    ];
    let mut seen = BTreeSet::new();
    for seed in 0..RECIPES {
        let text = write::plainly(&recipe(seed).0);
        let resolution = resolve(&read(&text).unwrap(), Vec::new());
        let errors: Vec<Code> = resolution.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.code).collect();
        assert!(errors.iter().all(|code| rules.contains(code)), "{errors:?}:\n{text}");
        match resolution.recipe {
            Some(found) => assert_eq!(Ok(found), ours(&text)),
            None => assert!(!errors.is_empty(), "{text}"),
        }
        seen.extend(errors);
    }
    assert!(seen.len() > 4, "{seen:?}");
}

/// Every field of every struct and every variant is generated, present and absent where it may be.
#[test]
fn every_field_of_the_schema_is_generated() {
    let mut wanted = BTreeSet::new();
    declared(&SCHEMA, &mut wanted);
    let mut found = BTreeSet::new();
    for seed in 0..RECIPES {
        generated(&recipe(seed).0, &mut found);
    }
    assert_eq!(found, wanted);
}

fn declared(record: &'static RecordInfo, out: &mut BTreeSet<String>) {
    out.insert(record.name.to_owned());
    for field in record.fields {
        out.insert(format!("{}.{}", record.name, field.name));
        if field.optional {
            out.insert(format!("{}.{} absent", record.name, field.name));
        }
        let wanted = (field.ty)();
        if matches!(wanted, TypeInfo::Record(_) | TypeInfo::Choice(_) | TypeInfo::List(_)) {
            wanted.records().into_iter().for_each(|inner| declared(inner, out));
        }
    }
}

fn generated(node: &Node, out: &mut BTreeSet<String>) {
    match node {
        Node::Record { name, fields, .. } => {
            out.insert((*name).to_owned());
            for (field, value) in fields {
                let absent = if matches!(value, Node::Absent) { " absent" } else { "" };
                out.insert(format!("{name}.{field}{absent}"));
                generated(value, out);
            }
        }
        Node::List(items) => items.iter().for_each(|item| generated(item, out)),
        Node::Present(inner) | Node::Wrapped(_, inner) => generated(inner, out),
        _ => (),
    }
}
