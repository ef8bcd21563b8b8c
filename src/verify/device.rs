//! The device: a card of the catalog has the catalog's numbers; others are taken as they are stated, and that is said.

use super::format::Content;
use super::{At, Book, Law};
use crate::device::{DeviceKind, find};

/// Checks the device.
pub fn check<R>(content: &Content<R>, book: &mut Book, unchecked: &mut Vec<String>) {
    let device = &content.device;
    let rates = [device.peaks.f32.value.0, device.efficiency.value, device.bandwidth.value.0];
    let positive = rates.iter().all(|rate| rate.is_finite() && *rate > 0.0) && device.launch.value.0 >= 0.0;
    book.hold(Law::Device, At::field("device"), positive, rates, "rates above zero");
    let on_cpu = matches!(device.kind, DeviceKind::Cpu { .. });
    book.equal(Law::Device, At::field("processor"), content.processor.is_some(), on_cpu);
    book.hold(Law::Device, At::field("device.kind"), on_cpu == (device.name == "cpu"), device.kind, &device.name);
    if on_cpu {
        unchecked.push("the numbers of `cpu`: they were read on the machine that planned".to_owned());
        return;
    }
    let Some(known) = find(&device.name) else {
        unchecked.push(format!("the numbers of `{}`: it is not in the catalog", device.name));
        return;
    };
    let fields = |device| serde_json::to_value(device).unwrap_or_default();
    let (stated, derived) = (fields(device), fields(&known));
    let Some(names) = derived.as_object() else { return };
    for name in names.keys() {
        let (stated, derived) = (stated[name].to_string(), derived[name].to_string());
        book.equal(Law::Device, At::field("device"), format!("{name}: {stated}"), format!("{name}: {derived}"));
    }
}
