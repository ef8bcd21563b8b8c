//! How a plain form decomposes: the buffers that its chain of burn's tensor operations takes and gives back, one after another.
//!
//! [`Rule::plain`](super::Rule::plain) reads like the plain form of the same operation in `exec::op`, with a [`Chain`] in the place of the
//! tensors. What each step does is what burn-cubecl 0.22.1 on cubecl 0.11.3 does on CUDA, without kernel fusion, taken from its source:
//!
//! - *In place.* A tensor with no other owner (`CubeTensor::can_mut`, `tensor/base.rs`) is overwritten by functions of one tensor
//!   (`launch_unary_float`, `kernel/unary_float.rs`; `launch_scalar_binop`, `kernel/binary.rs`), and by functions of two, the left
//!   one first, where it has the whole shape of the result (`CubeTensor::can_mut_broadcast`; `launch_binop`, `kernel/binary.rs`). Else
//!   the result is new, and the operands go after it is made.
//! - *Rows are padded.* What `empty_tensor` makes (`cubecl-runtime`, `client.rs`) is laid out by `PitchedMemoryLayoutPolicy`
//!   (`cubecl-server`, `allocator.rs`): rows are padded to the power of two above their bytes, within 16 and 512 (`optimal_align`,
//!   `memory_management/handle.rs`; the 512 is `mem_alignment` in `cubecl-cuda`, `runtime.rs`). Rows of one element are not.
//! - *Views.* Swapping dimensions moves nothing (`swap_dims`, `ops/base.rs`). Reshaping moves nothing where the tensor has no gaps and is in
//!   order; else it is copied (`reshape`, `ops/base.rs`; `reshape_action`, `burn-std`). So a padded tensor is copied when it is made flat.
//!   A slice is a view where it begins and ends at multiples of 512 bytes, else a copy (`slice`, `kernel/index/slice.rs`).
//! - *Reductions* make a result without padding and copy nothing (`reduce_dim`, `kernel/reduce/base.rs`); a mean is one of them.
//! - *Matrix products* make their result (`init_matmul_output`, `kernel/matmul/utils.rs`). An operand whose batches do not lie
//!   outside its matrices is copied, whichever kernel is chosen (`into_contiguous_if_highly_permuted`, `cubek-matmul`, `routine.rs`; every
//!   head of an attention is such a matrix); one that is only transposed is not.
//! - *Rows by number.* `select` and `gather` make their result (`kernel/index`); `select_assign` and `scatter` write into a tensor with
//!   no other owner, else into a copy. Numbers are kept on the host and sent anew by each operation that needs them (`from_data`,
//!   `ops/base.rs`): on the device they are its workspace. A read-back copies nothing on the device (`into_data`): results are flat.
//! - `cat` makes its result and fills it, part by part (`burn-backend`, `ops/cat.rs`); `clamp_max` makes a mask (`ops/tensor.rs` there).
//!
//! Memory is taken and given back by the host thread ahead of the device's, and a buffer in use by a kernel that has not been started
//! stays: so what is said here is what the memory manager sees at most.
//!
//! # What is not in it
//!
//! - *Tuning.* The first product of a shape tries many kernels on a copy of the result (`matmul_input_gen`, `kernel/matmul/tune/base.rs`),
//!   and some of them (`naive`, `gemm`, those with TMA) copy one or both operands; which one is kept is found out by timing.
//!   [`Chain::tuning`] is a bound for both, a number of its own. Reductions try theirs on a copy of their small result, not counted.
//! - That requests are rounded up to 512 bytes ([`requested`]), and all that the memory manager keeps beyond them.
//! - Elementwise functions of tensors in another than the logical order (`in_memory_order`, `kernel/memory_order.rs`): no plain form has any.
//!
//! Invariant: a [`Handle`] is used up by the step that gets it; what a plain form drops without a step it gives to [`Chain::drop`].

mod layout;
mod steps;

pub use layout::Handle;

