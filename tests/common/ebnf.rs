//! Reads `grammar/recipe.ebnf` as far as the tests need it: which productions there are, of what, and which units.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(missing_docs, reason = "the names say it")]

use std::collections::{BTreeMap, BTreeSet};

/// A piece of the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Letters of the language itself, in quotes.
    Terminal(String),
    /// The name of a production; it may hold blanks.
    Name(String),
    /// What is said in words, between question marks.
    Words(String),
    /// Signs of the notation.
    Sign(char),
}

/// Each production with its right side.
pub fn productions() -> BTreeMap<String, Vec<Piece>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/grammar/recipe.ebnf");
    let pieces = pieces(&without_comments(&std::fs::read_to_string(path).unwrap()));
    let mut found = BTreeMap::new();
    for production in pieces.split(|p| *p == Piece::Sign(';')).filter(|p| !p.is_empty()) {
        let [Piece::Name(name), Piece::Sign('='), right @ ..] = production else { panic!("no production: {production:?}") };
        assert!(found.insert(name.clone(), right.to_vec()).is_none(), "`{name}` is defined twice");
    }
    found
}

/// The names on the right side of a production.
pub fn names(right: &[Piece]) -> BTreeSet<&str> {
    right.iter().filter_map(|p| if let Piece::Name(name) = p { Some(name.as_str()) } else { None }).collect()
}

/// The letters on the right side of a production.
pub fn terminals(right: &[Piece]) -> BTreeSet<String> {
    right.iter().filter_map(|p| if let Piece::Terminal(text) = p { Some(text.clone()) } else { None }).collect()
}

/// Each kind of unit with its units.
pub fn units() -> BTreeMap<String, BTreeSet<String>> {
    let productions = productions();
    names(&productions["unit"]).into_iter().map(|kind| (kind.to_owned(), terminals(&productions[kind]))).collect()
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("(*") {
        let length = rest[start..].find("*)").expect("a comment ends");
        kept.push_str(&rest[..start]);
        rest = &rest[start + length + 2..];
    }
    kept + rest
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (piece, length) = match first {
            '"' | '\'' | '?' => {
                let length = rest[1..].find(first).expect("it is closed");
                let inner = rest[1..=length].to_owned();
                (if first == '?' { Piece::Words(inner) } else { Piece::Terminal(inner) }, length + 2)
            }
            c if c.is_alphabetic() => {
                let length = rest.find(|c: char| !c.is_alphanumeric() && c != ' ').unwrap_or(rest.len());
                (Piece::Name(rest[..length].trim_end().to_owned()), length)
            }
            sign => {
                assert!("=|,;()[]{}".contains(sign), "`{sign}` is no sign of EBNF: {rest}");
                (Piece::Sign(sign), 1)
            }
        };
        found.push(piece);
        rest = rest[length..].trim_start();
    }
    found
}
