//! Cross entropy from logits, in nats.

use serde::{Deserialize, Serialize};

use super::{Backend, Rule, Signature, Words};
use crate::step::differentiate::Differentiator;
use crate::step::graph::Node;
use crate::step::tensor::TensorType;
use crate::units::Bytes;

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

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        let rows = TensorType::f32(&[inputs[0].dim(0)]);
        vec![TensorType::f32(&[1]), rows, rows]
    }

    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => Bytes::ZERO,
            Backend::Plain => types.inputs[0].bytes() * 2 + types.outputs[1].bytes() * 4,
        }
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

    fn outputs(&self, inputs: &[TensorType]) -> Vec<TensorType> {
        vec![inputs[0]]
    }

    fn workspace(&self, types: Signature<'_>, backend: Backend) -> Bytes {
        match backend {
            Backend::Host { .. } => Bytes::ZERO,
            Backend::Plain => types.inputs[0].bytes() * 2 + types.inputs[1].bytes() * 2,
        }
    }

    fn in_place(&self) -> &'static [(usize, usize)] {
        &[(0, 0)]
    }
}
