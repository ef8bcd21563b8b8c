//! What a run did and when, for its trace: every step as far as there is room, evaluations, checkpoints, and the operations of one
//! walk of each kind.
//!
//! The operations are those of the third walk of a kind in a session, when everything is warm; of a run that ends before, the last.
//! On the CPU the heap is looked at after each: the tensors, and what the program itself has put there since the run began. On a card
//! the watched walk waits for each operation, which takes its launches out of hiding: that walk is slower than the others, and the
//! times of its operations are theirs alone. Its memory is not on the heap, and is not recorded.
//!
//! Invariant: nothing that is computed depends on what is recorded here.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use serde_json::json as object;

use super::error::Error;
use super::job::Watch;
use super::trainer::Moment;
use super::walk::Form;
use crate::ledger::write_durably;
use crate::plan::view::trace::{Event, Heap, Nanos, Process, Side, Thread, Trace, events, labels, pid};
use crate::step::{StepGraphs, Walk};
use crate::units::Seconds;

/// The walk of a kind after which no further one is watched.
const WARM: u32 = 3;

/// Most events of steps that a run keeps for its trace; of more, every second step is left out. A planned trace is written at once and may
/// have more ([`crate::plan::view::trace::MOST_STEP_EVENTS`]); these stay on the heap for as long as the run lasts, in the room
/// that its plan has for lists: 50 KB.
const MOST_KEPT: u64 = 1 << 11;

/// Events of the shortest step: itself, a micro-step, the update.
const LEAST_EVENTS: u64 = 3;

/// Most evaluations and checkpoints in a trace; of more, every second is left out.
const MOST_OCCASIONS: usize = 2048;

/// A step as it was, on the run's clock.
#[derive(Clone, Debug, Default, PartialEq)]
struct Step {
    number: u64,
    start: Nanos,
    micro_steps: Vec<Nanos>,
    end: Nanos,
}

/// An evaluation or a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Occasion {
    thread: Thread,
    start: Nanos,
    end: Nanos,
}

/// A walk's operations as they were.
#[derive(Clone, Debug, Default)]
struct Seen {
    times: u32,
    ends: Vec<Nanos>,
    heap: Vec<Heap>,
}

/// The record in the making.
#[derive(Debug)]
pub struct Recorder {
    steps: Vec<Step>,
    /// Only steps whose number this divides are kept, and the first.
    every: u64,
    occasions: Vec<Occasion>,
    /// In the order of [`Walk::ALL`].
    walks: [Seen; Walk::ALL.len()],
    /// Walks of an earlier session, for where this one has seen none: process and line.
    earlier: Vec<(u64, String)>,
    /// Where operations do not end when their call does: what to wait for.
    device: Option<Device>,
}

impl Recorder {
    /// An empty record of a run in some form on a device.
    pub fn new(form: Form, device: &Device) -> Self {
        let device = (form == Form::Plain).then(|| device.clone());
        let steps = Vec::with_capacity((MOST_KEPT / LEAST_EVENTS + 2) as usize);
        let (occasions, earlier) = (Vec::new(), Vec::new());
        Self { steps, every: 1, occasions, walks: Default::default(), earlier, device }
    }

    /// Takes over what an earlier session of the run wrote, up to `elapsed` on the run's clock; what cannot be read is left out.
    pub fn resume(&mut self, path: &Path, elapsed: f64) {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let until = Nanos::from(Seconds(elapsed));
        for (event, line) in events(&text).filter(|(event, _)| event.ph != "M") {
            if event.pid == pid(Side::Observed, Process::Run) {
                self.take_over(&event);
            } else {
                self.earlier.push((event.pid, line.to_owned()));
            }
        }
        self.steps.retain(|step| step.end <= until);
        self.occasions.retain(|occasion| occasion.thread == Thread::Before || occasion.end <= until);
    }

    /// An event of the run as [`Recorder::trace`] writes it: a step, and then its micro-steps and its update.
    fn take_over(&mut self, event: &Event) {
        let end = Nanos(event.ts.0 + event.dur.unwrap_or_default().0);
        let thread = [Thread::Evaluations, Thread::Checkpoints, Thread::Before].into_iter().find(|t| *t as u64 == event.tid);
        if let Some(thread) = thread {
            self.occasions.push(Occasion { thread, start: event.ts, end });
        } else if let Some(number) = event.name.strip_prefix("step ").and_then(|n| n.parse().ok()) {
            self.steps.push(Step { number, start: event.ts, micro_steps: Vec::new(), end });
        } else if let Some(step) = self.steps.last_mut().filter(|_| event.name != Walk::Update.name()) {
            step.micro_steps.push(end);
        }
    }

    /// Notes a step: its beginning, the ends of its micro-steps and its end on the run's clock, seconds.
    pub fn step(&mut self, number: u64, start: f64, micro_steps: &[f64], end: f64) {
        if number != 1 && !number.is_multiple_of(self.every) {
            return;
        }
        let nanos = |seconds: &f64| Nanos::from(Seconds(*seconds));
        let micro_steps = micro_steps.iter().take(MOST_KEPT as usize / 4).map(nanos).collect();
        self.steps.push(Step { number, start: nanos(&start), micro_steps, end: nanos(&end) });
        while self.steps.len() > 1 && self.events() > MOST_KEPT {
            self.every *= 2;
            let every = self.every;
            self.steps.retain(|step| step.number == 1 || step.number.is_multiple_of(every));
        }
    }

