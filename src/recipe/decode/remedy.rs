//! The way out of a value of the wrong kind or size: what was probably meant, and the edit that says it.
//!
//! Invariant: an edit is called safe only where the text can hardly have been meant in another way.

use super::unknown::is_import;
use super::wrap::wrapped;
use crate::diag::Diagnostic;
use crate::recipe::schema::{FieldInfo, Range, RecordInfo, TypeInfo};
use crate::recipe::suggest::nearest;
use crate::recipe::value::{Dimension, Value, ValueKind};
use crate::source::SourceId;
use crate::syntax;

/// Adds the way out for the commonest confusions.
pub(super) fn remedied(diagnostic: Diagnostic, value: &Value, wanted: &TypeInfo, lets: &[String]) -> Diagnostic {
    let diagnostic = match wrapped(diagnostic, value, wanted) {
        Ok(diagnostic) => return diagnostic,
        Err(diagnostic) => diagnostic,
    };
    match &value.kind {
        ValueKind::Text(text) if matches!(wanted, TypeInfo::Share) && text.trim().parse::<f64>().is_ok_and(|x| x > 1.0) => {
            let share = format!("{}%", text.trim());
            diagnostic.help(format!("take the quotes off, and write a percentage: `{share}`")).fix(
                format!("write `{share}`"),
                false,
                value.span,
                share,
            )
        }
        ValueKind::Text(text) if quoted_for_nothing(text, wanted) => {
            let title = format!("write `{text}` without quotes");
            diagnostic.help(format!("take the quotes off: `{text}`")).fix(title, true, value.span, text.as_str())
        }
        ValueKind::Tuple { name: Some(name), items } if is_import(&name.text) => {
            let path = items.first().and_then(|item| if let ValueKind::Text(path) = &item.kind { Some(path) } else { None });
            let path = path.map_or("base.ron", String::as_str);
            diagnostic.help(format!("write `..import(\"{path}\")`, as the last entry of the struct that it completes"))
        }
        ValueKind::Name(name) => match (wanted, truth(&name.text), close_let(&name.text, lets)) {
            (TypeInfo::Flag, Some(flag), _) => {
                diagnostic.help(format!("write `{flag}`")).fix(format!("write `{flag}`"), true, value.span, flag)
            }
            (_, _, Some(close)) => diagnostic.help(format!("did you mean `{close}`, the `let` name?")).fix(
                format!("write `{close}`"),
                false,
                value.span,
                close,
            ),
            (TypeInfo::Text, ..) => {
                let quoted = format!("\"{}\"", name.text);
                let safe = name.text.starts_with(char::is_lowercase);
                diagnostic.help("put it in double quotes").fix(format!("write `{quoted}`"), safe, value.span, quoted)
            }
            _ => diagnostic.help(named_for_nothing(&name.text, wanted)),
        },
        _ => diagnostic.help(help(value, wanted).unwrap_or_else(|| format!("write {wanted}"))),
    }
}

/// Whether a text would be a value of the wanted kind but for its quotes.
fn quoted_for_nothing(text: &str, wanted: &TypeInfo) -> bool {
    let Some(kind) = unquoted(text) else { return false };
    match (&kind, wanted) {
        (ValueKind::Number(q), wanted) => dimensions(wanted).contains(&q.dimension),
        (ValueKind::Bool(_), TypeInfo::Flag) => true,
        (ValueKind::Name(name), TypeInfo::AutoCount) => name.text == "Auto",
        (
            ValueKind::Name(name) | ValueKind::Struct { name: Some(name), .. } | ValueKind::Tuple { name: Some(name), .. },
            TypeInfo::Choice(_) | TypeInfo::Record(_),
        ) => wanted.records().iter().any(|record| record.name == name.text),
        _ => false,
    }
}

/// The value that a text would be without its quotes.
pub(super) fn unquoted(text: &str) -> Option<ValueKind> {
    let (expression, errors) = syntax::parse_expression(SourceId::default(), text);
    let (value, more) = crate::recipe::eval::evaluate_expression(&expression.filter(|_| errors.is_empty())?);
    more.is_empty().then_some(value.kind)
}

/// The dimensions that a type takes.
pub(super) fn dimensions(wanted: &TypeInfo) -> &'static [Dimension] {
    match wanted {
        TypeInfo::Count | TypeInfo::AutoCount => &[Dimension::Plain],
        TypeInfo::Real | TypeInfo::Share => &[Dimension::Plain, Dimension::Percent],
        TypeInfo::Duration => &[Dimension::Time],
        TypeInfo::Size => &[Dimension::Size],
        TypeInfo::Work => &[Dimension::Work],
        TypeInfo::Interval | TypeInfo::Portion => &[Dimension::Plain, Dimension::Percent, Dimension::Time],
        _ => &[],
    }
}

