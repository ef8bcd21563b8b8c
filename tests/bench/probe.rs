//! Seconds per micro-step as predicted after `cramplan probe`, against those of the real trainer, on twenty recipes that the
//! probe does not know.
//!
//! `cargo bench --bench probe` measures this machine, draws the recipes, asks `cramplan check` for each, and then walks all of
//! them in turns, round after round; `SEED` draws others. What it printed on one machine is kept beside it, in `probe.txt`. Nothing
//! else should run.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark may panic and shows what it sees")]

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use burn::tensor::Device;
use cramplan::data::{Batcher, Shards};
use cramplan::device::Calibrated;
use cramplan::device::calibration::Calibration;
use cramplan::device::law::Kind;
use cramplan::exec::job::mask_spec_of;
use cramplan::exec::op::{self, Scalars};
use cramplan::exec::probe::tokens;
use cramplan::exec::state::State;
use cramplan::exec::trainer::{Feed, Moment, Trainer};
use cramplan::exec::walk::Form;
use cramplan::heap::keep_big_buffers;
use cramplan::recipe::settings::Recipe;
use cramplan::rng::{Purpose, Stream};
use cramplan::step::recompute::Recompute;
use cramplan::step::{StepGraphs, Walk};
use serde_json::Value;

const RECIPES: usize = 20;
const ROUNDS: u64 = 5;

/// FLOPs of a micro-step that takes milliseconds to seconds on some CPU.
const FLOPS: std::ops::Range<f64> = 2e9..1.1e12;

/// The seed of the recipes, and a number for each draw.
struct Draws(Stream, u64);

impl Draws {
    /// Uniform by the logarithm, both ends included.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        self.1 += 1;
        let (low, high) = (low as f64, high as f64 + 1.0);
        (low * libm::pow(high / low, self.0.uniform(0, self.1))) as u64
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        self.1 += 1;
        all[self.0.below(1, self.1, all.len() as u64) as usize]
    }
}

/// A recipe's text, and its name in the table.
fn draw(draws: &mut Draws) -> (String, String) {
    let head = draws.one_of(&[32, 64, 64, 96, 128]);
    let heads = draws.between(1, 12).min(768 / head).max(64_u64.div_ceil(head));
    let (width, depth) = (head * heads, draws.between(1, 12));
    let (sequence, batch) = (draws.between(4, 64) * 8, draws.between(1, 64));
    let vocabulary = draws.between(64, 4096) * 8;
    let intermediate = width * draws.one_of(&[2, 3, 4, 6]);
    let prediction = draws.one_of(&["Sparse", "Dense"]);
    let text = format!(
        "Recipe(
    name: \"drawn\",
    budget: Budget(steps: 2),
    data: Corpus(sources: [Synthetic(1000)], tokenizer: WordPiece(vocab: {vocabulary})),
    model: Encoder(width: {width}, depth: {depth}, heads: {heads}, sequence: {sequence}, feed_forward: Glu(intermediate: {intermediate})),
    objective: MaskedLm(rate: 25%, prediction: {prediction}),
    batch: Constant({}),
    micro_batch: {batch},
    optimizer: AdamW(clip: 0.5),
    lr: Constant(1e-3),
)",
        2 * batch
    );
    let name =
        format!("{width:4} {depth:3} {heads:3} {:5} {sequence:5} {batch:3} {vocabulary:6} {prediction:6}", intermediate / 2);
    (text, name)
}

/// A recipe in the race.
struct Runner {
    name: String,
    recipe: Recipe,
    trainer: Trainer,
    shards: Shards,
    predicted: [f64; 3],
    by_data_sheet: [f64; 3],
    seen: [Vec<f64>; 3],
    /// Seconds of each operation of a further micro-step, round by round.
    operations: Vec<Vec<f64>>,
}

