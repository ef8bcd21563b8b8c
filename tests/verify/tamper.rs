//! The ways in which certificates are tampered with: each has a name, the law that must be named, and the change.

use cramplan::units::{Bytes, FlopRate, Flops, Ratio, Seconds, Tokens};
use cramplan::verify::format::{Content, DType, Limit, Op, Operation, Pass, Place, Role, Stage, WalkName};
use cramplan::verify::recipe::{
    Activation, Attention, Batch, Decay, FeedForward, Interval, Loss, MicroBatch, Norm, Optimizer, Placement, Portion, Positions,
    Prediction, Tokenizer, Transform,
};

use WalkName::{Evaluate, First, Further, Update};

/// A way to tamper with a content; it gives nothing where it does not apply.
pub struct Tampering {
    /// What is done.
    pub name: &'static str,
    /// The law that catches it.
    pub law: &'static str,
    /// How it is done.
    pub change: fn(&mut Content) -> Option<()>,
}

pub const fn t(name: &'static str, law: &'static str, change: fn(&mut Content) -> Option<()>) -> Tampering {
    Tampering { name, law, change }
}

/// Whether the device is a card with the catalog's numbers, none of the user's.
fn is_listed(c: &Content) -> bool {
    c.processor.is_none() && !c.device.memory.source.contains("devices.ron")
}

/// The first operation of a name in a walk.
pub fn op<'a>(c: &'a mut Content, walk: WalkName, name: &str) -> Option<&'a mut Operation> {
    c.walks[walk as usize].operations.iter_mut().find(|o| o.op.name() == name)
}

fn at(c: &Content, walk: WalkName, name: &str) -> Option<usize> {
    c.walks[walk as usize].operations.iter().position(|o| o.op.name() == name)
}

/// Turns the shape of the first output of the first operation of a name around.
fn turn(c: &mut Content, walk: WalkName, name: &str) -> Option<()> {
    let id = op(c, walk, name)?.outputs[0] as usize;
    let shape = &mut c.walks[walk as usize].tensors[id].shape;
    shape.reverse();
    (shape.first() != shape.last()).then_some(())
}

/// Moves a death to another operation.
fn move_death(c: &mut Content, walk: WalkName, from: usize, to: usize) -> Option<()> {
    let operations = &mut c.walks[walk as usize].operations;
    let id = operations[from].dies.pop()?;
    operations.get_mut(to)?.dies.push(id);
    Some(())
}

/// The first operation after which an activation dies that is not written over.
fn death(c: &Content, walk: WalkName) -> Option<usize> {
    let operations = &c.walks[walk as usize].operations;
    operations.iter().position(|o| o.dies.last().is_some_and(|id| o.in_place.iter().all(|(a, _)| a != id)))
}

fn swap(c: &mut Content, walk: WalkName, a: usize, b: usize) -> Option<()> {
    c.walks[walk as usize].operations.swap(a, b);
    Some(())
}

