//! From a syntax tree to a [`Value`]: `let` names and imports resolved, arithmetic done, units turned into base units.
//!
//! Invariant: each mistake is reported once, and what depends on it is [`ValueKind::Poisoned`]; names that `let` expands and files
//! that import each other end at a limit, never in a stack overflow.

mod arithmetic;
mod import;
mod overlay;
mod overrides;

use std::collections::{BTreeMap, BTreeSet};

use self::arithmetic::arithmetic_error;
use self::overlay::{merge, set};
use self::overrides::Overrides;
use super::value::{FieldValue, Quantity, Value, ValueKind, unit_help, unit_meant};
use crate::diag::{Code, Diagnostic};
use crate::source::{SourceId, Span};
use crate::syntax::ast::{self, Document, Expr, ExprKind, Ident};

/// How deep a value may be, with what its names and imports bring.
const MAX_DEPTH: usize = 256;
/// How many values a recipe may hold, with what its names and imports bring.
const MAX_VALUES: usize = 1_000_000;
/// How many files may import each other in a row.
const MAX_IMPORT_DEPTH: usize = 16;
/// How many imports a recipe may make altogether.
const MAX_IMPORTS: usize = 256;

/// Finds an imported file by the path as it is written and the importing source: its tree and what there was to say about its syntax,
/// or why there is none. Each file has one [`SourceId`], by which a cycle is seen.
pub type Load<'l> = dyn FnMut(&str, SourceId) -> Result<(Document, Vec<Diagnostic>), String> + 'l;

/// What came of evaluating a file.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The value of the file.
    pub value: Value,
    /// The `let` names that it defines, in order, with their values.
    pub names: Vec<(String, Value)>,
    /// The values in which a name stands that an override replaces, by their places, with the place of the override.
    pub derived: BTreeMap<Span, Span>,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Evaluates a file that imports nothing; an import is reported.
pub fn evaluate_alone(document: &Document) -> (Value, Vec<Diagnostic>) {
    let Evaluated { value, diagnostics, .. } = Evaluator::new(None, document.value.span.source, &[]).entry(document);
    (value, diagnostics)
}

/// Evaluates a file and what it imports, with overrides in place of what is written.
pub fn evaluate(document: &Document, overrides: &[ast::Override], load: &mut Load<'_>) -> Evaluated {
    let mut load = |path: &str, from: SourceId| load(path, from);
    Evaluator::new(Some(&mut load), document.value.span.source, overrides).entry(document)
}

/// Evaluates a single value that uses no names.
pub fn evaluate_expression(expression: &Expr) -> (Value, Vec<Diagnostic>) {
    let mut evaluator = Evaluator::new(None, expression.span.source, &[]);
    let value = evaluator.value(expression);
    (value, evaluator.finish())
}

/// The names of one file.
#[derive(Default)]
struct Scope {
    bindings: BTreeMap<String, Binding>,
    /// Where each name of the file is first defined, above or below.
    declared: BTreeMap<String, Span>,
    /// Whether the file has syntax errors, so that a use may be hidden in one.
    poisoned: bool,
    /// Whether a definition may be hidden in one.
    broken: bool,
}

struct Binding {
    value: Value,
    span: Span,
    used: bool,
    size: usize,
    height: usize,
    /// The override that it comes from, itself or by the names that it uses.
    derived: Option<Span>,
}

struct Evaluator<'l> {
    load: Option<&'l mut Load<'l>>,
    overrides: Overrides<'l>,
    diagnostics: Vec<Diagnostic>,
    scope: Scope,
    /// The files that are being evaluated, each imported by the one before.
    files: Vec<SourceId>,
    depth: usize,
    values: usize,
    imports: usize,
    /// Whether it was said that there is too much.
    too_much: bool,
    /// The override that the value being evaluated comes from, as far as it is seen.
    derived: Option<Span>,
    all_derived: BTreeMap<Span, Span>,
}

