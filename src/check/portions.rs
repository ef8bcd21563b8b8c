//! Portions of the run that are longer than the run: a warm-up or a batch ramp that the end of the budget cuts off.

use super::Costed;
use crate::diag::{Code, Diagnostic};
use crate::recipe::decode::{Places, Portion};
use crate::recipe::settings::{Batch, Counting};
use crate::units::Tokens;

/// A warning for each.
pub(super) fn never_over(costed: &Costed, places: &Places) -> Vec<Diagnostic> {
    let recipe = &costed.recipe;
    let ramp = if let Batch::Ramp { until, .. } = recipe.batch { Some(until) } else { None };
    // A ramp may end with the run; a warm-up that does leaves nothing to be warmed up for.
    let warmup = recipe.lr.warmup().filter(|warmup| part_of_run(costed, warmup) >= 1.0);
    let ramp = ramp.filter(|ramp| part_of_run(costed, ramp) > 1.0);
    let warmup = warmup.map(|warmup| {
        let message = "the warm-up is not over before the budget ends";
        said(costed, places, "lr.warmup", &warmup, message)
            .help("the peak is never reached; a share such as `warmup: 6%` fits every budget")
    });
    let ramp = ramp.map(|ramp| {
        let message = "the batch ramp is not over before the budget ends";
        said(costed, places, "batch.until", &ramp, message)
            .help("the full batch is never reached; a share such as `until: 60%` fits every budget")
    });
    warmup.into_iter().chain(ramp).collect()
}

/// How much of the run a portion is: of the budget where that limits the same, else of the run as it is estimated.
fn part_of_run(costed: &Costed, portion: &Portion) -> f64 {
    let (recipe, run) = (&costed.recipe, &costed.estimate.run);
    if let (Counting::Official { micro_steps: all, .. }, Portion::Steps(n)) = (&recipe.counting, portion) {
        return *n as f64 / *all as f64;
    }
    portion.share_of(&recipe.budget).unwrap_or_else(|| match portion {
        Portion::Share(share) => share.0,
        Portion::Steps(n) => *n as f64 / run.steps.max(1) as f64,
        Portion::Tokens(n) => *n as f64 / run.tokens.0.max(1) as f64,
        Portion::Time(time) => time.0 / run.seconds.0.max(f64::MIN_POSITIVE),
    })
}

fn said(costed: &Costed, places: &Places, field: &str, portion: &Portion, message: &str) -> Diagnostic {
    let run = &costed.estimate.run;
    let (long, whole) = match portion {
        Portion::Share(share) => (share.to_string(), "of the budget".to_owned()),
        Portion::Steps(n) => (format!("{n} steps"), format!("about {} steps", run.steps)),
        Portion::Tokens(n) => (format!("{} tokens", Tokens(*n)), format!("about {} tokens", run.tokens)),
        Portion::Time(time) => (time.to_string(), format!("about {}", run.seconds)),
    };
    Diagnostic::warning(Code::NeverOver, places.of(field), message).here(long).and(places.of("budget"), whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::cost;
    use crate::recipe::settings::LearningRate;
    use crate::units::{Ratio, Seconds};

    fn warned(warmup: Portion, ramp: Portion) -> usize {
        let mut recipe = crate::recipe::testing::recipe();
        recipe.lr = LearningRate::Linear { peak: 1e-3, warmup };
        recipe.batch = Batch::Ramp { to: 8, until: ramp };
        let device = crate::device::find("rtx-a6000").unwrap();
        never_over(&cost(&recipe, &device), &Places::default()).len()
    }

    #[test]
    fn what_is_longer_than_the_run_is_warned_about() {
        let tenth = Portion::Share(Ratio(0.1));
        assert_eq!(warned(tenth, Portion::Share(Ratio(1.0))), 0);
        assert_eq!(warned(Portion::Steps(19), Portion::Steps(20)), 0);
        assert_eq!(warned(Portion::Steps(20), Portion::Steps(21)), 2);
        assert_eq!(warned(Portion::Share(Ratio(1.0)), tenth), 1);
        assert_eq!(warned(Portion::Tokens(1_000_000), Portion::Time(Seconds(1e6))), 2);
    }
}
