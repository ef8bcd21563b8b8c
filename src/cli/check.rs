//! `cramplan check`

use serde_json::json;

use super::arguments::{Check, Format};
use super::{Exit, complain, print, print_json, render, say, verdict, world};
use crate::pipeline::{Compilation, Verdict};

/// Compiles a recipe and prints the verdict.
pub fn check(options: &Check) -> Exit {
    let compilation = match world::compile_choice(&options.choice, world::machine()) {
        Ok(compilation) => compilation,
        Err(unreadable) => {
            let (message, help) = unreadable.message();
            if options.format == Format::Json {
                let diagnostic = json!({"code": "unreadable", "severity": "error", "message": message, "help": help,
                    "file": unreadable.path, "start": 0, "end": 0, "line": 1, "column": 1});
                print_json(&json!({"recipe": null, "feasible": false, "diagnostics": [diagnostic]}));
            } else {
                complain(&message);
                say(&format!("help: {help}"));
            }
            return Exit::Invalid;
        }
    };
    match options.format {
        Format::Json => print_json(&verdict::json(&compilation)),
        Format::Text => {
            if let Some(verdict) = &compilation.verdict {
                print(&verdict::text(verdict));
            }
            render::show(&compilation.diagnostics, &compilation.sources);
        }
    }
    exit(&compilation)
}

/// The exit code of a compilation.
pub fn exit(compilation: &Compilation) -> Exit {
    match compilation.verdict {
        Some(Verdict::Feasible(_)) => Exit::Success,
        Some(Verdict::Infeasible(_)) => Exit::Infeasible,
        None => Exit::Invalid,
    }
}
