//! Files that hold a part of a recipe, to be imported where that part belongs.

use super::frame::records;
use crate::diag::Diagnostic;
use crate::recipe::decode::Decode as _;
use crate::recipe::settings::Recipe;
use crate::source::{SourceId, Span};
use crate::syntax;
use crate::syntax::ast::{ExprKind, Ident};

/// What is wrong with a file that was compiled as a recipe, without the complaint that it is none where it holds another struct of the
/// schema: it is there to be imported, and its fields are checked where it is.
pub fn without_recipe_wanted(text: &str, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    match part(text) {
        Some(name) => diagnostics.into_iter().filter(|d| d.span().is_none_or(|span| !begins_with(span, name.span))).collect(),
        None => diagnostics,
    }
}

/// Whether a place in the file that was compiled begins with its name.
fn begins_with(span: Span, name: Span) -> bool {
    (span.source, span.start) == (name.source, name.start)
}

/// The name of the part of a recipe that a file holds.
fn part(text: &str) -> Option<Ident> {
    let (document, _) = syntax::parse(SourceId(0), text);
    let name = match document?.value.kind {
        ExprKind::Struct(part) => part.name?,
        ExprKind::Tuple(part) => part.name?,
        ExprKind::Name(name) => name,
        _ => return None,
    };
    let is_recipe = Recipe::info().to_string() == format!("`{}(..)`", name.text);
    (!is_recipe && records().iter().any(|record| record.name == name.text)).then_some(name)
}
