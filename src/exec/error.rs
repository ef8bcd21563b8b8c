//! What can go wrong while a plan runs.

use std::path::PathBuf;

use crate::units::Bytes;

/// Why a run stopped before its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device has not the memory that an operation needs.
    #[error("out of memory while holding {held}: {wanted} more could not be had for {what}")]
    OutOfMemory {
        /// The operation.
        what: String,
        /// What it asked for.
        wanted: Bytes,
        /// What the tensors held already, by the plan.
        held: Bytes,
    },
    /// A card has not the memory that a walk needs.
    #[error("out of memory in the {place}: {message}")]
    DeviceMemory {
        /// Which walk.
        place: String,
        /// What the backend said.
        message: String,
    },
    /// A loss or a gradient is not a number any more.
    #[error("{what} of step {step} is not finite: {value}")]
    NotFinite {
        /// Loss, gradient norm or weight.
        what: &'static str,
        /// Optimizer step, from 1.
        step: u64,
        /// The value.
        value: f64,
    },
    /// The backend failed.
    #[error("the device failed in {place}: {message}")]
    Backend {
        /// Which operation.
        place: String,
        /// What it said.
        message: String,
    },
    /// A checkpoint could not be written.
    #[error("a checkpoint could not be written: {0}")]
    Disk(#[from] std::io::Error),
    /// A file could not be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A saved state does not fit the plan.
    #[error("`{}` does not fit the plan: {why}", path.display())]
    Mismatch {
        /// Which file.
        path: PathBuf,
        /// What is different.
        why: String,
    },
}
