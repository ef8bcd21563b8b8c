//! The types that a field can have, and how each is read.

use serde::{Deserialize, Serialize};

use super::{Decode, Decoder};
use crate::recipe::schema::{Range, TypeInfo};
use crate::recipe::value::{Dimension, Numeric, Quantity, Value, ValueKind};
use crate::units::{Bytes, Flops, Ratio, Seconds};

/// A number in base units by the name of its type, the spelling of RON without our units: `Seconds(86400)` is `24h`.
pub(super) fn in_base_units(name: &str, items: &[Value]) -> Option<Quantity> {
    let dimension = match name {
        "Seconds" => Dimension::Time,
        "Bytes" => Dimension::Size,
        "Flops" => Dimension::Work,
        "Ratio" => Dimension::Percent,
        _ => return None,
    };
    match items {
        [Value { kind: ValueKind::Number(q), .. }] if q.dimension == Dimension::Plain => {
            Some(Quantity { dimension, ..q.clone() })
        }
        _ => None,
    }
}

/// The only value in the parentheses of a name.
pub(super) fn named<'v>(value: &'v Value, wanted: &str) -> Option<&'v Value> {
    match &value.kind {
        ValueKind::Tuple { name: Some(name), items } if name.text == wanted && items.len() == 1 => items.first(),
        _ => None,
    }
}

macro_rules! decode_number {
    ($type:ty, $info:ident, [$($dimension:ident),+], $make:expr) => {
        impl Decode for $type {
            fn info() -> TypeInfo {
                TypeInfo::$info
            }

            fn stand_in() -> Self {
                let make: fn(Numeric) -> $type = $make;
                make(Numeric::Integer(1))
            }

            fn decode(value: &Value, cx: &mut Decoder, range: Option<&Range>) -> Option<Self> {
                let q = cx.quantity(value, &TypeInfo::$info, &[$(Dimension::$dimension),+])?;
                cx.within(value, q.number.as_f64(), range)?;
                let make: fn(Numeric) -> $type = $make;
                Some(make(q.number))
            }
        }
    };
}

decode_number!(f64, Real, [Plain, Percent], Numeric::as_f64);
decode_number!(Ratio, Share, [Plain, Percent], |n| Ratio(n.as_f64()));
decode_number!(Seconds, Duration, [Time], |n| Seconds(n.as_f64()));
decode_number!(Bytes, Size, [Size], |n| Bytes(u64::try_from(whole(n)).unwrap_or(u64::MAX)));
decode_number!(Flops, Work, [Work], |n| Flops(whole(n)));

/// The whole part of a number that is not negative: exact where it is written as a whole number, as floats from 2^53 on are not.
fn whole(number: Numeric) -> u128 {
    match number {
        Numeric::Integer(n) => u128::try_from(n).unwrap_or(0),
        Numeric::Float(x) => x as u128,
    }
}

impl Decode for u64 {
    fn info() -> TypeInfo {
        TypeInfo::Count
    }

    fn decode(value: &Value, cx: &mut Decoder, range: Option<&Range>) -> Option<Self> {
        cx.count(value, &TypeInfo::Count, range)
    }

    fn stand_in() -> Self {
        1
    }
}

impl Decode for String {
    fn info() -> TypeInfo {
        TypeInfo::Text
    }

    fn decode(value: &Value, cx: &mut Decoder, _range: Option<&Range>) -> Option<Self> {
        if let ValueKind::Text(text) = &value.kind {
            return Some(text.clone());
        }
        cx.mismatch(value, &TypeInfo::Text);
        None
    }

    fn stand_in() -> Self {
        String::new()
    }
}

impl Decode for bool {
    fn info() -> TypeInfo {
        TypeInfo::Flag
    }

    fn decode(value: &Value, cx: &mut Decoder, _range: Option<&Range>) -> Option<Self> {
        if let ValueKind::Bool(flag) = value.kind {
            return Some(flag);
        }
        cx.mismatch(value, &TypeInfo::Flag);
        None
    }

    fn stand_in() -> Self {
        false
    }
}

impl<T: Decode> Decode for Option<T> {
    const OPTIONAL: bool = true;

    fn info() -> TypeInfo {
        T::info()
    }

