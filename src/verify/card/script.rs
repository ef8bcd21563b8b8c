//! The plain forms of the operations as scripts: which tensor functions follow each other, on which results.

use crate::verify::format::{Function, Op};

/// A step reads registers and makes one. Operands are the first registers, then the results of the steps.
#[derive(Clone, Debug)]
pub enum Step {
    /// A new tensor of a shape, from what is read: rows by number, parts joined, numbers sent, a constant.
    Make(Vec<u64>, Vec<usize>),
    /// A function of each element.
    Each(usize),
    /// A function of the elements of two.
    Both(usize, usize),
    /// A sum, mean or maximum along a dimension.
    Fold(usize, usize),
    /// A matrix product, one for each batch.
    Product(usize, usize),
    /// Two dimensions swapped.
    Swap(usize, usize, usize),
    /// Another shape.
    Shape(usize, Vec<u64>),
    /// Some rows: from which on, and how many.
    Piece(usize, u64, u64),
    /// Values written into a tensor at numbers.
    Into(usize, [usize; 2]),
}

impl Step {
    /// The registers that it reads.
    pub fn reads(&self) -> Vec<usize> {
        match self {
            Self::Make(_, from) => from.clone(),
            Self::Each(x) | Self::Fold(x, _) | Self::Swap(x, ..) | Self::Shape(x, _) | Self::Piece(x, ..) => vec![*x],
            Self::Both(a, b) | Self::Product(a, b) => vec![*a, *b],
            Self::Into(x, [numbers, values]) => vec![*x, *numbers, *values],
        }
    }
}

/// A plain form.
#[derive(Clone, Debug)]
pub struct Script {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// Registers that are the outputs.
    pub outputs: Vec<usize>,
    operands: usize,
    last: Vec<usize>,
}

impl Script {
    /// The last step that reads a register; past all where it is an output, or nothing reads it.
    pub fn last_use(&self, register: usize) -> usize {
        self.last.get(register).copied().unwrap_or(usize::MAX)
    }

    fn push(&mut self, step: Step) -> usize {
        self.steps.push(step);
        self.operands + self.steps.len() - 1
    }

    fn make(&mut self, shape: &[u64], from: &[usize]) -> usize {
        self.push(Step::Make(shape.to_vec(), from.to_vec()))
    }

    fn each(&mut self, x: usize) -> usize {
        self.push(Step::Each(x))
    }

    fn both(&mut self, a: usize, b: usize) -> usize {
        self.push(Step::Both(a, b))
    }

    fn fold(&mut self, x: usize, dimension: usize) -> usize {
        self.push(Step::Fold(x, dimension))
    }

    fn product(&mut self, a: usize, b: usize) -> usize {
        self.push(Step::Product(a, b))
    }

    fn swap(&mut self, x: usize, i: usize, j: usize) -> usize {
        self.push(Step::Swap(x, i, j))
    }

    fn shape(&mut self, x: usize, shape: &[u64]) -> usize {
        self.push(Step::Shape(x, shape.to_vec()))
    }

    /// Outputs are kept flat.
    fn outputs(&mut self, made: &[usize], flat: &[u64]) {
        for (x, elements) in made.iter().zip(flat) {
            let x = self.shape(*x, &[*elements]);
            self.outputs.push(x);
        }
    }

    fn end(mut self) -> Self {
        let mut last = vec![usize::MAX; self.operands + self.steps.len()];
        for (at, step) in self.steps.iter().enumerate() {
            step.reads().into_iter().for_each(|register| last[register] = at);
        }
        self.outputs.iter().for_each(|register| last[*register] = usize::MAX);
        self.last = last;
        self
    }
}

fn count(shape: &[u64]) -> u64 {
    shape.iter().fold(1, |n: u64, extent| n.saturating_mul(*extent))
}

