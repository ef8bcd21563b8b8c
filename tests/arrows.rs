//! The arrows between the stages: reads the sources and holds which stage may use which, and which libraries.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each stage with the stages that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("source", &[]),
    ("rng", &[]),
    ("diag", &["source"]),
    ("syntax", &["source", "diag"]),
    ("recipe", &["syntax", "source", "diag", "units"]),
    ("device", &["units"]),
    ("step", &["recipe", "units"]),
    ("budget", &["step", "device", "recipe", "units"]),
    ("check", &["budget", "step", "device", "recipe", "diag", "source", "units"]),
    // The second opinion: of the planner's stages it knows the catalog's data alone.
    ("verify", &["device", "units"]),
    ("plan", &["verify", "check", "budget", "step", "device", "recipe", "units"]),
    ("pipeline", &["check", "device", "recipe", "syntax", "diag", "source"]),
    ("sweep", &["pipeline", "check", "budget", "step", "device", "recipe", "syntax", "diag", "source", "units"]),
    ("editor", &["pipeline", "step", "recipe", "syntax", "diag", "source", "units"]),
    ("data", &["rng", "units"]),
    ("ledger", &[]),
    ("exec", &["plan", "budget", "step", "device", "recipe", "data", "ledger", "rng", "units"]),
    (
        "cli",
        &[
            "editor", "sweep", "pipeline", "plan", "verify", "check", "budget", "step", "device", "recipe", "syntax", "diag",
            "source", "data", "ledger", "exec", "units",
        ],
    ),
];

/// Stages that know neither files, nor the clock, nor the environment, nor the screen.
const PURE: &[&str] = &[
    "units", "source", "rng", "diag", "syntax", "recipe", "device", "step", "budget", "check", "plan", "pipeline", "sweep",
    "editor", "verify",
];

/// What only some stages may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("burn", &["exec", "cli"]),
    ("gemm", &["exec"]),
    ("tokenizers", &["data"]),
    ("clap", &["cli"]),
    ("miette", &["cli"]),
    ("lsp_server", &["cli"]),
    ("lsp_types", &["cli"]),
    ("indicatif", &["cli"]),
    ("nom", &["syntax"]),
    ("similar", &["cli"]),
];

/// A source file with the stage it belongs to; tests are cut off.
struct File {
    stage: String,
    path: PathBuf,
    code: String,
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let inside = path.strip_prefix(&root).unwrap();
            let stage = inside.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
            let is_test = path.file_name().is_some_and(|n| n == "tests.rs");
            if path.extension().is_some_and(|e| e == "rs") && !is_test && stage != "main" && stage != "lib" {
                found.push(File { stage, code: code(&fs::read_to_string(&path).unwrap()), path });
            }
        }
    }
    found
}

/// The code without its tests and comments.
fn code(text: &str) -> String {
    let production = text.split("#[cfg(test)]").next().unwrap_or(text);
    production.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The names that follow `prefix` in the code.
fn names_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.match_indices(prefix).map(|(i, _)| word(&code[i + prefix.len()..])).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_stage_has_its_row() {
    let known: BTreeSet<&str> = ARROWS.iter().map(|(stage, _)| *stage).collect();
    let found: BTreeSet<String> = files().into_iter().map(|f| f.stage).collect();
    assert_eq!(found, known.iter().map(|s| (*s).to_owned()).collect());
}

#[test]
fn arrows_point_downwards_only() {
    let stages: BTreeSet<&str> = ARROWS.iter().map(|(stage, _)| *stage).collect();
    for file in files() {
        let allowed = ARROWS.iter().find(|(stage, _)| *stage == file.stage).unwrap().1;
        for used in names_after(&file.code, "crate::") {
            let is_stage = stages.contains(used.as_str()) && used != file.stage;
            assert!(!is_stage || allowed.contains(&used.as_str()), "{} uses `{used}`", file.path.display());
        }
    }
}

#[test]
fn pure_stages_touch_nothing_outside() {
    let outside = ["std::fs", "std::env", "std::time", "std::process", "std::io", "std::net", "println!", "eprintln!"];
    for file in files().into_iter().filter(|f| PURE.contains(&f.stage.as_str())) {
        for name in outside {
            assert!(!file.code.contains(name), "{} names `{name}`", file.path.display());
        }
    }
}

#[test]
fn libraries_stay_in_their_stage() {
    for file in files() {
        for (library, stages) in RESERVED {
            let names = file.code.contains(&format!("{library}::"));
            assert!(!names || stages.contains(&file.stage.as_str()), "{} names `{library}`", file.path.display());
        }
    }
}
