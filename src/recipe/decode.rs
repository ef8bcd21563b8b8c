//! From evaluated values to typed settings: every unknown name, wrong type and value out of range is found in one pass.
//!
//! Invariant: what cannot be read leaves a stand-in and the path of its field in [`Places`], so that everything else is still read and
//! the rules that need the field stay silent; a stand-in never leaves this stage.

use std::collections::{BTreeMap, BTreeSet};

mod absent;
mod portion;
mod remedy;
#[cfg(test)]
mod tests;
mod types;
mod unknown;
mod wrap;

pub use portion::Portion;
pub use types::{Interval, MicroBatch, Pair};

use self::remedy::remedied;
use super::schema::{ChoiceInfo, FieldInfo, Range, RecordInfo, TypeInfo};
use super::suggest::nearest;
use super::value::{Dimension, FieldValue, Numeric, Quantity, Value, ValueKind};
use crate::diag::{Code, Diagnostic};
use crate::source::{SourceId, Span};
use crate::syntax;

/// The source of what no file says: the defaults of the schema.
pub const DEFAULTS: SourceId = SourceId(u32::MAX);

/// Where each field of the recipe got its value, and which could not be read; keys are dotted paths such as `model.width`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    map: BTreeMap<String, Span>,
    failed: BTreeSet<String>,
    root: Span,
    /// Sources that are no files: what was said on the command line.
    said: Vec<SourceId>,
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

    /// Whether a field and all that is in it could be read.
    pub fn is_known(&self, path: &str) -> bool {
        let within = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with('.'))
        };
        !self.failed.iter().any(|failed| within(failed, path) || within(path, failed))
    }

    /// Whether a field is written down, not left to its default.
    pub fn is_written(&self, path: &str) -> bool {
        self.map.contains_key(path)
    }

    /// Notes which sources are not files but words on the command line.
    pub fn note_said(&mut self, sources: Vec<SourceId>) {
        self.said = sources;
    }

    /// Whether a field's value was said on the command line, so that no change of a file would count.
    pub fn is_said(&self, path: &str) -> bool {
        self.map.get(path).is_some_and(|span| self.said.contains(&span.source))
    }

    /// Every field that is written down, with its place, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Span)> {
        self.map.iter().map(|(path, span)| (path.as_str(), *span))
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

    /// Any value of the type, for a field that could not be read.
    fn stand_in() -> Self;

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
    broken: bool,
}

impl Fields {
    /// The name of the struct or variant.
    pub fn name(&self) -> &'static str {
        self.info.name
    }

    /// The value of a field. One without a name is the first field; of two that both are it, the one that stands first counts.
    fn value(&self, name: &str) -> Option<&FieldValue> {
        let is_first = self.info.fields.first().is_some_and(|f| f.name == name);
        self.given.iter().find(|f| f.name.text == name || is_first && f.name.text.is_empty())
    }
}

/// Collects diagnostics and places while values are read.
#[derive(Debug, Default)]
pub struct Decoder {
    /// What was found.
    pub diagnostics: Vec<Diagnostic>,
    /// Where each field stands.
    pub places: Places,
    /// The `let` names of the recipe: a bare name may be meant to be one.
    lets: Vec<String>,
    path: Vec<&'static str>,
    inside_default: bool,
    /// The default of the field that is being read, as recipe text.
    default: Option<&'static str>,
    /// Fields that are misspelled or stand in a wrong struct, by the path that was meant: that they are missing there is no second error.
    misplaced: BTreeSet<String>,
    /// Missing fields, by their path, with the place of their report.
    missing: Vec<(String, usize)>,
}

impl Decoder {
    /// A decoder that knows the `let` names of the recipe.
    pub fn new(lets: Vec<String>) -> Self {
        Self { lets, ..Self::default() }
    }

    /// What was found and where things stand, when all has been read.
    pub fn finish(mut self) -> (Vec<Diagnostic>, Places) {
        let idle: BTreeSet<usize> =
            self.missing.iter().filter(|(path, _)| self.misplaced.contains(path)).map(|(_, index)| *index).collect();
        let mut index = 0;
        self.diagnostics.retain(|_| {
            index += 1;
            !idle.contains(&(index - 1))
        });
        (self.diagnostics, self.places)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn here(&self) -> String {
        self.path.join(".")
    }

    fn within_path(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}.{field}", self.here()) }
    }

