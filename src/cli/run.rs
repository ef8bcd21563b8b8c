//! `cramplan run`

mod again;
mod card;
mod report;
mod stale;

use std::path::Path;

use self::again::{replay, resume};
use self::card::card;
use self::report::{dry_text, explain, report};
use self::stale::{as_planned, load_plan};
use super::arguments::{Choice, Run};
use super::inventory::Inventory;
use super::screen::Screen;
use super::{Exit, Host, check, complain, hint, print, render, say, world};
use crate::data::{DataError, Prepared, Progress, prepare};
use crate::device::{Device, DeviceKind};
use crate::diag::{Code, Diagnostic};
use crate::exec::corpus::corpus_spec;
use crate::exec::device::{Wish, choose};
use crate::exec::dry::dry_run;
use crate::exec::host::memory::keep_big_buffers;
use crate::exec::job::{Job, Pace, Start, Watch};
use crate::exec::run::{Failure, run as train};
use crate::exec::walk::Form;
use crate::ledger::{Outcome, RunDirectory, files, write_durably};
use crate::pipeline::Verdict;
use crate::plan::{self, Plan};
use crate::recipe::decode::Places;
use crate::source::Sources;
use crate::units::Tokens;

/// Something that ends the command, already said to the user.
pub(super) struct Stop(Exit);

type Outcomes<T> = Result<T, Stop>;

fn stop<T>(exit: Exit, message: &str, help: &str) -> Outcomes<T> {
    complain(message);
    if !help.is_empty() {
        hint(help);
    }
    Err(Stop(exit))
}

/// Trains, resumes, replays or tries out.
pub fn run(options: &Run, host: Host) -> Exit {
    match dispatch(options, host) {
        Ok(exit) | Err(Stop(exit)) => exit,
    }
}

fn dispatch(options: &Run, host: Host) -> Outcomes<Exit> {
    keep_big_buffers();
    let inventory = Inventory::load().map_err(|broken| Stop(broken.refuse(false)))?;
    let hardware = hardware(&options.device, &inventory)?;
    if let Some(path) = &options.resume {
        return resume(options, path, &hardware, host);
    }
    if let Some(path) = &options.replay {
        return replay(options, path, &hardware, host);
    }
    let Source { plan, text, origin } = source(options, &hardware, inventory)?;
    warn_of_memory(&plan);
    let mut screen = Screen::new(host);
    let prepared = prepared(&plan, options, origin.as_ref(), &mut screen)?;
    if options.dry {
        return dry(&plan, &prepared, &hardware, &mut screen);
    }
    let directory = directory(&options.runs, &plan, "", &text, &prepared)?;
    go(&plan, &directory, &prepared, &hardware, (Start::Fresh, Pace::Budget), &mut screen).map(|(exit, _)| exit)
}

/// What the run computes on.
pub(super) struct Hardware {
    /// burn's device.
    pub device: burn::tensor::Device,
    /// How operations are carried out there.
    pub form: Form,
    /// The device to plan for, with what was measured of it.
    pub planned: Device,
    /// The processor's or card's own name.
    pub model: String,
}

/// What is asked for, on this machine; what cannot be had is said to the user.
pub(super) fn hardware(wish: &str, inventory: &Inventory) -> Outcomes<Hardware> {
    let Some(wish) = parse_wish(wish) else {
        return stop(Exit::Invalid, &format!("there is no device `{wish}` to run on"), "say `auto`, `cpu`, `cuda` or `cuda:1`");
    };
    let (device, form) = match choose(wish) {
        Ok(found) => found,
        Err(unavailable) => return stop(Exit::Invalid, &unavailable.to_string(), unavailable.help()),
    };
    let (planned, model) = match form {
        Form::Host => (inventory.cpu(), world::machine_model()),
        Form::Plain => card(if let Wish::Cuda(index) = wish { index } else { 0 }, inventory)?,
    };
    Ok(Hardware { device, form, planned, model })
}

