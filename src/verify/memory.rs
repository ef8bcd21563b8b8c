//! Byte sums: live memory around each operation, the peaks with their holders, and the bounds.

use super::format::{Bill, Content, DType, Operation, Pass, Role, Tensor, Walk, WalkName};
use super::graph::{bytes, producers};
use super::model::position_table;
use super::operation::has_lawful_shapes;
use super::workspace::{self, Cpu};
use super::{At, Book, Law, card, optimizer};
use crate::device::DeviceKind;
use crate::units::Bytes;

/// Room on the CPU for queues and the micro-batch that is being fed, and for the lists of an operation: lifetimes, slots and handles of its
/// tensors. Bounds, assumed by the planner; `tests/memory.rs` measures them.
const ROOM: (Bytes, Bytes) = (Bytes(256 << 10), Bytes(2 << 10));

/// What an operation overwrites is its output's memory from there on; what is absent at its highest moment is said.
fn gone_during(o: &Operation) -> impl Iterator<Item = u32> {
    o.in_place.iter().map(|(input, _)| *input).chain(o.absent.iter().copied())
}

/// What an operation overwrites, and what dies at it.
fn gone_after(o: &Operation) -> impl Iterator<Item = u32> {
    o.in_place.iter().map(|(input, _)| *input).chain(o.dies.iter().copied())
}

/// Which tensors are live, and the sum of them.
struct Held<'a> {
    walk: &'a Walk,
    live: Vec<bool>,
    bill: Bill,
}

impl Held<'_> {
    fn set(&mut self, id: u32, live: bool, holds: impl Fn(&Tensor) -> Bytes) {
        let (tensor, now) = (&self.walk.tensors[id as usize], &mut self.live[id as usize]);
        let held = part(&mut self.bill, tensor.role);
        match (*now, live) {
            (false, true) => *held += holds(tensor),
            (true, false) => *held = held.saturating_sub(holds(tensor)),
            _ => {}
        }
        *now = live;
    }

    /// The bill of an operation's highest moment, without its workspace.
    fn at_most(&mut self, o: &Operation, holds: impl Fn(&Tensor) -> Bytes) -> Bill {
        let gone: Vec<u32> = gone_during(o).filter(|id| self.live[*id as usize]).collect();
        for id in &gone {
            self.set(*id, false, &holds);
        }
        let bill = self.bill;
        for id in &gone {
            self.set(*id, true, &holds);
        }
        bill
    }
}

/// Live tensors with their bytes.
type Holders = Vec<(u32, Bytes)>;

/// The line of the bill that a tensor stands on.
fn part(bill: &mut Bill, role: Role) -> &mut Bytes {
    match role {
        Role::Weight(_) | Role::PositionTable => &mut bill.weights,
        Role::Gradient(_) => &mut bill.gradients,
        Role::FirstMoment(_) | Role::SecondMoment(_) | Role::RowMoment(_) | Role::ColumnMoment(_) => &mut bill.optimizer,
        _ => &mut bill.activations,
    }
}

