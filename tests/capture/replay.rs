//! What a card would hold while it does recorded operations: burn's CUDA backend by its own rules, written a second time, from the
//! recorded tensors' shapes and statuses alone. Nothing here knows the plan.
//!
//! The rules are those that `src/step/op/chain.rs` states, with the places in the sources of burn-cubecl 0.22.1 and cubecl 0.11.3.

use std::collections::BTreeMap;

use burn_ir::{BaseOperationIr, FloatOperationIr, NumericOperationIr, OperationIr, TensorId, TensorIr, TensorStatus};

/// What one kind of operation does with memory.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    New,
    Elementwise,
    Reduction,
    Product,
    Reshape,
    Swap(usize, usize),
    Slice(usize, usize),
    Assign,
    Mask,
}

fn kind(operation: &OperationIr) -> Kind {
    use {BaseOperationIr as B, FloatOperationIr as F, NumericOperationIr as N};
    match operation {
        OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) => match base {
            B::Reshape(_) => Kind::Reshape,
            B::SwapDims(op) => Kind::Swap(op.dim1, op.dim2),
            B::Slice(op) => {
                let rows = op.tensor.shape[0];
                let range = op.ranges[0].to_range(rows);
                Kind::Slice(range.start, rows - range.end)
            }
            B::SelectAssign(_) | B::Scatter(_) => Kind::Assign,
            B::Select(_) | B::Gather(_) | B::Cat(_) | B::Empty(_) | B::Zeros(_) | B::Ones(_) => Kind::New,
            other => panic!("{other:?}"),
        },
        OperationIr::NumericFloat(_, numeric) => match numeric {
            N::MeanDim(_) | N::SumDim(_) | N::MaxDim(_) => Kind::Reduction,
            N::Full(_) => Kind::New,
            N::ClampMax(_) => Kind::Mask,
            N::Add(_)
            | N::Sub(_)
            | N::Mul(_)
            | N::Div(_)
            | N::AddScalar(_)
            | N::SubScalar(_)
            | N::MulScalar(_)
            | N::DivScalar(_)
            | N::Sign(_)
            | N::Neg(_) => Kind::Elementwise,
            other => panic!("{other:?}"),
        },
        OperationIr::Float(_, float) => match float {
            F::Matmul(_) => Kind::Product,
            F::Exp(_) | F::Log(_) | F::Erf(_) | F::Sqrt(_) | F::Recip(_) => Kind::Elementwise,
            other => panic!("{other:?}"),
        },
        // From the host.
        OperationIr::Init(_) => Kind::New,
        other => panic!("{other:?}"),
    }
}

/// A tensor on the card.
#[derive(Clone, Debug)]
struct Lying {
    buffer: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Lying {
    fn in_order(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(extent, stride)| {
            let fits = *extent == 1 || *stride == expected;
            expected *= extent;
            fits
        })
    }
}

/// Rows padded as the card's allocator pads them: bytes and strides.
fn pitched(shape: &[usize]) -> (usize, Vec<usize>) {
    let width = shape[shape.len() - 1] * 4;
    let align = if width == 4 { 4 } else { width.next_power_of_two().clamp(16, 512) };
    let pitch = if shape.len() == 1 { width } else { width.div_ceil(align) * align };
    let rows: usize = shape[..shape.len() - 1].iter().product();
    let mut strides = vec![1];
    let mut next = pitch / 4;
    for extent in shape[..shape.len() - 1].iter().rev() {
        strides.insert(0, next);
        next *= extent;
    }
    (rows * pitch, strides)
}

fn dense(shape: &[usize]) -> (usize, Vec<usize>) {
    let mut strides = Vec::new();
    let mut next = 1;
    for extent in shape.iter().rev() {
        strides.insert(0, next);
        next *= extent;
    }
    (next * 4, strides)
}

/// The card: its tensors, and the bytes of its buffers with the tensors that lie in each.
#[derive(Debug, Default)]
pub struct Card {
    tensors: BTreeMap<TensorId, Lying>,
    buffers: Vec<(usize, usize)>,
    live: usize,
    highest: usize,
}

impl Card {
    /// Live bytes.
    pub fn live(&self) -> u64 {
        self.live as u64
    }

    /// The most bytes that were live since the last call.
    pub fn highest(&mut self) -> u64 {
        let seen = self.highest as u64;
        self.highest = self.live;
        seen
    }

    fn take(&mut self, bytes: usize) -> usize {
        self.live += bytes;
        self.highest = self.highest.max(self.live);
        self.buffers.push((bytes, 1));
        self.buffers.len() - 1
    }

    fn put(&mut self, id: TensorId, shape: &[usize], (bytes, strides): (usize, Vec<usize>)) {
        let buffer = self.take(bytes);
        self.tensors.insert(id, Lying { buffer, shape: shape.to_vec(), strides });
    }

