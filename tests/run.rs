//! The run as a user meets it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use common::{Place, events, json, small};

/// The same seed in two processes, one of them with a single thread: every loss and the final weights are the same to the
/// bit, with a word table of more than 8 Mi elements, whose square sum is the global norm's largest part.
#[test]
fn two_processes_compute_the_same_to_the_bit() {
    let recipe = r#"Recipe(
        name: "wide",
        budget: Budget(steps: 3),
        data: Corpus(sources: [Synthetic(4000)], tokenizer: WordPiece(vocab: 64Ki)),
        model: Encoder(width: 136, depth: 1, heads: 2, sequence: 32, feed_forward: Glu(intermediate: 64)),
        objective: MaskedLm(),
        batch: Constant(8),
        micro_batch: 4,
        optimizer: AdamW(clip: 0.5),
        lr: Constant(1e-3),
        evaluation: Evaluation(sequences: 8),
    )"#;
    let runs: Vec<_> = ["1", "2"]
        .into_iter()
        .map(|threads| {
            let place = Place::with(recipe);
            let output = place.command(&["run"]).env("RAYON_NUM_THREADS", threads).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let run = place.runs().remove(0);
            let steps: Vec<String> = events(&run, "step").iter().map(|s| format!("{} {}", s["loss"], s["norm"])).collect();
            (steps, json(&run.join("outcome.json"))["weights"].clone(), std::fs::read(run.join("weights.safetensors")).unwrap())
        })
        .collect();
    assert_eq!(runs[0].0.len(), 3);
    assert!(runs[0] == runs[1], "two runs differ: {:?} {:?}", runs[0].0, runs[1].0);
}

/// The triangle of [`small`] and its ramp, from their definitions.
fn schedule(progress: f64) -> (f64, u64) {
    let factor = f64::min(0.25 + progress * 0.75 / 0.5, (1.0 - progress) / 0.5).max(0.0);
    let accumulation = ((progress / 0.5 * 16.0 / 4.0).floor() as u64 + 1).min(4);
    (3e-3 * factor, accumulation)
}

#[test]
fn every_logged_rate_and_batch_is_the_schedule_at_the_logged_progress() {
    let place = Place::with(&small("time: 3s", ""));
    place.succeed(&["run"]);
    let run = place.runs().remove(0);
    let steps = events(&run, "step");
    let mut last = -1.0;
    for (i, step) in steps.iter().enumerate() {
        let progress = step["progress"].as_f64().unwrap();
        let (rate, accumulation) = schedule(progress);
        assert!((step["rate"].as_f64().unwrap() - rate).abs() < 1e-15, "{step}");
        let last_step = i + 1 == steps.len();
        assert!(step["accumulation"].as_u64() == Some(accumulation) || last_step, "{step}");
        assert!(progress >= last && (0.0..1.0).contains(&progress), "{step}");
        last = progress;
    }
    assert!(last > 0.9, "the schedule lands: {last}");
}

#[test]
fn the_run_directory_holds_everything() {
    let place = Place::with(&small("steps: 4", "evaluation: Evaluation(every: 50%),"));
    place.succeed(&["run"]);
    let run = place.runs().remove(0);
    for name in [
        "recipe.ron",
        "plan.ron",
        "metrics.jsonl",
        "trace.json",
        "tokenizer.json",
        "weights.safetensors",
        "optimizer.safetensors",
        "position.json",
        "outcome.json",
    ] {
        assert!(run.join(name).is_file(), "{name}");
    }
    let outcome = json(&run.join("outcome.json"));
    for quantity in ["heap_bytes", "resident_bytes", "seconds", "steps", "tokens"] {
        assert!(
            outcome[quantity]["planned"].as_f64() > Some(0.0) && outcome[quantity]["observed"].as_f64() > Some(0.0),
            "{quantity}: {outcome}"
        );
    }
    assert_eq!(outcome["steps"]["planned"], outcome["steps"]["observed"]);
    assert_eq!(outcome["tokens"]["planned"], outcome["tokens"]["observed"]);
    assert!(outcome["heap_bytes"]["observed"].as_f64() <= outcome["heap_bytes"]["planned"].as_f64(), "{outcome}");
    assert!(outcome["bigram_loss"].as_f64() > outcome["best_loss"].as_f64());
    let evaluations: Vec<_> = events(&run, "evaluation").iter().map(|e| e["step"].as_u64().unwrap()).collect();
    assert_eq!(evaluations, [0, 2, 4]);
}

