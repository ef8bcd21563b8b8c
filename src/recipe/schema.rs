//! The schema: what a recipe may say, declared once.
//!
//! [`record!`](crate::recipe::schema) and `choice!` declare a struct or an enum together with the name, the type, the
//! range, the default and the one-line documentation of every field. From that one declaration come the Rust type, the
//! checks, the "did you mean" and the reference. A default is written as recipe text and read by the same parser.

use std::fmt;

/// What kind of value a field wants.
#[derive(Clone, Copy, Debug)]
pub enum TypeInfo {
    /// A whole number.
    Count,
    /// A number without a unit.
    Real,
    /// A part of a whole: `25%` or `0.25`.
    Share,
    /// A duration: `24h`, `90s`.
    Duration,
    /// A size in bytes: `11GiB`.
    Size,
    /// An amount of arithmetic: `3 EFLOP`.
    Work,
    /// A text in quotes.
    Text,
    /// `true` or `false`.
    Flag,
    /// Two numbers: `(0.9, 0.98)`.
    Pair,
    /// A share of the budget, a duration or a number of steps.
    Interval,
    /// A share of the budget, a number of steps or tokens, or a duration.
    Portion,
    /// `Auto` or a whole number.
    AutoCount,
    /// A list.
    List(fn() -> TypeInfo),
    /// A struct.
    Record(&'static RecordInfo),
    /// One of several structs.
    Choice(&'static ChoiceInfo),
}

/// Variants beside the first two of a choice that are named wherever it is wanted.
const FEW: usize = 4;

impl fmt::Display for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("a whole number"),
            Self::Real => f.write_str("a number"),
            Self::Share => f.write_str("a share such as `25%`"),
            Self::Duration => f.write_str("a duration such as `24h`"),
            Self::Size => f.write_str("a size such as `11GiB`"),
            Self::Work => f.write_str("an amount of arithmetic such as `3EFLOP`"),
            Self::Text => f.write_str("a text in double quotes"),
            Self::Flag => f.write_str("`true` or `false`"),
            Self::Pair => f.write_str("two numbers such as `(0.9, 0.98)`"),
            Self::Interval => f.write_str("a share such as `5%`, a duration such as `10min` or a number of steps"),
            Self::Portion => f.write_str("a share such as `6%`, a number of steps, a duration such as `10min` or `Tokens(..)`"),
            Self::AutoCount => f.write_str("`Auto` or a whole number"),
            Self::List(item) => write!(f, "a list of {}", item()),
            Self::Record(record) => write!(f, "`{}(..)`", record.name),
            Self::Choice(choice) => {
                let names: Vec<String> = choice.variants.iter().map(|v| format!("`{}`", v.name)).collect();
                match names.as_slice() {
                    [first, second, rest @ ..] if rest.len() > FEW => write!(f, "{first}, {second} or another `{}`", choice.name),
                    all => f.write_str(&all.join(" or ")),
                }
            }
        }
    }
}

/// A struct of the schema.
#[derive(Debug)]
pub struct RecordInfo {
    /// Its name in a recipe.
    pub name: &'static str,
    /// What it describes, one line.
    pub doc: &'static str,
    /// Its fields in the order of declaration.
    pub fields: &'static [FieldInfo],
}

/// An enum of the schema.
#[derive(Debug)]
pub struct ChoiceInfo {
    /// What is chosen.
    pub name: &'static str,
    /// What the choice means, one line.
    pub doc: &'static str,
    /// The alternatives.
    pub variants: &'static [RecordInfo],
}

/// A field of the schema.
#[derive(Debug)]
pub struct FieldInfo {
    /// Its name in a recipe.
    pub name: &'static str,
    /// What it says, one line, with its unit.
    pub doc: &'static str,
    /// What it wants.
    pub ty: fn() -> TypeInfo,
    /// The values it may take, in base units.
    pub range: Option<Range>,
    /// Its default as recipe text; a field without one is required unless it is optional.
    pub default: Option<&'static str>,
    /// Whether it may be left out without a default.
    pub optional: bool,
}

/// An interval of numbers in base units (seconds, bytes, shares as fractions of 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    min: f64,
    max: f64,
    min_included: bool,
    max_included: bool,
}

