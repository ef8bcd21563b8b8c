//! Views of a costed recipe: what fills the memory, and when.
//!
//! A [`profile::Profile`] is a walk as a sequence of moments; each view is a function of it: [`peak::explain`] names the holders of
//! the highest moment, [`picture::svg`] draws memory over time, [`planned::trace`] writes it as trace events.
//!
//! Invariant: views compute nothing of their own about cost; they arrange what [`crate::budget`] says. They take a
//! [`Costed`](crate::check::Costed), feasible or not: a recipe that does not fit is the one whose picture is wanted most.

pub mod holders;
pub mod names;
pub mod peak;
pub mod picture;
pub mod planned;
pub mod profile;
pub mod runs;
pub mod trace;

#[cfg(test)]
pub(crate) mod testing {
    use crate::check::{Costed, cost};
    use crate::device::{Device, HostFacts, Sourced, cpu, find};
    use crate::recipe::testing::recipe;
    use crate::units::Bytes;

    /// The small recipe on a card, or on `cpu`: one with two threads.
    pub fn costed(device: &str) -> Costed {
        cost(&recipe(), &find(device).unwrap_or_else(two_threads))
    }

    fn two_threads() -> Device {
        cpu(&HostFacts {
            model: "test".into(),
            threads: 2,
            clock: None,
            avx512: false,
            halved: false,
            avx2: true,
            memory: Sourced::new(Bytes::gib(8), "test"),
            caches: None,
        })
    }
}
