//! Imports: another file's struct, read once for each place that names it.
//!
//! Invariant: files that import each other end at a limit, and a file that cannot be read or does not fit is reported where it is named.

use super::overlay::fits;
use super::{Evaluator, MAX_IMPORT_DEPTH, MAX_IMPORTS};
use crate::diag::{Code, Diagnostic};
use crate::recipe::value::{FieldValue, Value, ValueKind};
use crate::source::Span;
use crate::syntax::ast::{self, Ident};

impl Evaluator<'_> {
    /// The struct of another file: its name, its fields, and whether some may be missing; `None` after a report.
    pub(super) fn import(
        &mut self,
        name: Option<&Ident>,
        import: &ast::Import,
    ) -> Option<(Option<Ident>, Vec<FieldValue>, bool)> {
        let theirs = match self.imported(import) {
            Ok(value) => value,
            Err(diagnostic) => {
                self.report(diagnostic);
                return None;
            }
        };
        match theirs.kind {
            ValueKind::Poisoned => None,
            ValueKind::Struct { name: other, fields, broken } if fits(name, other.as_ref()) => Some((other, fields, broken)),
            other => {
                self.report(wrong_import(name, &other, theirs.span, import));
                None
            }
        }
    }

    fn imported(&mut self, import: &ast::Import) -> Result<Value, Diagnostic> {
        let place = import.path_span;
        let failed = |why: &str| {
            Diagnostic::error(Code::ImportFailed, place, format!("`{}` cannot be imported: {why}", import.path))
                .here("this import")
        };
        self.imports += 1;
        if self.files.len() >= MAX_IMPORT_DEPTH {
            return Err(cycle(place, format!("imports are more than {MAX_IMPORT_DEPTH} files deep")));
        }
        if self.imports > MAX_IMPORTS {
            return Err(
                failed(&format!("the recipe has more than {MAX_IMPORTS} imports")).help("put what they share into fewer files")
            );
        }
        let Some(load) = self.load.as_mut() else {
            return Err(failed("no file may be read here").help("write the fields out"));
        };
        let loaded = load(&import.path, place.source);
        let (document, found) = loaded.map_err(|why| {
            failed(&why).help("the path is relative to the file that imports, in double quotes and with its ending")
        })?;
        let source = document.value.span.source;
        if self.files.contains(&source) {
            return Err(cycle(
                place,
                match self.files.len() {
                    1 => format!("`{}` imports itself", import.path),
                    n => format!("`{}` imports itself, by way of {n} files", import.path),
                },
            ));
        }
        self.diagnostics.extend(found);
        self.files.push(source);
        let value = self.document(&document);
        self.files.pop();
        Ok(value)
    }
}

fn cycle(place: Span, message: String) -> Diagnostic {
    Diagnostic::error(Code::ImportCycle, place, message)
        .here("this import")
        .help("take it out, or move what both files need into a third")
}

fn wrong_import(name: Option<&Ident>, found: &ValueKind, there: Span, import: &ast::Import) -> Diagnostic {
    let wanted = name.map_or("a struct".to_owned(), |n| format!("`{}(..)`", n.text));
    let message = format!("`{}` holds {}, not {wanted}", import.path, found.describe());
    let there = Span { end: there.start, ..there };
    let diagnostic =
        Diagnostic::error(Code::ImportFailed, import.path_span, message).here("this import").and(there, "its value begins here");
    diagnostic.help("the import of a struct must hold a struct of the same name, with its fields by name")
}
