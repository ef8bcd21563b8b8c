//! The run: steps, tokens, FLOPs and seconds that the budget buys, walked through stage by stage of the batch.

use super::book::close;
use super::format::{Content, Limit, WalkName};
use super::model::full_batch;
use super::recipe::{Batch, Counting, Interval, Portion};
use super::{At, Book, Law};
use crate::units::{Flops, Tokens};

/// Where counting ends.
const MOST_STEPS: u64 = 1 << 60;

/// What the parts of a run cost.
struct Run<'a> {
    content: &'a Content,
    first: f64,
    further: f64,
    update: f64,
    evaluation: f64,
    micro_flops: Flops,
    /// Seconds that are not for steps.
    reserve: f64,
}

/// What has been spent.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    seconds: f64,
    steps: u64,
    micro_steps: u64,
}

/// A stretch of steps with one accumulation.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    accumulation: u64,
    steps: u64,
    until: f64,
}

/// Checks the run.
pub fn check(content: &Content, book: &mut Book) {
    let seconds = |name: WalkName| content.walks[name as usize].seconds.0;
    let first = &content.walks[WalkName::First as usize];
    let mut run = Run {
        content,
        first: seconds(WalkName::First),
        further: seconds(WalkName::Further),
        update: seconds(WalkName::Update),
        evaluation: seconds(WalkName::Evaluate),
        micro_flops: first.forward + first.backward,
        reserve: 0.0,
    };
    // Evaluations and checkpoints are counted on the run that one of each, or as many as their shares say, would leave.
    let (overhead, ..) = run.occasions(&Spent::default());
    run.reserve = overhead;
    let (once, _) = run.simulate();
    let (overhead, evaluations, checkpoints) = run.occasions(&once);
    run.reserve = overhead;
    let (spent, stages) = run.simulate();

    let stated = &content.run;
    let at = At::field;
    book.equal(Law::Run, at("run.evaluations"), stated.evaluations, evaluations);
    book.equal(Law::Run, at("run.checkpoints"), stated.checkpoints, checkpoints);
    book.close(Law::Run, at("run.overhead"), stated.overhead.0, overhead);
    book.close(Law::Run, at("run.seconds"), stated.seconds.0, spent.seconds + overhead);
    book.equal(Law::Run, at("run.steps"), stated.steps, spent.steps);
    book.equal(Law::Run, at("run.micro_steps"), stated.micro_steps, spent.micro_steps);
    let tokens = Tokens(spent.micro_steps.saturating_mul(content.micro_tokens));
    book.equal(Law::Run, at("run.tokens"), stated.tokens, tokens);
    book.equal(Law::Run, at("run.flops"), stated.flops, run.micro_flops * spent.micro_steps);
    let binds = run.shares(&spent).into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(Limit::Time, |(limit, _)| limit);
    book.equal(Law::Run, at("run.binds"), stated.binds, binds);
    run.stages(&stages, book);
}

