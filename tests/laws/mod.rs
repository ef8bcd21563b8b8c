//! The laws of the recipe language, each a function of a text: what must hold whatever the text is.
//!
//! The fuzz targets call them with what libFuzzer thinks of; the test `laws` of the root calls them with every recipe, mistake and mutant
//! that the repository has, and with what fuzzing has found.
//!
//! Invariant: a law that is broken panics, and says how.

use cramplan::device;
use cramplan::diag::Diagnostic;
use cramplan::pipeline::{Inputs, compile};
use cramplan::recipe::eval::evaluate_alone;
use cramplan::recipe::resolve;
use cramplan::recipe::value::{Value, ValueKind};
use cramplan::source::{SourceId, Sources, Span};
use cramplan::syntax::ast::{Document, Ident};
use cramplan::syntax::{self, format};

/// The card that recipes are compiled for.
const CARD: &str = "rtx-a6000";

/// What `..import("base.ron")` brings.
const BASE: &str = include_str!("../../recipes/quickstart.ron");

/// Any text gives a tree, a value and settings, or diagnostics that are whole; where nothing is wrong, nothing was left unread.
pub fn parse(text: &str) {
    let mut sources = Sources::default();
    let source = sources.add("fuzz.ron", text);
    let (document, mut found) = syntax::parse(source, text);
    sound(&found, &sources);
    let Some(document) = document else { return };
    let (value, more) = evaluate_alone(&document);
    sound(&more, &sources);
    found.extend(more);
    let wrong = found.iter().any(Diagnostic::is_error);
    assert!(wrong || !is_poisoned(&value), "something could not be read, and nothing was said: {value:?}");
    let resolution = resolve(&value, Vec::new());
    sound(&resolution.diagnostics, &sources);
    let refused = wrong || resolution.diagnostics.iter().any(Diagnostic::is_error);
    assert!(refused || resolution.recipe.is_some(), "there is no recipe, and nothing was said");
    for (path, span) in resolution.places.iter() {
        assert!(fits(span, &sources), "`{path}` stands at {span:?}");
    }
}

/// What parses without errors is formatted; that says the same, keeps the comments, and is formatted already.
pub fn print(text: &str) {
    let Some(before) = tree(text) else { return };
    let once = match format(SourceId(0), text) {
        Ok(once) => once,
        Err(errors) => panic!("it parses, and is not formatted: {errors:?}"),
    };
    let Some(after) = tree(&once) else { panic!("what is formatted does not parse:\n{once}") };
    let (value, codes) = meaning(&before);
    assert_eq!((value, codes), meaning(&after), "formatting changes a value:\n{once}");
    assert_eq!(before.without_spans(), after.without_spans(), "formatting changes the tree:\n{once}");
    assert_eq!(comments(text), comments(&once), "formatting changes the comments:\n{once}");
    assert_eq!(format(SourceId(0), &once).as_deref(), Ok(once.as_str()), "formatted twice it is not the same");
}

/// The first line is an override of the recipe that the other lines are: whatever both are, compiling them gives a verdict or says why not.
pub fn set(text: &str) {
    let Some(machine) = device::find(CARD) else { panic!("`{CARD}` is no card") };
    let (line, recipe) = text.split_once('\n').unwrap_or((text, ""));
    let read = &mut |path: &str, _: &str| match path {
        "base.ron" => Ok((path.to_owned(), BASE.to_owned())),
        "self.ron" => Ok((path.to_owned(), recipe.to_owned())),
        _ => Err("there is no such file".to_owned()),
    };
    let entry = ("self.ron".to_owned(), recipe.to_owned());
    let compilation =
        compile(Inputs { entry, read, overrides: &[line.to_owned()], machine, known: &device::catalog(), asked: None });
    sound(&compilation.diagnostics, &compilation.sources);
    let refused = compilation.diagnostics.iter().any(Diagnostic::is_error);
    assert!(refused || compilation.verdict.is_some(), "there is no verdict, and nothing was said");
}

