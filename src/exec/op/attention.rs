//! Softmax attention.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;

use super::dropout::mask;
use super::{Frame, Plain, Run, flat};
use crate::exec::host::draws::Mask;
use crate::exec::host::math::{softmax, sum};
use crate::exec::host::matrix::{Layout, Threads, product};
use crate::exec::host::wide;
use crate::step::op::{Attention, AttentionGradient};

/// The extents inside the kernels.
#[derive(Clone, Copy)]
struct Shape {
    heads: usize,
    sequence: usize,
    width: usize,
    /// Width of a head.
    dim: usize,
}

impl Shape {
    fn new(op: Attention, width: usize) -> Self {
        let heads = op.heads as usize;
        Self { heads, sequence: op.sequence as usize, width, dim: width / heads }
    }

    /// 1/√(D/H).
    fn scale(self) -> f32 {
        1.0 / libm::sqrtf(self.dim as f32)
    }

    /// Head h of a sequence's rows.
    fn head(self, h: usize) -> Layout {
        Layout::window(h * self.dim, self.sequence, self.dim, self.width)
    }

    fn square(self) -> Layout {
        Layout::full(self.sequence, self.sequence)
    }

    /// Elements of a sequence, and of its probabilities.
    fn sizes(self) -> (usize, usize) {
        (self.sequence * self.width, self.heads * self.sequence * self.sequence)
    }
}

impl Run for Attention {
    fn host(&self, frame: &mut Frame<'_>) {
        let shape = Shape::new(*self, frame.dim(0, 1));
        let (rows, squares) = shape.sizes();
        let (q, k, v) = (frame.floats(0), frame.floats(1), frame.floats(2));
        let mask = self.dropout.map(|dropout| Mask::new(dropout, frame.scalars.draws));
        let [context, probabilities] = frame.take();
        let outputs = context.par_chunks_mut(rows).zip(probabilities.par_chunks_mut(squares)).enumerate();
        let scratch = || vec![0f32; if mask.is_some() { shape.sequence * shape.sequence } else { 0 }];
        outputs.for_each_init(scratch, |scratch, (b, (context, probabilities))| {
            let inputs = [q, k, v].map(|x| &x[b * rows..][..rows]);
            wide(|| {
                forward(shape, self.causal, inputs, (context, probabilities), Dropped { mask, first: b * shape.heads, scratch });
            });
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let shape = Shape::new(*self, x.dim(0, 1));
        let [q, k, v] = [0, 1, 2].map(|i| apart(x.flat(i), shape));
        let scores = q.matmul(k.transpose()) * f64::from(shape.scale());
        let scores = if self.causal { scores + future(shape.sequence, x.device) } else { scores };
        let top = scores.clone().max_dim(3);
        let e = (scores - top).exp();
        let p = e.clone() / e.sum_dim(3);
        let dropped = dropped(self, &p, shape, &x);
        vec![together(dropped.matmul(v)), flat(p)]
    }
}

/// −∞ for each pair of a token and a later one, else 0: `[1, 1, S, S]`.
fn future(sequence: usize, device: &Device) -> Tensor<4> {
    let score = |i: usize| if i % sequence > i / sequence { f32::NEG_INFINITY } else { 0.0 };
    let scores: Vec<f32> = (0..sequence * sequence).map(score).collect();
    Tensor::from_data(TensorData::new(scores, [1, 1, sequence, sequence]), (device, DType::F32))
}

/// `[B·S·D]` → `[B, H, S, D/H]`.
fn apart(x: Tensor<1>, s: Shape) -> Tensor<4> {
    x.reshape([-1, s.sequence as isize, s.heads as isize, s.dim as isize]).swap_dims(1, 2)
}

/// `[B, H, S, D/H]` → `[B·S·D]`.
fn together(x: Tensor<4>) -> Tensor<1> {
    flat(x.swap_dims(1, 2))
}

/// The probabilities after dropout.
fn dropped(op: &Attention, p: &Tensor<4>, shape: Shape, x: &Plain<'_>) -> Tensor<4> {
    let Some(dropout) = op.dropout else { return p.clone() };
    let [batch, heads, sequence, _] = p.dims();
    let mask = mask(dropout, x.scalars.draws, [batch * heads * sequence, sequence], x);
    let mask: Tensor<4> = mask.reshape([batch, heads, shape.sequence, sequence]);
    mask * p.clone()
}

/// Dropout of the probabilities of some heads, where there is any.
struct Dropped<'a> {
    mask: Option<Mask>,
    /// Number of the first head among those of all sequences.
    first: usize,
    /// Room for the probabilities of a head.
    scratch: &'a mut [f32],
}

impl Dropped<'_> {
    /// The probabilities of head h after dropout.
    #[inline(always)]
    fn of<'p>(&'p mut self, h: usize, p: &'p [f32], sequence: usize) -> &'p [f32] {
        let Some(mask) = self.mask else { return p };
        for (i, (row, p)) in self.scratch.chunks_exact_mut(sequence).zip(p.chunks_exact(sequence)).enumerate() {
            mask.apply((self.first + h) * sequence + i, row, |j, _| p[j]);
        }
        self.scratch
    }
}

