//! The optimizers as a recipe names them: which operation updates a parameter, what is kept of it from step to step, and which
//! parameters decay. What a parameter is, its name says.

use super::format::{Content, Op, Role};
use super::recipe::{Decay, Optimizer, Pair};

/// Whether the parameters of a name decay. Biases are told by their names, as in the official code, whatever they belong to.
pub fn decays(optimizer: &Optimizer, name: &str) -> bool {
    let decay = decay(optimizer);
    let (bias, norm) = (name.contains("bias"), name.contains("norm"));
    match decay {
        Decay::ExceptNorms {} => !(bias || norm),
        Decay::ExceptBiases {} => !bias,
        Decay::Everything {} => true,
        Decay::Only { matrices, embeddings, positions, norms, biases } => {
            let asked = match name {
                _ if bias => biases,
                _ if norm => norms,
                "embedding.word" => embeddings,
                "embedding.position_scale" | "embedding.position" | "embedding.token_type" => positions,
                _ => matrices,
            };
            *asked
        }
    }
}

fn decay(optimizer: &Optimizer) -> &Decay {
    match optimizer {
        Optimizer::AdamW { decay, .. }
        | Optimizer::Adam { decay, .. }
        | Optimizer::RAdam { decay, .. }
        | Optimizer::Lamb { decay, .. }
        | Optimizer::Lion { decay, .. }
        | Optimizer::Sgd { decay, .. }
        | Optimizer::Adafactor { decay, .. }
        | Optimizer::Muon { decay, .. } => decay,
    }
}

/// The operation that clips.
pub fn clip(optimizer: &Optimizer) -> Op {
    let max = match optimizer {
        Optimizer::AdamW { clip, .. }
        | Optimizer::Adam { clip, .. }
        | Optimizer::RAdam { clip, .. }
        | Optimizer::Lamb { clip, .. }
        | Optimizer::Lion { clip, .. }
        | Optimizer::Sgd { clip, .. }
        | Optimizer::Adafactor { clip, .. }
        | Optimizer::Muon { clip, .. } => *clip,
    };
    Op::ClipFactor { max }
}

/// The operation that updates a parameter, and the roles of what is kept of it.
pub fn update(content: &Content, p: u32) -> (Op, Vec<Role>) {
    let decays = content.parameters.get(p as usize).is_some_and(|parameter| parameter.decays);
    let weight_decay = |asked: f64| if decays { asked } else { 0.0 };
    let (first, second) = (Role::FirstMoment(p), Role::SecondMoment(p));
    let pair = |Pair(a, b): &Pair| (*a, *b);
    match &content.recipe.optimizer {
        Optimizer::AdamW { betas, eps, weight_decay: asked, .. } => {
            (Op::AdamW { betas: pair(betas), eps: *eps, weight_decay: weight_decay(*asked) }, vec![first, second])
        }
        Optimizer::Adam { betas, eps, weight_decay: asked, .. } => {
            (Op::Adam { betas: pair(betas), eps: *eps, weight_decay: weight_decay(*asked) }, vec![first, second])
        }
        Optimizer::RAdam { betas, eps, weight_decay: asked, .. } => {
            (Op::RAdam { betas: pair(betas), eps: *eps, weight_decay: weight_decay(*asked) }, vec![first, second])
        }
        Optimizer::Lamb { betas, eps, weight_decay: asked, .. } => {
            (Op::Lamb { betas: pair(betas), eps: *eps, weight_decay: weight_decay(*asked) }, vec![first, second])
        }
        Optimizer::Lion { betas, weight_decay: asked, .. } => {
            (Op::Lion { betas: pair(betas), weight_decay: weight_decay(*asked) }, vec![first])
        }
        Optimizer::Sgd { momentum, nesterov, weight_decay: asked, .. } => {
            let op = Op::Sgd { momentum: *momentum, nesterov: *nesterov, weight_decay: weight_decay(*asked) };
            (op, if *momentum > 0.0 { vec![first] } else { Vec::new() })
        }
        Optimizer::Adafactor { momentum, decay_rate, eps, threshold, weight_decay: asked, .. } => {
            let factored = content.parameters.get(p as usize).is_some_and(|parameter| parameter.shape.len() == 2);
            let op = Op::Adafactor {
                decay_rate: *decay_rate,
                eps: *eps,
                threshold: *threshold,
                momentum: *momentum,
                weight_decay: weight_decay(*asked),
                factored,
            };
            let mut kept = if *momentum > 0.0 { vec![first] } else { Vec::new() };
            kept.extend(if factored { vec![Role::RowMoment(p), Role::ColumnMoment(p)] } else { vec![second] });
            (op, kept)
        }
        Optimizer::Muon { momentum, nesterov, matrix_rate, betas, eps, weight_decay: asked, .. } => {
            let weight_decay = weight_decay(*asked);
            if content.parameters.get(p as usize).is_some_and(|parameter| is_matrix(&parameter.name)) {
                let op = Op::Muon { momentum: *momentum, nesterov: *nesterov, rate: *matrix_rate, weight_decay };
                (op, vec![first])
            } else {
                (Op::AdamW { betas: pair(betas), eps: *eps, weight_decay }, vec![first, second])
            }
        }
    }
}

/// Whether a parameter is a matrix of a block.
fn is_matrix(name: &str) -> bool {
    name.starts_with("block.") && !name.contains("norm") && !name.contains("bias")
}

/// The roles of all that is kept.
pub fn kept(content: &Content) -> Vec<Role> {
    (0..content.parameters.len() as u32).flat_map(|p| update(content, p).1).collect()
}

/// The shape of what is kept of a parameter of a shape.
pub fn shape(role: Role, parameter: &[u64]) -> Vec<u64> {
    match (role, parameter) {
        (Role::RowMoment(_), [rows, ..]) => vec![*rows],
        (Role::ColumnMoment(_), [_, rest @ ..]) => rest.to_vec(),
        _ => parameter.to_vec(),
    }
}
