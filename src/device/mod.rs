//! Devices: what a machine can hold and how fast it is, each number with its source.
//!
//! Invariant: nothing here knows a recipe, and nothing here looks at the machine.

pub mod calibration;
mod catalog;
pub mod cuda;
mod host;
pub mod law;

use serde::{Deserialize, Serialize};

pub use calibration::Calibrated;
pub use catalog::{catalog, find, of_model};
pub use host::{Cache, HostFacts, Lanes, cpu};

use crate::units::{ByteRate, Bytes, FlopRate, Seconds};

/// A number and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sourced<T> {
    /// The number.
    pub value: T,
    /// A data sheet, a measurement, or an assumption and its reason.
    pub source: String,
}

impl<T> Sourced<T> {
    /// A number with its source.
    pub fn new(value: T, source: impl Into<String>) -> Self {
        Self { value, source: source.into() }
    }
}

/// What kind of device it is; decides how operations are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// A CPU, through burn's `flex`.
    Cpu {
        /// Threads that work at once.
        threads: u64,
    },
    /// An NVIDIA card, through burn's CUDA backend.
    Cuda,
    /// An AMD card. This program does not run on it: it can be planned for, with operations carried out as on CUDA.
    Rocm,
}

impl DeviceKind {
    /// Whether a plan for one kind can be run on the other.
    pub fn runs_on(self, machine: Self) -> bool {
        matches!((self, machine), (Self::Cpu { .. }, Self::Cpu { .. }) | (Self::Cuda, Self::Cuda))
    }

    /// What it is, in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu { .. } => "cpu",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
        }
    }
}

/// Peak rates of dense matrix products, by the format of the factors; products are added up in f32.
///
/// A rate with structured sparsity, which data sheets like to print, is twice as high and is never meant. What could not be
/// found is absent, as is what a device cannot do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peaks {
    /// f32 without tensor cores.
    pub f32: Sourced<FlopRate>,
    /// Tensor cores on f32 rounded to 10 bits of mantissa.
    #[serde(default)]
    pub tf32: Option<Sourced<FlopRate>>,
    /// Tensor cores on f16. GeForce cards have half the rate of adding up in f16.
    #[serde(default)]
    pub f16: Option<Sourced<FlopRate>>,
    /// Tensor cores on bf16.
    #[serde(default)]
    pub bf16: Option<Sourced<FlopRate>>,
}

impl Peaks {
    /// The peaks of a device of which f32 alone is known.
    pub fn f32(peak: Sourced<FlopRate>) -> Self {
        Self { f32: peak, tf32: None, f16: None, bf16: None }
    }

    /// Every format with its peak, as far as it is known.
    pub fn all(&self) -> [(&'static str, Option<&Sourced<FlopRate>>); 4] {
        [("f32", Some(&self.f32)), ("tf32", self.tf32.as_ref()), ("f16", self.f16.as_ref()), ("bf16", self.bf16.as_ref())]
    }
}

/// A device to plan for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// Its name on the command line and in recipes.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Memory that a program can have.
    pub memory: Sourced<Bytes>,
    /// What the program takes before the first tensor: runtime, context, code.
    pub overhead: Sourced<Bytes>,
    /// Peak rates of matrix products. What is computed now is f32.
    pub peaks: Peaks,
    /// Share of a peak that large matrix products reach.
    pub efficiency: Sourced<f64>,
    /// Memory bandwidth.
    pub bandwidth: Sourced<ByteRate>,
    /// Cost of starting one operation.
    pub launch: Sourced<Seconds>,
    /// Vectors and caches of this machine's CPU, where they could be read: what matrix products copy depends on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<Lanes>,
    /// What was measured of this very machine; where it is there, times come from it and not from the numbers above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibrated>,
}

impl Device {
    /// An NVIDIA card, with what is assumed of every card: what the process takes, the share of the peak, the cost of a launch.
    pub fn card(name: &str, memory: Sourced<Bytes>, peaks: Peaks, bandwidth: Sourced<ByteRate>) -> Self {
        Self {
            name: name.to_owned(),
            kind: DeviceKind::Cuda,
            memory,
            overhead: Sourced::new(cuda::PROCESS, cuda::SOURCE),
            peaks,
            efficiency: Sourced::new(0.5, "assumed: f32 matrix products of small models; calibrate before trusting a day to it"),
            bandwidth,
            launch: Sourced::new(Seconds(5e-6), "assumed: kernel launch and the host's share of it"),
            lanes: None,
            calibration: None,
        }
    }
}

/// A name as it is compared: case does not matter, and `_` or a space is as good as `-`.
pub fn plain_name(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace(['_', ' '], "-")
}

/// The device of a name among some.
pub fn named<'d>(devices: &'d [Device], name: &str) -> Option<&'d Device> {
    let wanted = plain_name(name);
    devices.iter().find(|device| device.name == wanted)
}

/// Of some devices the cards that this program runs on and that have so much memory, the smallest first.
pub fn at_least(devices: &[Device], memory: Bytes) -> Vec<&Device> {
    let mut found: Vec<&Device> = devices.iter().filter(|d| d.kind == DeviceKind::Cuda && d.memory.value >= memory).collect();
    found.sort_by(|a, b| (a.memory.value, &a.name).cmp(&(b.memory.value, &b.name)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_that_would_do_come_smallest_first() {
        let all = catalog();
        let found = at_least(&all, Bytes::gib(30));
        assert!(found.len() > 5 && found.is_sorted_by_key(|d| d.memory.value));
        assert!(found.iter().all(|d| d.kind == DeviceKind::Cuda && d.memory.value >= Bytes::gib(30)));
        assert!(at_least(&all, Bytes::gib(1 << 20)).is_empty());
    }

    #[test]
    fn a_plan_runs_on_its_own_kind_and_never_on_amd() {
        let cpu = DeviceKind::Cpu { threads: 2 };
        assert!(cpu.runs_on(DeviceKind::Cpu { threads: 96 }) && DeviceKind::Cuda.runs_on(DeviceKind::Cuda));
        assert!(!cpu.runs_on(DeviceKind::Cuda) && !DeviceKind::Cuda.runs_on(cpu));
        assert!([cpu, DeviceKind::Cuda, DeviceKind::Rocm].into_iter().all(|kind| !DeviceKind::Rocm.runs_on(kind)));
    }

    #[test]
    fn a_name_is_found_however_it_is_spelled() {
        let all = catalog();
        let card = named(&all, "rtx-2080-ti");
        assert!(card.is_some());
        for name in ["RTX 2080 Ti", "rtx_2080_ti", "Rtx-2080_TI", " rtx-2080-ti "] {
            assert_eq!(named(&all, name), card, "{name}");
        }
        assert_eq!((named(&all, "rtx-2080"), named(&all, "")), (None, None));
    }
}
