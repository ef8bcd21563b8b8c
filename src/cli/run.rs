//! `cramplan run`

use std::path::{Path, PathBuf};

use super::arguments::{Choice, Run};
use super::screen::Screen;
use super::{Exit, Host, check, complain, hint, print, render, say, world};
use crate::data::{DataError, Prepared, Progress, prepare};
use crate::device::{self, Device, DeviceKind};
use crate::diag::Diagnostic;
use crate::exec::Error;
use crate::exec::corpus::corpus_spec;
use crate::exec::device::{Wish, choose};
use crate::exec::dry::{DryRun, dry_run};
use crate::exec::host::memory::keep_big_buffers;
use crate::exec::run::{Failure, Job, Pace, Start, Watch, run as train};
use crate::exec::walk::Form;
use crate::ledger::{
    Compared, Event, Journal, Outcome, Reason, Recorded, RunDirectory, files, gap, recorded_steps, write_durably,
};
use crate::pipeline::Verdict;
use crate::plan::{self, Plan};
use crate::recipe::decode::Places;
use crate::source::Sources;
use crate::units::{Bytes, Seconds, Tokens};

/// Something that ends the command, already said to the user.
struct Stop(Exit);

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
    let hardware = hardware(&options.device)?;
    if let Some(path) = &options.resume {
        return resume(options, path, &hardware, host);
    }
    if let Some(path) = &options.replay {
        return replay(options, path, &hardware, host);
    }
    let Source { plan, text, origin } = source(options, &hardware)?;
    fits_hardware(&plan, &hardware)?;
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
struct Hardware {
    device: burn::tensor::Device,
    form: Form,
    planned: Device,
}

fn hardware(wish: &str) -> Outcomes<Hardware> {
    let Some(wish) = parse_wish(wish) else {
        return stop(Exit::Invalid, &format!("there is no device `{wish}` to run on"), "say `auto`, `cpu`, `cuda` or `cuda:1`");
    };
    let (device, form) = match choose(wish) {
        Ok(found) => found,
        Err(unavailable) => return stop(Exit::Invalid, &unavailable.to_string(), unavailable.help()),
    };
    let planned = match form {
        Form::Host => world::machine(),
        Form::Plain => card(if let Wish::Cuda(index) = wish { index } else { 0 })?,
    };
    Ok(Hardware { device, form, planned })
}

fn parse_wish(text: &str) -> Option<Wish> {
    match text {
        "auto" => Some(Wish::Auto),
        "cpu" => Some(Wish::Cpu),
        "cuda" => Some(Wish::Cuda(0)),
        _ => text.strip_prefix("cuda:")?.parse().ok().map(Wish::Cuda),
    }
}

/// The catalog's entry for card `index` of this machine, by the name that NVIDIA's tool gives it.
fn card(index: usize) -> Outcomes<Device> {
    let query = ["--query-gpu=name", "--format=csv,noheader", "-i", &index.to_string()];
    let answer = std::process::Command::new("nvidia-smi").args(query).output();
    let name = answer.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_lowercase()).unwrap_or_default();
    let short = name.replace("nvidia", "").replace("geforce", "").replace("tesla", "").replace("quadro", "");
    let slug = short.split_whitespace().collect::<Vec<_>>().join("-");
    let fits = |d: &Device| slug == d.name || (!slug.is_empty() && slug.contains(&d.name));
    match device::catalog().into_iter().filter(fits).max_by_key(|d| d.name.len()).or_else(|| by_prefix(&slug)) {
        Some(device) => Ok(device),
        None => stop(
            Exit::Invalid,
            &format!("the card `{name}` is not in the catalog, so nothing can be planned for it"),
            "see `cramplan devices`; a card of your own cannot be described yet",
        ),
    }
}

