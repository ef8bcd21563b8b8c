//! The names of cubecl-llvm 0.11.3 that cubecl-cuda 0.11.3 mentions. Nothing is compiled here: whoever asks is sent to the
//! C++ backend, which hands its kernels to NVRTC when the program runs.

use core::ffi::c_char;
use core::fmt;

use cubecl_core::ir::nvidia::SmArch;
use cubecl_core::prelude::KernelDefinition;
use cubecl_environment::backtrace::BackTrace;
use cubecl_server::compiler::{CompilationError, Compiler};
use cubecl_server::kernel::BufferIOAttr;

use self::nvptx::ptx_version::PtxVersion;

/// Versions of NVIDIA's assembly language.
pub mod nvptx {
    /// The version type.
    pub mod ptx_version {
        use core::fmt;

        /// A version; there is none here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct PtxVersion(u32);

        impl PtxVersion {
            /// No driver is known.
            pub fn for_driver(_driver: i32) -> Option<Self> {
                None
            }
        }

        impl fmt::Display for PtxVersion {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "ptx{}", self.0)
            }
        }
    }
}

/// What several targets share.
pub mod shared {
    /// Features that a target lowers to.
    pub mod lowered_features {
        use cubecl_core::ir::DeviceProperties;

        /// A kind of graphics card.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GpuTarget {
            /// NVIDIA's.
            Nvptx,
        }

        /// Takes no feature away.
        pub fn restrict_features(_properties: &mut DeviceProperties, _target: GpuTarget) {}
    }
}

/// What LLVM would compile for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LlvmTarget {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA's cards.
    Nvptx,
}

/// The compiler that is not here.
#[derive(Clone, Debug, Default)]
pub struct PlironCompiler {
    /// What it would compile for.
    pub target: LlvmTarget,
}

/// Options of the compiler that is not here.
#[derive(Clone, Debug, Default)]
pub struct PlironOptions {
    /// Architecture.
    pub arch: Option<()>,
    /// Architecture of a card.
    pub sm_arch: Option<SmArch>,
    /// Version of the assembly language.
    pub ptx_version: Option<PtxVersion>,
    /// Whether parameters are constants of the grid.
    pub grid_constants: bool,
    /// Keeps `..Default::default()` at the end of a literal from being superfluous.
    pub _pad: (),
}

/// A compiled module; never made here.
#[derive(Clone, Debug)]
pub struct NvptxModule {
    /// Assembly.
    pub ptx: Vec<c_char>,
    /// Name of the kernel.
    pub entrypoint: String,
    /// Intermediate code.
    pub ir: String,
    /// Shared memory, bytes.
    pub shared_memory_size: usize,
    /// Buffers.
    pub io: Vec<BufferIOAttr>,
}

/// What a compilation would give.
#[derive(Clone, Debug)]
pub enum PlironArtifact {
    /// A module.
    NvptxCode(NvptxModule),
    /// Nothing.
    None,
}

impl fmt::Display for PlironArtifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no artifact")
    }
}

impl Compiler for PlironCompiler {
    type Representation = PlironArtifact;
    type CompilationOptions = PlironOptions;

    fn compile(&mut self, _kernel: KernelDefinition, _options: &PlironOptions) -> Result<PlironArtifact, CompilationError> {
        let reason = "built without LLVM: kernels are compiled by the C++ backend".into();
        Err(CompilationError::Generic { reason, backtrace: BackTrace::capture() })
    }

    fn extension(&self) -> &'static str {
        "ll"
    }

    fn lang_tag(&self) -> &'static str {
        "llvm"
    }
}
