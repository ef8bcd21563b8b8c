//! Source texts and places in them. Knows nothing of what the texts mean.

use std::sync::Arc;

/// Index of a [`Source`] in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SourceId(pub u32);

/// A half-open range of bytes in one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// The source the range lies in.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of bytes `start..end` of `source`.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        Self { source, start: start as u32, end: end as u32 }
    }

    /// The smallest span that covers both; `other` must lie in the same source.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { source: self.source, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the span covers no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A text with the name under which a person knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// A path as the user wrote it, or a pseudo-name such as `--set`.
    pub name: String,
    /// The whole text.
    pub text: Arc<str>,
    index: Index,
}

impl Source {
    /// The zero-based line in which a byte stands; the last one beyond the end.
    pub fn line_of(&self, byte: usize) -> usize {
        self.index.lines.partition_point(|start| *start as usize <= byte).saturating_sub(1)
    }

    /// The first byte of a zero-based line; the end of the text beyond the last one.
    pub fn line_start(&self, line: usize) -> usize {
        self.index.lines.get(line).map_or(self.text.len(), |start| *start as usize)
    }

    /// The character that a byte belongs to, counted from the start of the text.
    fn character_of(&self, byte: usize) -> usize {
        let block = byte / BLOCK;
        let before = self.index.characters.get(block).map_or(0, |n| *n as usize);
        before + self.text.as_bytes().get(block * BLOCK..byte).map_or(0, |bytes| bytes.iter().filter(|b| begins(**b)).count())
    }
}

/// Bytes between two entries of an index of characters.
const BLOCK: usize = 4096;

/// Whether a byte of UTF-8 is the first of its character.
fn begins(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

/// Where lines and characters stand, so that a place deep in a long text is found without reading all that is before it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Index {
    /// The first byte of each line.
    lines: Vec<u32>,
    /// How many characters begin before each block.
    characters: Vec<u32>,
}

impl Index {
    fn of(text: &str) -> Self {
        let after_feeds = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1);
        // Spans end at 4 GiB, and so does the index.
        let lines = std::iter::once(0).chain(after_feeds).map_while(|at| u32::try_from(at).ok()).collect();
        let blocks = text.as_bytes().chunks(BLOCK).map(|block| block.iter().filter(|b| begins(**b)).count() as u32);
        let characters = blocks.scan(0_u32, |sum, count| Some(std::mem::replace(sum, sum.saturating_add(count)))).collect();
        Self { lines, characters }
    }
}

/// All texts that one compilation has seen; a [`Span`] points into one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    all: Vec<Source>,
}

impl Sources {
    /// Adds a text and gives it an id.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        let text: Arc<str> = text.into();
        self.all.push(Source { name: name.into(), index: Index::of(&text), text });
        SourceId((self.all.len() - 1) as u32)
    }

    /// The source behind an id that this collection gave out.
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.all.get(id.0 as usize)
    }

    /// The source of a name, where it was added before.
    pub fn find(&self, name: &str) -> Option<SourceId> {
        self.all.iter().position(|s| s.name == name).map(|i| SourceId(i as u32))
    }

    /// All sources of a name: there may be several `--set`.
    pub fn named(&self, name: &str) -> Vec<SourceId> {
        let named = self.iter().enumerate().filter(|(_, source)| source.name == name);
        named.map(|(id, _)| SourceId(id as u32)).collect()
    }

    /// All sources in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.all.iter()
    }

    /// The text a span covers; empty where the span does not fit.
    pub fn snippet(&self, span: Span) -> &str {
        self.get(span.source).and_then(|s| s.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// One-based line and column (in characters) of the first byte of a span.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let Some(source) = self.get(span.source) else { return (1, 1) };
        let mut end = (span.start as usize).min(source.text.len());
        while !source.text.is_char_boundary(end) {
            end -= 1;
        }
        let line = source.line_of(end);
        (line + 1, source.character_of(end) - source.character_of(source.line_start(line)) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_and_column_count_characters_from_one() {
        let mut sources = Sources::default();
        let id = sources.add("r.ron", "ä: 1,\n  b: 2");
        let span = Span::new(id, 9, 10);
        assert_eq!((sources.snippet(span), sources.line_column(span)), ("b", (2, 3)));
    }

    #[test]
    fn the_index_agrees_with_counting() {
        let text: String = (0..9000_u32).map(|i| ["a", "ä", "\n", "\r\n", "\u{1f600}"][(i * i / 7 % 5) as usize]).collect();
        let mut sources = Sources::default();
        let id = sources.add("r.ron", text.as_str());
        let (mut line, mut column) = (1, 1);
        for (at, c) in text.char_indices() {
            assert_eq!(sources.line_column(Span::new(id, at, at)), (line, column), "byte {at}");
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        assert_eq!(sources.line_column(Span::new(id, text.len() + 5, text.len() + 5)), (line, column));
    }

    #[test]
    fn lines_have_a_start_and_end_where_the_text_does() {
        let mut sources = Sources::default();
        let id = sources.add("r.ron", "ab\n\nc");
        let source = sources.get(id).unwrap();
        assert_eq!([0, 2, 3, 4, 9].map(|at| source.line_of(at)), [0, 0, 1, 2, 2]);
        assert_eq!([0, 1, 2, 3].map(|line| source.line_start(line)), [0, 3, 4, 5]);
    }
}
