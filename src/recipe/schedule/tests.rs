//! What holds for every schedule, whatever its numbers.

use proptest::prelude::*;

use super::{Moment, StageEnd};
use crate::recipe::decode::{Pair, Portion};
use crate::recipe::settings::{Batch, Counting, LearningRate, Recipe};
use crate::recipe::testing::recipe;
use crate::units::{Ratio, Seconds};

const STEPS: u64 = 10_000;

/// The moment at a progress of a run of [`STEPS`] steps of 3 micro-steps, 1000 tokens and 2 seconds.
fn moment(progress: f64) -> Moment {
    let steps = (progress * STEPS as f64).round() as u64;
    Moment { progress, seconds: progress * 2e4, steps, micro_steps: 3 * steps, tokens: 1000 * steps }
}

fn with(lr: LearningRate, counting: Counting) -> Recipe {
    let mut recipe = Recipe { lr, counting, ..recipe() };
    recipe.budget.steps = Some(STEPS);
    (recipe.budget.tokens, recipe.budget.time) = (Some(1000 * STEPS), Some(Seconds(2e4)));
    recipe
}

fn official() -> Counting {
    Counting::Official { micro_steps: 3 * STEPS, by_budget: true }
}

fn ramp(until: Portion, counting: Counting) -> Recipe {
    Recipe { batch: Batch::Ramp { to: 8192, until }, ..with(LearningRate::Constant { rate: 1.0 }, counting) }
}

/// The same part of that run, however it is counted.
fn portion(share: f64) -> impl Strategy<Value = Portion> {
    let steps = (share * STEPS as f64).round().max(1.0) as u64;
    prop_oneof![
        Just(Portion::Share(Ratio(share))),
        Just(Portion::Steps(steps)),
        Just(Portion::Tokens(1000 * steps)),
        Just(Portion::Time(Seconds(2.0 * steps as f64))),
    ]
}

fn schedule() -> impl Strategy<Value = LearningRate> {
    let (peak, share) = (1e-5..1.0f64, 0.0..1.0f64);
    let portions = (0.001..0.5f64, 0.001..0.5f64).prop_flat_map(|(w, c)| (portion(w), portion(c)));
    let points = prop::collection::vec((0.0..1.0f64, 0.0..1.0f64), 1..6).prop_map(|mut points| {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points.into_iter().map(|(x, y)| Pair(x, y)).collect::<Vec<_>>()
    });
    (peak, share, portions, 1..9u64, 0.5..3.0f64, points, 0..12u8).prop_map(
        |(peak, share, (warmup, cooldown), cycles, power, points, kind)| match kind {
            0 => LearningRate::Triangle { peak, start: Ratio(share), peak_at: Ratio(0.05 + share * 0.9) },
            1 => LearningRate::Trapezoid { peak, warmup, cooldown },
            2 => LearningRate::Linear { peak, warmup },
            3 => LearningRate::Cosine { peak, warmup, end: Ratio(share) },
            4 => LearningRate::CosineRestarts { peak, warmup, cycles },
            5 => LearningRate::InverseCosine { peak, cooldown },
            6 => LearningRate::Polynomial { peak, warmup, power, end: Ratio(share) },
            7 => LearningRate::InverseSqrt { peak, warmup, cooldown },
            8 => LearningRate::Ramp { peak, cooldown },
            9 => LearningRate::MultiCycle { peak, cycles },
            10 => LearningRate::Piecewise { peak, points },
            _ => LearningRate::Constant { rate: peak },
        },
    )
}

/// The rate at the end as a share of the peak, where the schedule says it.
fn last(lr: &LearningRate) -> Option<f64> {
    match lr {
        LearningRate::Cosine { end, .. } | LearningRate::Polynomial { end, .. } => Some(end.0),
        LearningRate::Piecewise { points, .. } => points.last().map(|point| point.1),
        LearningRate::Constant { .. } => Some(1.0),
        LearningRate::CosineRestarts { .. } | LearningRate::MultiCycle { .. } => None,
        _ => Some(0.0),
    }
}

