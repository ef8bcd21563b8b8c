//! Which devices can be planned for: this machine's, the catalog's and the user's own.

use std::path::Path;

use serde_json::json;

use super::cards::{Card, cards, visible};
use super::own_devices::{self, Broken, Own};
use super::{Exit, calibration, complain, print_json, render, say, world};
use crate::device::{Device, DeviceKind, catalog, named, of_model};
use crate::source::Sources;

/// The devices known on this machine.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The device to plan for where nothing else is asked for: what `run` would use.
    pub machine: Device,
    /// Every device that can be named: this machine's CPU first, then the others by name.
    pub known: Vec<Device>,
    /// The cards of this machine that CUDA shows.
    pub cards: Vec<Card>,
    /// What the driver calls cards of the user's, each with the name of its device.
    models: Vec<(String, String)>,
}

impl Inventory {
    /// Looks at this machine and reads the user's file, if there is one.
    ///
    /// # Errors
    /// Where the file is broken.
    pub fn load() -> Result<Self, Broken> {
        let own = world::home().map_or(Ok(Vec::new()), |home| own_devices_in(&home))?;
        let listed = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        let cards = visible(cards(Path::new("/")), listed.as_deref());
        let inventory = Self::of(world::machine(), cards, own, cfg!(feature = "cuda"));
        let machine = match inventory.cards.first() {
            Some(card) if inventory.machine.kind == DeviceKind::Cuda => calibration::applied(inventory.machine, &card.model),
            _ => inventory.machine,
        };
        Ok(Self { machine, ..inventory })
    }

    /// From a CPU, cards and the user's devices; the cards count as this machine's where this build can use them.
    pub fn of(cpu: Device, cards: Vec<Card>, own: Vec<Own>, has_cuda: bool) -> Self {
        let models: Vec<(String, String)> =
            own.iter().filter_map(|own| Some((own.model.clone()?, own.device.name.clone()))).collect();
        let known = known(cpu.clone(), own.into_iter().map(|own| own.device));
        let inventory = Self { machine: cpu, known, cards, models };
        let first = inventory.cards.first().and_then(|card| inventory.device_of(card)).filter(|_| has_cuda);
        match first.cloned() {
            Some(machine) => Self { machine, ..inventory },
            None => inventory,
        }
    }

    /// The device that the driver calls by a name, on a PCI device of this number.
    pub fn of_model(&self, model: &str, pci: Option<u16>) -> Option<&Device> {
        named(&self.known, &name_of(model, pci, &self.models)?)
    }

    /// The device that a card of this machine is, where it is known.
    pub fn device_of(&self, card: &Card) -> Option<&Device> {
        self.of_model(&card.model, card.pci)
    }

    /// The same with another device to plan for where nothing else is asked for.
    #[cfg(feature = "exec")]
    pub fn on(self, machine: Device) -> Self {
        Self { machine, ..self }
    }

    /// This machine's CPU.
    #[cfg(feature = "exec")]
    pub fn cpu(&self) -> Device {
        named(&self.known, "cpu").cloned().unwrap_or_else(world::machine)
    }

    /// Whether a device is in this machine.
    pub fn is_here(&self, device: &Device) -> bool {
        device.name == "cpu" || self.cards.iter().any(|card| self.device_of(card) == Some(device))
    }

    /// The models of this machine's cards that no device is known for.
    pub fn unknown_cards(&self) -> impl Iterator<Item = &str> {
        self.cards.iter().filter(|card| self.device_of(card).is_none()).map(|card| card.model.as_str())
    }
}

/// The name of the device that the driver calls by a name: the user's word goes before the catalog's.
fn name_of(model: &str, pci: Option<u16>, models: &[(String, String)]) -> Option<String> {
    let described = models.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(model));
    described.map(|(_, name)| name.clone()).or_else(|| of_model(model, pci).map(|device| device.name))
}

/// The user's devices, from the file in their directory; none where there is no such file.
fn own_devices_in(home: &Path) -> Result<Vec<Own>, Broken> {
    let path = home.join("devices.ron");
    let name = path.display().to_string();
    match world::read_text(&path) {
        Ok(text) => own_devices::read(&name, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Broken {
            message: format!("`{name}` cannot be read: {error}"),
            sources: Sources::default(),
            diagnostics: Vec::new(),
        }),
    }
}

