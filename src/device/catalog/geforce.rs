//! GeForce cards.
//!
//! Their tensor cores add up f16 products in f32 at half the rate of adding up in f16, and data sheets print the latter. NVIDIA's
//! whitepapers print both: with f32 the rate is twice that of f32 without tensor cores, and that of TF32 equals it. The tests hold
//! this of every row.

use super::{CARD, DRIVER, Row, gib, giga, mib, tera};

const TURING: &str = "NVIDIA Turing architecture whitepaper, table of the RTX 2080 Ti, reference clock, checked against \
    gpu.spicedreamphone.com/ru/gpu/nvidia/geforce-rtx-2080-ti and the references of arxiv.org/abs/2212.14034, appendix B.1";
const GA102: &str = "NVIDIA Ampere GA102 architecture whitepaper V2.0, appendix A, checked against \
    github.com/lamonoai/gpumap nvidia/GPU.md";
const GA102_3090: &str = "NVIDIA Ampere GA102 architecture whitepaper V2.0, appendix A, checked against \
    huggingface.co/datasets/ohdoking/gpu_spec, cpu-gpu.alldbin.com";
const RTX_3060: &str = "NVIDIA GeForce RTX 3060 specification, 12 GB form, checked against \
    sysrqmts.com/it/gpus/compare/nvidia-geforce-gtx-970-vs-nvidia-geforce-rtx-3060";
const RTX_3090_TI: &str = "NVIDIA GeForce RTX 3090 Ti specification, checked against github.com/lamonoai/gpumap nvidia/GPU.md";
const ADA: &str = "NVIDIA Ada GPU architecture whitepaper V2.1, appendix A, checked against \
    club386.com/complete-geforce-rtx-4070-specifications-reveal-a-frugal-599-gpu, github.com/lamonoai/gpumap nvidia/GPU.md";
const RTX_4060_TI: &str = "NVIDIA GeForce RTX 4060 Ti specification, 16 GB form, checked against \
    cputronic.com/gpu/nvidia-geforce-rtx-4060-ti-16-gb, thefpsreview.com/?p=133840";
const RTX_4070_TI: &str = "NVIDIA GeForce RTX 4070 Ti specification, checked against github.com/lamonoai/gpumap nvidia/GPU.md";
const BLACKWELL: &str = "NVIDIA RTX Blackwell GPU architecture whitepaper, checked against \
    github.com/lamonoai/gpumap nvidia/GPU.md";
const BLACKWELL_TABLE: &str = "NVIDIA RTX Blackwell GPU architecture whitepaper, table 3, pages 46 to 48: dense with f32 \
    accumulation, as quoted in public notes";
const RTX_5090: &str = "NVIDIA RTX Blackwell GPU architecture whitepaper, checked against \
    github.com/huggingface/huggingface.js pull 1211, pocketmags.com/linux-format-magazine/may-2025";
const CORES: &str = "computed: 2 × cores × boost clock, both as in github.com/lamonoai/gpumap nvidia/GPU.md";
const AS_F32: &str = "computed: equal to f32, as in NVIDIA's whitepapers for every GeForce card from Ampere on";
const TWICE_F32: &str =
    "computed: twice f32, as in NVIDIA's whitepapers for every GeForce card from Ampere on with f32 accumulation";

