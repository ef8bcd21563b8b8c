//! Tensors in the hands of the executor: always flat; the step graph knows their shapes.

use std::sync::Arc;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::error::Error;
use crate::units::Bytes;

/// A tensor on the device.
#[derive(Clone, Debug)]
pub enum Value {
    /// f32 elements, row-major.
    Float(Tensor<1>),
    /// Token ids or row numbers: on the host, and on the device where that is another place.
    Index(Index),
}

/// Integers that the host feeds.
#[derive(Clone, Debug)]
pub struct Index {
    /// The numbers.
    pub host: Arc<[i32]>,
    device: Device,
}

impl Index {
    /// As a tensor on the device.
    pub fn tensor(&self) -> Tensor<1, Int> {
        Tensor::from_data(TensorData::new(self.host.to_vec(), [self.host.len()]), (&self.device, DType::I32))
    }
}

impl Value {
    /// f32 elements from the host.
    pub fn float(data: Vec<f32>, device: &Device) -> Self {
        Self::Float(float_tensor(data, device))
    }

    /// Integers from the host.
    pub fn index(data: Vec<i32>, device: &Device) -> Self {
        Self::Index(Index { host: data.into(), device: device.clone() })
    }

    /// The elements of a float tensor as little-endian bytes; none for integers.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            // burn's data is in the order of this machine, which is little-endian on every platform that it supports.
            Self::Float(tensor) if cfg!(target_endian = "little") => tensor.to_data().as_bytes().to_vec(),
            Self::Float(_) => self.to_floats().iter().flat_map(|x| x.to_le_bytes()).collect(),
            Self::Index(_) => Vec::new(),
        }
    }

    /// The elements of a float tensor; none for integers.
    pub fn to_floats(&self) -> Vec<f32> {
        match self {
            Self::Float(tensor) => tensor.to_data().try_to_vec().unwrap_or_default(),
            Self::Index(_) => Vec::new(),
        }
    }
}

/// A flat tensor from the host; no copy where the device is the host.
pub fn float_tensor(data: Vec<f32>, device: &Device) -> Tensor<1> {
    let length = data.len();
    Tensor::from_data(TensorData::new(data, [length]), (device, DType::F32))
}

/// A buffer of zeros, or a report that it could not be had.
///
/// # Errors
/// [`Error::OutOfMemory`] where the system refuses.
pub fn buffer(length: usize, what: impl FnOnce() -> String, held: impl FnOnce() -> Bytes) -> Result<Vec<f32>, Error> {
    let mut data = Vec::new();
    if data.try_reserve_exact(length).is_err() {
        return Err(Error::OutOfMemory { what: what(), wanted: Bytes(length as u64 * 4), held: held() });
    }
    data.resize(length, 0.0);
    Ok(data)
}
