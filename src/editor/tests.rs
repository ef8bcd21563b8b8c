//! Every test is a text with the cursor marked in it.

use proptest::prelude::*;

use super::{Completion, Offers, Piece, Target, complete, definition, hover, recipe_around};
use crate::editor::Costs;
use crate::recipe::testing::TEXT;

const CURSOR: char = '‸';

fn cursor(marked: &str) -> (String, usize) {
    let at = marked.find(CURSOR).unwrap();
    (marked.replacen(CURSOR, "", 1), at)
}

fn offers(text: &str, at: usize) -> Vec<Completion> {
    let devices = ["a10".to_owned(), "rtx-a6000".to_owned()];
    let mut files = |under: &str| vec![format!("{under}base.ron")];
    complete(text, at, &mut Offers { files: &mut files, devices: &devices })
}

fn completions(marked: &str) -> Vec<Completion> {
    let (text, at) = cursor(marked);
    let found = offers(&text, at);
    assert!(found.iter().all(|c| c.replace.start <= at && at <= c.replace.end), "{found:?}");
    found
}

/// The labels, joined.
fn labels(marked: &str) -> String {
    completions(marked).iter().map(|c| c.label.as_str()).collect::<Vec<_>>().join(" ")
}

/// The text after the offer of a label was taken, holes as `<>`.
fn taken(marked: &str, label: &str) -> String {
    let (text, _) = cursor(marked);
    let all = completions(marked);
    let offer = all.iter().find(|c| c.label == label).unwrap_or_else(|| panic!("no `{label}` in {all:?}"));
    let insert: String = offer
        .insert
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hole(text) => format!("<{text}>"),
        })
        .collect();
    format!("{}{insert}{}", &text[..offer.replace.start], &text[offer.replace.end..])
}

fn says(marked: &str) -> Vec<String> {
    let (text, at) = cursor(marked);
    hover(&text, at, None).map(|found| found.paragraphs).unwrap_or_default()
}

/// The first paragraph of a hover, and the last.
fn first_and_last(marked: &str) -> (String, String) {
    let said = says(marked);
    (said.first().cloned().unwrap_or_default(), said.last().cloned().unwrap_or_default())
}

const MODEL: &str =
    "attention biases depth dropout embedding feed_forward head heads init norm placement positions sequence token_types width";

fn sorted(marked: &str) -> String {
    let text = labels(marked);
    let mut words: Vec<&str> = text.split(' ').filter(|w| !w.starts_with("..")).collect();
    words.sort_unstable();
    words.join(" ")
}

#[test]
fn the_fields_that_are_not_given_are_offered_those_that_are_needed_first() {
    assert_eq!(
        labels("Recipe(name: \"x\", ‸)"),
        "budget data model objective batch optimizer lr seed micro_batch recompute counting evaluation checkpoint ..import(\"\")"
    );
    assert_eq!(
        labels("Recipe(model: Encoder(width: 1, depth: 2, ‸heads: 3))"),
        "sequence feed_forward attention norm placement biases positions token_types embedding head dropout init ..import(\"\")"
    );
    assert_eq!(sorted("Recipe(model: Encoder(‸))"), MODEL);
}

#[test]
fn half_written_text_is_understood() {
    for half in [
        "Recipe(model: Encoder(‸",
        "Recipe(model: Encoder(wi‸",
        "let w = 4;\nRecipe(model: Encoder(\n  ‸",
        "Recipe(data: Corpus(sources: [Text(\"a\")]), model: (‸",
        "Recipe(name: \"x, model: 3,\n model: Encoder(‸",
        "Recipe(name: , model: Encoder(‸ , batch: )",
        "Recipe(name: [Text(, model: 3),\n model: Encoder(‸",
        "Recipe(budget: Budget(time: 24h\n  model: Encoder(‸",
        "Recipe(budget: Budget(time: 24h,\n  model: Encoder(‸",
        "Recipe(a: 1))) ] } Recipe(model: Encoder(‸",
        "Recipe(model Encoder(‸",
        "Recipe(model = Encoder(‸",
        "Recipe { model: Encoder { ‸ } }",
        "Recipe(model: model::Encoder(‸",
        "Encoder(‸",
        "let model = Encoder(‸",
        "let model = Encoder(\n ‸\nRecipe(model: model)",
        "Recipe(objective: Encoder(‸",
        "Recipe(optimizer: AdamW(decay: Encoder(‸",
        "Recipe(/* ( */ model: Encoder(// (\n‸",
        "Recipe(name: r#\"( \" \"#, model: Encoder(‸",
    ] {
        assert_eq!(sorted(half), MODEL, "{half}");
    }
}