#[test]
fn a_saved_plan_runs_as_its_recipe_does() {
    let place = Place::with(&small("steps: 3", ""));
    place.succeed(&["plan", "--out", "plan.ron"]);
    place.succeed(&["run", "plan.ron"]);
    place.succeed(&["run"]);
    let weights: Vec<_> = place.runs().iter().map(|run| json(&run.join("outcome.json"))["weights"].clone()).collect();
    assert_eq!(weights[0], weights[1]);
}

#[test]
fn a_saved_plan_is_refused_field_by_field_when_the_world_has_changed() {
    let recipe = small("steps: 3", "").replace("Synthetic(4000)", "Text(\"a.txt\")").replace("vocab: 512", "vocab: 64");
    let place = Place::with(&recipe);
    let text = "the quick brown fox jumps over the lazy dog while seven wizards box with five jugs of liquor\n\n".repeat(300);
    std::fs::write(place.path().join("a.txt"), &text).unwrap();
    place.succeed(&["run", "--dry"]);
    place.succeed(&["plan", "--out", "plan.ron"]);
    place.succeed(&["run", "plan.ron", "--dry"]);

    // Comments and layout are no drift; a field is, and so is the text.
    std::fs::write(place.path().join("recipe.ron"), format!("// a comment\n{recipe}")).unwrap();
    place.succeed(&["run", "plan.ron", "--dry"]);
    std::fs::write(place.path().join("recipe.ron"), recipe.replace("depth: 2", "depth: 1").replace("3e-3", "4e-3")).unwrap();
    std::fs::write(place.path().join("a.txt"), format!("{text}one more\n")).unwrap();
    let (code, said) = refused(&place, &["run", "plan.ron", "--dry"]);
    assert_eq!(code, 2, "{said}");
    for line in
        ["model.depth: planned 2, now 1", "lr.peak: planned 0.003, now 0.004", "data: planned ", "cramplan plan recipe.ron"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn a_plan_for_another_device_or_of_another_program_is_refused() {
    let place = Place::with(&small("steps: 3", ""));
    place.succeed(&["plan", "--for", "rtx-a6000", "--out", "card.ron"]);
    let (code, said) = refused(&place, &["run", "card.ron", "--device", "cpu"]);
    assert!(code == 2 && said.contains("device: planned rtx-a6000, now cpu"), "{said}");
    assert!(said.contains("`cramplan plan recipe.ron --for cpu --out card.ron`"), "{said}");

    place.succeed(&["plan", "--out", "plan.ron"]);
    let text = std::fs::read_to_string(place.path().join("plan.ron")).unwrap();
    let tamper = |change: fn(&mut cramplan::verify::format::Content)| {
        let mut certificate: cramplan::verify::format::Certificate = cramplan::verify::format::Certificate::read(&text).unwrap();
        change(&mut certificate.content);
        let sealed = cramplan::verify::format::Certificate::seal(certificate.content, certificate.origin);
        std::fs::write(place.path().join("other.ron"), sealed.write()).unwrap();
        refused(&place, &["run", "other.ron"])
    };
    let (code, said) = tamper(|c| c.program = "cramplan 0.0.1".into());
    assert!(code == 2 && said.contains("program: planned cramplan 0.0.1, now cramplan"), "{said}");
    let (code, said) = tamper(|c| c.processor = Some("another".into()));
    assert!(code == 2 && said.contains("processor: planned another, now "), "{said}");
    assert!(place.runs().is_empty());
}

#[test]
fn a_dry_run_leaves_no_run_behind() {
    let place = Place::with(&small("steps: 3", ""));
    let said = place.succeed(&["run", "--dry"]);
    assert!(said.contains("micro-step") && said.contains("planned"), "{said}");
    assert!(place.runs().is_empty());
}

/// The exit code and what was said.
fn refused(place: &Place, arguments: &[&str]) -> (i32, String) {
    let output = place.run(arguments);
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_device_that_cannot_be_had_is_refused_in_its_own_words() {
    let place = Place::with(&small("steps: 1", ""));
    let (code, said) = refused(&place, &["run", "--device", "tpu"]);
    assert!(code == 2 && said.contains("there is no device `tpu`"), "{said}");
    let (code, said) = refused(&place, &["run", "--device", "cuda:7"]);
    let expected = if cfg!(feature = "cuda") { "card" } else { "built without CUDA" };
    assert!(code == 2 && said.contains(expected) && said.contains("help:"), "{said}");
}

#[test]
fn text_that_is_missing_or_empty_is_an_error_before_anything_is_spent() {
    let recipe = small("steps: 1", "").replace("Synthetic(4000)", "Text(\"nothing/*.txt\")");
    let place = Place::with(&recipe);
    let (code, said) = refused(&place, &["run"]);
    assert!(code == 2 && said.contains("no file matches") && said.contains("recipe.ron:4"), "{said}");
    std::fs::create_dir(place.path().join("nothing")).unwrap();
    std::fs::write(place.path().join("nothing/a.txt"), " \n").unwrap();
    let (code, said) = refused(&place, &["run"]);
    assert!(code == 2 && said.contains("holds no text"), "{said}");
    assert!(place.runs().is_empty());
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_at_the_last_good_checkpoint() {
    let recipe = small("steps: 200", "").replace("peak: 3e-3", "peak: 1e3").replace("clip: 0.5", "");
    let place = Place::with(&recipe);
    let (code, said) = refused(&place, &["run"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("of step") && said.contains("last good checkpoint") && said.contains("lower `lr.peak`"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn memory_that_cannot_be_had_is_reported_with_what_the_plan_had_promised() {
    let recipe = small("steps: 1", "").replace("micro_batch: 4", "micro_batch: 16384").replace("to: 16,", "to: 16384,");
    let place = Place::with(&recipe);
    place.succeed(&["check"]);
    let program = env!("CARGO_BIN_EXE_cramplan");
    let script = format!("ulimit -v 1500000; exec {program} run");
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(place.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("out of memory") && said.contains("the plan had promised") && said.contains("micro_batch"), "{said}");
}

#[test]
fn init_writes_a_recipe_that_is_feasible_and_never_overwrites() {
    let place = Place::with("mine");
    let (code, said) = refused(&place, &["init"]);
    assert!(code == 2 && said.contains("is there already"), "{said}");
    place.succeed(&["init", "first.ron"]);
    place.succeed(&["check", "first.ron"]);
    assert_eq!(std::fs::read_to_string(place.path().join("recipe.ron")).unwrap(), "mine");
}

#[test]
fn text_in_the_wrong_encoding_is_counted_aloud() {
    let place =
        Place::with(&small("steps: 1", "").replace("Synthetic(4000)", "Text(\"a.txt\")").replace("vocab: 512", "vocab: 64"));
    let mut text = "the quick brown fox jumps over the lazy dog while seven wizards box with five jugs of liquor\n\n"
        .repeat(300)
        .into_bytes();
    text.extend(b"caf\xe9 caf\xe9\n");
    std::fs::write(place.path().join("a.txt"), text).unwrap();
    let output = place.run(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("2 bytes that are not UTF-8 were replaced"), "{said}");
}

/// The events of a trace that take time, by process: name, begin and end in nanoseconds.
fn spans(trace: &serde_json::Value, process: &str) -> Vec<(String, u64, u64)> {
    let all = trace["traceEvents"].as_array().unwrap();
    let named = |e: &&serde_json::Value| e["name"] == "process_name" && e["args"]["name"] == process;
    let pid = &all.iter().find(named).unwrap()["pid"];
    let nanos = |value: &serde_json::Value| (value.as_f64().unwrap() * 1e3).round() as u64;
    let spans = all.iter().filter(|e| e["ph"] == "X" && e["pid"] == *pid);
    spans.map(|e| (e["name"].as_str().unwrap().to_owned(), nanos(&e["ts"]), nanos(&e["ts"]) + nanos(&e["dur"]))).collect()
}

#[test]
fn the_trace_of_a_run_has_the_names_of_its_plan() {
    let place = Place::with(&small("steps: 12", "evaluation: Evaluation(every: 50%, sequences: 16),"));
    let planned: serde_json::Value = serde_json::from_str(&place.succeed(&["plan", "--format", "chrome-trace"])).unwrap();
    place.succeed(&["run"]);
    let run = place.runs().remove(0);
    let observed = json(&run.join("trace.json"));
    for walk in ["first micro-step", "further micro-step", "update", "evaluation"] {
        let (plan, seen) = (spans(&planned, &format!("planned: {walk}")), spans(&observed, &format!("observed: {walk}")));
        let names = |spans: &[(String, u64, u64)]| spans.iter().map(|s| s.0.clone()).collect::<Vec<_>>();
        assert!(!seen.is_empty() && names(&plan) == names(&seen), "{walk}");
        assert!(seen.iter().all(|(_, start, end)| start <= end && *end <= seen[0].2), "{walk}");
    }
    let all = spans(&observed, "observed: run");
    let count = |name: &str| all.iter().filter(|span| span.0 == name).count() as u64;
    let steps = all.iter().filter(|span| span.0.starts_with("step ")).count();
    assert_eq!((steps, count("update"), count("evaluation"), count("checkpoint") > 0), (12, 12, 3, true));
    let recorded: u64 = events(&run, "step").iter().map(|step| step["accumulation"].as_u64().unwrap()).sum();
    assert_eq!(count("first micro-step") + count("further micro-step"), recorded);
}
