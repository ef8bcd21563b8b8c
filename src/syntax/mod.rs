//! From the text of a recipe to its syntax tree. The language is that of `grammar/recipe.ebnf`: RON with units, arithmetic and imports.
//!
//! Invariant: nothing here knows what a field means; any text gives a tree or diagnostics, never a panic.

pub mod ast;
mod entries;
mod format;
mod lexer;
mod literal;
mod parser;
#[cfg(test)]
mod tests;
mod trivia;

pub use self::format::format;

use crate::diag::Diagnostic;
use crate::source::{SourceId, Span};

/// Parses a file. With errors the tree holds `Poisoned` where they stand; `None` only where the text is too long for spans.
pub fn parse(source: SourceId, text: &str) -> (Option<ast::Document>, Vec<Diagnostic>) {
    if let Some(diagnostic) = too_long(source, text) {
        return (None, vec![diagnostic]);
    }
    let mut parser = parser::Parser::new(source, text);
    let document = parser.document();
    (Some(document), parser.finish())
}

/// Parses a single value, such as the right side of `--set micro_batch=4`; errors as for [`parse`].
pub fn parse_expression(source: SourceId, text: &str) -> (Option<ast::Expr>, Vec<Diagnostic>) {
    if let Some(diagnostic) = too_long(source, text) {
        return (None, vec![diagnostic]);
    }
    let mut parser = parser::Parser::new(source, text);
    let value = parser.whole_expression();
    (Some(value), parser.finish())
}

fn too_long(source: SourceId, text: &str) -> Option<Diagnostic> {
    (text.len() >= u32::MAX as usize).then(|| {
        Diagnostic::error("syntax-unsupported", Span::new(source, 0, 0), "the text is longer than 4 GiB")
            .here("starts here")
            .help("a recipe is a few kilobytes; is this the right file?")
    })
}