#[test]
fn a_new_line_without_a_comma_before_it_begins_a_field() {
    assert_eq!(
        labels("Recipe(model: Encoder(width: 768\n  de‸"),
        "depth heads sequence feed_forward attention norm placement biases positions token_types embedding head dropout init ..import(\"\")"
    );
    assert_eq!(
        labels("Recipe(model: Encoder(width: 768\n‸)"),
        "depth heads sequence feed_forward attention norm placement biases positions token_types embedding head dropout init ..import(\"\")"
    );
}

#[test]
fn nothing_is_offered_where_nothing_fits() {
    for quiet in [
        "Recipe(name: \"x\" ‸",
        "Recipe(// model: ‸\n)",
        "/* Recipe(‸ */",
        "/* Recipe(‸",
        "// a‸",
        "Recipe(name: \"a ‸\")",
        "let ‸",
        "let na‸",
        "Recipe(model: Encoder(width: 768 ‸",
        "Recipe(model: Encoder(width: 12‸34))",
        "Recipe(model: Encoder()‸",
        "Foo(‸)",
        "Recipe(foo: ‸)",
        "Recipe(lr: Constant(rate: 1e-3, ‸).",
    ] {
        let found = labels(quiet).replace("..import(\"\")", "");
        assert_eq!(found, "", "{quiet}");
    }
}

#[test]
fn a_field_comes_with_what_its_value_needs() {
    assert_eq!(taken("Recipe(‸", "name"), "Recipe(name: \"<>\"");
    assert_eq!(taken("Recipe(se‸", "seed"), "Recipe(seed: <0>");
    assert_eq!(taken("Recipe(‸)", "budget"), "Recipe(budget: Budget(<>))");
    assert_eq!(taken("Recipe(‸)", "batch"), "Recipe(batch: <>)");
    assert_eq!(taken("Recipe(‸)", "evaluation"), "Recipe(evaluation: Evaluation(<>))");
    assert_eq!(
        taken("Recipe(‸)", "model"),
        "Recipe(model: Encoder(width: <>, depth: <>, heads: <>, sequence: <>, feed_forward: <>))"
    );
    assert_eq!(taken("Recipe(data: Corpus(‸))", "sources"), "Recipe(data: Corpus(sources: [<>]))");
    assert_eq!(taken("Recipe(budget: Budget(‸))", "time"), "Recipe(budget: Budget(time: <24h>))");
    assert_eq!(taken("Recipe(wid‸th: 768)", "name"), "Recipe(name: 768)");
    assert_eq!(taken("Recipe(‸name: 1)", "seed"), "Recipe(seed: <0>name: 1)");
    assert_eq!(taken("Recipe(na‸me : \"x\")", "budget"), "Recipe(budget : \"x\")");
}

/// Every choice for `lr`.
const SCHEDULES: &str =
    "Triangle Trapezoid Linear Cosine CosineRestarts InverseCosine Polynomial InverseSqrt Ramp MultiCycle Piecewise Constant";

