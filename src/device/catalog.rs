//! Graphics cards that can be planned for without having one: numbers from NVIDIA's data sheets.
//!
//! Peaks are those of f32 without tensor cores, since that is what is computed. Where one name covers several forms of a card,
//! the slower form is meant, unless the source says otherwise. Every source names NVIDIA's document and the public pages that the
//! numbers were checked against, the documents themselves not having been at hand; what could not be checked says so.

use super::{Device, DeviceKind, Sourced};
use crate::units::{ByteRate, Bytes, FlopRate, Seconds};

/// A card of the table.
struct Card {
    /// Its name: lower case, words joined by `-`.
    name: &'static str,
    /// Memory: nominal, or what CUDA offers where that is at least 1 GiB less.
    memory: Bytes,
    /// Why the memory is not the nominal size; empty where it is.
    memory_note: &'static str,
    /// Peak of f32 without tensor cores, in FLOP/s.
    peak: f64,
    /// Memory bandwidth in B/s.
    bandwidth: f64,
    /// NVIDIA's document, and the form of the card where there are several.
    sheet: &'static str,
    /// The public pages that its numbers were checked against.
    checked: &'static str,
}

/// The cards, sorted by name.
const CARDS: [Card; 18] = [
    Card {
        name: "a10",
        memory: Bytes::mib(22_511),
        memory_note: "24 GB less ECC and the driver: free on an idle card, github.com/mayooot/detect-gpu issue 3",
        peak: 31.2e12,
        bandwidth: 600e9,
        sheet: "NVIDIA A10 data sheet",
        checked: "sysrqmts.com/ru/gpus/compare/nvidia-a10-pcie-vs-nvidia-quadro-rtx-4000",
    },
    Card {
        name: "a100-40gb",
        memory: Bytes::gib(40),
        memory_note: "",
        peak: 19.5e12,
        bandwidth: 1555e9,
        sheet: "NVIDIA A100 data sheet",
        checked: "glennklockwood.com/garden/processors/A100",
    },
    Card {
        name: "a100-80gb",
        memory: Bytes::gib(80),
        memory_note: "",
        peak: 19.5e12,
        bandwidth: 1935e9,
        sheet: "NVIDIA A100 data sheet, PCIe form (SXM: 2039 GB/s)",
        checked: "thundercompute.com/blog/nvidia-a100-specs-full-guide, glennklockwood.com/garden/processors/A100",
    },
    Card {
        name: "h100-pcie",
        memory: Bytes::gib(80),
        memory_note: "",
        peak: 51e12,
        bandwidth: 2000e9,
        sheet: "NVIDIA H100 data sheet, PCIe form",
        checked: "archive-lib.hpctech.co.jp/gpuproduct/nvidia-h100.html",
    },
    Card {
        name: "h100-sxm",
        memory: Bytes::gib(80),
        memory_note: "",
        peak: 67e12,
        bandwidth: 3350e9,
        sheet: "NVIDIA H100 data sheet, SXM form",
        checked: "archive-lib.hpctech.co.jp/gpuproduct/nvidia-h100.html",
    },
    Card {
        name: "h200",
        memory: Bytes::gib(139),
        memory_note: "141 GB, of which CUDA offers about 139 GiB: NVIDIA specification, from memory, unverified",
        peak: 67e12,
        bandwidth: 4800e9,
        sheet: "NVIDIA H200 data sheet, SXM form",
        checked: "hmc-tech.com/gpu/nvidia-h100-vs-nvidia-h200-sxm-vs-nvidia-gb200, aiwiki.ai/wiki/nvidia_h200",
    },
    Card {
        name: "l4",
        memory: Bytes::mib(22_558),
        memory_note: "24 GB less ECC and the driver: 22.03 GiB to CUDA, github.com/ArcInstitute/evo2 issue 190",
        peak: 30.3e12,
        bandwidth: 300e9,
        sheet: "NVIDIA L4 data sheet",
        checked: "fpsbench.com/compare/gpu/nvidia-l4-vs-nvidia-tesla-m40",
    },
    Card {
        name: "rtx-2080-ti",
        memory: Bytes::gib(11),
        memory_note: "",
        peak: 13.4e12,
        bandwidth: 616e9,
        sheet: "NVIDIA Turing whitepaper, reference clock",
        checked: "gpu.spicedreamphone.com/ru/gpu/nvidia/geforce-rtx-2080-ti",
    },
    Card {
        name: "rtx-3060",
        memory: Bytes::gib(12),
        memory_note: "",
        peak: 12.7e12,
        bandwidth: 360e9,
        sheet: "NVIDIA GeForce RTX 3060 specification, 12 GB form",
        checked: "sysrqmts.com/it/gpus/compare/nvidia-geforce-gtx-970-vs-nvidia-geforce-rtx-3060",
    },
    Card {
        name: "rtx-3090",
        memory: Bytes::gib(24),
        memory_note: "",
        peak: 35.6e12,
        bandwidth: 936e9,
        sheet: "NVIDIA Ampere GA102 whitepaper",
        checked: "huggingface.co/datasets/ohdoking/gpu_spec, cpu-gpu.alldbin.com",
    },
    Card {
        name: "rtx-4070",
        memory: Bytes::gib(12),
        memory_note: "",
        peak: 29.1e12,
        bandwidth: 504e9,
        sheet: "NVIDIA GeForce RTX 4070 specification",
        checked: "club386.com/complete-geforce-rtx-4070-specifications-reveal-a-frugal-599-gpu",
    },
    Card {
        name: "rtx-4080",
        memory: Bytes::gib(16),
        memory_note: "",
        peak: 48.7e12,
        bandwidth: 717e9,
        sheet: "NVIDIA Ada whitepaper, 16 GB form",
        checked: "club386.com/complete-geforce-rtx-4070-specifications-reveal-a-frugal-599-gpu",
    },
    Card {
        name: "rtx-4090",
        memory: Bytes::gib(24),
        memory_note: "",
        peak: 82.6e12,
        bandwidth: 1008e9,
        sheet: "NVIDIA Ada whitepaper",
        checked: "club386.com/complete-geforce-rtx-4070-specifications-reveal-a-frugal-599-gpu",
    },
    Card {
        name: "rtx-5090",
        memory: Bytes::gib(32),
        memory_note: "",
        peak: 104.8e12,
        bandwidth: 1792e9,
        sheet: "NVIDIA RTX Blackwell whitepaper",
        checked: "github.com/huggingface/huggingface.js pull 1211, pocketmags.com/linux-format-magazine/may-2025",
    },
    Card {
        name: "rtx-a4000",
        memory: Bytes::gib(16),
        memory_note: "",
        peak: 19.2e12,
        bandwidth: 448e9,
        sheet: "NVIDIA RTX A4000 data sheet",
        checked: "ecer.com/corp/details-uuuedqa-p1bsb03",
    },
    Card {
        name: "rtx-a6000",
        memory: Bytes::gib(48),
        memory_note: "",
        peak: 38.7e12,
        bandwidth: 768e9,
        sheet: "NVIDIA RTX A6000 data sheet",
        checked: "sysrqmts.com/es/gpus/compare/nvidia-rtx-a6000-vs-nvidia-tesla-p40",
    },
    Card {
        name: "t4",
        memory: Bytes::mib(15_110),
        memory_note: "16 GB less ECC and the driver: total of CUDA's deviceQuery, chiemon.github.io",
        peak: 8.1e12,
        bandwidth: 320e9,
        sheet: "NVIDIA T4 data sheet",
        checked: "sysrqmts.com/en/gpus/nvidia/tesla/t4",
    },
    Card {
        name: "v100-16gb",
        memory: Bytes::gib(16),
        memory_note: "",
        peak: 14e12,
        bandwidth: 900e9,
        sheet: "NVIDIA V100 data sheet, PCIe form (SXM2: 15.7 TFLOPS)",
        checked: "io-tech.fi, cvw.cac.cornell.edu",
    },
];

