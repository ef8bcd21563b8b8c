//! No switch is silently ignored: each field and each choice of the schema is changed alone, by one line, and what its documentation says
//! changes. A test enumerates the schema, so that a new field without a line here fails.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use common::{costed, machine, small};
use cramplan::check::Costed;
use cramplan::recipe::explain::entries;
use cramplan::recipe::schedule::Moment;
use cramplan::step::Walk;
use cramplan::step::graph::Pass;
use cramplan::step::parameter::Init;

/// What is changed: the path in the schema, the change, what it is changed from beside the base, and what is seen of it.
struct Line(&'static str, &'static str, &'static [&'static str], &'static str);

/// Everything that a recipe comes to, one thing a line, with how often it is there.
fn seen(costed: &Costed) -> BTreeMap<String, i64> {
    let mut all: BTreeMap<String, i64> = BTreeMap::new();
    let mut see = |text: String| *all.entry(text).or_default() += 1;
    let graphs = costed.graphs();
    for walk in [Walk::First, Walk::Update, Walk::Evaluate] {
        let graph = graphs.walk(walk);
        for node in graph.nodes().filter(|node| node.pass != Pass::Backward) {
            let shapes: Vec<_> = node.inputs.iter().map(|id| graph.ty(*id).shape).collect();
            if walk == Walk::First {
                let made = node.inputs.iter().filter_map(|id| graph.producer(*id)).map(|made| made.op.rule().name());
                see(format!("order: {} reads {}", node.op.rule().name(), made.collect::<Vec<_>>().join(", ")));
            }
            let pass = if walk == Walk::Evaluate { "evaluation" } else { node.pass.name() };
            see(format!("{pass}: {} {:?} of {shapes:?}", node.op.rule().name(), node.op));
        }
    }
    for (_, p) in graphs.parameters.iter() {
        let first = match p.init {
            Init::Normal { std } => format!("N(0, {std:.4}²)"),
            Init::Constant(x) => format!("{x:.4}"),
        };
        see(format!("parameter {} {:?} decays {} begins at {first}", p.part, p.shape, p.decays));
    }
    let recipe = &costed.recipe;
    for progress in [0.0, 0.05, 0.3, 0.5, 0.7, 0.95] {
        let steps = (progress * 40.0) as u64;
        let (seconds, micro_steps) = (60.0 * progress, 2 * steps);
        let moment = Moment { progress, seconds, steps, micro_steps, tokens: 128 * micro_steps };
        let accumulation = recipe.accumulation(&moment, 4);
        see(format!("rate at {progress} is {:.6e}", recipe.rate(&moment)));
        see(format!("batch at {progress} is {} micro-batches", recipe.accumulation(&moment, 4)));
        see(format!("the loss at {progress} is divided by {}", recipe.divisor(&moment, accumulation, 4)));
    }
    let run = &costed.estimate.run;
    see(format!("run of {} steps, {} evaluations, {} checkpoints", run.steps, run.evaluations, run.checkpoints));
    see(format!("micro-batch of {}", costed.estimate.micro_batch));
    see(format!("limit {}", costed.estimate.limit));
    see(format!(
        "masks {:?} of {}, special ones too: {}",
        recipe.mask_counts(),
        recipe.objective.rate,
        !recipe.objective.protect_special
    ));
    all
}

/// What is there more (+) or less (−) often, line by line.
fn difference(before: &Costed, after: &Costed) -> String {
    let (before, after) = (seen(before), seen(after));
    let mut text = String::new();
    for line in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let change = after.get(line).unwrap_or(&0) - before.get(line).unwrap_or(&0);
        if change != 0 {
            writeln!(text, "{change:+} {line}").unwrap();
        }
    }
    text
}

