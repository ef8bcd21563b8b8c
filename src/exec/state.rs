//! The state of a training: weights, moments, and the gradients that are being summed up.

use std::borrow::Cow;
use std::path::Path;

use burn::tensor::Device;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, View};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::value::Value;
use crate::rng::{Purpose, Stream};
use crate::step::Extents;
use crate::step::parameter::{Init, Parameter, Parameters};

/// Weights and optimizer state; each list is in the order of the parameters.
#[derive(Clone, Debug)]
pub struct State {
    /// Values of the parameters.
    pub weights: Vec<Option<Value>>,
    /// First moments.
    pub first: Vec<Option<Value>>,
    /// Second moments.
    pub second: Vec<Option<Value>>,
    /// Gradients summed so far in this step.
    pub gradients: Vec<Option<Value>>,
    /// The fixed table of sinusoids.
    pub table: Option<Value>,
}

impl State {
    /// The state before the first step.
    pub fn initial(parameters: &Parameters, extents: &Extents, seed: u64, device: &Device) -> Self {
        let stream = Stream::new(seed, Purpose::Init);
        let weights = parameters.iter().map(|(id, p)| Some(Value::float(initial(p, stream, u64::from(id.0)), device))).collect();
        let zeros = || parameters.iter().map(|(_, p)| Some(Value::float(vec![0.0; p.elements() as usize], device))).collect();
        Self {
            weights,
            first: zeros(),
            second: zeros(),
            gradients: vec![None; parameters.iter().len()],
            table: Some(Value::float(sinusoids(extents.sequence, extents.width), device)),
        }
    }

    /// SHA-256 of all weights in the order of the parameters, little-endian f32, as hexadecimal.
    pub fn weights_hash(&self) -> String {
        let mut hash = Sha256::new();
        for value in self.weights.iter().flatten() {
            hash.update(value.to_bytes());
        }
        format!("{:x}", hash.finalize())
    }

    /// The first weight that is not a finite number, if there is one.
    pub fn not_finite(&self) -> Option<f64> {
        let bad = |value: &Value| value.to_floats().into_iter().find(|x| !x.is_finite());
        self.weights.iter().flatten().find_map(bad).map(f64::from)
    }

    /// Writes the weights, with their names, as safetensors.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save_weights(&self, parameters: &Parameters, path: &Path) -> Result<(), Error> {
        let tensors = parameters.iter().zip(&self.weights).map(|((_, p), v)| (p.name(), p, v));
        save(tensors, path)
    }

    /// Writes the moments, as safetensors: `<name>.first_moment` and `<name>.second_moment`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save_moments(&self, parameters: &Parameters, path: &Path) -> Result<(), Error> {
        let first = parameters.iter().zip(&self.first).map(|((_, p), v)| (format!("{}.first_moment", p.name()), p, v));
        let second = parameters.iter().zip(&self.second).map(|((_, p), v)| (format!("{}.second_moment", p.name()), p, v));
        save(first.chain(second), path)
    }

    /// Reads weights and moments back.
    ///
    /// # Errors
    /// Where a file cannot be read or does not hold exactly the tensors of these parameters.
    pub fn load(
        parameters: &Parameters,
        extents: &Extents,
        weights: &Path,
        moments: &Path,
        device: &Device,
    ) -> Result<Self, Error> {
        let names = |suffix: &'static str| parameters.iter().map(move |(_, p)| (format!("{}{suffix}", p.name()), p));
        let read_weights = read(weights)?;
        let read_moments = read(moments)?;
        Ok(Self {
            weights: load(&read_weights, weights, names(""), device)?,
            first: load(&read_moments, moments, names(".first_moment"), device)?,
            second: load(&read_moments, moments, names(".second_moment"), device)?,
            gradients: vec![None; parameters.iter().len()],
            table: Some(Value::float(sinusoids(extents.sequence, extents.width), device)),
        })
    }
}

/// First values of a parameter; element i of parameter p is a function of (seed, p, i).
fn initial(p: &Parameter, stream: Stream, id: u64) -> Vec<f32> {
    let length = p.elements() as usize;
    match p.init {
        Init::Constant(x) => vec![x as f32; length],
        Init::Normal { std } => {
            let mut data = vec![0f32; length];
            data.par_chunks_mut(2).enumerate().with_min_len(4096).for_each(|(i, pair)| {
                let (a, b) = stream.normal_pair(id, i as u64);
                for (x, z) in pair.iter_mut().zip([a, b]) {
                    *x = (z * std) as f32;
                }
            });
            data
        }
    }
}

/// The table `[S, D]` of Vaswani et al. 2017: sin and cos of s/10000^(2i/D), the two alternating along a row.
pub fn sinusoids(sequence: u64, width: u64) -> Vec<f32> {
    let element = |s: u64, d: u64| {
        let angle = s as f64 * libm::exp(-((d / 2 * 2) as f64) * libm::log(10_000.0) / width as f64);
        (if d.is_multiple_of(2) { libm::sin(angle) } else { libm::cos(angle) }) as f32
    };
    (0..sequence).flat_map(|s| (0..width).map(move |d| element(s, d))).collect()
}

/// A tensor that is read from the device only while it is being written.
struct Lazy<'a> {
    shape: Vec<usize>,
    value: Option<&'a Value>,
}

impl View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.value.map(Value::to_bytes).unwrap_or_default())
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * 4
    }
}

fn save<'a>(tensors: impl Iterator<Item = (String, &'a Parameter, &'a Option<Value>)>, path: &Path) -> Result<(), Error> {
    let views = tensors.map(|(name, p, value)| {
        let shape = p.shape.iter().map(|d| *d as usize).collect();
        (name, Lazy { shape, value: value.as_ref() })
    });
    safetensors::serialize_to_file(views, None, path).map_err(|e| mismatch(path, e.to_string()))?;
    let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| Error::File { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn mismatch(path: &Path, why: impl Into<String>) -> Error {
    Error::Mismatch { path: path.to_owned(), why: why.into() }
}

fn load<'a>(
    bytes: &[u8],
    path: &Path,
    names: impl Iterator<Item = (String, &'a Parameter)>,
    device: &Device,
) -> Result<Vec<Option<Value>>, Error> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| mismatch(path, e.to_string()))?;
    names
        .map(|(name, p)| {
            let view = file.tensor(&name).map_err(|e| mismatch(path, format!("{name}: {e}")))?;
            let fits = view.dtype() == Dtype::F32 && view.shape().iter().map(|d| *d as u64).eq(p.shape.iter().copied());
            if !fits {
                return Err(mismatch(path, format!("`{name}` is {:?} {:?}", view.dtype(), view.shape())));
            }
            let floats = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            Ok(Some(Value::float(floats, device)))
        })
        .collect()
}
