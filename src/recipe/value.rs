//! Evaluated values: names resolved, arithmetic done, units turned into base units.
//!
//! Invariant: a [`Quantity`] is finite and in base units: shares of 1, seconds, bytes, FLOP.

use std::fmt;

use super::suggest::nearest;
use crate::source::Span;
pub use crate::syntax::ast::Numeric;
use crate::syntax::ast::{Ident, Operator};

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Nothing: a count or a plain number.
    Plain,
    /// A share; 1 is the whole.
    Percent,
    /// Seconds.
    Time,
    /// Bytes.
    Size,
    /// Floating-point operations.
    Work,
    /// A number per second.
    Rate,
    /// Bytes per second.
    SizeRate,
    /// Floating-point operations per second.
    WorkRate,
}

impl Dimension {
    /// What one second of this rate gives, where it is a rate.
    fn per_second(self) -> Option<Self> {
        match self {
            Self::Rate => Some(Self::Plain),
            Self::SizeRate => Some(Self::Size),
            Self::WorkRate => Some(Self::Work),
            _ => None,
        }
    }

    /// This much a second, where that is a rate.
    fn rate(self) -> Option<Self> {
        [Self::Rate, Self::SizeRate, Self::WorkRate].into_iter().find(|rate| rate.per_second() == Some(self))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "a number",
            Self::Percent => "a percentage",
            Self::Time => "a duration",
            Self::Size => "a size in bytes",
            Self::Work => "an amount of arithmetic",
            Self::Rate => "a rate per second",
            Self::SizeRate => "a rate in bytes per second",
            Self::WorkRate => "a rate of arithmetic",
        })
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// What it is.
    pub kind: ValueKind,
    /// Where; for a `let` name, where it is used.
    pub span: Span,
}

impl Value {
    /// The value of a field that is given by its name.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let ValueKind::Struct { fields, .. } = &self.kind else { return None };
        fields.iter().find(|f| f.name.text == name).map(|f| &f.value)
    }
}

/// What a [`Value`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueKind {
    /// A number in base units.
    Number(Quantity),
    /// A string or a character.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A variant without fields.
    Name(Ident),
    /// `Name(field: value)`; also with nothing in the parentheses.
    Struct {
        /// The name before the parentheses; an empty one stands for what the field is by default.
        name: Option<Ident>,
        /// The fields, with those of imports after those that were given. Where a name occurs twice the first counts; a field without
        /// a name is the struct's first.
        fields: Vec<FieldValue>,
        /// Whether something in it could not be read, so that fields may be hidden there.
        broken: bool,
    },
    /// `Name(value)` or `(value, value)`.
    Tuple {
        /// The name before the parentheses.
        name: Option<Ident>,
        /// The values.
        items: Vec<Value>,
    },
    /// `[value, value]`.
    List(Vec<Value>),
    /// Stands where an error was reported; gives rise to no other.
    Poisoned,
}

impl ValueKind {
    /// What it is, in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Number(quantity) => quantity.dimension.to_string(),
            Self::Text(_) => "a text".to_owned(),
            Self::Bool(_) => "a truth value".to_owned(),
            Self::Name(name) => format!("the name `{}`", name.text),
            Self::Struct { name: Some(name), .. } | Self::Tuple { name: Some(name), .. } if !name.text.is_empty() => {
                format!("`{}(..)`", name.text)
            }
            Self::Struct { .. } => "a struct without a name".to_owned(),
            Self::Tuple { items, .. } => format!("{} values in parentheses", items.len()),
            Self::List(_) => "a list".to_owned(),
            Self::Poisoned => "nothing".to_owned(),
        }
    }
}

/// A field and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldValue {
    /// The name of the field.
    pub name: Ident,
    /// Its value.
    pub value: Value,
}

/// A number in base units.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// The number.
    pub number: Numeric,
    /// What it measures.
    pub dimension: Dimension,
}

/// A unit: one of it is `times / over` base units.
struct Unit {
    name: &'static str,
    dimension: Dimension,
    times: i128,
    over: i128,
}

const fn unit(name: &'static str, dimension: Dimension, times: i128) -> Unit {
    Unit { name, dimension, times, over: 1 }
}

const KILO: i128 = 1000;