/// The script of an operation on operands of lawful shapes.
pub fn script(op: &Op, shapes: &[Vec<u64>]) -> Script {
    let mut s = Script { steps: Vec::new(), outputs: Vec::new(), operands: shapes.len(), last: Vec::new() };
    match op {
        Op::Embedding | Op::EmbeddingGradient | Op::Zeros { .. } | Op::SelectRows | Op::ScatterRows { .. } => {
            rows(op, shapes, &mut s);
        }
        Op::AddPosition | Op::PositionGradient => positions(op, shapes, &mut s),
        Op::AddTable { .. } | Op::TableGradient { .. } => tables(op, shapes, &mut s),
        Op::Rotate { heads, sequence, back } => rotation([*heads, *sequence], *back, shapes, &mut s),
        Op::RmsNorm { .. } => uncentred(shapes, &mut s),
        Op::RmsNormGradient { .. } => uncentred_gradient(shapes, &mut s),
        Op::LayerNorm { .. } => norm(shapes, &mut s),
        Op::LayerNormGradient => norm_gradient(shapes, &mut s),
        Op::MatMul { transpose_a, transpose_b } => {
            let product = product(*transpose_a, *transpose_b, 0, &mut s);
            let extent = |i: usize, turned: bool| shapes[i][usize::from(turned)];
            s.outputs(&[product], &[extent(0, *transpose_a).saturating_mul(extent(1, !*transpose_b))]);
        }
        Op::MatMulAccumulate { transpose_a, transpose_b } => {
            let product = product(*transpose_a, *transpose_b, 1, &mut s);
            let sum = s.both(0, product);
            s.outputs(&[sum], &[count(&shapes[0])]);
        }
        Op::Attention { heads, sequence, causal, dropout } => {
            attention([*heads, *sequence], [*causal, dropout.is_some()], shapes, &mut s);
        }
        Op::AttentionGradient { heads, sequence, dropout, .. } => {
            attention_gradient([*heads, *sequence], dropout.is_some(), shapes, &mut s);
        }
        Op::Gate { .. }
        | Op::GateGradient { .. }
        | Op::Activate { .. }
        | Op::ActivateGradient { .. }
        | Op::Add
        | Op::Scale { .. }
        | Op::Dropout { .. } => {
            elementwise(op, count(&shapes[0]), &mut s);
        }
        Op::CrossEntropy { z_loss, label_smoothing, focal } => {
            loss([*z_loss, *label_smoothing, *focal].map(|x| x > 0.0), shapes, &mut s);
        }
        Op::CrossEntropyGradient { z_loss, label_smoothing, focal } => {
            loss_gradient([*z_loss, *label_smoothing, *focal].map(|x| x > 0.0), shapes, &mut s);
        }
        Op::SumSquares => {
            let rows = if shapes[0].len() == 2 { shapes[0][0] } else { 1 };
            let g = s.shape(0, &[rows, count(&shapes[0]) / rows.max(1)]);
            let square = s.both(g, g);
            let sums = s.fold(square, 1);
            let sum = s.fold(sums, 0);
            s.outputs(&[sum], &[1]);
        }
        Op::ClipFactor { max } => clip(max.is_some(), shapes.len(), &mut s),
        Op::AdamW { .. }
        | Op::Adam { .. }
        | Op::RAdam { .. }
        | Op::Lamb { .. }
        | Op::Lion { .. }
        | Op::Sgd { .. }
        | Op::Adafactor { .. }
        | Op::Muon { .. } => update(op, shapes, &mut s),
    }
    s.end()
}

fn rows(op: &Op, shapes: &[Vec<u64>], s: &mut Script) {
    let made = match op {
        Op::Zeros { shape } => {
            let zeros = s.make(&[count(shape)], &[]);
            return s.outputs(&[zeros], &[count(shape)]);
        }
        Op::EmbeddingGradient => {
            let ids = s.make(&shapes[2], &[]);
            (s.push(Step::Into(0, [ids, 1])), count(&shapes[0]))
        }
        Op::ScatterRows { total } => {
            let rows = s.make(&shapes[1], &[]);
            let zeros = s.make(&[*total, shapes[0][1]], &[]);
            (s.push(Step::Into(zeros, [rows, 0])), total.saturating_mul(shapes[0][1]))
        }
        _ => {
            let numbers = s.make(&shapes[1], &[]);
            let shape = [shapes[1][0], shapes[0][1]];
            (s.make(&shape, &[0, numbers]), count(&shape))
        }
    };
    s.outputs(&[made.0], &[made.1]);
}

