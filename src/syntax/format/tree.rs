//! From a text without syntax errors to what is printed: entries in brackets, each a row of tokens and brackets, with the comments
//! where they will stand.
//!
//! Invariant: every token but the commas, and every comment, is in the tree once; no tree is deeper than the parser's limit.

use super::super::lexer::{Kind, Token, lex};
use super::super::literal::number;
use super::super::trivia::{Comment, Gap, gap};
use crate::source::{SourceId, Span};

/// What stands in brackets, or the statements of a file.
#[derive(Debug, Default)]
pub(super) struct Body<'t> {
    /// Comments on the line of the opening bracket.
    pub opening: Vec<Comment<'t>>,
    pub entries: Vec<Entry<'t>>,
    /// Comments on lines of their own before the closing bracket.
    pub closing: Vec<Comment<'t>>,
    /// Whether there are no entries, and all comments stand on one line with both brackets.
    pub snug: bool,
}

/// What stands between two commas, or a statement of a file.
#[derive(Debug, Default)]
pub(super) struct Entry<'t> {
    /// Comments before it, the first of them on a line of its own.
    pub own: Vec<Comment<'t>>,
    /// Whether an empty line stands just before it.
    pub blank: bool,
    pub pieces: Vec<Piece<'t>>,
    /// Comments before the comma.
    pub tail: Vec<Comment<'t>>,
    /// Comments after the comma.
    pub trailing: Vec<Comment<'t>>,
    /// Whether its pieces cannot stand on one line.
    pub hard: bool,
    /// Whether a bracket in it had a comma at its end, and so stays broken.
    pub magic: bool,
}

/// A token or a bracket.
#[derive(Debug)]
pub(super) struct Piece<'t> {
    /// Comments before it.
    pub gap: Vec<Comment<'t>>,
    pub shape: Shape<'t>,
}

/// What a [`Piece`] is.
#[derive(Debug)]
pub(super) enum Shape<'t> {
    Token(Role, &'t str),
    Group(Group<'t>),
}

/// What a token does, as far as the blanks around it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Name,
    Number,
    /// A unit; whether it may touch its number.
    Unit(bool),
    /// A text or a character.
    Text,
    /// `*` and `/`
    Times,
    /// `+` and `-` between two values.
    Plus,
    /// `+` and `-` before a value.
    Sign,
    /// `:` and `;`
    Colon,
    /// `=`
    Equals,
    /// `..`
    Dots,
}

/// Brackets and what is in them.
#[derive(Debug)]
pub(super) struct Group<'t> {
    pub open: &'static str,
    pub close: &'static str,
    pub body: Body<'t>,
    pub comma: Comma,
    /// Whether it holds a comment or a text that needs lines of its own.
    pub hard: bool,
    /// Whether it or a bracket in it had a comma at its end that only says that it stays broken; or it is the struct of the file.
    pub magic: bool,
}

/// The comma after the last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comma {
    /// It means nothing: there where the bracket is broken.
    Free,
    /// It makes a tuple of one.
    Always,
    /// It would make a tuple of a value in parentheses.
    Never,
}

/// Reads a text that the parser accepts.
///
/// # Errors
/// The place of a closing bracket that closes nothing. The parser refuses those; if it ever let one pass, what comes after it would be lost
/// here.
pub(super) fn read(source: SourceId, text: &str) -> Result<Body<'_>, Span> {
    let tokens = lex(source, text).tokens;
    let mut ends = 0;
    let gaps = tokens.iter().map(|token| {
        let between = text.get(ends..token.span.start as usize).unwrap_or_default();
        ends = token.span.end as usize;
        gap(between.strip_prefix('\u{feff}').unwrap_or(between))
    });
    let mut reader = Reader { text, gaps: gaps.collect(), tokens, at: 0 };
    if let Some(first) = reader.gaps.first_mut().and_then(|gap| gap.comments.first_mut()) {
        // At the head of a file nothing stands before a comment that it could belong to.
        first.newlines = 1;
    }
    let (mut body, _) = reader.body(false);
    if let Some(left) = reader.tokens.get(reader.at).filter(|token| token.kind != Kind::End) {
        return Err(left.span);
    }
    if let Some(Shape::Group(group)) = body.entries.last_mut().and_then(|e| e.pieces.last_mut()).map(|piece| &mut piece.shape) {
        group.magic |= group.open == "(" && group.body.entries.iter().any(|entry| !is_item(entry));
    }
    for entry in &mut body.entries {
        entry.weigh();
    }
    Ok(body)
}

