//! What matrix products take beside their operands on the CPU: the panels that `gemm` 0.19 copies.
//!
//! This follows `gemm_basic_generic` and `kernel_params` of gemm-common 0.19.0, f32. Our matrices are row-major, and `gemm` turns
//! such products round: its rows are our columns, its left factor is our right one.
//!
//! Left out: lists of a byte for each tile, and the products with a single row or column of results, which copy nothing.

use serde::{Deserialize, Serialize};

use super::MatMul;
use crate::units::Bytes;

/// A cache as a thread sees it: what `device::Cache` says, in words of this stage, which knows of no devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Bytes for each thread that shares it; the last level is not divided.
    pub bytes: u64,
    /// Ways of associativity.
    pub ways: u64,
    /// Bytes of a line.
    pub line: u64,
}

/// What decides which panels are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panels {
    /// f32 lanes of a vector: 16 with AVX-512, 8 with AVX2, 4 with NEON, 1 without any.
    pub lanes: u64,
    /// The caches of data, by level.
    pub caches: [Cache; 3],
}

/// What a product takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Copied panels, given back when it is done.
    pub bytes: Bytes,
    /// Whether each thread that works on it uses a slab of its own, which it keeps for good.
    pub slab: bool,
    /// Whether all threads work on it; else the one that asks.
    pub shared: bool,
}

/// Products with less to do are done by one thread: `DEFAULT_THREADING_THRESHOLD`.
const SHARED_FROM: u64 = 48 * 48 * 256;

/// Alignment of panels: `CACHELINE_ALIGN` on x86-64 and ARM.
const ALIGNMENT: u64 = 128;

/// Bytes of an f32.
const FLOAT: u64 = 4;

impl Panels {
    /// A slab: as large as a thread's share of the second cache.
    pub fn slab(&self) -> Bytes {
        Bytes(self.caches[1].bytes)
    }

    /// Rows and columns of the largest kernel's tile.
    fn tile(&self) -> (u64, u64) {
        match self.lanes {
            16.. => (64, 6),
            8.. => (16, 6),
            4.. => (16, 4),
            _ => (2, 4),
        }
    }

    /// What op(a)·op(b) takes, m×k by k×n, row-major.
    pub fn product(&self, rule: MatMul, (m, n, k): (u64, u64, u64)) -> Packed {
        let (rows, columns) = (n, m);
        let (tile_rows, tile_columns) = self.tile();
        let along = !rule.transpose_a && rule.transpose_b;
        let dot_products = self.lanes >= 8 && along && rows * columns <= 256;
        let one_column = columns <= 1 && (!rule.transpose_b || along);
        if rows == 0 || columns == 0 || k <= 2 || dot_products || one_column {
            return Packed::default();
        }
        let Blocks { depth, rows: block, columns: across } = self.blocks(rows, columns, k);
        let enough = if self.lanes == 4 || rule.transpose_a { 2 } else { 128 };
        let right = if rows > enough * tile_rows { depth * across / tile_columns * tile_columns } else { 0 };
        let whole = !rule.transpose_b && rows.is_multiple_of(self.lanes);
        let ahead = rows <= 2 * block && !whole;
        let left = if ahead { depth * rows.next_multiple_of(tile_rows) } else { 0 };
        let aligned = |elements: u64| (elements * FLOAT).next_multiple_of(ALIGNMENT);
        let shared = rows.saturating_mul(columns.min(across)).saturating_mul(depth) >= SHARED_FROM;
        Packed { bytes: Bytes(aligned(right) + aligned(left)), slab: !ahead, shared }
    }

    /// `kernel_params`, and what stands in its place for small products.
    fn blocks(&self, rows: u64, columns: u64, k: u64) -> Blocks {
        let (tile_rows, tile_columns) = self.tile();
        // No machine has more; a file may say anything.
        let [l1, l2, l3] = self.caches.map(|cache| Cache {
            bytes: cache.bytes.min(1 << 40),
            ways: cache.ways.clamp(2, 1 << 10),
            line: cache.line.min(1 << 12),
        });
        if rows <= 64 && columns <= 64 {
            let depth = k.min(512);
            let block = l2.bytes / FLOAT / depth / tile_rows * tile_rows;
            return Blocks { depth, rows: block, columns: columns.next_multiple_of(tile_columns) };
        }
        let line = l1.line.max(64);
        let way = (line * (l1.bytes.max(32 << 10) / (line * l1.ways))).max(1);
        let common = divisor(tile_rows * FLOAT, way);
        let least = way / common;
        let ways = l1.ways / (tile_rows * FLOAT / common + tile_columns * least * FLOAT / way);
        let depth = (least * ways.next_power_of_two()).max(512).min(k);
        let depth = k.div_ceil(k.div_ceil(depth));
        let taken = (tile_columns * depth * FLOAT).div_ceil((l2.bytes / l2.ways).max(1));
        let free = (l2.ways - 1).saturating_sub(taken).max(1);
        let block = (free * l2.bytes / (l2.ways * FLOAT * depth) / tile_rows * tile_rows).max(tile_rows);
        let block = (rows.div_ceil(rows.div_ceil(block) * tile_rows) * tile_rows).min(8 * tile_rows);
        let widest = ((l3.ways - 1) * l3.bytes / l3.ways / (FLOAT * depth) / tile_columns * tile_columns).max(tile_columns);
        let across = columns.div_ceil(columns.div_ceil(widest) * tile_columns) * tile_columns;
        Blocks { depth, rows: block, columns: across }
    }
}

/// Extents of a block, in `gemm`'s rows and columns.
struct Blocks {
    depth: u64,
    rows: u64,
    columns: u64,
}

/// The greatest common divisor.
fn divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_caches_are_survived() {
        let numbers = [0, 1, 64, 1024, 1 << 20, 1 << 45, u64::MAX];
        for bytes in numbers {
            for ways in numbers {
                for line in numbers {
                    let panels = Panels { lanes: 16, caches: [Cache { bytes, ways, line }; 3] };
                    for extents in [(1, 1, 1), (64, 64, 64), (4096, 768, 3072)] {
                        panels.product(MatMul { transpose_a: false, transpose_b: true }, extents);
                    }
                }
            }
        }
    }
}