impl<'l> Evaluator<'l> {
    fn new(load: Option<&'l mut Load<'l>>, source: SourceId, overrides: &'l [ast::Override]) -> Self {
        let scope = Scope::default();
        let overrides = Overrides::new(overrides);
        Self {
            load,
            overrides,
            diagnostics: Vec::new(),
            scope,
            files: vec![source],
            depth: 0,
            values: 0,
            imports: 0,
            too_much: false,
            derived: None,
            all_derived: BTreeMap::new(),
        }
    }

    /// The file that is evaluated itself, not imported: the only one whose fields overrides replace.
    fn entry(mut self, document: &Document) -> Evaluated {
        self.overrides.sort_out(document);
        let outer = self.define_all(document);
        let placed: Vec<(&ast::Override, Value)> =
            self.overrides.of_fields().into_iter().map(|o| (o, self.value(&o.value))).collect();
        self.overrides.enter();
        let mut value = self.value(&document.value);
        self.overrides.leave();
        for (o, new) in placed {
            if let Err(refused) = set(&mut value, Overrides::field_path(o), new) {
                self.report(refused);
            }
        }
        let inner = std::mem::replace(&mut self.scope, outer);
        self.diagnostics.extend(unused(&inner));
        let unclaimed = self.overrides.unclaimed(inner.bindings.keys().map(String::as_str));
        self.diagnostics.extend(unclaimed);
        let defined = document.lets.iter().filter_map(|d| Some((&d.name.text, inner.bindings.get(&d.name.text)?)));
        let names = defined.map(|(name, binding)| (name.clone(), binding.value.clone())).collect();
        let derived = std::mem::take(&mut self.all_derived);
        Evaluated { value, names, derived, diagnostics: self.finish() }
    }

    /// What was found; a file that is imported twice is reported once.
    fn finish(self) -> Vec<Diagnostic> {
        let mut seen = BTreeSet::new();
        self.diagnostics.into_iter().filter(|d| seen.insert((d.code, d.span(), d.message.clone()))).collect()
    }

    fn report(&mut self, diagnostic: Diagnostic) -> ValueKind {
        self.diagnostics.push(diagnostic);
        ValueKind::Poisoned
    }

    /// An imported file.
    fn document(&mut self, document: &Document) -> Value {
        let outer = self.define_all(document);
        let path = self.overrides.leave();
        let value = self.value(&document.value);
        self.overrides.resume(path);
        let inner = std::mem::replace(&mut self.scope, outer);
        self.diagnostics.extend(unused(&inner));
        value
    }

    /// Opens the scope of a file and defines its names; gives the scope around it.
    fn define_all(&mut self, document: &Document) -> Scope {
        let mut scope = Scope { broken: document.broken, ..Scope::default() };
        for definition in &document.lets {
            scope.declared.entry(definition.name.text.clone()).or_insert(definition.name.span);
        }
        let outer = std::mem::replace(&mut self.scope, scope);
        for definition in &document.lets {
            self.define(definition);
        }
        outer
    }

    fn define(&mut self, definition: &ast::Let) {
        let name = &definition.name;
        let outer = self.derived.take();
        let value = match self.overrides.of_let(&name.text, self.files.len() == 1) {
            Some(instead) => {
                self.mark_used(&definition.value);
                let value = self.value(instead);
                self.derived = Some(instead.span);
                value
            }
            None => self.value(&definition.value),
        };
        let derived = std::mem::replace(&mut self.derived, outer);
        if let Some(first) = self.scope.bindings.get(&name.text) {
            let diagnostic = Diagnostic::error(Code::DuplicateLet, name.span, format!("`{}` is defined twice", name.text))
                .here("defined again")
                .and(first.span, "defined first")
                .help("give one of them another name");
            self.report(diagnostic);
            return;
        }
        let (size, height) = measure(&value);
        self.scope.bindings.insert(name.text.clone(), Binding { value, span: name.span, used: false, size, height, derived });
    }

