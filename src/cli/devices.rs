//! `cramplan devices`

use std::fmt::Write as _;

use serde_json::json;

use super::arguments::{Devices, Format};
use super::{Exit, print, print_json, world};
use crate::device::{Device, catalog};

/// Lists this machine and the catalog.
pub fn devices(options: &Devices) -> Exit {
    let mut all = vec![world::machine()];
    all.extend(catalog());
    match options.format {
        Format::Json => print_json(&json!({"devices": all})),
        Format::Text => print(&table(&all)),
    }
    Exit::Success
}

fn table(devices: &[Device]) -> String {
    let mut out = format!("{:14} {:>11} {:>14} {:>12}\n", "device", "memory", "f32 peak", "bandwidth");
    for d in devices {
        let _ = writeln!(
            out,
            "{:14} {:>11} {:>14} {:>12}",
            d.name,
            d.memory.value.to_string(),
            d.peak.value.to_string(),
            d.bandwidth.value.to_string()
        );
    }
    out + "\n`cpu` is this machine. `--format json` adds where each number comes from.\n"
}
