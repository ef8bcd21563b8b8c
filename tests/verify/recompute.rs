//! Tamperings with what is recomputed.

use cramplan::units::{Bytes, Flops, Ratio};
use cramplan::verify::format::{Content, Op, Operation, Pass, Place, Role, WalkName};
use cramplan::verify::recipe::Recomputation;

use super::tamper::{Tampering, op, t};

use WalkName::{Evaluate, First};

fn index(c: &Content, found: impl Fn(&Operation) -> bool) -> Option<usize> {
    c.walks[0].operations.iter().position(|o| o.pass == Pass::Recompute && found(o))
}

/// The first operation of a name that is recomputed in the first micro-step.
fn again<'a>(c: &'a mut Content, name: &str) -> Option<&'a mut Operation> {
    let i = index(c, |o| o.op.name() == name)?;
    c.walks[0].operations.get_mut(i)
}

fn any(c: &mut Content) -> Option<&mut Operation> {
    let i = index(c, |_| true)?;
    c.walks[0].operations.get_mut(i)
}

/// The operation of forward that the first recomputed one of a name does again.
fn original(c: &Content, name: &str) -> Option<(usize, usize)> {
    let again = index(c, |o| o.op.name() == name)?;
    let twin = &c.walks[0].operations[again];
    let same = |o: &Operation| o.pass == Pass::Forward && o.op == twin.op && o.place == twin.place && o.inputs == twin.inputs;
    Some((c.walks[0].operations.iter().position(same)?, again))
}

