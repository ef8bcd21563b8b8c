//! Recomputed operations: each is one of forward's, on the same operands, in a block that is stated to recompute its kind; and each block
//! recomputes all of what is stated.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{Content, Op, Operation, Pass, Place, Walk};
use super::{At, Book, Law};

/// Kinds in the order of [`Content::recompute`], with how many operations of a block each is.
const KINDS: [(&str, u64); 5] = [("norms", 2), ("gates", 1), ("attention", 1), ("projections", 5), ("residuals", 2)];

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

    /// Backward and what is recomputed read the twins of what is recomputed, and never what forward made: that is gone by then.
    fn twins_are_read(&self, walk: &Walk, book: &mut Book) {
        let originals: BTreeSet<u32> = self.twins.values().copied().collect();
        for (i, o) in walk.operations.iter().enumerate().filter(|(_, o)| o.pass != Pass::Forward) {
            let kept = o.inputs.iter().find(|id| originals.contains(id));
            book.equal(Law::Recompute, At::walk(walk.walk, "inputs").operation(i), kept, None);
        }
    }

    /// Holds what was recomputed against what is stated.
    pub fn check(&self, content: &Content, walk: &Walk, output_weight: impl Fn(u64) -> u32, book: &mut Book) {
        self.twins_are_read(walk, book);
        let mut found: BTreeMap<(usize, u64), u64> = BTreeMap::new();
        for index in &self.done {
            let operation = &walk.operations[*index];
            let Place::Block(block) = operation.place else { continue };
            *found.entry((kind(operation, output_weight(block)), block)).or_default() += 1;
        }
        for (k, ((name, each), blocks)) in KINDS.into_iter().zip(content.recompute).enumerate() {
            let blocks = blocks.min(content.extents.depth);
            let wanted: BTreeMap<(usize, u64), u64> = (0..blocks).map(|block| ((k, block), each)).collect();
            let stated = found.iter().filter(|((kind, _), _)| *kind == k).map(|(at, count)| (*at, *count));
            book.equal(Law::Recompute, At::walk(walk.walk, name), stated.collect::<BTreeMap<_, _>>(), wanted);
        }
    }
}

/// The kind of an operation of a block, whose output projection multiplies by this weight.
fn kind(operation: &Operation, output_weight: u32) -> usize {
    match operation.op {
        Op::LayerNorm { .. } => 0,
        Op::GeluGlu => 1,
        Op::Attention { .. } => 2,
        Op::MatMul { .. } if !operation.inputs.contains(&output_weight) => 3,
        _ => 4,
    }
}
