//! The plan of a recipe against plans made without any shortcut: from graphs in full, every plan of the space one by one.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use common::draws::Draws;
use cramplan::budget::fit::{AS_GOOD, Point, candidates, choose, each, recomputations};
use cramplan::budget::{Estimate, ambient, backend, estimate, estimate_at, fit};
use cramplan::device::Device;
use cramplan::recipe::decode::MicroBatch;
use cramplan::recipe::settings::{Batch, Prediction, Recipe, Recomputation, Tokenizer};
use cramplan::step::lifetime::{Lifetimes, timeline};
use cramplan::step::recompute::{Kind, Recompute};
use cramplan::step::{StepGraphs, Walk};
use cramplan::units::{Bytes, Seconds};

/// Random cases are fewer where the compiler does not optimise.
const fn cases(n: u64) -> u64 {
    if cfg!(debug_assertions) { n / 50 } else { n }
}

fn base() -> Recipe {
    let text = include_str!("../recipes/quickstart.ron");
    common::costed(text, &[], card()).recipe
}

fn card() -> Device {
    cramplan::device::find("rtx-2080-ti").unwrap()
}

fn devices() -> [Device; 2] {
    let machine = common::machine();
    [card(), machine]
}

/// A recipe with everything that costs depend on drawn at random; small enough to be planned in full many times.
fn random(base: &Recipe, draws: &mut Draws) -> Recipe {
    let mut recipe = base.clone();
    let heads = draws.pick(&[1, 2, 4]);
    recipe.model.heads = heads;
    recipe.model.width = heads * draws.pick(&[8, 16, 32, 64]);
    recipe.model.depth = draws.pick(&[1, 2, 3, 4, 5, 8]);
    recipe.model.sequence = draws.pick(&[8, 16, 33, 64, 128]);
    recipe.model.feed_forward = recipe.model.feed_forward.with_intermediate(2 * draws.pick(&[8, 24, 100, 256]));
    recipe.data.tokenizer = Tokenizer::WordPiece { vocab: draws.pick(&[64, 512, 4096]) };
    recipe.batch = Batch::Constant { size: draws.pick(&[1, 2, 6, 8, 12, 16, 30, 64]) };
    recipe.objective.prediction =
        if draws.pick(&[0, 1]) == 0 { Prediction::Dense {} } else { Prediction::Sparse { share: None } };
    recipe
}

/// Some choice of what to recompute, also outside the planner's space.
fn some(draws: &mut Draws, depth: u64) -> Recompute {
    Recompute(Kind::ALL.map(|_| draws.below(depth + 1)))
}

#[test]
fn a_block_that_is_planned_once_costs_what_all_of_them_cost() {
    let (base, mut draws) = (base(), Draws::new(1));
    for case in 0..cases(1000) {
        let recipe = random(&base, &mut draws);
        let device = &devices()[case as usize % 2];
        let recompute = some(&mut draws, recipe.model.depth);
        let batch = draws.pick(&[1, 2, 3, 8]);
        let full = StepGraphs::build(&recipe, batch, recompute);
        let folded = estimate_at(&recipe, device, batch, recompute);
        let in_full = estimate(&recipe, &full, device, recompute);
        assert_eq!((&folded.peak, folded.parameters), (&in_full.peak, in_full.parameters), "{recompute:?} {recipe:?}");
        for walk in Walk::ALL {
            let (a, b) = (folded.walk(walk), in_full.walk(walk));
            assert_eq!((a.forward, a.recompute, a.backward, a.operations), (b.forward, b.recompute, b.backward, b.operations));
            assert!((a.time.0 / b.time.0 - 1.0).abs() < 1e-12, "{walk:?}: {:?} {:?}", a.time, b.time);
            // The peak as it is found without segments.
            let graph = full.walk(walk);
            let ambient = ambient(&full, device, walk);
            let instants = timeline(graph, &Lifetimes::of(graph), backend(device), ambient);
            let highest = instants.iter().map(|i| i.during.total()).max().unwrap();
            assert_eq!((a.peak, b.peak), (highest, highest), "{walk:?} {recompute:?} {recipe:?}");
        }
    }
}