impl Card {
    /// The card as a device.
    fn device(&self) -> Device {
        let source = format!("{}, checked against {}", self.sheet, self.checked);
        let memory = match self.memory_note {
            "" => source.clone(),
            note => format!("{}; {note}", self.sheet),
        };
        Device {
            name: self.name.to_owned(),
            kind: DeviceKind::Cuda,
            memory: Sourced::new(self.memory, memory),
            overhead: Sourced::new(Bytes::mib(600), "assumed: CUDA context, kernels and allocator slack"),
            peak: Sourced::new(FlopRate(self.peak), format!("f32 without tensor cores; {source}")),
            efficiency: Sourced::new(0.5, "assumed: f32 matrix products of small models; calibrate before trusting a day to it"),
            bandwidth: Sourced::new(ByteRate(self.bandwidth), source),
            launch: Sourced::new(Seconds(5e-6), "assumed: kernel launch and the host's share of it"),
            calibration: None,
        }
    }
}

/// All cards known, sorted by name.
pub fn catalog() -> Vec<Device> {
    CARDS.iter().map(Card::device).collect()
}

/// The card of a name; case does not matter, and `_` or a space is as good as `-`.
pub fn find(name: &str) -> Option<Device> {
    let wanted = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
    CARDS.iter().find(|card| card.name == wanted).map(Card::device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sorted() {
        let names: Vec<_> = catalog().into_iter().map(|device| device.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn every_name_finds_its_card() {
        for device in catalog() {
            assert_eq!(find(&device.name), Some(device));
        }
    }

    #[test]
    fn find_forgives_case_and_separators() {
        let card = find("rtx-2080-ti");
        assert!(card.is_some());
        for name in ["RTX 2080 Ti", "rtx_2080_ti", "Rtx-2080_TI", " rtx-2080-ti "] {
            assert_eq!(find(name), card, "{name}");
        }
        assert_eq!(find("rtx-2080"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn every_card_has_memory_rates_and_sources() {
        for device in catalog() {
            assert_eq!(device.kind, DeviceKind::Cuda);
            assert!(device.memory.value > Bytes::gib(1) && device.memory.value > device.overhead.value, "{}", device.name);
            assert!(device.peak.value.0 > 1e12 && device.bandwidth.value.0 > 1e11, "{}", device.name);
            for source in [&device.memory.source, &device.peak.source, &device.bandwidth.source] {
                assert!(source.contains("NVIDIA"), "{}: {source}", device.name);
            }
        }
    }
}
