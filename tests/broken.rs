//! Recipes that are refused: each file in `tests/broken` has what is said about it lying beside it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

use std::path::Path;
use std::process::Command;

/// The whole text on stderr, and exit code 2.
fn refused(path: &Path) -> datatest_stable::Result<()> {
    let directory = path.parent().ok_or("no directory")?;
    let name = path.file_name().ok_or("no name")?;
    let output = Command::new(env!("CARGO_BIN_EXE_cramplan"))
        .arg("check")
        .arg(name)
        .current_dir(directory)
        .env("NO_COLOR", "1")
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    let stem = path.file_stem().ok_or("no name")?.to_string_lossy().into_owned();
    let absolute = std::fs::canonicalize(directory)?;
    insta::with_settings!({snapshot_path => absolute, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(stem, said);
    });
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("help:"), "no way out is offered: {said}");
    Ok(())
}

datatest_stable::harness! {
    { test = refused, root = "tests/broken", pattern = r"\.ron$" },
}
