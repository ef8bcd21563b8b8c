//! `cramplan verify`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::arguments::{Format, Verify};
use super::{Exit, complain, print, print_json, say, world};
use crate::verify::format::WalkName;
use crate::verify::{Broken, Report, verify as check};

/// How many broken laws are shown to people; programs get all.
const SHOWN: usize = 20;

/// Holds a saved plan against the laws: exit code 0 where they hold, 1 where one does not, 2 where it is no plan.
pub fn verify(options: &Verify) -> Exit {
    let path = options.file.display();
    let read = world::read_text(&options.file).map_err(|error| format!("`{path}` cannot be read: {error}"));
    let verified = read.and_then(|text| check(&text).map_err(|why| format!("`{path}` is no certificate: {why}")));
    match (verified, options.format) {
        (Ok(report), format) => {
            match format {
                Format::Text => print(&text(&report)),
                Format::Json => print_json(&as_json(&report)),
            }
            if report.holds() { Exit::Success } else { Exit::Infeasible }
        }
        (Err(message), Format::Json) => {
            print_json(&json!({"holds": false, "error": message}));
            Exit::Invalid
        }
        (Err(message), Format::Text) => {
            complain(&message);
            say("help: `cramplan plan RECIPE --out FILE` writes one");
            Exit::Invalid
        }
    }
}

fn text(report: &Report) -> String {
    let content = &report.certificate.content;
    let word = if report.holds() { "holds" } else { "does not hold" };
    let title = format!("{} on {} · plan {:.12}", content.recipe.name, content.device.name, report.certificate.hash);
    let mut out = format!("{title}: {word}\n\n");
    let times: u64 = report.book.checked.values().sum();
    let operations: usize = content.walks.iter().map(|w| w.operations.len()).sum();
    let _ = writeln!(out, "  {} laws, applied {times} times to {operations} operations", report.book.checked.len());
    for broken in report.book.broken.iter().take(SHOWN) {
        let _ = writeln!(out, "  {}: {}: stated {}, derived {}", broken.law.name(), place(broken), broken.stated, broken.derived);
    }
    if let Some(more) = report.book.broken.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        let _ = writeln!(out, "  and {more} more; `--format json` has them all");
    }
    for what in &report.unchecked {
        let _ = writeln!(out, "  not checked: {what}");
    }
    out
}

/// `first micro-step, operation 12 (LayerNorm in Block(3)), tensor 40, workspace`
fn place(broken: &Broken) -> String {
    let at = &broken.at;
    let mut parts = Vec::new();
    parts.extend(at.walk.map(|walk| walk.name().to_owned()));
    if let Some(index) = at.operation {
        parts.push(broken.operation.as_ref().map_or(format!("operation {index}"), |name| format!("operation {index} ({name})")));
    }
    parts.extend(at.tensor.map(|id| format!("tensor {id}")));
    parts.push(at.field.to_owned());
    parts.join(", ")
}

fn as_json(report: &Report) -> Value {
    let laws: serde_json::Map<String, Value> =
        report.book.checked.iter().map(|(law, times)| (law.name(), json!(times))).collect();
    let broken: Vec<Value> = report.book.broken.iter().map(broken_json).collect();
    json!({
        "holds": report.holds(),
        "hash": report.certificate.hash,
        "laws": laws,
        "broken": broken,
        "unchecked": report.unchecked,
    })
}

fn broken_json(broken: &Broken) -> Value {
    json!({
        "law": broken.law.name(),
        "walk": broken.at.walk.map(WalkName::name),
        "index": broken.at.operation,
        "operation": broken.operation,
        "tensor": broken.at.tensor,
        "field": broken.at.field,
        "stated": broken.stated,
        "derived": broken.derived,
    })
}
