//! One comma or bracket lost, or one bracket of another shape.
//!
//! Invariant: each is a mistake by construction. Brackets and commas are counted outside of texts and comments; with one bracket lost or
//! changed they cannot match, and two values without a comma between them are not two values.

use std::ops::Range;

use super::sites::Sites;
use super::text::{Edit, Mark, Place, after, before};
use super::{Kind, Mistake, Proposed, Right, Target};

/// Proposes for every comma and every bracket.
pub fn propose(sites: &Sites, out: &mut Proposed) {
    for mark in &sites.scanned.marks {
        match mark.sign {
            ',' => comma(sites, *mark, out),
            '(' | '[' | '{' => bracket(sites, *mark, Kind::LostOpening, Kind::WrongOpening, &['(', '[', '{'], out),
            _ => bracket(sites, *mark, Kind::LostClosing, Kind::WrongClosing, &[')', ']', '}'], out),
        }
    }
}

/// Legal where nothing follows, since a comma may end the entries but need not; and `1, -2` without its comma is a subtraction.
fn comma(sites: &Sites, mark: Mark, out: &mut Proposed) {
    let plain = &sites.scanned.plain;
    let next = plain[mark.at + 1..].trim_start().chars().next();
    if next.is_none_or(|c| matches!(c, ')' | ']' | '}' | '+' | '-' | '*' | '/' | '%')) {
        return out.leave_out(Kind::LostComma);
    }
    lost(sites, mark, Kind::LostComma, out);
}

fn bracket(sites: &Sites, mark: Mark, lose: Kind, change: Kind, shapes: &[char], out: &mut Proposed) {
    lost(sites, mark, lose, out);
    for shape in shapes.iter().filter(|shape| **shape != mark.sign) {
        let at = mark.at..mark.at + 1;
        out.mistakes.push(Mistake {
            kind: change,
            what: format!("`{}` written `{shape}`", mark.sign),
            edits: vec![Edit { at: at.clone(), with: shape.to_string() }],
            targets: vec![Target::of(Place::Became(at.clone()), Place::Became(among(sites, mark)))],
            right: Right::Nothing,
            footprint: vec![at],
        });
    }
}

fn lost(sites: &Sites, mark: Mark, kind: Kind, out: &mut Proposed) {
    let around = among(sites, mark);
    let plain = &sites.scanned.plain;
    let gap = before(plain, mark.at).end..after(plain, mark.at + 1).start;
    out.mistakes.push(Mistake {
        kind,
        what: format!("`{}` taken out", mark.sign),
        edits: vec![Edit { at: mark.at..mark.at + 1, with: String::new() }],
        targets: vec![Target::gap(gap, around.clone())],
        right: Right::Nothing,
        footprint: vec![around],
    });
}

/// From the word or sign before a mark to the one after it.
fn among(sites: &Sites, mark: Mark) -> Range<usize> {
    before(&sites.scanned.plain, mark.at).start..after(&sites.scanned.plain, mark.at + 1).end
}
