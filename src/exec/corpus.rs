//! From a recipe to the data stage's own words.

use std::path::Path;

use crate::data::{CorpusSpec, Normalizer, SourceSpec};
use crate::recipe::settings::{Normalization, Recipe, TextSource};

/// What the data stage is asked for; `base` is the directory that the recipe's paths start from.
pub fn corpus_spec(recipe: &Recipe, base: &str) -> CorpusSpec {
    let does = |what: &Normalization| recipe.data.normalize.contains(what);
    CorpusSpec {
        sources: recipe.data.sources.iter().map(|source| source_spec(source, base)).collect(),
        normalize: Normalizer {
            quotes: does(&Normalization::Quotes {}),
            lowercase: does(&Normalization::Lowercase {}),
            strip_accents: does(&Normalization::StripAccents {}),
            ascii: does(&Normalization::Ascii {}),
            collapse_spaces: does(&Normalization::CollapseSpaces {}),
        },
        validation: recipe.data.validation.0,
        vocab: recipe.vocabulary(),
        sequence: recipe.model.sequence,
        seed: recipe.seed,
    }
}

fn source_spec(source: &TextSource, base: &str) -> SourceSpec {
    match source {
        TextSource::Text { path } => {
            // The directory is taken as it is called, also where its name has a `*` or a bracket; only the recipe's part is a glob.
            let pattern = Path::new(&glob::Pattern::escape(base)).join(path).display().to_string();
            SourceSpec::Text { pattern }
        }
        TextSource::Synthetic { sentences } => SourceSpec::Synthetic { sentences: *sentences },
    }
}
