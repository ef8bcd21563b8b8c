//! The forward pass: from tokens to the loss, as the recipe's model says.

use super::graph::{Operands, Pass, Place, StepGraph};
use super::op::{
    self, Activate, Add, AddPosition, AddTable, Attention, CrossEntropy, Dropout, Embedding, Function, Gate, LayerNorm, MatMul,
    RmsNorm, Rotate, Scale, SelectRows,
};
use super::parameter::{Block, Inputs, Linear, NormParameters, Parameters, Places};
use super::tensor::{Input, ParameterId, Role, TensorId, TensorType};
use super::{Extents, Walk};
use crate::recipe::settings::{self, Activation, Encoder, Norm, Placement, Positions};
use crate::units::Ratio;

/// What the forward pass made.
pub struct Forward {
    /// The loss `[1]`.
    pub loss: TensorId,
    /// The loss of each predicted row `[N]`.
    pub row_losses: TensorId,
    /// The tensors that get no gradient.
    pub constants: Vec<TensorId>,
}

impl Forward {
    /// Adds the forward pass of a model, up to a loss, to a graph that holds its weights.
    pub fn add(
        graph: &mut StepGraph,
        (model, walk, loss): (&Encoder, Walk, CrossEntropy),
        e: &Extents,
        parameters: &Parameters,
        weights: &[TensorId],
    ) -> Self {
        Maker { graph, model, e, weights, table: None, trains: walk != Walk::Evaluate }.forward(parameters, loss)
    }
}

/// The forward pass in the making.
struct Maker<'a> {
    graph: &'a mut StepGraph,
    model: &'a Encoder,
    e: &'a Extents,
    weights: &'a [TensorId],
    /// The fixed table of positions, where the model has one.
    table: Option<TensorId>,
    /// Whether numbers are dropped.
    trains: bool,
}

