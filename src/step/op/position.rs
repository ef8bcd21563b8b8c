//! Scaled-sinusoidal positions: a fixed table times one learned scalar.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{Chain, Host, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::tensor::TensorType;
use crate::units::Bytes;

/// (x `[T, D]`, table `[S, D]`, scale `[1]`) → x + scale · table, the table repeated for each sequence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddPosition;

impl Rule for AddPosition {
    fn name(&self) -> &'static str {
        "add position"
    }

    fn words(&self) -> Words {
        Words { inputs: &["word vectors", "", ""], outputs: &["word vectors with positions"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (s, d) = (types.inputs[1].dim(0), types.inputs[1].dim(1));
        let [x, table, scale] = [0, 1, 2].map(|i| c.flat(types, i));
        let x = c.reshape(x, &[0, s, d]);
        let offset = c.binary(table, scale);
        let offset = c.reshape(offset, &[1, s, d]);
        let sum = c.binary(x, offset);
        c.output(sum);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let scale = backward.emit(PositionGradient, &[dy, node.inputs[1]])[0];
        backward.contribute(node.inputs[2], scale);
        backward.contribute(node.inputs[0], dy);
    }
}

/// (dy `[T, D]`, table `[S, D]`) → `[1]`, the sum of dy ⊙ table over everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PositionGradient;

impl Rule for PositionGradient {
    fn name(&self) -> &'static str {
        "position gradient"
    }

    fn words(&self) -> Words {
        Words { inputs: &["gradient of word vectors", ""], outputs: &[] }
    }

    fn outputs(&self, _inputs: &[TensorType]) -> Types {
        smallvec![TensorType::f32(&[1])]
    }

    /// One partial sum for each sequence.
    fn host_workspace(&self, types: Signature<'_>, _host: Host) -> Bytes {
        Bytes(types.inputs[0].dim(0) / types.inputs[1].dim(0) * 8)
    }

    /// The sequences are summed first: the product is as small as the table.
    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let (s, d) = (types.inputs[1].dim(0), types.inputs[1].dim(1));
        let [dy, table] = [0, 1].map(|i| {
            let x = c.flat(types, i);
            c.reshape(x, &[0, s, d])
        });
        let sum = c.reduce(dy, 0);
        let product = c.binary(sum, table);
        let sums = c.reduce(product, 2);
        let sum = c.reduce(sums, 1);
        c.output(sum);
    }
}
