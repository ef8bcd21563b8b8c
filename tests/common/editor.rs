//! A small client of the language server, for tests and measurements.

use std::io::{BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long an answer may take: far more than it should, even without optimization on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server and what it said.
pub struct Editor {
    server: Child,
    stdin: Option<ChildStdin>,
    said: Receiver<Value>,
    /// Notifications and requests of the server that nothing has waited for yet.
    pub unread: Vec<Value>,
    next: i64,
}

impl Editor {
    /// Starts a server in a directory.
    pub fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cramplan"));
        command.arg("lsp").args(arguments).current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("CRAMPLAN_HOME", directory.join("home"));
        let mut server = command.stderr(Stdio::null()).spawn().unwrap();
        let mut out = BufReader::new(server.stdout.take().unwrap());
        let (sender, said) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut out) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { stdin: server.stdin.take(), server, said, unread: Vec::new(), next: 0 }
    }

    /// Starts a server and introduces a client that can do `capabilities`.
    pub fn open_session(directory: &Path, capabilities: &Value) -> Self {
        let mut editor = Self::start(directory, &["--for", "rtx-a6000"]);
        editor.ask("initialize", &json!({"processId": null, "rootUri": null, "capabilities": capabilities}));
        editor.note("initialized", &json!({}));
        editor
    }

    pub fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let stdin = self.stdin.as_mut().unwrap();
        write!(stdin, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        stdin.flush().unwrap();
    }

    pub fn note(&mut self, method: &str, params: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request and gives its id.
    pub fn request(&mut self, method: &str, params: &Value) -> i64 {
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}));
        self.next
    }

    fn receive(&self, deadline: Instant) -> Value {
        let left = deadline.saturating_duration_since(Instant::now());
        self.said.recv_timeout(left).expect("the server says something in time")
    }

    /// The answer to a request, with its `result` or `error`.
    pub fn answer(&mut self, id: i64) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(deadline);
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            self.unread.push(message);
        }
    }

    /// The result of a request.
    pub fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.request(method, params);
        let answer = self.answer(id);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    pub fn open(&mut self, uri: &str, text: &str) {
        self.note(
            "textDocument/didOpen",
            &json!({"textDocument": {"uri": uri, "languageId": "cramplan", "version": 1, "text": text}}),
        );
    }

    /// Replaces the whole text.
    pub fn change(&mut self, uri: &str, version: i32, text: &str) {
        let document = json!({"uri": uri, "version": version});
        self.note("textDocument/didChange", &json!({"textDocument": document, "contentChanges": [{"text": text}]}));
    }

    /// The next message of a kind.
    pub fn next(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.unread.iter().position(&wanted) {
            return self.unread.remove(at);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(deadline);
            if wanted(&message) {
                return message;
            }
            self.unread.push(message);
        }
    }

    /// The next diagnostics of a text, of a version where one is given.
    pub fn diagnostics(&mut self, uri: &str, version: Option<i32>) -> Vec<Value> {
        let is_it = |m: &Value| {
            let right_version = version.is_none_or(|version| m["params"]["version"] == version);
            m["method"] == "textDocument/publishDiagnostics" && m["params"]["uri"] == uri && right_version
        };
        self.next(is_it)["params"]["diagnostics"].as_array().unwrap().clone()
    }

    /// Ends the server in the way that is given, and gives its exit code.
    pub fn end(mut self, properly: bool) -> i32 {
        if properly {
            assert_eq!(self.ask("shutdown", &Value::Null), Value::Null);
        }
        self.note("exit", &Value::Null);
        self.code()
    }

    /// Goes away without a word.
    pub fn hang_up(mut self) -> i32 {
        self.stdin = None;
        self.code()
    }

    fn code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.server.try_wait().unwrap() {
                return status.code().unwrap();
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn read(out: &mut impl std::io::BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if out.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            header => length = header.strip_prefix("Content-Length: ").and_then(|n| n.parse().ok()).or(length),
        }
    }
    let mut body = vec![0; length?];
    out.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// The URI of a file in a directory.
pub fn uri(directory: &Path, file: &str) -> String {
    format!("file://{}/{file}", directory.display())
}

/// What names the place of a marker in a text, the marker left out of it; columns are characters, as in a text of plain ones.
pub fn place(uri: &str, text: &str, marker: &str) -> Value {
    let at = text.find(marker).unwrap();
    let line = text[..at].matches('\n').count();
    let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
    json!({"textDocument": {"uri": uri}, "position": {"line": line, "character": text[start..at].encode_utf16().count()}})
}
