//! One recipe's real state and steps, in a process of their own: the highest heap of each phase above what was there before.

use std::path::Path;

use burn::tensor::Device;
use cramplan::budget::Event;
use cramplan::check::Costed;
use cramplan::exec::op::Scalars;
use cramplan::exec::state::State;
use cramplan::exec::trainer::{Feed, Trainer};
use cramplan::exec::walk::Form;
use cramplan::step::{Extents, Walk};
use serde::{Deserialize, Serialize};

use super::HEAP;

/// The highest heap of each phase, bytes above what was there before the state was made.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// Making the state.
    pub start: u64,
    /// The walks, in the order of [`Walk::ALL`]; 0 for one that does not happen.
    pub walks: [u64; Walk::ALL.len()],
    /// Saving a checkpoint.
    pub saving: u64,
    /// Reading it back, in place of making the state.
    pub resuming: u64,
}

impl Seen {
    /// What was seen of a phase.
    pub fn of(&self, event: Event) -> u64 {
        match event {
            Event::Start => self.start,
            Event::Walk(walk) => self.walks[walk as usize],
            Event::Saving => self.saving,
            Event::Resuming => self.resuming,
        }
    }

    /// The highest of all phases.
    pub fn highest(&self) -> u64 {
        self.walks.into_iter().chain([self.start, self.saving, self.resuming]).max().unwrap_or_default()
    }
}

/// What is measured against.
struct Gauge(usize);

impl Gauge {
    fn set() -> Self {
        Self(HEAP.current_usage())
    }

    /// The highest heap while `work` runs.
    fn highest<T>(&self, work: impl FnOnce() -> T) -> (T, u64) {
        HEAP.reset_peak_usage();
        let done = work();
        (done, HEAP.peak_usage().saturating_sub(self.0) as u64)
    }
}

/// Micro-batches of the right shape, with a loss weight on every predicted row.
fn feed(e: &Extents) -> Feed {
    let tokens = (0..e.rows()).map(|i| (i * 7 % e.vocabulary) as i32).collect();
    let rows = (0..e.predicted).map(|i| i as i32).collect();
    let labels = (0..e.predicted).map(|i| (i * 3 % e.vocabulary) as i32).collect();
    Feed { tokens, rows, labels, weights: vec![1.0 / e.predicted as f32; e.predicted as usize], ..Feed::default() }
}

/// Does everything that a run does to memory: the state made, saved and read back; two steps with two further micro-steps where the
/// plan has any, an evaluation, a checkpoint.
pub fn watch(costed: &Costed, directory: &Path) -> Seen {
    let device = Device::flex();
    let graphs = costed.graphs().built();
    let (parameters, extents) = (graphs.parameters.clone(), graphs.extents);
    let (weights, moments) = (directory.join("weights.safetensors"), directory.join("moments.safetensors"));
    let further = if costed.estimate.accumulation > 1 { 2 } else { 0 };
    let gauge = Gauge::set();
    let (state, start) = gauge.highest(|| State::initial(&graphs, costed.recipe.seed, &device));
    let save = |state: &State| {
        state.save_weights(&parameters, &weights).unwrap();
        state.save_moments(&graphs, &moments).unwrap();
    };
    save(&state);
    drop(state);
    // Before the first matrix product, as when a run is resumed: threads keep slabs from it on.
    let (state, resuming) = gauge.highest(|| State::load(&graphs, &weights, &moments, &device).unwrap());
    let mut seen = Seen { start, resuming, ..Seen::default() };
    let mut trainer = Trainer::new(graphs.clone(), state, Form::Host, &device);
    let mut saw = |walk: Walk, heap: u64| seen.walks[walk as usize] = seen.walks[walk as usize].max(heap);
    for step in 1..=2 {
        for k in 0..=further {
            let walk = if k == 0 { Walk::First } else { Walk::Further };
            saw(walk, gauge.highest(|| trainer.micro_step(&feed(&extents), k == 0, &mut |_| {}).unwrap()).1);
        }
        saw(Walk::Update, gauge.highest(|| trainer.update(Scalars::update(1e-3, step), &mut |_| {}).unwrap()).1);
    }
    saw(Walk::Evaluate, gauge.highest(|| trainer.evaluate(&feed(&extents), &mut |_| {}).unwrap()).1);
    (_, seen.saving) = gauge.highest(|| {
        assert_eq!(trainer.state.not_finite(), None);
        save(&trainer.state);
        trainer.state.weights_hash()
    });
    seen
}
