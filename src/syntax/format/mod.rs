//! The one style of recipes: the same tokens and comments, with other blanks between them and commas where the style wants them.
//!
//! Four blanks a level and 100 columns. The struct of the file has one entry a line. Any other bracket stays on its line where it
//! fits, holds no comment that needs a line and had no comma at its end; else it has one entry a line, each with a comma.
//! Texts, numbers and names stay as they are written.
//!
//! Invariant: tokens but for commas, and comments, keep their text and their order; the tree stays the same; formatting twice is
//! formatting once. A text with syntax errors is not formatted at all.

mod print;
#[cfg(test)]
mod tests;
mod tree;

use crate::diag::{Code, Diagnostic};
use crate::source::SourceId;

/// Formats a recipe.
///
/// # Errors
/// The syntax errors of a text that cannot be parsed.
pub fn format(source: SourceId, text: &str) -> Result<String, Vec<Diagnostic>> {
    let (document, diagnostics) = super::parse(source, text);
    if document.is_none() || diagnostics.iter().any(Diagnostic::is_error) {
        return Err(diagnostics);
    }
    let file = tree::read(source, text).map_err(|place| {
        let diagnostic =
            Diagnostic::error(Code::SyntaxUnexpected, place, "this bracket closes nothing").here("not expected here");
        vec![diagnostic.help("take it out")]
    })?;
    Ok(print::print(&file))
}
