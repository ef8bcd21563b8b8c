//! `devices`, and the user's own devices, as programs and people meet them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const RECIPE: &str = "recipes/crammed-bert.ron";

/// Runs the program with a directory of the user's.
fn cramplan(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cramplan"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("CRAMPLAN_HOME", home).output().unwrap()
}

fn json(home: &Path, arguments: &[&str]) -> (i32, Value) {
    let output = cramplan(home, &[arguments, &["--format", "json"]].concat());
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

fn home_with(devices: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("devices.ron"), devices).unwrap();
    home
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_device_is_listed_with_the_source_of_every_number() {
    let home = tempfile::tempdir().unwrap();
    let (code, list) = json(home.path(), &["devices"]);
    let devices = list["devices"].as_array().unwrap();
    assert_eq!((code, devices.len() >= 40, &devices[0]["name"], &devices[0]["here"]), (0, true, &"cpu".into(), &true.into()));
    for device in devices {
        for number in ["memory", "overhead", "efficiency", "bandwidth", "launch"] {
            let number = &device[number];
            assert!(number["value"].is_number() && !number["source"].as_str().unwrap().is_empty(), "{device}");
        }
        let peaks = device["peaks"].as_object().unwrap();
        assert!(peaks.len() == 4 && peaks["f32"]["value"].as_f64() > Some(1e10), "{device}");
        assert!(peaks.values().all(|peak| peak.is_null() || !peak["source"].as_str().unwrap().is_empty()), "{device}");
    }
}

#[test]
fn one_device_is_shown_in_full_and_an_unknown_one_is_answered() {
    let home = tempfile::tempdir().unwrap();
    let shown = text(&cramplan(home.path(), &["devices", "RTX 3090"]).stdout);
    for part in ["rtx-3090 (cuda", "24.00 GiB", "35.6 TFLOP/s", "71.2 TFLOP/s", "936 GB/s", "whitepaper"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(text(&cramplan(home.path(), &["devices", "mi300x"]).stdout).contains("does not run on AMD's cards"));
    let refused = cramplan(home.path(), &["devices", "rtx-3099"]);
    assert_eq!((refused.status.code(), text(&refused.stderr).contains("did you mean `rtx-3090`")), (Some(2), true));
}

#[test]
fn the_example_is_a_file_that_can_be_planned_for() {
    let empty = tempfile::tempdir().unwrap();
    let home = home_with(&text(&cramplan(empty.path(), &["devices", "--example"]).stdout));
    let (code, verdict) = json(home.path(), &["check", RECIPE, "--for", "My Card"]);
    assert_eq!((code, &verdict["device"]["name"]), (0, &"my-card".into()));
    assert_eq!(verdict["memory"]["limit_bytes"], 24_u64 << 30);
    let (_, unknown) = json(empty.path(), &["check", RECIPE, "--for", "my-card"]);
    assert_eq!(unknown["diagnostics"][0]["code"], "unknown-device");
}

#[test]
fn an_own_device_takes_the_place_of_the_catalogs_and_is_offered_by_its_name() {
    let home = home_with("[Device(name: \"rtx-a6000\", memory: 40GiB, f32: 38.7TFLOP, bandwidth: 768GB)]");
    let (code, verdict) = json(home.path(), &["check", RECIPE]);
    assert_eq!((code, &verdict["device"]["name"]), (0, &"rtx-a6000".into()));
    assert_eq!(verdict["memory"]["limit_bytes"], 40_u64 << 30);
    let (_, slip) = json(home.path(), &["check", RECIPE, "--for", "rtx-a600"]);
    assert!(slip["diagnostics"][0]["help"].as_str().unwrap().contains("rtx-a6000"), "{slip}");
}

#[test]
fn the_cpu_can_always_be_planned_for() {
    let home = home_with("[]");
    let (code, verdict) = json(home.path(), &["check", RECIPE, "--for", "cpu", "--set", "micro_batch=1"]);
    assert_eq!(verdict["device"]["name"], "cpu");
    assert!(code < 2, "{verdict}");
}

#[test]
fn a_broken_file_is_said_at_its_place_before_anything_else() {
    let home = home_with("Devices([\n    Device(name: \"a\", memory: 1GiB, f32: 1TFLOP, bandwith: 1GB),\n])");
    for arguments in [["check", RECIPE], ["plan", RECIPE], ["schedule", RECIPE], ["devices", "cpu"]] {
        let refused = cramplan(home.path(), &arguments);
        let said = text(&refused.stderr);
        assert_eq!((refused.status.code(), text(&refused.stdout).as_str()), (Some(2), ""), "{said}");
        assert!(said.contains("devices.ron:2:") && said.contains("did you mean `bandwidth`"), "{said}");
    }
    let (code, answer) = json(home.path(), &["check", RECIPE]);
    let found = &answer["diagnostics"][0];
    assert_eq!((code, &found["code"], &found["line"]), (2, &"unknown-field".into(), &2.into()), "{answer}");
    assert_eq!(cramplan(home.path(), &["devices", "--example"]).status.code(), Some(0));
}
