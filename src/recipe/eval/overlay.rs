//! Values laid over values: imports under what is given, and `--set` over everything.
//!
//! Invariant: a field occurs once in the result, and it keeps the span of the side it came from.

use std::collections::BTreeMap;

use super::describe;
use crate::diag::{Code, Diagnostic};
use crate::recipe::value::{FieldValue, Value, ValueKind};
use crate::source::Span;
use crate::syntax::ast::Ident;

/// Whether two structs are the same one: their names agree, or one has none and so stands for whatever is wanted.
pub(super) fn same_struct(ours: Option<&Ident>, theirs: Option<&Ident>) -> bool {
    ours.is_none() || theirs.is_none() || ours.map(|n| &n.text) == theirs.map(|n| &n.text)
}

/// Our fields, then those of theirs that we do not give; structs that both give are merged in turn.
pub(super) fn merge(ours: Vec<FieldValue>, theirs: Vec<FieldValue>) -> Vec<FieldValue> {
    let mut theirs: BTreeMap<String, FieldValue> = theirs.into_iter().map(|field| (field.name.text.clone(), field)).collect();
    let mut fields: Vec<FieldValue> = ours.into_iter().map(|field| overlay(theirs.remove(&field.name.text), field)).collect();
    fields.extend(theirs.into_values());
    fields
}

fn overlay(under: Option<FieldValue>, over: FieldValue) -> FieldValue {
    let Some(FieldValue { value: Value { kind: ValueKind::Struct { name: theirs, fields: more }, .. }, .. }) = under else {
        return over;
    };
    let FieldValue { name: field, value: Value { kind, span } } = over;
    let kind = match kind {
        ValueKind::Struct { name, fields } if same_struct(name.as_ref(), theirs.as_ref()) => {
            ValueKind::Struct { name: name.or(theirs), fields: merge(fields, more) }
        }
        other => other,
    };
    FieldValue { name: field, value: Value { kind, span } }
}

/// Puts a value at a dotted path such as `objective.prediction`, in place of what is there; structs on the way that are not given are
/// added without a name. `at` is where the path is written.
///
/// # Errors
/// `bad-path` where a name of the path is empty, or where something that has no fields is on the way.
pub fn set(value: &mut Value, path: &str, new: Value, at: Span) -> Result<(), Diagnostic> {
    let mut target = value;
    let mut walked = String::new();
    for step in path.split('.').map(str::trim) {
        if step.is_empty() {
            let diagnostic = Diagnostic::error(Code::BadPath, at, format!("`{path}` names no field")).here("this path");
            return Err(diagnostic.help("write the names of fields with `.` between them, such as `model.width`"));
        }
        open(target);
        let whole = target.span;
        let fields = match &mut target.kind {
            ValueKind::Struct { fields, .. } => fields,
            other => return refused(other, whole, &walked, step, at),
        };
        target = field(fields, step, at);
        walked = if walked.is_empty() { step.to_owned() } else { format!("{walked}.{step}") };
    }
    *target = new;
    Ok(())
}

/// Makes a struct of a variant without fields.
fn open(value: &mut Value) {
    let name = match &value.kind {
        ValueKind::Name(name) => Some(Some(name.clone())),
        ValueKind::Tuple { name, items } if items.is_empty() => Some(name.clone()),
        _ => None,
    };
    if let Some(name) = name {
        value.kind = ValueKind::Struct { name, fields: Vec::new() };
    }
}

/// The value of a field, which is added if there is none.
fn field<'v>(fields: &'v mut Vec<FieldValue>, name: &str, at: Span) -> &'v mut Value {
    let index = fields.iter().position(|f| f.name.text == name).unwrap_or(fields.len());
    if index == fields.len() {
        let value = Value { kind: ValueKind::Struct { name: None, fields: Vec::new() }, span: at };
        fields.push(FieldValue { name: Ident { text: name.to_owned(), span: at }, value });
    }
    &mut fields[index].value
}

fn refused(found: &ValueKind, there: Span, walked: &str, step: &str, at: Span) -> Result<(), Diagnostic> {
    if matches!(found, ValueKind::Poisoned) {
        return Ok(());
    }
    let whole = if walked.is_empty() { "the recipe".to_owned() } else { format!("`{walked}`") };
    let message = format!("{whole} has no field `{step}`: it is {}", describe(found));
    let help = match found {
        ValueKind::Tuple { .. } => "its value is given without a name; set the whole of it",
        _ => "set the whole of it",
    };
    Err(Diagnostic::error(Code::BadPath, at, message).here("this path").and(there, "given here").help(help))
}
