//! From a feasible recipe to a plan: the stages of the run as a graph, certified, hashed and shown. The plan is what runs.
//!
//! Invariant: a [`Plan`] comes from a [`Feasible`] or from a file whose hash holds and whose every statement is what this program
//! plans from its recipe and device; nothing else can make one.

pub mod certificate;
mod diff;
mod drift;
mod show;
pub mod view;

use petgraph::graph::{DiGraph, NodeIndex};
use serde::{Deserialize, Serialize};

pub use diff::{Difference, difference};
pub use drift::{Drift, between};
use show::title;
pub use show::{dot, json, tree};

use crate::budget::{Estimate, Stage as Stretch};
use crate::check::{Costed, Feasible};
use crate::device::Device;
use crate::recipe::decode::Portion;
use crate::recipe::settings::{Batch, Recipe, TextSource};
use crate::step::{StepGraphs, Walk};
use crate::units::{Flops, Ratio, Seconds, Tokens};
use crate::verify::format::{Content, Origin, VERSION};

/// Name and version of this program, as plans state it.
pub const PROGRAM: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// A run, settled to the last step.
#[derive(Clone, Debug)]
pub struct Plan {
    /// SHA-256 of what its certificate states.
    pub hash: String,
    /// Where it was planned.
    pub origin: Origin,
    /// What was known of the world then.
    pub facts: Facts,
    /// The recipe, with every default filled in.
    pub recipe: Recipe,
    /// The device it was planned for.
    pub device: Device,
    /// What it costs there.
    pub estimate: Estimate,
    /// The stages of the run; an edge leads from a stage to one that needs it.
    pub stages: DiGraph<Stage, ()>,
    /// What its file states, where it was read from one whose times were measured: they cannot be derived again.
    stated: Option<Box<Content<Recipe>>>,
}

/// What a plan states of the world beside recipe and device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Key of the prepared text, where it was prepared already.
    pub data: Option<String>,
    /// The processor, where the plan is for it.
    pub processor: Option<String>,
}

/// A stage of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// What is done.
    pub work: Work,
    /// How long it takes on the run's clock; none before the clock starts.
    pub time: Option<Seconds>,
    /// Model FLOPs.
    pub flops: Flops,
    /// Tokens read.
    pub tokens: Tokens,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// Text is read and cleaned.
    Corpus {
        /// Globs and built-in languages.
        sources: Vec<String>,
    },
    /// A vocabulary is trained.
    Tokenizer {
        /// Its size.
        vocabulary: u64,
    },
    /// Text becomes rows of tokens, on disk.
    Shards {
        /// Tokens in a row.
        sequence: u64,
        /// Share held back.
        validation: Ratio,
    },
    /// A stretch of training.
    Phase {
        /// Progress at which it begins.
        from: Ratio,
        /// Progress at which it ends.
        until: Ratio,
        /// Micro-batches per step, first and last.
        accumulation: (u64, u64),
        /// Learning rate, first and last.
        rate: (f64, f64),
        /// Optimizer steps.
        steps: f64,
    },
    /// Evaluation on held-back text.
    Evaluation {
        /// How many in the stage.
        times: u64,
        /// Sequences at most.
        sequences: u64,
    },
    /// Saving weights and optimizer state.
    Checkpoint {
        /// How many in the stage.
        times: u64,
        /// How many are kept.
        keep: u64,
    },
}

/// Why a saved plan cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stale {
    /// It is no plan.
    #[error("it cannot be read as a plan: {0}")]
    Unreadable(String),
    /// Another format.
    #[error("it is of format {0}, this program writes {VERSION}")]
    Version(u32),
    /// It was changed by hand.
    #[error("its content does not match its hash; it was changed after it was planned")]
    Changed,
    /// It states what this program would not plan.
    #[error("this version of cramplan plans otherwise from its recipe and device")]
    Drifted(Vec<Drift>),
    /// It was never a plan.
    #[error("it does not fit its own limit of memory")]
    Unfit,
}

/// Lowers a feasible recipe into a plan.
pub fn lower(feasible: Feasible, origin: Origin, facts: Facts) -> Plan {
    let costed = feasible.into_costed();
    let hash = certificate::content(&costed.recipe, &costed.device, &costed.graphs(), &costed.estimate, &facts).hash();
    Plan::of(costed, origin, facts, hash)
}