impl Maker<'_> {
    fn weight(&self, id: ParameterId) -> TensorId {
        self.weights[id.0 as usize]
    }

    fn input(&mut self, input: Input, ty: TensorType) -> TensorId {
        self.graph.source(ty, Role::Input(input))
    }

    fn push(&mut self, op: impl Into<op::Op>, inputs: &[TensorId], place: Place) -> TensorId {
        self.graph.push(op, inputs, Pass::Forward, place)[0]
    }

    fn norm(&mut self, x: TensorId, norm: NormParameters, place: Place) -> TensorId {
        let parameters = std::iter::once(norm.gain).chain(norm.bias).map(|id| self.weight(id));
        let inputs: Operands = std::iter::once(x).chain(parameters).collect();
        let d = self.model.width as f64;
        match self.model.norm {
            Norm::LayerNorm { eps } => self.push(LayerNorm { eps }, &inputs, place),
            Norm::RmsNorm { eps } => self.push(RmsNorm { eps, factor: 1.0 }, &inputs, place),
            // x/√(‖x‖² + eps²) is x/√(mean(x²) + eps²/D) · D^-½.
            Norm::ScaleNorm { eps } => self.push(RmsNorm { eps: eps * eps / d, factor: 1.0 / libm::sqrt(d) }, &inputs, place),
        }
    }

    fn norm_if(&mut self, x: TensorId, norm: Option<NormParameters>, place: Place) -> TensorId {
        norm.map_or(x, |norm| self.norm(x, norm, place))
    }

    /// Adds rows of a parameter in turn; a bias is one row.
    fn add_table(&mut self, x: TensorId, table: ParameterId, period: u64, place: Place) -> TensorId {
        let table = self.weight(table);
        self.push(AddTable { period }, &[x, table], place)
    }

    fn linear(&mut self, x: TensorId, linear: Linear, place: Place) -> TensorId {
        let weight = self.weight(linear.weight);
        let y = self.push(MatMul::PLAIN, &[x, weight], place);
        linear.bias.map_or(y, |bias| self.add_table(y, bias, 1, place))
    }

    fn linear_if(&mut self, x: TensorId, linear: Option<Linear>, place: Place) -> TensorId {
        linear.map_or(x, |linear| self.linear(x, linear, place))
    }

    fn forward(mut self, p: &Parameters, loss: CrossEntropy) -> Forward {
        let e = *self.e;
        let tokens = self.input(Input::Tokens, TensorType::i32(&[e.rows()]));
        let rows = self.input(Input::Rows, TensorType::i32(&[e.predicted]));
        let labels = self.input(Input::Labels, TensorType::i32(&[e.predicted]));
        let weights = self.input(Input::Weights, TensorType::f32(&[e.predicted]));
        self.table = position_table(self.model).map(|shape| self.graph.source(TensorType::f32(&shape), Role::PositionTable));

        let mut x = self.embed(p, tokens);
        for (i, block) in p.blocks.iter().enumerate() {
            x = self.block(x, block, i as u32);
        }
        let x = self.norm_if(x, p.final_norm, Place::Head);
        let x = if e.predicted == e.rows() { x } else { self.push(SelectRows, &[x, rows], Place::Head) };
        let logits = self.decode(p, x);
        let made = self.graph.push(loss, &[logits, labels, weights], Pass::Forward, Place::Head);
        let constants = [tokens, rows, labels, weights].into_iter().chain(self.table).collect();
        Forward { loss: made[0], row_losses: made[2], constants }
    }

    /// Word vectors, brought up to D, with types and places.
    fn embed(&mut self, p: &Parameters, tokens: TensorId) -> TensorId {
        let place = Place::Embedding;
        let words = self.weight(p.words);
        let x = self.push(Embedding, &[words, tokens], place);
        let x = self.linear_if(x, p.word_projection, place);
        let x = p.token_types.map_or(x, |types| self.add_table(x, types, 1, place));
        let x = match (p.places, &self.model.positions, self.table) {
            (Places::Factor(factor), _, Some(table)) => {
                let factor = self.weight(factor);
                self.push(AddPosition, &[x, table, factor], place)
            }
            (Places::Table(table), ..) => self.add_table(x, table, self.e.sequence, place),
            (_, Positions::Sinusoidal {}, Some(table)) => self.push(AddTable { period: self.e.sequence }, &[x, table], place),
            _ => x,
        };
        let x = self.norm_if(x, p.embedding_norm, place);
        self.dropout(x, self.model.dropout.inputs, INPUTS, place)
    }

    /// Dropout, where numbers are dropped at all.
    fn dropout(&mut self, x: TensorId, rate: Ratio, site: u32, place: Place) -> TensorId {
        if self.trains && rate.0 > 0.0 { self.push(Dropout { rate: rate.0, site }, &[x], place) } else { x }
    }

    /// The head's transform, and the scores of the vocabulary.
    fn decode(&mut self, p: &Parameters, x: TensorId) -> TensorId {
        let place = Place::Head;
        let x = match p.transform {
            None => x,
            Some((transform, None)) => self.linear(x, transform, place),
            Some((transform, Some(norm))) => {
                let x = self.linear(x, transform, place);
                let function = function(self.model.feed_forward.activation());
                let x = self.push(Activate(function), &[x], place);
                self.norm(x, norm, place)
            }
        };
        let x = self.linear_if(x, p.head_projection, place);
        let decoder = self.weight(p.decoder.unwrap_or(p.words));
        let logits = self.push(MatMul::TRANSPOSE_B, &[x, decoder], place);
        p.decoder_bias.map_or(logits, |bias| self.add_table(logits, bias, 1, place))
    }

    fn block(&mut self, x: TensorId, b: &Block, i: u32) -> TensorId {
        let place = Place::Block(u64::from(i));
        let [probabilities, first, second] = sites(i);
        let norms = (b.attention_norm, b.attention_out_norm);
        let x = self.half(x, norms, (place, first), |maker, h| maker.attention(h, b, (place, probabilities)));
        let norms = (b.feed_forward_norm, b.feed_forward_out_norm);
        self.half(x, norms, (place, second), |maker, h| maker.feed_forward(h, b, place))
    }

    /// A half of a block, f, with its norms and the sum around it.
    fn half(
        &mut self,
        x: TensorId,
        (norm, out_norm): (NormParameters, Option<NormParameters>),
        (place, site): (Place, u32),
        f: impl FnOnce(&mut Self, TensorId) -> TensorId,
    ) -> TensorId {
        let rate = self.model.dropout.branches;
        match self.model.placement {
            Placement::PreNorm {} | Placement::Sandwich {} => {
                let h = self.norm(x, norm, place);
                let y = f(self, h);
                let y = self.norm_if(y, out_norm, place);
                let y = self.dropout(y, rate, site, place);
                self.push(Add, &[y, x], place)
            }
            Placement::PostNorm {} => {
                let y = f(self, x);
                let y = self.dropout(y, rate, site, place);
                let sum = self.push(Add, &[y, x], place);
                self.norm(sum, norm, place)
            }
            Placement::DeepNorm {} => {
                let y = f(self, x);
                let y = self.dropout(y, rate, site, place);
                let x = self.push(Scale { factor: deep_norm_factor(self.model.depth) }, &[x], place);
                let sum = self.push(Add, &[y, x], place);
                self.norm(sum, norm, place)
            }
        }
    }

    fn attention(&mut self, h: TensorId, b: &Block, (place, site): (Place, u32)) -> TensorId {
        let (heads, sequence) = (self.e.heads, self.e.sequence);
        let [q, k, v] = [b.query, b.key, b.value].map(|linear| self.linear(h, linear, place));
        let [q, k] = match (&self.model.positions, self.table) {
            (Positions::Rotary { .. }, Some(table)) => {
                [q, k].map(|x| self.push(Rotate { heads, sequence, back: false }, &[x, table], place))
            }
            _ => [q, k],
        };
        let settings::Attention::Softmax { causal } = self.model.attention;
        let rate = self.model.dropout.probabilities.0;
        let dropout = (self.trains && rate > 0.0).then_some(Dropout { rate, site });
        let context = self.push(Attention { heads, sequence, causal, dropout }, &[q, k, v], place);
        self.linear(context, b.output, place)
    }

    fn feed_forward(&mut self, h: TensorId, b: &Block, place: Place) -> TensorId {
        let function = function(self.model.feed_forward.activation());
        let inner = match b.inputs {
            Inputs::Gated(value, gate) => {
                let [value, gate] = [value, gate].map(|linear| self.linear(h, linear, place));
                self.push(Gate(function), &[value, gate], place)
            }
            Inputs::Plain(input) => {
                let x = self.linear(h, input, place);
                self.push(Activate(function), &[x], place)
            }
        };
        self.linear(inner, b.down, place)
    }
}

/// The site of the dropout after the embedding.
const INPUTS: u32 = 0;

/// The sites of a block: of attention's probabilities, of what attention adds, of what the feed-forward half adds.
fn sites(block: u32) -> [u32; 3] {
    [1, 2, 3].map(|i| 3 * block + i)
}

/// Shape of the fixed table of positions: sinusoids `[S, D]`, or cosines and sines of rotations `[2·S, D/2H]`.
pub fn position_table(model: &Encoder) -> Option<[u64; 2]> {
    match model.positions {
        Positions::ScaledSinusoidal {} | Positions::Sinusoidal {} => Some([model.sequence, model.width]),
        Positions::Rotary { .. } => Some([2 * model.sequence, model.width / model.heads / 2]),
        Positions::Learned { .. } | Positions::NoPositions {} => None,
    }
}

/// α = (2L)^¼ of Wang et al. 2022, "DeepNet", for encoders alone.
fn deep_norm_factor(depth: u64) -> f64 {
    libm::pow(2.0 * depth as f64, 0.25)
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