fn positions(op: &Op, shapes: &[Vec<u64>], s: &mut Script) {
    let (all, table) = (count(&shapes[0]), [1, shapes[1][0], shapes[1][1]]);
    let sequences = [shapes[0][0] / shapes[1][0].max(1), shapes[1][0], shapes[1][1]];
    let x = s.shape(0, &sequences);
    if *op == Op::AddPosition {
        let flat = s.shape(1, &[count(&table)]);
        let offset = s.both(flat, 2);
        let offset = s.shape(offset, &table);
        let sum = s.both(x, offset);
        return s.outputs(&[sum], &[all]);
    }
    let table = s.shape(1, &table);
    let sum = s.fold(x, 0);
    let product = s.both(sum, table);
    let sums = s.fold(product, 2);
    let sum = s.fold(sums, 1);
    s.outputs(&[sum], &[1]);
}

fn norm(shapes: &[Vec<u64>], s: &mut Script) {
    let row = [1, shapes[0][1]];
    let (gain, bias) = (s.shape(1, &row), s.shape(2, &row));
    let mean = s.fold(0, 1);
    let centred = s.both(0, mean);
    let square = s.both(centred, centred);
    let variance = s.fold(square, 1);
    let scale = s.each(variance);
    let y = s.both(centred, scale);
    let y = s.both(y, gain);
    let y = s.both(y, bias);
    s.outputs(&[y, mean, scale], &[count(&shapes[0]), shapes[0][0], shapes[0][0]]);
}

fn norm_gradient(shapes: &[Vec<u64>], s: &mut Script) {
    let (dy, [t, d]) = (0, [shapes[0][0], shapes[0][1]]);
    let (mean, scale, gain) = (s.shape(2, &[t, 1]), s.shape(3, &[t, 1]), s.shape(4, &[1, d]));
    let centred = s.both(1, mean);
    let normal = s.both(centred, scale);
    let dbias = s.fold(dy, 0);
    let product = s.both(dy, normal);
    let dgain = s.fold(product, 0);
    let product = s.both(product, gain);
    let along = s.fold(product, 1);
    let g = s.both(dy, gain);
    let average = s.fold(g, 1);
    let dx = s.both(g, average);
    let along = s.both(normal, along);
    let dx = s.both(dx, along);
    let dx = s.both(dx, scale);
    s.outputs(&[dx, dgain, dbias], &[t.saturating_mul(d), d, d]);
}

fn product(transpose_a: bool, transpose_b: bool, first: usize, s: &mut Script) -> usize {
    let a = if transpose_a { s.swap(first, 0, 1) } else { first };
    let b = if transpose_b { s.swap(first + 1, 0, 1) } else { first + 1 };
    s.product(a, b)
}

/// Rows of D elements as heads of each sequence: B, H, S, D/H.
fn apart(x: usize, rows: &[u64], heads: u64, sequence: u64, s: &mut Script) -> usize {
    let x = s.shape(x, &[rows[0] / sequence.max(1), sequence, heads, rows[1] / heads.max(1)]);
    s.swap(x, 1, 2)
}

/// And back.
fn together(x: usize, elements: u64, s: &mut Script) -> usize {
    let x = s.swap(x, 1, 2);
    s.shape(x, &[elements])
}

fn attention([heads, sequence]: [u64; 2], [causal, drops]: [bool; 2], shapes: &[Vec<u64>], s: &mut Script) {
    let [q, k, v] = [0, 1, 2].map(|i| apart(i, &shapes[0], heads, sequence, s));
    let k = s.swap(k, 2, 3);
    let scores = s.product(q, k);
    let mut scores = s.each(scores);
    if causal {
        let mask = s.make(&[1, 1, sequence, sequence], &[]);
        scores = s.both(scores, mask);
    }
    let top = s.fold(scores, 3);
    let e = s.both(scores, top);
    let e = s.each(e);
    let sum = s.fold(e, 3);
    let p = s.both(e, sum);
    let left = if drops { dropped(p, [heads, sequence], shapes[0][0], s) } else { p };
    let context = s.product(left, v);
    let all = count(&shapes[0]);
    let context = together(context, all, s);
    s.outputs(&[context, p], &[all, shapes[0][0].saturating_mul(heads).saturating_mul(sequence)]);
}

