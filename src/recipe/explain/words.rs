//! What a declaration says, in words: ranges in the units of a recipe, and what holds where nothing is given.
//!
//! Invariant: a number in a range can be written into a recipe as it stands here.

use crate::recipe::schema::{FieldInfo, Range, TypeInfo};

/// A line of documentation as the declaration has it.
pub(super) fn doc(text: &str) -> &str {
    text.trim()
}

/// The range of a field: `2 ≤ width ≤ 65536`, `0% < rate < 100%`.
pub(super) fn range(field: &FieldInfo) -> Option<String> {
    let ty = (field.ty)();
    field.range.as_ref().map(|range| between(range, &ty, field.name))
}

fn between(range: &Range, ty: &TypeInfo, name: &str) -> String {
    let [(min, min_in), (max, max_in)] = range.bounds();
    let sign = |included| if included { '≤' } else { '<' };
    let low = min.is_finite().then(|| format!("{} {} ", number(min, ty), sign(min_in)));
    let high = max.is_finite().then(|| format!(" {} {}", sign(max_in), number(max, ty)));
    format!("{}{name}{}", low.unwrap_or_default(), high.unwrap_or_default())
}

/// A number of base units in a unit of the wanted dimension.
fn number(x: f64, ty: &TypeInfo) -> String {
    match ty {
        TypeInfo::Share | TypeInfo::Portion => format!("{}%", short(x * 100.0)),
        TypeInfo::Duration => format!("{}s", short(x)),
        TypeInfo::Work => format!("{}FLOP", short(x)),
        TypeInfo::Size => {
            let units = [(f64::from(1 << 30), "GiB"), (f64::from(1 << 20), "MiB"), (1024.0, "KiB")];
            let whole = units.into_iter().find(|(size, _)| x >= *size && x % size == 0.0);
            whole.map_or_else(|| format!("{}B", short(x)), |(size, unit)| format!("{}{unit}", short(x / size)))
        }
        TypeInfo::List(item) => number(x, &item()),
        _ => short(x),
    }
}

/// Without an exponent where that is as easy to read.
fn short(x: f64) -> String {
    if x == 0.0 || (1e-4..1e7).contains(&x.abs()) { x.to_string() } else { format!("{x:e}") }
}

/// Whether a field must be given.
pub(super) fn is_required(field: &FieldInfo) -> bool {
    field.default.is_none() && !field.optional
}

/// What holds where a field is not given.
pub(super) fn default(field: &FieldInfo) -> String {
    match field.default {
        Some(text) => format!("`{text}`"),
        None if field.optional => "none: it may be left out".to_owned(),
        None => "none: it is required".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_in_the_units_of_the_field() {
        let of = |range, ty| between(&range, &ty, "x");
        assert_eq!(of(Range::above(0.0, 0.5), TypeInfo::Share), "0% < x ≤ 50%");
        assert_eq!(of(Range::closed(1_048_576.0, f64::INFINITY), TypeInfo::Size), "1MiB ≤ x");
        assert_eq!(of(Range::closed(1.0, 1e18), TypeInfo::Count), "1 ≤ x ≤ 1e18");
        assert_eq!(of(Range::closed(1e-37, 1.0), TypeInfo::Real), "1e-37 ≤ x ≤ 1");
        assert_eq!(of(Range::below(0.0, 90.0), TypeInfo::Duration), "0s ≤ x < 90s");
        assert_eq!(of(Range::closed(1500.0, 2048.0), TypeInfo::Size), "1500B ≤ x ≤ 2KiB");
    }
}