use self::layout::{contiguous, elements, padded};
use super::{Backend, Signature};
use crate::step::tensor::{DType, Shape};
use crate::units::{Bytes, Flops};

/// Bytes that `cubecl-cuda` aligns buffers to, and rows at most.
pub const ALIGNMENT: u64 = 512;

/// Bytes of an element: floats, indices.
const ELEMENT: u64 = 4;

/// What is asked of the memory manager for a buffer of so many bytes.
pub fn requested(bytes: Bytes) -> Bytes {
    Bytes(bytes.0.checked_next_multiple_of(ALIGNMENT).unwrap_or(u64::MAX))
}

/// A buffer during an operation.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    bytes: u64,
    owners: u32,
    /// When it was taken, counted in changes since the operation began.
    born: u32,
    /// When it was given back.
    died: u32,
    /// Its name in the sequence of allocations.
    name: u32,
}

/// A change of what is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A buffer is taken: its name, never used before, and its bytes before [`requested`].
    Take(u32, Bytes),
    /// A buffer is given back.
    Give(u32),
}

const ALIVE: u32 = u32::MAX;
const ON_HOST: usize = usize::MAX;

/// The buffers of one operation after another, in the order in which they come and go.
#[derive(Debug, Default)]
pub struct Chain {
    buffers: Vec<Buffer>,
    /// Buffer of each operand, and whether the plain form has taken it.
    operands: Vec<(usize, bool)>,
    outputs: Vec<usize>,
    now: u32,
    live: u64,
    peak: (u64, u32),
    tuning: u64,
    flops: Flops,
    names: u32,
    changes: Option<Vec<Change>>,
}

/// What a chain took beside the live bytes that it began with.
impl Chain {
    /// A chain that keeps every change.
    pub fn recording() -> Self {
        Self { changes: Some(Vec::new()), ..Self::default() }
    }

    /// Begins an operation where so many bytes are live.
    pub(in crate::step) fn begin(&mut self, live: Bytes) {
        self.buffers.clear();
        self.operands.clear();
        self.outputs.clear();
        self.now = 0;
        self.live = live.0;
        self.peak = (live.0, 0);
        self.tuning = live.0;
        self.flops = Flops::ZERO;
    }

    /// Adds the next operand; `first` is an earlier one that is the same tensor. A tensor that dies here belongs to the operation
    /// alone, every other also to the executor's list.
    pub(in crate::step) fn operand(&mut self, bytes: Bytes, name: u32, dies: bool, first: Option<usize>) {
        if let Some(first) = first {
            let buffer = self.operands[first].0;
            self.buffers[buffer].owners += 1;
            self.operands.push((buffer, false));
            return;
        }
        let owners = 1 + u32::from(!dies);
        self.operands.push((self.buffers.len(), false));
        self.buffers.push(Buffer { bytes: bytes.0, owners, born: 0, died: ALIVE, name });
    }

    /// Adds the next operand, which is on the host.
    pub(in crate::step) fn host_operand(&mut self) {
        self.operands.push((ON_HOST, false));
    }

    /// Ends the operation: operands that were not taken go.
    pub(in crate::step) fn end(&mut self) {
        for i in 0..self.operands.len() {
            let (buffer, taken) = self.operands[i];
            if !taken && buffer != ON_HOST {
                self.disown(buffer);
            }
        }
    }

    /// The most bytes that were live.
    pub fn peak(&self) -> Bytes {
        Bytes(self.peak.0)
    }

    /// The most bytes that are live if every product takes a copy of both operands and of its result, as tuning it may.
    pub fn tuning(&self) -> Bytes {
        Bytes(self.tuning.max(self.peak.0))
    }

    /// Bytes live at the end.
    pub fn live(&self) -> Bytes {
        Bytes(self.live)
    }

    /// FLOPs of the matrix products.
    pub fn flops(&self) -> Flops {
        self.flops
    }

