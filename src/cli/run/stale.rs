//! Saved plans that are not what would be run now, and why, field by field.

use std::fmt::Write as _;
use std::path::Path;

use super::{Outcomes, stop};
use crate::cli::arguments::Choice;
use crate::cli::inventory::Inventory;
use crate::cli::{Exit, complain, say, world};
use crate::data;
use crate::device::{Device, DeviceKind};
use crate::exec::corpus::corpus_spec;
use crate::plan::{Drift, Plan, Stale, between};

/// How many fields are named.
const SHOWN: usize = 20;

/// Reads a saved plan that this version of the program would plan as well.
pub fn load_plan(path: &Path, text: &str) -> Outcomes<Plan> {
    let help = "plan again with `cramplan plan RECIPE --out FILE`";
    match Plan::load(text) {
        Ok(plan) => Ok(plan),
        Err(Stale::Drifted(drifts)) => refuse(path, &drifts, help),
        Err(stale) => stop(Exit::Invalid, &format!("the plan `{}` cannot be run: {stale}", path.display()), help),
    }
}

/// Refuses a plan whose recipe, text or device are no longer what they were.
pub fn as_planned(plan: &Plan, path: &Path, machine: &Device) -> Outcomes<()> {
    let mut drifts = recipe(plan);
    drifts.extend(text(plan));
    let on_device = device(plan, machine);
    drifts.extend(on_device);
    if drifts.is_empty() {
        return Ok(());
    }
    refuse(path, &drifts, &format!("plan anew: `{} --out {}`", anew(plan, machine), path.display()))
}

/// The command that plans the same recipe for this machine, from where one stands.
fn anew(plan: &Plan, machine: &Device) -> String {
    let mut command = "cramplan plan ".to_owned();
    if plan.origin.recipe.is_empty() {
        command.push_str("RECIPE");
    } else {
        let path = Path::new(&plan.origin.base).join(&plan.origin.recipe);
        let here = std::env::current_dir().unwrap_or_default();
        command.push_str(&path.strip_prefix(&here).unwrap_or(&path).display().to_string());
    }
    for change in &plan.origin.overrides {
        let _ = write!(command, " --set '{change}'");
    }
    if plan.device.name != machine.name {
        let _ = write!(command, " --for {}", machine.name);
    }
    command
}

fn refuse<T>(path: &Path, drifts: &[Drift], help: &str) -> Outcomes<T> {
    complain(&format!("the plan `{}` is not what would be run now", path.display()));
    for Drift { field, planned, now } in drifts.iter().take(SHOWN) {
        say(&format!("  {field}: planned {planned}, now {now}"));
    }
    if drifts.len() > SHOWN {
        say(&format!("  and {} more", drifts.len() - SHOWN));
    }
    say(&format!("help: {help}"));
    Err(super::Stop(Exit::Invalid))
}

/// The recipe where the plan says that it lies, evaluated again: comments and layout do not matter, imports and overrides do.
fn recipe(plan: &Plan) -> Vec<Drift> {
    let origin = &plan.origin;
    let path = Path::new(&origin.base).join(&origin.recipe);
    if origin.recipe.is_empty() || !path.is_file() {
        say("note: the plan's recipe is not there any more; the plan is run as it is");
        return Vec::new();
    }
    let choice = Choice { recipe: path, set: origin.overrides.clone(), device: Some(plan.device.name.clone()) };
    let inventory = Inventory::of(plan.device.clone(), Vec::new(), Vec::new(), false);
    let compilation = world::compile_choice(&choice, &inventory).ok();
    match compilation.and_then(|c| c.verdict) {
        Some(verdict) => between(&plan.recipe, &verdict.costed().recipe),
        None => vec![Drift::new("recipe", "a valid one", format!("`cramplan check {}` refuses it", origin.recipe))],
    }
}

/// The text, where it was prepared before the plan was made.
fn text(plan: &Plan) -> Option<Drift> {
    let planned = plan.facts.data.as_ref()?;
    let now = data::key(&corpus_spec(&plan.recipe, &plan.origin.base)).unwrap_or_else(|error| error.to_string());
    (now != *planned)
        .then(|| Drift::new("data", format!("{planned:.12}"), if now.len() == 64 { format!("{now:.12}") } else { now }))
}

/// The device: another one, one with other numbers in the catalog, or a computer that is another one or has become smaller.
fn device(plan: &Plan, now: &Device) -> Vec<Drift> {
    let planned = &plan.device;
    if planned.name != now.name {
        return vec![Drift::new("device", &planned.name, &now.name)];
    }
    let (DeviceKind::Cpu { threads }, DeviceKind::Cpu { threads: threads_now }) = (planned.kind, now.kind) else {
        return between(planned, now).into_iter().map(|d| Drift { field: format!("device.{}", d.field), ..d }).collect();
    };
    let mut drifts = Vec::new();
    let processor = world::facts(now).processor;
    let name = |processor: &Option<String>| processor.clone().unwrap_or_else(|| "none".to_owned());
    if plan.facts.processor != processor {
        drifts.push(Drift::new("processor", name(&plan.facts.processor), name(&processor)));
    }
    if threads != threads_now {
        drifts.push(Drift::new("device.threads", threads.to_string(), threads_now.to_string()));
    }
    let limit = plan.estimate.limit;
    if now.memory.value < limit {
        drifts.push(Drift::new("device.memory", limit.to_string(), now.memory.value.to_string()));
    }
    drifts
}
