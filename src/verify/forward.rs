//! The forward pass that the recipe's model asks for, operation by operation.

use super::format::{Content, Function, Op, Pass, Place, Role};
use super::recipe::{Activation, Attention, Dropout, Encoder, FeedForward, Loss, Norm, Placement, Positions, Transform};
use super::trace::Trace;

/// A model that is followed.
struct Model<'t, 'a> {
    t: &'t mut Trace<'a>,
    of: &'t Encoder,
    place: Place,
    /// What is dropped: of the inputs, of probabilities, of branches; nothing in an evaluation.
    drops: [f64; 3],
}

/// Follows the forward pass; gives the outputs of the loss: the loss, the log-sum-exp and the loss of each row.
pub fn follow(content: &Content, t: &mut Trace<'_>) -> Vec<u32> {
    let e = &content.extents;
    let model = &content.recipe.model;
    let Dropout { inputs, probabilities, branches } = &model.dropout;
    let drops = if t.is_evaluation() { [0.0; 3] } else { [inputs.0, probabilities.0, branches.0] };
    let mut m = Model { t, of: model, place: Place::Embedding, drops };
    let mut x = m.embedding();
    for i in 0..e.depth {
        if m.t.lost() {
            return Vec::new();
        }
        m.place = Place::Block(i);
        // Three places of a block drop: probabilities, and either half.
        let site = 3 * i as u32 + 1;
        x = m.half(x, &format!("block.{i}.attention"), site + 1, |m, x| m.attention(x, i, site));
        x = m.half(x, &format!("block.{i}.feed_forward"), site + 2, |m, x| m.feed_forward(x, i));
    }
    m.place = Place::Head;
    if m.of.head.final_norm {
        x = m.norm(x, "final_norm");
    }
    if e.predicted != content.micro_tokens {
        let rows = m.t.source(Role::Rows);
        x = m.one(Op::SelectRows, &[x, rows]);
    }
    let logits = m.scores(x);
    let inputs = [logits, t.source(Role::Labels), t.source(Role::LossWeights)];
    let (z_loss, label_smoothing, focal) = match content.recipe.objective.loss {
        // What is evaluated is what can be compared.
        _ if t.is_evaluation() => (0.0, 0.0, 0.0),
        Loss::CrossEntropy { z_loss, label_smoothing } => (z_loss, label_smoothing.0, 0.0),
        Loss::Focal { gamma } => (0.0, 0.0, gamma),
    };
    t.expect(Op::CrossEntropy { z_loss, label_smoothing, focal }, &inputs, Pass::Forward, Place::Head)
}

impl Model<'_, '_> {
    fn one(&mut self, op: Op, inputs: &[u32]) -> u32 {
        self.t.one(op, inputs, Pass::Forward, self.place)
    }

    fn norm(&mut self, x: u32, name: &str) -> u32 {
        let gain = self.t.weight(&format!("{name}.gain"));
        let d = self.of.width as f64;
        match self.of.norm {
            Norm::LayerNorm { eps } => {
                let bias = self.t.weight(&format!("{name}.bias"));
                self.one(Op::LayerNorm { eps }, &[x, gain, bias])
            }
            Norm::RmsNorm { eps } => self.one(Op::RmsNorm { eps, factor: 1.0 }, &[x, gain]),
            // By length, written as by the mean of the squares: D of them make the length.
            Norm::ScaleNorm { eps } => self.one(Op::RmsNorm { eps: eps * eps / d, factor: 1.0 / libm::sqrt(d) }, &[x, gain]),
        }
    }

    fn linear(&mut self, x: u32, name: &str, biased: bool) -> u32 {
        let weight = self.t.weight(name);
        let y = self.one(Op::MatMul { transpose_a: false, transpose_b: false }, &[x, weight]);
        if !biased {
            return y;
        }
        let bias = self.t.weight(&format!("{name}_bias"));
        self.one(Op::AddTable { period: 1 }, &[y, bias])
    }

    fn embedding(&mut self) -> u32 {
        let model = self.of;
        let (words, tokens) = (self.t.weight("embedding.word"), self.t.source(Role::Tokens));
        let mut x = self.one(Op::Embedding, &[words, tokens]);
        if model.embedding.table_width.is_some_and(|width| width != model.width) {
            x = self.linear(x, "embedding.projection", model.biases.dense);
        }
        if model.token_types > 0 {
            let types = self.t.weight("embedding.token_type");
            x = self.one(Op::AddTable { period: 1 }, &[x, types]);
        }
        let (table, period) = (self.t.source(Role::PositionTable), model.sequence);
        x = match model.positions {
            Positions::ScaledSinusoidal {} => {
                let factor = self.t.weight("embedding.position_scale");
                self.one(Op::AddPosition, &[x, table, factor])
            }
            Positions::Sinusoidal {} => self.one(Op::AddTable { period }, &[x, table]),
            Positions::Learned { .. } => {
                let table = self.t.weight("embedding.position");
                self.one(Op::AddTable { period }, &[x, table])
            }
            Positions::Rotary { .. } | Positions::NoPositions {} => x,
        };
        let x = if model.embedding.input_norm { self.norm(x, "embedding.norm") } else { x };
        self.drop(x, self.drops[0], 0)
    }

