//! One optimizer step after another: micro-steps, update, evaluation, each a walk through its graph.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Device, Tensor};

use super::error::Error;
use super::op::{Draws, Scalars};
use super::state::State;
use super::value::Value;
use super::walk::{Form, Walker};
use crate::budget::reserved::Schedule;
use crate::data::MicroBatch;
use crate::step::tensor::{Input, Role, TensorType};
use crate::step::{StepGraphs, Walk};
use crate::units::Bytes;

/// What the host feeds into a micro-step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feed {
    /// Token ids after masking, `[B·S]`.
    pub tokens: Vec<i32>,
    /// Positions that the decoder sees, `[N]`.
    pub rows: Vec<i32>,
    /// The tokens to predict there, `[N]`.
    pub labels: Vec<i32>,
    /// Weight of each prediction in the loss, `[N]`.
    pub weights: Vec<f32>,
    /// What the random draws of the micro-step depend on.
    pub draws: Draws,
}

impl Feed {
    /// A micro-batch of a step; its loss weights divide the sum of the step's means by `divisor`, the number of micro-steps where the
    /// step's gradient is the mean over them.
    pub fn of(batch: MicroBatch, divisor: u64, draws: Draws) -> Self {
        let scale = 1.0 / (batch.masked.max(1) as f64 * divisor as f64);
        let weights = batch.weights.iter().map(|w| (f64::from(*w) * scale) as f32).collect();
        Self { tokens: batch.tokens, rows: batch.rows, labels: batch.labels, weights, draws }
    }
}

/// A model in training.
#[derive(Debug)]
pub struct Trainer {
    graphs: StepGraphs,
    walkers: BTreeMap<Walk, Walker>,
    device: Device,
    /// Weights, moments, gradients.
    pub state: State,
}

/// A moment of a walk, for who measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// One more of the tensors that no operation makes is there; the first operation follows the last of these.
    Fed,
    /// The next operation is done, and what dies at it is gone.
    Done,
}

impl Trainer {
    /// A model with the given state.
    pub fn new(graphs: StepGraphs, state: State, form: Form, device: &Device) -> Self {
        let walkers = Walk::ALL.into_iter().map(|walk| (walk, Walker::new(graphs.shared(walk), form, device))).collect();
        Self { graphs, walkers, device: device.clone(), state }
    }

    /// The graphs that are walked.
    pub fn graphs(&self) -> &StepGraphs {
        &self.graphs
    }

    /// Forward and backward; the gradients are added to those of the micro-steps before it in this step. Gives the loss; `watch` is
    /// told of each moment.
    ///
    /// # Errors
    /// Memory that cannot be had, or a failure of the backend.
    pub fn micro_step(&mut self, feed: &Feed, first: bool, watch: &mut dyn FnMut(Moment)) -> Result<f64, Error> {
        let walk = if first { Walk::First } else { Walk::Further };
        if first {
            self.forget_gradients();
        }
        let results = self.walk(walk, feed, Scalars { draws: feed.draws, ..Scalars::default() }, watch)?;
        Ok(f64::from(results.first().and_then(|x| x.first()).copied().unwrap_or(f32::NAN)))
    }

    /// Drops the gradients of a step that is not finished.
    pub fn forget_gradients(&mut self) {
        self.state.gradients.iter_mut().for_each(|g| *g = None);
    }

    /// Clips and updates; gives the global norm of the gradient before clipping.
    ///
    /// # Errors
    /// As [`Trainer::micro_step`].
    pub fn update(&mut self, scalars: Scalars, watch: &mut dyn FnMut(Moment)) -> Result<f64, Error> {
        let results = self.walk(Walk::Update, &Feed::default(), scalars, watch)?;
        Ok(f64::from(results.first().and_then(|x| x.first()).copied().unwrap_or(f32::NAN)))
    }

    /// Forward only; gives the loss of each predicted row, `[N]`.
    ///
    /// # Errors
    /// As [`Trainer::micro_step`].
    pub fn evaluate(&mut self, feed: &Feed, watch: &mut dyn FnMut(Moment)) -> Result<Vec<f32>, Error> {
        let mut results = self.walk(Walk::Evaluate, feed, Scalars::default(), watch)?;
        Ok(if results.len() > 1 { results.swap_remove(1) } else { Vec::new() })
    }