#[test]
fn variants_are_offered_with_their_fields() {
    assert_eq!(labels("Recipe(lr: ‸)"), SCHEDULES);
    assert_eq!(labels("Recipe(lr: Tri‸)"), SCHEDULES);
    assert_eq!(taken("Recipe(lr: ‸)", "Triangle"), "Recipe(lr: Triangle(peak: <>))");
    assert_eq!(taken("Recipe(batch: ‸)", "Ramp"), "Recipe(batch: Ramp(to: <>, until: <25%>))");
    assert_eq!(taken("Recipe(batch: Ra‸mp(to: 3))", "Constant"), "Recipe(batch: Constant(to: 3))");
    assert_eq!(taken("Recipe(optimizer: AdamW(decay: ‸", "Everything"), "Recipe(optimizer: AdamW(decay: Everything");
    assert_eq!(labels("Recipe(model: ‸"), "Encoder");
    assert_eq!(labels("Recipe(optimizer: ‸"), "AdamW Adam RAdam Lamb Lion Sgd Adafactor Muon");
    assert_eq!(labels("Recipe(data: Corpus(normalize: [Quotes, ‸]"), "Quotes Lowercase StripAccents CollapseSpaces Ascii");
    assert_eq!(labels("Recipe(data: Corpus(sources: [‸"), "Text Synthetic");
    assert_eq!(labels("Recipe(optimizer: AdamW(‸"), "betas eps weight_decay decay clip ..import(\"\")");
    assert_eq!(labels("Recipe(lr: Constant(‸"), "rate ..import(\"\")");
    assert_eq!(labels("Recipe(batch: Constant(‸"), "size ..import(\"\")");
    assert_eq!(labels("let b = Constant(rate: 1, ‸"), "..import(\"\")");
    let variants = completions("Recipe(optimizer: AdamW(decay: ‸");
    assert!(variants[0].detail.contains("default") && !variants[0].doc.is_empty(), "{variants:?}");
}

#[test]
fn values_of_every_type_are_offered() {
    assert_eq!(labels("Recipe(objective: MaskedLm(protect_special: ‸"), "true false");
    assert_eq!(labels("Recipe(micro_batch: ‸"), "Auto");
    assert_eq!(labels("Recipe(seed: ‸"), "0");
    assert_eq!(labels("Recipe(name: ‸"), "\"\"");
    assert_eq!(labels("Recipe(data: Corpus(sources: ‸"), "[]");
    assert_eq!(labels("Recipe(objective: MaskedLm(rate: ‸"), "25%");
    assert_eq!(labels("Recipe(optimizer: AdamW(betas: ‸"), "(0.9, 0.98)");
    assert_eq!(labels("Recipe(optimizer: AdamW(clip: Some(‸"), "");
    assert_eq!(labels("Recipe(lr: Some(‸"), SCHEDULES);
}

#[test]
fn units_fit_their_field() {
    assert_eq!(labels("Recipe(budget: Budget(time: 24‸"), "ms s min h d");
    assert_eq!(labels("Recipe(budget: Budget(time: 24m‸)"), "ms s min h d");
    assert_eq!(labels("Recipe(budget: Budget(time: 24 m‸)"), "ms s min h d");
    assert_eq!(taken("Recipe(budget: Budget(time: 24m‸i)", "min"), "Recipe(budget: Budget(time: 24min)");
    assert_eq!(labels("Recipe(budget: Budget(memory: 11‸"), "B kB MB GB TB KiB MiB GiB TiB");
    assert_eq!(labels("Recipe(budget: Budget(flops: 3 E‸"), "FLOP MFLOP GFLOP TFLOP PFLOP EFLOP");
    assert_eq!(labels("Recipe(objective: MaskedLm(rate: 25‸"), "%");
    assert_eq!(labels("Recipe(checkpoint: Checkpoint(every: 10‸"), "% ms s min h d");
    assert_eq!(labels("Recipe(data: Corpus(tokenizer: WordPiece(vocab: 32‸"), "k Ki Mi Gi");
    assert_eq!(labels("Recipe(model: Encoder(width: 4 * 32‸"), "k Ki Mi Gi");
    assert_eq!(labels("Recipe(batch: Constant(8‸"), "k Ki Mi Gi");
    assert_eq!(labels("Recipe(name: 8‸"), "");
    assert_eq!(labels("let time = 24‸").split(' ').count(), 25);
}

