//! What the server answers: each function takes what a request names and gives what the protocol wants.

use std::path::Path;

use lsp_types::{
    CodeAction, CodeActionContext, CodeActionKind, CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation,
    HoverContents, InsertTextFormat, Location, MarkupContent, MarkupKind, Position, Range, TextEdit,
};

use super::client::Client;
use super::desk::Desk;
use super::place::Lines;

use super::uri::{name_of_path, uri_of};
use crate::editor::{self, Completion, CompletionKind, Offers, Piece, Target};
use crate::source::SourceId;
use crate::syntax;

/// How many files an import is offered.
const MOST_FILES: usize = 500;

/// What could stand at a place.
pub fn complete(desk: &Desk, name: &str, at: Position, client: Client, devices: &[String]) -> Vec<CompletionItem> {
    let Some(document) = desk.recipe(name) else { return Vec::new() };
    let lines = Lines::new(&document.text, client.units);
    let mut files = |under: &str| files_under(name, under);
    let offered = editor::complete(&document.text, lines.offset(at), &mut Offers { files: &mut files, devices });
    offered.into_iter().enumerate().map(|(i, offer)| item(i, offer, &lines, client)).collect()
}

fn item(rank: usize, offer: Completion, lines: &Lines<'_>, client: Client) -> CompletionItem {
    let (new_text, format) = if client.snippets {
        (snippet(&offer.insert), InsertTextFormat::SNIPPET)
    } else {
        (editor::plain(&offer.insert), InsertTextFormat::PLAIN_TEXT)
    };
    CompletionItem {
        label: offer.label,
        kind: Some(match offer.kind {
            CompletionKind::Field => CompletionItemKind::FIELD,
            CompletionKind::Variant => CompletionItemKind::CONSTRUCTOR,
            CompletionKind::Value => CompletionItemKind::VALUE,
            CompletionKind::Unit => CompletionItemKind::UNIT,
            CompletionKind::Name => CompletionItemKind::VARIABLE,
            CompletionKind::File => CompletionItemKind::FILE,
            CompletionKind::Device => CompletionItemKind::CONSTANT,
            CompletionKind::Keyword => CompletionItemKind::KEYWORD,
        }),
        detail: Some(offer.detail),
        documentation: (!offer.doc.is_empty()).then_some(Documentation::String(offer.doc)),
        // Clients sort by name where they are not told otherwise.
        sort_text: Some(format!("{rank:04}")),
        insert_text_format: Some(format),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit { range: lines.range(offer.replace), new_text })),
        ..CompletionItem::default()
    }
}

/// Pieces as a snippet, with the holes numbered.
fn snippet(pieces: &[Piece]) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('$', "\\$").replace('}', "\\}");
    let (mut out, mut holes) = (String::new(), 0);
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(&escape(text)),
            Piece::Hole(text) => {
                holes += 1;
                out.push_str("${");
                out.push_str(&holes.to_string());
                out.push(':');
                out.push_str(&escape(text));
                out.push('}');
            }
        }
    }
    out
}

/// The recipes and directories beside a file, under a path as it is written so far.
fn files_under(name: &str, under: &str) -> Vec<String> {
    let directory = under.rfind('/').map_or("", |slash| &under[..=slash]);
    let Some(base) = Path::new(name).parent().filter(|base| base.is_absolute()) else { return Vec::new() };
    let Ok(entries) = std::fs::read_dir(base.join(directory)) else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flatten()
        .take(MOST_FILES * 10)
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok().filter(|file| !file.starts_with('.'))?;
            let itself = name_of_path(&entry.path()) == name;
            if entry.path().is_dir() {
                return Some(format!("{directory}{file}/"));
            }
            let is_recipe = entry.path().extension().is_some_and(|ending| ending == "ron");
            (is_recipe && !itself).then(|| format!("{directory}{file}"))
        })
        .collect();
    found.sort_by_key(|path| (path.ends_with('/'), path.clone()));
    found.truncate(MOST_FILES);
    found
}

/// What there is to say about a place.
pub fn hover(desk: &Desk, name: &str, at: Position, client: Client) -> Option<lsp_types::Hover> {
    let document = desk.recipe(name)?;
    let lines = Lines::new(&document.text, client.units);
    let found = editor::hover(&document.text, lines.offset(at), desk.costs(name))?;
    let kind = if client.markdown { MarkupKind::Markdown } else { MarkupKind::PlainText };
    let contents = HoverContents::Markup(MarkupContent { kind, value: found.paragraphs.join("\n\n") });
    Some(lsp_types::Hover { contents, range: Some(lines.range(found.range)) })
}

/// Where something comes from.
pub fn definition(desk: &Desk, name: &str, at: Position, client: Client) -> Option<Location> {
    let document = desk.recipe(name)?;
    let lines = Lines::new(&document.text, client.units);
    let (_, target) = editor::definition(&document.text, lines.offset(at))?;
    match target {
        Target::Here(range) => Some(Location { uri: document.uri.clone(), range: lines.range(range) }),
        Target::File(path) => {
            let path = Path::new(name).parent()?.join(path);
            let target = name_of_path(&path);
            let uri = desk.get(&target).map(|open| open.uri.clone());
            let uri = uri.or_else(|| uri_of(&target).filter(|_| path.is_file()))?;
            Some(Location { uri, range: Range::default() })
        }
    }
}

/// The changes that give a text its one style; none where it has errors, which are shown anyway.
pub fn format(desk: &Desk, name: &str, client: Client) -> Option<Vec<TextEdit>> {
    let document = desk.recipe(name)?;
    let new_text = syntax::format(SourceId(0), &document.text).ok()?;
    if new_text == document.text {
        return Some(Vec::new());
    }
    let range = Lines::new(&document.text, client.units).range(0..document.text.len());
    Some(vec![TextEdit { range, new_text }])
}

/// The changes that mend what is wrong in a range.
pub fn actions(desk: &Desk, name: &str, range: Range, context: &CodeActionContext) -> Vec<CodeAction> {
    let asked = |kind: &CodeActionKind| kind.as_str().is_empty() || *kind == CodeActionKind::QUICKFIX;
    if context.only.as_ref().is_some_and(|kinds| !kinds.iter().any(asked)) {
        return Vec::new();
    }
    let found = desk.iter().filter_map(|document| document.findings.get(name)).flatten();
    let touches = |other: Range| other.start <= range.end && range.start <= other.end;
    let mut actions: Vec<CodeAction> = Vec::new();
    for action in found.filter(|finding| touches(finding.diagnostic.range)).flat_map(|finding| &finding.actions) {
        // A file and its importer find the same.
        if !actions.contains(action) {
            actions.push(action.clone());
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snippets_number_their_holes_and_escape_what_means_something() {
        let pieces = [Piece::Text("a$(".into()), Piece::Hole("1}".into()), Piece::Text(", ".into()), Piece::Hole(String::new())];
        assert_eq!(snippet(&pieces), "a\\$(${1:1\\}}, ${2:}");
    }
}