impl Run<'_> {
    fn stages(&self, derived: &[Stretch], book: &mut Book) {
        let stated = &self.content.run.stages;
        book.equal(Law::Run, At::field("run.stages"), stated.len(), derived.len());
        for (stated, derived) in stated.iter().zip(derived) {
            let same = stated.accumulation == derived.accumulation
                && stated.steps == derived.steps
                && close(stated.until.0, derived.until)
                && close(stated.step_time.0, self.step_time(derived.accumulation));
            book.hold(Law::Run, At::field("run.stages"), same, stated, (derived, self.step_time(derived.accumulation)));
        }
    }

    fn step_time(&self, accumulation: u64) -> f64 {
        self.first + self.further * accumulation.saturating_sub(1) as f64 + self.update
    }

    /// Seconds for steps; a thousandth of the time at least.
    fn usable(&self) -> Option<f64> {
        self.content.recipe.budget.time.map(|t| (t.0 - self.reserve).max(t.0 * 1e-3))
    }

    /// The share of each limit that is spent.
    fn shares(&self, spent: &Spent) -> Vec<(Limit, f64)> {
        let budget = &self.content.recipe.budget;
        let micro = spent.micro_steps as f64;
        let time = self.usable().map(|usable| (Limit::Time, spent.seconds / usable));
        let tokens = budget.tokens.map(|n| (Limit::Tokens, micro * self.content.micro_tokens as f64 / n as f64));
        let steps = budget.steps.map(|n| (Limit::Steps, spent.steps as f64 / n as f64));
        let flops = budget.flops.map(|n| (Limit::Flops, micro * self.micro_flops.as_f64() / n.as_f64()));
        [time, tokens, steps, flops].into_iter().flatten().collect()
    }

    fn progress(&self, spent: &Spent) -> f64 {
        self.shares(spent).into_iter().map(|(_, share)| share).fold(0.0, f64::max).min(1.0)
    }

    /// Micro-batches of a step that begins now: a ramp grows linearly, in whole micro-batches.
    fn wanted(&self, spent: &Spent, progress: f64) -> u64 {
        let micro = self.content.extents.batch.max(1);
        let full = full_batch(&self.content.recipe).div_ceil(micro);
        let Batch::Ramp { to, until } = self.content.recipe.batch else { return full };
        let over = match until {
            Portion::Share(share) => progress / share.0,
            Portion::Steps(n) => spent.steps as f64 / n as f64,
            Portion::Tokens(n) => spent.micro_steps.saturating_mul(self.content.micro_tokens) as f64 / n as f64,
            Portion::Time(time) => spent.seconds / time.0,
        };
        let grown = match self.content.recipe.counting {
            Counting::Exact {} => (over * to as f64 / micro as f64).ceil() as u64,
            Counting::Official { micro_steps: all, .. } => self.official(spent, (over, progress), all as f64).saturating_add(1),
        };
        grown.clamp(1, full)
    }

    /// Whole micro-batches that the official code's ramp wants: it counts fake steps of the budget, or micro-steps.
    fn official(&self, spent: &Spent, (over, progress): (f64, f64), all: f64) -> u64 {
        let Batch::Ramp { to, until } = self.content.recipe.batch else { return 0 };
        let (micro, full) = (self.content.extents.batch.max(1) as f64, to as f64);
        let wanted = match until {
            Portion::Share(share) if spent.micro_steps > 0 => (progress * all).trunc() * (full / (all * share.0)),
            Portion::Share(_) => 0.0,
            Portion::Steps(n) if spent.micro_steps >= n => return u64::MAX,
            Portion::Steps(n) => spent.micro_steps as f64 * full / n as f64,
            Portion::Tokens(_) | Portion::Time(_) => over * full,
        };
        // As Python divides, so that the quotient is not rounded before it is cut.
        ((wanted - wanted % micro) / micro).round() as u64
    }

    /// Micro-steps that the budget still buys for one more step.
    fn affordable(&self, spent: &Spent) -> u64 {
        let budget = &self.content.recipe.budget;
        let whole = |x: f64| (x + 1e-9).max(0.0) as u64;
        let time = self.usable().filter(|_| self.further > 0.0);
        let time = time.map(|usable| whole((usable - spent.seconds - self.update) / self.further));
        let tokens = budget.tokens.map(|n| (n / self.content.micro_tokens.max(1)).saturating_sub(spent.micro_steps));
        let steps = budget.steps.map(|n| if spent.steps < n { u64::MAX } else { 0 });
        let flops = budget.flops.map(|n| whole(n.as_f64() / self.micro_flops.as_f64()).saturating_sub(spent.micro_steps));
        [time, tokens, steps, flops].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    fn after(&self, spent: &Spent, accumulation: u64, steps: u64) -> Spent {
        Spent {
            seconds: spent.seconds + self.step_time(accumulation) * steps as f64,
            steps: spent.steps.saturating_add(steps),
            micro_steps: spent.micro_steps.saturating_add(accumulation.saturating_mul(steps)),
        }
    }

    /// The accumulation of a step that begins now, and whether the budget cuts it short; none where the run is over.
    fn next(&self, spent: &Spent) -> Option<(u64, bool)> {
        let progress = self.progress(spent);
        let wanted = self.wanted(spent, progress);
        let accumulation = wanted.min(self.affordable(spent));
        let over = progress >= 1.0 || accumulation == 0 || spent.steps > MOST_STEPS;
        (!over).then_some((accumulation, accumulation < wanted))
    }

    /// The run, stretch by stretch.
    fn simulate(&self) -> (Spent, Vec<Stretch>) {
        let (mut spent, mut stages) = (Spent::default(), Vec::<Stretch>::new());
        while let Some((accumulation, cut)) = self.next(&spent) {
            let steps = if cut { 1 } else { self.alike(&spent, accumulation) };
            spent = self.after(&spent, accumulation, steps);
            let until = self.progress(&spent);
            match stages.last_mut().filter(|stage| stage.accumulation == accumulation) {
                Some(stage) => *stage = Stretch { accumulation, steps: stage.steps.saturating_add(steps), until },
                None => stages.push(Stretch { accumulation, steps, until }),
            }
        }
        (spent, stages)
    }

    /// How many steps begin with this accumulation in full: found by bisection, since progress only grows.
    fn alike(&self, spent: &Spent, accumulation: u64) -> u64 {
        let (mut all, mut too_many) = (1, MOST_STEPS);
        while all + 1 < too_many {
            let steps = all.midpoint(too_many);
            // The last of so many steps begins after all the others.
            if self.next(&self.after(spent, accumulation, steps - 1)) == Some((accumulation, false)) {
                all = steps;
            } else {
                too_many = steps;
            }
        }
        all
    }

    /// Seconds for evaluating and saving on the run's clock, and how often both happen in a run that spends so much.
    fn occasions(&self, spent: &Spent) -> (f64, u64, u64) {
        let recipe = &self.content.recipe;
        let times = |every: Interval| {
            let times = match every {
                Interval::Share(share) => 1.0 / share.0,
                Interval::Time(every) => spent.seconds / every.0,
                Interval::Steps(steps) => spent.steps as f64 / steps as f64,
            };
            ((times - 1e-9).ceil() as u64).max(1)
        };
        let (evaluations, checkpoints) = (times(recipe.evaluation.every), times(recipe.checkpoint.every));
        let walks = recipe.evaluation.sequences.div_ceil(self.content.extents.batch.max(1));
        let saving = self.content.saving_time.0;
        (self.evaluation * walks as f64 * evaluations as f64 + saving * checkpoints as f64, evaluations, checkpoints)
    }
}
