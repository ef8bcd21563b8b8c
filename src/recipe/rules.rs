//! Rules between fields: what no single field's range can say.

use super::decode::{Interval, MicroBatch, Places, Portion};
use super::settings::{Batch, Counting, FeedForward, LearningRate, Positions, Prediction, Recipe};
use crate::diag::{Code, Diagnostic};

/// A rule and the fields that it needs: where one of them could not be read, the rule is silent.
struct Rule {
    needs: &'static [&'static str],
    check: fn(&Recipe, &Places) -> Option<Diagnostic>,
}

const fn rule(needs: &'static [&'static str], check: fn(&Recipe, &Places) -> Option<Diagnostic>) -> Rule {
    Rule { needs, check }
}

/// Every rule, in the order of its report.
const RULES: [Rule; 16] = [
    rule(&["name"], name_is_a_directory),
    rule(&["budget"], some_budget),
    rule(&["data.sources"], some_source),
    rule(&["model.width", "model.heads"], heads_divide_width),
    rule(&["model.feed_forward"], halves_are_whole),
    rule(&["model.width", "model.heads", "model.positions"], heads_have_halves),
    rule(&["model.sequence", "model.positions"], table_holds_the_sequence),
    rule(&["objective.rate", "model.sequence"], something_is_masked),
    rule(&["objective"], predicts_what_is_masked),
    rule(&["micro_batch", "batch"], micro_batch_within_batch),
    rule(&["micro_batch", "batch"], micro_batch_divides_batch),
    rule(&["micro_batch", "batch"], batch_has_divisors),
    rule(&["evaluation.every", "budget"], evaluated_within_budget),
    rule(&["checkpoint.every", "budget"], saved_within_budget),
    rule(&["lr", "budget", "counting"], cooldown_is_foreseen),
    rule(&["lr"], points_ascend),
];

/// Applies every rule whose fields are known.
pub fn check(recipe: &Recipe, places: &Places) -> Vec<Diagnostic> {
    let known = |rule: &&Rule| rule.needs.iter().all(|path| places.is_known(path));
    RULES.iter().filter(known).filter_map(|rule| (rule.check)(recipe, places)).collect()
}

fn name_is_a_directory(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let name = &recipe.name;
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && !name.starts_with('.') && name.len() <= 100 && name.chars().all(allowed) {
        return None;
    }
    Some(
        Diagnostic::error(Code::BadName, places.of("name"), format!("`{name}` cannot name a directory"))
            .help("use letters, digits, `-`, `_` and `.`, at most 100 of them, and no leading `.`"),
    )
}

fn some_budget(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let b = &recipe.budget;
    if b.time.is_some() || b.tokens.is_some() || b.steps.is_some() || b.flops.is_some() {
        return None;
    }
    Some(
        Diagnostic::error(Code::NoBudget, places.of("budget"), "the budget has no limit, so the run would never end")
            .here("no limit")
            .help("give `time`, `tokens`, `steps` or `flops`, for example `Budget(time: 24h)`"),
    )
}

fn some_source(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    recipe.data.sources.is_empty().then(|| {
        Diagnostic::error(Code::NoSource, places.of("data.sources"), "there is nothing to read")
            .help("name a file, `[Text(\"corpus/*.txt\")]`, or the built-in language, `[Synthetic(sentences: 200_000)]`")
    })
}

fn heads_divide_width(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let (width, heads) = (recipe.model.width, recipe.model.heads);
    if width.is_multiple_of(heads) {
        return None;
    }
    let divisors = nearest_divisors(width, heads);
    let near: Vec<String> = divisors.iter().map(|h| format!("`heads: {h}`")).collect();
    let place = places.of("model.heads");
    let diagnostic = Diagnostic::error(Code::HeadsDivideWidth, place, "`heads` must divide `width`")
        .here(format!("{width} / {heads} leaves {}", width % heads))
        .and(places.of("model.width"), format!("width {width}"))
        .help(format!("{} would do", near.join(" or ")));
    Some(divisors.iter().fold(diagnostic, |d, h| d.fix(format!("write `heads: {h}`"), false, place, h.to_string())))
}

