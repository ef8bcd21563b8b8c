//! `cramplan verify`: certificates as they are written hold, and those that were tampered with and sealed again do not.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]
#![allow(clippy::unit_arg, clippy::unnecessary_wraps, reason = "a tampering is one line: a change, and whether it applies")]

mod common;
#[path = "verify/leaves.rs"]
mod leaves;
#[path = "verify/machines.rs"]
mod machines;
#[path = "verify/host.rs"]
mod on_host;
#[path = "verify/optimizers.rs"]
mod optimizers;
#[path = "verify/recompute.rs"]
mod recompute;
#[path = "verify/settle.rs"]
mod settle;
#[path = "verify/tamper.rs"]
mod tamper;

use std::collections::BTreeSet;
use std::time::Instant;

use cramplan::check::Costed;
use cramplan::device::{Device, DeviceKind, catalog, find};
use cramplan::plan::{Facts, Plan, certificate::content};
use cramplan::verify::format::{Certificate, Content, Origin, Pass};
use cramplan::verify::{Report, verify, verify_certificate};

use common::generate::{Size, generated};
use common::{Place, costed, small};
use machines::{amd, host, laptop, measured, own, read_outs};

/// The text of a recipe's certificate.
fn certificate(recipe: &str, overrides: &[&str], machine: Device) -> String {
    let costed = costed(recipe, overrides, machine);
    let graphs = costed.graphs();
    let Costed { recipe, device, estimate } = costed;
    let facts = Facts { data: None, processor: matches!(device.kind, DeviceKind::Cpu { .. }).then(|| "test".to_owned()) };
    Certificate::seal(content(&recipe, &device, &graphs, &estimate, &facts), Origin::default()).write()
}

fn read(recipe: &str, overrides: &[&str], machine: Device) -> Content {
    Certificate::read(&certificate(recipe, overrides, machine)).unwrap().content
}

/// Of a recipe's micro-steps on a device, the highest memory without recomputation and with all of it.
fn span(recipe: &str, machine: &Device) -> (u64, u64) {
    let peak = |recompute: &str| read(recipe, &[recompute], machine.clone()).peak.bytes.0;
    (peak("recompute=Blocks()"), peak("recompute=Nothing()"))
}

/// A limit at which the planner has to recompute something, and not everything.
fn tight(recipe: &str, machine: &Device) -> String {
    let (least, most) = span(recipe, machine);
    assert!(least < most, "{least} {most}");
    format!("budget.memory={}B", least + (most - least) / 3)
}

/// The certificates that are tampered with: on the CPU and on cards, ramped and constant, sparse and dense, every kind of budget.
fn certificates() -> Vec<(&'static str, Content)> {
    let dense = ["batch=Constant(16)", "objective.prediction=Dense()", "micro_batch=Auto"];
    let clipped = ["optimizer.clip=None", "optimizer.decay=Everything", "evaluation=Evaluation(every: 50%)"];
    vec![
        ("ramp, steps, cpu", read(&small("steps: 40", "checkpoint: Checkpoint(every: 7),"), &[], host(2))),
        ("dense, tokens, card", read(&small("tokens: 400000", ""), &dense, find("rtx-a6000").unwrap())),
        ("ramp, time, card", read(&small("time: 60s, memory: 1GiB", ""), &clipped, find("rtx-2080-ti").unwrap())),
        ("ramp, FLOPs, cpu", read(&small("flops: 1TFLOP", ""), &["objective.prediction=Sparse(20%)"], host(8))),
        ("all recomputed, cpu", read(&small("steps: 12", "recompute: Blocks(),"), &["batch=Constant(16)"], host(2))),
        ("some recomputed, AMD card", read(&small("steps: 7", PARTS), &["model.depth=3"], amd())),
        ("what must be recomputed, own card", {
            let recipe = small("steps: 9", "recompute: Auto(),");
            read(&recipe, &[&tight(&recipe, &own())], own())
        }),
        ("measured, one micro-batch", read(&small("steps: 5", ""), &["batch=Constant(4)"], measured())),
        ("odd widths, caches read, cpu", read(&small("steps: 3", "recompute: Parts(gates: 50%),"), &ODD, laptop())),
        ("another model, cpu", read(&small("steps: 4", "recompute: Parts(norms: 50%, projections: 100%),"), &ORIGINAL, host(2))),
        (
            "a third model, card",
            read(&small("steps: 4", "recompute: Parts(gates: 100%, residuals: 50%),"), &MODERN, find("t4").unwrap()),
        ),
        ("quick start, cpu", read(include_str!("../recipes/quickstart.ron"), &[], host(4))),
    ]
}

