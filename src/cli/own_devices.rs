//! The user's own devices: cards that the catalog lacks, or of which the user knows better, in a file of the recipe language.
//!
//! Invariant: nothing here reads a file; what is wrong in the text is said at its place.

use crate::device::{self, Peaks, Sourced};
use crate::diag::{Code, Diagnostic};
use crate::recipe::decode::{Decode as _, Decoder};
use crate::recipe::eval::evaluate_alone;
use crate::recipe::schema::{Range, record};
use crate::recipe::value::{Value, ValueKind};
use crate::source::Sources;
use crate::syntax;
use crate::units::{ByteRate, Bytes, FlopRate, Flops, Ratio};

/// An entry to start from: what to write where a card is not in the catalog.
pub fn example(model: &str) -> String {
    format!(
        "Devices([\n    Device(\n        name: \"my-card\",\n        model: \"{model}\",\n        memory: 24GiB,\n        \
         f32: 35.6TFLOP,  // a second, without tensor cores\n        bandwidth: 936GB,  // a second\n        \
         source: \"where you have these numbers from\",\n    ),\n])"
    )
}

record! {
    /// Devices that `--for` and `budget.device` can name beside those of the catalog.
    Devices {
        /// The devices; of two of one name the later counts.
        devices: Vec<Device>;
    }
}

record! {
    /// An NVIDIA card.
    Device {
        /// What recipes and `--for` call it; the name of the catalog's takes the place of that.
        name: String;
        /// What the driver calls it, so that it is known when it is in this machine.
        model: Option<String>;
        /// Memory that a program can have.
        memory: Bytes [Range::above(0.0, f64::INFINITY)];
        /// Peak of f32 in a second, without tensor cores.
        f32: Flops [Range::above(0.0, f64::INFINITY)];
        /// Dense peak of TF32 tensor cores in a second.
        tf32: Option<Flops> [Range::above(0.0, f64::INFINITY)];
        /// Dense peak of f16 tensor cores in a second, added up in f32.
        f16: Option<Flops> [Range::above(0.0, f64::INFINITY)];
        /// Dense peak of bf16 tensor cores in a second, added up in f32.
        bf16: Option<Flops> [Range::above(0.0, f64::INFINITY)];
        /// Bytes of memory that are read or written in a second.
        bandwidth: Bytes [Range::above(0.0, f64::INFINITY)];
        /// Share of the peak that large matrix products reach.
        efficiency: Option<Ratio> [Range::above(0.0, 1.0)];
        /// What the process takes before the first tensor.
        overhead: Option<Bytes>;
        /// Where the numbers come from.
        source: Option<String>;
    }
}

/// A device of the user's.
#[derive(Clone, Debug, PartialEq)]
pub struct Own {
    /// The device.
    pub device: device::Device,
    /// What the driver calls it.
    pub model: Option<String>,
}

