//! `cramplan explain`, and the two files in `grammar` that it prints: the reference and the JSON Schema.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;
#[path = "common/json_schema.rs"]
mod json_schema;

use std::collections::BTreeSet;
use std::path::Path;

use cramplan::device;
use cramplan::diag::Code;
use cramplan::pipeline::{Inputs, compile};
use cramplan::recipe::explain::{self, Item};
use cramplan::recipe::schema::TypeInfo;
use serde_json::{Value, json};

use common::Place;
use json_schema::faults;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn printed(arguments: &[&str]) -> String {
    Place::with("").succeed(&[&["explain"], arguments].concat())
}

/// What `explain` says about a topic to a program, with its exit code.
fn asked(topic: &str) -> (i32, Value) {
    let output = Place::with("").run(&["explain", topic, "--format", "json"]);
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

fn schema() -> Value {
    serde_json::from_str(&read("grammar/recipe.schema.json")).unwrap()
}

/// A recipe of the repository as serde writes it.
fn recipe(path: &str) -> Value {
    let machine = device::find("rtx-a6000").unwrap();
    serde_json::to_value(common::costed(&read(path), &[], machine).recipe).unwrap()
}

const SHIPPED: [&str; 2] = ["recipes/quickstart.ron", "recipes/crammed-bert.ron"];

/// A struct or variant as `settings.rs` declares it, read from the source alone.
struct Declared {
    /// The struct, or the choice and its variant.
    names: Vec<String>,
    fields: Vec<String>,
    docs: Vec<String>,
}

fn declared() -> Vec<Declared> {
    let text = read("src/recipe/settings.rs");
    let mut found: Vec<Declared> = Vec::new();
    for block in text.split("\nrecord! {\n").flat_map(|part| part.split("\nchoice! {\n")).skip(1) {
        let block = block.split("\n}\n").next().unwrap();
        let (mut open, mut doc) = (Vec::new(), String::new());
        for line in block.lines().map(str::trim) {
            if let Some(text) = line.strip_prefix("///") {
                text.trim().clone_into(&mut doc);
            } else if let Some((name, rest)) = line.split_once(" {") {
                open.push(name.to_owned());
                found.push(Declared { names: open.clone(), fields: Vec::new(), docs: vec![doc.clone()] });
                if rest == "}" {
                    open.pop();
                }
            } else if line == "}" {
                open.pop();
            } else if let Some((name, _)) = line.split_once(':') {
                let last = found.last_mut().unwrap();
                last.fields.push(name.trim().to_owned());
                last.docs.push(doc.clone());
            }
        }
    }
    found
}

/// The part of the reference under a heading, up to the next one of any level.
fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let start = text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no `{heading}`")) + 1;
    let body = &text[start + heading.len()..];
    body.split("\n#").next().unwrap()
}

#[test]
fn the_kept_files_are_what_is_printed() {
    for (option, path) in [("--reference", "grammar/reference.md"), ("--json-schema", "grammar/recipe.schema.json")] {
        let same = printed(&[option]) == read(path);
        assert!(same, "`{path}` is old: cargo run --no-default-features -- explain {option} > {path}");
    }
}

#[test]
fn every_declared_field_is_in_both() {
    let (reference, schema, all) = (read("grammar/reference.md"), schema(), declared());
    assert!(all.len() > 30 && all.iter().map(|d| d.fields.len()).sum::<usize>() > 45, "the declarations are not read");
    for Declared { names, fields, docs } in all {
        let definition = &schema["$defs"][&names[0]];
        let outer = reference.split(&format!("\n### {}\n", names[0])).nth(1).unwrap_or_else(|| panic!("no `{}`", names[0]));
        let (properties, text) = match names.get(1) {
            None => (definition.get("properties"), section(&reference, &format!("### {}", names[0]))),
            Some(variant) => {
                let found = definition["oneOf"].as_array().unwrap().iter().find_map(|v| v["properties"].get(variant));
                let here = outer.split("\n### ").next().unwrap();
                (found.and_then(|v| v.get("properties")), section(here, &format!("#### {variant}")))
            }
        };
        for field in fields {
            assert!(text.contains(&format!("| `{field}` | ")), "the reference lacks `{field}` of {names:?}");
            assert!(properties.unwrap().get(&field).is_some(), "the JSON Schema lacks `{field}` of {names:?}");
        }
        for doc in docs {
            assert!(text.contains(&doc), "the reference lacks `{doc}`");
            assert!(definition.to_string().contains(Value::from(doc.as_str()).to_string().trim_matches('"')), "{doc}");
        }
    }
}

