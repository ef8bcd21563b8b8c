//! The plan's memory against the real heap, operation by operation, on the CPU.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;
#[path = "memory/real.rs"]
mod real;

use std::sync::Mutex;

use burn::tensor::Device;
use cramplan::budget::backend;
use common::generate::{Size, generated};
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
    model: Encoder(width: 128, depth: 2, heads: 4, sequence: 128, feed_forward: GeluGlu(intermediate: 512)),
    objective: MaskedLm(rate: 25%),
    batch: Constant(32),
    micro_batch: 16,
    optimizer: AdamW(clip: 0.5),
    lr: Constant(1e-3),
)"#;

fn machine() -> cramplan::device::Device {
    cramplan::cli::machine()
}

fn graphs() -> (StepGraphs, cramplan::device::Device) {
    let machine = machine();
    let costed = common::costed(RECIPE, &[], machine);
    (costed.graphs(), costed.device)
}

fn source(role: Role, ty: &TensorType, device: &Device) -> Value {
    let length = ty.elements() as usize;
    match (role, ty.dtype) {
        (_, DType::I32) => Value::index((0..length as i32).collect(), device),
        (Role::SecondMoment(_), _) => Value::float(vec![1.0; length], device),
        _ => Value::float((0..length).map(|i| (i % 17) as f32 * 0.01 - 0.08).collect(), device),
    }
}

/// Heap beyond the plan that an operation may take: task queues of the thread pool, operand lists.
const SLACK: u64 = 256 * 1024;

#[test]
fn no_operation_takes_more_than_the_plan_says_and_all_memory_is_given_back() {
    let _alone = ALONE.lock().unwrap();
    let (graphs, planned) = graphs();
    let device = Device::flex();
    for walk in Walk::ALL {
        let graph = graphs.walk(walk);
        let instants = timeline(graph, &Lifetimes::of(graph), backend(&planned), Bill::default());
        let walker = Walker::new(graph, Form::Host, &device);
        // Once to warm up what libraries keep for good, then watched.
        let scalars = Scalars { rate: 1e-3, step: 1 };
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

/// Recipes that are drawn.
const DRAWN: usize = 30;

const SEED: u64 = 11;

/// Which case the process is to measure, and where it may write.
const CASE: &str = "CRAMPLAN_MEMORY_CASE";

/// The drawn recipes.
fn cases() -> Vec<String> {
    let size = if std::env::var_os("SMALL").is_some() { Size::Small } else { Size::Medium };
    generated(SEED, DRAWN, size)
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
    for (i, text) in cases.iter().enumerate() {
        let seen = measured(i);
        let costed = common::costed(text, &[], machine());
        let e = &costed.estimate;
        let process = costed.device.overhead.value;
        let planned = Walk::ALL.map(|w| e.walk(w).peak.0 - process.0);
        let err = |p: u64, s: u64| if s == 0 { "-".into() } else { format!("{} {:+.2}%", (p as i64 - s as i64) / 1024, (p as f64 / s as f64 - 1.0) * 100.0) };
        println!("{i} peak {} {} {}", e.peak.tensors().0 / 1024, err(e.peak.tensors().0, seen.highest()), e.peak.operation);
        for w in Walk::ALL {
            println!("   {w:?} {} {}", planned[w as usize] / 1024, err(planned[w as usize], seen.walks[w as usize]));
        }
        let saving = cramplan::budget::saving(&costed.graphs(), &costed.device).total().0 - process.0;
        println!("   saving {}", err(saving, seen.saving));
        let state = costed.graphs().counts().total * 12 + costed.graphs().extents.sequence * costed.graphs().extents.width * 4;
        println!("   kept {} planned {}", (seen.kept as i64 - state as i64)/1024, cramplan::budget::ambient(&costed.graphs(), &costed.device, Walk::First).part(Part::Workspace).0 / 1024);
        println!("   start {} resume {}", err(e.peak.tensors().0, seen.start), err(e.peak.tensors().0, seen.resuming));
    }
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
