//! The plan's memory against the real heap, operation by operation, on the CPU.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;
#[path = "memory/real.rs"]
mod real;

use std::sync::Mutex;

use burn::tensor::Device;
use common::generate::{Size, generated};
use cramplan::budget::backend;
use cramplan::check::Costed;
use cramplan::exec::op::Scalars;
use cramplan::exec::value::Value;
use cramplan::exec::walk::{Form, Walker};
use cramplan::step::lifetime::{Bill, Lifetimes, timeline};
use cramplan::step::tensor::{DType, Part, Role, TensorType};
use cramplan::step::{StepGraphs, Walk};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The heap is one: a test has it to itself.
static ALONE: Mutex<()> = Mutex::new(());

const RECIPE: &str = r#"Recipe(
    name: "memory",
    budget: Budget(steps: 1),
    data: Corpus(sources: [Synthetic(2000)], tokenizer: WordPiece(vocab: 4096)),
    model: Encoder(width: 128, depth: 2, heads: 4, sequence: 128, feed_forward: Glu(intermediate: 512)),
    objective: MaskedLm(rate: 25%),
    batch: Constant(32),
    micro_batch: 16,
    optimizer: AdamW(clip: 0.5),
    lr: Constant(1e-3),
)"#;

fn machine() -> cramplan::device::Device {
    cramplan::cli::machine()
}

fn graphs(overrides: &[&str]) -> (StepGraphs, cramplan::device::Device) {
    let machine = machine();
    let costed = common::costed(RECIPE, overrides, machine);
    (costed.graphs(), costed.device)
}

fn source(role: Role, ty: &TensorType, device: &Device) -> Value {
    let length = ty.elements() as usize;
    match (role, ty.dtype) {
        (_, DType::I32) => Value::index((0..length as i32).collect(), device),
        (Role::SecondMoment(_) | Role::RowMoment(_) | Role::ColumnMoment(_), _) => Value::float(vec![1.0; length], device),
        _ => Value::float((0..length).map(|i| (i % 17) as f32 * 0.01 - 0.08).collect(), device),
    }
}

/// Heap beyond the plan that an operation may take: task queues of the thread pool, operand lists.
const SLACK: u64 = 256 * 1024;

#[test]
fn no_operation_takes_more_than_the_plan_says_and_all_memory_is_given_back() {
    let _alone = ALONE.lock().unwrap();
    let (all, planned) = graphs(&[]);
    within_the_plan(&all, &planned, &Walk::ALL);
    for optimizer in
        ["Adam()", "Lamb()", "Lion()", "Sgd(momentum: 0)", "Sgd()", "Adafactor()", "Adafactor(momentum: 0.9)", "Muon()"]
    {
        let (other, planned) = graphs(&[&format!("optimizer={optimizer}")]);
        within_the_plan(&other, &planned, &[Walk::Update]);
    }
}

fn within_the_plan(graphs: &StepGraphs, planned: &cramplan::device::Device, walks: &[Walk]) {
    let device = Device::flex();
    for walk in walks.iter().copied() {
        let graph = graphs.walk(walk);
        let instants = timeline(graph, &Lifetimes::of(graph), backend(planned), Bill::default());
        let walker = Walker::new(graph, Form::Host, &device);
        // Once to warm up what libraries keep for good, then watched.
        let scalars = Scalars::update(1e-3, 1);
        drop(walker.walk(scalars, |role, ty| Some(source(role, ty, &device))).unwrap());
        let start = HEAP.current_usage();
        let mut seen: Vec<(u64, u64)> = Vec::with_capacity(instants.len());
        let results = walker.walk_watched(
            scalars,
            |role, ty| {
                let value = source(role, ty, &device);
                HEAP.reset_peak_usage();
                Some(value)
            },
            |_| {
                seen.push(((HEAP.peak_usage() - start) as u64, (HEAP.current_usage() - start) as u64));
                HEAP.reset_peak_usage();
            },
        );
        for (i, ((node, instant), (during, after))) in graph.nodes().zip(&instants).zip(&seen).enumerate() {
            let name = format!("{walk:?} {i}: {} in {}", node.op.rule().name(), node.place);
            let planned = instant.during.total().0;
            if std::env::var_os("SHOW").is_some() {
                println!(
                    "{name:60} during {during:>12} planned {planned:>12} ({:+}) workspace {}",
                    *during as i64 - planned as i64,
                    instant.during.part(Part::Workspace).0
                );
            }
            assert!(
                std::env::var_os("SHOW").is_some() || *during <= planned + SLACK,
                "{name}: {during} taken, {planned} planned"
            );
            assert!(
                after.abs_diff(instant.after.total().0) <= SLACK,
                "{name}: {after} left, {} planned",
                instant.after.total().0
            );
        }
        drop(results);
        assert!(HEAP.current_usage().saturating_sub(start) as u64 <= SLACK, "{walk:?} keeps memory");
    }
}

/// Recipes that are drawn, and how many of them are also measured with recomputation.
const DRAWN: usize = 30;
const RECOMPUTED: usize = 10;

