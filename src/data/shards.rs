//! Token shards: rows in memory, files in the cache.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use super::{DataError, Report, Stage, report};
use crate::units::Bytes;

/// Version of the files and of everything that shapes their contents (normaliser, trainer, synthetic language);
/// part of the key. Raise it with any change to these.
pub(super) const VERSION: u32 = 2;

/// One file that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFact {
    /// Where it lay.
    pub path: PathBuf,
    /// Its size on disk in bytes.
    pub bytes: u64,
    /// SHA-256 of these bytes, hexadecimal.
    pub sha256: String,
}

/// What the grammar says about a corpus of the synthetic language alone, one token a word; nats per token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SyntheticFacts {
    /// Loss of the distribution of words.
    pub unigram_loss: f64,
    /// Loss of predicting each word from its left neighbour only.
    pub bigram_loss: f64,
    /// Loss of predicting each word from all others: no model does better.
    pub best_loss: f64,
}

/// What a prepared corpus holds and what it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub version: u32,
    /// SHA-256 over everything that determines the tokens, hexadecimal; the name of the directory.
    pub key: String,
    /// Entries of the vocabulary, exactly as asked.
    pub vocab: u64,
    /// Documents trained on.
    pub documents_train: u64,
    /// Documents held back.
    pub documents_validation: u64,
    /// Tokens of the training rows.
    pub tokens_train: u64,
    /// Tokens of the rows held back.
    pub tokens_validation: u64,
    /// SHA-256 of the bytes of the training rows' file, hexadecimal.
    pub sha256_train: String,
    /// SHA-256 of the bytes of the file of the rows held back, hexadecimal.
    pub sha256_validation: String,
    /// Tokens in a row.
    pub sequence: u64,
    /// Replacement characters made where a file was not UTF-8.
    pub invalid_utf8: u64,
    /// Bytes of text read, unpacked.
    pub bytes_read: u64,
    /// Known losses, if the corpus is of the synthetic language alone and each of its words is one token.
    pub synthetic: Option<SyntheticFacts>,
    /// The files, in order.
    pub files: Vec<FileFact>,
}

/// Rows of tokens, all of one length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    tokens: Vec<u32>,
    sequence: usize,
}

impl Rows {
    /// Cuts tokens into rows of `sequence`; what does not fill a row is dropped.
    pub fn new(mut tokens: Vec<u32>, sequence: u64) -> Self {
        let sequence = (sequence as usize).max(1);
        tokens.truncate(tokens.len() / sequence * sequence);
        Self { tokens, sequence }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.tokens.len().checked_div(self.sequence).unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Number of tokens.
    pub fn tokens(&self) -> u64 {
        self.tokens.len() as u64
    }

    /// The tokens of row `i` < [`Rows::len`].
    pub fn sequence(&self, i: usize) -> &[u32] {
        &self.tokens[i * self.sequence..(i + 1) * self.sequence]
    }
}

/// The tokens of a corpus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shards {
    /// Rows to train on.
    pub train: Rows,
    /// Rows held back.
    pub validation: Rows,
    /// How often each token id stands in the training rows.
    pub unigrams: Vec<u64>,
}

impl Shards {
    /// Memory that the tokens take.
    pub fn bytes(&self) -> Bytes {
        Bytes(4 * (self.train.tokens() + self.validation.tokens()))
    }

    /// From rows whose tokens are below `vocab`.
    pub fn new(train: Rows, validation: Rows, vocab: u64) -> Self {
        let mut unigrams = vec![0; vocab as usize];
        for &token in &train.tokens {
            if let Some(count) = unigrams.get_mut(token as usize) {
                *count += 1;
            }
        }
        Self { train, validation, unigrams }
    }
}

/// Names the path of an input or output error.
fn at(path: &Path) -> impl FnOnce(io::Error) -> DataError {
    move |source| DataError::Unreadable { path: path.to_owned(), source }
}

/// Bytes of a token in a shard file.
fn width(vocab: u64) -> usize {
    if vocab <= 1 << 16 { 2 } else { 4 }
}

/// The bytes of a shard file: little-endian, of the width that the vocabulary needs.
fn pack(tokens: &[u32], vocab: u64) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.to_le_bytes().into_iter().take(width(vocab))).collect()
}

