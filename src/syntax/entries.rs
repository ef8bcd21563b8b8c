//! What stands in brackets, and how reading goes on after an error in it: at the next comma, closing bracket or `name:`.
//!
//! Invariant: one mistake gives one diagnostic; brackets that do not match are reported once for the whole text.

use super::ast::{Expr, ExprKind, Field, Ident, Rest, Struct, Tuple};
use super::lexer::{Kind, is_name};
use super::parser::{MAX_DEPTH, Parser};
use crate::diag::{Code, Diagnostic};
use crate::source::Span;

/// What stands between two commas.
pub(super) enum Entry {
    Field(Field),
    Item(Expr),
    /// An import, and whether it was reported that it stands in a wrong place.
    Rest {
        rest: Rest,
        told: bool,
    },
}

/// What is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Parentheses,
    List,
    /// Braces, whose fields have quoted names.
    Map,
}

impl Entry {
    fn is_poisoned(&self) -> bool {
        match self {
            Self::Field(Field { value, .. }) | Self::Item(value) => matches!(value.kind, ExprKind::Poisoned),
            Self::Rest { rest, .. } => rest.import.is_none(),
        }
    }
}

/// What stood between two brackets.
pub(super) struct Body {
    pub(super) entries: Vec<Entry>,
    /// Whether a comma stood at the end.
    trailing: bool,
    /// Whether something in it could not be read.
    pub(super) broken: bool,
}

