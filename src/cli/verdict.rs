//! The verdict: for people at a glance, for programs in full.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::render;
use crate::budget::reserved::{HOST, Verdict as Held};
use crate::budget::{self, Bounds, Estimate, Peak, Phase, Reserved, RunEstimate};
use crate::check::{Costed, recomputed};
use crate::device::{Calibrated, DeviceKind};
use crate::pipeline::{Compilation, Verdict};
use crate::recipe::spending::Limit;
use crate::step::{Extents, Walk};
use crate::units::{Flops, Ratio, Tokens};

/// The verdict as text.
pub fn text(verdict: &Verdict) -> String {
    let costed = verdict.costed();
    let mut out = String::new();
    let word = match verdict {
        Verdict::Feasible(_) => "feasible",
        Verdict::Infeasible(_) => "not feasible",
    };
    let _ = writeln!(out, "{} on {}: {word}\n", costed.recipe.name, costed.device.name);
    for (name, lines) in [
        ("memory", memory(costed)),
        ("model", model(costed)),
        ("step", step(costed)),
        ("run", run(costed)),
        ("sources", sources(costed)),
    ] {
        for (i, line) in lines.iter().enumerate() {
            let _ = writeln!(out, "  {:9} {line}", if i == 0 { name } else { "" });
        }
    }
    out
}

fn memory(costed: &Costed) -> Vec<String> {
    let e = &costed.estimate;
    let share = e.peak.bytes.as_f64() / e.limit.as_f64();
    let mut lines = vec![format!("{} of {} at the peak  {}  {}", e.peak.bytes, e.limit, bar(share), Ratio(share))];
    let parts: Vec<String> = e.peak.parts.iter().map(|(part, bytes)| format!("{} {bytes}", part.name())).collect();
    lines.extend(parts.chunks(3).map(|chunk| chunk.join(" · ")));
    let walk = e.peak.walk.map_or(String::new(), |walk| format!(", {}", walk.name()));
    lines.push(format!("peak: {}{walk}", e.peak.operation));
    lines.extend(e.reserved.as_ref().map(reserved));
    lines
}

/// What is taken of a card, and whether it can be had.
fn reserved(reserved: &Reserved) -> String {
    let tight = match &reserved.verdict {
        Held::Fits => String::new(),
        Held::Tight { .. } => "; more than there is, so that unused memory would have to go back again and again".to_owned(),
        Held::Refused { walk, why } => {
            format!("; refused, {}: {why}", walk.map_or("while the state is made", Walk::name))
        }
    };
    let bound = if reserved.exact { "" } else { "at most " };
    format!("reserved: {bound}{} in the memory manager's pages, {} beside{tight}", reserved.held, reserved.beside())
}

fn bar(share: f64) -> String {
    let full = (share.clamp(0.0, 1.0) * 20.0).round() as usize;
    "█".repeat(full) + &"░".repeat(20 - full)
}

fn model(costed: &Costed) -> Vec<String> {
    let p = costed.estimate.parameters;
    let decay = if costed.recipe.optimizer.weight_decay() > 0.0 {
        format!("{} with weight decay", Tokens(p.decayed))
    } else {
        "none with weight decay, as `optimizer.weight_decay` is 0".to_owned()
    };
    vec![format!("{} parameters, {} of them not in the embedding, {decay}", Tokens(p.total), Tokens(p.non_embedding))]
}

fn step(costed: &Costed) -> Vec<String> {
    let e = &costed.estimate;
    let first = e.walk(Walk::First);
    let tokens = costed.recipe.model.sequence;
    let sequences = e.accumulation * e.micro_batch;
    let again = if first.recompute == Flops::ZERO { String::new() } else { format!("{} recomputed, ", first.recompute) };
    let mut lines = vec![
        format!("{} × micro-batch of {} = {sequences} sequences of {tokens} tokens", e.accumulation, e.micro_batch),
        format!("a micro-step: {} forward, {again}{} backward, {}", first.forward, first.backward, first.time),
        format!("{} of the peak (MFU)", Ratio(budget::utilisation(e, &costed.device))),
    ];
    if !e.recompute.is_nothing() {
        lines.push(format!("recompute: {}", recomputed(e.recompute, costed.recipe.model.depth)));
    }
    lines
}

