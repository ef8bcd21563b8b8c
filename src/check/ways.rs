//! Ways out of a recipe that does not fit: other values of its fields with which it does.
//!
//! Invariant: every way was planned anew with what it changes, and fits. Ways that train the very same model come first, by what they cost in
//! time; then those that allow more memory, the recipe's own limit before another card; then those that train another model, the one
//! that saves the least time first: it is the nearest to what was asked for.

use super::{Costed, cost};
use crate::budget::{Estimate, estimate_at};
use crate::device::{Device, DeviceKind, at_least};
use crate::recipe::decode::MicroBatch;
use crate::recipe::settings::{Prediction, Recipe, Recomputation, Tokenizer};
use crate::step::recompute::{Kind, Recompute, quarters};
use crate::units::Bytes;

/// What a way changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changes {
    /// How the same training is carried out.
    Course,
    /// How much of the device's memory is used.
    Memory,
    /// Which device it is.
    Card,
    /// What is trained.
    Model,
}

/// A way out.
#[derive(Clone, Debug)]
pub struct Way {
    /// What it changes.
    pub changes: Changes,
    /// The fields with their new values, as they would be written.
    pub fields: Vec<(&'static str, String)>,
    /// What the recipe costs then.
    pub estimate: Estimate,
    /// Time of a token, over that of the recipe as it stands.
    pub slower: f64,
}

impl Way {
    /// The change as it is written: `micro_batch: 96`.
    pub fn title(&self) -> String {
        self.fields.iter().map(|(path, value)| format!("{path}: {value}")).collect::<Vec<_>>().join(", ")
    }

    /// What ways of a kind are ranked by: the time. A smaller model saves some, and the less it saves the nearer it is to the one that is
    /// wanted.
    pub fn cost(&self) -> f64 {
        if self.changes == Changes::Model { -self.slower } else { self.slower }
    }

    /// What it costs in time, in percent with its sign.
    pub fn time(&self) -> String {
        let percent = (self.slower - 1.0) * 100.0;
        if percent.abs() < 0.05 { "the same time".to_owned() } else { format!("{percent:+.1} % time") }
    }
}

/// So many ways are offered at least, where there are as many.
const ENOUGH: usize = 3;

/// The ways out of a recipe that does not fit; `known` are the devices that it could be planned for.
pub fn ways(costed: &Costed, known: &[Device]) -> Vec<Way> {
    let mut search = Search { costed, pace: per_token(&costed.estimate), alone: true };
    let courses = search.courses();
    let others = |search: &Search<'_>| -> Vec<Way> {
        search.more_memory().into_iter().chain(search.larger_card(known)).chain(search.other_models()).collect()
    };
    search.alone = !courses.is_empty();
    let mut found = others(&search);
    if search.alone && courses.len() + found.len() < ENOUGH {
        search.alone = false;
        found = others(&search);
    }
    let mut ways = courses;
    ways.extend(found);
    ways.sort_by(|a, b| a.changes.cmp(&b.changes).then(a.cost().total_cmp(&b.cost())));
    ways
}

fn per_token(e: &Estimate) -> f64 {
    e.step_time(e.accumulation).0 / (e.accumulation * e.micro_tokens) as f64
}

/// What is recomputed, as a recipe says it.
pub fn recomputed(recompute: Recompute, depth: u64) -> String {
    if recompute.is_nothing() {
        return "Nothing".to_owned();
    }
    if recompute == Recompute::everything(depth) {
        return "Blocks".to_owned();
    }
    let parts = Kind::ALL.into_iter().filter(|kind| recompute.blocks(*kind) > 0);
    let parts: Vec<String> =
        parts.map(|kind| format!("{}: {}%", kind.name(), u64::from(quarters(recompute.blocks(kind), depth)) * 25)).collect();
    format!("Parts({})", parts.join(", "))
}

/// A field that makes the model smaller, with the values below the present one, largest first.
struct Smaller {
    path: &'static str,
    values: Vec<u64>,
    set: fn(&mut Recipe, u64),
}

impl Smaller {
    /// Half of the present value.
    fn half(&self) -> u64 {
        self.values.first().map_or(0, |largest| largest.div_ceil(2)).max(1)
    }
}

struct Search<'a> {
    costed: &'a Costed,
    pace: f64,
    /// Whether memory and model are changed alone, and the model by half at most: where another micro-batch or more recomputation is enough,
    /// neither has to change beside it, and nobody would train another model altogether.
    alone: bool,
}

