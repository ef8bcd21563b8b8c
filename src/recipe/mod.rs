//! From a syntax tree to a [`Recipe`](settings::Recipe): names and imports resolved, arithmetic done, every field checked.
//!
//! Invariant: nothing here knows what a recipe costs or what it runs on.

pub mod decode;
pub mod eval;
pub mod explain;
pub mod resolved;
pub mod rules;
pub mod schedule;
pub mod schema;
pub mod settings;
pub mod spending;
pub mod suggest;
pub mod synonyms;
pub mod value;

use self::decode::{Decode, Decoder, Places};
use self::settings::Recipe;
use self::value::Value;
use crate::diag::Diagnostic;

/// What came of resolving a recipe.
#[derive(Debug)]
pub struct Resolution {
    /// The recipe; absent when there were errors.
    pub recipe: Option<Recipe>,
    /// Where each field got its value.
    pub places: Places,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads an evaluated recipe against the schema and the rules between fields. A rule whose fields could not all be read is silent.
///
/// `lets` are the names that the recipe defines, for "did you mean".
pub fn resolve(value: &Value, lets: Vec<String>) -> Resolution {
    let mut decoder = Decoder::new(lets);
    let recipe = Recipe::decode(value, &mut decoder, None);
    let (mut diagnostics, places) = decoder.finish();
    if let Some(recipe) = &recipe {
        diagnostics.extend(rules::check(recipe, &places));
    }
    let recipe = recipe.filter(|_| places.is_known("") && !diagnostics.iter().any(Diagnostic::is_error));
    Resolution { recipe, places, diagnostics }
}

/// A small recipe for the tests of the later stages.
#[cfg(test)]
pub mod testing {
    use super::settings::Recipe;
    use super::value::Value;
    use crate::source::SourceId;

    /// Two blocks of width 32 over sequences of 16 tokens.
    pub const TEXT: &str = r#"Recipe(
        name: "test",
        budget: Budget(steps: 20),
        data: Corpus(sources: [Synthetic(2000)], tokenizer: WordPiece(vocab: 512)),
        model: Encoder(width: 32, depth: 2, heads: 4, sequence: 16, feed_forward: Glu(intermediate: 64)),
        objective: MaskedLm(rate: 25%),
        batch: Constant(8),
        micro_batch: 4,
        optimizer: AdamW(clip: 0.5),
        lr: Triangle(peak: 1e-3, start: 25%, peak_at: 75%),
    )"#;

    /// The recipe of [`TEXT`].
    pub fn recipe() -> Recipe {
        parse(TEXT)
    }

    /// The value of a text that imports nothing and must have no errors.
    pub fn value_of(text: &str) -> Value {
        let (document, errors) = crate::syntax::parse(SourceId(0), text);
        assert!(errors.is_empty(), "{errors:?}");
        let (value, errors) = super::eval::evaluate_alone(&document.expect("no syntax errors"));
        assert!(errors.is_empty(), "{errors:?}");
        value
    }

    /// The recipe of a text that must be valid.
    pub fn parse(text: &str) -> Recipe {
        let resolution = super::resolve(&value_of(text), Vec::new());
        resolution.recipe.unwrap_or_else(|| panic!("{:?}", resolution.diagnostics))
    }
}
