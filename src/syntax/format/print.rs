//! From the tree of a text to its lines.
//!
//! Invariant: each entry and each bracket is tried on one line a bounded number of times, and a try costs no more than a line; so
//! the time is linear in the text.

use super::super::trivia::Comment;
use super::tree::{Body, Comma, Entry, Group, Piece, Role, Shape};

/// Columns of a line, in characters.
const WIDTH: usize = 100;

/// Blanks of a level.
const STEP: usize = 4;

/// Prints a file.
pub(super) fn print(file: &Body) -> String {
    let mut printer = Printer { out: String::new(), column: 0, line_starts: true, limit: usize::MAX, overflows: false };
    let last = file.entries.len().saturating_sub(1);
    for (i, entry) in file.entries.iter().enumerate() {
        let apart = entry.blank || entry.own.iter().any(|comment| comment.newlines >= 2);
        printer.entry(entry, Place { indent: 0, first: i == 0, blank: i == last && !apart, end: "" });
    }
    printer.own(&file.closing, 0, false, false);
    printer.out.push('\n');
    printer.out
}

/// Where an entry stands.
#[derive(Clone, Copy)]
struct Place {
    indent: usize,
    /// Whether nothing stands before it in its brackets.
    first: bool,
    /// Whether an empty line is put before it and its comments.
    blank: bool,
    /// The comma after it, or nothing.
    end: &'static str,
}

struct Printer {
    out: String,
    /// Characters on the line.
    column: usize,
    /// Whether nothing but blanks stands on the line.
    line_starts: bool,
    /// Columns that may be used; a limit is set only while something is tried.
    limit: usize,
    /// Whether the limit was reached; nothing more is printed then.
    overflows: bool,
}

/// A place to go back to.
#[derive(Clone, Copy)]
struct Mark {
    length: usize,
    column: usize,
    line_starts: bool,
}

impl Printer {
    fn put(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let room = self.limit.saturating_sub(self.column);
        if self.overflows || (self.limit != usize::MAX && text.chars().nth(room).is_some()) {
            self.overflows = true;
            return;
        }
        self.out.push_str(text);
        self.column = match text.rsplit_once('\n') {
            Some((_, line)) => line.chars().count(),
            None => self.column + text.chars().count(),
        };
        self.line_starts = false;
    }

