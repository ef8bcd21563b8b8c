//! What a card's memory manager takes from the driver for a sequence of reservations: a model of cubecl 0.11.3.
//!
//! The model follows the source of cubecl-server 0.11.3 (`src/memory_management`), as cubecl-cuda 0.11.3 sets it up
//! (`CudaStreamBackend::create_stream`: the configuration `Adaptive`, one manager per stream; a program that calls burn from one
//! thread has one stream):
//!
//! - Every reservation goes to one of three pools (`dynamic/adaptive.rs`): empty ones take nothing; those up to 64 KiB are cut
//!   from pages of 8 MiB; all others from the *arena*, whose pages are as large as the largest reservation so far needs: its size
//!   and 1 MiB, rounded up to whole MiB, at least 2 MiB (`PageSizing::fit`). Larger than a quarter of the card's memory is
//!   refused (`runtime.rs`: `max_memory / 4`).
//! - When a reservation outgrows the pages, a pool of the new size takes over. The old pages serve nothing more: what lives on
//!   them stays, their free bytes are lost, and each is given up once it is empty, at the next reservation (`PoolArena::grow`,
//!   `drain`).
//! - Room is looked for in the order of pages, then addresses; the first free slice that is large enough is cut
//!   (`SlicedPool::reserve_free`, `MemoryPage::try_reserve`). Pages of the current size are never given up by themselves.
//! - Pages that are given up go back to the driver at a *flush* only (`GpuStorage::dealloc` queues, `flush` frees). Neither
//!   launching nor reading nor waiting flushes: only `Device::flush`, tuning a kernel, a cleanup or a relocation do. So what is
//!   taken from the driver ([`Usage::held`]) may be more than what the manager reports ([`Usage::reserved`]).
//! - Where the driver refuses, everything unused goes back and the reservation is tried once more (`Command::reserve`,
//!   `make_room`).
//! - Where pages of old sizes are there and fewer than two pages' room is left on the card, what lives on the old pages is moved
//!   into free slices of the current ones (`relocation/`). It is left where it is while a kernel that uses it waits in the queue
//!   (`MovablePage::new`), which depends on time: [`Setting::relocates`] chooses, and a bound takes the worse of both.
//!
//! A slice is free when the last handle to it is dropped and all work queued with it has been *handed* to the driver, not done:
//! the driver runs a stream in order (`ManagedMemoryHandle::is_free`). Reservations are handed over in the program's order, so at
//! each of them at least what the program dropped before it is free: the sequence in the program's order bounds what is in use.
//! It is exact where a tensor is dropped right after its last use, as the executor does.
//!
//! Not here: memory for kernels' arguments and the context ([`crate::device::cuda`]); pinned host memory, which is the
//! host's; the persistent and the dedicated pool, which burn uses for modules and for measurements, not for plain tensors; the
//! second copy of an output that tuning a kernel makes the first time that it meets a shape.
//!
//! Invariant: nothing here knows a recipe, a graph, burn or cubecl. `tests/manager` holds every number of [`Usage`] against the
//! manager's own code, after every event.

mod book;
pub mod cuda;
mod manager;

pub use manager::{Manager, Setting};

use serde::{Deserialize, Serialize};

/// One thing that a program asks of the manager. Identities are the caller's, small and dense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Reserves memory.
    Reserve {
        /// Who has it from now on; nobody has this identity yet.
        id: u32,
        /// How much.
        bytes: u64,
    },
    /// Drops it.
    Free {
        /// Who had it; nothing happens where nobody has this identity.
        id: u32,
    },
    /// Gives it another identity; the manager sees nothing of that.
    Rename {
        /// Its identity so far.
        from: u32,
        /// The new one.
        to: u32,
    },
}

/// Why a sequence cannot be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// A reservation that is larger than the largest page.
    #[error("one tensor of {bytes} bytes, and at most {most} are given out in one piece")]
    TooLarge {
        /// What was asked for.
        bytes: u64,
        /// The largest page.
        most: u64,
    },
    /// The driver has no more, even after everything unused went back to it.
    #[error("a page of {page} bytes beside the {held} that are held")]
    OutOfMemory {
        /// The page that was asked for.
        page: u64,
        /// What is held.
        held: u64,
    },
    /// Pages of 64 sizes hold something that cannot be moved.
    #[error("pages of too many sizes are in use")]
    OutOfSizes,
}

/// What the manager looks at of a device (`MemoryDeviceProperties`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Properties {
    /// Multiple that slices begin at, bytes.
    pub alignment: u64,
    /// The largest page, bytes.
    pub max_page: u64,
    /// All memory of the device, bytes, where it is known: decides when live memory is moved.
    pub capacity: Option<u64>,
}

/// The state of the manager, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Reserved by the program and not yet dropped, without padding (`MemoryUsage::bytes_in_use`).
    pub in_use: u64,
    /// Padding of those (`bytes_padding`).
    pub padding: u64,
    /// All slices of all pages (`bytes_reserved`; burn's `memory_pool_usage`).
    pub reserved: u64,
    /// Taken from the driver and not given back (`ComputeStorage::bytes_allocated`).
    pub held: u64,
}

impl Usage {
    /// The larger of each number.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            in_use: self.in_use.max(other.in_use),
            padding: self.padding.max(other.padding),
            reserved: self.reserved.max(other.reserved),
            held: self.held.max(other.held),
        }
    }
}
