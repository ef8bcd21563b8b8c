//! A plan as a tree, as JSON and as a graph for Graphviz.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use petgraph::dot::{Config, Dot};
use petgraph::visit::EdgeRef;
use serde_json::{Value, json as object};

use super::{Plan, Stage, Work};
use crate::budget::{OpCost, ambient, operations};
use crate::step::graph::{Pass, Place};
use crate::step::{StepGraphs, Walk};
use crate::units::{Bytes, Flops, Seconds};

/// The plan as a tree with costs: the stages of the run, then the operations of a step.
pub fn tree(plan: &Plan) -> String {
    let mut out = String::new();
    let e = &plan.estimate;
    let _ = writeln!(out, "{} on {} · plan {}", plan.recipe.name, plan.device.name, &plan.hash[..12.min(plan.hash.len())]);
    let stages: Vec<&Stage> = plan.stages.node_weights().filter(|s| !is_empty(s)).collect();
    let width = stages.iter().map(|s| title(&s.work).chars().count()).max().unwrap_or(0);
    for stage in stages {
        let _ = writeln!(out, "├─ {:width$}  {}", title(&stage.work), costs(stage));
    }
    let _ = writeln!(out, "└─ a step at the full batch: {} × micro-batch of {}, then update", e.accumulation, e.micro_batch);
    let graphs = plan.graphs();
    let walks = [Walk::First, Walk::Further, Walk::Update, Walk::Evaluate];
    for (i, walk) in walks.into_iter().enumerate() {
        let last = i + 1 == walks.len();
        walk_tree(&mut out, plan, &graphs, walk, last);
    }
    out
}

fn walk_tree(out: &mut String, plan: &Plan, graphs: &StepGraphs, walk: Walk, last: bool) {
    let cost = plan.estimate.walk(walk);
    let (branch, stem) = if last { ("└─", "  ") } else { ("├─", "│ ") };
    let flops = cost.forward + cost.backward;
    let _ = writeln!(
        out,
        "   {branch} {:20} {:>10} {:>13} {:>11} peak  {} operations",
        walk.name(),
        cost.time.to_string(),
        flops.to_string(),
        cost.peak.to_string(),
        cost.operations
    );
    let groups = groups(plan, graphs, walk);
    for (i, group) in groups.iter().enumerate() {
        let twig = if i + 1 == groups.len() { "└─" } else { "├─" };
        let _ = writeln!(
            out,
            "   {stem} {twig} {:17} {:>10} {:>13} {:>11} peak",
            group.name,
            group.time.to_string(),
            group.flops.to_string(),
            group.peak.to_string()
        );
    }
}

/// Operations of one part of the model in one pass.
struct Group {
    name: String,
    time: Seconds,
    flops: Flops,
    peak: Bytes,
}

/// The operations of a walk, added up by pass and part of the model; all blocks together.
fn groups(plan: &Plan, graphs: &StepGraphs, walk: Walk) -> Vec<Group> {
    let graph = graphs.walk(walk);
    let costs: Vec<OpCost> = operations(graph, &plan.device, ambient(graphs, &plan.device, walk));
    let depth = graphs.extents.depth;
    let mut groups: Vec<Group> = Vec::new();
    for (node, cost) in graph.nodes().zip(costs) {
        let part = match node.place {
            Place::Block(_) => format!("{depth} blocks"),
            Place::Parameter(_) => "parameters".to_owned(),
            Place::Embedding | Place::Head | Place::GlobalNorm => node.place.to_string(),
        };
        let name = if node.pass == Pass::Update { part } else { format!("{} {part}", node.pass.name()) };
        match groups.iter_mut().find(|g| g.name == name) {
            Some(group) => {
                group.time += cost.time;
                group.flops += cost.flops;
                group.peak = group.peak.max(cost.live);
            }
            None => groups.push(Group { name, time: cost.time, flops: cost.flops, peak: cost.live }),
        }
    }
    groups
}

/// A stage that happens no times.
fn is_empty(stage: &Stage) -> bool {
    matches!(stage.work, Work::Evaluation { times: 0, .. } | Work::Checkpoint { times: 0, .. })
}