const SEED: u64 = 11;

/// Which case the process is to measure.
const CASE: &str = "CRAMPLAN_MEMORY_CASE";

/// Asks for the table to be written anew.
const UPDATE: &str = "CRAMPLAN_MEMORY_TABLE";

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/memory/table.txt");

/// Of 64 to 256 MB: beside its tensors a process keeps lists and slabs of up to 4 MiB, which could be any share of a toy.
fn cases() -> Vec<String> {
    let drawn = generated(SEED, DRAWN, Size::Medium);
    let ways =
        ["Blocks()", "Parts(norms: 100%, gates: 100%)", "Parts(attention: 50%, projections: 50%)", "Parts(residuals: 100%)"];
    let again = drawn.iter().zip(ways.iter().cycle()).take(RECOMPUTED);
    let again = again.map(|(text, way)| text.replace("    optimizer:", &format!("    recompute: {way},\n    optimizer:")));
    let nothing = drawn.iter().map(|text| text.replace("    optimizer:", "    recompute: Nothing(),\n    optimizer:"));
    nothing.chain(again.collect::<Vec<String>>()).collect()
}

/// A case with what was seen of it.
struct Measured {
    costed: Costed,
    seen: real::Seen,
}

impl Measured {
    fn planned(&self) -> u64 {
        self.costed.estimate.peak.tensors().0
    }

    /// How far the plan's peak is off, as a share of what was measured; above zero where the plan is higher.
    fn error(&self) -> f64 {
        self.planned() as f64 / self.seen.highest() as f64 - 1.0
    }

    fn line(&self) -> String {
        let Self { costed, seen } = self;
        let e = &costed.estimate;
        let again = format!("{:?}", costed.recipe.recompute).replace("Ratio(", "").replace(')', "");
        format!(
            "{:16} {again:88} {:>13} {:>13} {:>7.3} %  {}",
            costed.recipe.name,
            self.planned(),
            seen.highest(),
            self.error() * 100.0,
            e.peak.operation
        )
    }

    /// The phases in which more was seen than is planned.
    fn above(&self) -> Vec<String> {
        let process = self.costed.device.overhead.value.0;
        let phases = self.costed.estimate.phases.iter().map(|phase| (phase.event, phase.peak.bytes.0 - process));
        let above = phases.filter(|(event, planned)| self.seen.of(*event) > *planned);
        above
            .map(|(event, planned)| format!("{} {event:?}: {} > {planned}", self.costed.recipe.name, self.seen.of(event)))
            .collect()
    }
}

#[test]
fn real_steps_take_what_the_plan_says() {
    let cases = cases();
    if let Ok(case) = std::env::var(CASE) {
        let costed = common::costed(&cases[case.parse::<usize>().unwrap()], &[], machine());
        let directory = tempfile::tempdir().unwrap();
        println!("{CASE}{}", serde_json::to_string(&real::watch(&costed, directory.path())).unwrap());
        return;
    }
    let _alone = ALONE.lock().unwrap();
    let all: Vec<Measured> = cases
        .iter()
        .enumerate()
        .map(|(i, text)| Measured { costed: common::costed(text, &[], machine()), seen: measured(i) })
        .collect();
    let mut errors: Vec<f64> = all.iter().map(|m| m.error().abs()).collect();
    errors.sort_by(f64::total_cmp);
    let (median, highest) = (errors[errors.len() / 2], errors[errors.len() - 1]);
    let lines: Vec<String> = all.iter().map(Measured::line).collect();
    let table = format!("{}\n\nmedian {:.3} %, highest {:.3} %\n", lines.join("\n"), median * 100.0, highest * 100.0);
    println!("{table}");
    if let Ok(when) = std::env::var(UPDATE) {
        std::fs::write(TABLE, format!("{}{table}", header(&when))).unwrap();
    }
    let above: Vec<String> = all.iter().flat_map(Measured::above).collect();
    assert!(above.is_empty(), "{above:#?}");
    assert!(median <= 0.01 && highest <= 0.03, "median {median}, highest {highest}");
}

fn header(when: &str) -> String {
    let device = machine();
    format!(
        "The highest heap of real runs against the plan, bytes: start, two steps, evaluation, a checkpoint, and resuming from it.\n\
         Each recipe in a process of its own; drawn by tests/common/generate.rs, seed {SEED}, 64 to 256 MB of tensors.\n\
         Command: {UPDATE}=\"$(date -I)\" cargo test --release --test memory real_steps\n\
         Machine: {}; caches {:?}\nDate: {when}\n\n{:16} {:88} {:>13} {:>13} {:>9}  highest in\n",
        device.peaks.f32.source, device.lanes, "recipe", "recomputed", "planned", "measured", "error"
    )
}

/// What a process of its own sees of a case.
fn measured(case: usize) -> real::Seen {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "real_steps_take_what_the_plan_says", "--nocapture"])
        .env(CASE, case.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split(CASE).nth(1));
    serde_json::from_str(line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&child.stderr)))).unwrap()
}
