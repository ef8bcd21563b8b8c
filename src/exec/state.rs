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
use crate::step::StepGraphs;
use crate::step::parameter::{Init, Parameter, Parameters};
use crate::step::tensor::{Moment, ParameterId, Shape, TensorType};
use crate::units::Bytes;

/// Weights and optimizer state; each list is in the order of the parameters.
#[derive(Clone, Debug)]
pub struct State {
    /// Values of the parameters.
    pub weights: Vec<Option<Value>>,
    /// What the optimizer keeps, by [`Moment`]; none where it keeps no such moment of a parameter.
    pub moments: [Vec<Option<Value>>; Moment::ALL.len()],
    /// Gradients summed so far in this step.
    pub gradients: Vec<Option<Value>>,
    /// The fixed table of places, where the model has one.
    pub table: Option<Value>,
}

impl State {
    /// The state before the first step.
    pub fn initial(graphs: &StepGraphs, seed: u64, device: &Device) -> Self {
        let parameters = &graphs.parameters;
        let stream = Stream::new(seed, Purpose::Init);
        let weights = parameters.iter().map(|(id, p)| Some(Value::float(initial(p, stream, u64::from(id.0)), device))).collect();
        let mut moments = [(); Moment::ALL.len()].map(|()| vec![None; parameters.iter().len()]);
        for (moment, id, shape) in graphs.moments() {
            let zeros = vec![0.0; TensorType::f32(&shape).elements() as usize];
            moments[moment as usize][id.0 as usize] = Some(Value::float(zeros, device));
        }
        Self {
            weights,
            moments,
            gradients: vec![None; parameters.iter().len()],
            table: places(graphs.model()).map(|table| Value::float(table, device)),
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
        let tensors = parameters.iter().zip(&self.weights).map(|((_, p), v)| (p.name(), p.shape, v));
        save(tensors, path)
    }

    /// Writes what the optimizer keeps, as safetensors: `<name>.first_moment`, `<name>.second_moment` and so on. A file without tensors
    /// where it keeps nothing.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save_moments(&self, graphs: &StepGraphs, path: &Path) -> Result<(), Error> {
        save(names(graphs).map(|(name, moment, id, shape)| (name, shape, &self.moments[moment as usize][id.0 as usize])), path)
    }

    /// Reads weights and moments back.
    ///
    /// # Errors
    /// Where a file cannot be read or does not hold exactly the tensors of these parameters.
    pub fn load(graphs: &StepGraphs, weights: &Path, moments: &Path, device: &Device) -> Result<Self, Error> {
        let parameters = &graphs.parameters;
        let mut reader = Reader::open(weights)?;
        let mut read = |(_, p): (ParameterId, &Parameter)| Ok(Some(Value::float(reader.tensor(&p.name(), &p.shape)?, device)));
        let weights = parameters.iter().map(&mut read).collect::<Result<_, Error>>()?;
        let mut kept = [(); Moment::ALL.len()].map(|()| vec![None; parameters.iter().len()]);
        let mut reader = Reader::open(moments)?;
        for (name, moment, id, shape) in names(graphs) {
            kept[moment as usize][id.0 as usize] = Some(Value::float(reader.tensor(&name, &shape)?, device));
        }
        Ok(Self {
            weights,
            moments: kept,
            gradients: vec![None; parameters.iter().len()],
            table: places(graphs.model()).map(|table| Value::float(table, device)),
        })
    }
}

/// What the optimizer keeps, with the names in a checkpoint.
fn names(graphs: &StepGraphs) -> impl Iterator<Item = (String, Moment, ParameterId, Shape)> {
    let name = |moment: Moment, id| format!("{}.{}", graphs.parameters.get(id).name(), moment.name());
    graphs.moments().map(move |(moment, id, shape)| (name(moment, id), moment, id, shape))
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

fn save<'a>(tensors: impl Iterator<Item = (String, Shape, &'a Option<Value>)>, path: &Path) -> Result<(), Error> {
    let views = tensors.map(|(name, shape, value)| {
        let shape = shape.iter().map(|d| *d as usize).collect();
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

    /// The tensor of a name and a shape.
    fn tensor(&mut self, name: &str, shape: &Shape) -> Result<Vec<f32>, Error> {
        let Self { path, file, tensors, start } = self;
        let info = tensors.info(name).ok_or_else(|| mismatch(path, format!("`{name}` is not in it")))?;
        let length = TensorType::f32(shape).elements() as usize;
        let (from, to) = info.data_offsets;
        let fits = info.dtype == Dtype::F32 && info.shape.iter().map(|d| *d as u64).eq(shape.iter().copied());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::op::Scalars;
    use crate::exec::trainer::{Feed, Trainer};
    use crate::exec::walk::Form;
    use crate::recipe::testing::parse;
    use crate::step::recompute::Recompute;

    const RECIPE: &str = include_str!("../../recipes/quickstart.ron");

    fn feed(graphs: &StepGraphs) -> Feed {
        let e = &graphs.extents;
        let tokens = (0..e.rows()).map(|i| (i * 7 % e.vocabulary) as i32).collect();
        let rows = (0..e.predicted).map(|i| i as i32).collect();
        let labels = (0..e.predicted).map(|i| (i * 3 % e.vocabulary) as i32).collect();
        Feed { tokens, rows, labels, weights: vec![1.0 / e.predicted as f32; e.predicted as usize], ..Feed::default() }
    }

    fn step(trainer: &mut Trainer, feed: &Feed, number: u64) -> f64 {
        let loss = trainer.micro_step(feed, true, &mut |_| {}).unwrap();
        trainer.update(Scalars::update(1e-3, number), &mut |_| {}).unwrap();
        loss
    }

    #[test]
    fn what_was_saved_goes_on_to_the_bit_with_every_optimizer_and_each_learns() {
        let device = Device::flex();
        let place = std::env::temp_dir().join(format!("cramplan-state-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        let (weights, moments) = (place.join("weights"), place.join("moments"));
        for optimizer in [
            "AdamW()",
            "Adam()",
            "RAdam()",
            "Lamb()",
            "Lion()",
            "Sgd(momentum: 0)",
            "Sgd(nesterov: true)",
            "Adafactor()",
            "Adafactor(momentum: 0.9)",
            "Muon()",
        ] {
            let recipe = parse(&RECIPE.replace("AdamW(clip: 0.5)", optimizer));
            let graphs = StepGraphs::build(&recipe, 4, Recompute::NOTHING);
            let feed = feed(&graphs);
            let mut trainer = Trainer::new(graphs.clone(), State::initial(&graphs, 1, &device), Form::Host, &device);
            let first = step(&mut trainer, &feed, 1);
            step(&mut trainer, &feed, 2);
            trainer.state.save_weights(&graphs.parameters, &weights).unwrap();
            trainer.state.save_moments(&graphs, &moments).unwrap();
            let saved = std::fs::metadata(&weights).unwrap().len() + std::fs::metadata(&moments).unwrap().len();
            assert!(saved.abs_diff(graphs.checkpoint().0) < 32 << 10, "{optimizer}: {saved}");
            let restored = State::load(&graphs, &weights, &moments, &device).unwrap();
            let mut other = Trainer::new(graphs, restored, Form::Host, &device);
            let last = step(&mut trainer, &feed, 3);
            assert!(last.is_finite() && last < first, "{optimizer}: from {first} to {last}");
            assert_eq!(step(&mut other, &feed, 3).to_bits(), last.to_bits(), "{optimizer}");
            assert_eq!(trainer.state.weights_hash(), other.state.weights_hash(), "{optimizer}");
        }
        std::fs::remove_dir_all(&place).unwrap();
    }
}
