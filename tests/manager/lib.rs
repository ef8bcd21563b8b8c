//! cubecl's own memory manager over a storage that only counts, driven by the events of `cramplan::budget::pool`.
//!
//! It is driven as `Command::reserve` in cubecl-server drives it on CUDA: relocation where it is wanted, the reservation, and
//! where the driver refuses, a cleanup and a second try. Those thirty lines are the only ones here that repeat cubecl's:
//! `Command` itself can be made only around a driver.

use std::collections::HashMap;
use std::sync::Arc;

use cramplan::budget::pool::{Event, Properties, Setting, Usage};
use cubecl_ir::MemoryDeviceProperties;
use cubecl_server::logging::ServerLogger;
use cubecl_server::memory_management::relocation::{CopyQueue, RelocationReason, StorageCopy};
use cubecl_server::memory_management::{
    Cleanup, ErrorGraph, ManagedMemoryBinding, ManagedMemoryHandle, MemoryConfiguration, MemoryManagement,
    MemoryManagementOptions, PageUpdate,
};
use cubecl_server::server::{IoError, ServerError};
use cubecl_server::storage::{ComputeStorage, StorageHandle, StorageId, StorageUtilization};

/// Counts what is allocated; frees at a flush only, like `GpuStorage` of cubecl-cuda.
pub struct Counting {
    sizes: HashMap<StorageId, u64>,
    queued: Vec<StorageId>,
    held: u64,
    limit: Option<u64>,
}

impl ComputeStorage for Counting {
    type Resource = ();

    fn alignment(&self) -> usize {
        512
    }

    fn get(&mut self, _: &StorageHandle) -> Result<(), IoError> {
        Ok(())
    }

    fn alloc(&mut self, size: u64) -> Result<StorageHandle, IoError> {
        if self.limit.is_some_and(|limit| self.held + size > limit) {
            return Err(IoError::OutOfMemory { size, backtrace: cubecl_backtrace() });
        }
        let id = StorageId::new();
        self.sizes.insert(id, size);
        self.held += size;
        Ok(StorageHandle::new(id, StorageUtilization { offset: 0, size }))
    }

    fn dealloc(&mut self, id: StorageId) {
        self.queued.push(id);
    }

    fn flush(&mut self) {
        for id in self.queued.drain(..) {
            self.held -= self.sizes.remove(&id).expect("freed once");
        }
    }

    fn bytes_allocated(&self) -> u64 {
        self.held
    }
}

fn cubecl_backtrace() -> cubecl_environment::backtrace::BackTrace {
    cubecl_environment::backtrace::BackTrace::capture()
}

/// Copies that always land: there are no bytes.
struct Landed;

impl CopyQueue<Counting> for Landed {
    fn wait_device(&mut self) -> Result<(), ServerError> {
        Ok(())
    }

    fn copy(&mut self, _: &mut Counting, _: &StorageCopy) -> Result<(), IoError> {
        Ok(())
    }

    fn wait_copies(&mut self) -> Result<(), ServerError> {
        Ok(())
    }
}

/// cubecl's manager as CUDA sets it up.
pub struct Real {
    memory: MemoryManagement<Counting>,
    handles: HashMap<u32, ManagedMemoryHandle>,
    /// Kept beside the handles where nothing is to be moved: as if a kernel that uses the memory waited in the queue.
    bindings: HashMap<u32, ManagedMemoryBinding>,
    relocates: bool,
}

impl Real {
    /// A manager that holds nothing.
    pub fn new(properties: Properties, setting: Setting) -> Self {
        let mut seen = MemoryDeviceProperties::new(properties.max_page, properties.alignment);
        if let Some(capacity) = properties.capacity {
            seen.set_max_memory(capacity);
        }
        let storage = Counting { sizes: HashMap::new(), queued: Vec::new(), held: 0, limit: setting.limit };
        let memory = MemoryManagement::from_configuration(
            storage,
            &seen,
            MemoryConfiguration::default(),
            Arc::new(ServerLogger::default()),
            MemoryManagementOptions::new("counted"),
        );
        Self { memory, handles: HashMap::new(), bindings: HashMap::new(), relocates: setting.relocates }
    }

    /// Does one thing; whether it could be done.
    pub fn apply(&mut self, event: Event) -> bool {
        match event {
            Event::Reserve { id, bytes } => match self.reserve(bytes) {
                Some(handle) => {
                    if !self.relocates {
                        self.bindings.insert(id, handle.clone().binding());
                    }
                    self.handles.insert(id, handle);
                    return true;
                }
                None => return false,
            },
            Event::Free { id } => {
                self.bindings.remove(&id);
                self.handles.remove(&id);
            }
            Event::Rename { from, to } => {
                if let Some(handle) = self.handles.remove(&from) {
                    self.handles.insert(to, handle);
                }
                if let Some(binding) = self.bindings.remove(&from) {
                    self.bindings.insert(to, binding);
                }
            }
        }
        true
    }

    fn reserve(&mut self, bytes: u64) -> Option<ManagedMemoryHandle> {
        let failures = &mut ErrorGraph::default();
        let held = self.memory.bytes_allocated();
        if let Some(reason) = self.memory.relocation_need().reason(|| held) {
            self.memory.relocate(&mut Landed, reason, failures);
        }
        match self.memory.reserve(bytes, PageUpdate::Allow, failures) {
            Ok(handle) => Some(handle),
            Err(IoError::PageSizesExhausted { .. }) => {
                if self.memory.has_outdated() {
                    self.memory.relocate(&mut Landed, RelocationReason::ArenaFull, failures);
                }
                self.memory.reserve(bytes, PageUpdate::Allow, failures).ok()
            }
            Err(error) if error.may_succeed_after_reclaim() => {
                self.cleanup();
                self.memory.reserve(bytes, PageUpdate::Allow, failures).ok()
            }
            Err(_) => None,
        }
    }

    /// `Command::memory_cleanup`.
    pub fn cleanup(&mut self) {
        let failures = &mut ErrorGraph::default();
        if self.memory.has_outdated() {
            self.memory.relocate(&mut Landed, RelocationReason::Explicit, failures);
        }
        self.memory.cleanup(Cleanup::Explicit, failures);
    }

    /// `CudaServer::flush`.
    pub fn flush(&mut self) {
        self.memory.storage().flush();
    }

    /// What the manager reports and what the storage holds.
    pub fn usage(&self) -> Usage {
        let usage = self.memory.memory_report().usage();
        Usage {
            in_use: usage.bytes_in_use,
            padding: usage.bytes_padding,
            reserved: usage.bytes_reserved,
            held: self.memory.bytes_allocated(),
        }
    }
}