#[test]
fn the_order_of_precedence_is_one_sentence() {
    let sentence = "What stands nearest to the command wins: `--set` over the recipe, the recipe over what it imports, and these over the \
        defaults of the schema.";
    assert_eq!(read("grammar/reference.md").matches(sentence).count(), 1);
}

#[test]
fn every_shipped_recipe_is_valid_as_json() {
    let schema = schema();
    for path in SHIPPED {
        assert_eq!(faults(&recipe(path), &schema), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn a_json_recipe_with_a_mistake_is_not_valid() {
    let schema = schema();
    let changes: [(&str, Value); 14] = [
        ("/objective", json!({"rat": 0.25})),
        ("/model/width", json!(1)),
        ("/model/width", json!("128")),
        ("/model/width", json!(128.5)),
        ("/model/feed_forward", json!("Glu")),
        ("/budget/time", json!("60s")),
        ("/budget/time", json!(0)),
        ("/lr", json!({"Triangel": {"peak": 1e-3, "start": 0.25, "peak_at": 0.5}})),
        ("/lr", json!({"Triangle": {"peak": 1e-3}, "Constant": {"rate": 1e-3}})),
        ("/objective/rate", json!(1)),
        ("/optimizer/AdamW/betas", json!([0.9, 0.98, 0.99])),
        ("/optimizer/AdamW/betas", json!([0.9, 1])),
        ("/micro_batch", json!(4)),
        ("/evaluation/every", json!(0.25)),
    ];
    for (pointer, value) in changes {
        let mut recipe = recipe(SHIPPED[0]);
        *recipe.pointer_mut(pointer).unwrap() = value.clone();
        let found = faults(&recipe, &schema);
        assert!(found.len() == 1 && found[0].contains(pointer), "{pointer} {value}: {found:?}");
    }
    let mut recipe = recipe(SHIPPED[0]);
    recipe["tokens"] = json!(1);
    assert_eq!(faults(&recipe, &schema), [" has no tokens"]);
}

/// Takes each field of each struct out in turn: whether the rest is valid is what the declaration says.
#[test]
fn what_is_required_in_json_is_what_is_required_in_a_recipe() {
    let schema = schema();
    let full = recipe(SHIPPED[0]);
    for entry in explain::entries() {
        let Item::Field(info, _) = entry.item else { continue };
        let path = format!("/{}", entry.path().replace('.', "/"));
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut recipe = full.clone();
        let Some(object) = recipe.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
        assert!(object.remove(name).is_some(), "{path}");
        assert_eq!(faults(&recipe, &schema).is_empty(), info.default.is_some() || info.optional, "{path}");
    }
}

#[test]
fn every_default_in_the_json_schema_is_valid_and_what_a_recipe_without_the_field_has() {
    let schema = schema();
    let machine = device::find("rtx-a6000").unwrap();
    let text = common::small("steps: 10", "");
    let least = serde_json::to_value(common::costed(&text, &[], machine).recipe).unwrap();
    for (name, property) in schema["$defs"]["Recipe"]["properties"].as_object().unwrap() {
        if let Some(default) = property.get("default").filter(|_| name != "micro_batch") {
            assert_eq!(default, &least[name], "{name}");
        }
    }
    for definition in schema["$defs"].as_object().unwrap().values() {
        let variants =
            definition["oneOf"].as_array().into_iter().flatten().flat_map(|v| v["properties"].as_object().unwrap().values());
        for record in variants.chain([definition]) {
            for property in record["properties"].as_object().into_iter().flatten().map(|(_, property)| property) {
                let Some(default) = property.get("default") else { continue };
                let mut alone = property.clone();
                alone["$defs"] = schema["$defs"].clone();
                assert_eq!(faults(default, &alone), Vec::<String>::new(), "{property}");
            }
        }
    }
}

/// Recipes that write out every field that is a number.
const WRITTEN_OUT: [&str; 4] = [
    r#"Recipe(
        name: "all",
        seed: 0,
        budget: Budget(time: 1h, tokens: 1000, steps: 1000, flops: 1EFLOP, memory: 1GiB),
        data: Corpus(sources: [Text(path: "a")], tokenizer: WordPiece(vocab: 512), validation: 2%),
        model: Encoder(
            width: 32,
            depth: 2,
            heads: 4,
            sequence: 32,
            feed_forward: Glu(intermediate: 64),
            norm: LayerNorm(eps: 1e-12),
            positions: Rotary(theta: 1e4),
            token_types: 0,
            embedding: Embedding(table_width: 16),
            dropout: Dropout(inputs: 10%, probabilities: 10%, branches: 10%),
            init: Normal(std: 0.02),
        ),
        objective: MaskedLm(rate: 25%, prediction: Sparse(share: 25%), loss: CrossEntropy(z_loss: 1e-4, label_smoothing: 10%)),
        batch: Ramp(to: 16, until: 50%),
        micro_batch: 4,
        recompute: Parts(norms: 50%, gates: 50%, attention: 50%, projections: 50%, residuals: 50%),
        optimizer: AdamW(betas: (0.9, 0.98), eps: 1e-12, weight_decay: 0.01, clip: 0.5),
        lr: Triangle(peak: 1e-3, start: 25%, peak_at: 50%),
        evaluation: Evaluation(every: 20%, sequences: 512),
        checkpoint: Checkpoint(every: 10min, keep: 2),
    )"#,
    r#"Recipe(
        name: "rest",
        budget: Budget(steps: 10),
        data: Corpus(sources: [Synthetic(sentences: 1000)], tokenizer: WordPiece(vocab: 512)),
        model: Encoder(width: 32, depth: 2, heads: 4, sequence: 32, feed_forward: Glu(intermediate: 64)),
        objective: MaskedLm(),
        batch: Constant(size: 16),
        optimizer: AdamW(),
        lr: Constant(rate: 1e-3),
    )"#,
    r#"Recipe(
        name: "another-model",
        budget: Budget(steps: 10),
        data: Corpus(sources: [Synthetic(sentences: 1000)], tokenizer: WordPiece(vocab: 512)),
        model: Encoder(
            width: 32,
            depth: 2,
            heads: 4,
            sequence: 32,
            feed_forward: Mlp(intermediate: 64),
            norm: RmsNorm(eps: 1e-6),
            positions: Learned(length: 32),
        ),
        objective: MaskedLm(loss: Focal(gamma: 5.0)),
        batch: Constant(size: 16),
        optimizer: AdamW(),
        lr: Constant(rate: 1e-3),
    )"#,
    r#"Recipe(
        name: "third-norm",
        budget: Budget(steps: 10),
        data: Corpus(sources: [Synthetic(sentences: 1000)], tokenizer: WordPiece(vocab: 512)),
        model: Encoder(width: 32, depth: 2, heads: 4, sequence: 32, feed_forward: Glu(intermediate: 64), norm: ScaleNorm(eps: 1e-6)),
        objective: MaskedLm(),
        batch: Constant(size: 16),
        optimizer: AdamW(),
        lr: Constant(rate: 1e-3),
    )"#,
];

