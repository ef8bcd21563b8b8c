//! The stages strung together: text in, verdict out. This is the only place that knows their order.
//!
//! Invariant: nothing here touches files, the clock or the environment; the world comes in as [`Inputs`].

use crate::check::{self, Costed, Feasible};
use crate::device::{self, Device};
use crate::diag::{Code, Diagnostic};
use crate::recipe::decode::Places;
use crate::recipe::eval;
use crate::recipe::settings::Recipe;
use crate::recipe::suggest::nearest;
use crate::recipe::value::Value;
use crate::source::{SourceId, Sources, Span};
use crate::syntax;

/// Reads an imported recipe: (path as written, name of the importing source) → (name, text), or why not.
pub type Read<'a> = dyn FnMut(&str, &str) -> Result<(String, String), String> + 'a;

/// What a compilation needs of the world.
pub struct Inputs<'a> {
    /// Name and text of the recipe.
    pub entry: (String, String),
    /// Reads imports.
    pub read: &'a mut Read<'a>,
    /// `path=value` texts that replace fields of the recipe.
    pub overrides: &'a [String],
    /// The device of this machine.
    pub machine: Device,
    /// The device asked for on the command line; it takes precedence over the recipe's.
    pub asked: Option<String>,
}

/// A recipe and where its fields come from.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The recipe.
    pub recipe: Recipe,
    /// Where its fields stand.
    pub places: Places,
}

/// Whether a recipe can be run.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It can.
    Feasible(Box<Feasible>),
    /// It cannot; the diagnostics say why.
    Infeasible(Box<Costed>),
}

impl Verdict {
    /// What it costs, either way.
    pub fn costed(&self) -> &Costed {
        match self {
            Self::Feasible(feasible) => feasible.costed(),
            Self::Infeasible(costed) => costed,
        }
    }
}

/// All that came of a compilation.
#[derive(Debug)]
pub struct Compilation {
    /// Every text that was read.
    pub sources: Sources,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// Where the recipe's fields stand; absent where it is not valid.
    pub places: Option<Places>,
    /// The verdict; absent where the recipe is not valid.
    pub verdict: Option<Verdict>,
}

/// Compiles a recipe down to its verdict.
pub fn compile(inputs: Inputs<'_>) -> Compilation {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let Inputs { entry, read, overrides, machine, asked } = inputs;
    let resolved = resolve(entry, read, overrides, &mut sources, &mut diagnostics);
    let device = resolved.as_ref().and_then(|r| choose_device(r, machine, asked, &mut sources, &mut diagnostics));
    let places = resolved.as_ref().map(|r| r.places.clone());
    let verdict = resolved.zip(device).map(|(Resolved { recipe, places }, device)| {
        match check::judge(check::cost(&recipe, &device), &places) {
            Ok(feasible) => Verdict::Feasible(Box::new(feasible)),
            Err(infeasible) => {
                let (costed, reasons) = *infeasible;
                diagnostics.extend(reasons);
                Verdict::Infeasible(Box::new(costed))
            }
        }
    });
    Compilation { sources, diagnostics, places, verdict }
}

/// Text to recipe: parse, evaluate with imports, apply the overrides, decode.
fn resolve(
    (name, text): (String, String),
    read: &mut Read<'_>,
    overrides: &[String],
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Resolved> {
    let id = sources.add(name, text.as_str());
    let (document, errors) = syntax::parse(id, &text);
    diagnostics.extend(errors);
    let document = document.filter(|_| !any_error(diagnostics))?;
    let mut load = |path: &str, from: SourceId| {
        let importer = sources.get(from).map_or(String::new(), |s| s.name.clone());
        let (name, text) = read(path, &importer)?;
        // One id for each file, however often it is imported: a cycle is seen by it.
        let id = sources.find(&name).unwrap_or_else(|| sources.add(name, text.as_str()));
        let (document, errors) = syntax::parse(id, &text);
        document.map(|document| (document, errors)).ok_or_else(|| format!("`{path}` is empty"))
    };
    let (mut value, errors) = eval::evaluate(&document, &mut load);
    diagnostics.extend(errors);
    for text in overrides {
        if let Err(found) = apply(text, &mut value, sources) {
            diagnostics.extend(found);
        }
    }
    if any_error(diagnostics) {
        return None;
    }
    let resolution = crate::recipe::resolve(&value);
    diagnostics.extend(resolution.diagnostics);
    Some(Resolved { recipe: resolution.recipe?, places: resolution.places })
}

fn any_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// Applies one `path=value`.
fn apply(text: &str, value: &mut Value, sources: &mut Sources) -> Result<(), Vec<Diagnostic>> {
    let id = sources.add("--set", text);
    let whole = Span::new(id, 0, text.len());
    let Some(equals) = text.find('=') else {
        let help = "write `--set model.depth=8`, a dotted path and a value";
        return Err(vec![Diagnostic::error(Code::BadOverride, whole, "an override is a path, `=` and a value").help(help)]);
    };
    // Blanks in place of the path keep the spans right.
    let padded = " ".repeat(equals + 1) + &text[equals + 1..];
    let (expression, errors) = syntax::parse_expression(id, &padded);
    let Some(expression) = expression.filter(|_| !any_error(&errors)) else { return Err(errors) };
    let (new, errors) = eval::evaluate_expression(&expression);
    if any_error(&errors) {
        return Err(errors);
    }
    eval::set(value, text[..equals].trim(), new, Span::new(id, 0, equals)).map_err(|e| vec![e])
}

/// The device to plan for: the one asked for, else the recipe's, else this machine's.
fn choose_device(
    resolved: &Resolved,
    machine: Device,
    asked: Option<String>,
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Device> {
    let (name, span) = match (asked, &resolved.recipe.budget.device) {
        (Some(name), _) => {
            let id = sources.add("--for", name.as_str());
            let span = Span::new(id, 0, name.len());
            (name, span)
        }
        (None, Some(name)) => (name.clone(), resolved.places.of("budget.device")),
        (None, None) => return Some(machine),
    };
    if name == machine.name {
        return Some(machine);
    }
    let found = device::find(&name);
    if found.is_none() {
        diagnostics.push(unknown_device(&name, span));
    }
    found
}

fn unknown_device(name: &str, span: Span) -> Diagnostic {
    let catalog = device::catalog();
    let names: Vec<&str> = catalog.iter().map(|d| d.name.as_str()).collect();
    let help = match nearest(name, names.iter().copied()) {
        Some(close) => format!("did you mean `{close}`? `cramplan devices` lists them all"),
        None => "`cramplan devices` lists the cards it knows".to_owned(),
    };
    Diagnostic::error(Code::UnknownDevice, span, format!("there is no device `{name}` in the catalog")).here("unknown").help(help)
}
