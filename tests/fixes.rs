//! Fixes that are called safe, made without asking: over every mistake of `tests/mistakes` and every mutant, all of them are made at once,
//! and what is left must have fewer errors; as many only where a syntax error hid one of another kind.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

#[allow(dead_code, reason = "the table is printed by `mutants`")]
#[path = "mutants/measure.rs"]
mod measure;
#[path = "mutants/mod.rs"]
mod mutants;

use std::path::{Path, PathBuf};

use cramplan::diag::{Diagnostic, Edit};
use cramplan::source::SourceId;

/// The files of mistakes, and the mutants.
fn texts() -> Vec<(PathBuf, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "ron"));
    files.sort();
    let mut found: Vec<_> = files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect();
    found.extend(mutants::texts());
    found
}

fn errors(path: &Path, text: &str) -> Vec<Diagnostic> {
    measure::diagnostics(path, text).into_iter().filter(Diagnostic::is_error).collect()
}

/// The edits of the first safe fix of each error, as they stand in the text.
fn safe_edits(errors: &[Diagnostic]) -> Vec<Edit> {
    let fixes = errors.iter().filter_map(|error| error.fixes.iter().find(|fix| fix.safe));
    let mut edits: Vec<Edit> = fixes.flat_map(|fix| fix.edits.clone()).collect();
    edits.retain(|edit| edit.span.source == SourceId(0));
    edits.sort_by_key(|edit| edit.span);
    edits
}

/// Whether two edits, the first of which begins no later, touch the same byte or put something in at the same place.
fn overlap(a: &Edit, b: &Edit) -> bool {
    b.span.start < a.span.end || a.span.is_empty() && b.span.is_empty() && a.span == b.span
}

fn made(text: &str, edits: &[Edit]) -> String {
    let mut new = text.to_owned();
    for edit in edits.iter().rev() {
        new.replace_range(edit.span.start as usize..edit.span.end as usize, &edit.text);
    }
    new
}

/// What is wrong with the safe fixes of a text; nothing where there are none.
fn wrong(path: &Path, text: &str, fixed: &mut usize) -> Option<String> {
    let before = errors(path, text);
    let edits = safe_edits(&before);
    if edits.is_empty() {
        return None;
    }
    *fixed += 1;
    let said = |errors: &[Diagnostic]| errors.iter().map(|e| format!("    {}", e.message)).collect::<Vec<_>>().join("\n");
    if let Some(pair) = edits.windows(2).find(|pair| overlap(&pair[0], &pair[1])) {
        return Some(format!("{}: {pair:?} overlap\n{}", path.display(), said(&before)));
    }
    let new = made(text, &edits);
    let after = errors(path, &new);
    let changed = similar_lines(text, &new);
    // What was mended is gone. What it hid may come to light, such as a value of the wrong size, but no more than that.
    let mended = before.iter().filter(|e| e.fixes.iter().any(|fix| fix.safe));
    let left = mended.clone().filter(|e| after.iter().any(|a| a.code == e.code && a.message == e.message)).count();
    let fewer = after.len() <= before.len() && left < mended.count();
    (!fewer).then(|| format!("{}:\n{changed}\n  before\n{}\n  after\n{}", path.display(), said(&before), said(&after)))
}

/// The lines that differ, old over new.
fn similar_lines(old: &str, new: &str) -> String {
    let pairs = old.lines().zip(new.lines()).filter(|(a, b)| a != b).take(4);
    pairs.map(|(a, b)| format!("  - {a}\n  + {b}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_safe_fix_mends_its_error_and_none_overlaps_another() {
    let texts = texts();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let check = |part: &[(PathBuf, String)]| {
        let mut fixed = 0;
        let faults: Vec<String> = part.iter().filter_map(|(path, text)| wrong(path, text, &mut fixed)).collect();
        (fixed, faults)
    };
    let parts: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
        let parts: Vec<_> = texts.chunks(texts.len().div_ceil(cores)).map(|part| scope.spawn(move || check(part))).collect();
        parts.into_iter().map(|part| part.join().unwrap()).collect()
    });
    let fixed: usize = parts.iter().map(|(fixed, _)| fixed).sum();
    let faults: Vec<String> = parts.into_iter().flat_map(|(_, faults)| faults).collect();
    println!("{fixed} of {} texts have safe fixes", texts.len());
    assert!(fixed > 800, "only {fixed} texts have safe fixes");
    assert!(faults.is_empty(), "{} of {fixed}:\n{}", faults.len(), faults[..faults.len().min(12)].join("\n\n"));
}

