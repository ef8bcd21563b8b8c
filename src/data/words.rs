//! The corpus as distinct words and the order they come in.

use std::collections::HashMap;

use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use super::source::{self, Input};
use super::{CorpusSpec, DataError, Report, Stage, language, report, tokenizer};
use crate::rng::{Purpose, Stream};

/// Stands after each document among the numbers of words.
pub(super) const END: u32 = u32::MAX;

/// One part of the corpus.
#[derive(Default)]
pub(super) struct Part {
    /// Numbers of words, [`END`] after each document.
    pub words: Vec<u32>,
    /// Number of documents.
    pub documents: u64,
}

/// The words of a corpus; a word's number is its place of first appearance.
#[derive(Default)]
pub(super) struct Corpus {
    /// The distinct words.
    pub words: Vec<String>,
    /// How often each appears in the training part.
    pub counts: Vec<u64>,
    numbers: HashMap<String, u32>,
    /// What is trained on.
    pub train: Part,
    /// What is held back.
    pub validation: Part,
}

impl Corpus {
    /// The words of the training part with their counts, in alphabetic order.
    pub fn counted(&self) -> Vec<(&str, u64)> {
        let pairs = self.words.iter().map(String::as_str).zip(self.counts.iter().copied());
        let mut counted: Vec<_> = pairs.filter(|(_, count)| *count > 0).collect();
        counted.sort_unstable();
        counted
    }

    /// Documents with words, in both parts.
    fn documents(&self) -> u64 {
        self.train.documents + self.validation.documents
    }

    /// The number of a word, new or known.
    fn number(&mut self, word: &str) -> u32 {
        if let Some(&number) = self.numbers.get(word) {
            return number;
        }
        let number = self.words.len() as u32;
        self.words.push(word.to_owned());
        self.counts.push(0);
        self.numbers.insert(word.to_owned(), number);
        number
    }

    /// Adds a document; one without words is left out.
    fn add(&mut self, words: &[&str], held_back: bool) {
        if words.is_empty() {
            return;
        }
        for word in words {
            let number = self.number(word);
            self.counts[number as usize] += u64::from(!held_back);
            self.part(held_back).words.push(number);
        }
        let part = self.part(held_back);
        part.words.push(END);
        part.documents += 1;
    }

    /// The part that is held back, or the other.
    fn part(&mut self, held_back: bool) -> &mut Part {
        if held_back { &mut self.validation } else { &mut self.train }
    }
}

/// What was met on the way.
#[derive(Default)]
pub(super) struct Reading {
    /// Bytes of text, unpacked; the synthetic language included.
    pub bytes: u64,
    /// Replacement characters made.
    pub invalid_utf8: u64,
}

/// Reads documents into a corpus.
struct Reader<'a> {
    spec: &'a CorpusSpec,
    split: Stream,
    pattern: tokenizers::pre_tokenizers::split::Split,
    documents: u64,
    sentences: u64,
    corpus: Corpus,
    reading: Reading,
}

/// Reads all sources, normalises them and parts the documents.
pub(super) fn read(spec: &CorpusSpec, inputs: &[Input], progress: Report) -> Result<(Corpus, Reading), DataError> {
    let mut reader = Reader {
        spec,
        split: Stream::new(spec.seed, Purpose::Order),
        pattern: tokenizer::split()?,
        documents: 0,
        sentences: 0,
        corpus: Corpus::default(),
        reading: Reading::default(),
    };
    for input in inputs {
        match input {
            Input::Files { pattern, files } => {
                let before = reader.corpus.documents();
                reader.files(files, progress)?;
                if reader.corpus.documents() == before {
                    return Err(DataError::Empty { source_name: format!("`{pattern}`") });
                }
            }
            Input::Synthetic { sentences } => reader.synthetic(*sentences, progress)?,
        }
    }
    Ok((reader.corpus, reader.reading))
}

impl Reader<'_> {
    /// Reads the files of one pattern.
    fn files(&mut self, files: &[super::FileFact], progress: Report) -> Result<(), DataError> {
        let total = files.iter().map(|f| f.bytes).sum();
        let mut done = 0;
        for file in files {
            let bytes = source::contents(&file.path)?;
            let (text, invalid) = source::decode(&bytes);
            self.reading.bytes += bytes.len() as u64;
            self.reading.invalid_utf8 += invalid;
            for (i, paragraph) in source::paragraphs(&text).enumerate() {
                if i % 1024 == 0 {
                    report(progress, Stage::Reading, done, total)?;
                }
                self.document(paragraph)?;
            }
            done += file.bytes;
        }
        report(progress, Stage::Reading, done, total)
    }

    /// Draws the documents of the synthetic language; a further synthetic source goes on where the last one ended.
    fn synthetic(&mut self, sentences: u64, progress: Report) -> Result<(), DataError> {
        let first = self.sentences;
        self.sentences += sentences.next_multiple_of(language::SENTENCES_PER_DOCUMENT);
        let mut at = 0;
        while at < sentences {
            let end = sentences.min(at + language::SENTENCES_PER_DOCUMENT);
            let text: Vec<_> = (at..end).map(|i| language::sentence(self.spec.seed, first + i)).collect();
            let text = text.join(" ");
            self.reading.bytes += text.len() as u64;
            if at.is_multiple_of(512 * language::SENTENCES_PER_DOCUMENT) {
                report(progress, Stage::Reading, at, sentences)?;
            }
            self.document(&text)?;
            at = end;
        }
        report(progress, Stage::Reading, sentences, sentences)
    }

    /// Adds one document to the part that the draw of its index says.
    fn document(&mut self, text: &str) -> Result<(), DataError> {
        let held_back = self.split.uniform(u64::MAX, self.documents) < self.spec.validation;
        self.documents += 1;
        let text = self.spec.normalize.apply(text);
        if text.is_ascii() {
            self.corpus.add(&split_ascii(&text), held_back);
            return Ok(());
        }
        let mut pieces = PreTokenizedString::from(text.as_str());
        self.pattern.pre_tokenize(&mut pieces).map_err(|e| tokenizer::broken(&e))?;
        let words: Vec<_> = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte).into_iter().map(|s| s.0).collect();
        self.corpus.add(&words, held_back);
        Ok(())
    }
}

/// `\w+|[^\w\s]+` for ASCII text, where no expression is needed.
fn split_ascii(text: &str) -> Vec<&str> {
    let kind = |byte: u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => 1,
        b' ' | b'\t'..=b'\r' => 0,
        _ => 2,
    };
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut start = 0;
    for at in 1..=bytes.len() {
        if at == bytes.len() || kind(bytes[at]) != kind(bytes[start]) {
            if kind(bytes[start]) != 0 {
                words.push(&text[start..at]);
            }
            start = at;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ascii_text_splits_as_the_expression_says(text in "[\\x00-\\x7f]{0,60}") {
            let mut pieces = PreTokenizedString::from(text.as_str());
            tokenizer::split().unwrap().pre_tokenize(&mut pieces).unwrap();
            let words: Vec<_> =
                pieces.get_splits(OffsetReferential::Original, OffsetType::Byte).into_iter().map(|s| s.0).collect();
            prop_assert_eq!(split_ascii(&text), words);
        }
    }
}
