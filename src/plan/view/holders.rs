//! Who holds the memory at a moment: the live tensors grouped by what they are, the workspace, and what stands around the graph.
//!
//! Invariant: the bytes of the holders sum to the live bytes of the moment, exactly.

use std::collections::BTreeMap;

use super::names::Names;
use super::profile::Profile;
use crate::step::graph::{Pass, Place};
use crate::step::tensor::{Moment, Part, Role, TensorId};
use crate::step::{StepGraphs, Walk};
use crate::units::Bytes;

/// What its holder waits for at a moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It is an operand of the running operation.
    InUse,
    /// Made earlier in the walk, and next used by this operation.
    Waiting {
        /// The operation.
        next: &'static str,
        /// Whether forward made it for backward: what could be computed again instead of being kept.
        forward_for_backward: bool,
    },
    /// It outlives the walk, or belongs to no operation.
    Kept,
}

/// Some of the live memory: tensors that are alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Holder {
    /// The line of the bill.
    pub part: Part,
    /// What it is: `probabilities of attention`.
    pub what: String,
    /// What it waits for.
    pub state: State,
    /// How many tensors.
    pub count: usize,
    /// All their bytes.
    pub bytes: Bytes,
    /// The bytes of each, where they are all of one size.
    pub each: Option<Bytes>,
    /// In how many blocks they were made.
    pub blocks: usize,
}

impl Holder {
    fn lump(part: Part, what: impl Into<String>, bytes: Bytes) -> Self {
        Self { part, what: what.into(), state: State::Kept, count: 1, bytes, each: Some(bytes), blocks: 0 }
    }

    /// How many, and how large each is: `16 × 96.0 MiB`; nothing for one.
    pub fn times(&self) -> Option<String> {
        let each = |bytes: Bytes| format!("{} × {bytes}", self.count);
        (self.count > 1).then(|| self.each.map_or_else(|| format!("{} tensors", self.count), each))
    }
}

/// Who holds the memory while operation `i` of a walk runs, largest first.
pub fn at(profile: &Profile<'_>, i: usize) -> Vec<Holder> {
    let names = Names::new(profile.graph, &profile.graphs.parameters);
    let mut groups: BTreeMap<(Part, String, State), Vec<TensorId>> = BTreeMap::new();
    for id in profile.held(i) {
        let part = profile.graph.get(id).role.part();
        groups.entry((part, names.what(id), state(profile, &names, id, i))).or_default().push(id);
    }
    let mut holders: Vec<Holder> = groups.into_iter().map(|(key, ids)| tensors(profile, &names, key, &ids)).collect();
    if let Some(moment) = profile.moments.get(i) {
        holders.push(Holder::lump(Part::Workspace, format!("workspace of {}", moment.title), profile.workspace(i)));
    }
    holders.extend(around(profile));
    sorted(holders)
}

/// What the optimizer keeps, in a word.
fn kept(graphs: &StepGraphs) -> &'static str {
    let has = |which| graphs.moments().any(|(moment, ..)| moment == which);
    match [Moment::First, Moment::Second, Moment::Rows].map(has) {
        [true, false, false] => "first moments",
        [false, _, _] => "second moments",
        _ => "first and second moments",
    }
}

/// Who holds the memory while the state is saved: `parts` as the estimate bills them.
pub fn saving(parts: &[(Part, Bytes)], graphs: &StepGraphs) -> Vec<Holder> {
    let what = |part| match part {
        Part::Weights => "weights, and the table of positions where there is one",
        Part::Gradients => "gradients",
        Part::Optimizer => kept(graphs),
        Part::Activations => "activations",
        Part::Workspace => "copies of the largest tensor on its way to disk, and what threads keep",
        Part::Process => "the program and its runtime",
    };
    sorted(parts.iter().map(|(part, bytes)| Holder::lump(*part, what(*part), *bytes)).collect())
}

