//! Diagnostics and the changes that mend them, as the protocol has them.

use std::collections::{BTreeMap, HashMap};

use lsp_types::{
    CodeAction, CodeActionKind, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, Location, NumberOrString,
    TextEdit, Uri, WorkspaceEdit,
};

use super::place::{Lines, Units};
use crate::diag::{Code, Diagnostic, Fix, Severity};
use crate::source::{SourceId, Sources, Span};

/// A diagnostic and the changes that mend it.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The diagnostic.
    pub diagnostic: lsp_types::Diagnostic,
    /// What mends it.
    pub actions: Vec<CodeAction>,
}

/// Translates what one compilation found.
pub struct Translator<'a> {
    sources: &'a Sources,
    lines: BTreeMap<SourceId, Lines<'a>>,
    uri_of: &'a dyn Fn(&str) -> Option<Uri>,
}

impl<'a> Translator<'a> {
    /// For the texts of a compilation, and the URIs of their names.
    pub fn new(sources: &'a Sources, units: Units, uri_of: &'a dyn Fn(&str) -> Option<Uri>) -> Self {
        let lines = sources.iter().enumerate().map(|(i, source)| (SourceId(i as u32), Lines::new(&source.text, units))).collect();
        Self { sources, lines, uri_of }
    }

    /// A diagnostic with the name of the file that it is about. What is about no file stands at the head of the recipe, which is the
    /// first source.
    pub fn finding(&self, diagnostic: &Diagnostic) -> Option<(String, Finding)> {
        let place = diagnostic.span().filter(|span| self.location(*span).is_some());
        let source = self.sources.get(place.map_or(SourceId(0), |span| span.source))?;
        let range = place.and_then(|span| self.location(span)).map_or_else(lsp_types::Range::default, |l| l.range);
        let elsewhere = diagnostic.labels.iter().skip(1);
        let related: Vec<DiagnosticRelatedInformation> = elsewhere
            .filter_map(|l| Some(DiagnosticRelatedInformation { location: self.location(l.span)?, message: l.text.clone() }))
            .collect();
        let translated = lsp_types::Diagnostic {
            range,
            severity: Some(match diagnostic.severity {
                Severity::Error => DiagnosticSeverity::ERROR,
                Severity::Warning => DiagnosticSeverity::WARNING,
            }),
            code: Some(NumberOrString::String(diagnostic.code.to_string())),
            source: Some("cramplan".to_owned()),
            message: message(diagnostic),
            related_information: (!related.is_empty()).then_some(related),
            tags: (diagnostic.code == Code::UnusedLet).then(|| vec![DiagnosticTag::UNNECESSARY]),
            ..lsp_types::Diagnostic::default()
        };
        let actions = diagnostic.fixes.iter().enumerate().filter_map(|(i, fix)| self.action(fix, i == 0, &translated)).collect();
        Some((source.name.clone(), Finding { diagnostic: translated, actions }))
    }

    fn location(&self, span: Span) -> Option<Location> {
        let uri = (self.uri_of)(&self.sources.get(span.source)?.name)?;
        let range = self.lines.get(&span.source)?.range(span.start as usize..span.end as usize);
        Some(Location { uri, range })
    }

    /// A change as an action; `None` where it changes something that is no file.
    #[allow(clippy::mutable_key_type, reason = "the protocol's type; nothing changes a URI")]
    fn action(&self, fix: &Fix, first: bool, mended: &lsp_types::Diagnostic) -> Option<CodeAction> {
        let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
        for edit in &fix.edits {
            let Location { uri, range } = self.location(edit.span)?;
            changes.entry(uri).or_default().push(TextEdit { range, new_text: edit.text.clone() });
        }
        Some(CodeAction {
            title: fix.title.clone(),
            kind: Some(CodeActionKind::QUICKFIX),
            diagnostics: Some(vec![mended.clone()]),
            edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
            is_preferred: Some(first && fix.safe),
            ..CodeAction::default()
        })
    }
}

/// The message, what is to be seen at its place, and the way out.
fn message(diagnostic: &Diagnostic) -> String {
    let here = diagnostic.labels.first().map_or("", |label| label.text.as_str());
    let mut text = diagnostic.message.clone();
    if !here.is_empty() {
        text.push_str(": ");
        text.push_str(here);
    }
    if let Some(help) = &diagnostic.help {
        text.push_str("\nhelp: ");
        text.push_str(help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::uri::uri_of;
    use super::*;

    fn finding(diagnostic: &Diagnostic) -> (String, Finding) {
        let mut sources = Sources::default();
        sources.add("/r.ron", "a: 😀1,\nb: 2");
        sources.add("--for", "x");
        Translator::new(&sources, Units::Utf16, &uri_of).finding(diagnostic).unwrap()
    }

    #[test]
    fn places_messages_and_fixes_are_translated() {
        let span = |start, end| Span::new(SourceId(0), start, end);
        let diagnostic = Diagnostic::error(Code::WrongType, span(7, 8), "wrong").here("this is 1").help("write `2`");
        let diagnostic = diagnostic.and(span(13, 14), "as here").fix("write `2`", true, span(7, 8), "2");
        let (name, Finding { diagnostic, actions }) = finding(&diagnostic);
        assert_eq!((name.as_str(), diagnostic.message.as_str()), ("/r.ron", "wrong: this is 1\nhelp: write `2`"));
        assert_eq!((diagnostic.range.start.line, diagnostic.range.start.character), (0, 5));
        assert_eq!(diagnostic.related_information.unwrap()[0].location.range.start.line, 1);
        let edit = actions[0].edit.clone().unwrap().changes.unwrap().remove(&uri_of("/r.ron").unwrap()).unwrap();
        assert_eq!((edit[0].new_text.as_str(), edit[0].range.end.character, actions[0].is_preferred), ("2", 6, Some(true)));
    }

    #[test]
    fn what_is_about_no_file_stands_at_the_head_and_is_not_mended() {
        let span = Span::new(SourceId(1), 0, 1);
        let (name, found) = finding(&Diagnostic::warning(Code::UnknownDevice, span, "none").fix("another", true, span, "y"));
        assert_eq!((name.as_str(), found.diagnostic.range, found.actions.len()), ("/r.ron", lsp_types::Range::default(), 0));
    }
}
