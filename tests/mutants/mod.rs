//! A corpus of broken recipes: shipped recipes ([`MUTATED`]) with mistakes written into them, each at a known place.
//!
//! Where a mistake can be made is read off the tree of the unbroken recipe, and whether a change is a mistake is decided from the
//! declared schema ([`values`], [`names`]) or by counting brackets ([`brackets`]), never by parsing the result. What turns out to be
//! legal is left out and counted.
//!
//! Invariant: the corpus is a function of the recipes, the schema and [`SEED`]; a new recipe changes no mutant of the others.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod brackets;
#[path = "../common/mod.rs"]
mod common;
pub mod draw;
pub mod fields;
pub mod names;
pub mod sites;
pub mod text;
pub mod together;
pub mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use cramplan::source::SourceId;
use cramplan::syntax;
use cramplan::syntax::ast::{Document, ExprKind};

use self::draw::Draw;
use self::sites::Sites;
use self::text::{Edit, Place, Rewritten};

/// Seed of every choice.
pub const SEED: u64 = 3;

/// Combinations of each size that are made of a recipe.
const COMBINATIONS: usize = 60;

/// What kind of mistake is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The name of a field, mistyped.
    MisspelledField,
    /// The name of a struct or variant, mistyped.
    MisspelledVariant,
    /// The use of a `let` name, mistyped.
    MisspelledLet,
    /// A field in a struct that has no such field.
    Misplaced,
    /// A required field taken out.
    Missing,
    /// A field given twice.
    Duplicate,
    /// A value of another type.
    WrongType,
    /// A number with the unit of something else, with none, or with one that does not exist.
    WrongUnit,
    /// A number beyond the range of its field.
    OutOfRange,
    /// So many of the above in one text.
    Together(usize),
    /// A comma between two entries taken out.
    LostComma,
    /// An opening bracket taken out.
    LostOpening,
    /// A closing bracket taken out.
    LostClosing,
    /// An opening bracket of another shape.
    WrongOpening,
    /// A closing bracket of another shape.
    WrongClosing,
}

impl Kind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 18] = [
        Self::MisspelledField,
        Self::MisspelledVariant,
        Self::MisspelledLet,
        Self::Misplaced,
        Self::Missing,
        Self::Duplicate,
        Self::WrongType,
        Self::WrongUnit,
        Self::OutOfRange,
        Self::Together(2),
        Self::Together(3),
        Self::Together(4),
        Self::Together(5),
        Self::LostComma,
        Self::LostOpening,
        Self::LostClosing,
        Self::WrongOpening,
        Self::WrongClosing,
    ];

    /// Whether brackets or commas are broken.
    pub fn is_structural(self) -> bool {
        self >= Self::LostComma
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MisspelledField => "misspelled field",
            Self::MisspelledVariant => "misspelled variant",
            Self::MisspelledLet => "misspelled `let` name",
            Self::Misplaced => "misplaced field",
            Self::Missing => "missing required field",
            Self::Duplicate => "duplicate field",
            Self::WrongType => "wrong type",
            Self::WrongUnit => "wrong unit",
            Self::OutOfRange => "out of range",
            Self::Together(n) => return write!(f, "{n} of the above at once"),
            Self::LostComma => "lost comma",
            Self::LostOpening => "lost opening bracket",
            Self::LostClosing => "lost closing bracket",
            Self::WrongOpening => "wrong opening bracket",
            Self::WrongClosing => "wrong closing bracket",
        })
    }
}

/// One mistake, as changes to the text of a recipe.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// What kind it is.
    pub kind: Kind,
    /// What was done, for people.
    pub what: String,
    /// The changes; they do not overlap.
    pub edits: Vec<Edit>,
    /// Where a diagnostic may point.
    pub targets: Vec<Target>,
    /// The names of which the help should give one, first.
    pub right: Right,
    /// What no other mistake of the same text may touch: what is changed, and what could not be checked because of it.
    pub footprint: Vec<Range<usize>>,
}

/// A place that a diagnostic should overlap, and one that it should not leave.
#[derive(Clone, Debug)]
pub struct Target {
    /// What was changed.
    pub token: Place,
    /// The field or the neighbours that it stands among.
    pub within: Place,
    /// Whether the token is the gap that something left, so that the neighbours' adjoining characters belong to it.
    pub is_gap: bool,
}

impl Target {
    /// Something that is still there.
    pub fn of(token: Place, within: Place) -> Self {
        Self { token, within, is_gap: false }
    }

    /// The place of something that is gone.
    pub fn gap(token: Range<usize>, within: Range<usize>) -> Self {
        Self { token: Place::Became(token), within: Place::Became(within), is_gap: true }
    }
}

/// What the help of a diagnostic should name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing in particular.
    Nothing,
    /// This name, before any other.
    Name(String),
    /// The home of a field: its dotted path, or the struct that has it.
    Home {
        /// Such as `model.width`.
        path: String,
        /// Such as `Encoder`.
        record: &'static str,
    },
}

/// A broken recipe.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// The file of the recipe that it is made of.
    pub recipe: PathBuf,
    /// What kind of mistake it has.
    pub kind: Kind,
    /// Its text.
    pub text: String,
    /// Its mistakes, with where they came to stand.
    pub seeds: Vec<Seed>,
}

/// A mistake in the text of a mutant.
#[derive(Clone, Debug)]
pub struct Seed {
    /// What was done, for people.
    pub what: String,
    /// Where a diagnostic may point, in the mutant's text.
    pub targets: Vec<Aim>,
    /// What the help should name.
    pub right: Right,
}

