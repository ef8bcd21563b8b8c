//! A run from inside: optimizer steps until the budget is spent, with evaluations and checkpoints at their times.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::clock::{Rates, Recent};
use super::error::Error;
use super::evaluate::{Evaluator, Scores};
use super::job::{Job, Pace, Start, Status, Watch, mask_spec};
use super::op::{Draws, Scalars};
use super::recorder::Recorder;
use super::state::State;
use super::trainer::{Feed, Trainer, prime, probe_memory};
use crate::data::{Batcher, Shards};
use crate::device::DeviceKind;
use crate::ledger::{Compared, Event, Journal, Outcome, Position, Reason, files, write_durably};
use crate::plan::Plan;
use crate::plan::view::trace::Thread;
use crate::recipe::decode::Interval;
use crate::recipe::schedule::Moment;
use crate::recipe::spending::{Prices, Spent};
use crate::step::{StepGraphs, Walk};
use crate::units::Bytes;

/// A run in progress.
pub struct Session<'a> {
    job: &'a Job<'a>,
    watch: &'a mut dyn Watch,
    trainer: Trainer,
    batcher: Batcher<'a>,
    evaluator: Evaluator<'a>,
    journal: Journal,
    recorder: Recorder,
    position: Position,
    rates: Rates,
    clock: Clock,
    scores: Scores,
    /// The step after which those scores were computed.
    scored: Option<u64>,
    /// Micro-steps that were done before this session.
    begun: u64,
    /// Seconds spent on steps alone.
    training: f64,
    last: Option<Done>,
    checkpoints: u64,
}

/// The run's own clock: it goes on where the checkpoint stood, once it is started.
struct Clock {
    before: f64,
    started: Option<Instant>,
}

impl Clock {
    fn elapsed(&self) -> f64 {
        self.before + self.started.map_or(0.0, |started| started.elapsed().as_secs_f64())
    }
}

/// A step that is about to be done.
#[derive(Clone, Copy)]
struct Next {
    progress: f64,
    accumulation: u64,
    /// By how much the sum of its micro-batches' losses is divided.
    divisor: u64,
    rate: f64,
    /// Clock at its beginning, where the schedule depends on it.
    clock: Option<f64>,
}

/// A step that was done.
#[derive(Clone, Copy)]
struct Done {
    loss: f64,
    next: Next,
}

/// What became of a step.
enum Flow {
    /// It was done.
    Done,
    /// The time was over before all of its micro-steps were done; they were dropped.
    OutOfTime,
    /// The user asked to stop; what was done of it was dropped.
    Interrupted,
}

fn disk(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |source| Error::File { path: path.to_owned(), source }
}