impl Plan {
    fn of(costed: Costed, origin: Origin, facts: Facts, hash: String) -> Self {
        let Costed { recipe, device, estimate } = costed;
        let stages = stages(&recipe, &estimate);
        Self { hash, origin, facts, recipe, device, estimate, stages, stated: None }
    }

    /// The step graphs that the plan runs.
    pub fn graphs(&self) -> StepGraphs {
        StepGraphs::build(&self.recipe, self.estimate.micro_batch, self.estimate.recompute)
    }
}

fn stages(recipe: &Recipe, e: &Estimate) -> DiGraph<Stage, ()> {
    let mut graph = DiGraph::new();
    let untimed = |work| Stage { work, time: None, flops: Flops::ZERO, tokens: Tokens(0) };
    let sources = recipe.data.sources.iter().map(source_name).collect();
    let corpus = graph.add_node(untimed(Work::Corpus { sources }));
    let tokenizer = graph.add_node(untimed(Work::Tokenizer { vocabulary: recipe.vocabulary() }));
    let shards = graph.add_node(untimed(Work::Shards { sequence: recipe.model.sequence, validation: recipe.data.validation }));
    for (from, to) in [(corpus, tokenizer), (corpus, shards), (tokenizer, shards)] {
        graph.add_edge(from, to, ());
    }

    // Before the clock starts: so both are known to work, and it is known how long they take.
    let before = hang(&mut graph, shards, Stage { time: None, ..evaluation(recipe, e, 1) });
    let mut last = hang(&mut graph, before, Stage { time: None, ..checkpoint(recipe, e, 1) });
    for phase in phases(recipe, e) {
        let node = graph.add_node(phase);
        graph.add_edge(last, node, ());
        last = node;
    }
    hang(&mut graph, last, evaluation(recipe, e, e.run.evaluations.saturating_sub(1)));
    hang(&mut graph, last, checkpoint(recipe, e, e.run.checkpoints.saturating_sub(1)));
    let end = hang(&mut graph, last, evaluation(recipe, e, 1));
    hang(&mut graph, end, checkpoint(recipe, e, 1));
    graph
}

fn hang(graph: &mut DiGraph<Stage, ()>, from: NodeIndex, stage: Stage) -> NodeIndex {
    let node = graph.add_node(stage);
    graph.add_edge(from, node, ());
    node
}

fn source_name(source: &TextSource) -> String {
    match source {
        TextSource::Text { path } => path.clone(),
        TextSource::Synthetic { sentences } => format!("{sentences} synthetic sentences"),
    }
}

fn evaluation(recipe: &Recipe, e: &Estimate, times: u64) -> Stage {
    let walks = recipe.evaluation.sequences.div_ceil(e.micro_batch) * times;
    let walk = e.walk(Walk::Evaluate);
    Stage {
        work: Work::Evaluation { times, sequences: recipe.evaluation.sequences },
        time: Some(walk.time * walks as f64),
        flops: walk.forward * walks,
        tokens: Tokens(walks * e.micro_tokens),
    }
}

fn checkpoint(recipe: &Recipe, e: &Estimate, times: u64) -> Stage {
    let time = e.saving * times as f64;
    let work = Work::Checkpoint { times, keep: recipe.checkpoint.keep };
    Stage { work, time: Some(time), flops: Flops::ZERO, tokens: Tokens(0) }
}

/// The training, cut where the batch stops growing and where the learning rate takes another course.
fn phases(recipe: &Recipe, e: &Estimate) -> Vec<Stage> {
    let mut cuts: Vec<f64> = Vec::new();
    if let Batch::Ramp { until: Portion::Share(until), .. } = recipe.batch {
        cuts.push(until.0);
    }
    cuts.extend(recipe.lr.turns().iter().map(|turn| turn.0));
    cuts.retain(|cut| *cut > 0.0);
    cuts.push(1.0);
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    let starts = std::iter::once(0.0).chain(cuts.iter().copied());
    starts.zip(cuts.clone()).map(|(from, until)| phase(recipe, e, from, until)).collect()
}