proptest! {
    #[test]
    fn rates_are_between_zero_and_the_peak_and_end_where_the_schedule_says(
        lr in schedule(), x in 0.0..1.2f64, counts_officially in any::<bool>(),
    ) {
        let recipe = with(lr.clone(), if counts_officially { official() } else { Counting::Exact {} });
        let rate = recipe.rate(&moment(x));
        prop_assert!((0.0..=lr.peak() * (1.0 + 1e-12)).contains(&rate), "{rate}");
        if let Some(end) = last(&lr) {
            let at_end = recipe.rate(&moment(1.0));
            prop_assert!((at_end - end * lr.peak()).abs() <= 1e-12 * lr.peak(), "{at_end}");
        }
        let restarted = recipe.rate(&moment(1.0));
        let ends = matches!(lr, LearningRate::CosineRestarts { .. }) && !counts_officially;
        prop_assert!(!ends || restarted == 0.0, "{restarted}");
    }

    /// Portions counted in steps would move in steps; as shares, nothing jumps but a cosine that starts again.
    #[test]
    fn schedules_do_not_jump(lr in schedule(), x in 0.0..1.0f64) {
        let share = |portion: Portion| Portion::Share(Ratio(portion.share_of(&with(lr.clone(), official()).budget).unwrap()));
        let shares = match lr.clone() {
            LearningRate::Trapezoid { peak, warmup, cooldown } => LearningRate::Trapezoid { peak, warmup: share(warmup), cooldown: share(cooldown) },
            LearningRate::InverseSqrt { peak, warmup, cooldown } => LearningRate::InverseSqrt { peak, warmup: share(warmup), cooldown: share(cooldown) },
            LearningRate::Linear { peak, warmup } => LearningRate::Linear { peak, warmup: share(warmup) },
            LearningRate::Cosine { peak, warmup, end } => LearningRate::Cosine { peak, warmup: share(warmup), end },
            LearningRate::Polynomial { peak, warmup, power, end } => LearningRate::Polynomial { peak, warmup: share(warmup), power: power.max(1.0), end },
            LearningRate::CosineRestarts { peak, warmup, .. } => LearningRate::CosineRestarts { peak, warmup: share(warmup), cycles: 1 },
            LearningRate::Piecewise { peak, .. } => LearningRate::Piecewise { peak, points: vec![Pair(0.1, 0.3), Pair(0.4, 1.0), Pair(0.9, 0.0)] },
            other => other,
        };
        let recipe = with(shares, Counting::Exact {});
        let (here, there) = (recipe.rate(&moment(x)), recipe.rate(&moment((x + 1e-9).min(1.0))));
        // The steepest is a warm-up over a thousandth.
        prop_assert!((here - there).abs() <= 1e-5 * lr.peak(), "{here} {there}");
    }

    /// A portion means the same however it is counted, as far as the run is one of even steps.
    #[test]
    fn a_portion_means_the_same_however_it_is_counted(share in 0.01..0.5f64, x in 0.0..1.0f64, kind in 0..4usize) {
        let steps = (share * STEPS as f64).round() as u64;
        let counted = [
            Portion::Share(Ratio(steps as f64 / STEPS as f64)),
            Portion::Steps(steps),
            Portion::Tokens(1000 * steps),
            Portion::Time(Seconds(2.0 * steps as f64)),
        ];
        let x = (x * STEPS as f64).round() / STEPS as f64;
        let rate = |portion| {
            let lr = LearningRate::Trapezoid { peak: 1.0, warmup: portion, cooldown: portion };
            let cosine = LearningRate::Cosine { peak: 1.0, warmup: portion, end: Ratio(0.1) };
            [lr, cosine].map(|lr| with(lr, Counting::Exact {}).rate(&moment(x)))
        };
        for (a, b) in rate(counted[0]).into_iter().zip(rate(counted[kind])) {
            prop_assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
        let accumulation = |portion| ramp(portion, Counting::Exact {}).accumulation(&moment(x), 96);
        prop_assert!(accumulation(counted[0]).abs_diff(accumulation(counted[kind])) <= 1);
    }

    #[test]
    fn a_batch_grows_from_one_micro_batch_to_the_full_batch_and_never_shrinks(
        share in 0.01..1.0f64, (x, more) in (0.0..1.0f64, 0.0..1.0f64), micro in 1..300u64, counts_officially in any::<bool>(),
        at in (0.01..1.0f64).prop_flat_map(portion),
    ) {
        for until in [Portion::Share(Ratio(share)), at] {
            let recipe = ramp(until, if counts_officially { official() } else { Counting::Exact {} });
            let accumulation = |x: f64| recipe.accumulation(&moment(x), micro);
            let full = 8192u64.div_ceil(micro);
            prop_assert_eq!((accumulation(0.0), accumulation(1.0)), (1, full));
            prop_assert!(accumulation(x) <= accumulation((x + more).min(1.0)) && accumulation(x) <= full);
            let divisor = recipe.divisor(&moment(x), accumulation(x), micro);
            prop_assert!(divisor == accumulation(x) || counts_officially && divisor + 1 == accumulation(x));
        }
    }
}

fn paper() -> LearningRate {
    LearningRate::Triangle { peak: 1e-3, start: Ratio(0.25), peak_at: Ratio(0.75) }
}

#[test]
fn the_paper_s_triangle_starts_at_a_quarter_peaks_at_three_quarters_and_lands_on_zero() {
    let at = |x| with(paper(), Counting::Exact {}).rate(&moment(x));
    assert_eq!([at(0.0), at(0.75), at(1.0), at(1.5)], [0.25e-3, 1e-3, 0.0, 0.0]);
    assert!((at(0.5) - 0.75e-3).abs() < 1e-18 && (at(0.875) - 0.5e-3).abs() < 1e-18);
}

#[test]
fn a_ramp_is_rounded_up_to_whole_micro_batches_and_officially_one_ahead() {
    let until = Portion::Share(Ratio(0.6));
    let at = |counting: Counting, x| ramp(until, counting).accumulation(&moment(x), 128);
    assert_eq!([0.0, 0.3, 0.31, 0.6, 1.0].map(|x| at(Counting::Exact {}, x)), [1, 32, 34, 64, 64]);
    assert_eq!([0.0, 0.3, 0.31, 0.6, 1.0].map(|x| at(official(), x)), [1, 33, 34, 64, 64]);
}

#[test]
fn a_stage_ends_where_the_accumulation_grows() {
    let shares = ramp(Portion::Share(Ratio(0.6)), Counting::Exact {});
    let counted = ramp(Portion::Time(Seconds(12_000.0)), Counting::Exact {});
    for accumulation in 1..86 {
        let StageEnd::Progress(end) = shares.stage_end(accumulation, 96) else { panic!() };
        assert_eq!(shares.accumulation(&moment(end - 1e-6), 96), accumulation);
        assert_eq!(shares.accumulation(&moment(end + 1e-6), 96), accumulation + 1);
        let StageEnd::Ramped(end) = counted.stage_end(accumulation, 96) else { panic!() };
        assert_eq!(counted.accumulation(&moment(end * 0.6 - 1e-6), 96), accumulation);
        assert_eq!(counted.accumulation(&moment(end * 0.6 + 1e-6), 96), accumulation + 1);
    }
    assert_eq!((shares.stage_end(86, 96), counted.stage_end(86, 96)), (StageEnd::Progress(1.0), StageEnd::Progress(1.0)));
}

#[test]
fn a_step_that_the_budget_cuts_short_is_the_mean_over_what_it_has() {
    let recipe = |counting| Recipe { batch: Batch::Constant { size: 8192 }, ..with(paper(), counting) };
    let divisors = |counting: Counting| [86, 40].map(|n| recipe(counting.clone()).divisor(&moment(0.5), n, 96));
    assert_eq!((divisors(Counting::Exact {}), divisors(official())), ([86, 40], [85, 40]));
}

#[test]
fn a_warm_up_by_the_clock_begins_at_zero_whatever_the_progress() {
    let lr = LearningRate::Linear { peak: 1.0, warmup: Portion::Time(Seconds(10.0)) };
    let recipe = with(lr, Counting::Exact {});
    assert_eq!((recipe.rate(&Moment { seconds: 1.0, ..Moment::default() }), recipe.reads_clock()), (0.1, true));
}

#[test]
fn without_warm_up_the_inverse_square_root_begins_at_the_peak() {
    let lr = LearningRate::InverseSqrt { peak: 1.0, warmup: Portion::Share(Ratio(0.0)), cooldown: Portion::Share(Ratio(0.0)) };
    let recipe = with(lr, Counting::Exact {});
    assert_eq!([0, 3, 99].map(|steps| recipe.rate(&Moment { steps, ..Moment::default() })), [1.0, 0.5, 0.1]);
}
