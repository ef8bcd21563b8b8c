//! The backward pass: the derivatives of forward's operations, last first, each gradient that arrives from several sides summed.

use std::collections::BTreeMap;

use super::format::{Op, Operation, Pass, Place, Role, Walk};
use super::trace::Trace;

/// The backward pass as it is followed: the gradient of each tensor so far.
struct Backward<'t, 'a> {
    trace: &'t mut Trace<'a>,
    gradients: BTreeMap<u32, u32>,
    /// Tensors that get no gradient.
    constants: Vec<u32>,
    place: Place,
}

/// Follows the backward pass of these forward operations, and holds what comes out against the parameters.
pub fn check(forward: &[Operation], walk: &Walk, parameters: usize, trace: &mut Trace<'_>) {
    let weights: Vec<(u32, u32)> = (0..parameters as u32).map(|p| (p, trace.source(Role::Weight(p)))).collect();
    // Of a further micro-step, the gradients so far are there already.
    let earlier = weights.iter().map(|(p, weight)| (*weight, trace.source(Role::Gradient(*p))));
    let gradients = earlier.filter(|(_, gradient)| (*gradient as usize) < walk.tensors.len()).collect();
    let inputs = [Role::PositionTable, Role::Tokens, Role::Rows, Role::Labels, Role::LossWeights];
    let constants = inputs.map(|role| trace.source(role)).to_vec();
    let mut backward = Backward { trace, gradients, constants, place: Place::Head };
    for o in forward.iter().rev() {
        if backward.trace.lost() {
            return;
        }
        backward.place = o.place;
        backward.differentiate(o, walk);
    }
    let Backward { trace, gradients, .. } = backward;
    if trace.lost() {
        return;
    }
    for (p, weight) in weights {
        trace.is_gradient(gradients.get(&weight).copied().unwrap_or(u32::MAX), p);
    }
}

impl Backward<'_, '_> {
    fn emit(&mut self, op: Op, inputs: &[u32]) -> Vec<u32> {
        self.trace.expect(op, inputs, Pass::Backward, self.place)
    }

    fn first(&mut self, op: Op, inputs: &[u32]) -> u32 {
        self.emit(op, inputs).first().copied().unwrap_or(u32::MAX)
    }

    fn contribute(&mut self, to: u32, gradient: Option<u32>) {
        let Some(gradient) = gradient.filter(|_| !self.constants.contains(&to)) else { return };
        let sum = match self.gradients.get(&to).copied() {
            Some(sum) => self.first(Op::Add, &[sum, gradient]),
            None => gradient,
        };
        self.gradients.insert(to, sum);
    }

    /// A product that goes straight into a sum where there is one.
    fn product(&mut self, to: u32, (transpose_a, transpose_b): (bool, bool), a: u32, b: u32) {
        let sum = match self.gradients.get(&to).copied() {
            Some(sum) => self.first(Op::MatMulAccumulate { transpose_a, transpose_b }, &[sum, a, b]),
            None => self.first(Op::MatMul { transpose_a, transpose_b }, &[a, b]),
        };
        self.gradients.insert(to, sum);
    }

