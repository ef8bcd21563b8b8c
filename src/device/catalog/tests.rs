//! What can be held of the rows without knowing the cards.

use super::*;

#[test]
fn names_are_unique_plain_and_sorted() {
    let names: Vec<String> = catalog().into_iter().map(|device| device.name).collect();
    assert!(names.len() >= 40, "{}", names.len());
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    assert!(names.iter().all(|name| *name == plain_name(name) && name != "cpu"));
    for table in [geforce::ROWS, workstation::ROWS, datacenter::ROWS, other::ROWS] {
        assert!(table.is_sorted_by(|a, b| a.name < b.name));
    }
}

#[test]
fn every_name_finds_its_device() {
    for device in catalog() {
        assert_eq!(find(&device.name), Some(device));
    }
    assert_eq!(find("RTX 2080 Ti"), find("rtx-2080-ti"));
    assert_eq!((find("rtx-2080"), find("")), (None, None));
}

/// Bounds that a slip in a unit or a digit would break.
#[test]
fn memory_and_bandwidth_are_plausible() {
    for device in catalog() {
        let (memory, rate) = (device.memory.value, device.bandwidth.value.0);
        assert!(memory > device.overhead.value && memory >= Bytes::gib(7), "{}", device.name);
        let card = !matches!(device.kind, DeviceKind::Cpu { .. });
        assert!(!card || memory <= Bytes::gib(192), "{}", device.name);
        let seconds = memory.as_f64() / rate;
        assert!((0.0..=if card { 0.1 } else { 20.0 }).contains(&seconds), "{}: {seconds} s to read its memory", device.name);
        let ratio = device.peaks.f32.value.0 / rate;
        assert!((3.0..=120.0).contains(&ratio), "{}: {ratio} FLOP a byte", device.name);
    }
}

#[test]
fn tensor_cores_have_lawful_ratios() {
    for device in catalog() {
        let f32 = device.peaks.f32.value.0;
        let ratio = |peak: &Option<Sourced<FlopRate>>| peak.as_ref().map(|peak| peak.value.0 / f32);
        let (tf32, f16, bf16) = (ratio(&device.peaks.tf32), ratio(&device.peaks.f16), ratio(&device.peaks.bf16));
        assert!(bf16.is_none() || bf16 == f16, "{}: one rate for both halves", device.name);
        assert!(f16.is_none_or(|ratio| (1.9..=29.0).contains(&ratio)), "{}: {f16:?}", device.name);
        // TF32 has half the rate of the halves, to the rounding of data sheets.
        if let (Some(tf32), Some(f16)) = (tf32, f16) {
            assert!((1.95..=2.06).contains(&(f16 / tf32)), "{}: {}", device.name, f16 / tf32);
        }
    }
}

/// A peak with sparsity, or with f16 accumulation, taken for a dense one would be out by a factor of two.
#[test]
fn geforce_cards_have_twice_the_f32_rate_in_halves_and_workstation_cards_four_times() {
    for (rows, low, high) in [(&geforce::ROWS[1..], 1.95, 2.05), (workstation::ROWS, 3.95, 4.05)] {
        for row in rows {
            let ratio = row.f16.as_ref().map_or(0.0, |f16| f16.value.0) / row.f32.value.0;
            assert!((low..=high).contains(&ratio), "{}: {ratio}", row.name);
        }
    }
    // Turing has twice as many tensor operations for each of f32.
    let turing = find("rtx-2080-ti").unwrap().peaks;
    assert!((3.9..=4.1).contains(&(turing.f16.unwrap().value.0 / turing.f32.value.0)));
    assert_eq!((turing.tf32, turing.bf16), (None, None));
}

#[test]
fn every_number_says_where_it_comes_from() {
    for device in catalog() {
        let peaks = device.peaks.all().into_iter().filter_map(|(_, peak)| peak.map(|peak| peak.source.clone()));
        let sources = peaks.chain([device.memory.source.clone(), device.bandwidth.source.clone()]);
        for source in sources {
            let names_one =
                ["NVIDIA", "AMD", "computed: ", "wikichip", "GB", "its GPU is an H100"].iter().any(|s| source.contains(s));
            assert!(names_one && source.len() > 25 && !source.contains("  "), "{}: {source:?}", device.name);
            // The verdict shows what stands before this.
            assert_eq!(source.matches("checked against").count(), source.matches(", checked against").count(), "{source}");
        }
        let rates = device.peaks.all().into_iter().filter_map(|(_, peak)| peak.map(|peak| peak.value.0));
        assert!(rates.chain([device.bandwidth.value.0]).all(|rate| rate.is_finite() && rate > 1e10), "{}", device.name);
    }
}

