//! Trace events, as Perfetto and `chrome://tracing` read them: the format, and the names that a plan's trace and a run's have in common,
//! so that both files opened together lie side by side.
//!
//! The format is Google's "Trace Event Format": complete events (`X`), counters (`C`) and metadata (`M`); times in microseconds.
//! The run and each walk are a process of their own, `planned: …` and `observed: …`, which begin at 0: the run at its clock's start, the
//! walk at its first operation. So a walk of the plan stands above the same walk as it was seen.
//!
//! Invariant: events of a thread nest, and the operations of a walk take up all of it, to the nanosecond.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json as object};

use super::names::operation;
use crate::step::graph::{Node, Place};
use crate::step::{StepGraphs, Walk};
use crate::units::{Bytes, Seconds};

/// Most events of steps in a file; of more, every second step is left out, and again.
pub const MOST_STEP_EVENTS: u64 = 1 << 14;

/// A time in whole nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Nanos(pub u64);

impl From<Seconds> for Nanos {
    fn from(seconds: Seconds) -> Self {
        Self((seconds.0 * 1e9).round().max(0.0) as u64)
    }
}

/// From microseconds.
impl From<f64> for Nanos {
    fn from(micros: f64) -> Self {
        Self((micros * 1e3).round().max(0.0) as u64)
    }
}

/// In microseconds.
impl From<Nanos> for f64 {
    fn from(nanos: Nanos) -> Self {
        nanos.0 as Self / 1e3
    }
}

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The plan.
    Planned,
    /// A run.
    Observed,
}

/// What a process of the trace shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// The whole run.
    Run,
    /// One walk.
    Walk(Walk),
}

/// The threads of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thread {
    /// Phases of the plan; in a walk, its operations.
    Main = 1,
    /// Steps, with their micro-steps and updates.
    Steps = 2,
    /// Evaluations.
    Evaluations = 3,
    /// Checkpoints.
    Checkpoints = 4,
    /// What is done before the clock starts.
    Before = 5,
}

/// An event of the trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its kind: `X`, `C` or `M`.
    pub ph: String,
    /// What happens.
    pub name: String,
    /// Its category: the pass of an operation.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub cat: String,
    /// The process.
    pub pid: u64,
    /// The thread.
    pub tid: u64,
    /// When it begins.
    pub ts: Nanos,
    /// How long it takes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dur: Option<Nanos>,
    /// More about it.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub args: Map<String, Value>,
}

/// A trace in the making: its text so far, an event a line. It is text from the start, since a run has better use for memory.
#[derive(Clone, Debug)]
pub struct Trace {
    text: String,
}

/// The events of a trace as [`Trace::finish`] writes it, each with its line; lines that are no events are left out.
pub fn events(text: &str) -> impl Iterator<Item = (Event, &str)> {
    let lines = text.lines().map(|line| line.trim_end_matches(','));
    lines.filter_map(|line| serde_json::from_str(line).ok().map(|event| (event, line)))
}

/// The operations of a walk by name, pass and place, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The operation: `attention in block 3`.
    pub title: String,
    /// Its pass.
    pub pass: &'static str,
    /// Its place; parameters are one.
    pub place: String,
}

/// Memory at an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heap {
    /// The highest while it runs.
    pub during: Bytes,
    /// What is left after it.
    pub after: Bytes,
}

/// The labels of a walk's operations.
pub fn labels(graphs: &StepGraphs, walk: Walk) -> Vec<Label> {
    let label = |node: &Node| Label {
        title: operation(node, &graphs.parameters),
        pass: node.pass.name(),
        place: if let Place::Parameter(_) = node.place { "parameters".to_owned() } else { node.place.to_string() },
    };
    graphs.walk(walk).nodes().map(label).collect()
}

impl Trace {
    /// An empty trace of one side, its processes and threads named.
    pub fn new(side: Side) -> Self {
        let mut trace = Self { text: "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[".to_owned() };
        let word = if side == Side::Planned { "planned" } else { "observed" };
        for process in processes() {
            let name = if let Process::Walk(walk) = process { walk.name() } else { "run" };
            let pid = pid(side, process);
            trace.metadata("process_name", (pid, 0), object!({"name": format!("{word}: {name}")}));
            trace.metadata("process_sort_index", (pid, 0), object!({"sort_index": pid}));
            let threads: &[(Thread, &str)] = match process {
                Process::Run => &[
                    (Thread::Main, "phases"),
                    (Thread::Steps, "steps"),
                    (Thread::Evaluations, "evaluations"),
                    (Thread::Checkpoints, "checkpoints"),
                    (Thread::Before, "before the clock starts"),
                ],
                Process::Walk(_) => &[(Thread::Main, "operations")],
            };
            for (thread, name) in threads {
                trace.metadata("thread_name", (pid, *thread as u64), object!({ "name": name }));
                trace.metadata("thread_sort_index", (pid, *thread as u64), object!({"sort_index": *thread as u64}));
            }
        }
        trace
    }

