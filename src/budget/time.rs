//! How long an operation takes on a device.
//!
//! From a calibration, where the machine was measured: the law of the operation's kind ([`crate::device::law`]). Else, or for work
//! that was not measured, a roofline (Williams, Waterman, Patterson 2009) from the device's data: the larger of arithmetic at
//! the rate that its shape lets it reach and bytes at the bandwidth, plus the cost of starting it.

use super::{Estimate, backend};
use crate::device::law::{Kind, Work};
use crate::device::{Device, DeviceKind};
use crate::step::op::{MatMul, Op, Signature};
use crate::step::{Extents, Walk};
use crate::units::{Ratio, Seconds};

/// By which factor a step may take longer or shorter than data sheets say, less one: assumed. On the one CPU where it was measured,
/// half of forty recipes were met within 22 % and the worst by 44 % (`tests/bench/probe.txt`); no card has been measured.
const ERROR_OF_DATA_SHEETS: Ratio = Ratio(1.0);

/// Seconds of one operation.
pub fn seconds(op: &Op, types: Signature<'_>, device: &Device) -> Seconds {
    let measured = device.calibration.as_ref().and_then(|calibration| calibration.seconds(&work(op, types)?));
    measured.unwrap_or_else(|| roofline(op, types, device))
}

/// Seconds that a walk takes beside its operations: feeding a batch of so many tokens, handing tensors over, reading results.
/// The first is of the walk, the second of each of its operations. Data sheets know nothing of it.
pub fn beside(walk: Walk, tokens: u64, device: &Device) -> (Seconds, Seconds) {
    let kind = if walk == Walk::Update { Kind::Update } else { Kind::MicroStep };
    let costs = device.calibration.as_ref().and_then(|calibration| calibration.costs(kind)).unwrap_or_default();
    let [call, operation, token, ..] = costs;
    (Seconds(call + token * tokens as f64), Seconds(operation))
}

/// By how much a step may differ from its estimate: it takes between 1/(1 + error) and 1 + error times as long.
pub fn error(device: &Device) -> Ratio {
    device.calibration.as_ref().map_or(ERROR_OF_DATA_SHEETS, |calibration| calibration.error)
}

/// Model FLOPs utilisation (MFU; Chowdhery et al. 2022, "PaLM", appendix B): the FLOPs that the model's matrix products need, forward
/// and backward, without recomputation, over those that the device could do at its peak in the time of a micro-step.
///
/// PaLM counts 6 FLOPs a parameter and token and 12·L·H·Q·T for attention; here the products of the graph are counted one by one, so that a
/// decoder that sees only some rows is not counted in full. [`palm_utilisation`] is by PaLM's own formula.
pub fn utilisation(e: &Estimate, device: &Device) -> f64 {
    let micro_step = e.walk(Walk::Further).time;
    device.peaks.f32.value.time(e.micro_step_flops()).0 / micro_step.0
}

/// MFU by PaLM's formula, 6N + 12·L·H·Q·T FLOPs a token: N parameters, L blocks, H·Q the width of all heads, T tokens in a sequence.
pub fn palm_utilisation(e: &Estimate, extents: &Extents, device: &Device) -> f64 {
    let attention = 12 * extents.depth * extents.width * extents.sequence;
    let a_token = 6.0 * e.parameters.total as f64 + attention as f64;
    let micro_step = e.walk(Walk::Further).time;
    a_token * e.micro_tokens as f64 / device.peaks.f32.value.0 / micro_step.0
}

/// An operation as the laws of time see it; none where they have no law for it.
pub fn work(op: &Op, types: Signature<'_>) -> Option<Work> {
    let (kind, extents) = kind_and_extents(op, types)?;
    Some(Work::new(kind, &extents))
}

