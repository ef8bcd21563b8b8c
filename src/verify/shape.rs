//! Laws of shape: what an operation makes of what it takes, and which output may take which input's memory.

use super::format::{DType, Op};

/// Shape and type of an operand.
pub type Operand<'a> = (&'a [u64], DType);

/// The shapes that an operation makes, all of f32; none where it cannot take these operands.
pub fn outputs(op: &Op, inputs: &[Operand<'_>]) -> Option<Vec<Vec<u64>>> {
    let integers = integers(op);
    let typed = |(i, (_, dtype)): (usize, &Operand<'_>)| (*dtype == DType::I32) == integers.contains(&i);
    if !inputs.iter().enumerate().all(typed) {
        return None;
    }
    let shapes: Vec<&[u64]> = inputs.iter().map(|(shape, _)| *shape).collect();
    match op {
        Op::Embedding | Op::EmbeddingGradient | Op::Zeros { .. } | Op::SelectRows | Op::ScatterRows { .. } => rows(op, &shapes),
        Op::AddPosition | Op::PositionGradient | Op::AddTable { .. } | Op::TableGradient { .. } | Op::Rotate { .. } => {
            places(op, &shapes)
        }
        Op::LayerNorm { .. } | Op::LayerNormGradient | Op::RmsNorm { .. } | Op::RmsNormGradient { .. } => norms(op, &shapes),
        Op::MatMul { .. } | Op::MatMulAccumulate { .. } => product(op, &shapes),
        Op::Attention { heads, sequence, .. } => attention(&shapes, *heads, *sequence),
        Op::AttentionGradient { heads, sequence, .. } => attention_gradient(&shapes, *heads, *sequence),
        Op::Gate { .. }
        | Op::GateGradient { .. }
        | Op::Activate { .. }
        | Op::ActivateGradient { .. }
        | Op::Add
        | Op::Scale { .. }
        | Op::Dropout { .. } => alike(op, &shapes),
        Op::CrossEntropy { .. } | Op::CrossEntropyGradient { .. } => losses(op, &shapes),
        Op::SumSquares | Op::ClipFactor { .. } => clips(op, &shapes),
        Op::Adafactor { momentum, factored, .. } => adafactor(*momentum > 0.0, *factored, &shapes),
        Op::Muon { .. } if shapes.first().is_none_or(|w| w.len() != 2) => None,
        Op::AdamW { .. }
        | Op::Adam { .. }
        | Op::RAdam { .. }
        | Op::Lamb { .. }
        | Op::Lion { .. }
        | Op::Sgd { .. }
        | Op::Muon { .. } => updates(op, &shapes),
    }
}

/// Which inputs are whole numbers.
fn integers(op: &Op) -> &'static [usize] {
    match op {
        Op::Embedding | Op::SelectRows | Op::ScatterRows { .. } | Op::CrossEntropy { .. } | Op::CrossEntropyGradient { .. } => {
            &[1]
        }
        Op::EmbeddingGradient => &[2],
        _ => &[],
    }
}

fn rows(op: &Op, shapes: &[&[u64]]) -> Option<Vec<Vec<u64>>> {
    match (op, shapes) {
        (Op::Embedding, [[_, d], [t]]) => Some(vec![vec![*t, *d]]),
        (Op::EmbeddingGradient, [[v, d], [t, width], [ids]]) if d == width && t == ids => Some(vec![vec![*v, *d]]),
        (Op::Zeros { shape }, []) => Some(vec![shape.clone()]),
        (Op::SelectRows, [[t, d], [n]]) if n <= t => Some(vec![vec![*n, *d]]),
        (Op::ScatterRows { total }, [[n, d], [rows]]) if n == rows && n <= total => Some(vec![vec![*total, *d]]),
        _ => None,
    }
}

fn places(op: &Op, shapes: &[&[u64]]) -> Option<Vec<Vec<u64>>> {
    match (op, shapes) {
        (Op::AddPosition, [x @ [t, d], [s, width], [1]]) if d == width && *s > 0 && t.is_multiple_of(*s) => {
            Some(vec![x.to_vec()])
        }
        (Op::PositionGradient, [[t, d], [s, width]]) if d == width && *s > 0 && t.is_multiple_of(*s) => Some(vec![vec![1]]),
        (Op::AddTable { period }, [x @ [t, d], table]) if is_table(table, *period, *d) && t.is_multiple_of(*period) => {
            Some(vec![x.to_vec()])
        }
        (Op::TableGradient { period, shape }, [[t, d]]) if is_table(shape, *period, *d) && t.is_multiple_of(*period) => {
            Some(vec![shape.clone()])
        }
        (Op::Rotate { heads, sequence, .. }, [x @ [t, d], [places, half]])
            if *sequence > 0
                && t.is_multiple_of(*sequence)
                && sequence.checked_mul(2) == Some(*places)
                && heads.checked_mul(2).and_then(|halves| halves.checked_mul(*half)) == Some(*d) =>
        {
            Some(vec![x.to_vec()])
        }
        _ => None,
    }
}

/// Whether a table has rows of width D for so many places.
fn is_table(shape: &[u64], period: u64, d: u64) -> bool {
    let rows = match shape {
        [width] if *width == d => 1,
        [rows, width] if *width == d => *rows,
        _ => 0,
    };
    (1..=rows).contains(&period)
}

fn norms(op: &Op, shapes: &[&[u64]]) -> Option<Vec<Vec<u64>>> {
    match (op, shapes) {
        (Op::RmsNorm { .. }, [x @ [t, d], [gain]]) if gain == d || *gain == 1 => Some(vec![x.to_vec(), vec![*t]]),
        (Op::RmsNormGradient { .. }, [dy @ [t, d], x, [scale], [gain]]) if dy == x && t == scale && (gain == d || *gain == 1) => {
            Some(vec![x.to_vec(), vec![*gain]])
        }
        (Op::LayerNorm { .. }, [x @ [t, d], [gain], [bias]]) if d == gain && d == bias => {
            Some(vec![x.to_vec(), vec![*t], vec![*t]])
        }
        (Op::LayerNormGradient, [dy @ [t, d], x, [mean], [scale], [gain]]) if dy == x && t == mean && t == scale && d == gain => {
            Some(vec![x.to_vec(), vec![*d], vec![*d]])
        }
        _ => None,
    }
}

/// (m, n, k) of op(a)·op(b), where the inner extents agree.
pub fn product_extents(transpose_a: bool, transpose_b: bool, a: &[u64], b: &[u64]) -> Option<(u64, u64, u64)> {
    let (&[a0, a1], &[b0, b1]) = (a, b) else { return None };
    let (m, k) = if transpose_a { (a1, a0) } else { (a0, a1) };
    let (inner, n) = if transpose_b { (b1, b0) } else { (b0, b1) };
    (k == inner).then_some((m, n, k))
}

fn product(op: &Op, shapes: &[&[u64]]) -> Option<Vec<Vec<u64>>> {
    match (op, shapes) {
        (Op::MatMul { transpose_a, transpose_b }, [a, b]) => {
            let (m, n, _) = product_extents(*transpose_a, *transpose_b, a, b)?;
            Some(vec![vec![m, n]])
        }
        (Op::MatMulAccumulate { transpose_a, transpose_b }, [sum, a, b]) => {
            let (m, n, _) = product_extents(*transpose_a, *transpose_b, a, b)?;
            (**sum == [m, n]).then(|| vec![vec![m, n]])
        }
        _ => None,
    }
}

fn attention(shapes: &[&[u64]], heads: u64, sequence: u64) -> Option<Vec<Vec<u64>>> {
    let [q @ [t, d], k, v] = shapes else { return None };
    let whole = sequence > 0 && t.is_multiple_of(sequence) && heads > 0 && d.is_multiple_of(heads);
    (whole && q == k && q == v).then(|| vec![q.to_vec(), vec![t / sequence, heads, sequence, sequence]])
}

fn attention_gradient(shapes: &[&[u64]], heads: u64, sequence: u64) -> Option<Vec<Vec<u64>>> {
    let [dy, q, k, v, probabilities] = shapes else { return None };
    let made = attention(&[q, k, v], heads, sequence)?;
    (dy == q && **probabilities == *made[1]).then(|| vec![q.to_vec(), k.to_vec(), v.to_vec()])
}

fn alike(op: &Op, shapes: &[&[u64]]) -> Option<Vec<Vec<u64>>> {
    let first = *shapes.first()?;
    let (takes, makes) = match op {
        Op::GateGradient { .. } => (3, 2),
        Op::Activate { .. } | Op::Scale { .. } | Op::Dropout { .. } => (1, 1),
        _ => (2, 1),
    };
    (shapes.len() == takes && shapes.iter().all(|s| *s == first)).then(|| vec![first.to_vec(); makes])
}

fn losses(op: &Op, shapes: &[&[u64]]) -> Option<Vec<Vec<u64>>> {
    match (op, shapes) {
        (Op::CrossEntropy { .. }, [[n, _], [labels], [weights]]) if n == labels && n == weights => {
            Some(vec![vec![1], vec![*n], vec![*n]])
        }
        (Op::CrossEntropyGradient { .. }, [logits @ [n, _], [labels], [weights], [lse]]) if [labels, weights, lse] == [n; 3] => {
            Some(vec![logits.to_vec()])
        }
        _ => None,
    }
}

fn clips(op: &Op, shapes: &[&[u64]]) -> Option<Vec<Vec<u64>>> {
    match (op, shapes) {
        (Op::SumSquares, [_]) => Some(vec![vec![1]]),
        (Op::ClipFactor { .. }, sums) if !sums.is_empty() && sums.iter().all(|s| **s == [1]) => Some(vec![vec![2]]),
        _ => None,
    }
}

/// How many moments of the parameter's shape an optimizer's operation takes, and makes anew.
fn moments(op: &Op) -> usize {
    match op {
        Op::AdamW { .. } | Op::Adam { .. } | Op::RAdam { .. } | Op::Lamb { .. } => 2,
        Op::Sgd { momentum, .. } if *momentum <= 0.0 => 0,
        _ => 1,
    }
}

/// Weight, gradient, moments, and the clip factor behind them.
fn updates(op: &Op, shapes: &[&[u64]]) -> Option<Vec<Vec<u64>>> {
    let [w, rest @ .., [2]] = shapes else { return None };
    (rest.len() == 1 + moments(op) && rest.iter().all(|s| s == w)).then(|| vec![w.to_vec(); 1 + moments(op)])
}

/// As those, with the second moment of a matrix in two parts.
fn adafactor(momentum: bool, factored: bool, shapes: &[&[u64]]) -> Option<Vec<Vec<u64>>> {
    let [w, rest @ .., [2]] = shapes else { return None };
    let second: Vec<&[u64]> = match *w {
        [rows, columns] if factored => vec![std::slice::from_ref(rows), std::slice::from_ref(columns)],
        _ if factored => return None,
        _ => vec![w],
    };
    let first: &[&[u64]] = if momentum { &[w] } else { &[] };
    let kept = [first, &second].concat();
    (rest.split_first()? == (w, kept.as_slice())).then(|| [*w].into_iter().chain(kept).map(<[u64]>::to_vec).collect())
}

/// The weight, and what is kept behind the gradient.
const WRITTEN_OVER: [(usize, usize); 4] = [(0, 0), (2, 1), (3, 2), (4, 3)];

/// Pairs (input, output) by position: the output can be written over the input.
pub fn in_place(op: &Op) -> &'static [(usize, usize)] {
    match op {
        Op::EmbeddingGradient
        | Op::AddPosition
        | Op::AddTable { .. }
        | Op::Rotate { .. }
        | Op::LayerNormGradient
        | Op::RmsNormGradient { .. }
        | Op::Scale { .. }
        | Op::Dropout { .. }
        | Op::MatMulAccumulate { .. }
        | Op::CrossEntropyGradient { .. } => &[(0, 0)],
        Op::Add => &[(0, 0), (1, 0)],
        Op::GateGradient { .. } => &[(1, 0), (2, 1)],
        Op::ActivateGradient { .. } => &[(1, 0)],
        Op::AdamW { .. }
        | Op::Adam { .. }
        | Op::RAdam { .. }
        | Op::Lamb { .. }
        | Op::Lion { .. }
        | Op::Sgd { .. }
        | Op::Muon { .. } => &WRITTEN_OVER[..=moments(op)],
        Op::Adafactor { momentum, factored, .. } => &WRITTEN_OVER[..=1 + usize::from(*momentum > 0.0) + usize::from(*factored)],
        _ => &[],
    }
}
