//! Mistakes as people make them: habits from YAML, Python, JSON, TOML, Rust, Hydra and Hugging Face, and what should be said about each.
//!
//! The first line of each file in `tests/mistakes` is the expectation: `// expect: CODE; at: TEXT; says: WORDS`. An error with this code
//! must have its primary place, of one line, on TEXT (which stands in the file once; none is anywhere), and WORDS must stand in its
//! message, labels or help; of an unknown name, WORDS that are one name must come first in the help, leaving out what the file says itself.
//! The whole of what is said lies beside the file, so that it can be read as prose.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

use std::ops::Range;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

struct Expectation {
    code: String,
    /// Where in the file; nothing where any place will do.
    at: Option<Range<usize>>,
    says: String,
}

/// Reads the first line of a file.
fn expectation(text: &str) -> Result<Expectation, String> {
    let (first, body) = text.split_once('\n').ok_or("no first line")?;
    let parts = first.trim_end().strip_prefix("// expect: ").ok_or("the first line is no expectation")?;
    let (code, parts) = parts.split_once("; at: ").ok_or("no `at`")?;
    let (at, says) = parts.split_once("; says: ").ok_or("no `says`")?;
    let places: Vec<usize> = body.match_indices(at).map(|(start, _)| first.len() + 1 + start).collect();
    let place = match (at, places.as_slice()) {
        ("", _) => None,
        (_, [start]) => Some(*start..*start + at.len()),
        _ => return Err(format!("`{at}` stands in the file {} times", places.len())),
    };
    Ok(Expectation { code: code.to_owned(), at: place, says: says.to_owned() })
}

impl Expectation {
    /// Why a diagnostic is not the one that is wanted; `None` where it is.
    fn objection(&self, diagnostic: &Value, text: &str) -> Option<String> {
        let number = |key: &str| diagnostic[key].as_u64().unwrap_or_default() as usize;
        let place = number("start")..number("end");
        let there = text.get(place.clone()).unwrap_or_default();
        if diagnostic["code"] != self.code.as_str() {
            return Some(format!("the code is {}, wanted {}", diagnostic["code"], self.code));
        }
        if self.at.as_ref().is_some_and(|at| !touch(at, &place)) || there.contains('\n') && !there.trim().is_empty() {
            return Some(format!("it points at {there:?}, wanted {:?}", self.at.clone().and_then(|at| text.get(at))));
        }
        if self.is_said(diagnostic, there) { None } else { Some(format!("it does not say {}", self.says)) }
    }

    /// A list of everything that could be meant has the right name in it as well: of an unknown name it must come first.
    fn is_said(&self, diagnostic: &Value, there: &str) -> bool {
        let name = self.says.strip_prefix('`').and_then(|s| s.strip_suffix('`')).filter(|_| self.code.starts_with("unknown-"));
        let Some(name) = name else { return said(diagnostic).contains(&self.says) };
        let help = diagnostic["help"].as_str().unwrap_or_default();
        // Between backticks is every second piece.
        help.split('`').skip(1).step_by(2).find(|word| *word != there) == Some(name)
    }
}

/// Whether two places share a byte, or the one that is empty stands at the other.
fn touch(a: &Range<usize>, b: &Range<usize>) -> bool {
    if a.is_empty() || b.is_empty() { a.start <= b.end && b.start <= a.end } else { a.start < b.end && b.start < a.end }
}

/// Message, labels and help, one a line.
fn said(diagnostic: &Value) -> String {
    let labels = diagnostic["labels"].as_array().into_iter().flatten().map(|label| &label["text"]);
    let parts = [&diagnostic["message"], &diagnostic["help"]].into_iter().chain(labels);
    parts.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

fn check(directory: &Path, arguments: &[&str]) -> std::io::Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cramplan"));
    command.arg("check").args(arguments).current_dir(directory).env("NO_COLOR", "1").env("CRAMPLAN_HOME", "/nowhere").output()
}

fn explained(path: &Path) -> datatest_stable::Result<()> {
    let directory = path.parent().ok_or("no directory")?;
    let name = path.file_name().and_then(|n| n.to_str()).ok_or("no name")?;
    let text = std::fs::read_to_string(path)?;
    let wanted = expectation(&text)?;

    let shown = check(directory, &[name])?;
    let stderr = String::from_utf8(shown.stderr)?;
    let stem = path.file_stem().ok_or("no name")?.to_string_lossy().into_owned();
    let absolute = std::fs::canonicalize(directory)?;
    insta::with_settings!({snapshot_path => absolute, prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(stem, stderr);
    });
    assert_eq!(shown.status.code(), Some(2), "{stderr}");

    let told: Value = serde_json::from_slice(&check(directory, &[name, "--format", "json"])?.stdout)?;
    let found = told["diagnostics"].as_array().ok_or("no diagnostics")?;
    let errors = found.iter().filter(|d| d["severity"] == "error");
    let objections: Vec<Option<String>> = errors.map(|error| wanted.objection(error, &text)).collect();
    if objections.iter().any(Option::is_none) {
        return Ok(());
    }
    let reasons: Vec<String> = objections.into_iter().flatten().collect();
    Err(format!("no error is the one that is wanted: {}\n{stderr}", reasons.join("; ")).into())
}

datatest_stable::harness! {
    { test = explained, root = "tests/mistakes", pattern = r"\.ron$" },
}