#[test]
fn the_driver_names_each_card_once() {
    let mut seen: Vec<String> = Vec::new();
    for row in rows() {
        assert_eq!(row.models.is_empty(), row.kind != DeviceKind::Cuda, "{}", row.name);
        for model in row.models {
            assert!(!seen.contains(&model.to_lowercase()), "{model}");
            seen.push(model.to_lowercase());
            let found = of_model(&format!("NVIDIA {model}"), row.pci.first().copied());
            assert_eq!(found.map(|d| d.name).as_deref(), Some(row.name));
        }
    }
}

/// Names as drivers print them.
#[test]
fn real_models_are_found() {
    for (model, name) in [
        ("NVIDIA GeForce RTX 2080 Ti", "rtx-2080-ti"),
        ("GeForce RTX 2080 Ti", "rtx-2080-ti"),
        ("NVIDIA GeForce RTX 3070", "rtx-3070"),
        ("NVIDIA GeForce RTX 3090", "rtx-3090"),
        ("NVIDIA GeForce RTX 3090 Ti", "rtx-3090-ti"),
        ("NVIDIA GeForce RTX 4070", "rtx-4070"),
        ("NVIDIA GeForce RTX 4070 Ti", "rtx-4070-ti"),
        ("NVIDIA GeForce RTX 4080", "rtx-4080"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA GeForce RTX 5070 Ti", "rtx-5070-ti"),
        ("NVIDIA GeForce RTX 5080", "rtx-5080"),
        ("NVIDIA GeForce RTX 5090", "rtx-5090"),
        ("NVIDIA RTX A4000", "rtx-a4000"),
        ("NVIDIA RTX A5000", "rtx-a5000"),
        ("NVIDIA RTX A6000", "rtx-a6000"),
        ("NVIDIA RTX 4000 Ada Generation", "rtx-4000-ada"),
        ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "rtx-pro-6000-blackwell"),
        ("Tesla T4", "t4"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA A10", "a10"),
        ("NVIDIA A30", "a30"),
        ("NVIDIA A40", "a40"),
        ("Tesla V100-PCIE-16GB", "v100-16gb"),
        ("Tesla V100-SXM2-32GB", "v100-sxm2-32gb"),
        ("NVIDIA A100-PCIE-40GB", "a100-40gb"),
        ("A100-SXM4-40GB", "a100-40gb-sxm"),
        ("NVIDIA A100 80GB PCIe", "a100-80gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA B200", "b200"),
        ("NVIDIA GH200 480GB", "gh200"),
        ("GH200 120GB", "gh200"),
        ("  nvidia   geforce rtx 4090 ", "rtx-4090"),
    ] {
        assert_eq!(of_model(model, None).map(|d| d.name).as_deref(), Some(name), "{model}");
    }
}

#[test]
fn cards_that_are_not_in_the_catalog_are_no_other_card() {
    for model in [
        "NVIDIA GeForce RTX 3080 Laptop GPU",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 5080 Laptop GPU",
        "NVIDIA GeForce RTX 4070 SUPER",
        "NVIDIA GeForce RTX 4070 Ti SUPER",
        "NVIDIA GeForce RTX 4080 SUPER",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA GeForce RTX 2080",
        "NVIDIA GeForce GTX 1080 Ti",
        "Quadro RTX 4000",
        "Quadro RTX 6000",
        "NVIDIA RTX 4000 SFF Ada Generation",
        "NVIDIA RTX A4000 Laptop GPU",
        "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
        "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        "NVIDIA A10G",
        "NVIDIA A100",
        "NVIDIA L40",
        "NVIDIA L20X",
        "NVIDIA H100 NVL",
        "NVIDIA H200 NVL",
        "NVIDIA H20",
        "Tesla V100S-PCIE-32GB",
        "Tesla P100-PCIE-16GB",
        "NVIDIA",
        "",
    ] {
        assert_eq!(of_model(model, None), None, "{model}");
    }
}

/// PCI numbers as in the public list `pci.ids`.
#[test]
fn one_name_for_two_cards_is_told_apart_by_the_pci_number() {
    for (model, pci, name) in [
        ("NVIDIA GeForce RTX 3080", Some(0x2206), Some("rtx-3080")),
        ("NVIDIA GeForce RTX 3080", Some(0x2216), Some("rtx-3080")),
        ("NVIDIA GeForce RTX 3080", Some(0x220a), None),
        ("NVIDIA GeForce RTX 3080", None, None),
        ("NVIDIA GeForce RTX 3060", Some(0x2503), Some("rtx-3060")),
        ("NVIDIA GeForce RTX 3060", Some(0x24c7), None),
        ("NVIDIA GeForce RTX 4060 Ti", Some(0x2805), Some("rtx-4060-ti-16gb")),
        ("NVIDIA GeForce RTX 4060 Ti", Some(0x2803), None),
    ] {
        assert_eq!(of_model(model, pci).map(|d| d.name).as_deref(), name, "{model} {pci:x?}");
    }
}
