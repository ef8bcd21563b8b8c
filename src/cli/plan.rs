//! `cramplan plan`

use super::arguments::{Plan as Options, PlanFormat};
use super::inventory::Inventory;
use super::{Exit, check, print, print_json, render, say, verdict, world};
use crate::ledger::write_durably;
use crate::pipeline::Verdict;
use crate::plan::{self, Plan};

/// Shows and saves the plan of a recipe.
pub fn plan(options: &Options) -> Exit {
    let inventory = match Inventory::load() {
        Ok(inventory) => inventory,
        Err(broken) => return broken.refuse(options.format == PlanFormat::Json),
    };
    let compilation = match world::compile_choice(&options.choice, &inventory) {
        Ok(compilation) => compilation,
        Err(unreadable) => {
            return unreadable.refuse(options.format == PlanFormat::Json);
        }
    };
    render::show(&compilation.diagnostics, &compilation.sources);
    check::say_unknown_card(&inventory, &options.choice);
    let exit = check::exit(&compilation);
    let broken = verdict::json(&compilation);
    let Some(Verdict::Feasible(feasible)) = compilation.verdict else {
        if options.format == PlanFormat::Json {
            print_json(&broken);
        }
        return exit;
    };
    let plan = plan::lower(*feasible, &world::base(&options.choice.recipe));
    if let Some(path) = &options.out {
        if let Err(error) = write_durably(path, plan.save().as_bytes()) {
            super::complain(&format!("`{}` cannot be written: {error}", path.display()));
            say("help: name a file in a directory that is there and that you may write to");
            return Exit::Invalid;
        }
        say(&format!("saved to `{0}`; run it with `cramplan run {0}`", path.display()));
    }
    show(&plan, options.format);
    Exit::Success
}

fn show(plan: &Plan, format: PlanFormat) {
    match format {
        PlanFormat::Text => print(&plan::tree(plan)),
        PlanFormat::Json => print_json(&plan::json(plan)),
        PlanFormat::Dot => print(&plan::dot(plan)),
    }
}
