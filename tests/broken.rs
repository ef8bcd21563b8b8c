//! Recipes that are refused or warned about: each file in `tests/broken` has what is said about it lying beside it.
//!
//! A fixture is called after its code, `<code>.ron` or `<code>-<variant>.ron`. It may begin with `// check ARGUMENTS`, further
//! arguments, and `// exit CODE`, where that is not 2. What fixtures import stands in `tests/broken/imported`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use cramplan::diag::Code;

/// A fixture that shows several mistakes at once, for the README.
const SEVERAL: &str = "three-errors";

/// What a fixture says about itself in its first lines.
struct Header {
    arguments: Vec<String>,
    exit: i32,
}

fn header(text: &str) -> Header {
    let mut header = Header { arguments: Vec::new(), exit: 2 };
    for line in text.lines().map_while(|line| line.strip_prefix("// ")) {
        if let Some(arguments) = line.strip_prefix("check ") {
            header.arguments = arguments.split_whitespace().map(str::to_owned).collect();
        } else if let Some(exit) = line.strip_prefix("exit ") {
            header.exit = exit.trim().parse().unwrap();
        }
    }
    header
}

fn check(path: &Path, arguments: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cramplan"))
        .arg("check")
        .arg(path.file_name().unwrap())
        .args(arguments)
        .current_dir(path.parent().unwrap())
        .env("NO_COLOR", "1")
        .env("CRAMPLAN_HOME", "/nowhere")
        .output()
        .unwrap()
}

/// The codes of the diagnostics that programs get.
fn codes(output: &Output) -> Vec<String> {
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    verdict["diagnostics"].as_array().unwrap().iter().map(|d| d["code"].as_str().unwrap().to_owned()).collect()
}

/// The whole text on stderr, the exit code, and the code by which the file is called.
fn said(path: &Path) -> datatest_stable::Result<()> {
    let stem = path.file_stem().ok_or("no name")?.to_string_lossy().into_owned();
    let code = common::code_of(&stem);
    let Header { mut arguments, exit } = header(&String::from_utf8_lossy(&std::fs::read(path)?));
    let output = check(path, &arguments);
    let said = String::from_utf8(output.stderr)?;
    let absolute = std::fs::canonicalize(path.parent().ok_or("no directory")?)?;
    insta::with_settings!({snapshot_path => absolute, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(stem.as_str(), said);
    });
    assert_eq!(output.status.code(), Some(exit), "{said}");
    assert!(said.contains("help:"), "no way out is offered: {said}");
    arguments.extend(["--format".to_owned(), "json".to_owned()]);
    let codes = codes(&check(path, &arguments));
    match code.map(Code::as_str) {
        Some(code) => assert!(codes.iter().any(|c| c == code), "`{code}` is not among {codes:?}"),
        None => assert_eq!(stem, SEVERAL, "a fixture is called after its code"),
    }
    Ok(())
}

datatest_stable::harness! {
    { test = said, root = "tests/broken", pattern = r"^[^/]*\.ron$" },
}