/// Every plan of the space, costed from graphs in full.
fn space(recipe: &Recipe, device: &Device) -> Vec<Point> {
    let batches = match recipe.micro_batch {
        MicroBatch::Fixed(batch) => vec![batch],
        MicroBatch::Auto => candidates(recipe.full_batch()),
    };
    let choices: Vec<Recompute> = match Recompute::asked(recipe) {
        Some(asked) => vec![asked],
        None => recomputations(recipe.model.depth).collect(),
    };
    let plans = batches.iter().flat_map(|batch| choices.iter().map(|choice| (*batch, *choice)));
    plans
        .map(|(micro_batch, recompute)| {
            let e = estimate(recipe, &StepGraphs::build(recipe, micro_batch, recompute), device, recompute);
            let per_token = e.step_time(e.accumulation).0 / (e.accumulation * e.micro_tokens) as f64;
            Point { micro_batch, recompute, per_token, peak: e.peak.bytes }
        })
        .collect()
}

/// The order of `budget::fit`, word for word, on a list of all plans.
fn by_force(plans: &[Point], limit: Bytes) -> Point {
    let least = plans.iter().map(|p| p.recompute.0.iter().sum::<u64>()).min().unwrap();
    let plain = plans.iter().filter(|p| p.recompute.0.iter().sum::<u64>() == least);
    let fastest = plain.clone().map(|p| p.per_token).fold(f64::INFINITY, f64::min);
    let lower = |a: &&Point, b: &&Point| (a.peak, a.per_token).partial_cmp(&(b.peak, b.per_token)).unwrap();
    let faster = |a: &&Point, b: &&Point| (a.per_token, a.peak).partial_cmp(&(b.per_token, b.peak)).unwrap();
    let pace = plain.filter(|p| p.per_token <= fastest * AS_GOOD).min_by(lower).unwrap();
    let the = plans.iter().filter(|p| p.per_token <= pace.per_token * (1.0 + 1e-12)).min_by(lower).unwrap();
    if the.peak <= limit {
        return *the;
    }
    *plans.iter().filter(|p| p.peak <= limit).min_by(faster).unwrap_or_else(|| plans.iter().min_by(lower).unwrap())
}

/// What a search sees of a plan is what planning it alone gives: peak, seconds of a step, and the run.
#[test]
fn what_ifs_of_a_search_are_those_of_plans_alone() {
    let (base, mut draws) = (base(), Draws::new(4));
    let mut seen = 0;
    for case in 0..cases(100).max(4) {
        let mut recipe = random(&base, &mut draws);
        if draws.below(2) == 0 {
            (recipe.budget.steps, recipe.budget.time) = (None, Some(Seconds(600.0)));
        }
        let device = &devices()[case as usize % 2];
        let mut n = draws.below(97);
        each(&recipe, device, |what_if| {
            n += 1;
            if n % 97 == 0 {
                let Point { micro_batch, recompute, per_token, peak } = what_if.point;
                let e = estimate_at(&recipe, device, micro_batch, recompute);
                let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
                let alone = e.step_time(e.accumulation).0 / (e.accumulation * e.micro_tokens) as f64;
                assert!(peak == e.peak.bytes && close(per_token, alone), "{recompute:?} {recipe:?}");
                // A step more or less where rounding says whether one is begun.
                let (run, full) = (&what_if.run, &e.run);
                assert!(run.steps.abs_diff(full.steps) <= 1, "{recompute:?} {recipe:?}: {run:?} {full:?}");
                let same = run.steps == full.steps;
                assert!(!same || (run.tokens == full.tokens && run.flops == full.flops && close(run.seconds.0, full.seconds.0)));
                seen += 1;
            }
        });
    }
    assert!(seen >= 100, "{seen}");
}

