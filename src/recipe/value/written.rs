//! Values as they are written in a recipe.
//!
//! Invariant: what is written reads back as the same value, to the last bit.

use super::arithmetic::{divide, multiply};
use super::unit::{UNITS, Unit};
use super::{Dimension, Numeric, Quantity, Value, ValueKind};
use crate::syntax::ast::Ident;

/// A value as it is written in a recipe; what it reads back as is equal.
pub fn written(kind: &ValueKind) -> String {
    let all = |items: &[Value]| items.iter().map(|v| written(&v.kind)).collect::<Vec<_>>().join(", ");
    let named = |name: &Option<Ident>| name.as_ref().map_or(String::new(), |n| n.text.clone());
    match kind {
        ValueKind::Number(quantity) => written_number(quantity),
        ValueKind::Text(text) => format!("{text:?}"),
        ValueKind::Bool(flag) => flag.to_string(),
        ValueKind::Name(name) => name.text.clone(),
        ValueKind::Struct { name, fields, .. } => {
            let fields: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.name.text, written(&f.value.kind))).collect();
            format!("{}({})", named(name), fields.join(", "))
        }
        ValueKind::Tuple { name, items } if name.is_none() && items.len() == 1 => format!("({},)", all(items)),
        ValueKind::Tuple { name, items } => format!("{}({})", named(name), all(items)),
        ValueKind::List(items) => format!("[{}]", all(items)),
        ValueKind::Poisoned => "?".to_owned(),
    }
}

fn numeric(number: Numeric) -> String {
    match number {
        Numeric::Integer(n) => n.to_string(),
        // Either reads back exactly; the shorter one is how people write it: `1e-3`, `0.25`.
        Numeric::Float(x) => [format!("{x:?}"), format!("{x:e}")].into_iter().min_by_key(String::len).unwrap_or_default(),
    }
}

/// Whether two numbers are the same to the bit: what is written must read back so.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

/// A number in the largest unit in which it is whole, else in the one in which it is exact.
pub(super) fn written_number(quantity: &Quantity) -> String {
    let base = match quantity.dimension {
        Dimension::Plain => return numeric(quantity.number),
        Dimension::Percent => return written_share(quantity.number),
        Dimension::Rate => return format!("{} / 1s", numeric(quantity.number)),
        Dimension::SizeRate => return format!("{}B / 1s", numeric(quantity.number)),
        Dimension::WorkRate => return format!("{}FLOP / 1s", numeric(quantity.number)),
        Dimension::Time => "s",
        Dimension::Size => "B",
        Dimension::Work => "FLOP",
    };
    let exactly = |unit: &&Unit| {
        // A day is 24 hours to everybody who plans one.
        if unit.name == "d" && quantity.number.as_f64() < 2.0 * unit.times as f64 {
            return None;
        }
        let count = divide(quantity.number, Numeric::Integer(unit.times)).ok()?;
        let count = multiply(count, Numeric::Integer(unit.over)).ok()?;
        let whole = match count {
            Numeric::Integer(n) => n,
            Numeric::Float(x) if x.fract() == 0.0 && x.abs() < 9.0e15 => x as i128,
            Numeric::Float(_) => return None,
        };
        let back = Quantity::with_unit(Numeric::Integer(whole), unit.name)?.ok()?;
        (whole != 0 && same(back.number.as_f64(), quantity.number.as_f64())).then(|| format!("{whole}{}", unit.name))
    };
    let mut units: Vec<&Unit> = UNITS.iter().filter(|u| u.dimension == quantity.dimension).collect();
    units.sort_by_key(|u| std::cmp::Reverse((u.times, -u.over)));
    // Binary units before decimal ones of nearly the same size: `11GiB`, not `11811160064B`.
    units.iter().find_map(exactly).unwrap_or_else(|| format!("{}{base}", numeric(quantity.number)))
}

/// A share as a percentage where that reads back as the same number.
pub(super) fn written_share(number: Numeric) -> String {
    let x = number.as_f64();
    let percent = (x * 100.0 * 1e9).round() / 1e9;
    let candidates = [percent, x * 100.0];
    let exact = candidates.into_iter().find(|p| same(p / 100.0, x));
    match exact {
        Some(p) if p.fract() == 0.0 && p.abs() < 9.0e15 => format!("{}%", p as i128),
        Some(p) => format!("{p:?}%"),
        None => format!("Ratio({x:?})"),
    }
}
