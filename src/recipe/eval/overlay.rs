//! Values laid over values: imports under what is given, and `--set` over everything.
//!
//! Invariant: a field occurs once in the result, and it keeps the span of the side it came from.

use std::collections::BTreeMap;

use crate::diag::{Code, Diagnostic};
use crate::recipe::suggest::distance;
use crate::recipe::value::{FieldValue, Value, ValueKind};
use crate::source::Span;
use crate::syntax::ast::Ident;

/// Whether two structs are the same one: their names agree, or one has none and so stands for whatever is wanted.
pub(super) fn same_struct(ours: Option<&Ident>, theirs: Option<&Ident>) -> bool {
    ours.is_none() || theirs.is_none() || ours.map(|n| &n.text) == theirs.map(|n| &n.text)
}

/// Whether a struct can take the fields of another: it is the same one, or its name is misspelled, which is reported where names are
/// read.
pub(super) fn fits(ours: Option<&Ident>, theirs: Option<&Ident>) -> bool {
    let near = || Some(distance(&ours?.text, &theirs?.text)? <= 2);
    same_struct(ours, theirs) || near() == Some(true)
}

/// Marks every struct in a value as one that may lack fields that are given somewhere.
pub(super) fn mark_broken(value: &mut Value) {
    match &mut value.kind {
        ValueKind::Struct { fields, broken, .. } => {
            *broken = true;
            for field in fields {
                mark_broken(&mut field.value);
            }
        }
        ValueKind::Tuple { items, .. } | ValueKind::List(items) => items.iter_mut().for_each(mark_broken),
        _ => {}
    }
}

/// Our fields, then those of theirs that we do not give; structs that both give are merged in turn.
pub(super) fn merge(ours: Vec<FieldValue>, theirs: Vec<FieldValue>) -> Vec<FieldValue> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (i, field) in theirs.iter().enumerate() {
        places.entry(field.name.text.clone()).or_insert(i);
    }
    let mut theirs: Vec<Option<FieldValue>> = theirs.into_iter().map(Some).collect();
    let mut under = |name: &str| places.get(name).and_then(|i| theirs.get_mut(*i)).and_then(Option::take);
    let mut fields: Vec<FieldValue> = ours.into_iter().map(|field| overlay(under(&field.name.text), field)).collect();
    fields.extend(theirs.into_iter().flatten());
    fields
}

/// A single value without a name, as the field without a name that stands for a struct's first.
fn first_field(value: Value) -> FieldValue {
    FieldValue { name: Ident { text: String::new(), span: value.span }, value }
}

fn overlay(under: Option<FieldValue>, over: FieldValue) -> FieldValue {
    let Some(FieldValue { value: under, .. }) = under else { return over };
    let FieldValue { name: field, value: Value { kind, span } } = over;
    FieldValue { name: field, value: Value { kind: overlay_kind(under.kind, kind), span } }
}

fn overlay_kind(under: ValueKind, over: ValueKind) -> ValueKind {
    let (theirs, more, incomplete) = match under {
        ValueKind::Struct { name, fields, broken } => (name, fields, broken),
        ValueKind::Tuple { name: Some(name), mut items } if items.len() == 1 => {
            (Some(name), items.pop().map(first_field).into_iter().collect(), false)
        }
        _ => return over,
    };
    match over {
        ValueKind::Struct { name, fields, broken } if same_struct(name.as_ref(), theirs.as_ref()) => {
            ValueKind::Struct { name: name.or(theirs), fields: merge(fields, more), broken: broken || incomplete }
        }
        ValueKind::Tuple { name: Some(name), mut items } if items.len() == 1 && same_struct(Some(&name), theirs.as_ref()) => {
            let given = items.pop().map(first_field).into_iter().collect();
            ValueKind::Struct { name: Some(name), fields: merge(given, more), broken: incomplete }
        }
        other => other,
    }
}

/// The name of a struct that an override goes into and that nothing gives: whatever the field is by default.
fn default_name(place: &Ident) -> Ident {
    Ident { text: String::new(), span: place.span }
}

/// Puts a value at a path, in place of what is there; structs on the way that are not given are added, as what they are by default.
///
/// # Errors
/// `bad-path` where something that has no fields is on the way.
pub(super) fn set(value: &mut Value, path: &[Ident], new: Value) -> Result<(), Diagnostic> {
    let mut target = value;
    let mut walked = String::new();
    for step in path {
        open(target);
        let whole = target.span;
        let fields = match &mut target.kind {
            ValueKind::Struct { fields, .. } => fields,
            other => return refused(other, whole, &walked, step),
        };
        target = field(fields, step);
        walked = if walked.is_empty() { step.text.clone() } else { format!("{walked}.{}", step.text) };
    }
    *target = new;
    Ok(())
}

/// Makes a struct of a variant without fields, or with one that is given without its name.
fn open(value: &mut Value) {
    let (name, fields) = match &mut value.kind {
        ValueKind::Name(name) => (Some(name.clone()), Vec::new()),
        ValueKind::Tuple { name, items } if items.len() < 2 => (name.clone(), items.drain(..).map(first_field).collect()),
        _ => return,
    };
    value.kind = ValueKind::Struct { name, fields, broken: false };
}

/// The value of a field, which is added if there is none: before the others, where it counts before one without a name.
fn field<'v>(fields: &'v mut Vec<FieldValue>, name: &Ident) -> &'v mut Value {
    let index = fields.iter().position(|f| f.name.text == name.text).unwrap_or_else(|| {
        let kind = ValueKind::Struct { name: Some(default_name(name)), fields: Vec::new(), broken: false };
        fields.insert(0, FieldValue { name: name.clone(), value: Value { kind, span: name.span } });
        0
    });
    &mut fields[index].value
}

fn refused(found: &ValueKind, there: Span, walked: &str, step: &Ident) -> Result<(), Diagnostic> {
    if matches!(found, ValueKind::Poisoned) {
        return Ok(());
    }
    let whole = if walked.is_empty() { "the recipe".to_owned() } else { format!("`{walked}`") };
    let message = format!("{whole} has no field `{}`: it is {}", step.text, found.describe());
    Err(Diagnostic::error(Code::BadPath, step.span, message)
        .here("this path")
        .and(there, "given here")
        .help("set the whole of it"))
}