#[test]
fn the_plan_is_the_one_that_trying_all_of_them_finds() {
    let (base, mut draws) = (base(), Draws::new(2));
    for case in 0..cases(600).max(20) {
        let mut recipe = random(&base, &mut draws);
        // Small spaces: a plan in full takes half a millisecond.
        recipe.model.depth = if draws.below(6) == 0 { 2 } else { 1 };
        recipe.batch = Batch::Constant { size: draws.pick(&[1, 2, 4, 6]) };
        recipe.recompute = match draws.below(4) {
            0 => Recomputation::Nothing {},
            _ => Recomputation::Auto {},
        };
        if draws.below(4) == 0 {
            recipe.micro_batch = MicroBatch::Fixed(draws.pick(&[1, 2]).min(recipe.full_batch()));
        }
        let device = &devices()[case as usize % 2];
        let plans = space(&recipe, device);
        let (low, high) = (plans.iter().map(|p| p.peak).min().unwrap(), plans.iter().map(|p| p.peak).max().unwrap());
        for share in [0, 1, 7, 33, 60, 100] {
            let limit = Bytes((low.0 + (high.0 - low.0) * share / 100).saturating_sub(u64::from(share == 0)));
            let (found, wanted) = (choose(&recipe, device, limit), by_force(&plans, limit));
            assert!(
                found.peak == wanted.peak && (found.per_token / wanted.per_token - 1.0).abs() < 1e-12,
                "{share} %: {found:?}, by force {wanted:?}, {recipe:?}"
            );
            let in_full =
                estimate(&recipe, &StepGraphs::build(&recipe, found.micro_batch, found.recompute), device, found.recompute);
            assert_eq!(in_full.peak.bytes, found.peak);
        }
    }
}

#[test]
fn more_memory_never_gives_a_slower_plan_or_none() {
    let (base, mut draws) = (base(), Draws::new(3));
    for case in 0..cases(10_000) {
        let recipe = random(&base, &mut draws);
        let device = &devices()[case as usize % 2];
        let top = choose(&recipe, device, Bytes(u64::MAX)).peak.0;
        let mut limits: Vec<u64> = (0..4).map(|_| top / 8 + draws.below(top)).collect();
        limits.sort_unstable();
        let mut last: Option<Point> = None;
        for limit in limits {
            let point = choose(&recipe, device, Bytes(limit));
            let fits = point.peak <= Bytes(limit);
            if let Some(last) = last {
                assert!(fits && point.per_token <= last.per_token, "{limit}: {point:?} after {last:?}, {recipe:?}");
            }
            last = fits.then_some(point).or(last);
        }
    }
}

/// The same on a card with what is reserved: through the whole of [`fit`], whose plans are looked at one after another.
#[test]
fn more_memory_never_gives_a_slower_plan_or_none_with_what_a_card_reserves() {
    let (base, mut draws) = (base(), Draws::new(5));
    let speed = |e: &Estimate| e.step_time(e.accumulation).0 / (e.accumulation * e.micro_tokens) as f64;
    let mut passed_over = 0;
    for case in 0..cases(200) {
        let mut recipe = random(&base, &mut draws);
        let device = card();
        // Where a recipe lives between its least and most, in steps that are close to each other at times.
        let (least, most) = (choose(&recipe, &device, Bytes(0)).peak.0, choose(&recipe, &device, Bytes(u64::MAX)).peak.0);
        let mut limits: Vec<u64> = (0..5).map(|_| least + draws.below(most - least + (64 << 20))).collect();
        limits.extend(limits.clone().iter().map(|limit| limit + draws.below(16 << 20)));
        limits.sort_unstable();
        let mut last: Option<Estimate> = None;
        for limit in limits {
            recipe.budget.memory = Some(Bytes(limit));
            let e = fit(&recipe, &device);
            if let Some(last) = &last {
                assert!(e.fits() && speed(&e) <= speed(last), "case {case}, {limit}: {e:?} after {last:?}, {recipe:?}");
            }
            if e.fits() {
                assert!(e.needed() <= Bytes(limit));
                passed_over += u64::from(choose(&recipe, &device, Bytes(limit)).peak != e.peak.bytes);
                last = Some(e);
            }
        }
    }
    println!("{passed_over} plans lived in the limit and reserved more");
    assert!(passed_over > 0);
}
