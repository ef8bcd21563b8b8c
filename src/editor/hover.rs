//! What something in a recipe is, what it comes to, and what the recipe costs with it.

use std::ops::Range;

use super::cursor::{Cursor, Place};
use super::definition::{names_field, range, stands_for_value, token_at};
use super::words::{self, Costs};
use crate::recipe::decode::Decode as _;
use crate::recipe::eval::evaluate_alone;
use crate::recipe::schema::{FieldInfo, RecordInfo, TypeInfo};
use crate::recipe::settings::Recipe;
use crate::recipe::value::units;
use crate::source::SourceId;
use crate::syntax::ast::{Document, Expr, ExprKind};
use crate::syntax::{self, Kind, Token};

/// What there is to say about a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hover {
    /// The bytes that it is about.
    pub range: Range<usize>,
    /// What there is to say; code stands in backticks, and lines that begin with `- ` are a list.
    pub paragraphs: Vec<String>,
}

/// What there is to say about a byte of a text. `costs` are those of the text, or, with `true`, of the last text that had any.
pub fn hover(text: &str, offset: usize, costs: Option<(&Costs, bool)>) -> Option<Hover> {
    let all = syntax::tokens(SourceId(0), text);
    let token = token_at(&all, offset)?;
    let cursor = Cursor::at(text, token.span.start as usize);
    let reader = Reader { text, all: &all, token, cursor: &cursor, costs: costs.map(|(costs, _)| costs) };
    let mut paragraphs = reader.paragraphs()?;
    paragraphs.extend(costs.map(
        |(costs, old)| {
            if old { format!("before the present mistake: {}", costs.line) } else { costs.line.clone() }
        },
    ));
    Some(Hover { range: range(token), paragraphs })
}

struct Reader<'a> {
    text: &'a str,
    all: &'a [Token],
    token: &'a Token,
    cursor: &'a Cursor,
    costs: Option<&'a Costs>,
}

