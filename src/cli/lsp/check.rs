//! Checks an open text as `cramplan check` would, with what is open in the editor in place of what is on disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::desk::Desk;
use super::place::Units;
use super::report::{Finding, Translator};
use super::uri::name_of_path;
use crate::cli::inventory::Inventory;
use crate::cli::world::read_text;
use crate::editor::{Costs, recipe_around};
use crate::pipeline::{Compilation, Inputs, compile};

/// The name of the recipe that is put around a part of one; that of no file.
const AROUND: &str = "around";

/// Checks the text of a name and writes down what came of it.
pub fn check(desk: &mut Desk, name: &str, inventory: &Inventory, asked: Option<&String>, units: Units) {
    let imports = RefCell::new(BTreeSet::new());
    let checked = desk.recipe(name).map(|document| {
        let mut read = |path: &str, importer: &str| match importer {
            AROUND => Ok((name.to_owned(), document.text.clone())),
            _ => read_import(desk, path, importer, &imports),
        };
        let entry = match recipe_around(&document.text) {
            Some(around) => (AROUND.to_owned(), around),
            None => (name.to_owned(), document.text.clone()),
        };
        let inputs = Inputs {
            entry,
            read: &mut read,
            overrides: &[],
            machine: inventory.machine.clone(),
            known: &inventory.known,
            asked: asked.cloned(),
        };
        let compilation = compile(inputs);
        (findings(desk, &compilation, units), compilation.verdict.as_ref().map(Costs::of))
    });
    let (findings, costs) = checked.unwrap_or_default();
    let Some(document) = desk.get_mut(name) else { return };
    let before = document.costs.take();
    document.costs = costs.map(|costs| (costs, false)).or(before.map(|(costs, _)| (costs, true)));
    document.findings = findings;
    document.imports = imports.into_inner();
}

/// An imported file, relative to its importer: from the editor, else from disk.
fn read_import(desk: &Desk, path: &str, importer: &str, imports: &RefCell<BTreeSet<String>>) -> Result<(String, String), String> {
    let target = Path::new(importer).parent().unwrap_or(Path::new("")).join(path);
    let name = name_of_path(&target);
    imports.borrow_mut().insert(name.clone());
    let text = match desk.get(&name) {
        Some(open) => open.text.clone(),
        None => read_text(&target).map_err(|e| format!("`{name}` cannot be read: {e}"))?,
    };
    Ok((name, text))
}

fn findings(desk: &Desk, compilation: &Compilation, units: Units) -> BTreeMap<String, Vec<Finding>> {
    let uri_of = |name: &str| desk.uri_of(name);
    let translator = Translator::new(&compilation.sources, units, &uri_of);
    let mut found: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for diagnostic in &compilation.diagnostics {
        // What is wrong with the recipe around a part is that it holds nothing else.
        if let Some((name, finding)) = translator.finding(diagnostic).filter(|(name, _)| name != AROUND) {
            found.entry(name).or_default().push(finding);
        }
    }
    found
}