    fn drop(&mut self, x: u32, rate: f64, site: u32) -> u32 {
        if rate > 0.0 { self.one(Op::Dropout { rate, site }, &[x]) } else { x }
    }

    /// A half of a block with its norms and the sum around it.
    fn half(&mut self, x: u32, name: &str, site: u32, f: impl FnOnce(&mut Self, u32) -> u32) -> u32 {
        let norm = format!("{name}_norm");
        match self.of.placement {
            Placement::PreNorm {} => {
                let h = self.norm(x, &norm);
                let y = f(self, h);
                let y = self.drop(y, self.drops[2], site);
                self.one(Op::Add, &[y, x])
            }
            Placement::Sandwich {} => {
                let h = self.norm(x, &norm);
                let y = f(self, h);
                let y = self.norm(y, &format!("{name}_out_norm"));
                let y = self.drop(y, self.drops[2], site);
                self.one(Op::Add, &[y, x])
            }
            Placement::PostNorm {} => {
                let y = f(self, x);
                let y = self.drop(y, self.drops[2], site);
                let sum = self.one(Op::Add, &[y, x]);
                self.norm(sum, &norm)
            }
            Placement::DeepNorm {} => {
                let y = f(self, x);
                let y = self.drop(y, self.drops[2], site);
                let factor = libm::pow(2.0 * self.of.depth as f64, 0.25);
                let x = self.one(Op::Scale { factor }, &[x]);
                let sum = self.one(Op::Add, &[y, x]);
                self.norm(sum, &norm)
            }
        }
    }

    fn attention(&mut self, x: u32, i: u64, site: u32) -> u32 {
        let (heads, sequence) = (self.of.heads, self.of.sequence);
        let (qkv, dense) = (self.of.biases.qkv, self.of.biases.dense);
        let [q, k, v] = ["query", "key", "value"].map(|part| self.linear(x, &format!("block.{i}.attention.{part}"), qkv));
        let [q, k] = if let Positions::Rotary { .. } = self.of.positions {
            let table = self.t.source(Role::PositionTable);
            [q, k].map(|x| self.one(Op::Rotate { heads, sequence, back: false }, &[x, table]))
        } else {
            [q, k]
        };
        let dropout = (self.drops[1] > 0.0).then_some((self.drops[1], site));
        let Attention::Softmax { causal } = self.of.attention;
        let context = self.one(Op::Attention { heads, sequence, causal, dropout }, &[q, k, v]);
        self.linear(context, &format!("block.{i}.attention.output"), dense)
    }

    fn feed_forward(&mut self, x: u32, i: u64) -> u32 {
        let dense = self.of.biases.dense;
        let name = |part: &str| format!("block.{i}.feed_forward.{part}");
        let inner = match &self.of.feed_forward {
            FeedForward::Glu { activation, .. } => {
                let [value, gate] = ["value", "gate"].map(|part| self.linear(x, &name(part), dense));
                self.one(Op::Gate { function: function(activation) }, &[value, gate])
            }
            FeedForward::Mlp { activation, .. } => {
                let z = self.linear(x, &name("input"), dense);
                self.one(Op::Activate { function: function(activation) }, &[z])
            }
        };
        self.linear(inner, &name("output"), dense)
    }

    /// From rows to scores of the vocabulary.
    fn scores(&mut self, mut x: u32) -> u32 {
        let model = self.of;
        if !matches!(model.head.transform, Transform::Skipped {}) {
            x = self.linear(x, "head.transform", model.biases.dense);
        }
        if matches!(model.head.transform, Transform::Nonlinear {}) {
            let (FeedForward::Glu { activation, .. } | FeedForward::Mlp { activation, .. }) = &model.feed_forward;
            x = self.one(Op::Activate { function: function(activation) }, &[x]);
            x = self.norm(x, "head.norm");
        }
        if model.embedding.tied && model.embedding.table_width.is_some_and(|width| width != model.width) {
            x = self.linear(x, "head.projection", model.biases.dense);
        }
        let decoder = self.t.weight(if model.embedding.tied { "embedding.word" } else { "head.decoder" });
        let scores = self.one(Op::MatMul { transpose_a: false, transpose_b: true }, &[x, decoder]);
        if !model.biases.decoder {
            return scores;
        }
        let bias = self.t.weight("head.decoder_bias");
        self.one(Op::AddTable { period: 1 }, &[scores, bias])
    }
}

fn function(activation: &Activation) -> Function {
    match activation {
        Activation::Gelu {} => Function::Gelu,
        Activation::GeluTanh {} => Function::GeluTanh,
        Activation::Relu {} => Function::Relu,
        Activation::SquaredRelu {} => Function::SquaredRelu,
        Activation::Silu {} => Function::Silu,
        Activation::Sigmoid {} => Function::Sigmoid,
        Activation::Tanh {} => Function::Tanh,
    }
}
