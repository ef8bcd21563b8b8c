//! Rows of a table by token id, and the gradient of the table.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{Backend, Chain, Rule, SelectRows, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::tensor::{Shape, TensorType};
use crate::units::Bytes;

/// (table `[V, D]`, ids `[T]`) → `[T, D]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Embedding;

impl Rule for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn words(&self) -> Words {
        Words { inputs: &["word embedding", "token ids"], outputs: &["word vectors"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![TensorType::f32(&[inputs[1].dim(0), inputs[0].dim(1)])]
    }

    /// Only the rows that are asked for are read.
    fn moved(&self, types: Signature<'_>, _backend: Backend) -> Bytes {
        types.outputs[0].bytes() * 2 + types.inputs[1].bytes()
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        SelectRows.plain(types, c);
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let (table, ids) = (node.inputs[0], node.inputs[1]);
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let sum = backward.gradient(table).unwrap_or_else(|| {
            let shape = backward.ty(table).shape;
            backward.emit(Zeros { shape }, &[])[0]
        });
        let sum = backward.emit(EmbeddingGradient, &[sum, dy, ids])[0];
        backward.replace(table, sum);
    }
}

/// (sum `[V, D]`, dy `[T, D]`, ids `[T]`) → the sum with each row of dy added to its token's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingGradient;

impl Rule for EmbeddingGradient {
    fn name(&self) -> &'static str {
        "embedding gradient"
    }

    fn words(&self) -> Words {
        Words { inputs: &["", "gradient of word vectors", ""], outputs: &[] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn moved(&self, types: Signature<'_>, _backend: Backend) -> Bytes {
        types.inputs[1].bytes() * 3 + types.inputs[2].bytes()
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let ids = c.index(types, 2);
        let (sum, dy) = (c.take(types, 0), c.take(types, 1));
        let sum = c.assign(sum, ids, dy);
        c.output(sum);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}

/// () → zeros: where a gradient is summed up that nothing has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Zeros {
    /// Shape of the result.
    pub shape: Shape,
}

impl Rule for Zeros {
    fn name(&self) -> &'static str {
        "zeros"
    }

    fn outputs(&self, _inputs: &[TensorType]) -> Types {
        smallvec![TensorType::f32(&self.shape)]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let zeros = c.filled(&[types.outputs[0].elements()]);
        c.output(zeros);
    }
}
