//! Where in a recipe mistakes can be made: read off its tree, with what the schema says of each place.

use std::ops::Range;

use cramplan::recipe::schema::{ChoiceInfo, FieldInfo, RecordInfo, TypeInfo};
use cramplan::recipe::settings::Recipe;
use cramplan::source::Span;
use cramplan::syntax::ast::{Document, Expr, ExprKind, Ident};

use super::text::{Mark, Scanned, scan};

/// The schema's outermost struct.
static ROOT: RecordInfo = Recipe::INFO;

/// A field that is given by name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the schema says of it.
    pub info: &'static FieldInfo,
    /// Its dotted path, such as `model.width`.
    pub path: String,
    /// Where its name stands.
    pub name: Range<usize>,
    /// From its name to the end of its value.
    pub all: Range<usize>,
    /// The struct that it is in.
    pub holder: usize,
}

/// A struct, with or without a name.
#[derive(Clone, Debug)]
pub struct Structure {
    /// What the schema says of it.
    pub info: &'static RecordInfo,
    /// Its name and where that stands.
    pub name: Option<(String, Range<usize>)>,
    /// From its name to its closing parenthesis.
    pub all: Range<usize>,
    /// The field that holds it, or else the struct itself.
    pub field: Range<usize>,
    /// Its opening parenthesis; a variant without fields may have none.
    pub open: Option<usize>,
    /// Whether its fields have names, so that another may stand among them.
    pub is_named: bool,
    /// Whether fields that are not written here may come from an import, its own or that of a struct around it.
    pub imports: bool,
}

/// A value and what it must be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What the schema says of the field.
    pub info: &'static FieldInfo,
    /// The type; for a number of a pair, that of the number.
    pub ty: TypeInfo,
    /// Where it stands.
    pub value: Range<usize>,
    /// The field that it is the value of; the value itself where the field has no name.
    pub field: Range<usize>,
    /// Where it is a number: without its unit.
    pub number: Option<Range<usize>>,
}

/// A name that must be one of several.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub at: Range<usize>,
    /// Every name that could stand there.
    pub names: Vec<&'static str>,
    /// The field that holds it.
    pub field: Range<usize>,
    /// What cannot be checked where the name is wrong.
    pub hides: Range<usize>,
}

/// Every place of a recipe.
#[derive(Debug)]
pub struct Sites {
    /// The recipe.
    pub text: String,
    /// Its comments and brackets.
    pub scanned: Scanned,
    /// The names that `let` defines.
    pub lets: Vec<String>,
    /// Fields with names.
    pub entries: Vec<Entry>,
    /// Structs.
    pub structures: Vec<Structure>,
    /// Values.
    pub values: Vec<Wanted>,
    /// Names of structs and variants.
    pub chosen: Vec<Chosen>,
    /// Uses of `let` names, and the fields that they are used in.
    pub uses: Vec<(Range<usize>, Range<usize>)>,
}

/// What is known of the place that the walk is at.
#[derive(Clone)]
struct Here {
    info: Option<&'static FieldInfo>,
    path: String,
    field: Range<usize>,
    imports: bool,
}

impl Sites {
    /// The places of a recipe without errors.
    pub fn of(text: &str, document: &Document) -> Self {
        let mut sites = Self {
            text: text.to_owned(),
            scanned: scan(text),
            lets: document.lets.iter().map(|l| l.name.text.clone()).collect(),
            entries: Vec::new(),
            structures: Vec::new(),
            values: Vec::new(),
            chosen: Vec::new(),
            uses: Vec::new(),
        };
        let all = range(document.value.span);
        let here = Here { info: None, path: String::new(), field: all, imports: false };
        for definition in &document.lets {
            sites.find_uses(&definition.value, &range(definition.span));
        }
        sites.find_uses(&document.value, &here.field.clone());
        sites.walk(&document.value, TypeInfo::Record(&ROOT), &here);
        sites
    }

    /// The bracket or comma at or after a byte.
    pub fn mark_from(&self, at: usize) -> Option<Mark> {
        self.scanned.marks.iter().find(|m| m.at >= at).copied()
    }

    /// The bracket or comma before a byte.
    pub fn mark_before(&self, at: usize) -> Option<Mark> {
        self.scanned.marks.iter().rev().find(|m| m.at < at).copied()
    }

    /// Finds where `let` names are used, with the nearest field around each.
    fn find_uses(&mut self, expr: &Expr, field: &Range<usize>) {
        match &expr.kind {
            ExprKind::Name(name) if self.lets.contains(&name.text) => self.uses.push((range(name.span), field.clone())),
            ExprKind::Binary(_, left, right) => {
                self.find_uses(left, field);
                self.find_uses(right, field);
            }
            ExprKind::Negate(inner) | ExprKind::Group(inner) => self.find_uses(inner, field),
            ExprKind::List(items) => items.iter().for_each(|item| self.find_uses(item, field)),
            ExprKind::Tuple(tuple) => tuple.items.iter().for_each(|item| self.find_uses(item, field)),
            ExprKind::Struct(record) => {
                for field in &record.fields {
                    self.find_uses(&field.value, &(range(field.name.span).start..range(field.value.span).end));
                }
            }
            _ => (),
        }
    }

