//! Many what-ifs at once: a recipe planned at every point of a grid, and which of the points are worth looking at.
//!
//! A sweep is the recipe under the product of its axes ([`axis`]), each of them a field or a `let` name with the values that it takes.
//! What follows from a varied name follows at each point, as with `--set`: the recipe is parsed once and evaluated anew for every point. A
//! point is then planned as `check` plans it: micro-batch and recomputation are chosen where the recipe leaves them open.
//!
//! # The front
//!
//! Of the feasible points those are on the front that no other feasible point dominates. A point dominates another that is at most as good
//! in each of these, and worse in one: parameters (more is better), tokens that the budget buys (more), seconds of a token in a step at
//! the full batch (less), peak memory (less).
//!
//! Invariant: a point that breaks a rule is counted and never stops the others.

pub mod axis;
mod front;

pub use axis::Axis;
pub use front::front;

use crate::budget::fit;
use crate::check;
use crate::device::Device;
use crate::diag::{Code, Diagnostic};
use crate::pipeline::{Inputs, Parsed};
use crate::source::{Sources, Span};
use crate::step::recompute::Recompute;
use crate::syntax::ast::Override;
use crate::units::{Bytes, Seconds, Tokens};

/// The most points that a sweep may have.
pub const MOST_POINTS: u64 = 200_000;

/// A recipe and the values that it is varied over.
#[derive(Debug)]
pub struct Sweep {
    /// Every text that was read, those of the axes among them.
    pub sources: Sources,
    /// What is varied, the first the slowest.
    pub axes: Vec<Axis>,
    parsed: Parsed,
    machine: Device,
    known: Vec<Device>,
    asked: Option<(String, Span)>,
}

/// A point that could be planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The recipe's name.
    pub recipe: String,
    /// The device's name.
    pub device: String,
    /// Parameters of the model.
    pub parameters: u64,
    /// Blocks of the model.
    pub depth: u64,
    /// Sequences in a micro-batch.
    pub micro_batch: u64,
    /// What is recomputed.
    pub recompute: Recompute,
    /// Time of a step at the full batch.
    pub step: Seconds,
    /// Time of a token in such a step.
    pub per_token: Seconds,
    /// Highest memory.
    pub memory: Bytes,
    /// Steps that the budget buys.
    pub steps: u64,
    /// Tokens that the budget buys.
    pub tokens: Tokens,
    /// Whether it fits in the memory.
    pub fits: bool,
    /// Whether it can be run: it fits, and the budget buys a step.
    pub feasible: bool,
}

/// What became of a point.
pub type Outcome = Result<Planned, Vec<Diagnostic>>;

impl Sweep {
    /// Reads the recipe and the axes; `vary` are texts such as `model.depth=4..24`.
    ///
    /// # Errors
    /// What is wrong in the texts, the device that was asked for, or the number of points; with the texts for their places.
    pub fn new(inputs: Inputs<'_>, vary: &[String]) -> Result<Self, (Sources, Vec<Diagnostic>)> {
        let mut sources = Sources::default();
        let Inputs { entry, read, overrides, machine, known, asked } = inputs;
        let parsed = Parsed::new(entry, overrides, &mut sources);
        let (axes, mut diagnostics) = axis::all(vary, &mut sources);
        let asked = asked.map(|name| {
            let span = Span::new(sources.add("--for", name.as_str()), 0, name.len());
            (name, span)
        });
        let mut parsed = match parsed {
            Ok(parsed) if diagnostics.is_empty() => parsed,
            Ok(_) => return Err((sources, diagnostics)),
            Err(mut found) => {
                found.append(&mut diagnostics);
                return Err((sources, found));
            }
        };
        parsed.import(&[], read, &mut sources);
        for value in axes.iter().flat_map(|axis| &axis.values) {
            parsed.import(std::slice::from_ref(&value.instead), read, &mut sources);
        }
        Ok(Self { sources, axes, parsed, machine, known: known.to_vec(), asked })
    }

    /// How many points it has.
    pub fn count(&self) -> u64 {
        self.axes.iter().map(|axis| axis.values.len() as u64).product()
    }

    /// The value of each axis at a point, as it is written.
    pub fn values(&self, point: u64) -> Vec<&str> {
        self.at(point).into_iter().map(|value| value.text.as_str()).collect()
    }

    fn at(&self, mut point: u64) -> Vec<&axis::Value> {
        let mut values = Vec::with_capacity(self.axes.len());
        for axis in self.axes.iter().rev() {
            let count = axis.values.len() as u64;
            values.extend(axis.values.get((point % count) as usize));
            point /= count;
        }
        values.reverse();
        values
    }

    /// Plans a point.
    ///
    /// # Errors
    /// What is wrong with the recipe there.
    pub fn plan(&self, point: u64) -> Outcome {
        let overrides: Vec<Override> = self.at(point).into_iter().map(|value| value.instead.clone()).collect();
        let recipe = self.parsed.resolve(&overrides)?;
        let asked = self.asked.as_ref().map(|(name, span)| (name.as_str(), *span));
        let device = Parsed::device(&recipe, asked, &self.machine, &self.known).map_err(|unknown| vec![unknown])?;
        let e = fit(&recipe, device);
        let step = e.step_time(e.accumulation);
        Ok(Planned {
            recipe: recipe.name,
            device: device.name.clone(),
            parameters: e.parameters.total,
            depth: recipe.model.depth,
            micro_batch: e.micro_batch,
            recompute: e.recompute,
            step,
            per_token: step * (1.0 / (e.accumulation * e.micro_tokens) as f64),
            memory: e.peak.bytes,
            steps: e.run.steps,
            tokens: e.run.tokens,
            fits: e.fits(),
            feasible: check::is_feasible(&e),
        })
    }
}

/// Points that break the same rule.
#[derive(Clone, Debug)]
pub struct Broken {
    /// Which rule.
    pub code: Code,
    /// How many points.
    pub count: u64,
    /// The first of them.
    pub point: u64,
    /// What is wrong there.
    pub message: String,
}

/// The points that break a rule, by rule, those of most points first.
pub fn broken(outcomes: &[Outcome]) -> Vec<Broken> {
    let mut all: Vec<Broken> = Vec::new();
    for (point, outcome) in outcomes.iter().enumerate() {
        let Some(first) = outcome.as_ref().err().and_then(|diagnostics| diagnostics.first()) else { continue };
        match all.iter_mut().find(|broken| broken.code == first.code) {
            Some(broken) => broken.count += 1,
            None => all.push(Broken { code: first.code, count: 1, point: point as u64, message: first.message.clone() }),
        }
    }
    all.sort_by_key(|broken| std::cmp::Reverse(broken.count));
    all
}