    fn decode(value: &Value, cx: &mut Decoder, range: Option<&Range>) -> Option<Self> {
        match &value.kind {
            ValueKind::Name(ident) if ident.text == "None" => Some(None),
            ValueKind::Tuple { name: Some(name), items } if name.text == "Some" && items.len() == 1 => {
                items.first().and_then(|inner| T::decode(inner, cx, range)).map(Some)
            }
            _ => T::decode(value, cx, range).map(Some),
        }
    }

    fn stand_in() -> Self {
        None
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn info() -> TypeInfo {
        TypeInfo::List(T::info)
    }

    fn decode(value: &Value, cx: &mut Decoder, range: Option<&Range>) -> Option<Self> {
        let ValueKind::List(items) = &value.kind else {
            cx.mismatch(value, &Self::info());
            return None;
        };
        // Every item is read, so that all of their errors are found, before the first failure ends it.
        let read: Vec<Option<T>> = items.iter().map(|item| T::decode(item, cx, range)).collect();
        read.into_iter().collect()
    }

    fn stand_in() -> Self {
        Vec::new()
    }
}

/// Two numbers in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair(pub f64, pub f64);

impl Decode for Pair {
    fn info() -> TypeInfo {
        TypeInfo::Pair
    }

    fn decode(value: &Value, cx: &mut Decoder, range: Option<&Range>) -> Option<Self> {
        let items = match &value.kind {
            ValueKind::Tuple { name, items } if name.as_ref().is_none_or(|n| n.text == "Pair") => items,
            ValueKind::List(items) => items,
            _ => {
                cx.mismatch(value, &TypeInfo::Pair);
                return None;
            }
        };
        let [a, b] = items.as_slice() else {
            cx.mismatch(value, &TypeInfo::Pair);
            return None;
        };
        let (a, b) = (f64::decode(a, cx, range), f64::decode(b, cx, range));
        Some(Self(a?, b?))
    }

    fn stand_in() -> Self {
        Self(0.5, 0.5)
    }
}

/// How often something happens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Interval {
    /// Each time this share of the budget has been spent.
    Share(Ratio),
    /// Each time this long has passed.
    Time(Seconds),
    /// Each time this many optimizer steps are done.
    Steps(u64),
}

impl Decode for Interval {
    fn info() -> TypeInfo {
        TypeInfo::Interval
    }

    fn decode(value: &Value, cx: &mut Decoder, _range: Option<&Range>) -> Option<Self> {
        if let Some(inner) = named(value, "Steps") {
            return cx.count(inner, &TypeInfo::Interval, Some(&Range::closed(1.0, 1e15))).map(Self::Steps);
        }
        if let Some(inner) = named(value, "Share") {
            return Ratio::decode(inner, cx, Some(&Range::above(0.0, 1.0))).map(Self::Share);
        }
        if let Some(inner) = named(value, "Time") {
            return Seconds::decode(inner, cx, Some(&Range::above(0.0, f64::INFINITY))).map(Self::Time);
        }
        let q = cx.quantity(value, &TypeInfo::Interval, &[Dimension::Plain, Dimension::Percent, Dimension::Time])?;
        let x = q.number.as_f64();
        match q.dimension {
            Dimension::Percent => cx.within(value, x, Some(&Range::above(0.0, 1.0))).map(|()| Self::Share(Ratio(x))),
            Dimension::Time => cx.within(value, x, Some(&Range::above(0.0, f64::INFINITY))).map(|()| Self::Time(Seconds(x))),
            _ => cx.count(value, &TypeInfo::Interval, Some(&Range::closed(1.0, 1e15))).map(Self::Steps),
        }
    }

    fn stand_in() -> Self {
        Self::Steps(1)
    }
}

/// Sequences per forward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MicroBatch {
    /// The fastest that fits.
    Auto,
    /// Exactly this many.
    Fixed(u64),
}

impl Decode for MicroBatch {
    fn info() -> TypeInfo {
        TypeInfo::AutoCount
    }

    fn decode(value: &Value, cx: &mut Decoder, range: Option<&Range>) -> Option<Self> {
        match &value.kind {
            ValueKind::Name(ident) if ident.text == "Auto" => Some(Self::Auto),
            _ => cx.count(named(value, "Fixed").unwrap_or(value), &TypeInfo::AutoCount, range).map(Self::Fixed),
        }
    }

    fn stand_in() -> Self {
        Self::Auto
    }
}
