//! Live against reserved: what the shipped recipes take on two cards, and how long a replay takes.
//!
//! `cargo test --no-default-features --release --test pool -- --nocapture`; the table is kept in `pool/table.snap`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use std::fmt::Write;
use std::time::Instant;

use cramplan::budget::reserved::{Schedule, Verdict, reserved};
use cramplan::device::find;
use cramplan::units::Bytes;

const CARDS: [&str; 2] = ["rtx-2080-ti", "rtx-a6000"];

fn recipes() -> Vec<(String, String)> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "ron"))
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn the_table_of_the_shipped_recipes() {
    let mut table = format!(
        "{:16} {:12} {:>5} {:>6} {:>10} {:>10} {:>10} {:>10} {:>10} {:>7} {:>5} {}\n",
        "recipe", "card", "micro", "events", "planned", "in use", "reserved", "held", "with rest", "rounds", "exact", "verdict"
    );
    for (name, text) in recipes() {
        for card in CARDS {
            let costed = common::costed(&text, &[], find(card).unwrap());
            let schedule = Schedule::of(&costed.graphs);
            let events: usize = schedule.walks.iter().map(Vec::len).sum();
            let e = &costed.estimate;
            let seen = reserved(&costed.graphs, &costed.device, e.limit, e.accumulation > 1).unwrap();
            let planned = Bytes(e.peak.tensors().0);
            let verdict = match seen.verdict {
                Verdict::Fits => "fits".to_owned(),
                Verdict::Tight { reclaims } => format!("tight, {reclaims} reclaims"),
                Verdict::Refused { walk, why } => format!("{}: {why}", walk.map_or("state", |walk| walk.name())),
            };
            let rounds = seen.rounds.map_or("-".to_owned(), |rounds| rounds.to_string());
            writeln!(
                table,
                "{name:16} {card:12} {:>5} {events:>6} {planned:>10} {:>10} {:>10} {:>10} {:>10} {rounds:>7} {:>5} {verdict}",
                e.micro_batch,
                seen.in_use,
                seen.reserved,
                seen.held,
                seen.total(),
                seen.exact
            )
            .unwrap();
        }
    }
    println!("{table}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("pool");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("table", table));
}

/// A replay is part of `check`, which has ten milliseconds for everything; unoptimised code and a busy machine have more.
#[test]
fn a_replay_takes_milliseconds() {
    let (name, text) = recipes().into_iter().find(|(name, _)| name == "crammed-bert").unwrap();
    let costed = common::costed(&text, &[], find("rtx-a6000").unwrap());
    let times = (0..9).map(|_| {
        let start = Instant::now();
        std::hint::black_box(reserved(&costed.graphs, &costed.device, costed.estimate.limit, true));
        start.elapsed().as_secs_f64()
    });
    let best = times.fold(f64::INFINITY, f64::min);
    println!("{name}: {:.2} ms", best * 1e3);
    assert!(best < if cfg!(debug_assertions) { 0.5 } else { 0.03 }, "{best} s");
}