impl<'a> Session<'a> {
    /// Makes everything ready; nothing is recorded yet.
    ///
    /// # Errors
    /// Memory that cannot be had, or no checkpoint that can be read.
    pub fn begin(job: &'a Job<'a>, watch: &'a mut dyn Watch) -> Result<Self, Error> {
        let plan = job.plan;
        if matches!(plan.device.kind, DeviceKind::Cpu { .. }) {
            room_for_text(plan, job.shards)?;
            probe_memory(plan.estimate.peak.tensors())?;
        }
        // The graphs are there before the first tensor.
        let graphs = plan.graphs().built();
        watch.reset_memory();
        prime(&graphs, job.form, &job.device);
        let (state, position) = match &job.start {
            Start::Fresh => (State::initial(&graphs, plan.recipe.seed, &job.device), Position::default()),
            Start::Checkpoint(checkpoints) => restore(job, &graphs, checkpoints, watch)?,
        };
        // What an interrupted stretch of the run wrote is no outcome of this one.
        let outcome = job.directory.file(files::OUTCOME);
        if outcome.exists() {
            std::fs::remove_file(&outcome).map_err(disk(&outcome))?;
        }
        let spec = mask_spec(plan);
        let metrics = job.directory.file(files::METRICS);
        let journal = Journal::open(&metrics).map_err(disk(&metrics))?;
        // Before the first step the plan's times are all that is known; after a checkpoint, those seen before it.
        let expected = |seen: f64, walk: Walk| if seen > 0.0 { seen } else { plan.estimate.walk(walk).time.0 };
        let rates = Rates {
            micro_step: Recent::expecting(expected(position.micro_step_time, Walk::Further)),
            update: Recent::expecting(expected(position.update_time, Walk::Update)),
            evaluation: position.evaluation_time,
            saving: position.saving_time,
        };
        let mut recorder = Recorder::new(job.form, &job.device);
        if let Start::Checkpoint(_) = job.start {
            recorder.resume(&job.directory.file(files::TRACE), position.elapsed);
        }
        Ok(Self {
            job,
            watch,
            trainer: Trainer::new(graphs, state, job.form, &job.device),
            batcher: Batcher::new(job.shards, &spec),
            evaluator: Evaluator::new(job.shards, spec, plan.recipe.evaluation.sequences),
            journal,
            recorder,
            position,
            rates,
            clock: Clock { before: position.elapsed, started: None },
            scores: Scores::default(),
            scored: None,
            begun: position.micro_steps,
            training: 0.0,
            last: None,
            checkpoints: 0,
        })
    }

    /// Optimizer steps done, and the clock of the run in seconds.
    pub fn stands(&self) -> (u64, f64) {
        (self.position.step, self.clock.elapsed())
    }

    /// Trains to the end of the budget, or until someone asks to stop.
    ///
    /// # Errors
    /// What stopped the run before.
    pub fn train(&mut self) -> Result<Outcome, Error> {
        if let Flow::Interrupted = self.open()? {
            return self.interrupted();
        }
        while let Some(next) = self.next_step() {
            match self.step(next)? {
                Flow::Done => {}
                Flow::OutOfTime => break,
                Flow::Interrupted => return self.interrupted(),
            }
            if let Flow::Interrupted = self.occasions()? {
                return self.interrupted();
            }
        }
        self.finish()
    }

    /// What is done before the clock starts: the record's first line, and in a new run an evaluation and a checkpoint, so
    /// that it is known how long they take and there is always a state to go back to.
    fn open(&mut self) -> Result<Flow, Error> {
        let at = self.watch.now();
        match self.job.start {
            Start::Fresh => {
                let replay_of = match &self.job.pace {
                    Pace::Replay { of, .. } => Some(of.clone()),
                    Pace::Budget => None,
                };
                let plan = self.job.plan;
                let version = env!("CARGO_PKG_VERSION").to_owned();
                let (hash, device, corpus) = (plan.hash.clone(), plan.device.name.clone(), self.job.corpus.to_owned());
                self.record(&Event::Start { at, version, plan: hash, corpus, device, replay_of })?;
                if let Flow::Interrupted = self.evaluate()? {
                    return Ok(Flow::Interrupted);
                }
                self.save()?;
            }
            Start::Checkpoint(..) => {
                let Position { step, elapsed, .. } = self.position;
                self.record(&Event::Resume { at, step, elapsed })?;
                self.checkpoints = self.due(self.job.plan.recipe.checkpoint.every);
            }
        }
        self.clock.started = Some(Instant::now());
        Ok(Flow::Done)
    }

    fn record(&mut self, event: &Event) -> Result<(), Error> {
        let path = self.job.directory.file(files::METRICS);
        self.journal.append(event).map_err(disk(&path))
    }

    fn spent(&self) -> Spent {
        let Position { step, micro_steps, .. } = self.position;
        Spent { seconds: self.clock.elapsed(), steps: step, micro_steps }
    }

    fn prices(&self) -> Prices {
        let e = &self.job.plan.estimate;
        let deadline = self.job.plan.recipe.budget.time.map_or(0.0, |t| t.0);
        self.rates.prices(deadline, e.micro_tokens, e.micro_step_flops().as_f64())
    }

