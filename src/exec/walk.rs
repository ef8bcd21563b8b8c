//! Walking a step graph: each operation in its order, each tensor dropped where the plan says it dies.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::error::Error;
use super::op::{Frame, Operand, Plain, Run, Scalars, runner};
use super::value::{Index, Value, buffer};
use crate::step::graph::{Node, StepGraph};
use crate::step::lifetime::Lifetimes;
use crate::step::op::Signature;
use crate::step::tensor::{Role, TensorId, TensorType};
use crate::units::Bytes;

/// How operations are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Fused kernels on the CPU.
    Host,
    /// burn's tensor operations alone.
    Plain,
}

/// A graph with its lifetimes, ready to be walked.
#[derive(Clone, Debug)]
pub struct Walker {
    graph: Arc<StepGraph>,
    lifetimes: Lifetimes,
    form: Form,
    device: Device,
}

/// A graph that whoever walks it keeps.
pub struct Shared(Arc<StepGraph>);

impl From<&StepGraph> for Shared {
    fn from(graph: &StepGraph) -> Self {
        Self(Arc::new(graph.clone()))
    }
}

impl From<&Arc<StepGraph>> for Shared {
    fn from(graph: &Arc<StepGraph>) -> Self {
        Self(Arc::clone(graph))
    }
}

/// The tensors by id.
type Slots = Vec<Option<Value>>;

impl Walker {
    /// Prepares a graph; it is copied unless it is shared.
    pub fn new(graph: impl Into<Shared>, form: Form, device: &Device) -> Self {
        let Shared(graph) = graph.into();
        let lifetimes = Lifetimes::of(&graph);
        Self { graph, lifetimes, form, device: device.clone() }
    }

    /// Walks the graph. `source` gives the tensors that no operation makes; the results come back with their roles.
    ///
    /// # Errors
    /// Memory that the system refuses, or a failure of the backend.
    pub fn walk(
        &self,
        scalars: Scalars,
        source: impl FnMut(Role, &TensorType) -> Option<Value>,
    ) -> Result<Vec<(TensorId, Role, Value)>, Error> {
        self.walk_watched(scalars, source, |_| {})
    }

    /// As [`Walker::walk`]; calls `after` when an operation is done and what dies at it is gone.
    ///
    /// # Errors
    /// As [`Walker::walk`].
    pub fn walk_watched(
        &self,
        scalars: Scalars,
        mut source: impl FnMut(Role, &TensorType) -> Option<Value>,
        mut after: impl FnMut(usize),
    ) -> Result<Vec<(TensorId, Role, Value)>, Error> {
        let mut slots: Slots = Vec::with_capacity(self.graph.tensors().count());
        for (id, tensor) in self.graph.tensors() {
            slots.push(if self.graph.is_source(id) { source(tensor.role, &tensor.ty) } else { None });
        }
        for (i, node) in self.graph.nodes().enumerate() {
            self.step(i, node, &mut slots, scalars)?;
            for id in &self.lifetimes.deaths[i] {
                slots[id.0 as usize] = None;
            }
            after(i);
        }
        let results = self.graph.results().iter();
        Ok(results.filter_map(|id| Some((*id, self.graph.get(*id).role, slots[id.0 as usize].take()?))).collect())
    }

    fn step(&self, i: usize, node: &Node, slots: &mut Slots, scalars: Scalars) -> Result<(), Error> {
        let types = self.graph.signature(node);
        let run = runner(&node.op);
        if self.form == Form::Host {
            let mut desk = Desk::open(node, types, &self.lifetimes.reuse[i], slots)?;
            desk.run(run, node, types, scalars);
            desk.close(node, slots, &self.device);
        } else {
            let operands = node.inputs.iter().map(|id| {
                let dies = self.lifetimes.deaths[i].contains(id) && node.inputs.iter().filter(|x| *x == id).count() == 1;
                let slot = &mut slots[id.0 as usize];
                if dies { slot.take() } else { slot.clone() }
            });
            let operands: Option<Vec<Value>> = operands.collect();
            let inputs = operands.ok_or_else(|| missing(node))?;
            let made = run.plain(Plain { inputs, types, device: &self.device, scalars });
            for (id, tensor) in node.outputs.iter().zip(made) {
                slots[id.0 as usize] = Some(Value::Float(tensor));
            }
        }
        Ok(())
    }
}

