//! Choices: a function of the seed, the recipe, the purpose and how many were made before.

use cramplan::rng::{Purpose, Stream};

use super::SEED;

/// A row of draws.
#[derive(Debug)]
pub struct Draw {
    stream: Stream,
    purpose: u64,
    position: u64,
}

impl Draw {
    /// The draws of a recipe for a purpose.
    pub fn new(recipe: &str, purpose: u64) -> Self {
        // FNV-1a: the name is part of the key, so that a recipe's mutants do not depend on the recipes before it.
        let key = recipe.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Self { stream: Stream::new(SEED ^ key, Purpose::Order), purpose, position: 0 }
    }

    /// Uniform in 0..n; 0 where n is 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.position += 1;
        self.stream.below(self.purpose, self.position, n as u64) as usize
    }

    /// One of several, if there are any.
    pub fn one<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len());
        items.get(index)
    }

    /// Up to `n` of several, in random order, each at most once.
    pub fn some<T: Clone>(&mut self, items: &[T], n: usize) -> Vec<T> {
        let mut left = items.to_vec();
        let mut taken = Vec::new();
        while taken.len() < n && !left.is_empty() {
            taken.push(left.swap_remove(self.below(left.len())));
        }
        taken
    }
}
