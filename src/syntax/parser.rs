//! From tokens to the syntax tree: expressions. Files are read in `document`, and what stands in brackets in `entries`.
//!
//! Invariant: every loop takes a token or ends, and no recursion goes deeper than [`MAX_DEPTH`].

use super::ast::{Expr, ExprKind, Ident, Number, Numeric, Operator};
use super::brackets::mend;
use super::lexer::{Kind, Token, lex};
use crate::diag::{Code, Diagnostic, Edit};
use crate::source::{SourceId, Span};

/// How high a tree may be.
pub(super) const MAX_DEPTH: usize = 128;

/// Errors after which the rest of a text is not read: it is no recipe, and nobody mends more of them at once.
const PATIENCE: usize = 100;

/// The bracket that closes another.
pub(super) fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

/// Reads one text.
pub(super) struct Parser<'t> {
    pub(super) text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    /// How many brackets are open.
    pub(super) open: usize,
    /// Height of the expression that was read last.
    pub(super) height: usize,
    too_deep: bool,
    /// Whether something hides a part of the text, so that what seems to be missing is not reported.
    pub(super) hidden: bool,
    /// Whether the text ends within brackets.
    pub(super) cut: bool,
    /// Within braces in place of parentheses, the changes that make them parentheses.
    pub(super) braces: Option<Vec<Edit>>,
    faults: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'t> Parser<'t> {
    pub(super) fn new(source: SourceId, text: &'t str) -> Self {
        let lexed = lex(source, text);
        let (tokens, found) = mend(lexed.tokens, text, lexed.broken);
        let cut = found
            .iter()
            .any(|d| d.code == Code::SyntaxUnclosed && d.span().is_some_and(|s| text[s.end as usize..].trim().is_empty()));
        let mut diagnostics = lexed.faults;
        diagnostics.extend(found);
        Self {
            text,
            tokens,
            at: 0,
            open: 0,
            height: 0,
            too_deep: false,
            hidden: lexed.broken,
            cut,
            braces: None,
            faults: diagnostics.len(),
            diagnostics,
        }
    }

    /// What was found, in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.diagnostics.sort_by_key(Diagnostic::span);
        self.diagnostics
    }

    pub(super) fn kind(&self) -> &Kind {
        self.peek(0)
    }

    pub(super) fn peek(&self, ahead: usize) -> &Kind {
        self.tokens.get(self.at + ahead).map_or(&Kind::End, |t| &t.kind)
    }

    pub(super) fn is(&self, ahead: usize, wanted: char) -> bool {
        matches!(self.peek(ahead), Kind::Punct(c) if *c == wanted)
    }

    pub(super) fn is_word(&self, ahead: usize, wanted: &str) -> bool {
        matches!(self.peek(ahead), Kind::Ident(word) if word == wanted)
    }

    pub(super) fn span(&self) -> Span {
        self.span_of(0)
    }

    pub(super) fn span_of(&self, ahead: usize) -> Span {
        self.tokens.get(self.at + ahead).or(self.tokens.last()).map(|t| t.span).unwrap_or_default()
    }

    /// Whether the token is the first on its line.
    pub(super) fn leads(&self) -> bool {
        self.leads_at(0)
    }

    pub(super) fn leads_at(&self, ahead: usize) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(|t| t.leads)
    }

    /// Puts a name that stands earlier in the place of one ahead.
    pub(super) fn replace_ahead(&mut self, ahead: usize, name: Span) {
        let kind = Kind::Ident(self.written(name).to_owned());
        if let Some(token) = self.tokens.get_mut(self.at + ahead) {
            (token.kind, token.span) = (kind, name);
        }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Takes a token; the end stays.
    pub(super) fn bump(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    pub(super) fn eat(&mut self, wanted: char) -> bool {
        let found = self.is(0, wanted);
        if found {
            self.bump();
        }
        found
    }

    /// The token that was taken last.
    pub(super) fn last(&self) -> Span {
        self.at.checked_sub(1).and_then(|i| self.tokens.get(i)).map_or(Span { end: self.span().start, ..self.span() }, |t| t.span)
    }

    /// The place just after the last token.
    pub(super) fn gap(&self) -> Span {
        Span { start: self.last().end, ..self.last() }
    }

    /// Reports an error, but not a second one at the same place, and not too many.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        let start = diagnostic.span().map(|s| s.start);
        let parsed = self.diagnostics.get(self.faults..).unwrap_or_default();
        if parsed.len() >= PATIENCE {
            return self.give_up();
        }
        if parsed.last().is_none_or(|d| d.span().map(|s| s.start) != start) {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Reports an error after which nothing of the text is read; what was found there until now does not count.
    pub(super) fn report_the_rest_unread(&mut self, diagnostic: Diagnostic) {
        let start = diagnostic.span();
        self.diagnostics.retain(|d| d.span() < start);
        self.faults = self.faults.min(self.diagnostics.len());
        self.diagnostics.push(diagnostic);
        self.at = self.tokens.len().saturating_sub(1);
        self.hidden = true;
    }

    /// Passes over the rest of the text.
    fn give_up(&mut self) {
        if !self.gave_up() {
            let diagnostic =
                Diagnostic::error(Code::SyntaxUnexpected, self.span(), "too many errors: the rest of the text is not read");
            let help = "mend what is reported before this; if there is no end to it, this is no recipe";
            self.diagnostics.push(diagnostic.here("read up to here").help(help));
        }
        self.hidden = true;
        self.at = self.tokens.len().saturating_sub(1);
    }

    /// Whether there were so many errors that the rest was not read.
    pub(super) fn gave_up(&self) -> bool {
        self.diagnostics.len() > self.faults + PATIENCE
    }

    /// How the token reads in a message.
    pub(super) fn found(&self) -> String {
        let span = self.span();
        match self.kind() {
            Kind::End => "the end of the text".to_owned(),
            Kind::Text(_) => "a text".to_owned(),
            Kind::Bad => "something unreadable".to_owned(),
            _ => format!("`{}`", self.text.get(span.start as usize..span.end as usize).unwrap_or("?")),
        }
    }

    pub(super) fn unexpected(&mut self, wanted: &str, help: &str) {
        self.report(self.not_expected(wanted, help));
    }

    pub(super) fn not_expected(&self, wanted: &str, help: &str) -> Diagnostic {
        let message = format!("expected {wanted}, found {}", self.found());
        Diagnostic::error(Code::SyntaxUnexpected, self.span(), message).here("not expected here").help(help)
    }

    /// Takes a bracket and everything up to its end.
    pub(super) fn skip_balanced(&mut self) {
        let mut open = 0_usize;
        loop {
            match self.kind() {
                Kind::Punct('(' | '[' | '{') => open += 1,
                Kind::Punct(')' | ']' | '}') => open = open.saturating_sub(1),
                Kind::End => return,
                _ => (),
            }
            self.bump();
            if open == 0 {
                return;
            }
        }
    }

    /// A text that is one expression.
    pub(super) fn whole_expression(&mut self) -> Expr {
        let value = self.expression();
        self.nothing_follows("value");
        value
    }

    /// Takes a name, if one stands here.
    pub(super) fn ident(&mut self) -> Option<Ident> {
        let Kind::Ident(text) = self.kind() else { return None };
        let ident = Ident { text: text.clone(), span: self.span() };
        self.bump();
        Some(ident)
    }

    pub(super) fn poisoned(&mut self, span: Span) -> Expr {
        self.height = 1;
        Expr { kind: ExprKind::Poisoned, span }
    }

    /// A tree one higher than the last, or a report that it is too high.
    pub(super) fn grown(&mut self, kind: ExprKind, span: Span, below: usize) -> Expr {
        if below < MAX_DEPTH {
            self.height = below + 1;
            return Expr { kind, span };
        }
        self.report_depth(span);
        self.poisoned(span)
    }

    pub(super) fn report_depth(&mut self, span: Span) {
        if !self.too_deep {
            self.too_deep = true;
            let diagnostic = Diagnostic::error(Code::SyntaxDepth, span, format!("this is more than {MAX_DEPTH} levels deep"));
            self.report(diagnostic.here("too deep").help("give a part of it a name with `let`"));
        }
    }

    /// A value. EBNF `value`.
    pub(super) fn expression(&mut self) -> Expr {
        self.chain(Self::product, |c| match c {
            '+' => Some(Operator::Add),
            '-' => Some(Operator::Subtract),
            _ => None,
        })
    }

    /// Factors. EBNF `product`.
    pub(super) fn product(&mut self) -> Expr {
        self.chain(Self::signed, |c| match c {
            '*' => Some(Operator::Multiply),
            '/' => Some(Operator::Divide),
            _ => None,
        })
    }

    fn chain(&mut self, operand: fn(&mut Self) -> Expr, operator: fn(char) -> Option<Operator>) -> Expr {
        let mut left = operand(self);
        loop {
            let Kind::Punct(c) = *self.kind() else { return left };
            let Some(operator) = operator(c) else { return left };
            let below = self.height;
            self.bump();
            let right = operand(self);
            let (span, below) = (left.span.to(right.span), below.max(self.height));
            left = self.grown(ExprKind::Binary(operator, Box::new(left), Box::new(right)), span, below);
        }
    }

    /// A value with its signs. EBNF `signed`.
    fn signed(&mut self) -> Expr {
        let mut minuses = Vec::new();
        while let Kind::Punct(c @ ('-' | '+')) = *self.kind() {
            minuses.extend((c == '-').then_some(self.span()));
            self.bump();
        }
        let base = self.primary();
        let mut value = self.power(base);
        if let Some(minus) = minuses.len().checked_sub(MAX_DEPTH).and_then(|i| minuses.get(i)) {
            self.report_depth(minus.to(value.span));
            return self.poisoned(value.span);
        }
        for minus in minuses.into_iter().rev() {
            let span = minus.to(value.span);
            value = self.grown(ExprKind::Negate(Box::new(value)), span, self.height);
        }
        value
    }

    /// A value without signs. EBNF `primary`.
    pub(super) fn primary(&mut self) -> Expr {
        self.height = 1;
        let span = self.span();
        let kind = match self.kind().clone() {
            Kind::Number(value) => return self.number(value),
            Kind::Ident(word) if self.is_literal(&word) => ExprKind::Bool(word == "true"),
            Kind::Ident(_) => return self.named(),
            Kind::Text(text) => ExprKind::Text(text),
            Kind::Char(c) => ExprKind::Char(c),
            Kind::Bad => ExprKind::Poisoned,
            Kind::Punct('(') => return self.parentheses(None),
            Kind::Punct('[') => return self.list(),
            Kind::Punct('{') => return self.map(Some("")),
            _ => return self.no_value(),
        };
        self.bump();
        Expr { kind, span }
    }

    /// Whether a word is a truth value here. EBNF `bool`.
    fn is_literal(&self, word: &str) -> bool {
        matches!(word, "true" | "false") && !self.is(1, '(')
    }

    fn number(&mut self, value: Numeric) -> Expr {
        let start = self.span();
        self.bump();
        let unit = self.unit(start);
        let span = unit.as_ref().map_or(start, |unit| start.to(unit.span));
        Expr { kind: ExprKind::Number(Number { value, unit }), span }
    }

    /// The unit after a number: letters that touch it, or letters on its line that are no field or value of their own. EBNF `unit`, `share`, `time`, `size`, `work`, `count`.
    pub(super) fn unit(&mut self, number: Span) -> Option<Ident> {
        let span = self.span();
        if self.eat('%') {
            return Some(Ident { text: "%".to_owned(), span });
        }
        let Kind::Ident(word) = self.kind() else { return None };
        let next_begins = matches!(self.peek(1), Kind::Punct(':' | '=' | '(' | '{'));
        let own = self.leads() || next_begins || matches!(word.as_str(), "let" | "true" | "false");
        if own && span.start != number.end { None } else { self.ident() }
    }

    /// A name, and the parentheses after it if there are any.
    fn named(&mut self) -> Expr {
        self.skip_path();
        let Some(name) = self.ident() else { return self.no_value() };
        match self.kind() {
            Kind::Punct('(') => self.parentheses(Some(name)),
            Kind::Punct('{') => self.braces(name),
            Kind::Punct('.') if matches!(self.peek(1), Kind::Ident(_)) => self.path_value(&name),
            _ => Expr { span: name.span, kind: ExprKind::Name(name) },
        }
    }

    fn no_value(&mut self) -> Expr {
        match self.kind() {
            Kind::End if self.hidden => (),
            Kind::Punct(',' | ';' | ')' | ']' | '}') | Kind::End => {
                let message = format!("expected a value before {}", self.found());
                let diagnostic = Diagnostic::error(Code::SyntaxMissingValue, self.gap(), message).here("a value is missing here");
                self.report(diagnostic.help("write a value here"));
            }
            _ => self.unexpected("a value", "values are numbers, texts in double quotes, names, `Name(..)`, `(..)` and `[..]`"),
        }
        self.poisoned(self.gap())
    }
}
