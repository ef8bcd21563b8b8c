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
/// With c = lse − (1 − ε)·logit[label] − ε·mean(logits), a row loses c·(1 − e^(−c))^γ + f·lse²: ε smooths labels, γ makes the loss focal, f is
/// the z-loss. Sources: [`settings::Loss`](crate::recipe::settings::Loss). loss = Σ wᵢ · row i. The host puts 1/(masked rows · accumulation) into the weights, and 0 for rows that
/// only fill up the sparse prediction: so mean and accumulation need no operation of their own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropy {
    /// f; 0 is none.
    pub z_loss: f64,
    /// ε; 0 is none.
    pub label_smoothing: f64,
    /// γ; 0 is none.
    pub focal: f64,
}

impl CrossEntropy {
    /// Cross entropy alone.
    pub const ALONE: Self = Self { z_loss: 0.0, label_smoothing: 0.0, focal: 0.0 };
}

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
        let mean = (self.label_smoothing > 0.0).then(|| {
            let same = c.again(&logits);
            let mean = c.reduce(same, 1);
            c.reshape(mean, &[n])
        });
        let label = c.gather(logits, labels);
        let mut label = c.reshape(label, &[n]);
        if let Some(mean) = mean {
            let (part, rest) = (c.unary(label), c.unary(mean));
            label = c.binary(part, rest);
        }
        let same = c.again(&lse);
        let mut rows = c.binary(same, label);
        if self.focal > 0.0 {
            let same = c.again(&rows);
            let missed = c.unary(same);
            let weight = c.unary(missed);
            rows = c.binary(weight, rows);
        }
        if self.z_loss > 0.0 {
            let (a, b) = (c.again(&lse), c.again(&lse));
            let square = c.binary(a, b);
            let part = c.unary(square);
            rows = c.binary(rows, part);
        }
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
        let made = backward.emit(CrossEntropyGradient(*self), &[logits, labels, weights, node.outputs[1]])[0];
        backward.contribute(logits, made);
    }
}

/// (logits `[N, V]`, labels, weights, log-sum-exp `[N]`) → dlogits, of each row
/// w·((a + 2f·lse)·exp(logit − lse) − a·(1 − ε)·onehot(label) − a·ε/V).
///
/// a is the slope of c·(1 − e^(−c))^γ: 1 without γ, else (1 − p)^γ + γ·c·p·(1 − p)^(γ − 1) with p = e^(−c).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropyGradient(pub CrossEntropy);

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
        let weights = if self.0.focal > 0.0 {
            let (same, numbers) = (c.again(&logits), c.again(&labels));
            let label = c.gather(same, numbers);
            let same = c.again(&lse);
            let row = c.binary(same, label);
            let same = c.again(&row);
            let right = c.unary(same);
            let same = c.again(&right);
            let missed = c.unary(same);
            let same = c.again(&missed);
            let first = c.unary(same);
            let second = c.unary(missed);
            let second = c.binary(second, row);
            let second = c.binary(second, right);
            let second = c.unary(second);
            let slope = c.binary(first, second);
            c.binary(weights, slope)
        } else {
            weights
        };
        let twice = (self.0.z_loss > 0.0).then(|| c.again(&lse));
        let e = c.binary(logits, lse);
        let e = c.unary(e);
        let same = c.again(&weights);
        let factor = if let Some(lse) = twice {
            let factor = c.unary(lse);
            c.binary(factor, same)
        } else {
            same
        };
        let mut scaled = c.binary(e, factor);
        if self.0.label_smoothing > 0.0 {
            let same = c.again(&weights);
            let part = c.unary(same);
            scaled = c.binary(scaled, part);
        }
        let weights = c.unary(weights);
        let gradient = c.assign(scaled, labels, weights);
        c.output(gradient);
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}
