//! Recomputed operations: each is one of forward's, on the same operands, in a block that is stated to recompute its kind; and each block
//! recomputes all of what is stated.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{Content, Op, Operation, Pass, Place, Walk};
use super::{At, Book, Law};

/// Kinds in the order of [`Content::recompute`].
const KINDS: [&str; 5] = ["norms", "gates", "attention", "projections", "residuals"];

/// The kind of an operation of a block, where what it makes can be recomputed.
fn kind(op: &Op) -> Option<usize> {
    match op {
        Op::LayerNorm { .. } | Op::RmsNorm { .. } => Some(0),
        Op::Gate { .. } | Op::Activate { .. } => Some(1),
        Op::Attention { .. } => Some(2),
        Op::MatMul { .. } | Op::AddTable { .. } | Op::Rotate { .. } => Some(3),
        Op::Add | Op::Scale { .. } | Op::Dropout { .. } => Some(4),
        _ => None,
    }
}

/// What was recomputed so far in a walk.
#[derive(Debug, Default)]
pub struct Recomputed {
    /// The tensor of forward that each recomputed one is again.
    twins: BTreeMap<u32, u32>,
    /// Operations of forward that were done again.
    done: BTreeSet<usize>,
}

impl Recomputed {
    /// The operands of an operation, recomputed ones by the name that forward gave them.
    pub fn originals(&self, ids: &[u32]) -> Vec<u32> {
        ids.iter().map(|id| self.twins.get(id).copied().unwrap_or(*id)).collect()
    }

    /// Takes a recomputed operation; false where it is none of forward's, or was done again before.
    pub fn take(&mut self, walk: &Walk, again: &Operation) -> bool {
        let inputs = self.originals(&again.inputs);
        let same = |o: &Operation| o.pass == Pass::Forward && o.op == again.op && o.place == again.place && o.inputs == inputs;
        let Some(index) = walk.operations.iter().position(same) else { return false };
        let first = &walk.operations[index];
        self.twins.extend(again.outputs.iter().copied().zip(first.outputs.iter().copied()));
        first.outputs.len() == again.outputs.len() && self.done.insert(index)
    }

    /// Whether each of some operations that are recomputed in a row makes something that a later one of them, or `next` after them, reads:
    /// nothing is recomputed before it is asked for.
    pub fn are_asked_for(row: &[Operation], next: Option<&Operation>) -> bool {
        let reads = |reader: &Operation, o: &Operation| o.outputs.iter().any(|id| reader.inputs.contains(id));
        row.iter().enumerate().all(|(i, o)| row[i + 1..].iter().chain(next).any(|reader| reads(reader, o)))
    }

    /// Backward and what is recomputed read what forward made where that is kept, and its twin where it is gone by then. An operation of two
    /// results may be done again for one of them, where the other is kept.
    fn twins_are_read(&self, walk: &Walk, wanted: &Wanted<'_>, book: &mut Book) {
        let originals: BTreeSet<u32> = self.twins.values().copied().collect();
        let is_gone = |id: &u32| originals.contains(id) && !wanted.kept.contains(id);
        let is_of_kept = |id: &u32| self.twins.get(id).is_some_and(|original| wanted.kept.contains(original));
        for (i, o) in walk.operations.iter().enumerate().filter(|(_, o)| o.pass != Pass::Forward) {
            let wrong = o.inputs.iter().find(|id| is_gone(id) || is_of_kept(id));
            book.equal(Law::Recompute, At::walk(walk.walk, "inputs").operation(i), wrong, None);
        }
    }

    /// Holds what was recomputed against what is stated.
    pub fn check(&self, content: &Content, walk: &Walk, book: &mut Book) {
        let wanted = Wanted::of(content, walk, self);
        self.twins_are_read(walk, &wanted, book);
        for (k, name) in KINDS.into_iter().enumerate() {
            let of = |all: &BTreeSet<usize>| -> Vec<usize> {
                all.iter().copied().filter(|i| kind(&walk.operations[*i].op) == Some(k)).collect()
            };
            book.equal(Law::Recompute, At::walk(walk.walk, name), of(&self.done), of(&wanted.again));
        }
    }
}

/// What must be recomputed: what backward reads and forward did not keep, and what that needs in turn.
struct Wanted<'a> {
    walk: &'a Walk,
    /// Which operation of forward makes each tensor.
    made_by: BTreeMap<u32, usize>,
    /// Tensors of forward that are still there when backward asks for them.
    kept: BTreeSet<u32>,
    /// The operations of forward that must be done again.
    again: BTreeSet<usize>,
}

impl<'a> Wanted<'a> {
    fn of(content: &Content, walk: &'a Walk, recomputed: &Recomputed) -> Self {
        let forward = || walk.operations.iter().enumerate().filter(|(_, o)| o.pass == Pass::Forward);
        let made_by: BTreeMap<u32, usize> = forward().flat_map(|(i, o)| o.outputs.iter().map(move |id| (*id, i))).collect();
        let backward = walk.operations.iter().filter(|o| o.pass == Pass::Backward);
        let read: BTreeSet<u32> = backward.flat_map(|o| recomputed.originals(&o.inputs)).collect();
        // What another place of the model reads, as the next block does, is never made twice.
        let leaves = |id: &u32| {
            let place = made_by.get(id).map(|i| walk.operations[*i].place);
            forward().any(|(_, o)| Some(o.place) != place && o.inputs.contains(id))
        };
        let is_again = |i: usize| {
            let o = &walk.operations[i];
            let (Place::Block(block), Some(k)) = (o.place, kind(&o.op)) else { return false };
            block < content.recompute[k] && !o.outputs.iter().any(leaves)
        };
        let kept = read.iter().copied().filter(|id| made_by.get(id).is_none_or(|i| !is_again(*i))).collect();
        let mut wanted = Self { walk, made_by, kept, again: BTreeSet::new() };
        for id in &read {
            wanted.ask(*id);
        }
        wanted
    }

    /// Backward needs a tensor, itself or for making another again.
    fn ask(&mut self, id: u32) {
        let mut asked = vec![id];
        while let Some(id) = asked.pop() {
            if let Some(i) = self.made_by.get(&id).copied()
                && !self.kept.contains(&id)
                && self.again.insert(i)
            {
                asked.extend(&self.walk.operations[i].inputs);
            }
        }
    }
}