/// Every unit; the table of `grammar/recipe.ebnf`.
const UNITS: [Unit; 25] = [
    Unit { name: "%", dimension: Dimension::Percent, times: 1, over: 100 },
    Unit { name: "ms", dimension: Dimension::Time, times: 1, over: 1000 },
    unit("s", Dimension::Time, 1),
    unit("min", Dimension::Time, 60),
    unit("h", Dimension::Time, 3600),
    unit("d", Dimension::Time, 86_400),
    unit("B", Dimension::Size, 1),
    unit("kB", Dimension::Size, KILO),
    unit("MB", Dimension::Size, KILO * KILO),
    unit("GB", Dimension::Size, KILO * KILO * KILO),
    unit("TB", Dimension::Size, KILO * KILO * KILO * KILO),
    unit("KiB", Dimension::Size, 1 << 10),
    unit("MiB", Dimension::Size, 1 << 20),
    unit("GiB", Dimension::Size, 1 << 30),
    unit("TiB", Dimension::Size, 1 << 40),
    unit("FLOP", Dimension::Work, 1),
    unit("MFLOP", Dimension::Work, KILO * KILO),
    unit("GFLOP", Dimension::Work, KILO * KILO * KILO),
    unit("TFLOP", Dimension::Work, KILO * KILO * KILO * KILO),
    unit("PFLOP", Dimension::Work, KILO * KILO * KILO * KILO * KILO),
    unit("EFLOP", Dimension::Work, KILO * KILO * KILO * KILO * KILO * KILO),
    unit("k", Dimension::Plain, KILO),
    unit("Ki", Dimension::Plain, 1 << 10),
    unit("Mi", Dimension::Plain, 1 << 20),
    unit("Gi", Dimension::Plain, 1 << 30),
];

/// Every unit with what it measures and how many base units it is, as `times / over`, in the order of the grammar.
pub fn units() -> impl Iterator<Item = (&'static str, Dimension, i128, i128)> {
    UNITS.iter().map(|unit| (unit.name, unit.dimension, unit.times, unit.over))
}

/// Words that people write for a unit, and the unit.
const SYNONYMS: [(&[&str], &str); 9] = [
    (&["sec", "secs", "second", "seconds"], "s"),
    (&["m", "mins", "minute", "minutes"], "min"),
    (&["hr", "hrs", "hour", "hours", "H"], "h"),
    (&["D", "day", "days"], "d"),
    (&["msec", "millis", "milliseconds"], "ms"),
    (&["byte", "bytes", "b"], "B"),
    (&["percent", "pct"], "%"),
    (&["thousand"], "k"),
    (&["FLOPs", "FLOPS", "flops", "flop"], "FLOP"),
];

/// The unit that a word means beyond doubt, such as `minutes`; letters that could be two things mean none.
pub(super) fn unit_meant(word: &str) -> Option<&'static str> {
    SYNONYMS.iter().find(|(words, _)| word.len() > 2 && words.contains(&word)).map(|(_, unit)| *unit)
}

/// Why there is no unit of a name: what could be meant.
pub(super) fn unit_help(name: &str) -> String {
    let meant = |unit: &str| format!("did you mean `{unit}`?");
    match name {
        "K" => "`k` is 1000, `Ki` is 1024, `KiB` is 1024 bytes".to_owned(),
        "M" => "`Mi` is 1024², `MB` and `MiB` are bytes; a million is `1_000_000` or `1e6`".to_owned(),
        "G" => "`Gi` is 1024³, `GB` and `GiB` are bytes; a billion is `1e9`".to_owned(),
        "T" => "`TB` and `TiB` are bytes, `TFLOP` is arithmetic; a trillion is `1e12`".to_owned(),
        "m" => "`min` is a minute, `ms` is a thousandth of a second; a million is `1e6`".to_owned(),
        "w" | "week" | "weeks" => "a week is `7d`".to_owned(),
        _ if is_number_type(name) => "numbers have no type here; leave it out".to_owned(),
        _ => match SYNONYMS.iter().find(|(words, _)| words.contains(&name)) {
            Some((_, unit)) => meant(unit),
            None => nearest(name, UNITS.iter().map(|u| u.name)).map_or_else(every_unit, meant),
        },
    }
}

fn is_number_type(name: &str) -> bool {
    let digits = name.strip_prefix(['i', 'u', 'f']).unwrap_or_default();
    matches!(digits, "8" | "16" | "32" | "64" | "128" | "size")
}

fn every_unit() -> String {
    let names: Vec<String> = UNITS.iter().map(|u| format!("`{}`", u.name)).collect();
    format!("units are {}; a name of your own is multiplied with `*`", names.join(", "))
}

/// Why arithmetic gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Impossible {
    pub message: String,
    pub help: String,
}

fn impossible(message: impl Into<String>, help: impl Into<String>) -> Impossible {
    Impossible { message: message.into(), help: help.into() }
}

fn too_large() -> Impossible {
    impossible("the result is too large", "whole numbers end near 1.7e38 and others near 1.8e308")
}

impl Quantity {
    /// A number that measures nothing.
    pub fn plain(number: Numeric) -> Self {
        Self { number, dimension: Dimension::Plain }
    }

    /// A number of a unit, in base units; the outer `None` where there is no such unit.
    pub(super) fn with_unit(number: Numeric, unit: &str) -> Option<Result<Self, Impossible>> {
        let Unit { dimension, times, over, .. } = *UNITS.iter().find(|u| u.name == unit)?;
        let number = multiply(number, Numeric::Integer(times)).and_then(|n| divide(n, Numeric::Integer(over)));
        Some(number.map(|number| Self { number, dimension }))
    }

