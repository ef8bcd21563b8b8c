//! cramplan
pub mod diag;
pub mod rng;
pub mod source;