/// Every diagnostic has a message, a place and a way out, and all that it points at or would change is in its text, at whole characters.
fn sound(diagnostics: &[Diagnostic], sources: &Sources) {
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty(), "no message: {diagnostic:?}");
        assert!(diagnostic.help.as_ref().is_some_and(|help| !help.is_empty()), "no way out: {diagnostic:?}");
        assert!(!diagnostic.labels.is_empty(), "no place: {diagnostic:?}");
        for label in &diagnostic.labels {
            assert!(fits(label.span, sources), "{:?} is no place of the text: {diagnostic:?}", label.span);
        }
        for fix in &diagnostic.fixes {
            let mut spans: Vec<Span> = fix.edits.iter().map(|edit| edit.span).collect();
            assert!(spans.iter().all(|span| fits(*span, sources)), "a fix beyond the text: {diagnostic:?}");
            spans.sort();
            let apart = |pair: &[Span]| pair[0].source != pair[1].source || pair[0].end <= pair[1].start;
            assert!(spans.windows(2).all(apart), "a fix whose changes overlap: {diagnostic:?}");
        }
    }
}

fn fits(span: Span, sources: &Sources) -> bool {
    let range = span.start as usize..span.end as usize;
    sources.get(span.source).is_some_and(|source| source.text.get(range).is_some())
}

fn is_poisoned(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Poisoned => true,
        ValueKind::Struct { fields, broken, .. } => *broken || fields.iter().any(|field| is_poisoned(&field.value)),
        ValueKind::Tuple { items, .. } | ValueKind::List(items) => items.iter().any(is_poisoned),
        ValueKind::Number(_) | ValueKind::Text(_) | ValueKind::Bool(_) | ValueKind::Name(_) => false,
    }
}

/// The tree of a text without syntax errors.
fn tree(text: &str) -> Option<Document> {
    let (document, found) = syntax::parse(SourceId(0), text);
    document.filter(|_| !found.iter().any(Diagnostic::is_error))
}

/// The value of a tree, without places, and what is said about it. No file is imported.
fn meaning(document: &Document) -> (Value, Vec<&'static str>) {
    let (mut value, found) = evaluate_alone(document);
    forget_places(&mut value);
    (value, found.iter().map(|d| d.code.as_str()).collect())
}

fn forget_places(value: &mut Value) {
    let forget = |name: &mut Option<Ident>| {
        if let Some(name) = name {
            name.span = Span::default();
        }
    };
    value.span = Span::default();
    match &mut value.kind {
        ValueKind::Name(name) => name.span = Span::default(),
        ValueKind::Struct { name, fields, .. } => {
            forget(name);
            for field in fields {
                field.name.span = Span::default();
                forget_places(&mut field.value);
            }
        }
        ValueKind::Tuple { name, items } => {
            forget(name);
            items.iter_mut().for_each(forget_places);
        }
        ValueKind::List(items) => items.iter_mut().for_each(forget_places),
        ValueKind::Number(_) | ValueKind::Text(_) | ValueKind::Bool(_) | ValueKind::Poisoned => (),
    }
}

/// The comments of a text that parses, found without the lexer: those to the end of a line without the blanks at their end, others with
/// plain line feeds.
fn comments(text: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => nested(rest),
            '"' => quoted(rest, '"'),
            '\'' => quoted(rest, '\''),
            c if c.is_alphanumeric() || c == '_' => word(rest),
            c => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if token.starts_with("//") {
            found.push(token.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200e}' | '\u{200f}')).to_owned());
        } else if token.starts_with("/*") {
            let lines: Vec<&str> = token.split('\n').collect();
            let (last, others) = lines.split_last().unwrap_or((&token, &[]));
            let others = others.iter().map(|line| line.trim_end_matches('\r'));
            found.push(others.chain([*last]).collect::<Vec<_>>().join("\n"));
        }
        rest = after;
    }
    found
}

/// Length of the comment that begins here, with those in it.
fn nested(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            2
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of the text or character that begins here, escapes skipped.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// Length of the name, number or raw text that begins here.
fn word(text: &str) -> usize {
    let hashes = text.get(1..).map_or(0, |rest| rest.len() - rest.trim_start_matches('#').len());
    if text.starts_with('r') && text.get(1 + hashes..).is_some_and(|rest| rest.starts_with('"')) {
        let (opener, closer) = (hashes + 2, format!("\"{}", "#".repeat(hashes)));
        return text.get(opener..).and_then(|body| body.find(&closer)).map_or(text.len(), |at| opener + at + closer.len());
    }
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}
