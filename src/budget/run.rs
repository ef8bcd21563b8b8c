//! The run as a whole: how many steps the budget buys, stage by stage of the batch ramp.

use serde::{Deserialize, Serialize};

use super::Estimate;
use crate::recipe::decode::Interval;
use crate::recipe::schedule::{Moment, StageEnd};
use crate::recipe::settings::Recipe;
use crate::recipe::spending::{Limit, Meter, Prices, Spent};
use crate::step::Walk;
use crate::units::{Flops, Ratio, Seconds, Tokens};

/// A stretch of the run with one batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Progress after its last step.
    pub until: Ratio,
    /// Micro-batches per step.
    pub accumulation: u64,
    /// Optimizer steps in it.
    pub steps: u64,
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
    /// How many evaluations on the clock, the last included; one more is made before it starts.
    pub evaluations: u64,
    /// How many checkpoints on the clock, the last included; one more is written before it starts.
    pub checkpoints: u64,
    /// The stages of the batch ramp.
    pub stages: Vec<Stage>,
}

impl RunEstimate {
    /// Where the run should stand at a progress; steps that are not over by then are not counted.
    pub fn moment(&self, progress: f64, micro_tokens: u64) -> Moment {
        let (mut spent, mut start) = (Spent::default(), 0.0);
        for Stage { until, accumulation, steps, step_time } in &self.stages {
            let part = ((progress - start) / (until.0 - start).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
            let done = (part * *steps as f64 + 1e-9) as u64;
            spent = Spent {
                seconds: spent.seconds + part * *steps as f64 * step_time.0,
                steps: spent.steps.saturating_add(done),
                micro_steps: spent.micro_steps.saturating_add(done.saturating_mul(*accumulation)),
            };
            start = until.0;
        }
        Moment::new(progress, &spent, micro_tokens)
    }
}

/// Stages that memory is set aside for at once.
const MOST_STAGES: u64 = 1 << 12;

/// Where counting steps ends: a budget that buys more is not one for this world.
const MOST_STEPS: u64 = 1 << 60;

/// What a run follows from beside its recipe: a plan's times, and the sizes of its micro-step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tempo {
    /// Sequences of a micro-batch.
    pub micro_batch: u64,
    /// Micro-batches of a step at the full batch.
    pub accumulation: u64,
    /// Tokens of a micro-batch.
    pub micro_tokens: u64,
    /// Model FLOPs of a micro-step.
    pub micro_step_flops: Flops,
    /// Time of each walk, in the order of [`Walk::ALL`].
    pub walks: [Seconds; Walk::ALL.len()],
    /// How long it takes to write a checkpoint.
    pub saving: Seconds,
}

impl Tempo {
    fn walk(&self, walk: Walk) -> Seconds {
        self.walks[walk as usize]
    }

    /// Time of a step with this many micro-batches.
    pub fn step_time(&self, accumulation: u64) -> Seconds {
        step_time([Walk::First, Walk::Further, Walk::Update].map(|walk| self.walk(walk)), accumulation)
    }
}

/// Time of a step with this many micro-batches, from that of its first and of a further micro-step and of its update.
pub fn step_time([first, further, update]: [Seconds; 3], accumulation: u64) -> Seconds {
    first + further * (accumulation - 1) as f64 + update
}

/// Walks through the run, stretch by stretch. Evaluations and checkpoints take their time from a time budget, so the run is
/// walked twice: once to know how often they happen, once with their time taken off.
pub fn estimate(recipe: &Recipe, tempo: &Tempo) -> RunEstimate {
    let (ending, ..) = occasional(recipe, tempo, &RunEstimate::default());
    let (overhead, evaluations, checkpoints) =
        foreseen(recipe, tempo, ending).unwrap_or_else(|| occasional(recipe, tempo, &walk(recipe, tempo, ending)));
    let mut run = walk(recipe, tempo, overhead);
    run.seconds += overhead;
    RunEstimate { overhead, evaluations, checkpoints, ..run }
}

/// The least, the expected and the most of something.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds<T> {
    /// Where everything goes as well as it may.
    pub low: T,
    /// As estimated.
    pub expected: T,
    /// Where everything goes as badly as it may.
    pub high: T,
}

impl<T> Bounds<T> {
    /// The same of a part or a measure of it.
    pub fn map<U>(&self, part: impl Fn(&T) -> U) -> Bounds<U> {
        Bounds { low: part(&self.low), expected: part(&self.expected), high: part(&self.high) }
    }
}

/// The run where steps take 1 + `error` times less (low) or more (high) than estimated: under a budget of time that means more
/// or fewer steps, under any other more or less time.
pub fn interval(recipe: &Recipe, e: &Estimate, error: Ratio) -> Bounds<RunEstimate> {
    let tempo = e.tempo();
    let scaled = |factor: f64| estimate(recipe, &Tempo { walks: tempo.walks.map(|time| time * factor), ..tempo });
    Bounds { low: scaled(1.0 / (1.0 + error.0)), expected: e.run.clone(), high: scaled(1.0 + error.0) }
}

