//! What was measured, and what it comes to.

use std::collections::BTreeMap;

use crate::device::calibration::Measured;
use crate::device::law::{Entry, Kind, Law, Work};
use crate::step::Walk;
use crate::units::{ByteRate, Ratio};

/// What a probe has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The measurements and laws.
    pub kinds: BTreeMap<Kind, Measured>,
    /// How well nine in ten of the chains are met by the laws of all others.
    pub error: Ratio,
    /// How much the time of a walk varies: half of what lies between its quarters; the median over the chains.
    pub noise: Ratio,
    /// Rate of writing a checkpoint.
    pub disk: Option<ByteRate>,
    /// Chains that were measured.
    pub chains: usize,
    /// Seconds that it took.
    pub took: f64,
}

/// Seconds by work and chain, and whole walks.
#[derive(Clone, Debug, Default)]
pub struct Record {
    works: BTreeMap<Work, BTreeMap<usize, Vec<f64>>>,
    walks: BTreeMap<(usize, Walk), Walked>,
}

/// The walks of a chain.
#[derive(Clone, Debug, Default)]
struct Walked {
    works: Vec<Work>,
    totals: Vec<f64>,
}

impl Record {
    /// Notes a walk of a chain. Operations of one shape in it count as one, with their mean: so the sums stay what they are.
    pub fn note(&mut self, chain: usize, walk: Walk, works: &[Option<Work>], seconds: &[f64]) {
        let mut sums: BTreeMap<Work, (f64, f64)> = BTreeMap::new();
        for (work, seconds) in works.iter().zip(seconds) {
            if let Some(work) = work {
                let sum = sums.entry(*work).or_default();
                *sum = (sum.0 + seconds, sum.1 + 1.0);
            }
        }
        for (work, (sum, count)) in sums {
            self.works.entry(work).or_default().entry(chain).or_default().push(sum / count);
        }
        let walked = self.walks.entry((chain, walk)).or_default();
        walked.works = works.iter().flatten().copied().collect();
        walked.totals.push(seconds.iter().sum());
    }

    /// What the record comes to.
    pub fn found(&self, threads: u64, disk: Option<ByteRate>, took: f64) -> Found {
        let kinds = self.entries(None).into_iter().filter_map(|(kind, entries)| {
            let costs = Law::fit(kind, &entries, threads)?.costs();
            Some((kind, Measured { costs, entries }))
        });
        let mut noise: Vec<f64> = self.walks.values().map(|walked| median_and_spread(&walked.totals).1).collect();
        noise.sort_by(f64::total_cmp);
        let chains = self.walks.keys().map(|(chain, _)| *chain).collect::<std::collections::BTreeSet<_>>().len();
        Found {
            kinds: kinds.collect(),
            error: Ratio(self.error(threads)),
            noise: Ratio(noise.get(noise.len() / 2).copied().unwrap_or(0.0)),
            disk,
            chains,
            took,
        }
    }

    /// The measured shapes of each kind, without those that one chain alone has.
    fn entries(&self, without: Option<usize>) -> BTreeMap<Kind, Vec<Entry>> {
        let mut kinds: BTreeMap<Kind, Vec<Entry>> = BTreeMap::new();
        for (work, chains) in &self.works {
            let seen: Vec<f64> =
                chains.iter().filter(|(chain, _)| Some(**chain) != without).flat_map(|(_, s)| s.clone()).collect();
            if seen.is_empty() {
                continue;
            }
            let (seconds, spread) = median_and_spread(&seen);
            kinds.entry(work.kind).or_default().push(Entry { extents: work.extents, seconds, spread });
        }
        kinds
    }

    /// By which factor, less one, a micro-step differs from what the laws of all other chains say, in nine cases of ten.
    fn error(&self, threads: u64) -> f64 {
        let mut errors: Vec<f64> = Vec::new();
        for chain in self.walks.keys().map(|(chain, _)| *chain).collect::<std::collections::BTreeSet<_>>() {
            let entries = self.entries(Some(chain));
            let laws: BTreeMap<Kind, Law> =
                entries.iter().filter_map(|(kind, entries)| Some((*kind, Law::fit(*kind, entries, threads)?))).collect();
            for walk in [Walk::First, Walk::Further] {
                let Some(walked) = self.walks.get(&(chain, walk)) else { continue };
                let said: f64 = walked.works.iter().filter_map(|work| Some(laws.get(&work.kind)?.seconds(work))).sum();
                errors.push(libm::log(said / median_and_spread(&walked.totals).0).abs());
            }
        }
        errors.sort_by(f64::total_cmp);
        let ninth = errors.get((errors.len() * 9 / 10).min(errors.len().saturating_sub(1)));
        libm::exp(ninth.copied().unwrap_or(0.0)) - 1.0
    }
}

/// The median, and half of what lies between the quarters as a share of it.
fn median_and_spread(seen: &[f64]) -> (f64, f64) {
    let mut sorted = seen.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get(((sorted.len() - 1) as f64 * share + 0.5) as usize).copied().unwrap_or(0.0);
    if sorted.is_empty() {
        return (0.0, 0.0);
    }
    let median = at(0.5);
    (median, (at(0.75) - at(0.25)) / 2.0 / median)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks of chains of norms whose operations take as long as a machine that follows the law would.
    fn record() -> Record {
        let mut record = Record::default();
        for chain in 0..8 {
            let works: Vec<Option<Work>> =
                [100, 300, 900].into_iter().map(|rows| Some(Work::new(Kind::LayerNorm, &[rows << (chain % 4), 64]))).collect();
            let seconds: Vec<f64> = works.iter().flatten().map(|work| 1e-6 + 1e-9 * work.terms(2)[2]).collect();
            for walk in [Walk::First, Walk::Further, Walk::Further] {
                record.note(chain, walk, &works, &seconds);
            }
        }
        record
    }

    #[test]
    fn chains_that_follow_the_law_are_met_by_the_laws_of_the_others() {
        let found = record().found(2, None, 1.0);
        assert!(found.error.0 < 1e-6 && found.noise.0 == 0.0 && found.chains == 8, "{found:?}");
        assert_eq!(found.kinds[&Kind::LayerNorm].entries.len(), 12);
    }

    #[test]
    fn operations_of_one_shape_count_as_their_mean() {
        let work = Some(Work::new(Kind::Add, &[1000]));
        let mut record = Record::default();
        record.note(0, Walk::First, &[work, None, work], &[1e-6, 5.0, 3e-6]);
        assert_eq!(record.found(2, None, 1.0).kinds[&Kind::Add].entries[0].seconds, 2e-6);
    }

    #[test]
    fn half_of_what_lies_between_the_quarters_is_the_spread() {
        assert_eq!(median_and_spread(&[1.0, 2.0, 4.0, 5.0, 100.0]), (4.0, 0.375));
        assert_eq!(median_and_spread(&[]), (0.0, 0.0));
    }
}