/// The cards, sorted by name.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "rtx-2080-ti",
        models: &["GeForce RTX 2080 Ti"],
        memory: mib(11_264, TURING),
        f32: tera(13.4, TURING),
        f16: Some(tera(53.8, TURING)),
        bandwidth: giga(616.0, TURING),
        ..CARD
    },
    Row {
        name: "rtx-3060",
        models: &["GeForce RTX 3060"],
        pci: &[0x2487, 0x2501, 0x2503, 0x2504, 0x2509],
        memory: gib(12, RTX_3060),
        f32: tera(12.7, RTX_3060),
        tf32: Some(tera(12.7, AS_F32)),
        f16: Some(tera(25.4, TWICE_F32)),
        bf16: Some(tera(25.4, TWICE_F32)),
        bandwidth: giga(360.0, RTX_3060),
        ..CARD
    },
    Row {
        name: "rtx-3070",
        models: &["GeForce RTX 3070"],
        memory: gib(8, GA102),
        f32: tera(20.3, GA102),
        tf32: Some(tera(20.3, GA102)),
        f16: Some(tera(40.6, GA102)),
        bf16: Some(tera(40.6, GA102)),
        bandwidth: giga(448.0, GA102),
        ..CARD
    },
    Row {
        name: "rtx-3080",
        models: &["GeForce RTX 3080"],
        pci: &[0x2206, 0x2216],
        memory: gib(10, GA102),
        f32: tera(29.8, GA102),
        tf32: Some(tera(29.8, GA102)),
        f16: Some(tera(59.5, GA102)),
        bf16: Some(tera(59.5, GA102)),
        bandwidth: giga(760.0, GA102),
        ..CARD
    },
    Row {
        name: "rtx-3090",
        models: &["GeForce RTX 3090"],
        memory: mib(24_576, DRIVER),
        f32: tera(35.6, GA102_3090),
        tf32: Some(tera(35.6, AS_F32)),
        f16: Some(tera(71.2, BLACKWELL_TABLE)),
        bf16: Some(tera(71.2, BLACKWELL_TABLE)),
        bandwidth: giga(936.0, GA102_3090),
        ..CARD
    },
    Row {
        name: "rtx-3090-ti",
        models: &["GeForce RTX 3090 Ti"],
        memory: gib(24, RTX_3090_TI),
        f32: tera(40.0, RTX_3090_TI),
        tf32: Some(tera(40.0, RTX_3090_TI)),
        f16: Some(tera(80.0, RTX_3090_TI)),
        bf16: Some(tera(80.0, RTX_3090_TI)),
        bandwidth: giga(1008.0, RTX_3090_TI),
        ..CARD
    },
    Row {
        name: "rtx-4060-ti-16gb",
        models: &["GeForce RTX 4060 Ti"],
        pci: &[0x2805],
        memory: gib(16, RTX_4060_TI),
        f32: tera(22.06, RTX_4060_TI),
        tf32: Some(tera(22.06, AS_F32)),
        f16: Some(tera(44.12, TWICE_F32)),
        bf16: Some(tera(44.12, TWICE_F32)),
        bandwidth: giga(288.0, RTX_4060_TI),
        ..CARD
    },
    Row {
        name: "rtx-4070",
        models: &["GeForce RTX 4070"],
        memory: mib(12_282, DRIVER),
        f32: tera(29.1, ADA),
        tf32: Some(tera(29.1, ADA)),
        f16: Some(tera(58.0, ADA)),
        bf16: Some(tera(58.0, ADA)),
        bandwidth: giga(504.0, ADA),
        ..CARD
    },
    Row {
        name: "rtx-4070-ti",
        models: &["GeForce RTX 4070 Ti"],
        memory: mib(12_282, DRIVER),
        f32: tera(40.1, CORES),
        tf32: Some(tera(40.1, AS_F32)),
        f16: Some(tera(80.0, RTX_4070_TI)),
        bf16: Some(tera(80.0, RTX_4070_TI)),
        bandwidth: giga(504.0, RTX_4070_TI),
        ..CARD
    },
    Row {
        name: "rtx-4080",
        models: &["GeForce RTX 4080"],
        memory: mib(16_376, DRIVER),
        f32: tera(48.7, ADA),
        tf32: Some(tera(48.7, AS_F32)),
        f16: Some(tera(97.0, ADA)),
        bf16: Some(tera(97.0, ADA)),
        bandwidth: giga(717.0, ADA),
        ..CARD
    },
    Row {
        name: "rtx-4090",
        models: &["GeForce RTX 4090"],
        memory: mib(24_564, DRIVER),
        f32: tera(82.6, ADA),
        tf32: Some(tera(82.6, AS_F32)),
        f16: Some(tera(165.2, BLACKWELL_TABLE)),
        bf16: Some(tera(165.2, BLACKWELL_TABLE)),
        bandwidth: giga(1008.0, ADA),
        ..CARD
    },
    Row {
        name: "rtx-5070",
        models: &["GeForce RTX 5070"],
        memory: gib(12, BLACKWELL),
        f32: tera(30.9, CORES),
        tf32: Some(tera(30.9, AS_F32)),
        f16: Some(tera(62.0, BLACKWELL)),
        bf16: Some(tera(62.0, BLACKWELL)),
        bandwidth: giga(672.0, BLACKWELL),
        ..CARD
    },
    Row {
        name: "rtx-5070-ti",
        models: &["GeForce RTX 5070 Ti"],
        memory: mib(16_303, DRIVER),
        f32: tera(43.9, CORES),
        tf32: Some(tera(43.9, AS_F32)),
        f16: Some(tera(88.0, BLACKWELL)),
        bf16: Some(tera(88.0, BLACKWELL)),
        bandwidth: giga(896.0, BLACKWELL),
        ..CARD
    },
    Row {
        name: "rtx-5080",
        models: &["GeForce RTX 5080"],
        memory: mib(16_303, DRIVER),
        f32: tera(56.3, CORES),
        tf32: Some(tera(56.3, AS_F32)),
        f16: Some(tera(113.0, BLACKWELL)),
        bf16: Some(tera(113.0, BLACKWELL)),
        bandwidth: giga(960.0, BLACKWELL),
        ..CARD
    },
    Row {
        name: "rtx-5090",
        models: &["GeForce RTX 5090"],
        memory: mib(32_607, DRIVER),
        f32: tera(104.8, RTX_5090),
        tf32: Some(tera(104.8, AS_F32)),
        f16: Some(tera(209.5, BLACKWELL_TABLE)),
        bf16: Some(tera(209.5, BLACKWELL_TABLE)),
        bandwidth: giga(1792.0, RTX_5090),
        ..CARD
    },
];
