//! Tensors of the step graph: shape, type and what they are for. No data.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// Index of a tensor in its [`StepGraph`](super::StepGraph).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TensorId(pub u32);

/// Index of a parameter in [`Parameters`](super::Parameters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ParameterId(pub u32);

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// 32-bit integers: token ids and row numbers.
    I32,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> u64 {
        match self {
            Self::F32 | Self::I32 => 4,
        }
    }
}

/// Extents, slowest first, at most four. Held in place: a graph has thousands of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Vec<u64>", try_from = "Vec<u64>")]
pub struct Shape {
    extents: [u64; Self::MAX_RANK],
    rank: u8,
}

impl Shape {
    /// Most extents that a shape can have.
    pub const MAX_RANK: usize = 4;

    /// A shape of these extents; those beyond [`Shape::MAX_RANK`] are left out, and no operation makes any.
    pub fn new(extents: &[u64]) -> Self {
        let rank = extents.len().min(Self::MAX_RANK);
        let mut all = [1; Self::MAX_RANK];
        all[..rank].copy_from_slice(&extents[..rank]);
        Self { extents: all, rank: rank as u8 }
    }

    /// The same but for one extent.
    #[must_use]
    pub fn with(mut self, dim: usize, extent: u64) -> Self {
        self.extents[dim] = extent;
        self
    }

    /// Two extents swapped.
    #[must_use]
    pub fn swapped(mut self, i: usize, j: usize) -> Self {
        self.extents.swap(i, j);
        self
    }

    /// The larger extent of two shapes of one rank, in each dimension.
    #[must_use]
    pub fn broadcast(self, other: Self) -> Self {
        Self { extents: std::array::from_fn(|i| self.extents[i].max(other.extents[i])), rank: self.rank }
    }

    /// Whether no extent is smaller than another shape's, of the same rank.
    pub fn covers(&self, other: &Self) -> bool {
        self.extents.iter().zip(&other.extents).all(|(a, b)| a >= b)
    }
}

impl Deref for Shape {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.extents[..usize::from(self.rank)]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl From<Shape> for Vec<u64> {
    fn from(shape: Shape) -> Self {
        shape.to_vec()
    }
}

impl TryFrom<Vec<u64>> for Shape {
    type Error = String;

    fn try_from(extents: Vec<u64>) -> Result<Self, String> {
        if extents.len() > Self::MAX_RANK {
            return Err(format!("a shape has at most {} extents", Self::MAX_RANK));
        }
        Ok(Self::new(&extents))
    }
}

/// Shape and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TensorType {
    /// Extents; the elements are always row-major without gaps.
    pub shape: Shape,
    /// Type of the elements.
    pub dtype: DType,
}

impl TensorType {
    /// An f32 tensor.
    pub fn f32(shape: &[u64]) -> Self {
        Self { shape: Shape::new(shape), dtype: DType::F32 }
    }

    /// An i32 tensor.
    pub fn i32(shape: &[u64]) -> Self {
        Self { shape: Shape::new(shape), dtype: DType::I32 }
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |n: u64, extent| n.saturating_mul(*extent))
    }

    /// Size in memory.
    pub fn bytes(&self) -> Bytes {
        Bytes(self.elements().saturating_mul(self.dtype.size()))
    }

    /// Extent `i`, or 1 where there is none.
    pub fn dim(&self, i: usize) -> u64 {
        self.shape.get(i).copied().unwrap_or(1)
    }
}

/// What the host feeds into each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Input {
    /// Token ids after masking, `[B·S]`.
    Tokens,
    /// Positions that the decoder sees, `[N]`.
    Rows,
    /// The tokens to predict there, `[N]`.
    Labels,
    /// Weight of each prediction in the loss, `[N]`.
    Weights,
}

/// What an optimizer keeps of a parameter from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Moment {
    /// A mean of the gradients, or their momentum; of the parameter's shape.
    First,
    /// A mean of the squared gradients; of the parameter's shape.
    Second,
    /// A mean of the squared gradients along each row of a matrix, `[rows]`.
    Rows,
    /// A mean of the squared gradients along each column of a matrix, `[columns]`.
    Columns,
}

