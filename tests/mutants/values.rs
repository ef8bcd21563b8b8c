//! Values of the wrong type, with the wrong unit, or out of range; and the oracle that says which are.
//!
//! Invariant: what is legal is decided from the declared type and range alone. The table of units stands here a second time, copied by
//! hand from `grammar/recipe.ebnf`, so that an error in the program's own table shows.

use cramplan::recipe::schema::{Range as Bounds, TypeInfo};

use super::draw::Draw;
use super::sites::{Sites, Wanted};
use super::text::{Edit, Place};
use super::{Kind, Mistake, Proposed, Right, Target};

/// How many of each kind are proposed for a value.
const EACH: usize = 5;

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Plain,
    Share,
    Time,
    Size,
    Work,
}

/// A unit, what it measures, and how many base units it is.
const UNITS: [(&str, Measure, f64); 26] = [
    ("", Measure::Plain, 1.0),
    ("k", Measure::Plain, 1e3),
    ("Ki", Measure::Plain, 1024.0),
    ("Mi", Measure::Plain, 1_048_576.0),
    ("Gi", Measure::Plain, 1_073_741_824.0),
    ("%", Measure::Share, 0.01),
    ("ms", Measure::Time, 1e-3),
    ("s", Measure::Time, 1.0),
    ("min", Measure::Time, 60.0),
    ("h", Measure::Time, 3600.0),
    ("d", Measure::Time, 86_400.0),
    ("B", Measure::Size, 1.0),
    ("kB", Measure::Size, 1e3),
    ("MB", Measure::Size, 1e6),
    ("GB", Measure::Size, 1e9),
    ("TB", Measure::Size, 1e12),
    ("KiB", Measure::Size, 1024.0),
    ("MiB", Measure::Size, 1_048_576.0),
    ("GiB", Measure::Size, 1_073_741_824.0),
    ("TiB", Measure::Size, 1_099_511_627_776.0),
    ("FLOP", Measure::Work, 1.0),
    ("MFLOP", Measure::Work, 1e6),
    ("GFLOP", Measure::Work, 1e9),
    ("TFLOP", Measure::Work, 1e12),
    ("PFLOP", Measure::Work, 1e15),
    ("EFLOP", Measure::Work, 1e18),
];

/// Units that are written in place of the right one: real ones, bare prefixes, other spellings, and number types.
const TRIED: [&str; 26] = [
    "", "%", "k", "Ki", "ms", "s", "min", "h", "d", "MB", "GB", "MiB", "GiB", "TFLOP", "EFLOP", "K", "M", "G", "T", "m", "gb",
    "hours", "sec", "Gib", "u64", "x",
];

/// Proposes for every value.
pub fn propose(sites: &Sites, draw: &mut Draw, out: &mut Proposed) {
    for wanted in &sites.values {
        for literal in draw.some(&literals(&sites.text[wanted.value.clone()]), EACH) {
            wrong_type(wanted, &literal, out);
        }
        for unit in draw.some(&TRIED, EACH) {
            wrong_unit(sites, wanted, unit, out);
        }
        for extreme in draw.some(extremes(&wanted.ty), EACH) {
            out_of_range(wanted, extreme, out);
        }
    }
}

/// What a literal is, as far as types differ by it.
#[derive(Clone, Debug)]
enum Shape {
    Whole,
    Fraction,
    Text,
    Flag,
    Name,
    /// A list of one value; two would make a pair.
    ListOfOne,
    /// Three values in parentheses.
    Three,
    /// A struct without a name.
    Struct,
}

/// Literals to stand in for a value.
fn literals(value: &str) -> Vec<(String, Shape)> {
    let unquoted = value.trim_matches('"');
    let mut all = vec![
        ("3".to_owned(), Shape::Whole),
        ("1.5".to_owned(), Shape::Fraction),
        ("true".to_owned(), Shape::Flag),
        ("Large".to_owned(), Shape::Name),
        (format!("[{value}]"), Shape::ListOfOne),
        ("(0.9, 0.98, 0.5)".to_owned(), Shape::Three),
        (format!("(value: {value})"), Shape::Struct),
    ];
    if !value.contains('"') {
        all.push((format!("\"{value}\""), Shape::Text));
    }
    if unquoted != value && unquoted.chars().all(char::is_alphabetic) {
        all.push((unquoted.to_owned(), Shape::Name));
    }
    all
}

fn measures(ty: &TypeInfo) -> &'static [Measure] {
    match ty {
        TypeInfo::Count | TypeInfo::AutoCount => &[Measure::Plain],
        TypeInfo::Real | TypeInfo::Share => &[Measure::Plain, Measure::Share],
        TypeInfo::Duration => &[Measure::Time],
        TypeInfo::Size => &[Measure::Size],
        TypeInfo::Work => &[Measure::Work],
        TypeInfo::Interval | TypeInfo::Portion => &[Measure::Plain, Measure::Share, Measure::Time],
        _ => &[],
    }
}

fn is_whole(ty: &TypeInfo) -> bool {
    matches!(ty, TypeInfo::Count | TypeInfo::AutoCount | TypeInfo::Interval)
}

