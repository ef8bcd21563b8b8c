//! The executor: walks the plan's step graphs on burn, and runs nothing else.
//!
//! On the CPU, operations run as fused kernels on the tensors' own memory ([`walk::Form::Host`]), elsewhere as chains of
//! burn's tensor operations ([`walk::Form::Plain`]). burn's autodiff is not used here; it is what the tests hold every
//! gradient against.
//!
//! Invariant: nothing here knows the recipe's text; what a step takes from the clock is one number, its progress, which
//! is recorded.

pub mod clock;
pub mod corpus;
pub mod device;
pub mod dry;
pub mod error;
pub mod evaluate;
pub mod host;
pub mod job;
pub mod op;
pub mod probe;
mod recorder;
pub mod run;
mod session;
pub mod state;
pub mod trainer;
pub mod value;
pub mod walk;

pub use error::Error;
