//! `cramplan check --fix`: makes the changes that diagnostics call safe, in the recipe and in what it imports.
//!
//! Invariant: files are written once, at the end, and only where the recipe then has no more errors than before; comments and layout stay,
//! since only the places of the mistakes are touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::arguments::Choice;
use super::inventory::Inventory;
use super::world::{self, Texts, Unreadable};
use super::{complain, say};
use crate::diag::{Diagnostic, Edit, Fix};
use crate::pipeline::Compilation;
use crate::source::Sources;

/// Mending one mistake may bring another to light; it ends after this many rounds at the latest.
const ROUNDS: usize = 16;

/// What came of mending.
pub struct Mended {
    /// The recipe as it is now.
    pub compilation: Compilation,
    /// The files that change, with their new texts.
    pub texts: Texts,
    /// What was done, a line each.
    pub done: Vec<String>,
}

/// Makes every safe change, without writing anything.
///
/// # Errors
/// Where the recipe cannot be read.
pub fn mend(choice: &Choice, inventory: &Inventory) -> Result<Mended, Unreadable> {
    let mut mended =
        Mended { compilation: world::compile_over(choice, inventory, &Texts::new())?, texts: Texts::new(), done: Vec::new() };
    for _ in 0..ROUNDS {
        let (changed, done) = round(&mended);
        if done.is_empty() {
            break;
        }
        let mut texts = mended.texts.clone();
        texts.extend(changed);
        let compilation = world::compile_over(choice, inventory, &texts)?;
        // A recipe that could be planned is not to become one that cannot.
        let lost = mended.compilation.verdict.is_some() && compilation.verdict.is_none();
        if lost || errors(&compilation) > errors(&mended.compilation) {
            break;
        }
        mended.done.extend(done);
        mended = Mended { compilation, texts, ..mended };
    }
    Ok(mended)
}

/// Writes the mended files and says what was done; false where one cannot be written.
pub fn write(mended: &Mended) -> bool {
    if let Some(name) = mended.texts.keys().find(|name| world::is_read_only(Path::new(name))) {
        complain(&format!("`{name}` is read-only, so nothing was changed"));
        mended.done.iter().for_each(|line| say(&line.replacen("mended", "not mended", 1)));
        return false;
    }
    for (name, text) in &mended.texts {
        if let Err(error) = world::replace(Path::new(name), text) {
            complain(&format!("`{name}` cannot be written and was left as it is: {error}"));
            say("help: make the changes by hand");
            mended.done.iter().for_each(|line| say(&line.replacen("mended", "not mended", 1)));
            return false;
        }
    }
    for line in &mended.done {
        say(line);
    }
    true
}

fn errors(compilation: &Compilation) -> usize {
    compilation.diagnostics.iter().filter(|d| d.is_error()).count()
}

/// The changes of one round, by file, and what they do.
fn round(mended: &Mended) -> (Texts, Vec<String>) {
    let Compilation { sources, diagnostics, .. } = &mended.compilation;
    let mut edits: BTreeMap<String, BTreeSet<(u32, u32, String)>> = BTreeMap::new();
    let mut done = Vec::new();
    for fix in diagnostics.iter().filter_map(|d| of(d, sources)) {
        if let Some(place) = accept(fix, sources, &mut edits) {
            done.push(format!("mended {place}: {}", fix.title));
        }
    }
    let texts = edits.into_iter().filter_map(|(name, edits)| {
        let source = sources.iter().find(|s| s.name == name)?;
        Some((name, applied(&source.text, &edits)))
    });
    (texts.collect(), done)
}

/// The fix of a diagnostic that can be made unasked: it is safe and lies in files.
pub fn of<'d>(diagnostic: &'d Diagnostic, sources: &Sources) -> Option<&'d Fix> {
    let in_file = |edit: &Edit| sources.get(edit.span.source).is_some_and(|s| !s.name.starts_with("--"));
    diagnostic.fixes.iter().find(|fix| fix.safe && !fix.edits.is_empty() && fix.edits.iter().all(in_file))
}

/// Takes a fix whose edits lie in files and touch no other's; gives its place.
fn accept(fix: &Fix, sources: &Sources, edits: &mut BTreeMap<String, BTreeSet<(u32, u32, String)>>) -> Option<String> {
    let file = |edit: &Edit| sources.get(edit.span.source).map(|s| s.name.clone());
    let free = |edit: &Edit| {
        let Some(taken) = file(edit).map(|name| edits.get(&name)) else { return false };
        let touches = |(start, end, _): &(u32, u32, String)| edit.span.start <= *end && *start <= edit.span.end;
        !taken.is_some_and(|taken| taken.iter().any(touches))
    };
    if !fix.edits.iter().all(free) {
        return None;
    }
    for edit in &fix.edits {
        edits.entry(file(edit)?).or_default().insert((edit.span.start, edit.span.end, edit.text.clone()));
    }
    let first = fix.edits.first()?;
    let (line, _) = sources.line_column(first.span);
    Some(format!("`{}:{line}`", file(first)?))
}

fn applied(text: &str, edits: &BTreeSet<(u32, u32, String)>) -> String {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (start, end, new) in edits {
        out.push_str(text.get(at..*start as usize).unwrap_or_default());
        out.push_str(new);
        at = *end as usize;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}
