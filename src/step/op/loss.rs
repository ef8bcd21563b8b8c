//! Cross entropy from logits, in nats.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::chain::Handle;
use super::{Chain, Rule, Signature, Types, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::tensor::TensorType;

/// Pieces of rows of which the plain form takes the exponentials one after another.
pub const LOSS_PIECES: u64 = 8;

/// The pieces of N rows: where each begins, and its length.
pub fn loss_pieces(rows: u64) -> impl Iterator<Item = (u64, u64)> {
    let length = rows.div_ceil(LOSS_PIECES).max(1);
    (0..rows.div_ceil(length)).map(move |i| (i * length, length.min(rows - i * length)))
}

/// `[n, V]` → `[n]`.
fn log_sum_exp(c: &mut Chain, x: Handle) -> Handle {
    let n = x.rows();
    let top = c.again(&x);
    let top = c.reduce(top, 1);
    let same = c.again(&top);
    let e = c.binary(x, same);
    let e = c.unary(e);
    let sum = c.reduce(e, 1);
    let log = c.unary(sum);
    let lse = c.binary(log, top);
    c.reshape(lse, &[n])
}

/// (logits `[N, V]`, labels `[N]`, weights `[N]`) → loss `[1]`, log-sum-exp `[N]`, loss of each row `[N]`.
///
/// Row i loses lseᵢ − logitᵢ[labelᵢ]; loss = Σ wᵢ · row i. The host puts 1/(masked rows · accumulation) into the weights, and 0 for rows that
/// only fill up the sparse prediction: so mean and accumulation need no operation of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropy;

impl Rule for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross entropy"
    }

    fn words(&self) -> Words {
        Words { inputs: &["logits", "labels", ""], outputs: &["loss", "log-sum-exp of logits", "losses of rows"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        let rows = TensorType::f32(&[inputs[0].dim(0)]);
        smallvec![TensorType::f32(&[1]), rows, rows]
    }

    /// Some rows after others, so that the exponentials of all never exist at once.
    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let n = types.inputs[0].dim(0);
        let labels = c.index(types, 1);
        let labels = c.reshape(labels, &[n, 1]);
        let (logits, weights) = (c.take(types, 0), c.take(types, 2));
        let mut parts = [const { None }; LOSS_PIECES as usize];
        for (part, (start, length)) in parts.iter_mut().zip(loss_pieces(n)) {
            let rows = c.again(&logits);
            let rows = c.slice(rows, start, length);
            *part = Some(log_sum_exp(c, rows));
        }
        let lse = c.cat(parts.into_iter().flatten(), n);
        let label = c.gather(logits, labels);
        let label = c.reshape(label, &[n]);
        let same = c.again(&lse);
        let rows = c.binary(same, label);
        let same = c.again(&rows);
        let weighted = c.binary(same, weights);
        let loss = c.reduce(weighted, 0);
        c.output(loss);
        c.output(lse);
        c.output(rows);
    }

    /// The loss is where backward begins: its own gradient is 1.
    fn differentiate(&self, node: &Node, backward: &mut Differentiator) {
        let [logits, labels, weights] = node.inputs[..] else { return };
        let made = backward.emit(CrossEntropyGradient, &[logits, labels, weights, node.outputs[1]])[0];
        backward.contribute(logits, made);
    }
}

/// (logits `[N, V]`, labels, weights, log-sum-exp `[N]`) → dlogits = (exp(logit − lse) − onehot(label)) · w.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropyGradient;

impl Rule for CrossEntropyGradient {
    fn name(&self) -> &'static str {
        "cross entropy gradient"
    }

    fn words(&self) -> Words {
        Words { inputs: &[], outputs: &["gradient of logits"] }
    }

    fn outputs(&self, inputs: &[TensorType]) -> Types {
        smallvec![inputs[0]]
    }

    fn plain(&self, types: Signature<'_>, c: &mut Chain) {
        let n = types.inputs[0].dim(0);
        let labels = c.index(types, 1);
        let labels = c.reshape(labels, &[n, 1]);
        let logits = c.take(types, 0);
        let [weights, lse] = [2, 3].map(|i| {
            let x = c.flat(types, i);
            c.reshape(x, &[n, 1])
        });
        let e = c.binary(logits, lse);
        let e = c.unary(e);
        let same = c.again(&weights);
        let scaled = c.binary(e, same);
        let weights = c.unary(weights);
        let gradient = c.assign(scaled, labels, weights);
        c.output(gradient);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}
