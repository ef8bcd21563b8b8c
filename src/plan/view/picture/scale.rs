//! From bytes to pixels: the axis with round steps, and the limit, on the scale or beyond it.

use crate::units::Bytes;

/// A limit within this factor of the peak is drawn on the scale; a higher one would leave the stack no room.
const NEAR: f64 = 1.7;

/// Room above what is drawn, for the peak's label.
const HEADROOM: f64 = 1.22;

/// The vertical scale of a chart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Bytes at the top.
    pub top: f64,
    /// Pixels at the top and at the bottom.
    pub pixels: (f64, f64),
    /// Whether the limit lies on the scale.
    pub limit_is_on: bool,
    unit: (f64, &'static str),
    step: f64,
}

impl Scale {
    /// A scale for a peak and a limit.
    pub fn of(peak: Bytes, limit: Bytes, pixels: (f64, f64)) -> Self {
        let (peak, limit) = (peak.as_f64().max(1.0), limit.as_f64());
        let limit_is_on = limit <= peak * NEAR;
        let highest = if limit_is_on { peak.max(limit) } else { peak };
        let top = highest * HEADROOM;
        let unit = if highest >= 0.5 * GIB { (GIB, "GiB") } else { (MIB, "MiB") };
        Self { top, pixels, limit_is_on, unit, step: round_step(top / unit.0 / 7.0) }
    }

    /// The pixel of some bytes.
    pub fn y(&self, bytes: f64) -> f64 {
        let (top, bottom) = self.pixels;
        bottom - (bottom - top) * bytes / self.top
    }

    /// The round values below the top, with their labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let (unit, name) = self.unit;
        let count = (self.top / unit / self.step) as usize;
        let label = |x: f64| {
            let decimals = usize::from(self.step < 1.0);
            format!("{x:.decimals$} {name}")
        };
        (0..=count).map(|i| i as f64 * self.step).map(|x| (x * unit, label(x))).collect()
    }
}

const MIB: f64 = 1_048_576.0;
const GIB: f64 = 1_073_741_824.0;

/// The next of 1, 2, 5 times a power of ten.
fn round_step(rough: f64) -> f64 {
    let mut power = 0.1;
    loop {
        for step in [1.0, 2.0, 5.0] {
            if step * power >= rough {
                return step * power;
            }
        }
        power *= 10.0;
        if power > 1e18 {
            return power;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!([0.03, 0.3, 1.9, 2.1, 47.0].map(round_step), [0.1, 0.5, 2.0, 5.0, 50.0]);
    }

    #[test]
    fn a_near_limit_is_on_the_scale_and_a_far_one_is_not() {
        let near = Scale::of(Bytes::gib(9), Bytes::gib(11), (0.0, 100.0));
        assert!(near.limit_is_on && near.y(Bytes::gib(11).as_f64()) > 0.0);
        assert!(!Scale::of(Bytes::gib(9), Bytes::gib(48), (0.0, 100.0)).limit_is_on);
        assert!(Scale::of(Bytes::gib(57), Bytes::gib(11), (0.0, 100.0)).limit_is_on);
    }
}
