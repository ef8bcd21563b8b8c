//! What an optimizer does with a parameter: which operation updates it, what is kept of it from step to step, and whether it decays.

use super::op::{Adafactor, Adam, AdamW, Lamb, Lion, Muon, Op, RAdam, Sgd};
use super::parameter::{Kind, Parameter, Parameters};
use super::tensor::{Moment, ParameterId, Shape};
use crate::recipe::settings::{Decay, Optimizer};

impl Decay {
    /// Whether parameters of a kind decay. Biases are told by their names, as in the official code: there a parameter is exempt whose
    /// name contains `bias` or, in its second version, `norm`.
    pub fn applies(&self, kind: Kind, part: &str) -> bool {
        let bias = part.contains("bias");
        match self {
            Self::ExceptNorms {} => !bias && kind != Kind::Norm,
            Self::ExceptBiases {} => !bias,
            Self::Everything {} => true,
            Self::Only { biases, .. } if bias => *biases,
            Self::Only { matrices, embeddings, positions, norms, biases } => match kind {
                Kind::Matrix => *matrices,
                Kind::Embedding => *embeddings,
                Kind::Position => *positions,
                Kind::Norm => *norms,
                Kind::Bias => *biases,
            },
        }
    }
}

impl Optimizer {
    /// The largest global norm of the gradient.
    pub fn clip(&self) -> Option<f64> {
        match self {
            Self::AdamW { clip, .. }
            | Self::Adam { clip, .. }
            | Self::RAdam { clip, .. }
            | Self::Lamb { clip, .. }
            | Self::Lion { clip, .. }
            | Self::Sgd { clip, .. }
            | Self::Adafactor { clip, .. }
            | Self::Muon { clip, .. } => *clip,
        }
    }

    /// Which parameters decay.
    pub fn decay(&self) -> &Decay {
        match self {
            Self::AdamW { decay, .. }
            | Self::Adam { decay, .. }
            | Self::RAdam { decay, .. }
            | Self::Lamb { decay, .. }
            | Self::Lion { decay, .. }
            | Self::Sgd { decay, .. }
            | Self::Adafactor { decay, .. }
            | Self::Muon { decay, .. } => decay,
        }
    }

    /// How much those decay.
    pub fn weight_decay(&self) -> f64 {
        match self {
            Self::AdamW { weight_decay, .. }
            | Self::Adam { weight_decay, .. }
            | Self::RAdam { weight_decay, .. }
            | Self::Lamb { weight_decay, .. }
            | Self::Lion { weight_decay, .. }
            | Self::Sgd { weight_decay, .. }
            | Self::Adafactor { weight_decay, .. }
            | Self::Muon { weight_decay, .. } => *weight_decay,
        }
    }
}

/// The operation that updates a parameter.
pub fn rule(optimizer: &Optimizer, p: &Parameter) -> Op {
    let weight_decay = if p.decays { optimizer.weight_decay() } else { 0.0 };
    match optimizer {
        Optimizer::Adam { betas, eps, .. } => Adam { betas: (betas.0, betas.1), eps: *eps, weight_decay }.into(),
        Optimizer::RAdam { betas, eps, .. } => RAdam { betas: (betas.0, betas.1), eps: *eps, weight_decay }.into(),
        Optimizer::Lamb { betas, eps, .. } => Lamb { betas: (betas.0, betas.1), eps: *eps, weight_decay }.into(),
        Optimizer::Lion { betas, .. } => Lion { betas: (betas.0, betas.1), weight_decay }.into(),
        Optimizer::Sgd { momentum, nesterov, .. } => Sgd { momentum: *momentum, nesterov: *nesterov, weight_decay }.into(),
        Optimizer::Adafactor { momentum, decay_rate, eps, threshold, .. } => Adafactor {
            decay_rate: *decay_rate,
            eps: *eps,
            threshold: *threshold,
            momentum: *momentum,
            weight_decay,
            factored: is_factored(p),
        }
        .into(),
        Optimizer::Muon { momentum, nesterov, matrix_rate, .. } if is_hidden_matrix(p) => {
            Muon { momentum: *momentum, nesterov: *nesterov, rate: *matrix_rate, weight_decay }.into()
        }
        Optimizer::AdamW { betas, eps, .. } | Optimizer::Muon { betas, eps, .. } => {
            AdamW { betas: (betas.0, betas.1), eps: *eps, weight_decay }.into()
        }
    }
}

/// Whether Adafactor keeps a row and a column of a parameter.
fn is_factored(p: &Parameter) -> bool {
    p.shape.len() == 2
}

/// Whether Muon makes the steps of a parameter orthogonal: of the matrices of the blocks, not of the tables and projections around them.
fn is_hidden_matrix(p: &Parameter) -> bool {
    p.kind == Kind::Matrix && p.block.is_some()
}