/// Extents that are no whole tiles, and more rows in the head than a panel is deep.
const ODD: [&str; 5] =
    ["data.tokenizer.vocab=501", "model.width=60", "micro_batch=32", "batch=Constant(64)", "objective.prediction=Dense()"];

/// As the first BERT, with a narrow table.
const ORIGINAL: [&str; 9] = [
    "model.feed_forward=Mlp(128)",
    "model.placement=PostNorm",
    "model.biases=Biases(qkv: true, dense: true, decoder: true)",
    "model.positions=Learned(length: 48)",
    "model.token_types=2",
    "model.embedding=Embedding(table_width: 16)",
    "model.head=Head(final_norm: false, transform: Nonlinear)",
    "objective.loss=CrossEntropy(z_loss: 1e-4, label_smoothing: 10%)",
    "objective.prediction=Dense()",
];

/// As what came after it.
const MODERN: [&str; 7] = [
    "model.feed_forward=Glu(intermediate: 96, activation: Silu)",
    "model.norm=RmsNorm()",
    "model.placement=DeepNorm",
    "model.attention=Softmax(causal: true)",
    "model.positions=Rotary()",
    "model.embedding=Embedding(tied: false)",
    "objective.loss=Focal()",
];

const PARTS: &str = "recompute: Parts(attention: 100%, norms: 50%),";

fn reseal(content: Content) -> Report {
    verify_certificate(Certificate::seal(content, Origin::default()))
}

fn broken(report: &Report) -> Vec<String> {
    report.book.broken.iter().take(5).map(|b| format!("{:?}", (b.law, b.at, &b.stated, &b.derived))).collect()
}

#[test]
fn certificates_hold_as_they_are_written() {
    for (name, content) in certificates() {
        let report = reseal(content);
        assert!(report.holds(), "{name}: {:#?}", broken(&report));
    }
}

#[test]
fn certificates_that_recompute_hold_on_every_kind_of_device() {
    let recipe = small("steps: 6", "");
    for device in [host(2), find("rtx-2080-ti").unwrap(), amd(), own(), measured()] {
        let limit = tight(&recipe, &device);
        let cases: [(&[&str], &str); 8] = [
            (&["recompute=Blocks()"], "everything"),
            (&["recompute=Parts(norms: 100%)"], "norms"),
            (&["recompute=Parts(gates: 50%)"], "gates"),
            (&["recompute=Parts(projections: 100%)"], "projections"),
            (&["recompute=Parts(residuals: 50%)"], "residuals"),
            (&["recompute=Parts(attention: 100%, norms: 50%)"], "attention and norms"),
            (&["recompute=Auto()", &limit], "what must be"),
            (&["recompute=Auto()"], "nothing"),
        ];
        for (overrides, name) in cases {
            let content = read(&recipe, overrides, device.clone());
            let recomputes = content.recompute != [0; 5];
            assert_eq!(recomputes, name != "nothing", "{name} on {}: {:?}", device.name, content.recompute);
            assert_eq!(content.walks[0].operations.iter().any(|o| o.pass == Pass::Recompute), recomputes);
            let report = reseal(content);
            assert!(report.holds(), "{name} on {}: {:#?}", device.name, broken(&report));
        }
    }
}

/// A step of one micro-batch has no further micro-steps, whose memory is then no peak of the run.
#[test]
fn the_peak_is_of_what_happens() {
    let of = |batch: &str| read(&small("steps: 3", ""), &[batch], host(2));
    let (one, several) = (of("batch=Constant(4)"), of("batch=Constant(8)"));
    let further = |c: &Content| c.walks[1].peak.bytes;
    assert!(one.peak.bytes < further(&one) && several.peak.bytes == further(&several));
    for mut content in [one, several] {
        assert!(reseal(content.clone()).holds());
        let other = if content.accumulation == 1 { further(&content) } else { content.walks[0].peak.bytes };
        content.peak.bytes = other;
        assert!(reseal(content).book.broken.iter().any(|b| b.law.name() == "bound"));
    }
}

