//! Matrix products on parts of buffers, by the `gemm` crate.

use gemm::Parallelism;

/// A matrix inside a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Index of the first element.
    pub offset: usize,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Distance from row to row.
    pub row_stride: usize,
    /// Distance from column to column.
    pub column_stride: usize,
}

impl Layout {
    /// A row-major matrix that fills its buffer.
    pub fn full(rows: usize, columns: usize) -> Self {
        Self { offset: 0, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// `columns` columns of every row of a matrix with rows `stride` apart, from `offset` on.
    pub fn window(offset: usize, rows: usize, columns: usize, stride: usize) -> Self {
        Self { offset, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transposed matrix, on the same elements.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }

    /// This or the transposed matrix.
    #[must_use]
    pub fn transposed_if(self, transpose: bool) -> Self {
        if transpose { self.transposed() } else { self }
    }

    /// One past the largest index that is touched.
    fn end(self) -> usize {
        if self.rows == 0 || self.columns == 0 {
            return self.offset;
        }
        self.offset + (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride + 1
    }
}

/// c ← keep·c + factor·a·b.
///
/// # Panics
/// Where the extents do not fit each other or a matrix leaves its buffer: a bug in a kernel, never in a recipe.
pub fn product(c: (&mut [f32], Layout), a: (&[f32], Layout), b: (&[f32], Layout), keep: f32, factor: f32, threads: Threads) {
    let ((c, lc), (a, la), (b, lb)) = (c, a, b);
    assert!(lc.rows == la.rows && lc.columns == lb.columns && la.columns == lb.rows, "extents of a matrix product");
    assert!(lc.end() <= c.len() && la.end() <= a.len() && lb.end() <= b.len(), "a matrix leaves its buffer");
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    // SAFETY: the pointers are valid for every index that the layouts reach (asserted above), and `c` is borrowed
    // mutably, so it overlaps neither operand.
    #[allow(unsafe_code, reason = "gemm's interface is raw pointers")]
    unsafe {
        gemm::gemm(
            lc.rows,
            lc.columns,
            la.columns,
            c.as_mut_ptr().add(lc.offset),
            lc.column_stride as isize,
            lc.row_stride as isize,
            keep != 0.0,
            a.as_ptr().add(la.offset),
            la.column_stride as isize,
            la.row_stride as isize,
            b.as_ptr().add(lb.offset),
            lb.column_stride as isize,
            lb.row_stride as isize,
            keep,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// Who works on a product.
#[derive(Clone, Copy, Debug)]
pub enum Threads {
    /// The calling thread: inside a parallel loop.
    One,
    /// All threads.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_a_product_is_added_to_what_is_there() {
        let a = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0];
        let b = [5.0, 6.0, 7.0, 8.0];
        let mut c = [1.0; 4];
        let window = Layout::window(0, 2, 2, 3);
        product((&mut c, Layout::full(2, 2)), (&a, window), (&b, Layout::full(2, 2).transposed()), 1.0, 2.0, Threads::One);
        assert_eq!(c, [35.0, 47.0, 79.0, 107.0]);
    }

    #[test]
    #[allow(clippy::should_panic_without_expect)]
    fn a_matrix_that_leaves_its_buffer_is_refused() {
        let result = std::panic::catch_unwind(|| {
            let mut c = [0.0; 4];
            product(
                (&mut c, Layout::full(2, 2)),
                (&[0.0; 3], Layout::full(2, 2)),
                (&[0.0; 4], Layout::full(2, 2)),
                0.0,
                1.0,
                Threads::One,
            );
        });
        assert!(result.is_err());
    }
}
