//! A bare value where a struct is wanted: the structs that would hold it, such as `Constant(1e-3)` for `1e-3`.
//!
//! Invariant: what is proposed is of the right type and in range; it is called safe only where nothing else could be meant.

use super::Decoder;
use super::remedy::{dimensions, unquoted};
use super::unknown::meant_variant;
use crate::diag::{Code, Diagnostic, Edit};
use crate::recipe::schema::{ChoiceInfo, FieldInfo, RecordInfo, TypeInfo};
use crate::recipe::value::{Dimension, Numeric, Quantity, Value, ValueKind, written};
use crate::source::Span;

/// A value as it would stand in a struct, and how it reads.
struct Bare {
    kind: ValueKind,
    shown: String,
    /// Whether its quotes have to go.
    quoted: bool,
}

/// The values that a value could be meant as: itself, and what is in its quotes.
fn readings(value: &Value) -> Vec<Bare> {
    match &value.kind {
        ValueKind::Number(_) => vec![Bare { kind: value.kind.clone(), shown: written(&value.kind), quoted: false }],
        ValueKind::Text(text) => {
            let number = unquoted(text).filter(|kind| matches!(kind, ValueKind::Number(_)));
            let inner = number.map(|kind| Bare { kind, shown: text.trim().to_owned(), quoted: true });
            let itself = Bare { kind: value.kind.clone(), shown: format!("\"{text}\""), quoted: false };
            inner.into_iter().chain([itself]).collect()
        }
        _ => Vec::new(),
    }
}

fn takes(field: &FieldInfo, kind: &ValueKind) -> bool {
    match kind {
        ValueKind::Number(q) => {
            let x = q.number.as_f64();
            let plain = q.dimension == Dimension::Plain;
            let portion = matches!((field.ty)(), TypeInfo::Portion);
            let steps = plain && (matches!((field.ty)(), TypeInfo::Interval) || portion && x > 1.0);
            // The range of a portion is that of its shares.
            let is_bound = !portion || !steps && q.dimension != Dimension::Time;
            let in_range = !is_bound || field.range.is_none_or(|range| range.contains(x));
            let counts = steps || matches!((field.ty)(), TypeInfo::Count | TypeInfo::AutoCount);
            let whole = !counts || x.fract() == 0.0 && (!steps || x >= 1.0);
            dimensions(&(field.ty)()).contains(&q.dimension) && in_range && whole
        }
        ValueKind::Text(_) => matches!((field.ty)(), TypeInfo::Text),
        _ => false,
    }
}

/// Whether a value is of the type of a field, as far as is to be seen from outside.
pub(super) fn fits(field: &FieldInfo, value: &Value) -> bool {
    match &value.kind {
        ValueKind::Name(name) | ValueKind::Struct { name: Some(name), .. } | ValueKind::Tuple { name: Some(name), .. } => {
            (field.ty)().records().iter().any(|record| record.name == name.text)
        }
        ValueKind::Bool(_) => matches!((field.ty)(), TypeInfo::Flag),
        ValueKind::List(_) => matches!((field.ty)(), TypeInfo::List(_)),
        kind => takes(field, kind),
    }
}

fn is_free(field: &FieldInfo) -> bool {
    field.optional || field.default.is_some()
}

/// A struct with a value in one of its fields.
struct Proposal {
    /// How it reads.
    text: String,
    /// What stands before the value.
    opening: String,
    /// Whether it needs no other field.
    complete: bool,
    quoted: bool,
}

impl Proposal {
    fn of(record: &RecordInfo, field: &FieldInfo, bare: &Bare) -> Self {
        let complete = record.fields.iter().all(|f| f.name == field.name || is_free(f));
        let only = record.fields.len() == 1;
        let opening = if only { format!("{}(", record.name) } else { format!("{}({}: ", record.name, field.name) };
        let more = if complete { "" } else { ", .." };
        Self { text: format!("{opening}{}{more})", bare.shown), opening, complete, quoted: bare.quoted }
    }

    fn edits(&self, span: Span) -> Vec<Edit> {
        self.edits_between(span, "", "")
    }

    /// The changes that put the struct around the value, and something around that.
    fn edits_between(&self, span: Span, before: &str, after: &str) -> Vec<Edit> {
        let at = |start: u32, end: u32, text: String| Edit { span: Span { start, end, ..span }, text };
        let quote = u32::from(self.quoted);
        let opening = at(span.start, span.start + quote, format!("{before}{}", self.opening));
        vec![opening, at(span.end - quote, span.end, format!("){after}"))]
    }
}

/// Proposals that are made for one value.
const MOST_PROPOSED: usize = 2;

/// The first variants whose first field takes a value: those that have no other field before those that have.
fn of_choice(choice: &ChoiceInfo, bare: &Bare) -> Vec<Proposal> {
    let first = |v: &'static RecordInfo| v.fields.first().filter(|field| takes(field, &bare.kind)).map(|field| (v, field));
    let mut fitting: Vec<_> = choice.variants.iter().filter_map(first).collect();
    fitting.sort_by_key(|(record, _)| record.fields.len() > 1);
    fitting.into_iter().take(MOST_PROPOSED).map(|(record, field)| Proposal::of(record, field, bare)).collect()
}

