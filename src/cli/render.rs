//! Diagnostics for people (by miette) and for programs (as JSON).

use std::fmt;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents,
};
use serde_json::{Value, json};

use crate::diag::{Diagnostic, Edit, Label, Severity};
use crate::source::{Source, Sources, Span};

/// A diagnostic as miette wants it: one text, and the labels in it.
#[derive(Debug)]
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    src: Option<Text<'a>>,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
}

/// A text of which miette reads the lines around a place, and not all that is before them.
#[derive(Debug)]
struct Text<'a>(&'a Source);

impl SourceCode for Text<'_> {
    fn read_span<'s>(
        &'s self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'s> + 's>, MietteError> {
        let Self(source) = self;
        let first = source.line_of(span.offset()).saturating_sub(before + 1);
        let last = source.line_of(span.offset() + span.len()) + after + 1;
        let (start, end) = (source.line_start(first), source.line_start(last + 1));
        let window = source.text.get(start..end).ok_or(MietteError::OutOfBounds)?;
        let place = SourceSpan::from((span.offset().saturating_sub(start), span.len()));
        let found = window.read_span(&place, before, after)?;
        let data = found.data();
        let span = SourceSpan::from((found.span().offset() + start, found.span().len()));
        let lines = source.line_of(span.offset() + span.len()) - source.line_of(span.offset());
        let name = source.name.clone();
        Ok(Box::new(MietteSpanContents::new_named(name, data, span, found.line() + first, found.column(), lines)))
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let src = self.src.as_ref().filter(|_| !self.labels.is_empty())?;
        Some(src as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

impl<'a> Report<'a> {
    fn new(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Self {
        let main = diagnostic.span().and_then(|span| sources.get(span.source).map(|source| (span.source, source)));
        let Some((id, source)) = main else {
            return Self { diagnostic, src: None, labels: Vec::new(), help: diagnostic.help.clone() };
        };
        let drawable = |l: &&Label| l.span.source == id && is_drawable(l.span, source);
        let (here, elsewhere): (Vec<_>, Vec<_>) = diagnostic.labels.iter().partition(drawable);
        let labels = here.iter().map(|l| labeled(l.span, &l.text, &source.text)).collect();
        let mut help = diagnostic.help.clone().unwrap_or_default();
        for label in elsewhere {
            let (line, column) = sources.line_column(label.span);
            let name = sources.get(label.span.source).map_or("", |s| s.name.as_str());
            let gap = if help.is_empty() { "" } else { "\n" };
            let _ = write!(help, "{gap}see {name}:{line}:{column}: {}", label.text);
        }
        let help = (!help.is_empty()).then_some(help);
        Self { diagnostic, src: Some(Text(source)), labels, help }
    }
}

/// Columns that a line may have to be drawn; miette cannot count beyond 65 535, and nobody would look there.
const WIDEST: usize = 1000;

/// Lines that a place may have to be drawn.
const HIGHEST: usize = 60;

/// Whether a place has few lines, and none of them nor of those next to it is too wide to be drawn.
fn is_drawable(span: Span, source: &Source) -> bool {
    let (first, last) = (source.line_of(span.start as usize), source.line_of(span.end as usize));
    let width = |line: usize| source.line_start(line + 1) - source.line_start(line);
    last - first < HIGHEST && (first.saturating_sub(1)..=last + 1).all(|line| width(line) <= WIDEST)
}

/// A label; one of no width is made one character wide, before the end of the text, since miette drops it otherwise.
fn labeled(span: Span, text: &str, source: &str) -> LabeledSpan {
    let (mut start, mut end) = (span.start as usize, span.end as usize);
    end = end.min(source.len());
    start = start.min(end);
    if start == end {
        if end < source.len() {
            end += source[end..].chars().next().map_or(1, char::len_utf8);
        } else if start > 0 {
            start -= source[..start].chars().next_back().map_or(1, char::len_utf8);
        }
    }
    LabeledSpan::new((!text.is_empty()).then(|| text.to_owned()), start, end - start)
}

/// Diagnostics that are drawn; nobody reads more of them at once.
const MOST: usize = 50;

/// The diagnostics as text, with the places drawn. Of too many the first are, and it is said how to see the others.
pub fn text(diagnostics: &[Diagnostic], sources: &Sources, color: bool, width: usize) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false);
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(MOST) {
        // Writing to a string cannot fail, and a place that miette cannot draw must not hide the message.
        if handler.render_report(&mut out, &Report::new(diagnostic, sources)).is_err() {
            out.push_str(&diagnostic.message);
            out.push('\n');
        }
    }
    let more = diagnostics.len().saturating_sub(MOST);
    if more > 0 {
        let _ = writeln!(out, "\n{more} more are not shown; `cramplan check --format json` prints them all");
    }
    out
}

