//! `cramplan check`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::arguments::{Check, Choice, Format};
use super::inventory::Inventory;
use super::{Exit, fix, print, print_json, render, say, verdict, world};
use crate::pipeline::{Compilation, Resolved, Verdict};
use crate::recipe::resolved::{self, Line, Origin};
use crate::source::Sources;

/// Compiles a recipe and prints the verdict.
pub fn check(options: &Check) -> Exit {
    let inventory = match Inventory::load() {
        Ok(inventory) => inventory,
        Err(broken) => return broken.refuse(options.format == Format::Json),
    };
    let compiled = if options.fix {
        fix::mend(&options.choice, &inventory).and_then(|mended| {
            let written = fix::write(&mended);
            // What could not be written is as it was.
            let compilation = if written { mended.compilation } else { world::compile_choice(&options.choice, &inventory)? };
            Ok((compilation, written))
        })
    } else {
        world::compile_choice(&options.choice, &inventory).map(|compilation| (compilation, true))
    };
    let (compilation, written) = match compiled {
        Ok(compiled) => compiled,
        Err(unreadable) => return unreadable.refuse(options.format == Format::Json),
    };
    match options.format {
        Format::Json => print_json(&as_json(&compilation, options.resolved)),
        Format::Text => as_text(&compilation, options),
    }
    say_unknown_card(&inventory, &options.choice);
    if written { exit(&compilation) } else { Exit::Invalid }
}

/// Says that a card was passed over, since nothing is known of it.
pub fn say_unknown_card(inventory: &Inventory, choice: &Choice) {
    if let (true, None, Some(model)) = (cfg!(feature = "cuda"), &choice.device, inventory.unknown_cards().next()) {
        say(&format!(
            "note: this machine's `{model}` is not in the catalog and was passed over: see `cramplan devices --example`"
        ));
    }
}

fn as_text(compilation: &Compilation, options: &Check) {
    if options.resolved {
        if let Some(resolved) = &compilation.resolved {
            print(&in_full(resolved, &compilation.sources));
        }
    } else if let Some(verdict) = &compilation.verdict {
        print(&verdict::text(verdict));
    }
    render::show(&compilation.diagnostics, &compilation.sources);
    say_more(compilation, options.fix);
}

/// Where to read on, and what can be done about it by itself.
fn say_more(compilation: &Compilation, mended: bool) {
    let found = &compilation.diagnostics;
    let Some(first) = found.iter().find(|d| d.is_error()).or(found.first()) else { return };
    let safe = found.iter().filter(|d| fix::of(d, &compilation.sources).is_some()).count();
    let mut line = format!("help: `cramplan explain {}` tells more", first.code);
    if safe > 0 && !mended {
        let _ = match (safe, compilation.diagnostics.len()) {
            (1, 1) => write!(line, "; `cramplan check --fix` mends it"),
            (all, of) if all == of => write!(line, "; `cramplan check --fix` mends all of these"),
            (some, _) => write!(line, "; `cramplan check --fix` mends {some} of these"),
        };
    }
    say(&line);
}

fn as_json(compilation: &Compilation, in_full: bool) -> Value {
    let mut object = verdict::json(compilation);
    if let (true, Some(resolved), Some(map)) = (in_full, &compilation.resolved, object.as_object_mut()) {
        let lines = resolved::lines(&resolved.value);
        let values = lines.iter().filter_map(|line| {
            let from = origin(line.origin, resolved, &compilation.sources)?;
            Some(json!({"path": line.path, "value": line.value.as_ref()?, "from": from}))
        });
        map.insert("resolved".to_owned(), values.collect());
    }
    object
}

/// Widest text before which remarks are aligned.
const REMARKS: usize = 64;

/// The recipe in full, with where each value comes from as a comment.
fn in_full(resolved: &Resolved, sources: &Sources) -> String {
    let lines = resolved::lines(&resolved.value);
    let width = |line: &Line| line.depth * 4 + line.text.chars().count();
    let column = lines.iter().map(width).filter(|w| *w <= REMARKS).max().unwrap_or(0);
    let mut out = String::new();
    for line in &lines {
        let indent = line.depth * 4;
        let _ = match origin(line.origin, resolved, sources) {
            Some(from) => {
                let gap = column.saturating_sub(width(line)) + 2;
                writeln!(out, "{:indent$}{}{:gap$}// {from}", "", line.text, "")
            }
            None => writeln!(out, "{:indent$}{}", "", line.text),
        };
    }
    out
}

/// Where a value comes from, in a word: a file and line, the command line's own, or the default.
fn origin(origin: Origin, resolved: &Resolved, sources: &Sources) -> Option<String> {
    match origin {
        Origin::Nowhere => None,
        Origin::Default => Some("default".to_owned()),
        Origin::Written(span) => {
            let span = resolved.derived.get(&span).copied().unwrap_or(span);
            let source = sources.get(span.source)?;
            if source.name.starts_with("--") {
                return Some(format!("{} {}", source.name, source.text.lines().next().unwrap_or_default()));
            }
            let (line, _) = sources.line_column(span);
            Some(format!("{}:{line}", source.name))
        }
    }
}

/// The exit code of a compilation.
pub fn exit(compilation: &Compilation) -> Exit {
    match compilation.verdict {
        Some(Verdict::Feasible(_)) => Exit::Success,
        Some(Verdict::Infeasible(_)) => Exit::Infeasible,
        None => Exit::Invalid,
    }
}
