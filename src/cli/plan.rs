//! `cramplan plan`

use super::arguments::{Plan as Options, PlanFormat};
use super::{Exit, check, print, print_json, render, say, verdict, world};
use crate::check::Costed;
use crate::ledger::write_durably;
use crate::pipeline::Verdict;
use crate::plan::view::{peak, picture, planned};
use crate::plan::{self, Plan};

/// Shows and saves the plan of a recipe. What fills the memory is shown of a recipe that does not fit, too.
pub fn plan(options: &Options) -> Exit {
    if options.explain_peak && !matches!(options.format, PlanFormat::Tree | PlanFormat::Json) {
        super::complain("`--explain-peak` is a text, or JSON with `--format json`");
        say("help: leave one of the two options out");
        return Exit::Invalid;
    }
    let compilation = match world::compile_choice(&options.choice, world::machine()) {
        Ok(compilation) => compilation,
        Err(unreadable) => {
            return unreadable.refuse(options.format == PlanFormat::Json);
        }
    };
    render::show(&compilation.diagnostics, &compilation.sources);
    let exit = check::exit(&compilation);
    let viewed = compilation.verdict.as_ref().is_some_and(|verdict| view(verdict.costed(), options));
    if !viewed && exit != Exit::Success && options.format == PlanFormat::Json {
        print_json(&verdict::json(&compilation));
    }
    let Some(Verdict::Feasible(feasible)) = compilation.verdict else { return exit };
    if viewed && options.out.is_none() {
        return Exit::Success;
    }
    let plan = plan::lower(*feasible, &world::base(&options.choice.recipe));
    if let Some(path) = &options.out {
        if let Err(error) = write_durably(path, plan.save().as_bytes()) {
            super::complain(&format!("`{}` cannot be written: {error}", path.display()));
            say("help: name a file in a directory that is there and that you may write to");
            return Exit::Invalid;
        }
        say(&format!("saved to `{0}`; run it with `cramplan run {0}`", path.display()));
    }
    if !viewed {
        show(&plan, options.format);
    }
    Exit::Success
}

/// Prints a view of memory and time where one is asked for.
fn view(costed: &Costed, options: &Options) -> bool {
    match options.format {
        PlanFormat::Json if options.explain_peak => print_json(&peak::json(costed)),
        PlanFormat::Tree if options.explain_peak => print(&peak::text(costed)),
        PlanFormat::Svg => print(&picture::svg(costed)),
        PlanFormat::ChromeTrace => print(&planned::trace(costed).finish()),
        PlanFormat::Tree | PlanFormat::Json | PlanFormat::Dot => return false,
    }
    true
}

fn show(plan: &Plan, format: PlanFormat) {
    match format {
        PlanFormat::Tree => print(&plan::tree(plan)),
        PlanFormat::Json => print_json(&plan::json(plan)),
        PlanFormat::Dot => print(&plan::dot(plan)),
        // Shown before there is a plan.
        PlanFormat::Svg | PlanFormat::ChromeTrace => {}
    }
}
