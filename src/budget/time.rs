//! How long an operation takes on a device.

use crate::device::Device;
use crate::step::op::{Op, Signature};
use crate::units::Seconds;

use super::backend;

/// Seconds of one operation: a roofline (Williams, Waterman, Patterson 2009), the larger of arithmetic at the device's sustained
/// rate and bytes at its bandwidth, plus the cost of starting it.
pub fn seconds(op: &Op, types: Signature<'_>, device: &Device) -> Seconds {
    let rule = op.rule();
    let arithmetic = device.peaks.f32.value.time(rule.flops(types)) * (1.0 / device.efficiency.value);
    let traffic = device.bandwidth.value.time(rule.moved(types, backend(device)));
    Seconds(arithmetic.0.max(traffic.0)) + device.launch.value
}