fn phase(recipe: &Recipe, e: &Estimate, from: f64, until: f64) -> Stage {
    let (mut steps, mut micro, mut time) = (0.0, 0.0, 0.0);
    let mut start = 0f64;
    for Stretch { until: end, accumulation, steps: all, step_time } in &e.run.stages {
        // A stretch that a cut divides counts on both sides, by its share; the last one ends the last phase.
        let end = if *end >= e.run.stages[e.run.stages.len() - 1].until { 1.0 } else { end.0 };
        let inside = (end.min(until) - start.max(from)).max(0.0) / (end - start).max(f64::MIN_POSITIVE) * *all as f64;
        steps += inside;
        micro += inside * *accumulation as f64;
        time += inside * step_time.0;
        start = end;
    }
    let moment = |x: f64| e.run.moment(x, e.micro_tokens);
    let accumulation = |x: f64| recipe.accumulation(&moment(x), e.micro_batch);
    let last = until - (until - from) * 1e-9;
    let micro = micro.round() as u64;
    Stage {
        work: Work::Phase {
            from: Ratio(from),
            until: Ratio(until),
            accumulation: (accumulation(from), accumulation(last)),
            rate: (recipe.rate(&moment(from)), recipe.rate(&moment(until))),
            steps,
        },
        time: Some(Seconds(time)),
        flops: e.micro_step_flops() * micro,
        tokens: Tokens(micro * e.micro_tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{cost, judge};
    use crate::recipe::decode::Places;
    use crate::recipe::testing::recipe;

    fn plan_of(recipe: &Recipe) -> Plan {
        let device = crate::device::find("rtx-a6000").unwrap();
        let feasible = judge(cost(recipe, &device), &Places::default(), &[]).unwrap();
        lower(feasible, Origin { base: "/somewhere".into(), ..Origin::default() }, Facts::default())
    }

    fn plan() -> Plan {
        plan_of(&recipe())
    }

    #[test]
    fn a_saved_plan_reads_back_and_its_hash_does_not_depend_on_where_it_lies() {
        let plan = plan();
        let back = Plan::load(&plan.save()).unwrap();
        assert_eq!((&back.hash, back.save()), (&plan.hash, plan.save()));
        let moved = Plan { origin: Origin { base: "/elsewhere".into(), ..Origin::default() }, ..plan.clone() };
        assert_eq!(Plan::load(&moved.save()).unwrap().hash, plan.hash);
    }

    /// To the last bit of every time, whatever the number of blocks that are summed.
    #[test]
    fn a_saved_plan_reads_back_at_every_depth() {
        for depth in 1..=9 {
            let mut recipe = recipe();
            recipe.model.depth = depth;
            let plan = plan_of(&recipe);
            assert_eq!(Plan::load(&plan.save()).map(|back| back.hash), Ok(plan.hash), "{depth}");
        }
    }

    #[test]
    fn a_plan_that_was_changed_by_hand_is_refused() {
        let text = plan().save().replace("width: 32", "width: 64");
        assert_eq!(Plan::load(&text).unwrap_err(), Stale::Changed);
        assert!(matches!(Plan::load("Recipe()").unwrap_err(), Stale::Unreadable(_)));
        assert_eq!(Plan::load("Plan(version: 1, hash: \"\")").unwrap_err(), Stale::Version(1));
    }

    #[test]
    fn a_plan_that_states_what_this_program_would_not_plan_is_refused_field_by_field() {
        let plan = plan();
        let mut content = plan.content();
        content.program = "cramplan 0.0.9".into();
        content.walks[0].operations[3].workspace += crate::units::Bytes(1);
        let text = crate::verify::format::Certificate::seal(content, plan.origin.clone()).write();
        let Stale::Drifted(drifts) = Plan::load(&text).unwrap_err() else { panic!("it was not refused for that") };
        let fields: Vec<&str> = drifts.iter().map(|d| d.field.as_str()).collect();
        assert_eq!(fields, ["program", "walks[0].operations[3].workspace"]);
    }

    #[test]
    fn the_phases_hold_all_steps_of_the_run() {
        let plan = plan();
        let steps: f64 =
            plan.stages.node_weights().map(|s| if let Work::Phase { steps, .. } = s.work { steps } else { 0.0 }).sum();
        assert!((steps - plan.estimate.run.steps as f64).abs() < 1e-6, "{steps}");
    }
}
