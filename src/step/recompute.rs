//! Recomputation: what backward needs of forward is computed again there instead of being kept until then (Chen et al. 2016,
//! "Training Deep Nets with Sublinear Memory Cost").
//!
//! What can be chosen is, for each [`Kind`] of operation, how many blocks recompute it, counted from the first. The choice is a rewrite
//! of the graph ([`rewrite`]): the operations that are done again stand in the backward pass as nodes of their own
//! ([`Pass::Recompute`]), right before what needs them, so that they are costed and run like everything else.
//!
//! Invariant: what leaves a block is always kept, so that recomputing never reaches into another block. The same operations on the
//! same operands give the same bits: recomputation changes no weight.

use serde::{Deserialize, Serialize};

use super::graph::{Node, Operands, Pass, Place, StepGraph};
use super::tensor::TensorId;
use crate::recipe::settings::{Recipe, Recomputation};
use crate::units::Ratio;

/// Kinds of operations whose results can be recomputed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// The normalised rows.
    Norm,
    /// The gated rows of the feed-forward half.
    Gate,
    /// Attention's probabilities and context.
    Attention,
    /// Matrix products: queries, keys, values, and both halves of the feed-forward input.
    Projection,
    /// The sum between the two halves of a block, and the product that is added there.
    Residual,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Norm, Self::Gate, Self::Attention, Self::Projection, Self::Residual];

    /// The words for people, and the field of `recompute: Parts(..)`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Norm => "norms",
            Self::Gate => "gates",
            Self::Attention => "attention",
            Self::Projection => "projections",
            Self::Residual => "residuals",
        }
    }
}

/// A set of kinds: what one block recomputes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kinds(u8);

impl Kinds {
    /// All kinds.
    pub const ALL: Self = Self((1 << Kind::ALL.len()) - 1);

    /// How many sets there are.
    pub const COUNT: usize = 1 << Kind::ALL.len();

    /// The set of this number, below [`Kinds::COUNT`].
    pub fn number(n: usize) -> Self {
        Self(n as u8)
    }

    /// Its number.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// With one more kind.
    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether all of its kinds are among others.
    pub fn is_within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// Whether a kind is in it.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }
}

/// For each kind, how many blocks recompute it, counted from the first: their results would be held longest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recompute(pub [u64; Kind::ALL.len()]);

impl Recompute {
    /// Everything is kept.
    pub const NOTHING: Self = Self([0; Kind::ALL.len()]);

    /// All kinds in all of `depth` blocks.
    pub const fn everything(depth: u64) -> Self {
        Self([depth; Kind::ALL.len()])
    }

    /// What a recipe asks for; none where it leaves the choice to the planner.
    pub fn asked(recipe: &Recipe) -> Option<Self> {
        let depth = recipe.model.depth;
        let blocks = |share: Ratio| ((share.0 * depth as f64 - 1e-9).ceil().max(0.0) as u64).min(depth);
        match recipe.recompute {
            Recomputation::Auto {} => None,
            Recomputation::Nothing {} => Some(Self::NOTHING),
            Recomputation::Blocks {} => Some(Self::everything(depth)),
            Recomputation::Parts { norms, gates, attention, projections, residuals } => {
                Some(Self([norms, gates, attention, projections, residuals].map(blocks)))
            }
        }
    }

    /// A recipe's setting that asks for this, of quarters of `depth` blocks rounded up.
    pub fn as_asked(&self, depth: u64) -> Recomputation {
        let [norms, gates, attention, projections, residuals] =
            self.0.map(|blocks| Ratio(f64::from(quarters(blocks, depth)) / 4.0));
        Recomputation::Parts { norms, gates, attention, projections, residuals }
    }

    /// Blocks that recompute a kind.
    pub fn blocks(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// Whether no other kinds than these are recomputed.
    pub fn is_within(&self, kinds: Kinds) -> bool {
        Kind::ALL.into_iter().all(|kind| self.blocks(kind) == 0 || kinds.has(kind))
    }

    /// Whether nothing is recomputed.
    pub fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }

