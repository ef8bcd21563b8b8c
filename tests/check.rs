//! `check` as programs and people meet it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn cramplan(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cramplan"))
        .env("CRAMPLAN_HOME", "/nowhere")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

fn json(arguments: &[&str]) -> (i32, Value) {
    let output = cramplan(&[arguments, &["--format", "json"]].concat());
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

/// Parameters and FLOPs as the official code of the paper has them, by PyTorch's counter.
#[test]
fn crammed_bert_is_the_official_model() {
    let recipe = "recipes/crammed-bert.ron";
    let (code, verdict) = json(&["check", recipe]);
    assert_eq!(code, 0);
    assert_eq!((&verdict["params"]["total"], &verdict["params"]["non_embedding"]), (&119_589_889.into(), &94_424_064.into()));
    for (prediction, forward, both) in
        [("Dense", 251_255_586_816_u64, 753_766_760_448_u64), ("Sparse(15%)", 207_467_053_056, 622_401_159_168)]
    {
        let prediction = format!("objective.prediction={prediction}");
        let (_, verdict) = json(&["check", recipe, "--set", "micro_batch=8", "--set", &prediction]);
        assert_eq!(verdict["flops"]["forward"], forward);
        assert_eq!(verdict["flops"]["backward"], both - forward);
        assert_eq!((&verdict["micro_batch"], &verdict["accumulation"]), (&8.into(), &1024.into()));
    }
}

#[test]
fn the_contract_s_keys_are_there() {
    let (_, verdict) = json(&["check", "recipes/crammed-bert.ron"]);
    for key in ["recipe", "feasible", "micro_batch", "accumulation", "tokens", "steps", "seconds", "device", "diagnostics"] {
        assert!(!verdict[key].is_null(), "{key}");
    }
    let memory = &verdict["memory"];
    let parts: u64 = memory["parts"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
    assert_eq!(memory["peak_bytes"], parts);
    assert!(memory["limit_bytes"].as_u64() > memory["peak_bytes"].as_u64());
    assert!(verdict["params"]["decayed"].as_u64() < verdict["params"]["total"].as_u64());
}

#[test]
fn every_shipped_recipe_is_feasible() {
    for path in common::shipped() {
        let (code, verdict) = json(&["check", path.to_str().unwrap()]);
        assert_eq!((code, &verdict["diagnostics"]), (0, &Value::Array(Vec::new())), "{}", path.display());
    }
}

#[test]
fn what_does_not_fit_is_infeasible_with_a_way_out() {
    let (code, verdict) = json(&[
        "check",
        "recipes/crammed-bert.ron",
        "--for",
        "rtx-2080-ti",
        "--set",
        "micro_batch=512",
        "--set",
        "recompute=Nothing",
    ]);
    assert_eq!((code, &verdict["feasible"]), (1, &false.into()));
    let diagnostic = &verdict["diagnostics"][0];
    assert_eq!(diagnostic["code"], "out-of-memory");
    let help = diagnostic["help"].as_str().unwrap();
    assert!(help.contains("`micro_batch:") && help.contains("`recompute: Parts(") && help.contains("% time"), "{diagnostic}");
    assert!(diagnostic["labels"].as_array().unwrap().len() >= 2, "{diagnostic}");
    let (code, _) = json(&["check", "recipes/crammed-bert.ron", "--set", "budget.time=1s"]);
    assert_eq!(code, 1);
}

#[test]
fn a_diagnostic_in_json_has_its_place() {
    let place = common::Place::with("Recipe(\n  nmae: \"x\",\n)");
    let output = place.run(&["check", "--format", "json"]);
    assert_eq!(output.status.code(), Some(2));
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let first = verdict["diagnostics"].as_array().unwrap().iter().find(|d| d["code"] == "unknown-field").unwrap();
    assert_eq!(
        (&first["file"], &first["line"], &first["column"], &first["start"], &first["end"]),
        (&"recipe.ron".into(), &2.into(), &3.into(), &10.into(), &14.into())
    );
    assert_eq!(first["help"], "did you mean `name`?");
}

#[test]
fn a_place_in_a_very_wide_line_is_named_instead_of_drawn() {
    let place = common::Place::with(&format!("/*{}*/ Recipe(rate: \"25\")", "x".repeat(70_000)));
    let output = place.run(&["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && said.contains("see recipe.ron:1:70013"), "{said}");
}

#[test]
fn programs_get_one_object_from_every_verb_also_where_the_recipe_is_broken() {
    for (recipe, code) in [("Recipe(", 2), ("Plan(", 2)] {
        let place = common::Place::with(recipe);
        for verb in ["check", "plan", "schedule"] {
            let output = place.run(&[verb, "--format", "json"]);
            let object: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(output.status.code() == Some(code) && object["diagnostics"].is_array(), "{verb}: {object}");
        }
    }
}

#[test]
fn a_budget_that_buys_no_step_is_infeasible_and_one_beyond_this_world_is_answered() {
    for budget in ["Budget(tokens: 1)", "Budget(flops: 1 FLOP)", "Budget(time: 1ms)"] {
        let (code, verdict) = json(&["check", "recipes/quickstart.ron", "--set", &format!("budget={budget}")]);
        assert_eq!((code, &verdict["feasible"]), (1, &false.into()), "{budget}: {verdict}");
    }
    let (code, _) = json(&[
        "check",
        "recipes/quickstart.ron",
        "--set",
        "budget=Budget(steps: 1000000000000000, tokens: 1000000000000000000)",
    ]);
    assert_eq!(code, 0);
    assert_eq!(json(&["check", "recipes/quickstart.ron", "--set", "budget.time=1e20d"]).0, 2);
}

#[test]
fn a_recipe_that_is_not_there_is_wrong_usage_in_json_too() {
    let (code, verdict) = json(&["check", "nowhere.ron"]);
    assert_eq!((code, &verdict["feasible"]), (2, &false.into()));
    assert_eq!(cramplan(&["chekc"]).status.code(), Some(2));
}

/// The line of a field in the recipe in full.
fn resolved_line(arguments: &[&str], field: &str) -> String {
    let output = cramplan(&[&["check", "recipes/crammed-bert.ron", "--resolved"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find(|line| line.trim_start().starts_with(field)).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_recipe_in_full_says_where_each_value_comes_from() {
    assert_eq!(resolved_line(&[], "depth:"), "depth: 16, // recipes/crammed-bert.ron:14");
    assert_eq!(resolved_line(&[], "seed:"), "seed: 0, // default");
    assert_eq!(resolved_line(&["--set", "model.depth=2 * 4"], "depth:"), "depth: 8, // --set model.depth=2 * 4");
    assert_eq!(resolved_line(&["--set", "width=1536"], "width:"), "width: 1536, // --set width=1536");
    assert_eq!(resolved_line(&["--set", "width=1536"], "intermediate:"), "intermediate: 6144, // --set width=1536");
    let (code, verdict) = json(&["check", "recipes/crammed-bert.ron", "--resolved"]);
    let fields = verdict["resolved"].as_array().unwrap();
    let vocabulary = fields.iter().find(|f| f["path"] == "data.tokenizer.vocab").unwrap();
    assert_eq!((code, &vocabulary["value"], &vocabulary["from"]), (0, &"32768".into(), &"recipes/crammed-bert.ron:10".into()));
}

#[test]
fn the_recipe_in_full_is_the_same_recipe() {
    let place =
        common::Place::with(&String::from_utf8(cramplan(&["check", "recipes/crammed-bert.ron", "--resolved"]).stdout).unwrap());
    let (_, theirs) = json(&["check", "recipes/crammed-bert.ron"]);
    let ours: Value = serde_json::from_slice(&place.run(&["check", "--format", "json"]).stdout).unwrap();
    assert_eq!(ours, theirs);
}

#[test]
fn safe_mends_are_made_in_place_and_comments_stay() {
    let right = common::small("steps: 20", "// the end");
    let wrong =
        right.replace("optimizer:", "optimzer:").replace("lr: Triangle", "lr: Traingle").replace("steps: 20", "stpes: 20");
    let place = common::Place::with(&wrong);
    let output = place.run(&["check", "--fix"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), std::fs::read_to_string(place.path().join("recipe.ron")).unwrap()),
        (Some(0), right),
        "{said}"
    );
    assert_eq!(said.matches("mended `recipe.ron:").count(), 3, "{said}");
}

#[test]
fn what_is_not_certain_is_left_to_the_user() {
    let right = common::small("steps: 20", "");
    for (from, to) in [
        ("heads: 4", "heads: 5"),
        ("AdamW(clip: 0.5)", "AdaGrad(clip: 0.5)"),
        ("AdamW(clip: 0.5)", "AdamW(beta1: 0.9, beta2: 0.98)"),
        ("model: Encoder", "model: Decoder"),
        ("sequence: 32,", "sequence: 3 2,"),
    ] {
        let text = right.replace(from, to);
        assert_ne!(text, right);
        let place = common::Place::with(&text);
        let output = place.run(&["check", "--fix"]);
        assert_eq!(output.status.code(), Some(2), "{to}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::read_to_string(place.path().join("recipe.ron")).unwrap(), text);
    }
}

/// What the other tests generate is valid, the small ones of a size for real steps, and a seed gives the same again.
#[test]
fn generated_recipes_are_valid() {
    use common::generate::{Size, generated};
    common::costed_file(Path::new("recipes/crammed-mini.ron"), &[], cramplan::device::find("rtx-a6000").unwrap());
    common::costed_file(Path::new("recipes/crammed-bert.ron"), &[], cramplan::device::find("rtx-a6000").unwrap());
    for size in [Size::Small, Size::Large] {
        let texts = generated(7, 40, size);
        assert_eq!(texts, generated(7, 40, size));
        for text in &texts {
            let costed = common::costed(text, &[], cramplan::device::find("rtx-a6000").unwrap());
            let tensors = costed.estimate.peak.tensors().0;
            assert!(size == Size::Large || (2_000_000..100_000_000).contains(&tensors), "{tensors}: {text}");
        }
    }
}