/// Every other choice for `lr`, written out, and the other way of counting.
const SCHEDULES: [&str; 9] = [
    "Trapezoid(peak: 1e-3, warmup: 6%, cooldown: 10%)",
    "Linear(peak: 1e-3, warmup: 6%)",
    "Cosine(peak: 1e-3, warmup: 6%, end: 10%)",
    "CosineRestarts(peak: 1e-3, warmup: 6%, cycles: 4)",
    "InverseCosine(peak: 1e-3, cooldown: 10%)",
    "Polynomial(peak: 1e-3, warmup: 6%, power: 1, end: 10%)",
    "InverseSqrt(peak: 1e-3, warmup: 6%, cooldown: 10%)",
    "Ramp(peak: 1e-3, cooldown: 10%), counting: Official(micro_steps: 1000)",
    "MultiCycle(peak: 1e-3, cycles: 8), counting: Official(micro_steps: 1000)",
];

fn written_out() -> Vec<String> {
    let points = "Piecewise(peak: 1e-3, points: [(0, 1), (1, 0)])";
    let schedules = SCHEDULES.into_iter().chain([points]).map(|lr| WRITTEN_OUT[1].replace("Constant(rate: 1e-3)", lr));
    let optimizers = OPTIMIZERS.map(|optimizer| WRITTEN_OUT[1].replace("AdamW()", optimizer));
    WRITTEN_OUT.into_iter().map(str::to_owned).chain(schedules).chain(optimizers).collect()
}

