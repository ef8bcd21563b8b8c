//! The random zeros of dropout, on the host for every device: the same bits everywhere.

use crate::exec::op::Draws;
use crate::rng::{LANES, Purpose, Stream};
use crate::step::op::Dropout;

/// Bits of the number of a block of elements; above them stands the site.
const BLOCK_BITS: u32 = 40;

/// Elements that are drawn at once.
const ELEMENTS: usize = 4 * LANES;

/// The mask of one dropout in one micro-step.
#[derive(Clone, Copy, Debug)]
pub struct Mask {
    stream: Stream,
    micro_step: u64,
    site: u64,
    /// Draws below it are zeros.
    threshold: u32,
    /// What is left is multiplied by this.
    factor: f32,
}

impl Mask {
    /// The mask of a dropout; element j of row r is a function of the seed, the micro-step, the site, r and j.
    pub fn new(dropout: Dropout, draws: Draws) -> Self {
        Self {
            stream: Stream::new(draws.seed, Purpose::Dropout),
            micro_step: draws.micro_step,
            site: u64::from(dropout.site),
            threshold: (dropout.rate * 4_294_967_296.0) as u32,
            factor: (1.0 / (1.0 - dropout.rate)) as f32,
        }
    }

    /// `to` ← `x` ⊙ mask of row `r`, whose width is that of `to`.
    #[inline(always)]
    pub fn apply(&self, r: usize, to: &mut [f32], x: impl Fn(usize, f32) -> f32) {
        let blocks = to.len().div_ceil(4) as u64;
        let first = (self.site << BLOCK_BITS).wrapping_add(r as u64 * blocks);
        for (i, to) in to.chunks_mut(ELEMENTS).enumerate() {
            let words = self.stream.blocks(self.micro_step, first + (i * LANES) as u64);
            let mut mask = [0f32; ELEMENTS];
            for lane in 0..LANES {
                for word in 0..4 {
                    mask[4 * lane + word] = if words[word][lane] < self.threshold { 0.0 } else { self.factor };
                }
            }
            for (j, (to, mask)) in to.iter_mut().zip(mask).enumerate() {
                *to = x(i * ELEMENTS + j, *to) * mask;
            }
        }
    }

    /// The mask of so many rows.
    pub fn rows(&self, rows: usize, width: usize) -> Vec<f32> {
        let mut mask = vec![1.0; rows * width];
        super::pieces(&mut mask, width, |r, row| self.apply(r, row, |_, x| x));
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_zero_as_asked_and_the_mean_stays() {
        let mask = |micro_step, site| Mask::new(Dropout { rate: 0.25, site }, Draws { seed: 1, micro_step }).rows(50, 1001);
        let one = mask(3, 2);
        let zeros = one.iter().filter(|x| **x == 0.0).count() as f64 / one.len() as f64;
        assert!((zeros - 0.25).abs() < 0.01, "{zeros}");
        assert!(one.iter().all(|x| *x == 0.0 || *x == 4.0 / 3.0));
        assert_eq!(one, mask(3, 2));
        assert!(one != mask(4, 2) && one != mask(3, 1));
    }

    #[test]
    fn rows_do_not_share_their_draws() {
        let mask = Mask::new(Dropout { rate: 0.5, site: 0 }, Draws { seed: 1, micro_step: 0 }).rows(2, 250);
        assert_ne!(mask[..250], mask[250..]);
    }
}
