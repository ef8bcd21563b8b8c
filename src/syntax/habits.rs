//! Forms of other languages that are read as what they mean, with one report each: powers, lists with dashes, commas within numbers,
//! names with points or hyphens, paths to variants, and files whose fields stand without their struct.
//!
//! Invariant: as for the rest of the parser, every loop takes a token or ends, and nothing here calls itself.

use std::collections::BTreeMap;

use super::ast::{Expr, ExprKind, Field, Ident, Number, Numeric, Struct, Tuple};
use super::entries::Entry;
use super::lexer::Kind;
use super::literal::number;
use super::parser::Parser;
use crate::diag::{Code, Diagnostic, Edit};
use crate::source::Span;

/// Thousands or millions of digits in groups, as a recipe writes them.
fn counted(n: i128) -> String {
    for (unit, size) in [("Gi", 1_i128 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if n >= size && n % size == 0 {
            return format!("{}{unit}", n / size);
        }
    }
    n.to_string()
}

/// A whole number to the power of another: its value, and how it is written.
fn raised(base: i128, exponent: i128) -> Option<(Numeric, String)> {
    if base == 10 && !(0..4).contains(&exponent) {
        let written = format!("1e{exponent}");
        let value = written.parse().ok().filter(|x: &f64| x.is_finite() && *x != 0.0)?;
        return Some((Numeric::Float(value), written));
    }
    let value = base.checked_pow(u32::try_from(exponent).ok()?)?;
    Some((Numeric::Integer(value), counted(value)))
}

/// A number that was written without point and unit.
fn whole(expr: &Expr) -> Option<i128> {
    match expr.kind {
        ExprKind::Number(Number { value: Numeric::Integer(n), unit: None }) => Some(n),
        _ => None,
    }
}

/// Digits in groups of three, as in `1,000,000`, and not a fraction such as `0,125`.
fn is_grouped(groups: &[&str]) -> bool {
    let three = |group: &&str| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit());
    groups.split_first().is_some_and(|(first, more)| first.len() <= 3 && !first.starts_with('0') && more.iter().all(three))
}

