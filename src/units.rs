//! Numbers with their units. Each unit has named constructors and only the operators that mean something.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub};

use serde::{Deserialize, Serialize};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Bytes(pub u64);

impl Bytes {
    /// No byte.
    pub const ZERO: Self = Self(0);

    /// From gibibytes.
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// From mebibytes.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// This many bytes less another number, or none.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// As a float, for rates.
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl Add for Bytes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<u64> for Bytes {
    type Output = Self;
    fn mul(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Bytes {
    /// Binary units with two decimals, from KiB on: `10.42 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        let text = match self.0 {
            0..1024 => format!("{} B", self.0),
            1024..0x10_0000 => format!("{:.1} KiB", bytes / 1024.0),
            0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes / 1024f64.powi(2)),
            0x4000_0000..0x100_0000_0000 => format!("{:.2} GiB", bytes / 1024f64.powi(3)),
            u64::MAX => "more than 16 EiB".to_owned(),
            _ => format!("{:.2} TiB", bytes / 1024f64.powi(4)),
        };
        f.pad(&text)
    }
}

/// A number of floating-point operations; a multiply-add counts two. 128 bits: a day on a data-centre card passes 2⁶⁴.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flops(pub u128);

impl Flops {
    /// None.
    pub const ZERO: Self = Self(0);

    /// The FLOPs of a matrix product of m×k by k×n, 2·m·n·k.
    pub fn matmul(m: u64, n: u64, k: u64) -> Self {
        Self(2 * u128::from(m) * u128::from(n) * u128::from(k))
    }

    /// As a float, for rates.
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }
}

impl Add for Flops {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Flops {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<u64> for Flops {
    type Output = Self;
    fn mul(self, n: u64) -> Self {
        Self(self.0.saturating_mul(u128::from(n)))
    }
}

impl Sum for Flops {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Flops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}FLOP", si(self.as_f64())))
    }
}

/// A number of tokens: positions of the input, masked or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tokens(pub u64);

impl Add for Tokens {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(si(self.0 as f64).trim_end())
    }
}

/// A duration in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Seconds(pub f64);

impl Seconds {
    /// No time.
    pub const ZERO: Self = Self(0.0);
}

impl Add for Seconds {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Seconds {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Seconds {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Mul<f64> for Seconds {
    type Output = Self;
    fn mul(self, n: f64) -> Self {
        Self(self.0 * n)
    }
}

impl Sum for Seconds {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Seconds {
    /// The two largest units that say something: `23 h 12 min`, `4.1 s`, `41 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.0;
        let text = if !s.is_finite() {
            "unbounded".to_owned()
        } else if s < 1e-3 {
            format!("{:.0} µs", s * 1e6)
        } else if s < 1.0 {
            format!("{:.0} ms", s * 1e3)
        } else if s < 60.0 {
            format!("{s:.1} s")
        } else if s < 3600.0 {
            format!("{} min {:02} s", (s / 60.0) as u64, (s % 60.0) as u64)
        } else if s < 48.0 * 3600.0 {
            format!("{} h {:02} min", (s / 3600.0) as u64, (s % 3600.0 / 60.0) as u64)
        } else {
            format!("{:.1} days", s / 86_400.0)
        };
        f.pad(&text)
    }
}

/// Progress through the budget or another share of a whole; 1 is all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Ratio(pub f64);

impl Ratio {
    /// From percent.
    pub fn percent(p: f64) -> Self {
        Self(p / 100.0)
    }

    /// The whole share of a count, rounded half to even: `round(share · n)` as Python and the official code round.
    pub fn of(self, n: u64) -> u64 {
        (self.0 * n as f64).round_ties_even().max(0.0) as u64
    }

    /// Held within 0 and 1.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self(self.0.clamp(0.0, 1.0))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.1} %", self.0 * 100.0))
    }
}

/// Floating-point operations per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct FlopRate(pub f64);

impl FlopRate {
    /// How long some work takes at this rate.
    pub fn time(self, work: Flops) -> Seconds {
        Seconds(work.as_f64() / self.0)
    }
}

impl fmt::Display for FlopRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}FLOP/s", si(self.0)))
    }
}

/// Bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ByteRate(pub f64);

impl ByteRate {
    /// How long it takes to move some bytes at this rate.
    pub fn time(self, bytes: Bytes) -> Seconds {
        Seconds(bytes.as_f64() / self.0)
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}B/s", si(self.0)))
    }
}

/// Three figures and a decimal prefix, with a space before the prefix: `312 T`.
fn si(x: f64) -> String {
    const PREFIXES: [&str; 8] = ["", "k", "M", "G", "T", "P", "E", "Z"];
    let mut value = x;
    let mut index = 0;
    while value.abs() >= 999.5 && index + 1 < PREFIXES.len() {
        value /= 1000.0;
        index += 1;
    }
    let decimals = if index == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$} {}", PREFIXES[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_show_binary_units() {
        assert_eq!(Bytes(11_189_000_000).to_string(), "10.42 GiB");
        assert_eq!(Bytes(1023).to_string(), "1023 B");
        assert_eq!(Bytes::mib(3).to_string(), "3.0 MiB");
    }

    #[test]
    fn flops_and_tokens_show_decimal_prefixes() {
        assert_eq!(Flops(1_234_000_000_000).to_string(), "1.23 TFLOP");
        assert_eq!(Tokens(5_530_000_000).to_string(), "5.53 G");
        assert_eq!(Tokens(12).to_string(), "12");
    }

    #[test]
    fn seconds_show_what_matters() {
        assert_eq!(Seconds(0.0412).to_string(), "41 ms");
        assert_eq!(Seconds(83_520.0).to_string(), "23 h 12 min");
    }

    #[test]
    fn shares_round_half_to_even() {
        assert_eq!(Ratio(0.15).of(1024), 154);
        assert_eq!(Ratio(0.5).of(5), 2);
    }

    #[test]
    fn whole_run_flops_pass_64_bits() {
        assert!(Flops::matmul(1 << 40, 1 << 20, 1 << 10).0 > u128::from(u64::MAX));
    }
}
