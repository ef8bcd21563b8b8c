//! The schema, values and costs in words.

use crate::pipeline::Verdict;
use crate::recipe::schema::{FieldInfo, RecordInfo, TypeInfo};
use crate::recipe::value::{Dimension, Numeric, Quantity, Value, ValueKind, written};
use crate::step::Walk;

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

/// What a field wants, its range, and whether it must be given: `a whole number, 2 ≤ `width` ≤ 65536, required`.
pub(super) fn wants(field: &FieldInfo) -> String {
    let ty = (field.ty)();
    let dimension = match ty {
        TypeInfo::Share => Dimension::Percent,
        TypeInfo::Duration => Dimension::Time,
        TypeInfo::Size => Dimension::Size,
        TypeInfo::Work => Dimension::Work,
        _ => Dimension::Plain,
    };
    let range = field.range.map(|range| format!(", {}", range.shown(field.name, |x| bound(x, dimension))));
    let need = match field.default {
        Some(default) => format!("default `{default}`"),
        None if field.optional => "optional".to_owned(),
        None => "required".to_owned(),
    };
    format!("{ty}{}, {need}", range.unwrap_or_default())
}

/// A bound of a range as it is written in a recipe.
fn bound(x: f64, dimension: Dimension) -> String {
    let whole = x.fract() == 0.0 && x.abs() < 1e12;
    let number = if whole { Numeric::Integer(x as i128) } else { Numeric::Float(x) };
    written(&ValueKind::Number(Quantity { number, dimension }))
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

/// The longest value that is shown whole, in characters.
const LONGEST: usize = 80;

/// A value as it would be written in a recipe, where that is short.
pub(super) fn value(value: &Value) -> Option<String> {
    let text = written(&value.kind);
    (!matches!(value.kind, ValueKind::Poisoned) && text.chars().count() <= LONGEST && !text.contains('`')).then_some(text)
}

/// What a unit of `times / over` base units is: `a duration: 1 h is 3600 s`.
pub(super) fn unit(name: &str, dimension: Dimension, times: i128, over: i128) -> String {
    let one = times as f64 / over as f64;
    let base = match dimension {
        Dimension::Percent => return format!("{dimension}: 1 {name} is a hundredth of the whole"),
        Dimension::Plain => return format!("{dimension}: 1 {name} is {one}"),
        Dimension::Time => "s",
        Dimension::Size => "bytes",
        Dimension::Work => "floating-point operations",
        Dimension::Rate => "a second",
        Dimension::SizeRate => "bytes a second",
        Dimension::WorkRate => "floating-point operations a second",
    };
    format!("{dimension}: 1 {name} is {one} {base}")
}
