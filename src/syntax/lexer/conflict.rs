//! The lines that a merge leaves in a file where both sides changed it. The first side is read, the other one passed over.
//!
//! Invariant: no line is looked at twice: what is passed over is never read, and a search that found no end is not made again.

use nom::Offset;

use super::Lexer;
use crate::diag::{Code, Diagnostic, Edit};
use crate::source::Span;

/// How the lines begin: of the first side, of what both come from, of the other side, and of the end.
const MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];

/// What is known of the conflicts of a text.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// The one whose first side is being read.
    undecided: Option<Conflict>,
    /// Whether no line from here on ends one.
    endless: bool,
}

/// Where a conflict begins, and which of the faults reports it.
#[derive(Clone, Copy, Debug)]
struct Conflict {
    start: usize,
    fault: usize,
}

/// The marker that a line begins with.
fn marker(line: &str) -> Option<&'static str> {
    MARKERS
        .into_iter()
        .find(|marker| line.strip_prefix(*marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\r', '\n'])))
}

/// The length of the first line, with the end of it.
fn line_len(text: &str) -> usize {
    text.find('\n').map_or(text.len(), |end| end + 1)
}

impl Lexer<'_> {
    /// A line of a merge that nobody decided.
    pub(super) fn conflict(&mut self) {
        let start = self.text.offset(self.rest);
        let leads = start == 0 || self.text.as_bytes().get(start - 1) == Some(&b'\n');
        let Some(marker) = marker(self.rest).filter(|_| leads) else { return };
        match (marker, self.merge.undecided.take()) {
            ("<<<<<<<", _) => {
                let help = "keep one side, and take the lines with `<<<<<<<`, `=======` and `>>>>>>>` out";
                self.merge.undecided = Some(Conflict { start, fault: self.out.faults.len() });
                self.marker("a merge conflict is not resolved here", "one side begins here", help);
                self.rest = &self.rest[line_len(self.rest)..];
            }
            ("|||||||" | "=======", Some(conflict)) => self.other_side(conflict),
            _ => {
                self.marker(
                    "a line of a merge conflict was left here",
                    "not expected here",
                    "choose what is to stay, and take this line out",
                );
                self.rest = &self.rest[line_len(self.rest)..];
            }
        }
    }

    fn marker(&mut self, message: &str, here: &str, help: &str) {
        let start = self.text.offset(self.rest);
        let span = Span::new(self.source, start, start + MARKERS[0].len());
        self.out.faults.push(Diagnostic::error(Code::SyntaxUnexpected, span, message).here(here).help(help));
    }

    /// Passes over everything from here to the end of the conflict.
    fn other_side(&mut self, conflict: Conflict) {
        let from = self.text.offset(self.rest);
        let (mut other, mut at) = (None, from);
        while !self.merge.endless {
            let line = self.text.get(at..).unwrap_or_default();
            let next = at + line_len(line);
            match marker(line) {
                Some("=======") => other = other.or(Some((at, next))),
                Some(">>>>>>>") => {
                    self.tell(conflict, from, other.unwrap_or((from, from)), (at, next));
                    self.rest = &self.text[next..];
                    return;
                }
                _ if line.is_empty() => self.merge.endless = true,
                _ => {}
            }
            at = next;
        }
        self.rest = &self.rest[line_len(self.rest)..];
    }

    /// Adds to the report where the other side begins and ends, and the two ways to decide. `from` is the end of the first side.
    fn tell(&mut self, conflict: Conflict, from: usize, other: (usize, usize), end: (usize, usize)) {
        let span = |start: usize, end: usize| Span::new(self.source, start, end);
        let cut = |start: usize, end: usize| Edit { span: span(start, end), text: String::new() };
        let first = conflict.start + line_len(self.text.get(conflict.start..).unwrap_or_default());
        let width = MARKERS[0].len();
        let Some(found) = self.out.faults.get_mut(conflict.fault) else { return };
        let told = found
            .clone()
            .and(span(other.0, other.0 + width), "the other side begins here")
            .and(span(end.0, end.0 + width), "it ends here");
        let keep_first = vec![cut(conflict.start, first), cut(from, end.1)];
        let keep_other = vec![cut(conflict.start, other.1), cut(end.0, end.1)];
        *found = told.edits("keep the first side", false, keep_first).edits("keep the other side", false, keep_other);
    }
}
