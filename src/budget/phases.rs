//! The phases of a run, each with its highest memory.
//!
//! Invariant: no start and no resumption takes more than saving, which happens in every run: all three hold the state, and saving
//! holds two copies of the largest tensor beside it, a resumption at most one.

use serde::{Deserialize, Serialize};

use super::{Costs, Peak, backend, lists, peak_of};
use crate::device::Device;
use crate::step::lifetime::Bill;
use crate::step::op::Backend;
use crate::step::tensor::Part;
use crate::step::{StepGraphs, Walk};
use crate::units::Bytes;

/// Elements of a checkpoint's tensor that are read at once.
pub const READ_AT_ONCE: u64 = 16_384;

/// What happens in a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The state is made: weights, moments, the table of positions.
    Start,
    /// A walk.
    Walk(Walk),
    /// A checkpoint is written.
    Saving,
    /// The state is read from a checkpoint, in place of being made.
    Resuming,
}

impl Event {
    /// The words for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Walk(walk) => walk.name(),
            Self::Saving => "saving",
            Self::Resuming => "resuming",
        }
    }
}

/// A phase of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// What happens.
    pub event: Event,
    /// Its highest memory, by part, and the moment.
    pub peak: Peak,
}

/// The phases that happen, in the order in which they first do; a further micro-step only where a step can have several.
pub fn phases(costs: &Costs, graphs: &StepGraphs, device: &Device) -> Vec<Phase> {
    let outside = |event, bill, operation: &str| Phase { event, peak: peak_of(bill, None, 0, operation.to_owned()) };
    let mut all = vec![outside(Event::Start, state(graphs, device, Bytes::ZERO), "making the state")];
    for peak in &costs.peaks {
        let event = peak.walk.map_or(Event::Saving, Event::Walk);
        if costs.accumulates || event != Event::Walk(Walk::Further) {
            all.push(Phase { event, peak: peak.clone() });
        }
    }
    let piece = graphs.largest().min(Bytes(READ_AT_ONCE * 4));
    all.push(outside(Event::Resuming, state(graphs, device, piece), "reading a checkpoint"));
    all
}

/// The state, and on the CPU what is beside it while it is made: on a card that lies in the host's memory.
fn state(graphs: &StepGraphs, device: &Device, piece: Bytes) -> Bill {
    let parameters = Bytes(graphs.counts().total) * 4;
    let mut bill = Bill::default();
    bill.add(Part::Process, device.overhead.value);
    bill.add(Part::Weights, parameters + graphs.table_bytes());
    bill.add(Part::Optimizer, graphs.moment_bytes());
    if let Backend::Host(_) = backend(device) {
        bill.add(Part::Workspace, lists(graphs) + piece);
    }
    bill
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::estimate_at;
    use crate::recipe::testing;
    use crate::step::recompute::Recompute;

    #[test]
    fn the_peak_is_the_highest_phase_and_never_the_start_or_a_resumption() {
        let adafactor =
            testing::TEXT.replace("AdamW(clip: 0.5)", "Adafactor()").replace("heads: 4,", "heads: 4, positions: Rotary(),");
        let sgd = testing::TEXT
            .replace("AdamW(clip: 0.5)", "Sgd(momentum: 0)")
            .replace("heads: 4,", "heads: 4, positions: NoPositions,");
        let recipes = [testing::recipe(), testing::parse(&adafactor), testing::parse(&sgd)];
        for (recipe, device) in
            recipes.iter().flat_map(|recipe| crate::device::catalog().into_iter().map(move |device| (recipe, device)))
        {
            let e = estimate_at(recipe, &device, 4, Recompute::NOTHING);
            let of = |event| e.phases.iter().find(|phase| phase.event == event).map(|phase| phase.peak.bytes);
            assert_eq!(e.phases.iter().map(|phase| phase.peak.bytes).max(), Some(e.peak.bytes), "{}", device.name);
            assert!(of(Event::Start) <= of(Event::Resuming) && of(Event::Resuming) <= of(Event::Saving), "{}", device.name);
        }
    }

    #[test]
    fn a_step_of_one_micro_batch_has_no_further_micro_step() {
        let recipe = testing::recipe();
        let device = crate::device::catalog().remove(0);
        let count = |batch| estimate_at(&recipe, &device, batch, Recompute::NOTHING).phases.len();
        assert_eq!((count(recipe.full_batch()), count(1)), (6, 7));
    }
}
