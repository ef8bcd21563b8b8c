//! From a plan to its certificate, and back: the statements that `cramplan plan --out` saves and `cramplan verify` checks.
//!
//! Reading one back plans anew from its own recipe and device, and holds the result against every statement of the file: what
//! runs is what the file says, or it does not run.

use super::{Drift, Facts, PROGRAM, Plan, Stale, drift};
use crate::budget::reserved::reserved;
use crate::budget::{Estimate, OpCost, ambient, backend, beside, estimate_at, operations, with_times};
use crate::check::Costed;
use crate::device::Device;
use crate::recipe::settings::Recipe;
use crate::recipe::spending::Limit;
use crate::step::graph::{Node, Pass, Place, StepGraph};
use crate::step::lifetime::{Bill, Highest, Instant, Lifetimes, highest, timeline};
use crate::step::op::{Backend, CrossEntropy, CrossEntropyGradient, Dropout, Function, MatMul, Op};
use crate::step::parameter::Parameter;
use crate::step::recompute::Recompute;
use crate::step::tensor::{DType, Input, Part, Role, Tensor, TensorId};
use crate::step::{StepGraphs, Walk};
use crate::units::{Bytes, Seconds};
use crate::verify::format::{self, Certificate, Content, Unreadable};

impl Plan {
    /// The plan as a file: its certificate in RON.
    pub fn save(&self) -> String {
        let certificate = Certificate {
            version: format::VERSION,
            hash: self.hash.clone(),
            origin: self.origin.clone(),
            content: self.content(),
        };
        certificate.write()
    }

    /// Everything that the plan states.
    pub fn content(&self) -> Content<Recipe> {
        let planned = || content(&self.recipe, &self.device, &self.graphs(), &self.estimate, &self.facts);
        self.stated.as_deref().cloned().unwrap_or_else(planned)
    }

    /// Reads a saved plan.
    ///
    /// # Errors
    /// Where it is no plan, was changed, does not fit its own limit, or is not what this program would plan.
    pub fn load(text: &str) -> Result<Self, Stale> {
        let Certificate { hash, origin, content: stated, .. } = Certificate::<Recipe>::read(text).map_err(|e| match e {
            Unreadable::Version(version) => Stale::Version(version),
            Unreadable::Text(why) => Stale::Unreadable(why),
        })?;
        if hash != stated.hash() {
            return Err(Stale::Changed);
        }
        let Content { recipe, device, .. } = &stated;
        let recompute = Recompute(stated.recompute);
        let graphs = StepGraphs::build(recipe, stated.extents.batch, recompute);
        // As it was planned, from folded graphs: sums of times in another order may differ in the last bit.
        let mut estimate = estimate_at(recipe, device, stated.extents.batch, recompute);
        if device.calibration.is_some() {
            let times: Vec<Seconds> = stated.walks.iter().map(|walk| walk.seconds).collect();
            estimate = with_times(recipe, estimate, &times);
        }
        let facts = Facts { data: stated.data.clone(), processor: stated.processor.clone() };
        let mut now = content(recipe, device, &graphs, &estimate, &facts);
        if device.calibration.is_some() {
            take_times(&stated, &mut now);
        }
        if now != stated {
            return Err(Stale::Drifted(differences(&stated, &now)));
        }
        estimate.reserved = reserved(&graphs, device, Some(estimate.limit), estimate.accumulation > 1);
        if !estimate.fits() {
            return Err(Stale::Unfit);
        }
        let (recipe, device) = (stated.recipe.clone(), stated.device.clone());
        let kept = device.calibration.is_some().then(|| Box::new(stated));
        Ok(Self { stated: kept, ..Self::of(Costed { recipe, device, estimate }, origin, facts, hash) })
    }
}

/// Takes the times that a plan states: what was measured is not saved with the device ([`crate::device::Calibrated`]), so they cannot
/// be derived again.
fn take_times(stated: &Content<Recipe>, now: &mut Content<Recipe>) {
    for (stated, now) in stated.walks.iter().zip(&mut now.walks) {
        now.beside = stated.beside;
        for (stated, now) in stated.operations.iter().zip(&mut now.operations) {
            now.seconds = stated.seconds;
        }
    }
}

/// Where two contents differ; that of the program first, since it explains the others.
fn differences(planned: &Content<Recipe>, now: &Content<Recipe>) -> Vec<Drift> {
    let found = drift::between(planned, now);
    if found.is_empty() { vec![Drift::new("content", "a number", "another one, past 64 bits")] } else { found }
}

