//! The optimizers beside AdamW: their certificates, and the ways in which those are tampered with.

use cramplan::units::Bytes;
use cramplan::verify::format::{Content, Op, Role, WalkName};
use cramplan::verify::recipe::{Decay, Optimizer};

use super::tamper::{Tampering, op, t};
use WalkName::Update;

/// As overrides: every optimizer with what decides what it keeps, and the choices of who decays among them.
pub const ALL: &[&str] = &[
    "optimizer=Adam(weight_decay: 0.01, clip: 1)",
    "optimizer=RAdam(decay: ExceptBiases)",
    "optimizer=Lamb(clip: 0.5, decay: Only(matrices: true, norms: true))",
    "optimizer=Lion(decay: Only(embeddings: true, biases: true, positions: true))",
    "optimizer=Sgd(weight_decay: 0.1, decay: Everything)",
    "optimizer=Sgd(nesterov: true, clip: 2)",
    "optimizer=Sgd(momentum: 0, clip: 1)",
    "optimizer=Adafactor(weight_decay: 0.1, clip: 1)",
    "optimizer=Adafactor(momentum: 0.9, decay: Everything)",
    "optimizer=Muon(clip: 1)",
    "optimizer=Muon(nesterov: false, matrix_rate: 3, weight_decay: 0.1)",
];

fn is(c: &Content, name: &str) -> Option<()> {
    c.walks[2].operations.iter().any(|o| o.op.name() == name).then_some(())
}

/// The first operation of an optimizer's name.
fn first<'a>(c: &'a mut Content, name: &str) -> Option<&'a mut Op> {
    op(c, Update, name).map(|o| &mut o.op)
}