/// Probabilities times a mask from the host.
fn dropped(p: usize, [heads, sequence]: [u64; 2], rows: u64, s: &mut Script) -> usize {
    let mask = s.make(&[rows / sequence.max(1), heads, sequence, sequence], &[]);
    s.both(mask, p)
}

fn attention_gradient([heads, sequence]: [u64; 2], drops: bool, shapes: &[Vec<u64>], s: &mut Script) {
    let all = count(&shapes[0]);
    let [dout, q, k, v] = [0, 1, 2, 3].map(|i| apart(i, &shapes[0], heads, sequence, s));
    let p = 4;
    let v = s.swap(v, 2, 3);
    let dp = s.product(dout, v);
    let left = if drops { dropped(p, [heads, sequence], shapes[0][0], s) } else { p };
    let turned = s.swap(left, 2, 3);
    let dv = s.product(turned, dout);
    let dv = together(dv, all, s);
    let products = s.both(dp, left);
    let along = s.fold(products, 3);
    let along = s.both(p, along);
    let ds = s.both(products, along);
    let ds = s.each(ds);
    let dq = s.product(ds, k);
    let dq = together(dq, all, s);
    let ds = s.swap(ds, 2, 3);
    let dk = s.product(ds, q);
    let dk = together(dk, all, s);
    s.outputs(&[dq, dk, dv], &[all; 3]);
}

fn elementwise(op: &Op, n: u64, s: &mut Script) {
    let flat = |x: usize, s: &mut Script| s.shape(x, &[n]);
    if *op == Op::Add {
        let (a, b) = (flat(0, s), flat(1, s));
        let sum = s.both(a, b);
        return s.outputs(&[sum], &[n]);
    }
    match op {
        Op::Dropout { .. } => {
            let x = flat(0, s);
            let mask = s.make(&[n], &[]);
            let y = s.both(x, mask);
            s.outputs(&[y], &[n]);
        }
        Op::Scale { .. } => {
            let x = flat(0, s);
            let y = s.each(x);
            s.outputs(&[y], &[n]);
        }
        Op::Activate { function } => {
            let z = flat(0, s);
            let y = value(*function, z, s);
            s.outputs(&[y], &[n]);
        }
        Op::ActivateGradient { function } => {
            let (dy, z) = (flat(0, s), flat(1, s));
            let (slope, _) = slope(*function, z, s);
            let dz = s.both(slope, dy);
            s.outputs(&[dz], &[n]);
        }
        Op::Gate { function } => {
            let (values, gate) = (flat(0, s), flat(1, s));
            let opened = value(*function, gate, s);
            let gated = s.both(opened, values);
            s.outputs(&[gated], &[n]);
        }
        Op::GateGradient { function } => {
            let (dy, values, gate) = (flat(0, s), flat(1, s), flat(2, s));
            let (slope, share) = slope(*function, gate, s);
            let opened = match function {
                Function::Gelu | Function::GeluTanh | Function::Silu => s.both(share, gate),
                Function::SquaredRelu => s.both(share, share),
                Function::Relu | Function::Sigmoid | Function::Tanh => share,
            };
            let dvalues = s.both(opened, dy);
            let slope = s.both(slope, values);
            let dgate = s.both(slope, dy);
            s.outputs(&[dvalues, dgate], &[n; 2]);
        }
        _ => {}
    }
}

/// Half of one more than the hyperbolic tangent of a cubic polynomial without even terms.
fn cubic_step(z: usize, s: &mut Script) -> usize {
    let square = s.both(z, z);
    let factor = s.each(square);
    let inner = s.both(factor, z);
    s.each(inner)
}

/// What is above zero: half of the sum with its length.
fn above_zero(z: usize, s: &mut Script) -> usize {
    let length = s.each(z);
    let sum = s.both(length, z);
    s.each(sum)
}

fn value(function: Function, z: usize, s: &mut Script) -> usize {
    match function {
        Function::Gelu | Function::Silu => {
            let share = s.each(z);
            s.both(share, z)
        }
        Function::GeluTanh => {
            let share = cubic_step(z, s);
            s.both(share, z)
        }
        Function::Relu => above_zero(z, s),
        Function::SquaredRelu => {
            let part = above_zero(z, s);
            s.both(part, part)
        }
        Function::Sigmoid | Function::Tanh => s.each(z),
    }
}