/// Prints diagnostics to stderr.
pub fn show(diagnostics: &[Diagnostic], sources: &Sources) {
    let terminal = std::io::stderr().is_terminal();
    let color = terminal && std::env::var_os("NO_COLOR").is_none();
    let text = text(diagnostics, sources, color, 100);
    if !text.is_empty() {
        super::say(text.trim_end());
    }
}

/// The diagnostics as JSON.
pub fn json_list(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
    diagnostics.iter().map(|d| entry(d, sources)).collect()
}

fn entry(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let span = diagnostic.span().unwrap_or_default();
    let (line, column) = sources.line_column(span);
    let labels: Vec<Value> = diagnostic
        .labels
        .iter()
        .map(|l| json!({"text": l.text, "file": file(l.span, sources), "start": l.span.start, "end": l.span.end}))
        .collect();
    let edit = |e: &Edit| json!({"file": file(e.span, sources), "start": e.span.start, "end": e.span.end, "text": e.text});
    let fixes: Vec<Value> = diagnostic
        .fixes
        .iter()
        .map(|fix| json!({"title": fix.title, "safe": fix.safe, "edits": fix.edits.iter().map(edit).collect::<Vec<_>>()}))
        .collect();
    json!({
        "code": diagnostic.code.as_str(),
        "severity": diagnostic.severity.as_str(),
        "message": diagnostic.message,
        "help": diagnostic.help,
        "file": file(span, sources),
        "start": span.start,
        "end": span.end,
        "line": line,
        "column": column,
        "labels": labels,
        "fixes": fixes,
    })
}

fn file(span: Span, sources: &Sources) -> Option<String> {
    sources.get(span.source).map(|s| s.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;
    use crate::source::SourceId;

    fn error(source: SourceId, start: usize, end: usize) -> Diagnostic {
        Diagnostic::error(Code::WrongType, Span::new(source, start, end), "no").here("this")
    }

    #[test]
    fn lines_are_those_that_miette_finds_in_the_whole_text() {
        let text: String = (0..400_usize).map(|i| ["ab", "\n", "ä", "\n\n", "cd\r\n"][(i * i + 3 * i) / 7 % 5]).collect();
        let mut sources = Sources::default();
        let id = sources.add("a.ron", text.as_str());
        let ours = Text(sources.get(id).unwrap());
        for (at, c) in text.char_indices() {
            for (length, context) in [(c.len_utf8(), 0), (c.len_utf8(), 1), (text.len().min(at + 40) - at, 1), (1, 3)] {
                let span = SourceSpan::from((at, length));
                let (found, wanted) =
                    (ours.read_span(&span, context, context).unwrap(), text.read_span(&span, context, context).unwrap());
                let told = |c: &dyn SpanContents<'_>| (c.data().to_vec(), *c.span(), c.line(), c.column());
                assert_eq!(told(&*found), told(&*wanted), "{at}, {length}, {context}");
            }
        }
    }

    #[test]
    fn of_too_many_the_first_are_shown_and_the_others_counted() {
        let mut sources = Sources::default();
        let id = sources.add("a.ron", "a\n".repeat(200));
        let all: Vec<Diagnostic> = (0..120).map(|i| error(id, 2 * i, 2 * i + 1)).collect();
        let shown = text(&all, &sources, false, 80);
        assert_eq!(shown.matches("this").count(), 50);
        assert!(shown.ends_with("\n70 more are not shown; `cramplan check --format json` prints them all\n"), "{shown}");
        assert!(!text(&all[..50], &sources, false, 80).contains("more are not shown"));
        assert_eq!(json_list(&all, &sources).as_array().map(Vec::len), Some(120));
    }

    #[test]
    fn a_place_of_many_lines_or_in_a_wide_one_is_told_and_not_drawn() {
        let mut sources = Sources::default();
        let high = sources.add("high.ron", "a\n".repeat(100));
        let wide = sources.add("wide.ron", "a".repeat(2000));
        let shown = text(&[error(high, 2, 190), error(wide, 500, 501)], &sources, false, 80);
        assert!(shown.contains("see high.ron:2:1: this") && shown.contains("see wide.ron:1:501: this"), "{shown}");
        assert_eq!(shown.lines().count(), 8, "{shown}");
    }

    #[test]
    fn two_places_far_apart_are_drawn_without_what_is_between() {
        let mut sources = Sources::default();
        let id = sources.add("a.ron", "a\n".repeat(9000));
        let shown = text(&[error(id, 10_000, 10_001).and(Span::new(id, 14_000, 14_001), "that")], &sources, false, 80);
        assert!(shown.lines().count() < 20 && shown.contains("that"), "{shown}");
    }
}
