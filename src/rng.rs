//! The one source of randomness: Philox 4×32-10, a counter-based generator.
//!
//! A draw is a function of (seed, purpose, step, position) and of nothing else: there is no state to save, no
//! order to keep, and resuming or replaying a run meets the same draws. Source of the algorithm: Salmon, Moraes,
//! Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

/// What a draw is for; part of the key, so that no two uses share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Purpose {
    /// Initial weights: step = index of the parameter, position = index of the element.
    Init = 1,
    /// Which positions of a training row are masked: step = micro-step, position = row and column.
    Mask = 2,
    /// Random replacement tokens: as [`Purpose::Mask`].
    Replace = 3,
    /// Order of the sequences: step = epoch, position = index.
    Order = 4,
    /// The fixed masks of the held-back text: step = row, position = column.
    EvaluationMask = 5,
    /// Sentences of the built-in synthetic language: step = sentence, position = choice.
    Language = 6,
    /// Dropout: step = micro-step, position = site and block of four elements.
    Dropout = 7,
}

/// The draws of one seed and one purpose.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: [u32; 2],
}

impl Stream {
    /// The stream of a seed and a purpose.
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        // One Philox block mixes the purpose into the seed: keys that differ in few bits give unrelated streams.
        let mixed = philox([purpose as u32, 0x6372_616d, 0x706c_616e, 0], [seed as u32, (seed >> 32) as u32]);
        Self { key: [mixed[0], mixed[1]] }
    }

    /// 128 random bits.
    pub fn block(&self, step: u64, position: u64) -> [u32; 4] {
        philox([position as u32, (position >> 32) as u32, step as u32, (step >> 32) as u32], self.key)
    }

    /// [`Stream::block`] of sixteen positions from one on, `[word][position]`: written so that the compiler can draw them side by side.
    #[inline(always)]
    pub fn blocks(&self, step: u64, position: u64) -> [[u32; LANES]; 4] {
        let at = |i: usize| position.wrapping_add(i as u64);
        let mut c: [[u32; LANES]; 4] = [
            std::array::from_fn(|i| at(i) as u32),
            std::array::from_fn(|i| (at(i) >> 32) as u32),
            [step as u32; LANES],
            [(step >> 32) as u32; LANES],
        ];
        let mut key = self.key;
        for _ in 0..ROUNDS {
            let [c0, c1, c2, c3] = &mut c;
            for (((c0, c1), c2), c3) in c0.iter_mut().zip(c1).zip(c2).zip(c3) {
                [*c0, *c1, *c2, *c3] = round([*c0, *c1, *c2, *c3], key);
            }
            key = next(key);
        }
        c
    }

    /// 64 random bits.
    pub fn bits(&self, step: u64, position: u64) -> u64 {
        let [a, b, ..] = self.block(step, position);
        u64::from(a) | u64::from(b) << 32
    }

    /// Uniform in [0, 1), a multiple of 2⁻⁵³.
    pub fn uniform(&self, step: u64, position: u64) -> f64 {
        (self.bits(step, position) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in 0..n for n > 0, by the high half of a 128-bit product (bias below n/2⁶⁴).
    pub fn below(&self, step: u64, position: u64, n: u64) -> u64 {
        ((u128::from(self.bits(step, position)) * u128::from(n)) >> 64) as u64
    }

    /// Two independent draws from N(0, 1) by Box–Muller.
    pub fn normal_pair(&self, step: u64, position: u64) -> (f64, f64) {
        let [a, b, c, d] = self.block(step, position);
        let unit = |lo: u32, hi: u32| ((u64::from(lo) | u64::from(hi) << 32) >> 11) as f64 / (1u64 << 53) as f64;
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit(a, b)));
        let angle = 2.0 * std::f64::consts::PI * unit(c, d);
        (radius * libm::cos(angle), radius * libm::sin(angle))
    }

    /// A permutation of 0..n (Fisher–Yates), the same for the same step.
    pub fn permutation(&self, step: u64, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(step, i as u64, i as u64 + 1) as usize);
        }
        order
    }
}

/// Positions that [`Stream::blocks`] draws at once.
pub const LANES: usize = 16;

const ROUNDS: usize = 10;

/// Ten rounds of Philox 4×32.
fn philox(mut c: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        c = round(c, key);
        key = next(key);
    }
    c
}

#[inline(always)]
fn round(c: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let p0 = u64::from(c[0]) * 0xD251_1F53;
    let p1 = u64::from(c[2]) * 0xCD9E_8D57;
    [(p1 >> 32) as u32 ^ c[1] ^ key[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ key[1], p0 as u32]
}

/// The key of the round after.
#[inline(always)]
fn next(key: [u32; 2]) -> [u32; 2] {
    [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_blocks_at_once_are_those_of_one_after_the_other() {
        let stream = Stream::new(7, Purpose::Dropout);
        for position in [0, 5, u64::from(u32::MAX) - 3] {
            let all = stream.blocks(1 << 33, position);
            for lane in 0..LANES {
                assert_eq!(all.map(|word| word[lane]), stream.block(1 << 33, position + lane as u64));
            }
        }
    }

    /// The known answers that the authors of Philox publish with their code (Random123, `kat_vectors`).
    #[test]
    fn known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn purposes_and_seeds_do_not_share_a_stream() {
        let a = Stream::new(1, Purpose::Init).bits(0, 0);
        assert_ne!(a, Stream::new(1, Purpose::Mask).bits(0, 0));
        assert_ne!(a, Stream::new(2, Purpose::Init).bits(0, 0));
    }

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let stream = Stream::new(7, Purpose::Init);
        let n = 20_000u64;
        let (mut sum, mut squares) = (0.0, 0.0);
        for i in 0..n {
            let (a, b) = stream.normal_pair(0, i);
            sum += a + b;
            squares += a * a + b * b;
        }
        let count = (2 * n) as f64;
        assert!((sum / count).abs() < 0.02 && (squares / count - 1.0).abs() < 0.03);
    }

    #[test]
    fn a_permutation_holds_each_index_once() {
        let mut order = Stream::new(3, Purpose::Order).permutation(5, 1000);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &v)| i == v as usize));
    }
}
