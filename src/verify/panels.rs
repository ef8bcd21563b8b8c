//! Laws of what `gemm` 0.19.0 copies for a matrix product of f32 on the CPU, from the source of its crate gemm-common: `gemm_basic_generic`
//! in `gemm.rs` and `kernel_params` in `cache.rs`.
//!
//! The library works by columns and our results lie by rows, so it turns a product around: cᵀ = op(b)ᵀ·op(a)ᵀ. The height of its result is
//! the width of ours, its left factor is our second, and its right factor our first.
//!
//! Left out: a byte for each tile of a block, and that a result of one column by a product of whole matrices copies nothing.

use crate::device::{Cache, Lanes};

/// A product of m×k by k×n.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// Which factors lie transposed.
    pub transposed: [bool; 2],
    /// (m, n, k).
    pub extents: (u64, u64, u64),
}

/// What a product takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes of copies that it gives back.
    pub copies: u64,
    /// Whether who works on it copies blocks of the left factor into a slab that it keeps.
    pub slab: bool,
    /// Whether it is work enough for all threads.
    pub shared: bool,
}

/// Bytes of an f32.
const F32: u64 = 4;

/// Multiply-adds from which a product is shared out: `DEFAULT_THREADING_THRESHOLD`.
const SHARED: u64 = 589_824;

/// Bytes that a copy is rounded up to: `CACHELINE_ALIGN` on x86-64 and ARM.
const LINE: u64 = 128;

/// Up to a multiple.
fn up(n: u64, step: u64) -> u64 {
    n.div_ceil(step).saturating_mul(step)
}

/// Down to a multiple.
fn down(n: u64, step: u64) -> u64 {
    n / step * step
}

/// The product of some numbers.
fn times(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |n: u64, factor| n.saturating_mul(*factor))
}

/// Height and width of what the largest kernel makes at once: the last of `microkernel_fn_array!` in gemm-f32, in vectors by columns.
fn tile(lanes: u64) -> (u64, u64) {
    match lanes {
        0..4 => (2, 4),
        4..8 => (4 * 4, 4),
        8..16 => (2 * 8, 6),
        _ => (4 * 16, 6),
    }
}

/// What a product takes; nothing where its kernels read both factors where they lie: dot products (`horizontal_dispatcher`, of vectors that
/// have them), sums of one or two outer products (`gevv`), and products with one vector (`mixed_gemv`).
pub fn taken(library: &Lanes, Product { transposed: [first, second], extents: (width, height, k) }: Product) -> Taken {
    let (tall, wide) = tile(library.lanes);
    let along_both = second && !first;
    let dots = library.lanes >= 8 && along_both && height.saturating_mul(width) <= 16 * 16;
    let vector = width == 1 && (along_both || !second);
    if height == 0 || width == 0 || k <= 2 || dots || vector {
        return Taken::default();
    }
    let block = block(&library.caches, (tall, wide), (height, width, k));
    // `do_pack_rhs`: where the result is this many tiles tall, fewer if columns of the right factor do not lie in one piece, or on ARM.
    let tiles = if first || library.lanes == 4 { 2 } else { 128 };
    let right = height > tiles * tall;
    // `do_prepack_lhs`: all at once where the left factor is at most two blocks, and cannot be read in whole vectors where it lies.
    let in_vectors = !second && height.is_multiple_of(library.lanes.max(1));
    let left = height <= block.height.saturating_mul(2) && !in_vectors;
    let copy = |is_made: bool, extent: u64| if is_made { up(times(&[extent, block.depth, F32]), LINE) } else { 0 };
    Taken {
        copies: copy(right, down(block.width, wide)).saturating_add(copy(left, up(height, tall))),
        slab: !left,
        shared: times(&[height, width.min(block.width), block.depth]) >= SHARED,
    }
}

/// What is worked on at once.
struct Block {
    depth: u64,
    height: u64,
    width: u64,
}

/// `kernel_params`, each cache with the least that it is taken to have; small results are one block (`gemm_basic_generic`).
fn block(caches: &[Cache; 3], (tall, wide): (u64, u64), (height, width, k): (u64, u64, u64)) -> Block {
    let [l1, l2, l3] = caches.map(|cache| Cache { ways: cache.ways.max(2), ..cache });
    if height <= 64 && width <= 64 {
        let depth = k.min(512);
        return Block { depth, height: down(l2.bytes / F32 / depth, tall), width: up(width, wide) };
    }
    let depth = even(k, depth(l1, tall, wide).max(512).min(k), 1);
    // The second cache holds a panel of the right factor, a way for what passes through, and a block of the left factor.
    let panel = times(&[wide, depth, F32]).div_ceil((l2.bytes / l2.ways).max(1));
    let ways = (l2.ways - 1).saturating_sub(panel).max(1);
    let fits = down(ways.saturating_mul(l2.bytes) / times(&[l2.ways, F32, depth]), tall).max(tall);
    // The third holds a block of the right factor, in all ways but one.
    let third = (l3.ways - 1).saturating_mul(l3.bytes) / l3.ways;
    let spans = down(third / times(&[F32, depth]), wide).max(wide);
    Block { depth, height: even(height, fits, tall).min(8 * tall), width: even(width, spans, wide) }
}

