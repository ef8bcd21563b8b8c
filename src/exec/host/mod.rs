//! What the fused kernels on the CPU share: wide arithmetic, matrix products on parts of buffers, work in fixed pieces.
//!
//! Invariant: how a sum is grouped depends on its extents alone, never on the number of threads.

pub mod draws;
pub mod math;
pub mod matrix;

use rayon::prelude::*;

/// Runs a piece of arithmetic compiled for the widest vectors that this processor has.
#[inline]
pub fn wide<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(Once(work))
}

struct Once<F>(F);

impl<R, F: FnOnce() -> R> pulp::WithSimd for Once<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> R {
        (self.0)()
    }
}

/// Elements of one piece of elementwise work: small enough for the second-level cache with four operands.
pub const PIECE: usize = 16_384;

/// Work on pieces of one output, side by side: `work(index of the piece, piece)`.
pub fn pieces(out: &mut [f32], size: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    out.par_chunks_mut(size).enumerate().for_each(|(i, piece)| wide(|| work(i, piece)));
}

/// As [`pieces`], for two outputs cut alike.
pub fn pieces2(a: &mut [f32], b: &mut [f32], sizes: (usize, usize), work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync) {
    let parts = a.par_chunks_mut(sizes.0).zip(b.par_chunks_mut(sizes.1)).enumerate();
    parts.for_each(|(i, (a, b))| wide(|| work(i, a, b)));
}

/// As [`pieces`], for three outputs cut alike.
pub fn pieces3([a, b, c]: [&mut [f32]; 3], sizes: [usize; 3], work: impl Fn(usize, &mut [f32], &mut [f32], &mut [f32]) + Sync) {
    let parts = a.par_chunks_mut(sizes[0]).zip(b.par_chunks_mut(sizes[1])).zip(c.par_chunks_mut(sizes[2])).enumerate();
    parts.for_each(|(i, ((a, b), c))| wide(|| work(i, a, b, c)));
}

/// One number for each piece of an output, in the order of the pieces.
pub fn partials1(out: &mut [f32], size: usize, work: impl Fn(usize, &mut [f32]) -> f64 + Sync) -> Vec<f64> {
    out.par_chunks_mut(size).enumerate().map(|(i, piece)| wide(|| work(i, piece))).collect()
}

/// As [`partials1`], for two outputs cut alike.
pub fn partials2(
    a: &mut [f32],
    b: &mut [f32],
    size: usize,
    work: impl Fn(usize, &mut [f32], &mut [f32]) -> f64 + Sync,
) -> Vec<f64> {
    let parts = a.par_chunks_mut(size).zip(b.par_chunks_mut(size)).enumerate();
    parts.map(|(i, (a, b))| wide(|| work(i, a, b))).collect()
}

/// As [`pieces3`] with pieces of one size, giving two numbers for each, in the order of the pieces.
pub fn partials3(
    [a, b, c]: [&mut [f32]; 3],
    size: usize,
    work: impl Fn(usize, &mut [f32], &mut [f32], &mut [f32]) -> (f64, f64) + Sync,
) -> Vec<(f64, f64)> {
    let parts = a.par_chunks_mut(size).zip(b.par_chunks_mut(size)).zip(c.par_chunks_mut(size)).enumerate();
    parts.map(|(i, ((a, b), c))| wide(|| work(i, a, b, c))).collect()
}

/// One number for each piece of an input, in the order of the pieces.
pub fn partials(input: &[f32], size: usize, work: impl Fn(usize, &[f32]) -> f64 + Sync) -> Vec<f64> {
    input.par_chunks(size).enumerate().map(|(i, piece)| wide(|| work(i, piece))).collect()
}