/// Checks the memory of a walk.
pub fn check(content: &Content, walk: &Walk, book: &mut Book) {
    book.equal(Law::Ambient, At::walk(walk.walk, "ambient"), walk.ambient, ambient(content, walk.walk));
    let producers = producers(walk);
    let started: Vec<bool> = producers.iter().map(Option::is_none).collect();
    let on_cpu = matches!(content.device.kind, DeviceKind::Cpu { .. });
    let holds = |tensor: &Tensor| Bytes(if !on_cpu && tensor.dtype == DType::I32 { 0 } else { bytes(tensor) });
    let mut now = Held { walk, live: started.clone(), bill: held(walk, &started, holds) };
    let mut highest: Option<(usize, Bill)> = None;
    for (i, o) in walk.operations.iter().enumerate() {
        let before = now.bill.total();
        o.outputs.iter().for_each(|id| now.set(*id, true, holds));
        let mut during = now.at_most(o, holds);
        let at = |field| At::walk(walk.walk, field).operation(i);
        if on_cpu {
            book.equal(Law::Live, at("absent"), o.absent.as_slice(), &[]);
        } else {
            passage(walk, (i, o), before, during.total(), book);
        }
        during.workspace += o.workspace;
        book.equal(Law::Live, at("during"), o.during, during.total());
        if highest.as_ref().is_none_or(|(_, bill)| during.total() > bill.total()) {
            highest = Some((i, during));
        }
        gone_after(o).for_each(|id| now.set(id, false, holds));
        book.equal(Law::Live, at("after"), o.after, now.bill.total());
    }
    let Some((at, parts)) = highest else { return };
    // Who holds the highest moment is found by going there once more.
    let mut at_most = started;
    for (i, o) in walk.operations.iter().enumerate().take(at + 1) {
        o.outputs.iter().for_each(|id| at_most[*id as usize] = true);
        if i == at {
            gone_during(o).for_each(|id| at_most[id as usize] = false);
        } else {
            gone_after(o).for_each(|id| at_most[id as usize] = false);
        }
    }
    let holders = holders(walk, &at_most, holds);
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

/// On a card, what an operation holds at its highest moment beside the tensors that are there then, `tensors` bytes with all else, and
/// what it writes over, follow from its chain. Where its shapes are not lawful, it has none.
fn passage(walk: &Walk, (i, o): (usize, &Operation), before: Bytes, tensors: Bytes, book: &mut Book) {
    if !has_lawful_shapes(walk, o) {
        return;
    }
    let card::Passage { highest, in_place, absent } = card::passage(walk, o);
    let at = |field| At::walk(walk.walk, field).operation(i);
    book.equal(Law::InPlace, at("in_place"), &o.in_place, &in_place);
    book.equal(Law::Live, at("absent"), &o.absent, &absent);
    let workspace = (before + Bytes(highest)).saturating_sub(tensors);
    book.equal(Law::Workspace, at("workspace"), o.workspace, workspace);
}

fn held(walk: &Walk, live: &[bool], holds: impl Fn(&Tensor) -> Bytes) -> Bill {
    let mut bill = walk.ambient;
    for (tensor, _) in walk.tensors.iter().zip(live).filter(|(_, live)| **live) {
        *part(&mut bill, tensor.role) += holds(tensor);
    }
    bill
}

/// The live tensors; those that take no memory hold none.
fn holders(walk: &Walk, live: &[bool], holds: impl Fn(&Tensor) -> Bytes) -> Holders {
    let held = walk.tensors.iter().zip(live).enumerate().filter(|(_, (_, live))| **live);
    held.map(|(id, (tensor, _))| (id as u32, holds(tensor))).filter(|(_, bytes)| bytes.0 > 0).collect()
}

/// Bytes of the weights, of the largest of them, and of the table of positions.
fn state(content: &Content) -> (Bytes, Bytes, Bytes) {
    let size = |shape: &[u64]| Bytes(shape.iter().fold(4, |n: u64, extent| n.saturating_mul(*extent)));
    let sizes = || content.parameters.iter().map(|p| size(&p.shape));
    let table = position_table(&content.recipe.model).map_or(Bytes::ZERO, |shape| size(&shape));
    (sizes().sum(), sizes().max().unwrap_or_default(), table)
}

/// Bytes of what the optimizer keeps of all parameters.
fn moments(content: &Content) -> Bytes {
    let size = |p: u32| {
        let shape = content.parameters.get(p as usize).map(|parameter| parameter.shape.as_slice()).unwrap_or_default();
        let of = |role| Bytes(optimizer::shape(role, shape).iter().fold(4, |n: u64, extent| n.saturating_mul(*extent)));
        optimizer::update(content, p).1.into_iter().map(of).sum::<Bytes>()
    };
    (0..content.parameters.len() as u32).map(size).sum()
}

/// Bytes a second in which a checkpoint is written where that was not measured: assumed by the planner, an ordinary disk.
const DISK: f64 = 2.5e8;

/// What is kept on the CPU from the first step to the last: room for lists, and the slabs of threads. Both follow from the first micro-step,
/// which with the update has the products of all walks; what it does again shares the room of what it did.
fn kept<R>(content: &Content<R>) -> Bytes {
    let first = content.walks.iter().find(|walk| walk.walk == WalkName::First);
    let Some((cpu, first)) = Cpu::of(&content.device).zip(first) else { return Bytes::ZERO };
    let (room, of_each) = ROOM;
    let once = first.operations.iter().filter(|o| o.pass != Pass::Recompute).count();
    let update = content.walks.iter().find(|walk| walk.walk == WalkName::Update);
    let walks: Vec<&Walk> = [first].into_iter().chain(update).collect();
    room + of_each * once as u64 + Bytes(workspace::slabs(&walks, cpu))
}

/// The process, what is kept around the operations, and the state that a walk does not touch: the optimizer's, or the table of positions.
fn ambient(content: &Content, walk: WalkName) -> Bill {
    let (_, _, table) = state(content);
    let bill = Bill { process: content.device.overhead.value, workspace: kept(content), ..Bill::default() };
    match walk {
        WalkName::Update => Bill { weights: table, ..bill },
        _ => Bill { optimizer: moments(content), ..bill },
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
    book.equal(Law::Checkpoint, At::field("checkpoint"), content.checkpoint, weights + moments(content));
    let measured = content.device.calibration.as_ref().and_then(|calibration| calibration.disk);
    let rate = measured.map_or(DISK, |rate| rate.0);
    book.close(Law::Checkpoint, At::field("saving_time"), content.saving_time.0, content.checkpoint.as_f64() / rate);

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
