//! The graph of the update: the norm of the whole gradient, its clipping, and the optimizer's operation on each parameter.

use super::graph::{Pass, Place, StepGraph};
use super::op::{ClipFactor, SumSquares};
use super::optimizer::{kept, moments, rule};
use super::parameter::Parameters;
use super::tensor::{Moment, ParameterId, Role, TensorId, TensorType};
use super::{gradients, weights};
use crate::recipe::settings::Optimizer;

/// The update of a model: of each operation the inputs are weight, gradient, what the optimizer keeps, norm and clip factor `[2]`; the
/// outputs the weight and what the optimizer keeps.
pub(super) fn update(parameters: &Parameters, optimizer: &Optimizer) -> StepGraph {
    let mut graph = StepGraph::default();
    let weights = weights(&mut graph, parameters);
    let gradients = gradients(&mut graph, parameters);
    let mut state: Vec<Vec<TensorId>> = vec![Vec::new(); weights.len()];
    for (moment, id, shape) in moments(optimizer, parameters) {
        state[id.0 as usize].push(graph.source(TensorType::f32(&shape), moment.of(id)));
    }
    let sums: Vec<TensorId> =
        gradients.iter().map(|g| graph.push(SumSquares, &[*g], Pass::Update, Place::GlobalNorm)[0]).collect();
    let factor = graph.push(ClipFactor { max: optimizer.clip() }, &sums, Pass::Update, Place::GlobalNorm)[0];
    graph.keep(factor);
    for (id, p) in parameters.iter() {
        let i = id.0 as usize;
        let inputs: Vec<TensorId> =
            [weights[i], gradients[i]].into_iter().chain(state[i].iter().copied()).chain([factor]).collect();
        let made = graph.push(rule(optimizer, p), &inputs, Pass::Update, Place::Parameter(id));
        for (made, role) in made.into_iter().zip(roles(kept(optimizer, p), id)) {
            graph.set_role(made, role);
            graph.keep(made);
        }
    }
    graph
}

/// The roles of an update's outputs.
fn roles(kept: &[Moment], id: ParameterId) -> impl Iterator<Item = Role> {
    [Role::Weight(id)].into_iter().chain(kept.iter().map(move |moment| moment.of(id)))
}