#[test]
fn names_defined_above_are_offered_and_no_others() {
    let text = "let width = 768;\nlet ffn = 4 * ‸;\nlet below = 1;\nRecipe()";
    assert_eq!(labels(text), "width");
    assert_eq!(labels("let width = 768;\nRecipe(model: Encoder(width: ‸"), "width");
    assert_eq!(labels("let width = 768;\nRecipe(model: Encoder(width: (1 + ‸"), "width");
    assert!(labels("let width = 768;\nlet m = ‸").starts_with("Recipe Budget Corpus"));
    assert!(labels("let width = 768;\nlet m = ‸").ends_with(" width"));
}

#[test]
fn the_head_of_a_file_offers_a_recipe() {
    for empty in ["‸", "Rec‸", "let a = 1;\n‸", "let a = 1\n‸", "// a\n‸"] {
        assert_eq!(labels(empty), "Recipe let", "{empty}");
    }
    assert_eq!(taken("‸", "let"), "let <name> = <>;");
    let recipe = taken("Re‸", "Recipe");
    assert!(recipe.starts_with("Recipe(\n    name: \"<>\",\n    budget: Budget(<>),\n") && recipe.ends_with(",\n)"), "{recipe}");
}

#[test]
fn imports_are_offered_as_an_entry_and_their_paths_as_files() {
    let path = "Recipe(..import(\"base.ron\"))";
    assert_eq!(taken("Recipe(‸)", "..import(\"\")"), "Recipe(..import(\"<>\"))");
    assert_eq!(taken("Recipe(.‸)", "..import(\"\")"), "Recipe(..import(\"<>\"))");
    assert_eq!(taken("Recipe(..im‸)", "..import(\"\")"), "Recipe(..import(\"<>\"))");
    assert_eq!(taken("Recipe(..import(‸))", "\"\""), "Recipe(..import(\"<>\"))");
    assert_eq!(taken("Recipe(..import(\"‸\"))", "base.ron"), path);
    assert_eq!(taken("Recipe(..import(\"‸))\n", "base.ron"), "Recipe(..import(\"base.ron))\n");
    assert_eq!(taken("Recipe(..import(\"lib/‸\"))", "lib/base.ron"), "Recipe(..import(\"lib/base.ron\"))");
}

#[test]
fn devices_are_offered_where_one_is_named() {
    assert_eq!(labels("Recipe(budget: Budget(device: \"‸\"))"), "a10 rtx-a6000");
    assert_eq!(taken("Recipe(budget: Budget(device: \"rtx-‸\"))", "rtx-a6000"), "Recipe(budget: Budget(device: \"rtx-a6000\"))");
    assert_eq!(labels("Recipe(budget: Budget(device: ‸))"), "\"a10\" \"rtx-a6000\"");
}

#[test]
fn what_a_recipe_completion_writes_parses() {
    let (text, _) = cursor("‸");
    let offers = offers(&text, 0);
    let recipe = super::plain(&offers[0].insert).replace(": ,", ": 1,").replace(": )", ": 1)");
    let (_, errors) = crate::syntax::parse(crate::source::SourceId(0), &recipe.replace("(, ", "(1, "));
    assert!(errors.is_empty(), "{recipe}\n{errors:?}");
}

