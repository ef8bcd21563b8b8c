//! From gradients to weights.

mod adafactor;
mod adam;
mod clip;
mod lamb;
mod lion;
mod muon;
mod sgd;

#[cfg(test)]
mod tests;

use burn::tensor::Tensor;

use super::{Frame, Plain, Run};
use crate::exec::host::math::sum;

/// Elements that are summed in f32 before they are added in f64.
const SHORT: usize = 1024;

/// The sum of squares, in a fixed order.
#[inline(always)]
fn squares(x: &[f32]) -> f64 {
    x.chunks(SHORT).map(|x| f64::from(sum(x.len(), |i| x[i] * x[i]))).sum()
}

/// Rows and columns of a parameter; what is no matrix is one row.
fn extents(x: &Plain<'_>) -> (usize, usize) {
    match *x.types.inputs[0].shape {
        [rows, columns] => (rows as usize, columns as usize),
        _ => (1, x.types.inputs[0].elements() as usize),
    }
}

/// The gradient times the clip factor, `clip` being the place of norm and factor.
fn clipped(x: &mut Plain<'_>, clip: usize) -> Tensor<1> {
    let (g, factor) = (x.flat(1), x.flat(clip).narrow(0, 1, 1));
    g * factor
}
