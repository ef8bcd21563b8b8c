//! Devices: what a machine can hold and how fast it is, each number with its source.
//!
//! Invariant: nothing here knows a recipe.

pub mod calibration;
mod catalog;
mod host;
pub mod law;

pub use calibration::Calibrated;
pub use catalog::{catalog, find};
pub use host::{HostFacts, cpu};

use serde::{Deserialize, Serialize};

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
    /// The CPU, through burn's `flex`.
    Cpu {
        /// Threads that work at once.
        threads: u64,
    },
    /// An NVIDIA card, through burn's CUDA backend.
    Cuda,
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
    /// Peak rate of f32 matrix products.
    pub peak: Sourced<FlopRate>,
    /// Share of that peak that large matrix products reach.
    pub efficiency: Sourced<f64>,
    /// Memory bandwidth.
    pub bandwidth: Sourced<ByteRate>,
    /// Cost of starting one operation.
    pub launch: Sourced<Seconds>,
    /// What was measured of this very machine; where it is there, times come from it and not from the numbers above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibrated>,
}