impl Reader<'_> {
    fn paragraphs(&self) -> Option<Vec<String>> {
        match &self.token.kind {
            Kind::Ident(word) if self.cursor.place == Place::Unit => unit(word),
            Kind::Punct('%') if self.cursor.place == Place::Unit => unit("%"),
            Kind::Ident(name) if self.cursor.place == Place::LetName => self.definition(name),
            Kind::Ident(name) => self.name(name),
            Kind::Text(path) if self.cursor.in_import() => {
                Some(vec![format!("`{path}`: what is not given here is taken from this file's struct of the same name")])
            }
            Kind::Number(_) | Kind::Text(_) | Kind::Char(_) => {
                let (record, field) = self.cursor.field()?;
                Some(self.field(record, field))
            }
            Kind::Punct(_) | Kind::Dots | Kind::Bad | Kind::End => None,
        }
    }

    fn name(&self, name: &str) -> Option<Vec<String>> {
        let frame = self.cursor.frame()?;
        let declared = frame.field(name).filter(|_| self.cursor.place == Place::Entry);
        if let (Some(record), Some(field)) = (frame.record, declared)
            && (names_field(self.all, self.token) || !self.is_let(name))
        {
            return Some(self.field(record, field));
        }
        if self.is_let(name) && stands_for_value(self.all, self.token, self.cursor) {
            return self.definition(name);
        }
        if let Some(record) = self.variant(name) {
            return Some(self.record(record));
        }
        let literal = matches!(name, "Auto" | "true" | "false" | "None" | "Some");
        let (record, field) = self.cursor.field().filter(|_| literal)?;
        Some(self.field(record, field))
    }

    fn is_let(&self, name: &str) -> bool {
        self.cursor.lets.iter().any(|defined| defined == name)
    }

    /// The struct or variant of a name, told by what may follow it.
    fn variant(&self, name: &str) -> Option<&'static RecordInfo> {
        if names_field(self.all, self.token) {
            return None;
        }
        let after = self.all.iter().skip_while(|t| t.span.start < self.token.span.end);
        let first = after.clone().find_map(|t| if let Kind::Ident(field) = &t.kind { Some(field.as_str()) } else { None });
        super::frame::Frame::open('(', Some(name), self.cursor.wanted(), first).record
    }

    fn record(&self, record: &'static RecordInfo) -> Vec<String> {
        let whose = match (self.cursor.wanted(), self.cursor.field()) {
            (Some(TypeInfo::Choice(choice)), Some((_, field))) if choice.variants.iter().any(|v| v.name == record.name) => {
                format!(", a choice of `{}`", field.name)
            }
            _ => String::new(),
        };
        let mut paragraphs = vec![format!("`{}`{whose}", record.name), words::doc(record.doc)];
        paragraphs.extend(words::fields(record));
        paragraphs
    }

    fn field(&self, record: &RecordInfo, field: &FieldInfo) -> Vec<String> {
        let outside = if is_recipe(record) { Vec::new() } else { vec![record.name] };
        let path = self.cursor.around().unwrap_or(outside).into_iter().chain([field.name]).collect::<Vec<_>>().join(".");
        let mut paragraphs = vec![format!("`{path}`: {}", words::wants(field)), words::doc(field.doc)];
        paragraphs.extend(self.comes_to(field));
        paragraphs
    }

    /// What the value of the field is, where that is not what stands there.
    fn comes_to(&self, field: &FieldInfo) -> Option<String> {
        let document = self.document()?;
        let expr = slot(&document.value, self.token.span.start)?.clone();
        let is_auto = matches!(&expr.kind, ExprKind::Name(name) if name.text == "Auto");
        if let (true, "micro_batch", Some(costs)) = (is_auto, field.name, self.costs) {
            return Some(format!("`Auto` is {} here", costs.micro_batch));
        }
        let says_itself = match &expr.kind {
            ExprKind::Number(number) => number.unit.is_none(),
            ExprKind::Name(name) => !document.lets.iter().any(|definition| definition.name.text == name.text),
            ExprKind::Binary(..) | ExprKind::Negate(_) | ExprKind::Group(_) => false,
            _ => true,
        };
        if says_itself {
            return None;
        }
        value_of(&Document { value: expr, ..document }).map(|value| format!("is `{value}`"))
    }

    fn document(&self) -> Option<Document> {
        syntax::parse(SourceId(0), self.text).0
    }

    /// A `let` name: its definition and what that comes to.
    fn definition(&self, name: &str) -> Option<Vec<String>> {
        let Document { mut lets, broken, .. } = self.document()?;
        let at = lets.iter().position(|definition| definition.name.text == name)?;
        let definition = lets.get(at)?.clone();
        lets.truncate(at);
        let written = self.text.get(definition.span.start as usize..definition.span.end as usize)?;
        let mut paragraphs = vec![format!("`{}`", brief(written))];
        let value = value_of(&Document { lets, value: definition.value, broken });
        paragraphs.extend(value.filter(|value| !written.ends_with(value.as_str())).map(|value| format!("is `{value}`")));
        Some(paragraphs)
    }
}

/// The first line of a text.
fn brief(text: &str) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().replace('`', "'");
    if lines.next().is_some() { format!("{first} …") } else { first }
}

fn is_recipe(record: &RecordInfo) -> bool {
    matches!(Recipe::info(), TypeInfo::Record(recipe) if std::ptr::eq(recipe, record))
}

fn unit(name: &str) -> Option<Vec<String>> {
    let (name, dimension, times, over) = units().find(|(known, ..)| *known == name)?;
    Some(vec![format!("`{name}`: {}", words::unit(name, dimension, times, over))])
}

fn value_of(document: &Document) -> Option<String> {
    words::value(&evaluate_alone(document).0)
}

/// The value of the innermost field at a byte: what stands after its name, or alone in the parentheses of a variant.
fn slot(expr: &Expr, at: u32) -> Option<&Expr> {
    let holds = |expr: &Expr| expr.span.start <= at && at < expr.span.end;
    match &expr.kind {
        ExprKind::Struct(record) => record.fields.iter().find_map(|field| {
            let named = field.name.span.start <= at && at < field.name.span.end;
            let inner = if holds(&field.value) { slot(&field.value, at) } else { None };
            inner.or_else(|| (named || holds(&field.value)).then_some(&field.value))
        }),
        ExprKind::Tuple(tuple) => {
            let item = tuple.items.iter().find(|item| holds(item))?;
            slot(item, at).or_else(|| tuple.name.is_some().then_some(item))
        }
        ExprKind::List(items) => items.iter().find(|item| holds(item)).and_then(|item| slot(item, at)),
        ExprKind::Group(inner) => slot(inner, at),
        _ => None,
    }
}