/// A stage for people.
pub(super) fn title(work: &Work) -> String {
    let times = |n: u64| if n == 1 { String::new() } else { format!(" × {n}") };
    match work {
        Work::Corpus { sources } => format!("corpus: {}", sources.join(", ")),
        Work::Tokenizer { vocabulary } => format!("tokenizer: WordPiece, {vocabulary} entries"),
        Work::Shards { sequence, validation } => format!("shards: rows of {sequence} tokens, {validation} held back"),
        Work::Phase { from, until, accumulation: (a, b), rate: (r, s), .. } => {
            let batch = if a == b { format!("{a}") } else { format!("{a} → {b}") };
            format!("train {:.0}–{:.0} %: accumulation {batch}, lr {r:.2e} → {s:.2e}", from.0 * 100.0, until.0 * 100.0)
        }
        Work::Evaluation { times: n, sequences } => format!("evaluation{}: {sequences} sequences", times(*n)),
        Work::Checkpoint { times: n, keep } => format!("checkpoint{}: the last {keep} kept", times(*n)),
    }
}

fn costs(stage: &Stage) -> String {
    let mut parts = Vec::new();
    parts.push(stage.time.map_or("before the clock starts".to_owned(), |time| time.to_string()));
    if stage.flops > Flops::ZERO {
        parts.push(stage.flops.to_string());
    }
    if let Work::Phase { steps, .. } = stage.work {
        parts.push(format!("{steps:.0} steps"));
        parts.push(format!("{} tokens", stage.tokens));
    }
    parts.join(" · ")
}

/// The plan as JSON: stages and edges, and the costs of each walk.
pub fn json(plan: &Plan) -> Value {
    let graphs = plan.graphs();
    let stages: Vec<Value> = plan.stages.node_weights().map(stage_json).collect();
    let edges: Vec<[usize; 2]> = plan.stages.edge_references().map(|e| [e.source().index(), e.target().index()]).collect();
    let walks: BTreeMap<&str, Value> = Walk::ALL.into_iter().map(|walk| (walk.name(), walk_json(plan, &graphs, walk))).collect();
    object!({
        "version": crate::verify::format::VERSION,
        "hash": plan.hash,
        "recipe": plan.recipe,
        "device": plan.device,
        "micro_batch": plan.estimate.micro_batch,
        "accumulation": plan.estimate.accumulation,
        "stages": stages,
        "edges": edges,
        "walks": walks,
    })
}

fn stage_json(stage: &Stage) -> Value {
    object!({
        "title": title(&stage.work),
        "work": stage.work,
        "seconds": stage.time.map(|t| t.0),
        "flops": stage.flops.0.to_string(),
        "tokens": stage.tokens.0,
    })
}

/// A place for programs: parameters by name.
fn place(graphs: &StepGraphs, place: Place) -> String {
    match place {
        Place::Parameter(id) => graphs.parameters.get(id).name(),
        _ => place.to_string(),
    }
}

fn walk_json(plan: &Plan, graphs: &StepGraphs, walk: Walk) -> Value {
    let graph = graphs.walk(walk);
    let costs = operations(graph, &plan.device, ambient(graphs, &plan.device, walk));
    let operations: Vec<Value> = graph
        .nodes()
        .zip(costs)
        .map(|(node, cost)| {
            object!({
                "operation": node.op.rule().name(),
                "place": place(graphs, node.place),
                "pass": node.pass.name(),
                "inputs": node.inputs.iter().map(|id| id.0).collect::<Vec<_>>(),
                "outputs": node.outputs.iter().map(|id| id.0).collect::<Vec<_>>(),
                "flops": cost.flops.0.to_string(),
                "moved_bytes": cost.moved.0,
                "live_bytes": cost.live.0,
                "seconds": cost.time.0,
            })
        })
        .collect();
    let total = plan.estimate.walk(walk);
    object!({
        "seconds": total.time.0,
        "flops": (total.forward + total.backward).0.to_string(),
        "peak_bytes": total.peak.0,
        "operations": operations,
    })
}

/// The stages as a graph for Graphviz.
pub fn dot(plan: &Plan) -> String {
    let shown = plan.stages.filter_map(|_, stage| (!is_empty(stage)).then(|| stage.clone()), |_, ()| Some(()));
    let label =
        |_, (_, stage): (_, &Stage)| format!("label = {:?} shape = box", format!("{}\n{}", title(&stage.work), costs(stage)));
    let config = [Config::EdgeNoLabel, Config::NodeNoLabel];
    format!("{:?}", Dot::with_attr_getters(&shown, &config, &|_, _| String::new(), &label))
}
