//! Files that hold a part of a recipe, to be imported where that part belongs.

use super::frame::{choose, records};
use crate::recipe::decode::Decode as _;
use crate::recipe::schema::{RecordInfo, TypeInfo};
use crate::recipe::settings::Recipe;
use crate::source::SourceId;
use crate::syntax;
use crate::syntax::ast::ExprKind;

/// A recipe that does nothing but import the part that a file holds, by the path `part`; `None` where the file holds no struct of the
/// schema but a recipe. What is wrong with the part is found in it, and what it lacks is lacking in the recipe around it.
pub fn recipe_around(text: &str) -> Option<String> {
    let (document, _) = syntax::parse(SourceId(0), text);
    let (name, first) = match document?.value.kind {
        ExprKind::Struct(part) => (part.name?, part.fields.into_iter().next().map(|field| field.name.text)),
        ExprKind::Tuple(part) => (part.name?, None),
        ExprKind::Name(name) => (name, None),
        _ => return None,
    };
    let TypeInfo::Record(recipe) = Recipe::info() else { return None };
    if name.text == recipe.name {
        return None;
    }
    let named: Vec<&RecordInfo> = records().into_iter().filter(|record| record.name == name.text).collect();
    let part = choose(&named, first.as_deref()).or(named.first().copied())?;
    around(recipe, part)
}

/// The struct `outer` with the fields down to `part`.
fn around(outer: &'static RecordInfo, part: &'static RecordInfo) -> Option<String> {
    outer.fields.iter().find_map(|field| {
        let ty = (field.ty)();
        let inner = ty.records().into_iter().find_map(|record| {
            if std::ptr::eq(record, part) { Some(format!("{}(..import(\"part\"))", part.name)) } else { around(record, part) }
        })?;
        let value = if matches!(ty, TypeInfo::List(_)) { format!("[{inner}]") } else { inner };
        Some(format!("{}({}: {value})", outer.name, field.name))
    })
}
