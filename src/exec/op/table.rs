//! Rows of a table added in turn.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{Frame, Plain, Run, flat};
use crate::exec::host::{pieces, wide};
use crate::step::op::{AddTable, NORM_ROWS, TableGradient};

/// Columns that are summed at once: two rows of sums stay in the registers and the first-level cache.
const COLUMNS: usize = 256;

impl Run for AddTable {
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(0, 1);
        let period = self.period as usize;
        let table = &frame.floats(1)[..period * d];
        let [out] = frame.take();
        // Whole periods, and so many of them that a piece is worth a thread.
        let rows = (NORM_ROWS as usize).div_ceil(period) * period;
        pieces(out, rows * d, |_, out| {
            for out in out.chunks_mut(period * d) {
                for (y, t) in out.iter_mut().zip(table) {
                    *y += t;
                }
            }
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (period, d) = (self.period as usize, x.dim(0, 1));
        let all = x.types.inputs[1].elements() as usize;
        let (input, table) = (x.flat(0), x.flat(1));
        let table = if period * d == all { table } else { table.narrow(0, 0, period * d) };
        let input: Tensor<3> = input.reshape([-1, period as isize, d as isize]);
        vec![flat(input + table.reshape([1, period, d]))]
    }
}

impl Run for TableGradient {
    /// Each column is summed by one thread, in groups of rows that depend on the extents alone.
    fn host(&self, frame: &mut Frame<'_>) {
        let d = frame.dim(0, 1);
        let (dy, period) = (frame.floats(0), self.period as usize);
        let [out] = frame.take();
        let places = out.par_chunks_mut(d).take(period).enumerate();
        places.for_each(|(place, row)| {
            row.par_chunks_mut(COLUMNS).enumerate().for_each(|(i, columns)| {
                wide(|| sum_columns(&dy[place * d + i * COLUMNS..], period * d, columns));
            });
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (period, d) = (self.period as usize, x.dim(0, 1));
        let all = x.types.outputs[0].elements() as usize;
        let dy: Tensor<3> = x.flat(0).reshape([-1, period as isize, d as isize]);
        let sum: Tensor<1> = dy.sum_dim(0).reshape([period * d]);
        if period * d == all {
            return vec![sum];
        }
        let rest = Tensor::zeros([all - period * d], x.device);
        vec![Tensor::cat(vec![sum, rest], 0)]
    }
}

/// columns ← the sums of what begins every `stride` elements; [`NORM_ROWS`] rows are added up before they are added to the sum.
#[inline(always)]
fn sum_columns(dy: &[f32], stride: usize, columns: &mut [f32]) {
    let width = columns.len();
    for rows in dy.chunks(stride * NORM_ROWS as usize) {
        let mut part = [0f32; COLUMNS];
        for row in rows.chunks(stride) {
            for (sum, x) in part.iter_mut().zip(&row[..width]) {
                *sum += x;
            }
        }
        for (sum, x) in columns.iter_mut().zip(part) {
            *sum += x;
        }
    }
}