/// The slope, and what the value is made of.
fn slope(function: Function, z: usize, s: &mut Script) -> (usize, usize) {
    match function {
        Function::Gelu => {
            let share = s.each(z);
            let square = s.both(z, z);
            let density = s.each(square);
            let slope = s.both(density, z);
            let slope = s.both(slope, share);
            (slope, share)
        }
        Function::GeluTanh => {
            let share = cubic_step(z, s);
            let square = s.both(z, z);
            let factor = s.each(square);
            let inner = s.both(factor, z);
            let rest = s.each(share);
            let rest = s.both(rest, share);
            let rest = s.each(rest);
            let rest = s.both(rest, inner);
            let slope = s.both(rest, share);
            (slope, share)
        }
        Function::Silu => {
            let share = s.each(z);
            let rest = s.each(share);
            let slope = s.both(rest, z);
            let slope = s.each(slope);
            let slope = s.both(slope, share);
            (slope, share)
        }
        Function::Relu | Function::SquaredRelu => {
            let part = above_zero(z, s);
            let slope = s.each(part);
            (slope, part)
        }
        Function::Sigmoid => {
            let share = s.each(z);
            let rest = s.each(share);
            let slope = s.both(rest, share);
            (slope, share)
        }
        Function::Tanh => {
            let t = s.each(z);
            let square = s.both(t, t);
            let slope = s.each(square);
            (slope, t)
        }
    }
}

/// Rows of a table added in turn, or what is summed up for them.
fn tables(op: &Op, shapes: &[Vec<u64>], s: &mut Script) {
    let (d, all) = (shapes[0][1], count(&shapes[0]));
    match op {
        Op::AddTable { period } => {
            let (used, table) = (period.saturating_mul(d), count(&shapes[1]));
            let x = s.shape(0, &[shapes[0][0] / period.max(&1), *period, d]);
            let rows = s.shape(1, &[table]);
            let rows = if used == table { rows } else { s.push(Step::Piece(rows, 0, used)) };
            let rows = s.shape(rows, &[1, *period, d]);
            let sum = s.both(x, rows);
            s.outputs(&[sum], &[all]);
        }
        Op::TableGradient { period, shape } => {
            let (used, table) = (period.saturating_mul(d), count(shape));
            let dy = s.shape(0, &[shapes[0][0] / period.max(&1), *period, d]);
            let sum = s.fold(dy, 0);
            let mut sum = s.shape(sum, &[used]);
            if used < table {
                let rest = s.make(&[table - used], &[]);
                sum = s.make(&[table], &[sum, rest]);
            }
            s.outputs(&[sum], &[table]);
        }
        _ => {}
    }
}

fn rotation([heads, sequence]: [u64; 2], back: bool, shapes: &[Vec<u64>], s: &mut Script) {
    let (all, half) = (count(&shapes[0]), shapes[1][1]);
    let elements = sequence.saturating_mul(half);
    let table = s.shape(1, &[count(&shapes[1])]);
    let [cos, sin] = [0, elements].map(|start| {
        let part = s.push(Step::Piece(table, start, elements));
        s.shape(part, &[1, sequence, 1, half])
    });
    let sin = if back { s.each(sin) } else { sin };
    let heads_of_all = all / half.max(1) / 2;
    let x = s.shape(0, &[heads_of_all, 2, half]);
    let x = s.swap(x, 0, 1);
    let [a, b] = [0, 1].map(|i| {
        let part = s.push(Step::Piece(x, i, 1));
        s.shape(part, &[shapes[0][0] / sequence.max(1), sequence, heads, half])
    });
    let first = s.both(a, cos);
    let part = s.both(b, sin);
    let first = s.both(first, part);
    let second = s.both(b, cos);
    let part = s.both(a, sin);
    let second = s.both(second, part);
    let [first, second] = [first, second].map(|part| s.shape(part, &[all / 2]));
    let both = s.make(&[all], &[first, second]);
    let both = s.shape(both, &[2, heads_of_all, half]);
    let both = s.swap(both, 0, 1);
    s.outputs(&[both], &[all]);
}

