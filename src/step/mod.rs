//! From a recipe to the training step as graphs of operations.
//!
//! A training step is: the *first* micro-step (its gradients are new), *further* micro-steps (added to those), and the
//! *update*. *Evaluation* is a forward pass alone. Each is a [`StepGraph`]; the executor walks them and nothing else.
//!
//! Invariant: nothing here knows a span, a device's speed, or burn.

pub mod differentiate;
pub mod forward;
pub mod graph;
pub mod lifetime;
pub mod op;
pub mod optimizer;
pub mod parameter;
pub mod plain;
pub mod recompute;
pub mod tensor;
mod update;

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use self::differentiate::{Differentiator, Gradients};
use self::forward::Forward;
use self::graph::StepGraph;
use self::op::CrossEntropy;
use self::parameter::{ParameterCounts, Parameters};
use self::recompute::{Group, Kinds, Recompute, rewrite};
use self::tensor::{Moment, ParameterId, Role, Shape, TensorId, TensorType};
use self::update::update;
use crate::recipe::settings::{Encoder, Loss, Optimizer, Recipe};
use crate::units::Bytes;

/// The extents that every shape of the model follows from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extents {
    /// Sequences in a micro-batch B.
    pub batch: u64,
    /// Tokens in a sequence S.
    pub sequence: u64,
    /// Width D.
    pub width: u64,
    /// Heads H.
    pub heads: u64,
    /// Width of the rows that enter the output projection of the feed-forward half.
    pub inner: u64,
    /// Blocks L.
    pub depth: u64,
    /// Vocabulary V.
    pub vocabulary: u64,
    /// Rows that the decoder sees in a micro-batch N.
    pub predicted: u64,
}

impl Extents {
    /// The extents of a recipe at a micro-batch.
    pub fn new(recipe: &Recipe, batch: u64) -> Self {
        let model = &recipe.model;
        Self {
            batch,
            sequence: model.sequence,
            width: model.width,
            heads: model.heads,
            inner: model.feed_forward.inner(),
            depth: model.depth,
            vocabulary: recipe.vocabulary(),
            predicted: recipe.predicted_rows(batch.saturating_mul(model.sequence)),
        }
    }

    /// Rows T = B·S of a micro-batch; also its number of tokens.
    pub fn rows(&self) -> u64 {
        self.batch * self.sequence
    }
}

/// Which walk a graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Walk {
    /// First micro-step of a step.
    First,
    /// Every later micro-step of a step.
    Further,
    /// Clipping and the optimizer.
    Update,
    /// Forward only.
    Evaluate,
}

impl Walk {
    /// All walks.
    pub const ALL: [Self; 4] = [Self::First, Self::Further, Self::Update, Self::Evaluate];

    /// The words for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first micro-step",
            Self::Further => "further micro-step",
            Self::Update => "update",
            Self::Evaluate => "evaluation",
        }
    }
}

/// The graphs of a training step at one micro-batch.
///
/// They are *full*, with every block of the model, or *folded*: equal blocks stand in them once, and [`StepGraphs::groups`] says how
/// often each is meant. A plan and its run are full; what only costs a recipe folds, so that a block is planned once and repeated.
#[derive(Clone, Debug)]
pub struct StepGraphs {
    /// The extents they were built for.
    pub extents: Extents,
    /// The parameters of the blocks that stand in the graphs, and of the rest of the model.
    pub parameters: Parameters,
    /// What each block that stands in the graphs recomputes, and for how many blocks it stands.
    pub groups: Vec<Group>,
    counts: ParameterCounts,
    model: Encoder,
    loss: CrossEntropy,
    optimizer: Optimizer,
    /// In the order of [`Walk::ALL`], each built when it is first asked for.
    graphs: [OnceLock<Arc<StepGraph>>; Walk::ALL.len()],
}

impl StepGraphs {
    /// The graphs of a recipe in full, at a micro-batch of `batch` sequences.
    pub fn build(recipe: &Recipe, batch: u64, recompute: Recompute) -> Self {
        let depth = recipe.model.depth;
        Self::folded(recipe, batch, (0..depth).map(|i| Group { kinds: recompute.kinds(i), times: 1 }).collect())
    }

    /// The graphs of a recipe with one block for each group.
    pub fn folded(recipe: &Recipe, batch: u64, groups: Vec<Group>) -> Self {
        let extents = Extents::new(recipe, batch);
        let parameters = Parameters::of(recipe, groups.len() as u64);
        let counts = parameters.counts(|block| groups.get(block as usize).map_or(1, |group| group.times));
        let (model, optimizer) = (recipe.model.clone(), recipe.optimizer.clone());
        let loss = loss(&recipe.objective.loss);
        Self { extents, parameters, groups, counts, model, loss, optimizer, graphs: Default::default() }
    }

    /// For how many blocks a block of the graphs stands.
    pub fn times(&self, block: u64) -> u64 {
        self.groups.get(block as usize).map_or(1, |group| group.times)
    }

    /// The parameters of the model, counted.
    pub fn counts(&self) -> ParameterCounts {
        self.counts
    }

    /// Shape of the fixed table of positions, where the model has one: see [`Role::PositionTable`].
    pub fn position_table(&self) -> Option<[u64; 2]> {
        forward::position_table(&self.model)
    }

    /// Bytes of that table; 0 where there is none.
    pub fn table_bytes(&self) -> Bytes {
        self.position_table().map_or(Bytes::ZERO, |shape| TensorType::f32(&shape).bytes())
    }

    /// The model that is trained.
    pub fn model(&self) -> &Encoder {
        &self.model
    }

