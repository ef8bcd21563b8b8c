//! Where something comes from.

use std::ops::Range;

use super::cursor::{Cursor, Place};
use crate::source::SourceId;
use crate::syntax::{Kind, Token, tokens};

/// Where something comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Another file, by its path as it is written.
    File(String),
    /// A place in the same text, in bytes.
    Here(Range<usize>),
}

/// Where the path or name at a byte of a text comes from, and the bytes of that path or name.
pub fn definition(text: &str, offset: usize) -> Option<(Range<usize>, Target)> {
    let all = tokens(SourceId(0), text);
    let token = token_at(&all, offset)?;
    let range = range(token);
    let cursor = Cursor::at(text, range.start);
    match &token.kind {
        Kind::Text(path) if cursor.in_import() => Some((range, Target::File(path.clone()))),
        Kind::Ident(name) => {
            // A use in its own definition or above it is an error, and yet one wants to see what is meant.
            let definition = all.windows(3).find_map(|three| match three {
                [word, defined, equals] => {
                    let is_let = word.kind == Kind::Ident("let".into()) && equals.kind == Kind::Punct('=');
                    (is_let && defined.kind == Kind::Ident(name.clone())).then_some(defined)
                }
                _ => None,
            })?;
            stands_for_value(&all, token, &cursor).then(|| (range, Target::Here(self::range(definition))))
        }
        _ => None,
    }
}

/// Whether a name is a value, and not that of a field, a unit or a definition.
pub(super) fn stands_for_value(all: &[Token], token: &Token, cursor: &Cursor) -> bool {
    matches!(cursor.place, Place::Value | Place::Entry | Place::Top) && !names_field(all, token)
}

/// Whether `:` or `=` follows.
pub(super) fn names_field(all: &[Token], token: &Token) -> bool {
    let next = all.iter().find(|other| other.span.start >= token.span.end && other.kind != Kind::End);
    next.is_some_and(|next| matches!(next.kind, Kind::Punct(':' | '=')))
}

/// The token at a byte: the one that begins or goes on there, else the one that ends there.
pub(super) fn token_at(all: &[Token], offset: usize) -> Option<&Token> {
    let held = all.iter().filter(|t| t.kind != Kind::End && t.span.start as usize <= offset && offset <= t.span.end as usize);
    let held: Vec<&Token> = held.collect();
    let worded = |t: &&Token| matches!(t.kind, Kind::Punct('%')) || !matches!(t.kind, Kind::Punct(_) | Kind::Dots);
    let goes_on = |t: &&Token| offset < t.span.end as usize;
    let best = held.iter().copied().find(|t| worded(t) && goes_on(t));
    best.or_else(|| held.iter().copied().rfind(worded)).or_else(|| held.iter().copied().find(goes_on))
}

pub(super) fn range(token: &Token) -> Range<usize> {
    token.span.start as usize..token.span.end as usize
}
