//! The card that a run computes on, as a device that can be planned for.

use super::{Outcomes, stop};
use crate::cli::inventory::Inventory;
use crate::cli::{Exit, calibration, own_devices, say, world};
use crate::device::Device;

/// The device of card `index` of this machine, with what was measured of it, and its own name; one that no one knows cannot be planned for.
pub fn card(index: usize, inventory: &Inventory) -> Outcomes<(Device, String)> {
    warn_of_order(inventory);
    let told = inventory.cards.get(index).map(|card| (card.model.clone(), card.pci));
    let Some((model, pci)) = told.or_else(|| Some((told_by_tool(index)?, None))) else {
        let message =
            format!("neither the driver's files nor `nvidia-smi` tell what card {index} is, so nothing can be planned for it");
        return stop(Exit::Invalid, &message, "see that `nvidia-smi` lists the card, or run with `--device cpu`");
    };
    if let Some(device) = inventory.of_model(&model, pci) {
        return Ok((calibration::applied(device.clone(), &model), model));
    }
    let message = format!("the card `{model}` is not in the catalog, so nothing can be planned for it");
    let place = world::home().map_or("devices.ron".to_owned(), |home| home.join("devices.ron").display().to_string());
    let example = own_devices::example(&model);
    stop(Exit::Invalid, &message, &format!("describe it in `{place}`, with numbers from its data sheet:\n\n{example}\n"))
}

/// The driver's files are in the order of addresses, in which CUDA counts only when it is told to.
fn warn_of_order(inventory: &Inventory) {
    let by_address = std::env::var("CUDA_DEVICE_ORDER").is_ok_and(|order| order == "PCI_BUS_ID");
    let mut models = inventory.cards.iter().map(|card| &card.model);
    let first = models.next();
    if !by_address && models.any(|model| Some(model) != first) {
        say("warning: this machine's cards differ, and CUDA counts the fastest first: set `CUDA_DEVICE_ORDER=PCI_BUS_ID`");
    }
}

/// What NVIDIA's tool calls a card, for where there are no driver's files: Linux in Windows.
fn told_by_tool(index: usize) -> Option<String> {
    let query = ["--query-gpu=name", "--format=csv,noheader", "-i", &index.to_string()];
    let answer = std::process::Command::new("nvidia-smi").args(query).output().ok()?;
    let name = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    (answer.status.success() && !name.is_empty()).then_some(name)
}
