//! Cross entropy.

use burn::tensor::{IndexingUpdateOp, Tensor};

use super::{Frame, Plain, Run, flat};
use crate::exec::host::math::{exp, log_sum_exp, sum};
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
            row[0] = self.row(logits, labels[i] as usize, lse[0]);
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
        let mean = (self.label_smoothing > 0.0).then(|| flat(logits.clone().mean_dim(1)));
        let label = flat(logits.gather(1, labels));
        let label = match mean {
            Some(mean) => label * (1.0 - self.label_smoothing) + mean * self.label_smoothing,
            None => label,
        };
        let rows = lse.clone() - label;
        let rows = if self.focal > 0.0 { (missed(rows.clone().neg().exp()) * self.focal).exp() * rows } else { rows };
        let rows = if self.z_loss > 0.0 { rows + lse.clone() * lse.clone() * self.z_loss } else { rows };
        let loss = (rows.clone() * weights).sum_dim(0);
        vec![loss, lse, rows]
    }
}

/// ln(1 − p), with a little to be above zero.
fn missed<const D: usize>(p: Tensor<D>) -> Tensor<D> {
    ((p.neg() + 1.0).abs() + LEAST).log()
}

/// What keeps logarithms of nothing finite.
const LEAST: f64 = 1e-30;

impl CrossEntropy {
    /// What a row loses.
    #[inline(always)]
    fn row(&self, logits: &[f32], label: usize, lse: f32) -> f32 {
        let smooth = self.label_smoothing as f32;
        let mut target = logits[label];
        if smooth > 0.0 {
            target = target * (1.0 - smooth) + smooth * sum(logits.len(), |i| logits[i]) / logits.len() as f32;
        }
        let mut row = lse - target;
        if self.focal > 0.0 {
            row *= libm::powf((1.0 - libm::expf(-row)).abs(), self.focal as f32);
        }
        row + self.z_loss as f32 * lse * lse
    }

    /// The slope of the focal loss at a row's cross entropy; 1 where it is not focal.
    fn slope(&self, row: f32) -> f32 {
        if self.focal <= 0.0 {
            return 1.0;
        }
        let (focal, right) = (self.focal as f32, libm::expf(-row));
        let missed = (1.0 - right).abs() + LEAST as f32;
        libm::powf(missed, focal) + focal * row * right * libm::powf(missed, focal - 1.0)
    }
}

impl Run for CrossEntropyGradient {
    /// The output holds the logits at first.
    fn host(&self, frame: &mut Frame<'_>) {
        let v = frame.dim(0, 1);
        let (labels, weights, lse) = (frame.indices(1), frame.floats(2), frame.floats(3));
        let [out] = frame.take();
        pieces(out, v, |i, row| {
            let (label, lse) = (labels[i] as usize, lse[i]);
            let (slope, smooth) = (self.0.slope(lse - row[label]), self.0.label_smoothing as f32);
            let w = weights[i] * slope;
            let factor = w + weights[i] * 2.0 * self.0.z_loss as f32 * lse;
            let everywhere = w * smooth / v as f32;
            for x in row.iter_mut() {
                *x = exp(*x - lse) * factor - everywhere;
            }
            row[label] -= w * (1.0 - smooth);
        });
    }

    fn plain(&self, mut x: Plain<'_>) -> Vec<Tensor<1>> {
        let (n, v) = (x.dim(0, 0), x.dim(0, 1));
        let labels = x.index(1).reshape([n, 1]);
        let logits: Tensor<2> = x.take(0);
        let weights = x.flat(2).reshape([n, 1]);
        let lse = x.flat(3).reshape([n, 1]);
        let CrossEntropy { z_loss, label_smoothing, focal } = self.0;
        let weights = if focal > 0.0 {
            let row = lse.clone() - logits.clone().gather(1, labels.clone());
            let right = row.clone().neg().exp();
            let missed = missed(right.clone());
            let first = (missed.clone() * focal).exp();
            let second = (missed * (focal - 1.0)).exp() * row * right * focal;
            weights * (first + second)
        } else {
            weights
        };
        let scaled = if z_loss > 0.0 {
            let e = (logits - lse.clone()).exp();
            e * ((lse * (2.0 * z_loss) + 1.0) * weights.clone())
        } else {
            (logits - lse).exp() * weights.clone()
        };
        let scaled = if label_smoothing > 0.0 { scaled - weights.clone() * (label_smoothing / v as f64) } else { scaled };
        vec![flat(scaled.scatter(1, labels, weights * (label_smoothing - 1.0), IndexingUpdateOp::Add))]
    }
}