impl Search<'_> {
    /// The recipe with a change, planned anew; none where it does not fit.
    fn try_out(&self, changes: Changes, change: impl Fn(&mut Recipe)) -> Option<Way> {
        let mut recipe = self.costed.recipe.clone();
        change(&mut recipe);
        self.planned(changes, &recipe, &self.costed.device)
    }

    fn planned(&self, changes: Changes, recipe: &Recipe, device: &Device) -> Option<Way> {
        let Costed { estimate, .. } = cost(recipe, device);
        let slower = per_token(&estimate) / self.pace;
        (estimate.fits() && estimate.run.steps > 0).then_some(Way { changes, fields: Vec::new(), estimate, slower })
    }

    /// A change after which micro-batch, recomputation or both are left to the planner; the way says what that comes to, and is planned again
    /// with that written down.
    fn left_open(&self, changes: Changes, device: &Device, recipe: &Recipe, batch: bool, again: bool) -> Option<Way> {
        let mut open = recipe.clone();
        if batch {
            open.micro_batch = MicroBatch::Auto;
        }
        if again {
            open.recompute = Recomputation::Auto {};
        }
        let found = self.planned(changes, &open, device)?.estimate;
        let mut written = recipe.clone();
        let mut fields = Vec::new();
        if batch {
            written.micro_batch = MicroBatch::Fixed(found.micro_batch);
            fields.push(("micro_batch", found.micro_batch.to_string()));
        }
        if again {
            written.recompute = found.recompute.as_asked(recipe.model.depth);
            fields.push(("recompute", recomputed(found.recompute, recipe.model.depth)));
        }
        Some(Way { fields, ..self.planned(changes, &written, device)? })
    }

    /// The same training in smaller pieces, or with more of it recomputed.
    fn courses(&self) -> Vec<Way> {
        let (recipe, device) = (&self.costed.recipe, &self.costed.device);
        let (fixed_batch, fixed_again) = self.fixed();
        let left_open = |batch, again| self.left_open(Changes::Course, device, recipe, batch, again);
        let mut ways = Vec::new();
        if fixed_batch {
            ways.extend(left_open(true, false));
        }
        if fixed_again {
            ways.extend(left_open(false, true));
        }
        if fixed_batch && fixed_again {
            ways.extend(left_open(true, true));
        }
        // Of several that come to the same, the one that changes least.
        let plan = |way: &Way| (way.estimate.micro_batch, way.estimate.recompute);
        let mut seen = Vec::new();
        ways.retain(|way| {
            let new = !seen.contains(&plan(way));
            seen.push(plan(way));
            new
        });
        ways
    }

    /// Whether the recipe says what the micro-batch is, and what is recomputed.
    fn fixed(&self) -> (bool, bool) {
        let recipe = &self.costed.recipe;
        (recipe.micro_batch != MicroBatch::Auto, Recompute::asked(recipe).is_some())
    }

    /// A change with micro-batch and recomputation as they are or, where it does not fit so, left to the planner.
    fn with_free_course(&self, changes: Changes, device: &Device, change: impl Fn(&mut Recipe)) -> Option<Way> {
        let mut recipe = self.costed.recipe.clone();
        change(&mut recipe);
        let (batch, again) = self.fixed();
        let as_it_is = self.planned(changes, &recipe, device);
        as_it_is.or_else(|| {
            if !self.alone && (batch || again) { self.left_open(changes, device, &recipe, batch, again) } else { None }
        })
    }

    /// A higher limit, where the recipe sets a lower one than the device has.
    fn more_memory(&self) -> Option<Way> {
        const STEP: u64 = 1 << 28;
        let (recipe, device) = (&self.costed.recipe, &self.costed.device);
        let limit = recipe.budget.memory?;
        let enough = Bytes(least(recipe, device).0.max(limit.0).next_multiple_of(STEP));
        // In quarters of a GiB; what is reserved beside what lives may take a few more. Or else all that the device has.
        let tries =
            (0..4).map(|i| Some(Bytes(enough.0 + i * STEP))).filter(|memory| *memory <= Some(device.memory.value)).chain([None]);
        tries.into_iter().find_map(|memory| {
            let mut way = self.with_free_course(Changes::Memory, device, |r| r.budget.memory = memory)?;
            way.fields.insert(0, ("budget.memory", memory.map_or("None".to_owned(), size)));
            Some(way)
        })
    }

    /// The smallest card on which it fits.
    fn larger_card(&self, known: &[Device]) -> Option<Way> {
        let device = &self.costed.device;
        if device.kind != DeviceKind::Cuda {
            return None;
        }
        let larger = at_least(known, Bytes(device.memory.value.0 + 1));
        larger.into_iter().find_map(|card| {
            let mut way = self.with_free_course(Changes::Card, card, |r| r.budget.memory = None)?;
            way.fields.insert(0, ("budget.device", format!("\"{}\"", card.name)));
            if self.costed.recipe.budget.memory.is_some() {
                way.fields.insert(1, ("budget.memory", "None".to_owned()));
            }
            Some(way)
        })
    }

    fn other_models(&self) -> Vec<Way> {
        let recipe = &self.costed.recipe;
        let mut ways: Vec<Way> = smaller(recipe).iter().filter_map(|field| self.largest(field)).collect();
        ways.extend(self.narrower_and_shallower());
        if matches!(recipe.objective.prediction, Prediction::Dense {}) {
            // The same loss on fewer rows; but which rows are drawn differs.
            let way = self.try_out(Changes::Model, |r| r.objective.prediction = Prediction::Sparse { share: None });
            ways.extend(way.map(|way| Way { fields: vec![("objective.prediction", "Sparse()".to_owned())], ..way }));
        }
        ways
    }

    /// Width and depth smaller alike, in eighths: where either alone would have to give way too far.
    fn narrower_and_shallower(&self) -> Option<Way> {
        let (model, device) = (&self.costed.recipe.model, &self.costed.device);
        let least_eighths = if self.alone { 4 } else { 1 };
        (least_eighths..8).rev().find_map(|eighths| {
            let depth = (model.depth * eighths / 8).max(1);
            let step = model.heads * head_step(&self.costed.recipe);
            let width = (model.width * eighths / 8 / step * step).max(step);
            let set = |recipe: &mut Recipe| (recipe.model.depth, recipe.model.width) = (depth, width);
            let mut smaller = self.costed.recipe.clone();
            set(&mut smaller);
            (smaller.micro_batch, smaller.recompute) = (MicroBatch::Auto, Recomputation::Auto {});
            if depth == model.depth || width >= model.width || least(&smaller, device) > self.costed.estimate.limit {
                return None;
            }
            let mut way = self.with_free_course(Changes::Model, device, set)?;
            way.fields.splice(0..0, [("model.width", width.to_string()), ("model.depth", depth.to_string())]);
            Some(way)
        })
    }

    /// The largest value of a field with which the recipe fits.
    fn largest(&self, field: &Smaller) -> Option<Way> {
        let device = &self.costed.device;
        let mut free = self.costed.recipe.clone();
        (free.micro_batch, free.recompute) = (MicroBatch::Auto, Recomputation::Auto {});
        [&self.costed.recipe, &free].into_iter().take(if self.alone { 1 } else { 2 }).find_map(|recipe| {
            let fits = |value: u64| {
                let mut recipe = recipe.clone();
                (field.set)(&mut recipe, value);
                least(&recipe, device) <= self.costed.estimate.limit
            };
            let first = field.values.partition_point(|value| !fits(*value));
            // What is least is a bound of live memory; what is reserved beside it may take a few more tries.
            let half = if self.alone { field.half() } else { 0 };
            field.values.iter().filter(|value| **value >= half).skip(first).take(4).find_map(|value| {
                let mut way = self.with_free_course(Changes::Model, device, |recipe| (field.set)(recipe, *value))?;
                way.fields.insert(0, (field.path, value.to_string()));
                Some(way)
            })
        })
    }
}