    /// A tensor goes; its buffer with the last that lies in it.
    pub fn remove(&mut self, id: TensorId) {
        let Some(gone) = self.tensors.remove(&id) else { return };
        self.give(gone.buffer);
    }

    fn give(&mut self, buffer: usize) {
        self.buffers[buffer].1 -= 1;
        if self.buffers[buffer].1 == 0 {
            self.live -= self.buffers[buffer].0;
        }
    }

    /// Whether an operand may be overwritten: this is its last use, and nothing else lies in its buffer.
    fn alone(&self, tensor: &TensorIr) -> bool {
        tensor.status == TensorStatus::ReadWrite && self.buffers[self.tensors[&tensor.id].buffer].1 == 1
    }

    /// The result lies where the operand does.
    fn alias(&mut self, from: TensorId, to: TensorId, shape: Vec<usize>, strides: Vec<usize>) {
        let buffer = self.tensors[&from].buffer;
        self.buffers[buffer].1 += 1;
        self.tensors.insert(to, Lying { buffer, shape, strides });
    }

    /// Does an operation; its operands must be there. What it uses for the last time is gone afterwards.
    pub fn perform(&mut self, operation: &OperationIr) {
        let inputs: Vec<TensorIr> = operation.inputs().cloned().collect();
        let out = operation.outputs().next().unwrap().clone();
        let shape = out.shape.to_vec();
        match kind(operation) {
            Kind::New => self.put(out.id, &shape, pitched(&shape)),
            Kind::Reduction => self.put(out.id, &shape, dense(&shape)),
            Kind::Elementwise => self.elementwise(&inputs, &out),
            Kind::Product => self.product(&inputs, &out),
            Kind::Mask => {
                let mask = self.take(shape.iter().product::<usize>() * 4);
                self.elementwise(&inputs, &out);
                self.give(mask);
            }
            Kind::Reshape => {
                let from = self.tensors[&inputs[0].id].clone();
                if from.in_order() {
                    self.alias(inputs[0].id, out.id, shape.clone(), dense(&shape).1);
                } else if from.shape == shape {
                    self.alias(inputs[0].id, out.id, shape, from.strides);
                } else {
                    self.put(out.id, &shape, pitched(&shape));
                }
            }
            Kind::Swap(i, j) => {
                let mut strides = self.tensors[&inputs[0].id].strides.clone();
                strides.swap(i, j);
                self.alias(inputs[0].id, out.id, shape, strides);
            }
            Kind::Slice(before, after) => {
                let strides = self.tensors[&inputs[0].id].strides.clone();
                if [before, after].iter().all(|rows| (rows * strides[0] * 4).is_multiple_of(512)) {
                    self.alias(inputs[0].id, out.id, shape, strides);
                } else {
                    self.put(out.id, &shape, pitched(&shape));
                }
            }
            Kind::Assign => {
                // The numbers and the values are operands too, and never overwritten.
                let into = inputs.iter().find(|x| x.shape == out.shape).unwrap();
                if self.alone(into) {
                    let strides = self.tensors[&into.id].strides.clone();
                    self.alias(into.id, out.id, shape, strides);
                } else {
                    self.put(out.id, &shape, pitched(&shape));
                }
            }
        }
        for tensor in inputs.iter().filter(|x| x.status == TensorStatus::ReadWrite) {
            self.remove(tensor.id);
        }
    }

    /// In place of the first operand that may be overwritten and has the result's shape.
    fn elementwise(&mut self, inputs: &[TensorIr], out: &TensorIr) {
        let buffer = |x: &TensorIr| self.tensors[&x.id].buffer;
        let once = |x: &TensorIr| inputs.iter().filter(|other| buffer(other) == buffer(x)).count() == 1;
        let into = inputs.iter().find(|x| x.shape == out.shape && self.alone(x) && once(x));
        if let Some(into) = into {
            let strides = self.tensors[&into.id].strides.clone();
            self.alias(into.id, out.id, out.shape.to_vec(), strides);
        } else {
            self.put(out.id, &out.shape, pitched(&out.shape));
        }
    }

    /// Operands whose batches lie inside their matrices are copied for the time of the product.
    fn product(&mut self, inputs: &[TensorIr], out: &TensorIr) {
        self.put(out.id, &out.shape, pitched(&out.shape));
        let mut copies = Vec::new();
        for input in inputs {
            let x = &self.tensors[&input.id];
            let rank = x.strides.len();
            let (batches, matrix) = x.strides.split_at(rank - 2);
            if batches.iter().any(|stride| stride < &matrix[0] || stride < &matrix[1]) {
                let bytes = pitched(&x.shape).0;
                copies.push(self.take(bytes));
            }
        }
        for copy in copies {
            self.give(copy);
        }
    }
}