impl Range {
    /// min ≤ x ≤ max.
    pub const fn closed(min: f64, max: f64) -> Self {
        Self { min, max, min_included: true, max_included: true }
    }

    /// min < x < max.
    pub const fn open(min: f64, max: f64) -> Self {
        Self { min, max, min_included: false, max_included: false }
    }

    /// min < x ≤ max.
    pub const fn above(min: f64, max: f64) -> Self {
        Self { min, max, min_included: false, max_included: true }
    }

    /// min ≤ x < max.
    pub const fn below(min: f64, max: f64) -> Self {
        Self { min, max, min_included: true, max_included: false }
    }

    /// The lower and the upper bound, each with whether it lies in the range; an infinite one is none.
    pub const fn bounds(&self) -> [(f64, bool); 2] {
        [(self.min, self.min_included), (self.max, self.max_included)]
    }

    /// Whether a number lies in the range.
    pub fn contains(&self, x: f64) -> bool {
        let low = if self.min_included { x >= self.min } else { x > self.min };
        let high = if self.max_included { x <= self.max } else { x < self.max };
        low && high
    }
}

impl Range {
    /// The range as an inequality about `name`, bounds written by `bound`: "0% < `rate` < 100%".
    pub fn shown(&self, name: &str, bound: impl Fn(f64) -> String) -> String {
        let sign = |included| if included { '≤' } else { '<' };
        let low = if self.min.is_finite() { format!("{} {} ", bound(self.min), sign(self.min_included)) } else { String::new() };
        let high = if self.max.is_finite() { format!(" {} {}", sign(self.max_included), bound(self.max)) } else { String::new() };
        format!("{low}`{name}`{high}")
    }

    /// Whether it lies within 0 to 1, as shares do.
    pub fn is_share(&self) -> bool {
        self.min >= 0.0 && self.max <= 1.0
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown("value", |x| x.to_string()).replace('`', ""))
    }
}

/// Where in the schema a field of this name is at home, as dotted paths such as `model.width`.
pub fn homes_of(field: &str, root: &'static RecordInfo) -> Vec<String> {
    let last = |path: &str| path.rsplit('.').next() == Some(field);
    paths(root).into_iter().filter(|path| last(path)).collect()
}

/// The dotted path of every field, in the order of declaration; the fields of all variants of a choice are those of its field.
pub fn paths(root: &'static RecordInfo) -> Vec<String> {
    let mut found = Vec::new();
    walk(root, "", 0, &mut |path, _| {
        if !found.iter().any(|p| p == path) {
            found.push(path.to_owned());
        }
    });
    found
}

/// What the field at a path wants.
pub fn type_of(path: &str, root: &'static RecordInfo) -> Option<TypeInfo> {
    let mut found = None;
    walk(root, "", 0, &mut |p, info| {
        if p == path && found.is_none() {
            found = Some((info.ty)());
        }
    });
    found
}

/// No schema is deeper.
const DEEPEST: usize = 8;

fn walk(record: &'static RecordInfo, path: &str, depth: usize, visit: &mut dyn FnMut(&str, &'static FieldInfo)) {
    if depth > DEEPEST {
        return;
    }
    for info in record.fields {
        let here = if path.is_empty() { info.name.to_owned() } else { format!("{path}.{}", info.name) };
        visit(&here, info);
        for inner in (info.ty)().records() {
            walk(inner, &here, depth + 1, visit);
        }
    }
}

impl TypeInfo {
    /// The structs that a value of this type can be, those in a list included.
    pub fn records(&self) -> Vec<&'static RecordInfo> {
        match self {
            Self::Record(record) => vec![record],
            Self::Choice(choice) => choice.variants.iter().collect(),
            Self::List(item) => item().records(),
            _ => Vec::new(),
        }
    }
}