/// SHA-256 of some bytes, hexadecimal.
fn hash(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// The hash of the file that rows are written to.
pub(super) fn file_hash(rows: &Rows, vocab: u64) -> String {
    hash(&pack(&rows.tokens, vocab))
}

/// Writes a corpus next to its place, then moves it there in one step.
pub(super) fn store(
    directory: &Path,
    manifest: &Manifest,
    shards: &Shards,
    tokenizer: &Tokenizer,
    progress: Report,
) -> Result<(), DataError> {
    let partial = directory.with_extension(format!("partial-{}", std::process::id()));
    let written = write_all(&partial, manifest, shards, tokenizer, progress).and_then(|()| {
        if fs::rename(&partial, directory).is_ok() {
            return Ok(());
        }
        if load(directory, &manifest.key)?.is_none() {
            // What is there is incomplete: it makes room.
            fs::remove_dir_all(directory).map_err(at(directory))?;
            fs::rename(&partial, directory).map_err(at(directory))?;
        }
        Ok(())
    });
    // Nothing to remove after success: only a stopped, failed or overtaken preparation leaves it.
    let _ = fs::remove_dir_all(&partial);
    written.and_then(|()| directory.parent().map_or(Ok(()), sync))
}

/// Writes every file of a corpus and makes them durable.
fn write_all(
    partial: &Path,
    manifest: &Manifest,
    shards: &Shards,
    tokenizer: &Tokenizer,
    progress: Report,
) -> Result<(), DataError> {
    fs::create_dir_all(partial).map_err(at(partial))?;
    let tokenizer = tokenizer.to_string(true).map_err(|e| super::tokenizer::broken(&e))?;
    let json = |e: serde_json::Error| DataError::Unreadable { path: partial.to_owned(), source: e.into() };
    let files = [
        ("train.bin", pack(&shards.train.tokens, manifest.vocab)),
        ("validation.bin", pack(&shards.validation.tokens, manifest.vocab)),
        ("tokenizer.json", tokenizer.into_bytes()),
        ("unigrams.json", serde_json::to_vec(&shards.unigrams).map_err(json)?),
        ("manifest.json", serde_json::to_vec_pretty(manifest).map_err(json)?),
    ];
    for (i, (name, bytes)) in files.iter().enumerate() {
        report(progress, Stage::Writing, i as u64, files.len() as u64)?;
        let path = partial.join(name);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(at(&path))?;
    }
    sync(partial)
}

/// Makes the names in a directory durable.
fn sync(directory: &Path) -> Result<(), DataError> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    File::open(directory).and_then(|d| d.sync_all()).map_err(at(directory))
}

/// A corpus from the cache, if it is complete and agrees with its manifest.
pub(super) fn load(directory: &Path, key: &str) -> Result<Option<(Manifest, Shards)>, DataError> {
    let Some(manifest) = parse::<Manifest>(&directory.join("manifest.json")) else { return Ok(None) };
    let Some(unigrams) = parse::<Vec<u64>>(&directory.join("unigrams.json")) else { return Ok(None) };
    let agrees = manifest.version == VERSION
        && manifest.key == key
        && unigrams.len() as u64 == manifest.vocab
        && directory.join("tokenizer.json").is_file();
    if !agrees {
        return Ok(None);
    }
    let train = rows(directory, "train.bin", &manifest.sha256_train, &manifest)?;
    let validation = rows(directory, "validation.bin", &manifest.sha256_validation, &manifest)?;
    Ok(train.zip(validation).map(|(train, validation)| (manifest, Shards { train, validation, unigrams })))
}

/// A JSON file, if it is there and whole.
fn parse<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// The rows of a shard file, if it is the one that the manifest was written for.
fn rows(directory: &Path, name: &str, sha256: &str, manifest: &Manifest) -> Result<Option<Rows>, DataError> {
    let path = directory.join(name);
    let width = width(manifest.vocab);
    let Ok(bytes) = fs::read(&path) else { return Ok(None) };
    if bytes.is_empty() || hash(&bytes) != sha256 {
        return Ok(None);
    }
    let token = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
    let tokens: Vec<u32> = bytes.chunks_exact(width).map(token).collect();
    match tokens.iter().find(|&&token| u64::from(token) >= manifest.vocab) {
        Some(token) => Err(DataError::Corrupt { path, why: format!("token {token}, vocabulary of {}", manifest.vocab) }),
        None => Ok(Some(Rows::new(tokens, manifest.sequence))),
    }
}
