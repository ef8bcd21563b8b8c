//! `cramplan check`

use super::arguments::{Check, Format};
use super::{Exit, print, print_json, render, verdict, world};
use crate::pipeline::{Compilation, Verdict};

/// Compiles a recipe and prints the verdict.
pub fn check(options: &Check) -> Exit {
    let compilation = match world::compile_choice(&options.choice, world::machine()) {
        Ok(compilation) => compilation,
        Err(unreadable) => {
            return unreadable.refuse(options.format == Format::Json);
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