fn run(costed: &Costed) -> Vec<String> {
    let run = &costed.estimate.run;
    let mut lines = vec![format!(
        "{} steps · {} tokens · {} · {}; {} binds",
        run.steps,
        run.tokens,
        run.flops,
        run.seconds,
        limit(run.binds)
    )];
    let bounds = bounds(costed);
    lines.push(match run.binds {
        Limit::Time => format!("{} tokens, by how well times are known", between(&bounds.map(|run| run.tokens.to_string()))),
        _ => format!("{}, by how well times are known", between(&bounds.map(|run| run.seconds.to_string()))),
    });
    lines.push(format!("{} of it for {} evaluations and {} checkpoints", run.overhead, run.evaluations, run.checkpoints));
    lines
}

/// The run where times are as good and as bad as they may be. Where that makes more or fewer tokens, the low end is the
/// slow one.
fn bounds(costed: &Costed) -> Bounds<RunEstimate> {
    let bounds = budget::interval(&costed.recipe, &costed.estimate, budget::error(&costed.device));
    if costed.estimate.run.binds == Limit::Time {
        Bounds { low: bounds.high, expected: bounds.expected, high: bounds.low }
    } else {
        bounds
    }
}

fn between(bounds: &Bounds<String>) -> String {
    if bounds.low == bounds.high { bounds.low.clone() } else { format!("{}–{}", bounds.low, bounds.high) }
}

fn limit(limit: Limit) -> String {
    format!("`budget.{}`", limit.name())
}

fn sources(costed: &Costed) -> Vec<String> {
    let d = &costed.device;
    let mut lines = vec![format!("limit {}: {}", costed.estimate.limit, brief(&costed.estimate.limit_source))];
    lines.extend(match &d.calibration {
        Some(calibration) => measured(calibration),
        None => from_data(costed),
    });
    lines.push(format!("process {}: {}", d.overhead.value, d.overhead.source));
    if d.kind == DeviceKind::Rocm {
        lines.push(format!("`{}` is planned for only: this program does not run on AMD's cards", d.name));
    }
    if matches!(d.kind, DeviceKind::Cpu { .. }) {
        lines.push(format!("bounded is {HOST}"));
    }
    lines.push("text: not looked at; `run` reads it, and says so before it spends anything".to_owned());
    lines
}

/// Where times come from on a machine that was measured.
fn measured(calibration: &Calibrated) -> Vec<String> {
    let mut lines = vec![format!("times ±{}: {calibration}", calibration.error)];
    lines.push(match calibration.disk {
        Some(rate) => format!("saving {rate}: measured with them"),
        None => format!("saving {}: assumed, an ordinary disk with its syncs", budget::ASSUMED_DISK),
    });
    lines
}

/// Where they come from on any other.
fn from_data(costed: &Costed) -> Vec<String> {
    let d = &costed.device;
    let factor = 1.0 + budget::error(d).0;
    let mut lines = vec![
        format!("peak {} of f32: {}", d.peaks.f32.value, brief(&d.peaks.f32.source)),
        format!("of it {}: {}", Ratio(d.efficiency.value), d.efficiency.source),
        format!("bandwidth {}: {}", d.bandwidth.value, brief(&d.bandwidth.source)),
        format!("launch {} an operation: {}", d.launch.value, d.launch.source),
        format!("saving {}: assumed, an ordinary disk with its syncs", budget::ASSUMED_DISK),
    ];
    lines.push(format!("times: from these, up to {factor} times less or more; `cramplan probe` measures a machine"));
    lines
}

/// A source without the pages that it was checked against; JSON and `cramplan devices NAME` have those too.
fn brief(source: &str) -> &str {
    source.split(", checked against").next().unwrap_or(source)
}