/// A size as it is written: `6GiB`, `6400MiB`.
fn size(bytes: Bytes) -> String {
    let mib = bytes.0 >> 20;
    if mib.is_multiple_of(1024) { format!("{}GiB", mib / 1024) } else { format!("{mib}MiB") }
}

/// Little memory that some plan takes: the smallest micro-batch, with everything recomputed, where the recipe leaves that open.
fn least(recipe: &Recipe, device: &Device) -> Bytes {
    let batch = if let MicroBatch::Fixed(batch) = recipe.micro_batch { batch } else { 1 };
    let depth = recipe.model.depth;
    let open = || vec![Recompute::NOTHING, Recompute::everything(depth)];
    let choices = Recompute::asked(recipe).map_or_else(open, |asked| vec![asked]);
    choices.into_iter().map(|again| estimate_at(recipe, device, batch, again).peak.bytes).min().unwrap_or(Bytes(u64::MAX))
}

/// Most values of a field that are looked at.
const VALUES: usize = 512;

/// By how much the width of a head changes.
fn head_step(recipe: &Recipe) -> u64 {
    if recipe.model.width / recipe.model.heads >= 16 { 8 } else { 2 }
}

fn smaller(recipe: &Recipe) -> Vec<Smaller> {
    let model = &recipe.model;
    let intermediate = model.feed_forward.intermediate();
    let Tokenizer::WordPiece { vocab } = recipe.data.tokenizer;
    // In steps that a person would take, and that matrix products like.
    let below = |now: u64, step: u64, least: u64| {
        let mut values = Vec::new();
        let mut value = now.saturating_sub(1) / step * step;
        while value >= least.max(step) && values.len() < VALUES {
            values.push(value);
            value -= step;
        }
        values
    };
    let heads: Vec<u64> = below(model.heads, 1, 1).into_iter().filter(|heads| model.allows_heads(*heads)).collect();
    vec![
        Smaller {
            path: "model.sequence",
            values: below(model.sequence, if model.sequence > 256 { 64 } else { 8 }, 8),
            set: |r, n| r.model.sequence = n,
        },
        Smaller { path: "model.depth", values: below(model.depth, 1, 1), set: |r, n| r.model.depth = n },
        Smaller {
            path: "model.width",
            values: below(model.width, model.heads * head_step(recipe), 2),
            set: |r, n| r.model.width = n,
        },
        Smaller {
            path: "model.feed_forward.intermediate",
            values: below(intermediate, if intermediate > 256 { 64 } else { 2 }, 2),
            set: |r, n| r.model.feed_forward = r.model.feed_forward.with_intermediate(n),
        },
        Smaller { path: "model.heads", values: heads, set: |r, n| r.model.heads = n },
        Smaller {
            path: "data.tokenizer.vocab",
            values: below(vocab, if vocab > 4096 { 1024 } else { 64 }, 256),
            set: |r, n| r.data.tokenizer = Tokenizer::WordPiece { vocab: n },
        },
    ]
}

