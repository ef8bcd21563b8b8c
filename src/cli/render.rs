//! Diagnostics for people (by miette) and for programs (as JSON).

use std::fmt;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};
use serde_json::{Value, json};

use crate::diag::{Diagnostic, Edit, Label, Severity};
use crate::source::{Sources, Span};

/// A diagnostic as miette wants it: one text, and the labels in it.
#[derive(Debug)]
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    src: NamedSource<String>,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
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

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        (!self.labels.is_empty()).then_some(&self.src as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

impl<'a> Report<'a> {
    fn new(diagnostic: &'a Diagnostic, sources: &Sources) -> Self {
        let main = diagnostic.span().and_then(|span| sources.get(span.source).map(|source| (span.source, source)));
        let Some((id, source)) = main else {
            return Self {
                diagnostic,
                src: NamedSource::new("", String::new()),
                labels: Vec::new(),
                help: diagnostic.help.clone(),
            };
        };
        let drawable = |l: &&Label| l.span.source == id && !in_wide_line(l.span, &source.text);
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
        Self { diagnostic, src: NamedSource::new(source.name.as_str(), source.text.to_string()), labels, help }
    }
}

/// Columns that a line may have to be drawn; miette cannot count beyond 65 535, and nobody would look there.
const WIDEST: usize = 1000;

/// Whether a place, or a line next to it, is too wide to be drawn.
fn in_wide_line(span: Span, text: &str) -> bool {
    let (start, end) = ((span.start as usize).min(text.len()), (span.end as usize).min(text.len()));
    let before = text.as_bytes()[..start].rsplit(|b| *b == b'\n').take(2);
    let after = text.as_bytes()[end..].split(|b| *b == b'\n').take(2);
    let inside = text.as_bytes()[start..end].split(|b| *b == b'\n');
    before.chain(after).chain(inside).any(|line| line.len() > WIDEST)
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

/// The diagnostics as text, with the places drawn.
pub fn text(diagnostics: &[Diagnostic], sources: &Sources, color: bool, width: usize) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false);
    let mut out = String::new();
    for diagnostic in diagnostics {
        // Writing to a string cannot fail, and a place that miette cannot draw must not hide the message.
        if handler.render_report(&mut out, &Report::new(diagnostic, sources)).is_err() {
            out.push_str(&diagnostic.message);
            out.push('\n');
        }
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