/// Measurements are not saved with a device, so the times of a plan that was made with them are taken as they are stated.
#[test]
fn a_measured_plan_is_read_back_and_its_times_are_said_to_be_unchecked() {
    let text = certificate(&small("steps: 4", ""), &[], measured());
    assert!(Plan::load(&text).unwrap().save() == text);
    let report = verify(&text).unwrap();
    assert!(report.holds() && report.unchecked.iter().any(|said| said.contains("measured")), "{:#?}", broken(&report));
    let walk = &report.certificate.content.walks[0];
    assert!(walk.beside.0.0 > 0.0 && walk.seconds.0 > walk.operations.iter().map(|o| o.seconds.0).sum::<f64>());
}

#[test]
fn every_tampering_is_caught_and_its_law_is_named() {
    let certificates = certificates();
    let names: BTreeSet<&str> = tamper::TAMPERINGS.iter().map(|t| t.name).collect();
    assert!(
        names.len() >= 100 && names.len() == tamper::TAMPERINGS.len(),
        "{} tamperings have {} names",
        tamper::TAMPERINGS.len(),
        names.len()
    );
    assert!(recompute::TAMPERINGS.len() >= 12 && on_host::TAMPERINGS.len() >= 25);
    let mut missed = Vec::new();
    for tampering in tamper::TAMPERINGS.iter().chain(recompute::TAMPERINGS).chain(on_host::TAMPERINGS) {
        let mut times = 0;
        for (name, certificate) in &certificates {
            let mut content = certificate.clone();
            if (tampering.change)(&mut content).is_none() {
                continue;
            }
            // What is square is not changed by turning it around.
            if content == *certificate {
                continue;
            }
            times += 1;
            let report = reseal(content);
            let laws: BTreeSet<String> = report.book.broken.iter().map(|b| b.law.name()).collect();
            // Where times were measured, a changed one is known by the sums alone.
            let by_sum = certificate.device.calibration.is_some() && tampering.law == "time" && laws.contains("total");
            if !laws.contains(tampering.law) && !by_sum {
                missed.push(format!("`{}` in `{name}` breaks {laws:?}, not `{}`", tampering.name, tampering.law));
            }
        }
        assert!(times > 0, "`{}` applies to no certificate", tampering.name);
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Of every optimizer, on the CPU and on a card: certificates hold, and those that are tampered with do not.
#[test]
fn certificates_of_every_optimizer_hold_and_tamperings_are_caught() {
    let mut caught = BTreeSet::new();
    for optimizer in optimizers::ALL {
        for device in [host(2), find("rtx-a6000").unwrap(), measured()] {
            let content = read(&small("steps: 5", ""), &[optimizer], device.clone());
            let report = reseal(content.clone());
            assert!(report.holds(), "{optimizer} on {}: {:#?}", device.name, broken(&report));
            for tampering in optimizers::TAMPERINGS {
                let mut changed = content.clone();
                if (tampering.change)(&mut changed).is_none() || changed == content {
                    continue;
                }
                let laws: BTreeSet<String> = reseal(changed).book.broken.iter().map(|b| b.law.name()).collect();
                assert!(laws.contains(tampering.law), "`{}` of {optimizer} on {}: {laws:?}", tampering.name, device.name);
                caught.insert(tampering.name);
            }
        }
    }
    let applies: BTreeSet<&str> = optimizers::TAMPERINGS.iter().map(|t| t.name).collect();
    assert_eq!(caught, applies);
}

/// Tamperings after which all sums are made to agree again: only the law of the thing itself can catch them.
#[test]
fn tamperings_that_are_carried_through_all_sums_break_one_law() {
    let (_, certificate) = certificates().remove(0);
    for tampering in tamper::CARRIED_THROUGH.iter().chain(on_host::CARRIED_THROUGH) {
        let mut content = certificate.clone();
        assert!((tampering.change)(&mut content).is_some(), "`{}` does not apply", tampering.name);
        settle::settle(&mut content);
        let report = reseal(content);
        let laws: BTreeSet<String> = report.book.broken.iter().map(|b| b.law.name()).collect();
        assert_eq!(laws, BTreeSet::from([tampering.law.to_owned()]), "`{}`: {:#?}", tampering.name, broken(&report));
    }
}

#[test]
fn settling_an_untouched_certificate_changes_nothing() {
    let (_, certificate) = certificates().remove(0);
    let mut settled = certificate.clone();
    settle::settle(&mut settled);
    assert!(reseal(settled).holds());
}

/// Every single value of a certificate is bound by a law, or is in the list of those that none binds.
#[test]
fn every_value_is_bound_by_a_law_or_said_to_be_free() {
    let (mut free, mut bound) = (BTreeSet::new(), BTreeSet::new());
    let certificates = certificates();
    for (_, certificate) in &certificates[..3] {
        for leaf in leaves::samples(certificate) {
            let Some(changed) = leaves::change(certificate, &leaf) else { continue };
            // What changes nothing in one certificate may decide in another: how often a short run is saved.
            let set = if reseal(changed).holds() { &mut free } else { &mut bound };
            set.insert(format!("content.{}", leaf.name));
        }
    }
    let said: Vec<&str> = cramplan::verify::UNCHECKED.iter().map(|(path, _)| *path).collect();
    let on_host = |path: &str| path.starts_with("content.device.");
    let covered = |path: &String| on_host(path) || bound.contains(path) || said.iter().any(|s| path.starts_with(s));
    let unsaid: Vec<&String> = free.iter().filter(|path| !covered(path)).collect();
    assert!(bound.len() > 80, "{} paths are bound", bound.len());
    assert!(unsaid.is_empty(), "bound by no law, and not in the list: {unsaid:#?}");
}

/// Every way to count a batch ramp, under every kind of budget.
#[test]
fn certificates_hold_however_the_ramp_is_counted() {
    let officially =
        ["counting=Exact", "counting=Official(micro_steps: 500)", "counting=Official(micro_steps: 500, by_budget: false)"];
    let ramps = ["50%", "Steps(37)", "Tokens(20_000)", "1s", "20s"];
    for budget in ["steps: 200", "tokens: 100_000", "time: 10s", "time: 60s, steps: 90"] {
        for (ramp, counting) in ramps.iter().flat_map(|ramp| officially.map(|counting| (ramp, counting))) {
            let batch = format!("batch=Ramp(to: 50, until: {ramp})");
            let report = reseal(read(&small(budget, ""), &[&batch, counting, "lr=InverseSqrt(1e-3)"], host(2)));
            assert!(report.holds(), "{budget}, {batch}, {counting}: {:#?}", broken(&report));
        }
    }
}

#[test]
fn certificates_of_shipped_recipes_hold_on_every_card() {
    let bert = include_str!("../recipes/crammed-bert.ron");
    let quick = include_str!("../recipes/quickstart.ron");
    for device in catalog() {
        let report = reseal(read(quick, &[], device.clone()));
        assert!(report.holds(), "quick start on {}: {:#?}", device.name, broken(&report));
    }
    for device in [find("rtx-2080-ti").unwrap(), find("h100-sxm").unwrap(), host(16)] {
        let report = reseal(read(bert, &[], device.clone()));
        assert!(report.holds(), "crammed-BERT on {}: {:#?}", device.name, broken(&report));
    }
}

#[test]
fn certificates_hold_whatever_the_caches() {
    for device in read_outs() {
        let report = reseal(read(&small("steps: 2", ""), &ODD, device.clone()));
        assert!(report.holds(), "{:?}: {:#?}", device.lanes, broken(&report));
    }
}

/// A number below `n`, drawn by splitmix64.
fn draw(state: &mut u64, n: u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % n
}

#[test]
fn certificates_of_generated_recipes_hold() {
    let devices: Vec<Device> = catalog().into_iter().chain([host(1), host(2), host(64)]).chain(read_outs()).collect();
    for seed in 0..60 {
        let mut state = seed;
        let mut pick = |choices: &[&str]| choices[draw(&mut state, choices.len() as u64) as usize].to_owned();
        let budget = pick(&[
            "time: 37s",
            "time: 1h",
            "steps: 1",
            "steps: 1237",
            "tokens: 1000003",
            "flops: 3TFLOP",
            "steps: 300, tokens: 500000",
        ]);
        let heads = pick(&["1", "2", "8"]);
        let overrides: Vec<String> = [
            format!("model.width={}", pick(&["8", "24", "64", "136"])),
            format!("model.heads={heads}"),
            format!("model.depth={}", pick(&["1", "2", "3"])),
            format!("model.sequence={}", pick(&["8", "20", "64", "100"])),
            format!("model.feed_forward.intermediate={}", pick(&["4", "96", "130"])),
            format!("data.tokenizer.vocab={}", pick(&["64", "501", "2048"])),
            format!("objective.prediction={}", pick(&["Dense()", "Sparse()", "Sparse(15%)", "Sparse(100%)"])),
            format!("batch={}", pick(&["Constant(12)", "Constant(64)", "Ramp(to: 96, until: 30%)", "Ramp(to: 30, until: 100%)"])),
            format!("micro_batch={}", pick(&["Auto", "1", "4", "7"])),
            format!("evaluation.every={}", pick(&["20%", "10s", "5", "33%"])),
            format!("checkpoint.every={}", pick(&["10min", "3s", "11", "7%"])),
            pick(optimizers::ALL),
        ]
        .to_vec();
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        let device = devices[draw(&mut state, devices.len() as u64) as usize].clone();
        let report = reseal(read(&small(&budget, "evaluation: Evaluation(), checkpoint: Checkpoint(),"), &overrides, device));
        assert!(report.holds(), "{seed}: {budget} {overrides:?}: {:#?}", broken(&report));
    }
}

/// Every option of a model, on the CPU and on a card, with nothing, some and all of it recomputed.
#[test]
fn certificates_of_models_of_every_kind_hold() {
    let recomputed =
        ["Nothing()", "Blocks()", "Parts(norms: 50%, attention: 100%)", "Parts(projections: 50%, gates: 100%, residuals: 100%)"];
    for (i, text) in generated(20_261_125, 80, Size::Small).iter().enumerate() {
        let device = if i % 2 == 0 { host(2) } else { find("rtx-a6000").unwrap() };
        let again = format!("recompute={}", recomputed[i / 2 % recomputed.len()]);
        let report = reseal(read(text, &[&again], device));
        assert!(report.holds(), "{i}: {again}\n{text}\n{:#?}", broken(&report));
    }
}

#[test]
fn layout_and_place_do_not_matter_to_the_hash_and_content_does() {
    let text = certificate(&small("steps: 4", ""), &[], host(2));
    let certificate = Certificate::<cramplan::verify::recipe::Recipe>::read(&text).unwrap();
    let other =
        text.replace("  ", " \t ").replace("hash:", "/* a comment */ hash:").replace("base: \"\"", "base: \"/elsewhere\"");
    assert_ne!(text, other);
    assert!(verify(&other).unwrap().holds());
    assert_eq!(verify(&other).unwrap().certificate.hash, certificate.hash);
    let renamed = text.replace("name: \"small\"", "name: \"large\"");
    let laws: Vec<String> = verify(&renamed).unwrap().book.broken.iter().map(|b| b.law.name()).collect();
    assert_eq!(laws, ["hash"]);
}

#[test]
fn what_is_no_certificate_is_refused_in_words() {
    for (text, why) in [
        ("Recipe()", "Plan"),
        ("", "opening"),
        ("Plan(version: 1, hash: \"\", recipe: ())", "format 1"),
        ("Plan(version: 3, hash: \"\", surprise: 1)", "surprise"),
    ] {
        let said = verify(text).unwrap_err().to_string();
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn the_verb_has_three_exit_codes_and_json() {
    let place = Place::with(&small("steps: 4", ""));
    place.succeed(&["plan", "--for", "rtx-a6000", "--out", "plan.ron"]);
    let said = place.succeed(&["verify", "plan.ron"]);
    assert!(said.contains(": holds") && said.contains("not checked"), "{said}");
    let text = std::fs::read_to_string(place.path().join("plan.ron")).unwrap();
    std::fs::write(place.path().join("other.ron"), text.replacen("accumulation: 4", "accumulation: 5", 1)).unwrap();
    let output = place.run(&["verify", "other.ron", "--format", "json"]);
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let laws: Vec<&str> = verdict["broken"].as_array().unwrap().iter().map(|b| b["law"].as_str().unwrap()).collect();
    assert_eq!((output.status.code(), verdict["holds"].as_bool(), laws), (Some(1), Some(false), vec!["hash", "batch"]));
    assert_eq!(place.run(&["verify", "recipe.ron"]).status.code(), Some(2));
    assert_eq!(place.run(&["verify", "nothing.ron"]).status.code(), Some(2));
}

#[test]
fn a_certificate_of_crammed_bert_is_small_and_quick() {
    let began = Instant::now();
    let text = certificate(include_str!("../recipes/crammed-bert.ron"), &[], find("rtx-a6000").unwrap());
    let written = began.elapsed();
    let began = Instant::now();
    assert!(verify(&text).unwrap().holds());
    println!("{} bytes, planned and written in {written:?}, verified in {:?}", text.len(), began.elapsed());
    assert!(text.len() < 1 << 20, "{} bytes", text.len());
}
