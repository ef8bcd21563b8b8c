//! Evaluated values: names resolved, arithmetic done, units turned into base units.
//!
//! Invariant: a [`Quantity`] is finite and in base units: shares of 1, seconds, bytes, FLOP.

mod arithmetic;
#[cfg(test)]
mod tests;
mod unit;
mod written;

use std::fmt;

pub use self::arithmetic::Impossible;
pub use self::unit::{unit_help, unit_meant, units};
pub use self::written::written;

use crate::source::Span;
use crate::syntax::ast::Ident;
pub use crate::syntax::ast::Numeric;

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
