//! From evaluated values to typed settings: every unknown name, wrong type and value out of range is found in one pass.

use std::collections::BTreeMap;

mod types;

pub use types::{Interval, MicroBatch, Pair};

use super::schema::{ChoiceInfo, FieldInfo, Range, RecordInfo, TypeInfo, homes_of};
use super::settings::Recipe;
use super::suggest::nearest;
use super::value::{Dimension, FieldValue, Numeric, Quantity, Value, ValueKind};
use crate::diag::{Code, Diagnostic};
use crate::source::{SourceId, Span};
use crate::syntax;

/// Where each field of the recipe got its value; keys are dotted paths such as `model.width`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    map: BTreeMap<String, Span>,
    root: Span,
}

impl Places {
    /// The place of a field, or of the nearest enclosing struct that is written in the recipe.
    pub fn of(&self, path: &str) -> Span {
        let mut path = path;
        loop {
            if let Some(span) = self.map.get(path) {
                return *span;
            }
            match path.rfind('.') {
                Some(dot) => path = &path[..dot],
                None => return self.root,
            }
        }
    }
}

/// Something a recipe value can become.
pub trait Decode: Sized {
    /// Whether the field may be left out without a default.
    const OPTIONAL: bool = false;

    /// What the value must be.
    fn info() -> TypeInfo;

    /// Reads the value, reporting what is wrong with it; `None` after a report.
    fn decode(value: &Value, cx: &mut Decoder, range: Option<&Range>) -> Option<Self>;

    /// What stands for a field that is absent and has no default.
    fn absent() -> Option<Self> {
        None
    }
}

/// The fields of a struct that is being read.
pub struct Fields {
    info: &'static RecordInfo,
    given: Vec<FieldValue>,
    span: Span,
}

impl Fields {
    /// The name of the struct or variant.
    pub fn name(&self) -> &'static str {
        self.info.name
    }
}

/// Collects diagnostics and places while values are read.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What was found.
    pub diagnostics: Vec<Diagnostic>,
    /// Where each field stands.
    pub places: Places,
    path: Vec<&'static str>,
    inside_default: bool,
}

impl Decoder {
    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn here(&self) -> String {
        self.path.join(".")
    }