/// `h100` is the first word of `h100-sxm`: the slowest of several that begin alike is taken.
fn by_prefix(slug: &str) -> Option<Device> {
    let first = slug.split('-').next().filter(|word| word.len() > 1)?;
    let alike = device::catalog().into_iter().filter(|d| d.name.starts_with(first));
    alike.min_by(|a, b| a.peak.value.0.total_cmp(&b.peak.value.0))
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

fn source(options: &Run, hardware: &Hardware) -> Outcomes<Source> {
    let text = std::fs::read_to_string(&options.recipe).unwrap_or_default();
    if world::is_plan(&text) {
        if !options.set.is_empty() {
            return stop(Exit::Invalid, "a saved plan is run as it is", "give `--set` to `cramplan plan` instead");
        }
        return load_plan(&options.recipe, &text).map(|plan| Source { plan, text: String::new(), origin: None });
    }
    let choice = Choice { recipe: options.recipe.clone(), set: options.set.clone(), device: Some(hardware.planned.name.clone()) };
    let compilation = match world::compile_choice(&choice, hardware.planned.clone()) {
        Ok(compilation) => compilation,
        Err(unreadable) => {
            let (message, help) = unreadable.message();
            return stop(Exit::Invalid, &message, &help);
        }
    };
    render::show(&compilation.diagnostics, &compilation.sources);
    let exit = check::exit(&compilation);
    let origin = compilation.places.map(|places| Origin { sources: compilation.sources, places });
    let Some(Verdict::Feasible(feasible)) = compilation.verdict else { return Err(Stop(exit)) };
    let wanted = feasible.costed().recipe.budget.device.clone();
    if let Some(wanted) = wanted.filter(|name| *name != hardware.planned.name) {
        say(&format!("note: the recipe is for `{wanted}`; this run is planned for `{}`", hardware.planned.name));
    }
    Ok(Source { plan: plan::lower(*feasible, &world::base(&options.recipe)), text, origin })
}

fn load_plan(path: &Path, text: &str) -> Outcomes<Plan> {
    match Plan::load(text) {
        Ok(plan) => Ok(plan),
        Err(stale) => stop(
            Exit::Invalid,
            &format!("the plan `{}` cannot be run: {stale}", path.display()),
            "plan again with `cramplan plan RECIPE --out FILE`",
        ),
    }
}

fn fits_hardware(plan: &Plan, hardware: &Hardware) -> Outcomes<()> {
    let kind = |d: &Device| matches!(d.kind, DeviceKind::Cpu { .. });
    if kind(&plan.device) == kind(&hardware.planned) {
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
    match prepare(&corpus_spec(plan), &options.cache, &mut report) {
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
    render::show(&[Diagnostic::error("bad-text", places.of(field), message).here(here).help(help)], sources);
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

/// Refuses to go on with other tokens than those that the record was made with.
fn same_corpus(events: &[Event], prepared: &Prepared) -> Outcomes<()> {
    let recorded = events.iter().find_map(|e| if let Event::Start { corpus, .. } = e { Some(corpus) } else { None });
    if recorded.is_none_or(|key| *key == prepared.manifest.key) {
        return Ok(());
    }
    let message = "the text, or how it is prepared, is not what this run was begun with: its tokens would mean something else";
    stop(Exit::Invalid, message, "put the files back as they were, or begin a new run with `cramplan run`")
}

fn report(outcome: &Outcome, path: &Path) -> Exit {
    if outcome.reason == Reason::Interrupted {
        say(&format!("stopped and saved after {} steps", outcome.steps.observed.unwrap_or(0.0)));
        say(&format!("go on with `cramplan run --resume {}`", path.display()));
        return Exit::Interrupted;
    }
    print(&summary(outcome, path));
    Exit::Success
}

fn summary(o: &Outcome, path: &Path) -> String {
    let seconds = |c: Compared| format!("planned {}, took {}", Seconds(c.planned), Seconds(c.observed.unwrap_or(f64::NAN)));
    let count = |c: Compared| format!("planned {}, did {}", Tokens(c.planned as u64), Tokens(c.observed.unwrap_or(0.0) as u64));
    let nat = |loss: Option<f64>| loss.map_or("none".to_owned(), |loss| format!("{loss:.3}"));
    let mut references = vec![format!("unigram {}", nat(o.unigram_loss))];
    if let (Some(bigram), Some(best)) = (o.bigram_loss, o.best_loss) {
        references.push(format!("bigram {bigram:.3}"));
        references.push(format!("best reachable {best:.3}"));
    }
    let deadline = o.deadline.map_or(String::new(), |t| format!(" (deadline {})", Seconds(t)));
    [
        format!("finished: {}\n", path.display()),
        format!("  loss      {} nat on `<mask>` of the held-back text; {}", nat(o.mask_loss), references.join(" · ")),
        format!("  time      {}{deadline}", seconds(o.seconds)),
        format!("  steps     {}", count(o.steps)),
        format!("  tokens    {}; {} a second in training", count(o.tokens), Tokens(o.tokens_per_second as u64)),
        format!("  memory    tensors: {}", bytes(o.heap_bytes)),
        format!("            process: {}", bytes(o.resident_bytes)),
        format!("  weights   sha256 {}", o.weights),
    ]
    .join("\n")
}

fn bytes(c: Compared) -> String {
    let planned = Bytes(c.planned as u64);
    match c.observed {
        Some(observed) => format!("planned {planned} at most, observed {}", Bytes(observed as u64)),
        None => format!("planned {planned} at most, not observed"),
    }
}

fn explain(failure: &Failure, plan: &Plan, path: &Path) {
    complain(&format!("the run failed after {} steps: {}", failure.step, failure.error));
    match &failure.error {
        Error::OutOfMemory { .. } | Error::DeviceMemory { .. } => {
            let e = &plan.estimate;
            say(&format!("the plan had promised at most {} of {} ({})", e.peak.bytes, e.limit, e.limit_source));
            hint(&format!("try `--set micro_batch={}`, or close what else uses the memory", (e.micro_batch / 2).max(1)));
        }
        Error::NotFinite { .. } => hint("lower `lr.peak`, set `optimizer.clip`, or raise `optimizer.eps`"),
        Error::Backend { .. } | Error::Disk(_) | Error::File { .. } | Error::Mismatch { .. } => {}
    }
    match &failure.checkpoint {
        Some(checkpoint) => {
            say(&format!("the last good checkpoint is `{}`", checkpoint.display()));
            // A loss that is no number would be met again: what helps there is another recipe, not going on.
            if !matches!(failure.error, Error::NotFinite { .. }) {
                hint(&format!("`cramplan run --resume {}` goes on from it", path.display()));
            }
        }
        None => say("nothing was trained yet, so nothing is lost"),
    }
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

fn resume(options: &Run, path: &Path, hardware: &Hardware, host: Host) -> Outcomes<Exit> {
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

fn replay(options: &Run, path: &Path, hardware: &Hardware, host: Host) -> Outcomes<Exit> {
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

fn dry_text(seen: &DryRun, plan: &Plan) -> String {
    let time = |c: Compared| format!("planned {}, took {}", Seconds(c.planned), Seconds(c.observed.unwrap_or(f64::NAN)));
    let rate = plan.estimate.micro_tokens as f64 / seen.micro_step.observed.unwrap_or(f64::NAN);
    [
        format!("{}: three micro-steps and an update on {}; nothing was saved\n", plan.recipe.name, plan.device.name),
        format!("  micro-step  {}; {} tokens a second", time(seen.micro_step), Tokens(rate as u64)),
        format!("  update      {}", time(seen.update)),
        format!("  tensors     {}", bytes(seen.heap_bytes)),
        format!("  process     {}", bytes(seen.resident_bytes)),
        format!("  loss        {:.3} nat", seen.loss),
    ]
    .join("\n")
}