/// How much less the plan would take with a field halved, for the fields that count most.
pub fn heaviest(costed: &Costed) -> Vec<(&'static str, Bytes)> {
    let (e, recipe) = (&costed.estimate, &costed.recipe);
    let mut found: Vec<(&'static str, Bytes)> = Vec::new();
    let mut halved = |path: &'static str, batch: u64, recipe: &Recipe| {
        let depth = recipe.model.depth;
        let again = Recompute(e.recompute.0.map(|blocks| blocks.min(depth)));
        let less = e.peak.bytes.saturating_sub(estimate_at(recipe, &costed.device, batch, again).peak.bytes);
        found.push((path, less));
    };
    if e.micro_batch > 1 {
        halved("micro_batch", e.micro_batch / 2, recipe);
    }
    for field in smaller(recipe) {
        if let Some(value) = field.values.iter().copied().find(|value| *value <= field.half()) {
            let mut smaller = recipe.clone();
            (field.set)(&mut smaller, value);
            halved(field.path, e.micro_batch, &smaller);
        }
    }
    found.retain(|(_, less)| less.0 > e.peak.bytes.0 / 20);
    found.sort_by_key(|(_, less)| std::cmp::Reverse(*less));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::fit::levels;

    #[test]
    fn what_is_recomputed_is_written_so_that_it_reads_back() {
        for depth in [1, 2, 3, 5, 8, 16] {
            for recompute in crate::budget::fit::recomputations(depth).step_by(7) {
                let text = recomputed(recompute, depth);
                let mut recipe = crate::recipe::testing::recipe();
                recipe.model.depth = depth;
                recipe.recompute = match text.as_str() {
                    "Nothing" => Recomputation::Nothing {},
                    "Blocks" => Recomputation::Blocks {},
                    parts => read(parts),
                };
                assert_eq!(Recompute::asked(&recipe), Some(recompute), "{text} of {depth}");
            }
            assert!(levels(depth).len() <= 5);
        }
    }

    fn read(parts: &str) -> Recomputation {
        let share = |name: &str| {
            let number = parts.split_once(&format!("{name}: ")).and_then(|(_, rest)| rest.split_once('%')).map(|(n, _)| n);
            crate::units::Ratio::percent(number.map_or(0.0, |n| n.parse().unwrap()))
        };
        let [norms, gates, attention, projections, residuals] = Kind::ALL.map(|kind| share(kind.name()));
        Recomputation::Parts { norms, gates, attention, projections, residuals }
    }
}
