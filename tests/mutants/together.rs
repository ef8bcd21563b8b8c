//! Several mistakes in one text, none of which touches or hides another.

use super::draw::Draw;
use super::sites::overlap;
use super::{Kind, Mistake};

/// How often a mistake that does not go with the others is exchanged for another before the set is given up.
const TRIES: usize = 200;

/// Sets of two to five mistakes, so many of each size; kinds are equally likely, however many mistakes they have.
pub fn combine(mistakes: &[Mistake], each: usize, draw: &mut Draw) -> Vec<Vec<Mistake>> {
    let single = |kind: &Kind| mistakes.iter().filter(|m| m.kind == *kind).collect::<Vec<_>>();
    let kinds: Vec<Vec<&Mistake>> = Kind::ALL.iter().map(single).filter(|of_kind| !of_kind.is_empty()).collect();
    let mut sets = Vec::new();
    for size in 2..=5 {
        sets.extend((0..each).filter_map(|_| set(&kinds, size, draw)));
    }
    sets
}

fn set(kinds: &[Vec<&Mistake>], size: usize, draw: &mut Draw) -> Option<Vec<Mistake>> {
    let mut taken: Vec<Mistake> = Vec::new();
    for _ in 0..TRIES {
        let of_kind = draw.one(kinds)?;
        let next = *draw.one(of_kind)?;
        if taken.iter().all(|other| are_apart(other, next)) {
            taken.push(next.clone());
        }
        if taken.len() == size {
            return Some(taken);
        }
    }
    None
}

fn are_apart(a: &Mistake, b: &Mistake) -> bool {
    a.footprint.iter().all(|x| b.footprint.iter().all(|y| !overlap(x, y)))
}
