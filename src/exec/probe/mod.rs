//! Measuring this machine: steps of small models, done as a run does them, each operation by the clock.
//!
//! All chains are walked in two rounds, there and back, so that a machine that slows down over the minute does not make the
//! last chains look dear. What counts of an operation is the median over the walks; that a law may have several chains' word
//! for a shape, and the error with which it meets a chain that it was not told of, are part of the result.
//!
//! On the CPU that is all. On a card, the host waits for the card after each operation and what an idle wait takes is taken off; so
//! small operations there look as dear as one that nothing overlaps with. That form has not been tried on a card yet.

mod chains;
mod record;

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;

pub use self::chains::{Chain, chains};
pub use self::record::Found;

use self::record::Record;
use super::error::Error;
use super::job::mask_spec_of;
use super::op::{Draws, Scalars};
use super::state::State;
use super::trainer::{Feed, Moment, Trainer};
use super::walk::Form;
use crate::data::{Batcher, Rows, SPECIALS, Shards};
use crate::device::law::{Kind, Work};
use crate::recipe::settings::Recipe;
use crate::rng::{Purpose, Stream};
use crate::step::recompute::Recompute;
use crate::step::{StepGraphs, Walk};
use crate::units::{ByteRate, Bytes};

/// Seconds after which no further chain is begun.
const ENOUGH: f64 = 50.0;

/// Seconds that measuring a chain may take in a round, building and warming up aside.
const SHARE: f64 = 0.5;

/// Steps of a chain in a round: at least, and at most where they are short.
const STEPS: (usize, usize) = (2, 5);

/// Where and how to measure.
pub struct Bench<'a> {
    /// burn's device.
    pub device: &'a Device,
    /// How operations are carried out there.
    pub form: Form,
    /// Threads that work; 0 on a card.
    pub threads: u64,
    /// Memory that a chain may take.
    pub memory: Bytes,
    /// Where checkpoints would be written.
    pub directory: &'a Path,
}

/// Measures the chains of these recipes, each at its whole batch. `report` is told which share is done.
///
/// # Errors
/// Memory that cannot be had, or a failure of the backend.
pub fn probe(recipes: &[Recipe], bench: &Bench<'_>, report: &mut dyn FnMut(f64)) -> Result<Found, Error> {
    let began = Instant::now();
    let idle = idle_wait(bench);
    let mut record = Record::default();
    let mut disk = None;
    let there = recipes.iter().enumerate();
    for (i, (chain, recipe)) in there.clone().chain(there.rev()).enumerate() {
        if began.elapsed().as_secs_f64() > ENOUGH {
            break;
        }
        report(i as f64 / (2 * recipes.len()) as f64);
        let graphs = StepGraphs::build(recipe, recipe.full_batch(), Recompute::NOTHING);
        if held(&graphs) > bench.memory {
            continue;
        }
        let mut trainer = trainer(recipe, graphs, bench);
        measure(&mut trainer, recipe, bench, idle, &mut |walk, works, seconds| record.note(chain, walk, works, seconds))?;
        let larger = trainer.graphs().counts().total > 16 << 20;
        if larger && disk.is_none() {
            disk = writing(&trainer, bench.directory);
        }
    }
    Ok(record.found(bench.threads, disk, began.elapsed().as_secs_f64()))
}

/// Weights, gradients and moments, and every activation as if none died.
fn held(graphs: &StepGraphs) -> Bytes {
    let graph = graphs.walk(Walk::First);
    graph.tensors().map(|(_, tensor)| tensor.ty.bytes()).sum::<Bytes>() * 2
}

fn trainer(recipe: &Recipe, graphs: StepGraphs, bench: &Bench<'_>) -> Trainer {
    let state = State::initial(&graphs, recipe.seed, bench.device);
    Trainer::new(graphs, state, bench.form, bench.device)
}

/// What waiting for a card takes that has nothing to do: the median of a few.
fn idle_wait(bench: &Bench<'_>) -> f64 {
    let mut waits: Vec<f64> = (0..21).map(|_| timed(|| wait(bench))).collect();
    waits.sort_by(f64::total_cmp);
    waits[10]
}

