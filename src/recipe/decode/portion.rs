//! A part of a run, in whatever it is measured.

use serde::{Deserialize, Serialize};

use super::types::named;
use super::{Decode, Decoder};
use crate::recipe::schema::{Range, TypeInfo};
use crate::recipe::value::{Dimension, Value};
use crate::units::{Ratio, Seconds};

/// A part of the run, counted from its beginning or from its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Portion {
    /// A share of the budget.
    Share(Ratio),
    /// So many optimizer steps.
    Steps(u64),
    /// So many tokens.
    Tokens(u64),
    /// So long.
    Time(Seconds),
}

/// Most optimizer steps that a portion may have.
const MOST_STEPS: f64 = 1e15;

/// Most tokens that a portion may have.
const MOST_TOKENS: f64 = 1e18;

impl Portion {
    /// What a portion may be where it is no share: something, and no more than a run can be.
    pub fn range_of(name: &str) -> Range {
        match name {
            "Steps" => Range::closed(1.0, MOST_STEPS),
            "Tokens" => Range::closed(1.0, MOST_TOKENS),
            _ => Range::above(0.0, f64::INFINITY),
        }
    }
}

impl Decode for Portion {
    fn info() -> TypeInfo {
        TypeInfo::Portion
    }

    /// A plain number up to 1 is a share, as where a share is wanted; a greater one is a number of steps. `range` is that of the shares.
    fn decode(value: &Value, cx: &mut Decoder, range: Option<&Range>) -> Option<Self> {
        if let Some(inner) = named(value, "Share") {
            return Ratio::decode(inner, cx, range).map(Self::Share);
        }
        if let Some(inner) = named(value, "Steps") {
            return cx.count(inner, &TypeInfo::Portion, Some(&Self::range_of("Steps"))).map(Self::Steps);
        }
        if let Some(inner) = named(value, "Tokens") {
            return cx.count(inner, &TypeInfo::Portion, Some(&Self::range_of("Tokens"))).map(Self::Tokens);
        }
        if let Some(inner) = named(value, "Time") {
            return Seconds::decode(inner, cx, Some(&Self::range_of("Time"))).map(Self::Time);
        }
        let q = cx.quantity(value, &TypeInfo::Portion, &[Dimension::Plain, Dimension::Percent, Dimension::Time])?;
        let x = q.number.as_f64();
        match q.dimension {
            Dimension::Time => cx.within(value, x, Some(&Self::range_of("Time"))).map(|()| Self::Time(Seconds(x))),
            Dimension::Plain if x > 1.0 => cx.count(value, &TypeInfo::Portion, Some(&Self::range_of("Steps"))).map(Self::Steps),
            _ => cx.within(value, x, range).map(|()| Self::Share(Ratio(x))),
        }
    }

    fn stand_in() -> Self {
        Self::Share(Ratio(0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::Portion;
    use crate::recipe::settings::LearningRate;
    use crate::recipe::testing::{TEXT, parse};
    use crate::units::{Ratio, Seconds};

    fn warmup(text: &str) -> Portion {
        let lr = format!("lr: Cosine(peak: 1e-3, warmup: {text})");
        let recipe = parse(&TEXT.replace("lr: Triangle(peak: 1e-3, start: 25%, peak_at: 75%)", &lr));
        let LearningRate::Cosine { warmup, .. } = recipe.lr else { panic!("{recipe:?}") };
        warmup
    }

    #[test]
    fn a_portion_is_what_its_unit_says() {
        for (text, wanted) in [
            ("6%", Portion::Share(Ratio(0.06))),
            ("0.06", Portion::Share(Ratio(0.06))),
            ("0", Portion::Share(Ratio(0.0))),
            ("1", Portion::Share(Ratio(1.0))),
            ("Share(0.06)", Portion::Share(Ratio(0.06))),
            ("1000", Portion::Steps(1000)),
            ("Steps(1)", Portion::Steps(1)),
            ("10min", Portion::Time(Seconds(600.0))),
            ("Time(Seconds(600))", Portion::Time(Seconds(600.0))),
            ("Tokens(1e9)", Portion::Tokens(1_000_000_000)),
            ("Tokens(64Ki)", Portion::Tokens(65_536)),
        ] {
            assert_eq!(warmup(text), wanted, "{text}");
        }
    }
}
