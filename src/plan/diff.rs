//! What differs between two plans: bytes, seconds, tokens, and the fields of their recipes.

use std::fmt::Write as _;

use serde_json::{Value, json as object};

use super::{Drift, drift};
use crate::recipe::settings::Recipe;
use crate::units::{Bytes, Flops, Seconds, Tokens};
use crate::verify::format::{Bill, Content, WalkName};

/// A quantity of both plans.
#[derive(Clone, Debug, PartialEq)]
struct Quantity {
    /// Its name in JSON.
    key: &'static str,
    /// Its name for people.
    name: &'static str,
    /// As people read it, before and after.
    text: (String, String),
    /// As a number, before and after.
    number: (f64, f64),
    /// As JSON, before and after.
    json: (Value, Value),
}

/// What differs between two plans.
#[derive(Clone, Debug)]
pub struct Difference {
    titles: (String, String),
    quantities: Vec<Quantity>,
    fields: Vec<Drift>,
}

/// Compares two plans.
pub fn difference(a: &Content<Recipe>, b: &Content<Recipe>) -> Difference {
    let title = |c: &Content<Recipe>| format!("{} on {}, plan {:.12}", c.recipe.name, c.device.name, c.hash());
    Difference { titles: (title(a), title(b)), quantities: quantities(a, b), fields: drift::between(&a.recipe, &b.recipe) }
}

/// The parts of the peak.
fn parts(c: &Content<Recipe>) -> Bill {
    let walk = c.peak.walk.and_then(|name| c.walks.iter().find(|w| w.walk == name));
    walk.map_or(c.saving, |walk| walk.peak.parts)
}

fn seconds(c: &Content<Recipe>, name: WalkName) -> Seconds {
    c.walks.iter().find(|w| w.walk == name).map_or(Seconds::ZERO, |w| w.seconds)
}

fn quantities(a: &Content<Recipe>, b: &Content<Recipe>) -> Vec<Quantity> {
    let bytes = |key, name, f: &dyn Fn(&Content<Recipe>) -> Bytes| {
        quantity(key, name, (f(a), f(b)), |x| (x.to_string(), x.as_f64(), whole(u128::from(x.0))))
    };
    let time = |key, name, f: &dyn Fn(&Content<Recipe>) -> Seconds| {
        quantity(key, name, (f(a), f(b)), |x| (x.to_string(), x.0, object!(x.0)))
    };
    let count = |key, name, f: &dyn Fn(&Content<Recipe>) -> u64| {
        quantity(key, name, (f(a), f(b)), |x| (x.to_string(), x as f64, whole(u128::from(x))))
    };
    let work = |key, name, f: &dyn Fn(&Content<Recipe>) -> Flops| {
        quantity(key, name, (f(a), f(b)), |x| (x.to_string(), x.as_f64(), whole(x.0)))
    };
    let tokens = |f: &dyn Fn(&Content<Recipe>) -> Tokens| {
        quantity("tokens", "tokens", (f(a), f(b)), |x| (x.to_string(), x.0 as f64, whole(u128::from(x.0))))
    };
    vec![
        bytes("peak_bytes", "peak", &|c| c.peak.bytes),
        bytes("weights_bytes", "  weights", &|c| parts(c).weights),
        bytes("gradients_bytes", "  gradients", &|c| parts(c).gradients),
        bytes("optimizer_bytes", "  optimizer", &|c| parts(c).optimizer),
        bytes("activations_bytes", "  activations", &|c| parts(c).activations),
        bytes("workspace_bytes", "  workspace", &|c| parts(c).workspace),
        bytes("process_bytes", "  process", &|c| parts(c).process),
        bytes("limit_bytes", "limit", &|c| c.limit),
        time("micro_step_seconds", "micro-step", &|c| seconds(c, WalkName::Further)),
        time("update_seconds", "update", &|c| seconds(c, WalkName::Update)),
        time("seconds", "whole run", &|c| c.run.seconds),
        count("steps", "steps", &|c| c.run.steps),
        tokens(&|c| c.run.tokens),
        work("flops", "model FLOPs", &|c| c.run.flops),
        work("micro_step_flops", "FLOPs of a micro-step", &|c| c.walks.first().map_or(Flops::ZERO, |w| w.forward + w.backward)),
        count("micro_batch", "micro-batch", &|c| c.extents.batch),
        count("accumulation", "accumulation", &|c| c.accumulation),
        count("parameters", "parameters", &|c| c.counts.total),
    ]
}

fn quantity<T: Copy>(
    key: &'static str,
    name: &'static str,
    (a, b): (T, T),
    show: impl Fn(T) -> (String, f64, Value),
) -> Quantity {
    let (a, b) = (show(a), show(b));
    Quantity { key, name, text: (a.0, b.0), number: (a.1, b.1), json: (a.2, b.2) }
}

/// A whole number; as a string where a double cannot hold it.
fn whole(n: u128) -> Value {
    u64::try_from(n).ok().filter(|n| *n <= 1 << 53).map_or_else(|| object!(n.to_string()), |n| object!(n))
}

/// Whole numbers as they are, and quantities whose texts are alike by their size.
fn change(q: &Quantity) -> String {
    let (a, b) = q.number;
    if a == 0.0 { String::new() } else { format!("{:+.1} %", (b - a) / a * 100.0) }
}

impl Difference {
    /// For people: only what differs.
    pub fn text(&self) -> String {
        let mut out = format!("{} → {}\n", self.titles.0, self.titles.1);
        let changed: Vec<&Quantity> = self.quantities.iter().filter(|q| q.json.0 != q.json.1).collect();
        if !changed.is_empty() {
            out.push('\n');
        }
        for q in &changed {
            let _ = writeln!(out, "  {:21} {:>12} → {:<12} {:>9}", q.name, q.text.0, q.text.1, change(q));
        }
        if !self.fields.is_empty() {
            out.push_str("\n  recipe\n");
        }
        let width = self.fields.iter().map(|d| d.field.chars().count()).max().unwrap_or(0);
        for Drift { field, planned, now } in &self.fields {
            let _ = writeln!(out, "  {field:width$}  {planned} → {now}");
        }
        if changed.is_empty() && self.fields.is_empty() {
            out.push_str("\n  nothing differs\n");
        }
        out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
    }

    /// For programs: every quantity, and the fields that differ.
    pub fn json(&self) -> Value {
        let pair = |(a, b): &(Value, Value)| object!({"a": a, "b": b});
        let quantities: serde_json::Map<String, Value> =
            self.quantities.iter().map(|q| (q.key.to_owned(), pair(&q.json))).collect();
        let fields: Vec<Value> = self.fields.iter().map(|d| object!({"field": d.field, "a": d.planned, "b": d.now})).collect();
        object!({"a": self.titles.0, "b": self.titles.1, "quantities": quantities, "recipe": fields})
    }
}