/// The nearest divisors of `n` below and above `d`.
fn nearest_divisors(n: u64, d: u64) -> Vec<u64> {
    let below = (1..d.min(n)).rev().find(|h| n.is_multiple_of(*h));
    let above = (d + 1..=n).find(|h| n.is_multiple_of(*h));
    below.into_iter().chain(above).collect()
}

fn halves_are_whole(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let FeedForward::Glu { intermediate, .. } = recipe.model.feed_forward else { return None };
    (intermediate % 2 == 1).then(|| {
        Diagnostic::error(
            Code::OddIntermediate,
            places.of("model.feed_forward.intermediate"),
            "`intermediate` must be even: it holds value and gate",
        )
        .here(format!("{intermediate} has no half"))
        .help(format!("`intermediate: {}` would do", intermediate + 1))
    })
}

/// A rotation turns the first half of a head against its second.
fn heads_have_halves(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let (width, heads) = (recipe.model.width, recipe.model.heads);
    // That they do not divide the width is another mistake.
    if recipe.model.allows_heads(heads) || !width.is_multiple_of(heads) {
        return None;
    }
    Some(
        Diagnostic::error(
            Code::OddHead,
            places.of("model.positions"),
            "`Rotary` turns pairs of columns, and a head has an odd number",
        )
        .here("needs heads of an even width")
        .and(places.of("model.heads"), format!("{width} / {heads} = {}", width / heads))
        .help("choose `heads` so that `width / heads` is even, or other positions"),
    )
}

fn table_holds_the_sequence(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let Positions::Learned { length: Some(length) } = recipe.model.positions else { return None };
    let sequence = recipe.model.sequence;
    (length < sequence).then(|| {
        let place = places.of("model.positions.length");
        Diagnostic::error(Code::ShortTable, place, "the table of positions is shorter than the sequence")
            .here(format!("{length} places"))
            .and(places.of("model.sequence"), format!("{sequence} tokens"))
            .help(format!("`length: {sequence}` is the least; leave it out for as many as the sequence has"))
    })
}

fn something_is_masked(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let (rate, sequence) = (recipe.objective.rate, recipe.model.sequence);
    (rate.of(sequence) == 0).then(|| {
        // A quarter of a percent was meant to be a quarter.
        let hundredfold = rate.0 * 100.0;
        let meant = if (0.05..1.0).contains(&hundredfold) {
            format!("did you mean `{}%`? ", (hundredfold * 1e4).round() / 100.0)
        } else {
            String::new()
        };
        Diagnostic::error(Code::NothingMasked, places.of("objective.rate"), "no token of a sequence would be masked")
            .here(format!("{rate} of {sequence} tokens rounds to none"))
            .and(places.of("model.sequence"), format!("{sequence} tokens"))
            .help(format!("{meant}a rate of at least {:.2}% masks one", 100.0 / sequence as f64))
    })
}

fn predicts_what_is_masked(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let Prediction::Sparse { share: Some(share) } = recipe.objective.prediction else { return None };
    let rate = recipe.objective.rate;
    (share.0 < rate.0).then(|| {
        Diagnostic::warning(
            Code::MaskedUnpredicted,
            places.of("objective.prediction.share"),
            "fewer positions are predicted than masked",
        )
        .here(format!("{share} predicted"))
        .and(places.of("objective.rate"), format!("{rate} masked"))
        .help("masked positions beyond the share carry no loss; leave `share` out to predict them all")
    })
}

fn micro_batch_divides_batch(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let MicroBatch::Fixed(micro) = recipe.micro_batch else { return None };
    let full = recipe.full_batch();
    if full.is_multiple_of(micro) || micro > full {
        return None;
    }
    let field = batch_field(recipe);
    Some(
        Diagnostic::warning(Code::BatchRoundedUp, places.of("micro_batch"), "the batch is not a whole number of micro-batches")
            .here(format!("{micro} sequences a micro-batch"))
            .and(places.of(field), format!("{full} sequences"))
            .help(format!("it is rounded up to {} sequences a step", full.div_ceil(micro) * micro)),
    )
}

