//! The device: a card of the catalog has the catalog's numbers; others are taken as they are stated, and that is said.

use super::format::Content;
use super::{At, Book, Law};
use crate::device::{Device, DeviceKind, Lanes, catalog, find};

/// Checks the device.
pub fn check<R>(content: &Content<R>, book: &mut Book, unchecked: &mut Vec<String>) {
    let device = &content.device;
    let rates = [device.peaks.f32.value.0, device.efficiency.value, device.bandwidth.value.0];
    let positive = rates.iter().all(|rate| rate.is_finite() && *rate > 0.0) && device.launch.value.0 >= 0.0;
    book.hold(Law::Device, At::field("device"), positive, rates, "rates above zero");
    let on_cpu = matches!(device.kind, DeviceKind::Cpu { .. });
    book.equal(Law::Device, At::field("processor"), content.processor.is_some(), on_cpu);
    book.hold(Law::Device, At::field("device.kind"), on_cpu || device.name != "cpu", device.kind, &device.name);
    // The library for matrix products has kernels of these widths, and asks for a second cache.
    let known = |lanes: &Lanes| on_cpu && [1, 4, 8, 16].contains(&lanes.lanes) && lanes.caches[1].bytes > 0;
    let derived = if on_cpu { "1, 4, 8 or 16 lanes, and a second cache" } else { "none: it is a card" };
    book.hold(Law::Device, At::field("device.lanes"), device.lanes.as_ref().is_none_or(known), device.lanes, derived);
    if let Some(calibration) = &device.calibration {
        unchecked.push("the times of operations: they were measured, and the measurements are not in a certificate".to_owned());
        let (error, disk) = (calibration.error.0, calibration.disk.map_or(1.0, |disk| disk.0));
        let positive = error.is_finite() && error >= 0.0 && disk.is_finite() && disk > 0.0;
        book.hold(Law::Device, At::field("device.calibration"), positive, (error, disk), "rates above zero");
    }
    if device.name == "cpu" {
        unchecked.push("the numbers of `cpu`: they were read on the machine that planned".to_owned());
        return;
    }
    let Some(known) = find(&device.name) else {
        unchecked.push(format!("the numbers of `{}`: it is not in the catalog", device.name));
        return;
    };
    if device.kind == DeviceKind::Cuda && is_own(device) {
        unchecked.push(format!("the numbers of `{}`: they are not the catalog's, each has another source", device.name));
        return;
    }
    let fields = |device| serde_json::to_value(device).unwrap_or_default();
    let (stated, derived) = (fields(device), fields(&known));
    let Some(names) = derived.as_object() else { return };
    for name in names.keys() {
        let (stated, derived) = (stated[name].to_string(), derived[name].to_string());
        book.equal(Law::Device, At::field("device"), format!("{name}: {stated}"), format!("{name}: {derived}"));
    }
}

/// Whether a device is one of the user's in the place of the catalog's: no number that the user gives has a source of the catalog.
fn is_own(stated: &Device) -> bool {
    let sources =
        |device: &Device| [&device.memory.source, &device.peaks.f32.source, &device.bandwidth.source].map(String::clone);
    let known: Vec<String> = catalog().iter().flat_map(sources).collect();
    sources(stated).iter().all(|source| !known.contains(source))
}
