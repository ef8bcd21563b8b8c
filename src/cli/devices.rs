//! `cramplan devices`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::arguments::{Devices, Format};
use super::inventory::Inventory;
use super::{Exit, complain, own_devices, print, print_json, say};
use crate::device::{Device, DeviceKind, named};
use crate::recipe::suggest::nearest;
use crate::units::Ratio;

/// Lists this machine's devices, the catalog and the user's own, or shows one of them with every number's source.
pub fn devices(options: &Devices) -> Exit {
    let inventory = match Inventory::load() {
        Ok(inventory) => inventory,
        Err(broken) if !options.example => return broken.refuse(options.format == Format::Json),
        // What mends the file must not need it.
        Err(_) => {
            print(&own_devices::example("NVIDIA GeForce RTX 3090"));
            return Exit::Success;
        }
    };
    if options.example {
        print(&own_devices::example(inventory.unknown_cards().next().unwrap_or("NVIDIA GeForce RTX 3090")));
        return Exit::Success;
    }
    let Some(name) = &options.name else {
        match options.format {
            Format::Json => print_json(&list_json(&inventory)),
            Format::Text => print(&table(&inventory)),
        }
        return Exit::Success;
    };
    let Some(device) = named(&inventory.known, name) else { return unknown(name, &inventory) };
    match options.format {
        Format::Json => print_json(&device_json(device, &inventory)),
        Format::Text => print(&in_full(device, &inventory)),
    }
    Exit::Success
}

fn unknown(name: &str, inventory: &Inventory) -> Exit {
    complain(&format!("there is no device `{name}`"));
    match nearest(name, inventory.known.iter().map(|device| device.name.as_str())) {
        Some(close) => say(&format!("help: did you mean `{close}`?")),
        None => say("help: `cramplan devices` lists them all"),
    }
    Exit::Invalid
}

/// A device as a row: name, memory, peaks and bandwidth.
fn row(device: &Device, here: bool) -> String {
    let mark = if here { '*' } else { ' ' };
    let mut line = format!("{mark} {:22} {:>11}", device.name, device.memory.value.to_string());
    for (_, peak) in device.peaks.all() {
        let text = peak.map_or("-".to_owned(), |peak| peak.value.to_string().trim_end_matches("FLOP/s").to_owned());
        let _ = write!(line, " {text:>7}");
    }
    let rate = device.bandwidth.value.to_string();
    let note = if device.kind == DeviceKind::Rocm { "  planned for only" } else { "" };
    line + &format!(" {rate:>12}{note}\n")
}

fn table(inventory: &Inventory) -> String {
    let mut out = format!("  {:22} {:>11}", "device", "memory");
    for name in ["f32", "tf32", "f16", "bf16"] {
        let _ = write!(out, " {name:>7}");
    }
    let _ = writeln!(out, " {:>12}", "bandwidth");
    for device in &inventory.known {
        out += &row(device, inventory.is_here(device));
    }
    out += "\n`*` is in this machine; `cpu` is its processor. Peaks are dense, in FLOP/s, f32 without tensor cores, the others added\n\
            up in f32; `-` where none was found. `cramplan devices NAME` shows where each number comes from.\n";
    for model in inventory.unknown_cards() {
        let _ = writeln!(out, "This machine's `{model}` is not in the list: describe it in the file below.");
    }
    out + "Devices of your own stand in `devices.ron` in `$CRAMPLAN_HOME` or `~/.config/cramplan`; `--example` prints an entry.\n"
}

/// Every number of a device with its source.
fn in_full(device: &Device, inventory: &Inventory) -> String {
    let here = if inventory.is_here(device) { ", in this machine" } else { "" };
    let mut out = format!("{} ({}{here})\n\n", device.name, device.kind.name());
    let mut line = |name: &str, value: &str, source: &str| {
        let _ = writeln!(out, "  {name:10} {value:>13}  {source}");
    };
    line("memory", &device.memory.value.to_string(), &device.memory.source);
    for (name, peak) in device.peaks.all() {
        match peak {
            Some(peak) => line(name, &peak.value.to_string(), &peak.source),
            None => line(name, "-", "the device has it not, or no number was found"),
        }
    }
    line("bandwidth", &device.bandwidth.value.to_string(), &device.bandwidth.source);
    line("efficiency", &Ratio(device.efficiency.value).to_string(), &device.efficiency.source);
    line("process", &device.overhead.value.to_string(), &device.overhead.source);
    line("launch", &device.launch.value.to_string(), &device.launch.source);
    if device.kind == DeviceKind::Rocm {
        out += "\nThis program does not run on AMD's cards: the device can be planned for only.\n";
    }
    out
}

fn device_json(device: &Device, inventory: &Inventory) -> Value {
    let mut object = json!(device);
    if let Some(map) = object.as_object_mut() {
        map.insert("here".to_owned(), json!(inventory.is_here(device)));
    }
    object
}

fn list_json(inventory: &Inventory) -> Value {
    let devices: Vec<Value> = inventory.known.iter().map(|device| device_json(device, inventory)).collect();
    let name = |card| inventory.device_of(card).map(|device| device.name.as_str());
    let cards: Vec<Value> = inventory.cards.iter().map(|card| json!({"model": card.model, "device": name(card)})).collect();
    json!({"devices": devices, "machine": inventory.machine.name, "cards": cards})
}
