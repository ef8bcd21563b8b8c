//! Brackets that were lost beside a name or between values and fields, seen by what stands on both sides.
//!
//! Invariant: each search looks at a fixed number of tokens.

use super::super::lexer::{Kind, Token};
use super::{Mender, Open, Place};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;

/// How many closing brackets in a row are looked behind.
const ROW: usize = 8;

/// Whether a token begins the name of a struct or variant.
fn is_variant(kind: &Kind) -> bool {
    matches!(kind, Kind::Ident(word) if word.starts_with(char::is_uppercase))
}

impl Mender {
    fn kind_at(&self, i: usize) -> Option<&Kind> {
        self.tokens.get(i).map(|t| &t.kind)
    }

    fn out_at(&self, i: usize) -> Option<&Kind> {
        self.out.get(i).map(|t| &t.kind)
    }

    /// Whether a name with a colon, and not a path, stands at a token.
    fn is_field(&self, i: usize) -> bool {
        let colon = |i| self.kind_at(i) == Some(&Kind::Punct(':'));
        matches!(self.kind_at(i), Some(Kind::Ident(_))) && colon(i + 1) && !colon(i + 2)
    }

    /// Whether a value may stand after so many tokens of the result.
    fn wants_value(&self, length: usize) -> bool {
        let in_list = self.open.last().is_some_and(|open| open.bracket == '[');
        match length.checked_sub(1).and_then(|last| self.out_at(last)) {
            Some(Kind::Punct(':')) => true,
            Some(Kind::Punct('[' | ',')) => in_list,
            _ => false,
        }
    }

    /// A field after values without names: `(0.9, 0.98, eps: 1e-12`. The bracket of the values was closed before it.
    pub(super) fn close_before_field(&mut self, i: usize, token: &Token) {
        if !self.is_field(i) {
            return;
        }
        while let [.., outer, open] = self.open.as_slice() {
            let open = *open;
            let begins_with_field = matches!(self.out_at(open.at + 2), Some(Kind::Punct(':' | '=')))
                || matches!(self.out_at(open.at + 1), Some(Kind::Dots));
            let holds_values = self.out.len() > open.at + 2 && !begins_with_field;
            let lost = self.surplus[super::kind_of(open.bracket)] > 0;
            let after_comma = matches!(self.out.last().map(|t| &t.kind), Some(Kind::Punct(',')));
            // Whatever is around it must hold fields, or nothing is gained.
            if !lost || !holds_values || !after_comma || outer.bracket == '[' {
                return;
            }
            self.put_closer(open, token);
        }
    }

    /// `Budgettime: 24h`: a name and a field without the bracket between them. Where the one ends and the other begins only the schema knows;
    /// the field is lost, and what follows it is read.
    pub(super) fn split_name_and_field(&mut self, i: usize, token: &Token) -> bool {
        let glued = is_variant(&token.kind) && self.is_field(i) && self.wants_value(self.out.len());
        if self.surplus[0] >= 0 || !glued {
            return false;
        }
        let Kind::Ident(word) = &token.kind else { return false };
        let found = Diagnostic::error(Code::SyntaxUnexpected, token.span, format!("expected `(` within `{word}`"));
        let here = "a struct and its first field, with no `(` between them";
        self.found.push(found.here(here).help("put a `(` where the name of the field begins, as in `Name(field: value)`"));
        let gap = Span { end: token.span.start, ..token.span };
        self.open_at(gap, self.place(i).line, token.leads);
        self.out.push(Token { kind: Kind::Bad, ..token.clone() });
        true
    }

    /// Puts a parenthesis at the end of the result.
    fn open_at(&mut self, gap: Span, line: usize, leads: bool) {
        self.surplus[0] += 1;
        let (at, indent) = (self.out.len(), self.open.last().map_or(0, |open| open.place.indent));
        let place = Place { line, column: 0, indent };
        self.open.push(Open { bracket: '(', span: gap, place, at, ends_line: false, value: at + 1 });
        self.out.push(Token { kind: Kind::Punct('('), span: gap, leads });
    }

    /// `Sparse))`: a `)` too much, or a `(` lost after the name before them, which means the same. `token` is the last of them.
    pub(super) fn open_after_name(&mut self, token: &Token) -> bool {
        let mut at = self.out.len();
        while at > 0 && self.out.len() - at < ROW && self.out_at(at - 1) == Some(&Kind::Punct(')')) {
            at -= 1;
        }
        let closers = self.out.len() - at;
        let Some(name) = at.checked_sub(1).and_then(|i| self.out.get(i)).filter(|t| is_variant(&t.kind)) else { return false };
        let value = matches!(at.checked_sub(2).and_then(|i| self.out_at(i)), Some(Kind::Punct(':' | ',' | '[')));
        let same_line = self.line_of(name.span) == self.line_of(token.span);
        if closers == 0 || self.surplus[0] >= 0 || !value || !same_line {
            return false;
        }
        let gap = Span { start: name.span.end, ..name.span };
        self.report_opener(gap);
        self.out.insert(at, Token { kind: Kind::Punct('('), span: gap, leads: false });
        true
    }

    /// `Constant64)`: a name and a number without the bracket between them.
    pub(super) fn split_name_and_number(&mut self, token: &Token) -> bool {
        let Some(Token { kind: Kind::Ident(word), span, leads }) = self.out.last().cloned() else { return false };
        let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &word[name.len()..];
        let fits = span.len() == word.len()
            && name.starts_with(char::is_uppercase)
            && self.wants_value(self.out.len() - 1)
            && self.surplus[0] < 0;
        let Some(number) = super::super::literal::number(digits).ok().and_then(|(_, n)| n.ok()).filter(|_| fits) else {
            return false;
        };
        if self.line_of(span) != self.line_of(token.span) {
            return false;
        }
        let between = span.start + name.len() as u32;
        let gap = Span { start: between, end: between, ..span };
        self.report_opener(gap);
        self.out.pop();
        let name = Token { kind: Kind::Ident(name.to_owned()), span: Span { end: between, ..span }, leads };
        let open = Token { kind: Kind::Punct('('), span: gap, leads: false };
        let number = Token { kind: Kind::Number(number), span: Span { start: between, ..span }, leads: false };
        self.out.extend([name, open, number]);
        true
    }

    fn report_opener(&mut self, gap: Span) {
        self.surplus[0] += 1;
        let found = Diagnostic::error(Code::SyntaxUnexpected, gap, "expected `(` here").here("`(` is missing here");
        self.found.push(found.help("put a `(` here").fix("put a `(` here", true, gap, "("));
    }
}
