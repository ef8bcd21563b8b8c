//! Laws of workspace on the CPU: what an operation takes beside its operands. `tests/memory.rs` measures them on the heap.
//! Matrix products take what the library for them copies: see [`super::panels`].
//!
//! On a card it follows from the chain of an operation: see [`super::card`].

use super::format::{Op, Operation, Tensor, Walk};
use super::graph::bytes;
use super::operation::has_lawful_shapes;
use super::panels::{self, Product, Taken};
use super::shape::product_extents;
use crate::device::{Device, DeviceKind, Lanes};

/// Elements that a sum of squares adds into one partial sum of 8 bytes.
const SUM_CHUNK: u64 = 65_536;

/// Elements of a piece of elementwise work.
const PIECE: u64 = 16_384;

/// Rows that share a partial sum of the gradients of a norm's gain and bias.
const NORM_ROWS: u64 = 64;

/// A CPU as these laws see it.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// Threads that work at once.
    pub threads: u64,
    /// What the library for matrix products goes by.
    pub library: Lanes,
}

impl Cpu {
    /// That of a device; none where it is a card.
    pub fn of(device: &Device) -> Option<Self> {
        let DeviceKind::Cpu { threads } = device.kind else { return None };
        Some(Self { threads, library: device.lanes.unwrap_or(Lanes::ASSUMED) })
    }

    /// Bytes that each thread keeps which uses a slab: `L2_SLAB` in gemm-common's `gemm.rs`, its share of the second cache.
    pub fn slab(self) -> u64 {
        self.library.caches[1].bytes
    }
}

/// Workspace of an operation on the CPU; the shapes are lawful.
pub fn on_cpu(op: &Op, inputs: &[&Tensor], cpu: Cpu) -> u64 {
    // Products of one operation follow each other, so that their copies do not add up.
    let copies = || products(op, inputs, cpu).iter().map(|taken| taken.copies).max().unwrap_or(0);
    match op {
        Op::MatMul { .. } | Op::MatMulAccumulate { .. } => copies(),
        // Each thread works on a sequence of its own; with room for S×S gradients of scores, and for S×S probabilities after dropout.
        Op::Attention { sequence, dropout, .. } => {
            let squares = u64::from(dropout.is_some());
            copies().saturating_add(square(*sequence).saturating_mul(squares)).saturating_mul(cpu.threads)
        }
        Op::AttentionGradient { sequence, dropout, .. } => {
            let squares = 1 + u64::from(dropout.is_some());
            copies().saturating_add(square(*sequence).saturating_mul(squares)).saturating_mul(cpu.threads)
        }
        Op::LayerNormGradient => bytes(inputs[4]).saturating_mul(2 * inputs[0].shape[0].div_ceil(NORM_ROWS)),
        Op::RmsNormGradient { .. } => inputs[0].shape[1].saturating_mul(4).saturating_mul(inputs[0].shape[0].div_ceil(NORM_ROWS)),
        Op::PositionGradient => (inputs[0].shape[0] / inputs[1].shape[0]).saturating_mul(8),
        Op::SumSquares => partial_sums(inputs[0]),
        Op::ClipFactor { .. } => inputs.len() as u64 * 8,
        // Two partial sums of each piece: of the weight's squares and of the step's.
        Op::Lamb { .. } => (bytes(inputs[0]) / 4).div_ceil(PIECE).saturating_mul(16),
        // A partial sum of each column, and one of the step's square, for each piece of rows.
        Op::Adafactor { factored: true, .. } => {
            let [rows, columns] = inputs[0].shape[..] else { return 0 };
            columns.saturating_mul(4).saturating_add(8).saturating_mul(rows.div_ceil(NORM_ROWS))
        }
        Op::Adafactor { .. } => (bytes(inputs[0]) / 4).div_ceil(PIECE).saturating_mul(8),
        // The momentum that becomes orthogonal, its successor, and two squares of the shorter side.
        Op::Muon { .. } => {
            let short = inputs[0].shape.iter().min().copied().unwrap_or(0);
            let squares = short.saturating_mul(short).saturating_mul(4);
            bytes(inputs[0]).saturating_add(squares).saturating_mul(2).saturating_add(copies())
        }
        _ => 0,
    }
}

