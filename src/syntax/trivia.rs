//! What stands between two tokens: comments, and how many lines were begun around them.
//!
//! Invariant: a gap keeps every comment of its text, in order; only blanks are left out.

use super::lexer::{comment_end, is_blank};

/// A comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Comment<'t> {
    /// From `//` or `/*` on; of a comment to the end of its line without the blanks at its end.
    pub text: &'t str,
    /// Whether it goes to the end of its line, so that nothing can follow it there.
    pub line: bool,
    /// Line feeds between it and what stands before it.
    pub newlines: usize,
}

/// What stands between two tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap<'t> {
    /// The comments, in order.
    pub comments: Vec<Comment<'t>>,
    /// Line feeds between the last comment, or else the token before, and the token after.
    pub newlines: usize,
}

/// Reads the text between two tokens. A comment that does not end goes to the end of the text.
pub(super) fn gap(text: &str) -> Gap<'_> {
    let mut gap = Gap::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (length, line) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), true)
        } else if rest.starts_with("/*") {
            (comment_end(rest).unwrap_or(rest.len()), false)
        } else {
            gap.newlines += usize::from(c == '\n');
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
            continue;
        };
        let (comment, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let text = if line { comment.trim_end_matches(is_blank) } else { comment };
        gap.comments.push(Comment { text, line, newlines: std::mem::take(&mut gap.newlines) });
        rest = after;
    }
    gap
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_know_how_far_they_stand_from_what_is_before_them() {
        let gap = gap(" /* a /* b */ */ // c \r\n\n\t//\n\n\n ");
        let seen: Vec<_> = gap.comments.iter().map(|c| (c.text, c.line, c.newlines)).collect();
        assert_eq!(seen, [("/* a /* b */ */", false, 0), ("// c", true, 0), ("//", true, 2)]);
        assert_eq!(gap.newlines, 3);
    }
}
