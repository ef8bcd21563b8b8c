//! A calibration: what `cramplan probe` has measured of a machine, and what follows from it for any operation.
//!
//! Invariant: nothing here reads a file or a clock; the outermost layer does both.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::law::{Entry, Kind, Law, TERMS, Work};
use crate::units::{ByteRate, Ratio, Seconds};

/// Format of a saved calibration; one of another is of no use.
pub const FORMAT: u32 = 1;

/// What a calibration belongs to: it holds on this machine, for this program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The device's name, as recipes name it.
    pub device: String,
    /// The model of the processor or card.
    pub model: String,
    /// Threads that worked; 0 on a card.
    pub threads: u64,
    /// Version of the program whose kernels were measured.
    pub program: String,
}

/// The measurements of one kind of operation, and the law that was fitted to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Cost of each term of the law, seconds.
    pub costs: [f64; TERMS],
    /// Extents, median seconds and spread of each shape.
    pub entries: Vec<Entry>,
}

/// What was measured of a machine; this is what is saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Format of the file.
    pub format: u32,
    /// What was measured.
    pub machine: Machine,
    /// When, UTC.
    pub at: String,
    /// How long measuring took, seconds.
    pub took: f64,
    /// By how much a step may differ from its estimate, either way: nine in ten of the chains of operations that were measured
    /// were met this well by the laws of all others.
    pub error: Ratio,
    /// By how much the time of one and the same chain differed from walk to walk: half of what lies between the quarters.
    pub noise: Ratio,
    /// Rate at which a checkpoint was written, syncs included.
    pub disk: Option<ByteRate>,
    /// The measurements.
    pub kinds: BTreeMap<Kind, Measured>,
}

/// Why a calibration says nothing of a machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It was written by another version.
    #[error("it is of cramplan {found}, this is {here}")]
    Program {
        /// The version that measured.
        found: String,
        /// This version.
        here: String,
    },
    /// Another processor or card.
    #[error("it is of another machine: `{found}`, this is `{here}`")]
    Model {
        /// The model that was measured.
        found: String,
        /// This machine's.
        here: String,
    },
    /// Another number of threads.
    #[error("it is of {found} threads, and {here} work here")]
    Threads {
        /// As measured.
        found: u64,
        /// As now.
        here: u64,
    },
}

impl Calibration {
    /// The calibration as it is saved.
    pub fn save(&self) -> String {
        let pretty = ron::ser::PrettyConfig::new().depth_limit(3).indentor(String::new());
        // Serialising plain data to a string cannot fail.
        ron::ser::to_string_pretty(self, pretty).unwrap_or_default() + "\n"
    }

    /// Reads a saved calibration and holds it against the machine that it is wanted for.
    ///
    /// # Errors
    /// Why it says nothing of that machine.
    pub fn load(text: &str, here: &Machine) -> Result<Self, Mismatch> {
        let calibration: Self = ron::from_str(text).map_err(|e| Mismatch::Unreadable(e.to_string()))?;
        calibration.belongs_to(here).map(|()| calibration)
    }

    fn belongs_to(&self, here: &Machine) -> Result<(), Mismatch> {
        let found = &self.machine;
        if self.format != FORMAT || found.program != here.program {
            return Err(Mismatch::Program { found: found.program.clone(), here: here.program.clone() });
        }
        if found.model != here.model || found.device != here.device {
            return Err(Mismatch::Model { found: found.model.clone(), here: here.model.clone() });
        }
        if found.threads != here.threads {
            return Err(Mismatch::Threads { found: found.threads, here: here.threads });
        }
        Ok(())
    }
}

/// A calibration in use: where it is from, and its laws. The laws are not saved with the device; a device that is read back
/// knows that its times were measured, and no longer how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// When it was measured, UTC.
    pub at: String,
    /// Of what.
    pub machine: Machine,
    /// By how much a step may differ from its estimate.
    pub error: Ratio,
    /// Rate of writing a checkpoint.
    pub disk: Option<ByteRate>,
    /// The laws, by kind.
    #[serde(skip)]
    laws: Arc<Vec<Option<Law>>>,
}

impl Calibrated {
    /// Makes a calibration ready for use.
    pub fn new(calibration: &Calibration) -> Self {
        let Calibration { machine, at, error, disk, kinds, .. } = calibration;
        let law = |kind: Kind| {
            let Measured { costs, entries } = kinds.get(&kind)?;
            Some(Law::with_costs(kind, *costs, entries, machine.threads))
        };
        let laws = Arc::new(Kind::ALL.into_iter().map(law).collect());
        Self { at: at.clone(), machine: machine.clone(), error: *error, disk: *disk, laws }
    }

    /// How long some work takes; none where no such work was measured.
    pub fn seconds(&self, work: &Work) -> Option<Seconds> {
        let law = self.laws.get(work.kind as usize)?.as_ref()?;
        Some(Seconds(law.seconds(work)))
    }

    /// The costs of the terms of a kind's law, seconds, without what corrects them; none where no such work was measured.
    pub fn costs(&self, kind: Kind) -> Option<[f64; TERMS]> {
        Some(self.laws.get(kind as usize)?.as_ref()?.costs())
    }
}

impl fmt::Display for Calibrated {
    /// What a verdict says of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.at.split('T').next().unwrap_or(&self.at);
        write!(f, "measured on this machine {day}, `cramplan probe`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine { device: "cpu".into(), model: "AMD EPYC".into(), threads: 2, program: "0.1.0".into() }
    }

    fn calibration() -> Calibration {
        let entry = |n, seconds| Entry { extents: [n, 0, 0, 0], seconds, spread: 0.012 };
        let entries = vec![entry(1000, 1.2345e-6), entry(100_000, 6.7891e-5)];
        let costs = Law::fit(Kind::Add, &entries, 2).unwrap().costs();
        Calibration {
            format: FORMAT,
            machine: machine(),
            at: "2026-11-25T03:29:40Z".into(),
            took: 50.0,
            error: Ratio(0.1),
            noise: Ratio(0.02),
            disk: Some(ByteRate(2.6e8)),
            kinds: [(Kind::Add, Measured { costs, entries })].into(),
        }
    }

    #[test]
    fn what_is_saved_is_what_is_read() {
        let calibration = calibration();
        assert_eq!(Calibration::load(&calibration.save(), &machine()), Ok(calibration));
    }

    #[test]
    fn it_is_of_no_use_on_another_machine_or_to_another_program() {
        let text = calibration().save();
        let refused = |change: fn(&mut Machine)| {
            let mut here = machine();
            change(&mut here);
            Calibration::load(&text, &here).unwrap_err()
        };
        assert!(matches!(refused(|m| m.program = "0.2.0".into()), Mismatch::Program { .. }));
        assert!(matches!(refused(|m| m.model = "Xeon".into()), Mismatch::Model { .. }));
        assert!(matches!(refused(|m| m.threads = 4), Mismatch::Threads { found: 2, here: 4 }));
        assert!(matches!(Calibration::load("Calibration(", &machine()), Err(Mismatch::Unreadable(_))));
    }

    #[test]
    fn in_use_it_gives_measured_times_and_none_for_what_was_not_measured() {
        let used = Calibrated::new(&calibration());
        let seconds = used.seconds(&Work::new(Kind::Add, &[1000])).unwrap().0;
        assert!((seconds / 1.2345e-6 - 1.0).abs() < 1e-4);
        assert_eq!(used.seconds(&Work::new(Kind::AdamW, &[1000])), None);
        assert_eq!(used.to_string(), "measured on this machine 2026-11-25, `cramplan probe`");
    }
}
