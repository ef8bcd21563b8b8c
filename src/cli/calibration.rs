//! Where calibrations are kept, and whose they are.

use std::path::PathBuf;

use super::{say, world};
use crate::device::calibration::{Calibration, Machine};
use crate::device::{Calibrated, Device, DeviceKind};

/// A device as a calibration knows it. `model` is the processor's or the card's own name.
pub fn identity(device: &Device, model: &str) -> Machine {
    let threads = match device.kind {
        DeviceKind::Cpu { threads } => threads,
        DeviceKind::Cuda | DeviceKind::Rocm => 0,
    };
    Machine { device: device.name.clone(), model: model.to_owned(), threads, program: env!("CARGO_PKG_VERSION").to_owned() }
}

/// The file of a machine's calibration; none where this user has no directory.
pub fn file(machine: &Machine) -> Option<PathBuf> {
    Some(world::home()?.join("calibration").join(file_name(machine)))
}

/// The device and the model: `cpu-amd-epyc-family-26-model-2.ron`.
fn file_name(machine: &Machine) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
    let words: String = machine.model.chars().map(plain).collect();
    format!("{}-{}.ron", machine.device, words.split_whitespace().collect::<Vec<_>>().join("-"))
}

/// A device of this machine with what was measured of it; where that is of no use any more, it says so.
pub fn applied(device: Device, model: &str) -> Device {
    let machine = identity(&device, model);
    let Some(path) = file(&machine) else { return device };
    let Ok(text) = std::fs::read_to_string(&path) else { return device };
    let calibration = Calibration::load(&text, &machine).map(|calibration| Calibrated::new(&calibration));
    if let Err(mismatch) = &calibration {
        say(&format!("warning: what was measured of this machine is not used: {mismatch} (`{}`)", path.display()));
        say("help: `cramplan probe` measures it anew");
    }
    Device { calibration: calibration.ok(), ..device }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_the_device_and_its_model() {
        let device = crate::device::find("rtx-4090").unwrap();
        let machine = identity(&device, "NVIDIA GeForce RTX 4090 (24 GB)");
        assert_eq!(file_name(&machine), "rtx-4090-nvidia-geforce-rtx-4090-24-gb.ron");
        assert_eq!(machine.threads, 0);
    }
}