    fn tokens(&self) -> u64 {
        self.position.micro_steps * self.job.plan.estimate.micro_tokens
    }

    /// Progress now; it never goes back, although the time kept for the end is estimated anew after each evaluation.
    fn progress(&self) -> f64 {
        if let Pace::Replay { .. } = self.job.pace {
            return self.position.progress;
        }
        self.job.plan.recipe.budget.progress(&self.spent(), &self.prices()).max(self.position.progress)
    }

    /// The next step, or nothing when the budget is spent.
    fn next_step(&self) -> Option<Next> {
        let recipe = &self.job.plan.recipe;
        let e = &self.job.plan.estimate;
        let spent = self.spent();
        let (moment, accumulation) = match &self.job.pace {
            Pace::Replay { steps, .. } => {
                // The record is without gaps, which whoever asks for a replay has made sure of.
                let recorded = steps.get(self.position.step as usize)?;
                let spent = Spent { seconds: recorded.clock.unwrap_or(spent.seconds), ..spent };
                (Moment::new(recorded.progress, &spent, e.micro_tokens), recorded.accumulation)
            }
            Pace::Budget => {
                let moment = Moment::new(self.progress(), &spent, e.micro_tokens);
                let wanted = recipe.accumulation(&moment, e.micro_batch);
                let can = recipe.budget.affordable(&spent, &self.prices());
                (moment, if moment.progress < 1.0 { wanted.min(can) } else { 0 })
            }
        };
        (accumulation > 0).then(|| Next {
            progress: moment.progress,
            accumulation,
            divisor: recipe.divisor(&moment, accumulation, e.micro_batch),
            rate: recipe.rate(&moment),
            clock: recipe.reads_clock().then_some(moment.seconds),
        })
    }

    fn step(&mut self, next: Next) -> Result<Flow, Error> {
        let (began, start) = (Instant::now(), self.clock.elapsed());
        let number = self.position.step + 1;
        let (mut loss, mut micro_steps) = (0.0, Vec::new());
        for k in 0..next.accumulation {
            let stop =
                if self.watch.interrupted() { Some(Flow::Interrupted) } else { self.out_of_time().then_some(Flow::OutOfTime) };
            if let Some(flow) = stop {
                self.trainer.forget_gradients();
                return Ok(flow);
            }
            let micro = Instant::now();
            let micro_step = self.position.micro_steps + k;
            let draws = Draws { seed: self.job.plan.recipe.seed, micro_step };
            let feed = Feed::of(self.batcher.train_batch(micro_step), next.divisor, draws);
            let walk = if k == 0 { Walk::First } else { Walk::Further };
            let Self { trainer, recorder, watch, .. } = self;
            loss += recorder.watched(walk, &**watch, |after| trainer.micro_step(&feed, k == 0, after))?;
            self.rates.micro_step.saw(micro.elapsed().as_secs_f64());
            micro_steps.push(self.clock.elapsed());
            self.show("training", next, k + 1);
        }
        finite("the loss", number, loss)?;
        let update = Instant::now();
        let scalars = Scalars::update(next.rate, number);
        let Self { trainer, recorder, watch, .. } = self;
        let norm = recorder.watched(Walk::Update, &**watch, |after| trainer.update(scalars, after))?;
        finite("the gradient's norm", number, norm)?;
        self.rates.update.saw(update.elapsed().as_secs_f64());
        self.position.micro_step_time = self.rates.micro_step.seconds();
        self.position.update_time = self.rates.update.seconds();
        self.training += began.elapsed().as_secs_f64();
        self.position.step = number;
        self.position.micro_steps += next.accumulation;
        self.position.progress = next.progress;
        self.position.elapsed = self.clock.elapsed();
        self.recorder.step(number, start, &micro_steps, self.position.elapsed);
        self.last = Some(Done { loss, next });
        let (tokens, elapsed) = (self.tokens(), self.position.elapsed);
        let Next { progress, accumulation, rate, clock, .. } = next;
        self.record(&Event::Step { step: number, progress, accumulation, rate, loss, norm, tokens, elapsed, clock })?;
        Ok(Flow::Done)
    }

