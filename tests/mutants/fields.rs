//! Fields in the wrong struct, fields that are not there, and fields that are there twice.

use std::ops::Range;

use super::draw::Draw;
use super::sites::{Entry, Sites, overlap};
use super::text::{Edit, Place};
use super::{Kind, Mistake, Proposed, Right, Target};

/// How many strange homes each field is tried in.
const HOMES: usize = 3;

/// Proposes for every field.
pub fn propose(sites: &Sites, draw: &mut Draw, out: &mut Proposed) {
    for entry in &sites.entries {
        missing(sites, entry, out);
        duplicate(sites, entry, draw, out);
        let homes: Vec<usize> = (0..sites.structures.len()).filter(|home| *home != entry.holder).collect();
        for home in draw.some(&homes, HOMES) {
            misplaced(sites, entry, home, draw, out);
        }
    }
    for at in 0..sites.structures.len() {
        missing_first(sites, at, out);
    }
}

/// What taking an entry out takes out: its comma too, and its line where nothing else is on it.
fn removal(sites: &Sites, entry: &Range<usize>) -> Range<usize> {
    let next = sites.mark_from(entry.end).filter(|m| m.sign == ',');
    let Some(comma) = next else {
        let previous = sites.mark_before(entry.start).filter(|m| m.sign == ',');
        return previous.map_or(entry.start, |m| m.at)..entry.end;
    };
    let rest = &sites.text[comma.at + 1..];
    let blanks = rest.len() - rest.trim_start_matches(' ').len();
    let end = comma.at + 1 + blanks;
    let line = sites.text[..entry.start].rfind('\n').map_or(0, |at| at + 1);
    let leads = sites.text[line..entry.start].trim().is_empty();
    if leads && sites.text[end..].starts_with('\n') { line..end + 1 } else { entry.start..end }
}

/// A mistake where the field is required, unless an import may bring it.
fn missing(sites: &Sites, entry: &Entry, out: &mut Proposed) {
    let holder = &sites.structures[entry.holder];
    let is_required = entry.info.default.is_none() && !entry.info.optional;
    if !is_required || holder.imports {
        return out.leave_out(Kind::Missing);
    }
    let gone = removal(sites, &entry.all);
    out.mistakes.push(without(sites, entry.holder, entry.info.name, gone));
}

/// `Constant(64)` without its only value.
fn missing_first(sites: &Sites, at: usize, out: &mut Proposed) {
    let structure = &sites.structures[at];
    let (Some(open), Some(first)) = (structure.open, structure.info.fields.first()) else { return };
    let inside = open + 1..structure.all.end - 1;
    if structure.is_named || sites.text[inside.clone()].trim().is_empty() {
        return;
    }
    if first.default.is_some() || first.optional || structure.imports {
        return out.leave_out(Kind::Missing);
    }
    out.mistakes.push(without(sites, at, first.name, inside));
}

fn without(sites: &Sites, holder: usize, name: &str, gone: Range<usize>) -> Mistake {
    let structure = &sites.structures[holder];
    let open = structure.open.unwrap_or(structure.all.start);
    let head = structure.name.as_ref().map_or(open..open + 1, |(_, at)| at.clone());
    // The struct is what lacks the field: its name, and no more than the line up to its parenthesis.
    let line = structure.field.start.min(head.start)..open + 1;
    Mistake {
        kind: Kind::Missing,
        what: format!("`{}` without `{name}`", structure.info.name),
        edits: vec![Edit { at: gone.clone(), with: String::new() }],
        targets: vec![Target::of(Place::Became(head.clone()), Place::Became(line)), Target::gap(gone.clone(), gone.clone())],
        right: Right::Nothing,
        footprint: vec![gone, head],
    }
}

/// A mistake wherever the struct has a name for each field.
fn duplicate(sites: &Sites, entry: &Entry, draw: &mut Draw, out: &mut Proposed) {
    let holder = &sites.structures[entry.holder];
    let last = sites.entries.iter().filter(|e| e.holder == entry.holder).map(|e| e.all.end).max().unwrap_or(entry.all.end);
    // An import is the last entry, and what comes after it would be another mistake.
    let after_last = !holder.imports && draw.below(2) == 0;
    let at = if after_last { last } else { entry.all.end };
    let copy = &sites.text[entry.all.clone()];
    let length = entry.info.name.len();
    let first = Place::Became(entry.all.clone());
    out.mistakes.push(Mistake {
        kind: Kind::Duplicate,
        what: format!("`{}` given twice", entry.info.name),
        edits: vec![Edit { at: at..at, with: format!(", {copy}") }],
        targets: vec![
            Target::of(Place::Written(0, 2..2 + length), Place::Written(0, 2..2 + copy.len())),
            Target::of(Place::Became(entry.name.clone()), first),
        ],
        right: Right::Nothing,
        footprint: vec![entry.all.clone(), at..at],
    });
}

/// A mistake where the new struct has no field of the name; the name alone decides, whatever the value.
fn misplaced(sites: &Sites, entry: &Entry, home: usize, draw: &mut Draw, out: &mut Proposed) {
    let (old, new) = (&sites.structures[entry.holder], &sites.structures[home]);
    let moves_into_itself = entry.all.start <= new.all.start && new.all.end <= entry.all.end;
    let Some(open) = new.open.filter(|_| new.is_named && !moves_into_itself) else { return };
    if new.info.fields.iter().any(|f| f.name == entry.info.name) {
        return out.leave_out(Kind::Misplaced);
    }
    let gone = removal(sites, &entry.all);
    let copy = &sites.text[entry.all.clone()];
    let others: Vec<usize> = sites.entries.iter().filter(|e| e.holder == home).map(|e| e.all.end).collect();
    let (at, before, after) = match draw.one(&others) {
        Some(at) => (*at, ", ", ""),
        None if new.all.end - 1 == open + 1 => (open + 1, "", ""),
        None => (open + 1, "", ", "),
    };
    if overlap(&gone, &(at..at)) {
        return;
    }
    let (start, name) = (before.len(), entry.info.name);
    let put = Edit { at: at..at, with: format!("{before}{copy}{after}") };
    let written = |length| Place::Written(1, start..start + length);
    out.mistakes.push(Mistake {
        kind: Kind::Misplaced,
        what: format!("`{}` moved from `{}` to `{}`", entry.path, old.info.name, new.info.name),
        edits: vec![Edit { at: gone.clone(), with: String::new() }, put],
        targets: vec![Target::of(written(name.len()), written(copy.len()))],
        right: Right::Home { path: entry.path.clone(), record: old.info.name },
        footprint: vec![gone, at..at],
    });
}