    /// The same measure with the other sign.
    pub(super) fn negated(&self) -> Result<Self, Impossible> {
        let number = match self.number {
            Numeric::Integer(n) => Numeric::Integer(n.checked_neg().ok_or_else(too_large)?),
            Numeric::Float(x) => Numeric::Float(-x),
        };
        Ok(Self { number, ..*self })
    }

    /// The result of an operator on two quantities.
    pub(super) fn combine(&self, operator: Operator, other: &Self) -> Result<Self, Impossible> {
        let dimension = dimension_of(operator, self.dimension, other.dimension)?;
        let number = match operator {
            Operator::Add => add(self.number, other.number),
            Operator::Subtract => subtract(self.number, other.number),
            Operator::Multiply if self.dimension == Dimension::Percent => share(self.number, other.number),
            Operator::Multiply if other.dimension == Dimension::Percent => share(other.number, self.number),
            Operator::Multiply => multiply(self.number, other.number),
            Operator::Divide => divide(self.number, other.number),
        }?;
        Ok(Self { number, dimension })
    }
}

/// What the result of an operator measures, if it has a meaning.
fn dimension_of(operator: Operator, left: Dimension, right: Dimension) -> Result<Dimension, Impossible> {
    use Dimension::{Percent, Plain, Time};
    match operator {
        Operator::Add | Operator::Subtract if left == right => Ok(left),
        Operator::Divide if left == right => Ok(Plain),
        Operator::Divide if right == Time => left.rate().ok_or_else(|| senseless(operator, left, right)),
        Operator::Divide if right.per_second() == Some(left) => Ok(Time),
        Operator::Multiply if right == Time && left.per_second().is_some() => Ok(left.per_second().unwrap_or(left)),
        Operator::Multiply if left == Time && right.per_second().is_some() => Ok(right.per_second().unwrap_or(right)),
        Operator::Multiply if left == Percent || left == Plain && right != Percent => Ok(right),
        Operator::Multiply | Operator::Divide if matches!(right, Percent | Plain) => Ok(left),
        _ => Err(senseless(operator, left, right)),
    }
}

fn senseless(operator: Operator, left: Dimension, right: Dimension) -> Impossible {
    let message = match operator {
        Operator::Add => format!("{right} cannot be added to {left}"),
        Operator::Subtract => format!("{right} cannot be taken from {left}"),
        Operator::Multiply => format!("{left} cannot be multiplied by {right}"),
        Operator::Divide => format!("{left} cannot be divided by {right}"),
    };
    let help = match (operator, left, right) {
        (Operator::Add | Operator::Subtract, Dimension::Plain, Dimension::Percent) => "the whole is `100%`",
        (Operator::Add | Operator::Subtract, ..) => "give both sides units of one kind",
        (Operator::Multiply, ..) => "one side must be a plain number or a percentage",
        (Operator::Divide, ..) => "divide by a plain number, a percentage or a measure of the same kind",
    };
    impossible(message, help)
}

fn integers(a: Numeric, b: Numeric) -> Option<(i128, i128)> {
    match (a, b) {
        (Numeric::Integer(a), Numeric::Integer(b)) => Some((a, b)),
        _ => None,
    }
}

fn exact(result: Option<i128>) -> Result<Numeric, Impossible> {
    result.map(Numeric::Integer).ok_or_else(too_large)
}

fn finite(x: f64) -> Result<Numeric, Impossible> {
    if x.is_finite() { Ok(Numeric::Float(x)) } else { Err(too_large()) }
}

fn add(a: Numeric, b: Numeric) -> Result<Numeric, Impossible> {
    integers(a, b).map_or_else(|| finite(a.as_f64() + b.as_f64()), |(a, b)| exact(a.checked_add(b)))
}

fn subtract(a: Numeric, b: Numeric) -> Result<Numeric, Impossible> {
    integers(a, b).map_or_else(|| finite(a.as_f64() - b.as_f64()), |(a, b)| exact(a.checked_sub(b)))
}

fn multiply(a: Numeric, b: Numeric) -> Result<Numeric, Impossible> {
    integers(a, b).map_or_else(|| finite(a.as_f64() * b.as_f64()), |(a, b)| exact(a.checked_mul(b)))
}

/// Whole where both are whole and the one divides the other.
fn divide(a: Numeric, b: Numeric) -> Result<Numeric, Impossible> {
    if b.as_f64() == 0.0 {
        return Err(impossible("this divides by zero", "the right side of `/` must not be 0"));
    }
    match integers(a, b) {
        Some((a, b)) if a.checked_rem(b) == Some(0) => exact(a.checked_div(b)),
        _ => finite(a.as_f64() / b.as_f64()),
    }
}