    /// Begins a line.
    fn line(&mut self, indent: usize) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.extend(std::iter::repeat_n(' ', indent));
        (self.column, self.line_starts) = (indent, true);
    }

    fn blank_line(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn mark(&self) -> Mark {
        Mark { length: self.out.len(), column: self.column, line_starts: self.line_starts }
    }

    fn back(&mut self, mark: Mark) {
        self.out.truncate(mark.length);
        (self.column, self.line_starts) = (mark.column, mark.line_starts);
    }

    /// Prints something if it fits on the line, else nothing.
    fn fits(&mut self, print: impl FnOnce(&mut Self)) -> bool {
        let mark = self.mark();
        self.limit = WIDTH;
        print(self);
        self.limit = usize::MAX;
        let fits = !std::mem::replace(&mut self.overflows, false);
        if !fits {
            self.back(mark);
        }
        fits
    }

    fn comment(&mut self, comment: &Comment) {
        if !comment.text.contains("\r\n") {
            return self.put(comment.text);
        }
        // All of several carriage returns, else the next formatting would take another.
        let (last, lines) = comment.text.rsplit_once('\n').map_or((comment.text, ""), |(lines, last)| (last, lines));
        let lines: Vec<&str> = lines.split('\n').map(|line| line.trim_end_matches('\r')).chain([last]).collect();
        self.put(&lines.join("\n"));
    }

    /// Comments after something on its line.
    fn after(&mut self, comments: &[Comment]) {
        for comment in comments {
            self.put(" ");
            self.comment(comment);
        }
    }

    /// Comments on lines of their own; an empty line before the first of them where it had one and is not `first`, or where `blank`.
    fn own(&mut self, comments: &[Comment], indent: usize, first: bool, blank: bool) {
        for (i, comment) in comments.iter().enumerate() {
            if i > 0 && comment.newlines == 0 {
                self.put(" ");
            } else {
                if (comment.newlines >= 2 && !(i == 0 && first)) || (i == 0 && blank) {
                    self.blank_line();
                }
                self.line(indent);
            }
            self.comment(comment);
        }
    }

    /// An entry on lines of its own, with its comments.
    fn entry(&mut self, entry: &Entry, place: Place) {
        self.own(&entry.own, place.indent, place.first, place.blank);
        let apart = if entry.own.is_empty() { (entry.blank || place.blank) && !place.first } else { entry.blank };
        if apart {
            self.blank_line();
        }
        self.line(place.indent);
        let before = self.mark();
        let fits = !entry.hard && self.fits(|p| p.flat_entry(entry, place.end));
        if !fits {
            self.lines(entry, place, !entry.hard);
        } else if entry.magic {
            self.back(before);
            self.lines(entry, place, false);
        }
        self.after(&entry.trailing);
    }

    /// An entry without its comma at the end and without the comments around it, on one line.
    fn flat_entry(&mut self, entry: &Entry, end: &str) {
        for (i, piece) in entry.pieces.iter().enumerate() {
            if self.overflows {
                return;
            }
            self.gap(before(entry, i), piece, None);
            match &piece.shape {
                Shape::Token(_, text) => self.put(text),
                Shape::Group(group) => self.flat_group(group),
            }
        }
        self.after(&entry.tail);
        self.put(end);
    }

    fn flat_group(&mut self, group: &Group) {
        self.put(group.open);
        for (i, comment) in group.body.opening.iter().enumerate() {
            self.put(if i > 0 { " " } else { "" });
            self.comment(comment);
        }
        let last = group.body.entries.len().saturating_sub(1);
        for (i, entry) in group.body.entries.iter().enumerate() {
            if self.overflows {
                return;
            }
            let comma = i < last || group.comma == Comma::Always;
            self.put(if i > 0 { " " } else { "" });
            self.flat_entry(entry, if comma { "," } else { "" });
        }
        self.put(group.close);
    }

    /// An entry on as many lines as it needs; `long` where it is too long for one, so that a sum or product has a line for each operand.
    fn lines(&mut self, entry: &Entry, place: Place, long: bool) {
        let broken_at = if long { loosest(entry) } else { None };
        let further = place.indent + STEP;
        let mut indent = place.indent;
        for (i, piece) in entry.pieces.iter().enumerate() {
            let breaks = broken_at.is_some_and(|role| role == role_of(piece));
            if breaks && !piece.gap.iter().any(|c| c.line) {
                self.line(further);
            }
            self.gap(before(entry, i), piece, Some(further));
            if breaks || piece.gap.iter().any(|c| c.line) {
                indent = further;
            }
            match &piece.shape {
                Shape::Token(_, text) => self.put(text),
                Shape::Group(group) => self.group(group, indent, |p| p.rest_of_line(entry, i, broken_at, place.end)),
            }
        }
        self.after(&entry.tail);
        self.put(place.end);
    }

    /// What comes on the line after a bracket, up to where the line could be broken next.
    fn rest_of_line(&mut self, entry: &Entry, from: usize, broken_at: Option<Role>, end: &str) {
        for (i, piece) in entry.pieces.iter().enumerate().skip(from + 1) {
            let breaks = broken_at.is_some_and(|role| role == role_of(piece)) || piece.gap.iter().any(|c| c.line);
            if self.overflows || breaks {
                return;
            }
            self.gap(before(entry, i), piece, None);
            match &piece.shape {
                Shape::Token(_, text) => self.put(text),
                Shape::Group(group) => return self.put(group.open),
            }
        }
        self.after(&entry.tail);
        self.put(end);
    }

    /// Brackets, on one line where they and what follows them fit.
    fn group(&mut self, group: &Group, indent: usize, rest: impl FnOnce(&mut Self)) {
        if group.body.snug {
            return self.flat_group(group);
        }
        if !group.hard && !group.magic {
            let mut end = None;
            let fits = self.fits(|p| {
                p.flat_group(group);
                end = Some(p.mark());
                rest(p);
            });
            if let (true, Some(end)) = (fits, end) {
                return self.back(end);
            }
        }
        self.put(group.open);
        self.after(&group.body.opening);
        let inner = indent + STEP;
        let last = group.body.entries.len().saturating_sub(1);
        for (i, entry) in group.body.entries.iter().enumerate() {
            let end = if i == last && group.comma == Comma::Never { "" } else { "," };
            self.entry(entry, Place { indent: inner, first: i == 0, blank: false, end });
        }
        self.own(&group.body.closing, inner, group.body.entries.is_empty(), false);
        self.line(indent);
        self.put(group.close);
    }

    /// The comments before a piece, and the blank before it. Without an indentation there are no lines to begin.
    fn gap(&mut self, before: Option<&Piece>, piece: &Piece, indent: Option<usize>) {
        let mut touches = self.line_starts || before.is_none();
        for comment in &piece.gap {
            if let (true, true, false, Some(indent)) = (comment.line, comment.newlines > 0, self.line_starts, indent) {
                self.line(indent);
                touches = true;
            }
            self.put(if touches { "" } else { " " });
            self.comment(comment);
            touches = false;
            if let (true, Some(indent)) = (comment.line, indent) {
                self.line(indent);
                touches = true;
            }
        }
        let apart = if piece.gap.is_empty() { apart(before, piece) } else { role_of(piece) != Role::Colon };
        if apart && !touches {
            self.put(" ");
        }
    }
}

fn before<'a, 't>(entry: &'a Entry<'t>, i: usize) -> Option<&'a Piece<'t>> {
    i.checked_sub(1).and_then(|i| entry.pieces.get(i))
}

/// What a piece does; brackets are like texts.
fn role_of(piece: &Piece) -> Role {
    match piece.shape {
        Shape::Token(role, _) => role,
        Shape::Group(_) => Role::Text,
    }
}

/// Whether a blank stands between two pieces.
fn apart(before: Option<&Piece>, piece: &Piece) -> bool {
    match (before.map(role_of), role_of(piece)) {
        (None | Some(Role::Sign | Role::Dots), _) | (_, Role::Colon) => false,
        (Some(Role::Name), _) => !matches!(piece.shape, Shape::Group(_)),
        (_, Role::Unit(may_touch)) => !may_touch,
        _ => true,
    }
}

/// The operators of a value that bind least.
fn loosest(entry: &Entry) -> Option<Role> {
    [Role::Plus, Role::Times].into_iter().find(|role| entry.pieces.iter().any(|piece| role_of(piece) == *role))
}
