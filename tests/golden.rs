//! Schedules, batch ramps and mask counts against what the official code of the paper prints: `golden/schedules.json`.
//!
//! `counting: Official(..)` reproduces all of it; `Exact` agrees wherever whole fake steps and progress meet.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    reason = "a test may panic, and compares exact values"
)]

use std::collections::BTreeSet;

use cramplan::recipe::eval::evaluate_alone;
use cramplan::recipe::resolve;
use cramplan::recipe::schedule::Moment;
use cramplan::recipe::settings::Recipe;
use cramplan::source::SourceId;
use cramplan::syntax::parse;
use serde_json::{Map, Value};

fn golden() -> Map<String, Value> {
    let text = include_str!("golden/schedules.json");
    serde_json::from_str(text).unwrap()
}

/// A recipe with these fields, the others being any.
fn recipe(fields: &str) -> Recipe {
    let given = |field: &str| fields.contains(&format!("{field}:"));
    let rest = [("batch", "batch: Constant(8),"), ("lr", "lr: Constant(1),"), ("objective", "objective: MaskedLm(),")];
    let rest: String = rest.iter().filter(|(field, _)| !given(field)).map(|(_, text)| *text).collect();
    let text = format!(
        "Recipe(name: \"golden\", budget: Budget(time: 24h),
            data: Corpus(sources: [Synthetic(2000)], tokenizer: WordPiece(vocab: 512)),
            model: Encoder(width: 32, depth: 2, heads: 4, sequence: 128, feed_forward: Glu(intermediate: 64)),
            optimizer: AdamW(), {rest} {fields})"
    );
    let (document, _) = parse(SourceId(0), &text);
    let (value, _) = evaluate_alone(&document.unwrap());
    let resolution = resolve(&value, Vec::new());
    resolution.recipe.unwrap_or_else(|| panic!("{text}\n{:#?}", resolution.diagnostics))
}

/// An official schedule by its name.
struct Official<'g> {
    name: &'g str,
    by_budget: bool,
    steps: u64,
    warmup: u64,
    cooldown: u64,
}

impl<'g> Official<'g> {
    /// Of an entry such as `budget-linear/s1000_w100_c100`.
    fn of(key: &'g str) -> Self {
        let (name, numbers) = key.split_once('/').unwrap();
        let numbers: Vec<u64> = numbers.split('_').map(|number| number[1..].parse().unwrap()).collect();
        let [steps, warmup, cooldown] = numbers[..] else { panic!("{key}") };
        Self { name, by_budget: name.starts_with("budget-"), steps, warmup, cooldown }
    }

    /// What it is called here, with warm-up and cooldown written by `portion`.
    fn lr(&self, peak: &str, portion: impl Fn(u64) -> String) -> String {
        let (w, c) = (format!("warmup: {}", portion(self.warmup)), format!("cooldown: {}", portion(self.cooldown)));
        let name = self.name.strip_prefix("budget-").unwrap_or(self.name);
        let (schedule, more) = match (name, self.by_budget) {
            ("polynomial-decay" | "polynomial", false) => ("Polynomial", format!("{w}, end: 0.01%")),
            ("polynomial", true) => ("Polynomial", w),
            ("cosine-decay" | "cosine", _) => ("Cosine", w),
            ("cosine_with_restarts", _) => ("CosineRestarts", format!("{w}, cycles: 1")),
            ("cosine-annealing", _) => ("CosineRestarts", format!("{w}, cycles: 4")),
            ("inv-cosine", _) => ("InverseCosine", c),
            ("inverse-sqrt", _) => ("InverseSqrt", format!("{w}, {c}")),
            ("one-cycle", _) => ("Triangle", String::new()),
            ("multi-cycle", _) => ("MultiCycle", String::new()),
            ("triangle1", _) => ("Triangle", "start: 50%, peak_at: 75%".into()),
            ("triangle2", _) => ("Triangle", "start: 25%, peak_at: 75%".into()),
            ("ramp", _) => ("Ramp", c),
            ("linear", _) => ("Linear", w),
            ("constant_with_warmup", _) => ("Trapezoid", w),
            ("constant", true) => ("Trapezoid", format!("{w}, {c}")),
            ("dive", _) => ("Trapezoid", format!("{w}, cooldown: 50%")),
            ("dive-slow", _) => ("Trapezoid", format!("{w}, cooldown: 75%")),
            ("dive-fast", _) => ("Trapezoid", format!("{w}, cooldown: 25%")),
            ("constant" | "none", false) => return format!("lr: Constant({peak}),"),
            other => panic!("{other:?} has no name here"),
        };
        format!("lr: {schedule}(peak: {peak}, {more}),")
    }

    fn officially(&self, peak: &str) -> Recipe {
        let portion = |n: u64| if n == 0 { "0%".to_owned() } else { format!("Steps({n})") };
        let (steps, by_budget) = (self.steps, self.by_budget);
        recipe(&format!("{} counting: Official(micro_steps: {steps}, by_budget: {by_budget}),", self.lr(peak, portion)))
    }