/// A share of a number; whole where the number is and the share is but for rounding: 7% of 100 is 7, not 7.000000000000001.
fn share(part: Numeric, of: Numeric) -> Result<Numeric, Impossible> {
    let Numeric::Float(product) = multiply(part, of)? else { return multiply(part, of) };
    let whole = product.round();
    let near = (product - whole).abs() <= product.abs() * 1e-14;
    let is_whole = matches!(of, Numeric::Integer(_)) && near && whole.abs() < 9.0e15;
    Ok(if is_whole { Numeric::Integer(whole as i128) } else { Numeric::Float(product) })
}

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
        Numeric::Float(x) => format!("{x:?}"),
    }
}

/// Whether two numbers are the same to the bit: what is written must read back so.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits()
}

/// A number in the largest unit in which it is whole, else in the one in which it is exact.
fn written_number(quantity: &Quantity) -> String {
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
fn written_share(number: Numeric) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(number: Numeric, unit: &str) -> Option<Quantity> {
        Quantity::with_unit(number, unit).and_then(Result::ok)
    }

    #[test]
    fn units_become_base_units_and_stay_whole_where_they_are() {
        assert_eq!(of(Numeric::Integer(24), "h").map(|q| q.number), Some(Numeric::Integer(86_400)));
        assert_eq!(of(Numeric::Integer(60), "%").map(|q| q.number), Some(Numeric::Float(60.0 / 100.0)));
        assert_eq!(of(Numeric::Float(0.1), "%").map(|q| q.number), Some(Numeric::Float(0.1 / 100.0)));
        assert_eq!(of(Numeric::Float(1.5), "GiB").map(|q| q.number), Some(Numeric::Float(1_610_612_736.0)));
        assert_eq!(of(Numeric::Integer(3), "EFLOP").map(|q| q.number), Some(Numeric::Integer(3_000_000_000_000_000_000)));
    }

    #[test]
    fn numbers_are_written_in_the_unit_in_which_they_are_whole() {
        let shown = |number, unit| written_number(&of(number, unit).expect("a unit"));
        assert_eq!(shown(Numeric::Integer(36), "h"), "36h");
        assert_eq!(shown(Numeric::Integer(48), "h"), "2d");
        assert_eq!(shown(Numeric::Float(0.5), "s"), "500ms");
        assert_eq!(shown(Numeric::Integer(11), "GiB"), "11GiB");
        assert_eq!(shown(Numeric::Integer(11), "GB"), "11GB");
        assert_eq!(shown(Numeric::Float(1.5), "EFLOP"), "1500PFLOP");
        assert_eq!(shown(Numeric::Float(12.5), "%"), "12.5%");
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same(x in proptest::num::f64::POSITIVE, n in 0_i128..1 << 90) {
            use Dimension::{Percent, Plain, Size, Time, Work};
            for dimension in [Plain, Percent, Time, Size, Work] {
                for number in [Numeric::Float(x), Numeric::Integer(n)] {
                    let text = written_number(&Quantity { number, dimension });
                    let (expression, errors) = crate::syntax::parse_expression(crate::source::SourceId(0), &text);
                    assert!(errors.is_empty(), "{text}: {errors:?}");
                    let value = crate::recipe::eval::evaluate_expression(&expression.expect("short")).0;
                    let back = match &value.kind {
                        ValueKind::Number(q) => q.number.as_f64(),
                        ValueKind::Tuple { items, .. } => match &items[0].kind {
                            ValueKind::Number(q) => q.number.as_f64(),
                            other => panic!("{other:?}"),
                        },
                        other => panic!("{text}: {other:?}"),
                    };
                    assert_eq!(back, number.as_f64(), "{text}");
                }
            }
        }
    }

    #[test]
    fn every_share_of_a_hundred_is_whole() {
        for n in 0..=100 {
            assert_eq!(share(Numeric::Float(f64::from(n) / 100.0), Numeric::Integer(100)), Ok(Numeric::Integer(i128::from(n))));
        }
        assert_eq!(share(Numeric::Float(0.25), Numeric::Integer(5)), Ok(Numeric::Float(1.25)));
    }

    #[test]
    fn what_could_be_meant_by_a_unit_is_said() {
        assert_eq!(unit_help("gb"), "did you mean `GB`?");
        assert_eq!(unit_help("hrs"), "did you mean `h`?");
        assert!(unit_help("M").contains("1_000_000"));
        assert!(unit_help("u64").contains("type"));
        assert!(unit_help("banana").contains("`EFLOP`"));
    }

    #[test]
    fn no_bare_letter_that_could_be_two_things_is_a_unit() {
        assert!(["K", "M", "G", "T", "m"].iter().all(|name| of(Numeric::Integer(1), name).is_none()));
    }
}
