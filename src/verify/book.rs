//! The laws, and the book of what was held against them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Serialize;

use super::format::{Content, WalkName};

/// The laws of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// The hash is that of the content.
    Hash,
    /// A device of the catalog has the catalog's numbers.
    Device,
    /// The extents of the shapes follow from the recipe.
    Extents,
    /// The parameters are those of the recipe's model, and so are their numbers.
    Parameters,
    /// Numbers of tensors, operations and parameters name something.
    Number,
    /// Every tensor has one producer, which stands before its uses.
    Order,
    /// Tensors that no operation makes, and those that outlive a walk, are those that the walk is for.
    Role,
    /// The shapes of what an operation makes follow from what it takes.
    Shape,
    /// A tensor dies at its last use, or is a result.
    Death,
    /// An output takes an input's memory exactly where the operation can and the input dies.
    InPlace,
    /// What an operation takes beside its operands.
    Workspace,
    /// FLOPs of an operation.
    Flops,
    /// Bytes that an operation moves.
    Traffic,
    /// Seconds of an operation: the roofline of the device's numbers.
    Time,
    /// Memory that is held around a walk.
    Ambient,
    /// Live bytes during and after each operation.
    Live,
    /// The highest memory of a walk: its moment, parts and holders.
    Peak,
    /// A walk's totals are the sums over its operations.
    Total,
    /// The operations of forward and update are the recipe's model and optimizer.
    Model,
    /// The operations of backward are the derivatives of those of forward, last first.
    Gradient,
    /// What is recomputed is forward's, in the blocks that are stated, and as the recipe asks.
    Recompute,
    /// The peak lies within the limit, and both are what they should be.
    Bound,
    /// Micro-batches fill the batch.
    Batch,
    /// Steps, tokens, FLOPs and seconds of the run follow from the budget.
    Run,
    /// Size of a checkpoint, and memory while it is written.
    Checkpoint,
}

impl Law {
    /// Its name for people and JSON.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A place in a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// The walk.
    pub walk: Option<WalkName>,
    /// The operation in it, counted from 0.
    pub operation: Option<usize>,
    /// The tensor in it.
    pub tensor: Option<u32>,
    /// The field.
    pub field: &'static str,
}

impl At {
    /// A field of the content.
    pub fn field(field: &'static str) -> Self {
        Self { field, ..Self::default() }
    }

    /// A field of a walk.
    pub fn walk(walk: WalkName, field: &'static str) -> Self {
        Self { walk: Some(walk), field, ..Self::default() }
    }

    /// At an operation.
    #[must_use]
    pub fn operation(self, index: usize) -> Self {
        Self { operation: Some(index), ..self }
    }

    /// At a tensor.
    #[must_use]
    pub fn tensor(self, id: u32) -> Self {
        Self { tensor: Some(id), ..self }
    }
}

/// A law that does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// Which.
    pub law: Law,
    /// Where.
    pub at: At,
    /// The operation for people: `LayerNorm in Block(3)`.
    pub operation: Option<String>,
    /// What the certificate states.
    pub stated: String,
    /// What follows from the rest of it.
    pub derived: String,
}

/// What was held against the laws.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// How often each law was applied.
    pub checked: BTreeMap<Law, u64>,
    /// Where one was broken, in the order of finding.
    pub broken: Vec<Broken>,
}

impl Book {
    /// Notes whether a law holds.
    pub fn hold(&mut self, law: Law, at: At, holds: bool, stated: impl Debug, derived: impl Debug) -> bool {
        *self.checked.entry(law).or_default() += 1;
        if !holds {
            let (stated, derived) = (format!("{stated:?}"), format!("{derived:?}"));
            self.broken.push(Broken { law, at, operation: None, stated, derived });
        }
        holds
    }

    /// A law that two values are equal.
    pub fn equal<T: PartialEq + Debug>(&mut self, law: Law, at: At, stated: T, derived: T) -> bool {
        let holds = stated == derived;
        self.hold(law, at, holds, stated, derived)
    }

    /// A law that two sums of floats are equal but for rounding.
    pub fn close(&mut self, law: Law, at: At, stated: f64, derived: f64) -> bool {
        self.hold(law, at, close(stated, derived), stated, derived)
    }

    /// Adds the operations' names to what is broken.
    pub(super) fn name_operations<R>(&mut self, content: &Content<R>) {
        for broken in &mut self.broken {
            let walk = content.walks.iter().find(|w| Some(w.walk) == broken.at.walk);
            let operation = walk.zip(broken.at.operation).and_then(|(walk, i)| walk.operations.get(i));
            broken.operation = operation.map(|o| format!("{} in {:?}", o.op.name(), o.place));
        }
    }
}

/// Whether two sums are equal but for the order of adding: to a billionth. No number is close to one that is none.
#[allow(clippy::float_cmp, reason = "two infinities are equal")]
pub(super) fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}
