//! The stages strung together: text in, verdict out. This is the only place that knows their order.
//!
//! Invariant: nothing here touches files, the clock or the environment; the world comes in as [`Inputs`].

use std::collections::BTreeMap;

use crate::check::{self, Costed, Feasible};
use crate::device::{self, Device};
use crate::diag::{Code, Diagnostic};
use crate::recipe::decode::Places;
use crate::recipe::eval::{self, Evaluated};
use crate::recipe::settings::Recipe;
use crate::recipe::suggest::nearest;
use crate::recipe::value::{Value, ValueKind};
use crate::source::{SourceId, Sources, Span};
use crate::syntax;
use crate::syntax::ast::{Document, Override};

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
    /// The devices that can be named, as those of [`device::catalog`].
    pub known: &'a [Device],
    /// The device asked for on the command line; it takes precedence over the recipe's.
    pub asked: Option<String>,
}

/// What the text gave: every part of it that could be read.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The evaluated recipe, imports and overrides in place.
    pub value: Value,
    /// The `let` names of the recipe, with their values.
    pub names: Vec<(String, Value)>,
    /// The places of values that come from an overridden name, with the place of the override.
    pub derived: BTreeMap<Span, Span>,
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
    /// What was read of the recipe, also where it is not valid.
    pub resolved: Option<Resolved>,
    /// The verdict; absent where the recipe is not valid.
    pub verdict: Option<Verdict>,
}

impl Compilation {
    /// Where the recipe's fields stand.
    pub fn places(&self) -> Option<&Places> {
        self.resolved.as_ref().map(|r| &r.places)
    }
}

/// Compiles a recipe down to its verdict. Whatever can be read is checked, also beside what cannot.
pub fn compile(inputs: Inputs<'_>) -> Compilation {
    let mut sources = Sources::default();
    let mut diagnostics = Vec::new();
    let Inputs { entry, read, overrides, machine, known, asked } = inputs;
    let (mut resolved, recipe) = resolve(entry, read, overrides, &mut sources, &mut diagnostics).unzip();
    let wish = wished_device(recipe.as_ref().and_then(Option::as_ref), resolved.as_ref(), asked, &mut sources);
    let device = choose_device(wish, machine, known, &mut diagnostics);
    if let Some(resolved) = &mut resolved {
        resolved.places.note_said(sources.named(SET));
    }
    let places = resolved.as_ref().map(|r| r.places.clone()).unwrap_or_default();
    let verdict = recipe.flatten().zip(device).map(|(recipe, device)| {
        let costed = check::cost(&recipe, &device);
        diagnostics.extend(check::advise(&costed, &places));
        match check::judge(costed, &places, known) {
            Ok(feasible) => Verdict::Feasible(Box::new(feasible)),
            Err(infeasible) => {
                let (costed, reasons) = *infeasible;
                diagnostics.extend(reasons);
                Verdict::Infeasible(Box::new(costed))
            }
        }
    });
    // What is unused beside an error may be what was meant there.
    if any_error(&diagnostics) {
        diagnostics.retain(|d| d.code != Code::UnusedLet);
    }
    // As they stand in the texts, the recipe before what it imports.
    diagnostics.sort_by_key(Diagnostic::span);
    Compilation { sources, diagnostics, resolved, verdict }
}

