//! NVIDIA's data-centre cards. Their tensor cores add up in f32 at the full rate, as far as data sheets say so.

use super::{CARD, DRIVER, Row, gib, giga, mib, tera};

const A10: &str = "NVIDIA A10 data sheet, checked against sysrqmts.com/ru/gpus/compare/nvidia-a10-pcie-vs-nvidia-quadro-rtx-4000";
const A10_MEMORY: &str =
    "NVIDIA A10 data sheet; 24 GB less ECC and the driver: free on an idle card, github.com/mayooot/detect-gpu issue 3";
const A10_TENSOR: &str = "NVIDIA A10 data sheet, checked against github.com/winston-zhang-orz/gpu-specs specs.md";
const A30: &str = "NVIDIA A30 data sheet, checked against github.com/lamonoai/gpumap nvidia/GPU.md";
const A40: &str = "NVIDIA A40 data sheet, checked against ecer.com/corp/details-uuuedqa-p1bsay9";
const A100: &str = "NVIDIA A100 data sheet, checked against glennklockwood.com/garden/processors/A100";
const A100_MEMORY: &str =
    "40 GB, of which CUDA shows 40441 MiB: deviceQuery, upb-pc2.atlassian.net/wiki/spaces/PC2DOK/pages/1900609";
const A100_PCIE: &str = "NVIDIA A100 data sheet, PCIe form (SXM: 2039 GB/s), checked against \
    thundercompute.com/blog/nvidia-a100-specs-full-guide, glennklockwood.com/garden/processors/A100";
const A100_SXM: &str = "NVIDIA A100 data sheet, SXM form, checked against glennklockwood.com/garden/processors/A100";
const B200: &str = "NVIDIA Blackwell architecture technical brief, HGX B200 at 1000 W, checked against \
    glennklockwood.com/garden/processors/B200";
const GH200: &str = "its GPU is an H100: the peaks of the SXM form are taken, unverified for this module; github.com/stas00/ml-engineering \
    compute/accelerator/README.md";
const GH200_BANDWIDTH: &str = "NVIDIA GH200 data sheet, form with 96 GB of HBM3, checked against github.com/stas00/ml-engineering \
    compute/accelerator/README.md";
const H100_PCIE: &str =
    "NVIDIA H100 data sheet, PCIe form, checked against archive-lib.hpctech.co.jp/gpuproduct/nvidia-h100.html";
const H100_PCIE_TENSOR: &str = "NVIDIA H100 data sheet, PCIe form: half of the rate with sparsity, checked against \
    github.com/Lightning-AI/pytorch-lightning src/lightning/fabric/utilities/throughput.py, github.com/lamonoai/gpumap nvidia/GPU.md";
const H100_SXM: &str = "NVIDIA H100 data sheet, SXM form, checked against archive-lib.hpctech.co.jp/gpuproduct/nvidia-h100.html";
const H100_SXM_TENSOR: &str = "NVIDIA H100 data sheet, SXM form: half of the rate with sparsity, checked against \
    glennklockwood.com/garden/processors/h100";
const H200: &str = "NVIDIA H200 data sheet, SXM form, checked against \
    hmc-tech.com/gpu/nvidia-h100-vs-nvidia-h200-sxm-vs-nvidia-gb200, aiwiki.ai/wiki/nvidia_h200";
const H200_MEMORY: &str = "141 GB, of which the driver shows 143771 MiB: `nvidia-smi` in public logs; a program is said to see 139 GiB of it, which \
    is unverified";
const H200_TENSOR: &str = "NVIDIA H200 data sheet, SXM form: half of the rate with sparsity, checked against \
    github.com/lamonoai/gpumap nvidia/GPU.md, github.com/stas00/ml-engineering compute/accelerator/README.md";
const L4: &str = "NVIDIA L4 data sheet, checked against fpsbench.com/compare/gpu/nvidia-l4-vs-nvidia-tesla-m40";
const L4_MEMORY: &str =
    "NVIDIA L4 data sheet; 24 GB less ECC and the driver: 22.03 GiB to CUDA, github.com/ArcInstitute/evo2 issue 190";
const L4_TENSOR: &str = "NVIDIA L4 data sheet: half of the rate with sparsity, which does not say how it adds up, checked against \
    github.com/winston-zhang-orz/gpu-specs specs.md";
