//! Choosing the micro-batch: the fastest that fits.

use std::collections::BTreeMap;

use super::{Estimate, estimate};
use crate::device::Device;
use crate::recipe::settings::Recipe;
use crate::step::{StepGraphs, Walk};

/// A micro-batch within this factor of the fastest is as good; the one that needs least memory is taken.
const AS_GOOD: f64 = 1.01;

/// Largest micro-batch that is considered.
const LARGEST: u64 = 4096;

/// The micro-batches that are considered: the divisors of the full batch, so that no step is rounded up.
pub fn candidates(full_batch: u64) -> Vec<u64> {
    (1..=full_batch.min(LARGEST)).filter(|b| full_batch.is_multiple_of(*b)).collect()
}

/// The micro-batch that is taken where the recipe says `Auto`, with its graphs and estimate.
///
/// Memory grows with the micro-batch, so the candidates that fit are a prefix, and its end is found by bisection; where none
/// fits, the smallest is returned and its estimate says so. The time of a token falls with the micro-batch, since each
/// operation starts once for more of them, so the smallest that is as good as the largest is found by bisection too.
pub fn best_micro_batch(recipe: &Recipe, device: &Device) -> (StepGraphs, Estimate) {
    let batches = candidates(recipe.full_batch());
    let mut search = Search { recipe, device, last: None, tried: BTreeMap::new() };
    let fitting = first_that(batches.len(), |i| !search.estimate(batches[i]).fits());
    let largest = fitting.saturating_sub(1);
    let enough = seconds_per_token(search.estimate(batches[largest])) * AS_GOOD;
    let chosen = first_that(largest, |i| seconds_per_token(search.estimate(batches[i])) <= enough);
    search.found(batches[chosen])
}

/// A search among micro-batches, each costed once.
struct Search<'a> {
    recipe: &'a Recipe,
    device: &'a Device,
    /// The graphs that were costed last: the next ones share what does not depend on the micro-batch, and then take their memory, which is
    /// faster than more of it.
    last: Option<StepGraphs>,
    tried: BTreeMap<u64, Estimate>,
}

impl Search<'_> {
    fn estimate(&mut self, batch: u64) -> &Estimate {
        if !self.tried.contains_key(&batch) {
            let graphs = self.graphs(batch);
            self.tried.insert(batch, estimate(self.recipe, &graphs, self.device));
            self.last = Some(graphs);
        }
        &self.tried[&batch]
    }

    fn graphs(&mut self, batch: u64) -> StepGraphs {
        match self.last.take() {
            Some(last) if last.extents.batch == batch => last,
            Some(last) => last.at(self.recipe, batch),
            None => StepGraphs::build(self.recipe, batch),
        }
    }

    fn found(mut self, batch: u64) -> (StepGraphs, Estimate) {
        let graphs = self.graphs(batch);
        let estimate = self.tried.remove(&batch).unwrap_or_else(|| estimate(self.recipe, &graphs, self.device));
        (graphs, estimate)
    }
}

/// The first number below `n` for which `holds`, or `n`; it must hold for every number from there on.
fn first_that(n: usize, mut holds: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

fn seconds_per_token(e: &Estimate) -> f64 {
    let micro = e.walk(Walk::First).time + e.walk(Walk::Further).time * (e.accumulation - 1) as f64;
    (micro + e.walk(Walk::Update).time).0 / (e.accumulation * e.micro_tokens) as f64
}

#[cfg(test)]
mod tests {
    use super::{candidates, first_that};

    #[test]
    fn candidates_divide_the_batch() {
        assert_eq!(candidates(12), [1, 2, 3, 4, 6, 12]);
    }

    #[test]
    fn bisection_finds_the_first() {
        for n in 0..20 {
            for first in 0..=n {
                assert_eq!(first_that(n, |i| i >= first), first);
            }
        }
    }
}