    fn mismatch(&mut self, value: &Value, wanted: &TypeInfo) {
        if matches!(value.kind, ValueKind::Poisoned) {
            return;
        }
        let subject = self.path.last().map_or("the recipe".to_owned(), |name| format!("`{name}`"));
        let diagnostic =
            Diagnostic::error(Code::WrongType, value.span, format!("{subject} wants {wanted}, found {}", describe(value)))
                .here(format!("expected {wanted}"));
        let diagnostic = match remedy(value, wanted) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        };
        self.report(diagnostic);
    }

    /// Opens a value that must be the struct `info`.
    pub fn open_record(&mut self, value: &Value, info: &'static RecordInfo) -> Option<Fields> {
        if self.path.is_empty() {
            self.places.root = value.span;
        }
        match record_parts(value) {
            Some((None, given)) => self.open(value, info, given),
            Some((Some(name), given)) if name == info.name => self.open(value, info, given),
            Some((Some(name), _)) => {
                let diagnostic =
                    Diagnostic::error(Code::UnknownVariant, value.span, format!("expected `{}`, found `{name}`", info.name))
                        .here("not valid here")
                        .help(format!("write `{}(..)`", info.name));
                self.report(diagnostic);
                None
            }
            None => {
                self.mismatch(value, &TypeInfo::Record(info));
                None
            }
        }
    }

    /// Opens a value that must be one of the structs of `info`.
    pub fn open_choice(&mut self, value: &Value, info: &'static ChoiceInfo) -> Option<Fields> {
        let Some((Some(name), given)) = record_parts(value) else {
            self.mismatch(value, &TypeInfo::Choice(info));
            return None;
        };
        if let Some(variant) = info.variants.iter().find(|v| v.name == name) {
            return self.open(value, variant, given);
        }
        let names = info.variants.iter().map(|v| v.name);
        let help = match nearest(&name, names.clone()) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("one of {}", names.map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")),
        };
        let span = Span { end: value.span.start + name.len() as u32, ..value.span };
        let diagnostic =
            Diagnostic::error(Code::UnknownVariant, span, format!("there is no `{name}` for `{}`", self.here())).help(help);
        self.report(diagnostic.here("not a known choice"));
        None
    }

    fn open(&mut self, value: &Value, info: &'static RecordInfo, given: Given) -> Option<Fields> {
        let given = match given {
            Given::Named(fields) => fields,
            Given::Positional(items) => self.name_positional(value, info, items)?,
        };
        Some(Fields { info, given, span: head(value) })
    }

    /// A single unnamed value is the first field: `Text("a.txt")`, `Constant(1e-3)`.
    fn name_positional(&mut self, value: &Value, info: &'static RecordInfo, items: Vec<Value>) -> Option<Vec<FieldValue>> {
        match (items.len(), info.fields.first()) {
            (0, _) => Some(Vec::new()),
            (1, Some(first)) => Some(
                items
                    .into_iter()
                    .map(|value| FieldValue { name: syntax::ast::Ident { text: first.name.to_owned(), span: value.span }, value })
                    .collect(),
            ),
            (n, _) => {
                let names: Vec<&str> = info.fields.iter().map(|f| f.name).collect();
                let message = format!("`{}` takes its fields by name, found {n} unnamed values", info.name);
                let mut diagnostic = Diagnostic::error(Code::WrongType, value.span, message).here("unnamed values");
                if !names.is_empty() {
                    diagnostic = diagnostic.help(format!("name them: {}", names.join(", ")));
                }
                self.report(diagnostic);
                None
            }
        }
    }

    /// Reads one field of an open struct: its value, its default, or nothing where it is optional.
    pub fn field<T: Decode>(&mut self, fields: &Fields, name: &'static str) -> Option<T> {
        let info = fields.info.fields.iter().find(|f| f.name == name)?;
        let given = fields.given.iter().find(|f| f.name.text == name).map(|f| f.value.clone());
        self.path.push(name);
        let result = match given {
            Some(value) => self.given(&value, info),
            None => self.missing(fields, info),
        };
        self.path.pop();
        result
    }

    fn given<T: Decode>(&mut self, value: &Value, info: &FieldInfo) -> Option<T> {
        if !self.inside_default {
            let path = self.here();
            self.places.map.insert(path, value.span);
        }
        T::decode(value, self, info.range.as_ref())
    }

    fn missing<T: Decode>(&mut self, fields: &Fields, info: &'static FieldInfo) -> Option<T> {
        if let Some(text) = info.default {
            let outer = std::mem::replace(&mut self.inside_default, true);
            let result = default_value(text).and_then(|value| T::decode(&value, self, info.range.as_ref()));
            self.inside_default = outer;
            return result;
        }
        if let Some(value) = T::absent() {
            return Some(value);
        }
        // A misspelled field is reported once, as unknown; that it is therefore missing is not a second error.
        let misspelled =
            fields.given.iter().any(|f| nearest(&f.name.text, [info.name]).is_some() && !is_field(fields.info, &f.name.text));
        if !misspelled {
            let message = format!("`{}` lacks the field `{}`", fields.info.name, info.name);
            let wanted = (info.ty)();
            self.report(
                Diagnostic::error(Code::MissingField, fields.span, message)
                    .here(format!("`{}` is required", info.name))
                    .help(format!("add `{}:` with {wanted}: {}", info.name, info.doc.trim().trim_end_matches('.'))),
            );
        }
        None
    }

    /// Reports the fields that the struct does not have.
    pub fn close(&mut self, fields: &Fields) {
        for field in &fields.given {
            if is_field(fields.info, &field.name.text) {
                continue;
            }
            let diagnostic = unknown_field(fields.info, field);
            self.report(diagnostic);
        }
    }

    /// A whole or real number of the wanted dimension, in base units.
    fn quantity(&mut self, value: &Value, wanted: &TypeInfo, allowed: &[Dimension]) -> Option<Quantity> {
        match &value.kind {
            ValueKind::Number(q) if allowed.contains(&q.dimension) => Some(q.clone()),
            _ => {
                self.mismatch(value, wanted);
                None
            }
        }
    }

    fn within(&mut self, value: &Value, x: f64, range: Option<&Range>) -> Option<()> {
        if !x.is_finite() {
            self.report(Diagnostic::error(Code::OutOfRange, value.span, "the value is not a finite number").here("overflows"));
            return None;
        }
        let Some(range) = range else { return Some(()) };
        if range.contains(x) {
            return Some(());
        }
        let name = self.path.last().copied().unwrap_or("value");
        let bounds = range.to_string().replace("value", &format!("`{name}`"));
        self.report(
            Diagnostic::error(Code::OutOfRange, value.span, format!("`{name}` is out of range"))
                .here(format!("this is {x}"))
                .help(format!("it must hold that {bounds}")),
        );
        None
    }

    fn count(&mut self, value: &Value, wanted: TypeInfo, range: Option<&Range>) -> Option<u64> {
        let q = self.quantity(value, &wanted, &[Dimension::Plain])?;
        let whole = match q.number {
            Numeric::Integer(n) => n,
            Numeric::Float(x) if x.fract() == 0.0 && x.abs() < 9.0e15 => x as i128,
            Numeric::Float(_) => {
                self.mismatch(value, &wanted);
                return None;
            }
        };
        self.within(value, whole as f64, range)?;
        u64::try_from(whole).ok().or_else(|| {
            self.report(
                Diagnostic::error(Code::OutOfRange, value.span, "a count cannot be negative").here(format!("this is {whole}")),
            );
            None
        })
    }
}

enum Given {
    Named(Vec<FieldValue>),
    Positional(Vec<Value>),
}