    /// What the optimizer keeps, in the order in which it is made and saved.
    pub fn moments(&self) -> impl Iterator<Item = (Moment, ParameterId, Shape)> {
        optimizer::moments(&self.optimizer, &self.parameters)
    }

    /// The walks that between them have every matrix product, at the largest extents of each.
    pub fn multiplying(&self) -> impl Iterator<Item = &StepGraph> {
        let updates = matches!(self.optimizer, Optimizer::Muon { .. });
        [Walk::First].into_iter().chain(updates.then_some(Walk::Update)).map(|walk| self.walk(walk))
    }

    /// Bytes of what the optimizer keeps of all blocks.
    pub fn moment_bytes(&self) -> Bytes {
        let bytes = |(_, id, shape): (Moment, ParameterId, Shape)| {
            TensorType::f32(&shape).bytes().0.saturating_mul(self.parameters.get(id).block.map_or(1, |block| self.times(block)))
        };
        Bytes(self.moments().map(bytes).fold(0, u64::saturating_add))
    }

    /// Bytes of a checkpoint's tensors: the weights and what the optimizer keeps.
    pub fn checkpoint(&self) -> Bytes {
        Bytes(self.counts.total.saturating_mul(4).saturating_add(self.moment_bytes().0))
    }

    /// Bytes of the largest parameter.
    pub fn largest(&self) -> Bytes {
        self.parameters.iter().map(|(_, p)| Bytes(p.elements()) * 4).max().unwrap_or_default()
    }

    /// The graph of a walk.
    pub fn walk(&self, walk: Walk) -> &StepGraph {
        self.shared(walk)
    }

    /// The graph of a walk, for who keeps it beside these.
    pub fn shared(&self, walk: Walk) -> &Arc<StepGraph> {
        self.graphs[walk as usize].get_or_init(|| {
            Arc::new(match walk {
                Walk::Update => update(&self.parameters, &self.optimizer),
                Walk::First | Walk::Further | Walk::Evaluate => self.micro_step(walk),
            })
        })
    }

    /// The same with every graph built.
    #[must_use]
    pub fn built(self) -> Self {
        for walk in Walk::ALL {
            self.shared(walk);
        }
        self
    }

    /// Forward, and backward unless it is an evaluation.
    fn micro_step(&self, walk: Walk) -> StepGraph {
        let Self { parameters, groups, .. } = self;
        let mut graph = StepGraph::with_capacity(64 * (groups.len() + 1));
        let weights = weights(&mut graph, parameters);
        let mut accumulated = Gradients::default();
        if walk == Walk::Further {
            for (weight, gradient) in weights.iter().zip(gradients(&mut graph, parameters)) {
                accumulated.set(*weight, gradient);
            }
        }
        // What is evaluated can be compared with other runs: cross entropy alone.
        let loss = if walk == Walk::Evaluate { CrossEntropy::ALONE } else { self.loss };
        let forward = Forward::add(&mut graph, (&self.model, walk, loss), &self.extents, parameters, &weights);
        graph.keep(forward.loss);
        if walk == Walk::Evaluate {
            graph.keep(forward.row_losses);
        }
        for id in &weights {
            graph.keep(*id);
        }
        for id in &forward.constants {
            if graph.get(*id).role == Role::PositionTable {
                graph.keep(*id);
            }
        }
        if walk == Walk::Evaluate {
            return graph;
        }
        let gradients = Differentiator::new(&mut graph, accumulated, forward.constants).run();
        for (i, weight) in weights.iter().enumerate() {
            if let Some(gradient) = gradients.of(*weight) {
                graph.set_role(gradient, Role::Gradient(ParameterId(i as u32)));
                graph.keep(gradient);
            }
        }
        if groups.iter().any(|group| group.kinds != Kinds::default()) { rewrite(&graph, groups) } else { graph }
    }
}

fn weights(graph: &mut StepGraph, parameters: &Parameters) -> Vec<TensorId> {
    parameters.iter().map(|(id, p)| graph.source(TensorType::f32(&p.shape), Role::Weight(id))).collect()
}

fn gradients(graph: &mut StepGraph, parameters: &Parameters) -> Vec<TensorId> {
    parameters.iter().map(|(id, p)| graph.source(TensorType::f32(&p.shape), Role::Gradient(id))).collect()
}

fn loss(loss: &Loss) -> CrossEntropy {
    match *loss {
        Loss::CrossEntropy { z_loss, label_smoothing } => {
            CrossEntropy { z_loss, label_smoothing: label_smoothing.0, ..CrossEntropy::ALONE }
        }
        Loss::Focal { gamma } => CrossEntropy { focal: gamma, ..CrossEntropy::ALONE },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::recipe;

    #[test]
    fn every_graph_is_in_order_of_execution() {
        let graphs = StepGraphs::build(&recipe(), 4, Recompute::NOTHING);
        assert!(Walk::ALL.into_iter().all(|walk| graphs.walk(walk).is_ordered()));
    }

    #[test]
    fn every_parameter_gets_a_gradient_of_its_shape() {
        let graphs = StepGraphs::build(&recipe(), 4, Recompute::NOTHING);
        for walk in [Walk::First, Walk::Further] {
            let graph = graphs.walk(walk);
            let kept: Vec<_> = graph.results().iter().filter(|id| matches!(graph.get(**id).role, Role::Gradient(_))).collect();
            assert_eq!(kept.len(), graphs.parameters.iter().count());
            for id in kept {
                let Role::Gradient(parameter) = graph.get(*id).role else { continue };
                assert_eq!(graph.ty(*id).shape, graphs.parameters.get(parameter).shape);
            }
        }
    }
}
