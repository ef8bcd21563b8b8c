//! From gradients to weights: the global norm and its clipping, and the optimizers.
//!
//! An optimizer's operation has as inputs the weight, its gradient, what is kept of it from step to step, and the norm and clip factor
//! `[2]`; as outputs the weight and what is kept, each written over its input. Rate and number t of the step come from outside. g is
//! the gradient times the clip factor, everywhere.

mod adafactor;
mod adam;
mod clip;
mod lamb;
mod lion;
mod muon;
mod sgd;

pub use adafactor::Adafactor;
pub use adam::{Adam, AdamW, RAdam};
pub use clip::{ClipFactor, SUM_CHUNK, SumSquares};
pub use lamb::{Lamb, NORM_CHUNK};
pub use lion::Lion;
pub use muon::Muon;
pub use sgd::Sgd;

use super::chain::Handle;
use super::{Chain, Signature};

/// Weight and clipped gradient, taken flat; `clip` is the place of norm and factor.
fn clipped(types: Signature<'_>, c: &mut Chain, clip: usize) -> (Handle, Handle) {
    let (w, g, factor) = (c.flat(types, 0), c.flat(types, 1), c.flat(types, clip));
    let factor = c.slice(factor, 1, 1);
    let g = c.binary(g, factor);
    (w, g)
}

/// The gradient with L2 decay: g + decay·w.
fn with_decay(c: &mut Chain, g: Handle, w: &Handle) -> Handle {
    let part = c.again(w);
    let part = c.unary(part);
    c.binary(g, part)
}
