//! What is said about broken recipes, measured: over a thousand of them, made from the shipped ones.
//!
//! `cargo test --test mutants -- --nocapture` prints the table; the one kept in `tests/mutants/table.snap` must be the same.
//! `MUTANTS_SHOW='misplaced field' cargo test --test mutants -- --nocapture` shows mutants of a kind that were not met, with the text around
//! each mistake and what was said; `all` is every kind, `extra` is errors that belong to no mistake, and `MUTANTS_FIRST=50` shows so many.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

#[path = "mutants/measure.rs"]
mod measure;
#[path = "mutants/mod.rs"]
mod mutants;

use std::path::Path;
use std::sync::LazyLock;

use self::measure::{Report, Rows};
use self::mutants::Kind;

static REPORT: LazyLock<Report> = LazyLock::new(|| measure::measure(mutants::corpus()));

#[test]
fn the_table_is_the_one_that_is_kept() {
    let table = measure::table(&REPORT);
    println!("{table}");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mutants");
    insta::with_settings!({snapshot_path => directory, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("table", table);
    });
}

/// The promises of the language about mistakes.
#[test]
fn every_mutant_is_refused_and_nearly_all_are_explained() {
    if let Ok(kind) = std::env::var("MUTANTS_SHOW") {
        let first = std::env::var("MUTANTS_FIRST").ok().and_then(|n| n.parse().ok()).unwrap_or(10);
        println!("{}", measure::failures(&REPORT, &kind, first));
    }
    let all = Rows::of(&REPORT, |_| true);
    let plain = Rows::of(&REPORT, |kind| !kind.is_structural());
    assert!(all.mutants >= 1500, "{} mutants", all.mutants);
    let promises = [
        ("rejected", measure::percent(all.rejected, all.mutants), 100.0),
        ("a place of an error overlaps the mistake and stays in its field", all.share(all.any), 97.0),
        ("and so does the primary one, brackets and commas apart", plain.share(plain.primary), 97.0),
        ("the right name comes first", plain.named_share(), 95.0),
        ("every mistake is reported in one pass, brackets and commas apart", plain.complete_share(), 98.0),
    ];
    let broken: Vec<String> = promises
        .iter()
        .filter(|(_, share, least)| share < least)
        .map(|(what, share, least)| format!("{what}: {share:.1} %, promised {least} %"))
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    for kind in Kind::ALL {
        assert!(Rows::of(&REPORT, |k| k == kind).mutants > 0, "no mutant: {kind}");
    }
}

#[test]
fn nothing_is_said_about_the_shipped_recipes() {
    for recipe in mutants::shipped() {
        let found = measure::diagnostics(&recipe.path, &recipe.text);
        assert!(found.is_empty(), "{}: {found:?}", recipe.path.display());
    }
}

/// The oracle's own brackets: they match in what is shipped, and do not where one was lost or changed.
#[test]
fn brackets_match_where_they_should() {
    let matches = |text: &str| {
        let mut open = Vec::new();
        mutants::text::scan(text).marks.iter().all(|mark| match mark.sign {
            ',' => true,
            '(' | '[' | '{' => {
                open.push(mark.sign);
                true
            }
            close => matches!((open.pop(), close), (Some('('), ')') | (Some('['), ']') | (Some('{'), '}')),
        }) && open.is_empty()
    };
    assert!(mutants::shipped().iter().all(|recipe| matches(&recipe.text)));
    for mutant in mutants::corpus().mutants.iter().filter(|m| m.kind != Kind::LostComma) {
        assert_eq!(matches(&mutant.text), !mutant.kind.is_structural(), "{}", mutant.text);
    }
}
