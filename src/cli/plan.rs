//! `cramplan plan`

use std::path::Path;

use super::arguments::{Choice, Plan as Options, PlanFormat};
use super::inventory::Inventory;
use super::{Exit, check, print, print_json, render, say, verdict, world};
use crate::check::Costed;
use crate::ledger::write_durably;
use crate::pipeline::Verdict;
use crate::plan::certificate::content;
use crate::plan::view::{peak, picture, planned};
use crate::plan::{self, Facts, Plan};
use crate::recipe::settings::Recipe;
use crate::verify::format::{Certificate, Content};

/// Shows, saves and compares plans. What fills the memory is shown of a recipe that does not fit, too.
pub fn plan(options: &Options) -> Exit {
    let inventory = match Inventory::load() {
        Ok(inventory) => inventory,
        Err(broken) => return broken.refuse(options.format == PlanFormat::Json),
    };
    if let Some([a, b]) = options.diff.as_deref() {
        return compare(options, &inventory, a, b);
    }
    if options.explain_peak && !matches!(options.format, PlanFormat::Tree | PlanFormat::Json) {
        super::complain("`--explain-peak` is a text, or JSON with `--format json`");
        say("help: leave one of the two options out");
        return Exit::Invalid;
    }
    let compilation = match world::compile_choice(&options.choice, &inventory) {
        Ok(compilation) => compilation,
        Err(unreadable) => {
            return unreadable.refuse(options.format == PlanFormat::Json);
        }
    };
    render::show(&compilation.diagnostics, &compilation.sources);
    check::say_unknown_card(&inventory, &options.choice);
    let exit = check::exit(&compilation);
    let viewed = compilation.verdict.as_ref().is_some_and(|verdict| view(verdict.costed(), options));
    if !viewed && exit != Exit::Success && options.format == PlanFormat::Json {
        print_json(&verdict::json(&compilation));
    }
    let Some(Verdict::Feasible(feasible)) = compilation.verdict else { return exit };
    if let Some(path) = options.out.as_deref().filter(|path| is_something_else(path)) {
        super::complain(&format!("`{}` is there already and is no saved plan; it was left as it is", path.display()));
        say("help: save the plan under another name, or remove that file first");
        return Exit::Invalid;
    }
    if viewed && options.out.is_none() {
        return Exit::Success;
    }
    let origin = world::origin(&options.choice.recipe, &options.choice.set);
    let mut facts = world::facts(&feasible.costed().device);
    if options.out.is_some() {
        facts.data = prepared_text(&feasible.costed().recipe, &origin.base, &options.cache);
    }
    let plan = plan::lower(*feasible, origin, facts);
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

/// Whether a file is there that is no saved plan.
fn is_something_else(path: &Path) -> bool {
    match world::read_text(path) {
        Ok(text) => !world::is_plan(&text),
        Err(error) => error.kind() == std::io::ErrorKind::InvalidData,
    }
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

/// The key of the recipe's text where it was prepared before; the text's files are read for it, so a plan that is only shown has none.
#[cfg(feature = "exec")]
fn prepared_text(recipe: &Recipe, base: &str, cache: &Path) -> Option<String> {
    let prepared = |key: &String| cache.join(key).is_dir();
    let spec = crate::exec::corpus::corpus_spec(recipe, base);
    if cache.is_dir() { crate::data::key(&spec).ok().filter(prepared) } else { None }
}

#[cfg(not(feature = "exec"))]
fn prepared_text(_recipe: &Recipe, _base: &str, _cache: &Path) -> Option<String> {
    None
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

fn compare(options: &Options, inventory: &Inventory, a: &Path, b: &Path) -> Exit {
    let (a, b) = match (side(options, inventory, a), side(options, inventory, b)) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    let difference = plan::difference(&a, &b);
    match options.format {
        PlanFormat::Tree => print(&difference.text()),
        PlanFormat::Json => print_json(&difference.json()),
        PlanFormat::Dot | PlanFormat::Svg | PlanFormat::ChromeTrace => {
            super::complain("a comparison is a text, or JSON");
            say("help: leave `--format` out, or say `--format json`");
            return Exit::Invalid;
        }
    }
    Exit::Success
}

/// What a side of a comparison states: a saved plan as it was saved, a recipe as it would be planned now, feasible or not.
fn side(options: &Options, inventory: &Inventory, path: &Path) -> Result<Content<Recipe>, Exit> {
    let text = world::read_text(path).unwrap_or_default();
    if world::is_plan(&text) {
        return Certificate::read(&text).map(|c| c.content).map_err(|why| {
            super::complain(&format!("`{}` is no plan that can be compared: {why}", path.display()));
            say("help: plan anew with `cramplan plan RECIPE --out FILE`");
            Exit::Invalid
        });
    }
    let choice = Choice { recipe: path.to_owned(), ..options.choice.clone() };
    let as_json = options.format == PlanFormat::Json;
    let compilation = world::compile_choice(&choice, inventory).map_err(|unreadable| unreadable.refuse(as_json))?;
    render::show(&compilation.diagnostics, &compilation.sources);
    let exit = check::exit(&compilation);
    let verdict = compilation.verdict.ok_or(exit)?;
    let costed = verdict.costed();
    let facts = Facts { data: None, ..world::facts(&costed.device) };
    Ok(content(&costed.recipe, &costed.device, &costed.graphs(), &costed.estimate, &facts))
}
