//! The steps of plain forms. See [`chain`](super) for what each does and where that is from.

use super::layout::{Handle, contiguous, elements, padded};
use super::{ALIGNMENT, Chain, ELEMENT, Signature};
use crate::step::tensor::{DType, Shape};
use crate::units::Flops;

/// The steps of a plain form.
impl Chain {
    /// Takes operand `i` in its shape (`Plain::take`).
    pub fn take(&mut self, types: Signature<'_>, i: usize) -> Handle {
        let shape = types.inputs[i].shape;
        self.operands[i].1 = true;
        Handle { buffer: self.operands[i].0, shape, strides: contiguous(&shape) }
    }

    /// Takes operand `i` as it is kept (`Plain::flat`).
    pub fn flat(&mut self, types: Signature<'_>, i: usize) -> Handle {
        let x = self.take(types, i);
        Handle { shape: Shape::new(&[x.elements()]), strides: [1; Shape::MAX_RANK], ..x }
    }

    /// Sends operand `i`, integers, to the device (`Plain::index`).
    pub fn index(&mut self, types: Signature<'_>, i: usize) -> Handle {
        debug_assert_eq!(types.inputs[i].dtype, DType::I32);
        self.new_padded(types.inputs[i].shape)
    }

    /// The tensor once more (`clone`).
    pub fn again(&mut self, x: &Handle) -> Handle {
        self.buffers[x.buffer].owners += 1;
        Handle { buffer: x.buffer, shape: x.shape, strides: x.strides }
    }

    /// The tensor goes.
    #[allow(clippy::needless_pass_by_value, reason = "the handle is used up")]
    pub fn drop(&mut self, x: Handle) {
        self.disown(x.buffer);
    }

    /// The next output, made flat.
    pub fn output(&mut self, x: Handle) {
        let flat = self.reshape(x, &[0]);
        self.outputs.push(flat.buffer);
    }

    /// A function of each element: with a number, exp, log, sqrt, recip, erf, neg.
    pub fn unary(&mut self, x: Handle) -> Handle {
        if self.is_alone(&x) {
            return x;
        }
        let made = self.new_padded(x.shape);
        self.drop(x);
        made
    }

    /// A function of the elements of two, one of which may be broadcast.
    pub fn binary(&mut self, a: Handle, b: Handle) -> Handle {
        if self.is_alone(&a) && a.shape.covers(&b.shape) {
            self.drop(b);
            return a;
        }
        if self.is_alone(&b) && b.shape.covers(&a.shape) {
            self.drop(a);
            return b;
        }
        let made = self.new_padded(a.shape.broadcast(b.shape));
        self.drop(a);
        self.drop(b);
        made
    }

    /// A sum, mean or maximum along a dimension, which stays with one element.
    pub fn reduce(&mut self, x: Handle, dim: usize) -> Handle {
        let made = self.new_contiguous(x.shape.with(dim, 1));
        self.drop(x);
        made
    }

    /// A matrix product, or one for each batch.
    pub fn matmul(&mut self, a: Handle, b: Handle) -> Handle {
        let rank = a.shape.len();
        let (m, k, n) = (a.dim(rank - 2), a.dim(rank - 1), b.dim(rank - 1));
        self.flops += Flops::matmul(m, n, k) * elements(&a.shape[..rank - 2]);
        let made = self.new_padded(a.shape.with(rank - 1, n));
        let copies = [padded(&a.shape).0, padded(&b.shape).0, self.buffers[made.buffer].bytes];
        self.tuning = self.tuning.max(copies.into_iter().fold(self.live, u64::saturating_add));
        let ordered = [&a, &b].map(|x| x.is_highly_permuted().then(|| padded(&x.shape).0));
        let copies = ordered.map(|bytes| bytes.map(|bytes| self.take_buffer(bytes)));
        self.drop(a);
        self.drop(b);
        for copy in copies.into_iter().flatten() {
            self.disown(copy);
        }
        made
    }

    /// Two dimensions swapped.
    #[allow(clippy::needless_pass_by_value, reason = "the handle is used up")]
    pub fn swap(&mut self, x: Handle, i: usize, j: usize) -> Handle {
        let Handle { buffer, shape, mut strides } = x;
        strides.swap(i, j);
        Handle { buffer, shape: shape.swapped(i, j), strides }
    }

    /// The last two dimensions swapped.
    pub fn transpose(&mut self, x: Handle) -> Handle {
        let rank = x.shape.len();
        self.swap(x, rank - 2, rank - 1)
    }

    /// Another shape; the extent 0 is what is left.
    pub fn reshape(&mut self, x: Handle, extents: &[u64]) -> Handle {
        let mut shape = [1; Shape::MAX_RANK];
        shape[..extents.len()].copy_from_slice(extents);
        let shape = &mut shape[..extents.len()];
        if let Some(open) = shape.iter().position(|extent| *extent == 0) {
            shape[open] = 1;
            shape[open] = x.elements() / elements(shape).max(1);
        }
        let shape = Shape::new(shape);
        if x.is_contiguous() {
            return Handle { buffer: x.buffer, strides: contiguous(&shape), shape };
        }
        if x.shape == shape {
            return x;
        }
        let made = self.new_padded(shape);
        self.drop(x);
        made
    }

    /// Rows by number: `[R, D]` and `[N]` → `[N, D]`.
    pub fn select(&mut self, x: Handle, rows: Handle) -> Handle {
        let made = self.new_padded(Shape::new(&[rows.dim(0), x.dim(1)]));
        self.drop(x);
        self.drop(rows);
        made
    }

    /// An element of each row by number, in the shape of the numbers.
    pub fn gather(&mut self, x: Handle, numbers: Handle) -> Handle {
        let made = self.new_padded(numbers.shape);
        self.drop(x);
        self.drop(numbers);
        made
    }

    /// Values written at numbers (`select_assign`, `scatter`).
    pub fn assign(&mut self, x: Handle, numbers: Handle, values: Handle) -> Handle {
        let into = if self.is_alone(&x) { None } else { Some(self.new_padded(x.shape)) };
        let made = match into {
            None => x,
            Some(copy) => {
                self.drop(x);
                copy
            }
        };
        self.drop(numbers);
        self.drop(values);
        made
    }

    /// A new tensor filled with one number.
    pub fn filled(&mut self, shape: &[u64]) -> Handle {
        self.new_padded(Shape::new(shape))
    }

    /// `length` indices of the first dimension from `start` on.
    pub fn slice(&mut self, x: Handle, start: u64, length: u64) -> Handle {
        let after = x.rows() - start - length;
        let shape = x.shape.with(0, length);
        let offset = |indices: u64| indices.saturating_mul(x.strides[0]).saturating_mul(ELEMENT);
        if offset(start).is_multiple_of(ALIGNMENT) && offset(after).is_multiple_of(ALIGNMENT) {
            return Handle { shape, ..x };
        }
        let made = self.new_padded(shape);
        self.drop(x);
        made
    }

    /// Tensors of one shape joined along the first dimension, which then has `total` indices.
    pub fn cat(&mut self, parts: impl IntoIterator<Item = Handle>, total: u64) -> Handle {
        let made = self.new_padded(Shape::new(&[total]));
        for part in parts {
            self.drop(part);
        }
        made
    }

    /// No element larger than a number.
    pub fn clamp_max(&mut self, x: Handle) -> Handle {
        let same = self.again(&x);
        let mask = self.new_padded(x.shape);
        self.drop(same);
        self.binary(x, mask)
    }
}