    /// What block `i` recomputes.
    pub fn kinds(&self, i: u64) -> Kinds {
        let in_block = |kind: &Kind| i < self.blocks(*kind);
        Kind::ALL.into_iter().filter(in_block).fold(Kinds::default(), Kinds::with)
    }

    /// The `depth` blocks as groups that recompute the same.
    pub fn groups(&self, depth: u64) -> Vec<Group> {
        let mut cuts: Vec<u64> = self.0.iter().map(|n| (*n).min(depth)).chain([0, depth]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        cuts.windows(2).map(|cut| Group { kinds: self.kinds(cut[0]), times: cut[1] - cut[0] }).collect()
    }
}

/// The fewest quarters of `depth` blocks that are so many blocks, rounded up.
pub fn quarters(blocks: u64, depth: u64) -> u8 {
    (0..4).find(|quarters| (depth * u64::from(*quarters)).div_ceil(4) >= blocks).unwrap_or(4)
}

/// Blocks that follow each other and recompute the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// What each recomputes.
    pub kinds: Kinds,
    /// How many blocks.
    pub times: u64,
}

/// The graph with what `groups` (one for each of its blocks) say recomputed in its backward pass.
///
/// Operations are recomputed when backward first asks for one of their results. Operands that are not at hand then, because they are
/// recomputed too or were never kept, are recomputed first.
pub fn rewrite(graph: &StepGraph, groups: &[Group]) -> StepGraph {
    let needed = needed(graph);
    let mut rewriter = Rewriter {
        old: graph,
        new: StepGraph::with_capacity(graph.nodes().len() + 16 * groups.len()),
        kept: kept(graph, groups, &needed),
        forward: vec![None; needed.len()],
        again: vec![None; needed.len()],
    };
    for (id, tensor) in graph.tensors().filter(|(id, _)| graph.is_source(*id)) {
        rewriter.forward[id.0 as usize] = Some(rewriter.new.source(tensor.ty, tensor.role));
    }
    for node in graph.nodes() {
        let inputs: Operands = node.inputs.iter().map(|id| rewriter.operand(*id, node.pass)).collect();
        let made = rewriter.new.push_like(graph, node, inputs, node.pass);
        for (old, new) in node.outputs.iter().zip(made) {
            rewriter.forward[old.0 as usize] = Some(new);
        }
    }
    for id in graph.results() {
        let new = rewriter.operand(*id, Pass::Forward);
        rewriter.new.keep(new);
    }
    rewriter.new
}

/// By tensor: whether forward makes it and backward needs it.
fn needed(graph: &StepGraph) -> Vec<bool> {
    let mut needed = vec![false; graph.tensors().count()];
    for id in graph.nodes().filter(|n| n.pass == Pass::Backward).flat_map(|n| &n.inputs) {
        needed[id.0 as usize] = graph.producer(*id).is_some_and(|node| node.pass == Pass::Forward);
    }
    needed
}

/// By tensor: whether it is there when backward asks for it.
fn kept(graph: &StepGraph, groups: &[Group], needed: &[bool]) -> Vec<bool> {
    let mut kept: Vec<bool> = graph.tensors().map(|(id, _)| needed[id.0 as usize] || graph.is_source(id)).collect();
    let leaves = leaves_its_block(graph);
    for node in graph.nodes().filter(|n| n.pass == Pass::Forward) {
        let again = match (node.place, node.op.rule().recomputed_as()) {
            (Place::Block(i), Some(kind)) => groups[i as usize].kinds.has(kind),
            _ => false,
        };
        if again && !node.outputs.iter().any(|id| leaves[id.0 as usize]) {
            node.outputs.iter().for_each(|id| kept[id.0 as usize] = false);
        }
    }
    kept
}

/// By tensor: whether forward reads it in another place than where it is made.
fn leaves_its_block(graph: &StepGraph) -> Vec<bool> {
    let mut leaves = vec![false; graph.tensors().count()];
    for node in graph.nodes().filter(|n| n.pass == Pass::Forward) {
        for id in &node.inputs {
            leaves[id.0 as usize] |= graph.producer(*id).is_some_and(|made| made.place != node.place);
        }
    }
    leaves
}