    fn exactly(&self) -> Recipe {
        recipe(&self.lr("1", |n| format!("{}", n as f64 / self.steps as f64)))
    }
}

/// Progress in the official order: the clock in hours, by minutes, and its share of the budget.
fn progress(seconds: f64, hours: f64) -> f64 {
    seconds / 60.0 / 60.0 / hours
}

/// The moment of a point.
fn moment(point: &Value, hours: f64) -> Moment {
    let step = point["step"].as_u64().unwrap();
    let progress = point["elapsed_s"].as_f64().map_or(0.0, |seconds| progress(seconds, hours));
    Moment { progress, micro_steps: step, steps: step, ..Moment::default() }
}

/// Equal to 1e-12 of the value, or to 1e-15 where that is zero.
fn is_close(ours: f64, golden: f64) -> bool {
    let off = (ours - golden).abs();
    if golden == 0.0 { off <= 1e-15 } else { off <= 1e-12 * golden.abs() }
}

#[test]
fn everything_printed_is_looked_at() {
    let golden = golden();
    let parts: Vec<&str> = golden.keys().map(String::as_str).collect();
    assert_eq!(parts, ["batch_ramp", "lr", "lr_trajectory_budget_triangle2", "masking", "note"]);
    let (mut printed, mut failed, mut noted) = (0, BTreeSet::new(), BTreeSet::new());
    for (key, entry) in golden["lr"].as_object().unwrap() {
        Official::of(key).officially("1");
        match (entry.get("points"), entry.get("error"), entry.get("note")) {
            (Some(points), None, None) => printed += usize::from(!points.as_array().unwrap().is_empty()),
            (None, Some(_), None) => drop(failed.insert(key.as_str())),
            (None, None, Some(_)) => drop(noted.insert(key.as_str())),
            other => panic!("{key}: {other:?}"),
        }
    }
    assert_eq!(failed, FAILED.iter().map(|(key, _)| *key).collect());
    assert_eq!(noted, UNTOUCHED.into_iter().collect());
    assert_eq!((printed, printed + failed.len() + noted.len()), (46, 56));
}

#[test]
fn official_rates_are_those_of_the_official_code() {
    for (key, entry) in golden()["lr"].as_object().unwrap() {
        let official = Official::of(key);
        let (factors, rates) = (official.officially("1"), official.officially("1e-3"));
        for point in entry["points"].as_array().into_iter().flatten() {
            let moment = moment(point, entry["budget_hours"].as_f64().unwrap());
            if let Some(fake) = point.get("fake_step") {
                assert_eq!((moment.progress * official.steps as f64) as u64, fake.as_u64().unwrap(), "{key} {point}");
            }
            for (recipe, what) in [(&factors, "factor"), (&rates, "lr")] {
                let (ours, golden) = (recipe.rate(&moment), point[what].as_f64().unwrap());
                assert!(is_close(ours, golden), "{key}: {ours:?} instead of {point}");
            }
        }
    }
}

#[test]
fn exact_rates_agree_at_the_points_where_both_meet() {
    for (key, entry) in golden()["lr"].as_object().unwrap() {
        let official = Official::of(key);
        let recipe = official.exactly();
        for point in entry["points"].as_array().into_iter().flatten() {
            // The official polynomial decays by micro-steps.
            let fake = if official.name == "budget-polynomial" {
                &point["step"]
            } else {
                point.get("fake_step").unwrap_or(&point["step"])
            };
            let progress = fake.as_f64().unwrap() / official.steps as f64;
            let (ours, golden) = (recipe.rate(&Moment { progress, ..Moment::default() }), point["factor"].as_f64().unwrap());
            if official.name == "budget-cosine-annealing" && progress == 1.0 {
                assert_eq!((ours, golden), (0.0, 1.0));
            } else {
                assert!(is_close(ours, golden), "{key}: {ours:?} instead of {point}");
            }
        }
    }
}

/// The share of the peak at a fake step.
type Factor = fn(f64) -> f64;

/// What fails in the official code, and what it is here, by the fake step of a thousand.
const FAILED: [(&str, Factor); 8] = [
    ("inverse-sqrt/s1000_w0_c0", |s| 1.0 / (s + 1.0).sqrt()),
    ("budget-inverse-sqrt/s1000_w0_c0", |s| 1.0 / (s + 1.0).sqrt()),
    ("budget-dive/s1000_w0_c0", |s| f64::min(1.0, (1000.0 - s) / 500.0)),
    ("budget-dive/s1000_w100_c100", |s| f64::min(s / 100.0, 1.0).min((1000.0 - s) / 500.0)),
    ("budget-dive-slow/s1000_w0_c0", |s| f64::min(1.0, (1000.0 - s) / 750.0)),
    ("budget-dive-slow/s1000_w100_c100", |s| f64::min(s / 100.0, 1.0).min((1000.0 - s) / 750.0)),
    ("budget-dive-fast/s1000_w0_c0", |s| f64::min(1.0, (1000.0 - s) / 250.0)),
    ("budget-dive-fast/s1000_w100_c100", |s| f64::min(s / 100.0, 1.0).min((1000.0 - s) / 250.0)),
];