/// The only field of a struct that takes a value, where the value tells by its kind which one it is.
fn of_record(record: &RecordInfo, bare: &Bare) -> Vec<Proposal> {
    if matches!(bare.kind, ValueKind::Text(_)) {
        return Vec::new();
    }
    let mut fitting = record.fields.iter().filter(|field| takes(field, &bare.kind));
    match (fitting.next(), fitting.next()) {
        (Some(field), None) => vec![Proposal::of(record, field, bare)],
        _ => Vec::new(),
    }
}

fn proposals(value: &Value, wanted: &TypeInfo) -> Vec<Proposal> {
    let fitting = |bare: &Bare| match wanted {
        TypeInfo::Choice(choice) => of_choice(choice, bare),
        TypeInfo::Record(record) => of_record(record, bare),
        _ => Vec::new(),
    };
    readings(value).iter().map(fitting).find(|found| !found.is_empty()).unwrap_or_default()
}

/// Adds the structs that would hold a bare value, or the variant that a text names.
pub(super) fn wrapped(diagnostic: Diagnostic, value: &Value, wanted: &TypeInfo) -> Result<Diagnostic, Diagnostic> {
    if let (ValueKind::Text(text), TypeInfo::Choice(choice)) = (&value.kind, wanted)
        && let Some(variant) = meant_variant(choice, text)
    {
        let complete = variant.fields.iter().all(is_free);
        let form = if variant.fields.is_empty() { variant.name.to_owned() } else { format!("{}(..)", variant.name) };
        let title = format!("write `{}`", variant.name);
        return Ok(diagnostic.help(format!("write `{form}`, without quotes")).fix(title, complete, value.span, variant.name));
    }
    if let TypeInfo::List(item) = wanted {
        return listed(diagnostic, value, &item());
    }
    let found = proposals(value, wanted);
    if found.is_empty() {
        return Err(diagnostic);
    }
    let alternatives = if let TypeInfo::Choice(choice) = wanted { choice.variants.len() } else { 1 };
    let texts: Vec<String> = found.iter().map(|p| format!("`{}`", p.text)).collect();
    let mut diagnostic = diagnostic.help(format!("write {}", texts.join(" or ")));
    for proposal in found.iter().filter(|p| p.complete) {
        let safe = alternatives == 1 && !proposal.quoted;
        diagnostic = diagnostic.edits(format!("write `{}`", proposal.text), safe, proposal.edits(value.span));
    }
    Ok(diagnostic)
}

/// `Constant(4,096)`: whole numbers that touch the comma between them, groups of three digits after the first, are one number.
pub(super) fn one_number(cx: &mut Decoder, items: Vec<Value>) -> Vec<Value> {
    let group = |value: &Value| match &value.kind {
        ValueKind::Number(Quantity { number: Numeric::Integer(n @ 0..1000), dimension: Dimension::Plain }) => {
            Some((*n, value.span))
        }
        _ => None,
    };
    let groups: Vec<(i128, Span)> = items.iter().map_while(group).collect();
    let [(first, start), more @ ..] = groups.as_slice() else { return items };
    let grouped = more.iter().all(|(_, span)| span.len() == 3)
        && groups.windows(2).all(|pair| matches!(pair, [(_, a), (_, b)] if a.source == b.source && a.end + 1 == b.start));
    let Some((_, end)) = more.last().filter(|_| groups.len() == items.len() && grouped && *first > 0) else { return items };
    let plain = more.iter().fold(first.to_string(), |text, (n, _)| format!("{text}_{n:03}"));
    let Ok(n) = plain.replace('_', "").parse() else { return items };
    let span = start.to(*end);
    let found = Diagnostic::error(Code::WrongType, span, "a number has no comma in it").here("one number, or several?");
    cx.report(found.help(format!("write `{plain}`")).fix(format!("write `{plain}`"), more.len() > 1, span, plain));
    vec![Value { kind: ValueKind::Number(Quantity::plain(Numeric::Integer(n))), span }]
}

/// A single item where a list is wanted.
fn listed(diagnostic: Diagnostic, value: &Value, item: &TypeInfo) -> Result<Diagnostic, Diagnostic> {
    let at = |at: u32, text: &str| Edit { span: Span { start: at, end: at, ..value.span }, text: text.to_owned() };
    let (ValueKind::Name(name) | ValueKind::Struct { name: Some(name), .. } | ValueKind::Tuple { name: Some(name), .. }) =
        &value.kind
    else {
        let found = proposals(value, item);
        let Some(proposal) = found.first().filter(|p| p.complete) else { return Err(diagnostic) };
        let edits = proposal.edits_between(value.span, "[", "]");
        let text = format!("[{}]", proposal.text);
        return Ok(diagnostic.help(format!("write `{text}`")).edits(format!("write `{text}`"), found.len() == 1, edits));
    };
    let known = item.records().iter().any(|record| record.name == name.text);
    // The value of a `let` name stands elsewhere.
    let here = name.span.source == value.span.source && name.span.start == value.span.start;
    if !known || !here {
        return Err(diagnostic);
    }
    let form = if matches!(value.kind, ValueKind::Name(_)) { name.text.clone() } else { format!("{}(..)", name.text) };
    let edits = vec![at(value.span.start, "["), at(value.span.end, "]")];
    Ok(diagnostic.help(format!("put it in brackets: `[{form}]`")).edits("put it in brackets", true, edits))
}
