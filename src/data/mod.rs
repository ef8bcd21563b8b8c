//! Raw text to training batches: sources, tokenizer, token shards in a cache, masked micro-batches.
//!
//! A pure stage: the same specification and the same file contents give the same bytes in the cache, whatever the
//! machine, the process and the paths. Everything random is drawn from [`crate::rng`].

pub mod batch;
pub mod language;
mod normalize;
mod shards;
mod source;
mod tokenizer;
mod vocabulary;
mod words;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use batch::{Batcher, MaskSpec, MicroBatch, evaluation_batch, evaluation_batches, train_batch, unigram_cross_entropy};
pub use normalize::Normalizer;
pub use shards::{FileFact, Manifest, Rows, Shards, SyntheticFacts};
pub use tokenizer::{SEP, SPECIALS};

/// What to prepare. Equal specifications over equal file contents share a place in the cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorpusSpec {
    /// Where the text comes from, in order.
    pub sources: Vec<SourceSpec>,
    /// How the text is simplified before it is cut into words.
    pub normalize: Normalizer,
    /// Share of the documents held back for evaluation, in 0..1.
    pub validation: f64,
    /// Number of entries of the vocabulary, special tokens included.
    pub vocab: u64,
    /// Tokens in a row.
    pub sequence: u64,
    /// Seed of the split and of the synthetic language.
    pub seed: u64,
}

/// One source of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceSpec {
    /// Files: a paragraph (text between blank lines) is a document.
    Text {
        /// Glob over `.txt`, `.txt.gz` and `.txt.zst` files, joined with the recipe's directory.
        pattern: String,
    },
    /// The built-in language of [`language`].
    Synthetic {
        /// Number of sentences.
        sentences: u64,
    },
}

/// A part of the work of [`prepare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Hashing the files, in bytes.
    Hashing,
    /// Reading, normalising and counting words, in bytes (sentences for the synthetic language).
    Reading,
    /// Building the vocabulary, in entries.
    Vocabulary,
    /// Cutting words into tokens, in distinct words.
    Encoding,
    /// Writing the shards, in files.
    Writing,
}

/// How far [`prepare`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The part at work.
    pub stage: Stage,
    /// Units done; the unit depends on the stage.
    pub done: u64,
    /// Units in all.
    pub total: u64,
}

/// Told how far the work is; `false` asks it to stop.
pub type Report<'a> = &'a mut dyn FnMut(Progress) -> bool;

/// Why the data could not be prepared.
#[derive(thiserror::Error, Debug)]
pub enum DataError {
    /// No file matches a pattern.
    #[error("no file matches `{pattern}`: check the spelling and that the path is relative to the recipe")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A source holds no text.
    #[error("{source_name} holds no text: name another source or remove it")]
    Empty {
        /// The pattern, or the name of the source.
        source_name: String,
    },
    /// A file could not be read or written.
    #[error("cannot read or write `{path}` ({source}): check that it exists, is whole and that you may access it")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A matched file is of a kind that is not read.
    #[error("`{path}` is not .txt, .txt.gz or .txt.zst: narrow the pattern or convert the file")]
    Unsupported {
        /// The file.
        path: PathBuf,
    },
    /// Not one full row for a part of the corpus.
    #[error("the {part} text has {tokens} tokens, less than one row of {sequence}: {way_out}")]
    TooSmall {
        /// `training` or `validation`.
        part: &'static str,
        /// Tokens in that part.
        tokens: u64,
        /// Tokens in a row.
        sequence: u64,
        /// What would help.
        way_out: &'static str,
    },
    /// The text has too few distinct words for the vocabulary.
    #[error("a vocabulary of {wanted} cannot be reached: this text gives {reached} entries; ask for at most that, or add text")]
    Vocabulary {
        /// Entries asked for.
        wanted: u64,
        /// Entries the text gives.
        reached: u64,
    },
    /// A file of the cache contradicts itself.
    #[error("`{path}` is corrupt ({why}): delete its directory and prepare again")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The caller asked to stop.
    #[error("stopped on request: nothing was kept, run again to start over")]
    Interrupted,
}

/// The data of a run.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What was made, and from what.
    pub manifest: Manifest,
    /// The place in the cache: shards, `manifest.json`, `tokenizer.json`, `unigrams.json`.
    pub directory: PathBuf,
    /// Whether it was there before.
    pub reused: bool,
    /// The tokens.
    pub shards: Shards,
}

/// The key of a corpus: what determines its tokens. Every file of it is read, none is made.
///
/// # Errors
///
/// Where a source cannot be read or holds nothing.
pub fn key(spec: &CorpusSpec) -> Result<String, DataError> {
    let inputs = source::resolve(&spec.sources, &mut |_| true)?;
    Ok(source::key(spec, &inputs))
}

/// Prepares a corpus, or finds it in the cache.
///
/// # Errors
///
/// See [`DataError`]. A failed or stopped preparation leaves nothing in the cache.
pub fn prepare(spec: &CorpusSpec, cache: &Path, progress: Report) -> Result<Prepared, DataError> {
    let inputs = source::resolve(&spec.sources, progress)?;
    let key = source::key(spec, &inputs);
    let directory = cache.join(&key);
    if let Some((mut manifest, shards)) = shards::load(&directory, &key)? {
        manifest.files = source::files(&inputs);
        return Ok(Prepared { manifest, directory, reused: true, shards });
    }
    let (corpus, reading) = words::read(spec, &inputs, progress)?;
    let closed = spec.sources.iter().all(|s| matches!(s, SourceSpec::Synthetic { .. }));
    let vocabulary = vocabulary::train(&corpus.counted(), spec.vocab, closed, progress)?;
    let tokenizer = tokenizer::build(&vocabulary, spec.normalize)?;
    let (shards, blurred) = tokenizer::encode(&tokenizer, &corpus, spec, progress)?;
    let manifest = Manifest {
        version: shards::VERSION,
        key,
        vocab: spec.vocab,
        documents_train: corpus.train.documents,
        documents_validation: corpus.validation.documents,
        tokens_train: shards.train.tokens(),
        tokens_validation: shards.validation.tokens(),
        sha256_train: shards::file_hash(&shards.train, spec.vocab),
        sha256_validation: shards::file_hash(&shards.validation, spec.vocab),
        sequence: spec.sequence,
        invalid_utf8: reading.invalid_utf8,
        bytes_read: reading.bytes,
        synthetic: (closed && !blurred).then(synthetic_facts),
        files: source::files(&inputs),
    };
    shards::store(&directory, &manifest, &shards, &tokenizer, progress)?;
    Ok(Prepared { manifest, directory, reused: false, shards })
}

/// What is known of the synthetic language.
fn synthetic_facts() -> SyntheticFacts {
    let language::Losses { unigram, bigram, best } = language::losses();
    SyntheticFacts { unigram_loss: unigram, bigram_loss: bigram, best_loss: best }
}

/// Reports progress, and turns a wish to stop into an error.
fn report(progress: Report, stage: Stage, done: u64, total: u64) -> Result<(), DataError> {
    if progress(Progress { stage, done, total }) { Ok(()) } else { Err(DataError::Interrupted) }
}

#[cfg(test)]
mod tests;
