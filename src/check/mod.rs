//! Is it feasible? A [`Feasible`] can be made only here, and only a [`Feasible`] can be lowered into a plan.

mod portions;
mod ways;

pub use ways::{Changes, Way, recomputed, ways};

use crate::budget::{Estimate, fit};
use crate::device::Device;
use crate::diag::{Code, Diagnostic, Edit};
use crate::recipe::decode::Places;
use crate::recipe::settings::Recipe;
use crate::recipe::spending::Limit;
use crate::source::Span;
use crate::step::tensor::Part;
use crate::step::{StepGraphs, Walk};
use crate::units::{Seconds, Tokens};

/// A recipe with its estimate on a device.
#[derive(Clone, Debug)]
pub struct Costed {
    /// The recipe.
    pub recipe: Recipe,
    /// The device it was costed on.
    pub device: Device,
    /// What it costs.
    pub estimate: Estimate,
}

impl Costed {
    /// The graphs of its step, in full.
    pub fn graphs(&self) -> StepGraphs {
        StepGraphs::build(&self.recipe, self.estimate.micro_batch, self.estimate.recompute)
    }
}

/// Proof that a recipe fits its device and its budget.
#[derive(Clone, Debug)]
pub struct Feasible(Costed);

impl Feasible {
    /// What was proved feasible.
    pub fn costed(&self) -> &Costed {
        &self.0
    }

    /// Gives the costed recipe back.
    pub fn into_costed(self) -> Costed {
        self.0
    }
}

/// Costs a recipe on a device, choosing micro-batch and recomputation where the recipe leaves them open.
pub fn cost(recipe: &Recipe, device: &Device) -> Costed {
    Costed { recipe: recipe.clone(), device: device.clone(), estimate: fit(recipe, device) }
}

/// Judges a costed recipe: a proof, or the reasons at the recipe's own words.
///
/// # Errors
/// One diagnostic for each reason why the recipe cannot be run as it stands, with ways out; `known` are the devices that these may name.
pub fn judge(costed: Costed, places: &Places, known: &[Device]) -> Result<Feasible, Box<(Costed, Vec<Diagnostic>)>> {
    let reasons: Vec<Diagnostic> =
        [out_of_memory(&costed, places, known), no_step(&costed, places)].into_iter().flatten().collect();
    if reasons.is_empty() { Ok(Feasible(costed)) } else { Err(Box::new((costed, reasons))) }
}

/// Whether [`judge`] would find an estimate feasible.
pub fn is_feasible(e: &Estimate) -> bool {
    e.fits() && e.run.steps > 0
}

/// What is legal but surprising in a costed recipe, as warnings.
pub fn advise(costed: &Costed, places: &Places) -> Vec<Diagnostic> {
    chinchilla_ratio(costed, places).into_iter().chain(portions::never_over(costed, places)).collect()
}

/// Tokens a parameter that training a causal model well takes: Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models",
/// about 20.
const CHINCHILLA: std::ops::RangeInclusive<f64> = 18.0..=22.0;

/// A token budget by the rule for causal models, whose loss sees every token; that of a masked model sees the masked ones.
fn chinchilla_ratio(costed: &Costed, places: &Places) -> Option<Diagnostic> {
    let tokens = costed.recipe.budget.tokens?;
    let parameters = costed.estimate.parameters.total;
    let ratio = tokens as f64 / parameters as f64;
    let rate = costed.recipe.objective.rate;
    if !CHINCHILLA.contains(&ratio) || rate.0 >= 0.9 {
        return None;
    }
    let more = Tokens((tokens as f64 / rate.0) as u64);
    Some(
        Diagnostic::warning(
            Code::ChinchillaRatio,
            places.of("budget.tokens"),
            "20 tokens a parameter is a rule for causal models",
        )
        .here(format!("{ratio:.1} tokens for each of {} parameters", Tokens(parameters)))
        .and(places.of("objective.rate"), format!("the loss sees {rate} of them"))
        .help(format!("as many predictions as in the rule take {more} tokens; or leave `tokens` out and let the time decide")),
    )
}

/// Ways out that are told.
const WAYS: usize = 6;

/// Fields that are pointed at beside the first.
const HEAVIEST: usize = 2;

