//! From a planned device to one of burn's.

use burn::tensor::Device;

use super::walk::Form;

/// What the user asked to run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A card where there is one and this build can use it, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA card by index.
    Cuda(usize),
}

/// Why a device cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// This build has no CUDA.
    #[error("this `cramplan` was built without CUDA")]
    NotBuilt,
    /// No driver, or no card that it shows.
    #[error("no NVIDIA driver and card were found on this machine")]
    NoDriver,
    /// Fewer cards than that.
    #[error("there is no card {asked}: this machine has {count}, counted from 0")]
    NoSuchCard {
        /// The index asked for.
        asked: usize,
        /// How many there are.
        count: usize,
    },
}

impl Unavailable {
    /// The way out.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NotBuilt => "build it with `cargo build --release --features cuda`, or run with `--device cpu`",
            Self::NoDriver => "install NVIDIA's driver and see that `nvidia-smi` lists the card, or run with `--device cpu`",
            Self::NoSuchCard { .. } => "see `cramplan devices`, or leave the index out",
        }
    }
}

/// How many cards burn's CUDA backend finds; none where it is not built in.
pub fn cards() -> usize {
    #[cfg(feature = "cuda")]
    {
        use burn::tensor::DeviceType;
        std::panic::catch_unwind(|| Device::enumerate(DeviceType::Cuda).into_vec().len()).unwrap_or(0)
    }
    #[cfg(not(feature = "cuda"))]
    {
        0
    }
}

/// What a wish comes to on this machine.
///
/// # Errors
/// Why a card that was asked for cannot be had.
pub fn choose(wish: Wish) -> Result<(Device, Form), Unavailable> {
    match wish {
        Wish::Cpu => Ok((Device::flex(), Form::Host)),
        Wish::Auto if cards() == 0 => Ok((Device::flex(), Form::Host)),
        Wish::Auto => cuda(0),
        Wish::Cuda(index) => cuda(index),
    }
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<(Device, Form), Unavailable> {
    match cards() {
        0 => Err(Unavailable::NoDriver),
        count if index >= count => Err(Unavailable::NoSuchCard { asked: index, count }),
        _ => Ok((Device::cuda(index), Form::Plain)),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(_index: usize) -> Result<(Device, Form), Unavailable> {
    Err(Unavailable::NotBuilt)
}
