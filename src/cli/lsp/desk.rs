//! The texts that are open in the editor, and what is known of them.
//!
//! Invariant: a text that changed, or that imports one that changed, counts as unchecked.

use std::collections::{BTreeMap, BTreeSet};

use lsp_types::{TextDocumentContentChangeEvent, Uri};

use super::place::{Lines, Units};
use super::report::Finding;
use super::uri::uri_of;
use crate::cli::world::is_plan;
use crate::editor::Costs;

/// An open text.
#[derive(Debug)]
pub struct Document {
    /// What the client calls it.
    pub uri: Uri,
    /// What it says now.
    pub text: String,
    /// The client's number of this state.
    pub version: i32,
    /// Whether what follows is of this state.
    pub checked: bool,
    /// The costs of the last state that had any, and whether that is an earlier one.
    pub costs: Option<(Costs, bool)>,
    /// What was found, by the name of the file that it is about.
    pub findings: BTreeMap<String, Vec<Finding>>,
    /// The names of the files that it imports, also by way of others, and of those that it would.
    pub imports: BTreeSet<String>,
}

/// All open texts, by name.
#[derive(Debug, Default)]
pub struct Desk {
    documents: BTreeMap<String, Document>,
}

impl Desk {
    /// The text of a name, if it is open.
    pub fn get(&self, name: &str) -> Option<&Document> {
        self.documents.get(name)
    }

    /// The same, to write down what is known of it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Document> {
        self.documents.get_mut(name)
    }

    /// The text of a name, if it is open and a recipe: saved plans are written by the program and not by hand.
    pub fn recipe(&self, name: &str) -> Option<&Document> {
        self.get(name).filter(|document| !is_plan(&document.text))
    }

    /// All open texts.
    pub fn iter(&self) -> impl Iterator<Item = &Document> {
        self.documents.values()
    }

    /// The names of those that must be checked.
    pub fn unchecked(&self) -> Vec<String> {
        self.documents.iter().filter(|(_, document)| !document.checked).map(|(name, _)| name.clone()).collect()
    }

    /// Forgets what was found in a text, which is about to be checked, and gives the names of the files that it was about. Should the
    /// check have a bug, it is not tried again before the text changes.
    pub fn forget(&mut self, name: &str) -> Vec<String> {
        let Some(document) = self.documents.get_mut(name) else { return Vec::new() };
        document.checked = true;
        std::mem::take(&mut document.findings).into_keys().collect()
    }

    /// Opens a text, or replaces it.
    pub fn open(&mut self, name: String, uri: Uri, text: String, version: i32) {
        let (costs, findings, imports) = (None, BTreeMap::new(), BTreeSet::new());
        self.touch(&name);
        self.documents.insert(name, Document { uri, text, version, checked: false, costs, findings, imports });
    }

    /// Changes a text; false where it is not open.
    pub fn change(&mut self, name: &str, changes: Vec<TextDocumentContentChangeEvent>, version: i32, units: Units) -> bool {
        let Some(document) = self.documents.get_mut(name) else { return false };
        for change in changes {
            apply(&mut document.text, change, units);
        }
        document.version = version;
        self.touch(name);
        true
    }

    /// Closes a text and gives it back.
    pub fn close(&mut self, name: &str) -> Option<Document> {
        self.touch(name);
        self.documents.remove(name)
    }

    /// The file of a name is not what it was: it and its importers must be checked anew.
    pub fn touch(&mut self, changed: &str) {
        for (name, document) in &mut self.documents {
            document.checked &= name != changed && !document.imports.contains(changed);
        }
    }

    /// The client's URI of an open text, else that of the file.
    pub fn uri_of(&self, name: &str) -> Option<Uri> {
        self.get(name).map(|document| document.uri.clone()).or_else(|| uri_of(name))
    }

    /// The costs of a text; of a part of a recipe, those of an open recipe that imports it.
    pub fn costs(&self, name: &str) -> Option<(&Costs, bool)> {
        let own = self.get(name).and_then(|document| document.costs.as_ref());
        let others =
            || self.iter().filter(|document| document.imports.contains(name)).find_map(|document| document.costs.as_ref());
        own.or_else(others).map(|(costs, old)| (costs, *old))
    }
}

/// Applies one change; without a range it is the whole text.
fn apply(text: &mut String, change: TextDocumentContentChangeEvent, units: Units) {
    let Some(range) = change.range else {
        *text = change.text;
        return;
    };
    let lines = Lines::new(text, units);
    let (start, end) = (lines.offset(range.start), lines.offset(range.end));
    text.replace_range(start..end.max(start), &change.text);
}