fn parse_wish(text: &str) -> Option<Wish> {
    match text {
        "auto" => Some(Wish::Auto),
        "cpu" => Some(Wish::Cpu),
        "cuda" => Some(Wish::Cuda(0)),
        _ => text.strip_prefix("cuda:")?.parse().ok().map(Wish::Cuda),
    }
}

/// A plan to run, the recipe's text, and where its fields stand.
struct Source {
    plan: Plan,
    text: String,
    origin: Option<Origin>,
}

/// The texts that a plan was compiled from, for what only the text on disk can show to be wrong.
struct Origin {
    sources: Sources,
    places: Places,
}

fn source(options: &Run, hardware: &Hardware, inventory: Inventory) -> Outcomes<Source> {
    let text = std::fs::read_to_string(&options.recipe).unwrap_or_default();
    if world::is_plan(&text) {
        if !options.set.is_empty() {
            return stop(Exit::Invalid, "a saved plan is run as it is", "give `--set` to `cramplan plan` instead");
        }
        let plan = load_plan(&options.recipe, &text)?;
        as_planned(&plan, &options.recipe, &hardware.planned)?;
        return Ok(Source { plan, text: String::new(), origin: None });
    }
    let choice = Choice { recipe: options.recipe.clone(), set: options.set.clone(), device: Some(hardware.planned.name.clone()) };
    let inventory = inventory.on(hardware.planned.clone());
    let compilation = match world::compile_choice(&choice, &inventory) {
        Ok(compilation) => compilation,
        Err(unreadable) => {
            let (message, help) = unreadable.message();
            return stop(Exit::Invalid, &message, &help);
        }
    };
    render::show(&compilation.diagnostics, &compilation.sources);
    let exit = check::exit(&compilation);
    let origin = compilation.resolved.map(|r| Origin { sources: compilation.sources, places: r.places });
    let Some(Verdict::Feasible(feasible)) = compilation.verdict else { return Err(Stop(exit)) };
    let wanted = feasible.costed().recipe.budget.device.clone();
    if let Some(wanted) = wanted.filter(|name| *name != hardware.planned.name) {
        say(&format!("note: the recipe is for `{wanted}`; this run is planned for `{}`", hardware.planned.name));
    }
    let facts = world::facts(&feasible.costed().device);
    Ok(Source { plan: plan::lower(*feasible, world::origin(&options.recipe, &options.set), facts), text, origin })
}

fn fits_hardware(plan: &Plan, hardware: &Hardware) -> Outcomes<()> {
    if plan.device.kind.runs_on(hardware.planned.kind) {
        return Ok(());
    }
    let message = format!("the plan is for `{}`, and this would run on `{}`", plan.device.name, hardware.planned.name);
    stop(Exit::Invalid, &message, "choose with `--device`, or plan again for this machine")
}

/// The plan is held against the memory of the machine; what other programs hold of it now can only be warned of.
fn warn_of_memory(plan: &Plan) {
    let needed = plan.estimate.peak.bytes;
    let on_cpu = matches!(plan.device.kind, DeviceKind::Cpu { .. });
    if let Some(free) = world::available_memory().filter(|free| on_cpu && *free < needed) {
        say(&format!("warning: the plan takes up to {needed}, and only {free} are free now: the system may kill the run"));
    }
}

fn prepared(plan: &Plan, options: &Run, origin: Option<&Origin>, screen: &mut Screen) -> Outcomes<Prepared> {
    let mut report = |p: Progress| {
        let share = p.done as f64 / p.total.max(1) as f64;
        screen.preparing(&format!("preparing the text: {:?}", p.stage).to_lowercase(), share);
        !screen.interrupted()
    };
    match prepare(&corpus_spec(&plan.recipe, &plan.origin.base), &options.cache, &mut report) {
        Ok(prepared) => {
            let m = &prepared.manifest;
            let how = if prepared.reused { "reused" } else { "made" };
            let (train, held) = (Tokens(m.tokens_train), Tokens(m.tokens_validation));
            say(&format!("text: {train} tokens to train on, {held} held back ({how} {})", prepared.directory.display()));
            if m.invalid_utf8 > 0 {
                say(&format!("warning: {} bytes that are not UTF-8 were replaced", m.invalid_utf8));
            }
            Ok(prepared)
        }
        Err(DataError::Interrupted) => {
            say("stopped before anything was trained");
            Err(Stop(Exit::Interrupted))
        }
        Err(error) => bad_text(&error, origin),
    }
}

