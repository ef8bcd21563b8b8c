//! A whole file: `let` names, then one value.
//!
//! Invariant: every loop takes a token or ends.

use super::ast::{Document, Expr, ExprKind, Ident, Let};
use super::lexer::Kind;
use super::parser::Parser;
use crate::diag::{Code, Diagnostic};
use crate::source::Span;

impl Parser<'_> {
    /// A whole file. EBNF `document`.
    pub(super) fn document(&mut self) -> Document {
        while self.is(0, '#') {
            self.attribute();
        }
        let (mut lets, mut broken, mut imports) = (Vec::new(), false, false);
        loop {
            if self.is_word(0, "let") && matches!(self.peek(1), Kind::Ident(_) | Kind::Punct('=')) {
                match self.definition() {
                    Some(definition) => lets.push(definition),
                    None => broken = true,
                }
            } else if self.import_statement() {
                imports = true;
            } else {
                break;
            }
        }
        let mut value = self.root(!lets.is_empty());
        if let (ExprKind::Struct(record), true) = (&mut value.kind, imports) {
            // Its fields may be those of the import that was reported.
            record.broken = true;
        }
        let cut = !matches!(self.kind(), Kind::End | Kind::Bad) || self.cut;
        if let (ExprKind::Struct(record), true) = (&mut value.kind, cut) {
            // It may go on in what follows it, or the text is not written to its end.
            record.broken = true;
        }
        self.nothing_follows("recipe");
        Document { lets, value, broken }
    }

    fn attribute(&mut self) {
        let start = self.span();
        self.bump();
        self.eat('!');
        if self.is(0, '[') {
            self.skip_balanced();
        }
        let diagnostic = Diagnostic::error(Code::SyntaxUnsupported, start.to(self.last()), "a recipe has no attributes");
        self.report(
            diagnostic.here("a RON attribute").help("leave it out: `Some(..)` is never needed, and no other extension is known"),
        );
    }

    fn root(&mut self, after_lets: bool) -> Expr {
        match (self.kind(), self.peek(1)) {
            (Kind::End, _) => self.no_recipe(after_lets),
            (Kind::Ident(_), Kind::Punct(':')) if !self.is(2, ':') => self.bare_fields(),
            (Kind::Ident(_), Kind::Punct('=')) => self.bare_fields(),
            (Kind::Punct('{'), _) => self.map(None),
            _ if self.begins_section() => self.sections(),
            _ => self.expression(),
        }
    }

    fn no_recipe(&mut self, after_lets: bool) -> Expr {
        let message = if after_lets {
            "after the `let` names comes the recipe, but there is none"
        } else {
            "there is no recipe in this text"
        };
        let diagnostic = Diagnostic::error(Code::SyntaxMissingValue, self.gap(), message).here("expected here");
        if !self.hidden {
            self.report(diagnostic.help("a recipe begins with `Recipe(` and ends with `)`"));
        }
        self.hidden = true;
        self.poisoned(self.gap())
    }

    /// Reports what stands after the only value of a text.
    pub(super) fn nothing_follows(&mut self, what: &str) {
        while *self.kind() == Kind::Bad {
            self.bump();
        }
        if *self.kind() == Kind::End || self.hidden {
            return;
        }
        let help = match self.kind() {
            Kind::Ident(word) if word == "let" => "`let` names stand before the recipe".to_owned(),
            Kind::Punct(c @ (')' | ']' | '}')) => format!("this `{c}` closes nothing; take it out"),
            Kind::Punct(c @ (',' | ';')) => format!("take the `{c}` out"),
            _ => format!("there is one {what}; take out what comes after it"),
        };
        let diagnostic =
            Diagnostic::error(Code::SyntaxUnexpected, self.span(), format!("the {what} ends before {}", self.found()));
        let diagnostic = diagnostic.here("not expected here").help(help);
        let stray = matches!(self.kind(), Kind::Punct(',' | ';')) && *self.peek(1) == Kind::End;
        self.report(if stray { diagnostic.fix("take it out", true, self.span(), "") } else { diagnostic });
    }

    /// `let name = value;` EBNF `let`.
    fn definition(&mut self) -> Option<Let> {
        let start = self.span();
        self.bump();
        let name = self.definition_name();
        if !self.eat('=') {
            let place = if self.is(0, ':') { self.span() } else { Span { end: self.gap().start, ..self.gap() } };
            let found = self.not_expected("`=`", "write `let name = value;`");
            let value = matches!(self.kind(), Kind::Number(_) | Kind::Text(_))
                || self.is(0, ':') && !matches!(self.peek(1), Kind::Ident(_));
            self.report(if name.is_some() { found.fix("put a `=` here", value, place, " = ") } else { found });
            self.eat(':');
        }
        let value = self.expression();
        self.end_definition(matches!(value.kind, ExprKind::Poisoned));
        Some(Let { span: start.to(value.span), name: name?, value })
    }

    fn definition_name(&mut self) -> Option<Ident> {
        if let Some(name) = self.ident() {
            return Some(name);
        }
        self.unexpected("a name", "write `let name = value;`");
        None
    }

    fn end_definition(&mut self, poisoned: bool) {
        if self.eat(';') {
            return;
        }
        if !poisoned && !self.hidden {
            let diagnostic =
                Diagnostic::error(Code::SyntaxUnexpected, self.gap(), "a `let` ends with `;`").here("the value ends here");
            let place = if self.is(0, ',') { self.span() } else { self.gap() };
            let safe = self.is(0, ',') || self.starts_statement();
            self.report(diagnostic.help("put a `;` here").fix("put a `;` here", safe, place, ";"));
        }
        self.eat(',');
        while !self.starts_statement() {
            if self.eat(';') {
                return;
            }
            self.bump();
        }
    }

    fn starts_statement(&self) -> bool {
        match self.kind() {
            Kind::End => true,
            Kind::Ident(word) => word == "let" || self.leads() || self.is(1, '('),
            _ => false,
        }
    }
}
