//! The session: messages in, answers and diagnostics out.
//!
//! Invariant: every request gets exactly one answer, also where answering it panics.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError};

use lsp_server::{Connection, ErrorCode, Message, Notification, Request, RequestId, Response, ResponseError};
use lsp_types::notification::{
    DidChangeTextDocument, DidChangeWatchedFiles, DidCloseTextDocument, DidOpenTextDocument, Initialized,
    Notification as LspNotification, PublishDiagnostics,
};
use lsp_types::request::{
    CodeActionRequest, Completion, Formatting, GotoDefinition, HoverRequest, Initialize, RegisterCapability,
    Request as LspRequest, Shutdown,
};
use lsp_types::{
    ClientCapabilities, DidChangeWatchedFilesRegistrationOptions, FileSystemWatcher, GlobPattern, InitializeParams,
    InitializeResult, PublishDiagnosticsParams, Registration, RegistrationParams, ServerInfo, Uri,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::Client;
use super::desk::Desk;
use super::uri::name_of;
use super::{answer, check};
use crate::cli::inventory::Inventory;
use crate::cli::{Exit, say};

/// How far the session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before `initialize`.
    New,
    /// Between `initialize` and `shutdown`.
    Open,
    /// After `shutdown`.
    Shut,
}

/// A session.
pub struct Server {
    connection: Connection,
    inventory: Inventory,
    asked: Option<String>,
    devices: Vec<String>,
    client: Client,
    phase: Phase,
    desk: Desk,
    /// Files of which there is something new to say, with what the client called them where they were closed.
    unsaid: BTreeMap<String, Option<Uri>>,
}

impl Server {
    /// A session on a machine, planning for the device that was asked for.
    pub fn new(connection: Connection, inventory: Inventory, asked: Option<String>) -> Self {
        let devices = inventory.known.iter().map(|device| device.name.clone()).collect();
        let client = Client::of(&ClientCapabilities::default());
        Self { connection, inventory, asked, devices, client, phase: Phase::New, desk: Desk::default(), unsaid: BTreeMap::new() }
    }

    /// Takes messages until the client leaves. Texts are checked when no message waits, so that of many changes only the last is.
    pub fn serve(mut self, messages: &Receiver<Message>) -> Exit {
        loop {
            let message = match messages.try_recv() {
                Err(TryRecvError::Empty) => {
                    self.guarded("checking", Self::settle);
                    messages.recv().ok()
                }
                received => received.ok(),
            };
            match message {
                Some(Message::Request(request)) => self.answer(request),
                Some(Message::Notification(notification)) if notification.method == "exit" => return self.left(),
                Some(Message::Notification(notification)) => {
                    let method = notification.method.clone();
                    self.guarded(&method, |server| server.note(notification));
                }
                Some(Message::Response(_)) => (),
                None => return self.left(),
            }
        }
    }

    /// The protocol wants 0 after `shutdown`, else 1.
    fn left(&self) -> Exit {
        if self.phase == Phase::Shut { Exit::Success } else { Exit::Infeasible }
    }

