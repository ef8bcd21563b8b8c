//! Choosing the micro-batch: the fastest that fits.

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
/// Memory grows with the micro-batch, so the candidates that fit are a prefix; where none fits, the smallest is returned and
/// its estimate says so.
pub fn best_micro_batch(recipe: &Recipe, device: &Device) -> (StepGraphs, Estimate) {
    let mut fitting: Vec<(StepGraphs, Estimate)> = Vec::new();
    for batch in candidates(recipe.full_batch()) {
        let graphs = StepGraphs::build(recipe, batch);
        let estimate = estimate(recipe, &graphs, device);
        if !estimate.fits() && !fitting.is_empty() {
            break;
        }
        let fits = estimate.fits();
        fitting.push((graphs, estimate));
        if !fits {
            break;
        }
    }
    let fastest = fitting.iter().map(|(_, e)| seconds_per_token(e)).fold(f64::INFINITY, f64::min);
    let chosen = fitting.iter().position(|(_, e)| seconds_per_token(e) <= fastest * AS_GOOD).unwrap_or(0);
    fitting.swap_remove(chosen)
}

fn seconds_per_token(e: &Estimate) -> f64 {
    let micro = e.walk(Walk::First).time + e.walk(Walk::Further).time * (e.accumulation - 1) as f64;
    (micro + e.walk(Walk::Update).time).0 / (e.accumulation * e.micro_tokens) as f64
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn candidates_divide_the_batch() {
        assert_eq!(candidates(12), [1, 2, 3, 4, 6, 12]);
    }
}