    fn fail(&mut self) {
        let path = self.here();
        self.places.failed.insert(path);
    }

    fn mismatch(&mut self, value: &Value, wanted: &TypeInfo) {
        if matches!(value.kind, ValueKind::Poisoned) {
            return;
        }
        let subject = self.path.last().map_or("the recipe".to_owned(), |name| format!("`{name}`"));
        let message = format!("{subject} wants {wanted}, found {}", value.kind.describe());
        let diagnostic = Diagnostic::error(Code::WrongType, value.span, message).here(format!("expected {wanted}"));
        let diagnostic = remedied(diagnostic, value, wanted, &self.lets);
        self.report(diagnostic);
    }

    /// Opens a value that must be the struct `info`. A struct of another name is reported and read all the same.
    pub fn open_record(&mut self, value: &Value, info: &'static RecordInfo) -> Option<Fields> {
        if self.path.is_empty() {
            self.places.root = head(value);
        }
        let Some((name, given)) = record_parts(value) else {
            self.mismatch(value, &TypeInfo::Record(info));
            return None;
        };
        let other = name.filter(|name| name.as_str() != info.name && !name.is_empty());
        if let Some(name) = &other {
            let is_root = self.path.is_empty();
            self.report(unknown::record(info, name, head(value), is_root));
            self.fail();
            if is_root && !given.has_any_of(info) {
                // Another thing altogether: that it has other fields is no news.
                return None;
            }
        }
        // Of a struct that is perhaps another one, not every field can be asked for.
        self.open(value, info, given).map(|fields| Fields { broken: fields.broken || other.is_some(), ..fields })
    }

    /// Opens a value that must be one of the structs of `info`. A name that is nearly one of theirs is reported and read as that.
    pub fn open_choice(&mut self, value: &Value, info: &'static ChoiceInfo) -> Option<Fields> {
        let (name, given) = match record_parts(value) {
            Some((Some(name), given)) if !name.is_empty() => (name, given),
            Some((Some(_), given)) if self.by_default(info).is_some() => (self.by_default(info).unwrap_or_default(), given),
            Some((_, Given::Named(fields))) => return self.open_nameless(value, info, fields),
            _ => {
                self.mismatch(value, &TypeInfo::Choice(info));
                return None;
            }
        };
        if let Some(variant) = info.variants.iter().find(|v| v.name == name) {
            return self.open(value, variant, given);
        }
        let (diagnostic, meant) = unknown::variant(info, &name, head(value), self.path.last().copied(), &self.lets);
        self.report(diagnostic);
        self.fail();
        let only = || info.variants.first().filter(|only| info.variants.len() == 1 && given.are_all_of(only));
        self.open(value, meant.or_else(only)?, given)
    }

    /// A struct without its name, read as the variant that has its fields. Of one that could not be read whole it was reported already.
    fn open_nameless(&mut self, value: &Value, info: &'static ChoiceInfo, fields: Vec<FieldValue>) -> Option<Fields> {
        let given = Given::Named(fields);
        let mut fitting = info.variants.iter().filter(|variant| given.are_all_of(variant));
        let meant = fitting.next().filter(|_| fitting.next().is_none());
        if !matches!(value.kind, ValueKind::Struct { broken: true, .. }) {
            let wanted = TypeInfo::Choice(info);
            let subject = self.path.last().map_or("this".to_owned(), |name| format!("`{name}`"));
            let message = format!("{subject} wants {wanted}, found a struct without a name");
            let found = Diagnostic::error(Code::WrongType, value.span, message).here(format!("expected {wanted}"));
            self.report(match meant {
                Some(variant) => {
                    let start = Span { end: value.span.start, ..value.span };
                    let found = found.help(format!("put the name before it: `{}(..)`", variant.name));
                    found.fix(format!("put `{}` before it", variant.name), true, start, variant.name)
                }
                None => found.help(format!("put the name before it: {}", unknown::forms(info))),
            });
        }
        self.fail();
        self.open(value, meant?, given).map(|fields| Fields { broken: true, ..fields })
    }