/// Says what is wrong with the text, at the recipe's own words where they are to blame.
fn bad_text(error: &DataError, origin: Option<&Origin>) -> Outcomes<Prepared> {
    let field = match error {
        DataError::NoMatch { .. } | DataError::Empty { .. } | DataError::Unsupported { .. } | DataError::TooSmall { .. } => {
            "data.sources"
        }
        DataError::Vocabulary { .. } => "data.tokenizer.vocab",
        DataError::Unreadable { .. } | DataError::Corrupt { .. } | DataError::Interrupted => {
            return stop(Exit::Failed, &error.to_string(), "");
        }
    };
    let Some(Origin { sources, places }) = origin else { return stop(Exit::Invalid, &error.to_string(), "") };
    let text = error.to_string();
    // The way out stands after the last colon; a path may have colons before it.
    let (message, help) = text.rsplit_once(": ").unwrap_or((&text, "name other text"));
    let here = if field == "data.sources" { "this text" } else { "more than the text gives" };
    render::show(&[Diagnostic::error(Code::BadText, places.of(field), message).here(here).help(help)], sources);
    Err(Stop(Exit::Invalid))
}

/// Makes the run's directory and puts in what is known before the run.
fn directory(runs: &Path, plan: &Plan, suffix: &str, recipe: &str, prepared: &Prepared) -> Outcomes<RunDirectory> {
    let time = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let name = format!("{}{suffix}-{time}", plan.recipe.name);
    let made = RunDirectory::create(runs, &name).and_then(|directory| {
        if !recipe.is_empty() {
            write_durably(&directory.file(files::RECIPE), recipe.as_bytes())?;
        }
        write_durably(&directory.file(files::PLAN), plan.save().as_bytes())?;
        std::fs::copy(prepared.directory.join(files::TOKENIZER), directory.file(files::TOKENIZER))?;
        Ok(directory)
    });
    made.or_else(|e| {
        stop(
            Exit::Failed,
            &format!("the run's directory in `{}` cannot be made: {e}", runs.display()),
            "choose another place with `--runs`",
        )
    })
}

/// Trains and says what came of it.
fn go(
    plan: &Plan,
    directory: &RunDirectory,
    prepared: &Prepared,
    hardware: &Hardware,
    (start, pace): (Start, Pace),
    screen: &mut Screen,
) -> Outcomes<(Exit, Outcome)> {
    say(&format!("run: {} on {}", directory.path().display(), plan.device.name));
    let job = Job {
        plan,
        directory,
        shards: &prepared.shards,
        corpus: &prepared.manifest.key,
        language: prepared.manifest.synthetic,
        device: hardware.device.clone(),
        form: hardware.form,
        start,
        pace,
    };
    let result = train(&job, screen);
    screen.close();
    match result {
        Ok(outcome) => {
            let exit = report(&outcome, directory.path());
            Ok((exit, outcome))
        }
        Err(failure) => {
            explain(&failure, plan, directory.path());
            Err(Stop(Exit::Failed))
        }
    }
}

fn dry(plan: &Plan, prepared: &Prepared, hardware: &Hardware, screen: &mut Screen) -> Outcomes<Exit> {
    let result = dry_run(plan, &prepared.shards, &hardware.device, hardware.form, screen);
    screen.close();
    match result {
        Ok(Some(seen)) => {
            print(&dry_text(&seen, plan));
            Ok(Exit::Success)
        }
        Ok(None) => Ok(Exit::Interrupted),
        Err(error) => {
            explain(&Failure { error, step: 0, checkpoint: None }, plan, Path::new(""));
            Err(Stop(Exit::Failed))
        }
    }
}
