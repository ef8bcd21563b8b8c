//! The peak explained: at which moment it is, who holds what, and what the plan says about each.

use std::fmt::Write as _;

use serde_json::{Value, json as object};

use super::holders::{self, Holder, State};
use super::profile::Profile;
use crate::budget::{candidates, estimate_at};
use crate::check::Costed;
use crate::step::Walk;
use crate::step::graph::Pass;
use crate::step::tensor::Part;
use crate::units::{Bytes, Ratio, Seconds};

/// The moment of the peak.
#[derive(Clone, Debug, PartialEq)]
pub struct When {
    /// In which walk.
    pub walk: Walk,
    /// Which pass.
    pub pass: Pass,
    /// The operation: its number from 1, and how many the walk has.
    pub number: (usize, usize),
    /// When it begins, from the beginning of the walk, and how long it and the walk take.
    pub times: (Seconds, Seconds, Seconds),
}

/// The peak and who holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// All bytes.
    pub bytes: Bytes,
    /// What runs then.
    pub operation: String,
    /// When; none while the state is saved.
    pub when: Option<When>,
    /// The holders, largest first; their bytes sum to the peak.
    pub holders: Vec<Holder>,
    /// The next smaller micro-batch with its peak, planned anew.
    pub smaller: Option<(u64, Bytes)>,
}

impl Explanation {
    /// Bytes of the holders that satisfy a condition.
    pub fn sum(&self, of: impl Fn(&Holder) -> bool) -> Bytes {
        self.holders.iter().filter(|holder| of(holder)).map(|holder| holder.bytes).sum()
    }

    /// Made in forward, and next used in backward: what recomputation can let go.
    pub fn waiting(&self) -> Bytes {
        self.sum(|holder| matches!(holder.state, State::Waiting { forward_for_backward: true, .. }))
    }
}

/// Explains the peak of a costed recipe.
pub fn explain(costed: &Costed) -> Explanation {
    let peak = &costed.estimate.peak;
    let (when, holders) = match peak.walk {
        None => (None, holders::saving(&peak.parts, &costed.graphs())),
        Some(walk) => {
            let graphs = costed.graphs();
            let profile = Profile::of(costed, &graphs, walk);
            let when = profile.moments.get(peak.index).map(|moment| When {
                walk,
                pass: moment.pass,
                number: (peak.index + 1, profile.moments.len()),
                times: (moment.start, moment.time, profile.time()),
            });
            (when, holders::at(&profile, peak.index))
        }
    };
    Explanation { bytes: peak.bytes, operation: peak.operation.clone(), when, holders, smaller: smaller(costed) }
}

fn smaller(costed: &Costed) -> Option<(u64, Bytes)> {
    let Costed { recipe, device, estimate: now } = costed;
    let batch = candidates(recipe.full_batch()).into_iter().rev().find(|batch| *batch <= now.micro_batch / 2)?;
    Some((batch, estimate_at(recipe, device, batch, now.recompute).peak.bytes))
}

/// The explanation for people.
pub fn text(costed: &Costed) -> String {
    let explanation = explain(costed);
    let e = &costed.estimate;
    let fits = if e.fits() { "fits" } else { "does not fit" };
    let mut out =
        format!("{} on {}: {} at the peak of {}, {fits}\n\n", costed.recipe.name, costed.device.name, explanation.bytes, e.limit);
    let _ = writeln!(out, "  when   {}", explanation.operation);
    if let Some(when) = &explanation.when {
        let _ = writeln!(out, "         {}", moment(when));
    }
    let mut title = "who";
    for part in by_size(&explanation) {
        let all = explanation.sum(|holder| holder.part == part);
        let _ = writeln!(out, "\n  {title:6} {}  {:>10}  {:>6}", cell(part.name()), all.to_string(), share(all, &explanation));
        for holder in explanation.holders.iter().filter(|holder| holder.part == part) {
            let _ = writeln!(out, "         {}", line(holder, &explanation));
        }
        title = "";
    }
    let _ = write!(out, "\n{}", facts(&explanation, costed));
    out
}

/// Width of the column of names in the text.
const NAMES: usize = 46;

fn cell(text: &str) -> String {
    format!("{text:NAMES$}")
}

fn line(holder: &Holder, explanation: &Explanation) -> String {
    let mut notes: Vec<String> = holder.times().into_iter().collect();
    match &holder.state {
        State::InUse => notes.push("in use now".to_owned()),
        State::Waiting { next, .. } => notes.push(format!("waits for {next}")),
        State::Kept => {}
    }
    let name = format!("  {}", holder.what);
    let notes = notes.join(", ");
    format!("{} {:>10}  {:>6}  {notes}", cell(&name), holder.bytes.to_string(), share(holder.bytes, explanation))
        .trim_end()
        .to_owned()
}