/// Everything that is stated of a costed recipe.
pub fn content(recipe: &Recipe, device: &Device, graphs: &StepGraphs, e: &Estimate, facts: &Facts) -> Content<Recipe> {
    Content {
        program: PROGRAM.to_owned(),
        processor: facts.processor.clone(),
        data: facts.data.clone(),
        recipe: recipe.clone(),
        device: device.clone(),
        extents: extents(graphs),
        recompute: e.recompute.0,
        parameters: graphs.parameters.iter().map(|(_, p)| parameter(p)).collect(),
        counts: counts(e),
        accumulation: e.accumulation,
        micro_tokens: e.micro_tokens,
        peak: format::Peak { bytes: e.peak.bytes, walk: e.peak.walk.map(walk_name) },
        limit: e.limit,
        limit_source: e.limit_source.clone(),
        checkpoint: e.checkpoint,
        saving: bill(&crate::budget::saving(graphs, device)),
        saving_time: e.saving,
        run: run(e),
        walks: Walk::ALL.into_iter().map(|walk| walk_statement(graphs, device, e, walk)).collect(),
    }
}

fn extents(graphs: &StepGraphs) -> format::Extents {
    let e = &graphs.extents;
    format::Extents {
        batch: e.batch,
        sequence: e.sequence,
        width: e.width,
        heads: e.heads,
        inner: e.inner,
        depth: e.depth,
        vocabulary: e.vocabulary,
        predicted: e.predicted,
    }
}

fn parameter(p: &Parameter) -> format::Parameter {
    format::Parameter { name: p.name(), shape: p.shape.to_vec(), decays: p.decays }
}

fn counts(e: &Estimate) -> format::Counts {
    let p = e.parameters;
    format::Counts { total: p.total, embedding: p.embedding, non_embedding: p.non_embedding, decayed: p.decayed }
}

fn bill(bill: &Bill) -> format::Bill {
    format::Bill {
        weights: bill.part(Part::Weights),
        gradients: bill.part(Part::Gradients),
        optimizer: bill.part(Part::Optimizer),
        activations: bill.part(Part::Activations),
        workspace: bill.part(Part::Workspace),
        process: bill.part(Part::Process),
    }
}

fn walk_name(walk: Walk) -> format::WalkName {
    match walk {
        Walk::First => format::WalkName::First,
        Walk::Further => format::WalkName::Further,
        Walk::Update => format::WalkName::Update,
        Walk::Evaluate => format::WalkName::Evaluate,
    }
}

fn run(e: &Estimate) -> format::Run {
    let stages = e.run.stages.iter().map(|s| format::Stage {
        until: s.until,
        accumulation: s.accumulation,
        steps: s.steps,
        step_time: s.step_time,
    });
    format::Run {
        steps: e.run.steps,
        micro_steps: e.run.micro_steps,
        tokens: e.run.tokens,
        flops: e.run.flops,
        seconds: e.run.seconds,
        overhead: e.run.overhead,
        binds: match e.run.binds {
            Limit::Time => format::Limit::Time,
            Limit::Tokens => format::Limit::Tokens,
            Limit::Steps => format::Limit::Steps,
            Limit::Flops => format::Limit::Flops,
        },
        evaluations: e.run.evaluations,
        checkpoints: e.run.checkpoints,
        stages: stages.collect(),
    }
}

fn walk_statement(graphs: &StepGraphs, device: &Device, e: &Estimate, walk: Walk) -> format::Walk {
    let graph = graphs.walk(walk);
    let lifetimes = Lifetimes::of(graph);
    let around = ambient(graphs, device, walk);
    let instants = timeline(graph, &lifetimes, backend(device), around);
    let peaks = highest(graph, &lifetimes, backend(device));
    let costs = operations(graph, device, around);
    let described = graph.nodes().zip(&costs).zip(instants.iter().zip(&peaks)).enumerate();
    let operations = described.map(|(i, ((node, cost), at))| operation(&lifetimes, (i, node), cost, at, &around));
    let cost = e.walk(walk);
    format::Walk {
        walk: walk_name(walk),
        forward: cost.forward,
        recompute: cost.recompute,
        backward: cost.backward,
        seconds: cost.time,
        beside: beside(walk, graphs.extents.rows(), device),
        peak: moment(graph, &lifetimes, &instants, &peaks, backend(device)),
        ambient: bill(&around),
        tensors: graph.tensors().map(|(_, t)| tensor(t)).collect(),
        results: graph.results().iter().map(|id| id.0).collect(),
        operations: operations.collect(),
    }
}