fn kind_and_extents(op: &Op, types: Signature<'_>) -> Option<(Kind, [u64; 4])> {
    let input = |i: usize, d: usize| types.inputs[i].dim(d);
    let elements = || [types.outputs[0].elements(), 0, 0, 0];
    let matrix = |i: usize| [input(i, 0), input(i, 1), 0, 0];
    let heads = |i: usize, heads: u64, sequence: u64| [input(i, 0) / sequence, heads, sequence, input(i, 1) / heads];
    let tables = |i: usize| [input(i, 0) / input(1, 0), types.inputs[1].elements(), 0, 0];
    Some(match op {
        Op::MatMul(rule) => product(*rule, types, 0)?,
        Op::MatMulAccumulate(rule) => product(rule.0, types, 1)?,
        Op::Attention(a) => (Kind::Attention, heads(0, a.heads, a.sequence)),
        Op::AttentionGradient(a) => (Kind::AttentionGradient, heads(0, a.0.heads, a.0.sequence)),
        Op::LayerNorm(_) => (Kind::LayerNorm, matrix(0)),
        Op::LayerNormGradient(_) => (Kind::LayerNormGradient, matrix(0)),
        Op::RmsNorm(_) => (Kind::RmsNorm, matrix(0)),
        Op::RmsNormGradient(_) => (Kind::RmsNormGradient, matrix(0)),
        Op::Gate(_) => (Kind::Gate, elements()),
        Op::GateGradient(_) => (Kind::GateGradient, elements()),
        Op::Activate(_) => (Kind::Activation, elements()),
        Op::ActivateGradient(_) => (Kind::ActivationGradient, elements()),
        Op::Add(_) => (Kind::Add, elements()),
        Op::AddPosition(_) => (Kind::AddPosition, tables(0)),
        Op::PositionGradient(_) => (Kind::PositionGradient, tables(0)),
        Op::AddTable(rule) => (Kind::AddTable, [input(0, 0) / rule.period, rule.period * input(0, 1), 0, 0]),
        Op::TableGradient(rule) => (Kind::TableGradient, [input(0, 0) / rule.period, rule.period * input(0, 1), 0, 0]),
        Op::Rotate(_) => (Kind::Rotate, elements()),
        Op::Scale(_) => (Kind::Scale, elements()),
        Op::Dropout(_) => (Kind::Dropout, elements()),
        Op::Embedding(_) => (Kind::Embedding, [input(1, 0), input(0, 1), input(0, 0), 0]),
        Op::EmbeddingGradient(_) => (Kind::EmbeddingGradient, [input(2, 0), input(0, 1), input(0, 0), 0]),
        Op::SelectRows(_) => (Kind::SelectRows, [input(1, 0), input(0, 1), 0, 0]),
        Op::ScatterRows(rule) => (Kind::ScatterRows, [input(1, 0), input(0, 1), rule.total, 0]),
        Op::CrossEntropy(_) => (Kind::CrossEntropy, matrix(0)),
        Op::CrossEntropyGradient(_) => (Kind::CrossEntropyGradient, matrix(0)),
        Op::Zeros(_) => (Kind::Zeros, elements()),
        Op::SumSquares(_) => (Kind::SumSquares, [types.inputs[0].elements(), 0, 0, 0]),
        Op::ClipFactor(_) => (Kind::ClipFactor, [types.inputs.len() as u64, 0, 0, 0]),
        Op::AdamW(_) => (Kind::AdamW, elements()),
        Op::Adam(_) | Op::RAdam(_) => (Kind::Adam, elements()),
        Op::Lamb(_) => (Kind::Lamb, elements()),
        Op::Lion(_) => (Kind::Lion, elements()),
        Op::Adafactor(rule) => (Kind::Adafactor, [types.outputs[0].elements(), u64::from(rule.has_momentum()), 0, 0]),
        Op::Muon(_) => (Kind::Muon, [input(0, 0).min(input(0, 1)), input(0, 0).max(input(0, 1)), 0, 0]),
        Op::Sgd(rule) => (Kind::Sgd, [types.outputs[0].elements(), u64::from(rule.has_momentum()), 0, 0]),
    })
}

/// A product of operands `i` and `i + 1`, added to a sum where there is one before them; aᵀ·bᵀ is in no step and has no law.
fn product(rule: MatMul, types: Signature<'_>, i: usize) -> Option<(Kind, [u64; 4])> {
    let (m, n, k) = rule.extents(&types.inputs[i], &types.inputs[i + 1]);
    let kind = match (i, rule.transpose_a, rule.transpose_b) {
        (0, false, false) => Kind::Product,
        (0, true, false) => Kind::ProductTransposeA,
        (0, false, true) => Kind::ProductTransposeB,
        (_, false, false) => Kind::Accumulate,
        (_, true, false) => Kind::AccumulateTransposeA,
        (_, false, true) => Kind::AccumulateTransposeB,
        (_, true, true) => return None,
    };
    Some((kind, [m, n, k, 0]))
}

fn roofline(op: &Op, types: Signature<'_>, device: &Device) -> Seconds {
    let rule = op.rule();
    let flops = rule.flops(types);
    let share = work(op, types).filter(|work| work.kind.is_product()).map_or(1.0, |work| shape_share(&work, device));
    let arithmetic = device.peaks.f32.value.time(flops) * (1.0 / (device.efficiency.value * share));
    let traffic = device.bandwidth.value.time(rule.moved(types, backend(device)));
    Seconds(arithmetic.0.max(traffic.0)) + drawing(drawn(op, types), device) + device.launch.value
}

