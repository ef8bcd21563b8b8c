//! The state of a training: weights, moments, and the gradients that are being summed up.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use burn::tensor::Device;
use rayon::prelude::*;
use safetensors::tensor::{Dtype, Metadata, View};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::value::{Value, buffer};
use crate::budget::READ_AT_ONCE;
use crate::recipe::settings::{Encoder, Positions};
use crate::rng::{Purpose, Stream};
use crate::step::parameter::{Init, Parameter, Parameters};
use crate::units::Bytes;

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
    /// The fixed table of places, where the model has one.
    pub table: Option<Value>,
}

impl State {
    /// The state before the first step.
    pub fn initial(parameters: &Parameters, model: &Encoder, seed: u64, device: &Device) -> Self {
        let stream = Stream::new(seed, Purpose::Init);
        let weights = parameters.iter().map(|(id, p)| Some(Value::float(initial(p, stream, u64::from(id.0)), device))).collect();
        let zeros = || parameters.iter().map(|(_, p)| Some(Value::float(vec![0.0; p.elements() as usize], device))).collect();
        Self {
            weights,
            first: zeros(),
            second: zeros(),
            gradients: vec![None; parameters.iter().len()],
            table: places(model).map(|table| Value::float(table, device)),
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
        model: &Encoder,
        weights: &Path,
        moments: &Path,
        device: &Device,
    ) -> Result<Self, Error> {
        let names = |suffix: &'static str| parameters.iter().map(move |(_, p)| (format!("{}{suffix}", p.name()), p));
        Ok(Self {
            weights: Reader::open(weights)?.load(names(""), device)?,
            first: Reader::open(moments)?.load(names(".first_moment"), device)?,
            second: Reader::open(moments)?.load(names(".second_moment"), device)?,
            gradients: vec![None; parameters.iter().len()],
            table: places(model).map(|table| Value::float(table, device)),
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

/// The fixed table of places of a model, where it has one.
fn places(model: &Encoder) -> Option<Vec<f32>> {
    match model.positions {
        Positions::ScaledSinusoidal {} | Positions::Sinusoidal {} => Some(sinusoids(model.sequence, model.width)),
        Positions::Rotary { theta } => Some(rotations(model.sequence, model.width / model.heads / 2, theta)),
        Positions::Learned { .. } | Positions::NoPositions {} => None,
    }
}

/// The table `[2·S, D/2H]` of Su et al. 2021: the cosines, then the sines, of s·theta^(−i/(D/2H)).
pub fn rotations(sequence: u64, half: u64, theta: f64) -> Vec<f32> {
    let angle = |s: u64, i: u64| s as f64 * libm::exp(-(i as f64) * libm::log(theta) / half as f64);
    let mut table = vec![0.0; (2 * sequence * half) as usize];
    for (s, row) in (0..2 * sequence).zip(table.chunks_mut(half.max(1) as usize)) {
        let of = if s < sequence { libm::cos } else { libm::sin };
        row.iter_mut().zip(0..half).for_each(|(x, i)| *x = of(angle(s % sequence, i)) as f32);
    }
    table
}

/// The table `[S, D]` of Vaswani et al. 2017: sin and cos of s/10000^(2i/D), the two alternating along a row.
pub fn sinusoids(sequence: u64, width: u64) -> Vec<f32> {
    let element = |s: u64, d: u64| {
        let angle = s as f64 * libm::exp(-((d / 2 * 2) as f64) * libm::log(10_000.0) / width as f64);
        (if d.is_multiple_of(2) { libm::sin(angle) } else { libm::cos(angle) }) as f32
    };
    // Made in full at once: a list that grows holds up to three times as much.
    let mut table = vec![0.0; (sequence * width) as usize];
    for (s, row) in (0..sequence).zip(table.chunks_mut(width.max(1) as usize)) {
        row.iter_mut().zip(0..width).for_each(|(x, d)| *x = element(s, d));
    }
    table
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
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| Error::File { path: path.to_owned(), source })
}

fn mismatch(path: &Path, why: impl Into<String>) -> Error {
    Error::Mismatch { path: path.to_owned(), why: why.into() }
}

/// A file of tensors that is read one tensor at a time, so that no second copy of the state is ever in memory.
struct Reader<'a> {
    path: &'a Path,
    file: File,
    tensors: Metadata,
    /// Where the first tensor begins.
    start: u64,
}

/// Bytes of the number that says how long a safetensors header is.
const LENGTH: u64 = 8;

/// The longest header that is read: the format's own limit.
const LONGEST_HEADER: u64 = 100_000_000;

/// Elements that are read at once.
const PIECE: usize = READ_AT_ONCE as usize;

impl<'a> Reader<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let disk = |source| Error::File { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(disk)?;
        let all = file.metadata().map_err(disk)?.len();
        let mut length = [0; LENGTH as usize];
        file.read_exact(&mut length).map_err(disk)?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST_HEADER.min(all) {
            return Err(mismatch(path, "its header is longer than the file"));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(disk)?;
        let tensors: Metadata = serde_json::from_slice(&header).map_err(|e| mismatch(path, e.to_string()))?;
        let end = tensors.tensors().values().map(|info| info.data_offsets.1 as u64).max().unwrap_or_default();
        let start = LENGTH + length;
        if start + end != all {
            return Err(mismatch(path, format!("it has {all} bytes, and its header tells of {}", start + end)));
        }
        Ok(Self { path, file, tensors, start })
    }

    /// The tensors of these names, in this order.
    fn load<'p>(
        mut self,
        names: impl Iterator<Item = (String, &'p Parameter)>,
        device: &Device,
    ) -> Result<Vec<Option<Value>>, Error> {
        names.map(|(name, p)| Ok(Some(Value::float(self.tensor(&name, p)?, device)))).collect()
    }

    fn tensor(&mut self, name: &str, p: &Parameter) -> Result<Vec<f32>, Error> {
        let Self { path, file, tensors, start } = self;
        let info = tensors.info(name).ok_or_else(|| mismatch(path, format!("`{name}` is not in it")))?;
        let length = p.elements() as usize;
        let (from, to) = info.data_offsets;
        let fits = info.dtype == Dtype::F32 && info.shape.iter().map(|d| *d as u64).eq(p.shape.iter().copied());
        if !fits || to.checked_sub(from) != Some(4 * length) {
            return Err(mismatch(path, format!("`{name}` is {:?} {:?}", info.dtype, info.shape)));
        }
        let disk = |source| Error::File { path: path.to_owned(), source };
        file.seek(SeekFrom::Start(*start + from as u64)).map_err(disk)?;
        let held = || Bytes(*start + to as u64);
        let mut floats = buffer(length, || format!("`{name}` of a checkpoint"), held)?;
        let mut bytes = vec![0; 4 * PIECE.min(length)];
        for piece in floats.chunks_mut(PIECE) {
            let bytes = &mut bytes[..4 * piece.len()];
            file.read_exact(bytes).map_err(disk)?;
            for (x, b) in piece.iter_mut().zip(bytes.chunks_exact(4)) {
                *x = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            }
        }
        Ok(floats)
    }
}