    fn events(&self) -> u64 {
        self.steps.iter().map(|step| step.micro_steps.len() as u64 + 2).sum()
    }

    /// Notes an evaluation or a checkpoint on the run's clock, seconds.
    pub fn occasion(&mut self, thread: Thread, start: f64, end: f64) {
        self.occasions.push(Occasion { thread, start: Nanos::from(Seconds(start)), end: Nanos::from(Seconds(end)) });
        if self.occasions.len() > MOST_OCCASIONS {
            let mut keep = false;
            self.occasions.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// Notes what is done before the clock starts: one thing after the other.
    pub fn before_the_clock(&mut self, seconds: f64) {
        let before = self.occasions.iter().filter(|occasion| occasion.thread == Thread::Before);
        let start = before.map(|occasion| occasion.end).max().unwrap_or_default();
        let end = Nanos(start.0 + Nanos::from(Seconds(seconds)).0);
        self.occasions.push(Occasion { thread: Thread::Before, start, end });
    }

    /// Does a walk, with its operations watched until one of its kind was warm. `walk` is given what to call after each operation.
    ///
    /// # Errors
    /// What the walk fails with.
    pub fn watched<R>(
        &mut self,
        walk: Walk,
        watch: &dyn Watch,
        run: impl FnOnce(&mut dyn FnMut(Moment)) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let times = self.walks[walk as usize].times;
        if times >= WARM {
            return run(&mut |_| {});
        }
        let device = self.device.as_ref();
        let mut seen = Seen { times: times + 1, ..Seen::default() };
        watch.heap();
        let began = Instant::now();
        let result = run(&mut |moment| {
            if moment != Moment::Done {
                return;
            }
            // What fails here fails again where its result is asked for.
            let _ = device.map(Device::sync);
            seen.ends.push(Nanos(began.elapsed().as_nanos() as u64));
            seen.heap.extend(watch.heap().filter(|_| device.is_none()));
        })?;
        self.walks[walk as usize] = seen;
        Ok(result)
    }

    /// The record as a trace.
    pub fn trace(&self, graphs: &StepGraphs) -> Trace {
        let mut trace = Trace::new(Side::Observed);
        for step in &self.steps {
            trace.step(Side::Observed, step.number, step.start, &step.micro_steps, step.end);
        }
        let mut before = 0;
        for Occasion { thread, start, end } in &self.occasions {
            let is_evaluation = match thread {
                Thread::Before => before % 2 == 0,
                thread => *thread == Thread::Evaluations,
            };
            before += u32::from(*thread == Thread::Before);
            let name = if is_evaluation { "evaluation" } else { "checkpoint" };
            trace.span((Side::Observed, Process::Run, *thread), name, "occasion", (*start, *end), object!({"times": 1}));
        }
        for walk in Walk::ALL {
            let seen = &self.walks[walk as usize];
            if seen.ends.is_empty() {
                let of = pid(Side::Observed, Process::Walk(walk));
                self.earlier.iter().filter(|(pid, _)| *pid == of).for_each(|(_, line)| trace.line(line));
            } else {
                trace.walk(Side::Observed, walk, &labels(graphs, walk), &seen.ends);
                trace.heap(Side::Observed, walk, &seen.ends, &seen.heap);
            }
        }
        trace
    }

    /// Writes the trace.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn write(&self, graphs: &StepGraphs, path: &Path) -> std::io::Result<()> {
        write_durably(path, self.trace(graphs).finish().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::recipe;
    use crate::step::recompute::Recompute;

    fn recorder() -> Recorder {
        Recorder::new(Form::Host, &Device::flex())
    }

    #[test]
    fn a_long_run_keeps_the_first_step_and_every_few() {
        let mut recorder = recorder();
        for number in 1..=100_000 {
            let start = number as f64;
            recorder.step(number, start, &[start + 0.5], start + 0.75);
        }
        let numbers: Vec<u64> = recorder.steps.iter().map(|step| step.number).collect();
        assert!(recorder.events() <= MOST_KEPT && recorder.events() > MOST_KEPT / 4, "{}", numbers.len());
        assert_eq!((numbers[0], numbers[1], recorder.every), (1, 256, 256));
    }

    #[test]
    fn a_resumed_run_goes_on_with_its_trace_up_to_the_checkpoint() {
        let graphs = StepGraphs::build(&recipe(), 4, Recompute::NOTHING);
        let mut first = recorder();
        first.before_the_clock(0.25);
        first.before_the_clock(0.5);
        first.occasion(Thread::Checkpoints, 4.0, 4.5);
        (1..=5).for_each(|n| first.step(n, n as f64, &[n as f64 + 0.25, n as f64 + 0.5], n as f64 + 0.75));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace.json");
        first.write(&graphs, &path).unwrap();
        let mut second = recorder();
        second.resume(&path, 3.8);
        assert_eq!(second.steps, first.steps[..3]);
        assert_eq!(second.occasions, first.occasions[..2]);
    }
}