impl Parser<'_> {
    /// The text of a place.
    pub(super) fn written(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Whether a token touches the one after it.
    fn touches(&self, ahead: usize) -> bool {
        self.span_of(ahead).end == self.span_of(ahead + 1).start
    }

    /// `a ** b` and `a ^ b`: there are no powers, but the number can be said.
    pub(super) fn power(&mut self, base: Expr) -> Expr {
        let mut value = base;
        loop {
            let double = self.is(0, '*') && self.is(1, '*') && self.touches(0);
            if !double && !self.is(0, '^') {
                return value;
            }
            let sign = if double { self.span().to(self.span_of(1)) } else { self.span() };
            let below = self.height;
            (0..=usize::from(double)).for_each(|_| self.bump());
            let negative = self.eat('-');
            let exponent = self.primary();
            self.height = self.height.max(below);
            value = self.raise(&value, sign, negative, &exponent);
        }
    }

    fn raise(&mut self, base: &Expr, sign: Span, negative: bool, exponent: &Expr) -> Expr {
        let span = base.span.to(exponent.span);
        let found = Diagnostic::error(Code::SyntaxUnexpected, sign, "there are no powers in a recipe").here("not an operator");
        let exponent = whole(exponent).map(|n| if negative { -n } else { n });
        let Some((value, written)) = whole(base).zip(exponent).and_then(|(b, e)| raised(b, e)) else {
            self.report(found.help("write the number, or the product"));
            return Expr { kind: ExprKind::Poisoned, span };
        };
        let found = found.help(format!("write the number: `{written}`"));
        self.report(found.fix(format!("write `{written}`"), true, span, written));
        Expr { kind: ExprKind::Number(Number { value, unit: None }), span }
    }

    /// Whether a list of YAML begins here: a dash before something that cannot be negative.
    pub(super) fn begins_dashes(&self) -> bool {
        let item = match self.peek(1) {
            Kind::Text(_) => true,
            Kind::Ident(_) => self.is(2, '('),
            _ => false,
        };
        self.is(0, '-') && item
    }

    /// `- item`, as many as there are, read as `[item, item]`.
    pub(super) fn dashes(&mut self) -> Expr {
        let start = self.span();
        let mut edits = vec![Edit { span: start, text: "[".to_owned() }];
        let (mut items, mut height) = (Vec::new(), 0);
        loop {
            self.bump();
            items.push(self.product());
            height = height.max(self.height);
            let comma = self.is(0, ',') && self.is(1, '-') && self.leads_at(1);
            if !comma && !self.is(0, '-') {
                break;
            }
            if comma {
                self.bump();
            } else {
                edits.push(Edit { span: self.gap(), text: ",".to_owned() });
            }
            edits.push(Edit { span: self.span(), text: String::new() });
        }
        edits.push(Edit { span: self.gap(), text: "]".to_owned() });
        let found =
            Diagnostic::error(Code::SyntaxUnexpected, start, "a list stands in `[` and `]`, and its items have no dashes");
        let found = found.here("a dash before an item").help("write `[item, item]`");
        self.report(found.edits("put the items in `[` and `]`", true, edits));
        self.grown(ExprKind::List(items), start.to(self.last()), height)
    }

    /// `0,5` and `200,000` as the value of a field: one number, and not an entry more.
    pub(super) fn comma_in_number(&mut self, value: &mut Expr) {
        if whole(value).is_none() {
            return;
        }
        let (mut end, mut spans) = (value.span.end, vec![value.span]);
        while self.is(0, ',') && self.span().start == end && self.touches(0) && matches!(self.peek(1), Kind::Number(_)) {
            self.bump();
            spans.push(self.span());
            end = self.span().end;
            self.bump();
        }
        if spans.len() == 1 {
            return;
        }
        let groups: Vec<&str> = spans.iter().map(|span| self.written(*span)).collect();
        let span = value.span.to(self.last());
        let grouped = is_grouped(&groups);
        let plain = if grouped { groups.join("_") } else { groups.join(".") };
        let ambiguous = grouped && groups.len() == 2;
        let fraction = groups.join(".");
        value.span = span;
        value.kind = match number(&plain) {
            Ok(("", Ok(number))) => {
                let unit = self.unit(span);
                value.span = unit.as_ref().map_or(span, |unit| span.to(unit.span));
                ExprKind::Number(Number { value: number, unit })
            }
            _ => ExprKind::Poisoned,
        };
        let found = Diagnostic::error(Code::SyntaxUnexpected, span, "a number has no comma in it").here("one number, or two?");
        let or = if ambiguous { format!(", or `{fraction}` for a fraction") } else { String::new() };
        let found = found.help(format!("write `{plain}`{or}"));
        self.report(found.fix(format!("write `{plain}`"), !ambiguous && value.kind != ExprKind::Poisoned, span, plain));
    }

    /// The name of a field that is put together with `-` or `.`, and the sign after it.
    pub(super) fn compound_name(&mut self) -> Option<Ident> {
        let sign = if self.is(1, '-') { '-' } else { '.' };
        let mut length = 1;
        while self.is(length, sign)
            && self.touches(length - 1)
            && self.touches(length)
            && matches!(self.peek(length + 1), Kind::Ident(_))
        {
            length += 2;
        }
        let ends = self.is(length, ':') && !self.is(length + 1, ':') || self.is(length, '=');
        if length == 1 || !ends {
            return None;
        }
        let span = self.span().to(self.span_of(length - 1));
        let written = self.written(span).to_owned();
        (0..=length).for_each(|_| self.bump());
        if sign == '.' {
            // What it means depends on the fields beside it.
            return Some(Ident { text: written, span });
        }
        let text = written.replace('-', "_");
        let found = Diagnostic::error(Code::SyntaxUnexpected, span, format!("`{written}` is not a name: it has a `-` in it"));
        let found = found.here("read as a subtraction").help(format!("did you mean `{text}`?"));
        self.report(found.fix(format!("write `{text}`"), true, span, text.as_str()));
        Some(Ident { text, span })
    }

    /// Whether a name is a path that was read by [`Self::compound_name`]; a raw name may have points.
    fn is_path(&self, name: &Ident) -> bool {
        name.text.contains('.') && !self.written(name.span).starts_with("r#")
    }

    /// Takes out the fields that are paths, and reports each; tells whether there was one.
    pub(super) fn without_paths(&mut self, entries: &mut Vec<Entry>) -> bool {
        let is_path = |parser: &Self, entry: &Entry| matches!(entry, Entry::Field(field) if parser.is_path(&field.name));
        if !entries.iter().any(|entry| is_path(self, entry)) {
            return false;
        }
        let (paths, others): (Vec<Entry>, Vec<Entry>) =
            std::mem::take(entries).into_iter().partition(|entry| is_path(self, entry));
        let mut structs = BTreeMap::new();
        for entry in &others {
            if let Entry::Field(Field { name, value: Expr { kind: ExprKind::Struct(Struct { name: Some(of), .. }), .. } }) = entry
            {
                structs.entry(name.text.clone()).or_insert(of.text.clone());
            }
        }
        for entry in paths {
            if let Entry::Field(field) = entry {
                self.report_path(&field.name, &structs);
            }
        }
        *entries = others;
        true
    }

    fn report_path(&mut self, path: &Ident, structs: &BTreeMap<String, String>) {
        let (outer, inner) = path.text.split_once('.').unwrap_or((&path.text, ""));
        let name = structs.get(outer).map_or("", String::as_str);
        let inner = inner.replace('.', ": (");
        let closing = ")".repeat(inner.matches('(').count());
        let message = format!("a field has one name, and `{}` is a path", path.text);
        let found = Diagnostic::error(Code::SyntaxUnexpected, path.span, message).here("not the name of a field");
        let within = format!("write it within its struct: `{outer}: {name}({inner}: ..{closing})`");
        self.report(found.help(format!("{within}; only `--set` takes paths")));
    }

    /// `Type::Variant` is read as `Variant`, and `Type::new` as `Type`.
    pub(super) fn skip_path(&mut self) {
        while self.is(1, ':') && self.is(2, ':') && matches!(self.peek(3), Kind::Ident(_)) {
            let makes = matches!(self.peek(3), Kind::Ident(word) if word.starts_with(char::is_lowercase)) && !self.is(4, ':');
            let name = if makes { self.span() } else { self.span_of(3) };
            let path = if makes { self.span_of(1).to(self.span_of(3)) } else { self.span().to(self.span_of(2)) };
            let help = format!("write `{}` alone", self.written(name));
            if makes {
                self.replace_ahead(3, name);
            }
            (0..3).for_each(|_| self.bump());
            let message = if makes {
                "a struct is written without a function that makes it"
            } else {
                "a variant stands without the name of its type"
            };
            let found = Diagnostic::error(Code::SyntaxUnexpected, path, message).here("not expected here").help(help);
            self.report(found.fix("take it out", true, path, ""));
        }
    }

    /// `model.width` as a value: another field cannot be read from here.
    pub(super) fn path_value(&mut self, name: &Ident) -> Expr {
        let mut last = name.text.clone();
        while self.is(0, '.') {
            let Kind::Ident(part) = self.peek(1) else { break };
            last.clone_from(part);
            (0..2).for_each(|_| self.bump());
        }
        let span = name.span.to(self.last());
        let found = Diagnostic::error(Code::SyntaxUnexpected, span, "a value cannot be taken from another field").here("a path");
        let help =
            format!("name the value with `let` at the head of the file, `let {last} = ..;`, and write `{last}` here and there");
        self.report(found.help(help));
        self.poisoned(span)
    }

    /// Fields at the top of a file, without their struct: read where commas part them, else only reported.
    pub(super) fn bare_fields(&mut self) -> Expr {
        let start = self.span();
        let found = Diagnostic::error(Code::SyntaxUnexpected, start, "the fields of a recipe stand within `Recipe(` and `)`");
        let found = found.here("a field without its struct");
        if !self.has_commas() {
            self.report_the_rest_unread(
                found.help("put `Recipe(` before the first field and `)` after the last, and a `,` after each"),
            );
            return self.poisoned(start);
        }
        let mut entries = Vec::new();
        let (height, broken) = self.entries_to_the_end(&mut entries);
        let edit = |span: Span, text: &str| Edit { span, text: text.to_owned() };
        let edits = vec![edit(Span { end: start.start, ..start }, "Recipe("), edit(self.gap(), ")")];
        let found = found.help("put `Recipe(` before the first field and `)` after the last");
        self.report(found.edits("put `Recipe(` and `)` around the fields", false, edits));
        let fields = self.gather(None, entries, broken);
        self.grown(ExprKind::Struct(fields), start.to(self.last()), height)
    }

    /// Whether a comma ends the first field.
    fn has_commas(&self) -> bool {
        let (mut depth, mut ahead) = (0_usize, 2);
        loop {
            match self.peek(ahead) {
                Kind::End => return true,
                Kind::Punct(',') if depth == 0 => return true,
                Kind::Ident(_) if depth == 0 && (self.is(ahead + 1, ':') || self.is(ahead + 1, '=')) => return false,
                Kind::Punct('(' | '[' | '{') => depth += 1,
                Kind::Punct(')' | ']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            ahead += 1;
        }
    }

    /// Whether a section of TOML begins here: a name in brackets, and fields on the next line.
    pub(super) fn begins_section(&self) -> bool {
        let mut end = 2;
        while self.is(end, '.') && matches!(self.peek(end + 1), Kind::Ident(_)) {
            end += 2;
        }
        let named = self.is(0, '[') && matches!(self.peek(1), Kind::Ident(_)) && self.is(end, ']');
        named && self.leads_at(end + 1) && matches!(self.peek(end + 1), Kind::Ident(_) | Kind::Punct('['))
    }

    /// A file in sections, of which nothing is read.
    pub(super) fn sections(&mut self) -> Expr {
        let (start, name) = (self.span(), self.written(self.span_of(1)).to_owned());
        let found = Diagnostic::error(Code::SyntaxUnexpected, start.to(self.span_of(2)), "a recipe has no sections");
        let help =
            format!("everything stands within `Recipe(` and `)`: write `{name}: Name(field: value, ..),` in place of `[{name}]`");
        self.report_the_rest_unread(found.here("the name of a section").help(help));
        self.poisoned(start)
    }

    /// `import "base.ron"` before the recipe; tells whether one stands here.
    pub(super) fn import_statement(&mut self) -> bool {
        let called = self.is(1, '(') && self.is(3, ')');
        let path = if called { 2 } else { 1 };
        let (Kind::Ident(word), Kind::Text(file)) = (self.kind(), self.peek(path)) else { return false };
        let alone = called && *self.peek(4) == Kind::End;
        if !is_import(word) || alone {
            return false;
        }
        let (start, help) = (self.span(), format!("write `..import(\"{file}\")` as the last entry of `Recipe(..)`"));
        (0..=path + usize::from(called)).for_each(|_| self.bump());
        let span = start.to(self.last());
        let _ = self.eat(';') || self.eat(',');
        let found = Diagnostic::error(Code::SyntaxUnexpected, span, "an import stands in the struct that it completes");
        self.report(found.here("not expected here").help(help));
        true
    }

    /// What `name (value)` without its colon gives the field.
    pub(super) fn without_name(kind: ExprKind) -> ExprKind {
        match kind {
            ExprKind::Tuple(Tuple { items, .. }) => match <[Expr; 1]>::try_from(items) {
                Ok([only]) => ExprKind::Group(Box::new(only)),
                Err(items) => ExprKind::Tuple(Tuple { name: None, items }),
            },
            ExprKind::Struct(record) => ExprKind::Struct(Struct { name: None, ..record }),
            other => other,
        }
    }
}

/// Whether a word is how some language takes over another file.
pub(super) fn is_import(word: &str) -> bool {
    matches!(word, "import" | "include" | "extends" | "extend" | "inherit" | "inherits" | "use" | "require")
}
