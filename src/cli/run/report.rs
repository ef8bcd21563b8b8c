//! What is said at the end of a run.

use std::path::Path;

use crate::cli::{Exit, complain, hint, print, say};
use crate::exec::Error;
use crate::exec::dry::DryRun;
use crate::exec::run::Failure;
use crate::ledger::{Compared, Outcome, Reason};
use crate::plan::Plan;
use crate::units::{Bytes, Ratio, Seconds, Tokens};

/// Says what came of a run.
pub fn report(outcome: &Outcome, path: &Path) -> Exit {
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
        format!(
            "  tokens    {}; {} a second in training, {} of the peak (MFU)",
            count(o.tokens),
            Tokens(o.tokens_per_second as u64),
            Ratio(o.utilisation)
        ),
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

/// Says why a run failed, what is left of it and what can be done.
pub fn explain(failure: &Failure, plan: &Plan, path: &Path) {
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

/// What a dry run saw, held against the plan.
pub fn dry_text(seen: &DryRun, plan: &Plan) -> String {
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