    /// Does something that may have a bug; the session goes on in any case.
    fn guarded<T>(&mut self, what: &str, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(|| act(self)))
            .map_err(|panic| {
                let message =
                    panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
                say(&format!("a bug in cramplan, in {what}: {}", message.unwrap_or("a panic without a message")));
            })
            .ok()
    }

    fn send(&self, message: impl Into<Message>) {
        // A client that went away is noticed where its next message should come from.
        let _ = self.connection.sender.send(message.into());
    }

    fn answer(&mut self, request: Request) {
        let id = request.id.clone();
        let method = request.method.clone();
        let result = match self.guarded(&method, |server| server.result(request)) {
            Some(result) => result,
            None => Err(failure(ErrorCode::InternalError, format!("a bug in cramplan, in `{method}`"))),
        };
        self.send(Response { id, response_result: result });
    }

    fn result(&mut self, request: Request) -> Result<Value, ResponseError> {
        let Request { method, params, .. } = request;
        match (self.phase, method.as_str()) {
            (Phase::New, Initialize::METHOD) => return self.initialize(&params_of::<InitializeParams>(params)?),
            (Phase::New, _) => return Err(failure(ErrorCode::ServerNotInitialized, "`initialize` comes first")),
            (Phase::Shut, _) => return Err(failure(ErrorCode::InvalidRequest, "nothing but `exit` follows `shutdown`")),
            (Phase::Open, _) => (),
        }
        match method.as_str() {
            Shutdown::METHOD => {
                self.phase = Phase::Shut;
                Ok(Value::Null)
            }
            Completion::METHOD => {
                let at = params_of::<lsp_types::CompletionParams>(params)?.text_document_position;
                let name = name_of(&at.text_document.uri);
                json(answer::complete(&self.desk, &name, at.position, self.client, &self.devices))
            }
            HoverRequest::METHOD => {
                let at = params_of::<lsp_types::HoverParams>(params)?.text_document_position_params;
                self.settle();
                json(answer::hover(&self.desk, &name_of(&at.text_document.uri), at.position, self.client))
            }
            GotoDefinition::METHOD => {
                let at = params_of::<lsp_types::GotoDefinitionParams>(params)?.text_document_position_params;
                json(answer::definition(&self.desk, &name_of(&at.text_document.uri), at.position, self.client))
            }
            Formatting::METHOD => {
                let asked = params_of::<lsp_types::DocumentFormattingParams>(params)?;
                json(answer::format(&self.desk, &name_of(&asked.text_document.uri), self.client))
            }
            CodeActionRequest::METHOD => {
                let asked = params_of::<lsp_types::CodeActionParams>(params)?;
                self.settle();
                json(answer::actions(&self.desk, &name_of(&asked.text_document.uri), asked.range, &asked.context))
            }
            Initialize::METHOD => Err(failure(ErrorCode::InvalidRequest, "`initialize` comes once")),
            _ => Err(failure(ErrorCode::MethodNotFound, format!("`{method}` is not served"))),
        }
    }

    fn initialize(&mut self, params: &InitializeParams) -> Result<Value, ResponseError> {
        self.client = Client::of(&params.capabilities);
        self.phase = Phase::Open;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let server_info = Some(ServerInfo { name: "cramplan".to_owned(), version: Some(version) });
        json(InitializeResult { capabilities: self.client.served(), server_info })
    }

    fn note(&mut self, notification: Notification) {
        if self.phase != Phase::Open {
            return;
        }
        let Notification { method, params } = notification;
        let taken = match method.as_str() {
            Initialized::METHOD => {
                self.watch();
                Ok(())
            }
            DidOpenTextDocument::METHOD => params_of(params).map(|params| self.opened(params)),
            DidChangeTextDocument::METHOD => params_of(params).map(|params| self.changed(params)),
            DidCloseTextDocument::METHOD => params_of(params).map(|params| self.closed(&params)),
            DidChangeWatchedFiles::METHOD => params_of(params).map(|params| self.files_changed(&params)),
            _ => Ok(()),
        };
        if let Err(error) = taken {
            say(&format!("`{method}` was not understood: {}", error.message));
        }
    }

    /// Asks to be told of recipes that change on disk: an open one may import them.
    fn watch(&self) {
        if !self.client.watches {
            return;
        }
        let watchers = vec![FileSystemWatcher { glob_pattern: GlobPattern::String("**/*.ron".to_owned()), kind: None }];
        let options = serde_json::to_value(DidChangeWatchedFilesRegistrationOptions { watchers }).ok();
        let method = DidChangeWatchedFiles::METHOD.to_owned();
        let registrations = vec![Registration { id: "recipes".to_owned(), method, register_options: options }];
        let id = RequestId::from("watch".to_owned());
        self.send(Request::new(id, RegisterCapability::METHOD.to_owned(), RegistrationParams { registrations }));
    }

    fn opened(&mut self, params: lsp_types::DidOpenTextDocumentParams) {
        let opened = params.text_document;
        self.desk.open(name_of(&opened.uri), opened.uri, opened.text, opened.version);
    }

    fn changed(&mut self, params: lsp_types::DidChangeTextDocumentParams) {
        let name = name_of(&params.text_document.uri);
        if !self.desk.change(&name, params.content_changes, params.text_document.version, self.client.units) {
            say(&format!("`{name}` was changed but is not open"));
        }
    }

    fn closed(&mut self, params: &lsp_types::DidCloseTextDocumentParams) {
        let name = name_of(&params.text_document.uri);
        let Some(document) = self.desk.close(&name) else { return };
        self.unsaid.extend(document.findings.into_keys().map(|other| (other, None)));
        self.unsaid.insert(name, Some(document.uri));
    }

    fn files_changed(&mut self, params: &lsp_types::DidChangeWatchedFilesParams) {
        params.changes.iter().for_each(|change| self.desk.touch(&name_of(&change.uri)));
    }

    /// Checks what must be checked, and then says what was found: before that, what importers found may be out of date.
    fn settle(&mut self) {
        let mut about = std::mem::take(&mut self.unsaid);
        for name in self.desk.unchecked() {
            let mut files = self.desk.forget(&name);
            self.guarded("checking", |server| {
                check::check(&mut server.desk, &name, &server.inventory, server.asked.as_ref(), server.client.units);
            });
            files.extend(self.desk.get(&name).into_iter().flat_map(|document| document.findings.keys().cloned()));
            files.push(name);
            for file in files {
                about.entry(file).or_default();
            }
        }
        for (name, closed) in about {
            self.publish(&name, closed);
        }
    }

    /// Says all that is known to be wrong in a file, found in it or by way of what imports it. `closed` is what the client called it
    /// where it was just closed.
    fn publish(&self, name: &str, closed: Option<Uri>) {
        let open = self.desk.get(name).map(|document| document.uri.clone());
        let Some(uri) = open.or(closed).or_else(|| self.desk.uri_of(name)) else { return };
        let mut diagnostics: Vec<lsp_types::Diagnostic> = Vec::new();
        for finding in self.desk.iter().filter_map(|document| document.findings.get(name)).flatten() {
            let mut diagnostic = finding.diagnostic.clone();
            if !self.client.related {
                diagnostic.related_information = None;
            }
            if !diagnostics.contains(&diagnostic) {
                diagnostics.push(diagnostic);
            }
        }
        let version = self.desk.get(name).map(|document| document.version);
        let params = PublishDiagnosticsParams { uri, diagnostics, version };
        self.send(Notification::new(PublishDiagnostics::METHOD.to_owned(), params));
    }
}

fn params_of<P: DeserializeOwned>(params: Value) -> Result<P, ResponseError> {
    serde_json::from_value(params).map_err(|error| failure(ErrorCode::InvalidParams, error.to_string()))
}

fn json(result: impl Serialize) -> Result<Value, ResponseError> {
    serde_json::to_value(result).map_err(|error| failure(ErrorCode::InternalError, error.to_string()))
}

fn failure(code: ErrorCode, message: impl Into<String>) -> ResponseError {
    ResponseError { code: code as i32, message: message.into(), data: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory() -> Inventory {
        Inventory::of(crate::cli::world::machine(), Vec::new(), Vec::new(), false)
    }

    #[test]
    fn a_bug_is_said_and_ends_nothing() {
        let (server, _client) = Connection::memory();
        let mut server = Server::new(server, inventory(), None);
        assert_eq!(server.guarded("a test", |_| -> u8 { panic!("on purpose") }), None);
        assert_eq!(server.guarded("a test", |_| 1), Some(1));
    }

    #[test]
    fn every_device_that_can_be_planned_for_is_offered_once() {
        let (server, _client) = Connection::memory();
        let server = Server::new(server, inventory(), None);
        assert_eq!(server.devices.len(), crate::device::catalog().len() + 1);
    }
}
