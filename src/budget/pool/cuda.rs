//! What cubecl-cuda 0.11.3 tells the manager of a card, and what a program takes beside the manager's pages.

use super::Properties;
use crate::units::Bytes;

/// Alignment of every buffer, bytes (`CudaServer::init` in `runtime.rs`: the row alignment of `cuMemAllocPitch`).
pub const ALIGNMENT: u64 = 512;

/// A CUDA context with its stream, before the first allocation: the largest of the published figures. It grows with the card's
/// multiprocessors.
pub const CONTEXT: Bytes = Bytes::mib(555);

/// Where [`CONTEXT`] comes from.
pub const CONTEXT_SOURCE: &str = "published: 107 MiB on an RTX 4060 Ti, 555 MiB on an RTX PRO 6000 (llama.cpp pull 23604), \
     120 to 550 MB by card (llama.cpp pull 20595), 256 MiB on an RTX 3090 (InvokeAI issue 9413), 426 MiB on an RTX 6000 Ada \
     with PyTorch loaded (unsloth-zoo pull 1053); the largest is taken";

/// Code of compiled kernels: cubecl compiles each kernel by itself and loads it when it is first launched.
pub const KERNELS: Bytes = Bytes::mib(64);

/// Where [`KERNELS`] comes from.
pub const KERNELS_SOURCE: &str =
    "assumed: some hundred kernels, tuned variants included, of at most a few hundred KiB; to be measured on a card";

/// Workspace of libraries: none. cubecl's matrix products and reductions are its own kernels; what they need beside operands they
/// reserve from the same pools.
pub const LIBRARIES: Bytes = Bytes::ZERO;

/// Arguments of kernels (shapes, strides, scalars) in device memory: at most 4096 entries of at most 2048 bytes are kept
/// (`MetadataCachePolicy::default` in cubecl-server's `metadata_cache.rs`), one page of 8 MiB, and a page for those of launches
/// in flight. They share the pages of other small reservations; counted as pages of their own they are an upper bound unless
/// small tensors break those pages up.
pub const METADATA: Bytes = Bytes::mib(16);

impl Properties {
    /// A card with this much memory in all (`cuDeviceTotalMem`): pages of at most a quarter of it (`CudaServer::init`).
    pub fn cuda(total: Bytes) -> Self {
        Self { alignment: ALIGNMENT, max_page: total.0 / 4, capacity: Some(total.0) }
    }
}

/// Bytes that a new tensor takes: rows are padded to a power of two of their own size, at least 16 bytes and at most the
/// alignment (`PitchedMemoryLayoutPolicy::apply` in cubecl-server's `allocator.rs`, `optimal_align` in cubecl-runtime's
/// `memory_management/handle.rs`), the whole to the alignment. Extents slowest first; `element` is the size of an element in
/// bytes.
pub fn tensor_bytes(shape: &[u64], element: u64) -> u64 {
    let width = shape.last().copied().unwrap_or(1);
    let height: u64 = shape.iter().rev().skip(1).product::<u64>().max(1);
    let row = width * element;
    let pitch = if width == 1 { row } else { row.next_multiple_of(row.next_power_of_two().clamp(16, ALIGNMENT)) };
    (height * pitch).next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_to_their_own_power_of_two() {
        assert_eq!(tensor_bytes(&[1000], 4), 4096);
        assert_eq!(tensor_bytes(&[1000, 50], 4), 256 * 1000);
        assert_eq!(tensor_bytes(&[1000, 1], 4), 4096);
        assert_eq!(tensor_bytes(&[3, 130], 4), 2048 + 1024);
        assert_eq!(tensor_bytes(&[7, 768], 4), 7 * 768 * 4);
        assert_eq!(tensor_bytes(&[], 4), 512);
        assert_eq!(tensor_bytes(&[0, 5], 4), 512);
    }
}