    /// Whether one more micro-step and the update would not end in time, the margins of the reserve used up. Steps are only
    /// begun where they should end in time, so this happens where the machine has become slower, or where nothing was known
    /// of its speed; and a model that is saved in time is worth more than the step.
    fn out_of_time(&self) -> bool {
        let Some(deadline) = self.job.plan.recipe.budget.time.filter(|_| self.job.pace == Pace::Budget) else { return false };
        self.clock.elapsed() + self.rates.to_the_end() > deadline.0
    }

    /// Evaluations and checkpoints that are due and that there is time for: those at the end are kept free in any case.
    fn occasions(&mut self) -> Result<Flow, Error> {
        let recipe = &self.job.plan.recipe;
        let (evaluate, save) = (recipe.evaluation.every, recipe.checkpoint.every);
        let due = self.due(evaluate);
        if due > self.position.evaluations {
            self.position.evaluations = due;
            if self.time_for(self.rates.evaluation)
                && let Flow::Interrupted = self.evaluate()?
            {
                return Ok(Flow::Interrupted);
            }
        }
        let due = self.due(save);
        if due > self.checkpoints {
            self.checkpoints = due;
            if self.time_for(self.rates.saving) {
                self.save()?;
            }
        }
        Ok(Flow::Done)
    }

    /// Whether something that takes some seconds leaves time for at least one more step; what comes at the very end of the
    /// run is done once, by [`Session::finish`].
    fn time_for(&self, seconds: f64) -> bool {
        let prices = self.prices();
        let spent = self.spent();
        let later = Spent { seconds: spent.seconds + seconds, ..spent };
        match self.job.pace {
            Pace::Budget => self.job.plan.recipe.budget.affordable(&later, &prices) > 0 && self.progress() < 1.0,
            Pace::Replay { ref steps, .. } => (self.position.step as usize) < steps.len(),
        }
    }

    /// How often an interval has come round so far.
    fn due(&self, every: Interval) -> u64 {
        match every {
            Interval::Share(share) => (self.progress() / share.0 + 1e-9) as u64,
            Interval::Time(time) => (self.clock.elapsed() / time.0) as u64,
            Interval::Steps(steps) => self.position.step / steps,
        }
    }

    fn evaluate(&mut self) -> Result<Flow, Error> {
        let began = Instant::now();
        if let Some(Done { next, .. }) = self.last {
            self.show("evaluating", next, next.accumulation);
        }
        let Self { trainer, recorder, watch, evaluator, .. } = self;
        let watch = &**watch;
        let evaluate = |feed: &Feed| recorder.watched(Walk::Evaluate, watch, |after| trainer.evaluate(feed, after));
        let Some(scores) = evaluator.scores(evaluate, || watch.interrupted())? else { return Ok(Flow::Interrupted) };
        self.took(Thread::Evaluations, began);
        let step = self.position.step;
        for loss in [scores.mask_loss, scores.loss].into_iter().flatten() {
            finite("the validation loss after the update", step, loss)?;
        }
        (self.scores, self.scored) = (scores, Some(step));
        self.rates.evaluation = self.rates.evaluation.max(began.elapsed().as_secs_f64());
        self.position.evaluation_time = self.rates.evaluation;
        let Scores { mask_loss, loss } = scores;
        let (progress, elapsed) = (self.progress(), self.clock.elapsed());
        self.record(&Event::Evaluation { step, progress, mask_loss, loss, elapsed })?;
        let text = |loss: Option<f64>| loss.map_or("none".to_owned(), |loss| format!("{loss:.4}"));
        self.watch.say(&format!(
            "step {step}: validation loss {} on `<mask>`, {} on all masked tokens",
            text(mask_loss),
            text(loss)
        ));
        Ok(Flow::Done)
    }