    fn push(&mut self, event: &Event) {
        self.line(&serde_json::to_string(event).unwrap_or_default());
    }

    /// Adds an event of another trace, as its line.
    pub fn line(&mut self, line: &str) {
        self.text.push_str(if self.text.ends_with('[') { "\n" } else { ",\n" });
        self.text.push_str(line);
    }

    fn metadata(&mut self, name: &str, (pid, tid): (u64, u64), args: Value) {
        let event =
            Event { ph: "M".into(), name: name.into(), cat: String::new(), pid, tid, ts: Nanos(0), dur: None, args: map(args) };
        self.push(&event);
    }

    /// Adds something that takes from `start` to `end`.
    pub fn span(&mut self, track: (Side, Process, Thread), name: &str, cat: &str, (start, end): (Nanos, Nanos), args: Value) {
        self.push(&Event {
            ph: "X".into(),
            name: name.into(),
            cat: cat.into(),
            pid: pid(track.0, track.1),
            tid: track.2 as u64,
            ts: start,
            dur: Some(Nanos(end.0.saturating_sub(start.0))),
            args: map(args),
        });
    }

    /// Adds the values of a counter from `at` on.
    pub fn counter(&mut self, side: Side, process: Process, name: &str, at: Nanos, args: Value) {
        let pid = pid(side, process);
        let event =
            Event { ph: "C".into(), name: name.into(), cat: String::new(), pid, tid: 0, ts: at, dur: None, args: map(args) };
        self.push(&event);
    }

    /// Adds a walk: itself, its passes, places and operations, each in the one before. Operation `i` ends at `ends[i]`.
    pub fn walk(&mut self, side: Side, walk: Walk, labels: &[Label], ends: &[Nanos]) {
        let track = (side, Process::Walk(walk), Thread::Main);
        let Some(last) = ends.last() else { return };
        self.span(track, walk.name(), "walk", (Nanos(0), *last), Value::Null);
        let start = |i: usize| if i == 0 { Nanos(0) } else { ends[i - 1] };
        for by_place in [false, true] {
            let group = |label: &Label| (label.pass, if by_place { label.place.clone() } else { String::new() });
            let mut first = 0;
            for i in 0..labels.len() {
                let (pass, place) = group(&labels[i]);
                if labels.get(i + 1).map(group) != Some((pass, place.clone())) {
                    let name = if by_place { &place } else { pass };
                    self.span(track, name, pass, (start(first), ends[i]), Value::Null);
                    first = i + 1;
                }
            }
        }
        for (i, label) in labels.iter().enumerate() {
            self.span(track, &label.title, label.pass, (start(i), ends[i]), Value::Null);
        }
    }

    /// Adds the memory of tensors and workspace along a walk, as the counter `tensors`.
    pub fn heap(&mut self, side: Side, walk: Walk, ends: &[Nanos], heap: &[Heap]) {
        let process = Process::Walk(walk);
        let mut start = Nanos(0);
        for (end, heap) in ends.iter().zip(heap) {
            self.counter(side, process, "tensors", start, object!({"bytes": heap.during.0}));
            start = *end;
        }
        if let Some(last) = heap.last() {
            self.counter(side, process, "tensors", start, object!({"bytes": last.after.0}));
        }
    }

    /// Adds a step with its micro-steps and its update: the ends of the micro-steps, and of the step.
    pub fn step(&mut self, side: Side, number: u64, start: Nanos, micro_steps: &[Nanos], end: Nanos) {
        let track = (side, Process::Run, Thread::Steps);
        self.span(track, &format!("step {number}"), "step", (start, end), object!({"micro_steps": micro_steps.len()}));
        let mut begin = start;
        for (k, micro_end) in micro_steps.iter().enumerate() {
            let walk = if k == 0 { Walk::First } else { Walk::Further };
            self.span(track, walk.name(), "walk", (begin, *micro_end), Value::Null);
            begin = *micro_end;
        }
        self.span(track, Walk::Update.name(), "walk", (begin, end), Value::Null);
    }

    /// The whole trace, JSON.
    pub fn finish(mut self) -> String {
        self.text.push_str("\n]}\n");
        self.text
    }
}

/// All processes, in the order in which they are shown.
pub fn processes() -> impl Iterator<Item = Process> {
    std::iter::once(Process::Run).chain(Walk::ALL.into_iter().map(Process::Walk))
}

/// The id of a process: a plan's stands just above the same of a run.
pub fn pid(side: Side, process: Process) -> u64 {
    let index = if let Process::Walk(walk) = process { walk as u64 + 1 } else { 0 };
    10 * (index + 1) + u64::from(side == Side::Observed)
}

fn map(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}
