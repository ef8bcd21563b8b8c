//! Holds a certificate against its laws: everything that it states is derived again from what else it states.
//!
//! This is the second opinion on the planner, so it shares none of its code: its own types of the file, its own arithmetic, and each
//! law stated anew. The device catalog is data, not planning, and is looked up.
//!
//! Invariant: nothing here uses a stage of the planner (the test `arrows` holds it), and nothing here panics, whatever a file says. A test
//! may read both opinions side by side, as that of `panels` does.
//!
//! What no law can catch is a certificate that is changed into that of another training: another seed, another text, another
//! learning rate, or another model throughout. Such a file is a lawful plan for something else. `cramplan run FILE` catches it, by
//! planning anew from the recipe where it lies. [`UNCHECKED`] lists what is free.

mod book;
mod card;
mod device;
pub mod format;
mod forward;
mod gradient;
mod graph;
mod memory;
mod model;
mod operation;
mod optimizer;
mod panels;
pub mod recipe;
mod recompute;
mod run;
mod shape;
mod time;
mod trace;
mod workspace;

pub use book::{At, Book, Broken, Law};

use self::format::{Certificate, Unreadable};

/// What a certificate states that no law can derive, with the reason.
pub const UNCHECKED: &[(&str, &str)] = &[
    ("what a card's memory manager reserves", "it is not in the file; `cramplan run` replays it"),
    ("origin", "where the recipe lies; `cramplan run` plans anew from there and compares"),
    ("content.program", "which program planned"),
    ("content.processor", "which processor it was planned on"),
    ("content.data", "which text was prepared; `cramplan run` compares"),
    ("content.recipe.name", "a name"),
    ("content.recipe.seed", "any is as good"),
    ("content.recipe.budget.device", "`--for` may name another"),
    ("content.recipe.data.sources", "any text can be trained on"),
    ("content.recipe.data.normalize", "so can text however cleaned"),
    ("content.recipe.data.validation", "no number follows from it"),
    ("content.recipe.model.init", "no number follows from it"),
    ("content.recipe.objective.rate", "no number follows from it where the share of predicted rows is given, or is all"),
    ("content.recipe.objective.protect_special", "no number follows from it"),
    ("content.recipe.lr", "no number follows from it"),
    ("content.recipe.counting.by_budget", "no number follows from it"),
    ("content.recipe.checkpoint.keep", "no number follows from it"),
];

/// What came of verifying a certificate.
#[derive(Clone, Debug)]
pub struct Report {
    /// The certificate.
    pub certificate: Certificate,
    /// How often each law was applied, and where it was broken.
    pub book: Book,
    /// What of it could not be checked, for people.
    pub unchecked: Vec<String>,
}

impl Report {
    /// Whether every law holds.
    pub fn holds(&self) -> bool {
        self.book.broken.is_empty()
    }
}

/// Verifies the text of a certificate.
///
/// # Errors
/// Where it is none.
pub fn verify(text: &str) -> Result<Report, Unreadable> {
    Certificate::read(text).map(verify_certificate)
}

/// Verifies a certificate.
pub fn verify_certificate(certificate: Certificate) -> Report {
    let mut book = Book::default();
    let mut unchecked = Vec::new();
    let content = &certificate.content;
    book.equal(Law::Hash, At::field("hash"), &certificate.hash, &content.hash());
    device::check(content, &mut book, &mut unchecked);
    model::check(content, &mut book);
    // What follows looks tensors, operations and parameters up by number.
    if graph::numbers(content, &mut book) {
        for walk in &content.walks {
            graph::check(content, walk, &mut book);
            operation::check(content, walk, &mut book);
            memory::check(content, walk, &mut book);
            trace::check(content, walk, &mut book);
        }
        memory::bounds(content, &mut book);
        run::check(content, &mut book);
    }
    unchecked.push("the recipe itself: its text is not looked at; `cramplan run` compares".to_owned());
    book.name_operations(content);
    Report { certificate, book, unchecked }
}
