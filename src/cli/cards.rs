//! The NVIDIA cards of this machine, as the driver's files tell them: no CUDA is started, and no process.
//!
//! Invariant: what is read is small and on no disk, so that looking costs microseconds.

use std::path::Path;

/// A card of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// What the driver calls it: `NVIDIA GeForce RTX 3090`.
    pub model: String,
    /// The driver's name of this very card: `GPU-…`.
    pub uuid: String,
    /// Its PCI device number, which tells cards of one name apart.
    pub pci: Option<u16>,
}

/// The cards below a root directory, `/` but for tests, in the order of their PCI addresses.
///
/// None where there is no driver, and none in Windows' Linux, whose driver has no such files.
pub fn cards(root: &Path) -> Vec<Card> {
    let Ok(directory) = std::fs::read_dir(root.join("proc/driver/nvidia/gpus")) else { return Vec::new() };
    let mut addresses: Vec<_> = directory.flatten().collect();
    addresses.sort_by_key(std::fs::DirEntry::file_name);
    let card = |entry: &std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path().join("information")).ok()?;
        let pci = root.join("sys/bus/pci/devices").join(entry.file_name()).join("device");
        let uuid = field(&text, "GPU UUID").unwrap_or_default().to_owned();
        Some(Card { model: field(&text, "Model")?.to_owned(), uuid, pci: number(&pci) })
    };
    addresses.iter().filter_map(card).collect()
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// A number as sysfs writes it, `0x2206`.
fn number(path: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(path).ok()?;
    u16::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
}

/// The cards that CUDA shows under `CUDA_VISIBLE_DEVICES`: those that it lists by index or UUID, up to the first that there is not.
pub fn visible(cards: Vec<Card>, listed: Option<&str>) -> Vec<Card> {
    let Some(listed) = listed else { return cards };
    let wanted = |word: &str| {
        let word = word.trim();
        match word.parse::<usize>() {
            Ok(index) => cards.get(index).cloned(),
            Err(_) => cards.iter().find(|card| word.starts_with("GPU-") && card.uuid.starts_with(word)).cloned(),
        }
    };
    listed.split(',').map_while(wanted).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What driver 610 writes.
    fn information(model: &str, uuid: &str) -> String {
        format!(
            "Model: \t\t {model}\nIRQ:   \t\t 16\nGPU UUID: \t {uuid}\nVideo BIOS: \t 98.02.2e.40.7f\nBus Type: \t PCIe\n\
             DMA Size: \t 52 bits\nBus Location: \t 0000:01:00.0\nDevice Minor: \t 0\nGPU Excluded:\t No\n"
        )
    }

    fn machine(cards: &[(&str, &str, &str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (address, model, uuid, pci) in cards {
            let driver = root.path().join("proc/driver/nvidia/gpus").join(address);
            let device = root.path().join("sys/bus/pci/devices").join(address);
            fs::create_dir_all(&driver).unwrap();
            fs::create_dir_all(&device).unwrap();
            fs::write(driver.join("information"), information(model, uuid)).unwrap();
            fs::write(device.join("device"), format!("{pci}\n")).unwrap();
        }
        root
    }

    #[test]
    fn cards_are_read_in_the_order_of_their_addresses() {
        let root = machine(&[
            ("0000:06:00.0", "NVIDIA GeForce RTX 3080", "GPU-6b7fe24c", "0x2206"),
            ("0000:01:00.0", "NVIDIA GeForce RTX 5090", "GPU-80ded6bd", "0x2b85"),
        ]);
        let found = cards(root.path());
        let names: Vec<_> = found.iter().map(|card| (card.model.as_str(), card.uuid.as_str(), card.pci)).collect();
        assert_eq!(
            names,
            [
                ("NVIDIA GeForce RTX 5090", "GPU-80ded6bd", Some(0x2b85)),
                ("NVIDIA GeForce RTX 3080", "GPU-6b7fe24c", Some(0x2206)),
            ]
        );
    }

    #[test]
    fn what_cannot_be_read_is_no_card() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(cards(root.path()), []);
        let driver = root.path().join("proc/driver/nvidia/gpus/0000:01:00.0");
        fs::create_dir_all(&driver).unwrap();
        assert_eq!(cards(root.path()), []);
        fs::write(driver.join("information"), "Model: \t\t Tesla T4\n").unwrap();
        assert_eq!(cards(root.path()), [Card { model: "Tesla T4".to_owned(), uuid: String::new(), pci: None }]);
    }

    #[test]
    fn only_visible_cards_count() {
        let root = machine(&[("0000:01:00.0", "A", "GPU-aa11", "0x1"), ("0000:02:00.0", "B", "GPU-bb22", "0x2")]);
        let seen =
            |listed: Option<&str>| -> String { visible(cards(root.path()), listed).into_iter().map(|card| card.model).collect() };
        assert_eq!((seen(None), seen(Some("1")), seen(Some("1,0"))), ("AB".to_owned(), "B".to_owned(), "BA".to_owned()));
        assert_eq!((seen(Some("GPU-bb")), seen(Some("0,-1,1"))), ("B".to_owned(), "A".to_owned()));
        assert_eq!((seen(Some("")), seen(Some("7"))), (String::new(), String::new()));
    }
}
