//! Seeded draws for tests that make up their cases.

#![allow(dead_code, reason = "each test file uses its part")]

use cramplan::rng::{Purpose, Stream};

/// Numbers that follow from a seed.
pub struct Draws {
    stream: Stream,
    count: u64,
}

impl Draws {
    /// Begins.
    pub fn new(seed: u64) -> Self {
        Self { stream: Stream::new(seed, Purpose::Init), count: 0 }
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.count += 1;
        self.stream.below(0, self.count, n)
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}
