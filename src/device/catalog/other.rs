//! CPUs, and AMD's cards, which can be planned for although this program does not run on them.
//!
//! The peak of a CPU is computed by the rule of [`super::super::cpu`] from cores and base clock. Its memory is the most that a socket
//! takes: say `budget.memory` for what a machine has.

use super::{CARD, Row, gib, giga, tera};
use crate::device::DeviceKind;

const EPYC_MEMORY: &str = "AMD EPYC 9004: 6 TB a socket at most, hpctech.co.jp/product/amd-epyc-9004-series";
const EPYC_PEAK: &str = "computed: cores × base clock × 32 FLOP a cycle (AVX-512 on halves), cores and clock as in \
    hpctech.co.jp/product/amd-epyc-9004-series";
const EPYC_BANDWIDTH: &str = "computed: 12 channels × 4.8 GT/s × 8 B, channels and rate as in \
    hpctech.co.jp/product/amd-epyc-9004-series";
const XEON: &str = "en.wikichip.org/wiki/intel/xeon_platinum/8256: up to 1 TiB";
const XEON_PEAK: &str = "computed: 4 cores × 3.8 GHz × 64 FLOP a cycle (two AVX-512 units), as in \
    en.wikichip.org/wiki/intel/xeon_platinum/8256; the clock under AVX-512 is lower and was not found";
const XEON_BANDWIDTH: &str = "computed: 6 channels × 2.933 GT/s × 8 B, as in en.wikichip.org/wiki/intel/xeon_platinum/8256";
const MI250X: &str = "AMD Instinct MI250X data sheet, the whole board: ROCm shows it as two devices of half of it, checked against \
    zexron.com/amd-mi250-x-aldebaran-as-mcm-with-up-to-479-teraflop-s-and-560-watt-tdp. This program does not run on it";
const MI300X: &str = "AMD Instinct MI300X data sheet, checked against github.com/stas00/ml-engineering \
    compute/accelerator/README.md. This program does not run on it";

/// The devices, sorted by name.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "epyc-9354",
        kind: DeviceKind::Cpu { threads: 32 },
        memory: gib(6 << 10, EPYC_MEMORY),
        f32: tera(32.0 * 3.25 * 0.032, EPYC_PEAK),
        bandwidth: giga(460.8, EPYC_BANDWIDTH),
        ..CARD
    },
    Row {
        name: "epyc-9554",
        kind: DeviceKind::Cpu { threads: 64 },
        memory: gib(6 << 10, EPYC_MEMORY),
        f32: tera(64.0 * 3.1 * 0.032, EPYC_PEAK),
        bandwidth: giga(460.8, EPYC_BANDWIDTH),
        ..CARD
    },
    Row {
        name: "epyc-9654",
        kind: DeviceKind::Cpu { threads: 96 },
        memory: gib(6 << 10, EPYC_MEMORY),
        f32: tera(96.0 * 2.4 * 0.032, EPYC_PEAK),
        bandwidth: giga(460.8, EPYC_BANDWIDTH),
        ..CARD
    },
    Row {
        name: "mi250x",
        kind: DeviceKind::Rocm,
        memory: gib(128, MI250X),
        f32: tera(47.9, MI250X),
        f16: Some(tera(383.0, MI250X)),
        bf16: Some(tera(383.0, MI250X)),
        bandwidth: giga(3200.0, MI250X),
        ..CARD
    },
    Row {
        name: "mi300x",
        kind: DeviceKind::Rocm,
        memory: gib(192, MI300X),
        f32: tera(163.4, MI300X),
        tf32: Some(tera(653.7, MI300X)),
        f16: Some(tera(1307.4, MI300X)),
        bf16: Some(tera(1307.4, MI300X)),
        bandwidth: giga(5300.0, MI300X),
        ..CARD
    },
    Row {
        name: "xeon-8256",
        kind: DeviceKind::Cpu { threads: 4 },
        memory: gib(1 << 10, XEON),
        f32: tera(4.0 * 3.8 * 0.064, XEON_PEAK),
        bandwidth: giga(140.8, XEON_BANDWIDTH),
        ..CARD
    },
];