    /// Writes a checkpoint; not one that is not a number, which would take the place of a good one.
    fn save(&mut self) -> Result<PathBuf, Error> {
        let began = Instant::now();
        if let Some(value) = self.trainer.state.not_finite() {
            finite("a weight after the update", self.position.step, value)?;
        }
        self.position.elapsed = self.clock.elapsed();
        let Self { job, trainer, position, .. } = self;
        let checkpoints = job.directory.checkpoints();
        self.journal.sync().map_err(disk(job.directory.path()))?;
        let parameters = &trainer.graphs().parameters;
        let path = checkpoints.save(position, job.plan.recipe.checkpoint.keep, |path| {
            trainer.state.save_weights(parameters, &path.join(files::WEIGHTS))?;
            trainer.state.save_moments(trainer.graphs(), &path.join(files::OPTIMIZER))
        })?;
        self.took(Thread::Checkpoints, began);
        self.write_trace()?;
        let seconds = began.elapsed().as_secs_f64();
        self.rates.saving = self.rates.saving.max(seconds);
        self.position.saving_time = self.rates.saving;
        let (step, elapsed) = (self.position.step, self.clock.elapsed());
        self.record(&Event::Checkpoint { step, seconds, elapsed })?;
        Ok(path)
    }

    /// Notes for the trace that an evaluation or a checkpoint has taken the time since `began`.
    fn took(&mut self, thread: Thread, began: Instant) {
        let (seconds, end) = (began.elapsed().as_secs_f64(), self.clock.elapsed());
        match self.clock.started {
            Some(_) => self.recorder.occasion(thread, end - seconds, end),
            None => self.recorder.before_the_clock(seconds),
        }
    }

    /// Writes the trace of what was done so far.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn write_trace(&self) -> Result<(), Error> {
        let path = self.job.directory.file(files::TRACE);
        self.recorder.write(self.trainer.graphs(), &path).map_err(disk(&path))
    }

    fn interrupted(&mut self) -> Result<Outcome, Error> {
        self.save()?;
        self.end(Reason::Interrupted, "interrupted")
    }

    fn finish(&mut self) -> Result<Outcome, Error> {
        if self.scored != Some(self.position.step)
            && let Flow::Interrupted = self.evaluate()?
        {
            return self.interrupted();
        }
        let saved = self.save()?;
        for name in [files::WEIGHTS, files::OPTIMIZER, files::POSITION] {
            link(&saved.join(name), &self.job.directory.file(name))?;
        }
        self.end(Reason::Finished, "finished")
    }

    fn end(&mut self, reason: Reason, word: &str) -> Result<Outcome, Error> {
        let elapsed = self.clock.elapsed();
        self.write_trace()?;
        let outcome = self.outcome(reason, elapsed);
        let at = self.watch.now();
        self.record(&Event::End { at, reason: word.to_owned(), message: None, elapsed })?;
        let path = self.job.directory.file(files::OUTCOME);
        let text = serde_json::to_vec_pretty(&outcome).unwrap_or_default();
        write_durably(&path, &text).map_err(disk(&path))?;
        Ok(outcome)
    }

    fn outcome(&self, reason: Reason, elapsed: f64) -> Outcome {
        let plan = self.job.plan;
        let e = &plan.estimate;
        let memory = self.watch.memory();
        let seen = |planned: f64, observed: Option<f64>| Compared { planned, observed };
        let bytes = |b: Option<Bytes>| b.map(Bytes::as_f64);
        let here = (self.position.micro_steps - self.begun) as f64 / self.training.max(1e-9);
        Outcome {
            reason,
            plan: plan.hash.clone(),
            steps: seen(e.run.steps as f64, Some(self.position.step as f64)),
            tokens: seen(e.run.tokens.0 as f64, Some(self.tokens() as f64)),
            seconds: seen(e.run.seconds.0, Some(elapsed)),
            deadline: plan.recipe.budget.time.map(|t| t.0),
            heap_bytes: seen(e.peak.tensors().as_f64(), bytes(memory.heap)),
            resident_bytes: seen((e.peak.bytes + self.job.shards.bytes()).as_f64(), bytes(memory.resident)),
            tokens_per_second: here * e.micro_tokens as f64,
            utilisation: here * e.micro_step_flops().as_f64() / plan.device.peaks.f32.value.0,
            mask_loss: self.scores.mask_loss,
            loss: self.scores.loss,
            unigram_loss: self.evaluator.unigram_loss(),
            bigram_loss: self.job.language.map(|l| l.bigram_loss),
            best_loss: self.job.language.map(|l| l.best_loss),
            weights: self.trainer.state.weights_hash(),
        }
    }

    fn show(&mut self, phase: &'static str, next: Next, micro: u64) {
        let budget = &self.job.plan.recipe.budget;
        let progress = self.progress();
        let elapsed = self.clock.elapsed();
        let left = match budget.time.filter(|_| self.job.pace == Pace::Budget) {
            Some(time) => Some(time.0 - elapsed),
            None if progress > 0.0 => Some(elapsed / progress - elapsed),
            None => None,
        };
        let status = Status {
            phase,
            step: self.position.step,
            micro: (micro, next.accumulation),
            progress,
            loss: self.last.map(|done| done.loss),
            mask_loss: self.scores.mask_loss,
            tokens_per_second: self.job.plan.estimate.micro_tokens as f64 / self.rates.micro_step.seconds().max(1e-9),
            rate: next.rate,
            batch: next.accumulation * self.job.plan.estimate.micro_batch,
            seconds: (elapsed, left),
        };
        self.watch.status(&status);
    }
}

