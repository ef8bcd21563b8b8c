//! Devices that can be planned for without having one: numbers from data sheets.
//!
//! A row names, for each number, the maker's document where the number is printed and, after "checked against", the public pages
//! where it was read, the documents themselves not having been at hand. A number that was computed says from what. What could
//! not be found is not there.
//!
//! Memory is what NVIDIA's driver shows as the total where that was found, else the nominal size. Peaks of tensor cores are dense,
//! with products added up in f32.
//!
//! To add a device, add a row to the table of its kind; the tests hold what can be held of a row.

mod datacenter;
mod geforce;
mod other;
mod workstation;

use super::{Device, DeviceKind, Peaks, Sourced, host, plain_name};
use crate::units::{ByteRate, Bytes, FlopRate};

/// A number of a row and its source.
struct Number<T> {
    value: T,
    source: &'static str,
}

/// A row of the catalog.
struct Row {
    /// Its name: lower case, words joined by `-`.
    name: &'static str,
    /// What the driver calls it, without `NVIDIA` before it.
    models: &'static [&'static str],
    /// Its PCI device numbers, where another card has the same name; empty where none has.
    pci: &'static [u16],
    kind: DeviceKind,
    memory: Number<Bytes>,
    f32: Number<FlopRate>,
    tf32: Option<Number<FlopRate>>,
    f16: Option<Number<FlopRate>>,
    bf16: Option<Number<FlopRate>>,
    bandwidth: Number<ByteRate>,
}

/// What the rows of cards start from: nothing.
const CARD: Row = Row {
    name: "",
    models: &[],
    pci: &[],
    kind: DeviceKind::Cuda,
    memory: gib(0, ""),
    f32: tera(0.0, ""),
    tf32: None,
    f16: None,
    bf16: None,
    bandwidth: giga(0.0, ""),
};

/// The source of memory that NVIDIA's driver tells.
const DRIVER: &str = "total that NVIDIA's driver shows, `nvidia-smi` in public logs";

/// Memory in GiB, which is what is meant where a card is sold as one of so many GB.
const fn gib(value: u64, source: &'static str) -> Number<Bytes> {
    Number { value: Bytes::gib(value), source }
}

/// Memory in MiB.
const fn mib(value: u64, source: &'static str) -> Number<Bytes> {
    Number { value: Bytes::mib(value), source }
}

/// A rate in 10¹² FLOP/s.
const fn tera(value: f64, source: &'static str) -> Number<FlopRate> {
    Number { value: FlopRate(value * 1e12), source }
}

/// A rate in 10⁹ B/s.
const fn giga(value: f64, source: &'static str) -> Number<ByteRate> {
    Number { value: ByteRate(value * 1e9), source }
}

impl<T: Copy> Number<T> {
    fn sourced(&self) -> Sourced<T> {
        Sourced::new(self.value, self.source)
    }
}

impl Row {
    fn device(&self) -> Device {
        let sourced = |number: &Option<Number<FlopRate>>| number.as_ref().map(Number::sourced);
        let peaks =
            Peaks { f32: self.f32.sourced(), tf32: sourced(&self.tf32), f16: sourced(&self.f16), bf16: sourced(&self.bf16) };
        let card = Device::card(self.name, self.memory.sourced(), peaks, self.bandwidth.sourced());
        match self.kind {
            DeviceKind::Cpu { .. } => {
                let assumed = host::assumptions();
                Device {
                    kind: self.kind,
                    overhead: assumed.overhead,
                    efficiency: assumed.efficiency,
                    launch: assumed.launch,
                    ..card
                }
            }
            DeviceKind::Cuda | DeviceKind::Rocm => Device { kind: self.kind, ..card },
        }
    }

    /// Whether the driver means this card by a name, on a PCI device of this number where it is known.
    fn is_model(&self, model: &str, pci: Option<u16>) -> bool {
        let same_device = self.pci.is_empty() || pci.is_some_and(|number| self.pci.contains(&number));
        same_device && self.models.iter().any(|known| known.eq_ignore_ascii_case(model))
    }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    geforce::ROWS.iter().chain(workstation::ROWS).chain(datacenter::ROWS).chain(other::ROWS)
}

/// All devices known, sorted by name.
pub fn catalog() -> Vec<Device> {
    let mut all: Vec<Device> = rows().map(Row::device).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The device of a name; see [`plain_name`].
pub fn find(name: &str) -> Option<Device> {
    let wanted = plain_name(name);
    rows().find(|row| row.name == wanted).map(Row::device)
}

/// The card that the driver calls by this name: `NVIDIA GeForce RTX 3090`. Older drivers leave out the maker.
///
/// Only the whole name counts, so that `… Laptop GPU` and `… SUPER` are no other card. A few names are those of two cards of
/// different memory: of these a card is found only by its PCI device number as well.
pub fn of_model(model: &str, pci: Option<u16>) -> Option<Device> {
    let words: Vec<&str> = model.split_whitespace().collect();
    let words = match words.as_slice() {
        [maker, rest @ ..] if maker.eq_ignore_ascii_case("nvidia") => rest,
        all => all,
    };
    let model = words.join(" ");
    rows().find(|row| row.is_model(&model, pci)).map(Row::device)
}

#[cfg(test)]
mod tests;