    /// What the field is where nothing says it: its default, or the only choice there is.
    fn by_default(&self, info: &ChoiceInfo) -> Option<String> {
        let written = self.default.and_then(|text| text.split('(').next()).map(str::trim);
        let only = if let [only] = info.variants { Some(only.name) } else { None };
        written.or(only).map(str::to_owned)
    }

    fn open(&mut self, value: &Value, info: &'static RecordInfo, given: Given) -> Option<Fields> {
        let broken = matches!(value.kind, ValueKind::Struct { broken: true, .. });
        if broken {
            // What a rule would miss may stand where nothing could be read.
            self.fail();
        }
        let given = match given {
            Given::Named(fields) => fields,
            Given::Positional(items) => self.name_positional(value, info, items)?,
        };
        Some(Fields { info, given, span: head(value), broken })
    }

    /// A single unnamed value is the first field: `Text("a.txt")`, `Constant(1e-3)`.
    fn name_positional(&mut self, value: &Value, info: &'static RecordInfo, items: Vec<Value>) -> Option<Vec<FieldValue>> {
        let nameless = |value: Value| FieldValue { name: syntax::ast::Ident { text: String::new(), span: value.span }, value };
        let items = wrap::one_number(self, items);
        if items.len() < 2 && !(items.len() == 1 && info.fields.is_empty()) {
            return Some(items.into_iter().map(nameless).collect());
        }
        let names: Vec<&str> = info.fields.iter().map(|f| f.name).collect();
        let message = match names.len() {
            0 => format!("`{}` has no fields", info.name),
            _ => format!("`{}` takes its fields by name, found {} unnamed values", info.name, items.len()),
        };
        let help = match names.len() {
            0 => format!("write `{}` alone", info.name),
            _ => format!("name them: {}", names.join(", ")),
        };
        self.report(Diagnostic::error(Code::WrongType, value.span, message).here("unnamed values").help(help));
        None
    }

    /// Reads one field of an open struct: its value, its default, or nothing where it is optional.
    pub fn field<T: Decode>(&mut self, fields: &Fields, name: &'static str) -> T {
        let Some(info) = fields.info.fields.iter().find(|f| f.name == name) else { return T::stand_in() };
        self.path.push(name);
        let result = match fields.value(name) {
            Some(given) => self.given(&given.value, info),
            None => self.missing(fields, info),
        };
        if result.is_none() {
            self.fail();
        }
        self.path.pop();
        result.unwrap_or_else(T::stand_in)
    }

    fn given<T: Decode>(&mut self, value: &Value, info: &FieldInfo) -> Option<T> {
        if !self.inside_default {
            let path = self.here();
            self.places.map.insert(path, value.span);
        }
        self.default = info.default;
        if absent::refuses_nothing(self, value, info, T::OPTIONAL) {
            return None;
        }
        let value = absent::without_some(self, value, info, T::OPTIONAL);
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
        let replaced = fields.given.iter().any(|f| unknown::stands_for(&f.name.text, &self.here()));
        let imported = fields.given.iter().any(|f| unknown::is_import(&f.name.text));
        if !misspelled && !replaced && !imported && !fields.broken {
            let message = format!("`{}` lacks the field `{}`", fields.info.name, info.name);
            let wanted = (info.ty)();
            let path = self.here();
            self.missing.push((path, self.diagnostics.len()));
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
            if field.name.text.is_empty() || is_field(fields.info, &field.name.text) {
                continue;
            }
            let (diagnostic, home) = unknown::field(fields, field, &self.here());
            // Nor can a rule miss there what was written here.
            self.places.failed.extend(home.clone());
            self.misplaced.extend(home);
            self.report(diagnostic);
            let path = self.within_path(&field.name.text);
            self.places.failed.insert(path);
        }
    }

    /// A whole or real number of the wanted dimension, in base units.
    fn quantity(&mut self, value: &Value, wanted: &TypeInfo, allowed: &[Dimension]) -> Option<Quantity> {
        match &value.kind {
            ValueKind::Number(q) if allowed.contains(&q.dimension) => return Some(q.clone()),
            ValueKind::Tuple { name: Some(name), items } => {
                if let Some(q) = types::in_base_units(&name.text, items).filter(|q| allowed.contains(&q.dimension)) {
                    return Some(q);
                }
            }
            _ => {}
        }
        self.mismatch(value, wanted);
        None
    }

