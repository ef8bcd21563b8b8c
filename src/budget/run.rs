//! The run as a whole: how many steps the budget buys, stage by stage of the batch ramp.

use serde::{Deserialize, Serialize};

use super::{Estimate, checkpoint_time};
use crate::recipe::decode::Interval;
use crate::recipe::settings::Recipe;
use crate::step::Walk;
use crate::units::{Bytes, Flops, Ratio, Seconds, Tokens};

/// A limit of the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// `budget.time`.
    #[default]
    Time,
    /// `budget.tokens`.
    Tokens,
    /// `budget.steps`.
    Steps,
    /// `budget.flops`.
    Flops,
}

impl Limit {
    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Tokens => "tokens",
            Self::Steps => "steps",
            Self::Flops => "flops",
        }
    }
}

/// A stretch of the run with one batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Progress at which it ends.
    pub until: Ratio,
    /// Micro-batches per step.
    pub accumulation: u64,
    /// Optimizer steps in it; a fraction, since stages meet inside a step.
    pub steps: f64,
    /// Time of one step.
    pub step_time: Seconds,
}

/// The run from first to last step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunEstimate {
    /// Optimizer steps.
    pub steps: u64,
    /// Micro-steps.
    pub micro_steps: u64,
    /// Tokens read.
    pub tokens: Tokens,
    /// Model FLOPs.
    pub flops: Flops,
    /// Wall-clock time, evaluation and checkpoints included.
    pub seconds: Seconds,
    /// Time spent on evaluation and checkpoints.
    pub overhead: Seconds,
    /// Which limit is reached first.
    pub binds: Limit,
    /// How many evaluations.
    pub evaluations: u64,
    /// How many checkpoints.
    pub checkpoints: u64,
    /// The stages of the batch ramp.
    pub stages: Vec<Stage>,
}

/// Cost of one step at an accumulation, in each of the four currencies.
struct StepCost {
    time: f64,
    tokens: f64,
    flops: f64,
}

fn step_cost(e: &Estimate, accumulation: u64) -> StepCost {
    let micro = e.walk(Walk::First).time + e.walk(Walk::Further).time * (accumulation - 1) as f64;
    let n = accumulation as f64;
    StepCost {
        time: (micro + e.walk(Walk::Update).time).0,
        tokens: n * e.micro_tokens as f64,
        flops: n * e.micro_step_flops().as_f64(),
    }
}

/// Share of each limit that a step uses up; the largest binds.
fn shares(recipe: &Recipe, cost: &StepCost, time_for_steps: f64) -> Vec<(Limit, f64)> {
    let b = &recipe.budget;
    let mut shares = Vec::new();
    if b.time.is_some() {
        shares.push((Limit::Time, cost.time / time_for_steps));
    }
    if let Some(tokens) = b.tokens {
        shares.push((Limit::Tokens, cost.tokens / tokens as f64));
    }
    if let Some(steps) = b.steps {
        shares.push((Limit::Steps, 1.0 / steps as f64));
    }
    if let Some(flops) = b.flops {
        shares.push((Limit::Flops, cost.flops / flops.as_f64()));
    }
    shares
}

/// Walks through the stages of the ramp. Evaluation and checkpoints take their time from a time budget, so the run is
/// estimated twice: once to know how often they happen, once with their time taken off.
pub fn estimate(recipe: &Recipe, e: &Estimate) -> RunEstimate {
    let budget = recipe.budget.time.unwrap_or(Seconds(f64::INFINITY));
    let once = stages(recipe, e, budget);
    let (evaluations, checkpoints, overhead) = overhead(recipe, e, &once);
    let room = Seconds((budget - overhead).0.max(budget.0.min(1e-9)));
    let mut run = stages(recipe, e, room);
    run.seconds += overhead;
    RunEstimate { evaluations, checkpoints, overhead, ..run }
}

fn stages(recipe: &Recipe, e: &Estimate, time_for_steps: Seconds) -> RunEstimate {
    let mut run = RunEstimate::default();
    let (mut start, mut steps, mut micro, mut seconds) = (0.0, 0.0, 0.0, 0.0);
    for (until, accumulation) in recipe.batch.stages(e.micro_batch) {
        let cost = step_cost(e, accumulation);
        let shares = shares(recipe, &cost, time_for_steps.0);
        let Some((limit, share)) = shares.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        let here = (until.0 - start) / share;
        run.binds = limit;
        run.stages.push(Stage { until, accumulation, steps: here, step_time: Seconds(cost.time) });
        steps += here;
        micro += here * accumulation as f64;
        seconds += here * cost.time;
        start = until.0;
    }
    // A step that the limit cuts short still counts for tokens and steps; a run against the clock leaves it out.
    let whole = |x: f64| if run.binds == Limit::Time { (x + 1e-9).floor() } else { (x - 1e-9).ceil() };
    run.steps = whole(steps) as u64;
    run.micro_steps = whole(micro) as u64;
    run.tokens = Tokens(run.micro_steps.saturating_mul(e.micro_tokens));
    run.flops = e.micro_step_flops() * run.micro_steps;
    run.seconds = Seconds(seconds);
    run
}

fn overhead(recipe: &Recipe, e: &Estimate, run: &RunEstimate) -> (u64, u64, Seconds) {
    // One evaluation before the first step and one after the last are always made.
    let evaluations = 1 + occasions(recipe.evaluation.every, run).max(1);
    let checkpoints = occasions(recipe.checkpoint.every, run).max(1);
    let walks = recipe.evaluation.sequences.div_ceil(e.micro_batch);
    let evaluation = e.walk(Walk::Evaluate).time * walks as f64 * evaluations as f64;
    let saving = checkpoint_time(e.checkpoint + Bytes(e.parameters.total * 4)) * checkpoints as f64;
    (evaluations, checkpoints, evaluation + saving)
}

/// How often an interval comes round in a run.
fn occasions(interval: Interval, run: &RunEstimate) -> u64 {
    match interval {
        Interval::Share(share) => (1.0 / share.0 + 1e-9).floor() as u64,
        Interval::Time(every) => (run.seconds.0 / every.0).floor() as u64,
        Interval::Steps(steps) => run.steps / steps,
    }
}
