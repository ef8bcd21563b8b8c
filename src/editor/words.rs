//! The schema, values and costs in words.

use crate::pipeline::Verdict;
use crate::recipe::schema::{FieldInfo, RecordInfo, TypeInfo};
use crate::recipe::value::{Dimension, Numeric, Quantity, ValueKind};
use crate::step::Walk;
use crate::units::{Bytes, Flops, Ratio, Seconds};

/// What a recipe costs, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    /// `9.17 GiB peak of 48.00 GiB · 289 ms a micro-step · 23 h 59 min, 8471 steps on rtx-a6000`, or first of all why it cannot be run.
    pub line: String,
    /// The micro-batch that was planned, which the recipe may leave to `Auto`.
    pub micro_batch: u64,
}

impl Costs {
    /// The costs of a verdict.
    pub fn of(verdict: &Verdict) -> Self {
        let costed = verdict.costed();
        let e = &costed.estimate;
        let trouble = match verdict {
            Verdict::Feasible(_) => "",
            Verdict::Infeasible(_) if e.fits() => "the budget buys no step: ",
            Verdict::Infeasible(_) => "does not fit: ",
        };
        let line = format!(
            "{trouble}{} peak of {} · {} a micro-step · {}, {} steps on {}",
            e.peak.bytes,
            e.limit,
            e.walk(Walk::First).time,
            e.run.seconds,
            e.run.steps,
            costed.device.name
        );
        Self { line, micro_batch: e.micro_batch }
    }
}

/// What a field wants, its range, and whether it must be given: `a whole number, 2 ≤ width ≤ 65536, required`.
pub(super) fn wants(field: &FieldInfo) -> String {
    let ty = (field.ty)();
    let range = field.range.map(|range| {
        let unit = match ty {
            TypeInfo::Duration => " in seconds",
            TypeInfo::Size => " in bytes",
            TypeInfo::Work => " in FLOP",
            _ => "",
        };
        format!(", {}{unit}", range.to_string().replace("value", field.name))
    });
    let need = match field.default {
        Some(default) => format!("default `{default}`"),
        None if field.optional => "optional".to_owned(),
        None => "required".to_owned(),
    };
    format!("{ty}{}, {need}", range.unwrap_or_default())
}

/// A line of documentation.
pub(super) fn doc(doc: &str) -> String {
    doc.trim().to_owned()
}

/// A list of fields, one a line.
pub(super) fn fields(record: &RecordInfo) -> Option<String> {
    let line = |field: &FieldInfo| format!("- `{}`: {} ({})", field.name, doc(field.doc), wants(field));
    (!record.fields.is_empty()).then(|| record.fields.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// A value as a reader would say it; `None` where it says no more than its text.
pub(super) fn value(kind: &ValueKind) -> Option<String> {
    match kind {
        ValueKind::Number(quantity) => Some(quantity_in_words(quantity)),
        ValueKind::Text(text) => Some(format!("`\"{text}\"`")),
        ValueKind::Bool(flag) => Some(format!("`{flag}`")),
        ValueKind::Name(name) => Some(format!("`{}`", name.text)),
        ValueKind::Struct { name: Some(name), .. } | ValueKind::Tuple { name: Some(name), .. } => {
            Some(format!("`{}(..)`", name.text))
        }
        ValueKind::List(items) => Some(format!("a list of {}", items.len())),
        ValueKind::Struct { name: None, .. } | ValueKind::Tuple { name: None, .. } | ValueKind::Poisoned => None,
    }
}

fn quantity_in_words(quantity: &Quantity) -> String {
    let x = quantity.number.as_f64();
    let positive = x >= 0.0;
    match quantity.dimension {
        Dimension::Percent => Ratio(x).to_string(),
        Dimension::Time if positive => Seconds(x).to_string(),
        Dimension::Size if positive => Bytes(x as u64).to_string(),
        Dimension::Work if positive => Flops(x as u128).to_string(),
        Dimension::Plain => number(quantity.number),
        Dimension::Time => format!("{} s", number(quantity.number)),
        Dimension::Size => format!("{} B", number(quantity.number)),
        Dimension::Work => format!("{} FLOP", number(quantity.number)),
    }
}

/// A number, with an exponent where it would be long.
fn number(number: Numeric) -> String {
    match number {
        Numeric::Integer(n) => n.to_string(),
        Numeric::Float(x) if x != 0.0 && !(1e-3..1e9).contains(&x.abs()) => format!("{x:e}"),
        Numeric::Float(x) => x.to_string(),
    }
}

/// What a unit is: `a duration: 1 h is 3600 s`.
pub(super) fn unit(name: &str, dimension: Dimension, one: f64) -> String {
    let base = match dimension {
        Dimension::Percent => return format!("{dimension}: 1 {name} is a hundredth of the whole"),
        Dimension::Plain => return format!("{dimension}: 1 {name} is {one}"),
        Dimension::Time => "s",
        Dimension::Size => "bytes",
        Dimension::Work => "floating-point operations",
    };
    format!("{dimension}: 1 {name} is {one} {base}")
}