impl Moment {
    /// All moments, in the order in which they are made, saved and listed.
    pub const ALL: [Self; 4] = [Self::First, Self::Second, Self::Rows, Self::Columns];

    /// The role of a parameter's moment.
    pub fn of(self, parameter: ParameterId) -> Role {
        match self {
            Self::First => Role::FirstMoment(parameter),
            Self::Second => Role::SecondMoment(parameter),
            Self::Rows => Role::RowMoment(parameter),
            Self::Columns => Role::ColumnMoment(parameter),
        }
    }

    /// How its name in a checkpoint ends.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first_moment",
            Self::Second => "second_moment",
            Self::Rows => "row_moment",
            Self::Columns => "column_moment",
        }
    }

    /// Its shape for a parameter.
    pub fn shape(self, parameter: &Shape) -> Shape {
        match self {
            Self::First | Self::Second => *parameter,
            Self::Rows => Shape::new(&parameter[..1]),
            Self::Columns => Shape::new(&parameter[1..]),
        }
    }
}

/// What a tensor is for; decides whose memory it is and how long it stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// A parameter's value.
    Weight(ParameterId),
    /// A parameter's gradient, summed over the micro-steps of a step.
    Gradient(ParameterId),
    /// A parameter's first moment.
    FirstMoment(ParameterId),
    /// A parameter's second moment.
    SecondMoment(ParameterId),
    /// The second moment of a matrix by rows.
    RowMoment(ParameterId),
    /// The second moment of a matrix by columns.
    ColumnMoment(ParameterId),
    /// The fixed table of places: sinusoids `[S, D]`, or cosines and sines of rotations `[2·S, D/2H]`.
    PositionTable,
    /// Fed by the host.
    Input(Input),
    /// Made and used within the step.
    Activation,
}

impl Role {
    /// The part of the memory bill it stands on.
    pub fn part(self) -> Part {
        match self {
            Self::Weight(_) | Self::PositionTable => Part::Weights,
            Self::Gradient(_) => Part::Gradients,
            Self::FirstMoment(_) | Self::SecondMoment(_) | Self::RowMoment(_) | Self::ColumnMoment(_) => Part::Optimizer,
            Self::Input(_) | Self::Activation => Part::Activations,
        }
    }

    /// The parameter that it belongs to.
    pub fn parameter(self) -> Option<ParameterId> {
        match self {
            Self::Weight(p) | Self::Gradient(p) => Some(p),
            role => role.moment().map(|(_, p)| p),
        }
    }

    /// Which moment it is, and of which parameter.
    pub fn moment(self) -> Option<(Moment, ParameterId)> {
        match self {
            Self::FirstMoment(p) => Some((Moment::First, p)),
            Self::SecondMoment(p) => Some((Moment::Second, p)),
            Self::RowMoment(p) => Some((Moment::Rows, p)),
            Self::ColumnMoment(p) => Some((Moment::Columns, p)),
            _ => None,
        }
    }
}

/// A line of the memory bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    /// Parameters and constant tables.
    Weights,
    /// Accumulated gradients.
    Gradients,
    /// Moments.
    Optimizer,
    /// Inputs and what forward keeps for backward.
    Activations,
    /// Temporaries inside one operation.
    Workspace,
    /// The program, its runtime and the data it holds: not tensors.
    Process,
}

impl Part {
    /// All parts, in the order of the bill.
    pub const ALL: [Self; 6] =
        [Self::Weights, Self::Gradients, Self::Optimizer, Self::Activations, Self::Workspace, Self::Process];

    /// The word on the bill and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::Gradients => "gradients",
            Self::Optimizer => "optimizer",
            Self::Activations => "activations",
            Self::Workspace => "workspace",
            Self::Process => "process",
        }
    }
}

/// A tensor of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tensor {
    /// Shape and element type.
    pub ty: TensorType,
    /// What it is for.
    pub role: Role,
}
