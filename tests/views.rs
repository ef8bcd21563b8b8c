//! The views of a plan: pictures are well-formed and current, traces nest and sum up, the peak's holders sum to the peak.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;
#[path = "common/xml.rs"]
mod xml;

use std::collections::BTreeMap;
use std::path::Path;

use common::draws::Draws;
use common::{Place, costed, machine, small};
use cramplan::check::Costed;
use cramplan::device::find;
use cramplan::plan::view::trace::{Event, events};
use cramplan::plan::view::{peak, picture, planned};
use cramplan::step::Walk;
use insta::assert_snapshot;

const CRAMMED: &str = include_str!("../recipes/crammed-bert.ron");

fn tiny() -> Costed {
    costed(&small("steps: 8", "evaluation: Evaluation(sequences: 16),"), &[], machine())
}

/// Recipes of many kinds: shipped and made up, that fit and that do not, on cards and on the CPU, with and without recomputation.
fn many() -> Vec<Costed> {
    let mut all = vec![tiny()];
    let mut draws = Draws::new(9);
    for (device, set) in [
        ("rtx-a6000", vec![]),
        ("rtx-2080-ti", vec!["micro_batch=512"]),
        ("rtx-2080-ti", vec!["recompute=Blocks()", "model.depth=5"]),
        ("rtx-2080-ti", vec!["budget.memory=3GiB"]),
    ] {
        all.push(costed(CRAMMED, &set, find(device).unwrap()));
    }
    for _ in 0..12 {
        let depth = format!("model.depth={}", 1 + draws.below(6));
        let batch = format!("micro_batch={}", draws.pick(&[1, 2, 4, 8, 16]));
        let recompute = draws.pick(&["recompute=Auto()", "recompute=Blocks()", "recompute=Parts(attention: 50%, gates: 100%)"]);
        let device = if draws.below(2) == 0 { machine() } else { find("rtx-a6000").unwrap() };
        all.push(costed(&small("steps: 50", ""), &[&depth, &batch, recompute], device));
    }
    all
}

#[test]
fn every_picture_is_well_formed_and_has_no_number_that_is_none() {
    for costed in many() {
        let svg = picture::svg(&costed);
        let elements = xml::elements(&svg).unwrap();
        assert!(elements[0] == "svg" && elements.iter().filter(|name| *name == "path").count() >= 6, "{elements:?}");
        for sign in ["NaN", "inf", "-0\""] {
            assert!(!svg.contains(sign), "{sign} in {svg}");
        }
    }
}

#[test]
fn a_name_cannot_break_the_picture() {
    let mut named = tiny();
    named.recipe.name = "a<b>&\"c\"\u{1}".to_owned();
    xml::elements(&picture::svg(&named)).unwrap();
}

#[test]
fn the_check_of_xml_finds_what_is_wrong() {
    for wrong in ["<a><b></a></b>", "<a x=1/>", "<a x=\"1\" x=\"2\"/>", "<a>&</a>", "<a/><b/>", "<a>", "<a x=\"<\"/>"] {
        assert!(xml::elements(wrong).is_err(), "{wrong}");
    }
    assert_eq!(xml::elements("<a x=\"1\"><b/>&amp;</a>\n").unwrap(), ["a", "b"]);
}

/// The spans of a trace by process and thread, in order.
fn spans(text: &str) -> BTreeMap<(u64, u64), Vec<Event>> {
    let mut spans: BTreeMap<_, Vec<Event>> = BTreeMap::new();
    for (event, _) in events(text).filter(|(event, _)| event.ph == "X") {
        spans.entry((event.pid, event.tid)).or_default().push(event);
    }
    spans
}

fn end(event: &Event) -> u64 {
    event.ts.0 + event.dur.unwrap().0
}

