//! Functions and sums written so that the compiler can run many lanes at once.
//!
//! Everything here is `inline(always)`, so that it is compiled anew inside [`wide`](super::wide).

const LANES: usize = 16;

/// eˣ with a relative error below 2·10⁻⁷; 0 below −87.3, saturated above 88.3.
///
/// Range reduction and polynomial as in Cephes' `expf` (Moshier 1989).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// 1.5 · 2²³: adding it rounds to a whole number in the low bits.
    const MAGIC: f32 = 12_582_912.0;
    let x = if x > 88.3 { 88.3 } else { x };
    let bounded = if x < -87.3 { -87.3 } else { x };
    let rounded = bounded * std::f32::consts::LOG2_E + MAGIC;
    let n = rounded - MAGIC;
    let r = bounded - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * r + 1.398_2e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 1.666_666_5e-1) * r + 0.5;
    let exponent = rounded.to_bits().wrapping_sub(MAGIC.to_bits());
    let power = f32::from_bits(exponent.wrapping_add(127) << 23);
    let y = (p * r * r + r + 1.0) * power;
    if x < -87.3 { 0.0 } else { y }
}

/// The error function with an absolute error below 5·10⁻⁷: a rational approximation on [−4, 4], ±1 beyond
/// (coefficients as in Eigen's `generic_fast_erf_float`).
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let x = if x > 4.0 { 4.0 } else { x };
    let x = if x < -4.0 { -4.0 } else { x };
    let s = x * x;
    let p = -2.726_142_3e-10;
    let p = p * s + 2.770_681_4e-8;
    let p = p * s - 2.101_024e-6;
    let p = p * s - 5.692_506_4e-5;
    let p = p * s - 7.349_906e-4;
    let p = p * s - 2.954_6e-3;
    let p = p * s - 1.609_603_3e-2;
    let q = -1.456_607_2e-5;
    let q = q * s - 2.133_740_6e-4;
    let q = q * s - 1.682_827e-3;
    let q = q * s - 7.373_329e-3;
    let q = q * s - 1.426_473_9e-2;
    x * p / q
}

/// Φ(z), the normal distribution function, and gelu′(z) = Φ(z) + z·φ(z).
#[inline(always)]
pub fn normal(z: f32) -> (f32, f32) {
    const INV_SQRT_TAU: f32 = 0.398_942_3;
    let cdf = 0.5 * (1.0 + erf(z * std::f32::consts::FRAC_1_SQRT_2));
    (cdf, cdf + z * INV_SQRT_TAU * exp(-0.5 * z * z))
}

/// 1/(1 + e⁻ˣ).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh(x) with a relative error below 5·10⁻⁷: an odd polynomial up to 0.625, e²ˣ beyond, as in Cephes' `tanhf` (Moshier 1989).
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let s = x * x;
    let p = -5.704_988_7e-3;
    let p = p * s + 2.063_909e-2;
    let p = p * s - 5.373_971_6e-2;
    let p = p * s + 1.333_144_2e-1;
    let p = p * s - 3.333_328e-1;
    let near = x + x * s * p;
    let far = (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x);
    if x.abs() < 0.625 { near } else { far }
}

/// Σ f(i) over 0..n in f32, in sixteen lanes that are added up pairwise.
#[inline(always)]
pub fn sum(n: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let whole = n / LANES * LANES;
    let mut i = 0;
    while i < whole {
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value += f(i + lane);
        }
        i += LANES;
    }
    for (lane, i) in (whole..n).enumerate() {
        lanes[lane] += f(i);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The largest of f(i) over 0..n; −∞ for n = 0.
#[inline(always)]
pub fn max(n: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let whole = n / LANES * LANES;
    let mut i = 0;
    while i < whole {
        for (lane, value) in lanes.iter_mut().enumerate() {
            let x = f(i + lane);
            *value = if x > *value { x } else { *value };
        }
        i += LANES;
    }
    let tail = (whole..n).map(&f);
    lanes.into_iter().chain(tail).fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// Softmax of scale · row, in place.
#[inline(always)]
pub fn softmax(row: &mut [f32], scale: f32) {
    let n = row.len();
    let top = max(n, |i| row[i] * scale);
    for x in row.iter_mut() {
        *x = exp(*x * scale - top);
    }
    let inverse = 1.0 / sum(n, |i| row[i]);
    for x in row.iter_mut() {
        *x *= inverse;
    }
}

/// log Σ eˣ of a row.
#[inline(always)]
pub fn log_sum_exp(row: &[f32]) -> f32 {
    let top = max(row.len(), |i| row[i]);
    let total = sum(row.len(), |i| exp(row[i] - top));
    top + libm::logf(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..=20_000u16).map(move |i| from + (to - from) * f32::from(i) / 20_000.0)
    }

    #[test]
    fn exp_is_accurate_to_two_ten_millionths() {
        let worst = grid(-87.0, 88.0).map(|x| (f64::from(exp(x)) / libm::exp(f64::from(x)) - 1.0).abs()).fold(0.0, f64::max);
        assert!(worst < 2e-7, "{worst:e}");
        assert!(exp(f32::NEG_INFINITY) == 0.0 && exp(f32::NAN).is_nan() && exp(0.0) == 1.0);
    }

    #[test]
    fn tanh_is_accurate_to_half_a_millionth() {
        let error = |x: f32| (f64::from(tanh(x)) / libm::tanh(f64::from(x)) - 1.0).abs();
        let worst = grid(-12.0, 12.0).filter(|x| *x != 0.0).map(error).fold(0.0, f64::max);
        assert!(worst < 5e-7 && error(1e-5) < 5e-7, "{worst:e}");
        assert!(tanh(0.0) == 0.0 && tanh(f32::NAN).is_nan() && tanh(-100.0) == -1.0);
    }

    #[test]
    fn erf_is_accurate_to_half_a_millionth() {
        let worst = grid(-6.0, 6.0).map(|x| (f64::from(erf(x)) - libm::erf(f64::from(x))).abs()).fold(0.0, f64::max);
        assert!(worst < 5e-7 && erf(f32::NAN).is_nan(), "{worst:e}");
    }

    #[test]
    fn sums_take_every_element_once() {
        for n in [0, 1, 15, 16, 17, 100] {
            assert_eq!(sum(n, |i| (i + 1) as f32), (n * (n + 1) / 2) as f32);
            assert_eq!(max(n, |i| i as f32), if n == 0 { f32::NEG_INFINITY } else { (n - 1) as f32 });
        }
    }

    #[test]
    fn softmax_sums_to_one_and_keeps_the_order() {
        let mut row = [1.0, 3.0, 2.0];
        softmax(&mut row, 0.5);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row[1] > row[2] && row[2] > row[0]);
    }
}