fn sorted(mut holders: Vec<Holder>) -> Vec<Holder> {
    holders.retain(|holder| holder.bytes > Bytes::ZERO);
    holders.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.what.cmp(&b.what)));
    holders
}

fn state(profile: &Profile<'_>, names: &Names<'_>, id: TensorId, i: usize) -> State {
    let Some(running) = profile.graph.nodes().nth(i) else { return State::Kept };
    if running.inputs.contains(&id) || running.outputs.contains(&id) {
        return State::InUse;
    }
    // Weights and the like are used again and again, and stay in any case.
    if profile.graph.get(id).role != Role::Activation {
        return State::Kept;
    }
    let Some(next) = names.next_use(id, i) else { return State::Kept };
    let made = names.producer(id).map(|node| node.pass);
    let forward_for_backward = made == Some(Pass::Forward) && next.pass != Pass::Forward;
    State::Waiting { next: next.op.rule().name(), forward_for_backward }
}

fn tensors(profile: &Profile<'_>, names: &Names<'_>, key: (Part, String, State), ids: &[TensorId]) -> Holder {
    let sizes: Vec<Bytes> = ids.iter().map(|id| profile.graph.ty(*id).bytes()).collect();
    let alike = sizes.iter().all(|size| *size == sizes[0]);
    let mut blocks: Vec<u64> = ids
        .iter()
        .filter_map(|id| names.producer(*id))
        .filter_map(|node| if let Place::Block(block) = node.place { Some(block) } else { None })
        .collect();
    blocks.sort_unstable();
    blocks.dedup();
    let (part, what, state) = key;
    let each = alike.then(|| sizes[0]);
    Holder { part, what, state, count: ids.len(), bytes: sizes.into_iter().sum(), each, blocks: blocks.len() }
}

/// What is in memory but not in the graph.
fn around(profile: &Profile<'_>) -> Vec<Holder> {
    let what = |part| match part {
        Part::Process => "the program and its runtime",
        Part::Optimizer => kept(profile.graphs),
        Part::Weights => "position table",
        Part::Gradients => "gradients",
        Part::Activations => "activations",
        Part::Workspace => "what threads keep",
    };
    let all = Part::ALL.into_iter().map(|part| (part, profile.ambient.part(part)));
    let lumps = all.map(|(part, bytes)| match part {
        Part::Optimizer if profile.walk != Walk::Update => {
            let count = profile.graphs.moments().count();
            Holder { count, each: None, ..Holder::lump(part, what(part), bytes) }
        }
        _ => Holder::lump(part, what(part), bytes),
    });
    lumps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::view::testing::costed;

    #[test]
    fn the_holders_sum_to_what_is_live_at_every_moment() {
        for device in ["rtx-a6000", "cpu"] {
            let costed = costed(device);
            let graphs = costed.graphs();
            for walk in Walk::ALL {
                let profile = Profile::of(&costed, &graphs, walk);
                for (i, moment) in profile.moments.iter().enumerate() {
                    let sum: Bytes = at(&profile, i).iter().map(|holder| holder.bytes).sum();
                    assert_eq!(sum, moment.during.total(), "{walk:?} {i} {}", moment.title);
                }
            }
        }
    }

    #[test]
    fn at_the_end_of_forward_the_probabilities_of_every_block_wait_for_backward() {
        let costed = costed("rtx-a6000");
        let graphs = costed.graphs();
        let profile = Profile::of(&costed, &graphs, Walk::First);
        let loss = profile.moments.iter().position(|m| m.title == "cross entropy in head").unwrap();
        let holders = at(&profile, loss);
        let probabilities = holders.iter().find(|h| h.what == "probabilities of attention").unwrap();
        assert_eq!((probabilities.count, probabilities.blocks), (2, 2));
        let waiting = State::Waiting { next: "attention gradient", forward_for_backward: true };
        assert_eq!(probabilities.state, waiting);
        assert!(holders.iter().any(|h| h.what == "logits" && h.state == State::InUse));
    }
}
