//! `cramplan sweep`

mod table;

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::arguments::{Sweep as Options, SweepFormat};
use super::inventory::Inventory;
use super::{Exit, check, print, print_json, render, world};
use crate::step::recompute::Kind;
use crate::sweep::{Outcome, Planned, Sweep, broken, front};

/// A sweep that was carried out.
struct Swept {
    sweep: Sweep,
    /// By point.
    outcomes: Vec<Outcome>,
    /// The points on the front, largest model first.
    front: Vec<u64>,
    /// By point: whether it is on the front.
    on_front: Vec<bool>,
}

/// Plans a recipe at every point of a grid and prints those that no other is better than.
pub fn sweep(options: &Options) -> Exit {
    let as_json = options.format == SweepFormat::Json;
    let inventory = match Inventory::load() {
        Ok(inventory) => inventory,
        Err(broken) => return broken.refuse(as_json),
    };
    let sweep = match world::read_choice(&options.choice, &inventory, |inputs| Sweep::new(inputs, &options.vary)) {
        Ok(Ok(sweep)) => sweep,
        Ok(Err((sources, diagnostics))) => {
            render::show(&diagnostics, &sources);
            if as_json {
                print_json(&json!({"points": [], "diagnostics": render::json_list(&diagnostics, &sources)}));
            }
            return Exit::Invalid;
        }
        Err(unreadable) => return unreadable.refuse(as_json),
    };
    let outcomes = plan_all(&sweep);
    check::say_unknown_card(&inventory, &options.choice);
    let front = front((0..).zip(&outcomes).filter_map(|(i, outcome)| Some((i, outcome.as_ref().ok()?))));
    let mut on_front = vec![false; outcomes.len()];
    for point in &front {
        on_front[*point as usize] = true;
    }
    let swept = Swept { sweep, outcomes, front, on_front };
    if let Some(diagnostics) = swept.broken_throughout() {
        render::show(diagnostics, &swept.sweep.sources);
        if as_json {
            print_json(&json!({"points": [], "diagnostics": render::json_list(diagnostics, &swept.sweep.sources)}));
        }
        return Exit::Invalid;
    }
    match options.format {
        SweepFormat::Text => print(&table::text(&swept, options.all)),
        SweepFormat::Csv => print(&table::csv(&swept, options.all)),
        SweepFormat::Json => print_json(&in_full(&swept, options.all)),
    }
    if swept.front.is_empty() { Exit::Infeasible } else { Exit::Success }
}

impl Swept {
    /// What is wrong with the first point, where something is with each.
    fn broken_throughout(&self) -> Option<&Vec<crate::diag::Diagnostic>> {
        let first = self.outcomes.first()?.as_ref().err()?;
        self.outcomes.iter().all(Result::is_err).then_some(first)
    }

    /// The points that are shown.
    fn shown(&self, all: bool) -> Vec<u64> {
        if all { (0..self.outcomes.len() as u64).collect() } else { self.front.clone() }
    }

    fn planned(&self, point: u64) -> Option<&Planned> {
        self.outcomes.get(point as usize)?.as_ref().ok()
    }

    /// A point in a word.
    fn state(&self, point: u64) -> &'static str {
        match self.planned(point) {
            None => "broken",
            Some(planned) if !planned.fits => "does not fit",
            Some(planned) if !planned.feasible => "buys no step",
            Some(_) if self.on_front[point as usize] => "front",
            Some(_) => "dominated",
        }
    }

    /// How many points are in a state.
    fn count(&self, state: &str) -> usize {
        (0..self.outcomes.len() as u64).filter(|point| self.state(*point) == state).count()
    }
}

/// Plans every point, on all threads of this machine.
fn plan_all(sweep: &Sweep) -> Vec<Outcome> {
    let (count, next, done) = (sweep.count(), AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64).min(count);
    let shown = std::io::stderr().is_terminal();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (next, done) = (&next, &done);
            scope.spawn(move || {
                let mut mine = Vec::new();
                let mut progress = Progress { count, shown: shown && thread == 0, last: Instant::now(), wrote: false };
                loop {
                    let point = next.fetch_add(1, Ordering::Relaxed);
                    if point >= count {
                        break;
                    }
                    mine.push((point, sweep.plan(point)));
                    progress.at(point);
                }
                progress.end();
                done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).append(&mut mine);
            });
        }
    });
    let mut all = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    all.sort_by_key(|(point, _)| *point);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

/// A line on the terminal that says how far it is.
struct Progress {
    count: u64,
    shown: bool,
    last: Instant,
    wrote: bool,
}

impl Progress {
    fn at(&mut self, point: u64) {
        if self.shown && self.last.elapsed() > Duration::from_millis(200) {
            use std::io::Write as _;
            let _ = write!(std::io::stderr().lock(), "\r{point} of {} planned", self.count);
            (self.last, self.wrote) = (Instant::now(), true);
        }
    }

    fn end(&self) {
        if self.wrote {
            use std::io::Write as _;
            let _ = write!(std::io::stderr().lock(), "\r\x1b[2K");
        }
    }
}

fn in_full(swept: &Swept, all: bool) -> Value {
    let axes = swept.sweep.axes.iter().map(|axis| {
        let values: Vec<&str> = axis.values.iter().map(|value| value.text.as_str()).collect();
        json!({"path": axis.path, "values": values})
    });
    let points: Vec<Value> = swept.shown(all).into_iter().map(|point| point_in_full(swept, point)).collect();
    let broken: Vec<Value> = broken(&swept.outcomes)
        .into_iter()
        .map(|b| json!({"code": b.code.as_str(), "points": b.count, "first": swept.sweep.values(b.point), "message": b.message}))
        .collect();
    json!({
        "axes": axes.collect::<Vec<_>>(),
        "points": points,
        "count": swept.outcomes.len(),
        "front": swept.count("front"),
        "dominated": swept.count("dominated"),
        "does_not_fit": swept.count("does not fit"),
        "buys_no_step": swept.count("buys no step"),
        "broken": broken,
    })
}

fn point_in_full(swept: &Swept, point: u64) -> Value {
    let values = swept.sweep.values(point);
    let state = swept.state(point);
    match &swept.outcomes[point as usize] {
        Err(diagnostics) => {
            json!({"values": values, "state": state, "diagnostics": render::json_list(diagnostics, &swept.sweep.sources)})
        }
        Ok(p) => {
            let blocks = Kind::ALL.map(|kind| (kind.name().to_owned(), Value::from(p.recompute.blocks(kind))));
            json!({
                "values": values, "state": state, "device": p.device, "parameters": p.parameters, "micro_batch": p.micro_batch,
                "recompute": Value::Object(blocks.into_iter().collect()), "step_seconds": p.step.0,
                "token_seconds": p.per_token.0, "memory": p.memory.0, "steps": p.steps, "tokens": p.tokens.0,
            })
        }
    }
}