struct Rewriter<'a> {
    old: &'a StepGraph,
    new: StepGraph,
    /// By old tensor: whether backward finds it kept.
    kept: Vec<bool>,
    /// By old tensor: the new one.
    forward: Vec<Option<TensorId>>,
    /// By old tensor: its recomputed twin.
    again: Vec<Option<TensorId>>,
}

impl Rewriter<'_> {
    /// The new tensor that an operation of a pass reads for an old one.
    fn operand(&mut self, id: TensorId, pass: Pass) -> TensorId {
        let i = id.0 as usize;
        let old = self.old;
        if let (Pass::Backward, false, Some(node)) = (pass, self.kept[i], old.producer(id))
            && node.pass == Pass::Forward
        {
            if self.again[i].is_none() {
                self.recompute(node);
            }
            return self.again[i].unwrap_or(id);
        }
        // Producers come first, so it is there.
        self.forward[i].unwrap_or(id)
    }

    fn recompute(&mut self, node: &Node) {
        let inputs: Operands = node.inputs.iter().map(|id| self.operand(*id, Pass::Backward)).collect();
        let made = self.new.push_like(self.old, node, inputs, Pass::Recompute);
        for (old, new) in node.outputs.iter().zip(made) {
            self.again[old.0 as usize] = Some(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::recipe;
    use crate::step::op::Op;
    use crate::step::{StepGraphs, Walk};

    fn again(recompute: Recompute) -> Vec<(String, Place)> {
        let graphs = StepGraphs::build(&recipe(), 4, recompute);
        let nodes = graphs.walk(Walk::First).nodes().filter(|n| n.pass == Pass::Recompute);
        nodes.map(|n| (n.op.rule().name().to_owned(), n.place)).collect()
    }

    fn only(kind: Kind, blocks: u64) -> Recompute {
        let mut recompute = Recompute::NOTHING;
        recompute.0[kind as usize] = blocks;
        recompute
    }

    #[test]
    fn each_kind_is_done_again_in_its_blocks_alone() {
        for (kind, names) in [
            (Kind::Norm, vec!["layer norm", "layer norm"]),
            (Kind::Gate, vec!["GELU-GLU"]),
            (Kind::Attention, vec!["attention"]),
            (Kind::Projection, vec!["matrix product"; 5]),
            (Kind::Residual, vec!["matrix product", "add"]),
        ] {
            let found = again(only(kind, 1));
            assert!(found.iter().all(|(_, place)| *place == Place::Block(0)), "{kind:?}: {found:?}");
            assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names, "{kind:?}");
        }
        assert_eq!(again(Recompute::NOTHING), []);
    }

    #[test]
    fn with_everything_recomputed_a_block_keeps_what_it_was_given_alone() {
        let graphs = StepGraphs::build(&recipe(), 4, Recompute::everything(2));
        let graph = graphs.walk(Walk::First);
        let again: Vec<&Node> = graph.nodes().filter(|n| n.pass == Pass::Recompute).collect();
        // All but the last product and the sum after it.
        let forward = graph.nodes().filter(|n| n.pass == Pass::Forward && n.place == Place::Block(0)).count();
        assert_eq!(again.len(), 2 * (forward - 2));
        let needed = needed(graph);
        for node in graph.nodes().filter(|n| n.pass == Pass::Forward && matches!(n.place, Place::Block(_))) {
            let kept = node.outputs.iter().any(|id| needed[id.0 as usize]);
            assert_eq!(
                kept,
                matches!(node.op, Op::Add(_)) && node.outputs.iter().any(|id| leaves_its_block(graph)[id.0 as usize])
            );
        }
    }

    #[test]
    fn groups_hold_every_block_once_and_in_order() {
        let recompute = Recompute([3, 0, 8, 3, 5]);
        let groups = recompute.groups(8);
        assert_eq!(groups.iter().map(|g| g.times).collect::<Vec<_>>(), [3, 2, 3]);
        let all: Vec<Kinds> = groups.iter().flat_map(|g| vec![g.kinds; g.times as usize]).collect();
        assert_eq!(all, (0..8).map(|i| recompute.kinds(i)).collect::<Vec<_>>());
    }
}