fn uncentred(shapes: &[Vec<u64>], s: &mut Script) {
    let square = s.both(0, 0);
    let mean = s.fold(square, 1);
    let scale = s.each(mean);
    let y = s.both(0, scale);
    let gain = s.shape(1, &[1, shapes[1][0]]);
    let gain = s.each(gain);
    let y = s.both(y, gain);
    s.outputs(&[y, scale], &[count(&shapes[0]), shapes[0][0]]);
}

fn uncentred_gradient(shapes: &[Vec<u64>], s: &mut Script) {
    let (dy, t) = (0, shapes[0][0]);
    let (scale, gain) = (s.shape(2, &[t, 1]), s.shape(3, &[1, shapes[3][0]]));
    let gain = s.each(gain);
    let normal = s.both(1, scale);
    let product = s.both(dy, normal);
    let mut dgain = s.fold(product, 0);
    if shapes[3][0] == 1 {
        dgain = s.fold(dgain, 1);
    }
    let dgain = s.each(dgain);
    let product = s.both(product, gain);
    let along = s.fold(product, 1);
    let g = s.both(dy, gain);
    let along = s.both(normal, along);
    let dx = s.both(g, along);
    let dx = s.both(dx, scale);
    s.outputs(&[dx, dgain], &[count(&shapes[0]), shapes[3][0]]);
}

/// Pieces of rows of which the exponentials are there at once.
const PIECES: u64 = 8;

fn loss([z_loss, smooth, focal]: [bool; 3], shapes: &[Vec<u64>], s: &mut Script) {
    let n = shapes[0][0];
    let labels = s.make(&shapes[1], &[]);
    let labels = s.shape(labels, &[n, 1]);
    let length = n.div_ceil(PIECES).max(1);
    let mut parts = Vec::new();
    for start in (0..n.div_ceil(length)).map(|i| i * length) {
        let length = length.min(n - start);
        let x = s.push(Step::Piece(0, start, length));
        let top = s.fold(x, 1);
        let e = s.both(x, top);
        let e = s.each(e);
        let sum = s.fold(e, 1);
        let log = s.each(sum);
        let lse = s.both(log, top);
        parts.push(s.shape(lse, &[length]));
    }
    let lse = s.make(&[n], &parts);
    let mean = smooth.then(|| {
        let mean = s.fold(0, 1);
        s.shape(mean, &[n])
    });
    let label = s.make(&[n, 1], &[0, labels]);
    let mut label = s.shape(label, &[n]);
    if let Some(mean) = mean {
        let (part, rest) = (s.each(label), s.each(mean));
        label = s.both(part, rest);
    }
    let mut rows = s.both(lse, label);
    if focal {
        let missed = s.each(rows);
        let weight = s.each(missed);
        rows = s.both(weight, rows);
    }
    if z_loss {
        let square = s.both(lse, lse);
        let part = s.each(square);
        rows = s.both(rows, part);
    }
    let weighted = s.both(rows, 2);
    let loss = s.fold(weighted, 0);
    s.outputs(&[loss, lse, rows], &[1, n, n]);
}

fn loss_gradient([z_loss, smooth, focal]: [bool; 3], shapes: &[Vec<u64>], s: &mut Script) {
    let n = shapes[0][0];
    let labels = s.make(&shapes[1], &[]);
    let [labels, mut weights, lse] = [labels, 2, 3].map(|x| s.shape(x, &[n, 1]));
    if focal {
        let label = s.make(&[n, 1], &[0, labels]);
        let row = s.both(lse, label);
        let right = s.each(row);
        let missed = s.each(right);
        let first = s.each(missed);
        let second = s.each(missed);
        let second = s.both(second, row);
        let second = s.both(second, right);
        let second = s.each(second);
        let slope = s.both(first, second);
        weights = s.both(weights, slope);
    }
    let e = s.both(0, lse);
    let e = s.each(e);
    let factor = if z_loss {
        let factor = s.each(lse);
        s.both(factor, weights)
    } else {
        weights
    };
    let mut scaled = s.both(e, factor);
    if smooth {
        let part = s.each(weights);
        scaled = s.both(scaled, part);
    }
    let weights = s.each(weights);
    let gradient = s.push(Step::Into(scaled, [labels, weights]));
    s.outputs(&[gradient], &[count(&shapes[0])]);
}

