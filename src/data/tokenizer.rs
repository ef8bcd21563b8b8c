//! The tokenizer file, and words cut into tokens.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{Model, SplitDelimiterBehavior, Tokenizer};

use super::words::{Corpus, END, Part};
use super::{CorpusSpec, DataError, Normalizer, Report, Rows, Shards, Stage, report};

/// The special tokens; their place is their id.
pub const SPECIALS: [&str; 7] = ["<pad>", "<s>", "</s>", "<unk>", "<cls>", "<sep>", "<mask>"];

/// The id of `<sep>`, which ends every document.
pub const SEP: u32 = 5;

/// The id of `<mask>`.
pub(super) const MASK: u32 = 6;

/// The id of `<cls>`, used by pairs of texts only.
const CLS: u32 = 4;

/// Longer words become `<unk>`.
pub(super) const LONGEST_WORD: usize = 100;

/// What a word is: letters, digits and `_`, or signs, without space.
const WORD: &str = r"\w+|[^\w\s]+";

/// The splitter into words.
pub(super) fn split() -> Result<Split, DataError> {
    Split::new(SplitPattern::Regex(WORD.to_owned()), SplitDelimiterBehavior::Removed, true).map_err(|e| broken(&e))
}

/// An error of the tokenizer library.
pub(super) fn broken(error: &tokenizers::Error) -> DataError {
    DataError::Corrupt { path: PathBuf::from("tokenizer.json"), why: error.to_string() }
}

/// The tokenizer of a vocabulary.
pub(super) fn build(vocabulary: &[String], normalizer: Normalizer) -> Result<Tokenizer, DataError> {
    let ids: serde_json::Map<String, Value> = vocabulary.iter().enumerate().map(|(id, e)| (e.clone(), json!(id))).collect();
    let added: Vec<_> = SPECIALS.iter().enumerate().map(|(id, special)| special_token(id, special)).collect();
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": normalizer.components(),
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": WORD}, "behavior": "Removed", "invert": true},
        "post_processor": template(),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece",
            "unk_token": "<unk>",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": LONGEST_WORD,
            "vocab": ids
        }
    });
    Tokenizer::from_bytes(file.to_string()).map_err(|e| broken(&e))
}

/// A special token as the file lists it.
fn special_token(id: usize, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true})
}

/// One text: `A <sep>`; two texts: `<cls> A <sep> B <sep>`, all of type 0.
fn template() -> Value {
    let special = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    json!({
        "type": "TemplateProcessing",
        "single": [text("A"), special("<sep>")],
        "pair": [special("<cls>"), text("A"), special("<sep>"), text("B"), special("<sep>")],
        "special_tokens": {
            "<cls>": {"id": "<cls>", "ids": [CLS], "tokens": ["<cls>"]},
            "<sep>": {"id": "<sep>", "ids": [SEP], "tokens": ["<sep>"]}
        }
    })
}

/// The distinct words of a corpus as tokens.
struct Pieces {
    tokens: Vec<u32>,
    ends: Vec<usize>,
}

impl Pieces {
    /// Cuts each distinct word once.
    fn new(tokenizer: &Tokenizer, words: &[String], progress: Report) -> Result<Self, DataError> {
        let mut pieces = Self { tokens: Vec::new(), ends: vec![0] };
        for (i, word) in words.iter().enumerate() {
            if i % 4096 == 0 {
                report(progress, Stage::Encoding, i as u64, words.len() as u64)?;
            }
            let cut = tokenizer.get_model().tokenize(word).map_err(|e| broken(&e))?;
            pieces.tokens.extend(cut.iter().map(|token| token.id));
            pieces.ends.push(pieces.tokens.len());
        }
        Ok(pieces)
    }

    /// The tokens of a word by its number.
    fn of(&self, word: u32) -> &[u32] {
        let at = word as usize;
        &self.tokens[self.ends[at]..self.ends[at + 1]]
    }

    /// Whether some word takes more than one token.
    fn blurred(&self) -> bool {
        self.tokens.len() + 1 > self.ends.len()
    }

    /// A part of the corpus as tokens, `<sep>` after each document.
    fn part(&self, part: &Part) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(part.words.len());
        for &word in &part.words {
            if word == END { tokens.push(SEP) } else { tokens.extend_from_slice(self.of(word)) }
        }
        tokens
    }
}

/// The corpus as rows of tokens, and whether some word takes more than one token.
pub(super) fn encode(
    tokenizer: &Tokenizer,
    corpus: &Corpus,
    spec: &CorpusSpec,
    progress: Report,
) -> Result<(Shards, bool), DataError> {
    let pieces = Pieces::new(tokenizer, &corpus.words, progress)?;
    let train = rows(pieces.part(&corpus.train), spec, "training", "add text, or shorten the rows")?;
    let way_out = "hold back a larger share, add text, or shorten the rows";
    let validation = rows(pieces.part(&corpus.validation), spec, "validation", way_out)?;
    Ok((Shards::new(train, validation, spec.vocab), pieces.blurred()))
}

/// Rows of tokens, at least one.
fn rows(tokens: Vec<u32>, spec: &CorpusSpec, part: &'static str, way_out: &'static str) -> Result<Rows, DataError> {
    let count = tokens.len() as u64;
    let rows = Rows::new(tokens, spec.sequence);
    if rows.is_empty() {
        return Err(DataError::TooSmall { part, tokens: count, sequence: spec.sequence, way_out });
    }
    Ok(rows)
}