/// Every field and choice of the schema that a plan shows.
#[rustfmt::skip]
const LINES: &[Line] = &[
    Line("budget.time", "budget.time=100ms", &[], "-1 run of 40 steps"),
    Line("budget.tokens", "budget.tokens=1000", &[], "-1 run of 40 steps"),
    Line("budget.steps", "budget.steps=20", &[], "+1 run of 20 steps"),
    Line("budget.flops", "budget.flops=1GFLOP", &[], "-1 run of 40 steps"),
    Line("budget.memory", "budget.memory=1GiB", &[], "+1 limit 1.00 GiB"),
    Line("data.tokenizer.WordPiece.vocab", "data.tokenizer.vocab=600", &[], "+1 parameter embedding.word [600, 32]"),
    Line("model.width", "model.width=48", &[], "+1 parameter embedding.word [512, 48]"),
    Line("model.depth", "model.depth=3", &[], "+1 parameter attention.query"),
    Line("model.heads", "model.heads=2", &[], "+2 forward: attention Attention(Attention { heads: 2"),
    Line("model.sequence", "model.sequence=16", &[], "+2 forward: attention Attention(Attention { heads: 4, sequence: 16"),
    Line("model.feed_forward", "model.feed_forward=Mlp(64)", &[], "+2 parameter feed_forward.input [32, 64]"),
    Line("model.feed_forward.Glu", "model.feed_forward=Glu(64)", &["model.feed_forward=Mlp(64)"], "+2 forward: GELU-GLU"),
    Line("model.feed_forward.Glu.intermediate", "model.feed_forward.intermediate=96", &[], "+2 parameter feed_forward.gate [32, 48]"),
    Line("model.feed_forward.Glu.activation", "model.feed_forward.activation=Tanh", &[], "+2 forward: tanh-GLU"),
    Line("model.feed_forward.Mlp", "model.feed_forward=Mlp(64)", &[], "+2 forward: GELU Activate"),
    Line("model.feed_forward.Mlp.intermediate", "model.feed_forward.intermediate=65", &["model.feed_forward=Mlp(64)"], "+2 parameter feed_forward.output [65, 32]"),
    Line("model.feed_forward.Mlp.activation", "model.feed_forward.activation=Relu", &["model.feed_forward=Mlp(64)"], "+2 forward: ReLU"),
    Line("model.feed_forward.Glu.activation.Gelu", "model.feed_forward.activation=Gelu", &["model.feed_forward.activation=Relu"], "+2 forward: GELU-GLU"),
    Line("model.feed_forward.Glu.activation.GeluTanh", "model.feed_forward.activation=GeluTanh", &[], "+2 forward: tanh-GELU-GLU"),
    Line("model.feed_forward.Glu.activation.Relu", "model.feed_forward.activation=Relu", &[], "+2 forward: ReLU-GLU"),
    Line("model.feed_forward.Glu.activation.SquaredRelu", "model.feed_forward.activation=SquaredRelu", &[], "+2 forward: squared-ReLU-GLU"),
    Line("model.feed_forward.Glu.activation.Silu", "model.feed_forward.activation=Silu", &[], "+2 forward: SiLU-GLU"),
    Line("model.feed_forward.Glu.activation.Sigmoid", "model.feed_forward.activation=Sigmoid", &[], "+2 forward: GLU"),
    Line("model.feed_forward.Glu.activation.Tanh", "model.feed_forward.activation=Tanh", &[], "+2 forward: tanh-GLU"),
    Line("model.feed_forward.Mlp.activation.Gelu", "model.feed_forward=Mlp(intermediate: 64, activation: Gelu)", &["model.feed_forward=Mlp(intermediate: 64, activation: Relu)"], "+2 forward: GELU"),
    Line("model.feed_forward.Mlp.activation.GeluTanh", "model.feed_forward=Mlp(intermediate: 64, activation: GeluTanh)", &["model.feed_forward=Mlp(64)"], "+2 forward: tanh GELU"),
    Line("model.feed_forward.Mlp.activation.Relu", "model.feed_forward=Mlp(intermediate: 64, activation: Relu)", &["model.feed_forward=Mlp(64)"], "+2 forward: ReLU"),
    Line("model.feed_forward.Mlp.activation.SquaredRelu", "model.feed_forward=Mlp(intermediate: 64, activation: SquaredRelu)", &["model.feed_forward=Mlp(64)"], "+2 forward: squared ReLU"),
    Line("model.feed_forward.Mlp.activation.Silu", "model.feed_forward=Mlp(intermediate: 64, activation: Silu)", &["model.feed_forward=Mlp(64)"], "+2 forward: SiLU"),
    Line("model.feed_forward.Mlp.activation.Sigmoid", "model.feed_forward=Mlp(intermediate: 64, activation: Sigmoid)", &["model.feed_forward=Mlp(64)"], "+2 forward: sigmoid"),
    Line("model.feed_forward.Mlp.activation.Tanh", "model.feed_forward=Mlp(intermediate: 64, activation: Tanh)", &["model.feed_forward=Mlp(64)"], "+2 forward: tanh"),
    Line("model.attention", "model.attention=Softmax(causal: true)", &[], "causal: true"),
    Line("model.attention.Softmax", "model.attention=Softmax()", &["model.attention=Softmax(causal: true)"], "causal: false"),
    Line("model.attention.Softmax.causal", "model.attention.causal=true", &[], "causal: true"),
    Line("model.norm", "model.norm=RmsNorm()", &[], "+6 forward: RMS norm"),
    Line("model.norm.LayerNorm", "model.norm=LayerNorm()", &["model.norm=RmsNorm()"], "+6 forward: layer norm"),
    Line("model.norm.LayerNorm.eps", "model.norm.eps=1e-3", &[], "+6 forward: layer norm LayerNorm(LayerNorm { eps: 0.001"),
    Line("model.norm.RmsNorm", "model.norm=RmsNorm()", &[], "+6 forward: RMS norm"),
    Line("model.norm.RmsNorm.eps", "model.norm.eps=1e-3", &["model.norm=RmsNorm()"], "eps: 0.001, factor: 1.0"),
    Line("model.norm.ScaleNorm", "model.norm=ScaleNorm()", &[], "+1 parameter final_norm.gain [1] decays false begins at 5.6569"),
    Line("model.norm.ScaleNorm.eps", "model.norm.eps=0.8", &["model.norm=ScaleNorm()"], "eps: 0.020000000000000004, factor: 0.17677"),
    Line("model.placement", "model.placement=PostNorm", &[], "+3 order: add reads matrix product, layer norm"),
    Line("model.placement.PreNorm", "model.placement=PreNorm", &["model.placement=Sandwich"], "-2 parameter attention_out_norm.gain"),
    Line("model.placement.PostNorm", "model.placement=PostNorm", &["model.placement=DeepNorm"], "-4 forward: scale"),
    Line("model.placement.Sandwich", "model.placement=Sandwich", &[], "+2 parameter feed_forward_out_norm.gain"),
    Line("model.placement.DeepNorm", "model.placement=DeepNorm", &[], "+4 forward: scale Scale(Scale { factor: 1.414"),
    Line("model.biases", "model.biases=Biases(qkv: true)", &[], "+6 forward: add bias"),
    Line("model.biases.qkv", "model.biases.qkv=true", &[], "+2 parameter attention.key_bias [32] decays false begins at 0.0000"),
    Line("model.biases.dense", "model.biases.dense=true", &[], "+2 parameter feed_forward.gate_bias [32]"),
    Line("model.biases.decoder", "model.biases.decoder=true", &[], "+1 parameter head.decoder_bias [512]"),
    Line("model.positions", "model.positions=NoPositions", &[], "-1 forward: add position"),
    Line("model.positions.ScaledSinusoidal", "model.positions=ScaledSinusoidal", &["model.positions=Sinusoidal"], "+1 parameter embedding.position_scale [1]"),
    Line("model.positions.Sinusoidal", "model.positions=Sinusoidal", &[], "+1 forward: add table AddTable(AddTable { period: 32 })"),
    Line("model.positions.Learned", "model.positions=Learned()", &[], "+1 parameter embedding.position [32, 32]"),
    Line("model.positions.Learned.length", "model.positions.length=40", &["model.positions=Learned()"], "+1 parameter embedding.position [40, 32]"),
    Line("model.positions.Rotary", "model.positions=Rotary()", &[], "+4 forward: rotate"),
    Line("model.positions.NoPositions", "model.positions=NoPositions", &[], "-1 parameter embedding.position_scale"),
    Line("model.token_types", "model.token_types=2", &[], "+1 parameter embedding.token_type [2, 32]"),
    Line("model.embedding", "model.embedding=Embedding(tied: false)", &[], "+1 parameter head.decoder"),
    Line("model.embedding.table_width", "model.embedding.table_width=8", &[], "+1 parameter embedding.projection [8, 32]"),
    Line("model.embedding.input_norm", "model.embedding.input_norm=false", &[], "-1 parameter embedding.norm.gain"),
    Line("model.embedding.tied", "model.embedding.tied=false", &[], "+1 parameter head.decoder [512, 32]"),
    Line("model.head", "model.head=Head(final_norm: false)", &[], "-1 parameter final_norm.gain"),
    Line("model.head.final_norm", "model.head.final_norm=false", &[], "-1 forward: layer norm"),
    Line("model.head.transform", "model.head.transform=Projected", &[], "+1 parameter head.transform [32, 32]"),
    Line("model.head.transform.Skipped", "model.head.transform=Skipped", &["model.head.transform=Projected"], "-1 parameter head.transform"),
    Line("model.head.transform.Projected", "model.head.transform=Projected", &[], "+1 forward: matrix product"),
    Line("model.head.transform.Nonlinear", "model.head.transform=Nonlinear", &[], "+1 parameter head.norm.gain"),
    Line("model.dropout", "model.dropout=Dropout(branches: 10%)", &[], "forward: dropout"),
    Line("model.dropout.inputs", "model.dropout.inputs=10%", &[], "+1 forward: dropout Dropout(Dropout { rate: 0.1, site: 0 })"),
    Line("model.dropout.probabilities", "model.dropout.probabilities=10%", &[], "dropout: Some(Dropout { rate: 0.1, site: 4 })"),
    Line("model.dropout.branches", "model.dropout.branches=10%", &[], "+1 forward: dropout Dropout(Dropout { rate: 0.1, site: 6 })"),
    Line("model.init", "model.init=Small", &[], "begins at N(0, 0.1118²)"),
    Line("model.init.Normal", "model.init=Normal()", &["model.init=Small"], "begins at N(0, 0.0200²)"),
    Line("model.init.Normal.std", "model.init.std=0.5", &[], "begins at N(0, 0.5000²)"),
    Line("model.init.Small", "model.init=Small", &[], "begins at N(0, 0.1118²)"),
    Line("model.init.Megatron", "model.init=Megatron", &[], "begins at N(0, 0.1021²)"),
    Line("model.init.Wang", "model.init=Wang", &[], "begins at N(0, 0.1768²)"),
    Line("model.init.DeepNorm", "model.init=DeepNorm", &[], "begins at N(0, 0.5000²)"),
    Line("objective.rate", "objective.rate=50%", &[], "of [[64, 512], [64], [64]]"),
    Line("objective.prediction", "objective.prediction=Dense()", &[], "-1 forward: select rows"),
    Line("objective.prediction.Sparse", "objective.prediction=Sparse()", &["objective.prediction=Dense()"], "+1 forward: select rows"),
    Line("objective.prediction.Sparse.share", "objective.prediction=Sparse(50%)", &[], "of [[64, 512], [64], [64]]"),
    Line("objective.prediction.Dense", "objective.prediction=Dense()", &[], "of [[128, 512], [128], [128]]"),
    Line("objective.protect_special", "objective.protect_special=false", &[], "special ones too: true"),
    Line("objective.loss", "objective.loss=Focal()", &[], "focal: 5.0"),
    Line("objective.loss.CrossEntropy", "objective.loss=CrossEntropy()", &["objective.loss=Focal()"], "+1 forward: cross entropy CrossEntropy(CrossEntropy { z_loss: 0.0, label_smoothing: 0.0, focal: 0.0 })"),
    Line("objective.loss.CrossEntropy.z_loss", "objective.loss.z_loss=0.1", &[], "z_loss: 0.1"),
    Line("objective.loss.CrossEntropy.label_smoothing", "objective.loss.label_smoothing=10%", &[], "label_smoothing: 0.1"),
    Line("objective.loss.Focal", "objective.loss=Focal()", &[], "focal: 5.0"),
    Line("objective.loss.Focal.gamma", "objective.loss.gamma=2", &["objective.loss=Focal()"], "focal: 2.0"),
    Line("batch", "batch=Constant(8)", &[], "+1 batch at 0 is 2 micro-batches"),
    Line("batch.Ramp", "batch=Ramp(to: 8, until: 100%)", &["batch=Constant(8)"], "+1 batch at 0 is 1 micro-batches"),
    Line("batch.Ramp.to", "batch.to=32", &[], "+1 batch at 0.95 is 8 micro-batches"),
    Line("batch.Ramp.until", "batch.until=90%", &[], "+1 batch at 0.3 is 2 micro-batches"),
    Line("batch.Constant", "batch=Constant(8)", &[], "+1 batch at 0 is 2 micro-batches"),
    Line("batch.Constant.size", "batch.size=16", &["batch=Constant(8)"], "+1 batch at 0 is 4 micro-batches"),
    Line("micro_batch", "micro_batch=2", &[], "+1 micro-batch of 2"),
    Line("recompute", "recompute=Blocks()", &[], "recompute: attention"),
    Line("recompute.Auto", "recompute=Auto", &["recompute=Blocks()"], "-2 recompute: attention"),
    Line("recompute.Nothing", "recompute=Nothing", &["recompute=Blocks()"], "-2 recompute: attention"),
    Line("recompute.Blocks", "recompute=Blocks()", &[], "+2 recompute: attention"),
    Line("recompute.Parts", "recompute=Parts(attention: 50%)", &[], "+1 recompute: attention"),
    Line("recompute.Parts.norms", "recompute=Parts(norms: 100%)", &[], "+4 recompute: layer norm"),
    Line("recompute.Parts.gates", "recompute=Parts(gates: 100%)", &[], "+2 recompute: GELU-GLU"),
    Line("recompute.Parts.attention", "recompute=Parts(attention: 100%)", &[], "+2 recompute: attention"),
    Line("recompute.Parts.projections", "recompute=Parts(projections: 100%)", &[], "recompute: matrix product"),
    Line("recompute.Parts.residuals", "recompute=Parts(residuals: 100%)", &[], "+2 recompute: add"),
    Line("evaluation", "evaluation=Evaluation(every: 10%)", &[], "10 evaluations"),
    Line("evaluation.every", "evaluation.every=10%", &[], "10 evaluations"),
    Line("checkpoint", "checkpoint=Checkpoint(every: 10%)", &[], "10 checkpoints"),
    Line("checkpoint.every", "checkpoint.every=10%", &[], "10 checkpoints"),
];