/// What leaves the learning rate alone.
const UNTOUCHED: [&str; 2] = ["none/s1000_w0_c0", "none/s1000_w100_c100"];

#[test]
fn what_fails_there_works_here() {
    for (key, wanted) in FAILED {
        let recipe = Official::of(key).officially("1");
        for step in 0..=1000 {
            // In the middle of a step, so that rounding down gives it.
            let progress = (step as f64 + 0.5) / 1000.0;
            let ours = recipe.rate(&Moment { progress, micro_steps: step, ..Moment::default() });
            let wanted = wanted(step as f64);
            assert!(is_close(ours, wanted), "{key} {step}: {ours} instead of {wanted}");
        }
    }
    for key in UNTOUCHED {
        assert_eq!(Official::of(key).officially("1e-3").rate(&Moment { progress: 0.7, ..Moment::default() }), 1e-3);
    }
}

#[test]
fn the_trajectory_of_the_paper_s_schedule() {
    let golden = golden();
    let rates = golden["lr_trajectory_budget_triangle2"]["lr"].as_array().unwrap();
    let recipe = recipe("lr: Triangle(peak: 1e-3, start: 25%, peak_at: 75%), counting: Official(micro_steps: 900_000),");
    assert_eq!(rates.len(), 41);
    for (second, golden) in (0u64..).zip(rates) {
        let progress = progress(second as f64, 40.0 / 3600.0);
        let ours = recipe.rate(&Moment { progress, micro_steps: second, ..Moment::default() });
        assert!(is_close(ours, golden.as_f64().unwrap()), "{second}: {ours:?} instead of {golden}");
    }
}

#[test]
fn batch_ramps_are_the_same_to_the_sequence() {
    for (key, entry) in golden()["batch_ramp"].as_object().unwrap() {
        let [steps, to, micro] = ["steps", "batch_size", "effective_mbs"].map(|field| entry[field].as_u64().unwrap());
        let until = match entry["ramp"].as_u64() {
            Some(steps) => format!("Steps({steps})"),
            None => entry["ramp"].to_string(),
        };
        let batch = format!("batch: Ramp(to: {to}, until: {until}), micro_batch: {micro},");
        let (official, exact) = (recipe(&format!("{batch} counting: Official(micro_steps: {steps}),")), recipe(&batch));
        assert_eq!(official.official_batch(&Moment::default(), micro), entry["initial_batch_size"].as_u64().unwrap());
        for point in entry["points"].as_array().unwrap() {
            let moment = moment(point, entry["budget_hours"].as_f64().unwrap());
            let accumulation = official.accumulation(&moment, micro);
            let batch = point["batch_size"].as_u64().unwrap();
            assert_eq!(official.official_batch(&moment, micro), batch, "{key} {point}");
            // Micro-steps are done until there are as many sequences.
            assert_eq!(accumulation, batch.div_ceil(micro), "{key} {point}");
            let expected = point["accumulation_steps_expected"].as_u64().unwrap();
            assert_eq!(official.divisor(&moment, accumulation, micro), expected, "{key} {point}");
            // Exactly, it is one less where whole micro-batches are wanted, and never divided by another number.
            let ours = exact.accumulation(&moment, micro);
            assert!(ours == accumulation || ours + 1 == accumulation, "{key} {point}: {ours}");
            assert_eq!(exact.divisor(&moment, ours, micro), ours);
        }
    }
}

#[test]
fn the_full_batch_of_the_paper_is_86_micro_batches_divided_by_85() {
    let fields = "batch: Ramp(to: 8192, until: 60%), micro_batch: 96, counting: Official(micro_steps: 900_000),";
    let (recipe, moment) = (recipe(fields), Moment { progress: 0.9, micro_steps: 800_000, ..Moment::default() });
    assert_eq!((recipe.accumulation(&moment, 96), recipe.divisor(&moment, 86, 96)), (86, 85));
}

#[test]
fn masks_are_counted_as_the_collator_counts() {
    let golden = golden();
    for row in golden["masking"]["rows"].as_array().unwrap() {
        let [masked, shown, random, kept] = ["masked", "mask_token", "random", "keep"].map(|field| row[field].as_u64().unwrap());
        let objective = format!("objective: MaskedLm(rate: {}),", row["p"]);
        let official = recipe(&format!("{objective} counting: Official(micro_steps: 900_000),"));
        assert_eq!((official.masked(), official.mask_counts()), (masked, Some([shown, random])), "{row}");
        assert_eq!(masked - shown - random, kept, "{row}");
        assert_eq!((recipe(&objective).masked(), recipe(&objective).mask_counts()), (masked, None), "{row}");
    }
}