/// What the matrix products of an operation take on the CPU, in their order; the shapes are lawful.
pub fn products(op: &Op, inputs: &[&Tensor], cpu: Cpu) -> Vec<Taken> {
    let of = |transposed, extents| Product { transposed, extents };
    let whole = |transposed: [bool; 2], a: &Tensor, b: &Tensor| {
        let extents = product_extents(transposed[0], transposed[1], &a.shape, &b.shape);
        extents.map(|extents| panels::taken(&cpu.library, of(transposed, extents))).into_iter().collect()
    };
    match op {
        Op::MatMul { transpose_a, transpose_b } => whole([*transpose_a, *transpose_b], inputs[0], inputs[1]),
        Op::MatMulAccumulate { transpose_a, transpose_b } => whole([*transpose_a, *transpose_b], inputs[1], inputs[2]),
        Op::Muon { .. } => orthogonal(&inputs[0].shape).map(|product| panels::taken(&cpu.library, product)).to_vec(),
        Op::Attention { heads, sequence, .. } => {
            let (s, d) = (*sequence, inputs[0].shape[1] / heads);
            // Q·Kᵀ and P·V.
            in_head(cpu, &[of([false, true], (s, s, d)), of([false, false], (s, d, s))])
        }
        Op::AttentionGradient { heads, sequence, .. } => {
            let (s, d) = (*sequence, inputs[0].shape[1] / heads);
            // Pᵀ·dO for V and dSᵀ·Q for K, dO·Vᵀ, dS·K.
            in_head(cpu, &[of([true, false], (s, d, s)), of([false, true], (s, s, d)), of([false, false], (s, d, s))])
        }
        _ => Vec::new(),
    }
}

/// The products that make a matrix orthogonal, each of them again and again: X·Xᵀ, or Xᵀ·X where it is taller than wide, the square of
/// that, and the polynomial times X.
pub fn orthogonal(shape: &[u64]) -> [Product; 3] {
    let &[rows, columns] = shape else { return [Product { transposed: [false; 2], extents: (0, 0, 0) }; 3] };
    let of = |transposed, extents| Product { transposed, extents };
    if rows > columns {
        let square = of([false; 2], (columns, columns, columns));
        [of([true, false], (columns, columns, rows)), square, of([false; 2], (rows, columns, columns))]
    } else {
        let square = of([false; 2], (rows, rows, rows));
        [of([false, true], (rows, rows, columns)), square, of([false; 2], (rows, columns, rows))]
    }
}

/// Products in a head. Each is one thread's, but all threads do some.
fn in_head(cpu: Cpu, products: &[Product]) -> Vec<Taken> {
    products.iter().map(|product| Taken { shared: true, ..panels::taken(&cpu.library, *product) }).collect()
}

/// Bytes that threads keep for good from their first product with a slab on: every thread where one is shared, and the one that walks where
/// it does such a product alone.
pub fn slabs(walks: &[&Walk], cpu: Cpu) -> u64 {
    let of = |walk: &&Walk| walk.operations.iter().flat_map(|o| walk_products(walk, o, cpu)).collect::<Vec<Taken>>();
    let with_slab: Vec<Taken> = walks.iter().flat_map(of).filter(|taken| taken.slab).collect();
    let pool = if with_slab.iter().any(|taken| taken.shared) { cpu.threads } else { 0 };
    let walking = u64::from(with_slab.iter().any(|taken| !taken.shared));
    cpu.slab().saturating_mul(pool.saturating_add(walking))
}

/// The products of an operation; none where its shapes are not lawful.
fn walk_products(walk: &Walk, o: &Operation, cpu: Cpu) -> Vec<Taken> {
    if !has_lawful_shapes(walk, o) {
        return Vec::new();
    }
    let inputs: Vec<&Tensor> = o.inputs.iter().map(|id| &walk.tensors[*id as usize]).collect();
    products(&o.op, &inputs, cpu)
}

/// Bytes of S×S numbers.
fn square(sequence: u64) -> u64 {
    sequence.saturating_mul(sequence).saturating_mul(4)
}

fn partial_sums(tensor: &Tensor) -> u64 {
    (bytes(tensor) / 4).div_ceil(SUM_CHUNK).saturating_mul(8)
}
