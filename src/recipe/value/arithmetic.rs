//! What operators make of quantities, and which have a meaning.
//!
//! Invariant: whole numbers stay exact, and a result is finite and in base units, or there is none.

use super::unit::{UNITS, Unit};
use super::{Dimension, Numeric, Quantity};
use crate::syntax::ast::Operator;

/// Why arithmetic gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// What is wrong.
    pub message: String,
    /// The way out.
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
    pub fn with_unit(number: Numeric, unit: &str) -> Option<Result<Self, Impossible>> {
        let Unit { dimension, times, over, .. } = *UNITS.iter().find(|u| u.name == unit)?;
        let number = multiply(number, Numeric::Integer(times)).and_then(|n| divide(n, Numeric::Integer(over)));
        Some(number.map(|number| Self { number, dimension }))
    }

    /// The same measure with the other sign.
    ///
    /// # Errors
    /// Where the result is too large.
    pub fn negated(&self) -> Result<Self, Impossible> {
        let number = match self.number {
            Numeric::Integer(n) => Numeric::Integer(n.checked_neg().ok_or_else(too_large)?),
            Numeric::Float(x) => Numeric::Float(-x),
        };
        Ok(Self { number, ..*self })
    }

    /// The result of an operator on two quantities.
    ///
    /// # Errors
    /// Where the operator has no meaning for what the two measure, or the result is too large or not finite.
    pub fn combine(&self, operator: Operator, other: &Self) -> Result<Self, Impossible> {
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

pub(super) fn multiply(a: Numeric, b: Numeric) -> Result<Numeric, Impossible> {
    integers(a, b).map_or_else(|| finite(a.as_f64() * b.as_f64()), |(a, b)| exact(a.checked_mul(b)))
}

/// Whole where both are whole and the one divides the other.
pub(super) fn divide(a: Numeric, b: Numeric) -> Result<Numeric, Impossible> {
    if b.as_f64() == 0.0 {
        return Err(impossible("this divides by zero", "the right side of `/` must not be 0"));
    }
    match integers(a, b) {
        Some((a, b)) if a.checked_rem(b) == Some(0) => exact(a.checked_div(b)),
        _ => finite(a.as_f64() / b.as_f64()),
    }
}

/// A share of a number; whole where the number is and the share is but for rounding: 7% of 100 is 7, not 7.000000000000001.
pub(super) fn share(part: Numeric, of: Numeric) -> Result<Numeric, Impossible> {
    let Numeric::Float(product) = multiply(part, of)? else { return multiply(part, of) };
    let whole = product.round();
    let near = (product - whole).abs() <= product.abs() * 1e-14;
    let is_whole = matches!(of, Numeric::Integer(_)) && near && whole.abs() < 9.0e15;
    Ok(if is_whole { Numeric::Integer(whole as i128) } else { Numeric::Float(product) })
}
