//! Byte sums: live memory around each operation, the peaks with their holders, and the bounds.

use super::format::{Bill, Content, Role, Walk, WalkName};
use super::graph::{bytes, producers};
use super::{At, Book, Law};
use crate::device::DeviceKind;
use crate::units::Bytes;

/// What each thread keeps from its first matrix product on: a slab of 512 by 512 f32, and a quarter of that for lists.
const KEPT_PER_THREAD: Bytes = Bytes(512 * 512 * 4 + 256 * 1024);

/// Live tensors with their bytes.
type Holders = Vec<(u32, Bytes)>;

/// The line of the bill that a tensor stands on.
fn part(bill: &mut Bill, role: Role) -> &mut Bytes {
    match role {
        Role::Weight(_) | Role::PositionTable => &mut bill.weights,
        Role::Gradient(_) => &mut bill.gradients,
        Role::FirstMoment(_) | Role::SecondMoment(_) => &mut bill.optimizer,
        _ => &mut bill.activations,
    }
}

/// Checks the memory of a walk.
pub fn check<R>(content: &Content<R>, walk: &Walk, book: &mut Book) {
    book.equal(Law::Ambient, At::walk(walk.walk, "ambient"), walk.ambient, ambient(content, walk.walk));
    let producers = producers(walk);
    let mut live: Vec<bool> = producers.iter().map(Option::is_none).collect();
    let mut highest: Option<(usize, Bill, Holders)> = None;
    for (i, o) in walk.operations.iter().enumerate() {
        o.outputs.iter().for_each(|id| live[*id as usize] = true);
        // The memory of an input that is written over is the output's from here on.
        o.in_place.iter().for_each(|(input, _)| live[*input as usize] = false);
        let mut during = held(walk, &live);
        during.workspace += o.workspace;
        book.equal(Law::Live, At::walk(walk.walk, "during").operation(i), o.during, during.total());
        if highest.as_ref().is_none_or(|(_, bill, _)| during.total() > bill.total()) {
            highest = Some((i, during, holders(walk, &live)));
        }
        o.dies.iter().for_each(|id| live[*id as usize] = false);
        book.equal(Law::Live, At::walk(walk.walk, "after").operation(i), o.after, held(walk, &live).total());
    }
    let Some((at, parts, holders)) = highest else { return };
    let stated = &walk.peak;
    let place = |field| At::walk(walk.walk, field).operation(at);
    book.equal(Law::Peak, place("peak.operation"), stated.operation, at);
    book.equal(Law::Peak, place("peak.bytes"), stated.bytes, parts.total());
    book.equal(Law::Peak, place("peak.parts"), stated.parts, parts);
    if !book.equal(Law::Peak, place("peak.holders"), stated.holders.len(), holders.len()) {
        return;
    }
    for (stated, derived) in stated.holders.iter().zip(&holders) {
        book.equal(Law::Peak, place("peak.holders").tensor(derived.0), stated, derived);
    }
}

fn held(walk: &Walk, live: &[bool]) -> Bill {
    let mut bill = walk.ambient;
    for (tensor, _) in walk.tensors.iter().zip(live).filter(|(_, live)| **live) {
        *part(&mut bill, tensor.role) += Bytes(bytes(tensor));
    }
    bill
}

fn holders(walk: &Walk, live: &[bool]) -> Holders {
    let held = walk.tensors.iter().zip(live).enumerate().filter(|(_, (_, live))| **live);
    held.map(|(id, (tensor, _))| (id as u32, Bytes(bytes(tensor)))).collect()
}

/// Bytes of the weights, of the largest of them, and of the table of positions.
fn state<R>(content: &Content<R>) -> (Bytes, Bytes, Bytes) {
    let size = |shape: &[u64]| Bytes(shape.iter().fold(4, |n: u64, extent| n.saturating_mul(*extent)));
    let sizes = || content.parameters.iter().map(|p| size(&p.shape));
    let table = size(&[content.extents.sequence, content.extents.width]);
    (sizes().sum(), sizes().max().unwrap_or_default(), table)
}

/// The process, what threads keep, and the state that a walk does not touch: both moments, or the table of positions.
fn ambient<R>(content: &Content<R>, walk: WalkName) -> Bill {
    let (weights, _, table) = state(content);
    let workspace = match content.device.kind {
        DeviceKind::Cpu { threads } => KEPT_PER_THREAD * threads,
        DeviceKind::Cuda | DeviceKind::Rocm => Bytes::ZERO,
    };
    let bill = Bill { process: content.device.overhead.value, workspace, ..Bill::default() };
    match walk {
        WalkName::Update => Bill { weights: table, ..bill },
        _ => Bill { optimizer: weights * 2, ..bill },
    }
}

/// Checks peak, limit and checkpoint.
pub fn bounds(content: &Content, book: &mut Book) {
    let (weights, largest, table) = state(content);
    let mut saving = ambient(content, WalkName::Evaluate);
    saving.weights += weights + table;
    // The host writes one tensor after another, each by way of two copies.
    if matches!(content.device.kind, DeviceKind::Cpu { .. }) {
        saving.workspace += largest * 2;
    }
    book.equal(Law::Checkpoint, At::field("saving"), content.saving, saving);
    book.equal(Law::Checkpoint, At::field("checkpoint"), content.checkpoint, weights * 3);

    let mut highest = (content.saving.total(), None);
    // A step of one micro-batch has no further micro-steps.
    let happens = |walk: &&Walk| content.accumulation > 1 || walk.walk != WalkName::Further;
    for walk in content.walks.iter().filter(happens) {
        if walk.peak.bytes >= highest.0 {
            highest = (walk.peak.bytes, Some(walk.walk));
        }
    }
    book.equal(Law::Bound, At::field("peak"), (content.peak.bytes, content.peak.walk), highest);
    let memory = &content.device.memory;
    let (limit, source) = match content.recipe.budget.memory {
        Some(asked) if asked < memory.value => (asked, "`budget.memory`"),
        _ => (memory.value, memory.source.as_str()),
    };
    book.equal(Law::Bound, At::field("limit"), content.limit, limit);
    book.equal(Law::Bound, At::field("limit_source"), content.limit_source.as_str(), source);
    let fits = content.peak.bytes <= content.limit;
    book.hold(Law::Bound, At::field("peak"), fits, content.peak.bytes, format!("at most {:?}", content.limit));
}
