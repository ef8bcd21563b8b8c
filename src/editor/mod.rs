//! What an editor asks of a recipe at a place in its text: what could stand here, what this is, and where it comes from.
//!
//! Invariant: works on any text, however half-written, and from the text alone: the files around it come in as arguments, and how an
//! editor is spoken to is not known here.

mod complete;
mod cursor;
mod definition;
mod fragment;
mod frame;
mod hover;
mod insert;
mod words;

#[cfg(test)]
mod tests;

pub use complete::{Completion, CompletionKind, Offers, complete};
pub use definition::{Target, definition};
pub use fragment::recipe_around;
pub use hover::{Hover, hover};
pub use insert::{Piece, plain};
pub use words::Costs;
