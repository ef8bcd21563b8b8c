//! A sweep as a table, for people and for spreadsheets.

use std::fmt::Write as _;

use super::Swept;
use crate::step::recompute::Kind;
use crate::sweep::{Planned, broken};
use crate::units::Tokens;

/// The table, the counts below it.
pub fn text(swept: &Swept, all: bool) -> String {
    let mut out = heading(swept);
    let shown = swept.shown(all);
    if !shown.is_empty() {
        let mut rows = vec![columns(swept, all)];
        rows.extend(shown.iter().map(|point| row(swept, *point, all)));
        out.push('\n');
        out.push_str(&aligned(&rows, swept.sweep.axes.len()));
    }
    out.push('\n');
    out.push_str(&counts(swept));
    out
}

fn heading(swept: &Swept) -> String {
    let planned: Vec<&Planned> = swept.outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    let name = planned.first().map_or("", |p| p.recipe.as_str());
    let devices = planned.iter().all(|p| Some(&p.device) == planned.first().map(|p| &p.device));
    let on = planned.first().filter(|_| devices).map_or(String::new(), |p| format!(" on {}", p.device));
    let paths: Vec<String> = swept.sweep.axes.iter().map(|axis| format!("{} {}", axis.values.len(), axis.path)).collect();
    format!("{name}{on}: {} points, {}\n", swept.outcomes.len(), paths.join(" × "))
}

fn columns(swept: &Swept, all: bool) -> Vec<String> {
    let fixed = ["parameters", "micro-batch", "recomputed", "step", "memory", "tokens"];
    let state = all.then_some("");
    swept.sweep.axes.iter().map(|axis| axis.path.as_str()).chain(fixed).chain(state).map(str::to_owned).collect()
}

fn row(swept: &Swept, point: u64, all: bool) -> Vec<String> {
    let mut row: Vec<String> = swept.sweep.values(point).into_iter().map(str::to_owned).collect();
    row.extend(match swept.planned(point) {
        Some(p) => [
            Tokens(p.parameters).to_string(),
            p.micro_batch.to_string(),
            recomputed(p),
            p.step.to_string(),
            p.memory.to_string(),
            p.tokens.to_string(),
        ],
        None => std::array::from_fn(|_| String::new()),
    });
    row.extend(all.then(|| swept.state(point).to_owned()));
    row
}

/// What is recomputed, in how many blocks where not in all: `norms, gates 4`.
fn recomputed(p: &Planned) -> String {
    let kinds = Kind::ALL.into_iter().filter(|kind| p.recompute.blocks(*kind) > 0).map(|kind| {
        let blocks = p.recompute.blocks(kind);
        if blocks >= p.depth { kind.name().to_owned() } else { format!("{} {blocks}", kind.name()) }
    });
    let kinds: Vec<String> = kinds.collect();
    if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(", ") }
}

/// Rows with their cells under each other: values and what is recomputed to the left, numbers to the right.
fn aligned(rows: &[Vec<String>], values: usize) -> String {
    let width = |column: usize| rows.iter().map(|row| row.get(column).map_or(0, |cell| cell.chars().count())).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let is_left = |column: usize| column < values || column == values + 2 || column == values + 6;
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if is_left(column) { write!(line, "  {cell:<width$}") } else { write!(line, "  {cell:>width$}") };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn counts(swept: &Swept) -> String {
    let mut out = format!("{} on the front", swept.count("front"));
    for (state, words) in
        [("dominated", "dominated"), ("does not fit", "too large for the memory"), ("buys no step", "without a step")]
    {
        let count = swept.count(state);
        if count > 0 {
            let _ = write!(out, ", {count} {words}");
        }
    }
    out.push('\n');
    for b in broken(&swept.outcomes) {
        let at: Vec<String> =
            swept.sweep.axes.iter().zip(swept.sweep.values(b.point)).map(|(a, v)| format!("{}={v}", a.path)).collect();
        let _ = writeln!(out, "{} left out by `{}`, such as {}: {}", b.count, b.code, at.join(" "), b.message);
    }
    out
}

/// The table with every number in base units.
pub fn csv(swept: &Swept, all: bool) -> String {
    let mut names: Vec<String> = swept.sweep.axes.iter().map(|axis| axis.path.clone()).collect();
    names.extend(["state", "device", "parameters", "micro_batch"].map(str::to_owned));
    names.extend(Kind::ALL.map(|kind| format!("recompute_{}", kind.name())));
    names.extend(["step_seconds", "token_seconds", "memory", "steps", "tokens"].map(str::to_owned));
    let mut out = line(&names);
    for point in swept.shown(all) {
        let mut cells: Vec<String> = swept.sweep.values(point).into_iter().map(str::to_owned).collect();
        cells.push(swept.state(point).to_owned());
        if let Some(p) = swept.planned(point) {
            cells.extend([p.device.clone(), p.parameters.to_string(), p.micro_batch.to_string()]);
            cells.extend(Kind::ALL.map(|kind| p.recompute.blocks(kind).to_string()));
            cells.extend([p.step.0.to_string(), p.per_token.0.to_string()]);
            cells.extend([p.memory.0, p.steps, p.tokens.0].map(|n| n.to_string()));
        }
        cells.resize(names.len(), String::new());
        out.push_str(&line(&cells));
    }
    out
}

fn line(cells: &[String]) -> String {
    let cell = |cell: &String| {
        let quoted = cell.contains([',', '"', '\n']);
        if quoted { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
    };
    cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\n"
}