fn batch_field(recipe: &Recipe) -> &'static str {
    if matches!(recipe.batch, Batch::Ramp { .. }) { "batch.to" } else { "batch.size" }
}

fn micro_batch_within_batch(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let MicroBatch::Fixed(micro) = recipe.micro_batch else { return None };
    let full = recipe.full_batch();
    (micro > full).then(|| {
        Diagnostic::error(Code::MicroBatchExceedsBatch, places.of("micro_batch"), "a micro-batch cannot be larger than the batch")
            .here(format!("{micro} sequences a micro-batch"))
            .and(places.of(batch_field(recipe)), format!("{full} sequences"))
            .help(format!("`micro_batch: {full}` is the largest, `Auto` takes the fastest that fits"))
    })
}

/// `Auto` takes a divisor of the batch; a batch that has none but small ones would be trained in tiny pieces.
fn batch_has_divisors(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    const FEW: u64 = 8;
    const MANY: u64 = 4096;
    let full = recipe.full_batch();
    let has_some = (FEW..=full.min(MANY)).any(|b| full.is_multiple_of(b));
    if recipe.micro_batch != MicroBatch::Auto || full <= FEW || has_some {
        return None;
    }
    let near = full.div_ceil(64) * 64;
    Some(
        Diagnostic::warning(Code::BatchWithoutDivisors, places.of(batch_field(recipe)), "no fair micro-batch divides this batch")
            .here(format!("{full} has no divisor from {FEW} to {MANY}"))
            .help(format!("a batch of {near} can be trained in larger pieces, and faster")),
    )
}

fn evaluated_within_budget(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    due_within_budget(recipe, recipe.evaluation.every, places, "evaluation.every", "evaluation")
}

fn saved_within_budget(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    due_within_budget(recipe, recipe.checkpoint.every, places, "checkpoint.every", "checkpoint")
}

/// An interval that is longer than the budget: what it times happens at the end only.
fn due_within_budget(recipe: &Recipe, every: Interval, places: &Places, field: &str, what: &str) -> Option<Diagnostic> {
    let budget = &recipe.budget;
    let (interval, limit, limited) = match (every, budget.time, budget.steps) {
        (Interval::Time(every), Some(time), _) if every > time => (every.to_string(), time.to_string(), "budget.time"),
        (Interval::Steps(every), _, Some(steps)) if every > steps => {
            (format!("{every} steps"), format!("{steps} steps"), "budget.steps")
        }
        _ => return None,
    };
    // The default of ten minutes is nobody's mistake.
    if !places.is_written(field) {
        return None;
    }
    Some(
        Diagnostic::warning(Code::NeverDue, places.of(field), format!("no {what} is due before the budget ends"))
            .here(format!("every {interval}"))
            .and(places.of(limited), limit)
            .help(format!("the end always has one; for more, write a share of the budget such as `{field}: 20%`")),
    )
}

/// When a cooldown has to begin must be known before the run is over.
fn cooldown_is_foreseen(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let cooldown = recipe.lr.cooldown()?;
    let official_steps = matches!((cooldown, &recipe.counting), (Portion::Steps(_), Counting::Official { .. }));
    if official_steps || cooldown.share_of(&recipe.budget).is_some() {
        return None;
    }
    let (long, limit) = match cooldown {
        Portion::Share(_) => return None,
        Portion::Steps(n) => (format!("{n} steps"), "steps"),
        Portion::Tokens(n) => (format!("{n} tokens"), "tokens"),
        Portion::Time(time) => (time.to_string(), "time"),
    };
    let message = format!("the budget has no limit of `{limit}`, so nothing tells when this cooldown begins");
    Some(
        Diagnostic::error(Code::CooldownUnforeseen, places.of("lr.cooldown"), message)
            .here(long)
            .and(places.of("budget"), format!("no `{limit}`"))
            .help(format!("write a share of the budget such as `cooldown: 10%`, or limit `budget.{limit}`")),
    )
}

