//! Makes the sums of a content agree with its operations again, as whoever tampers with one would.

use cramplan::units::{Bytes, Flops, Seconds, Tokens};
use cramplan::verify::format::{Bill, Content, Moment, Pass, Role, Tensor, Walk};

fn bytes(tensor: &Tensor) -> Bytes {
    Bytes(tensor.shape.iter().product::<u64>() * 4)
}

fn bill(walk: &Walk, live: &[bool]) -> Bill {
    let mut bill = walk.ambient;
    for (tensor, _) in walk.tensors.iter().zip(live).filter(|(_, live)| **live) {
        *match tensor.role {
            Role::Weight(_) | Role::PositionTable => &mut bill.weights,
            Role::Gradient(_) => &mut bill.gradients,
            Role::FirstMoment(_) | Role::SecondMoment(_) => &mut bill.optimizer,
            _ => &mut bill.activations,
        } += bytes(tensor);
    }
    bill
}

/// Live bytes, peaks and totals of the walks, the peak of all, and the arithmetic of a run whose steps are fixed.
pub fn settle(content: &mut Content) {
    content.walks.iter_mut().for_each(settle_walk);
    let mut peak = (content.saving.total(), None);
    for walk in &content.walks {
        if walk.peak.bytes >= peak.0 {
            peak = (walk.peak.bytes, Some(walk.walk));
        }
    }
    (content.peak.bytes, content.peak.walk) = peak;
    settle_run(content);
}

fn settle_walk(walk: &mut Walk) {
    let mut live = vec![true; walk.tensors.len()];
    walk.operations.iter().flat_map(|o| &o.outputs).for_each(|id| live[*id as usize] = false);
    let mut highest: Option<Moment> = None;
    for i in 0..walk.operations.len() {
        let o = walk.operations[i].clone();
        o.outputs.iter().for_each(|id| live[*id as usize] = true);
        o.in_place.iter().for_each(|(a, _)| live[*a as usize] = false);
        let mut parts = bill(walk, &live);
        parts.workspace += o.workspace;
        walk.operations[i].during = parts.total();
        if highest.as_ref().is_none_or(|h| parts.total() > h.bytes) {
            let held = (0..walk.tensors.len()).filter(|id| live[*id]);
            let holders = held.map(|id| (id as u32, bytes(&walk.tensors[id]))).collect();
            highest = Some(Moment { operation: i, bytes: parts.total(), parts, holders });
        }
        o.dies.iter().for_each(|id| live[*id as usize] = false);
        walk.operations[i].after = bill(walk, &live).total();
    }
    walk.peak = highest.unwrap();
    let flops = |pass| walk.operations.iter().filter(|o| o.pass == pass).map(|o| o.flops).sum::<Flops>();
    (walk.forward, walk.recompute, walk.backward) = (flops(Pass::Forward), flops(Pass::Recompute), flops(Pass::Backward));
    walk.seconds = Seconds(walk.operations.iter().map(|o| o.seconds.0).sum());
}

fn settle_run(content: &mut Content) {
    let [first, further, update, evaluate] = [0, 1, 2, 3].map(|i| content.walks[i].seconds.0);
    let micro_flops = content.walks[0].forward + content.walks[0].backward;
    let run = &mut content.run;
    let mut seconds = 0.0;
    for stage in &mut run.stages {
        stage.step_time = Seconds(first + further * (stage.accumulation - 1) as f64 + update);
        seconds += stage.step_time.0 * stage.steps as f64;
    }
    run.micro_steps = run.stages.iter().map(|s| s.steps * s.accumulation).sum();
    run.tokens = Tokens(run.micro_steps * content.micro_tokens);
    run.flops = micro_flops * run.micro_steps;
    let walks = content.recipe.evaluation.sequences.div_ceil(content.extents.batch) * run.evaluations;
    let saving = content.saving_time.0 * run.checkpoints as f64;
    run.overhead = Seconds(evaluate * walks as f64 + saving);
    run.seconds = Seconds(seconds + run.overhead.0);
}
