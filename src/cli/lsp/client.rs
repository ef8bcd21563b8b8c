//! What the client can do, and what it is therefore served.

use lsp_types::{
    ClientCapabilities, CodeActionKind, CodeActionOptions, CodeActionProviderCapability, CompletionOptions,
    HoverProviderCapability, MarkupKind, OneOf, PositionEncodingKind, ServerCapabilities, TextDocumentSyncCapability,
    TextDocumentSyncKind,
};

use super::place::Units;

/// What the client can do.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is something that a client can do or cannot")]
pub struct Client {
    /// What its columns count.
    pub units: Units,
    /// Whether it fills in holes.
    pub snippets: bool,
    /// Whether hovers may be Markdown.
    pub markdown: bool,
    /// Whether it shows the other places of a diagnostic.
    pub related: bool,
    /// Whether it can be asked to watch files.
    pub watches: bool,
}

impl Client {
    /// What it says of itself.
    pub fn of(capabilities: &ClientCapabilities) -> Self {
        let text = capabilities.text_document.as_ref();
        let encodings = capabilities.general.as_ref().and_then(|general| general.position_encodings.as_ref());
        let item = text.and_then(|t| t.completion.as_ref()).and_then(|c| c.completion_item.as_ref());
        let formats = text.and_then(|t| t.hover.as_ref()).and_then(|h| h.content_format.as_ref());
        let watched = capabilities.workspace.as_ref().and_then(|w| w.did_change_watched_files);
        Self {
            units: if encodings.is_some_and(|e| e.contains(&PositionEncodingKind::UTF8)) { Units::Utf8 } else { Units::Utf16 },
            snippets: item.and_then(|i| i.snippet_support).unwrap_or(false),
            markdown: formats.is_some_and(|formats| formats.contains(&MarkupKind::Markdown)),
            related: text.and_then(|t| t.publish_diagnostics.as_ref()).and_then(|p| p.related_information).unwrap_or(false),
            watches: watched.and_then(|w| w.dynamic_registration).unwrap_or(false),
        }
    }
    /// What is served to it.
    pub fn served(self) -> ServerCapabilities {
        let fixes = CodeActionOptions { code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]), ..CodeActionOptions::default() };
        let triggers = ["(", ",", ":", " ", "\"", ".", "/"].map(str::to_owned).to_vec();
        ServerCapabilities {
            position_encoding: Some(match self.units {
                Units::Utf8 => PositionEncodingKind::UTF8,
                Units::Utf16 => PositionEncodingKind::UTF16,
            }),
            text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::INCREMENTAL)),
            completion_provider: Some(CompletionOptions { trigger_characters: Some(triggers), ..CompletionOptions::default() }),
            hover_provider: Some(HoverProviderCapability::Simple(true)),
            definition_provider: Some(OneOf::Left(true)),
            document_formatting_provider: Some(OneOf::Left(true)),
            code_action_provider: Some(CodeActionProviderCapability::Options(fixes)),
            ..ServerCapabilities::default()
        }
    }
}
