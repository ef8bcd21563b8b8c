//! The tree that a text parses to. Nothing is resolved in it: names are names, units are letters, sums are sums.
//!
//! Invariant: every node carries the span it was written at, and no tree is higher than the parser's depth limit, so walking or
//! dropping one never overflows the stack.

use crate::source::Span;

/// A whole file: `let` names, then one value.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The names at the head of the file, in order.
    pub lets: Vec<Let>,
    /// The value of the file.
    pub value: Expr,
    /// Whether the name of a `let` could not be read, so that a name may be defined all the same.
    pub broken: bool,
}

/// `let name = value;`
#[derive(Clone, Debug, PartialEq)]
pub struct Let {
    /// What is defined.
    pub name: Ident,
    /// What it stands for.
    pub value: Expr,
    /// From `let` to the end of the value.
    pub span: Span,
}

/// A name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    /// The name.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// Something that has a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// What an [`Expr`] is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `24h`, `60%`, `1e-3`.
    Number(Number),
    /// A string.
    Text(String),
    /// A character in single quotes.
    Char(char),
    /// `true` or `false`.
    Bool(bool),
    /// A `let` name or a variant without fields.
    Name(Ident),
    /// `Name(field: value)` or `(field: value)`; also with nothing in the parentheses.
    Struct(Struct),
    /// `Name(value)`, `(value, value)` or `(value,)`.
    Tuple(Tuple),
    /// `[value, value]`.
    List(Vec<Expr>),
    /// `left + right`.
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// `-value`.
    Negate(Box<Expr>),
    /// `(value)`: arithmetic where the value is a number, else a tuple of one.
    Group(Box<Expr>),
    /// Stands where an error was reported.
    Poisoned,
}

/// A number as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numeric {
    /// Without point or exponent.
    Integer(i128),
    /// With either; always finite.
    Float(f64),
}

impl Numeric {
    /// The nearest float.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Integer(n) => n as f64,
            Self::Float(x) => x,
        }
    }
}

/// A number and the unit after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// The number without its unit.
    pub value: Numeric,
    /// The unit; `%` too.
    pub unit: Option<Ident>,
}

/// Named values in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// The name before the parentheses.
    pub name: Option<Ident>,
    /// The fields in the order they were written; a name may occur twice.
    pub fields: Vec<Field>,
    /// `..import("path")` at the end.
    pub rest: Option<Rest>,
    /// Whether something in it could not be read, so that fields may be hidden there.
    pub broken: bool,
}

/// `name: value`
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The name of the field.
    pub name: Ident,
    /// Its value.
    pub value: Expr,
}

/// `..` and what follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rest {
    /// From `..` on.
    pub span: Span,
    /// The import; absent where an error was reported.
    pub import: Option<Import>,
}

/// `import("path")`
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The path as it was written.
    pub path: String,
    /// Where it was written, quotes included.
    pub path_span: Span,
}

/// `path=value` on the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The names of the path, at least one.
    pub path: Vec<Ident>,
    /// What is put there.
    pub value: Expr,
}

impl Override {
    /// The path as it was written, without blanks.
    pub fn path_text(&self) -> String {
        self.path.iter().map(|name| name.text.as_str()).collect::<Vec<_>>().join(".")
    }

    /// Where the path stands.
    pub fn path_span(&self) -> Span {
        match (self.path.first(), self.path.last()) {
            (Some(first), Some(last)) => first.span.to(last.span),
            _ => self.value.span,
        }
    }
}

/// Values without names in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuple {
    /// The name before the parentheses.
    pub name: Option<Ident>,
    /// The values.
    pub items: Vec<Expr>,
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

impl Document {
    /// The same tree with every span empty: two texts that say the same thing in another layout give equal ones.
    #[must_use]
    pub fn without_spans(mut self) -> Self {
        for definition in &mut self.lets {
            definition.span = Span::default();
            definition.name.span = Span::default();
            definition.value.forget_spans();
        }
        self.value.forget_spans();
        self
    }
}

impl Expr {
    fn forget_spans(&mut self) {
        self.span = Span::default();
        match &mut self.kind {
            ExprKind::Number(Number { unit: Some(name), .. }) | ExprKind::Name(name) => name.span = Span::default(),
            ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Char(_) | ExprKind::Bool(_) | ExprKind::Poisoned => (),
            ExprKind::Struct(body) => body.forget_spans(),
            ExprKind::Tuple(Tuple { name, items }) => {
                forget_name(name);
                items.iter_mut().for_each(Self::forget_spans);
            }
            ExprKind::List(items) => items.iter_mut().for_each(Self::forget_spans),
            ExprKind::Binary(_, left, right) => {
                left.forget_spans();
                right.forget_spans();
            }
            ExprKind::Negate(value) | ExprKind::Group(value) => value.forget_spans(),
        }
    }
}

impl Struct {
    fn forget_spans(&mut self) {
        forget_name(&mut self.name);
        for field in &mut self.fields {
            field.name.span = Span::default();
            field.value.forget_spans();
        }
        if let Some(rest) = &mut self.rest {
            rest.span = Span::default();
            if let Some(import) = &mut rest.import {
                import.path_span = Span::default();
            }
        }
    }
}

fn forget_name(name: &mut Option<Ident>) {
    if let Some(name) = name {
        name.span = Span::default();
    }
}
