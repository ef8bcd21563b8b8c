//! The machines that certificates are planned for.

use cramplan::device::calibration::{Calibration, FORMAT, Machine, Measured};
use cramplan::device::law::{Entry, Kind, Law};
use cramplan::device::{Cache, Calibrated, Device, DeviceKind, HostFacts, Lanes, Peaks, Sourced, catalog, cpu};
use cramplan::units::{ByteRate, Bytes, FlopRate, Ratio};

/// A machine whose caches could not be read.
pub fn host(threads: u64) -> Device {
    let facts = HostFacts {
        model: "test".into(),
        threads,
        clock: None,
        avx512: false,
        halved: false,
        avx2: true,
        memory: Sourced::new(Bytes::gib(64), "test"),
        caches: None,
    };
    cpu(&facts)
}

/// A machine whose caches could be read.
fn read_out(threads: u64, lanes: u64, caches: [(u64, u64); 3]) -> Device {
    let caches = caches.map(|(kib, ways)| Cache { bytes: kib << 10, ways, line: 64 });
    Device { lanes: Some(Lanes { lanes, caches }), ..host(threads) }
}

/// A laptop's part with AVX2: a small second cache that is kept by threads.
pub fn laptop() -> Device {
    read_out(2, 8, [(32, 8), (512, 8), (16 << 10, 16)])
}

/// A card of the user's in the place of the catalog's.
pub fn own() -> Device {
    let source = "measured by hand (`devices.ron`)";
    let peaks = Peaks::f32(Sourced::new(FlopRate(1.1e13), source));
    Device::card("rtx-4090", Sourced::new(Bytes::gib(12), source), peaks, Sourced::new(ByteRate(3.3e11), source))
}

/// A machine of which adding and the micro-step were measured, and writing to its disk.
pub fn measured() -> Device {
    let entries = |scale: f64| -> Vec<Entry> {
        let entry = |n: u64| Entry { extents: [n, 0, 0, 0], seconds: 1e-6 + n as f64 * scale, spread: 0.01 };
        [1000, 10_000, 100_000].map(entry).to_vec()
    };
    let measured = |kind, scale| {
        let entries = entries(scale);
        (kind, Measured { costs: Law::fit(kind, &entries, 2).unwrap().costs(), entries })
    };
    let calibration = Calibration {
        format: FORMAT,
        machine: Machine { device: "cpu".into(), model: "test".into(), threads: 2, program: "0.1.0".into() },
        at: "2026-11-25T03:29:40Z".into(),
        took: 50.0,
        error: Ratio(0.1),
        noise: Ratio(0.02),
        disk: Some(ByteRate(1.3e8)),
        kinds: [measured(Kind::Add, 7e-10), measured(Kind::MicroStep, 2e-9)].into(),
    };
    Device { calibration: Some(Calibrated::new(&calibration)), ..host(2) }
}

/// The first AMD card of the catalog.
pub fn amd() -> Device {
    catalog().into_iter().find(|device| device.kind == DeviceKind::Rocm).unwrap()
}

/// Machines with every width of vectors, and caches of many sizes.
pub fn read_outs() -> Vec<Device> {
    let caches = [
        [(32, 8), (256, 4), (3 << 10, 12)],
        [(48, 12), (1280, 10), (54 << 10, 12)],
        [(64, 4), (512, 8), (1 << 10, 16)],
        [(128, 8), (4 << 10, 16), (8 << 10, 1)],
        [(1 << 10, 8), (1 << 10, 0), (256, 0)],
    ];
    let every = [1, 4, 8, 16].into_iter().flat_map(|lanes| caches.map(|caches| read_out(3, lanes, caches)));
    every.collect()
}
