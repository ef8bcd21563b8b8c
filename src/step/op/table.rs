//! Rows of a table added in turn: biases, token types, positions.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{Chain, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::recompute::Kind;
use crate::step::tensor::{Shape, TensorType};

/// (x `[T, D]`, table `[M, D]`, or `[D]` for one row) → y, row t being x's row t plus the table's row t mod period.
///
/// With period 1 it adds the first row everywhere: a bias, or the one type of all tokens. With period S it adds positions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddTable {
    /// Rows of the table that are used; at most M, and a divisor of T.
    pub period: u64,
}

impl Rule for AddTable {
    fn name(&self) -> &'static str {
        if self.period == 1 { "add bias" } else { "add table" }
    }

    fn recomputed_as(&self) -> Option<Kind> {
        Some(Kind::Projection)
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let d = types.inputs[0].dim(1);
        let (x, table) = (c.flat(types, 0), c.flat(types, 1));
        let used = self.period * d;
        let table = if used == table.rows() { table } else { c.slice(table, 0, used) };
        let x = c.reshape(x, &[0, self.period, d]);
        let table = c.reshape(table, &[1, self.period, d]);
        let sum = c.binary(x, table);
        c.output(sum);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }

    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let Some(dy) = backward.gradient(node.outputs[0]) else { return };
        let (x, table) = (node.inputs[0], node.inputs[1]);
        if !backward.is_constant(table) {
            let shape = backward.ty(table).shape;
            let made = backward.emit(TableGradient { period: self.period, shape }, &[dy]);
            backward.contribute(table, made[0]);
        }
        backward.contribute(x, dy);
    }
}

/// (dy `[T, D]`) → the gradient of the table: row p is the sum of dy's rows t with t mod period = p; rows beyond the period are zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableGradient {
    /// As in [`AddTable`].
    pub period: u64,
    /// Shape of the table.
    pub shape: Shape,
}

impl Rule for TableGradient {
    fn name(&self) -> &'static str {
        if self.period == 1 { "bias gradient" } else { "table gradient" }
    }

    fn words(&self) -> Words {
        Words { inputs: &[""], outputs: &[""] }
    }

    fn outputs(&self, _inputs: &[TensorType]) -> Types {
        smallvec![TensorType::f32(&self.shape)]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let d = types.inputs[0].dim(1);
        let dy = c.flat(types, 0);
        let dy = c.reshape(dy, &[0, self.period, d]);
        let sum = c.reduce(dy, 0);
        let (used, all) = (self.period * d, types.outputs[0].elements());
        let sum = c.reshape(sum, &[used]);
        let sum = if used == all {
            sum
        } else {
            let rest = c.filled(&[all - used]);
            c.cat([sum, rest], all)
        };
        c.output(sum);
    }
}