#[inline(always)]
fn forward(
    shape: Shape,
    causal: bool,
    [q, k, v]: [&[f32]; 3],
    (context, probabilities): (&mut [f32], &mut [f32]),
    mut dropped: Dropped<'_>,
) {
    for (h, p) in probabilities.chunks_exact_mut(shape.sequence * shape.sequence).enumerate() {
        let (head, square) = (shape.head(h), shape.square());
        product((p, square), (q, head), (k, head.transposed()), 0.0, 1.0, Threads::One);
        for (i, row) in p.chunks_exact_mut(shape.sequence).enumerate() {
            let (seen, unseen) = row.split_at_mut(if causal { i + 1 } else { shape.sequence });
            softmax(seen, shape.scale());
            unseen.fill(0.0);
        }
        let left = dropped.of(h, p, shape.sequence);
        product((context, head), (left, square), (v, head), 0.0, 1.0, Threads::One);
    }
}

impl Run for AttentionGradient {
    fn host(&self, frame: &mut Frame<'_>) {
        let shape = Shape::new(self.0, frame.dim(0, 1));
        let (rows, squares) = shape.sizes();
        let [dout, q, k, v, p] = [0, 1, 2, 3, 4].map(|i| frame.floats(i));
        let draws = frame.scalars.draws;
        let [dq, dk, dv] = frame.take();
        let outputs = dq.par_chunks_mut(rows).zip(dk.par_chunks_mut(rows)).zip(dv.par_chunks_mut(rows)).enumerate();
        let square = shape.sequence * shape.sequence;
        let mask = self.0.dropout.map(|dropout| Mask::new(dropout, draws));
        let scratch = || vec![0f32; if mask.is_some() { 2 * square } else { square }];
        outputs.for_each_init(scratch, |scratch, (b, ((dq, dk), dv))| {
            let inputs = [dout, q, k, v].map(|x| &x[b * rows..][..rows]);
            let p = &p[b * squares..][..squares];
            let (scores, scratch) = scratch.split_at_mut(square);
            let dropped = Dropped { mask, first: b * shape.heads, scratch };
            wide(|| backward(shape, inputs, p, [dq, dk, dv], scores, dropped));
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let shape = Shape::new(self.0, x.dim(0, 1));
        let [dout, q, k, v] = [0, 1, 2, 3].map(|i| apart(x.flat(i), shape));
        let p: Tensor<4> = x.take(4);
        let dp = dout.clone().matmul(v.transpose());
        let dropped = dropped(&self.0, &p, shape, &x);
        let dv = together(dropped.clone().transpose().matmul(dout));
        // P ⊙ dP in dP's memory, and P ⊙ rowsum in P's.
        let products = dp * dropped;
        let along = p * products.clone().sum_dim(3);
        let ds = (products - along) * f64::from(shape.scale());
        let dq = together(ds.clone().matmul(k));
        let dk = together(ds.transpose().matmul(q));
        vec![dq, dk, dv]
    }
}

#[inline(always)]
fn backward(
    shape: Shape,
    [dout, q, k, v]: [&[f32]; 4],
    p: &[f32],
    [dq, dk, dv]: [&mut [f32]; 3],
    scratch: &mut [f32],
    mut dropped: Dropped<'_>,
) {
    let (s, scale, square) = (shape.sequence, shape.scale(), shape.square());
    for (h, p) in p.chunks_exact(s * s).enumerate() {
        let head = shape.head(h);
        let left = dropped.of(h, p, s);
        product((dv, head), (left, square.transposed()), (dout, head), 0.0, 1.0, Threads::One);
        product((scratch, square), (dout, head), (v, head.transposed()), 0.0, 1.0, Threads::One);
        for ((d, p), left) in scratch.chunks_exact_mut(s).zip(p.chunks_exact(s)).zip(left.chunks_exact(s)) {
            let along = sum(s, |i| d[i] * left[i]);
            for ((d, p), left) in d.iter_mut().zip(p).zip(left) {
                *d = (left * *d - p * along) * scale;
            }
        }
        product((dq, head), (scratch, square), (k, head), 0.0, 1.0, Threads::One);
        product((dk, head), (scratch, square.transposed()), (q, head), 0.0, 1.0, Threads::One);
    }
}
