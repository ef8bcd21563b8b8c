//! From the text of a recipe to its syntax tree. The language is that of `grammar/recipe.ebnf`: RON with units, arithmetic and imports.
//!
//! Invariant: nothing here knows what a field means; any text gives a tree or diagnostics, never a panic.

pub mod ast;
mod braces;
mod brackets;
mod document;
mod entries;
mod format;
mod habits;
mod lexer;
mod literal;
mod parser;
mod rest;
#[cfg(test)]
mod tests;
mod trivia;

pub use self::format::format;
pub use self::lexer::{Kind, Token};

use crate::diag::{Code, Diagnostic};
use crate::source::{SourceId, Span};

/// Parses a file. Where errors are many the rest is not read. With errors the tree holds `Poisoned` where they stand; `None` only where the text is too long for spans.
pub fn parse(source: SourceId, text: &str) -> (Option<ast::Document>, Vec<Diagnostic>) {
    if let Some(diagnostic) = too_long(source, text) {
        return (None, vec![diagnostic]);
    }
    let mut parser = parser::Parser::new(source, text);
    let mut document = parser.document();
    if parser.gave_up() {
        // A text with so many errors is something else; what it says as a recipe would only be more of them.
        let value = ast::Expr { kind: ast::ExprKind::Poisoned, span: document.value.span };
        document = ast::Document { lets: Vec::new(), value, broken: true };
    }
    (Some(document), parser.finish())
}

/// Parses a single value; errors as for [`parse`].
pub fn parse_expression(source: SourceId, text: &str) -> (Option<ast::Expr>, Vec<Diagnostic>) {
    if let Some(diagnostic) = too_long(source, text) {
        return (None, vec![diagnostic]);
    }
    let mut parser = parser::Parser::new(source, text);
    let value = parser.whole_expression();
    (Some(value), parser.finish())
}

/// Parses `path=value`, as in `--set model.depth=12`: names with points between them, `=`, a value. EBNF `override`.
///
/// # Errors
/// `bad-override` where there is no `=` or a name of the path is none, and what there is to say about the value.
pub fn parse_override(source: SourceId, text: &str) -> Result<ast::Override, Vec<Diagnostic>> {
    let Some(equals) = text.find('=') else {
        let whole = Span::new(source, 0, text.len());
        return Err(vec![bad_override(whole, "an override is a path, `=` and a value")]);
    };
    let mut path = Vec::new();
    let mut start = 0;
    for step in text[..equals].split('.') {
        let name = step.trim();
        let at = start + step.len() - step.trim_start().len();
        let span = Span::new(source, at, at + name.len());
        if !lexer::is_name(name) {
            let span = if name.is_empty() { Span::new(source, 0, equals) } else { span };
            return Err(vec![bad_override(span, &format!("`{}` is not a path of names", text[..equals].trim()))]);
        }
        path.push(ast::Ident { text: name.to_owned(), span });
        start += step.len() + 1;
    }
    // Blanks in place of the path keep the spans right.
    let padded = " ".repeat(equals + 1) + &text[equals + 1..];
    let (value, errors) = parse_expression(source, &padded);
    match value {
        Some(value) if errors.is_empty() => Ok(ast::Override { path, value }),
        _ => Err(errors),
    }
}

fn bad_override(span: Span, message: &str) -> Diagnostic {
    Diagnostic::error(Code::BadOverride, span, message)
        .here("not `path=value`")
        .help("write `--set model.depth=8`: names with `.` between them, `=` and a value")
}

/// The tokens of any text, in order and with an `End` behind them: what an editor reads where there is no tree yet.
pub fn tokens(source: SourceId, text: &str) -> Vec<Token> {
    if too_long(source, text).is_some() { Vec::new() } else { lexer::lex(source, text).tokens }
}

fn too_long(source: SourceId, text: &str) -> Option<Diagnostic> {
    (text.len() >= u32::MAX as usize).then(|| {
        Diagnostic::error(Code::SyntaxUnsupported, Span::new(source, 0, 0), "the text is longer than 4 GiB")
            .here("starts here")
            .help("a recipe is a few kilobytes; is this the right file?")
    })
}
