//! Runs that are gone on with, and runs that are done over again.

use std::path::{Path, PathBuf};

use super::stale::load_plan;
use super::{Hardware, Outcomes, directory, fits_hardware, go, prepared, report, stop};
use crate::cli::arguments::Run;
use crate::cli::screen::Screen;
use crate::cli::{Exit, Host, say};
use crate::data::Prepared;
use crate::exec::job::{Pace, Start};
use crate::ledger::{Event, Journal, Outcome, Reason, Recorded, RunDirectory, files, gap, recorded_steps};
use crate::plan::Plan;

/// Refuses to go on with other tokens than those that the record was made with.
fn same_corpus(events: &[Event], prepared: &Prepared) -> Outcomes<()> {
    let recorded = events.iter().find_map(|e| if let Event::Start { corpus, .. } = e { Some(corpus) } else { None });
    if recorded.is_none_or(|key| *key == prepared.manifest.key) {
        return Ok(());
    }
    let message = "the text, or how it is prepared, is not what this run was begun with: its tokens would mean something else";
    stop(Exit::Invalid, message, "put the files back as they were, or begin a new run with `cramplan run`")
}

/// Opens a run's directory with its plan.
fn open(path: &Path) -> Outcomes<(RunDirectory, Plan)> {
    let opened = if path.join(files::PLAN).is_file() { Some(RunDirectory::open(path)) } else { None };
    let directory = match opened {
        Some(Ok(directory)) => directory,
        Some(Err(e)) if e.kind() == std::io::ErrorKind::WouldBlock => {
            return stop(Exit::Invalid, &format!("another process works in `{}`", path.display()), "wait for it, or stop it");
        }
        Some(Err(e)) => {
            let message = format!("the run `{}` cannot be opened: {e}", path.display());
            return stop(Exit::Invalid, &message, "check that you may write there");
        }
        None => {
            return stop(
                Exit::Invalid,
                &format!("`{}` is not the directory of a run", path.display()),
                "it is one of those in `runs`",
            );
        }
    };
    let plan_path = directory.file(files::PLAN);
    let text = std::fs::read_to_string(&plan_path).unwrap_or_default();
    load_plan(&plan_path, &text).map(|plan| (directory, plan))
}

/// Goes on with a run from its newest checkpoint.
pub fn resume(options: &Run, path: &Path, hardware: &Hardware, host: Host) -> Outcomes<Exit> {
    let (directory, plan) = open(path)?;
    fits_hardware(&plan, hardware)?;
    if let Some(outcome) = finished(directory.path()) {
        say("this run is finished; there is nothing to resume");
        return Ok(report(&outcome, path));
    }
    let metrics = directory.file(files::METRICS);
    let events = if metrics.exists() { read_journal(&metrics)? } else { Vec::new() };
    let start = match directory.checkpoints().all() {
        Ok(checkpoints) if checkpoints.is_empty() => {
            say("no checkpoint was written yet; beginning anew");
            Start::Fresh
        }
        Ok(checkpoints) => Start::Checkpoint(checkpoints),
        Err(e) => {
            return stop(Exit::Failed, &format!("the checkpoints cannot be read: {e}"), "check the directory's permissions");
        }
    };
    let replayed = events.iter().find_map(|e| if let Event::Start { replay_of, .. } = e { replay_of.clone() } else { None });
    let mut screen = Screen::new(host);
    let prepared = prepared(&plan, options, None, &mut screen)?;
    same_corpus(&events, &prepared)?;
    let Some(of) = replayed else {
        return go(&plan, &directory, &prepared, hardware, (start, Pace::Budget), &mut screen).map(|(exit, _)| exit);
    };
    let original = Original::read(Path::new(&of))?;
    let pace = Pace::Replay { of, steps: original.steps.clone() };
    let (exit, outcome) = go(&plan, &directory, &prepared, hardware, (start, pace), &mut screen)?;
    if exit == Exit::Success { compare(&original, &directory, &outcome) } else { Ok(exit) }
}