    /// Counts the names in what an override replaces as used: to replace a value is no reason to call them idle.
    fn mark_used(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Name(name) => {
                if let Some(binding) = self.scope.bindings.get_mut(&name.text) {
                    binding.used = true;
                }
            }
            ExprKind::Struct(record) => record.fields.iter().for_each(|f| self.mark_used(&f.value)),
            ExprKind::Tuple(ast::Tuple { items, .. }) | ExprKind::List(items) => items.iter().for_each(|e| self.mark_used(e)),
            ExprKind::Binary(_, left, right) => [left, right].into_iter().for_each(|e| self.mark_used(e)),
            ExprKind::Negate(inner) | ExprKind::Group(inner) => self.mark_used(inner),
            _ => {}
        }
    }

    fn value(&mut self, expr: &Expr) -> Value {
        let kind = if let Some(nothing) = self.limit(expr.span, 1, 1) {
            nothing
        } else {
            self.depth += 1;
            let kind = self.kind(expr);
            self.depth -= 1;
            kind
        };
        Value { kind, span: expr.span }
    }

    /// Counts values that are added here; where they are too many or too deep this is said, and nothing stands in their place.
    fn limit(&mut self, span: Span, size: usize, height: usize) -> Option<ValueKind> {
        let message = if self.depth + height > MAX_DEPTH {
            format!("with its names and imports this is more than {MAX_DEPTH} levels deep")
        } else if self.values + size > MAX_VALUES {
            format!("with its names and imports the recipe holds more than {MAX_VALUES} values")
        } else {
            self.values += size;
            return None;
        };
        // Once: what comes after it is too much as well.
        if !std::mem::replace(&mut self.too_much, true) {
            let diagnostic = Diagnostic::error(Code::SyntaxDepth, span, message).here("too much");
            self.report(diagnostic.help("do `let` names hold names that hold names? write less"));
        }
        Some(ValueKind::Poisoned)
    }

    fn kind(&mut self, expr: &Expr) -> ValueKind {
        match &expr.kind {
            ExprKind::Number(number) => self.number(number),
            ExprKind::Text(text) => ValueKind::Text(text.clone()),
            ExprKind::Char(c) => ValueKind::Text(c.to_string()),
            ExprKind::Bool(flag) => ValueKind::Bool(*flag),
            ExprKind::Name(name) => self.lookup(name).unwrap_or_else(|| ValueKind::Name(name.clone())),
            ExprKind::Struct(record) => self.record(record),
            ExprKind::Tuple(tuple) => ValueKind::Tuple { name: tuple.name.clone(), items: self.values(&tuple.items) },
            ExprKind::List(items) => ValueKind::List(self.values(items)),
            ExprKind::Binary(..) | ExprKind::Negate(_) => self.arithmetic(expr).map_or(ValueKind::Poisoned, ValueKind::Number),
            ExprKind::Group(inner) => self.group(inner),
            ExprKind::Poisoned => self.poisoned(),
        }
    }

    fn poisoned(&mut self) -> ValueKind {
        self.scope.poisoned = true;
        ValueKind::Poisoned
    }

    fn values(&mut self, items: &[Expr]) -> Vec<Value> {
        items.iter().map(|item| self.value(item)).collect()
    }

    /// A number in parentheses is that number; anything else is a tuple of one.
    fn group(&mut self, inner: &Expr) -> ValueKind {
        let value = self.value(inner);
        match value.kind {
            ValueKind::Number(_) | ValueKind::Poisoned => value.kind,
            _ => ValueKind::Tuple { name: None, items: vec![value] },
        }
    }

    fn number(&mut self, number: &ast::Number) -> ValueKind {
        let Some(unit) = &number.unit else { return ValueKind::Number(Quantity::plain(number.value)) };
        match Quantity::with_unit(number.value, &unit.text) {
            Some(Ok(quantity)) => ValueKind::Number(quantity),
            Some(Err(why)) => self.report(arithmetic_error(unit.span, why)),
            None => {
                let diagnostic = Diagnostic::error(Code::UnknownUnit, unit.span, format!("there is no unit `{}`", unit.text));
                let diagnostic = diagnostic.here("not a unit").help(unit_help(&unit.text));
                self.report(match unit_meant(&unit.text) {
                    Some(meant) => diagnostic.fix(format!("write `{meant}`"), true, unit.span, meant),
                    None => diagnostic,
                })
            }
        }
    }

    /// What a `let` name stands for; `None` where there is none of that name.
    fn lookup(&mut self, name: &Ident) -> Option<ValueKind> {
        if let Some(binding) = self.scope.bindings.get_mut(&name.text) {
            binding.used = true;
            self.derived = self.derived.or(binding.derived);
            let (kind, size, height) = (binding.value.kind.clone(), binding.size, binding.height);
            return Some(self.limit(name.span, size, height).unwrap_or(kind));
        }
        let below = *self.scope.declared.get(&name.text)?;
        let diagnostic = Diagnostic::error(Code::UnknownName, name.span, format!("`{}` is used before it is defined", name.text))
            .here("not defined yet")
            .and(below, "defined here")
            .help("a `let` may use the names above it; move the definition up");
        Some(self.report(diagnostic))
    }

    fn record(&mut self, record: &ast::Struct) -> ValueKind {
        let (mut fields, mut seen) = (Vec::new(), BTreeMap::new());
        for field in &record.fields {
            let value = self.field_value(field);
            match seen.get(field.name.text.as_str()) {
                Some(first) => self.duplicate(&field.name, *first),
                None => fields.push(FieldValue { name: field.name.clone(), value }),
            }
            seen.entry(field.name.text.as_str()).or_insert(field.name.span);
        }
        self.scope.poisoned |= record.broken;
        let (name, broken) = (record.name.clone(), record.broken);
        match &record.rest {
            None => ValueKind::Struct { name, fields, broken },
            Some(ast::Rest { import: Some(import), .. }) => {
                if let Some((theirs, more, incomplete)) = self.import(name.as_ref(), import) {
                    let fields = merge(fields, more);
                    return ValueKind::Struct { name: name.or(theirs), fields, broken: broken || incomplete };
                }
                // Whatever is in it could have come from there as well.
                for field in &mut fields {
                    overlay::mark_broken(&mut field.value);
                }
                ValueKind::Struct { name, fields, broken: true }
            }
            Some(_) => {
                self.scope.poisoned = true;
                ValueKind::Struct { name, fields, broken: true }
            }
        }
    }

    /// The value of a field, unless an override replaces it: then what is written is not looked at.
    fn field_value(&mut self, field: &ast::Field) -> Value {
        if self.overrides.replaces(&field.name.text) {
            self.mark_used(&field.value);
            return Value { kind: ValueKind::Poisoned, span: field.value.span };
        }
        self.overrides.push(&field.name.text);
        let outer = self.derived.take();
        let value = self.value(&field.value);
        if let Some(place) = std::mem::replace(&mut self.derived, outer) {
            self.all_derived.insert(value.span, place);
        }
        self.overrides.pop();
        value
    }

    fn duplicate(&mut self, name: &Ident, first: Span) {
        let diagnostic = Diagnostic::error(Code::DuplicateField, name.span, format!("the field `{}` is given twice", name.text))
            .here("given again")
            .and(first, "given first")
            .help("take one of them out");
        self.report(diagnostic);
    }
}

fn unused(scope: &Scope) -> Vec<Diagnostic> {
    let unread = scope.bindings.iter().filter(|(name, b)| !b.used && !name.starts_with('_') && !scope.poisoned);
    let mut found: Vec<Diagnostic> = unread.map(|(name, binding)| unused_let(name, binding.span)).collect();
    found.sort_by_key(Diagnostic::span);
    found
}

fn unused_let(name: &str, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::warning(Code::UnusedLet, span, format!("`{name}` is never used")).here("defined here");
    diagnostic.help(format!("take it out, or call it `_{name}` to keep it"))
}

/// Number of values and height.
fn measure(value: &Value) -> (usize, usize) {
    let together =
        |parts: Vec<(usize, usize)>| parts.into_iter().fold((1, 1), |(n, h), (size, height)| (n + size, h.max(height + 1)));
    match &value.kind {
        ValueKind::Struct { fields, .. } => together(fields.iter().map(|f| measure(&f.value)).collect()),
        ValueKind::Tuple { items, .. } | ValueKind::List(items) => together(items.iter().map(measure).collect()),
        _ => (1, 1),
    }
}

#[cfg(test)]
mod tests;
