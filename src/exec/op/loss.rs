//! Cross entropy.

use burn::tensor::{IndexingUpdateOp, Tensor};

use super::{Frame, Plain, Run, flat};
use crate::exec::host::math::{exp, log_sum_exp};
use crate::exec::host::{pieces, pieces2};
use crate::step::op::{CrossEntropy, CrossEntropyGradient, loss_pieces};

impl Run for CrossEntropy {
    fn host(&self, frame: &mut Frame<'_>) {
        let v = frame.dim(0, 1);
        let (logits, labels, weights) = (frame.floats(0), frame.indices(1), frame.floats(2));
        let [loss, lse, rows] = frame.take();
        pieces2(lse, rows, (1, 1), |i, lse, row| {
            let logits = &logits[i * v..][..v];
            lse[0] = log_sum_exp(logits);
            row[0] = lse[0] - logits[labels[i] as usize];
        });
        let total: f64 = rows.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
        loss[0] = total as f32;
    }

    /// Some rows after others, so that the exponentials of all never exist at once.
    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let n = x.dim(0, 0);
        let labels = x.index(1).reshape([n, 1]);
        let (logits, weights): (Tensor<2>, Tensor<1>) = (x.take(0), x.take(2));
        let pieces = loss_pieces(n as u64).map(|(start, length)| {
            let rows = logits.clone().narrow(0, start as usize, length as usize);
            let top = rows.clone().max_dim(1);
            flat((rows - top.clone()).exp().sum_dim(1).log() + top)
        });
        let lse = Tensor::cat(pieces.collect(), 0);
        let rows = lse.clone() - flat(logits.gather(1, labels));
        let loss = (rows.clone() * weights).sum_dim(0);
        vec![loss, lse, rows]
    }
}

impl Run for CrossEntropyGradient {
    /// The output holds the logits at first.
    fn host(&self, frame: &mut Frame<'_>) {
        let v = frame.dim(0, 1);
        let (labels, weights, lse) = (frame.indices(1), frame.floats(2), frame.floats(3));
        let [out] = frame.take();
        pieces(out, v, |i, row| {
            let (w, lse) = (weights[i], lse[i]);
            for x in row.iter_mut() {
                *x = exp(*x - lse) * w;
            }
            row[labels[i] as usize] -= w;
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let n = x.dim(0, 0);
        let labels = x.index(1).reshape([n, 1]);
        let logits: Tensor<2> = x.take(0);
        let weights = x.flat(2).reshape([n, 1]);
        let lse = x.flat(3).reshape([n, 1]);
        let scaled = (logits - lse).exp() * weights.clone();
        vec![flat(scaled.scatter(1, labels, weights.neg(), IndexingUpdateOp::Add))]
    }
}
