//! Tamperings with what is taken on the CPU beside tensors: copies of matrix products, slabs, and lists.

use cramplan::device::{Cache, DeviceKind, Lanes};
use cramplan::units::Bytes;
use cramplan::verify::format::{Content, Op, Operation, Pass};

use super::tamper::{Tampering, t};

/// Threads; none on a card.
fn threads(c: &Content) -> Option<u64> {
    match c.device.kind {
        DeviceKind::Cpu { threads } => Some(threads),
        DeviceKind::Cuda | DeviceKind::Rocm => None,
    }
}

/// What the library for products goes by, as it is stated; none on a card.
fn library(c: &mut Content) -> Option<&mut Lanes> {
    threads(c)?;
    Some(c.device.lanes.get_or_insert(Lanes::ASSUMED))
}

/// Bytes of a slab, where the pool's threads keep one each.
fn slab(c: &Content) -> Option<Bytes> {
    let slab = Bytes(c.device.lanes.unwrap_or(Lanes::ASSUMED).caches[1].bytes);
    (c.walks[0].ambient.workspace >= slab * threads(c)?).then_some(slab)
}

/// Takes bytes from what is kept in every walk and while the state is saved.
fn keep_less(c: &mut Content, bytes: Bytes) {
    let walks = c.walks.iter_mut().map(|walk| &mut walk.ambient);
    walks.chain([&mut c.saving]).for_each(|bill| bill.workspace = bill.workspace.saturating_sub(bytes));
}

/// The first operation on the CPU that takes workspace, of some.
fn taking(c: &mut Content, found: fn(&Op) -> bool) -> Option<&mut Operation> {
    threads(c)?;
    let operations = c.walks.iter_mut().flat_map(|walk| &mut walk.operations);
    operations.into_iter().find(|o| found(&o.op) && o.workspace > Bytes(0))
}

fn is_product(op: &Op) -> bool {
    matches!(op, Op::MatMul { .. } | Op::MatMulAccumulate { .. })
}

/// Whether the gradient of the head's weights goes over more rows than panels are deep, and caches are stated.
fn is_deep(c: &Content) -> bool {
    c.extents.predicted > 512 && c.device.lanes.is_some()
}