/// The steps of the run, as [`Budget::progress`] and [`Budget::affordable`] would have the executor do them.
fn walk(recipe: &Recipe, tempo: &Tempo, not_for_steps: Seconds) -> RunEstimate {
    let prices = Prices {
        micro_step: tempo.walk(Walk::Further).0,
        update: tempo.walk(Walk::Update).0,
        reserve: not_for_steps.0,
        tokens: tempo.micro_tokens,
        flops: tempo.micro_step_flops.as_f64(),
    };
    let meter = Meter::new(&recipe.budget, &prices);
    let moment = |spent: &Spent| Moment::new(meter.progress(spent), spent, tempo.micro_tokens);
    let wanted = |spent: &Spent| recipe.accumulation(&moment(spent), tempo.micro_batch);
    let mut run =
        RunEstimate { stages: Vec::with_capacity(tempo.accumulation.min(MOST_STAGES) as usize), ..RunEstimate::default() };
    let mut spent = Spent::default();
    let mut progress = meter.progress(&spent);
    loop {
        let wanted_now = wanted(&spent);
        let accumulation = wanted_now.min(meter.affordable(&spent));
        if progress >= 1.0 || accumulation == 0 || spent.steps > MOST_STEPS {
            break;
        }
        let step = Step { accumulation, seconds: tempo.step_time(accumulation).0 };
        let (until, most) = match recipe.stage_end(accumulation, tempo.micro_batch) {
            _ if accumulation < wanted_now => (progress, 1.0),
            StageEnd::Progress(until) => (until, MOST_STEPS as f64),
            StageEnd::Ramped(until) => {
                let [now, then] = [spent, after(spent, step, 1)].map(|spent| recipe.ramped(&moment(&spent)));
                (1.0, ((until - now) / (then - now)).min(MOST_STEPS as f64))
            }
        };
        let is_alike = |spent: &Spent| {
            meter.progress(spent) < 1.0 && wanted(spent) == accumulation && meter.affordable(spent) >= accumulation
        };
        let count = alike(&meter, spent, step, (until, most), is_alike);
        spent = after(spent, step, count);
        progress = meter.progress(&spent);
        note(&mut run, step, count, Ratio(progress));
    }
    let limits = recipe.budget.shares(&spent, &prices);
    run.binds = limits.into_iter().flatten().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(Limit::Time, |(limit, _)| limit);
    run.steps = spent.steps;
    run.micro_steps = spent.micro_steps;
    run.tokens = Tokens(spent.micro_steps.saturating_mul(tempo.micro_tokens));
    run.flops = tempo.micro_step_flops * spent.micro_steps;
    run.seconds = Seconds(spent.seconds);
    run
}

/// An optimizer step of a stretch.
#[derive(Clone, Copy)]
struct Step {
    accumulation: u64,
    seconds: f64,
}

fn after(spent: Spent, step: Step, count: u64) -> Spent {
    Spent {
        seconds: spent.seconds + step.seconds * count as f64,
        steps: spent.steps.saturating_add(count),
        micro_steps: spent.micro_steps.saturating_add(step.accumulation.saturating_mul(count)),
    }
}

/// How many steps can be taken at once, the first of which is known: those that begin before `until`, but not more than `most`, if the last
/// of them `is_alike`, and so are all before it. The number is guessed from the first, and a little less where rounding made it too large.
fn alike(meter: &Meter, spent: Spent, step: Step, (until, most): (f64, f64), is_alike: impl Fn(&Spent) -> bool) -> u64 {
    let (now, then) = (meter.shares(&spent), meter.shares(&after(spent, step, 1)));
    let counts = now.into_iter().zip(then).map(|(now, then)| (until - now) / (then - now));
    let guess = counts.fold(most, f64::min).max(1.0);
    // Where a limit ends the run its last steps may be smaller: those are looked at one by one.
    let guesses = [guess.ceil(), guess.floor() - 1.0].map(|count| count.max(1.0) as u64);
    guesses.into_iter().find(|count| *count > 1 && is_alike(&after(spent, step, count - 1))).unwrap_or(1)
}

fn note(run: &mut RunEstimate, step: Step, count: u64, until: Ratio) {
    match run.stages.last_mut() {
        Some(stage) if stage.accumulation == step.accumulation => {
            stage.steps += count;
            stage.until = until;
        }
        _ => run.stages.push(Stage { until, accumulation: step.accumulation, steps: count, step_time: Seconds(step.seconds) }),
    }
}