    fn within(&mut self, value: &Value, x: f64, range: Option<&Range>) -> Option<()> {
        if !x.is_finite() {
            let diagnostic = Diagnostic::error(Code::OutOfRange, value.span, "the value is not a finite number");
            self.report(diagnostic.here("overflows").help("write a smaller number"));
            return None;
        }
        let Some(range) = range else { return Some(()) };
        if range.contains(x) {
            return Some(());
        }
        let name = self.path.last().copied().unwrap_or("value");
        let dimension = if let ValueKind::Number(q) = &value.kind { q.dimension } else { Dimension::Plain };
        let diagnostic = Diagnostic::error(Code::OutOfRange, value.span, format!("`{name}` is out of range"))
            .here(format!("this is {}", remedy::shown(x, dimension)));
        let diagnostic = diagnostic.help(remedy::back_in_range(name, x, dimension, range));
        self.report(diagnostic);
        None
    }

    fn count(&mut self, value: &Value, wanted: &TypeInfo, range: Option<&Range>) -> Option<u64> {
        let q = self.quantity(value, wanted, &[Dimension::Plain])?;
        let whole = match q.number {
            Numeric::Integer(n) => n,
            Numeric::Float(x) if x.fract() == 0.0 && x.abs() < 9.0e15 => x as i128,
            Numeric::Float(_) => {
                self.mismatch(value, wanted);
                return None;
            }
        };
        self.within(value, whole as f64, range)?;
        u64::try_from(whole).ok().or_else(|| {
            let diagnostic = Diagnostic::error(Code::OutOfRange, value.span, "a count cannot be negative");
            self.report(diagnostic.here(format!("this is {whole}")).help("write a whole number from 0 on"));
            None
        })
    }
}

enum Given {
    Named(Vec<FieldValue>),
    Positional(Vec<Value>),
}

impl Given {
    /// Whether a struct has all of these fields.
    fn are_all_of(&self, info: &RecordInfo) -> bool {
        match self {
            Self::Named(fields) => fields.iter().all(|f| is_field(info, &f.name.text)),
            Self::Positional(items) => items.len() <= info.fields.len().min(1),
        }
    }

    /// Whether a struct has one of these fields.
    fn has_any_of(&self, info: &RecordInfo) -> bool {
        match self {
            Self::Named(fields) => fields.is_empty() || fields.iter().any(|f| is_field(info, &f.name.text)),
            Self::Positional(_) => false,
        }
    }
}

/// A value read as a struct or variant: its name, if it has one, and what is in its parentheses.
fn record_parts(value: &Value) -> Option<(Option<String>, Given)> {
    match &value.kind {
        ValueKind::Name(ident) => Some((Some(ident.text.clone()), Given::Named(Vec::new()))),
        ValueKind::Struct { name, fields, .. } => Some((name.as_ref().map(|n| n.text.clone()), Given::Named(fields.clone()))),
        ValueKind::Tuple { name, items } => Some((name.as_ref().map(|n| n.text.clone()), Given::Positional(items.clone()))),
        _ => None,
    }
}

/// The name of a struct, or the place before its opening parenthesis: enough to point at, where the whole would fill the screen.
pub fn head(value: &Value) -> Span {
    match &value.kind {
        ValueKind::Struct { name: Some(name), .. } | ValueKind::Tuple { name: Some(name), .. }
            if name.span.source == value.span.source && name.span.start == value.span.start =>
        {
            name.span
        }
        ValueKind::Struct { .. } => Span { end: value.span.start, ..value.span },
        _ => value.span,
    }
}

fn is_field(info: &RecordInfo, name: &str) -> bool {
    info.fields.iter().any(|f| f.name == name)
}

/// The value of a default, which is written as recipe text.
pub fn default_value(text: &str) -> Option<Value> {
    let (document, _) = syntax::parse(DEFAULTS, text);
    let (value, errors) = super::eval::evaluate_alone(&document?);
    errors.is_empty().then_some(value)
}
