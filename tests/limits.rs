//! Texts without end: each is refused with few words, and on a small stack.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

#[path = "limits/mod.rs"]
mod limits;

use std::thread;

use cramplan::diag::Diagnostic;
use cramplan::source::SourceId;
use cramplan::syntax::{format, parse};

use self::limits::{LENGTH, PIECES, PROMISED, compiled, long};

/// Stack of the thread that reads, bytes: what Rust gives to threads, and a quarter of what Linux gives to programs.
const STACK: usize = 2 << 20;

/// Diagnostics of a text that has one thing wrong with it, however often.
const FEW: usize = 20;

/// Diagnostics after which a text is given up, and a few about what was read until then.
const MOST: usize = 100 + FEW;

fn on_a_small_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap().join().unwrap())
}

#[test]
fn a_megabyte_of_anything_is_refused_in_few_words() {
    let mut report = Vec::new();
    for (i, piece) in PIECES.into_iter().enumerate() {
        let mut text = long(piece);
        assert!(text.len() > LENGTH - 8, "{piece}");
        if i >= PROMISED {
            // These are measured whole by the benchmark; unoptimised it would take a minute.
            text = text.chars().take(LENGTH / 10).collect();
        }
        let (syntax, all, is_formatted) = on_a_small_stack(|| {
            let (_, syntax) = parse(SourceId(0), &text);
            (syntax, compiled("long.ron", &text).diagnostics, format(SourceId(0), &text).is_ok())
        });
        let has_errors = |found: &[Diagnostic]| found.iter().any(Diagnostic::is_error);
        let refused = has_errors(&all) && has_errors(&syntax) != is_formatted;
        // Each `let` is a mistake of its own, and so are many of the others.
        let most = if i < PROMISED && piece != "let a=" { FEW } else { MOST };
        if !refused || syntax.len() > most || all.len() > most {
            report.push(format!("{piece:?}: {refused}, {} and {}", syntax.len(), all.len()));
        }
    }
    assert!(report.is_empty(), "{report:#?}");
}

/// What the benchmark compiles is valid.
#[test]
fn a_recipe_of_four_files_compiles() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/imports/main.ron");
    let compilation = compiled(path, &std::fs::read_to_string(path).unwrap());
    assert_eq!(compilation.diagnostics, []);
    assert!(compilation.verdict.is_some());
    assert_eq!(compilation.sources.iter().count(), 4);
}