/// The moment of the highest memory, the first of several, with all that is live then.
fn moment(graph: &StepGraph, lifetimes: &Lifetimes, instants: &[Instant], peaks: &[Highest], backend: Backend) -> format::Moment {
    let mut at = 0;
    for (i, instant) in instants.iter().enumerate() {
        if instant.during.total() > instants[at].during.total() {
            at = i;
        }
    }
    let parts = instants.get(at).map(|instant| bill(&instant.during)).unwrap_or_default();
    let held = live(graph, lifetimes, peaks, at).into_iter().map(|id| (id.0, backend.holds(graph.ty(id))));
    let holders = held.filter(|(_, bytes)| *bytes > Bytes::ZERO).collect();
    format::Moment { operation: at, bytes: parts.total(), parts, holders }
}

/// The tensors that hold memory at the highest moment of operation `at`.
fn live(graph: &StepGraph, lifetimes: &Lifetimes, peaks: &[Highest], at: usize) -> Vec<TensorId> {
    let mut live: Vec<bool> = graph.tensors().map(|(id, _)| graph.is_source(id)).collect();
    for (i, node) in graph.nodes().enumerate().take(at + 1) {
        for id in &node.outputs {
            live[id.0 as usize] = true;
        }
        if i < at {
            lifetimes.deaths[i].iter().for_each(|id| live[id.0 as usize] = false);
        } else {
            peaks[i].reuse.iter().for_each(|(input, _)| live[node.inputs[*input].0 as usize] = false);
            peaks[i].absent.iter().for_each(|id| live[id.0 as usize] = false);
        }
    }
    graph.tensors().map(|(id, _)| id).filter(|id| live[id.0 as usize]).collect()
}

fn operation(
    lifetimes: &Lifetimes,
    (i, node): (usize, &Node),
    cost: &OpCost,
    (instant, peak): (&Instant, &Highest),
    around: &Bill,
) -> format::Operation {
    let ids = |ids: &[TensorId]| ids.iter().map(|id| id.0).collect::<Vec<u32>>();
    format::Operation {
        op: op(&node.op),
        inputs: ids(&node.inputs),
        outputs: ids(&node.outputs),
        pass: match node.pass {
            Pass::Forward => format::Pass::Forward,
            Pass::Recompute => format::Pass::Recompute,
            Pass::Backward => format::Pass::Backward,
            Pass::Update => format::Pass::Update,
        },
        place: place(node.place),
        dies: ids(&lifetimes.deaths[i]),
        in_place: peak.reuse.iter().map(|(i, o)| (node.inputs[*i].0, node.outputs[*o].0)).collect(),
        absent: ids(&peak.absent),
        workspace: instant.during.part(Part::Workspace).saturating_sub(around.part(Part::Workspace)),
        flops: cost.flops,
        moved: cost.moved,
        seconds: cost.time,
        during: instant.during.total(),
        after: instant.after.total(),
    }
}

fn place(place: Place) -> format::Place {
    match place {
        Place::Embedding => format::Place::Embedding,
        Place::Block(i) => format::Place::Block(i),
        Place::Head => format::Place::Head,
        Place::GlobalNorm => format::Place::GlobalNorm,
        Place::Parameter(id) => format::Place::Parameter(id.0),
    }
}

