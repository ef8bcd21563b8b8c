//! The laws of the language, held against every recipe, mistake and mutant that the repository has, and against what fuzzing found.
//!
//! The project in `tests/fuzz` holds the same laws against texts that libFuzzer thinks of.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may panic and show what it sees")]

#[path = "laws/mod.rs"]
mod laws;
#[path = "mutants/mod.rs"]
mod mutants;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cramplan::diag::Diagnostic;
use cramplan::source::SourceId;
use cramplan::syntax::parse;

/// Small texts that broke a law once.
const FOUND: &[&str] = &[
    // Formatted twice, a carriage return more was dropped.
    "/* a\r\r\nb */ 1",
    // A blank that is not white space, at the end of a comment.
    "1 // a\u{200e}",
    // A struct without its parenthesis, or with another, that begins with a letter of several bytes.
    "ä: 1",
    "（ä: 1）",
    "\u{feff}// a\n\u{feff}1",
];

/// A name for people, and a text.
type Text = (String, String);

/// The texts below a directory of the repository.
fn below(directory: &str) -> Vec<Text> {
    let mut found = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "ron" || e == "txt") {
            // Some are not UTF-8, on purpose.
            found.push((path.display().to_string(), String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()));
        }
    }
    assert!(!found.is_empty(), "{directory} holds no texts");
    found.sort();
    found
}

/// Every text there is, mutants last.
fn texts() -> Vec<Text> {
    let mut all: Vec<Text> = FOUND.iter().map(|text| ("found".to_owned(), (*text).to_owned())).collect();
    all.extend(["recipes", "tests/broken", "tests/mistakes", "tests/format"].iter().flat_map(|directory| below(directory)));
    all.extend(mutants::texts().into_iter().map(|(path, text)| (format!("a mutant of {}", path.display()), text)));
    all
}

/// Holds a law against texts, and names those that break it.
fn hold(law: fn(&str), texts: &[Text]) {
    let broken: Vec<String> = texts
        .iter()
        .filter(|(_, text)| catch_unwind(AssertUnwindSafe(|| law(text))).is_err())
        .map(|(name, text)| format!("{name}:\n{text}"))
        .collect();
    assert!(broken.is_empty(), "{} texts, among them {}", broken.len(), broken[0]);
}

#[test]
fn every_text_is_read_or_refused_with_whole_diagnostics() {
    hold(laws::parse, &texts());
}

/// Formatting is idempotent, changes neither the tree nor a value, and keeps the comments.
#[test]
fn every_text_that_parses_is_formatted() {
    let parses = |text: &str| !parse(SourceId(0), text).1.iter().any(Diagnostic::is_error);
    let texts: Vec<Text> = texts().into_iter().filter(|(_, text)| parses(text)).collect();
    assert!(texts.iter().filter(|(name, _)| name.starts_with("a mutant")).count() > 500, "{} texts", texts.len());
    hold(laws::print, &texts);
    // The same texts laid out badly, with comments where one can stand.
    let spread: Vec<Text> =
        texts.iter().map(|(name, text)| (name.clone(), spread(text))).filter(|(_, text)| parses(text)).collect();
    assert!(spread.len() > 500, "{} texts", spread.len());
    hold(laws::print, &spread);
}

/// The text with line feeds, blanks and comments around its brackets and commas.
fn spread(text: &str) -> String {
    let (mut out, mut from) = (String::new(), 0);
    for (i, mark) in mutants::text::scan(text).marks.iter().enumerate() {
        let around = [(" ", "// a\r\n\n\n"), ("/* b */", ""), ("\n// c\n", " /* d\n e */\t"), ("", "\n/* f */ // g\n")][i % 4];
        out.push_str(&text[from..mark.at]);
        out.extend([around.0, &mark.sign.to_string(), around.1]);
        from = mark.at + 1;
    }
    out + &text[from..]
}

#[test]
fn every_override_of_every_recipe_gives_a_verdict_or_a_reason() {
    hold(laws::set, &below("tests/laws/set"));
    let recipes = below("recipes");
    let lines =
        ["model.depth=2", "model=Encoder(width: 4)", "width=1", "model.", "=", "a=(", "name=\"\u{e4}\"", "budget.time=1 h / 0"];
    let both = |(name, text): &Text| lines.map(|line| (format!("{name} with {line}"), format!("{line}\n{text}")));
    hold(laws::set, &recipes.iter().flat_map(both).collect::<Vec<_>>());
}
