//! The style of recipes: each file in `tests/format` has its formatted text lying beside it, and shipped recipes are formatted.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

use std::path::Path;

use cramplan::source::SourceId;
use cramplan::syntax::{ast::Document, format, parse};

fn formatted(text: &str) -> String {
    format(SourceId(0), text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn tree(text: &str) -> Option<Document> {
    parse(SourceId(0), text).0.map(Document::without_spans)
}

/// The formatted text is the one beside the file, says the same and is formatted.
fn styled(path: &Path) -> datatest_stable::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let once = formatted(&text);
    let directory = std::fs::canonicalize(path.parent().ok_or("no directory")?)?;
    let stem = path.file_stem().ok_or("no name")?.to_string_lossy().into_owned();
    insta::with_settings!({snapshot_path => directory, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(stem, once);
    });
    assert_eq!(formatted(&once), once, "not the same twice");
    assert_eq!(tree(&once), tree(&text), "another tree");
    Ok(())
}

/// What we ship is formatted.
fn shipped(path: &Path) -> datatest_stable::Result<()> {
    let text = std::fs::read_to_string(path)?;
    assert_eq!(formatted(&text), text, "run `cramplan fmt {}`", path.display());
    Ok(())
}

datatest_stable::harness! {
    { test = styled, root = "tests/format", pattern = r"\.ron$" },
    { test = shipped, root = "recipes", pattern = r"\.ron$" },
}
