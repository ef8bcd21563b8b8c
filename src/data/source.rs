//! Where text comes from: globs to files, files to documents, and the key of it all.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::shards::FileFact;
use super::{CorpusSpec, DataError, Report, SourceSpec, Stage, report, shards};

/// A source after its pattern met the disk.
pub(super) enum Input {
    /// The files of one pattern, sorted by path.
    Files { pattern: String, files: Vec<FileFact> },
    /// The built-in language.
    Synthetic { sentences: u64 },
}

/// Finds and hashes the files of all sources.
pub(super) fn resolve(sources: &[SourceSpec], progress: Report) -> Result<Vec<Input>, DataError> {
    if sources.is_empty() {
        return Err(DataError::Empty { source_name: "the list of sources".to_owned() });
    }
    let found = sources.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let total = found.iter().flat_map(|(_, files)| files).map(|(_, bytes)| bytes).sum();
    let mut done = 0;
    let mut inputs = Vec::new();
    for (source, files) in found {
        inputs.push(match source {
            SourceSpec::Synthetic { sentences } => Input::Synthetic { sentences: *sentences },
            SourceSpec::Text { pattern } => {
                let mut facts = Vec::new();
                for (path, bytes) in files {
                    report(progress, Stage::Hashing, done, total)?;
                    done += bytes;
                    facts.push(FileFact { sha256: hash(&path)?, path, bytes });
                }
                Input::Files { pattern: pattern.clone(), files: facts }
            }
        });
    }
    Ok(inputs)
}

/// Paths and sizes in bytes, sorted by path.
type Sizes = Vec<(PathBuf, u64)>;

/// The paths and sizes behind a source; refuses sources that hold nothing.
fn find(source: &SourceSpec) -> Result<(&SourceSpec, Sizes), DataError> {
    let (files, name) = match source {
        SourceSpec::Synthetic { sentences: 0 } => (Vec::new(), "the synthetic source".to_owned()),
        SourceSpec::Synthetic { .. } => return Ok((source, Vec::new())),
        SourceSpec::Text { pattern } => (matches(pattern)?, format!("`{pattern}`")),
    };
    if files.iter().all(|(_, bytes)| *bytes == 0) {
        return Err(DataError::Empty { source_name: name });
    }
    Ok((source, files))
}

/// The files that match a pattern, sorted by path.
fn matches(pattern: &str) -> Result<Sizes, DataError> {
    let none = || DataError::NoMatch { pattern: pattern.to_owned() };
    let mut files = Vec::new();
    for entry in glob::glob(pattern).map_err(|_| none())? {
        let path = entry.map_err(|e| DataError::Unreadable { path: e.path().to_owned(), source: e.into() })?;
        let facts = path.metadata().map_err(|source| DataError::Unreadable { path: path.clone(), source })?;
        if facts.is_file() {
            packing(&path)?;
            files.push((path, facts.len()));
        }
    }
    files.sort();
    if files.is_empty() { Err(none()) } else { Ok(files) }
}

/// How a file is packed.
#[derive(Clone, Copy)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// The packing that a file's name tells.
fn packing(path: &Path) -> Result<Packing, DataError> {
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let known = [(".txt", Packing::Plain), (".txt.gz", Packing::Gzip), (".txt.zst", Packing::Zstd)];
    let found = known.into_iter().find(|(end, _)| name.ends_with(end));
    found.map(|(_, packing)| packing).ok_or_else(|| DataError::Unsupported { path: path.to_owned() })
}

/// The bytes of a file, unpacked.
pub(super) fn contents(path: &Path) -> Result<Vec<u8>, DataError> {
    let packing = packing(path)?;
    let read = || {
        let file = BufReader::new(File::open(path)?);
        let mut bytes = Vec::new();
        match packing {
            Packing::Plain => { file }.read_to_end(&mut bytes),
            Packing::Gzip => flate2::bufread::MultiGzDecoder::new(file).read_to_end(&mut bytes),
            Packing::Zstd => zstd::Decoder::with_buffer(file)?.read_to_end(&mut bytes),
        }?;
        Ok(bytes)
    };
    read().map_err(|source| DataError::Unreadable { path: path.to_owned(), source })
}

/// The text of some bytes, and how many replacement characters stand in for what was not UTF-8.
pub(super) fn decode(bytes: &[u8]) -> (String, u64) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut text = String::with_capacity(bytes.len());
    let mut invalid = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            invalid += 1;
        }
    }
    (text, invalid)
}

/// The paragraphs of a text: what stands between blank lines.
pub(super) fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let end = paragraph_end(rest);
        let (paragraph, after) = rest.split_at(end);
        rest = after;
        (!paragraph.is_empty()).then_some(paragraph)
    })
}

/// Where the first blank line begins, or the text ends.
fn paragraph_end(text: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            break;
        }
        at += line.len();
    }
    at
}

/// The SHA-256 of a file in hexadecimal.
fn hash(path: &Path) -> Result<String, DataError> {
    let mut digest = Sha256::new();
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut digest));
    copied.map_err(|source| DataError::Unreadable { path: path.to_owned(), source })?;
    Ok(format!("{:x}", digest.finalize()))
}

/// The name of a corpus in the cache: what determines its tokens, and not where its files lie.
pub(super) fn key(spec: &CorpusSpec, inputs: &[Input]) -> String {
    let sources: Vec<_> = inputs
        .iter()
        .map(|input| match input {
            Input::Files { files, .. } => json!(files.iter().map(|f| &f.sha256).collect::<Vec<_>>()),
            Input::Synthetic { sentences } => json!({"synthetic": sentences}),
        })
        .collect();
    let n = &spec.normalize;
    let facts = json!([
        shards::VERSION,
        sources,
        [n.quotes, n.lowercase, n.strip_accents, n.ascii, n.collapse_spaces],
        format!("{:016x}", spec.validation.to_bits()),
        spec.vocab,
        spec.sequence,
        spec.seed
    ]);
    format!("{:x}", Sha256::digest(facts.to_string()))
}

/// The files of all sources, in order.
pub(super) fn files(inputs: &[Input]) -> Vec<FileFact> {
    let of = |input: &Input| match input {
        Input::Files { files, .. } => files.clone(),
        Input::Synthetic { .. } => Vec::new(),
    };
    inputs.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_part_documents() {
        let parts: Vec<_> = paragraphs("\n a b\nc\r\n \t\r\n\r\nd\n").map(str::trim_end).collect();
        assert_eq!(parts, ["a b\nc", "d"]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced_and_counted() {
        assert_eq!(decode(b"\xef\xbb\xbfa\xffb\xe2\x82"), ("a\u{fffd}b\u{fffd}".to_owned(), 2));
    }
}