/// What a fix puts right is what it says: each of these becomes the text beside it, which has no error.
#[test]
fn slips_of_other_languages_become_what_was_meant() {
    let recipe = |line: &str| {
        format!(
            "Recipe(name: \"a\", budget: Budget(steps: 20), data: Corpus(sources: [Synthetic(2000)], tokenizer: WordPiece(512)), \
             model: Encoder(width: 32, depth: 2, heads: 4, sequence: 16, feed_forward: Glu(64)), objective: MaskedLm(),\n\
             batch: Constant(8), micro_batch: 4,\n{line}\nlr: Constant(1e-3))"
        )
    };
    for (slip, meant) in [
        ("optimizer: AdamW(clip = 0.5),", "optimizer: AdamW(clip : 0.5),"),
        ("optimizer: AdamW(clip => 0.5),", "optimizer: AdamW(clip : 0.5),"),
        ("optimizer: AdamW(clip := 0.5),", "optimizer: AdamW(clip : 0.5),"),
        ("optimizer: AdamW(clip 0.5),", "optimizer: AdamW(clip: 0.5),"),
        ("optimizer: AdamW(betas (0.9, 0.98), clip: 1),", "optimizer: AdamW(betas: (0.9, 0.98), clip: 1),"),
        ("optimizer: AdamW(clip: 0.5; eps: 1e-9),", "optimizer: AdamW(clip: 0.5, eps: 1e-9),"),
        ("optimizer: AdamW(clip: 0.5)", "optimizer: AdamW(clip: 0.5),"),
        ("optimizer: AdamW(\"clip\": 0.5),", "optimizer: AdamW(clip: 0.5),"),
        ("optimizer: Optimizer::AdamW(clip: 0.5),", "optimizer: AdamW(clip: 0.5),"),
        ("optimizer: AdamW::new(clip: 0.5),", "optimizer: AdamW(clip: 0.5),"),
        ("optimizer: AdamW { clip: 0.5 },", "optimizer: AdamW ( clip: 0.5 ),"),
        ("optimizer: AdamW(clip: 0,5),", "optimizer: AdamW(clip: 0.5),"),
        ("optimizer: AdamW(clip: 5f32),", "optimizer: AdamW(clip: 5),"),
        ("optimizer: AdamW(clip: 2**3),", "optimizer: AdamW(clip: 8),"),
        ("optimizer: AdamW(clip: 10^-3),", "optimizer: AdamW(clip: 1e-3),"),
        ("optimizer: AdamW(clip: Some(0.5)), # as in the paper", "optimizer: AdamW(clip: Some(0.5)), // as in the paper"),
        ("optimizer: AdamW(weight_decay: Some(0.5)),", "optimizer: AdamW(weight_decay: 0.5),"),
        ("optimizer: AdamW(clip: null),", "optimizer: AdamW(clip: None),"),
        ("optimizer：AdamW（clip： ０．５），", "optimizer:AdamW(clip: 0.5),"),
        ("optimizer: AdamW(clip: 0.5), \\", "optimizer: AdamW(clip: 0.5), "),
        ("optimizer: AdamW(), seed:\u{a0}1,", "optimizer: AdamW(), seed: 1,"),
        ("optimizer: AdamW(cl\u{200b}ip: 1),", "optimizer: AdamW(clip: 1),"),
        ("optimizer: AdamW(weight-decay: 1),", "optimizer: AdamW(weight_decay: 1),"),
        ("optimizer: AdamW(decay: “Everything”),", "optimizer: AdamW(decay: \"Everything\"),"),
        ("optimizer: AdamW(decay: \"Everything\"),", "optimizer: AdamW(decay: Everything),"),
        ("optimizer: AdamW(decay: 'Everything'),", "optimizer: AdamW(decay: \"Everything\"),"),
        ("optimizer: AdamW(), checkpoint: 10min,", "optimizer: AdamW(), checkpoint: Checkpoint(every: 10min),"),
        ("optimizer: AdamW(), ..Default::default(),", "optimizer: AdamW(), "),
    ] {
        let text = recipe(slip);
        let found = errors(Path::new("a.ron"), &text);
        let syntax: Vec<Diagnostic> = found.iter().filter(|e| e.code.as_str().starts_with("syntax")).cloned().collect();
        // Where a slip hides another one, as quotes do that are typographic, the outer one is mended first.
        let edits = safe_edits(if syntax.is_empty() { &found } else { &syntax });
        assert_eq!(made(&text, &edits), recipe(meant), "{found:#?}");
    }
    let right = recipe("optimizer: AdamW(),").replace("WordPiece(512)", "WordPiece(vocab: 512)");
    let nameless = right.replace("WordPiece(vocab: 512)", "(vocab: 512)");
    assert_eq!(made(&nameless, &safe_edits(&errors(Path::new("a.ron"), &nameless))), right);
}