fn bytes(value: &Value) -> Bytes {
    Bytes(
        4 * match value {
            Value::Float(tensor) => tensor.shape().num_elements() as u64,
            Value::Index(index) => index.host.len() as u64,
        },
    )
}

fn missing(node: &Node) -> Error {
    let place = format!("{} in {}", node.op.rule().name(), node.place);
    Error::Backend { place, message: "an operand is not there".to_owned() }
}

/// Buffers of one operation, taken out of the slots.
struct Desk {
    inputs: BTreeMap<TensorId, Buffer>,
    outputs: Vec<TensorData>,
}

enum Buffer {
    Float(TensorData),
    Index(Index),
}

impl Desk {
    fn open(node: &Node, types: Signature<'_>, reuse: &[(usize, usize)], slots: &mut Slots) -> Result<Self, Error> {
        let mut inputs = BTreeMap::new();
        for id in &node.inputs {
            if let Some(value) = slots[id.0 as usize].take() {
                inputs.insert(
                    *id,
                    match value {
                        Value::Float(tensor) => Buffer::Float(tensor.into_data()),
                        Value::Index(index) => Buffer::Index(index),
                    },
                );
            } else if !inputs.contains_key(id) {
                return Err(missing(node));
            }
        }
        // Asked for only where memory runs out: it looks at every tensor.
        let operands: Bytes = types.inputs.iter().map(TensorType::bytes).sum();
        let held = || slots.iter().flatten().map(bytes).sum::<Bytes>() + operands;
        let mut desk = Self { inputs, outputs: Vec::new() };
        for (o, ty) in types.outputs.iter().enumerate() {
            let data = desk.output(node, o, ty, reuse, &held)?;
            desk.outputs.push(data);
        }
        Ok(desk)
    }

    /// The buffer of output `o`: a dying input's, a copy of an input, or zeros.
    fn output(
        &mut self,
        node: &Node,
        o: usize,
        ty: &TensorType,
        reuse: &[(usize, usize)],
        held: &dyn Fn() -> Bytes,
    ) -> Result<TensorData, Error> {
        if let Some((i, _)) = reuse.iter().find(|(_, output)| *output == o)
            && let Some(Buffer::Float(data)) = self.inputs.remove(&node.inputs[*i])
        {
            return Ok(data);
        }
        let length = ty.elements() as usize;
        let mut data = buffer(length, || format!("{} in {}", node.op.rule().name(), node.place), held)?;
        let copied = node.op.rule().in_place().iter().find(|(_, output)| *output == o);
        if let Some((i, _)) = copied
            && let Some(Buffer::Float(from)) = self.inputs.get(&node.inputs[*i])
        {
            data.copy_from_slice(from.as_slice().unwrap_or_default());
        }
        Ok(TensorData::new(data, [length]))
    }

    fn run(&mut self, run: &dyn Run, node: &Node, types: Signature<'_>, scalars: Scalars) {
        let inputs = node.inputs.iter().map(|id| match self.inputs.get(id) {
            Some(Buffer::Float(data)) => Operand::Float(data.as_slice().unwrap_or_default()),
            Some(Buffer::Index(index)) => Operand::Index(&index.host),
            None => Operand::Taken,
        });
        let inputs = inputs.collect();
        let outputs = self.outputs.iter_mut().map(|data| data.as_mut_slice().unwrap_or_default()).collect();
        run.host(&mut Frame { inputs, outputs, types, scalars });
    }

    fn close(self, node: &Node, slots: &mut Slots, device: &Device) {
        let tensor = |data: TensorData| {
            let length = data.num_elements();
            let (bytes, _, _) = data.into_parts();
            Value::Float(Tensor::from_data(TensorData::from_bytes(bytes, [length], DType::F32), (device, DType::F32)))
        };
        for (id, data) in node.outputs.iter().zip(self.outputs) {
            slots[id.0 as usize] = Some(tensor(data));
        }
        for (id, buffer) in self.inputs {
            slots[id.0 as usize] = Some(match buffer {
                Buffer::Float(data) => tensor(data),
                Buffer::Index(index) => Value::Index(index),
            });
        }
    }
}