/// Declares a struct of the schema; see the module documentation.
macro_rules! record {
    ($(#[doc = $doc:literal])+ $name:ident { $(
        $(#[doc = $fdoc:literal])+ $field:ident : $ty:ty $([$range:expr])? $(= $default:literal)? ;
    )* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name { $( $(#[doc = $fdoc])+ pub $field: $ty, )* }

        impl $name {
            /// The declaration of this struct.
            pub const INFO: $crate::recipe::schema::RecordInfo = $crate::recipe::schema::RecordInfo {
                name: stringify!($name),
                doc: concat!($($doc),+),
                fields: &[ $( $crate::recipe::schema::field_info!($(#[doc = $fdoc])+ $field : $ty $([$range])? $(= $default)?) ),* ],
            };
        }

        impl $crate::recipe::decode::Decode for $name {
            fn info() -> $crate::recipe::schema::TypeInfo {
                static INFO: $crate::recipe::schema::RecordInfo = $name::INFO;
                $crate::recipe::schema::TypeInfo::Record(&INFO)
            }

            fn decode(value: &$crate::recipe::value::Value, cx: &mut $crate::recipe::decode::Decoder, _range: Option<&$crate::recipe::schema::Range>) -> Option<Self> {
                static INFO: $crate::recipe::schema::RecordInfo = $name::INFO;
                let fields = cx.open_record(value, &INFO)?;
                $( let $field = cx.field::<$ty>(&fields, stringify!($field)); )*
                cx.close(&fields);
                Some(Self { $( $field, )* })
            }

            fn stand_in() -> Self {
                Self { $( $field: <$ty as $crate::recipe::decode::Decode>::stand_in(), )* }
            }
        }
    };
}

/// Declares an enum of the schema; see the module documentation.
macro_rules! choice {
    ($(#[doc = $doc:literal])+ $name:ident { $(
        $(#[doc = $vdoc:literal])+ $variant:ident { $(
            $(#[doc = $fdoc:literal])+ $field:ident : $ty:ty $([$range:expr])? $(= $default:literal)? ;
        )* }
    )+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub enum $name { $( $(#[doc = $vdoc])+ $variant { $( $(#[doc = $fdoc])+ $field: $ty, )* }, )+ }

        impl $name {
            /// The declaration of this choice.
            pub const INFO: $crate::recipe::schema::ChoiceInfo = $crate::recipe::schema::ChoiceInfo {
                name: stringify!($name),
                doc: concat!($($doc),+),
                variants: &[ $( $crate::recipe::schema::RecordInfo {
                    name: stringify!($variant),
                    doc: concat!($($vdoc),+),
                    fields: &[ $( $crate::recipe::schema::field_info!($(#[doc = $fdoc])+ $field : $ty $([$range])? $(= $default)?) ),* ],
                } ),+ ],
            };
        }

        impl $crate::recipe::decode::Decode for $name {
            fn info() -> $crate::recipe::schema::TypeInfo {
                static INFO: $crate::recipe::schema::ChoiceInfo = $name::INFO;
                $crate::recipe::schema::TypeInfo::Choice(&INFO)
            }

            fn decode(value: &$crate::recipe::value::Value, cx: &mut $crate::recipe::decode::Decoder, _range: Option<&$crate::recipe::schema::Range>) -> Option<Self> {
                static INFO: $crate::recipe::schema::ChoiceInfo = $name::INFO;
                let fields = cx.open_choice(value, &INFO)?;
                match fields.name() {
                    $( stringify!($variant) => {
                        $( let $field = cx.field::<$ty>(&fields, stringify!($field)); )*
                        cx.close(&fields);
                        Some(Self::$variant { $( $field, )* })
                    } )+
                    _ => None,
                }
            }

            #[allow(unreachable_code, reason = "the first variant stands in")]
            fn stand_in() -> Self {
                $( return Self::$variant { $( $field: <$ty as $crate::recipe::decode::Decode>::stand_in(), )* }; )+
            }
        }
    };
}

/// One entry of a declaration.
macro_rules! field_info {
    ($(#[doc = $doc:literal])+ $field:ident : $ty:ty $([$range:expr])? $(= $default:literal)?) => {
        $crate::recipe::schema::FieldInfo {
            name: stringify!($field),
            doc: concat!($($doc),+),
            ty: <$ty as $crate::recipe::decode::Decode>::info,
            range: $crate::recipe::schema::field_info!(@option $($range)?),
            default: $crate::recipe::schema::field_info!(@option $($default)?),
            optional: <$ty as $crate::recipe::decode::Decode>::OPTIONAL,
        }
    };
    (@option) => { None };
    (@option $value:expr) => { Some($value) };
}

pub(crate) use {choice, field_info, record};