/// What [`occasional`] would say of a run that only its time ends, without walking through it: such a run ends less than a micro-step before
/// its time is over. None where that makes a difference.
fn foreseen(recipe: &Recipe, tempo: &Tempo, ending: Seconds) -> Option<(Seconds, u64, u64)> {
    let budget = &recipe.budget;
    let steps = |interval: Interval| matches!(interval, Interval::Steps(_));
    let only_time = budget.tokens.is_none() && budget.steps.is_none() && budget.flops.is_none();
    if !only_time || steps(recipe.evaluation.every) || steps(recipe.checkpoint.every) {
        return None;
    }
    let end = budget.time? - ending;
    let until = |seconds: Seconds| occasional(recipe, tempo, &RunEstimate { seconds, ..RunEstimate::default() });
    let early = until(end - tempo.step_time(1) - tempo.walk(Walk::Further));
    (early == until(end)).then_some(early)
}

/// Time that the run's clock spends on evaluation and saving, and how often both happen on it.
fn occasional(recipe: &Recipe, tempo: &Tempo, run: &RunEstimate) -> (Seconds, u64, u64) {
    let evaluations = occasions(recipe.evaluation.every, run);
    let checkpoints = occasions(recipe.checkpoint.every, run);
    let walks = recipe.evaluation.sequences.div_ceil(tempo.micro_batch);
    let evaluation = tempo.walk(Walk::Evaluate) * walks as f64 * evaluations as f64;
    let saving = tempo.saving * checkpoints as f64;
    (evaluation + saving, evaluations, checkpoints)
}

/// How often an interval comes round in a run, the end of the run included.
fn occasions(interval: Interval, run: &RunEstimate) -> u64 {
    let times = match interval {
        Interval::Share(share) => 1.0 / share.0,
        Interval::Time(every) => run.seconds.0 / every.0,
        Interval::Steps(steps) => run.steps as f64 / steps as f64,
    };
    ((times - 1e-9).ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::interval;
    use crate::budget::estimate_at;
    use crate::recipe::decode::Portion;
    use crate::recipe::schedule::Moment;
    use crate::recipe::settings::{Batch, Counting, Recipe};
    use crate::recipe::spending::{Prices, Spent};
    use crate::recipe::testing::recipe;
    use crate::step::recompute::Recompute;
    use crate::units::Ratio;

    /// Steps and micro-steps one by one, as the executor does them.
    fn one_by_one(recipe: &Recipe, micro_batch: u64, prices: &Prices) -> (u64, u64) {
        let mut spent = Spent::default();
        loop {
            let progress = recipe.budget.progress(&spent, prices);
            let wanted = recipe.accumulation(&Moment::new(progress, &spent, prices.tokens), micro_batch);
            let accumulation = wanted.min(recipe.budget.affordable(&spent, prices));
            if progress >= 1.0 || accumulation == 0 {
                return (spent.steps, spent.micro_steps);
            }
            spent.steps += 1;
            spent.micro_steps += accumulation;
        }
    }

    #[test]
    fn slower_steps_are_fewer_in_a_day_and_take_longer_where_they_are_counted() {
        let device = crate::device::find("rtx-a6000").unwrap();
        let mut recipe = recipe();
        let bounds = |recipe: &Recipe| {
            let e = estimate_at(recipe, &device, 4, Recompute::NOTHING);
            interval(recipe, &e, Ratio(0.5))
        };
        let counted = bounds(&recipe);
        assert!(counted.low.seconds.0 < counted.expected.seconds.0 && counted.expected.seconds.0 < counted.high.seconds.0);
        assert!(counted.low.tokens == counted.high.tokens);
        (recipe.budget.steps, recipe.budget.time) = (None, Some(crate::units::Seconds(600.0)));
        let timed = bounds(&recipe);
        assert!(timed.low.tokens > timed.expected.tokens && timed.expected.tokens > timed.high.tokens);
    }

    #[test]
    fn a_budget_in_steps_or_tokens_is_planned_to_the_last_micro_step() {
        let device = crate::device::find("rtx-a6000").unwrap();
        for (steps, tokens) in
            [(Some(20), None), (Some(1237), None), (None, Some(1_000_003)), (Some(300), Some(500_000)), (Some(1), None)]
        {
            let ramps = [0.3, 0.6, 1.0].map(|share| Portion::Share(Ratio(share)));
            let counted = [Portion::Steps(7), Portion::Steps(300), Portion::Tokens(20_001)];
            for (until, counting) in ramps.into_iter().chain(counted).flat_map(|until| {
                [Counting::Exact {}, Counting::Official { micro_steps: 5000, by_budget: true }].map(|counting| (until, counting))
            }) {
                let mut recipe = recipe();
                (recipe.batch, recipe.counting) = (Batch::Ramp { to: 96, until }, counting);
                (recipe.budget.steps, recipe.budget.tokens) = (steps, tokens);
                let e = estimate_at(&recipe, &device, 4, Recompute::NOTHING);
                let prices = Prices { tokens: e.micro_tokens, flops: 1.0, ..Prices::default() };
                assert_eq!((e.run.steps, e.run.micro_steps), one_by_one(&recipe, 4, &prices), "{steps:?} {tokens:?} {until:?}");
            }
        }
    }
}
