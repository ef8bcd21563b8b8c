//! The run laid out in time: phases, steps, evaluations and checkpoints on the run's clock.
//!
//! The estimate says how many there are and how long each takes. Where in the run the evaluations and checkpoints fall is laid out
//! evenly over the training time, each at the end of a step: what a share of the budget comes to, near enough.

use crate::check::Costed;
use crate::plan::{Stage, Work, stages};
use crate::step::Walk;
use crate::units::Seconds;

/// Most evaluations, and most checkpoints, that are laid out one by one; more are drawn together.
const MOST_OCCASIONS: u64 = 1024;

/// Something that happens on the run's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Span<T> {
    /// What.
    pub what: T,
    /// When it begins.
    pub start: Seconds,
    /// When it ends.
    pub end: Seconds,
}

/// A step of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlannedStep {
    /// Its number, from 1.
    pub number: u64,
    /// Micro-steps in it.
    pub accumulation: u64,
}

/// The run on its clock.
#[derive(Clone, Debug)]
pub struct Run {
    stretches: Vec<Stretch>,
    /// Occasions with the training time after which each happens, in that order.
    occasions: Vec<(f64, Occasion)>,
    /// The phases of training.
    pub phases: Vec<Span<Stage>>,
    /// Evaluation and checkpoint before the clock starts, which begin at 0 of their own.
    pub before: Vec<Span<&'static str>>,
}

/// Steps that are alike.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Training time before it.
    begin: f64,
    first: u64,
    steps: u64,
    accumulation: u64,
    step_time: f64,
}

/// An evaluation or a checkpoint on the clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Occasion {
    /// Whether it is an evaluation.
    pub is_evaluation: bool,
    /// How many are drawn together.
    pub times: u64,
    seconds: f64,
}

/// Lays out the run of a costed recipe.
pub fn lay_out(costed: &Costed) -> Run {
    let e = &costed.estimate;
    let evaluation = e.walk(Walk::Evaluate).time.0 * costed.recipe.evaluation.sequences.div_ceil(e.micro_batch) as f64;
    let saving = e.saving.0;
    let mut stretches = Vec::new();
    let (mut begin, mut first) = (0.0, 1);
    for stage in &e.run.stages {
        let (steps, accumulation, step_time) = (stage.steps, stage.accumulation, stage.step_time.0);
        stretches.push(Stretch { begin, first, steps, accumulation, step_time });
        begin += step_time * steps as f64;
        first = first.saturating_add(steps);
    }
    let training = begin;
    let mut occasions = occasions(&stretches, training, e.run.evaluations, evaluation, true);
    occasions.extend(self::occasions(&stretches, training, e.run.checkpoints, saving, false));
    // At the same step the evaluation comes first.
    occasions.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.is_evaluation.cmp(&a.1.is_evaluation)));
    let before = vec![
        Span { what: "evaluation", start: Seconds::ZERO, end: Seconds(evaluation) },
        Span { what: "checkpoint", start: Seconds(evaluation), end: Seconds(evaluation + saving) },
    ];
    let mut run = Run { stretches, occasions, phases: Vec::new(), before };
    run.phases = phases(costed, &run, training);
    run
}

fn occasions(stretches: &[Stretch], training: f64, count: u64, seconds: f64, is_evaluation: bool) -> Vec<(f64, Occasion)> {
    let shown = count.min(MOST_OCCASIONS);
    let place = |k: u64| {
        let even = training * (k + 1) as f64 / shown as f64;
        let of = |k: u64| count * k / shown;
        let times = of(k + 1) - of(k);
        (end_of_step(stretches, even), Occasion { is_evaluation, times, seconds: seconds * times as f64 })
    };
    (0..shown).map(place).collect()
}

/// The end of the step that runs at a training time.
fn end_of_step(stretches: &[Stretch], at: f64) -> f64 {
    let Some(stretch) = stretches.iter().rev().find(|stretch| stretch.begin < at) else { return 0.0 };
    // What rounding adds to a whole number of steps is no further step.
    let steps = ((at - stretch.begin) / stretch.step_time - 1e-9).ceil().clamp(1.0, stretch.steps as f64);
    stretch.begin + steps * stretch.step_time
}