/// Whether a recipe is out of range with a value in place of a field's, as `check` sees it.
fn is_out_of_range(recipe: &str, setting: &str, text: &str) -> bool {
    // The name is refused too, so that nothing is costed.
    let overrides = [format!("{setting}={text}"), "name=\"no/name\"".to_owned()];
    let compilation = compile(Inputs {
        entry: ("recipe.ron".into(), recipe.to_owned()),
        read: &mut |_, _| Err("no imports".into()),
        overrides: &overrides,
        machine: device::find("rtx-a6000").unwrap(),
        known: &device::catalog(),
        asked: None,
    });
    let found: Vec<Code> = compilation.diagnostics.iter().map(|d| d.code).collect();
    let structural = [Code::WrongType, Code::BadPath, Code::UnknownField, Code::MissingField, Code::BadOverride];
    assert!(!found.iter().any(|code| structural.contains(code)), "{setting}={text}: {found:?}");
    found.contains(&Code::OutOfRange)
}

/// A number of base units as a recipe and as JSON, for a type of field; several where the field can be several things.
fn written(x: f64, ty: &TypeInfo) -> Vec<(String, Value)> {
    let (whole, number) = (json!(x as i64), json!(x));
    match ty {
        TypeInfo::Count => vec![(format!("{x:.0}"), whole)],
        TypeInfo::Real | TypeInfo::Share => vec![(format!("{x:e}"), number)],
        TypeInfo::Duration => vec![(format!("{x:e}s"), number)],
        TypeInfo::Size => vec![(format!("{x:.0}B"), whole)],
        TypeInfo::Work => vec![(format!("{x:.0}FLOP"), whole)],
        TypeInfo::Pair => vec![(format!("(0.9, {x:e})"), json!([0.9, x]))],
        TypeInfo::AutoCount => vec![(format!("{x:.0}"), json!({"Fixed": whole}))],
        TypeInfo::Portion => vec![
            (format!("Steps({x:.0})"), json!({"Steps": whole})),
            (format!("Tokens({x:.0})"), json!({"Tokens": whole})),
            (format!("{x:e}s"), json!({"Time": x})),
            (format!("{:e}%", x * 100.0), json!({"Share": x})),
        ],
        TypeInfo::Interval => vec![
            (format!("{x:.0}"), json!({"Steps": whole})),
            (format!("{x:e}s"), json!({"Time": x})),
            (format!("{:e}%", x * 100.0), json!({"Share": x})),
        ],
        _ => Vec::new(),
    }
}

/// The other optimizers, with their numbers written out.
const OPTIMIZERS: [&str; 7] = [
    "Adam(betas: (0.9, 0.98), eps: 1e-8, weight_decay: 0.01, clip: 1)",
    "RAdam(betas: (0.9, 0.98), eps: 1e-8, weight_decay: 0.01, clip: 1)",
    "Lamb(betas: (0.9, 0.98), eps: 1e-8, weight_decay: 0.01, clip: 1)",
    "Lion(betas: (0.9, 0.98), weight_decay: 0.01, clip: 1)",
    "Sgd(momentum: 0.9, weight_decay: 0.01, clip: 1)",
    "Adafactor(momentum: 0.9, decay_rate: 0.8, eps: 1e-30, threshold: 1, weight_decay: 0.01, clip: 1)",
    "Muon(momentum: 0.9, matrix_rate: 20, betas: (0.9, 0.98), eps: 1e-8, weight_decay: 0.01, clip: 1)",
];

/// Numbers about the bounds of a field, in base units.
fn about(bounds: &[(f64, bool)]) -> Vec<f64> {
    let finite = bounds.iter().map(|(x, _)| *x).filter(|x| x.is_finite());
    finite.flat_map(|x| [x, x + 1.0, x - 1.0, x * 2.0, x / 2.0]).filter(|x| x.abs() < 9e18).collect()
}

