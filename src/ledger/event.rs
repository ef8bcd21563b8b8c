//! The journal: one JSON object a line, appended and never changed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Something that happened in a run. Times are seconds on the run's own clock, which stands still between a death and a
/// resumption; `at` is the wall clock in UTC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run began.
    Start {
        /// Wall clock.
        at: String,
        /// Version of the program.
        version: String,
        /// Hash of the plan.
        plan: String,
        /// Hash of what the tokens were made from.
        corpus: String,
        /// What it runs on.
        device: String,
        /// The run whose progress is replayed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        replay_of: Option<String>,
    },
    /// The run went on from a checkpoint: steps after `step` that stand before this line are void.
    Resume {
        /// Wall clock.
        at: String,
        /// Steps done at the checkpoint.
        step: u64,
        /// Clock of the run.
        elapsed: f64,
    },
    /// An optimizer step.
    Step {
        /// Its number, from 1.
        step: u64,
        /// Progress at its beginning, 0 to 1: all that the step takes from the clock.
        progress: f64,
        /// Micro-steps in it.
        accumulation: u64,
        /// Learning rate.
        rate: f64,
        /// Mean loss of the predicted tokens, nats.
        loss: f64,
        /// Global L2 norm of the gradient, before clipping.
        norm: f64,
        /// Tokens read so far.
        tokens: u64,
        /// Clock at its end.
        elapsed: f64,
        /// Clock at its beginning, where the schedule depends on it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<f64>,
    },
    /// An evaluation on held-back text.
    Evaluation {
        /// Steps done.
        step: u64,
        /// Progress.
        progress: f64,
        /// Mean loss where the input was `<mask>`, nats.
        mask_loss: Option<f64>,
        /// Mean loss of all tokens to predict, nats.
        loss: Option<f64>,
        /// Clock at its end.
        elapsed: f64,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Steps done.
        step: u64,
        /// How long it took, seconds.
        seconds: f64,
        /// Clock at its end.
        elapsed: f64,
    },
    /// The run ended: `finished`, `interrupted` or `failed`.
    End {
        /// Wall clock.
        at: String,
        /// How.
        reason: String,
        /// Why, where it failed.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        message: Option<String>,
        /// Clock at its end.
        elapsed: f64,
    },
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens a journal for appending; a torn last line, left by a death in mid-write, is closed with a line break.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let torn = fs::read(path).is_ok_and(|bytes| bytes.last().is_some_and(|b| *b != b'\n'));
        let mut file = File::options().create(true).append(true).open(path)?;
        if torn {
            file.write_all(b"\n")?;
        }
        Ok(Self { file })
    }

    /// Appends an event, in one write.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn append(&mut self, event: &Event) -> io::Result<()> {
        let mut line = serde_json::to_string(event).map_err(io::Error::other)?;
        line.push('\n');
        self.file.write_all(line.as_bytes())
    }

    /// Makes everything so far durable.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// All events of a journal; lines that are no events (torn ones) are left out.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read(path: &Path) -> io::Result<Vec<Event>> {
        let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

/// A step as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recorded {
    /// Its number, from 1.
    pub step: u64,
    /// Progress at its beginning.
    pub progress: f64,
    /// Micro-steps in it.
    pub accumulation: u64,
    /// Its loss.
    pub loss: f64,
    /// Clock at its beginning, where it was written down.
    pub clock: Option<f64>,
}

/// The steps that count, in order: those that a resumption or a new beginning made void are left out.
pub fn recorded_steps(events: &[Event]) -> Vec<Recorded> {
    let mut steps: Vec<Recorded> = Vec::new();
    for event in events {
        match event {
            Event::Start { .. } => steps.clear(),
            Event::Resume { step, .. } => steps.retain(|s| s.step <= *step),
            Event::Step { step, progress, accumulation, loss, clock, .. } => {
                let (step, progress, accumulation, loss, clock) = (*step, *progress, *accumulation, *loss, *clock);
                steps.push(Recorded { step, progress, accumulation, loss, clock });
            }
            _ => {}
        }
    }
    steps
}

/// The first step from 1 on that the record lacks although later ones are there.
pub fn gap(steps: &[Recorded]) -> Option<u64> {
    (1..).zip(steps).find(|(expected, step)| *expected != step.step).map(|(expected, _)| expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, progress: f64) -> Event {
        Event::Step {
            step,
            progress,
            accumulation: 1,
            rate: 1e-3,
            loss: 0.1 + 0.2,
            norm: 1.0,
            tokens: step,
            elapsed: 0.0,
            clock: None,
        }
    }

    #[test]
    fn a_torn_line_is_left_out_and_the_next_one_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        Journal::open(&path).unwrap().append(&step(1, 0.0)).unwrap();
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(br#"{"event":"step","st"#).unwrap();
        Journal::open(&path).unwrap().append(&step(2, 1.0 / 3.0)).unwrap();
        assert_eq!(Journal::read(&path).unwrap(), [step(1, 0.0), step(2, 1.0 / 3.0)]);
    }

    #[test]
    fn steps_before_a_resumption_are_void_beyond_its_checkpoint() {
        let resume = Event::Resume { at: String::new(), step: 1, elapsed: 0.0 };
        let steps = recorded_steps(&[step(1, 0.1), step(2, 0.2), step(3, 0.3), resume, step(2, 0.25)]);
        assert_eq!(steps.iter().map(|s| (s.step, s.progress)).collect::<Vec<_>>(), [(1, 0.1), (2, 0.25)]);
    }

    #[test]
    fn a_record_that_lacks_a_step_is_seen() {
        assert_eq!(gap(&recorded_steps(&[step(1, 0.1), step(2, 0.2)])), None);
        assert_eq!(gap(&recorded_steps(&[step(1, 0.1), step(3, 0.2)])), Some(2));
    }
}
