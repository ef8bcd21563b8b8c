//! The graph of a walk: that its numbers name something, that it is in order, and that its tensors live as long as they are used.

use std::collections::BTreeMap;

use super::format::{Content, DType, Operation, Role, Tensor, Walk, WalkName};
use super::model::position_table;
use super::shape::in_place;
use super::{At, Book, Law, optimizer};
use crate::device::DeviceKind;

/// Whether every number of a tensor, an operation, a parameter or a walk names one.
pub fn numbers<R>(content: &Content<R>, book: &mut Book) -> bool {
    let walks: Vec<WalkName> = content.walks.iter().map(|w| w.walk).collect();
    let mut all = book.equal(Law::Number, At::field("walks"), walks, WalkName::ALL.to_vec());
    let parameters = content.parameters.len();
    for walk in &content.walks {
        let tensors = walk.tensors.len();
        let mut check =
            |at: At, id: u32| all &= book.hold(Law::Number, at.tensor(id), (id as usize) < tensors, id, "a tensor of the walk");
        walk.results.iter().for_each(|id| check(At::walk(walk.walk, "results"), *id));
        walk.peak.holders.iter().for_each(|(id, _)| check(At::walk(walk.walk, "peak.holders"), *id));
        for (i, o) in walk.operations.iter().enumerate() {
            let taken = o.in_place.iter().flat_map(|(a, b)| [a, b]);
            for id in o.inputs.iter().chain(&o.outputs).chain(&o.dies).chain(&o.absent).chain(taken) {
                check(At::walk(walk.walk, "operations").operation(i), *id);
            }
        }
        for (id, tensor) in walk.tensors.iter().enumerate() {
            let known = parameter(tensor.role).is_none_or(|p| (p as usize) < parameters);
            all &= book.hold(Law::Number, At::walk(walk.walk, "role").tensor(id as u32), known, tensor.role, "a parameter");
        }
        let at = At::walk(walk.walk, "peak.operation");
        let found = walk.peak.operation < walk.operations.len();
        all &= book.hold(Law::Number, at, found, walk.peak.operation, "an operation of the walk");
    }
    all
}

/// The parameter that a role belongs to.
fn parameter(role: Role) -> Option<u32> {
    match role {
        Role::Weight(p)
        | Role::Gradient(p)
        | Role::FirstMoment(p)
        | Role::SecondMoment(p)
        | Role::RowMoment(p)
        | Role::ColumnMoment(p) => Some(p),
        _ => None,
    }
}

/// Checks order, roles, deaths and reuse of a walk.
pub fn check(content: &Content, walk: &Walk, book: &mut Book) {
    order(walk, book);
    roles(content, walk, book);
    let last = last_uses(walk);
    deaths(walk, &last, book);
    // On a card, what is written over follows from an operation's chain: see the law of live bytes.
    if matches!(content.device.kind, DeviceKind::Cpu { .. }) {
        for (i, o) in walk.operations.iter().enumerate() {
            reuse(walk, (i, o), &last, book);
        }
    }
}

/// Which operation makes each tensor; none for what the walk starts with.
pub fn producers(walk: &Walk) -> Vec<Option<usize>> {
    let mut producers = vec![None; walk.tensors.len()];
    for (i, o) in walk.operations.iter().enumerate() {
        for id in &o.outputs {
            producers[*id as usize] = Some(i);
        }
    }
    producers
}

fn order(walk: &Walk, book: &mut Book) {
    let mut made = vec![0u32; walk.tensors.len()];
    walk.operations.iter().flat_map(|o| &o.outputs).for_each(|id| made[*id as usize] += 1);
    for (id, times) in made.iter().enumerate() {
        book.hold(Law::Order, At::walk(walk.walk, "outputs").tensor(id as u32), *times <= 1, times, "one producer at most");
    }
    let producers = producers(walk);
    for (i, o) in walk.operations.iter().enumerate() {
        for id in &o.inputs {
            let producer = producers[*id as usize];
            let at = At::walk(walk.walk, "inputs").operation(i).tensor(*id);
            book.hold(
                Law::Order,
                at,
                producer.is_none_or(|p| p < i),
                format!("used by operation {i}"),
                format!("made by {producer:?}"),
            );
        }
    }
}

/// Roles that no operation of a walk makes: what it starts with.
fn starts_with(content: &Content, walk: WalkName) -> Vec<Role> {
    let parameters = content.parameters.len() as u32;
    let table = position_table(&content.recipe.model).map(|_| Role::PositionTable);
    let of = |role: fn(u32) -> Role| (0..parameters).map(role);
    let inputs = [Role::Tokens, Role::Rows, Role::Labels, Role::LossWeights].into_iter().chain(table);
    match walk {
        WalkName::First | WalkName::Evaluate => of(Role::Weight).chain(inputs).collect(),
        WalkName::Further => of(Role::Weight).chain(of(Role::Gradient)).chain(inputs).collect(),
        WalkName::Update => of(Role::Weight).chain(of(Role::Gradient)).chain(optimizer::kept(content)).collect(),
    }
}