fn points_ascend(recipe: &Recipe, places: &Places) -> Option<Diagnostic> {
    let LearningRate::Piecewise { points, .. } = &recipe.lr else { return None };
    let found = |message: &str| Diagnostic::error(Code::SchedulePoints, places.of("lr.points"), message);
    if points.is_empty() {
        let example = "write some: `[(0%, 0%), (10%, 100%), (100%, 0%)]` goes up to the peak and down to zero";
        return Some(found("a piecewise schedule needs a point").help(example));
    }
    let falls = points.windows(2).find_map(|pair| if let [a, b] = pair { (a.0 > b.0).then_some((a.0, b.0)) } else { None });
    falls.map(|(a, b)| {
        let percent = |x: f64| format!("{}%", (x * 1e10).round() / 1e8);
        found("points stand in the order of progress").here(format!("{} after {}", percent(b), percent(a))).help("sort them")
    })
}

#[cfg(test)]
mod tests {
    use super::super::decode::Pair;
    use super::super::testing::recipe;
    use super::*;

    fn codes(change: impl FnOnce(&mut Recipe)) -> Vec<&'static str> {
        let mut recipe = recipe();
        change(&mut recipe);
        check(&recipe, &Places::default()).iter().map(|d| d.code.as_str()).collect()
    }

    #[test]
    fn each_rule_finds_its_own_breach_and_no_other() {
        assert!(codes(|_| ()).is_empty());
        assert_eq!(codes(|r| r.name = "a/b".into()), ["bad-name"]);
        assert_eq!(codes(|r| r.budget.steps = None), ["no-budget"]);
        assert_eq!(codes(|r| r.data.sources.clear()), ["no-source"]);
        assert_eq!(codes(|r| r.model.heads = 5), ["heads-divide-width"]);
        assert_eq!(codes(|r| r.model.feed_forward = r.model.feed_forward.with_intermediate(65)), ["odd-intermediate"]);
        let rotary = |r: &mut Recipe| (r.model.width, r.model.positions) = (36, Positions::Rotary { theta: 1e4 });
        assert_eq!(codes(rotary), ["odd-head"]);
        assert_eq!(codes(|r| r.model.positions = Positions::Learned { length: Some(15) }), ["short-table"]);
        assert_eq!(codes(|r| r.objective.rate.0 = 0.01), ["nothing-masked"]);
        assert_eq!(
            codes(|r| r.objective.prediction = Prediction::Sparse { share: Some(crate::units::Ratio(0.1)) }),
            ["masked-unpredicted"]
        );
        assert_eq!(codes(|r| r.micro_batch = MicroBatch::Fixed(3)), ["batch-rounded-up"]);
        assert_eq!(codes(|r| r.micro_batch = MicroBatch::Fixed(9)), ["micro-batch-exceeds-batch"]);
        let lr = |lr| move |r: &mut Recipe| r.lr = lr;
        let cooled = |cooldown| lr(LearningRate::Ramp { peak: 1e-3, cooldown });
        assert_eq!((codes(cooled(Portion::Tokens(9))), codes(cooled(Portion::Steps(9))).len()), (vec!["cooldown-unforeseen"], 0));
        let points = |points| lr(LearningRate::Piecewise { peak: 1e-3, points });
        assert_eq!(
            (codes(points(vec![])), codes(points(vec![Pair(0.5, 0.0), Pair(0.4, 0.0)]))),
            (vec!["schedule-points"], vec!["schedule-points"])
        );
        let batch = |size| move |r: &mut Recipe| (r.batch, r.micro_batch) = (Batch::Constant { size }, MicroBatch::Auto);
        assert_eq!((codes(batch(4099)), codes(batch(4096)).len()), (vec!["batch-without-divisors"], 0));
    }

    #[test]
    fn divisors_are_offered_on_both_sides() {
        assert_eq!(nearest_divisors(768, 10), [8, 12]);
    }
}