fn runner(name: String, text: &str, home: &Path, device: &Device) -> Option<Runner> {
    let recipe = common::costed(text, &[], common::machine()).recipe;
    let graphs = StepGraphs::build(&recipe, recipe.full_batch() / 2, Recompute::NOTHING);
    let flops: f64 =
        graphs.walk(Walk::First).nodes().map(|n| n.op.rule().flops(graphs.walk(Walk::First).signature(n)).as_f64()).sum();
    if !FLOPS.contains(&flops) {
        return None;
    }
    let state = State::initial(&graphs, recipe.seed, device);
    let predicted = check(text, home);
    let by_data_sheet = check(text, &home.join("nothing"));
    let shards = tokens(&recipe, 8 * recipe.full_batch());
    let trainer = Trainer::new(graphs, state, Form::Host, device);
    Some(Runner { name, recipe, trainer, shards, predicted, by_data_sheet, seen: Default::default(), operations: Vec::new() })
}

const WALKS: [Walk; 3] = [Walk::First, Walk::Further, Walk::Update];

fn cramplan(arguments: &[&str], home: &Path) -> Command {
    let program = std::env::var("CRAMPLAN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_cramplan").to_owned());
    let mut command = Command::new(program);
    command.args(arguments).env("CRAMPLAN_HOME", home).env("NO_COLOR", "1").current_dir(home.parent().unwrap());
    command
}

/// What `cramplan check` says of a micro-step and an update, seconds.
fn check(text: &str, home: &Path) -> [f64; 3] {
    let path = home.parent().unwrap().join("drawn.ron");
    std::fs::write(&path, text).unwrap();
    let output = cramplan(&["check", path.to_str().unwrap(), "--format", "json"], home).output().unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    WALKS.map(|walk| json["step"]["seconds"][walk.name()].as_f64().unwrap())
}

/// A warm-up and then a step of two micro-steps, as a run does them, with a look at the clock after each operation.
fn round(runner: &mut Runner, round: u64) {
    let mut batcher = Batcher::new(&runner.shards, &mask_spec_of(&runner.recipe, runner.recipe.full_batch() / 2));
    let mut micro_step = |trainer: &mut Trainer, k: u64, first: bool| {
        let (mut ends, mut fed) = (Vec::new(), Instant::now());
        let began = Instant::now();
        let feed = Feed::of(batcher.train_batch(3 * round + k), 2, op::Draws::default());
        let watch = &mut |moment| match moment {
            Moment::Fed => fed = Instant::now(),
            Moment::Done => ends.push(Instant::now()),
        };
        trainer.micro_step(&feed, first, watch).unwrap();
        let all = began.elapsed().as_secs_f64();
        let starts = std::iter::once(&fed).chain(&ends);
        (all, starts.zip(&ends).map(|(from, to)| (*to - *from).as_secs_f64()).collect::<Vec<f64>>())
    };
    micro_step(&mut runner.trainer, 0, true);
    runner.seen[0].push(micro_step(&mut runner.trainer, 1, true).0);
    let (further, operations) = micro_step(&mut runner.trainer, 2, false);
    runner.seen[1].push(further);
    runner.operations.push(operations);
    let began = Instant::now();
    runner.trainer.update(Scalars::update(1e-3, round + 1), &mut |_| {}).unwrap();
    runner.seen[2].push(began.elapsed().as_secs_f64());
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    keep_big_buffers();
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home");
    let began = Instant::now();
    let probed = cramplan(&["probe"], &home).output().unwrap();
    println!("{}{}", String::from_utf8_lossy(&probed.stdout), String::from_utf8_lossy(&probed.stderr));
    println!("`cramplan probe` took {:.1} s in all\n", began.elapsed().as_secs_f64());
    if let Some(keep) = std::env::var_os("KEEP_CALIBRATION") {
        let directory = home.join("calibration");
        let file = std::fs::read_dir(directory).unwrap().next().unwrap().unwrap().path();
        std::fs::copy(file, keep).unwrap();
    }

    let device = Device::flex();
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(4);
    let mut draws = Draws(Stream::new(seed, Purpose::Language), 0);
    let mut runners: Vec<Runner> = Vec::new();
    while runners.len() < RECIPES {
        let (text, name) = draw(&mut draws);
        runners.extend(runner(name, &text, &home, &device));
    }
    for i in 0..ROUNDS {
        for runner in &mut runners {
            round(runner, i);
        }
    }
    show(&runners);
    by_kind(&runners, &calibration(&home));
}