#[test]
fn a_field_tells_its_path_its_type_its_range_and_what_it_comes_to() {
    let text = "let w = 768;\nRecipe(model: Encoder(wid‸th: w, depth: 2))";
    assert_eq!(says(text), ["`model.width`: a whole number, 2 ≤ `width` ≤ 65536, required", "Hidden width D.", "is `768`"]);
    assert_eq!(first_and_last("Recipe(seed: 32‸ + 1)").1, "is `33`");
    assert_eq!(
        first_and_last("let w = 768;\nRecipe(model: Encoder(feed_forward: Glu(inter‸mediate: 4 * w)))"),
        ("`model.feed_forward.intermediate`: a whole number, 2 ≤ `intermediate` ≤ 1048576, required".into(), "is `3072`".into())
    );
    assert_eq!(
        first_and_last("Recipe(budget: Budget(‸time: 36h))"),
        ("`budget.time`: a duration such as `24h`, 0s < `time` ≤ 52600000min, optional".into(), "is `36h`".into())
    );
    assert_eq!(
        first_and_last("Recipe(data: Corpus(sources: [Synthetic(20‸00)]))").0,
        "`data.sources.sentences`: a whole number, 100 ≤ `sentences` ≤ 1000000000, required"
    );
    assert_eq!(first_and_last("Recipe(name: \"x‸\")").0, "`name`: a text in double quotes, required");
    assert_eq!(first_and_last("Recipe(name‸").0, "`name`: a text in double quotes, required");
    assert_eq!(first_and_last("Encoder(wid‸th: 3, )").0, "`Encoder.width`: a whole number, 2 ≤ `width` ≤ 65536, required");
    assert_eq!(first_and_last("Recipe(optimizer: AdamW(betas: (0.9, 0.9‸8)))").0.split(':').next(), Some("`optimizer.betas`"));
    assert_eq!(
        first_and_last("Recipe(objective: MaskedLm(protect_special: fal‸se)").0.split(':').next(),
        Some("`objective.protect_special`")
    );
}

#[test]
fn a_variant_tells_its_meaning_and_its_fields() {
    let said = says("Recipe(batch: Ra‸mp(to: 3))");
    assert_eq!(said[0], "`Ramp`, a choice of `batch`");
    assert!(said[1].starts_with("Linear growth") && said[2].starts_with("- `to`: The full batch. (a whole number"), "{said:?}");
    assert_eq!(first_and_last("Recipe(optimizer: AdamW(decay: Every‸thing))").0, "`Everything`, a choice of `decay`");
    assert_eq!(first_and_last("Rec‸ipe(").0, "`Recipe`");
    assert_eq!(first_and_last("Recipe(data: Corpus(normalize: [Lower‸case]))").0, "`Lowercase`, a choice of `normalize`");
    assert_eq!(says("let b = Con‸stant(rate: 1e-3);")[2].split(':').next(), Some("- `rate`"));
    assert_eq!(says("let b = Con‸stant(size: 3);")[2].split(':').next(), Some("- `size`"));
}

#[test]
fn a_let_name_tells_its_value() {
    assert_eq!(says("let w = 768;\nlet f = 4 * w;\nRecipe(seed: ‸f)"), ["`let f = 4 * w`", "is `3072`"]);
    assert_eq!(says("let ‸f = 2 * 90s;\nRecipe()"), ["`let f = 2 * 90s`", "is `3min`"]);
    assert_eq!(says("let f = 4;\nRecipe(seed: f‸, name: )"), ["`let f = 4`"]);
    assert_eq!(says("let f = g;\nRecipe(seed: f‸)"), ["`let f = g`"]);
}

#[test]
fn a_unit_tells_what_it_is() {
    assert_eq!(says("Recipe(budget: Budget(time: 24‸h))"), ["`h`: a duration: 1 h is 3600 s"]);
    assert_eq!(
        says("Recipe(budget: Budget(flops: 3 EF‸LOP))"),
        ["`EFLOP`: an amount of arithmetic: 1 EFLOP is 1000000000000000000 floating-point operations"]
    );
    assert_eq!(says("Recipe(objective: MaskedLm(rate: 25‸%))"), ["`%`: a percentage: 1 % is a hundredth of the whole"]);
}

#[test]
fn nothing_is_said_of_blanks_and_signs() {
    for quiet in
        ["Recipe(‸ )", "Recipe(a: 1 ‸ , b: 2)", "‸", "// na‸me", "Recipe(foo‸: 1)", "Recipe(seed: 1 ‸+ 2)", "Recipe(x: Foo‸())"]
    {
        assert_eq!(says(quiet), Vec::<String>::new(), "{quiet}");
    }
}

