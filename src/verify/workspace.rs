//! Laws of workspace on the CPU: what an operation takes beside its operands. `tests/memory.rs` measures them on the heap.
//!
//! On a card it follows from the chain of an operation: see [`super::card`].

use super::format::{Op, Tensor};
use super::graph::bytes;
use super::shape::product_extents;

/// Elements that a sum of squares adds into one partial sum of 8 bytes.
const SUM_CHUNK: u64 = 65_536;

/// Rows that share a partial sum of the gradients of a norm's gain and bias.
const NORM_ROWS: u64 = 64;

/// Workspace of an operation on the CPU; the shapes are lawful.
pub fn on_cpu(op: &Op, inputs: &[&Tensor], threads: u64) -> u64 {
    match op {
        Op::MatMul { transpose_a, transpose_b } => packed(*transpose_a, *transpose_b, inputs[0], inputs[1]),
        Op::MatMulAccumulate { transpose_a, transpose_b } => packed(*transpose_a, *transpose_b, inputs[1], inputs[2]),
        Op::Attention { sequence, .. } | Op::AttentionGradient { sequence, .. } => {
            threads.saturating_mul(sequence.saturating_mul(*sequence)).saturating_mul(4)
        }
        Op::LayerNormGradient => bytes(inputs[4]).saturating_mul(2 * inputs[0].shape[0].div_ceil(NORM_ROWS)),
        Op::PositionGradient => (inputs[0].shape[0] / inputs[1].shape[0]).saturating_mul(8),
        Op::SumSquares => partial_sums(inputs[0]),
        Op::ClipFactor { .. } => inputs.len() as u64 * 8,
        _ => 0,
    }
}

fn partial_sums(tensor: &Tensor) -> u64 {
    (bytes(tensor) / 4).div_ceil(SUM_CHUNK).saturating_mul(8)
}

/// At most what `gemm` 0.19 copies for a product: panels up to 512 deep, of f32, rounded up to a tile of 64. Of a for all rows where it is
/// transposed and the columns pass two of the smallest tiles (16), or where they pass 128 of them; of b for all columns, up to two
/// blocks of 512, where it is transposed or they are not whole tiles.
fn packed(transpose_a: bool, transpose_b: bool, a: &Tensor, b: &Tensor) -> u64 {
    let Some((m, n, k)) = product_extents(transpose_a, transpose_b, &a.shape, &b.shape) else { return 0 };
    let rows = n > 2048 || (transpose_a && n > 32);
    let columns = n <= 1024 && (transpose_b || !n.is_multiple_of(64));
    let wide = if rows { m.saturating_add(64) } else { 0 }.saturating_add(if columns { n + 64 } else { 0 });
    k.min(512).saturating_mul(wide).saturating_mul(4)
}