fn clip(clips: bool, inputs: usize, s: &mut Script) {
    let all: Vec<usize> = (0..inputs).collect();
    let sums = s.make(&[inputs as u64], &all);
    let sum = s.fold(sums, 0);
    let norm = s.each(sum);
    let factor = if clips {
        let factor = s.each(norm);
        let mask = s.make(&[1], &[]);
        s.both(factor, mask)
    } else {
        s.make(&[1], &[])
    };
    let both = s.make(&[2], &[norm, factor]);
    s.outputs(&[both], &[2]);
}

/// Weight, gradient and what is kept are flat; norm and clip factor come last.
fn update(op: &Op, shapes: &[Vec<u64>], s: &mut Script) {
    let n = count(&shapes[0]);
    let last = shapes.len() - 1;
    let [w, g] = [0, 1].map(|x| s.shape(x, &[n]));
    let factor = s.push(Step::Piece(last, 1, 1));
    let g = s.both(g, factor);
    let moments: Vec<usize> = (2..last).map(|x| s.shape(x, &[count(&shapes[x])])).collect();
    let made = match (op, moments.as_slice()) {
        (Op::AdamW { .. }, [m, v]) => {
            let (step, m, v) = moment_step(g, *m, *v, s);
            let w = s.each(w);
            vec![s.both(w, step), m, v]
        }
        (Op::Lamb { .. }, [m, v]) => {
            let (step, m, v) = moment_step(g, *m, *v, s);
            vec![by_length(w, step, &shapes[0], s), m, v]
        }
        (Op::Adafactor { momentum, .. }, kept) => {
            let (first, second) = kept.split_at(usize::from(*momentum > 0.0));
            adafactor(w, g, first, second, &shapes[0], s)
        }
        (Op::Muon { nesterov, .. }, [m]) => {
            let (m, u) = with_momentum(*m, g, *nesterov, s);
            let x = orthogonal(u, &shapes[0], s);
            let step = s.each(x);
            let w = s.each(w);
            vec![s.both(w, step), m]
        }
        (Op::Lion { .. }, [m]) => {
            let (share, part) = (s.each(*m), s.each(g));
            let step = s.both(share, part);
            let step = s.each(step);
            let (m, part) = (s.each(*m), s.each(g));
            let m = s.both(m, part);
            let w = s.each(w);
            vec![s.both(w, step), m]
        }
        _ => {
            let decay = s.each(w);
            let g = s.both(g, decay);
            coupled(op, w, g, &moments, s)
        }
    };
    let flat: Vec<u64> = [n].into_iter().chain(shapes[2..last].iter().map(|shape| count(shape))).collect();
    s.outputs(&made, &flat);
}

/// With decay in the gradient.
fn coupled(op: &Op, w: usize, g: usize, moments: &[usize], s: &mut Script) -> Vec<usize> {
    match *moments {
        [m, v] => {
            let (step, m, v) = moment_step(g, m, v, s);
            vec![s.both(w, step), m, v]
        }
        [m] => {
            let (m, step) = with_momentum(m, g, matches!(op, Op::Sgd { nesterov: true, .. }), s);
            let step = s.each(step);
            vec![s.both(w, step), m]
        }
        _ => {
            let step = s.each(g);
            vec![s.both(w, step)]
        }
    }
}

/// Both moments, and the first over the root of the second.
fn moment_step(g: usize, m: usize, v: usize, s: &mut Script) -> (usize, usize, usize) {
    let m = s.each(m);
    let part = s.each(g);
    let m = s.both(m, part);
    let v = s.each(v);
    let square = s.both(g, g);
    let square = s.each(square);
    let v = s.both(v, square);
    let root = s.each(v);
    let step = s.both(m, root);
    (s.each(step), m, v)
}

