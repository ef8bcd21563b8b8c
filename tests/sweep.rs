//! `sweep` as programs and people meet it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use std::fmt::Write as _;
use std::process::Output;

use common::Place;
use serde_json::Value;

/// Heads and feed-forward follow the width.
const RECIPE: &str = r#"
let width = 256;
let heads = width / 64;
Recipe(
    name: "grid",
    budget: Budget(time: 1h, device: "rtx-2080-ti"),
    data: Corpus(sources: [Synthetic(4000)], tokenizer: WordPiece(vocab: 4096)),
    model: Encoder(width: width, depth: 4, heads: heads, sequence: 128, feed_forward: Glu(intermediate: 4 * width)),
    objective: MaskedLm(rate: 25%),
    batch: Ramp(to: 512, until: 50%),
    optimizer: AdamW(clip: 0.5),
    lr: Triangle(peak: 1e-3, start: 25%, peak_at: 50%),
)"#;

fn sweep(more: &[&str]) -> Output {
    Place::with(RECIPE).run(&[&["sweep", "recipe.ron"], more].concat())
}

/// Everything that a program says, with how it ended.
fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("exit {}\n--- stdout\n{}--- stderr\n{}", output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn json(more: &[&str]) -> (i32, Value) {
    let output = sweep(&[more, &["--format", "json"]].concat());
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn the_front_of_a_small_grid() {
    insta::assert_snapshot!(told(&sweep(&["--vary", "model.depth=2..8..2", "--vary", "width=128,256,300,512"])));
}

#[test]
fn every_point_of_a_small_grid_with_what_cannot_be_run() {
    let vary = ["--vary", "width=256,300,512", "--vary", "budget.memory=1GiB,4GiB", "--set", "micro_batch=64", "--all"];
    insta::assert_snapshot!(told(&sweep(&vary)));
    insta::assert_snapshot!(told(&sweep(&[&vary[..], &["--format", "csv"]].concat())));
}

#[test]
fn a_point_is_what_check_says_of_it() {
    let (code, swept) = json(&["--vary", "width=128..512..128", "--vary", "model.depth=3,5", "--all"]);
    assert_eq!((code, swept["points"].as_array().unwrap().len()), (0, 8));
    for point in swept["points"].as_array().unwrap() {
        let values: Vec<&str> = point["values"].as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
        let (width, depth) = (format!("width={}", values[0]), format!("model.depth={}", values[1]));
        let check = Place::with(RECIPE).run(&["check", "--set", &width, "--set", &depth, "--format", "json"]);
        let checked: Value = serde_json::from_slice(&check.stdout).unwrap();
        assert_eq!(point["memory"], checked["memory"]["peak_bytes"], "{point}");
        for field in ["tokens", "steps", "micro_batch"] {
            assert_eq!(point[field], checked[field], "{field} of {point}");
        }
        assert_eq!(point["parameters"], checked["params"]["total"], "{point}");
    }
}

#[test]
fn devices_can_be_varied() {
    let (code, swept) = json(&["--vary", r#"budget.device="rtx-2080-ti","rtx-3090","rtx-9""#, "--all"]);
    let devices: Vec<&str> = swept["points"].as_array().unwrap().iter().filter_map(|point| point["device"].as_str()).collect();
    assert_eq!((code, devices), (0, vec!["rtx-2080-ti", "rtx-3090"]));
    assert_eq!((&swept["broken"][0]["code"], &swept["broken"][0]["points"]), (&"unknown-device".into(), &1.into()));
}

#[test]
fn what_cannot_be_swept_is_said_at_its_place() {
    let mut all = String::new();
    for more in [
        &["--vary", "model.depth"][..],
        &["--vary", "model.dept=4..6"],
        &["--vary", "model.depth=6..4"],
        &["--vary", "model.depth=1..1000", "--vary", "width=64..64000..64"],
        &["--vary", "model.depth=4,6", "--vary", "model.depth=8"],
        &["--vary", "model.depth=4..6", "--for", "rtx-9"],
        &["--vary", "budget.memory=256MiB,512MiB"],
    ] {
        writeln!(all, "$ sweep {}\n{}", more.join(" "), told(&sweep(more))).unwrap();
    }
    insta::assert_snapshot!(all);
}
