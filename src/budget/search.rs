//! The choices of what to recompute that are not too slow, found without looking at the others.
//!
//! The first quarter of the blocks recomputes at least what the second does, and so on ([`levels`]): a choice is a chain of sets, each in the
//! one before. The time of a token is a sum over the quarters, so a chain that is too slow already is not gone on with.

use std::array;

use super::fit::levels;
use crate::step::recompute::{Kind, Kinds, Recompute};

/// Seconds of a token.
pub struct Pace {
    /// Outside of the blocks.
    pub elsewhere: f64,
    /// In a block, by what it recomputes.
    pub block: [f64; Kinds::COUNT],
}

/// Visits every choice among `kinds` of which a token takes at most so long, but for rounding. The visitor gives the limit from there on.
pub fn each_within(depth: u64, kinds: Kinds, pace: &Pace, limit: f64, visit: impl FnMut(Recompute) -> f64) {
    let levels = levels(depth);
    // Sets that were not asked for were not planned either, and take no time here.
    let least = subsets(kinds).map(|set| pace.block[set.index()]).fold(f64::INFINITY, f64::min);
    Search { levels: &levels, pace, least, limit, visit }.go_on(0, kinds, pace.elsewhere, Recompute::NOTHING);
}

struct Search<'a, V> {
    levels: &'a [u64],
    pace: &'a Pace,
    /// The least time of a block.
    least: f64,
    limit: f64,
    visit: V,
}

impl<V: FnMut(Recompute) -> f64> Search<'_, V> {
    /// All that goes on from `chosen` for the blocks below `levels[level]`, where the last of them recompute `within`.
    fn go_on(&mut self, level: usize, within: Kinds, time: f64, chosen: Recompute) {
        let [from, to] = [level, level + 1].map(|i| self.levels.get(i).copied());
        let Some((from, to)) = from.zip(to) else {
            self.limit = (self.visit)(chosen);
            return;
        };
        let rest = self.levels.last().map_or(0, |depth| depth - to) as f64 * self.least;
        for set in subsets(within) {
            let time = time + self.pace.block[set.index()] * (to - from) as f64;
            if time + rest <= self.limit {
                let chosen = Recompute(array::from_fn(|i| if set.has(Kind::ALL[i]) { to } else { chosen.0[i] }));
                self.go_on(level + 1, set, time, chosen);
            }
        }
    }
}

/// The sets of some kinds, the empty one first.
fn subsets(kinds: Kinds) -> impl Iterator<Item = Kinds> {
    (0..=kinds.index()).map(Kinds::number).filter(move |set| set.is_within(kinds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::fit::recomputations;

    fn pace() -> Pace {
        Pace { elsewhere: 1.0, block: array::from_fn(|set| 1.0 + f64::from(set.count_ones()) / 8.0) }
    }

    fn found(depth: u64, kinds: Kinds, limit: f64) -> Vec<Recompute> {
        let mut found = Vec::new();
        each_within(depth, kinds, &pace(), limit, |recompute| {
            found.push(recompute);
            limit
        });
        found.sort_by_key(|recompute| recompute.0);
        found
    }

    #[test]
    fn what_is_found_is_what_trying_all_of_them_finds() {
        for depth in [1, 2, 3, 4, 7, 16] {
            for (kinds, limit) in [(Kinds::ALL, f64::INFINITY), (Kinds::ALL, 1.1 * depth as f64 + 1.0), (Kinds::number(5), 1e9)] {
                let time = |recompute: &Recompute| {
                    1.0 + (0..depth).map(|block| pace().block[recompute.kinds(block).index()]).sum::<f64>()
                };
                let mut all: Vec<Recompute> =
                    recomputations(depth).filter(|r| r.is_within(kinds) && time(r) <= limit + 1e-9).collect();
                all.sort_by_key(|recompute| recompute.0);
                assert_eq!(found(depth, kinds, limit + 1e-9), all, "{depth} {limit}");
            }
        }
    }
}
