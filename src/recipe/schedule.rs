//! Learning rate, batch and masks as functions of where a run stands.
//!
//! One [`Moment`] goes in, whoever asks: the planner that simulates the run, the executor that does it, a replay that does it over again,
//! and `cramplan schedule` that draws it. What a step takes from the clock is in the moment, and written down.
//!
//! # Deviations from the official code
//!
//! The paper's code is "Cramming: Training a Language Model on a Single GPU in One Day" (Geiping & Goldstein); its numbers are reproduced by
//! `counting: Official(..)` and held against what it prints in `tests/golden.rs`. Counted exactly, the following differs:
//!
#![doc = include_str!("schedule/deviations.md")]

mod batch;
mod course;
mod masks;
mod moment;
mod rate;
#[cfg(test)]
mod tests;

pub use self::batch::StageEnd;
pub use self::moment::Moment;