    fn differentiate(&mut self, o: &Operation, walk: &Walk) {
        let (x, y) = (&o.inputs, &o.outputs);
        let Some(dy) =
            y.first().and_then(|y| self.gradients.get(y).copied()).or(matches!(o.op, Op::CrossEntropy { .. }).then_some(0))
        else {
            return;
        };
        match (&o.op, x.as_slice(), y.as_slice()) {
            (Op::CrossEntropy { z_loss, label_smoothing, focal }, [logits, labels, weights], [_, lse, _]) => {
                let (z_loss, label_smoothing, focal) = (*z_loss, *label_smoothing, *focal);
                let op = Op::CrossEntropyGradient { z_loss, label_smoothing, focal };
                let made = self.emit(op, &[*logits, *labels, *weights, *lse]);
                self.contribute(*logits, made.first().copied());
            }
            (Op::MatMul { transpose_b, .. }, [a, b], _) => {
                // (a·b)′: of b it is aᵀ·dy, of a it is dy·bᵀ; where b stood transposed, dyᵀ·a and dy·b.
                if *transpose_b {
                    self.product(*b, (true, false), dy, *a);
                } else {
                    self.product(*b, (true, false), *a, dy);
                }
                self.product(*a, (false, !transpose_b), dy, *b);
            }
            (Op::SelectRows, [all, rows], _) => {
                let total = walk.tensors[*all as usize].shape.first().copied().unwrap_or(0);
                let made = self.emit(Op::ScatterRows { total }, &[dy, *rows]);
                self.contribute(*all, made.first().copied());
            }
            (Op::LayerNorm { .. }, [x, gain, bias], [_, mean, scale]) => {
                let made = self.emit(Op::LayerNormGradient, &[dy, *x, *mean, *scale, *gain]);
                [*x, *gain, *bias].into_iter().enumerate().for_each(|(i, to)| self.contribute(to, made.get(i).copied()));
            }
            (Op::RmsNorm { factor, .. }, [x, gain], [_, scale]) => {
                let made = self.emit(Op::RmsNormGradient { factor: *factor }, &[dy, *x, *scale, *gain]);
                [*x, *gain].into_iter().enumerate().for_each(|(i, to)| self.contribute(to, made.get(i).copied()));
            }
            (Op::Attention { heads, sequence, causal, dropout }, [q, k, v], [_, probabilities]) => {
                let op = Op::AttentionGradient { heads: *heads, sequence: *sequence, causal: *causal, dropout: *dropout };
                let made = self.emit(op, &[dy, *q, *k, *v, *probabilities]);
                [*q, *k, *v].into_iter().enumerate().for_each(|(i, to)| self.contribute(to, made.get(i).copied()));
            }
            (Op::Activate { function }, [z], _) => {
                let made = self.emit(Op::ActivateGradient { function: *function }, &[dy, *z]);
                self.contribute(*z, made.first().copied());
            }
            (Op::Dropout { rate, site }, [x], _) => {
                let made = self.emit(Op::Dropout { rate: *rate, site: *site }, &[dy]);
                self.contribute(*x, made.first().copied());
            }
            (Op::Scale { factor }, [x], _) => {
                let made = self.emit(Op::Scale { factor: *factor }, &[dy]);
                self.contribute(*x, made.first().copied());
            }
            (Op::Rotate { heads, sequence, back }, [x, table], _) => {
                // The transpose of a rotation is the rotation back.
                let made = self.emit(Op::Rotate { heads: *heads, sequence: *sequence, back: !back }, &[dy, *table]);
                self.contribute(*x, made.first().copied());
            }
            (Op::AddTable { period }, [x, table], _) => {
                if !self.constants.contains(table) {
                    let shape = walk.tensors[*table as usize].shape.clone();
                    let made = self.emit(Op::TableGradient { period: *period, shape }, &[dy]);
                    self.contribute(*table, made.first().copied());
                }
                self.contribute(*x, Some(dy));
            }
            (Op::Gate { function }, [value, gate], _) => {
                let made = self.emit(Op::GateGradient { function: *function }, &[dy, *value, *gate]);
                [*value, *gate].into_iter().enumerate().for_each(|(i, to)| self.contribute(to, made.get(i).copied()));
            }
            (Op::Add, [a, b], _) => {
                self.contribute(*a, Some(dy));
                self.contribute(*b, Some(dy));
            }
            (Op::AddPosition, [x, table, scale], _) => {
                let made = self.emit(Op::PositionGradient, &[dy, *table]);
                self.contribute(*scale, made.first().copied());
                self.contribute(*x, Some(dy));
            }
            (Op::Embedding, [table, ids], _) => {
                let sum = self.gradients.get(table).copied();
                let sum =
                    sum.unwrap_or_else(|| self.first(Op::Zeros { shape: walk.tensors[*table as usize].shape.clone() }, &[]));
                let sum = self.first(Op::EmbeddingGradient, &[sum, dy, *ids]);
                self.gradients.insert(*table, sum);
            }
            _ => {}
        }
    }
}
