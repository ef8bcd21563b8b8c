//! The Pareto front: the points that no other is better than.

use super::Planned;

/// What is wanted of a point, more being better.
fn merits(planned: &Planned) -> [f64; 4] {
    [planned.parameters as f64, planned.tokens.0 as f64, -planned.per_token.0, -planned.memory.as_f64()]
}

fn dominates(a: &[f64; 4], b: &[f64; 4]) -> bool {
    let pairs = || a.iter().zip(b);
    pairs().all(|(a, b)| a >= b) && pairs().any(|(a, b)| a > b)
}

/// Which of some points are on the front, by their index in the order given: most parameters first, of as many the most tokens.
pub fn front<'p>(points: impl Iterator<Item = (u64, &'p Planned)>) -> Vec<u64> {
    let mut all: Vec<(u64, [f64; 4])> = points.filter(|(_, p)| p.feasible).map(|(i, p)| (i, merits(p))).collect();
    // Whatever dominates a point comes before it in this order, so that one pass finds the front.
    all.sort_by(|(i, a), (j, b)| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal).then(i.cmp(j)));
    let mut front: Vec<(u64, [f64; 4])> = Vec::new();
    for (i, merits) in all {
        if !front.iter().any(|(_, other)| dominates(other, &merits)) {
            front.push((i, merits));
        }
    }
    front.into_iter().map(|(i, _)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::recompute::Recompute;
    use crate::units::{Bytes, Seconds, Tokens};

    fn point([parameters, tokens, time, memory]: [u64; 4]) -> Planned {
        Planned {
            recipe: String::new(),
            device: String::new(),
            parameters,
            depth: 1,
            micro_batch: 1,
            recompute: Recompute::NOTHING,
            step: Seconds(0.0),
            per_token: Seconds(time as f64),
            memory: Bytes(memory),
            steps: 1,
            tokens: Tokens(tokens),
            fits: true,
            feasible: true,
        }
    }

    #[test]
    fn the_front_is_what_comparing_all_with_all_leaves() {
        // All points of a small grid, in an order that is none.
        let points: Vec<Planned> =
            (0..256u64).map(|i| i * 77 % 256).map(|i| point([i % 4, i / 4 % 4, i / 16 % 4, (i / 64 + i % 3) % 4])).collect();
        let mut found = front((0..).zip(&points));
        let alone = |a: &Planned| points.iter().all(|b| !dominates(&merits(b), &merits(a)));
        let all: Vec<u64> = (0..).zip(&points).filter(|(_, a)| alone(a)).map(|(i, _)| i).collect();
        found.sort_unstable();
        assert_eq!(found, all);
        assert!(!all.is_empty() && all.len() < 256);
    }

    #[test]
    fn what_cannot_be_run_is_not_on_the_front() {
        let best = Planned { feasible: false, ..point([9, 9, 0, 0]) };
        assert_eq!(front([(0, &best), (1, &point([1, 1, 1, 1]))].into_iter()), [1]);
    }
}