/// Whether a literal of this shape is certainly of no type that the field takes. Numbers of the wrong measure are another kind of mistake,
/// and so are structs and lists of the right shape with the wrong things in them.
fn is_wrong(ty: &TypeInfo, shape: &Shape) -> bool {
    match shape {
        Shape::Whole => measures(ty).is_empty(),
        Shape::Fraction => measures(ty).is_empty() || is_whole(ty) && measures(ty).contains(&Measure::Plain),
        Shape::Text => !matches!(ty, TypeInfo::Text),
        Shape::Flag => !matches!(ty, TypeInfo::Flag),
        // A name is a variant without fields: an unknown one where variants are wanted.
        Shape::Name => !matches!(ty, TypeInfo::Choice(_) | TypeInfo::Record(_)),
        Shape::ListOfOne => !matches!(ty, TypeInfo::List(_)),
        Shape::Three | Shape::Struct => !matches!(ty, TypeInfo::Record(_)),
    }
}

fn wrong_type(wanted: &Wanted, (literal, shape): &(String, Shape), out: &mut Proposed) {
    if is_wrong(&wanted.ty, shape) {
        out.mistakes.push(replaced(Kind::WrongType, wanted, literal));
    } else {
        out.leave_out(Kind::WrongType);
    }
}

/// A mistake where there is no such unit, or the field does not take what it measures.
fn wrong_unit(sites: &Sites, wanted: &Wanted, unit: &str, out: &mut Proposed) {
    let Some(number) = wanted.number.clone().filter(|_| !measures(&wanted.ty).is_empty()) else { return };
    let measure = UNITS.iter().find(|(name, ..)| *name == unit).map(|(_, measure, _)| measure);
    if measure.is_some_and(|m| measures(&wanted.ty).contains(m)) {
        return out.leave_out(Kind::WrongUnit);
    }
    out.mistakes.push(replaced(Kind::WrongUnit, wanted, &format!("{}{unit}", &sites.text[number])));
}

/// Numbers near and beyond the ends of what fields of a type allow.
fn extremes(ty: &TypeInfo) -> &'static [(f64, &'static str)] {
    match ty {
        TypeInfo::Count | TypeInfo::AutoCount => {
            &[(0.0, ""), (1.0, ""), (-1.0, ""), (-64.0, ""), (7.0, ""), (8192.0, "Gi"), (1e18, ""), (1e22, "")]
        }
        TypeInfo::Real => &[(0.0, ""), (1.0, ""), (-1.0, ""), (-0.001, ""), (2.5, ""), (1e6, ""), (1e30, ""), (150.0, "%")],
        TypeInfo::Share => &[(0.0, "%"), (100.0, "%"), (150.0, "%"), (-5.0, "%"), (1.5, ""), (-0.25, ""), (0.0, ""), (25.0, "")],
        TypeInfo::Duration => &[(0.0, "s"), (0.0, "h"), (-5.0, "min"), (-24.0, "h"), (1e9, "d"), (1.0, "d")],
        TypeInfo::Size => &[(0.0, "GiB"), (-1.0, "GiB"), (1.0, "kB"), (512.0, "KiB"), (1.0, "GiB")],
        TypeInfo::Work => &[(0.0, "FLOP"), (-3.0, "EFLOP"), (1e10, "EFLOP"), (3.0, "EFLOP")],
        TypeInfo::Interval => &[(0.0, "%"), (150.0, "%"), (-10.0, "min"), (0.0, "s"), (0.0, ""), (-3.0, ""), (50.0, "%")],
        _ => &[],
    }
}

/// A mistake where the declared range does not contain the number in base units.
fn out_of_range(wanted: &Wanted, (number, unit): (f64, &str), out: &mut Proposed) {
    let Some((_, measure, times)) = UNITS.iter().find(|(name, ..)| *name == unit) else { return };
    let x = number * times;
    let bounds = bounds(wanted, *measure);
    // A count has no sign, whatever its range.
    let is_inside = bounds.is_none_or(|b| b.contains(x)) && !(is_whole(&wanted.ty) && x < 0.0);
    if is_inside {
        return out.leave_out(Kind::OutOfRange);
    }
    out.mistakes.push(replaced(Kind::OutOfRange, wanted, &format!("{number}{unit}")));
}

/// The range of a field. That of an interval depends on what it is measured in, so the type has it and not the field.
fn bounds(wanted: &Wanted, measure: Measure) -> Option<Bounds> {
    match (&wanted.ty, measure) {
        (TypeInfo::Interval, Measure::Share) => Some(Bounds::above(0.0, 1.0)),
        (TypeInfo::Interval, Measure::Time) => Some(Bounds::above(0.0, f64::INFINITY)),
        (TypeInfo::Interval, _) => Some(Bounds::closed(1.0, 1e15)),
        _ => wanted.info.range,
    }
}

fn replaced(kind: Kind, wanted: &Wanted, with: &str) -> Mistake {
    let value = Place::Became(wanted.value.clone());
    Mistake {
        kind,
        what: format!("`{with}` for `{}`", wanted.info.name),
        edits: vec![Edit { at: wanted.value.clone(), with: with.to_owned() }],
        targets: vec![Target::of(value, Place::Became(wanted.field.clone()))],
        right: Right::Nothing,
        footprint: vec![wanted.field.clone()],
    }
}