/// Text to recipe: parse, evaluate with overrides and imports, decode. The recipe is there only where there are no errors.
fn resolve(
    (name, text): (String, String),
    read: &mut Read<'_>,
    overrides: &[String],
    sources: &mut Sources,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(Resolved, Option<Recipe>)> {
    let id = sources.add(name, text.as_str());
    let (document, errors) = syntax::parse(id, &text);
    diagnostics.extend(errors);
    let document = document?;
    let overrides = parse_overrides(overrides, sources, diagnostics);
    Some(resolve_document(&document, &overrides, &mut |path, from| load(path, from, read, sources), diagnostics))
}

/// An imported file, parsed.
type Loaded = Result<(Document, Vec<Diagnostic>), String>;

fn load(path: &str, from: SourceId, read: &mut Read<'_>, sources: &mut Sources) -> Loaded {
    let importer = sources.get(from).map_or(String::new(), |s| s.name.clone());
    let (name, text) = read(path, &importer)?;
    // One id for each file, however often it is imported: a cycle is seen by it.
    let id = sources.find(&name).unwrap_or_else(|| sources.add(name, text.as_str()));
    let (document, errors) = syntax::parse(id, &text);
    document.map(|document| (document, errors)).ok_or_else(|| format!("`{path}` is too long"))
}

fn resolve_document(
    document: &Document,
    overrides: &[Override],
    load: &mut eval::Load<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> (Resolved, Option<Recipe>) {
    let Evaluated { value, names, derived, diagnostics: found } = eval::evaluate(document, overrides, load);
    diagnostics.extend(found);
    let resolution = crate::recipe::resolve(&value, names.iter().map(|(name, _)| name.clone()).collect());
    diagnostics.extend(resolution.diagnostics);
    let recipe = resolution.recipe.filter(|_| !any_error(diagnostics));
    (Resolved { value, names, derived, places: resolution.places }, recipe)
}

/// A recipe parsed once, with what it imports, to be resolved under many overrides.
#[derive(Debug)]
pub struct Parsed {
    document: Document,
    overrides: Vec<Override>,
    /// What was imported, by the path as it is written and the importing file.
    imports: BTreeMap<(String, SourceId), Loaded>,
}

impl Parsed {
    /// Parses a recipe, and the overrides that hold throughout.
    ///
    /// # Errors
    /// What is wrong in them.
    pub fn new((name, text): (String, String), overrides: &[String], sources: &mut Sources) -> Result<Self, Vec<Diagnostic>> {
        let id = sources.add(name, text.as_str());
        let (document, mut diagnostics) = syntax::parse(id, &text);
        let overrides = parse_overrides(overrides, sources, &mut diagnostics);
        match document {
            Some(document) if !any_error(&diagnostics) => Ok(Self { document, overrides, imports: BTreeMap::new() }),
            _ => Err(diagnostics),
        }
    }

    /// Reads what is imported under these further overrides: without that, [`Parsed::resolve`] finds no import.
    pub fn import(&mut self, more: &[Override], read: &mut Read<'_>, sources: &mut Sources) {
        let overrides = self.with(more);
        let imports = &mut self.imports;
        let mut load = |path: &str, from: SourceId| {
            let loaded = imports.entry((path.to_owned(), from)).or_insert_with(|| load(path, from, read, sources));
            loaded.clone()
        };
        eval::evaluate(&self.document, &overrides, &mut load);
    }

    /// The recipe under further overrides.
    ///
    /// # Errors
    /// What is wrong in it, warnings left out.
    pub fn resolve(&self, more: &[Override]) -> Result<Recipe, Vec<Diagnostic>> {
        let mut load = |path: &str, from: SourceId| {
            let loaded = self.imports.get(&(path.to_owned(), from)).cloned();
            loaded.unwrap_or_else(|| Err(format!("`{path}` was not read")))
        };
        let mut diagnostics = Vec::new();
        let (_, recipe) = resolve_document(&self.document, &self.with(more), &mut load, &mut diagnostics);
        diagnostics.retain(Diagnostic::is_error);
        recipe.ok_or(diagnostics)
    }

    /// The device that a recipe is planned for: the one `asked` for, else its own, else this machine's.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn device<'d>(
        recipe: &Recipe,
        asked: Option<(&str, Span)>,
        machine: &'d Device,
        known: &'d [Device],
    ) -> Result<&'d Device, Diagnostic> {
        let own = recipe.budget.device.as_deref().map(|name| (name, Span::default()));
        let Some((name, span)) = asked.or(own).filter(|(name, _)| *name != machine.name) else { return Ok(machine) };
        device::named(known, name).ok_or_else(|| unknown_device(name, span, known))
    }

    fn with(&self, more: &[Override]) -> Vec<Override> {
        self.overrides.iter().chain(more).cloned().collect()
    }
}

fn any_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// The name of what is said with `--set`, as a source.
const SET: &str = "--set";

fn parse_overrides(texts: &[String], sources: &mut Sources, diagnostics: &mut Vec<Diagnostic>) -> Vec<Override> {
    let mut parse = |text: &String| match syntax::parse_override(sources.add(SET, text.as_str()), text) {
        Ok(parsed) => Some(parsed),
        Err(errors) => {
            diagnostics.extend(errors);
            None
        }
    };
    texts.iter().filter_map(&mut parse).collect()
}

/// A device by name, and where it is named: in a text of a recipe, or as it is on the command line.
type Wish = Option<(String, Span)>;

/// The device asked for on the command line, else the one that the recipe names, also where the recipe is not valid otherwise.
fn wished_device(recipe: Option<&Recipe>, resolved: Option<&Resolved>, asked: Option<String>, sources: &mut Sources) -> Wish {
    if let Some(name) = asked {
        let id = sources.add("--for", name.as_str());
        let span = Span::new(id, 0, name.len());
        return Some((name, span));
    }
    let resolved = resolved?;
    if let Some(recipe) = recipe {
        return recipe.budget.device.clone().map(|name| (name, resolved.places.of("budget.device")));
    }
    let device = resolved.value.field("budget")?.field("device")?;
    if let ValueKind::Text(name) = &device.kind { Some((name.clone(), device.span)) } else { None }
}

/// The device to plan for: the wished one, else this machine's.
fn choose_device(wish: Wish, machine: Device, known: &[Device], diagnostics: &mut Vec<Diagnostic>) -> Option<Device> {
    let Some((name, span)) = wish.filter(|(name, _)| *name != machine.name) else { return Some(machine) };
    let found = device::named(known, &name);
    if found.is_none() {
        diagnostics.push(unknown_device(&name, span, known));
    }
    found.cloned()
}

fn unknown_device(name: &str, span: Span, known: &[Device]) -> Diagnostic {
    let names = known.iter().map(|d| d.name.as_str());
    let diagnostic =
        Diagnostic::error(Code::UnknownDevice, span, format!("there is no device `{name}` in the catalog")).here("unknown");
    match nearest(name, names) {
        Some(close) => {
            // In a recipe the span has the quotes.
            let quote = if span.len() > name.len() { "\"" } else { "" };
            let new = format!("{quote}{close}{quote}");
            let help = format!("did you mean `{close}`? `cramplan devices` lists them all");
            diagnostic.help(help).fix(format!("write `{new}`"), false, span, new)
        }
        None => diagnostic.help("`cramplan devices` lists the cards it knows"),
    }
}
