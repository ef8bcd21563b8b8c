//! Running the operations: each file is the one place that runs the operations of the file of the same name in
//! [`step::op`](crate::step::op).
//!
//! Every operation has a *plain* form, a chain of burn's tensor operations that runs on any device, and a *host* form, a
//! fused kernel on slices for the CPU. Both are held against burn's autodiff.

mod activation;
mod attention;
mod dropout;
mod embedding;
mod loss;
mod matmul;
mod norm;
mod position;
mod residual;
mod rms_norm;
mod rotary;
mod rows;
mod scale;
mod table;
mod update;

#[cfg(test)]
mod tests;

use burn::tensor::{Device, Int, Tensor};

use super::value::Value;
use crate::step::op::{Op, Signature};

/// What a walk is told from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scalars {
    /// Learning rate.
    pub rate: f64,
    /// Number of the optimizer step, from 1.
    pub step: u64,
    /// What random draws depend on.
    pub draws: Draws,
}

impl Scalars {
    /// Of an update: its learning rate, and the number of the optimizer step.
    pub const fn update(rate: f64, step: u64) -> Self {
        Self { rate, step, draws: Draws { seed: 0, micro_step: 0 } }
    }
}

/// What the random draws of a micro-step depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draws {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the micro-step, from 0.
    pub micro_step: u64,
}

/// The operands of a host kernel.
///
/// An output that the operation may write in place ([`Rule::in_place`](crate::step::op::Rule::in_place)) begins with that
/// input's elements, and the input itself must not be read; every other output begins with zeros.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The inputs.
    pub inputs: Vec<Operand<'a>>,
    /// The outputs.
    pub outputs: Vec<&'a mut [f32]>,
    /// Shapes.
    pub types: Signature<'a>,
    /// Numbers of this step.
    pub scalars: Scalars,
}

/// An input of a host kernel.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// Floats.
    Float(&'a [f32]),
    /// Integers.
    Index(&'a [i32]),
    /// Its buffer has become an output's.
    Taken,
}

impl<'a> Frame<'a> {
    /// The floats of an input; empty where it is of another kind.
    pub fn floats(&self, i: usize) -> &'a [f32] {
        match self.inputs.get(i) {
            Some(Operand::Float(data)) => data,
            _ => &[],
        }
    }

    /// The integers of an input; empty where it is of another kind.
    pub fn indices(&self, i: usize) -> &'a [i32] {
        match self.inputs.get(i) {
            Some(Operand::Index(data)) => data,
            _ => &[],
        }
    }

    /// Extent `d` of input `i`.
    pub fn dim(&self, i: usize, d: usize) -> usize {
        self.types.inputs[i].dim(d) as usize
    }

    /// All outputs, as an array of the number that the operation makes.
    pub fn take<const N: usize>(&mut self) -> [&'a mut [f32]; N] {
        let mut outputs = std::mem::take(&mut self.outputs).into_iter();
        std::array::from_fn(|_| outputs.next().unwrap_or_default())
    }
}

/// The operands of a plain form.
#[derive(Debug)]
pub struct Plain<'a> {
    /// The inputs, flat.
    pub inputs: Vec<Value>,
    /// Shapes.
    pub types: Signature<'a>,
    /// Where to compute.
    pub device: &'a Device,
    /// Numbers of this step.
    pub scalars: Scalars,
}

impl Plain<'_> {
    /// Takes input `i` as a tensor of rank D.
    pub fn take<const D: usize>(&mut self, i: usize) -> Tensor<D> {
        let shape: [usize; D] = std::array::from_fn(|d| self.types.inputs[i].dim(d) as usize);
        self.flat(i).reshape(shape)
    }

    /// Takes input `i` as it is kept.
    pub fn flat(&mut self, i: usize) -> Tensor<1> {
        let nothing = Value::index(Vec::new(), self.device);
        match std::mem::replace(&mut self.inputs[i], nothing) {
            Value::Float(tensor) => tensor,
            Value::Index(index) => index.tensor().float(),
        }
    }

    /// Input `i` as integers.
    pub fn index(&self, i: usize) -> Tensor<1, Int> {
        match &self.inputs[i] {
            Value::Index(index) => index.tensor(),
            Value::Float(tensor) => tensor.clone().int(),
        }
    }

    /// Extent `d` of input `i`.
    pub fn dim(&self, i: usize, d: usize) -> usize {
        self.types.inputs[i].dim(d) as usize
    }
}

/// A tensor of any rank, flat.
fn flat<const D: usize>(tensor: Tensor<D>) -> Tensor<1> {
    tensor.reshape([-1])
}

/// How an operation is run.
pub trait Run {
    /// Runs the fused kernel.
    fn host(&self, frame: &mut Frame<'_>);

    /// Runs the operation as burn's tensor operations; gives its outputs, flat.
    fn plain(&self, operands: Plain<'_>) -> Vec<Tensor<1>>;
}

/// The runner of an operation.
pub fn runner(op: &Op) -> &dyn Run {
    match op {
        Op::Embedding(op) => op,
        Op::EmbeddingGradient(op) => op,
        Op::Zeros(op) => op,
        Op::AddPosition(op) => op,
        Op::PositionGradient(op) => op,
        Op::AddTable(op) => op,
        Op::TableGradient(op) => op,
        Op::Rotate(op) => op,
        Op::RmsNorm(op) => op,
        Op::RmsNormGradient(op) => op,
        Op::LayerNorm(op) => op,
        Op::LayerNormGradient(op) => op,
        Op::MatMul(op) => op,
        Op::MatMulAccumulate(op) => op,
        Op::Attention(op) => op,
        Op::AttentionGradient(op) => op,
        Op::Gate(op) => op,
        Op::GateGradient(op) => op,
        Op::Activate(op) => op,
        Op::ActivateGradient(op) => op,
        Op::Add(op) => op,
        Op::Scale(op) => op,
        Op::Dropout(op) => op,
        Op::SelectRows(op) => op,
        Op::ScatterRows(op) => op,
        Op::CrossEntropy(op) => op,
        Op::CrossEntropyGradient(op) => op,
        Op::SumSquares(op) => op,
        Op::ClipFactor(op) => op,
        Op::AdamW(op) => op,
        Op::Adam(op) => op,
        Op::RAdam(op) => op,
        Op::Lamb(op) => op,
        Op::Lion(op) => op,
        Op::Sgd(op) => op,
        Op::Adafactor(op) => op,
        Op::Muon(op) => op,
    }
}