fn finished(run: &Path) -> Option<Outcome> {
    let text = std::fs::read(run.join(files::OUTCOME)).ok()?;
    serde_json::from_slice(&text).ok().filter(|o: &Outcome| o.reason == Reason::Finished)
}

fn read_journal(metrics: &Path) -> Outcomes<Vec<Event>> {
    let unreadable =
        |e| stop(Exit::Invalid, &format!("`{}` cannot be read: {e}", metrics.display()), "it must be the record of a run");
    Journal::read(metrics).or_else(unreadable)
}

/// A run that is done over again.
struct Original {
    events: Vec<Event>,
    steps: Vec<Recorded>,
    outcome: Option<Outcome>,
}

impl Original {
    fn read(path: &Path) -> Outcomes<Self> {
        let metrics = path.join(files::METRICS);
        let events = read_journal(&metrics)?;
        let steps = recorded_steps(&events);
        if steps.is_empty() {
            return stop(
                Exit::Invalid,
                &format!("`{}` has no steps to replay", path.display()),
                "name a run that has begun to train",
            );
        }
        if let Some(step) = gap(&steps) {
            let message = format!("`{}` lacks step {step}, so what came after it cannot be replayed", metrics.display());
            return stop(Exit::Invalid, &message, "the record must be as the run wrote it");
        }
        Ok(Self { events, steps, outcome: finished(path) })
    }
}

/// Does a run over again as it was recorded, and compares.
pub fn replay(options: &Run, path: &Path, hardware: &Hardware, host: Host) -> Outcomes<Exit> {
    let original = Original::read(path)?;
    let plan_path = path.join(files::PLAN);
    let plan = load_plan(&plan_path, &std::fs::read_to_string(&plan_path).unwrap_or_default())?;
    fits_hardware(&plan, hardware)?;
    let mut screen = Screen::new(host);
    let prepared = prepared(&plan, options, None, &mut screen)?;
    same_corpus(&original.events, &prepared)?;
    let recipe = std::fs::read_to_string(path.join(files::RECIPE)).unwrap_or_default();
    let directory = directory(&options.runs, &plan, "-replay", &recipe, &prepared)?;
    let of: PathBuf = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let pace = Pace::Replay { of: of.display().to_string(), steps: original.steps.clone() };
    let (exit, outcome) = go(&plan, &directory, &prepared, hardware, (Start::Fresh, pace), &mut screen)?;
    if exit == Exit::Success { compare(&original, &directory, &outcome) } else { Ok(exit) }
}

/// Says whether a replay met the same losses and, where the original was finished, the same weights.
fn compare(original: &Original, directory: &RunDirectory, outcome: &Outcome) -> Outcomes<Exit> {
    let new = recorded_steps(&read_journal(&directory.file(files::METRICS))?);
    let old = &original.steps;
    let differs = |(a, b): &(&Recorded, &Recorded)| a.loss.to_bits() != b.loss.to_bits();
    if let Some((a, b)) = old.iter().zip(&new).find(differs) {
        let message = format!("the replay differs from step {} on: loss {} was {}", a.step, b.loss, a.loss);
        return stop(Exit::Failed, &message, "the same program on the same device gives the same numbers; what has changed?");
    }
    if old.len() != new.len() {
        return stop(Exit::Failed, &format!("the replay has {} steps, the original {}", new.len(), old.len()), "");
    }
    match original.outcome.as_ref().map(|o| o.weights == outcome.weights) {
        Some(false) => stop(Exit::Failed, "the losses are the same, the final weights are not", ""),
        Some(true) => {
            say(&format!("the replay is identical: {} losses and the final weights, to the bit", new.len()));
            Ok(Exit::Success)
        }
        None => {
            say(&format!("the replay is identical: {} losses, to the bit; the original has no final weights", new.len()));
            Ok(Exit::Success)
        }
    }
}