#[test]
fn each_switch_changes_what_its_documentation_says() {
    let text = small("steps: 40", "");
    let mut failures = String::new();
    for Line(path, change, from, shows) in LINES {
        let before = costed(&text, from, machine());
        let after = costed(&text, &[*from, &[*change]].concat(), machine());
        let difference = difference(&before, &after);
        if !difference.lines().any(|line| line.contains(shows)) {
            writeln!(failures, "{path}: {change} does not show `{shows}` but\n{difference}").unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// What a plan does not show, and which test shows it.
const ELSEWHERE: &[(&str, &str)] = &[
    ("name", "tests/run.rs: the run's directory"),
    ("seed", "src/rng.rs and tests/run.rs: other draws"),
    ("budget.device", "tests/devices.rs"),
    ("data.sources", "src/data/source.rs"),
    ("data.tokenizer", "src/data/tokenizer.rs"),
    ("data.normalize", "src/data/normalize.rs"),
    ("data.validation", "src/data/tests.rs"),
    ("counting", "tests/golden.rs"),
    ("optimizer", "src/step/optimizer.rs: each field of each optimizer"),
    ("lr", "tests/golden.rs and src/recipe/schedule/tests.rs: each schedule"),
    ("model.positions.Rotary.theta", "src/exec/state.rs: the table of rotations"),
    ("evaluation.sequences", "src/data/tests.rs"),
    ("checkpoint.keep", "src/ledger/checkpoint.rs"),
];

#[test]
fn every_switch_of_the_schema_is_here() {
    let lines: BTreeSet<&str> = LINES.iter().map(|line| line.0).collect();
    let elsewhere = |path: &str| ELSEWHERE.iter().any(|(there, _)| path == *there || path.starts_with(&format!("{there}.")));
    let is_struct = |path: &str| matches!(path, "budget" | "data" | "model" | "objective");
    let all: Vec<String> = entries().iter().map(cramplan::recipe::explain::Entry::path).collect();
    let missing: Vec<&String> =
        all.iter().filter(|path| !lines.contains(path.as_str()) && !elsewhere(path) && !is_struct(path)).collect();
    assert_eq!(missing, Vec::<&String>::new());
    let unknown: Vec<&&str> = lines.iter().filter(|path| !all.iter().any(|known| known == **path)).collect();
    assert_eq!(unknown, Vec::<&&str>::new());
}