/// Tamperings of single statements, or of a few that belong together.
pub const TAMPERINGS: &[Tampering] = &[
    // The recipe's fields against what follows from them.
    t("the recipe is a block deeper", "extents", |c| Some(c.recipe.model.depth += 1)),
    t("the recipe is wider", "extents", |c| Some(c.recipe.model.width += c.recipe.model.heads)),
    t("the recipe has twice the heads", "extents", |c| Some(c.recipe.model.heads *= 2)),
    t("the recipe's sequence is longer", "extents", |c| Some(c.recipe.model.sequence += 8)),
    t("the recipe's gate is wider", "extents", |c| {
        let (FeedForward::Glu { intermediate, .. } | FeedForward::Mlp { intermediate, .. }) = &mut c.recipe.model.feed_forward;
        Some(*intermediate += 2)
    }),
    t("the recipe's vocabulary is larger", "extents", |c| {
        let Tokenizer::WordPiece { vocab } = &mut c.recipe.data.tokenizer;
        Some(*vocab += 1)
    }),
    t("more rows are predicted", "extents", |c| {
        let Prediction::Sparse { share } = &mut c.recipe.objective.prediction else { return None };
        *share = Some(Ratio(0.5));
        Some(())
    }),
    t("fewer rows are predicted than the share says", "extents", |c| Some(c.extents.predicted -= 1)),
    t("sparse prediction is said to be dense", "extents", |c| {
        let sparse = matches!(c.recipe.objective.prediction, Prediction::Sparse { .. });
        c.recipe.objective.prediction = Prediction::Dense {};
        sparse.then_some(())
    }),
    t("heads that do not divide the width", "extents", |c| {
        (c.recipe.model.heads, c.extents.heads) = (c.extents.width - 1, c.extents.width - 1);
        Some(())
    }),
    t("the norm's epsilon is another", "model", |c| {
        let (Norm::LayerNorm { eps } | Norm::RmsNorm { eps } | Norm::ScaleNorm { eps }) = &mut c.recipe.model.norm;
        Some(*eps = 1e-5)
    }),
    t("the norms are of another kind", "parameters", |c| {
        let scale = matches!(c.recipe.model.norm, Norm::ScaleNorm { .. });
        Some(c.recipe.model.norm = if scale { Norm::LayerNorm { eps: 1e-6 } } else { Norm::ScaleNorm { eps: 1e-6 } })
    }),
    t("the norms stand elsewhere", "model", |c| {
        let pre = matches!(c.recipe.model.placement, Placement::PreNorm {});
        let post = matches!(c.recipe.model.placement, Placement::PostNorm {});
        let other = if pre { Placement::PostNorm {} } else { Placement::DeepNorm {} };
        (pre || post).then(|| c.recipe.model.placement = other)
    }),
    t("there is a second norm in each half", "parameters", |c| {
        let sandwich = matches!(c.recipe.model.placement, Placement::Sandwich {});
        Some(c.recipe.model.placement = if sandwich { Placement::PreNorm {} } else { Placement::Sandwich {} })
    }),
    t("queries, keys and values have a bias, or none", "parameters", |c| Some(c.recipe.model.biases.qkv ^= true)),
    t("the other projections have a bias, or none", "parameters", |c| Some(c.recipe.model.biases.dense ^= true)),
    t("the decoder has a bias, or none", "parameters", |c| Some(c.recipe.model.biases.decoder ^= true)),
    t("the decoder is another table, or the same", "parameters", |c| Some(c.recipe.model.embedding.tied ^= true)),
    t("there is a norm after the embedding, or none", "parameters", |c| Some(c.recipe.model.embedding.input_norm ^= true)),
    t("there is a norm at the end, or none", "parameters", |c| Some(c.recipe.model.head.final_norm ^= true)),
    t("the word table is narrower", "parameters", |c| {
        let width = c.recipe.model.embedding.table_width.unwrap_or(c.recipe.model.width);
        Some(c.recipe.model.embedding.table_width = Some(width / 2))
    }),
    t("there is one type of token more", "parameters", |c| Some(c.recipe.model.token_types += 1)),
    t("attention looks only back, or both ways", "model", |c| {
        let Attention::Softmax { causal } = &mut c.recipe.model.attention;
        Some(*causal ^= true)
    }),
    t("the activation is another", "model", |c| {
        let (FeedForward::Glu { activation, .. } | FeedForward::Mlp { activation, .. }) = &mut c.recipe.model.feed_forward;
        let tanh = matches!(activation, Activation::Tanh {});
        Some(*activation = if tanh { Activation::Relu {} } else { Activation::Tanh {} })
    }),
    t("positions are not told at all", "model", |c| {
        let told = !matches!(c.recipe.model.positions, Positions::NoPositions {});
        told.then(|| c.recipe.model.positions = Positions::NoPositions {})
    }),
    t("the head has a transform, or none", "parameters", |c| {
        let skipped = matches!(c.recipe.model.head.transform, Transform::Skipped {});
        Some(c.recipe.model.head.transform = if skipped { Transform::Nonlinear {} } else { Transform::Skipped {} })
    }),
    t("the loss is another", "model", |c| {
        Some(c.recipe.objective.loss = Loss::CrossEntropy { z_loss: 0.5, label_smoothing: Ratio(0.25) })
    }),
    t("the clip is another", "model", |c| {
        let Optimizer::AdamW { clip, .. } = &mut c.recipe.optimizer else { return None };
        Some(*clip = Some(7.0))
    }),
    t("the decay rates are others", "model", |c| {
        let Optimizer::AdamW { betas, .. } = &mut c.recipe.optimizer else { return None };
        Some(betas.1 = 0.999)
    }),
    t("the weight decay is another", "model", |c| {
        let Optimizer::AdamW { weight_decay, .. } = &mut c.recipe.optimizer else { return None };
        Some(*weight_decay = 0.1)
    }),
    t("the optimizer's epsilon is another", "model", |c| {
        let Optimizer::AdamW { eps, .. } = &mut c.recipe.optimizer else { return None };
        Some(*eps = 1e-8)
    }),
    t("other parameters decay", "parameters", |c| {
        let Optimizer::AdamW { decay, .. } = &mut c.recipe.optimizer else { return None };
        *decay = if *decay == (Decay::Everything {}) { Decay::ExceptNorms {} } else { Decay::Everything {} };
        Some(())
    }),
    t("the gate's projection is of an odd width", "extents", |c| {
        let (FeedForward::Glu { intermediate, .. } | FeedForward::Mlp { intermediate, .. }) = &mut c.recipe.model.feed_forward;
        Some(*intermediate += 1)
    }),
    // Parameters.
    t("a parameter is missing from the total", "parameters", |c| Some(c.counts.total -= 1)),
    t("the embedding is smaller in the count", "parameters", |c| Some(c.counts.embedding -= 1)),
    t("the rest is larger in the count", "parameters", |c| Some(c.counts.non_embedding += 1)),
    t("more parameters decay in the count", "parameters", |c| Some(c.counts.decayed += 1)),
    t("a parameter's shape is transposed", "parameters", |c| Some(c.parameters[0].shape.reverse())),
    t("a parameter has another name", "parameters", |c| Some(c.parameters[6].name.push('x'))),
    t("two parameters have changed names", "parameters", |c| {
        let name = c.parameters[6].name.clone();
        c.parameters[6].name = std::mem::replace(&mut c.parameters[7].name, name);
        Some(())
    }),
    t("a parameter does not decay", "parameters", |c| Some(c.parameters[0].decays = false)),
    t("the last parameter is left out", "parameters", |c| c.parameters.pop().map(|_| ())),
    // The device.
    t("the card's bandwidth is higher", "device", |c| is_listed(c).then(|| c.device.bandwidth.value.0 *= 2.0)),
    t("the card's peak is higher", "device", |c| is_listed(c).then(|| c.device.peaks.f32.value = FlopRate(1e15))),
    t("the card has more memory", "device", |c| is_listed(c).then(|| c.device.memory.value += Bytes::gib(1))),
    t("the card's process takes less", "device", |c| is_listed(c).then(|| c.device.overhead.value = Bytes(0))),
    t("the card is more efficient", "device", |c| is_listed(c).then(|| c.device.efficiency.value = 0.99)),
    t("the card launches faster", "device", |c| is_listed(c).then(|| c.device.launch.value = Seconds(1e-6))),
    t("a source of the card is another", "device", |c| is_listed(c).then(|| c.device.peaks.f32.source = "hearsay".into())),
    t("the card is called another card", "device", |c| is_listed(c).then(|| c.device.name = "rtx-4090".into())),
    t("a rate is no number", "device", |c| Some(c.device.peaks.f32.value = FlopRate(f64::NAN))),
    t("a rate is infinite", "device", |c| Some(c.device.bandwidth.value.0 = f64::INFINITY)),
    t("a processor is named for a card", "device", |c| c.processor.is_none().then(|| c.processor = Some("x".into()))),
    t("no processor is named", "device", |c| c.processor.take().map(|_| ())),
    t("a CPU is called a card", "device", |c| c.processor.is_some().then(|| c.device.name = "rtx-4090".into())),
    t("a CPU has more threads", "workspace", |c| match &mut c.device.kind {
        cramplan::device::DeviceKind::Cpu { threads } => Some(*threads += 1),
        cramplan::device::DeviceKind::Cuda | cramplan::device::DeviceKind::Rocm => None,
    }),
    // Order.
    t("two dependent operations change places", "order", |c| swap(c, First, 0, 1)),
    t("the loss comes before the logits", "order", |c| {
        let i = at(c, First, "CrossEntropy")?;
        swap(c, First, i - 1, i)
    }),
    t("a parameter is updated before the norm is known", "order", |c| {
        let i = at(c, Update, "ClipFactor")?;
        swap(c, Update, i, i + 1)
    }),
    t("a tensor is made twice", "order", |c| {
        let first = c.walks[0].operations[0].outputs[0];
        Some(c.walks[0].operations[1].outputs[0] = first)
    }),
    t("an operation reads what is made later", "order", |c| {
        let last = *c.walks[0].operations.last()?.outputs.first()?;
        Some(c.walks[0].operations[2].inputs[0] = last)
    }),
    t("an operation makes a weight", "order", |c| {
        let weight = c.walks[0].operations[0].inputs[0];
        c.walks[0].operations[1].outputs[0] = weight;
        c.walks[0].operations[2].outputs[0] = weight;
        Some(())
    }),
    t("an operation reads a tensor that is not there", "number", |c| Some(c.walks[1].operations[0].inputs[0] = 1 << 30)),
    t("a tensor that is not there dies", "number", |c| Some(c.walks[1].operations[0].dies.push(1 << 30))),
    t("a tensor that is not there holds memory", "number", |c| Some(c.walks[1].peak.holders[0].0 = 1 << 30)),
    t("a role of no parameter", "number", |c| Some(c.walks[1].tensors[0].role = Role::Weight(1 << 30))),
    t("a peak at no operation", "number", |c| Some(c.walks[2].peak.operation = 1 << 30)),
    t("a walk is left out", "number", |c| c.walks.pop().map(|_| ())),
    t("two walks change places", "number", |c| Some(c.walks.swap(0, 1))),
    // Shapes and roles.
    t("the logits are transposed", "shape", |c| {
        let i = at(c, First, "CrossEntropy")?;
        let id = c.walks[0].operations[i].inputs[0] as usize;
        Some(c.walks[0].tensors[id].shape.reverse())
    }),
    t("an activation is transposed", "shape", |c| turn(c, First, "Embedding")),
    t("a gradient is transposed", "shape", |c| turn(c, First, "GateGradient")),
    t("the gate's result is narrower", "shape", |c| {
        let id = op(c, Evaluate, "Gate")?.outputs[0] as usize;
        Some(c.walks[3].tensors[id].shape[1] -= 1)
    }),
    t("probabilities have fewer heads", "shape", |c| {
        let id = op(c, Evaluate, "Attention")?.outputs[1] as usize;
        Some(c.walks[3].tensors[id].shape[1] /= 2)
    }),
    t("an activation is of whole numbers", "shape", |c| {
        let id = op(c, First, "Embedding")?.outputs[0] as usize;
        Some(c.walks[0].tensors[id].dtype = DType::I32)
    }),
    t("a product's operand is not transposed", "shape", |c| {
        let o = c.walks[0].operations.iter_mut().rev().find(|o| matches!(o.op, Op::MatMul { transpose_a: true, .. }))?;
        Some(o.op = Op::MatMul { transpose_a: false, transpose_b: false })
    }),
    t("rows are scattered into fewer", "shape", |c| {
        let Op::ScatterRows { total } = &mut op(c, First, "ScatterRows")?.op else { return None };
        Some(*total -= 1)
    }),
    t("token ids are floats", "role", |c| {
        let tensor = c.walks[0].tensors.iter_mut().find(|t| t.role == Role::Tokens)?;
        Some(tensor.dtype = DType::F32)
    }),
    t("a weight is called an activation", "role", |c| Some(c.walks[0].tensors[3].role = Role::Activation)),
    t("a weight is called its gradient", "role", |c| Some(c.walks[3].tensors[3].role = Role::Gradient(3))),
    t("an activation is called a gradient", "role", |c| {
        let id = op(c, First, "Attention")?.outputs[0] as usize;
        Some(c.walks[0].tensors[id].role = Role::Gradient(0))
    }),
    t("two moments change roles", "role", |c| {
        let o = op(c, Update, "AdamW")?.outputs.clone();
        c.walks[2].tensors[o[1] as usize].role = Role::SecondMoment(0);
        c.walks[2].tensors[o[2] as usize].role = Role::FirstMoment(0);
        Some(())
    }),
    t("a gradient is no result", "role", |c| c.walks[0].results.pop().map(|_| ())),
    t("the log-sum-exp is kept in the loss's place", "role", |c| {
        let made = op(c, Further, "CrossEntropy")?.outputs.clone();
        let kept = c.walks[1].results.iter_mut().find(|id| **id == made[0])?;
        Some(*kept = made[1])
    }),
    t("a tensor that nothing uses is added", "role", |c| {
        let tensor = c.walks[0].tensors[0].clone();
        Some(c.walks[0].tensors.push(tensor))
    }),
    // Deaths and reuse.
    t("a death comes one operation later", "death", |c| {
        let i = death(c, First)?;
        move_death(c, First, i, i + 1)
    }),
    t("a death comes one operation earlier", "death", |c| {
        let i = death(c, Further)?;
        move_death(c, Further, i, i - 1)
    }),
    t("a tensor never dies", "death", |c| {
        let i = death(c, Evaluate)?;
        c.walks[3].operations[i].dies.pop().map(|_| ())
    }),
    t("a tensor dies twice", "death", |c| {
        let i = death(c, First)?;
        let id = *c.walks[0].operations[i].dies.last()?;
        Some(c.walks[0].operations.last_mut()?.dies.push(id))
    }),
    t("a weight dies", "death", |c| {
        let weight = c.walks[0].operations[0].inputs[0];
        Some(c.walks[0].operations[0].dies.push(weight))
    }),
    t("a result dies", "death", |c| {
        let result = *c.walks[2].results.last()?;
        Some(c.walks[2].operations.last_mut()?.dies.push(result))
    }),
    t("a pair in place is left out", "in-place", |c| op(c, Further, "MatMulAccumulate")?.in_place.pop().map(|_| ())),
    t("an input that lives on is overwritten", "in-place", |c| {
        let o = op(c, First, "LayerNorm")?;
        Some(o.in_place.push((o.inputs[0], o.outputs[0])))
    }),
    t("an operation that cannot writes in place", "in-place", |c| {
        let o = op(c, Evaluate, "Gate")?;
        Some(o.in_place.push((o.inputs[0], o.outputs[0])))
    }),
    t("a weight's update is not in place", "in-place", |c| op(c, Update, "AdamW")?.in_place.pop().map(|_| ())),
    t("pairs in place are crossed", "in-place", |c| {
        let o = op(c, First, "GateGradient")?;
        o.in_place = vec![(o.inputs[1], o.outputs[1]), (o.inputs[2], o.outputs[0])];
        Some(())
    }),
    // What operations cost.
    t("an operand is said to be gone", "live", |c| {
        let o = op(c, First, "MatMul")?;
        Some(o.absent.push(o.inputs[0]))
    }),
    t("an operand that is gone is said to be there", "live", |c| {
        c.walks[0].operations.iter_mut().find(|o| !o.absent.is_empty())?.absent.pop().map(|_| ())
    }),
    t("an attention takes less workspace", "workspace", |c| Some(op(c, First, "Attention")?.workspace.0 -= 4)),
    t("a gradient of attention takes none", "workspace", |c| Some(op(c, Further, "AttentionGradient")?.workspace = Bytes(0))),
    t("a sum of squares takes a byte less", "workspace", |c| Some(op(c, Update, "SumSquares")?.workspace.0 -= 1)),
    t("a norm's gradient takes half", "workspace", |c| Some(op(c, First, "LayerNormGradient")?.workspace.0 /= 2)),
    t("a sum takes workspace", "workspace", |c| Some(op(c, First, "Add")?.workspace = Bytes(4))),
    t("a product has a FLOP less", "flops", |c| Some(op(c, First, "MatMul")?.flops.0 -= 1)),
    t("attention has half its FLOPs", "flops", |c| Some(op(c, Evaluate, "Attention")?.flops.0 /= 2)),
    t("a norm has FLOPs", "flops", |c| Some(op(c, First, "LayerNorm")?.flops = Flops(8))),
    t("a product into a sum has none", "flops", |c| Some(op(c, Further, "MatMulAccumulate")?.flops = Flops::ZERO)),
    t("a norm moves less", "traffic", |c| Some(op(c, First, "LayerNorm")?.moved.0 -= 4)),
    t("an embedding moves the whole table", "traffic", |c| Some(op(c, First, "Embedding")?.moved.0 += 4096)),
    t("an update moves nothing", "traffic", |c| Some(op(c, Update, "AdamW")?.moved = Bytes(0))),
    t("an operation takes a thousandth less time", "time", |c| Some(op(c, First, "MatMul")?.seconds.0 *= 0.999)),
    t("an operation takes no time", "time", |c| Some(op(c, Update, "AdamW")?.seconds = Seconds(0.0))),
    t("time beside the operations is added", "time", |c| {
        c.walks[2].beside.0.0 -= 1.0;
        Some(c.walks[2].seconds.0 -= 1.0)
    }),
    t("a micro-step has other time beside its operations", "time", |c| Some(c.walks[1].beside.1.0 += 1e-6)),
    t("an operation's time is no number", "time", |c| Some(op(c, Evaluate, "Attention")?.seconds = Seconds(f64::NAN))),
    // Sums of bytes.
    t("a byte fewer lives during an operation", "live", |c| Some(c.walks[0].operations[4].during.0 -= 1)),
    t("a byte fewer lives after an operation", "live", |c| Some(c.walks[1].operations[4].after.0 -= 1)),
    t("the highest memory is a byte lower", "peak", |c| Some(c.walks[1].peak.bytes.0 -= 1)),
    t("the peak is an operation earlier", "peak", |c| Some(c.walks[1].peak.operation -= 1)),
    t("a part of the peak is smaller and another larger", "peak", |c| {
        let parts = &mut c.walks[1].peak.parts;
        parts.activations.0 -= 4;
        Some(parts.gradients.0 += 4)
    }),
    t("a holder of the peak is left out", "peak", |c| {
        c.walks[0].peak.holders.remove(5);
        Some(())
    }),
    t("a holder of the peak is a byte smaller", "peak", |c| Some(c.walks[0].peak.holders[0].1.0 -= 1)),
    t("a holder of the peak is named twice", "peak", |c| {
        let holders = &mut c.walks[0].peak.holders;
        Some(holders[1] = holders[0])
    }),
    t("the moments are not held", "ambient", |c| Some(c.walks[0].ambient.optimizer = Bytes(0))),
    t("the process is smaller in a walk", "ambient", |c| Some(c.walks[2].ambient.process.0 -= 1)),
    t("what is held around a walk is on another line", "ambient", |c| {
        let ambient = &mut c.walks[3].ambient;
        std::mem::swap(&mut ambient.optimizer, &mut ambient.gradients);
        Some(())
    }),
    // Totals and bounds.
    t("a walk has fewer FLOPs forward", "total", |c| Some(c.walks[0].forward.0 -= 1)),
    t("a walk has fewer FLOPs backward", "total", |c| Some(c.walks[1].backward.0 -= 1)),
    t("FLOPs go from backward to forward", "total", |c| {
        c.walks[0].forward.0 += 64;
        Some(c.walks[0].backward.0 -= 64)
    }),
    t("a walk takes less time", "total", |c| Some(c.walks[1].seconds.0 *= 0.99)),
    t("the peak of all is lower", "bound", |c| Some(c.peak.bytes.0 -= 1)),
    t("the peak of all is in another walk", "bound", |c| Some(c.peak.walk = Some(Evaluate))),
    t("the limit is higher", "bound", |c| Some(c.limit += Bytes::gib(1))),
    t("the limit has another source", "bound", |c| Some(c.limit_source.push('!'))),
    t("the recipe allows less than the peak", "bound", |c| {
        let limit = Bytes(c.peak.bytes.0 - 1);
        (c.recipe.budget.memory, c.limit, c.limit_source) = (Some(limit), limit, "`budget.memory`".into());
        Some(())
    }),
    t("a checkpoint is smaller", "checkpoint", |c| Some(c.checkpoint.0 -= 12)),
    t("a checkpoint is written faster", "checkpoint", |c| Some(c.saving_time.0 *= 0.5)),
    t("saving takes less", "checkpoint", |c| Some(c.saving.weights.0 -= 4)),
    // Batch and run.
    t("a micro-batch fewer in a step", "batch", |c| Some(c.accumulation -= 1)),
    t("the full batch is larger", "batch", |c| match &mut c.recipe.batch {
        Batch::Ramp { to, .. } => Some(*to += 1),
        Batch::Constant { size } => Some(*size += 1),
    }),
    t("another micro-batch is asked for", "batch", |c| Some(c.recipe.micro_batch = MicroBatch::Fixed(c.extents.batch + 1))),
    t("a micro-batch that does not divide the batch", "batch", |c| {
        c.recipe.micro_batch = MicroBatch::Auto;
        Some(c.extents.batch += 5)
    }),
    t("a token more in a micro-batch", "extents", |c| Some(c.micro_tokens += 1)),
    t("a step more", "run", |c| Some(c.run.steps += 1)),
    t("a step more in the run and in its last stage", "run", |c| {
        c.run.steps += 1;
        Some(c.run.stages.last_mut()?.steps += 1)
    }),
    t("a micro-step fewer", "run", |c| Some(c.run.micro_steps -= 1)),
    t("a token more in the run", "run", |c| Some(c.run.tokens = Tokens(c.run.tokens.0 + 1))),
    t("a FLOP less in the run", "run", |c| Some(c.run.flops.0 -= 1)),
    t("the run is over earlier", "run", |c| Some(c.run.seconds.0 *= 0.99)),
    t("evaluating and saving take less", "run", |c| Some(c.run.overhead.0 *= 0.99)),
    t("another limit binds", "run", |c| Some(c.run.binds = if c.run.binds == Limit::Steps { Limit::Time } else { Limit::Steps })),
    t("an evaluation fewer", "run", |c| Some(c.run.evaluations -= 1)),
    t("a checkpoint more", "run", |c| Some(c.run.checkpoints += 1)),
    t("evaluations come twice as often", "run", |c| {
        let Interval::Share(share) = &mut c.recipe.evaluation.every else { return None };
        Some(share.0 /= 2.0)
    }),
    t("evaluations see more", "run", |c| Some(c.recipe.evaluation.sequences *= 2)),
    t("a stage begins earlier", "run", |c| {
        let [a, b, ..] = c.run.stages.as_mut_slice() else { return None };
        a.steps -= 1;
        Some(b.steps += 1)
    }),
    t("a stage ends at another progress", "run", |c| Some(c.run.stages[0].until.0 *= 0.99)),
    t("a stage has another accumulation", "run", |c| Some(c.run.stages[0].accumulation += 1)),
    t("a stage's steps are faster", "run", |c| Some(c.run.stages[0].step_time.0 *= 0.99)),
    t("a stage is added", "run", |c| {
        let last: Stage = *c.run.stages.last()?;
        Some(c.run.stages.push(Stage { steps: 0, ..last }))
    }),
    t("the ramp is steeper", "run", |c| match &mut c.recipe.batch {
        Batch::Ramp { until: Portion::Share(until), .. } => Some(until.0 /= 2.0),
        Batch::Ramp { .. } | Batch::Constant { .. } => None,
    }),
    t("the budget has fewer steps", "run", |c| c.recipe.budget.steps.as_mut().map(|steps| *steps -= 1)),
    t("the budget has fewer tokens", "run", |c| c.recipe.budget.tokens.as_mut().map(|tokens| *tokens /= 2)),
    t("the budget has less time", "run", |c| c.recipe.budget.time.as_mut().map(|time| time.0 /= 2.0)),
    t("the budget has fewer FLOPs", "run", |c| c.recipe.budget.flops.as_mut().map(|flops| flops.0 /= 2)),
    t("another limit is added to the budget", "run", |c| Some(c.recipe.budget.steps = Some(1))),
    // The model and its gradient.
    t("query and key change places", "model", |c| Some(op(c, Evaluate, "Attention")?.inputs.swap(0, 1))),
    t("value and gate change places", "model", |c| Some(op(c, First, "Gate")?.inputs.swap(0, 1))),
    t("a norm has another epsilon", "model", |c| Some(op(c, Further, "LayerNorm")?.op = Op::LayerNorm { eps: 1e-5 })),
    t("an operation is said to be in another block", "model", |c| Some(op(c, First, "Attention")?.place = Place::Block(1))),
    t("an operation of forward is said to be backward", "model", |c| Some(op(c, Evaluate, "MatMul")?.pass = Pass::Backward)),
    t("attention has another number of heads", "shape", |c| {
        let Op::Attention { heads, .. } = &mut op(c, First, "Attention")?.op else { return None };
        Some(*heads /= 2)
    }),
    t("a parameter is updated with another's gradient", "model", |c| {
        let others = c.walks[2].operations.iter().rev().find(|o| o.op.name() == "AdamW")?.inputs[1];
        Some(op(c, Update, "AdamW")?.inputs[1] = others)
    }),
    t("the gradient is not clipped", "model", |c| Some(op(c, Update, "ClipFactor")?.op = Op::ClipFactor { max: Some(1e9) })),
    t("the norm leaves a gradient out", "model", |c| op(c, Update, "ClipFactor")?.inputs.pop().map(|_| ())),
    t("a parameter's decay is another", "model", |c| {
        let Op::AdamW { weight_decay, .. } = &mut op(c, Update, "AdamW")?.op else { return None };
        Some(*weight_decay = 0.5)
    }),
    t("the update of a parameter is left out", "model", |c| c.walks[2].operations.pop().map(|_| ())),
    t("a gradient is taken of another activation", "gradient", |c| {
        let o = op(c, First, "GateGradient")?;
        Some(o.inputs.swap(1, 2))
    }),
    t("the gradients of query and key change places", "gradient", |c| {
        let o = op(c, Further, "AttentionGradient")?;
        Some(o.outputs.swap(0, 1))
    }),
    t("an operation of backward is left out", "gradient", |c| c.walks[0].operations.pop().map(|_| ())),
    t("two independent gradients change places", "gradient", |c| {
        let i = at(c, First, "CrossEntropyGradient")? + 1;
        swap(c, First, i, i + 1)
    }),
];

