//! What a process takes of an NVIDIA card beside its tensors.

use crate::units::Bytes;

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

/// All of it, in a line.
pub const SOURCE: &str =
    "CUDA context 555 MiB (largest published), kernels 64 MiB (assumed), their arguments 16 MiB (cubecl's cache)";

/// What a process takes of a card beside its tensors.
pub const PROCESS: Bytes = Bytes(CONTEXT.0 + KERNELS.0 + METADATA.0);