/// What is wrong with the file.
#[derive(Debug)]
pub struct Broken {
    /// In a line.
    pub message: String,
    /// The text, for the places of the diagnostics.
    pub sources: Sources,
    /// Each mistake, where the file could be read.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the devices of a text; `name` is that of its file.
///
/// # Errors
/// Where anything is wrong with it.
pub fn read(name: &str, text: &str) -> Result<Vec<Own>, Broken> {
    let mut sources = Sources::default();
    let (document, mut diagnostics) = syntax::parse(sources.add(name, text), text);
    let mut own = Vec::new();
    if let Some(document) = document {
        let (value, found) = evaluate_alone(&document);
        diagnostics.extend(found);
        own = decode(&value, name, &mut diagnostics);
    }
    if diagnostics.iter().any(Diagnostic::is_error) {
        diagnostics.sort_by_key(Diagnostic::span);
        return Err(Broken { message: format!("the devices in `{name}` cannot be read"), sources, diagnostics });
    }
    Ok(own)
}

fn decode(value: &Value, file: &str, diagnostics: &mut Vec<Diagnostic>) -> Vec<Own> {
    // A bare list is as good.
    let wrapped = ValueKind::Tuple { name: None, items: vec![value.clone()] };
    let value = match &value.kind {
        ValueKind::List(_) => &Value { kind: wrapped, ..value.clone() },
        ValueKind::Struct { .. } | ValueKind::Tuple { .. } | ValueKind::Poisoned => value,
        _ => {
            let wrong = Diagnostic::error(Code::WrongType, value.span, "this file wants `Devices([Device(..), ..])`");
            diagnostics.push(wrong.here("not devices").help("`cramplan devices --example` prints one to start from"));
            return Vec::new();
        }
    };
    let mut decoder = Decoder::new(Vec::new());
    let devices = Devices::decode(value, &mut decoder, None);
    let (found, places) = decoder.finish();
    diagnostics.extend(found);
    let own: Vec<Own> = devices.map(|read| read.devices).unwrap_or_default().into_iter().map(|d| own(d, file)).collect();
    if own.iter().any(|own| own.device.name.is_empty() || own.device.name == "cpu") {
        let wrong = Diagnostic::error(Code::OutOfRange, places.of("devices"), "a device cannot have this name");
        diagnostics
            .push(wrong.here("one is named `cpu` or not at all").help("`cpu` is this machine's processor: choose another name"));
    }
    own
}

fn own(read: Device, file: &str) -> Own {
    let source = match read.source {
        Some(text) => format!("{text} (`{file}`)"),
        None => format!("written in `{file}`, without a source"),
    };
    let rate = |work: Flops| Sourced::new(FlopRate(work.as_f64()), source.clone());
    let peaks = Peaks { f32: rate(read.f32), tf32: read.tf32.map(rate), f16: read.f16.map(rate), bf16: read.bf16.map(rate) };
    let bandwidth = Sourced::new(ByteRate(read.bandwidth.as_f64()), source.clone());
    let memory = Sourced::new(read.memory, source.clone());
    let mut device = device::Device::card(&device::plain_name(&read.name), memory, peaks, bandwidth);
    if let Some(share) = read.efficiency {
        device.efficiency = Sourced::new(share.0, source.clone());
    }
    if let Some(bytes) = read.overhead {
        device.overhead = Sourced::new(bytes, source);
    }
    Own { device, model: read.model }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        read("devices.ron", text).unwrap_err().diagnostics.into_iter().map(|d| d.message).collect()
    }

    #[test]
    fn the_example_can_be_read() {
        let own = read("devices.ron", &example("NVIDIA GeForce RTX 9090")).unwrap();
        assert_eq!(own.len(), 1);
        assert_eq!((own[0].device.name.as_str(), own[0].model.as_deref()), ("my-card", Some("NVIDIA GeForce RTX 9090")));
        assert_eq!((own[0].device.memory.value, own[0].device.bandwidth.value), (Bytes::gib(24), ByteRate(936e9)));
        assert_eq!(own[0].device.peaks.f32.value, FlopRate(35.6e12));
        assert!(own[0].device.memory.source.contains("where you have these numbers from (`devices.ron`)"));
    }

    #[test]
    fn a_list_alone_every_field_and_no_device_at_all_can_be_read() {
        let text = r#"[Device(name: "My Card", memory: 2 * 8GiB, f32: 20TFLOP, tf32: 20TFLOP, f16: 40TFLOP, bf16: 40TFLOP,
            bandwidth: 500GB, efficiency: 40%, overhead: 1GiB)]"#;
        let own = read("devices.ron", text).unwrap();
        let device = &own[0].device;
        assert_eq!((device.name.as_str(), device.efficiency.value, device.overhead.value), ("my-card", 0.4, Bytes::gib(1)));
        assert!(device.peaks.all().into_iter().all(|(_, peak)| peak.is_some()));
        assert!(device.memory.source.contains("without a source"));
        assert_eq!((read("f", "[]").unwrap(), read("f", "Devices([])").unwrap()), (Vec::new(), Vec::new()));
    }

    #[test]
    fn every_mistake_is_said_at_once() {
        let found =
            messages(r#"Devices([Device(name: "a", memroy: 24GiB, f32: 35.6TFLOP, bandwidth: 936), Device(memory: 1GiB)])"#);
        let said = found.join("\n");
        for part in ["memroy", "bandwidth", "`name`", "`f32`"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn what_is_no_list_of_devices_is_refused() {
        for text in ["5", "\"a\"", "Recipe(name: \"a\")", "Devices([Card(name: \"a\")])", "Devices([", ""] {
            assert!(!messages(text).is_empty(), "{text}");
        }
        let cpu = r#"[Device(name: "CPU", memory: 1GiB, f32: 1TFLOP, bandwidth: 1GB)]"#;
        assert_eq!(messages(cpu), ["a device cannot have this name"]);
    }
}