pub const TAMPERINGS: &[Tampering] = &[
    t("plain SGD is said to have momentum", "role", |c| match &mut c.recipe.optimizer {
        Optimizer::Sgd { momentum, .. } if *momentum == 0.0 => Some(*momentum = 0.9),
        _ => None,
    }),
    t("SGD with momentum is said to be plain", "role", |c| match &mut c.recipe.optimizer {
        Optimizer::Sgd { momentum, .. } if *momentum > 0.0 => Some(*momentum = 0.0),
        _ => None,
    }),
    t("the momentum of SGD is another", "model", |c| match &mut c.recipe.optimizer {
        Optimizer::Sgd { momentum, .. } if *momentum > 0.0 => Some(*momentum = 0.5),
        _ => None,
    }),
    t("SGD looks ahead, or does not", "model", |c| match &mut c.recipe.optimizer {
        Optimizer::Sgd { nesterov, .. } => Some(*nesterov = !*nesterov),
        _ => None,
    }),
    t("Adam is said to be AdamW", "model", |c| match c.recipe.optimizer.clone() {
        Optimizer::Adam { betas, eps, weight_decay, decay, clip } => {
            Some(c.recipe.optimizer = Optimizer::AdamW { betas, eps, weight_decay, decay, clip })
        }
        _ => None,
    }),
    t("RAdam is said to be Adam", "model", |c| match c.recipe.optimizer.clone() {
        Optimizer::RAdam { betas, eps, weight_decay, decay, clip } => {
            Some(c.recipe.optimizer = Optimizer::Adam { betas, eps, weight_decay, decay, clip })
        }
        _ => None,
    }),
    t("an update of Lion has other rates", "model", |c| {
        let Op::Lion { betas, .. } = first(c, "Lion")? else { return None };
        Some(betas.1 = 0.5)
    }),
    t("an update of LAMB decays more", "model", |c| {
        let Op::Lamb { weight_decay, .. } = first(c, "Lamb")? else { return None };
        Some(*weight_decay += 0.5)
    }),
    t("LAMB reads everything once", "traffic", |c| {
        let o = op(c, Update, "Lamb")?;
        Some(o.moved.0 = o.moved.0 * 8 / 11)
    }),
    t("LAMB keeps no partial sums", "workspace", |c| {
        c.processor.as_ref()?;
        Some(op(c, Update, "Lamb")?.workspace = Bytes(0))
    }),
    t("the momentum is a second moment", "role", |c| {
        let id = op(c, Update, "Lion")?.inputs[2] as usize;
        Some(c.walks[2].tensors[id].role = Role::SecondMoment(0))
    }),
    t("the momentum is not written over", "in-place", |c| op(c, Update, "Lion")?.in_place.pop().map(|_| ())),
    t("a checkpoint holds two moments of one", "checkpoint", |c| {
        is(c, "Lion")?;
        Some(c.checkpoint.0 = c.checkpoint.0 / 2 * 3)
    }),
    t("the micro-steps stand beside two moments of one", "ambient", |c| {
        is(c, "Lion")?;
        Some(c.walks[0].ambient.optimizer.0 *= 2)
    }),
    t("the micro-steps stand beside moments of none", "ambient", |c| {
        let none = c.walks[0].ambient.optimizer == Bytes(0);
        none.then(|| c.walks[0].ambient.optimizer.0 = 4)
    }),
    t("Adafactor has no momentum", "role", |c| match &mut c.recipe.optimizer {
        Optimizer::Adafactor { momentum, .. } if *momentum > 0.0 => Some(*momentum = 0.0),
        _ => None,
    }),
    t("Adafactor forgets faster", "model", |c| match &mut c.recipe.optimizer {
        Optimizer::Adafactor { decay_rate, .. } => Some(*decay_rate = 0.5),
        _ => None,
    }),
    t("Adafactor takes longer steps", "model", |c| match &mut c.recipe.optimizer {
        Optimizer::Adafactor { threshold, .. } => Some(*threshold = 2.0),
        _ => None,
    }),
    t("a matrix is not factored", "shape", |c| {
        let Op::Adafactor { factored, .. } = first(c, "Adafactor")? else { return None };
        Some(*factored = false)
    }),
    t("rows and columns change places", "role", |c| {
        let o = op(c, Update, "Adafactor")?.inputs.clone();
        let [rows, columns] = [o[o.len() - 3], o[o.len() - 2]].map(|id| id as usize);
        c.walks[2].tensors[rows].role = Role::ColumnMoment(0);
        Some(c.walks[2].tensors[columns].role = Role::RowMoment(0))
    }),
    t("the columns of Adafactor need no sums", "workspace", |c| {
        c.processor.as_ref()?;
        Some(op(c, Update, "Adafactor")?.workspace = Bytes(8))
    }),
    t("Adafactor reads the gradient once", "traffic", |c| {
        let o = op(c, Update, "Adafactor")?;
        Some(o.moved.0 = o.moved.0 * 3 / 5)
    }),
    t("Muon's products are free", "flops", |c| Some(op(c, Update, "Muon")?.flops.0 = 0)),
    t("the update does no arithmetic", "total", |c| {
        is(c, "Muon")?;
        Some(c.walks[2].forward.0 = 0)
    }),
    t("Muon works in place", "workspace", |c| {
        c.processor.as_ref()?;
        Some(op(c, Update, "Muon")?.workspace = Bytes(0))
    }),
    t("matrices have the rate of all others", "model", |c| match &mut c.recipe.optimizer {
        Optimizer::Muon { matrix_rate, .. } => Some(*matrix_rate = 1.0),
        _ => None,
    }),
    t("Muon is said to be AdamW", "role", |c| match c.recipe.optimizer.clone() {
        Optimizer::Muon { betas, eps, weight_decay, decay, clip, .. } => {
            Some(c.recipe.optimizer = Optimizer::AdamW { betas, eps, weight_decay, decay, clip })
        }
        _ => None,
    }),
    t("biases decay too", "parameters", |c| match &mut c.recipe.optimizer {
        Optimizer::RAdam { decay, .. } => Some(*decay = Decay::Everything {}),
        _ => None,
    }),
    t("gains do not decay", "parameters", |c| match &mut c.recipe.optimizer {
        Optimizer::RAdam { decay, .. } => Some(*decay = Decay::ExceptNorms {}),
        _ => None,
    }),
    t("the positions are no kind that decays", "parameters", |c| match &mut c.recipe.optimizer {
        Optimizer::Lion { decay: Decay::Only { positions, .. }, .. } => Some(*positions = false),
        _ => None,
    }),
];