/// The CPU, then the catalog with the user's devices in it, by name; a later one takes the place of an earlier of its name.
fn known(cpu: Device, own: impl Iterator<Item = Device>) -> Vec<Device> {
    let mut all = catalog();
    for device in std::iter::once(cpu).chain(own) {
        all.retain(|known| known.name != device.name);
        all.push(device);
    }
    all.sort_by(|a, b| (a.name != "cpu", &a.name).cmp(&(b.name != "cpu", &b.name)));
    all
}

impl Broken {
    /// Says what is wrong, to a person or to a program.
    pub fn refuse(&self, as_json: bool) -> Exit {
        if as_json {
            let diagnostics = render::json_list(&self.diagnostics, &self.sources);
            print_json(&json!({"recipe": null, "feasible": false, "error": self.message, "diagnostics": diagnostics}));
        } else {
            complain(&self.message);
            render::show(&self.diagnostics, &self.sources);
            say("help: mend the file, or move it away; `cramplan devices --example` prints an entry to start from");
        }
        Exit::Invalid
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::device::{find, plain_name};

    fn card(model: &str) -> Card {
        Card { model: model.to_owned(), uuid: String::new(), pci: None }
    }

    fn inventory(models: &[&str], own: &str, has_cuda: bool) -> Inventory {
        let own = own_devices::read("devices.ron", own).unwrap();
        Inventory::of(world::machine(), models.iter().map(|model| card(model)).collect(), own, has_cuda)
    }

    #[test]
    fn the_card_is_planned_for_where_this_build_can_use_it() {
        assert_eq!(inventory(&["NVIDIA GeForce RTX 3090"], "[]", true).machine.name, "rtx-3090");
        assert_eq!(inventory(&["NVIDIA GeForce RTX 3090"], "[]", false).machine.name, "cpu");
        assert_eq!(inventory(&[], "[]", true).machine.name, "cpu");
    }

    #[test]
    fn a_card_that_no_one_knows_is_named_and_the_cpu_planned_for() {
        let found = inventory(&["NVIDIA GeForce RTX 9090", "Tesla T4"], "[]", true);
        assert_eq!(found.machine.name, "cpu");
        assert_eq!(found.unknown_cards().collect::<Vec<_>>(), ["NVIDIA GeForce RTX 9090"]);
        let here: Vec<_> = found.known.iter().filter(|d| found.is_here(d)).map(|d| d.name.as_str()).collect();
        assert_eq!(here, ["cpu", "t4"]);
    }

    const OWN: &str = r#"Devices([
        Device(name: "RTX 3090", memory: 20GiB, f32: 30TFLOP, bandwidth: 900GB, source: "mine"),
        Device(name: "rtx-9090", model: "NVIDIA GeForce RTX 9090", memory: 64GiB, f32: 200TFLOP, bandwidth: 3TB),
    ])"#;

    #[test]
    fn own_devices_add_to_the_catalog_and_take_the_place_of_its_rows() {
        let found = inventory(&["NVIDIA GeForce RTX 9090", "NVIDIA GeForce RTX 3090"], OWN, true);
        assert_eq!(found.machine.name, "rtx-9090");
        let mine = named(&found.known, "rtx-3090").unwrap();
        assert_eq!(mine.memory.value, crate::units::Bytes::gib(20));
        assert_ne!(Some(mine.clone()), find("rtx-3090"));
        assert_eq!(found.known.len(), catalog().len() + 2);
        assert!(found.known[0].name == "cpu" && found.known[1..].is_sorted_by(|a, b| a.name < b.name));
        assert!(found.known.iter().all(|d| d.name == plain_name(&d.name)) && found.unknown_cards().next().is_none());
    }

    #[test]
    fn the_file_is_read_from_the_directory_and_may_be_absent() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(own_devices_in(home.path()).unwrap(), []);
        fs::write(home.path().join("devices.ron"), OWN).unwrap();
        assert_eq!(own_devices_in(home.path()).unwrap().len(), 2);
        fs::write(home.path().join("devices.ron"), "Devices([Device(name: 3)])").unwrap();
        assert!(own_devices_in(home.path()).unwrap_err().message.contains("devices.ron"));
        fs::write(home.path().join("devices.ron"), [0xff, 0xfe]).unwrap();
        assert!(own_devices_in(home.path()).unwrap_err().message.contains("UTF-8"));
    }
}