/// When the peak is, for people.
pub fn moment(when: &When) -> String {
    let (start, time, all) = when.times;
    format!(
        "{}, {}: operation {} of {}, {start} into the {all} of the walk, for {time}",
        when.walk.name(),
        when.pass.name(),
        when.number.0,
        when.number.1
    )
}

fn share(bytes: Bytes, explanation: &Explanation) -> String {
    let share = bytes.as_f64() / explanation.bytes.as_f64().max(1.0);
    if share < 0.0005 { "< 0.1%".to_owned() } else { Ratio(share).to_string().replace(' ', "") }
}

/// The parts that hold something, largest first.
fn by_size(explanation: &Explanation) -> Vec<Part> {
    let mut parts: Vec<(Bytes, Part)> =
        Part::ALL.into_iter().map(|part| (explanation.sum(|h| h.part == part), part)).filter(|(b, _)| b.0 > 0).collect();
    parts.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    parts.into_iter().map(|(_, part)| part).collect()
}

fn facts(explanation: &Explanation, costed: &Costed) -> String {
    let mut lines = Vec::new();
    let waiting = explanation.waiting();
    if waiting > Bytes::ZERO {
        lines.push(format!("{waiting} were made in forward and are next used in backward: what recomputation can let go"));
    }
    let activations = explanation.sum(|holder| holder.part == Part::Activations);
    lines.push(match explanation.smaller {
        Some((batch, bytes)) => format!(
            "{activations} are activations, which grow with the micro-batch of {}; one of {batch} peaks at {bytes}, planned anew",
            costed.estimate.micro_batch
        ),
        None => format!("{activations} are activations; no smaller micro-batch divides the batch"),
    });
    let state = explanation.sum(|holder| matches!(holder.part, Part::Weights | Part::Gradients | Part::Optimizer));
    lines.push(format!("{state} are weights, gradients and moments: they follow from the model alone"));
    let lines: Vec<String> =
        lines.iter().enumerate().map(|(i, line)| format!("  {:6} {line}\n", if i == 0 { "facts" } else { "" })).collect();
    lines.concat()
}

/// The explanation for programs.
pub fn json(costed: &Costed) -> Value {
    let explanation = explain(costed);
    let e = &costed.estimate;
    let when = explanation.when.as_ref().map(|when| {
        object!({
            "walk": when.walk.name(),
            "pass": when.pass.name(),
            "operation_number": when.number.0,
            "operations": when.number.1,
            "start_seconds": when.times.0.0,
            "seconds": when.times.1.0,
            "walk_seconds": when.times.2.0,
        })
    });
    object!({
        "recipe": costed.recipe.name,
        "device": costed.device.name,
        "peak_bytes": explanation.bytes.0,
        "limit_bytes": e.limit.0,
        "fits": e.fits(),
        "operation": explanation.operation,
        "when": when,
        "holders": explanation.holders.iter().map(|holder| holder_json(holder, &explanation)).collect::<Vec<_>>(),
        "forward_for_backward_bytes": explanation.waiting().0,
        "smaller_micro_batch": explanation.smaller.map(|(batch, bytes)| object!({"micro_batch": batch, "peak_bytes": bytes.0})),
    })
}

fn holder_json(holder: &Holder, explanation: &Explanation) -> Value {
    let (state, next, recomputable) = match &holder.state {
        State::InUse => ("in use", None, false),
        State::Waiting { next, forward_for_backward } => ("waiting", Some(*next), *forward_for_backward),
        State::Kept => ("kept", None, false),
    };
    object!({
        "part": holder.part.name(),
        "what": holder.what,
        "bytes": holder.bytes.0,
        "share": holder.bytes.as_f64() / explanation.bytes.as_f64().max(1.0),
        "tensors": holder.count,
        "bytes_each": holder.each.map(|each| each.0),
        "blocks": holder.blocks,
        "state": state,
        "next_operation": next,
        "forward_for_backward": recomputable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::view::testing::costed;

    #[test]
    fn the_holders_sum_to_the_peak_of_the_estimate() {
        for device in ["rtx-a6000", "cpu"] {
            let costed = costed(device);
            let explanation = explain(&costed);
            assert_eq!(explanation.sum(|_| true), costed.estimate.peak.bytes, "{device}");
        }
    }

    #[test]
    fn a_smaller_micro_batch_needs_less() {
        let costed = costed("rtx-a6000");
        let (batch, bytes) = explain(&costed).smaller.unwrap();
        assert!(batch < costed.estimate.micro_batch && bytes < costed.estimate.peak.bytes);
    }
}