impl Parser<'_> {
    /// `( .. )`, after a name or alone. EBNF `struct`, `tuple`, `group`.
    pub(super) fn parentheses(&mut self, name: Option<Ident>) -> Expr {
        let start = name.as_ref().map_or(self.span(), |n| n.span);
        match self.body(Shape::Parentheses) {
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
        let Some(body) = self.body(Shape::List) else { return self.poisoned(start.to(self.last())) };
        let below = self.height;
        let items = body.entries.into_iter().filter_map(|entry| self.list_item(entry)).collect();
        self.grown(ExprKind::List(items), start.to(self.last()), below)
    }

    /// Everything up to the closing bracket; `None` where it would be too deep. EBNF `entries`.
    pub(super) fn body(&mut self, shape: Shape) -> Option<Body> {
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
            self.one_entry(shape, &mut body, &mut height);
        }
        self.open -= 1;
        self.height = height;
        Some(body)
    }

    /// An entry and what parts it from the next one.
    fn one_entry(&mut self, shape: Shape, body: &mut Body, height: &mut usize) {
        let before = self.position();
        if let Some(mut entry) = self.entry(shape) {
            if let Entry::Field(field) = &mut entry {
                self.comma_in_number(&mut field.value);
            }
            body.broken |= matches!(&entry, Entry::Item(Expr { kind: ExprKind::Poisoned, .. }));
            body.trailing = self.separator(entry.is_poisoned());
            body.entries.push(entry);
            *height = (*height).max(self.height);
        }
        if self.position() == before {
            self.bump();
        }
    }

    /// Everything up to the end of the text; gives the height of the highest, and whether something could not be read.
    pub(super) fn entries_to_the_end(&mut self, entries: &mut Vec<Entry>) -> (usize, bool) {
        let (mut body, mut height) = (Body { entries: Vec::new(), trailing: false, broken: false }, 0);
        while *self.kind() != Kind::End {
            self.one_entry(Shape::Parentheses, &mut body, &mut height);
        }
        entries.append(&mut body.entries);
        (height, body.broken)
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
            Kind::Punct(';') => {
                let found = self.not_expected("`,`", "put a `,` here");
                let field_or_end = matches!(self.peek(1), Kind::Punct(')' | ']')) || *self.peek(2) == Kind::Punct(':');
                self.report(found.fix("write `,`", self.open > 0 && field_or_end, self.span(), ","));
            }
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
        let gap = self.gap();
        let message = format!("expected `,` before {}", self.found());
        let found = Diagnostic::error(Code::SyntaxMissingComma, gap, message).here("the value ends here");
        let found = match self.swallowed() {
            Some(comment) => {
                let help = "`//` begins a comment, which hides the rest of the line: a division is `/`";
                let sign = Span { end: comment.start + 2, ..comment };
                found.and(comment, "a comment").help(help).fix("write `/`", false, sign, "/")
            }
            // Two numbers in a row may be one: `1 000`, `1h 30min`.
            None if matches!(self.kind(), Kind::Number(_)) => {
                let help = "put a `,` here; if it is one number, write `1_000`, and a sum with `+`: `1h + 30min`";
                found.help(help).fix("put a `,` here", false, gap, ",")
            }
            None => found.help("put a `,` here").fix("put a `,` here", true, gap, ","),
        };
        self.report(found);
    }

    /// The comment that touches the last token and goes on like a division: `768//64,`.
    fn swallowed(&self) -> Option<Span> {
        let gap = self.gap();
        let rest = self.text.get(gap.start as usize..self.span().start as usize)?;
        let line = rest.strip_prefix("//")?.split('\n').next().unwrap_or_default().trim_end();
        let divides = line.starts_with(|c: char| c.is_alphanumeric() || c == '(');
        divides.then(|| Span { end: gap.start + 2 + line.len() as u32, ..gap })
    }

    /// Skips to where an entry ends or a field begins.
    pub(super) fn recover(&mut self) {
        loop {
            match *self.kind() {
                Kind::Punct(',' | ';' | ')' | ']' | '}') | Kind::End => return,
                Kind::Ident(_) if self.is(1, ':') && !self.is(2, ':') => return,
                Kind::Punct('(' | '[' | '{') => self.skip_balanced(),
                _ => self.bump(),
            }
        }
    }

    /// One entry; `None` where there was only a stray comma or a misplaced `let`. EBNF `field`.
    fn entry(&mut self, shape: Shape) -> Option<Entry> {
        self.height = 1;
        match self.kind() {
            Kind::Dots => return self.rest(),
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
        if shape != Shape::List
            && let Some(import) = self.dotless_import()
        {
            return Some(import);
        }
        if let Some(name) = self.field_name(shape) {
            let value = self.field_value(&name);
            return Some(Entry::Field(Field { name, value }));
        }
        Some(Entry::Item(self.expression()))
    }

    fn stray_comma(&mut self) {
        let message = format!("nothing stands before this {}", self.found());
        let help = format!("take the {} out", self.found());
        let found = Diagnostic::error(Code::SyntaxUnexpected, self.span(), message).here("not expected here").help(help);
        self.report(found.fix("take it out", true, self.span(), ""));
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
    fn field_name(&mut self, shape: Shape) -> Option<Ident> {
        match (self.kind(), self.peek(1)) {
            (Kind::Ident(_), Kind::Punct(':')) if !self.is(2, ':') => {
                let name = self.ident_and_bump();
                self.assignment();
                name
            }
            (Kind::Ident(_), Kind::Punct('=')) => {
                let name = self.ident();
                self.assignment();
                name
            }
            (Kind::Ident(_), Kind::Punct('-' | '.')) if shape != Shape::List => self.compound_name(),
            (Kind::Text(text), Kind::Punct(':')) => Some(self.quoted_name(text.clone(), shape)),
            (Kind::Ident(word), _) if shape != Shape::List && is_lower(word) && self.value_without_colon() => {
                let name = self.ident()?;
                let safe = !matches!(self.kind(), Kind::Ident(_));
                self.missing_colon(&name.text, safe);
                Some(name)
            }
            _ => None,
        }
    }

    /// `=`, `=>` and `:=` in place of `:`, which was taken if it is there.
    fn assignment(&mut self) {
        if !self.is(0, '=') {
            return;
        }
        let start = self.span();
        let found = self.not_expected("`:`", "put a `:` here");
        self.bump();
        if self.is(0, '>') || self.is(0, '=') {
            self.bump();
        }
        let after_colon = self.text.get(..start.start as usize).is_some_and(|before| before.ends_with(':'));
        self.report(found.fix("write `:`", true, start.to(self.last()), if after_colon { "" } else { ":" }));
    }

    fn ident_and_bump(&mut self) -> Option<Ident> {
        let name = self.ident();
        self.bump();
        name
    }

    fn quoted_name(&mut self, text: String, shape: Shape) -> Ident {
        let span = self.span();
        self.bump();
        self.bump();
        let plain = is_name(&text);
        if shape == Shape::Map {
            self.make_parentheses(span, &text);
        } else {
            let found = Diagnostic::error(Code::SyntaxUnexpected, span, "the name of a field stands without quotes");
            let found = found.here("a text").help(format!("write `{text}:`"));
            self.report(if plain { found.fix(format!("write `{text}`"), true, span, text.as_str()) } else { found });
        }
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

    /// Reports that no `:` stands after the name that was taken last.
    fn missing_colon(&mut self, name: &str, safe: bool) {
        self.missing_colon_at(name, self.gap(), safe);
    }

    fn missing_colon_at(&mut self, name: &str, place: Span, safe: bool) {
        let found = Diagnostic::error(Code::SyntaxUnexpected, place, format!("expected `:` after `{name}`"));
        self.report(found.here("the name ends here").help("put a `:` here").fix("put a `:` here", safe, place, ":"));
    }

    fn field_value(&mut self, name: &Ident) -> Expr {
        let absent = match self.kind() {
            Kind::Punct(',' | ';' | ')' | ']' | '}') => true,
            Kind::End => !self.hidden,
            Kind::Ident(_) => self.is(1, ':') && !self.is(2, ':'),
            _ => false,
        };
        if !absent {
            return match self.kind() {
                Kind::Punct('{') => self.map(Some(&name.text)),
                _ if self.begins_dashes() => self.dashes(),
                _ => self.expression(),
            };
        }
        self.missing_value(&name.text, self.gap());
        self.poisoned(self.gap())
    }

    fn missing_value(&mut self, name: &str, place: Span) {
        let diagnostic = Diagnostic::error(Code::SyntaxMissingValue, place, format!("the field `{name}` has no value"));
        self.report(diagnostic.here("a value is missing here").help(format!("write `{name}: value`")));
    }

    fn list_item(&mut self, entry: Entry) -> Option<Expr> {
        let (span, value) = match entry {
            Entry::Item(value) => return Some(value),
            Entry::Field(field) => (field.name.span, Some(field.value)),
            Entry::Rest { rest, .. } => (rest.span, None),
        };
        let diagnostic =
            Diagnostic::error(Code::SyntaxUnexpected, span, "a list holds values, not fields").here("not expected here");
        self.report(diagnostic.help("put fields in parentheses, as in `[(name: value)]`"));
        value
    }

    /// A struct, a tuple, or a group for arithmetic.
    pub(super) fn classify(&mut self, name: Option<Ident>, body: Body) -> ExprKind {
        let is_item = |entry: &Entry| matches!(entry, Entry::Item(_));
        if body.entries.is_empty() || !body.entries.iter().all(is_item) {
            return ExprKind::Struct(self.gather(name, body.entries, body.broken));
        }
        let mut items: Vec<Expr> =
            body.entries.into_iter().filter_map(|e| if let Entry::Item(value) = e { Some(value) } else { None }).collect();
        match items.pop() {
            Some(only) if name.is_none() && items.is_empty() && !body.trailing => ExprKind::Group(Box::new(only)),
            last => {
                items.extend(last);
                ExprKind::Tuple(Tuple { name, items })
            }
        }
    }

    pub(super) fn gather(&mut self, name: Option<Ident>, mut entries: Vec<Entry>, broken: bool) -> Struct {
        let mut broken = self.without_paths(&mut entries) || broken;
        let (mut fields, mut rest, mut told) = (Vec::new(), None::<Rest>, false);
        for entry in entries {
            if let (Some(rest), false, false) = (&rest, entry.is_poisoned(), told) {
                self.report_early_rest(rest.span);
                told = true;
            }
            match entry {
                Entry::Field(field) => fields.push(field),
                Entry::Item(value) => match self.nameless(value) {
                    Some(field) => fields.push(field),
                    None => broken = true,
                },
                Entry::Rest { rest: new, told: before } => {
                    told |= before;
                    rest = rest.or(Some(new));
                }
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
                .help("move it to the end; a second import goes into the file that the first one names"),
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
            ExprKind::Tuple(Tuple { name: Some(ref name), .. }) | ExprKind::Struct(Struct { name: Some(ref name), .. })
                if is_lower(&name.text) =>
            {
                let name = name.clone();
                self.missing_colon_at(&name.text, after(&name), true);
                let span = Span { start: name.span.end, ..value.span };
                Some(Field { value: Expr { kind: Self::without_name(value.kind), span }, name })
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
