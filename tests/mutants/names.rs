//! Names mistyped as hands mistype them: two letters swapped, one dropped, doubled or hit beside, the wrong case, a plural, camel case.
//!
//! A hyphen in place of an underscore is not among them: it makes two names and a minus, which `tests/mistakes` has by hand.

use std::ops::Range;

use super::draw::Draw;
use super::sites::{Chosen, Entry, Sites};
use super::text::{Edit, Place};
use super::{Kind, Mistake, Proposed, Right, Target};

/// A way to mistype; `None` where it does not change the name.
type Slip = fn(&[char], &mut Draw) -> Option<String>;

const SLIPS: [Slip; 7] = [swapped, dropped, doubled, beside, other_case, plural, camel];

/// Words that are no names.
const WORDS: [&str; 5] = ["let", "true", "false", "import", "r"];

/// Proposes every slip for every name.
pub fn propose(sites: &Sites, draw: &mut Draw, out: &mut Proposed) {
    for entry in &sites.entries {
        for slip in SLIPS {
            field(sites, entry, slip, draw, out);
        }
    }
    for chosen in &sites.chosen {
        for slip in SLIPS {
            variant(sites, chosen, slip, draw, out);
        }
    }
    for (at, inside) in &sites.uses {
        for slip in SLIPS {
            let_name(sites, at, inside, slip, draw, out);
        }
    }
}

fn slipped(name: &str, slip: Slip, draw: &mut Draw) -> Option<String> {
    let letters: Vec<char> = name.chars().collect();
    slip(&letters, draw).filter(|new| new != name && !new.is_empty() && !WORDS.contains(&new.as_str()))
}

/// Legal, or another mistake, where the struct has a field of the new name.
fn field(sites: &Sites, entry: &Entry, slip: Slip, draw: &mut Draw, out: &mut Proposed) {
    let name = entry.info.name;
    let Some(new) = slipped(name, slip, draw) else { return };
    if sites.structures[entry.holder].info.fields.iter().any(|f| f.name == new) {
        return out.leave_out(Kind::MisspelledField);
    }
    out.mistakes.push(misspelled(Kind::MisspelledField, name, &new, &entry.name, &entry.all, &entry.all));
}

/// Legal where the new name is another choice; `let` names stand for anything.
fn variant(sites: &Sites, chosen: &Chosen, slip: Slip, draw: &mut Draw, out: &mut Proposed) {
    let Some(new) = slipped(&chosen.name, slip, draw) else { return };
    if chosen.names.contains(&new.as_str()) || sites.lets.contains(&new) {
        return out.leave_out(Kind::MisspelledVariant);
    }
    out.mistakes.push(misspelled(Kind::MisspelledVariant, &chosen.name, &new, &chosen.at, &chosen.field, &chosen.hides));
}

/// Legal where there is a `let` of the new name.
fn let_name(sites: &Sites, at: &Range<usize>, inside: &Range<usize>, slip: Slip, draw: &mut Draw, out: &mut Proposed) {
    let name = &sites.text[at.clone()];
    let Some(new) = slipped(name, slip, draw) else { return };
    if sites.lets.contains(&new) {
        return out.leave_out(Kind::MisspelledLet);
    }
    out.mistakes.push(misspelled(Kind::MisspelledLet, name, &new, at, inside, inside));
}

fn misspelled(kind: Kind, name: &str, new: &str, at: &Range<usize>, within: &Range<usize>, hides: &Range<usize>) -> Mistake {
    Mistake {
        kind,
        what: format!("`{name}` written `{new}`"),
        edits: vec![Edit { at: at.clone(), with: new.to_owned() }],
        targets: vec![Target::of(Place::Became(at.clone()), Place::Became(within.clone()))],
        right: Right::Name(name.to_owned()),
        footprint: vec![hides.clone()],
    }
}

fn joined(parts: &[&[char]]) -> String {
    parts.iter().copied().flatten().collect()
}

fn swapped(name: &[char], draw: &mut Draw) -> Option<String> {
    let at = draw.below(name.len().checked_sub(1)?);
    let (a, b) = (*name.get(at)?, *name.get(at + 1)?);
    Some(joined(&[&name[..at], &[b, a], &name[at + 2..]]))
}

fn dropped(name: &[char], draw: &mut Draw) -> Option<String> {
    let at = draw.below(name.len());
    Some(joined(&[name.get(..at)?, name.get(at + 1..)?]))
}

fn doubled(name: &[char], draw: &mut Draw) -> Option<String> {
    let at = draw.below(name.len());
    Some(joined(&[name.get(..=at)?, name.get(at..)?]))
}

/// A key next to the right one, on a QWERTY keyboard.
fn beside(name: &[char], draw: &mut Draw) -> Option<String> {
    const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];
    let at = draw.below(name.len());
    let key = name[at].to_ascii_lowercase();
    let row: Vec<char> = ROWS.iter().find(|row| row.contains(key))?.chars().collect();
    let place = row.iter().position(|c| *c == key)?;
    let near: Vec<char> = [place.checked_sub(1), Some(place + 1)].iter().filter_map(|p| row.get((*p)?).copied()).collect();
    let mut hit = *draw.one(&near)?;
    if name[at].is_uppercase() {
        hit = hit.to_ascii_uppercase();
    }
    Some(joined(&[&name[..at], &[hit], &name[at + 1..]]))
}

/// `Width`, `WIDTH`, `adamw`, `ADAMW`.
fn other_case(name: &[char], draw: &mut Draw) -> Option<String> {
    let first = name.first()?;
    let all: String = name.iter().collect();
    let capital = || first.to_uppercase().chain(name[1..].iter().copied()).collect();
    let lower = first.is_lowercase();
    Some(match draw.below(2) {
        0 if lower => capital(),
        0 => all.to_lowercase(),
        _ => all.to_uppercase(),
    })
}

/// With an `s`, or without the one it has.
fn plural(name: &[char], _draw: &mut Draw) -> Option<String> {
    let (last, rest) = name.split_last()?;
    Some(if *last == 's' && rest.len() > 1 { joined(&[rest]) } else { joined(&[name, &['s']]) })
}

/// `weightDecay` for `weight_decay`.
fn camel(name: &[char], _draw: &mut Draw) -> Option<String> {
    let all: String = name.iter().collect();
    let mut words = all.split('_').filter(|word| !word.is_empty());
    let mut new = words.next()?.to_owned();
    for word in words {
        let mut letters = word.chars();
        new.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        new.push_str(letters.as_str());
    }
    Some(new)
}