/// All ways.
pub const TAMPERINGS: &[Tampering] = &[
    t("a block fewer is said to recompute", "recompute", |c| {
        let blocks = c.recompute.iter_mut().find(|blocks| **blocks > 0)?;
        Some(*blocks -= 1)
    }),
    t("a block more is said to recompute", "recompute", |c| Some(c.recompute[2] += 1)),
    t("what is recomputed is said to be of another kind", "recompute", |c| {
        (c.recompute[0] != c.recompute[4]).then(|| c.recompute.swap(0, 4))
    }),
    t("the recipe asks for nothing to be recomputed", "recompute", |c| {
        (c.recompute != [0; 5]).then(|| c.recipe.recompute = Recomputation::Nothing {})
    }),
    t("the recipe asks for all to be recomputed", "recompute", |c| {
        (c.recompute != [c.extents.depth; 5]).then(|| c.recipe.recompute = Recomputation::Blocks {})
    }),
    t("the recipe asks for more norms", "recompute", |c| {
        let Recomputation::Parts { norms, .. } = &mut c.recipe.recompute else { return None };
        Some(*norms = Ratio(1.0))
    }),
    t("a recomputed operation is left out", "role", |c| {
        let i = index(c, |o| o.op.name() == "Attention")?;
        c.walks[0].operations.remove(i);
        Some(())
    }),
    t("a recomputed operation is left out, and forward's is read", "recompute", |c| {
        let (first, again) = original(c, "LayerNorm")?;
        let walk = &mut c.walks[0];
        let made = walk.operations[first].outputs.clone();
        let twins = walk.operations.remove(again).outputs;
        for o in &mut walk.operations {
            for id in &mut o.inputs {
                if let Some(at) = twins.iter().position(|twin| twin == id) {
                    *id = made[at];
                }
            }
        }
        Some(())
    }),
    t("an operation is recomputed twice", "recompute", |c| {
        let i = index(c, |_| true)?;
        let twice = c.walks[0].operations[i].clone();
        Some(c.walks[0].operations.insert(i, twice))
    }),
    t("operands of a recomputed attention are swapped", "recompute", |c| Some(again(c, "Attention")?.inputs.swap(0, 1))),
    t("operands of a recomputed gate are swapped", "recompute", |c| Some(again(c, "Gate")?.inputs.swap(0, 1))),
    t("a twin is read before it is made", "order", |c| {
        let i = index(c, |_| true)?;
        let twin = c.walks[0].operations[i].outputs[0];
        let reader = c.walks[0].operations.iter().position(|o| o.inputs.contains(&twin))?;
        Some(c.walks[0].operations.swap(i, reader))
    }),
    t("an operation is recomputed before it is asked for", "recompute", |c| {
        let i = index(c, |_| true).filter(|i| c.walks[0].operations[i - 1].pass == Pass::Backward)?;
        Some(c.walks[0].operations.swap(i - 1, i))
    }),
    t("backward reads what forward made beside the twin", "recompute", |c| {
        let (first, again) = original(c, "LayerNorm")?;
        let walk = &mut c.walks[0];
        let (made, twin) = (walk.operations[first].outputs[0], walk.operations[again].outputs[0]);
        let reader = walk.operations.iter_mut().rev().find(|o| o.pass == Pass::Backward && o.inputs.contains(&twin))?;
        Some(reader.inputs.iter_mut().filter(|id| **id == twin).for_each(|id| *id = made))
    }),
    t("FLOPs of what is recomputed go to forward", "total", |c| {
        let walk = &mut c.walks[0];
        (walk.recompute > Flops::ZERO).then(|| walk.forward += std::mem::replace(&mut walk.recompute, Flops::ZERO))
    }),
    t("FLOPs of what is recomputed go to backward", "total", |c| {
        let walk = &mut c.walks[1];
        (walk.recompute > Flops::ZERO).then(|| walk.backward += std::mem::replace(&mut walk.recompute, Flops::ZERO))
    }),
    t("FLOPs of what is recomputed are counted as the model's", "run", |c| {
        let again = c.walks[0].recompute * c.run.micro_steps;
        (again > Flops::ZERO).then(|| c.run.flops += again)
    }),
    t("what is recomputed is called backward", "gradient", |c| Some(any(c)?.pass = Pass::Backward)),
    t("what is recomputed is called forward", "gradient", |c| Some(any(c)?.pass = Pass::Forward)),
    t("an operation of backward is called recomputed", "recompute", |c| {
        Some(op(c, First, "LayerNormGradient")?.pass = Pass::Recompute)
    }),
    t("an operation of an evaluation is called recomputed", "model", |c| {
        Some(op(c, Evaluate, "Attention")?.pass = Pass::Recompute)
    }),
    t("what is recomputed is said to be in another block", "recompute", |c| {
        let o = any(c)?;
        let Place::Block(block) = &mut o.place else { return None };
        Some(*block = u64::from(*block == 0))
    }),
    t("a recomputed norm has another epsilon", "recompute", |c| Some(again(c, "LayerNorm")?.op = Op::LayerNorm { eps: 1e-3 })),
    t("a recomputed norm is of another block's weights", "recompute", |c| {
        let other = op(c, First, "LayerNorm")?.inputs[1];
        Some(again(c, "LayerNorm")?.inputs[1] = other)
    }),
    t("a recomputed attention has FLOPs left out", "flops", |c| Some(again(c, "Attention")?.flops.0 /= 2)),
    t("a recomputed attention takes no workspace", "workspace", |c| Some(again(c, "Attention")?.workspace = Bytes(0))),
    t("a twin never dies", "death", |c| {
        let twin = any(c)?.outputs[0];
        c.walks[0].operations.iter_mut().for_each(|o| o.dies.retain(|id| *id != twin));
        Some(())
    }),
    t("what is recomputed is kept from forward on", "death", |c| {
        let (first, again) = original(c, "LayerNorm")?;
        let walk = &mut c.walks[0];
        let made = walk.operations[first].outputs[0];
        walk.operations.iter_mut().for_each(|o| o.dies.retain(|id| *id != made));
        Some(walk.operations[again].dies.push(made))
    }),
    t("a twin is called a gradient", "role", |c| {
        let twin = any(c)?.outputs[0] as usize;
        Some(c.walks[0].tensors[twin].role = Role::Gradient(0))
    }),
];