/// What the probe has saved.
fn calibration(home: &Path) -> Calibration {
    let file = std::fs::read_dir(home.join("calibration")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(file).unwrap();
    ron::from_str(&text).unwrap()
}

/// All operations of a kind in all recipes: their share of the time, and how well they are met.
fn by_kind(runners: &[Runner], calibration: &Calibration) {
    let laws = Calibrated::new(calibration);
    let mut kinds: BTreeMap<Kind, (f64, f64, Vec<f64>)> = BTreeMap::new();
    for runner in runners {
        let graph = runner.trainer.graphs().walk(Walk::Further);
        let mut here: BTreeMap<Kind, (f64, f64)> = BTreeMap::new();
        for (i, node) in graph.nodes().enumerate() {
            let work = cramplan::budget::work(&node.op, graph.signature(node)).unwrap();
            let seen = median(&runner.operations.iter().map(|round| round[i]).collect::<Vec<f64>>());
            let sums = here.entry(work.kind).or_default();
            *sums = (sums.0 + laws.seconds(&work).unwrap().0, sums.1 + seen);
        }
        let all: f64 = here.values().map(|(_, seen)| seen).sum();
        for (kind, (said, seen)) in here {
            let sums = kinds.entry(kind).or_default();
            sums.0 += said / all;
            sums.1 += seen / all;
            sums.2.push((said / seen - 1.0).abs());
        }
    }
    let began = Instant::now();
    let works: Vec<_> = runners
        .iter()
        .flat_map(|runner| {
            let graph = runner.trainer.graphs().walk(Walk::Further);
            graph.nodes().filter_map(|node| cramplan::budget::work(&node.op, graph.signature(node))).collect::<Vec<_>>()
        })
        .collect();
    let mapped = began.elapsed().as_secs_f64() / works.len() as f64;
    let began = Instant::now();
    let total: f64 = works.iter().filter_map(|work| laws.seconds(work)).map(|s| s.0).sum();
    let each = began.elapsed().as_secs_f64() / works.len() as f64;
    println!(
        "\nlaws: {:.0} ns an operation, {:.0} ns to find its law ({} operations of {total:.1} s)",
        each * 1e9,
        mapped * 1e9,
        works.len()
    );
    println!("\n{:24} {:>8} {:>8} {:>12}", "by kind", "of time", "error", "in a recipe");
    for (kind, (said, seen, errors)) in kinds {
        let name = format!("{kind:?}");
        let share = seen / runners.len() as f64 * 1e2;
        println!("{name:24} {share:>7.1}% {:>+7.1}% {:>11.1}%", (said / seen - 1.0) * 1e2, median(&errors) * 1e2);
    }
}

fn show(runners: &[Runner]) {
    println!("width depth heads half sequence batch vocabulary prediction: milliseconds of a further micro-step");
    println!("{:44} {:>9} {:>9} {:>7}  {:>7} {:>7} {:>9}", "", "predicted", "measured", "error", "first", "update", "data sheet");
    let mut errors: [Vec<f64>; 4] = Default::default();
    for runner in runners {
        let seen = [0, 1, 2].map(|i| median(&runner.seen[i]));
        let error = |said: f64, seen: f64| said / seen - 1.0;
        let of = [
            error(runner.predicted[1], seen[1]),
            error(runner.predicted[0], seen[0]),
            error(runner.predicted[2], seen[2]),
            error(runner.by_data_sheet[1], seen[1]),
        ];
        for (all, error) in errors.iter_mut().zip(of) {
            all.push(error.abs());
        }
        println!(
            "{:44} {:>9.1} {:>9.1} {:>+6.1}%  {:>+6.1}% {:>+6.1}% {:>+8.1}%",
            runner.name,
            runner.predicted[1] * 1e3,
            seen[1] * 1e3,
            of[0] * 1e2,
            of[1] * 1e2,
            of[2] * 1e2,
            of[3] * 1e2
        );
    }
    for (name, errors) in ["further micro-step", "first micro-step", "update", "by data sheet"].iter().zip(&errors) {
        let above = errors.iter().filter(|error| **error > 0.2).count();
        let worst = errors.iter().copied().fold(0.0, f64::max);
        println!("{name:19} median error {:.1} %, worst {:.1} %, above 20 %: {above}", median(errors) * 1e2, worst * 1e2);
    }
}
