//! What cubecl-cuda 0.11.3 tells the manager of a card.

use super::Properties;
use crate::units::Bytes;

/// Alignment of every buffer, bytes (`CudaServer::init` in `runtime.rs`: the row alignment of `cuMemAllocPitch`).
pub const ALIGNMENT: u64 = 512;

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