/// Random numbers that the host draws for an operation: one for each element of a dropout's mask.
fn drawn(op: &Op, types: Signature<'_>) -> u64 {
    match op {
        Op::Dropout(_) => types.outputs[0].elements(),
        Op::Attention(rule) if rule.dropout.is_some() => types.outputs[1].elements(),
        Op::AttentionGradient(rule) if rule.0.dropout.is_some() => types.inputs[4].elements(),
        _ => 0,
    }
}

/// Draws a second, assumed for every host: a run of the quick start with dropout everywhere made 2.7 billion on two Zen 5 cores.
const DRAWS: f64 = 2.5e9;

/// Bytes a second from the host to a card, assumed: what sixteen lanes of PCIe 3.0 carry of their 15.75 GB/s.
const LINK: f64 = 12e9;

/// The time of drawing a mask, and of sending it where the device is not the host.
fn drawing(draws: u64, device: &Device) -> Seconds {
    let sending = if matches!(device.kind, DeviceKind::Cpu { .. }) { 0.0 } else { 4.0 / LINK };
    Seconds(draws as f64 * (1.0 / DRAWS + sending))
}

/// The share of the rate of large products that one of this shape reaches.
fn shape_share(product: &Work, device: &Device) -> f64 {
    let [m, n, k, _] = product.extents.map(|x| x.max(1) as f64);
    match device.kind {
        // Measured on two Zen 5 cores: packing an element of b costs as much as 41 to 131 multiply-adds, by how the product reads
        // its operands, one of a as 6 to 17, and handling one of the result as 21 to 44. Taken: about the middle of each.
        DeviceKind::Cpu { .. } => 1.0 / (1.0 + 70.0 / m + 12.0 / n + 35.0 / k),
        DeviceKind::Cuda | DeviceKind::Rocm => tiles_share(m, n, device),
    }
}

/// f32 rate of one multiprocessor, assumed: from 0.35 (Turing) to 0.65 TFLOP/s (Ada), those of the data centre below.
const MULTIPROCESSOR: f64 = 0.5e12;

/// Tile and wave quantisation, after NVIDIA's "Matrix Multiplication Background" guide: the result is cut into tiles, each of
/// which one multiprocessor makes in full; and of the last wave of tiles, half of the multiprocessors are without work on
/// average. Assumed: tiles of 128 by 128, or of 64 by 64 at three quarters of the rate, whichever is faster.
fn tiles_share(m: f64, n: f64, device: &Device) -> f64 {
    let multiprocessors = device.peaks.f32.value.0 / MULTIPROCESSOR;
    let with = |tile: f64, rate: f64| {
        let tiles = libm::ceil(m / tile) * libm::ceil(n / tile);
        rate * (m * n) / ((tiles + multiprocessors / 2.0) * tile * tile)
    };
    with(128.0, 1.0).max(with(64.0, 0.75))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::find;
    use crate::recipe::testing::recipe;
    use crate::step::StepGraphs;
    use crate::step::recompute::Recompute;

    #[test]
    fn every_operation_of_a_step_has_a_law() {
        let quickstart = include_str!("../../recipes/quickstart.ron");
        let other = |optimizer: &str| crate::recipe::testing::parse(&quickstart.replace("AdamW(clip: 0.5)", optimizer));
        let optimizers = ["Adam()", "RAdam()", "Lamb()", "Lion()", "Sgd()", "Adafactor()", "Muon()"].map(other);
        let all = optimizers
            .iter()
            .chain([&recipe()])
            .map(|recipe| StepGraphs::build(recipe, 4, Recompute::NOTHING))
            .collect::<Vec<_>>();
        for (graphs, walk) in all.iter().flat_map(|graphs| Walk::ALL.map(|walk| (graphs, walk))) {
            let graph = graphs.walk(walk);
            for node in graph.nodes() {
                let work = work(&node.op, graph.signature(node));
                assert!(work.is_some_and(|work| work.extents[0] > 0), "{}", node.op.rule().name());
            }
        }
    }

    #[test]
    fn a_shape_reaches_at_most_the_rate_of_large_products_and_nearly_that_where_it_is_large() {
        let card = find("rtx-a6000").unwrap();
        let share = |m, n| shape_share(&Work::new(Kind::Product, &[m, n, 768]), &card);
        for m in [1, 64, 100, 128, 1000, 8192] {
            for n in [1, 64, 768, 3072, 32_768] {
                assert!(share(m, n) > 0.0 && share(m, n) <= 1.0, "{m} {n}: {}", share(m, n));
            }
        }
        assert!(share(8192, 3072) > 0.95 && share(128, 128) < 0.1, "{} {}", share(8192, 3072), share(128, 128));
    }
}