const L40S: &str = "NVIDIA L40S data sheet, which does not say how tensor cores add up, checked against \
    mullet.se/product.html?product_id=355414, itcreations.com/nvidia-gpu/nvidia-l40s-gpu-accelerator";
const T4: &str = "NVIDIA T4 data sheet, checked against sysrqmts.com/en/gpus/nvidia/tesla/t4";
const T4_MEMORY: &str = "NVIDIA T4 data sheet; 16 GB less ECC and the driver: total of CUDA's deviceQuery, chiemon.github.io";
const T4_TENSOR: &str = "NVIDIA T4 data sheet, mixed precision, checked against \
    github.com/Lightning-AI/pytorch-lightning src/lightning/fabric/utilities/throughput.py";
const V100: &str = "NVIDIA V100 data sheet, PCIe form (SXM2: 15.7 TFLOPS), checked against io-tech.fi, cvw.cac.cornell.edu";
const V100_SXM: &str = "NVIDIA V100 data sheet, SXM2 form, checked against github.com/Lightning-AI/pytorch-lightning \
    src/lightning/fabric/utilities/throughput.py and NVIDIA's table of P100, V100 and A100 (Ampere Architecture In-Depth)";

/// The cards, sorted by name.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a10",
        models: &["A10"],
        memory: mib(22_511, A10_MEMORY),
        f32: tera(31.2, A10),
        tf32: Some(tera(62.5, A10_TENSOR)),
        f16: Some(tera(125.0, A10_TENSOR)),
        bf16: Some(tera(125.0, A10_TENSOR)),
        bandwidth: giga(600.0, A10),
        ..CARD
    },
    Row {
        name: "a100-40gb",
        models: &["A100-PCIE-40GB"],
        memory: mib(40_441, A100_MEMORY),
        f32: tera(19.5, A100),
        tf32: Some(tera(156.0, A100)),
        f16: Some(tera(312.0, A100)),
        bf16: Some(tera(312.0, A100)),
        bandwidth: giga(1555.0, A100),
        ..CARD
    },
    Row {
        name: "a100-40gb-sxm",
        models: &["A100-SXM4-40GB"],
        memory: mib(40_441, A100_MEMORY),
        f32: tera(19.5, A100),
        tf32: Some(tera(156.0, A100)),
        f16: Some(tera(312.0, A100)),
        bf16: Some(tera(312.0, A100)),
        bandwidth: giga(1555.0, A100),
        ..CARD
    },
    Row {
        name: "a100-80gb",
        models: &["A100 80GB PCIe"],
        memory: gib(80, A100_PCIE),
        f32: tera(19.5, A100),
        tf32: Some(tera(156.0, A100)),
        f16: Some(tera(312.0, A100)),
        bf16: Some(tera(312.0, A100)),
        bandwidth: giga(1935.0, A100_PCIE),
        ..CARD
    },
    Row {
        name: "a100-80gb-sxm",
        models: &["A100-SXM4-80GB"],
        memory: gib(80, A100_SXM),
        f32: tera(19.5, A100),
        tf32: Some(tera(156.0, A100)),
        f16: Some(tera(312.0, A100)),
        bf16: Some(tera(312.0, A100)),
        bandwidth: giga(2039.0, A100_SXM),
        ..CARD
    },
    Row {
        name: "a30",
        models: &["A30"],
        memory: gib(24, A30),
        f32: tera(10.3, A30),
        tf32: Some(tera(82.6, A30)),
        f16: Some(tera(165.0, A30)),
        bf16: Some(tera(165.0, A30)),
        bandwidth: giga(933.0, A30),
        ..CARD
    },
    Row {
        name: "a40",
        models: &["A40"],
        memory: mib(46_068, DRIVER),
        f32: tera(37.4, A40),
        tf32: Some(tera(74.8, A40)),
        f16: Some(tera(149.7, A40)),
        bf16: Some(tera(149.7, A40)),
        bandwidth: giga(696.0, A40),
        ..CARD
    },
    Row {
        name: "b200",
        models: &["B200"],
        memory: mib(183_359, DRIVER),
        f32: tera(80.0, B200),
        tf32: Some(tera(1100.0, B200)),
        f16: Some(tera(2250.0, B200)),
        bf16: Some(tera(2250.0, B200)),
        bandwidth: giga(8000.0, B200),
        ..CARD
    },
    Row {
        name: "gh200",
        models: &["GH200 480GB", "GH200 120GB"],
        memory: mib(97_871, DRIVER),
        f32: tera(67.0, GH200),
        tf32: Some(tera(494.5, GH200)),
        f16: Some(tera(989.0, GH200)),
        bf16: Some(tera(989.0, GH200)),
        bandwidth: giga(4000.0, GH200_BANDWIDTH),
        ..CARD
    },
    Row {
        name: "h100-pcie",
        models: &["H100 PCIe"],
        memory: mib(81_559, DRIVER),
        f32: tera(51.0, H100_PCIE),
        tf32: Some(tera(378.0, H100_PCIE_TENSOR)),
        f16: Some(tera(756.5, H100_PCIE_TENSOR)),
        bf16: Some(tera(756.5, H100_PCIE_TENSOR)),
        bandwidth: giga(2000.0, H100_PCIE),
        ..CARD
    },
    Row {
        name: "h100-sxm",
        models: &["H100 80GB HBM3"],
        memory: mib(81_559, DRIVER),
        f32: tera(67.0, H100_SXM),
        tf32: Some(tera(494.7, H100_SXM_TENSOR)),
        f16: Some(tera(989.4, H100_SXM_TENSOR)),
        bf16: Some(tera(989.4, H100_SXM_TENSOR)),
        bandwidth: giga(3350.0, H100_SXM),
        ..CARD
    },
    Row {
        name: "h200",
        models: &["H200"],
        memory: gib(139, H200_MEMORY),
        f32: tera(67.0, H200),
        tf32: Some(tera(494.5, H200_TENSOR)),
        f16: Some(tera(989.0, H200_TENSOR)),
        bf16: Some(tera(989.0, H200_TENSOR)),
        bandwidth: giga(4800.0, H200),
        ..CARD
    },
    Row {
        name: "l4",
        models: &["L4"],
        memory: mib(22_558, L4_MEMORY),
        f32: tera(30.3, L4),
        tf32: Some(tera(60.0, L4_TENSOR)),
        f16: Some(tera(121.0, L4_TENSOR)),
        bf16: Some(tera(121.0, L4_TENSOR)),
        bandwidth: giga(300.0, L4),
        ..CARD
    },
    Row {
        name: "l40s",
        models: &["L40S"],
        memory: mib(46_068, DRIVER),
        f32: tera(91.6, L40S),
        tf32: Some(tera(183.0, L40S)),
        f16: Some(tera(362.05, L40S)),
        bf16: Some(tera(362.05, L40S)),
        bandwidth: giga(864.0, L40S),
        ..CARD
    },
    Row {
        name: "t4",
        models: &["Tesla T4"],
        memory: mib(15_110, T4_MEMORY),
        f32: tera(8.1, T4),
        f16: Some(tera(65.0, T4_TENSOR)),
        bandwidth: giga(320.0, T4),
        ..CARD
    },
    Row {
        name: "v100-16gb",
        models: &["Tesla V100-PCIE-16GB"],
        memory: mib(16_160, DRIVER),
        f32: tera(14.0, V100),
        f16: Some(tera(112.0, V100)),
        bandwidth: giga(900.0, V100),
        ..CARD
    },
    Row {
        name: "v100-32gb",
        models: &["Tesla V100-PCIE-32GB"],
        memory: mib(32_510, DRIVER),
        f32: tera(14.0, V100),
        f16: Some(tera(112.0, V100)),
        bandwidth: giga(900.0, V100),
        ..CARD
    },
    Row {
        name: "v100-sxm2-16gb",
        models: &["Tesla V100-SXM2-16GB"],
        memory: mib(16_160, DRIVER),
        f32: tera(15.7, V100_SXM),
        f16: Some(tera(125.0, V100_SXM)),
        bandwidth: giga(900.0, V100_SXM),
        ..CARD
    },
    Row {
        name: "v100-sxm2-32gb",
        models: &["Tesla V100-SXM2-32GB"],
        memory: mib(32_510, DRIVER),
        f32: tera(15.7, V100_SXM),
        f16: Some(tera(125.0, V100_SXM)),
        bandwidth: giga(900.0, V100_SXM),
        ..CARD
    },
];