/// A value read as a struct or variant: its name, if it has one, and what is in its parentheses.
fn record_parts(value: &Value) -> Option<(Option<String>, Given)> {
    match &value.kind {
        ValueKind::Name(ident) => Some((Some(ident.text.clone()), Given::Named(Vec::new()))),
        ValueKind::Struct { name, fields } => Some((name.as_ref().map(|n| n.text.clone()), Given::Named(fields.clone()))),
        ValueKind::Tuple { name, items } => Some((name.as_ref().map(|n| n.text.clone()), Given::Positional(items.clone()))),
        _ => None,
    }
}

/// The name of a struct, or its opening parenthesis: enough to point at, where the whole would fill the screen.
fn head(value: &Value) -> Span {
    match &value.kind {
        ValueKind::Struct { name: Some(name), .. } | ValueKind::Tuple { name: Some(name), .. } => name.span,
        ValueKind::Name(_) => value.span,
        _ => Span { end: value.span.start + 1, ..value.span },
    }
}

fn is_field(info: &RecordInfo, name: &str) -> bool {
    info.fields.iter().any(|f| f.name == name)
}

static ROOT: RecordInfo = Recipe::INFO;

fn unknown_field(info: &'static RecordInfo, field: &FieldValue) -> Diagnostic {
    let name = &field.name.text;
    let diagnostic =
        Diagnostic::error(Code::UnknownField, field.name.span, format!("`{}` has no field `{name}`", info.name)).here("unknown");
    if let Some(close) = nearest(name, info.fields.iter().map(|f| f.name)) {
        return diagnostic.help(format!("did you mean `{close}`?"));
    }
    let homes = homes_of(name, &ROOT);
    match homes.as_slice() {
        [] => {
            let all: Vec<String> = info.fields.iter().map(|f| format!("`{}`", f.name)).collect();
            diagnostic.help(if all.is_empty() {
                format!("`{}` has no fields", info.name)
            } else {
                format!("it has {}", all.join(", "))
            })
        }
        [home] => diagnostic.help(match home.rsplit_once('.') {
            Some((parent, _)) => format!("`{name}` belongs in `{parent}`"),
            None => format!("`{name}` belongs at the top of the recipe"),
        }),
        several => {
            diagnostic.help(format!("there is {}", several.iter().map(|h| format!("`{h}`")).collect::<Vec<_>>().join(" and ")))
        }
    }
}

fn default_value(text: &str) -> Option<Value> {
    let (document, _) = syntax::parse(SourceId(u32::MAX), text);
    let (value, errors) = super::eval::evaluate_alone(&document?);
    errors.is_empty().then_some(value)
}

fn describe(value: &Value) -> String {
    match &value.kind {
        ValueKind::Number(q) => match q.dimension {
            Dimension::Plain => "a number".to_owned(),
            dimension => format!("{dimension}"),
        },
        ValueKind::Text(_) => "a text".to_owned(),
        ValueKind::Bool(_) => "a truth value".to_owned(),
        ValueKind::Name(ident) => format!("the name `{}`", ident.text),
        ValueKind::Struct { name: Some(name), .. } | ValueKind::Tuple { name: Some(name), .. } => format!("`{}(..)`", name.text),
        ValueKind::Struct { .. } => "a struct".to_owned(),
        ValueKind::Tuple { items, .. } => format!("{} values in parentheses", items.len()),
        ValueKind::List(_) => "a list".to_owned(),
        ValueKind::Poisoned => "nothing".to_owned(),
    }
}

/// A way out for the commonest confusions.
fn remedy(value: &Value, wanted: &TypeInfo) -> Option<String> {
    let plain = matches!(&value.kind, ValueKind::Number(q) if q.dimension == Dimension::Plain);
    match wanted {
        TypeInfo::Duration if plain => Some("give it a unit: `s`, `min`, `h` or `d`".into()),
        TypeInfo::Size if plain => Some("give it a unit: `MiB`, `GiB` or `GB`".into()),
        TypeInfo::Work if plain => Some("give it a unit: `TFLOP`, `PFLOP` or `EFLOP`".into()),
        TypeInfo::Count if plain => Some("write it without a fraction".into()),
        TypeInfo::Count | TypeInfo::Real if matches!(value.kind, ValueKind::Number(_)) => {
            Some("write the number without a unit".into())
        }
        TypeInfo::Text if matches!(value.kind, ValueKind::Name(_)) => Some("put it in double quotes".into()),
        TypeInfo::List(_) => Some("put it in `[` and `]`".into()),
        TypeInfo::Flag => Some("write `true` or `false`".into()),
        TypeInfo::Share => Some("write it as a percentage, such as `25%`".into()),
        TypeInfo::Duration => Some("durations are in `s`, `min`, `h` or `d`".into()),
        TypeInfo::Size => Some("sizes are in `MiB`, `GiB`, `MB` or `GB`".into()),
        _ => None,
    }
}