#[test]
fn costs_stand_at_the_end_and_old_ones_say_so() {
    let costs = Costs { line: "9 GiB".into(), micro_batch: 64 };
    let (text, at) = cursor("Recipe(micro_‸batch: Auto)");
    let said = |old| hover(&text, at, Some((&costs, old))).unwrap().paragraphs;
    assert_eq!(said(false)[2..], ["`Auto` is 64 here", "9 GiB"]);
    assert_eq!(said(true)[3], "before the present mistake: 9 GiB");
}

#[test]
fn definitions_are_found() {
    let go = |marked: &str| {
        let (text, at) = cursor(marked);
        definition(&text, at).map(|(range, target)| {
            let there = match target {
                Target::File(path) => path,
                Target::Here(there) => format!("{}@{}", &text[there.clone()], there.start),
            };
            (text[range].to_owned(), there)
        })
    };
    assert_eq!(go("Recipe(..import(\"lib/ba‸se.ron\"))"), Some(("\"lib/base.ron\"".into(), "lib/base.ron".into())));
    assert_eq!(go("let width = 1;\nRecipe(model: Encoder(width: wi‸dth))"), Some(("width".into(), "width@4".into())));
    assert_eq!(go("let w = 1; let f = 4 * ‸w; Recipe()"), Some(("w".into(), "w@4".into())));
    assert_eq!(go("let w = 1; R(lr: Constant(w‸))"), Some(("w".into(), "w@4".into())));
    assert_eq!(go("let width = 1;\nRecipe(model: Encoder(wi‸dth: width))"), None);
    assert_eq!(go("let h = 1; Recipe(seed: 24‸h)"), None);
    assert_eq!(go("Recipe(name: \"x‸\")"), None);
    assert_eq!(go("‸"), None);
}

#[test]
fn a_part_of_a_recipe_is_put_where_it_belongs() {
    let around = |text| recipe_around(text).unwrap_or_default();
    assert_eq!(around("let a = 1; Encoder(width: a)"), "Recipe(model: Encoder(..import(\"part\")))");
    assert_eq!(around("LayerNorm(eps: 1)"), "Recipe(model: Encoder(norm: LayerNorm(..import(\"part\"))))");
    assert_eq!(around("Everything"), "Recipe(optimizer: AdamW(decay: Everything(..import(\"part\"))))");
    assert_eq!(around("Text(path: \"a\")"), "Recipe(data: Corpus(sources: [Text(..import(\"part\"))]))");
    assert_eq!(around("Constant(rate: 1)"), "Recipe(lr: Constant(..import(\"part\")))");
    assert_eq!(around("Constant(size: 1)"), "Recipe(batch: Constant(..import(\"part\")))");
    for whole in ["Recipe(width: a)", "Recipie(width: a)", "(width: 1)", "[Encoder()]", "", "Encoder"] {
        assert_eq!(recipe_around(whole).is_some(), whole == "Encoder", "{whole}");
    }
}

/// Whatever is asked anywhere in a text is answered, and what is offered touches the cursor.
fn survives(text: &str) {
    for at in 0..=text.len() + 1 {
        for offer in offers(text, at) {
            assert!(text.get(offer.replace.clone()).is_some_and(|word| !word.contains('\n')), "{text:?} at {at}: {offer:?}");
        }
        if let Some(found) = hover(text, at, None) {
            assert!(text.get(found.range).is_some() && !found.paragraphs.is_empty());
        }
        definition(text, at);
    }
}

#[test]
fn every_place_of_a_recipe_is_survived() {
    survives(TEXT);
    survives(&TEXT.replace('\n', "\r\n"));
}

const PIECES: [&str; 38] = [
    "(", ")", "[", "]", "{", "}", ",", ":", ";", "=", "+", "*", "%", "..", "let ", "import", "\"", "'", "r#\"", "\"#", "/*",
    "*/", "//", "\n", " ", "a", "Recipe", "Encoder", "model", "width", "1", "0x", "2.5", "GiB", "true", "Some", "ä", "😀",
];

proptest! {
    #[test]
    fn any_row_of_tokens_is_survived(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..30)) {
        survives(&pieces.concat());
    }
}