fn out_of_memory(costed: &Costed, places: &Places, known: &[Device]) -> Option<Diagnostic> {
    let e = &costed.estimate;
    if e.fits() {
        return None;
    }
    let when = if e.needed() > e.peak.bytes { "with what the memory manager reserves" } else { "at the peak" };
    let message = format!("does not fit: {} {when}, {} allowed on `{}`", e.needed(), e.limit, costed.device.name);
    let (largest, bytes) = e.peak.parts.iter().max_by_key(|(_, bytes)| *bytes).copied().unwrap_or((Part::Process, e.peak.bytes));
    let ways = ways(costed, known);
    let mut heaviest = ways::heaviest(costed);
    // What can stay as it is while something that only changes the course gives way is not what the eye should fall on.
    let course =
        |path: &str| ways.iter().any(|way| way.changes == Changes::Course && way.fields.iter().any(|(field, _)| *field == path));
    heaviest.sort_by_key(|(path, _)| !course(path));
    let mut pointed = heaviest.iter().filter(|(path, _)| places.is_written(path));
    let part = format!("{bytes} at the peak are {}", largest.name());
    let diagnostic = match pointed.next() {
        Some((path, less)) => Diagnostic::error(Code::OutOfMemory, places.of(path), message)
            .here(format!("half of it would take {less} less; {part}")),
        None => Diagnostic::error(Code::OutOfMemory, places.of("model"), message).here(part),
    };
    let diagnostic = pointed
        .take(HEAVIEST)
        .fold(diagnostic, |diagnostic, (path, less)| diagnostic.and(places.of(path), format!("half of it, {less} less")));
    if ways.is_empty() {
        return Some(
            diagnostic.help("no micro-batch fits and no single field helps; make the model smaller, or allow more memory"),
        );
    }
    let lines = ways.iter().take(WAYS).map(|way| {
        let on = if way.fields.iter().any(|(path, _)| *path == "budget.device") { " there" } else { "" };
        format!("  `{}` fits in {}{on}, {}", title(way, costed), way.estimate.needed(), way.time())
    });
    let help = format!("what fits, each planned anew:\n{}", lines.collect::<Vec<_>>().join("\n"));
    let diagnostic = diagnostic.help(help);
    Some(ways.iter().take(WAYS).fold(diagnostic, |diagnostic, way| fix(diagnostic, way, costed, places)))
}

/// Whether the device was asked for on the command line, so that the recipe's is not looked at.
fn is_asked_for(costed: &Costed) -> bool {
    costed.recipe.budget.device.as_ref() != Some(&costed.device.name)
}

/// A way as it is said: another device by the option, where that is how the present one was said.
fn title(way: &Way, costed: &Costed) -> String {
    let device = way.fields.iter().find(|(path, _)| *path == "budget.device").filter(|_| is_asked_for(costed));
    let Some((path, name)) = device else { return way.title() };
    way.title().replace(&format!("{path}: {name}"), &format!("--for {}", name.trim_matches('"')))
}

/// Adds a way out as a change of the recipe's text, where its fields stand there or can be put there. What only changes the course of the same
/// training may be made unasked, the best of it first.
fn fix(diagnostic: Diagnostic, way: &Way, costed: &Costed, places: &Places) -> Diagnostic {
    let overruled = |path: &str| path == "budget.device" && is_asked_for(costed);
    let edits: Option<Vec<Edit>> =
        way.fields.iter().map(|(path, value)| edit(path, value, places).filter(|_| !overruled(path))).collect();
    let Some(edits) = edits else { return diagnostic };
    let safe = way.changes == Changes::Course && diagnostic.fixes.is_empty();
    diagnostic.edits(format!("write `{}`", way.title()), safe, edits)
}

/// A field's new value in the text of the recipe itself: in the place of the old one, or after the last field that is written there.
fn edit(path: &str, value: &str, places: &Places) -> Option<Edit> {
    let entry = places.of("").source;
    // What is said on the command line goes before what stands in the file.
    if places.is_said(path) {
        return None;
    }
    if places.is_written(path) && places.of(path).source == entry {
        return Some(Edit { span: places.of(path), text: value.to_owned() });
    }
    if path.contains('.') {
        return None;
    }
    let top = places.iter().filter(|(path, span)| !path.contains('.') && span.source == entry);
    let last = top.map(|(_, span)| span).max_by_key(|span| span.end)?;
    let end = Span { start: last.end, ..last };
    Some(Edit { span: end, text: format!(", {path}: {value}") })
}

/// Time of the first step, and of the shortest: one micro-step and an update.
fn shortest_step(e: &Estimate) -> Seconds {
    e.walk(Walk::First).time + e.walk(Walk::Update).time
}

/// A budget that does not buy a single step would end with an untrained model.
fn no_step(costed: &Costed, places: &Places) -> Option<Diagnostic> {
    let e = &costed.estimate;
    if e.run.steps > 0 {
        return None;
    }
    let micro = format!("a micro-step reads {} tokens and takes {}", e.micro_tokens, e.micro_step_flops());
    let budget = &costed.recipe.budget;
    let buys_none = |limit: Limit| match limit {
        Limit::Tokens => budget.tokens.is_some_and(|n| n < e.micro_tokens),
        Limit::Flops => budget.flops.is_some_and(|n| n < e.micro_step_flops()),
        Limit::Time | Limit::Steps => false,
    };
    for (limit, field) in [(Limit::Tokens, "budget.tokens"), (Limit::Flops, "budget.flops")] {
        if buys_none(limit) {
            let diagnostic =
                Diagnostic::error(Code::NoStep, places.of(field), "the budget does not buy a single step").here(micro);
            return Some(diagnostic.help(format!("allow more `{}`, or make `micro_batch` smaller", limit.name())));
        }
    }
    let least = (e.run.overhead + shortest_step(e)) * 1.1;
    Some(
        Diagnostic::error(Code::NoTime, places.of("budget.time"), "the time is over before the first step is done")
            .here(format!("{} for the shortest step, {} for evaluation and saving", shortest_step(e), e.run.overhead))
            .help(format!("allow at least {least}, or evaluate and save less")),
    )
}
