//! Names that the schema does not have where they stand: what was meant, by spelling, by where it would be valid, and by what other
//! programs call it.
//!
//! Invariant: the likeliest name comes first in the help.

use super::wrap::fits;
use super::{Fields, is_field};
use crate::diag::{Code, Diagnostic};
use crate::recipe::schema::{ChoiceInfo, RecordInfo, TypeInfo, homes_of, paths, type_of};
use crate::recipe::settings::Recipe;
use crate::recipe::suggest::{distance, is_slip, nearest};
use crate::recipe::synonyms::{FIELD_SYNONYMS, IMPORT_FIELDS, TYPE_FIELDS, VARIANT_SYNONYMS};
use crate::recipe::value::{FieldValue, Value, ValueKind};
use crate::source::Span;
use crate::syntax::ast::Ident;

static ROOT: RecordInfo = Recipe::INFO;

/// What a field that is not there was meant to be.
enum Meant {
    /// A field of this struct.
    Here(&'static str),
    /// A field of another struct, by its path.
    Elsewhere(String),
    /// A field that is spelled otherwise and stands elsewhere, by its path.
    ElsewhereOtherwise(String),
    /// What another program calls a field, by its path.
    Foreign(&'static str),
    /// Nothing that can be guessed.
    Nothing,
}

fn meant(name: &Ident, info: &RecordInfo, given: &[FieldValue], here: &str) -> Meant {
    let is_given = |field: &str| is_given(given, field, name);
    let name = name.text.as_str();
    // A field that is not given yet is likelier than one that is.
    let close = info
        .fields
        .iter()
        .filter_map(|f| Some((distance(name, f.name)?, is_given(f.name), f.name)))
        .min_by_key(|(distance, given, _)| (*distance, *given));
    // What another program calls something is known, and no slip: `beta1` is not `betas`.
    if let Some(home) = synonym(name, here) {
        return Meant::Foreign(home);
    }
    if let Some((0..=1, false, field)) = close {
        return Meant::Here(field);
    }
    let homes = homes_of(name, &ROOT);
    if let [home, ..] = homes.as_slice() {
        return Meant::Elsewhere(if homes.len() == 1 { home.clone() } else { homes.join("` or `") });
    }
    if let Some((_, _, field)) = close {
        return Meant::Here(field);
    }
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let all = paths(&ROOT);
    let near = all.iter().filter_map(|path| Some((distance(name, &last(path))?, path))).min_by_key(|(distance, _)| *distance);
    match near {
        Some((_, path)) => Meant::ElsewhereOtherwise(path.clone()),
        None => Meant::Nothing,
    }
}

/// Whether a field is given in the text in which a name stands: what is imported is there to be replaced.
fn is_given(given: &[FieldValue], field: &str, beside: &Ident) -> bool {
    given.iter().any(|g| g.name.text == field && g.name.span.source == beside.span.source)
}

/// What other programs mean by a name, first in this struct, then anywhere.
fn synonym(name: &str, here: &str) -> Option<&'static str> {
    let same = |foreign: &str| distance(foreign, name) == Some(0);
    let mut known = FIELD_SYNONYMS.iter().filter(|(foreign, _)| same(foreign)).map(|(_, path)| *path);
    let first = known.next()?;
    let inside = |path: &str| parent(path) == here;
    Some(if inside(first) { first } else { known.find(|path| inside(path)).unwrap_or(first) })
}

/// Whether a name is another program's for the field at a path.
pub(super) fn stands_for(name: &str, path: &str) -> bool {
    FIELD_SYNONYMS.iter().any(|(foreign, ours)| *ours == path && distance(foreign, name) == Some(0))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

fn place(path: &str) -> String {
    match parent(path) {
        "" => "at the top of the recipe".to_owned(),
        parent => format!("in `{parent}`"),
    }
}

/// The structs that have the field at a path, of those that can stand where one of them does.
fn owners(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or_default();
    let records = type_of(parent(path), &ROOT).map(|ty| ty.records()).unwrap_or_default();
    let names: Vec<String> = records.into_iter().filter(|r| is_field(r, last)).map(|r| format!("`{}`", r.name)).collect();
    names.join(", ")
}

/// The report of an unknown field, and the path of the field that was meant.
pub(super) fn field(fields: &Fields, field: &FieldValue, here: &str) -> (Diagnostic, Option<String>) {
    let (info, name, span) = (fields.info, field.name.text.as_str(), field.name.span);
    let message = format!("`{}` has no field `{name}`", info.name);
    let diagnostic = Diagnostic::error(Code::UnknownField, span, message).here("unknown");
    if let Some(help) = foreign_form(field) {
        return (diagnostic.help(help), None);
    }
    match meant(&field.name, info, &fields.given, here) {
        Meant::Here(close) => {
            let free = !is_given(&fields.given, close, &field.name);
            let help =
                if free { format!("did you mean `{close}`?") } else { format!("did you mean `{close}`? it is given already") };
            let path = if here.is_empty() { close.to_owned() } else { format!("{here}.{close}") };
            let safe = free && is_slip(name, close, info.fields.iter().map(|f| f.name));
            (diagnostic.help(help).fix(format!("write `{close}`"), safe, span, close), Some(path))
        }
        Meant::Elsewhere(path) if path.contains('`') => (diagnostic.help(format!("there is `{path}`")), None),
        Meant::Elsewhere(path) if parent(&path) == here => {
            (diagnostic.help(format!("`{name}` is a field of {}", owners(&path))), Some(path))
        }
        Meant::Elsewhere(path) => (diagnostic.help(format!("`{name}` belongs {}", place(&path))), Some(path)),
        Meant::ElsewhereOtherwise(path) => {
            let last = path.rsplit('.').next().unwrap_or_default();
            (diagnostic.help(format!("did you mean `{last}`? it belongs {}", place(&path))), Some(path))
        }
        Meant::Foreign(path) => {
            let last = path.rsplit('.').next().unwrap_or_default();
            if let Some(ours) = info.fields.iter().find(|f| f.name == last).filter(|_| parent(path) == here) {
                let free = fields.value(last).is_none() && fits(ours, &field.value);
                return (diagnostic.help(format!("it is `{last}` here")).fix(format!("write `{last}`"), free, span, last), None);
            }
            if parent(path) == here && !here.is_empty() {
                return (diagnostic.help(format!("it is `{last}` here, a field of {}", owners(path))), Some(path.to_owned()));
            }
            (diagnostic.help(format!("it is `{path}` here{}", form_of(path))), Some(path.to_owned()))
        }
        Meant::Nothing => (diagnostic.help(all_of(info)), None),
    }
}

/// What other programs have a field for, and a recipe says in another way.
fn foreign_form(field: &FieldValue) -> Option<String> {
    let name = field.name.text.as_str();
    if is_import(name) {
        let path = path_in(&field.value).unwrap_or("base");
        let ending = if path.strip_suffix(".ron").is_some() { "" } else { ".ron" };
        return Some(format!("write `..import(\"{path}{ending}\")` as the last entry: what is not given is taken from there"));
    }
    let text = if let ValueKind::Text(text) = &field.value.kind { text.rsplit('.').next()? } else { "Name" };
    TYPE_FIELDS.contains(&name).then(|| format!("the name of a struct stands before its parentheses: `{text}(..)`"))
}

/// Whether other programs take over another file with a field of this name.
pub(super) fn is_import(name: &str) -> bool {
    IMPORT_FIELDS.contains(&name)
}

/// The first text of a value.
fn path_in(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Text(text) => Some(text),
        ValueKind::List(items) => match &items.first()?.kind {
            ValueKind::Text(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// How a field of a variant is written out.
fn form_of(path: &str) -> String {
    let Some((outer, last)) = path.rsplit_once('.') else { return String::new() };
    let Some(TypeInfo::Choice(choice)) = type_of(outer, &ROOT) else { return String::new() };
    let home = choice.variants.iter().find(|variant| is_field(variant, last));
    home.map_or(String::new(), |variant| format!(": `{}({last}: ..)`", variant.name))
}

/// The variants of a choice as they are written.
pub(super) fn forms(choice: &ChoiceInfo) -> String {
    let form = |v: &RecordInfo| if v.fields.is_empty() { format!("`{}`", v.name) } else { format!("`{}(..)`", v.name) };
    choice.variants.iter().map(form).collect::<Vec<_>>().join(" or ")
}

fn all_of(info: &RecordInfo) -> String {
    let names: Vec<String> = info.fields.iter().map(|f| format!("`{}`", f.name)).collect();
    if names.is_empty() { format!("`{}` has no fields", info.name) } else { format!("it has {}", names.join(", ")) }
}

/// The report of a struct of another name than the wanted one.
pub(super) fn record(info: &RecordInfo, name: &str, span: Span, is_root: bool) -> Diagnostic {
    let close = nearest(name, [info.name]).is_some();
    let safe = is_slip(name, info.name, []);
    let found = Diagnostic::error(Code::UnknownVariant, span, format!("expected `{}`, found `{name}`", info.name));
    let found = found.here("not valid here");
    if is_root && !close {
        if name == "Plan" {
            return found.help("this is a saved plan: `cramplan run FILE` runs it as it is; a recipe is `Recipe(..)`");
        }
        if let Some(home) = home_of_record(name) {
            let help = format!(
                "`{name}(..)` is the `{home}` of a recipe: write `Recipe({home}: {name}(..), ..)`, or import this file there"
            );
            return found.help(help);
        }
    }
    found.help(format!("write `{}(..)`", info.name)).fix(format!("write `{}`", info.name), safe, span, info.name)
}

/// The field of the recipe that holds a struct of this name.
fn home_of_record(name: &str) -> Option<&'static str> {
    let home = ROOT.fields.iter().find(|field| (field.ty)().records().iter().any(|record| record.name == name));
    home.map(|field| field.name)
}

/// The variant that is meant by a name or by the text that another program has for it, and whether it is by its spelling.
fn known_as(info: &'static ChoiceInfo, name: &str) -> Option<(&'static RecordInfo, bool)> {
    let foreign = VARIANT_SYNONYMS.iter().filter(|(foreign, _)| distance(foreign, name) == Some(0));
    let translated = foreign.map(|(_, ours)| *ours).find_map(|ours| info.variants.iter().find(|v| v.name == ours));
    let close = nearest(name, info.variants.iter().map(|v| v.name));
    let close = close.and_then(|close| info.variants.iter().find(|v| v.name == close));
    close.map(|variant| (variant, true)).or(translated.map(|variant| (variant, false)))
}

/// The variant that is meant by a text.
pub(super) fn meant_variant(info: &'static ChoiceInfo, text: &str) -> Option<&'static RecordInfo> {
    known_as(info, text).map(|(variant, _)| variant)
}

/// The report of an unknown choice, and the choice that was meant, where that is plain.
pub(super) fn variant(
    info: &'static ChoiceInfo,
    name: &str,
    span: Span,
    field: Option<&str>,
    lets: &[String],
) -> (Diagnostic, Option<&'static RecordInfo>) {
    let subject = field.unwrap_or(info.name);
    let diagnostic = Diagnostic::error(Code::UnknownVariant, span, format!("there is no `{name}` for `{subject}`"));
    let diagnostic = diagnostic.here("not a known choice");
    if let Some((variant, is_close)) = known_as(info, name) {
        let help = if is_close { format!("did you mean `{}`?", variant.name) } else { format!("it is `{}` here", variant.name) };
        // What another program calls something is another thing, however near its name is.
        let foreign = VARIANT_SYNONYMS.iter().any(|(foreign, _)| distance(foreign, name) == Some(0));
        let safe = !foreign && is_slip(name, variant.name, info.variants.iter().map(|v| v.name));
        return (diagnostic.help(help).fix(format!("write `{}`", variant.name), safe, span, variant.name), Some(variant));
    }
    if let Some(close) = nearest(name, lets.iter().map(String::as_str)) {
        return (diagnostic.help(format!("did you mean `{close}`, the `let` name?")), None);
    }
    if let [only] = info.variants {
        let help = format!("it can only be `{}`", only.name);
        return (diagnostic.help(help).fix(format!("write `{}`", only.name), false, span, only.name), None);
    }
    let names: Vec<String> = info.variants.iter().map(|v| format!("`{}`", v.name)).collect();
    let other = homes_of_variant(name).map_or(String::new(), |path| format!("; `{name}` is a choice of `{path}`"));
    (diagnostic.help(format!("one of {}{other}", names.join(", "))), None)
}

/// The field that has a variant of this name.
fn homes_of_variant(name: &str) -> Option<String> {
    paths(&ROOT).into_iter().find(|path| match type_of(path, &ROOT) {
        Some(TypeInfo::Choice(choice)) => choice.variants.iter().any(|v| v.name == name),
        Some(TypeInfo::List(item)) => {
            matches!(item(), TypeInfo::Choice(choice) if choice.variants.iter().any(|v| v.name == name))
        }
        _ => false,
    })
}
