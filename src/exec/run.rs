//! A run from beginning to end, or to the reason why it failed.

use std::path::PathBuf;

use super::error::Error;
use super::job::{Job, Start, Watch};
use super::session::Session;
use crate::ledger::{Event, Journal, Outcome, Position, files};

/// Why a run failed, and what is left of it.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub error: Error,
    /// Optimizer steps that were done.
    pub step: u64,
    /// The last good checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// Runs a plan from where it begins to the end of its budget.
///
/// # Errors
/// What went wrong, with the last good checkpoint; the record says it too.
pub fn run(job: &Job<'_>, watch: &mut dyn Watch) -> Result<Outcome, Box<Failure>> {
    let begun = match &job.start {
        Start::Checkpoint(checkpoints) => checkpoints.last().map_or(Position::default(), |(_, position)| *position),
        Start::Fresh => Position::default(),
    };
    let (mut step, mut elapsed) = (begun.step, begun.elapsed);
    let result = Session::begin(job, watch).and_then(|mut session| {
        let result = session.train();
        (step, elapsed) = session.stands();
        if result.is_err() {
            // The failure itself is what counts.
            let _ = session.write_trace();
        }
        result
    });
    result.map_err(|error| {
        let checkpoint = job.directory.checkpoints().newest().ok().flatten().map(|(path, _)| path);
        let end = Event::End { at: watch.now(), reason: "failed".into(), message: Some(error.to_string()), elapsed };
        // The failure itself is what counts; that it cannot be recorded as well is not worth hiding it.
        let _ = Journal::open(&job.directory.file(files::METRICS)).and_then(|mut journal| journal.append(&end));
        Box::new(Failure { error, step, checkpoint })
    })
}