/// Roles of what outlives a walk; the loss, its rows and the clip factor are activations.
fn ends_with(content: &Content, walk: WalkName) -> Vec<Role> {
    let parameters = content.parameters.len() as u32;
    let table = position_table(&content.recipe.model).map(|_| Role::PositionTable);
    let of = |role: fn(u32) -> Role| (0..parameters).map(role);
    let weights = of(Role::Weight);
    match walk {
        WalkName::First | WalkName::Further => weights.chain(of(Role::Gradient)).chain(table).chain([Role::Activation]).collect(),
        WalkName::Update => weights.chain(optimizer::kept(content)).chain([Role::Activation]).collect(),
        WalkName::Evaluate => weights.chain(table).chain([Role::Activation, Role::Activation]).collect(),
    }
}

fn roles(content: &Content, walk: &Walk, book: &mut Book) {
    let producers = producers(walk);
    let sources = walk.tensors.iter().zip(&producers).filter(|(_, producer)| producer.is_none());
    let sorted = |mut roles: Vec<Role>| {
        roles.sort_unstable();
        roles
    };
    let stated = sorted(sources.map(|(tensor, _)| tensor.role).collect());
    book.equal(Law::Role, At::walk(walk.walk, "tensors"), stated, sorted(starts_with(content, walk.walk)));
    let stated = sorted(walk.results.iter().map(|id| walk.tensors[*id as usize].role).collect());
    book.equal(Law::Role, At::walk(walk.walk, "results"), stated, sorted(ends_with(content, walk.walk)));
    for (id, tensor) in walk.tensors.iter().enumerate() {
        let Some((shape, dtype)) = described(content, tensor.role) else { continue };
        let at = At::walk(walk.walk, "shape").tensor(id as u32);
        book.equal(Law::Role, at, (&tensor.shape, tensor.dtype), (&shape, dtype));
    }
    // Whatever an operation makes of a lasting kind must last: it is the state of the training.
    for (id, tensor) in walk.tensors.iter().enumerate().filter(|(id, _)| producers[*id].is_some()) {
        let lasts = tensor.role == Role::Activation || walk.results.contains(&(id as u32));
        book.hold(Law::Role, At::walk(walk.walk, "role").tensor(id as u32), lasts, tensor.role, "a result");
    }
}

/// Shape and type that a role asks for.
fn described(content: &Content, role: Role) -> Option<(Vec<u64>, DType)> {
    let e = &content.extents;
    match role {
        Role::Weight(p)
        | Role::Gradient(p)
        | Role::FirstMoment(p)
        | Role::SecondMoment(p)
        | Role::RowMoment(p)
        | Role::ColumnMoment(p) => Some((optimizer::shape(role, &content.parameters[p as usize].shape), DType::F32)),
        Role::PositionTable => position_table(&content.recipe.model).map(|shape| (shape, DType::F32)),
        Role::Tokens => Some((vec![content.micro_tokens], DType::I32)),
        Role::Rows | Role::Labels => Some((vec![e.predicted], DType::I32)),
        Role::LossWeights => Some((vec![e.predicted], DType::F32)),
        Role::Activation => None,
    }
}

/// The last operation that takes or makes each tensor; none for results and for what nothing uses.
fn last_uses(walk: &Walk) -> Vec<Option<usize>> {
    let mut last = vec![None; walk.tensors.len()];
    for (i, o) in walk.operations.iter().enumerate() {
        o.inputs.iter().chain(&o.outputs).for_each(|id| last[*id as usize] = Some(i));
    }
    walk.results.iter().for_each(|id| last[*id as usize] = None);
    last
}

fn deaths(walk: &Walk, last: &[Option<usize>], book: &mut Book) {
    let mut stated: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, o) in walk.operations.iter().enumerate() {
        o.dies.iter().for_each(|id| stated.entry(*id).or_default().push(i));
    }
    for (id, last) in last.iter().enumerate() {
        let stated = stated.remove(&(id as u32)).unwrap_or_default();
        let derived: Vec<usize> = last.iter().copied().collect();
        let mut at = At::walk(walk.walk, "dies").tensor(id as u32);
        at.operation = stated.first().or(derived.first()).copied();
        book.equal(Law::Death, at, stated, derived);
    }
}

/// Every pair that the operation allows, whose input dies here and is no other operand, in the order of the rule.
fn reuse(walk: &Walk, (i, o): (usize, &Operation), last: &[Option<usize>], book: &mut Book) {
    let mut derived: Vec<(u32, u32)> = Vec::new();
    for (input, output) in in_place(&o.op) {
        let (Some(a), Some(b)) = (o.inputs.get(*input), o.outputs.get(*output)) else { continue };
        let alone = o.inputs.iter().filter(|id| *id == a).count() == 1;
        let free = derived.iter().all(|(x, y)| x != a && y != b);
        if alone && free && last[*a as usize] == Some(i) {
            derived.push((*a, *b));
        }
    }
    let at = At::walk(walk.walk, "in_place").operation(i);
    book.equal(Law::InPlace, at, &o.in_place, &derived);
    for (a, b) in &o.in_place {
        let (a, b) = (bytes(&walk.tensors[*a as usize]), bytes(&walk.tensors[*b as usize]));
        book.equal(Law::InPlace, at, a, b);
    }
}

/// Size of a tensor: the product of its extents, times four for each type that there is.
pub fn bytes(tensor: &Tensor) -> u64 {
    let size = match tensor.dtype {
        DType::F32 | DType::I32 => 4,
    };
    tensor.shape.iter().fold(size, |n: u64, extent| n.saturating_mul(*extent))
}
