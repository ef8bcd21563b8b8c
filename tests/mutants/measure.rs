//! Compiles mutants and compares what is said with the mistakes that were made.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use cramplan::device;
use cramplan::diag::Diagnostic;
use cramplan::pipeline::{Inputs, Read, compile};
use cramplan::source::{SourceId, Span};

use crate::mutants::sites::overlap;
use crate::mutants::{Aim, Corpus, Kind, Mutant, Right, Seed};

/// The card that every recipe is compiled for.
const CARD: &str = "rtx-a6000";

/// What is said about a recipe.
pub fn diagnostics(path: &Path, text: &str) -> Vec<Diagnostic> {
    let read: &mut Read<'_> = &mut |path, importer| {
        let path = Path::new(importer).parent().unwrap_or(Path::new("")).join(path);
        let name = path.to_string_lossy().into_owned();
        std::fs::read_to_string(&path).map(|text| (name, text)).map_err(|error| error.to_string())
    };
    let machine = device::find(CARD).expect("a card of the catalog");
    let entry = (path.to_string_lossy().into_owned(), text.to_owned());
    compile(Inputs { entry, read, overrides: &[], machine, known: &device::catalog(), asked: None }).diagnostics
}

/// How one mistake was met.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    /// The primary place of an error is where it was made.
    primary: bool,
    /// Some place of an error is.
    any: bool,
    /// The right name is offered first; nothing where none is expected.
    named: Option<bool>,
}

/// How a mutant was met.
#[derive(Debug)]
pub struct Outcome {
    mutant: Mutant,
    errors: Vec<Diagnostic>,
    met: Vec<Met>,
    /// Errors that belong to no mistake.
    extra: usize,
}

impl Outcome {
    fn is_failure(&self) -> bool {
        self.errors.is_empty() || self.met.iter().any(|met| !met.any || !met.primary || met.named == Some(false))
    }
}

/// All of it.
#[derive(Debug)]
pub struct Report {
    outcomes: Vec<Outcome>,
    left_out: BTreeMap<Kind, usize>,
}

/// Compiles every mutant, on all cores; the order of the report is that of the corpus.
pub fn measure(corpus: Corpus) -> Report {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let length = corpus.mutants.len().div_ceil(threads).max(1);
    let outcomes = std::thread::scope(|scope| {
        let parts: Vec<_> =
            corpus.mutants.chunks(length).map(|part| scope.spawn(|| part.iter().map(outcome).collect::<Vec<_>>())).collect();
        parts.into_iter().flat_map(|part| part.join().expect("a compilation never panics")).collect()
    });
    Report { outcomes, left_out: corpus.left_out }
}

fn outcome(mutant: &Mutant) -> Outcome {
    let errors: Vec<Diagnostic> = diagnostics(&mutant.recipe, &mutant.text).into_iter().filter(Diagnostic::is_error).collect();
    let mut taken = Vec::new();
    let met = mutant.seeds.iter().map(|seed| meet(seed, &errors, &mut taken)).collect();
    Outcome { mutant: mutant.clone(), met, extra: errors.len() - taken.len(), errors }
}

/// Finds the error that belongs to a mistake, and takes it.
fn meet(seed: &Seed, errors: &[Diagnostic], taken: &mut Vec<usize>) -> Met {
    let primary = |d: &Diagnostic| d.span().is_some_and(|span| hits(span, seed));
    let any = |d: &Diagnostic| d.labels.iter().any(|label| hits(label.span, seed));
    let free: Vec<usize> = (0..errors.len()).filter(|at| !taken.contains(at)).collect();
    let first = free.iter().find(|at| primary(&errors[**at]));
    let found = first.or_else(|| free.iter().find(|at| any(&errors[**at]))).copied();
    taken.extend(found);
    let help = found.and_then(|at| errors[at].help.as_deref()).unwrap_or_default();
    Met { primary: first.is_some(), any: found.is_some(), named: is_named(&seed.right, help) }
}

fn hits(span: Span, seed: &Seed) -> bool {
    let place = span.start as usize..span.end as usize;
    let is_at = |aim: &Aim| overlap(&place, &aim.token) && aim.within.start <= place.start && place.end <= aim.within.end;
    span.source == SourceId(0) && seed.targets.iter().any(is_at)
}

fn is_named(right: &Right, help: &str) -> Option<bool> {
    // Between backticks is every second piece.
    let quoted: Vec<&str> = help.split('`').skip(1).step_by(2).collect();
    match right {
        Right::Nothing => None,
        Right::Name(name) => Some(quoted.first().is_some_and(|word| leading(word) == name)),
        Right::Home { path, record } => {
            let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
            let is_home = |word: &str| word == path && !parent.is_empty() || word == parent || leading(word) == *record;
            Some(quoted.iter().any(|word| is_home(word)) || parent.is_empty() && help.contains("top of the recipe"))
        }
    }
}

/// `Encoder(..)` and `width:` as names.
fn leading(word: &str) -> &str {
    word.find(|c: char| !c.is_alphanumeric() && c != '_').map_or(word, |end| &word[..end])
}

