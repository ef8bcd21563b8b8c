//! The operations: each file is the one description of its operations — shapes, FLOPs, bytes, what the gradient needs and
//! the gradient itself. The matching file in `exec::op` is the one place that runs them.
//!
//! Shapes: B sequences of S tokens make T = B·S rows; D is the width, H the heads, V the vocabulary, N the predicted rows.

mod activation;
mod attention;
pub mod chain;
mod dropout;
mod embedding;
mod loss;
mod matmul;
mod norm;
mod panels;
mod position;
mod residual;
mod rms_norm;
mod rotary;
mod rows;
mod scale;
mod table;
mod update;

pub use activation::{Activate, ActivateGradient, Function, Gate, GateGradient};
pub use attention::{Attention, AttentionGradient};
pub use chain::Chain;
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingGradient, Zeros};
pub use loss::{CrossEntropy, CrossEntropyGradient, loss_pieces};
pub use matmul::{MatMul, MatMulAccumulate};
pub use norm::{LayerNorm, LayerNormGradient, NORM_ROWS};
pub use panels::{Cache, Packed, Panels};
pub use position::{AddPosition, PositionGradient};
pub use residual::Add;
pub use rms_norm::{RmsNorm, RmsNormGradient};
pub use rotary::Rotate;
pub use rows::{ScatterRows, SelectRows};
pub use scale::Scale;
pub use table::{AddTable, TableGradient};
pub use update::{Adafactor, Adam, AdamW, ClipFactor, Lamb, Lion, Muon, NORM_CHUNK, RAdam, SUM_CHUNK, Sgd, SumSquares};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::differentiate::Differentiator;
use super::graph::Node;
use super::recompute::Kind;
use super::tensor::{DType, TensorType};
use crate::units::{Bytes, Flops};

/// How operations are carried out; decides what an operation needs beside its inputs and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backend {
    /// burn's `flex` on the CPU with cramplan's fused kernels, on this many threads.
    Host(Host),
    /// Chains of burn's tensor operations: CUDA, and every other device.
    Plain,
}

/// A CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Threads that each need their own scratch.
    pub threads: u64,
    /// What its matrix products copy.
    pub panels: Panels,
}

impl Backend {
    /// Bytes of a tensor between operations: indices stay on the host, and each operation sends what it needs of them.
    pub fn holds(self, ty: &TensorType) -> Bytes {
        match (self, ty.dtype) {
            (Self::Plain, DType::I32) => Bytes::ZERO,
            _ => ty.bytes(),
        }
    }
}

/// Types of outputs, without memory from the heap: few operations make more than three.
pub type Types = SmallVec<[TensorType; 3]>;

/// The types of an operation's inputs and outputs.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// Types of the inputs.
    pub inputs: &'a [TensorType],
    /// Types of the outputs.
    pub outputs: &'a [TensorType],
}

impl Signature<'_> {
    /// Bytes read and written when each operand is touched once.
    pub fn bytes(&self) -> Bytes {
        self.inputs.iter().chain(self.outputs).map(TensorType::bytes).sum()
    }
}

/// What an operation's operands are called, for people; shorter lists and empty words where the operation does not know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words {
    /// Of the inputs.
    pub inputs: &'static [&'static str],
    /// Of the outputs.
    pub outputs: &'static [&'static str],
}

/// What every operation says of itself.
pub trait Rule {
    /// Name for people and for saved plans.
    fn name(&self) -> &'static str;

    /// What its operands are called.
    fn words(&self) -> Words {
        Words::default()
    }

    /// Types of the outputs.
    fn outputs(&self, inputs: &[TensorType]) -> Types;

    /// FLOPs of its matrix products; elementwise work is counted in bytes, not here (as in the paper's tables).
    fn flops(&self, _types: Signature<'_>) -> Flops {
        Flops::ZERO
    }

    /// Bytes moved to and from memory.
    fn moved(&self, types: Signature<'_>, _backend: Backend) -> Bytes {
        types.bytes()
    }

    /// Memory that the fused kernel needs on the CPU beside inputs and outputs.
    fn host_workspace(&self, _types: Signature<'_>, _host: Host) -> Bytes {
        Bytes::ZERO
    }

    /// What the plain form does with memory, step by step: the same chain as in `exec::op`.
    fn plain(&self, types: Signature<'_>, c: &mut Chain);

    /// Memory needed while it runs, beside inputs and outputs; in plain form, where all inputs die here.
    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host(host) => self.host_workspace(types, host),
            Backend::Plain => chain::beside(types, |c| self.plain(types, c)),
        }
    }

    /// The matrix products of the fused kernel on the CPU, as far as they use slabs.
    fn host_products(&self, _types: Signature<'_>, _host: Host) -> Vec<Packed> {
        Vec::new()
    }

    /// Pairs (input, output): the output is written into the input's buffer where the input dies here.
    fn in_place(&self) -> &'static [(usize, usize)] {
        &[]
    }

    /// What it is recomputed as, where its results can be.
    fn recomputed_as(&self) -> Option<Kind> {
        None
    }

    /// Adds the operations that compute the gradients of its inputs from those of its outputs.
    fn differentiate(&self, _node: &Node, _backward: &mut Differentiator) {}
}

macro_rules! operations {
    ($($name:ident),+ $(,)?) => {
        /// An operation of the step graph.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Op { $(
            #[doc = concat!("See [`", stringify!($name), "`].")]
            $name($name),
        )+ }

        $(impl From<$name> for Op {
            fn from(op: $name) -> Self {
                Self::$name(op)
            }
        })+

        impl Op {
            /// What the operation says of itself.
            pub fn rule(&self) -> &dyn Rule {
                match self { $(Self::$name(op) => op,)+ }
            }
        }
    };
}

operations! {
    Embedding, EmbeddingGradient, Zeros,
    AddPosition, PositionGradient,
    AddTable, TableGradient, Rotate,
    LayerNorm, LayerNormGradient, RmsNorm, RmsNormGradient,
    MatMul, MatMulAccumulate,
    Attention, AttentionGradient,
    Gate, GateGradient, Activate, ActivateGradient,
    Add, Scale, Dropout,
    SelectRows, ScatterRows,
    CrossEntropy, CrossEntropyGradient,
    SumSquares, ClipFactor,
    AdamW, Adam, RAdam, Lamb, Lion, Sgd, Adafactor, Muon,
}
