//! The recipe in full: every field of the schema with the value it has and where that was written, as text of the recipe language.
//!
//! Invariant: the lines, joined, are a recipe that resolves to the same settings.

use super::decode::{DEFAULTS, default_value};
use super::schema::{FieldInfo, RecordInfo, TypeInfo};
use super::settings::Recipe;
use super::value::{FieldValue, Value, ValueKind, written};
use crate::source::Span;

/// A line of the recipe in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// How many brackets it stands in.
    pub depth: usize,
    /// The field's dotted path; items of lists have their index: `data.sources[0].path`. Empty for closing brackets.
    pub path: String,
    /// The text without indentation.
    pub text: String,
    /// The value of a field that has no fields itself.
    pub value: Option<String>,
    /// Where the value was written; none for a default, and for lines that have no value.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A text: a file or the command line.
    Written(Span),
    /// The schema.
    Default,
    /// Nothing has come: it is a bracket.
    Nowhere,
}

static ROOT: RecordInfo = Recipe::INFO;

/// The lines of an evaluated recipe that has no errors; of one that has, those that can be said.
pub fn lines(value: &Value) -> Vec<Line> {
    let mut writer = Writer::default();
    writer.value("", "", value, &TypeInfo::Record(&ROOT), "");
    writer.lines
}

#[derive(Default)]
struct Writer {
    depth: usize,
    lines: Vec<Line>,
}

fn origin(span: Span) -> Origin {
    if span.source == DEFAULTS { Origin::Default } else { Origin::Written(span) }
}

impl Writer {
    fn line(&mut self, path: &str, text: String, value: Option<String>, origin: Origin) {
        self.lines.push(Line { depth: self.depth, path: path.to_owned(), text, value, origin });
    }

    /// A value with what stands before it (`name: `) and after it (a comma).
    fn value(&mut self, path: &str, before: &str, value: &Value, wanted: &TypeInfo, after: &str) {
        match (wanted, &value.kind) {
            (TypeInfo::List(item), ValueKind::List(items)) if !items.is_empty() => {
                self.line(path, format!("{before}["), None, origin(value.span));
                self.depth += 1;
                for (i, inner) in items.iter().enumerate() {
                    self.value(&format!("{path}[{i}]"), "", inner, &item(), ",");
                }
                self.depth -= 1;
                self.line("", format!("]{after}"), None, Origin::Nowhere);
            }
            (TypeInfo::Record(info), _) => self.record(path, before, value, info, after),
            (TypeInfo::Choice(choice), kind) => {
                let named = choice.variants.iter().find(|v| name_of(kind).is_some_and(|name| name == v.name));
                if let Some(variant) = named {
                    self.record(path, before, value, variant, after);
                }
            }
            _ => {
                let text = written(&value.kind);
                self.line(path, format!("{before}{text}{after}"), Some(text), origin(value.span));
            }
        }
    }

    fn record(&mut self, path: &str, before: &str, value: &Value, info: &'static RecordInfo, after: &str) {
        if info.fields.is_empty() {
            self.line(path, format!("{before}{}{after}", info.name), Some(info.name.to_owned()), origin(value.span));
            return;
        }
        self.line(
            path,
            format!("{before}{}(", info.name),
            None,
            if path.is_empty() { Origin::Nowhere } else { origin(value.span) },
        );
        self.depth += 1;
        for field in info.fields {
            let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
            self.field(&path, given(value, info, field), field);
        }
        self.depth -= 1;
        self.line("", format!("){after}"), None, Origin::Nowhere);
    }

    fn field(&mut self, path: &str, given: Option<Value>, info: &'static FieldInfo) {
        let before = format!("{}: ", info.name);
        let wanted = (info.ty)();
        match given.or_else(|| info.default.and_then(default_value)) {
            Some(value) => self.value(path, &before, &value, &wanted, ","),
            None if info.optional => self.line(path, format!("{before}None,"), Some("None".to_owned()), Origin::Default),
            None => {}
        }
    }
}

fn name_of(kind: &ValueKind) -> Option<&str> {
    match kind {
        ValueKind::Name(name) | ValueKind::Struct { name: Some(name), .. } | ValueKind::Tuple { name: Some(name), .. } => {
            Some(&name.text)
        }
        _ => None,
    }
}

/// The value that is given for a field: by its name, or without one for the first; `Some(value)` is the value.
fn given(value: &Value, info: &RecordInfo, field: &FieldInfo) -> Option<Value> {
    let is_first = info.fields.first().is_some_and(|f| f.name == field.name);
    let found = match &value.kind {
        ValueKind::Struct { fields, .. } => fields
            .iter()
            .find(|f| f.name.text == field.name || is_first && f.name.text.is_empty())
            .map(|FieldValue { value, .. }| value),
        ValueKind::Tuple { items, .. } if is_first && items.len() == 1 => items.first(),
        _ => None,
    }?;
    match &found.kind {
        ValueKind::Tuple { name: Some(name), items } if name.text == "Some" && items.len() == 1 => items.first().cloned(),
        _ => Some(found.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::{TEXT, parse, value_of};

    fn shown(text: &str) -> String {
        let lines = lines(&value_of(text));
        lines.iter().fold(String::new(), |all, l| all + &"    ".repeat(l.depth) + &l.text + "\n")
    }

    #[test]
    fn the_recipe_in_full_is_a_recipe_and_the_same_one() {
        for text in [TEXT, include_str!("../../recipes/crammed-bert.ron"), include_str!("../../recipes/quickstart.ron")] {
            let full = shown(text);
            assert_eq!(parse(&full), parse(text), "{full}");
            assert_eq!(shown(&full), full);
        }
    }

    #[test]
    fn every_field_has_its_line_and_defaults_are_known_as_such() {
        let lines = lines(&value_of(TEXT));
        let of = |path: &str| lines.iter().find(|l| l.path == path).map(|l| (l.value.clone().unwrap_or_default(), l.origin));
        assert!(matches!(of("model.width"), Some((v, Origin::Written(_))) if v == "32"));
        assert!(matches!(of("data.validation"), Some((v, Origin::Default)) if v == "2%"));
        assert!(matches!(of("budget.time"), Some((v, Origin::Default)) if v == "None"));
        assert!(matches!(of("data.sources[0].sentences"), Some((v, Origin::Written(_))) if v == "2000"));
        assert!(matches!(of("evaluation.every"), Some((v, Origin::Default)) if v == "20%"));
    }
}
