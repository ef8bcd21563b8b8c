//! NVIDIA's workstation cards. Their tensor cores add up in f32 at the full rate. Memory is that without ECC.

use super::{CARD, DRIVER, Row, gib, giga, mib, tera};

const A4000: &str = "NVIDIA RTX A4000 data sheet, checked against ecer.com/corp/details-uuuedqa-p1bsb03";
const A4000_TENSOR: &str = "NVIDIA RTX A4000 data sheet: half of the 153.4 TFLOPS with sparsity, checked against \
    ecer.com/corp/details-uuuedqa-p1bsb03; arxiv.org/abs/2212.14034 estimates 88.45 from the number of tensor cores";
const GPUMAP: &str = "NVIDIA's data sheet of the card, checked against github.com/lamonoai/gpumap nvidia/GPU.md";
const A6000: &str = "NVIDIA RTX A6000 data sheet, checked against \
    sysrqmts.com/es/gpus/compare/nvidia-rtx-a6000-vs-nvidia-tesla-p40";
const A6000_TENSOR: &str = "NVIDIA Ampere GA102 architecture whitepaper V2.0, table 3, checked against \
    arxiv.org/abs/2212.14034, appendix B.1, and github.com/lamonoai/gpumap nvidia/GPU.md";
const CORES: &str = "computed: 2 × cores × boost clock, both as in github.com/lamonoai/gpumap nvidia/GPU.md";
const ADA_6000: &str = "NVIDIA RTX 6000 Ada data sheet, checked against github.com/lamonoai/gpumap nvidia/GPU.md";
const PRO_TABLE: &str =
    "NVIDIA RTX PRO Blackwell architecture whitepaper V1.0, table 4, pages 45 to 47, as quoted in public notes";
const PRO_6000: &str = "NVIDIA RTX PRO Blackwell architecture whitepaper V1.0, checked against \
    hmc-tech.com/gpu/nvidia-rtx-pro-6000-blackwell-vs-amd-radeon-pro-duo-polaris";

/// The cards, sorted by name.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "rtx-4000-ada",
        models: &["RTX 4000 Ada Generation"],
        memory: gib(20, GPUMAP),
        f32: tera(26.7, CORES),
        tf32: Some(tera(53.0, GPUMAP)),
        f16: Some(tera(107.0, GPUMAP)),
        bf16: Some(tera(107.0, GPUMAP)),
        bandwidth: giga(360.0, GPUMAP),
        ..CARD
    },
    Row {
        name: "rtx-5000-ada",
        models: &["RTX 5000 Ada Generation"],
        memory: gib(32, GPUMAP),
        f32: tera(65.3, CORES),
        tf32: Some(tera(131.0, GPUMAP)),
        f16: Some(tera(261.0, GPUMAP)),
        bf16: Some(tera(261.0, GPUMAP)),
        bandwidth: giga(576.0, GPUMAP),
        ..CARD
    },
    Row {
        name: "rtx-6000-ada",
        models: &["RTX 6000 Ada Generation"],
        memory: mib(49_140, DRIVER),
        f32: tera(91.1, ADA_6000),
        tf32: Some(tera(182.0, ADA_6000)),
        f16: Some(tera(364.0, PRO_TABLE)),
        bf16: Some(tera(364.0, PRO_TABLE)),
        bandwidth: giga(960.0, PRO_TABLE),
        ..CARD
    },
    Row {
        name: "rtx-a4000",
        models: &["RTX A4000"],
        memory: mib(16_376, DRIVER),
        f32: tera(19.2, A4000),
        tf32: Some(tera(38.0, GPUMAP)),
        f16: Some(tera(76.7, A4000_TENSOR)),
        bf16: Some(tera(76.7, A4000_TENSOR)),
        bandwidth: giga(448.0, A4000),
        ..CARD
    },
    Row {
        name: "rtx-a5000",
        models: &["RTX A5000"],
        memory: mib(24_564, DRIVER),
        f32: tera(27.8, GPUMAP),
        tf32: Some(tera(56.0, GPUMAP)),
        f16: Some(tera(111.0, GPUMAP)),
        bf16: Some(tera(111.0, GPUMAP)),
        bandwidth: giga(768.0, GPUMAP),
        ..CARD
    },
    Row {
        name: "rtx-a6000",
        models: &["RTX A6000"],
        memory: mib(49_140, DRIVER),
        f32: tera(38.7, A6000),
        tf32: Some(tera(77.4, A6000_TENSOR)),
        f16: Some(tera(154.8, A6000_TENSOR)),
        bf16: Some(tera(154.8, A6000_TENSOR)),
        bandwidth: giga(768.0, A6000),
        ..CARD
    },
    Row {
        name: "rtx-pro-6000-blackwell",
        models: &["RTX PRO 6000 Blackwell Workstation Edition"],
        memory: mib(97_887, DRIVER),
        f32: tera(125.95, PRO_6000),
        tf32: Some(tera(251.9, PRO_6000)),
        f16: Some(tera(503.8, PRO_TABLE)),
        bf16: Some(tera(503.8, PRO_TABLE)),
        bandwidth: giga(1792.0, PRO_TABLE),
        ..CARD
    },
];