/// What is kept of a parameter, in the order of [`Moment::ALL`].
pub fn kept(optimizer: &Optimizer, p: &Parameter) -> &'static [Moment] {
    use Moment::{Columns, First, Rows, Second};
    match optimizer {
        Optimizer::Sgd { momentum, .. } if *momentum == 0.0 => &[],
        Optimizer::Lion { .. } | Optimizer::Sgd { .. } => &[First],
        Optimizer::Adafactor { momentum, .. } => match (*momentum > 0.0, is_factored(p)) {
            (false, false) => &[Second],
            (false, true) => &[Rows, Columns],
            (true, false) => &[First, Second],
            (true, true) => &[First, Rows, Columns],
        },
        Optimizer::Muon { .. } if is_hidden_matrix(p) => &[First],
        Optimizer::AdamW { .. }
        | Optimizer::Adam { .. }
        | Optimizer::RAdam { .. }
        | Optimizer::Lamb { .. }
        | Optimizer::Muon { .. } => &[First, Second],
    }
}

/// What is kept of all parameters: moment by moment, and of each the parameters in their order.
pub fn moments<'a>(
    optimizer: &'a Optimizer,
    parameters: &'a Parameters,
) -> impl Iterator<Item = (Moment, ParameterId, Shape)> + use<'a> {
    let has = |moment: Moment, p: &Parameter| kept(optimizer, p).contains(&moment);
    Moment::ALL.into_iter().flat_map(move |moment| {
        let of = parameters.iter().filter(move |(_, p)| has(moment, p));
        of.map(move |(id, p)| (moment, id, moment.shape(&p.shape)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::parse;
    use crate::step::recompute::Recompute;
    use crate::step::{StepGraphs, Walk};
    use crate::units::Bytes;

    const RECIPE: &str = include_str!("../../recipes/quickstart.ron");

    /// The graphs of the quick start with another optimizer.
    fn graphs(optimizer: &str) -> StepGraphs {
        let start = RECIPE.find("optimizer:").unwrap();
        let end = start + RECIPE[start..].find('\n').unwrap();
        let text = format!("{}optimizer: {optimizer},{}", &RECIPE[..start], &RECIPE[end..]);
        StepGraphs::build(&parse(&text), 2, Recompute::NOTHING)
    }

    /// The operations of the update with the weight decay that each says it has.
    fn operations(graphs: &StepGraphs) -> Vec<&Op> {
        let update = graphs.walk(Walk::Update).nodes().map(|node| &node.op);
        update.filter(|op| !matches!(op, Op::SumSquares(_) | Op::ClipFactor(_))).collect()
    }

    #[test]
    fn what_is_kept_follows_from_the_optimizer_alone() {
        for (optimizer, weights, name) in [
            ("AdamW()", 2, "AdamW"),
            ("Adam()", 2, "Adam"),
            ("RAdam()", 2, "RAdam"),
            ("Lamb()", 2, "LAMB"),
            ("Lion()", 1, "Lion"),
            ("Sgd()", 1, "SGD"),
            ("Sgd(nesterov: true)", 1, "SGD"),
            ("Sgd(momentum: 0)", 0, "SGD"),
        ] {
            let graphs = graphs(optimizer);
            let total = graphs.counts().total;
            assert_eq!(graphs.moment_bytes(), Bytes(4 * weights * total), "{optimizer}");
            assert_eq!(graphs.checkpoint(), Bytes(4 * (1 + weights) * total), "{optimizer}");
            assert!(operations(&graphs).iter().all(|op| op.rule().name() == name), "{optimizer}");
            let update = graphs.walk(Walk::Update);
            let kept = update.results().iter().filter(|id| update.get(**id).role.moment().is_some()).count() as u64;
            assert_eq!(kept, weights * graphs.parameters.iter().len() as u64, "{optimizer}");
        }
    }

    /// Of a matrix a row and a column; of all else as much as of AdamW.
    #[test]
    fn adafactor_keeps_rows_and_columns_of_matrices() {
        for (optimizer, first) in [("Adafactor()", 0), ("Adafactor(momentum: 0.9)", 1)] {
            let graphs = graphs(optimizer);
            let second =
                graphs.parameters.iter().map(|(_, p)| if p.shape.len() == 2 { p.shape[0] + p.shape[1] } else { p.elements() });
            assert_eq!(graphs.moment_bytes(), Bytes(4 * (first * graphs.counts().total + second.sum::<u64>())), "{optimizer}");
        }
    }

    #[test]
    fn muon_is_for_the_matrices_of_blocks_and_counts_its_products() {
        let graphs = graphs("Muon()");
        let update = graphs.walk(Walk::Update);
        for (_, p) in graphs.parameters.iter() {
            let matrix = p.kind == Kind::Matrix;
            assert_eq!(kept(&graphs.optimizer, p).len(), if matrix { 1 } else { 2 }, "{}", p.name());
            assert_eq!(rule(&graphs.optimizer, p).rule().name(), if matrix { "Muon" } else { "AdamW" }, "{}", p.name());
        }
        // Of D×D five times three products of 2·D³; of D×H and H×D two of them are H/D as large.
        let (d, half) = (128_u64, 384);
        let square = 2 * d * d * d;
        let block = 5 * (4 * 3 * square + 3 * (square + 2 * square * half / d));
        let flops: u64 = update.nodes().map(|node| node.op.rule().flops(update.signature(node)).0 as u64).sum();
        assert_eq!(flops, 4 * block);
    }

    #[test]
    fn options_reach_the_operations() {
        let first = |optimizer: &str| operations(&graphs(optimizer))[0].clone();
        let betas = (0.8, 0.9);
        let given = "betas: (0.8, 0.9), eps: 1e-5, weight_decay: 0.3";
        assert_eq!(first(&format!("AdamW({given})")), AdamW { betas, eps: 1e-5, weight_decay: 0.3 }.into());
        assert_eq!(first(&format!("Adam({given})")), Adam { betas, eps: 1e-5, weight_decay: 0.3 }.into());
        assert_eq!(first(&format!("RAdam({given})")), RAdam { betas, eps: 1e-5, weight_decay: 0.3 }.into());
        assert_eq!(first(&format!("Lamb({given})")), Lamb { betas, eps: 1e-5, weight_decay: 0.3 }.into());
        assert_eq!(first("Lion(betas: (0.8, 0.9), weight_decay: 0.3)"), Lion { betas, weight_decay: 0.3 }.into());
        let sgd = first("Sgd(momentum: 0.5, nesterov: true, weight_decay: 0.3)");
        assert_eq!(sgd, Sgd { momentum: 0.5, nesterov: true, weight_decay: 0.3 }.into());
        let factored = first("Adafactor(momentum: 0.5, decay_rate: 0.7, eps: 1e-20, threshold: 2, weight_decay: 0.3)");
        let (momentum, weight_decay) = (0.5, 0.3);
        assert_eq!(
            factored,
            Adafactor { decay_rate: 0.7, eps: 1e-20, threshold: 2.0, momentum, weight_decay, factored: true }.into()
        );
        let muon = "Muon(momentum: 0.5, nesterov: false, matrix_rate: 7, betas: (0.8, 0.9), eps: 1e-5, weight_decay: 0.3)";
        assert_eq!(first(muon), AdamW { betas, eps: 1e-5, weight_decay }.into());
        let graphs_of_muon = graphs(muon);
        let matrices = operations(&graphs_of_muon);
        assert!(matrices.contains(&&Muon { momentum, nesterov: false, rate: 7.0, weight_decay }.into()));
        for optimizer in ["AdamW", "Adam", "RAdam", "Lamb", "Lion", "Sgd", "Adafactor", "Muon"] {
            for (clip, max) in [("clip: 0.25", Some(0.25)), ("", None)] {
                let graphs = graphs(&format!("{optimizer}({clip})"));
                let clips = graphs.walk(Walk::Update).nodes().filter_map(|node| match &node.op {
                    Op::ClipFactor(clip) => Some(clip.max),
                    _ => None,
                });
                assert_eq!(clips.collect::<Vec<_>>(), [max], "{optimizer}");
            }
        }
    }

    /// Each choice with the kinds that decay under it: matrix, word table, position factor, gain, bias.
    #[test]
    fn groups_that_decay() {
        let examples = [
            (Kind::Matrix, "attention.query"),
            (Kind::Embedding, "embedding.word"),
            (Kind::Position, "embedding.position_scale"),
            (Kind::Norm, "attention_norm.gain"),
            (Kind::Norm, "attention_norm.bias"),
        ];
        for (decay, wanted) in [
            ("ExceptNorms", [true, true, true, false, false]),
            ("ExceptBiases", [true, true, true, true, false]),
            ("Everything", [true; 5]),
            ("Only(matrices: true)", [true, false, false, false, false]),
            ("Only(embeddings: true)", [false, true, false, false, false]),
            ("Only(positions: true)", [false, false, true, false, false]),
            ("Only(norms: true)", [false, false, false, true, false]),
            ("Only(biases: true)", [false, false, false, false, true]),
            ("Only()", [false; 5]),
        ] {
            let graphs = graphs(&format!("Lion(decay: {decay})"));
            for ((kind, part), wanted) in examples.iter().zip(wanted) {
                let (_, p) = graphs.parameters.iter().find(|(_, p)| p.part == *part).unwrap();
                assert_eq!((p.kind, p.decays), (*kind, wanted), "{decay}: {part}");
            }
            let operations = operations(&graphs);
            for ((_, p), op) in graphs.parameters.iter().zip(operations) {
                let weight_decay = if p.decays { 0.1 } else { 0.0 };
                assert_eq!(*op, Lion { betas: (0.9, 0.99), weight_decay }.into(), "{decay}: {}", p.name());
            }
        }
    }
}
