//! The plan as trace events: the run on its clock, and the operations of each walk with the live bytes.

use serde_json::{Value, json as object};

use super::profile::Profile;
use super::runs::{Run, Span, lay_out};
use super::trace::{Heap, MOST_STEP_EVENTS, Nanos, Process, Side, Thread, Trace, labels};
use crate::check::Costed;
use crate::plan::{Work, title};
use crate::step::Walk;
use crate::step::lifetime::Bill;
use crate::step::tensor::Part;
use crate::units::Seconds;

/// The plan of a costed recipe as trace events: the run, and the operations of each walk with the live bytes.
pub fn trace(costed: &Costed) -> Trace {
    let mut trace = Trace::new(Side::Planned);
    planned_run(&mut trace, costed, &lay_out(costed));
    let graphs = costed.graphs();
    for walk in Walk::ALL {
        planned_walk(&mut trace, &Profile::of(costed, &graphs, walk));
    }
    trace
}

fn planned_walk(trace: &mut Trace, profile: &Profile<'_>) {
    let walk = profile.walk;
    let ends: Vec<Nanos> = profile.moments.iter().map(|m| Nanos::from(m.start + m.time)).collect();
    trace.walk(Side::Planned, walk, &labels(profile.graphs, walk), &ends);
    let tensors = |bill: Bill| bill.total().saturating_sub(bill.part(Part::Process));
    let heap: Vec<Heap> = profile.moments.iter().map(|m| Heap { during: tensors(m.during), after: tensors(m.after) }).collect();
    trace.heap(Side::Planned, walk, &ends, &heap);
    let mut start = Nanos(0);
    for (moment, end) in profile.moments.iter().zip(&ends) {
        trace.counter(Side::Planned, Process::Walk(walk), "live bytes", start, bill(&moment.during));
        start = *end;
    }
    if let Some(last) = profile.moments.last() {
        trace.counter(Side::Planned, Process::Walk(walk), "live bytes", start, bill(&last.after));
    }
}

fn bill(bill: &Bill) -> Value {
    let parts = Part::ALL.into_iter().map(|part| (part.name().to_owned(), Value::from(bill.part(part).0)));
    Value::Object(parts.collect())
}

fn planned_run(trace: &mut Trace, costed: &Costed, run: &Run) {
    let track = |thread| (Side::Planned, Process::Run, thread);
    let times = |start: Seconds, end: Seconds| (Nanos::from(start), Nanos::from(end));
    for Span { what, start, end } in &run.phases {
        let Work::Phase { accumulation, rate, steps, .. } = &what.work else { continue };
        let args = object!({"accumulation": accumulation, "lr": rate, "steps": steps, "tokens": what.tokens.0});
        trace.span(track(Thread::Main), &title(&what.work), "phase", times(*start, *end), args);
    }
    for Span { what, start, end } in run.occasions() {
        let (thread, name) =
            if what.is_evaluation { (Thread::Evaluations, "evaluation") } else { (Thread::Checkpoints, "checkpoint") };
        trace.span(track(thread), name, "occasion", times(start, end), object!({"times": what.times}));
    }
    for Span { what, start, end } in &run.before {
        trace.span(track(Thread::Before), what, "occasion", times(*start, *end), Value::Null);
    }
    let e = &costed.estimate;
    let (first, further) = (e.walk(Walk::First).time, e.walk(Walk::Further).time);
    for Span { what, start, end } in run.steps(MOST_STEP_EVENTS) {
        let micro = (0..what.accumulation.min(MOST_STEP_EVENTS)).map(|k| Nanos::from(start + first + further * k as f64));
        trace.step(Side::Planned, what.number, Nanos::from(start), &micro.collect::<Vec<_>>(), Nanos::from(end));
    }
}
