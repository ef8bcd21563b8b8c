//! How tensors lie in their buffers on CUDA: padded rows, and which views are possible. See [`chain`](super) for where this is from.

use super::{ALIGNMENT, ELEMENT};
use crate::step::tensor::Shape;

/// A tensor in a chain: a buffer and how its elements lie there.
#[derive(Debug)]
#[must_use]
pub struct Handle {
    pub(super) buffer: usize,
    pub(super) shape: Shape,
    /// Elements from one index to the next, per dimension.
    pub(super) strides: [u64; Shape::MAX_RANK],
}

impl Handle {
    /// Extent of the first dimension.
    pub fn rows(&self) -> u64 {
        self.dim(0)
    }

    pub(super) fn dim(&self, i: usize) -> u64 {
        self.shape[i]
    }

    pub(super) fn elements(&self) -> u64 {
        elements(&self.shape)
    }

    /// Whether the elements are in order without gaps; dimensions of one element have any stride.
    pub(super) fn is_contiguous(&self) -> bool {
        let plain = contiguous(&self.shape);
        (0..self.shape.len()).all(|i| self.shape[i] == 1 || self.strides[i] == plain[i])
    }

    /// Whether the batches of matrices do not lie outside the matrices (`matrix_batch_layout`, `cubecl-std`).
    pub(super) fn is_highly_permuted(&self) -> bool {
        let rank = self.shape.len();
        let Some(batches) = rank.checked_sub(2) else { return false };
        let matrix = self.strides[rank - 2].max(self.strides[rank - 1]);
        self.strides[..batches].iter().any(|stride| *stride < matrix)
    }
}

pub(super) fn elements(shape: &[u64]) -> u64 {
    shape.iter().fold(1, |n: u64, extent| n.saturating_mul(*extent))
}

/// Strides of a tensor without gaps.
pub(super) fn contiguous(shape: &[u64]) -> [u64; Shape::MAX_RANK] {
    let mut strides = [1u64; Shape::MAX_RANK];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i]);
    }
    strides
}

/// Bytes and strides of a tensor whose rows are padded.
pub(super) fn padded(shape: &[u64]) -> (u64, [u64; Shape::MAX_RANK]) {
    let rank = shape.len();
    let width = shape.last().copied().unwrap_or(1).saturating_mul(ELEMENT);
    let align = if width == ELEMENT { ELEMENT } else { width.min(ALIGNMENT).next_power_of_two().max(16) };
    // `align` is a power of two.
    let pitch = if rank < 2 { width } else { width.saturating_add(align - 1) & !(align - 1) };
    let mut strides = [1u64; Shape::MAX_RANK];
    if rank > 1 {
        strides[rank - 2] = pitch / ELEMENT;
        for i in (1..rank - 1).rev() {
            strides[i - 1] = strides[i].saturating_mul(shape[i]);
        }
    }
    let rows = shape.iter().rev().skip(1).fold(1, |n: u64, extent| n.saturating_mul(*extent));
    (rows.saturating_mul(pitch), strides)
}