    fn walk(&mut self, expr: &Expr, ty: TypeInfo, here: &Here) {
        self.want(expr, ty, here);
        if matches!(&expr.kind, ExprKind::Name(name) if self.lets.contains(&name.text)) {
            return;
        }
        match ty {
            TypeInfo::Record(info) => self.structure(expr, info, &[info.name], here),
            TypeInfo::Choice(choice) => self.variant(expr, choice, here),
            TypeInfo::AutoCount => {
                if let ExprKind::Name(name) = &expr.kind {
                    self.choose(name, vec!["Auto"], here, range(name.span));
                }
            }
            TypeInfo::List(item) => {
                if let ExprKind::List(items) = &expr.kind {
                    for value in items {
                        self.walk(value, item(), here);
                    }
                }
            }
            TypeInfo::Pair => {
                if let ExprKind::Tuple(tuple) = &expr.kind {
                    for value in &tuple.items {
                        self.want(value, TypeInfo::Real, here);
                    }
                }
            }
            _ => (),
        }
    }

    fn want(&mut self, expr: &Expr, ty: TypeInfo, here: &Here) {
        let Some(info) = here.info else { return };
        let value = range(expr.span);
        let number = match &expr.kind {
            ExprKind::Number(number) => {
                let end = number.unit.as_ref().map_or(value.end, |unit| range(unit.span).start);
                Some(value.start..value.start + self.text[value.start..end].trim_end().len())
            }
            _ => None,
        };
        self.values.push(Wanted { info, ty, value, field: here.field.clone(), number });
    }

    fn variant(&mut self, expr: &Expr, choice: &'static ChoiceInfo, here: &Here) {
        let Some(name) = name_of(expr) else { return };
        let Some(info) = choice.variants.iter().find(|v| v.name == name.text) else { return };
        let names: Vec<&'static str> = choice.variants.iter().map(|v| v.name).collect();
        self.structure(expr, info, &names, here);
    }

    fn choose(&mut self, name: &Ident, names: Vec<&'static str>, here: &Here, hides: Range<usize>) {
        self.chosen.push(Chosen { name: name.text.clone(), at: range(name.span), names, field: here.field.clone(), hides });
    }

    fn structure(&mut self, expr: &Expr, info: &'static RecordInfo, names: &[&'static str], here: &Here) {
        let all = range(expr.span);
        let name = name_of(expr);
        if let Some(name) = name {
            self.choose(name, names.to_vec(), here, here.field.clone());
        }
        let name = name.map(|n| (n.text.clone(), range(n.span)));
        let after_name = name.as_ref().map_or(all.start, |(_, at)| at.end);
        let open = self.mark_from(after_name).filter(|m| m.sign == '(' && m.at < all.end).map(|m| m.at);
        let is_named = matches!(expr.kind, ExprKind::Struct(_)) && open.is_some();
        let imports = here.imports || matches!(&expr.kind, ExprKind::Struct(s) if s.rest.is_some());
        let holder = self.structures.len();
        self.structures.push(Structure { info, name, all, field: here.field.clone(), open, is_named, imports });
        match &expr.kind {
            ExprKind::Struct(record) => {
                for field in &record.fields {
                    self.field(&field.name, &field.value, holder, &Here { imports, ..here.clone() });
                }
            }
            ExprKind::Tuple(tuple) => {
                // A single value without a name is the first field.
                if let ([value], Some(first)) = (tuple.items.as_slice(), info.fields.first()) {
                    let path = join(&here.path, first.name);
                    let here = Here { info: Some(first), path, field: range(value.span), imports };
                    self.walk(value, (first.ty)(), &here);
                }
            }
            _ => (),
        }
    }

    fn field(&mut self, name: &Ident, value: &Expr, holder: usize, here: &Here) {
        let Some(info) = self.structures[holder].info.fields.iter().find(|f| f.name == name.text) else { return };
        let path = join(&here.path, info.name);
        let all = range(name.span).start..range(value.span).end;
        self.entries.push(Entry { info, path: path.clone(), name: range(name.span), all: all.clone(), holder });
        self.walk(value, (info.ty)(), &Here { info: Some(info), path, field: all, imports: here.imports });
    }
}

/// Whether two ranges share a byte, or the one holds the place of the other.
pub fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    if a.is_empty() || b.is_empty() { a.start <= b.end && b.start <= a.end } else { a.start < b.end && b.start < a.end }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn name_of(expr: &Expr) -> Option<&Ident> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name),
        ExprKind::Struct(record) => record.name.as_ref(),
        ExprKind::Tuple(tuple) => tuple.name.as_ref(),
        _ => None,
    }
}

fn range(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}
