//! This machine's CPU, from facts that the outermost layer has read.

use serde::{Deserialize, Serialize};

use super::{Device, DeviceKind, Peaks, Sourced};
use crate::units::{ByteRate, Bytes, FlopRate, Seconds};

/// What was read of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct HostFacts {
    /// The processor's name for people.
    pub model: String,
    /// Threads the program may use.
    pub threads: u64,
    /// Clock in Hz, and where it was read.
    pub clock: Option<Sourced<f64>>,
    /// Whether AVX-512 is there.
    pub avx512: bool,
    /// Whether its units are 256 bits wide and work in pairs, as in AMD's Zen 4.
    pub halved: bool,
    /// Whether AVX2 and FMA are there.
    pub avx2: bool,
    /// Memory, or the control group's limit where that is lower, and where it was read.
    pub memory: Sourced<Bytes>,
    /// The caches of data, by level, where they can be read.
    pub caches: Option<[Cache; 3]>,
}

/// A cache of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// Bytes for each thread that shares it; of the last level, all.
    pub bytes: u64,
    /// Ways of associativity.
    pub ways: u64,
    /// Bytes of a line.
    pub line: u64,
}

/// What the library for matrix products goes by on a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lanes {
    /// f32 lanes of its widest vectors.
    pub lanes: u64,
    /// The caches of data, by level.
    pub caches: [Cache; 3],
}

impl Lanes {
    /// What is assumed of a server whose caches nobody has read: AVX-512, and the largest second cache of a core that is common,
    /// since slabs are as large.
    pub const ASSUMED: Self = Self {
        lanes: 16,
        caches: [
            Cache { bytes: 48 << 10, ways: 12, line: 64 },
            Cache { bytes: 2 << 20, ways: 16, line: 64 },
            Cache { bytes: 32 << 20, ways: 16, line: 64 },
        ],
    };
}

fn lanes(facts: &HostFacts) -> u64 {
    match (facts.avx512, facts.avx2) {
        (true, _) => 16,
        (false, true) => 8,
        (false, false) if cfg!(target_arch = "aarch64") => 4,
        (false, false) => 1,
    }
}

/// A clock where none can be read; common to server parts of the last ten years.
const ASSUMED_CLOCK: f64 = 2.5e9;

/// The CPU as a device.
///
/// Peak: threads × clock × f32 lanes × 2 (multiply-add) × 2 (units), the rule for x86 cores with two FMA units. Server parts
/// with AVX-512 have two full units, AMD's Zen 4 two of half the width; parts with a single unit reach half of the peak.
pub fn cpu(facts: &HostFacts) -> Device {
    let clock = facts.clock.clone().unwrap_or_else(|| Sourced::new(ASSUMED_CLOCK, "assumed 2.5 GHz"));
    let (per_cycle, isa) = match (facts.avx512, facts.avx2) {
        (true, _) if facts.halved => (32.0, "AVX-512 on halves, 32 FLOP a cycle"),
        (true, _) => (64.0, "AVX-512, 64 FLOP a cycle"),
        (false, true) => (32.0, "AVX2 with FMA, 32 FLOP a cycle"),
        _ => (8.0, "SSE2, 8 FLOP a cycle"),
    };
    let threads = facts.threads.max(1);
    let peak = FlopRate(threads as f64 * clock.value * per_cycle);
    let source = format!("{threads} threads × {:.2} GHz ({}) × {isa}", clock.value / 1e9, clock.source);
    let Assumptions { overhead, efficiency, launch } = assumptions();
    Device {
        name: "cpu".to_owned(),
        kind: DeviceKind::Cpu { threads },
        memory: facts.memory.clone(),
        overhead,
        peaks: Peaks::f32(Sourced::new(peak, source)),
        efficiency,
        lanes: facts.caches.map(|caches| Lanes { lanes: lanes(facts), caches }),
        calibration: None,
        bandwidth: Sourced::new(ByteRate(8e9 * threads.min(8) as f64), "assumed 8 GB/s a thread, up to 8 threads"),
        launch,
    }
}

/// What is assumed of every CPU.
pub(super) struct Assumptions {
    /// What the program takes before the first tensor.
    pub overhead: Sourced<Bytes>,
    /// Share of the peak that large matrix products reach.
    pub efficiency: Sourced<f64>,
    /// Cost of starting one operation.
    pub launch: Sourced<Seconds>,
}

pub(super) fn assumptions() -> Assumptions {
    Assumptions {
        overhead: Sourced::new(
            Bytes::mib(96),
            "assumed; beyond tensors and text 20 MiB (quick start) to 95 MiB (crammed-BERT, 8 × 128) were seen",
        ),
        efficiency: Sourced::new(
            1.0,
            "of large products, assumed; 1.3 of the peak at the nominal clock was measured on two Zen 5 cores, which run above it",
        ),
        launch: Sourced::new(Seconds(5e-6), "assumed; starting an operation on `flex`"),
    }
}
