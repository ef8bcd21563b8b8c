//! Braces, which are no brackets of a recipe: objects of JSON, tables of other languages, structs of Rust. Their fields are read all the same.
//!
//! Invariant: braces within braces are part of the outermost's report.

use super::ast::{Expr, ExprKind, Ident, Struct};
use super::entries::Shape;
use super::lexer::Kind;
use super::parser::Parser;
use crate::diag::{Code, Diagnostic, Edit};
use crate::source::Span;

impl Parser<'_> {
    /// `{ .. }`, which is no value. With names before its values it is read as a struct; `of` is the field that it stands in.
    pub(super) fn map(&mut self, of: Option<&str>) -> Expr {
        let start = self.span();
        let found = Diagnostic::error(Code::SyntaxUnsupported, start, "a recipe has no maps").here("a map begins here");
        let named = matches!(self.peek(1), Kind::Ident(_) | Kind::Text(_)) && matches!(self.peek(2), Kind::Punct(':' | '='));
        if !named {
            self.skip_balanced();
            self.report(found.help("fields stand in parentheses, `(name: value)`, and lists in `[` and `]`"));
            return self.poisoned(start.to(self.last()));
        }
        // Maps within a map are the same mistake.
        let outer = self.braces.take();
        let is_outermost = outer.is_none();
        self.braces = Some(outer.unwrap_or_default());
        self.make_parentheses(start, if of.is_none() { "Recipe(" } else { "(" });
        let body = self.body(Shape::Map);
        self.make_parentheses(self.last(), ")");
        let help = match of {
            None => "a recipe is `Recipe(name: value, ..)`, and each part of it `Name(name: value, ..)`".to_owned(),
            Some("") => {
                "fields stand in parentheses, with the name of their struct before them: `Name(name: value, ..)`".to_owned()
            }
            Some(of) => {
                format!("fields stand in parentheses, with the name of their struct before them: `{of}: Name(name: value, ..)`")
            }
        };
        if is_outermost {
            let edits = self.braces.take().unwrap_or_default();
            self.report(found.help(help).edits("write parentheses in place of the braces", false, edits));
        }
        let Some(body) = body else { return self.poisoned(start.to(self.last())) };
        let below = self.height;
        // What it lacks, such as the name of a variant, is part of what was reported.
        let record = Struct { broken: true, ..self.gather(None, body.entries, body.broken) };
        self.grown(ExprKind::Struct(record), start.to(self.last()), below)
    }

    /// Counts a change among those that make parentheses of the braces that are being read.
    pub(super) fn make_parentheses(&mut self, span: Span, text: &str) {
        if let Some(edits) = &mut self.braces {
            edits.push(Edit { span, text: text.to_owned() });
        }
    }

    /// `Name { .. }`, read as `Name( .. )`.
    pub(super) fn braces(&mut self, name: Ident) -> Expr {
        let message = format!("the fields of `{}` stand in parentheses", name.text);
        let (span, open) = (name.span, self.span());
        let found = Diagnostic::error(Code::SyntaxUnexpected, open, message).here("not expected here");
        let found = found.help(format!("write `{}(..)`", name.text));
        let body = self.body(Shape::Parentheses);
        let edits = [(open, "("), (self.last(), ")")].map(|(span, text)| Edit { span, text: text.to_owned() });
        // A brace that was put in is reported with a mend of its own.
        let safe = !self.last().is_empty();
        self.report(found.edits("write parentheses", safe, edits.into()));
        let Some(body) = body else { return self.poisoned(span) };
        let below = self.height;
        let kind = self.classify(Some(name), body);
        self.grown(kind, span.to(self.last()), below)
    }
}
