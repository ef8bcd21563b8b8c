//! The law of time: an operation takes as long as the slower of its arithmetic and its traffic, and the launch.

use super::format::Operation;
use crate::device::Device;

/// Seconds of an operation by the device's numbers: the roofline (Williams, Waterman, Patterson 2009) with the launch on top.
pub fn seconds(o: &Operation, device: &Device) -> f64 {
    let arithmetic = o.flops.as_f64() / (device.peaks.f32.value.0 * device.efficiency.value);
    let traffic = o.moved.as_f64() / device.bandwidth.value.0;
    arithmetic.max(traffic) + device.launch.value.0
}
