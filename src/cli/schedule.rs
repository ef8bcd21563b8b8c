//! `cramplan schedule`

use std::fmt::Write as _;

use serde_json::json;

use super::arguments::{Format, Schedule};
use super::inventory::Inventory;
use super::{Exit, check, print, print_json, render, verdict, world};
use crate::check::Costed;

/// A point of the curves.
struct Point {
    progress: f64,
    rate: f64,
    accumulation: u64,
}

/// Prints learning rate and batch over the budget.
pub fn schedule(options: &Schedule) -> Exit {
    let inventory = match Inventory::load() {
        Ok(inventory) => inventory,
        Err(broken) => return broken.refuse(options.format == Format::Json),
    };
    let compilation = match world::compile_choice(&options.choice, &inventory) {
        Ok(compilation) => compilation,
        Err(unreadable) => {
            return unreadable.refuse(options.format == Format::Json);
        }
    };
    render::show(&compilation.diagnostics, &compilation.sources);
    let Some(verdict) = &compilation.verdict else {
        if options.format == Format::Json {
            print_json(&verdict::json(&compilation));
        }
        return Exit::Invalid;
    };
    let costed = verdict.costed();
    let points = points(costed, options.points);
    let micro_batch = costed.estimate.micro_batch;
    match options.format {
        Format::Text => print(&table(costed, &points)),
        Format::Json => {
            let points: Vec<_> = points
                .iter()
                .map(|p| json!({"progress": p.progress, "lr": p.rate, "accumulation": p.accumulation, "batch": p.accumulation * micro_batch}))
                .collect();
            print_json(
                &json!({"points": points, "diagnostics": render::json_list(&compilation.diagnostics, &compilation.sources)}),
            );
        }
    }
    check::exit(&compilation)
}

fn points(costed: &Costed, count: u32) -> Vec<Point> {
    let recipe = &costed.recipe;
    let point = |i: u32| {
        let e = &costed.estimate;
        let moment = e.run.moment(f64::from(i) / f64::from(count - 1), e.micro_tokens);
        let accumulation = recipe.accumulation(&moment, e.micro_batch);
        Point { progress: moment.progress, rate: recipe.rate(&moment), accumulation }
    };
    (0..count).map(point).collect()
}

fn table(costed: &Costed, points: &[Point]) -> String {
    let mut out = format!("{:>8}  {:>9}  {:>8}\n", "progress", "lr", "batch");
    let peak = costed.recipe.lr.peak();
    for p in points {
        let batch = p.accumulation * costed.estimate.micro_batch;
        let bar = "█".repeat((p.rate / peak * 30.0).round() as usize);
        let _ = writeln!(out, "{:>7.1}%  {:>9.3e}  {batch:>8}  {bar}", p.progress * 100.0, p.rate);
    }
    out
}
