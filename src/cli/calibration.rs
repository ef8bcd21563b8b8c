//! Where calibrations are kept, and whose they are.

use std::path::PathBuf;

use super::{say, world};
use crate::device::calibration::{Calibration, Machine, Mismatch};
use crate::device::{Calibrated, Device, DeviceKind};

/// A device as a calibration knows it. `model` is the processor's or the card's own name.
pub fn identity(device: &Device, model: &str) -> Machine {
    let threads = match device.kind {
        DeviceKind::Cpu { threads } => threads,
        DeviceKind::Cuda => 0,
    };
    Machine { device: device.name.clone(), model: model.to_owned(), threads, program: env!("CARGO_PKG_VERSION").to_owned() }
}

/// The file of a machine's calibration; none where this user has no directory.
pub fn file(machine: &Machine) -> Option<PathBuf> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = machine.model.chars().map(plain).collect();
    let slug = words.split_whitespace().collect::<Vec<_>>().join("-");
    Some(world::home()?.join("calibration").join(format!("{}-{slug}.ron", machine.device)))
}

/// A device of this machine with what was measured of it; where that is of no use any more, it says so.
pub fn applied(device: Device, model: &str) -> Device {
    let machine = identity(&device, model);
    let Some(path) = file(&machine) else { return device };
    let Ok(text) = std::fs::read_to_string(&path) else { return device };
    match Calibration::load(&text, &machine) {
        Ok(calibration) => Device { calibration: Some(Calibrated::new(&calibration)), ..device },
        Err(mismatch) => {
            say(&warning(&path.display().to_string(), &mismatch));
            device
        }
    }
}

fn warning(path: &str, mismatch: &Mismatch) -> String {
    format!(
        "warning: what was measured of this machine is not used: {mismatch} (`{path}`)\nhelp: `cramplan probe` measures it anew"
    )
}
