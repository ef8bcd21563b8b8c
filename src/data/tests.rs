//! The stage from its outside: files in, cache out.

use std::fs;
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const TEXT: &str = "The cat sat on the mat.\nIt was a ``good'' cat.\n\nA dog ran after the cat, again and again.\n\n";

fn normalizer() -> Normalizer {
    Normalizer { quotes: true, lowercase: true, strip_accents: true, ascii: true, collapse_spaces: true }
}

fn spec(sources: Vec<SourceSpec>) -> CorpusSpec {
    CorpusSpec { sources, normalize: normalizer(), validation: 0.3, vocab: 70, sequence: 16, seed: 1 }
}

fn text(folder: &Path, pattern: &str) -> CorpusSpec {
    spec(vec![SourceSpec::Text { pattern: folder.join(pattern).display().to_string() }])
}

fn synthetic(sentences: u64) -> CorpusSpec {
    CorpusSpec { vocab: language::VOCABULARY, ..spec(vec![SourceSpec::Synthetic { sentences }]) }
}

fn make(spec: &CorpusSpec, cache: &Path) -> Result<Prepared, DataError> {
    prepare(spec, cache, &mut |_| true)
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.txt"), TEXT.repeat(20)).unwrap();
    folder
}

#[test]
fn a_corpus_is_made_once_and_found_again_wherever_its_files_move() {
    let (folder, cache, elsewhere) = (folder(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let first = make(&text(folder.path(), "*.txt"), cache.path()).unwrap();
    assert!(!first.reused && first.manifest.documents_train + first.manifest.documents_validation == 40);
    fs::copy(folder.path().join("a.txt"), elsewhere.path().join("b.txt")).unwrap();
    let again = make(&text(elsewhere.path(), "b.txt"), cache.path()).unwrap();
    assert!(again.reused && again.shards == first.shards && again.manifest.files[0].path.ends_with("b.txt"));
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);
}

#[test]
fn an_incomplete_place_is_made_anew() {
    let (folder, cache) = (folder(), TempDir::new().unwrap());
    let first = make(&text(folder.path(), "*.txt"), cache.path()).unwrap();
    fs::write(first.directory.join("train.bin"), [0; 6]).unwrap();
    let again = make(&text(folder.path(), "*.txt"), cache.path()).unwrap();
    assert!(!again.reused && again.shards == first.shards && again.directory == first.directory);
    assert!(make(&text(folder.path(), "*.txt"), cache.path()).unwrap().reused);
}

#[test]
fn packed_files_give_the_same_tokens() {
    let (folder, cache) = (folder(), TempDir::new().unwrap());
    let plain = make(&text(folder.path(), "a.txt"), cache.path()).unwrap();
    let bytes = TEXT.repeat(20).into_bytes();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&bytes).unwrap();
    fs::write(folder.path().join("b.txt.gz"), gz.finish().unwrap()).unwrap();
    fs::write(folder.path().join("c.txt.zst"), zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
    for name in ["b.txt.gz", "c.txt.zst"] {
        assert_eq!(make(&text(folder.path(), name), cache.path()).unwrap().shards, plain.shards, "{name}");
    }
}

#[test]
fn bad_sources_are_refused_by_name() {
    let (folder, cache) = (folder(), TempDir::new().unwrap());
    fs::write(folder.path().join("empty.txt"), "").unwrap();
    fs::write(folder.path().join("blank.txt"), " \n\n").unwrap();
    fs::write(folder.path().join("x.pdf"), "x").unwrap();
    fs::write(folder.path().join("bad.txt.gz"), "no gzip").unwrap();
    let fails = |name: &str| make(&text(folder.path(), name), cache.path()).unwrap_err();
    assert!(matches!(fails("none*.txt"), DataError::NoMatch { .. }));
    assert!(matches!(fails("empty.txt"), DataError::Empty { .. }));
    assert!(matches!(fails("blank.txt"), DataError::Empty { .. }));
    assert!(matches!(fails("x.pdf"), DataError::Unsupported { .. }));
    assert!(matches!(fails("bad.txt.gz"), DataError::Unreadable { .. }));
    assert!(matches!(make(&spec(vec![]), cache.path()).unwrap_err(), DataError::Empty { .. }));
    assert!(matches!(make(&synthetic(0), cache.path()).unwrap_err(), DataError::Empty { .. }));
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
}

#[test]
fn too_little_text_says_which_part_lacks() {
    let (folder, cache) = (folder(), TempDir::new().unwrap());
    let none_held_back = CorpusSpec { validation: 0.0, ..text(folder.path(), "a.txt") };
    assert!(matches!(make(&none_held_back, cache.path()), Err(DataError::TooSmall { part: "validation", .. })));
    let long = CorpusSpec { sequence: 10_000, ..text(folder.path(), "a.txt") };
    assert!(matches!(make(&long, cache.path()), Err(DataError::TooSmall { part: "training", .. })));
    let rich = CorpusSpec { vocab: 5000, ..text(folder.path(), "a.txt") };
    assert!(matches!(make(&rich, cache.path()), Err(DataError::Vocabulary { wanted: 5000, reached: 70..5000 })));
}

#[test]
fn a_stop_leaves_nothing_behind() {
    let (folder, cache) = (folder(), TempDir::new().unwrap());
    for stage in [Stage::Hashing, Stage::Reading, Stage::Encoding, Stage::Writing] {
        let got = prepare(&text(folder.path(), "a.txt"), cache.path(), &mut |p| p.stage != stage);
        assert!(matches!(got, Err(DataError::Interrupted)), "{stage:?}");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_counted() {
    let (folder, cache) = (folder(), TempDir::new().unwrap());
    fs::write(folder.path().join("a.txt"), [TEXT.repeat(20).as_bytes(), b"a \xff\xff b"].concat()).unwrap();
    assert_eq!(make(&text(folder.path(), "a.txt"), cache.path()).unwrap().manifest.invalid_utf8, 2);
}

#[test]
fn the_tokenizer_file_alone_gives_the_tokens_of_the_shards() {
    let (folder, cache) = (folder(), TempDir::new().unwrap());
    let made = make(&text(folder.path(), "a.txt"), cache.path()).unwrap();
    let tokenizer = tokenizers::Tokenizer::from_file(made.directory.join("tokenizer.json")).unwrap();
    let mut parts = [Vec::new(), Vec::new()];
    for (i, paragraph) in source::paragraphs(&TEXT.repeat(20)).enumerate() {
        let draw = crate::rng::Stream::new(1, crate::rng::Purpose::Order).uniform(u64::MAX, i as u64);
        parts[usize::from(draw < 0.3)].extend_from_slice(tokenizer.encode(paragraph, true).unwrap().get_ids());
    }
    let [train, validation] = parts.map(|tokens| Rows::new(tokens, 16));
    assert_eq!((train, validation), (made.shards.train, made.shards.validation));
    assert!((0..7u32).all(|id| tokenizer.id_to_token(id).as_deref() == Some(SPECIALS[id as usize])));
}

#[test]
fn foreign_text_keeps_its_letters_where_they_may_stay() {
    let (folder, cache) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::write(folder.path().join("a.txt"), "Ça va très bien — où es-tu ?\n\n".repeat(60)).unwrap();
    let spec = CorpusSpec { normalize: Normalizer::default(), vocab: 52, ..text(folder.path(), "a.txt") };
    let made = make(&spec, cache.path()).unwrap();
    assert_eq!(made.shards.unigrams[3], 0);
    assert!(fs::read_to_string(made.directory.join("tokenizer.json")).unwrap().contains("\"##ù\""));
}

#[test]
fn two_synthetic_sources_are_one_longer_source() {
    let cache = TempDir::new().unwrap();
    let halves = CorpusSpec { sources: vec![SourceSpec::Synthetic { sentences: 1600 }; 2], ..synthetic(1) };
    assert_eq!(make(&halves, cache.path()).unwrap().shards, make(&synthetic(3200), cache.path()).unwrap().shards);
}

#[test]
fn each_synthetic_word_is_one_token_from_the_stated_vocabulary_on() {
    let cache = TempDir::new().unwrap();
    let made = make(&synthetic(20_000), cache.path()).unwrap();
    let facts = made.manifest.synthetic.unwrap();
    let known = language::losses();
    assert_eq!((facts.unigram_loss, facts.bigram_loss, facts.best_loss), (known.unigram, known.bigram, known.best));
    assert_eq!((made.shards.unigrams[3], made.manifest.documents_train + made.manifest.documents_validation), (0, 2500));
    let total = made.manifest.tokens_train as f64;
    let shares = made.shards.unigrams.iter().filter(|c| **c > 0).map(|&c| c as f64 / total);
    let entropy: f64 = shares.map(|p| -p * libm::log(p)).sum();
    assert!((entropy - known.unigram).abs() < 0.01, "{entropy} {known:?}");
    let small = CorpusSpec { vocab: 300, ..synthetic(2000) };
    assert_eq!(make(&small, cache.path()).unwrap().manifest.synthetic, None);
}
