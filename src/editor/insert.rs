//! What a completion writes: text with holes that are filled in next.
//!
//! Invariant: with its holes filled in, what is written parses.

use crate::recipe::schema::{FieldInfo, RecordInfo, TypeInfo};

/// A part of what a completion writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Stands as it is.
    Text(String),
    /// Is to be filled in; holds what stands there until then, which may be nothing.
    Hole(String),
}

/// The pieces as plain text, for an editor that knows no holes.
pub fn plain(pieces: &[Piece]) -> String {
    pieces.iter().map(|(Piece::Text(text) | Piece::Hole(text))| text.as_str()).collect()
}

/// How deep the structs that a struct needs are written out.
const DEEPEST: usize = 4;

pub(super) fn text(text: impl Into<String>) -> Piece {
    Piece::Text(text.into())
}

fn hole(text: &str) -> Piece {
    Piece::Hole(text.to_owned())
}

/// Whether a field must be given.
pub(super) fn required(field: &FieldInfo) -> bool {
    field.default.is_none() && !field.optional
}

/// `name: ` and a value to go on from.
pub(super) fn field(info: &FieldInfo) -> Vec<Piece> {
    named(info, 0)
}

fn named(info: &FieldInfo, depth: usize) -> Vec<Piece> {
    let mut pieces = vec![text(format!("{}: ", info.name))];
    pieces.extend(value((info.ty)(), info.default, depth));
    pieces
}

/// A struct or variant with the fields that it needs; those of a recipe stand on lines of their own.
pub(super) fn record(info: &RecordInfo, is_recipe: bool) -> Vec<Piece> {
    filled(info, if is_recipe { Lines::Own } else { Lines::One }, 0)
}

/// How the fields of a struct are set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Own,
}

fn filled(info: &RecordInfo, lines: Lines, depth: usize) -> Vec<Piece> {
    if info.fields.is_empty() {
        return vec![text(info.name)];
    }
    let (before, after) = if lines == Lines::Own { ("\n    ", ",") } else { ("", "") };
    let between = if lines == Lines::Own { "" } else { ", " };
    let mut pieces = vec![text(format!("{}(", info.name))];
    for (i, field) in info.fields.iter().filter(|field| required(field)).enumerate() {
        pieces.push(text(format!("{}{before}", if i == 0 { "" } else { between })));
        pieces.extend(named(field, depth + 1));
        pieces.push(text(after));
    }
    if pieces.len() == 1 {
        pieces.push(hole(""));
    }
    pieces.push(text(if lines == Lines::Own { "\n)" } else { ")" }));
    pieces
}

/// A value of a type.
pub(super) fn value(ty: TypeInfo, default: Option<&str>, depth: usize) -> Vec<Piece> {
    let around = |open: &str, close: &str| vec![text(open), hole(""), text(close)];
    match ty {
        TypeInfo::Record(record) if default.is_none() && depth < DEEPEST => filled(record, Lines::One, depth),
        TypeInfo::Record(record) => around(&format!("{}(", record.name), ")"),
        TypeInfo::Choice(choice) => match choice.variants {
            [only] if default.is_none() && depth < DEEPEST => filled(only, Lines::One, depth),
            _ => vec![hole(default.unwrap_or(""))],
        },
        TypeInfo::List(_) => around("[", "]"),
        TypeInfo::Text => around("\"", "\""),
        _ => vec![hole(default.unwrap_or(example(ty)))],
    }
}

/// What a value of a type looks like, where its unit is what one forgets.
fn example(ty: TypeInfo) -> &'static str {
    match ty {
        TypeInfo::Share | TypeInfo::Interval | TypeInfo::Portion => "25%",
        TypeInfo::Duration => "24h",
        TypeInfo::Size => "11GiB",
        TypeInfo::Work => "3EFLOP",
        TypeInfo::Pair => "(0.9, 0.98)",
        TypeInfo::Flag => "true",
        _ => "",
    }
}
