//! `..import("path")`, and what is written in its place: without dots, without quotes, under another name, and the rests of Rust.
//!
//! Invariant: a path that can be read is imported, whatever was wrong around it.

use super::ast::{Import, Rest};
use super::entries::Entry;
use super::habits::is_import;
use super::lexer::Kind;
use super::parser::Parser;
use crate::diag::{Code, Diagnostic};
use crate::source::Span;

impl Parser<'_> {
    /// `..import("path")`; nothing where it can be left out. EBNF `rest`.
    pub(super) fn rest(&mut self) -> Option<Entry> {
        let start = self.span();
        self.bump();
        let import = match self.import() {
            Some(import) => Some(import),
            None if self.skip_default(start) => return None,
            None => self.odd_import(start),
        };
        Some(Entry::Rest { rest: Rest { span: start.to(self.last()), import }, told: false })
    }

    fn import(&mut self) -> Option<Import> {
        if !matches!(self.kind(), Kind::Ident(word) if word == "import") || !self.is(1, '(') {
            return None;
        }
        let Kind::Text(path) = self.peek(2) else { return None };
        let path = path.clone();
        let closer = if self.is(3, ',') { 4 } else { 3 };
        if !self.is(closer, ')') {
            return None;
        }
        let path_span = self.span_of(2);
        (0..=closer).for_each(|_| self.bump());
        Some(Import { path, path_span })
    }

    /// `..Default::default()` of Rust, which says what is so in any case.
    fn skip_default(&mut self, start: Span) -> bool {
        let mut ahead = 0;
        while self.is(ahead + 1, ':') && self.is(ahead + 2, ':') && matches!(self.peek(ahead + 3), Kind::Ident(_)) {
            ahead += 3;
        }
        let is_default = matches!(self.peek(ahead), Kind::Ident(word) if word == "default");
        if !is_default || !self.is(ahead + 1, '(') || !self.is(ahead + 2, ')') {
            return false;
        }
        (0..ahead + 3).for_each(|_| self.bump());
        let span = start.to(self.last());
        self.eat(',');
        let found = Diagnostic::error(Code::SyntaxUnexpected, span, "a struct is filled up from its defaults without being told");
        let found = found.here("not needed").help("leave it out: what is not given has its default");
        self.report(found.fix("leave it out", true, start.to(self.last()), ""));
        true
    }

    /// What follows the `..` and is no import; the import that is meant, where that is plain.
    fn odd_import(&mut self, start: Span) -> Option<Import> {
        let is_word = matches!(self.kind(), Kind::Ident(word) if is_import(word));
        let (at, called) = (usize::from(is_word), is_word && self.is(1, '('));
        match self.peek(at + usize::from(called)).clone() {
            Kind::Text(path) if !called || self.is(3, ')') => {
                let path_span = self.span_of(at + usize::from(called));
                (0..=at + 2 * usize::from(called)).for_each(|_| self.bump());
                self.report_import(start, &path, true);
                Some(Import { path, path_span })
            }
            Kind::Ident(_) if called => self.import_of_name(start),
            _ => {
                self.unexpected("`import(\"recipe.ron\")`", "write `..import(\"recipe.ron\")`");
                self.recover();
                None
            }
        }
    }

    fn report_import(&mut self, start: Span, path: &str, safe: bool) {
        let span = start.to(self.last());
        let whole = format!("..import(\"{path}\")");
        let found =
            Diagnostic::error(Code::SyntaxUnexpected, span, "an import is `..import(` with a path in double quotes and `)`");
        self.report(found.here("not an import").help(format!("write `{whole}`")).fix(
            format!("write `{whole}`"),
            safe,
            span,
            whole,
        ));
    }

    /// `..import(base)` and `..import(base.ron)`: the path in double quotes is known where it has its ending.
    fn import_of_name(&mut self, start: Span) -> Option<Import> {
        self.bump();
        let open = self.span();
        self.skip_balanced();
        let inside = Span { start: open.end, end: self.last().start.max(open.end), ..open };
        let written = self.written(inside).trim().to_owned();
        let whole = written.strip_suffix(".ron").is_some();
        let path = if whole { written } else { format!("{written}.ron") };
        let found =
            Diagnostic::error(Code::SyntaxUnexpected, start.to(self.last()), "the path of an import stands in double quotes");
        let found =
            found.here("a path without quotes").help(format!("write `..import(\"{path}\")`, with the ending of the file"));
        self.report(found.fix(format!("write `\"{path}\"`"), whole, inside, format!("\"{path}\"")));
        whole.then_some(Import { path, path_span: inside })
    }

    /// `import("path")` or `import "path"` among other entries, without the dots and under whatever name.
    pub(super) fn dotless_import(&mut self) -> Option<Entry> {
        let called = self.is(1, '(') && self.is(3, ')');
        let at = if called { 2 } else { 1 };
        let (Kind::Ident(word), Kind::Text(path)) = (self.kind(), self.peek(at)) else { return None };
        // Alone in its parentheses it is a tuple, whatever that would be good for.
        let first = self.written(self.last()) == "(";
        let alone = called && first && (self.is(4, ')') || self.is(4, ',') && self.is(5, ')'));
        if !is_import(word) || alone {
            return None;
        }
        let (start, path, path_span) = (self.span(), path.clone(), self.span_of(at));
        (0..=at + usize::from(called)).for_each(|_| self.bump());
        let span = start.to(self.last());
        let last = self.is(0, ')') || self.is(0, ',') && self.is(1, ')');
        let whole = format!("..import(\"{path}\")");
        let found = Diagnostic::error(Code::SyntaxUnexpected, span, "an import begins with `..` and is the last entry");
        let found = found.here("not an import").help(format!("write `{whole}` as the last entry"));
        self.report(found.fix(format!("write `{whole}`"), last, span, whole));
        Some(Entry::Rest { rest: Rest { span, import: Some(Import { path, path_span }) }, told: true })
    }
}