/// Everything as JSON.
pub fn json(compilation: &Compilation) -> Value {
    let diagnostics = render::json_list(&compilation.diagnostics, &compilation.sources);
    let Some(verdict) = &compilation.verdict else {
        return json!({"recipe": null, "feasible": false, "diagnostics": diagnostics});
    };
    let costed = verdict.costed();
    let e = &costed.estimate;
    let first = e.walk(Walk::First);
    json!({
        "recipe": costed.recipe.name,
        "feasible": matches!(verdict, Verdict::Feasible(_)),
        "params": e.parameters,
        "flops": {
            "forward": big(first.forward.0),
            "backward": big(first.backward.0),
            "recompute": big(first.recompute.0),
            "executed": big(e.executed_flops().0),
        },
        "micro_batch": e.micro_batch,
        "recompute": recomputed(e.recompute, costed.recipe.model.depth),
        "accumulation": e.accumulation,
        "memory": memory_json(e),
        "tokens": big(u128::from(e.run.tokens.0)),
        "steps": big(u128::from(e.run.steps)),
        "seconds": e.run.seconds.0,
        "interval": bounds_json(costed),
        "step": step_json(costed),
        "run": {
            "micro_steps": big(u128::from(e.run.micro_steps)),
            "flops": big(e.run.flops.0),
            "binds": e.run.binds.name(),
            "evaluations": e.run.evaluations,
            "checkpoints": e.run.checkpoints,
            "overhead_seconds": e.run.overhead.0,
        },
        "device": costed.device,
        "diagnostics": diagnostics,
    })
}

/// Seconds, steps and tokens where times are as good and as bad as they may be.
fn bounds_json(costed: &Costed) -> Value {
    let bounds = budget::interval(&costed.recipe, &costed.estimate, budget::error(&costed.device));
    let run = |run: &RunEstimate| json!({"seconds": run.seconds.0, "steps": big(u128::from(run.steps)), "tokens": big(u128::from(run.tokens.0))});
    json!({"error": budget::error(&costed.device), "fast": run(&bounds.low), "expected": run(&bounds.expected), "slow": run(&bounds.high)})
}

fn step_json(costed: &Costed) -> Value {
    let e = &costed.estimate;
    let seconds: serde_json::Map<String, Value> =
        Walk::ALL.into_iter().map(|walk| (walk.name().to_owned(), json!(e.walk(walk).time.0))).collect();
    json!({
        "seconds": seconds,
        "mfu": budget::utilisation(e, &costed.device),
        "mfu_palm": budget::palm_utilisation(e, &Extents::new(&costed.recipe, e.micro_batch), &costed.device),
    })
}

fn memory_json(e: &Estimate) -> Value {
    json!({
        "peak_bytes": big(u128::from(e.peak.bytes.0)),
        "limit_bytes": big(u128::from(e.limit.0)),
        "limit_source": e.limit_source,
        "parts": parts_json(&e.peak),
        "peak_at": {"walk": e.peak.walk.map(Walk::name), "index": e.peak.index, "operation": e.peak.operation},
        "phases": e.phases.iter().map(phase_json).collect::<Vec<Value>>(),
        "checkpoint_bytes": big(u128::from(e.checkpoint.0)),
        "reserved": e.reserved,
        "needed_bytes": big(u128::from(e.needed().0)),
    })
}

fn parts_json(peak: &Peak) -> serde_json::Map<String, Value> {
    peak.parts.iter().map(|(part, bytes)| (part.name().to_owned(), big(u128::from(bytes.0)))).collect()
}

/// A phase with its highest memory and the operation that runs then.
fn phase_json(phase: &Phase) -> Value {
    let Phase { event, peak } = phase;
    json!({
        "phase": event.name(),
        "bytes": big(u128::from(peak.bytes.0)),
        "parts": parts_json(peak),
        "index": peak.index,
        "operation": peak.operation,
    })
}

/// A whole number: as a string where a double cannot hold it.
fn big(n: u128) -> Value {
    u64::try_from(n).ok().filter(|n| *n <= 1 << 53).map_or_else(|| json!(n.to_string()), |n| json!(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_past_two_to_the_53_are_strings() {
        assert_eq!(big(1 << 53), json!(9_007_199_254_740_992_u64));
        assert_eq!(big((1 << 53) + 1), json!("9007199254740993"));
    }

    #[test]
    fn the_bar_is_always_twenty_wide() {
        assert!([0.0, 0.3, 1.0, 7.0].into_iter().all(|x| bar(x).chars().count() == 20));
    }
}
