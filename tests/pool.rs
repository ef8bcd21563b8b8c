//! Live against reserved: what the shipped recipes take on two cards, and how long a replay takes.
//!
//! `cargo test --no-default-features --release --test pool -- --nocapture`; the table is kept in `pool/table.snap`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

use std::fmt::Write;
use std::time::Instant;

use cramplan::budget::reserved::{Schedule, Verdict, of_schedule, reserved};
use cramplan::check::Costed;
use cramplan::device::find;
use cramplan::pipeline::{Inputs, Read, compile};

const CARDS: [&str; 2] = ["rtx-2080-ti", "rtx-a6000"];

/// A shipped recipe for a card.
fn costed(name: &str, card: &str) -> Costed {
    let all = recipes();
    let text = |wanted: &str| all.iter().find(|(name, _)| *name == wanted).map(|(_, text)| text.clone());
    let read: &mut Read<'_> = &mut |path, _| {
        let text = path.strip_suffix(".ron").and_then(text).ok_or("no such recipe")?;
        Ok((path.to_owned(), text))
    };
    let entry = (format!("{name}.ron"), text(name).unwrap());
    let machine = find(card).unwrap();
    let inputs = Inputs { entry, read, overrides: &[], machine, known: &[], asked: Some(card.to_owned()) };
    compile(inputs).verdict.unwrap().costed().clone()
}

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
        "{:16} {:12} {:>5} {:>6} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>7} {:>5} {}\n",
        "recipe",
        "card",
        "micro",
        "events",
        "planned",
        "in use",
        "reserved",
        "held",
        "with rest",
        "primed",
        "rounds",
        "exact",
        "verdict"
    );
    for (name, _) in recipes() {
        for card in CARDS {
            let costed = costed(&name, card);
            let schedule = Schedule::of(&costed.graphs());
            let events: usize = schedule.walks.iter().map(Vec::len).sum();
            let e = &costed.estimate;
            let seen = reserved(&costed.graphs(), &costed.device, Some(e.limit), e.accumulation > 1).unwrap();
            let primed = of_schedule(&schedule.primed(), costed.device.memory.value, Some(e.limit), e.accumulation > 1);
            let planned = e.peak.tensors();
            // The plan looks at every walk, also at further micro-steps where no step has any.
            let with_all = reserved(&costed.graphs(), &costed.device, Some(e.limit), true).unwrap();
            assert!(with_all.in_use >= planned, "{name} on {card}: {with_all:?}");
            let verdict = match seen.verdict {
                Verdict::Fits => "fits".to_owned(),
                Verdict::Tight { reclaims } => format!("tight, {reclaims} reclaims"),
                Verdict::Refused { walk, why } => format!("{}: {why}", walk.map_or("state", |walk| walk.name())),
            };
            let micro = e.micro_batch;
            let rounds = seen.rounds.map_or("-".to_owned(), |rounds| rounds.to_string());
            writeln!(
                table,
                "{name:16} {card:12} {micro:>5} {events:>6} {planned:>10} \
                 {:>10} {:>10} {:>10} {:>10} {:>10} {rounds:>7} {:>5} {verdict}",
                seen.in_use,
                seen.reserved,
                seen.held,
                seen.total(),
                primed.held,
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
    let costed = costed("crammed-bert", "rtx-a6000");
    let times = (0..9).map(|_| {
        let start = Instant::now();
        std::hint::black_box(reserved(&costed.graphs(), &costed.device, Some(costed.estimate.limit), true));
        start.elapsed().as_secs_f64()
    });
    let best = times.fold(f64::INFINITY, f64::min);
    println!("crammed-bert: {:.2} ms", best * 1e3);
    assert!(best < if cfg!(debug_assertions) { 0.5 } else { 0.03 }, "{best} s");
}