fn phases(costed: &Costed, run: &Run, training: f64) -> Vec<Span<Stage>> {
    let all = stages(&costed.recipe, &costed.estimate);
    let mut begin = 0.0;
    let mut phases = Vec::new();
    for stage in all.node_weights().filter(|stage| matches!(stage.work, Work::Phase { .. })) {
        let end = (begin + stage.time.unwrap_or_default().0).min(training);
        phases.push(Span { what: stage.clone(), start: run.clock(begin), end: run.clock(end) });
        begin = end;
    }
    if let Some(last) = phases.last_mut() {
        last.end = run.end();
    }
    phases
}

impl Run {
    /// The run's clock at the beginning of what follows a training time.
    fn clock(&self, training: f64) -> Seconds {
        Seconds(training + self.spent(training))
    }

    /// Time spent on occasions before what follows a training time.
    fn spent(&self, training: f64) -> f64 {
        let before = self.occasions.iter().take_while(|(at, _)| *at <= training && training > 0.0);
        before.map(|(_, occasion)| occasion.seconds).sum()
    }

    /// The run's clock at its end.
    pub fn end(&self) -> Seconds {
        let last = self.stretches.last().map_or(0.0, |last| last.begin + last.step_time * last.steps as f64);
        self.clock(last)
    }

    /// The evaluations and checkpoints, in order.
    pub fn occasions(&self) -> Vec<Span<Occasion>> {
        let mut spent = 0.0;
        let place = |(at, occasion): &(f64, Occasion)| {
            let start = at + spent;
            spent += occasion.seconds;
            Span { what: occasion.clone(), start: Seconds(start), end: Seconds(at + spent) }
        };
        self.occasions.iter().map(place).collect()
    }

    /// Steps of the run: the first, and those whose number `every` divides, so few that they and their micro-steps are at most `most`
    /// events.
    pub fn steps(&self, most: u64) -> Vec<Span<PlannedStep>> {
        let every = (0..63).map(|k| 1u64 << k).find(|every| self.events(*every) <= most).unwrap_or(1 << 62);
        let mut shown = Vec::new();
        for stretch in &self.stretches {
            let end = stretch.first + stretch.steps;
            let multiples = (stretch.first.div_ceil(every)..).map(|k| k * every).take_while(|number| *number < end);
            let first = (stretch.first == 1 && every > 1 && end > 1).then_some(1);
            shown.extend(first.into_iter().chain(multiples).map(|number| self.step(stretch, number)));
        }
        shown
    }

    fn step(&self, stretch: &Stretch, number: u64) -> Span<PlannedStep> {
        // As the occasions' times are computed, to the last bit: so nothing overlaps.
        let begin = |k: u64| stretch.begin + k as f64 * stretch.step_time;
        let k = number - stretch.first;
        let spent = self.spent(begin(k));
        let (start, end) = (Seconds(begin(k) + spent), Seconds(begin(k + 1) + spent));
        Span { what: PlannedStep { number, accumulation: stretch.accumulation }, start, end }
    }

    fn events(&self, every: u64) -> u64 {
        let events = self.stretches.iter().map(|s| (s.steps / every + 1).saturating_mul(s.accumulation.saturating_add(2)));
        events.fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::view::testing::costed;

    #[test]
    fn the_run_ends_when_the_estimate_says() {
        let costed = costed("rtx-a6000");
        let run = lay_out(&costed);
        assert!((run.end().0 - costed.estimate.run.seconds.0).abs() < 1e-9 * costed.estimate.run.seconds.0);
        assert!((run.phases.last().unwrap().end - run.end()).0.abs() < 1e-9);
    }

    #[test]
    fn steps_occasions_and_phases_follow_each_other() {
        let costed = costed("rtx-a6000");
        let run = lay_out(&costed);
        let steps = run.steps(1 << 20);
        assert_eq!(steps.len() as u64, costed.estimate.run.steps);
        let mut all: Vec<(f64, f64)> = steps.iter().map(|s| (s.start.0, s.end.0)).collect();
        all.extend(run.occasions().iter().map(|s| (s.start.0, s.end.0)));
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(all.windows(2).all(|pair| pair[0].1 <= pair[1].0 + 1e-9), "{all:?}");
        assert!(run.phases.windows(2).all(|pair| (pair[0].end - pair[1].start).0.abs() < 1e-9));
    }

    #[test]
    fn few_steps_are_shown_of_many() {
        let run = lay_out(&costed("rtx-a6000"));
        let numbers: Vec<u64> = run.steps(20).iter().map(|s| s.what.number).collect();
        assert_eq!(numbers, [1, 8, 16]);
    }
}