    /// Whether an operand, or the output made in its buffer, was there at the peak.
    pub(in crate::step) fn operand_at_peak(&self, i: usize) -> bool {
        self.operands.get(i).is_none_or(|(buffer, _)| self.at_peak(*buffer))
    }

    /// Whether an output was there at the peak.
    pub(in crate::step) fn output_at_peak(&self, o: usize) -> bool {
        self.outputs.get(o).is_some_and(|buffer| self.at_peak(*buffer))
    }

    /// The operand whose buffer an output took over.
    pub(in crate::step) fn taken_over(&self, o: usize) -> Option<usize> {
        let buffer = self.outputs.get(o)?;
        self.operands.iter().position(|(operand, _)| operand == buffer)
    }

    /// The name of an output's buffer.
    pub(in crate::step) fn output_name(&self, o: usize) -> Option<u32> {
        Some(self.buffers[*self.outputs.get(o)?].name)
    }

    /// Takes a buffer outside an operation; gives its name.
    pub(in crate::step) fn name(&mut self, bytes: Bytes) -> u32 {
        self.names += 1;
        self.change(Change::Take(self.names, bytes));
        self.names
    }

    /// Gives a buffer back outside an operation.
    pub(in crate::step) fn forget(&mut self, name: u32) {
        self.change(Change::Give(name));
    }

    /// Whether changes are kept.
    pub(in crate::step) fn is_recording(&self) -> bool {
        self.changes.is_some()
    }

    /// The changes since the last call.
    pub(in crate::step) fn take_changes(&mut self) -> Vec<Change> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn at_peak(&self, buffer: usize) -> bool {
        self.buffers.get(buffer).is_some_and(|b| b.born <= self.peak.1 && self.peak.1 < b.died)
    }

    fn change(&mut self, change: Change) {
        if let Some(changes) = &mut self.changes {
            changes.push(change);
        }
    }

    fn take_buffer(&mut self, bytes: u64) -> usize {
        self.now += 1;
        self.live = self.live.saturating_add(bytes);
        if self.live > self.peak.0 {
            self.peak = (self.live, self.now);
        }
        self.names += 1;
        self.change(Change::Take(self.names, Bytes(bytes)));
        self.buffers.push(Buffer { bytes, owners: 1, born: self.now, died: ALIVE, name: self.names });
        self.buffers.len() - 1
    }

    fn disown(&mut self, buffer: usize) {
        let owned = &mut self.buffers[buffer];
        owned.owners -= 1;
        if owned.owners == 0 {
            self.now += 1;
            owned.died = self.now;
            self.live = self.live.saturating_sub(owned.bytes);
            let name = owned.name;
            self.change(Change::Give(name));
        }
    }

    fn is_alone(&self, x: &Handle) -> bool {
        self.buffers[x.buffer].owners == 1
    }

    fn new_padded(&mut self, shape: Shape) -> Handle {
        let (bytes, strides) = padded(&shape);
        Handle { buffer: self.take_buffer(bytes), shape, strides }
    }

    fn new_contiguous(&mut self, shape: Shape) -> Handle {
        let bytes = elements(&shape).saturating_mul(ELEMENT);
        Handle { buffer: self.take_buffer(bytes), shape, strides: contiguous(&shape) }
    }
}

/// The bytes that a plain form takes beside its operands and outputs, where no operand is needed afterwards.
pub(super) fn beside(types: Signature<'_>, plain: impl FnOnce(&mut Chain)) -> Bytes {
    let mut chain = Chain::default();
    let holds = |ty| Backend::Plain.holds(ty);
    chain.begin(types.inputs.iter().map(holds).sum());
    for ty in types.inputs {
        match ty.dtype {
            DType::F32 => chain.operand(ty.bytes(), 0, true, None),
            DType::I32 => chain.host_operand(),
        }
    }
    plain(&mut chain);
    chain.peak().saturating_sub(types.inputs.iter().chain(types.outputs).map(holds).sum())
}