/// Tamperings of single statements, or of a few that belong together.
pub const TAMPERINGS: &[Tampering] = &[
    // The device.
    t("a CPU has vectors half as wide", "workspace", |c| Some(library(c)?.lanes /= 2)),
    t("a CPU has vectors of one float", "workspace", |c| Some(library(c)?.lanes = 1)),
    t("a CPU has vectors of five floats", "device", |c| Some(library(c)?.lanes = 5)),
    t("a CPU has no second cache", "device", |c| Some(library(c)?.caches[1].bytes = 0)),
    t("a CPU's second cache is a line smaller", "ambient", |c| {
        slab(c)?;
        Some(library(c)?.caches[1].bytes -= 64)
    }),
    t("a CPU's second cache is of the first's size", "ambient", |c| {
        slab(c)?;
        let library = library(c)?;
        Some(library.caches[1].bytes = library.caches[0].bytes)
    }),
    t("a CPU's first cache has ways for deeper panels", "workspace", |c| {
        is_deep(c).then_some(())?;
        Some(library(c)?.caches[0] = Cache { bytes: 1 << 20, ways: 8, line: 64 })
    }),
    t("a CPU's last cache is as small as a panel", "workspace", |c| {
        is_deep(c).then_some(())?;
        Some(library(c)?.caches[2].bytes = 1 << 10)
    }),
    t("the caches of a CPU are left out", "ambient", |c| c.device.lanes.take().map(|_| ())),
    t("a card has caches", "device", |c| threads(c).is_none().then(|| c.device.lanes = Some(Lanes::ASSUMED))),
    // Copies.
    t("a product copies nothing", "workspace", |c| Some(taking(c, is_product)?.workspace = Bytes(0))),
    t("a product's copy is a line shorter", "workspace", |c| Some(taking(c, is_product)?.workspace.0 -= 128)),
    t("a product copies twice", "workspace", |c| Some(taking(c, is_product)?.workspace.0 *= 2)),
    t("a product that copies nothing does", "workspace", |c| {
        threads(c)?;
        let operations = c.walks.iter_mut().flat_map(|walk| &mut walk.operations);
        Some(operations.into_iter().find(|o| is_product(&o.op) && o.workspace == Bytes(0))?.workspace = Bytes(128))
    }),
    t("one thread's copies are taken for all of attention's", "workspace", |c| {
        let threads = threads(c)?;
        Some(taking(c, |op| matches!(op, Op::Attention { .. }))?.workspace.0 /= threads)
    }),
    t("the gradient of attention holds no gradients of scores", "workspace", |c| {
        let threads = threads(c)?;
        let scores = Bytes(c.extents.sequence * c.extents.sequence * 4) * threads;
        let o = taking(c, |op| matches!(op, Op::AttentionGradient { .. }))?;
        Some(o.workspace = o.workspace.saturating_sub(scores))
    }),
    t("the gradient of attention copies nothing", "workspace", |c| {
        let threads = threads(c)?;
        let scores = Bytes(c.extents.sequence * c.extents.sequence * 4) * threads;
        Some(taking(c, |op| matches!(op, Op::AttentionGradient { .. }))?.workspace = scores)
    }),
    // What is kept.
    t("threads keep no slabs", "ambient", |c| {
        let bytes = slab(c)? * threads(c)?;
        Some(keep_less(c, bytes))
    }),
    t("a thread keeps no slab", "ambient", |c| {
        let bytes = slab(c)?;
        Some(keep_less(c, bytes))
    }),
    t("another thread keeps a slab", "ambient", |c| {
        let bytes = slab(c)?;
        Some(c.walks[1].ambient.workspace += bytes)
    }),
    t("an evaluation keeps no slabs", "ambient", |c| {
        let bytes = slab(c)?;
        Some(c.walks[3].ambient.workspace = c.walks[3].ambient.workspace.saturating_sub(bytes))
    }),
    t("no slabs are kept while the state is saved", "checkpoint", |c| {
        let bytes = slab(c)? * threads(c)?;
        Some(c.saving.workspace = c.saving.workspace.saturating_sub(bytes))
    }),
    t("the lists of an operation are left out", "ambient", |c| {
        threads(c)?;
        Some(keep_less(c, Bytes(2 << 10)))
    }),
    t("queues take no room", "ambient", |c| {
        threads(c)?;
        Some(keep_less(c, Bytes(256 << 10)))
    }),
    t("what is recomputed has lists of its own", "ambient", |c| {
        threads(c)?;
        let again = c.walks[0].operations.iter().filter(|o| o.pass == Pass::Recompute).count() as u64;
        Some(c.walks[0].ambient.workspace += Bytes(2 << 10) * again)
    }),
    t("an update has the lists of its own operations", "ambient", |c| {
        threads(c)?;
        let [first, update] = [0, 2].map(|walk: usize| c.walks[walk].operations.len() as u64);
        let ambient = &mut c.walks[2].ambient;
        Some(ambient.workspace = (ambient.workspace + Bytes(2 << 10) * update).saturating_sub(Bytes(2 << 10) * first))
    }),
    t("a card keeps lists", "ambient", |c| {
        threads(c).is_none().then(|| c.walks.iter_mut().for_each(|walk| walk.ambient.workspace += Bytes(256 << 10)))
    }),
];

/// Tamperings that are carried through every sum.
pub const CARRIED_THROUGH: &[Tampering] = &[
    t("every product copies nothing", "workspace", |c| {
        let operations = c.walks.iter_mut().flat_map(|walk| &mut walk.operations);
        Some(operations.filter(|o| is_product(&o.op)).for_each(|o| o.workspace = Bytes(0)))
    }),
    t("an operation has no lists in any walk", "ambient", |c| {
        Some(c.walks.iter_mut().for_each(|walk| walk.ambient.workspace.0 -= 2 << 10))
    }),
];
