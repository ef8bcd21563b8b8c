//! The memory of an operation on a card: the script of its plain form ([`script`]), played on buffers.
//!
//! A buffer is held by the registers that name it, from the step that makes each to the last that reads it; those of operands that
//! live on after the operation are held throughout. A step may write over what it reads last, where no other register holds it.
//! So the executor's counted owners, which the planner follows, and last uses, which this follows, come to the same.

mod script;

use self::script::{Script, Step, script};
use super::format::{DType, Operation, Walk};
use super::graph::bytes;

/// Bytes of an element.
const ELEMENT: u64 = 4;

/// Bytes that rows are padded to at most, and that a slice must begin and end at for being a view.
const ALIGNMENT: u64 = 512;

/// What an operation does to memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The most bytes at once, above those before the operation.
    pub highest: u64,
    /// Pairs (input, output): the output is made in the input's buffer.
    pub in_place: Vec<(u32, u32)>,
    /// Operands that are not there at the highest moment, beside those written over.
    pub absent: Vec<u32>,
}

/// Plays an operation of lawful shapes.
pub fn passage(walk: &Walk, o: &Operation) -> Passage {
    let shapes: Vec<Vec<u64>> = o.inputs.iter().map(|id| walk.tensors[*id as usize].shape.clone()).collect();
    let script = script(&o.op, &shapes);
    let mut play = Play::new(walk, o, &shapes, &script);
    for (at, step) in script.steps.iter().enumerate() {
        let made = play.step(at, step);
        play.registers.push(Some(made));
        play.release(at);
    }
    let outputs: Vec<usize> = script.outputs.iter().map(|r| play.buffer(*r)).collect();
    let there = |buffer: usize| play.there.get(buffer).copied().unwrap_or(false);
    let taken = |buffer: &usize| (0..o.inputs.len()).find(|i| play.registers[*i].is_some() && play.buffer(*i) == *buffer);
    let in_place = outputs.iter().zip(&o.outputs).filter_map(|(buffer, id)| Some((o.inputs[taken(buffer)?], *id)));
    let gone = |i: &usize| play.registers[*i].is_some() && !play.pinned[play.buffer(*i)] && !there(play.buffer(*i));
    let inputs = (0..o.inputs.len()).filter(gone).map(|i| o.inputs[i]);
    let late = outputs.iter().zip(&o.outputs).filter(|(buffer, _)| !there(**buffer)).map(|(_, id)| *id);
    Passage { highest: play.highest, in_place: in_place.collect(), absent: inputs.chain(late).collect() }
}

/// How a register's tensor lies in its buffer; strides are in elements.
#[derive(Clone, Debug)]
struct View {
    buffer: usize,
    shape: Vec<u64>,
    strides: Vec<u64>,
}

/// A script being played.
struct Play<'s> {
    script: &'s Script,
    /// Operands first; none for numbers that are on the host.
    registers: Vec<Option<View>>,
    sizes: Vec<u64>,
    alive: Vec<bool>,
    /// Buffers of operands that others hold as well.
    pinned: Vec<bool>,
    live: i128,
    highest: u64,
    /// Which buffers were alive at the highest moment.
    there: Vec<bool>,
}

impl<'s> Play<'s> {
    fn new(walk: &Walk, o: &Operation, shapes: &[Vec<u64>], script: &'s Script) -> Self {
        let mut play = Self {
            script,
            registers: Vec::new(),
            sizes: Vec::new(),
            alive: Vec::new(),
            pinned: Vec::new(),
            live: 0,
            highest: 0,
            there: Vec::new(),
        };
        for (i, id) in o.inputs.iter().enumerate() {
            let tensor = &walk.tensors[*id as usize];
            if tensor.dtype == DType::I32 {
                play.registers.push(None);
                continue;
            }
            let first = o.inputs.iter().position(|other| other == id).filter(|first| *first < i);
            let buffer = if let Some(first) = first {
                play.buffer(first)
            } else {
                let alone = o.inputs.iter().filter(|other| *other == id).count() == 1;
                play.sizes.push(bytes(tensor));
                play.alive.push(true);
                play.pinned.push(!(alone && o.dies.contains(id)));
                play.sizes.len() - 1
            };
            play.registers.push(Some(View { buffer, shape: shapes[i].clone(), strides: dense(&shapes[i]) }));
        }
        play.there.clone_from(&play.alive);
        play
    }

    fn view(&self, register: usize) -> View {
        // Numbers on the host are sent by a step of their own, so no step reads their register.
        self.registers[register].clone().unwrap_or(View { buffer: usize::MAX, shape: Vec::new(), strides: Vec::new() })
    }

    fn buffer(&self, register: usize) -> usize {
        self.registers[register].as_ref().map_or(usize::MAX, |view| view.buffer)
    }

    fn make(&mut self, size: u64) -> usize {
        self.live += i128::from(size);
        self.sizes.push(size);
        self.alive.push(true);
        self.pinned.push(false);
        if self.live > i128::from(self.highest) {
            self.highest = u64::try_from(self.live).unwrap_or(u64::MAX);
            self.there.clone_from(&self.alive);
        }
        self.sizes.len() - 1
    }

    fn new_padded(&mut self, shape: &[u64]) -> View {
        let (size, strides) = padded(shape);
        View { buffer: self.make(size), shape: shape.to_vec(), strides }
    }

