//! `cramplan plan --diff`: what differs between two plans, each a recipe or a saved plan.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use common::{Place, small};

/// A place with two recipes; what is compared is planned for a card, so that no number is this machine's.
fn place() -> Place {
    let place = Place::with(&small("steps: 40", ""));
    let other = small("steps: 60", "").replace("depth: 2", "depth: 3").replace("Ramp(to: 16, until: 50%)", "Constant(32)");
    std::fs::write(place.path().join("other.ron"), other).unwrap();
    place
}

/// A text that may begin with the first digits of a hash.
fn without_hash(text: &str) -> String {
    let digits = text.bytes().take_while(u8::is_ascii_hexdigit).count();
    if digits == 12 { format!("HASH{}", &text[12..]) } else { text.to_owned() }
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("difference");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // The plan's hash has the version of the program in it.
    let hidden: Vec<String> = text.split("plan ").map(without_hash).collect();
    settings.bind(|| insta::assert_snapshot!(name, hidden.join("plan ")));
}

#[test]
fn two_recipes() {
    let place = place();
    let arguments = ["plan", "--for", "rtx-a6000", "--diff", "recipe.ron", "other.ron"];
    snapshot("text", &place.succeed(&arguments));
    snapshot("json", &place.succeed(&[&arguments[..], &["--format", "json"]].concat()));
}

#[test]
fn a_saved_plan_differs_from_its_recipe_by_nothing_until_that_is_changed() {
    let place = place();
    place.succeed(&["plan", "--for", "rtx-a6000", "--out", "plan.ron"]);
    let compare = ["plan", "--for", "rtx-a6000", "--diff", "plan.ron", "recipe.ron"];
    assert!(place.succeed(&compare).contains("nothing differs"));
    let said = place.succeed(&[&compare[..], &["--set", "model.depth=1"]].concat());
    assert!(said.contains("model.depth  2 → 1"), "{said}");
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let place = place();
    std::fs::write(place.path().join("old.ron"), "Plan(version: 1, hash: \"\")").unwrap();
    let code = |arguments: &[&str]| place.run(arguments).status.code();
    assert_eq!(code(&["plan", "--diff", "old.ron", "recipe.ron"]), Some(2));
    assert_eq!(code(&["plan", "--diff", "nothing.ron", "recipe.ron"]), Some(2));
    assert_eq!(code(&["plan", "--diff", "recipe.ron"]), Some(2));
    assert_eq!(code(&["plan", "--diff", "recipe.ron", "other.ron", "--format", "dot"]), Some(2));
}