/// The state at the last checkpoint that can be read; those that cannot are said aloud.
fn restore(
    job: &Job<'_>,
    graphs: &StepGraphs,
    checkpoints: &[(PathBuf, Position)],
    watch: &mut dyn Watch,
) -> Result<(State, Position), Error> {
    let mut failure = None;
    for (path, position) in checkpoints.iter().rev() {
        let (weights, moments) = (path.join(files::WEIGHTS), path.join(files::OPTIMIZER));
        match State::load(graphs, &weights, &moments, &job.device) {
            Ok(state) => {
                watch.say(&format!("resuming after step {} from `{}`", position.step, path.display()));
                return Ok((state, *position));
            }
            Err(error) => {
                watch.say(&format!("the checkpoint `{}` cannot be used: {error}", path.display()));
                failure = Some(error);
            }
        }
    }
    let none = || Error::File { path: job.directory.path().to_owned(), source: std::io::ErrorKind::NotFound.into() };
    Err(failure.unwrap_or_else(none))
}

/// On the CPU the text lies in the same memory as the tensors. How much it is comes to light only when it is prepared.
fn room_for_text(plan: &Plan, shards: &Shards) -> Result<(), Error> {
    let e = &plan.estimate;
    if e.peak.bytes + shards.bytes() <= e.limit {
        return Ok(());
    }
    Err(Error::OutOfMemory {
        what: "the tokens of the text beside the plan's peak".into(),
        wanted: shards.bytes(),
        held: e.peak.bytes,
    })
}

fn finite(what: &'static str, step: u64, value: f64) -> Result<(), Error> {
    if value.is_finite() { Ok(()) } else { Err(Error::NotFinite { what, step, value }) }
}

/// Gives a file a second name; copies it where the file system cannot.
fn link(from: &Path, to: &Path) -> Result<(), Error> {
    if to.exists() {
        std::fs::remove_file(to).map_err(disk(to))?;
    }
    std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(drop)).map_err(disk(to))
}