    /// Whether a register that this step reads can be written over.
    fn is_free(&self, at: usize, register: usize) -> bool {
        let buffer = self.buffer(register);
        let held = |r: usize| self.buffer(r) == buffer && self.script.last_use(r) >= at;
        let others = (0..self.registers.len()).filter(|r| *r != register && held(*r)).count();
        let reads = self.script.steps[at].reads().iter().filter(|r| **r == register).count();
        !self.pinned[buffer] && others == 0 && reads == 1 && self.script.last_use(register) == at
    }

    /// Gives back what no register holds after a step.
    fn release(&mut self, at: usize) {
        for buffer in 0..self.sizes.len() {
            let held = (0..self.registers.len()).any(|r| self.buffer(r) == buffer && self.script.last_use(r) > at);
            if self.alive[buffer] && !self.pinned[buffer] && !held {
                self.alive[buffer] = false;
                self.live -= i128::from(self.sizes[buffer]);
            }
        }
    }

    fn step(&mut self, at: usize, step: &Step) -> View {
        match step {
            Step::Make(shape, _) => self.new_padded(shape),
            Step::Each(x) | Step::Into(x, _) => {
                let view = self.view(*x);
                if self.is_free(at, *x) { view } else { self.new_padded(&view.shape) }
            }
            Step::Both(a, b) => self.both(at, *a, *b),
            Step::Fold(x, dimension) => {
                let mut shape = self.view(*x).shape;
                shape[*dimension] = 1;
                let buffer = self.make(elements(&shape).saturating_mul(ELEMENT));
                View { buffer, strides: dense(&shape), shape }
            }
            Step::Product(a, b) => self.product(&self.view(*a), &self.view(*b)),
            Step::Swap(x, i, j) => {
                let mut view = self.view(*x);
                view.shape.swap(*i, *j);
                view.strides.swap(*i, *j);
                view
            }
            Step::Shape(x, shape) => {
                let view = self.view(*x);
                if is_dense(&view) {
                    return View { strides: dense(shape), shape: shape.clone(), ..view };
                }
                if view.shape == *shape { view } else { self.new_padded(shape) }
            }
            Step::Piece(x, start, length) => self.piece(self.view(*x), *start, *length),
        }
    }

    /// A function of two tensors is written over the first that is free and has the whole shape.
    fn both(&mut self, at: usize, a: usize, b: usize) -> View {
        let (x, y) = (self.view(a), self.view(b));
        let covers = |x: &View, y: &View| x.shape.iter().zip(&y.shape).all(|(x, y)| x >= y);
        if self.is_free(at, a) && covers(&x, &y) {
            return x;
        }
        if self.is_free(at, b) && covers(&y, &x) {
            return y;
        }
        let shape: Vec<u64> = x.shape.iter().zip(&y.shape).map(|(x, y)| *x.max(y)).collect();
        self.new_padded(&shape)
    }

    /// A product copies operands whose batches do not lie outside their matrices; the copies are gone after it.
    fn product(&mut self, a: &View, b: &View) -> View {
        let mut shape = a.shape.clone();
        if let (Some(last), Some(columns)) = (shape.last_mut(), b.shape.last()) {
            *last = *columns;
        }
        let made = self.new_padded(&shape);
        for view in [a, b] {
            let (batches, matrix) = view.strides.split_at(view.strides.len().saturating_sub(2));
            let widest = matrix.iter().max().copied().unwrap_or(0);
            if batches.iter().any(|stride| *stride < widest) {
                // No register names it: it is given back at the end of the step.
                self.make(padded(&view.shape).0);
            }
        }
        made
    }

    fn piece(&mut self, view: View, start: u64, length: u64) -> View {
        let row = view.strides.first().copied().unwrap_or(1).saturating_mul(ELEMENT);
        let rest = view.shape.first().copied().unwrap_or(0).saturating_sub(start.saturating_add(length));
        let mut shape = view.shape.clone();
        shape[0] = length;
        let aligned = [start, rest].iter().all(|rows| row.saturating_mul(*rows).is_multiple_of(ALIGNMENT));
        if aligned { View { shape, ..view } } else { self.new_padded(&shape) }
    }
}

fn elements(shape: &[u64]) -> u64 {
    shape.iter().fold(1, |n: u64, extent| n.saturating_mul(*extent))
}

/// Strides without gaps.
fn dense(shape: &[u64]) -> Vec<u64> {
    (0..shape.len()).map(|i| elements(&shape[i + 1..])).collect()
}

/// Whether there are no gaps; where a dimension has one element, its stride does not matter.
fn is_dense(view: &View) -> bool {
    let dense = dense(&view.shape);
    view.shape.iter().zip(view.strides.iter().zip(&dense)).all(|(extent, (a, b))| *extent == 1 || a == b)
}

/// Bytes and strides of a new tensor: rows of several elements begin at multiples of a power of two, from 16 to 512 bytes.
fn padded(shape: &[u64]) -> (u64, Vec<u64>) {
    let Some((last, outer)) = shape.split_last().filter(|(_, outer)| !outer.is_empty()) else {
        return (elements(shape).saturating_mul(ELEMENT), dense(shape));
    };
    let width = last.saturating_mul(ELEMENT);
    let align = if *last == 1 { ELEMENT } else { width.min(ALIGNMENT).next_power_of_two().max(16) };
    let pitch = width.div_ceil(align).saturating_mul(align);
    let mut strides: Vec<u64> = dense(outer).into_iter().map(|rows| rows.saturating_mul(pitch / ELEMENT)).collect();
    strides.push(1);
    (elements(outer).saturating_mul(pitch), strides)
}
