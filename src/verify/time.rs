//! Laws of time. Of a device that was not measured: an operation takes as long as the slower of its arithmetic and its traffic, and the
//! launch. Of one that was, the certificate does not hold the measurements: its times are held to be times, and to add up.

use super::format::{Content, Op, Operation, Tensor, Walk, WalkName};
use super::graph::bytes;
use super::shape::product_extents;
use super::{At, Book, Law};
use crate::device::{Device, DeviceKind};

/// f32 FLOPs a second of one multiprocessor, as the planner assumes it.
const MULTIPROCESSOR: f64 = 0.5e12;

/// Tiles that a product on a card is cut into: edge, and share of the rate.
const TILES: [(u64, f64); 2] = [(128, 1.0), (64, 0.75)];

/// Multiply-adds that an element costs beside those of the product, on a CPU: one of b, of a, and of the result.
const ELEMENT_COSTS: [f64; 3] = [70.0, 12.0, 35.0];

/// Checks the seconds of an operation of lawful shapes.
pub fn operation(o: &Operation, taken: &[&Tensor], device: &Device, at: At, book: &mut Book) {
    if device.calibration.is_some() {
        let seconds = o.seconds.0;
        book.hold(Law::Time, at, seconds.is_finite() && seconds > 0.0, seconds, "a time");
        return;
    }
    book.close(Law::Time, at, o.seconds.0, seconds(o, taken, device));
}

/// Checks the time beside the operations: nothing without measurements; with them, the same of all walks that see a micro-batch.
pub fn beside<R>(content: &Content<R>, walk: &Walk, book: &mut Book) {
    let stated = (walk.beside.0.0, walk.beside.1.0);
    let at = At::walk(walk.walk, "beside");
    if content.device.calibration.is_none() {
        book.equal(Law::Time, at, stated, (0.0, 0.0));
        return;
    }
    let positive = [stated.0, stated.1].iter().all(|seconds| seconds.is_finite() && *seconds >= 0.0);
    book.hold(Law::Time, at, positive, stated, "times, or nothing");
    if walk.walk != WalkName::Update {
        let first = content.walks[WalkName::First as usize].beside;
        book.equal(Law::Time, at, walk.beside, first);
    }
}

/// Seconds of an operation by the device's numbers: the roofline (Williams, Waterman, Patterson 2009) with the launch on top.
fn seconds(o: &Operation, taken: &[&Tensor], device: &Device) -> f64 {
    let rate = device.peaks.f32.value.0 * device.efficiency.value * share(&o.op, taken, device);
    let traffic = o.moved.as_f64() / device.bandwidth.value.0;
    (o.flops.as_f64() / rate).max(traffic) + masks(&o.op, taken) as f64 * mask_cost(device) + device.launch.value.0
}

/// Elements of the masks that the host draws for an operation.
fn masks(op: &Op, taken: &[&Tensor]) -> u64 {
    let scores = |rows: u64, heads: u64, sequence: u64| rows.saturating_mul(heads).saturating_mul(sequence);
    match op {
        Op::Dropout { .. } => bytes(taken[0]) / 4,
        Op::Attention { heads, sequence, dropout: Some(_), .. } => scores(taken[0].shape[0], *heads, *sequence),
        Op::AttentionGradient { heads, sequence, dropout: Some(_), .. } => scores(taken[1].shape[0], *heads, *sequence),
        _ => 0,
    }
}

/// Seconds of an element of a mask: drawing it, and for a card the way of its four bytes.
fn mask_cost(device: &Device) -> f64 {
    let (draws, link) = (2.5e9, 12e9);
    let way = if matches!(device.kind, DeviceKind::Cpu { .. }) { 0.0 } else { 4.0 / link };
    1.0 / draws + way
}

/// The share of the rate of large products that an operation's shape lets it reach; the laws know no product aᵀ·bᵀ.
fn share(op: &Op, taken: &[&Tensor], device: &Device) -> f64 {
    let (transposed, a, b) = match op {
        Op::MatMul { transpose_a, transpose_b } => ((*transpose_a, *transpose_b), taken[0], taken[1]),
        Op::MatMulAccumulate { transpose_a, transpose_b } => ((*transpose_a, *transpose_b), taken[1], taken[2]),
        _ => return 1.0,
    };
    let extents = product_extents(transposed.0, transposed.1, &a.shape, &b.shape);
    let Some((m, n, k)) = extents.filter(|_| transposed != (true, true)) else { return 1.0 };
    let [m, n, k] = [m, n, k].map(|extent| extent.max(1));
    match device.kind {
        // m·n·k multiply-adds, and so many more for each of the n·k, m·k and m·n elements.
        DeviceKind::Cpu { .. } => {
            let others = [m, n, k].into_iter().zip(ELEMENT_COSTS).map(|(extent, cost)| cost / extent as f64);
            1.0 / (1.0 + others.sum::<f64>())
        }
        DeviceKind::Cuda | DeviceKind::Rocm => {
            let idle = device.peaks.f32.value.0 / MULTIPROCESSOR / 2.0;
            let reached = TILES.map(|(edge, rate)| {
                let tiles = m.div_ceil(edge) as f64 * n.div_ceil(edge) as f64;
                let made = (tiles + idle) * (edge * edge) as f64;
                rate * (m as f64 * n as f64 / made)
            });
            reached[0].max(reached[1])
        }
    }
}
