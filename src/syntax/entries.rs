//! What stands in brackets, and how reading goes on after an error in it: at the next comma, closing bracket or `name:`.
//!
//! Invariant: one mistake gives one diagnostic; brackets that do not match are reported once for the whole text.

use super::ast::{Expr, ExprKind, Field, Ident, Import, Rest, Struct, Tuple};
use super::lexer::Kind;
use super::parser::{MAX_DEPTH, Parser};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;

enum Entry {
    Field(Field),
    Item(Expr),
    Rest(Rest),
}

impl Entry {
    fn is_poisoned(&self) -> bool {
        match self {
            Self::Field(Field { value, .. }) | Self::Item(value) => matches!(value.kind, ExprKind::Poisoned),
            Self::Rest(rest) => rest.import.is_none(),
        }
    }
}

/// What stood between two brackets.
struct Body {
    entries: Vec<Entry>,
    /// Whether a comma stood at the end.
    trailing: bool,
    /// Whether something in it could not be read.
    broken: bool,
}

impl Parser<'_> {
    /// `( .. )`, after a name or alone. EBNF `struct`, `tuple`, `group`.
    pub(super) fn parentheses(&mut self, name: Option<Ident>) -> Expr {
        let start = name.as_ref().map_or(self.span(), |n| n.span);
        match self.body(false) {
            Some(body) => {
                let below = self.height;
                let kind = self.classify(name, body);
                self.grown(kind, start.to(self.last()), below)
            }
            None => self.poisoned(start.to(self.last())),
        }
    }

    /// `[ .. ]` EBNF `list`.
    pub(super) fn list(&mut self) -> Expr {
        let start = self.span();
        let Some(body) = self.body(true) else { return self.poisoned(start.to(self.last())) };
        let below = self.height;
        let items = body.entries.into_iter().filter_map(|entry| self.list_item(entry)).collect();
        self.grown(ExprKind::List(items), start.to(self.last()), below)
    }

    /// `{ .. }`, which is no value.
    pub(super) fn map(&mut self) -> Expr {
        let start = self.span();
        self.skip_balanced();
        let diagnostic = Diagnostic::error(Code::SyntaxUnsupported, start, "a recipe has no maps").here("a map begins here");
        self.report(diagnostic.help("fields stand in parentheses, `(name: value)`, and lists in `[` and `]`"));
        self.poisoned(start.to(self.last()))
    }

    /// `Name { .. }`, read as `Name( .. )`.
    pub(super) fn braces(&mut self, name: Ident) -> Expr {
        let message = format!("the fields of `{}` stand in parentheses", name.text);
        let diagnostic = Diagnostic::error(Code::SyntaxUnexpected, self.span(), message).here("not expected here");
        self.report(diagnostic.help(format!("write `{}(..)`", name.text)));
        let span = name.span;
        let Some(body) = self.body(false) else { return self.poisoned(span) };
        let below = self.height;
        let kind = self.classify(Some(name), body);
        self.grown(kind, span.to(self.last()), below)
    }

    /// Everything up to the closing bracket; `None` where it would be too deep. EBNF `entries`.
    fn body(&mut self, list: bool) -> Option<Body> {
        let opener = self.span();
        if self.open + 1 >= MAX_DEPTH {
            self.report_depth(opener);
            self.skip_balanced();
            return None;
        }
        self.bump();
        self.open += 1;
        let (mut body, mut height) = (Body { entries: Vec::new(), trailing: false, broken: false }, 0);
        while !self.at_end() {
            let before = self.position();
            if let Some(entry) = self.entry(list) {
                body.broken |= matches!(&entry, Entry::Item(Expr { kind: ExprKind::Poisoned, .. }));
                body.trailing = self.separator(entry.is_poisoned());
                body.entries.push(entry);
                height = height.max(self.height);
            }
            if self.position() == before {
                self.bump();
            }
        }
        self.open -= 1;
        self.height = height;
        Some(body)
    }

    /// Whether the body ends here; takes the closing bracket, which is the right one, since brackets were mended.
    fn at_end(&mut self) -> bool {
        match self.kind() {
            Kind::Punct(')' | ']' | '}') => self.bump(),
            Kind::End => {}
            _ => return false,
        }
        true
    }

    /// What comes between two entries; tells whether a comma did.
    fn separator(&mut self, poisoned: bool) -> bool {
        match self.kind() {
            Kind::Punct(',') => (),
            Kind::Punct(')' | ']' | '}') | Kind::End => return false,
            Kind::Punct(';') => self.unexpected("`,`", "put a `,` here"),
            Kind::Bad => self.recover(),
            _ if poisoned => self.recover(),
            _ if self.begins_entry() => self.missing_comma(),
            _ => {
                self.unexpected("`,` or a closing bracket", "put a `,` between two values");
                self.recover();
            }
        }
        self.eat(',') || self.eat(';')
    }

    fn begins_entry(&self) -> bool {
        !matches!(self.kind(), Kind::Punct(c) if !matches!(c, '(' | '[' | '{'))
    }

    fn missing_comma(&mut self) {
        let message = format!("expected `,` before {}", self.found());
        let diagnostic = Diagnostic::error(Code::SyntaxMissingComma, self.gap(), message).here("the value ends here");
        self.report(diagnostic.help("put a `,` here"));
    }

    /// Skips to where an entry ends or a field begins.
    fn recover(&mut self) {
        loop {
            match *self.kind() {
                Kind::Punct(',' | ';') | Kind::End => return,
                Kind::Punct(')' | ']' | '}') => return,
                Kind::Ident(_) if self.is(1, ':') && !self.is(2, ':') => return,
                Kind::Punct('(' | '[' | '{') => self.skip_balanced(),
                _ => self.bump(),
            }
        }
    }

    /// One entry; `None` where there was only a stray comma or a misplaced `let`. EBNF `field`.
    fn entry(&mut self, list: bool) -> Option<Entry> {
        self.height = 1;
        match self.kind() {
            Kind::Dots => return Some(Entry::Rest(self.rest())),
            Kind::Punct(',' | ';') => {
                self.stray_comma();
                return None;
            }
            Kind::Ident(word) if word == "let" && matches!(self.peek(1), Kind::Ident(_)) => {
                self.stray_let();
                return None;
            }
            _ => (),
        }
        if let Some(name) = self.field_name(list) {
            let value = self.field_value(&name);
            return Some(Entry::Field(Field { name, value }));
        }
        Some(Entry::Item(self.expression()))
    }

    fn stray_comma(&mut self) {
        let message = format!("nothing stands before this {}", self.found());
        let help = format!("take the {} out", self.found());
        let diagnostic = Diagnostic::error(Code::SyntaxUnexpected, self.span(), message).here("not expected here").help(help);
        self.report(diagnostic);
        self.bump();
    }

    fn stray_let(&mut self) {
        let diagnostic = Diagnostic::error(Code::SyntaxUnexpected, self.span(), "`let` stands before the recipe, not in it");
        self.report(diagnostic.here("not expected here").help("move it to the head of the file"));
        self.bump();
        self.recover();
        let _ = self.eat(';') || self.eat(',');
    }

    /// Takes the name of a field and the `:`, also where another sign or none stands for it.
    fn field_name(&mut self, list: bool) -> Option<Ident> {
        match (self.kind(), self.peek(1)) {
            (Kind::Ident(_), Kind::Punct(':')) if !self.is(2, ':') => self.ident_and_bump(),
            (Kind::Ident(_), Kind::Punct('=')) => {
                let name = self.ident();
                self.unexpected("`:`", "put a `:` here");
                self.bump();
                name
            }
            (Kind::Text(text), Kind::Punct(':')) => Some(self.quoted_name(text.clone())),
            (Kind::Ident(word), _) if !list && is_lower(word) && self.value_without_colon() => {
                let name = self.ident()?;
                self.missing_colon(&name.text, self.gap());
                Some(name)
            }
            _ => None,
        }
    }

    fn ident_and_bump(&mut self) -> Option<Ident> {
        let name = self.ident();
        self.bump();
        name
    }

    fn quoted_name(&mut self, text: String) -> Ident {
        let diagnostic = Diagnostic::error(Code::SyntaxUnexpected, self.span(), "the name of a field stands without quotes");
        self.report(diagnostic.here("a text").help(format!("write `{text}:`")));
        let span = self.span();
        self.bump();
        self.bump();
        Ident { text, span }
    }

    /// Whether the token after a name is a value that lacks its `:`.
    fn value_without_colon(&self) -> bool {
        match self.peek(1) {
            Kind::Number(_) | Kind::Text(_) | Kind::Char(_) | Kind::Punct('[') => true,
            Kind::Ident(_) => !matches!(self.peek(2), Kind::Punct(':' | '=')),
            _ => false,
        }
    }

    fn missing_colon(&mut self, name: &str, place: Span) {
        let diagnostic =
            Diagnostic::error(Code::SyntaxUnexpected, place, format!("expected `:` after `{name}`")).here("the name ends here");
        self.report(diagnostic.help("put a `:` here"));
    }

    fn field_value(&mut self, name: &Ident) -> Expr {
        let absent = match self.kind() {
            Kind::Punct(',' | ';') => true,
            Kind::Punct(')' | ']' | '}') => true,
            Kind::End => !self.hidden,
            Kind::Ident(_) => self.is(1, ':') && !self.is(2, ':'),
            _ => false,
        };
        if !absent {
            return self.expression();
        }
        self.missing_value(&name.text, self.gap());
        self.poisoned(self.gap())
    }

    fn missing_value(&mut self, name: &str, place: Span) {
        let diagnostic = Diagnostic::error(Code::SyntaxMissingValue, place, format!("the field `{name}` has no value"));
        self.report(diagnostic.here("a value is missing here").help(format!("write `{name}: value`")));
    }

    /// `..import("path")` EBNF `rest`.
    fn rest(&mut self) -> Rest {
        let start = self.span();
        self.bump();
        let import = self.import();
        if import.is_none() {
            self.unexpected("`import(\"recipe.ron\")`", "write `..import(\"recipe.ron\")`");
            self.recover();
        }
        Rest { span: start.to(self.last()), import }
    }

    fn import(&mut self) -> Option<Import> {
        if !matches!(self.kind(), Kind::Ident(word) if word == "import") || !self.is(1, '(') {
            return None;
        }
        let Kind::Text(path) = self.peek(2) else { return None };
        let path = path.clone();
        self.bump();
        self.bump();
        let path_span = self.span();
        self.bump();
        self.eat(',');
        self.eat(')').then_some(Import { path, path_span })
    }

    fn list_item(&mut self, entry: Entry) -> Option<Expr> {
        let (span, value) = match entry {
            Entry::Item(value) => return Some(value),
            Entry::Field(field) => (field.name.span, Some(field.value)),
            Entry::Rest(rest) => (rest.span, None),
        };
        let diagnostic =
            Diagnostic::error(Code::SyntaxUnexpected, span, "a list holds values, not fields").here("not expected here");
        self.report(diagnostic.help("put fields in parentheses, as in `[(name: value)]`"));
        value
    }

    /// A struct, a tuple, or a group for arithmetic.
    fn classify(&mut self, name: Option<Ident>, body: Body) -> ExprKind {
        let is_item = |entry: &Entry| matches!(entry, Entry::Item(_));
        if body.entries.is_empty() || !body.entries.iter().all(is_item) {
            return ExprKind::Struct(self.gather(name, body.entries, body.broken));
        }
        let mut items: Vec<Expr> =
            body.entries.into_iter().filter_map(|e| if let Entry::Item(value) = e { Some(value) } else { None }).collect();
        match items.pop() {
            Some(only) if name.is_none() && items.is_empty() && !body.trailing => ExprKind::Group(Box::new(only)),
            last => ExprKind::Tuple(Tuple { name, items: items.into_iter().chain(last).collect() }),
        }
    }

    fn gather(&mut self, name: Option<Ident>, entries: Vec<Entry>, broken: bool) -> Struct {
        let (mut fields, mut rest, mut broken) = (Vec::new(), None::<Rest>, broken);
        for entry in entries {
            if let (Some(rest), false) = (&rest, entry.is_poisoned()) {
                self.report_early_rest(rest.span);
            }
            match entry {
                Entry::Field(field) => fields.push(field),
                Entry::Item(value) => match self.nameless(value) {
                    Some(field) => fields.push(field),
                    None => broken = true,
                },
                Entry::Rest(new) => rest = rest.or(Some(new)),
            }
        }
        Struct { name, fields, rest, broken }
    }

    fn report_early_rest(&mut self, span: Span) {
        let diagnostic =
            Diagnostic::error(Code::SyntaxUnexpected, span, "`..import` is the last entry of a struct, and the only one");
        self.report(
            diagnostic
                .here("something comes after this")
                .help("move it to the end; what is given before it wins over what it brings"),
        );
    }

    /// Reports a value among fields; gives the field that was meant, if that is plain.
    fn nameless(&mut self, value: Expr) -> Option<Field> {
        let after = |ident: &Ident| Span { start: ident.span.end, ..ident.span };
        match value.kind {
            ExprKind::Poisoned => None,
            ExprKind::Name(name) if is_lower(&name.text) => {
                self.missing_value(&name.text, after(&name));
                Some(Field { value: self.poisoned(after(&name)), name })
            }
            ExprKind::Tuple(Tuple { name: Some(name), .. }) if name.text == "import" => {
                let diagnostic =
                    Diagnostic::error(Code::SyntaxUnexpected, value.span, "an import begins with `..`").here("not expected here");
                self.report(diagnostic.help("put `..` before it"));
                None
            }
            ExprKind::Tuple(Tuple { name: Some(name), .. }) | ExprKind::Struct(Struct { name: Some(name), .. })
                if is_lower(&name.text) =>
            {
                self.missing_colon(&name.text, after(&name));
                Some(Field { value: self.poisoned(value.span), name })
            }
            _ => {
                let diagnostic =
                    Diagnostic::error(Code::SyntaxUnexpected, value.span, "a value without a name stands among fields");
                self.report(diagnostic.here("which field is this?").help("write `name: value`"));
                None
            }
        }
    }
}

fn is_lower(word: &str) -> bool {
    word.starts_with(|c: char| c.is_lowercase() || c == '_')
}
