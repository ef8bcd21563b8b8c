//! The grammar against the code: each production is read by a function that cites it, and the units are those that have a value.
//!
//! A citation is a sentence of a function's documentation, at the end of a line: ``EBNF `list`, `group`.``

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

#[path = "common/ebnf.rs"]
mod ebnf;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cramplan::recipe::eval::evaluate_alone;
use cramplan::source::SourceId;
use cramplan::syntax::parse;

/// Where reading begins, and what may stand between any two tokens: no other production names them.
const ROOTS: [&str; 4] = ["document", "override", "blank", "comment"];

/// Each production that is cited, with the functions that cite it.
fn citations() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/syntax")) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        for (at, line) in lines.iter().enumerate() {
            let Some((_, names)) = line.strip_prefix("///").and_then(|doc| doc.split_once("EBNF ")) else { continue };
            let place = format!("{}:{}", path.display(), at + 1);
            let function = function(&lines[at..]).unwrap_or_else(|| panic!("{place}: a citation stands at a function"));
            for name in cited(names).unwrap_or_else(|| panic!("{place}: write it so: EBNF `list`, `group`.")) {
                found.entry(name).or_default().insert(format!("{place} {function}"));
            }
        }
    }
    found
}

/// The names in ``  `list`, `group`. ``
fn cited(names: &str) -> Option<Vec<String>> {
    let name = |quoted: &str| Some(quoted.strip_prefix('`')?.strip_suffix('`')?.to_owned());
    names.strip_suffix('.')?.split(", ").map(name).collect()
}

/// The function whose documentation these lines go on with.
fn function<'t>(lines: &[&'t str]) -> Option<&'t str> {
    let signature = lines.iter().find(|line| !line.starts_with("///") && !line.starts_with("#["))?;
    let (_, name) = signature.split_once("fn ")?;
    name.split(['(', '<']).next()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && path.file_name().is_some_and(|n| n != "tests.rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn each_production_is_cited_and_each_citation_is_a_production() {
    let defined: BTreeSet<String> = ebnf::productions().into_keys().collect();
    let citations = citations();
    let unread: Vec<_> = defined.iter().filter(|name| !citations.contains_key(*name)).collect();
    assert!(unread.is_empty(), "no function in `src/syntax` cites {unread:?}");
    let unknown: Vec<_> = citations.iter().filter(|(name, _)| !defined.contains(*name)).collect();
    assert!(unknown.is_empty(), "the grammar does not define {unknown:?}");
}

#[test]
fn each_production_is_defined_and_used() {
    let productions = ebnf::productions();
    let used: BTreeSet<&str> = productions.values().flat_map(|right| ebnf::names(right)).collect();
    let undefined: Vec<_> = used.iter().filter(|name| !productions.contains_key(**name)).collect();
    assert!(undefined.is_empty(), "used and not defined: {undefined:?}");
    let unused: Vec<_> =
        productions.keys().filter(|name| !used.contains(name.as_str()) && !ROOTS.contains(&name.as_str())).collect();
    assert!(unused.is_empty(), "defined and not used: {unused:?}");
}

#[test]
fn the_units_of_the_grammar_are_those_that_have_a_value() {
    let units: BTreeSet<String> = ebnf::units().into_values().flatten().collect();
    let letters = ["", "k", "K", "m", "M", "g", "G", "t", "T", "P", "E", "i", "B", "b", "n", "s", "h", "d", "FLOP", "flop", "%"];
    let mut tried = units.clone();
    for first in letters {
        tried.extend(letters.iter().flat_map(|second| letters.map(|third| [first, second, third].concat())));
    }
    tried.remove("");
    for unit in tried {
        let (document, mut found) = parse(SourceId(0), &format!("1{unit}"));
        found.extend(evaluate_alone(&document.unwrap()).1);
        assert_eq!(found.is_empty(), units.contains(&unit), "`1{unit}`: {found:?}");
    }
}