/// The momentum, and the step: the momentum itself, or the gradient and what of the momentum lies ahead.
fn with_momentum(m: usize, g: usize, nesterov: bool, s: &mut Script) -> (usize, usize) {
    let m = s.each(m);
    let m = s.both(m, g);
    if !nesterov {
        return (m, m);
    }
    let ahead = s.each(m);
    (m, s.both(g, ahead))
}

/// The root of the sum of squares, rows first.
fn length(x: usize, shape: &[u64], s: &mut Script) -> usize {
    let rows = if shape.len() == 2 { shape[0] } else { 1 };
    let x = s.shape(x, &[rows, count(shape) / rows.max(1)]);
    let square = s.both(x, x);
    let sums = s.fold(square, 1);
    let sum = s.fold(sums, 0);
    let sum = s.shape(sum, &[1]);
    s.each(sum)
}

/// The weight after a step that is scaled to its length.
fn by_length(w: usize, step: usize, shape: &[u64], s: &mut Script) -> usize {
    let decay = s.each(w);
    let step = s.both(step, decay);
    let (of_weight, of_step) = (length(w, shape, s), length(step, shape, s));
    let rest = s.each(of_weight);
    let of_step = s.each(of_step);
    let ratio = s.both(of_weight, of_step);
    let ratio = s.both(ratio, rest);
    let ratio = s.each(ratio);
    let step = s.both(step, ratio);
    s.both(w, step)
}

/// A step no longer than it may be, by a second moment in two parts or in one.
fn adafactor(w: usize, g: usize, first: &[usize], second: &[usize], shape: &[u64], s: &mut Script) -> Vec<usize> {
    let (u, second) = if let (&[r, c], &[rows, columns]) = (second, shape) {
        let g = s.shape(g, &[rows, columns]);
        let square = s.both(g, g);
        let square = s.each(square);
        let mut mean = |kept: usize, dimension: usize, extent: u64| {
            let kept = s.each(kept);
            let mean = s.fold(square, dimension);
            let mean = s.shape(mean, &[extent]);
            let mean = s.each(mean);
            s.both(kept, mean)
        };
        let (r, c) = (mean(r, 1, rows), mean(c, 0, columns));
        let all = s.fold(r, 0);
        let by_row = s.both(r, all);
        let by_row = s.each(by_row);
        let by_row = s.shape(by_row, &[rows, 1]);
        let by_column = s.each(c);
        let by_column = s.shape(by_column, &[1, columns]);
        let u = s.both(g, by_row);
        let u = s.both(u, by_column);
        (s.shape(u, &[count(shape)]), vec![r, c])
    } else {
        let v = second.first().copied().unwrap_or(0);
        let square = s.both(g, g);
        let square = s.each(square);
        let v = s.each(v);
        let v = s.both(v, square);
        let root = s.each(v);
        (s.both(g, root), vec![v])
    };
    let limit = length(u, shape, s);
    let limit = s.each(limit);
    let mask = s.make(&[1], &[]);
    let limit = s.both(limit, mask);
    let u = s.both(u, limit);
    let (step, first) = match first {
        [m] => {
            let m = s.each(*m);
            let part = s.each(u);
            let m = s.both(m, part);
            (m, vec![m])
        }
        _ => (u, Vec::new()),
    };
    let step = s.each(step);
    let w = s.each(w);
    [vec![s.both(w, step)], first, second].concat()
}

/// How often a momentum goes through the polynomial that makes it orthogonal.
const ROUNDS: usize = 5;

/// A momentum, made orthogonal from the side on which it is shorter; flat.
fn orthogonal(u: usize, shape: &[u64], s: &mut Script) -> usize {
    let tall = shape[0] > shape[1];
    let by = length(u, shape, s);
    let by = s.each(by);
    let x = s.both(u, by);
    let mut x = s.shape(x, shape);
    for _ in 0..ROUNDS {
        let turned = s.swap(x, 0, 1);
        let gram = if tall { s.product(turned, x) } else { s.product(x, turned) };
        let square = s.product(gram, gram);
        let square = s.each(square);
        let gram = s.each(gram);
        let polynomial = s.both(square, gram);
        let product = if tall { s.product(x, polynomial) } else { s.product(polynomial, x) };
        x = s.each(x);
        x = s.both(x, product);
    }
    s.shape(x, &[count(shape)])
}
