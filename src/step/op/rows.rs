//! Sparse prediction: the decoder sees only some rows.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{Backend, Chain, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::tensor::TensorType;
use crate::units::Bytes;

/// (x `[T, D]`, rows `[N]`) → `[N, D]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectRows;

impl Rule for SelectRows {
    fn name(&self) -> &'static str {
        "select rows"
    }

    fn words(&self) -> Words {
        Words { inputs: &[], outputs: &["rows to predict"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![TensorType::f32(&[inputs[1].dim(0), inputs[0].dim(1)])]
    }

    fn moved(&self, types: Signature<'_>, _backend: Backend) -> Bytes {
        types.outputs[0].bytes() * 2
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let rows = c.index(types, 1);
        let x = c.take(types, 0);
        let selected = c.select(x, rows);
        c.output(selected);
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let total = backward.ty(node.inputs[0]).dim(0);
        let dx = backward.emit(ScatterRows { total }, &[dy, node.inputs[1]])[0];
        backward.contribute(node.inputs[0], dx);
    }
}

/// (dy `[N, D]`, rows `[N]`, all different) → `[total, D]`, zero but for those rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScatterRows {
    /// Rows of the result.
    pub total: u64,
}

impl Rule for ScatterRows {
    fn name(&self) -> &'static str {
        "scatter rows"
    }

    fn words(&self) -> Words {
        Words { inputs: &["gradient of rows to predict", ""], outputs: &["gradient of layer norm outputs"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![TensorType::f32(&[self.total, inputs[0].dim(1)])]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let rows = c.index(types, 1);
        let dy = c.take(types, 0);
        let zeros = c.filled(&types.outputs[0].shape);
        let scattered = c.assign(zeros, rows, dy);
        c.output(scattered);
    }
}