struct Reader<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    /// What stands before each token; empty once it was taken.
    gaps: Vec<Gap<'t>>,
    at: usize,
}

impl<'t> Reader<'t> {
    fn kind(&self) -> &Kind {
        self.tokens.get(self.at).map_or(&Kind::End, |token| &token.kind)
    }

    fn at_end(&self) -> bool {
        matches!(self.kind(), Kind::End | Kind::Punct(')' | ']' | '}'))
    }

    fn take_gap(&mut self) -> Gap<'t> {
        self.gaps.get_mut(self.at).map(std::mem::take).unwrap_or_default()
    }

    /// The entries up to the closing bracket, or the statements of the file; and whether a comma stands after the last entry.
    fn body(&mut self, bracket: bool) -> (Body<'t>, bool) {
        let (mut body, mut comma) = (Body::default(), false);
        let gap = self.take_gap();
        let inline = |c: &Comment| !c.line && c.newlines == 0 && !c.text.contains('\n');
        body.snug = self.at_end() && gap.newlines == 0 && gap.comments.iter().all(inline);
        let mut between = split(gap, self.at_end());
        body.opening = std::mem::take(&mut between.trailing);
        while !self.at_end() {
            let pieces = self.pieces(between.inline);
            let (tail, gap);
            (tail, gap, comma) = self.end_of_entry(bracket);
            let after = split(gap, self.at_end());
            let (own, blank) = (between.own, between.blank);
            let mut entry = Entry { own, blank, pieces, tail, trailing: after.trailing, hard: false, magic: false };
            entry.weigh();
            body.entries.push(entry);
            between = Between { trailing: Vec::new(), ..after };
        }
        body.closing = between.own;
        (body, comma)
    }

    /// Takes the comma after an entry. Gives the comments that stay before it, what comes after it, and whether it is there.
    fn end_of_entry(&mut self, bracket: bool) -> (Vec<Comment<'t>>, Gap<'t>, bool) {
        let mut before = self.take_gap();
        let comma = *self.kind() == Kind::Punct(',');
        if !bracket {
            return (Vec::new(), before, false);
        }
        let stays = |comment: &Comment| !comment.line && (comma || comment.newlines == 0);
        let moved = before.comments.iter().position(|c| !stays(c)).unwrap_or(before.comments.len());
        let moved = before.comments.split_off(moved);
        let tail = before.comments;
        let mut after = Gap { comments: moved, newlines: before.newlines };
        if comma {
            self.at += 1;
            let next = self.take_gap();
            // The comma is put before the comments that stood before it, so what came after it now comes after them.
            let skipped = if after.comments.is_empty() { 0 } else { before.newlines };
            after.newlines = if next.comments.is_empty() { skipped.max(next.newlines) } else { next.newlines };
            let first = after.comments.len();
            after.comments.extend(next.comments);
            if let Some(comment) = after.comments.get_mut(first) {
                comment.newlines = comment.newlines.max(skipped);
            }
        }
        (tail, after, comma)
    }

    /// The tokens and brackets up to a comma, a closing bracket or the end of a statement.
    fn pieces(&mut self, inline: Vec<Comment<'t>>) -> Vec<Piece<'t>> {
        let mut pieces: Vec<Piece<'t>> = Vec::new();
        let mut inline = Some(inline);
        while !self.at_end() && *self.kind() != Kind::Punct(',') {
            let gap = inline.take().unwrap_or_else(|| self.take_gap().comments);
            let shape = match self.kind() {
                Kind::Punct('(') => self.group(("(", ")"), ')', pieces.last()),
                Kind::Punct('[') => self.group(("[", "]"), ']', None),
                _ => self.token(pieces.last()),
            };
            let ends = matches!(shape, Shape::Token(Role::Colon, ";"));
            pieces.push(Piece { gap, shape });
            if ends {
                break;
            }
        }
        pieces
    }

    fn group(&mut self, (open, close): (&'static str, &'static str), closer: char, before: Option<&Piece<'t>>) -> Shape<'t> {
        self.at += 1;
        let (body, comma_at_end) = self.body(true);
        if *self.kind() == Kind::Punct(closer) {
            self.at += 1;
        }
        let named = matches!(before, Some(Piece { shape: Shape::Token(Role::Name, _), .. }));
        let comma = match body.entries.as_slice() {
            [only] if open == "(" && !named && is_item(only) => {
                if comma_at_end {
                    Comma::Always
                } else {
                    Comma::Never
                }
            }
            _ => Comma::Free,
        };
        let needs_lines = |e: &Entry| e.hard || !e.own.is_empty() || !e.trailing.is_empty();
        let hard = !(body.snug || body.opening.is_empty()) || !body.closing.is_empty() || body.entries.iter().any(needs_lines);
        let magic = (comma_at_end && comma == Comma::Free) || body.entries.iter().any(|entry| entry.magic);
        Shape::Group(Group { open, close, body, comma, hard, magic })
    }

    fn token(&mut self, before: Option<&Piece<'t>>) -> Shape<'t> {
        let Some(token) = self.tokens.get(self.at) else { return Shape::Token(Role::Text, "") };
        let text = self.text.get(token.span.start as usize..token.span.end as usize).unwrap_or_default();
        let number = match before {
            Some(Piece { shape: Shape::Token(Role::Number, number), .. }) => Some(*number),
            _ => None,
        };
        let role = match (&token.kind, number) {
            (Kind::Ident(_) | Kind::Punct('%'), Some(number)) => Role::Unit(may_touch(number, text)),
            (Kind::Ident(_), None) => Role::Name,
            (Kind::Number(_), _) => Role::Number,
            (Kind::Punct(':' | ';'), _) => Role::Colon,
            (Kind::Punct('='), _) => Role::Equals,
            (Kind::Punct('*' | '/'), _) => Role::Times,
            (Kind::Punct('+' | '-'), _) if ends_value(before) => Role::Plus,
            (Kind::Punct('+' | '-'), _) => Role::Sign,
            (Kind::Dots, _) => Role::Dots,
            _ => Role::Text,
        };
        self.at += 1;
        Shape::Token(role, text)
    }
}

impl Entry<'_> {
    /// Finds out what its pieces say about lines.
    fn weigh(&mut self) {
        let needs_lines = |c: &Comment| c.line || c.text.contains('\n');
        self.hard = self.tail.iter().any(needs_lines) || self.pieces.iter().any(|p| p.gap.iter().any(needs_lines));
        for piece in &self.pieces {
            match &piece.shape {
                Shape::Token(_, text) => self.hard |= text.contains('\n'),
                Shape::Group(group) => (self.hard, self.magic) = (self.hard | group.hard, self.magic | group.magic),
            }
        }
    }
}

/// Whether an entry is a value without a name.
fn is_item(entry: &Entry) -> bool {
    let shape = |i: usize| entry.pieces.get(i).map(|piece| &piece.shape);
    !matches!(shape(0), Some(Shape::Token(Role::Dots, _))) && !matches!(shape(1), Some(Shape::Token(Role::Colon, ":")))
}

/// Whether a value ends here, so that a `+` or `-` after it is no sign.
fn ends_value(piece: Option<&Piece>) -> bool {
    use Role::{Name, Number, Text, Unit};
    match piece.map(|piece| &piece.shape) {
        Some(Shape::Token(role, _)) => matches!(role, Name | Number | Unit(_) | Text),
        Some(Shape::Group(_)) => true,
        None => false,
    }
}

/// Whether a number reads the same with its unit right after it; `0x10B` and `1e5` would be other numbers.
fn may_touch(digits: &str, unit: &str) -> bool {
    matches!(number(&format!("{digits}{unit}")), Ok((rest, Ok(_))) if rest == unit)
}

/// Where the comments between two entries belong.
struct Between<'t> {
    /// To the line of what stands before them.
    trailing: Vec<Comment<'t>>,
    /// To lines of their own.
    own: Vec<Comment<'t>>,
    /// To the line of the entry that follows.
    inline: Vec<Comment<'t>>,
    /// Whether an empty line stands before that entry.
    blank: bool,
}

fn split(gap: Gap<'_>, at_end: bool) -> Between<'_> {
    let Gap { mut comments, newlines } = gap;
    let shares_next_line = |newlines: usize| newlines == 0 && !at_end;
    let (mut from, mut before_next) = (comments.len(), newlines);
    while let Some(comment) = from.checked_sub(1).and_then(|i| comments.get(i)) {
        if comment.line || !shares_next_line(before_next) {
            break;
        }
        (from, before_next) = (from - 1, comment.newlines);
    }
    let inline = comments.split_off(from);
    let mut trails = 0;
    while comments.get(trails).is_some_and(|comment| comment.newlines == 0) {
        trails += 1;
    }
    let own = comments.split_off(trails);
    Between { trailing: comments, own, inline, blank: before_next >= 2 }
}