    /// Walks a graph and puts what it keeps back into the state; gives the other results, read back to the host.
    fn walk(&mut self, walk: Walk, feed: &Feed, scalars: Scalars, watch: &mut dyn FnMut(Moment)) -> Result<Vec<Vec<f32>>, Error> {
        let Self { walkers, state, device, .. } = self;
        let walker = &walkers[&walk];
        let watch = RefCell::new(watch);
        let tell = |moment| (watch.borrow_mut())(moment);
        let results = guarded(walk, || {
            let feeding = |role, _: &TensorType| {
                let value = source(state, feed, device, role);
                tell(Moment::Fed);
                value
            };
            let made = walker.walk_watched(scalars, feeding, |_| tell(Moment::Done))?;
            let mut read = Vec::new();
            for (_, role, value) in made {
                match role {
                    Role::Weight(p) => state.weights[p.0 as usize] = Some(value),
                    Role::Gradient(p) => state.gradients[p.0 as usize] = Some(value),
                    Role::PositionTable => state.table = Some(value),
                    Role::Input(_) | Role::Activation => read.push(value.to_floats()),
                    role => {
                        if let Some((moment, p)) = role.moment() {
                            state.moments[moment as usize][p.0 as usize] = Some(value);
                        }
                    }
                }
            }
            Ok(read)
        })?;
        Ok(results)
    }
}

/// Takes what a graph begins with out of the state or the feed.
fn source(state: &mut State, feed: &Feed, device: &Device, role: Role) -> Option<Value> {
    match role {
        Role::Weight(p) => state.weights[p.0 as usize].take(),
        Role::Gradient(p) => state.gradients[p.0 as usize].take(),
        Role::PositionTable => state.table.take(),
        Role::Input(Input::Tokens) => Some(Value::index(feed.tokens.clone(), device)),
        Role::Input(Input::Rows) => Some(Value::index(feed.rows.clone(), device)),
        Role::Input(Input::Labels) => Some(Value::index(feed.labels.clone(), device)),
        Role::Input(Input::Weights) => Some(Value::float(feed.weights.clone(), device)),
        role => role.moment().and_then(|(moment, p)| state.moments[moment as usize][p.0 as usize].take()),
    }
}

/// Runs a walk; a panic of the backend becomes an error, with running out of memory told apart from the rest.
fn guarded<R>(walk: Walk, work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    outcome.unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
            .unwrap_or_else(|| "a panic without a message".to_owned());
        let lower = message.to_lowercase();
        let memory = ["out of memory", "outofmemory", "out_of_memory"].iter().any(|m| lower.contains(m));
        Err(if memory {
            Error::DeviceMemory { place: walk.name().to_owned(), message }
        } else {
            Error::Backend { place: walk.name().to_owned(), message }
        })
    })
}

/// Reserves as much as the largest tensor of a training takes on a card, and gives it back: the manager's pages are then of their final
/// size before anything lives on them, which is what the plan counts on ([`Schedule::primed`]). On the CPU there is nothing to do.
pub fn prime(graphs: &StepGraphs, form: Form, device: &Device) {
    let largest = if form == Form::Plain { Schedule::of(graphs).largest() } else { None };
    if let Some(bytes) = largest {
        let filled = Tensor::<1>::zeros([(bytes / 4) as usize], device);
        // What fails here fails again where memory is really needed.
        let _ = device.sync();
        drop(filled);
    }
}

/// Asks the system for as much memory as the plan says the tensors will take, and gives it back: where that much cannot be
/// had, it is said before anything is spent.
///
/// # Errors
/// [`Error::OutOfMemory`] where the system refuses.
pub fn probe_memory(planned: Bytes) -> Result<(), Error> {
    let mut probe: Vec<u8> = Vec::new();
    if probe.try_reserve_exact(planned.0 as usize).is_err() {
        return Err(Error::OutOfMemory { what: "the plan's peak".to_owned(), wanted: planned, held: Bytes::ZERO });
    }
    // Seen, so that the compiler does not leave out a request whose memory nobody uses.
    std::hint::black_box(&probe);
    Ok(())
}