#[test]
fn events_of_a_thread_nest_and_the_operations_of_a_walk_take_all_of_its_time() {
    for costed in many() {
        let text = planned::trace(&costed).finish();
        let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(whole["traceEvents"].as_array().unwrap().len(), events(&text).count());
        let mut walks = 0;
        for events in spans(&text).values() {
            for (i, a) in events.iter().enumerate() {
                // Nested or apart; looking at a few neighbours is enough, and not every pair of thousands.
                for b in events[i + 1..].iter().take(40) {
                    let apart = end(a) <= b.ts.0 || end(b) <= a.ts.0;
                    let nested = (a.ts <= b.ts && end(b) <= end(a)) || (b.ts <= a.ts && end(a) <= end(b));
                    assert!(apart || nested, "{a:?} {b:?}");
                }
            }
            let Some(walk) = Walk::ALL.into_iter().find(|walk| events[0].cat == "walk" && events[0].name == walk.name()) else {
                continue;
            };
            let operations: Vec<&Event> =
                events.iter().filter(|event| event.name.contains(" in ") || event.name.contains(" of ")).collect();
            let sum: u64 = operations.iter().map(|event| event.dur.unwrap().0).sum();
            assert_eq!((operations.len(), sum), (costed.estimate.walk(walk).operations, end(&events[0])), "{walk:?}");
            assert!((sum as f64 - costed.estimate.walk(walk).time.0 * 1e9).abs() <= 1.0, "{walk:?}");
            walks += 1;
        }
        assert_eq!(walks, 4);
    }
}

#[test]
fn the_highest_value_of_the_counters_is_the_peak() {
    for costed in many() {
        let text = planned::trace(&costed).finish();
        let counters = events(&text).filter(|(event, _)| event.name == "live bytes").map(|(event, _)| event);
        let mut highest: BTreeMap<u64, u64> = BTreeMap::new();
        for event in counters {
            let total: u64 = event.args.values().map(|bytes| bytes.as_u64().unwrap()).sum();
            let known = highest.entry(event.pid).or_default();
            *known = total.max(*known);
        }
        let walks: Vec<u64> = Walk::ALL.map(|walk| costed.estimate.walk(walk).peak.0).to_vec();
        assert_eq!(highest.into_values().collect::<Vec<_>>(), walks);
    }
}

#[test]
fn the_holders_sum_to_the_peak() {
    for costed in many() {
        let explained = peak::explain(&costed);
        let parts = |part| explained.sum(|holder| holder.part == part);
        assert!(costed.estimate.peak.parts.iter().all(|(part, bytes)| parts(*part) == *bytes), "{explained:?}");
        let json = peak::json(&costed);
        let sum: u64 = json["holders"].as_array().unwrap().iter().map(|holder| holder["bytes"].as_u64().unwrap()).sum();
        assert_eq!((sum, json["peak_bytes"].as_u64()), (costed.estimate.peak.bytes.0, Some(sum)));
    }
}

#[test]
fn the_views_of_a_small_recipe() {
    let tiny = tiny();
    insta::with_settings!({snapshot_path => "views", prepend_module_to_snapshot => false}, {
        assert_snapshot!("picture", picture::svg(&tiny));
        assert_snapshot!("peak", peak::text(&tiny));
        // Without the operations of the walks, of which there are hundreds.
        let trace = planned::trace(&tiny).finish();
        let run = |line: &&str| line.contains("\"pid\":10,") || line.contains("\"M\"") || line.contains("\"cat\":\"walk\"");
        assert_snapshot!("trace", trace.lines().filter(run).collect::<Vec<_>>().join("\n"));
    });
}

#[test]
fn the_picture_in_the_readme_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/views/crammed-bert.svg");
    let now = picture::svg(&costed(CRAMMED, &[], find("rtx-a6000").unwrap()));
    let command = "cargo run --release -- plan recipes/crammed-bert.ron --format svg > tests/views/crammed-bert.svg";
    assert!(std::fs::read_to_string(path).unwrap_or_default() == now, "make it again: {command}");
}

#[test]
fn what_does_not_fit_is_shown_and_the_exit_code_says_so() {
    let place = Place::with(&small("steps: 8, memory: 97MiB", ""));
    for arguments in
        [&["plan", "--format", "svg"][..], &["plan", "--explain-peak"], &["plan", "--explain-peak", "--format", "json"]]
    {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stdout.len() > 500, "{arguments:?}");
    }
    assert_eq!(place.run(&["plan", "--format", "tree"]).stdout, b"");
    let output = place.run(&["plan", "--explain-peak", "--format", "svg"]);
    assert!(output.status.code() == Some(2) && String::from_utf8_lossy(&output.stderr).contains("help:"));
}

#[test]
fn text_is_another_word_for_tree() {
    let place = Place::with(&small("steps: 8", ""));
    assert_eq!(place.succeed(&["plan", "--format", "text"]), place.succeed(&["plan", "--format", "tree"]));
}