/// How deep panels are by the first cache: the panel of the left factor fills whole ways from `least` on, and as often as it and that of the
/// right factor go into all ways, rounded up to a power of two, it can be deeper.
fn depth(l1: Cache, tall: u64, wide: u64) -> u64 {
    let line = l1.line.max(64);
    let way = line.saturating_mul(l1.bytes.max(32 << 10) / line.saturating_mul(l1.ways)).max(1);
    let row = tall * F32;
    let least = way / greatest_common_divisor(row, way);
    let ways = times(&[row, least]) / way + times(&[wide, F32, least]) / way;
    let often = (l1.ways / ways.max(1)).checked_next_power_of_two();
    least.saturating_mul(often.unwrap_or(u64::MAX))
}

/// Parts of at most `most`, as equal as whole `step`s allow.
fn even(all: u64, most: u64, step: u64) -> u64 {
    let parts = all.div_ceil(most);
    all.div_ceil(parts.saturating_mul(step)).saturating_mul(step)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_by(transposed: [bool; 2], extents: (u64, u64, u64)) -> (u64, bool, bool) {
        let Taken { copies, slab, shared } = taken(&Lanes::ASSUMED, Product { transposed, extents });
        (copies, slab, shared)
    }

    /// Worked out by hand from the library's source, for AVX-512 with caches of 48 KiB, 2 MiB and 32 MiB.
    #[test]
    fn products_by_hand() {
        // Twelve tiles tall, fewer than 128, in whole vectors: nothing is copied but blocks into slabs.
        assert_eq!(taken_by([false, false], (1024, 768, 768)), (0, true, true));
        // Columns of the first factor do not lie in one piece: 768 of them, 512 deep.
        assert_eq!(taken_by([true, false], (768, 768, 4096)), (768 * 512 * 4, true, true));
        // 1000 deep is two panels of 500.
        assert_eq!(taken_by([true, false], (768, 768, 1000)), (768 * 500 * 4, true, true));
        // Two blocks of 512 hold the second factor, which cannot be read in vectors.
        assert_eq!(taken_by([false, true], (64, 1024, 512)), (1024 * 512 * 4, false, true));
        // Three do not.
        assert_eq!(taken_by([false, true], (64, 1025, 512)), (0, true, true));
        // More than 128 tiles tall: 30522 tokens; 60 rows of the first factor, the next multiple of six.
        assert_eq!(taken_by([false, true], (59, 30_522, 128)), (60 * 128 * 4, true, true));
        // A small result is one block, up to whole tiles, and copies are whole lines.
        assert_eq!(taken_by([false, true], (60, 33, 33)), (64 * 33 * 4, false, false));
        // Dot products, outer products, products with a vector.
        assert_eq!(taken_by([false, true], (16, 16, 512)), (0, false, false));
        assert_eq!(taken_by([false, false], (500, 500, 2)), (0, false, false));
        assert_eq!(taken_by([false, false], (1, 500, 500)), (0, false, false));
    }

    /// No number that a file can state makes this panic.
    #[test]
    fn nothing_panics() {
        let numbers = [0, 1, 3, 64, 1 << 33, u64::MAX];
        for a in numbers {
            for b in numbers {
                let cache = Cache { bytes: a, ways: b, line: a };
                let library = Lanes { lanes: b, caches: [cache, Cache { line: b, ..cache }, cache] };
                for extents in numbers.iter().flat_map(|m| numbers.map(|k| [(*m, k, a), (*m, b, k), (u64::MAX, *m, k)])).flatten()
                {
                    for transposed in [[false, false], [true, false], [false, true], [true, true]] {
                        taken(&library, Product { transposed, extents });
                    }
                }
            }
        }
    }

    /// The planner's law is another text: here both are read beside each other, over random products and caches.
    #[test]
    fn the_planner_says_the_same() {
        use crate::step::op::{Cache as Its, MatMul, Panels};
        let mut state = 1u64;
        let mut draw = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        for _ in 0..200_000 {
            let caches = [12, 15, 18].map(|bits| Cache { bytes: (1 + draw(7)) << bits, ways: draw(17), line: 64 });
            let library = Lanes { lanes: [1, 4, 8, 16][draw(4) as usize], caches };
            let extents = [0; 3].map(|_: u64| {
                let bits = 1 + draw(13);
                1 + draw(1 << bits)
            });
            let extents = extents.into();
            let transposed = [draw(2) == 1, draw(2) == 1];
            let caches = library.caches.map(|Cache { bytes, ways, line }| Its { bytes, ways, line });
            let rule = MatMul { transpose_a: transposed[0], transpose_b: transposed[1] };
            let its = Panels { lanes: library.lanes, caches }.product(rule, extents);
            let ours = taken(&library, Product { transposed, extents });
            assert_eq!(
                (ours.copies, ours.slab, ours.shared),
                (its.bytes.0, its.slab, its.shared),
                "{extents:?} {transposed:?} {library:?}"
            );
        }
    }
}