fn timed(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

/// Waits until the card has done everything; a CPU has.
fn wait(bench: &Bench<'_>) {
    if bench.form == Form::Plain {
        // What fails there fails again, and is reported, where the loss is read.
        let _ = bench.device.sync();
    }
}

/// Tokens of as many rows as a few batches take, drawn as words of a text are: the n-th is seen about 1/n as often as the
/// first.
pub fn tokens(recipe: &Recipe, rows: u64) -> Shards {
    let stream = Stream::new(recipe.seed, Purpose::Language);
    let (sequence, vocabulary) = (recipe.model.sequence, recipe.vocabulary());
    let words = (vocabulary - SPECIALS.len() as u64) as f64;
    let token = |i| SPECIALS.len() as u32 + (libm::exp(libm::log(words) * stream.uniform(0, i)) as u32 - 1).min(words as u32 - 1);
    let train = Rows::new((0..rows * sequence).map(token).collect(), sequence);
    Shards::new(train, Rows::default(), vocabulary)
}

/// Told of a walk: which, its operations in order, and the seconds of each; the last of both is what stands beside them.
type Note<'a> = &'a mut dyn FnMut(Walk, &[Option<Work>], &[f64]);

fn measure(trainer: &mut Trainer, recipe: &Recipe, bench: &Bench<'_>, idle: f64, note: Note<'_>) -> Result<(), Error> {
    let shards = tokens(recipe, 4 * recipe.full_batch());
    let mut batcher = Batcher::new(&shards, &mask_spec_of(recipe, recipe.full_batch()));
    let works = Walk::ALL.map(|walk| works(trainer.graphs(), walk));
    let mut began = Instant::now();
    let mut done = 0;
    // The first step warms up.
    for step in 0..=STEPS.1 as u64 {
        for (k, walk) in [Walk::First, Walk::Further, Walk::Update].into_iter().enumerate() {
            let mut clock = Clock::start(bench, idle);
            if walk == Walk::Update {
                trainer.update(Scalars::update(1e-3, step + 1), &mut |moment| clock.saw(moment))?;
            } else {
                let feed = Feed::of(batcher.train_batch(2 * step + k as u64), 2, Draws::default());
                trainer.micro_step(&feed, walk == Walk::First, &mut |moment| clock.saw(moment))?;
            }
            if step > 0 {
                note(walk, &works[walk as usize], &clock.stop());
            }
        }
        if step == 0 {
            began = Instant::now();
        } else {
            done += 1;
        }
        if done >= STEPS.0 && began.elapsed().as_secs_f64() > SHARE {
            break;
        }
    }
    Ok(())
}

/// The operations of a walk as the laws see them, and then what stands beside them.
fn works(graphs: &StepGraphs, walk: Walk) -> Vec<Option<Work>> {
    let graph = graphs.walk(walk);
    let mut works: Vec<Option<Work>> = graph.nodes().map(|node| crate::budget::work(&node.op, graph.signature(node))).collect();
    let operations = works.len() as u64;
    works.push(Some(match walk {
        Walk::Update => Work::new(Kind::Update, &[operations, 0]),
        _ => Work::new(Kind::MicroStep, &[operations, graphs.extents.rows()]),
    }));
    works
}

/// The seconds of a walk's operations.
struct Clock<'a> {
    bench: &'a Bench<'a>,
    idle: f64,
    began: Instant,
    last: Instant,
    /// What lies between the operations' ends, waiting included.
    raw: Vec<f64>,
}

impl<'a> Clock<'a> {
    fn start(bench: &'a Bench<'a>, idle: f64) -> Self {
        let now = Instant::now();
        Self { bench, idle, began: now, last: now, raw: Vec::new() }
    }

    fn saw(&mut self, moment: Moment) {
        if moment == Moment::Done {
            wait(self.bench);
        }
        let now = Instant::now();
        if moment == Moment::Done {
            self.raw.push((now - self.last).as_secs_f64());
        }
        self.last = now;
    }

    /// Each operation's seconds, and those beside them.
    fn stop(self) -> Vec<f64> {
        let all = self.began.elapsed().as_secs_f64();
        let beside = (all - self.raw.iter().sum::<f64>()).max(1e-7);
        let waited = if self.bench.form == Form::Plain { self.idle } else { 0.0 };
        self.raw.iter().map(|seconds| (seconds - waited).max(1e-7)).chain([beside]).collect()
    }
}

/// The rate of writing a checkpoint as a run does it; none where nothing can be written there.
fn writing(trainer: &Trainer, directory: &Path) -> Option<ByteRate> {
    let place = directory.join(format!(".cramplan-probe-{}", std::process::id()));
    std::fs::create_dir(&place).ok()?;
    let parameters = &trainer.graphs().parameters;
    let began = Instant::now();
    let checked = trainer.state.not_finite().is_none();
    let written = trainer
        .state
        .save_weights(parameters, &place.join("weights"))
        .and_then(|()| trainer.state.save_moments(trainer.graphs(), &place.join("moments")));
    let seconds = began.elapsed().as_secs_f64();
    // A directory that cannot be taken away again is left: it has the program's name.
    let _ = std::fs::remove_dir_all(&place);
    let bytes = trainer.graphs().checkpoint().as_f64();
    (checked && written.is_ok()).then(|| ByteRate(bytes / seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_of_a_walk_gets_its_seconds() {
        let recipe = crate::recipe::testing::recipe();
        let device = Device::flex();
        let bench =
            Bench { device: &device, form: Form::Host, threads: 2, memory: Bytes::gib(1), directory: Path::new("/nowhere") };
        let mut trainer = trainer(&recipe, StepGraphs::build(&recipe, recipe.full_batch(), Recompute::NOTHING), &bench);
        let mut walks = Vec::new();
        measure(&mut trainer, &recipe, &bench, 0.0, &mut |walk, works, seconds| {
            assert!(works.len() == seconds.len() && seconds.iter().all(|s| *s > 0.0), "{walk:?}");
            walks.push(walk);
        })
        .unwrap();
        assert!(walks.len() >= 3 * STEPS.0 && walks[..3] == [Walk::First, Walk::Further, Walk::Update]);
        assert!(writing(&trainer, bench.directory).is_none());
    }

    #[test]
    fn tokens_are_words_of_the_vocabulary_and_the_first_are_seen_most() {
        let recipe = crate::recipe::testing::recipe();
        let shards = tokens(&recipe, 500);
        let special = SPECIALS.len();
        assert!(shards.unigrams[..special].iter().all(|n| *n == 0));
        assert!(shards.unigrams[special] > 50 * shards.unigrams[recipe.vocabulary() as usize - 1].max(1));
        assert_eq!(shards.unigrams.iter().sum::<u64>(), 500 * recipe.model.sequence);
    }

    #[test]
    fn chains_have_recipes_of_their_own_extents() {
        assert!(chains().all(|chain| chain.width.is_multiple_of(chain.heads) && chain.recipe().contains("micro_batch")));
    }
}