/// A [`Target`] in bytes of a mutant's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// What was changed; where nothing is left of it, with the neighbouring characters.
    pub token: Range<usize>,
    /// What a diagnostic should not leave.
    pub within: Range<usize>,
}

/// All mutants of all shipped recipes.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// The mutants: recipe by recipe, kind by kind.
    pub mutants: Vec<Mutant>,
    /// How many changes of each kind were no mistake by the oracle, and left out.
    pub left_out: BTreeMap<Kind, usize>,
}

/// Changes that were proposed: those that are mistakes, and how many are not.
#[derive(Debug, Default)]
pub struct Proposed {
    /// The mistakes.
    pub mistakes: Vec<Mistake>,
    /// How many were legal, or a mistake of another kind.
    pub left_out: BTreeMap<Kind, usize>,
}

impl Proposed {
    /// Counts a change that is not the mistake that it was meant to be.
    pub fn leave_out(&mut self, kind: Kind) {
        *self.left_out.entry(kind).or_default() += 1;
    }
}

/// A recipe that is shipped.
#[derive(Clone, Debug)]
pub struct Shipped {
    /// Its file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// The recipes that mutants are made of: those that say most, and one that imports in a chain. The others say the same in fewer words.
const MUTATED: [&str; 5] =
    ["bert-original.ron", "bert-large-izsak.ron", "crammed-bert.ron", "crammed-mini.ron", "quickstart.ron"];

/// Every file below `recipes/` whose value is a whole recipe, in the order of their names.
pub fn shipped() -> Vec<Shipped> {
    let read = |path: PathBuf| Shipped { text: std::fs::read_to_string(&path).expect("a readable recipe"), path };
    let mut found: Vec<Shipped> = common::shipped().into_iter().map(read).collect();
    found.retain(|shipped| is_recipe(&document(&shipped.text)));
    found
}

/// A file may also hold a part of a recipe, to be imported; alone it cannot be compiled.
fn is_recipe(document: &Document) -> bool {
    match &document.value.kind {
        ExprKind::Struct(record) => record.name.as_ref().is_none_or(|name| name.text == "Recipe"),
        _ => false,
    }
}

/// The tree of a recipe that has no syntax errors.
fn document(text: &str) -> Document {
    let (document, errors) = syntax::parse(SourceId(0), text);
    assert!(errors.is_empty(), "a shipped recipe has syntax errors: {errors:?}");
    document.expect("a shipped recipe is short")
}

/// The whole corpus.
pub fn corpus() -> Corpus {
    let mut corpus = Corpus::default();
    for recipe in shipped().into_iter().filter(|recipe| MUTATED.iter().any(|name| recipe.path.ends_with(name))) {
        add(&recipe, &mut corpus);
    }
    corpus
}

/// The file and the text of every mutant, for tests that only want texts that are nearly recipes.
pub fn texts() -> Vec<(PathBuf, String)> {
    corpus().mutants.into_iter().map(|mutant| (mutant.recipe, mutant.text)).collect()
}

fn add(recipe: &Shipped, corpus: &mut Corpus) {
    let sites = Sites::of(&recipe.text, &document(&recipe.text));
    let name = recipe.path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let mut proposed = Proposed::default();
    names::propose(&sites, &mut Draw::new(&name, 1), &mut proposed);
    fields::propose(&sites, &mut Draw::new(&name, 2), &mut proposed);
    values::propose(&sites, &mut Draw::new(&name, 3), &mut proposed);
    let combinations = together::combine(&proposed.mistakes, COMBINATIONS, &mut Draw::new(&name, 4));
    brackets::propose(&sites, &mut proposed);
    let mut made: Vec<(Kind, Vec<Mistake>)> =
        proposed.mistakes.into_iter().map(|mistake| (mistake.kind, vec![mistake])).collect();
    made.extend(combinations.into_iter().map(|mistakes| (Kind::Together(mistakes.len()), mistakes)));
    made.sort_by_key(|(kind, _)| *kind);
    // Two slips can give the same text: the plural of `sources` is also `sources` with a letter dropped.
    let mut seen = BTreeSet::new();
    let mutants = made.iter().map(|(kind, mistakes)| mutant(recipe, *kind, mistakes));
    corpus.mutants.extend(mutants.filter(|mutant| seen.insert(mutant.text.clone())));
    for (kind, count) in proposed.left_out {
        *corpus.left_out.entry(kind).or_default() += count;
    }
}

fn mutant(recipe: &Shipped, kind: Kind, mistakes: &[Mistake]) -> Mutant {
    let rewritten = Rewritten::of(&recipe.text, mistakes);
    let seeds = mistakes.iter().enumerate().map(|(index, mistake)| Seed {
        what: mistake.what.clone(),
        targets: mistake.targets.iter().map(|target| aim(&rewritten, index, target)).collect(),
        right: mistake.right.clone(),
    });
    Mutant { recipe: recipe.path.clone(), kind, seeds: seeds.collect(), text: rewritten.text.clone() }
}

/// A target in the new text. Where nothing is left of a token, its neighbours' adjoining characters stand for it.
fn aim(rewritten: &Rewritten, mistake: usize, target: &Target) -> Aim {
    let (token, within) = (rewritten.locate(mistake, &target.token), rewritten.locate(mistake, &target.within));
    if !target.is_gap {
        return Aim { token, within };
    }
    let token = token.start.saturating_sub(1)..token.end + 1;
    Aim { within: within.start.min(token.start)..within.end.max(token.end), token }
}