#[test]
fn the_bounds_of_every_number_are_those_that_check_holds() {
    let schema = schema();
    let machine = device::find("rtx-a6000").unwrap();
    let mut compared = BTreeSet::new();
    for text in &written_out() {
        let full = serde_json::to_value(common::costed(text, &[], machine.clone()).recipe).unwrap();
        for entry in explain::entries() {
            let Item::Field(info, _) = entry.item else { continue };
            let (ty, pointer) = ((info.ty)(), format!("/{}", entry.path().replace('.', "/")));
            let is_written = text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == info.name);
            let (Some(setting), Some(_), true) = (entry.reached(), full.pointer(&pointer), is_written) else { continue };
            let bounds = info.range.map_or(vec![(0.0, true), (1.0, true), (1e15, true)], |range| range.bounds().to_vec());
            for (value, json) in about(&bounds).into_iter().flat_map(|x| written(x, &ty)) {
                let mut changed = full.clone();
                *changed.pointer_mut(&pointer).unwrap() = json;
                assert_eq!(is_out_of_range(text, &setting, &value), !faults(&changed, &schema).is_empty(), "{setting}={value}");
                compared.insert(entry.path());
            }
        }
    }
    let is_number =
        |entry: &&explain::Entry| matches!(entry.item, Item::Field(info, _) if !written(1.0, &(info.ty)()).is_empty());
    let all: BTreeSet<String> =
        explain::entries().iter().filter(is_number).filter(|e| e.reached().is_some()).map(explain::Entry::path).collect();
    assert_eq!(compared, all);
}

#[test]
fn a_field_is_explained_in_full() {
    let text = printed(&["model.width"]);
    for part in ["model.width", "Hidden width D.", "a whole number", "2 ≤ width ≤ 65536", "required", "`Encoder(..)`"] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    let (exit, found) = asked("lr.peak_at");
    let field = &found["found"][0];
    assert_eq!((exit, &field["path"], &field["set"]), (0, &json!("lr.Triangle.peak_at"), &json!("lr.peak_at")));
    assert_eq!((&field["default"], &field["required"]), (&json!("50%"), &json!(false)));
    assert_eq!(field["range"], "0% < peak_at < 100%");
}

#[test]
fn a_struct_or_choice_is_explained_with_its_fields() {
    for (topic, parts) in [
        ("model", ["width", "feed_forward", "default `LayerNorm()`"]),
        ("lr", ["Triangle(..)", "Constant(..)", "peak_at"]),
        ("Triangle", ["choice for `lr`", "peak", "default `0%`"]),
        ("recipe", ["budget", "micro_batch", "default `Auto`"]),
        ("Constant", ["batch.Constant", "lr.Constant", "rate"]),
    ] {
        let text = printed(&[topic]);
        assert!(parts.iter().all(|part| text.contains(part)), "{topic}: {text}");
    }
    assert_eq!(asked("data.sources.path").1["found"][0]["set"], Value::Null);
}

#[test]
fn a_code_is_explained_by_its_page() {
    for code in Code::ALL {
        assert_eq!(asked(code.as_str()).1["found"][0]["page"], code.page());
    }
    assert_eq!(printed(&["unknown-field"]), Code::UnknownField.page());
}

#[test]
fn everything_on_the_list_can_be_explained() {
    let list: Value = serde_json::from_str(&printed(&["--format", "json"])).unwrap();
    let fields = list["fields"].as_array().unwrap();
    let text = printed(&[]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(list["codes"].as_array().unwrap().len(), Code::ALL.len());
    for field in fields {
        let (exit, said) = asked(field["path"].as_str().unwrap());
        assert_eq!((exit, &said["found"]), (0, &json!([field])));
        assert!(text.contains(field["name"].as_str().unwrap()) && text.contains(field["doc"].as_str().unwrap()), "{field}");
    }
    assert!(Code::ALL.iter().all(|code| text.contains(code.summary())));
}

#[test]
fn a_topic_that_is_none_is_refused_with_the_nearest() {
    for (topic, near) in [("modle.width", "model.width"), ("Triangel", "Triangle"), ("unknow-field", "unknown-field")] {
        let output = Place::with("").run(&["explain", topic]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&format!("did you mean `{near}`?")), "{said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    }
    let (exit, said) = asked("banana");
    assert_eq!((exit, &said["found"]), (2, &json!([])));
    assert_eq!(Place::with("").run(&["explain", "--reference", "model"]).status.code(), Some(2));
}
