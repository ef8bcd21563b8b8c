//! One shape for everything cramplan has to say about an input: a code, a message, places, a way out, and edits that take it.
//!
//! Invariant: nothing here knows what the input means.

mod code;

pub use code::Code;

use crate::source::Span;

/// How much a diagnostic weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Legal, but likely not what was meant.
    Warning,
    /// The recipe cannot be used.
    Error,
}

impl Severity {
    /// The word that stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A place with a remark; the first label of a diagnostic is the primary one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is to be seen there; may be empty.
    pub text: String,
}

/// A change of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced; of no width where something is put in.
    pub span: Span,
    /// What comes in its place.
    pub text: String,
}

/// A way out that can be taken by changing the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in the imperative: "put a `,` here".
    pub title: String,
    /// The changes; none overlaps another, and all are made or none.
    pub edits: Vec<Edit>,
    /// Whether it is what was meant beyond reasonable doubt, so that `check --fix` may make it unasked.
    pub safe: bool,
}

/// One finding about an input.
///
/// Messages are lower case, put code in backticks and end without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding it is.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// Where; the first is primary.
    pub labels: Vec<Label>,
    /// The way out.
    pub help: Option<String>,
    /// Ways out as changes of the text, the likeliest first.
    pub fixes: Vec<Fix>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        let labels = vec![Label { span, text: String::new() }];
        Self { code, severity: Severity::Error, message: message.into(), labels, help: None, fixes: Vec::new() }
    }

    /// A warning at a place.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message) }
    }

    /// Says what is to be seen at the primary place.
    #[must_use]
    pub fn here(mut self, text: impl Into<String>) -> Self {
        if let Some(label) = self.labels.first_mut() {
            label.text = text.into();
        }
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn and(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds the way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds a change that mends it; `safe` where it is what was meant beyond reasonable doubt.
    #[must_use]
    pub fn fix(self, title: impl Into<String>, safe: bool, span: Span, text: impl Into<String>) -> Self {
        self.edits(title, safe, vec![Edit { span, text: text.into() }])
    }

    /// Adds a mend that changes several places at once.
    #[must_use]
    pub fn edits(mut self, title: impl Into<String>, safe: bool, edits: Vec<Edit>) -> Self {
        self.fixes.push(Fix { title: title.into(), edits, safe });
        self
    }

    /// The primary place.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|l| l.span)
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
