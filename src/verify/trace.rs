//! The operations of a walk, one after another: forward and update are the recipe's model and optimizer.

use std::collections::BTreeMap;

use super::format::{Content, Op, Pass, Place, Role, Walk, WalkName};
use super::graph::producers;
use super::recompute::Recomputed;
use super::{At, Book, Law, forward, gradient, optimizer};

/// A walk that is followed operation by operation.
pub struct Trace<'a> {
    walk: &'a Walk,
    law: Law,
    next: usize,
    /// Whether the walk has left the way; only the first wrong step is noted.
    lost: bool,
    sources: BTreeMap<Role, u32>,
    names: BTreeMap<&'a str, u32>,
    again: Recomputed,
    book: &'a mut Book,
}

/// A tensor that is not there: after a wrong step nothing is known.
const NONE: u32 = u32::MAX;

impl Trace<'_> {
    /// Expects an operation to be next, and gives its outputs.
    pub fn expect(&mut self, op: Op, inputs: &[u32], pass: Pass, place: Place) -> Vec<u32> {
        if pass == Pass::Backward {
            self.pass_recomputed();
        }
        if self.lost {
            return Vec::new();
        }
        let at = At::walk(self.walk.walk, "operations").operation(self.next);
        let wanted = (op, inputs.to_vec(), pass, place);
        let found = self.walk.operations.get(self.next);
        self.next += 1;
        let stated = found.map(|o| (o.op.clone(), self.again.originals(&o.inputs), o.pass, o.place));
        self.lost = !self.book.equal(self.law, at, stated, Some(wanted));
        found.filter(|_| !self.lost).map(|o| o.outputs.clone()).unwrap_or_default()
    }

    /// Passes what is recomputed before the next operation.
    fn pass_recomputed(&mut self) {
        let first = self.next;
        while let Some(again) = self.walk.operations.get(self.next).filter(|o| o.pass == Pass::Recompute && !self.lost) {
            let at = At::walk(self.walk.walk, "operations").operation(self.next);
            self.next += 1;
            let is_of_forward = self.again.take(self.walk, again);
            self.lost = !self.book.equal(Law::Recompute, at, is_of_forward, true);
        }
        if let Some(row) = self.walk.operations.get(first..self.next).filter(|row| !row.is_empty() && !self.lost) {
            let at = At::walk(self.walk.walk, "operations").operation(first);
            let asked = Recomputed::are_asked_for(row, self.walk.operations.get(self.next));
            self.book.hold(Law::Recompute, at, asked, "recomputed here", "recomputed right before what asks for it");
        }
    }

    /// Expects an operation with one output that matters.
    pub fn one(&mut self, op: Op, inputs: &[u32], pass: Pass, place: Place) -> u32 {
        self.expect(op, inputs, pass, place).first().copied().unwrap_or(NONE)
    }

    /// Whether it is the walk of an evaluation.
    pub fn is_evaluation(&self) -> bool {
        self.walk.walk == WalkName::Evaluate
    }

    /// Whether it has left the way.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// The tensor of a role that the walk starts with.
    pub fn source(&self, role: Role) -> u32 {
        self.sources.get(&role).copied().unwrap_or(NONE)
    }

    /// The weight of this name.
    pub fn weight(&self, name: &str) -> u32 {
        self.names.get(name).map_or(NONE, |p| self.source(Role::Weight(*p)))
    }
}

/// Follows a walk.
pub fn check(content: &Content, walk: &Walk, book: &mut Book) {
    let made = producers(walk);
    let sources = walk.tensors.iter().zip(&made).enumerate().filter(|(_, (_, made))| made.is_none());
    let mut trace = Trace {
        walk,
        law: Law::Model,
        next: 0,
        lost: false,
        sources: sources.map(|(id, (tensor, _))| (tensor.role, id as u32)).collect(),
        names: content.parameters.iter().enumerate().map(|(i, p)| (p.name.as_str(), i as u32)).collect(),
        again: Recomputed::default(),
        book,
    };
    let kept = match walk.walk {
        WalkName::Update => vec![update(content, &mut trace)],
        WalkName::Evaluate => forward::follow(content, &mut trace).into_iter().step_by(2).collect(),
        WalkName::First | WalkName::Further => {
            let loss = forward::follow(content, &mut trace).into_iter().take(1).collect();
            let forward = trace.next;
            trace.law = Law::Gradient;
            gradient::check(&walk.operations[..forward.min(walk.operations.len())], walk, content.parameters.len(), &mut trace);
            loss
        }
    };
    if trace.lost {
        return;
    }
    let (law, next) = (trace.law, trace.next);
    let Trace { again, book, .. } = trace;
    if matches!(walk.walk, WalkName::First | WalkName::Further) {
        again.check(content, walk, book);
    }
    book.equal(law, At::walk(walk.walk, "operations"), walk.operations.len(), next);
    let activations = walk.results.iter().copied().filter(|id| walk.tensors[*id as usize].role == Role::Activation);
    book.equal(Law::Role, At::walk(walk.walk, "results"), activations.collect::<Vec<u32>>(), kept);
}

/// The sum of squares of every gradient, the clip factor, then every parameter; gives the factor.
fn update(content: &Content, t: &mut Trace<'_>) -> u32 {
    let all = 0..content.parameters.len() as u32;
    let norm = |t: &mut Trace<'_>, p| {
        let gradient = t.source(Role::Gradient(p));
        t.one(Op::SumSquares, &[gradient], Pass::Update, Place::GlobalNorm)
    };
    let sums: Vec<u32> = all.clone().map(|p| norm(t, p)).collect();
    let factor = t.one(optimizer::clip(&content.recipe.optimizer), &sums, Pass::Update, Place::GlobalNorm);
    for p in all {
        let (op, kept) = optimizer::update(content, p);
        let taken = [Role::Weight(p), Role::Gradient(p)].into_iter().chain(kept.iter().copied());
        let inputs: Vec<u32> = taken.map(|role| t.source(role)).chain([factor]).collect();
        let made = t.expect(op, &inputs, Pass::Update, Place::Parameter(p));
        let roles: Vec<Role> = made.iter().map(|id| t.walk.tensors[*id as usize].role).collect();
        if !t.lost {
            let at = At::walk(t.walk.walk, "role").operation(t.next - 1);
            t.book.equal(Law::Role, at, roles, [vec![Role::Weight(p)], kept].concat());
        }
    }
    factor
}

impl Trace<'_> {
    /// Expects a tensor to be the gradient of a parameter.
    pub fn is_gradient(&mut self, id: u32, parameter: u32) {
        let role = self.walk.tensors.get(id as usize).map(|tensor| tensor.role);
        let at = At::walk(self.walk.walk, "role").tensor(id);
        self.book.equal(Law::Role, at, role, Some(Role::Gradient(parameter)));
    }
}