fn op(op: &Op) -> format::Op {
    match op {
        Op::Embedding(_) => format::Op::Embedding,
        Op::EmbeddingGradient(_) => format::Op::EmbeddingGradient,
        Op::Zeros(op) => format::Op::Zeros { shape: op.shape.to_vec() },
        Op::AddPosition(_) => format::Op::AddPosition,
        Op::PositionGradient(_) => format::Op::PositionGradient,
        Op::LayerNorm(op) => format::Op::LayerNorm { eps: op.eps },
        Op::LayerNormGradient(_) => format::Op::LayerNormGradient,
        Op::MatMul(MatMul { transpose_a, transpose_b }) => {
            format::Op::MatMul { transpose_a: *transpose_a, transpose_b: *transpose_b }
        }
        Op::MatMulAccumulate(op) => format::Op::MatMulAccumulate { transpose_a: op.0.transpose_a, transpose_b: op.0.transpose_b },
        Op::Attention(op) => {
            format::Op::Attention { heads: op.heads, sequence: op.sequence, causal: op.causal, dropout: dropout(op.dropout) }
        }
        Op::AttentionGradient(op) => format::Op::AttentionGradient {
            heads: op.0.heads,
            sequence: op.0.sequence,
            causal: op.0.causal,
            dropout: dropout(op.0.dropout),
        },
        Op::RmsNorm(op) => format::Op::RmsNorm { eps: op.eps, factor: op.factor },
        Op::RmsNormGradient(op) => format::Op::RmsNormGradient { factor: op.factor },
        Op::Gate(op) => format::Op::Gate { function: function(op.0) },
        Op::GateGradient(op) => format::Op::GateGradient { function: function(op.0) },
        Op::Activate(op) => format::Op::Activate { function: function(op.0) },
        Op::ActivateGradient(op) => format::Op::ActivateGradient { function: function(op.0) },
        Op::AddTable(op) => format::Op::AddTable { period: op.period },
        Op::TableGradient(op) => format::Op::TableGradient { period: op.period, shape: op.shape.to_vec() },
        Op::Rotate(op) => format::Op::Rotate { heads: op.heads, sequence: op.sequence, back: op.back },
        Op::Dropout(op) => format::Op::Dropout { rate: op.rate, site: op.site },
        Op::Scale(op) => format::Op::Scale { factor: op.factor },
        Op::Add(_) => format::Op::Add,
        Op::SelectRows(_) => format::Op::SelectRows,
        Op::ScatterRows(op) => format::Op::ScatterRows { total: op.total },
        Op::CrossEntropy(CrossEntropy { z_loss, label_smoothing, focal }) => {
            format::Op::CrossEntropy { z_loss: *z_loss, label_smoothing: *label_smoothing, focal: *focal }
        }
        Op::CrossEntropyGradient(CrossEntropyGradient(CrossEntropy { z_loss, label_smoothing, focal })) => {
            format::Op::CrossEntropyGradient { z_loss: *z_loss, label_smoothing: *label_smoothing, focal: *focal }
        }
        Op::SumSquares(_) => format::Op::SumSquares,
        Op::ClipFactor(op) => format::Op::ClipFactor { max: op.max },
        Op::AdamW(op) => format::Op::AdamW { betas: op.betas, eps: op.eps, weight_decay: op.weight_decay },
        Op::Adam(op) => format::Op::Adam { betas: op.betas, eps: op.eps, weight_decay: op.weight_decay },
        Op::RAdam(op) => format::Op::RAdam { betas: op.betas, eps: op.eps, weight_decay: op.weight_decay },
        Op::Lamb(op) => format::Op::Lamb { betas: op.betas, eps: op.eps, weight_decay: op.weight_decay },
        Op::Lion(op) => format::Op::Lion { betas: op.betas, weight_decay: op.weight_decay },
        Op::Adafactor(op) => format::Op::Adafactor {
            decay_rate: op.decay_rate,
            eps: op.eps,
            threshold: op.threshold,
            momentum: op.momentum,
            weight_decay: op.weight_decay,
            factored: op.factored,
        },
        Op::Muon(op) => {
            format::Op::Muon { momentum: op.momentum, nesterov: op.nesterov, rate: op.rate, weight_decay: op.weight_decay }
        }
        Op::Sgd(op) => format::Op::Sgd { momentum: op.momentum, nesterov: op.nesterov, weight_decay: op.weight_decay },
    }
}

/// Rate and site.
fn dropout(dropout: Option<Dropout>) -> Option<(f64, u32)> {
    dropout.map(|dropout| (dropout.rate, dropout.site))
}

fn function(function: Function) -> format::Function {
    match function {
        Function::Gelu => format::Function::Gelu,
        Function::GeluTanh => format::Function::GeluTanh,
        Function::Relu => format::Function::Relu,
        Function::SquaredRelu => format::Function::SquaredRelu,
        Function::Silu => format::Function::Silu,
        Function::Sigmoid => format::Function::Sigmoid,
        Function::Tanh => format::Function::Tanh,
    }
}

fn tensor(tensor: &Tensor) -> format::Tensor {
    format::Tensor {
        shape: tensor.ty.shape.to_vec(),
        dtype: match tensor.ty.dtype {
            DType::F32 => format::DType::F32,
            DType::I32 => format::DType::I32,
        },
        role: match tensor.role {
            Role::Weight(id) => format::Role::Weight(id.0),
            Role::Gradient(id) => format::Role::Gradient(id.0),
            Role::FirstMoment(id) => format::Role::FirstMoment(id.0),
            Role::SecondMoment(id) => format::Role::SecondMoment(id.0),
            Role::RowMoment(id) => format::Role::RowMoment(id.0),
            Role::ColumnMoment(id) => format::Role::ColumnMoment(id.0),
            Role::PositionTable => format::Role::PositionTable,
            Role::Input(Input::Tokens) => format::Role::Tokens,
            Role::Input(Input::Rows) => format::Role::Rows,
            Role::Input(Input::Labels) => format::Role::Labels,
            Role::Input(Input::Weights) => format::Role::LossWeights,
            Role::Activation => format::Role::Activation,
        },
    }
}
