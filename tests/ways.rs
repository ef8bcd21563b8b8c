//! Ways out of recipes that do not fit: over two hundred of them, every way that is offered is planned anew and fits, and what `check --fix`
//! writes is feasible.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use common::draws::Draws;
use cramplan::check::{Changes, Costed, Way, cost, ways};
use cramplan::device::{Device, catalog};
use cramplan::recipe::decode::MicroBatch;
use cramplan::recipe::settings::{Batch, Prediction, Recipe, Recomputation, Tokenizer};
use cramplan::units::Bytes;

const INFEASIBLE: usize = if cfg!(debug_assertions) { 12 } else { 200 };

fn base() -> Recipe {
    common::costed(include_str!("../recipes/crammed-bert.ron"), &[], cramplan::device::find("rtx-a6000").unwrap()).recipe
}

fn random(base: &Recipe, draws: &mut Draws) -> Recipe {
    let mut recipe = base.clone();
    let heads = draws.pick(&[4, 8, 12, 16]);
    recipe.model.heads = heads;
    recipe.model.width = heads * draws.pick(&[32, 64, 128]);
    recipe.model.depth = draws.pick(&[2, 6, 12, 24, 48]);
    recipe.model.sequence = draws.pick(&[64, 128, 256, 512, 1024]);
    recipe.model.feed_forward = recipe.model.feed_forward.with_intermediate(recipe.model.width * draws.pick(&[2, 4]));
    recipe.data.tokenizer = Tokenizer::WordPiece { vocab: draws.pick(&[4096, 32_768]) };
    recipe.batch = Batch::Constant { size: draws.pick(&[64, 512, 4096]) };
    recipe.objective.prediction = if draws.below(2) == 0 { Prediction::Dense {} } else { Prediction::Sparse { share: None } };
    recipe.micro_batch =
        if draws.below(3) == 0 { MicroBatch::Auto } else { MicroBatch::Fixed(recipe.full_batch() / draws.pick(&[1, 4])) };
    recipe.recompute = match draws.below(3) {
        0 => Recomputation::Nothing {},
        _ => Recomputation::Auto {},
    };
    recipe.budget.memory = if draws.below(3) == 0 { Some(Bytes::gib(draws.pick(&[2, 4]))) } else { None };
    recipe
}

fn devices() -> Vec<Device> {
    vec![cramplan::device::find("rtx-2080-ti").unwrap(), cramplan::device::find("rtx-3060").unwrap(), common::machine()]
}

/// Recipes that do not fit, from a seed.
fn infeasible(count: usize) -> Vec<Costed> {
    let (base, devices, mut draws) = (base(), devices(), Draws::new(4));
    let mut found = Vec::new();
    while found.len() < count {
        let recipe = random(&base, &mut draws);
        let costed = cost(&recipe, &devices[found.len() % devices.len()]);
        if !costed.estimate.fits() {
            found.push(costed);
        }
    }
    found
}

/// The recipe with the fields that a way names, read from the way's own words by the program.
fn applied(recipe: &Recipe, way: &Way) -> Recipe {
    let text = ron::ser::to_string_pretty(recipe, ron::ser::PrettyConfig::new().struct_names(true)).unwrap();
    let overrides: Vec<String> = way.fields.iter().map(|(path, value)| format!("{path}={value}")).collect();
    let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
    common::costed(&text, &overrides, common::machine()).recipe
}

#[test]
fn every_way_that_is_offered_is_planned_anew_and_fits() {
    let known = catalog();
    let (mut fewest, mut offered) = (usize::MAX, 0);
    for costed in infeasible(INFEASIBLE) {
        let ways = ways(&costed, &known);
        for way in &ways {
            let recipe = applied(&costed.recipe, way);
            let named = recipe.budget.device.as_ref().filter(|_| way.fields.iter().any(|(path, _)| *path == "budget.device"));
            let device = named.and_then(|name| cramplan::device::find(name)).unwrap_or_else(|| costed.device.clone());
            let again = cost(&recipe, &device);
            assert!(again.estimate.fits(), "{}: {:?}", way.title(), again.estimate.peak);
            assert_eq!(again.estimate.needed(), way.estimate.needed(), "{}", way.title());
            let same_training = recipe.model == costed.recipe.model && recipe.objective == costed.recipe.objective;
            assert_eq!(same_training && recipe.data == costed.recipe.data, way.changes != Changes::Model, "{}", way.title());
        }
        assert!(ways.is_sorted_by(|a, b| (a.changes, a.cost()) <= (b.changes, b.cost())));
        fewest = fewest.min(ways.len());
        offered += ways.len();
        assert!(ways.len() >= 3, "{} ways for {:?} on {}", ways.len(), costed.recipe, costed.device.name);
    }
    println!("{INFEASIBLE} recipes, {offered} ways, at least {fewest} for each");
}

const LARGE: &str = "Recipe(
    name: \"large\",
    budget: Budget(time: 1h),
    data: Corpus(sources: [Synthetic(2000)], tokenizer: WordPiece(vocab: 4096)),
    model: Encoder(width: 512, depth: 8, heads: 8, sequence: 512, feed_forward: Glu(intermediate: 2048)),
    objective: MaskedLm(rate: 25%),
    batch: Constant(1024),
    micro_batch: 1024, // all at once
    recompute: Nothing,
    optimizer: AdamW(clip: 0.5),
    lr: Constant(1e-3),
)
";

#[test]
fn check_fix_writes_the_best_way_of_the_same_training() {
    let text = LARGE;
    let place = common::Place::with(text);
    assert_eq!(place.run(&["check", "--for", "rtx-3060"]).status.code(), Some(1));
    let fixed = place.run(&["check", "--fix", "--for", "rtx-3060"]);
    assert_eq!(fixed.status.code(), Some(0), "{}", String::from_utf8_lossy(&fixed.stderr));
    let now = std::fs::read_to_string(place.path().join("recipe.ron")).unwrap();
    let changed: Vec<(&str, &str)> = text.lines().zip(now.lines()).filter(|(a, b)| a != b).collect();
    assert_eq!(changed.len(), 1, "{now}");
    assert!(changed[0].1.contains("micro_batch: ") && changed[0].1.ends_with(", // all at once"), "{now}");
}

/// What stands in the file does not count then, so no change of it would help.
#[test]
fn check_fix_leaves_a_field_that_was_said_on_the_command_line() {
    let place = common::Place::with(LARGE);
    let fixed = place.run(&["check", "--fix", "--for", "rtx-3060", "--set", "micro_batch=512", "--set", "recompute=Nothing"]);
    assert_eq!(fixed.status.code(), Some(1), "{}", String::from_utf8_lossy(&fixed.stderr));
    assert_eq!(std::fs::read_to_string(place.path().join("recipe.ron")).unwrap(), LARGE);
}

#[test]
fn a_plan_is_not_saved_over_a_recipe() {
    let text = LARGE.replace("micro_batch: 1024", "micro_batch: 16");
    let place = common::Place::with(&text);
    let refused = place.run(&["plan", "--for", "rtx-3060", "--out", "recipe.ron"]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    assert_eq!(std::fs::read_to_string(place.path().join("recipe.ron")).unwrap(), text);
    for _ in 0..2 {
        assert_eq!(place.run(&["plan", "--for", "rtx-3060", "--out", "plan.ron"]).status.code(), Some(0));
    }
}
