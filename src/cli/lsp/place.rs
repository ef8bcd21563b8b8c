//! Bytes of a text as lines and columns, in the units that the client counts in.
//!
//! Invariant: a place that a client names outside the text, or within a character, becomes the nearest byte before it.

use std::ops::Range;

use lsp_types::Position;

/// What a column counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// Bytes.
    Utf8,
    /// Code units of UTF-16, which every client knows.
    Utf16,
}

/// A text cut into lines.
#[derive(Debug)]
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    units: Units,
}

impl<'t> Lines<'t> {
    /// Cuts a text; `\n`, `\r\n` and `\r` end a line.
    pub fn new(text: &'t str, units: Units) -> Self {
        let bytes = text.as_bytes();
        let ends_here = |at: &usize| match bytes.get(*at) {
            Some(b'\n') => true,
            Some(b'\r') => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let starts = std::iter::once(0).chain((0..bytes.len()).filter(ends_here).map(|at| at + 1)).collect();
        Self { text, starts, units }
    }

    /// The place of a byte.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Position::new(line as u32, self.width(before) as u32)
    }

    /// The place of a range of bytes.
    pub fn range(&self, range: Range<usize>) -> lsp_types::Range {
        lsp_types::Range::new(self.position(range.start), self.position(range.end))
    }

    /// The byte of a place.
    pub fn offset(&self, position: Position) -> usize {
        let Some(start) = self.starts.get(position.line as usize).copied() else { return self.text.len() };
        let end = self.starts.get(position.line as usize + 1).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r']);
        let mut left = position.character as usize;
        let mut inside = 0;
        for c in line.chars() {
            let width = self.width(c.encode_utf8(&mut [0; 4]));
            if width > left {
                break;
            }
            left -= width;
            inside += c.len_utf8();
        }
        start + inside
    }

    fn width(&self, text: &str) -> usize {
        match self.units {
            Units::Utf8 => text.len(),
            Units::Utf16 => text.encode_utf16().count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ä: 1\r\n😀ö = x\rlast";

    #[test]
    fn columns_count_what_the_client_counts() {
        let x = TEXT.find('x').unwrap();
        assert_eq!(Lines::new(TEXT, Units::Utf16).position(x), Position::new(1, 6));
        assert_eq!(Lines::new(TEXT, Units::Utf8).position(x), Position::new(1, 9));
        assert_eq!(Lines::new(TEXT, Units::Utf8).position(TEXT.len()), Position::new(2, 4));
    }

    #[test]
    fn every_byte_comes_back() {
        for units in [Units::Utf8, Units::Utf16] {
            let lines = Lines::new(TEXT, units);
            for (at, c) in TEXT.char_indices().filter(|(_, c)| !matches!(c, '\n' | '\r')) {
                assert_eq!(lines.offset(lines.position(at)), at, "{c} in {units:?}");
            }
        }
    }

    #[test]
    fn places_outside_are_brought_inside() {
        let lines = Lines::new(TEXT, Units::Utf16);
        assert_eq!(lines.offset(Position::new(0, 99)), "ä: 1".len());
        assert_eq!(lines.offset(Position::new(1, 1)), "ä: 1\r\n".len());
        assert_eq!(lines.offset(Position::new(9, 0)), TEXT.len());
        assert_eq!(lines.offset(Position::new(u32::MAX, u32::MAX)), TEXT.len());
        assert_eq!(Lines::new("", Units::Utf8).position(5), Position::new(0, 0));
    }
}