fn truth(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some("true"),
        "false" | "no" | "off" => Some("false"),
        _ => None,
    }
}

fn close_let<'l>(name: &str, lets: &'l [String]) -> Option<&'l str> {
    nearest(name, lets.iter().map(String::as_str))
}

fn named_for_nothing(name: &str, wanted: &TypeInfo) -> String {
    match wanted {
        TypeInfo::Flag => "write `true` or `false`".to_owned(),
        TypeInfo::List(_) => format!("put it in brackets: `[{name}]`"),
        _ if name.starts_with(char::is_lowercase) => {
            format!("write {wanted}, or define the name at the head of the file: `let {name} = 1;`")
        }
        _ => format!("write {wanted}"),
    }
}

fn help(value: &Value, wanted: &TypeInfo) -> Option<String> {
    let plain = matches!(&value.kind, ValueKind::Number(q) if q.dimension == Dimension::Plain);
    let text = match wanted {
        TypeInfo::Duration if plain => "give it a unit: `s`, `min`, `h` or `d`",
        TypeInfo::Size if plain => "give it a unit: `MiB`, `GiB` or `GB`",
        TypeInfo::Work if plain => "give it a unit: `TFLOP`, `PFLOP` or `EFLOP`",
        TypeInfo::Count if plain => "write it without a fraction",
        TypeInfo::Count | TypeInfo::AutoCount | TypeInfo::Real if matches!(value.kind, ValueKind::Number(_)) => {
            "write the number without a unit"
        }
        TypeInfo::Text => "put a text in double quotes",
        TypeInfo::List(_) => "put it in `[` and `]`",
        TypeInfo::Flag => "write `true` or `false`",
        TypeInfo::Share => "write it as a percentage, such as `25%`",
        TypeInfo::Duration => "durations are in `s`, `min`, `h` or `d`",
        TypeInfo::Size => "sizes are in `MiB`, `GiB`, `MB` or `GB`",
        TypeInfo::Work => "amounts of arithmetic are in `TFLOP`, `PFLOP` or `EFLOP`",
        TypeInfo::Pair => "write two numbers in parentheses, such as `(0.9, 0.98)`",
        TypeInfo::Record(record) => return Some(format!("write `{}(..)`, with {}", record.name, some_fields(record))),
        TypeInfo::Choice(choice) => return Some(format!("write {}", super::unknown::forms(choice))),
        _ => return None,
    };
    Some(text.to_owned())
}

/// The fields that a struct needs, or else those that it has.
fn some_fields(record: &RecordInfo) -> String {
    let needed = |f: &&FieldInfo| !f.optional && f.default.is_none();
    let mut fields: Vec<&FieldInfo> = record.fields.iter().filter(needed).collect();
    if fields.is_empty() {
        fields = record.fields.iter().collect();
    }
    fields.iter().map(|f| format!("`{}:`", f.name)).collect::<Vec<_>>().join(", ")
}

/// A number as people write it in its dimension.
pub(super) fn shown(x: f64, dimension: Dimension) -> String {
    match dimension {
        Dimension::Percent => format!("{}%", trimmed(x * 100.0)),
        Dimension::Time => format!("{}s", trimmed(x)),
        Dimension::Size => format!("{} bytes", trimmed(x)),
        Dimension::Work => format!("{x:e} FLOP"),
        _ => trimmed(x),
    }
}

/// Without the noise of the last bits, and with an exponent where it is shorter.
fn trimmed(x: f64) -> String {
    let rounded = format!("{x:.12}").trim_end_matches('0').trim_end_matches('.').to_owned();
    let exact = x != 0.0 && (x.abs() < 1e-9 || x.abs() >= 1e15);
    if exact { format!("{x:e}") } else { rounded }
}

/// How a value comes back into its range: the bounds in the dimension that it was written in, and a percentage where one was meant.
pub(super) fn back_in_range(name: &str, x: f64, dimension: Dimension, range: &Range) -> String {
    let bounds = range.shown(name, |bound| shown(bound, dimension));
    if dimension == Dimension::Plain && range.is_share() && x > 1.0 && range.contains(x / 100.0) {
        return format!("did you mean `{}%`? it must hold that {bounds}", trimmed(x));
    }
    format!("it must hold that {bounds}")
}
