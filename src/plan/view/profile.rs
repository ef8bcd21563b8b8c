//! A walk as a sequence of moments, one for each operation: when it runs, and what memory is live.
//!
//! Invariant: what is held at a moment, its workspace and what stands around the graph are together the live bytes of the estimate,
//! exactly (tested for every moment of every walk).

use super::names::operation;
use crate::budget::{ambient, backend, operations};
use crate::check::Costed;
use crate::step::graph::{Pass, Place, StepGraph};
use crate::step::lifetime::{Bill, Highest, Lifetimes, highest, sources, timeline};
use crate::step::op::Backend;
use crate::step::tensor::{Part, TensorId};
use crate::step::{StepGraphs, Walk};
use crate::units::{Bytes, Seconds};

/// The moment at which one operation runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The operation for people: `layer norm gradient in block 3`.
    pub title: String,
    /// Which pass it belongs to.
    pub pass: Pass,
    /// Where in the model.
    pub place: Place,
    /// When it begins, from the beginning of the walk.
    pub start: Seconds,
    /// How long it takes.
    pub time: Seconds,
    /// Live memory while it runs.
    pub during: Bill,
    /// Live memory after it.
    pub after: Bill,
    /// What it makes.
    pub births: Vec<TensorId>,
    /// What dies at it, that whose buffer an output takes over among them.
    pub deaths: Vec<TensorId>,
}

/// A walk, moment by moment.
#[derive(Clone, Debug)]
pub struct Profile<'a> {
    /// Which walk.
    pub walk: Walk,
    /// The graphs of the step, in full.
    pub graphs: &'a StepGraphs,
    /// That of the walk.
    pub graph: &'a StepGraph,
    /// What is in memory but not in the graph: process, moments, slabs of threads.
    pub ambient: Bill,
    /// Live memory before the first operation.
    pub before: Bill,
    /// The moments, in order.
    pub moments: Vec<Moment>,
    /// For each moment, what is there of its operands.
    highest: Vec<Highest>,
    /// How the device holds tensors.
    backend: Backend,
}

impl<'a> Profile<'a> {
    /// The profile of a walk of a costed recipe, whose graphs these are.
    pub fn of(costed: &Costed, graphs: &'a StepGraphs, walk: Walk) -> Self {
        let device = &costed.device;
        let graph = graphs.walk(walk);
        let ambient = ambient(graphs, device, walk);
        let lifetimes = Lifetimes::of(graph);
        let backend = backend(device);
        let instants = timeline(graph, &lifetimes, backend, ambient);
        let costs = operations(graph, device, ambient);
        let mut before = ambient;
        let held = sources(graph, backend);
        for part in Part::ALL {
            before.add(part, held.part(part));
        }
        let mut start = Seconds::ZERO;
        let mut moments = Vec::with_capacity(instants.len());
        for (((node, instant), cost), deaths) in graph.nodes().zip(instants).zip(costs).zip(&lifetimes.deaths) {
            moments.push(Moment {
                title: operation(node, &graphs.parameters),
                pass: node.pass,
                place: node.place,
                start,
                time: cost.time,
                during: instant.during,
                after: instant.after,
                births: node.outputs.to_vec(),
                deaths: deaths.to_vec(),
            });
            start += cost.time;
        }
        let highest = highest(graph, &lifetimes, backend);
        Self { walk, graphs, graph, ambient, before, moments, highest, backend }
    }

    /// How long the walk takes.
    pub fn time(&self) -> Seconds {
        self.moments.last().map_or(Seconds::ZERO, |last| last.start + last.time)
    }

    /// The tensors that take memory of the device at the highest moment of operation `i`.
    pub fn held(&self, i: usize) -> Vec<TensorId> {
        let takes = |id: TensorId| self.backend.holds(self.graph.ty(id)) > Bytes::ZERO;
        let mut live: Vec<bool> = self.graph.tensors().map(|(id, _)| self.graph.is_source(id)).collect();
        let mut set = |ids: &[TensorId], lives| ids.iter().for_each(|id| live[id.0 as usize] = lives);
        for moment in self.moments.iter().take(i) {
            set(&moment.births, true);
            set(&moment.deaths, false);
        }
        if let Some(highest) = self.highest.get(i) {
            set(&highest.made, true);
            set(&highest.gone, false);
        }
        self.graph.tensors().map(|(id, _)| id).filter(|id| live[id.0 as usize] && takes(*id)).collect()
    }

    /// What operation `i` takes beside its operands at its highest moment.
    pub fn workspace(&self, i: usize) -> Bytes {
        let around = self.ambient.part(Part::Workspace);
        self.moments.get(i).map_or(Bytes::ZERO, |moment| moment.during.part(Part::Workspace).saturating_sub(around))
    }

    /// The moment of the highest memory: its index, the first of several.
    pub fn highest(&self) -> usize {
        let totals = self.moments.iter().map(|moment| moment.during.total());
        totals.enumerate().fold((0, Bytes::ZERO), |best, (i, total)| if total > best.1 { (i, total) } else { best }).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::view::testing::costed;

    #[test]
    fn what_is_held_is_what_the_estimate_says_at_every_moment() {
        for device in ["rtx-a6000", "cpu"] {
            let costed = costed(device);
            let graphs = costed.graphs();
            for walk in Walk::ALL {
                let profile = Profile::of(&costed, &graphs, walk);
                for (i, moment) in profile.moments.iter().enumerate() {
                    let tensors: Bytes = profile.held(i).iter().map(|id| profile.graph.ty(*id).bytes()).sum();
                    let all = tensors + profile.workspace(i) + profile.ambient.total();
                    assert_eq!(all, moment.during.total(), "{walk:?} {i} {}", moment.title);
                }
            }
        }
    }

    #[test]
    fn the_highest_moment_and_the_time_are_those_of_the_estimate() {
        let costed = costed("rtx-a6000");
        let graphs = costed.graphs();
        for walk in Walk::ALL {
            let profile = Profile::of(&costed, &graphs, walk);
            let cost = costed.estimate.walk(walk);
            assert_eq!(profile.moments[profile.highest()].during.total(), cost.peak);
            assert!((profile.time() - cost.time).0.abs() < 1e-12);
        }
    }
}