/// Sums over some mutants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows {
    /// Mutants.
    pub mutants: usize,
    /// Those that were rejected.
    pub rejected: usize,
    /// Mistakes.
    pub seeds: usize,
    /// Those at the primary place of an error.
    pub primary: usize,
    /// Those at any place of an error.
    pub any: usize,
    /// Mistakes for which a name is expected.
    pub nameable: usize,
    /// Those for which it came first.
    pub named: usize,
    /// Mutants of which every mistake was reported.
    pub complete: usize,
    /// Errors that belong to no mistake.
    pub extra: usize,
    /// Most of those in one mutant.
    pub worst: usize,
}

impl Rows {
    /// The sums over the mutants of some kinds.
    pub fn of(report: &Report, wanted: impl Fn(Kind) -> bool) -> Self {
        let mut sum = Self::default();
        for outcome in report.outcomes.iter().filter(|o| wanted(o.mutant.kind)) {
            sum.mutants += 1;
            sum.rejected += usize::from(!outcome.errors.is_empty());
            sum.seeds += outcome.met.len();
            sum.complete += usize::from(outcome.met.iter().all(|met| met.any));
            sum.extra += outcome.extra;
            sum.worst = sum.worst.max(outcome.extra);
            for met in &outcome.met {
                sum.primary += usize::from(met.primary);
                sum.any += usize::from(met.any);
                sum.nameable += usize::from(met.named.is_some());
                sum.named += usize::from(met.named == Some(true));
            }
        }
        sum
    }

    /// Percent of the mistakes.
    pub fn share(&self, part: usize) -> f64 {
        percent(part, self.seeds)
    }

    /// Percent of the mistakes with a right name for which it comes first.
    pub fn named_share(&self) -> f64 {
        percent(self.named, self.nameable)
    }

    /// Percent of the mutants of which every mistake is reported.
    pub fn complete_share(&self) -> f64 {
        percent(self.complete, self.mutants)
    }
}

/// A part in percent; 0 of nothing.
pub fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The table in Markdown.
pub fn table(report: &Report) -> String {
    let mut out = String::from(
        "| mistake | mutants | rejected | primary span | any span | right name first | all reported | extra errors | at most | left out |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for kind in Kind::ALL {
        let left_out = report.left_out.get(&kind).copied().unwrap_or_default();
        row(&mut out, &kind.to_string(), &Rows::of(report, |k| k == kind), left_out);
    }
    row(&mut out, "all", &Rows::of(report, |_| true), report.left_out.values().sum());
    out
}

fn row(out: &mut String, name: &str, sum: &Rows, left_out: usize) {
    let name_first = if sum.nameable == 0 { "–".to_owned() } else { format!("{:.1} %", sum.named_share()) };
    let _ = writeln!(
        out,
        "| {name} | {} | {:.1} % | {:.1} % | {:.1} % | {name_first} | {:.1} % | {:.2} | {} | {left_out} |",
        sum.mutants,
        percent(sum.rejected, sum.mutants),
        sum.share(sum.primary),
        sum.share(sum.any),
        sum.complete_share(),
        sum.extra as f64 / sum.mutants.max(1) as f64,
        sum.worst,
    );
}

/// The first mutants of a kind that were not met as they should be.
pub fn failures(report: &Report, kind: &str, first: usize) -> String {
    let is_wanted = |outcome: &&Outcome| match kind {
        "all" => outcome.is_failure(),
        "extra" => outcome.extra > 0,
        _ => outcome.mutant.kind.to_string() == kind && (outcome.is_failure() || outcome.extra > 0),
    };
    let found: Vec<&Outcome> = report.outcomes.iter().filter(is_wanted).collect();
    let mut out = format!("{} of {} mutants; the first {first}:\n", found.len(), report.outcomes.len());
    found.iter().take(first).for_each(|outcome| show(&mut out, outcome));
    out
}

fn show(out: &mut String, outcome: &Outcome) {
    let Outcome { mutant, met, errors, extra } = outcome;
    let file = mutant.recipe.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let _ = writeln!(out, "\n== {} of {file}", mutant.kind);
    for (seed, met) in mutant.seeds.iter().zip(met) {
        let _ = writeln!(out, "-- {}: primary {}, any {}, named {:?}", seed.what, met.primary, met.any, met.named);
        if let Some(aim) = seed.targets.first() {
            let _ = writeln!(out, "{}", around(&mutant.text, &aim.token));
        }
    }
    let _ = writeln!(out, "-- said, {extra} too much:");
    for error in errors {
        let _ = writeln!(out, "   {} | help: {}", error.message, error.help.as_deref().unwrap_or("none"));
        for label in &error.labels {
            let place = label.span.start as usize..label.span.end as usize;
            let line = mutant.text[..place.start.min(mutant.text.len())].matches('\n').count() + 1;
            let at = mutant.text.get(place).unwrap_or_default();
            let short: String = at.chars().take(60).collect();
            let _ = writeln!(out, "     line {line} {short:?}: {}", label.text);
        }
    }
}

/// The line of a place, and those beside it.
fn around(text: &str, place: &Range<usize>) -> String {
    let line = text[..place.start.min(text.len())].matches('\n').count();
    let lines = text.lines().enumerate().skip(line.saturating_sub(1)).take(3);
    lines.map(|(at, line)| format!("   {:>3} {line}", at + 1)).collect::<Vec<_>>().join("\n")
}