/// Tamperings that are carried through every sum.
pub const CARRIED_THROUGH: &[Tampering] = &[
    t("a death comes one operation later", "death", |c| {
        let i = death(c, First)?;
        move_death(c, First, i, i + 1)
    }),
    t("a tensor is freed too early", "death", |c| {
        let i = death(c, Further)?;
        move_death(c, Further, i, i - 1)
    }),
    t("an operation that cannot writes in place", "in-place", |c| {
        let i = at(c, First, "GateGradient")?;
        let o = &mut c.walks[0].operations[i];
        o.in_place.clear();
        Some(())
    }),
    t("every attention takes no workspace", "workspace", |c| {
        for o in c.walks.iter_mut().flat_map(|w| &mut w.operations).filter(|o| o.op.name().starts_with("Attention")) {
            o.workspace = Bytes(0);
        }
        Some(())
    }),
    t("every attention has a FLOP fewer", "flops", |c| {
        // Its time is that of its traffic, and stays.
        for o in c.walks.iter_mut().flat_map(|w| &mut w.operations).filter(|o| o.op.name().starts_with("Attention")) {
            o.flops.0 -= 1;
        }
        Some(())
    }),
    t("every operation is a tenth faster", "time", |c| {
        c.walks.iter_mut().flat_map(|w| &mut w.operations).for_each(|o| o.seconds.0 *= 0.9);
        Some(())
    }),
    t("the moments are half the size everywhere", "ambient", |c| {
        for walk in &mut c.walks {
            walk.ambient.optimizer.0 /= 2;
        }
        Some(())
    }),
    t("two independent gradients change places", "gradient", |c| {
        let i = at(c, First, "CrossEntropyGradient")? + 1;
        swap(c, First, i, i + 1)?;
        // What both read dies at whichever comes last.
        let id = c.walks[0].operations[i].inputs[0];
        c.walks[0].operations[i].dies.retain(|dying| *dying != id);
        c.walks[0].operations[i + 1].dies.push(id);
        Some(())
    }),
];
