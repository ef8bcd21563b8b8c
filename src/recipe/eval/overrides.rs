//! What `--set` replaces: fields of the recipe by their path, `let` names by their name.
//!
//! A path with points is a field. A single name is the `let` of that name where the recipe has one, else a field of the recipe, else the
//! `let` of that name in what the recipe imports.
//!
//! Invariant: every override replaces something or is reported; what is replaced is not evaluated.

use crate::diag::{Code, Diagnostic};
use crate::recipe::settings::Recipe;
use crate::recipe::suggest::nearest;
use crate::syntax::ast::{Document, Expr, Ident, Override};

/// What an override replaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// A field of the recipe.
    Field,
    /// A `let` of the recipe.
    OwnLet,
    /// A `let` of an imported file, if one of that name comes.
    ImportedLet,
}

/// The overrides of an evaluation, and where in the recipe's fields it is.
pub(super) struct Overrides<'o> {
    all: Vec<(&'o Override, Target)>,
    claimed: Vec<bool>,
    /// The fields from the outermost struct down to here; none outside the recipe's own value.
    path: Option<Vec<String>>,
}

impl<'o> Overrides<'o> {
    pub(super) fn new(all: &'o [Override]) -> Self {
        Self { all: all.iter().map(|o| (o, Target::Field)).collect(), claimed: vec![false; all.len()], path: None }
    }

    /// Decides what each replaces, given the recipe's own file.
    pub(super) fn sort_out(&mut self, document: &Document) {
        for (o, target) in &mut self.all {
            let [name] = o.path.as_slice() else { continue };
            if document.lets.iter().any(|l| l.name.text == name.text) {
                *target = Target::OwnLet;
            } else if !Recipe::INFO.fields.iter().any(|f| f.name == name.text) {
                *target = Target::ImportedLet;
            }
        }
    }

    /// Those that replace fields.
    pub(super) fn of_fields(&self) -> Vec<&'o Override> {
        self.all.iter().filter(|(_, target)| *target == Target::Field).map(|(o, _)| *o).collect()
    }

    /// The names of a field's path, without the name of the outermost struct that may stand before it.
    pub(super) fn field_path(o: &Override) -> &[Ident] {
        match o.path.as_slice() {
            [root, rest @ ..] if root.text == Recipe::INFO.name && !rest.is_empty() => rest,
            all => all,
        }
    }

    /// What stands for a `let`; the last override counts.
    pub(super) fn of_let(&mut self, name: &str, own: bool) -> Option<&'o Expr> {
        let wanted = if own { Target::OwnLet } else { Target::ImportedLet };
        let mut found = None;
        for ((o, target), claimed) in self.all.iter().zip(&mut self.claimed) {
            if *target == wanted && o.path.first().is_some_and(|n| n.text == name) {
                *claimed = true;
                found = Some(&o.value);
            }
        }
        found
    }

    /// Enters the recipe's own value.
    pub(super) fn enter(&mut self) {
        self.path = Some(Vec::new());
    }

    /// Leaves it for another file; gives what [`Overrides::resume`] takes.
    pub(super) fn leave(&mut self) -> Option<Vec<String>> {
        self.path.take()
    }

    pub(super) fn resume(&mut self, path: Option<Vec<String>>) {
        self.path = path;
    }

    pub(super) fn push(&mut self, field: &str) {
        if let Some(path) = &mut self.path {
            path.push(field.to_owned());
        }
    }

    pub(super) fn pop(&mut self) {
        if let Some(path) = &mut self.path {
            path.pop();
        }
    }

    /// Whether the field of this name, here, is replaced.
    pub(super) fn replaces(&self, field: &str) -> bool {
        let Some(path) = &self.path else { return false };
        self.all.iter().any(|(o, target)| {
            let wanted = Self::field_path(o);
            *target == Target::Field
                && wanted.len() == path.len() + 1
                && wanted.iter().map(|n| n.text.as_str()).eq(path.iter().map(String::as_str).chain([field]))
        })
    }

    /// Reports what replaced nothing.
    pub(super) fn unclaimed<'n>(&self, lets: impl Iterator<Item = &'n str>) -> Vec<Diagnostic> {
        let names: Vec<&str> = lets.chain(Recipe::INFO.fields.iter().map(|f| f.name)).collect();
        let idle =
            self.all.iter().zip(&self.claimed).filter(|((_, target), claimed)| *target == Target::ImportedLet && !**claimed);
        idle.filter_map(|((o, _), _)| o.path.first())
            .map(|name| {
                let message = format!("`{}` is neither a field of the recipe nor a `let` name", name.text);
                let help = match nearest(&name.text, names.iter().copied()) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => "fields further in are written with their path, such as `model.width`".to_owned(),
                };
                Diagnostic::error(Code::BadPath, name.span, message).here("replaces nothing").help(help)
            })
            .collect()
    }
}
