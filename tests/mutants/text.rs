//! Changing a text in several places and knowing where everything went; and finding brackets and commas without the parser.

use std::ops::Range;

use super::Mistake;

/// Bytes of the recipe and what is written in their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is taken out; empty for an insertion.
    pub at: Range<usize>,
    /// What is put there.
    pub with: String,
}

/// A place of the new text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// What these bytes of the recipe became.
    Became(Range<usize>),
    /// Bytes of what the edit of this number wrote.
    Written(usize, Range<usize>),
}

/// A recipe after all edits of all its mistakes.
#[derive(Debug)]
pub struct Rewritten {
    /// The new text.
    pub text: String,
    /// Mistake, edit, what was replaced, and where the replacement begins.
    moves: Vec<Move>,
}

#[derive(Debug)]
struct Move {
    mistake: usize,
    edit: usize,
    at: Range<usize>,
    length: usize,
    start: usize,
}

impl Rewritten {
    /// Applies the edits of mistakes that do not overlap.
    pub fn of(text: &str, mistakes: &[Mistake]) -> Self {
        let mut edits: Vec<(usize, usize, &Edit)> = Vec::new();
        for (m, mistake) in mistakes.iter().enumerate() {
            edits.extend(mistake.edits.iter().enumerate().map(|(e, edit)| (m, e, edit)));
        }
        edits.sort_by_key(|(m, e, edit)| (edit.at.start, edit.at.end, *m, *e));
        let (mut new, mut moves, mut done) = (String::new(), Vec::new(), 0);
        for (mistake, edit, Edit { at, with }) in edits {
            assert!(done <= at.start, "edits overlap at byte {}", at.start);
            new.push_str(&text[done..at.start]);
            moves.push(Move { mistake, edit, at: at.clone(), length: with.len(), start: new.len() });
            new.push_str(with);
            done = at.end;
        }
        new.push_str(&text[done..]);
        Self { text: new, moves }
    }

    /// Where a place of a mistake came to stand.
    pub fn locate(&self, mistake: usize, place: &Place) -> Range<usize> {
        match place {
            Place::Became(range) => {
                let start = self.moved(range.start, true);
                start..self.moved(range.end, false).max(start)
            }
            Place::Written(edit, within) => {
                let start = self.moves.iter().find(|m| m.mistake == mistake && m.edit == *edit).map_or(0, |m| m.start);
                start + within.start..start + within.end
            }
        }
    }

    /// A byte of the recipe in the new text; what is inserted just there comes before a start and after an end.
    fn moved(&self, at: usize, is_start: bool) -> usize {
        let (mut taken, mut written) = (0, 0);
        for m in &self.moves {
            let insertion = m.at.is_empty();
            if m.at.end < at || m.at.end == at && (!insertion || is_start) {
                taken += m.at.len();
                written += m.length;
            } else if m.at.start < at {
                return m.start;
            }
        }
        at - taken + written
    }
}

/// A bracket or a comma outside of texts and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its byte.
    pub at: usize,
    /// `(`, `)`, `[`, `]`, `{`, `}` or `,`.
    pub sign: char,
}

/// A text cut into what the scanner tells apart, without the parser.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Every bracket and comma outside of texts and comments.
    pub marks: Vec<Mark>,
    /// The text with blanks in place of its comments; bytes stay where they are.
    pub plain: String,
}

/// Finds brackets, commas and comments.
pub fn scan(text: &str) -> Scanned {
    let (mut out, mut at) = (Scanned::default(), 0);
    while let Some(&byte) = text.as_bytes().get(at) {
        let rest = &text[at..];
        let is_comment = rest.starts_with("//") || rest.starts_with("/*");
        let length = match byte {
            b'"' => quoted(rest, '"'),
            b'\'' => quoted(rest, '\''),
            b'r' if is_raw(rest) && !continues_name(text, at) => raw(rest),
            b'/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => comment(rest),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        if matches!(byte, b'(' | b')' | b'[' | b']' | b'{' | b'}' | b',') {
            out.marks.push(Mark { at, sign: char::from(byte) });
        }
        if is_comment {
            out.plain.push_str(&" ".repeat(length));
        } else {
            out.plain.push_str(&rest[..length]);
        }
        at += length;
    }
    out
}

/// Length of a text in quotes, escapes taken as two characters.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

fn is_raw(rest: &str) -> bool {
    rest[1..].trim_start_matches('#').starts_with('"')
}

fn continues_name(text: &str, at: usize) -> bool {
    text[..at].ends_with(is_word)
}

/// Length of `r#"..."#`.
fn raw(rest: &str) -> usize {
    let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let body = hashes + 2;
    rest.get(body..).and_then(|r| r.find(&end)).map_or(rest.len(), |found| body + found + end.len())
}

/// Length of a comment, with those in it.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Whether a character may stand in a name or number.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The word or sign that ends before a byte, blanks skipped.
pub fn before(text: &str, at: usize) -> Range<usize> {
    let end = text[..at].trim_end().len();
    let words = end - text[..end].trim_end_matches(is_word).len();
    let length = words.max(text[..end].chars().next_back().map_or(0, char::len_utf8));
    end - length..end
}

/// The word or sign that begins after a byte, blanks skipped.
pub fn after(text: &str, at: usize) -> Range<usize> {
    let rest = text[at..].trim_start();
    let start = text.len() - rest.len();
    let words = rest.len() - rest.trim_start_matches(is_word).len();
    let length = words.max(rest.chars().next().map_or(0, char::len_utf8));
    start..start + length
}
