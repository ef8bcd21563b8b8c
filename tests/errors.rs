//! Every code has its page in `grammar/errors`, whose examples do what it says, and its fixture in `tests/broken`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cramplan::diag::Code;
use serde_json::Value;

use common::{Place, RUN_ONLY, code_of};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The stems of the files with an ending in a directory.
fn stems(directory: &str, ending: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(directory)).unwrap().map(|entry| entry.unwrap().path());
    let wanted = entries.filter(|path| path.extension().is_some_and(|e| e == ending));
    wanted.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// What an example is said to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Claim {
    Fails,
    Warns,
    Works,
}

/// A recipe in a page, with the arguments that `check` gets beside it.
#[derive(Debug)]
struct Example {
    claim: Claim,
    arguments: Vec<String>,
    text: String,
}

/// The fenced recipes of a page; a block with another first line than `ron CLAIM ARGUMENTS` is an error of the page.
fn examples(page: &str) -> Vec<Example> {
    let mut found = Vec::new();
    for fence in page.split("\n```").skip(1).step_by(2) {
        let (info, text) = fence.split_once('\n').unwrap();
        let mut words = info.split_whitespace();
        assert_eq!(words.next(), Some("ron"), "{info}");
        let claim = match words.next() {
            Some("fails") => Claim::Fails,
            Some("warns") => Claim::Warns,
            Some("works") => Claim::Works,
            other => panic!("`{info}` claims {other:?}"),
        };
        found.push(Example { claim, arguments: words.map(str::to_owned).collect(), text: format!("{text}\n") });
    }
    found
}

/// The verdict on an example that stands in `recipe.ron` beside the quick start, with its exit code.
fn verdict(example: &Example) -> (i32, Value) {
    let place = Place::with(&example.text);
    std::fs::copy(root().join("recipes/quickstart.ron"), place.path().join("quickstart.ron")).unwrap();
    let mut arguments = vec!["check", "--format", "json"];
    if example.arguments.first().is_none_or(|first| first.starts_with("--")) {
        arguments.push("recipe.ron");
    }
    arguments.extend(example.arguments.iter().map(String::as_str));
    let output = place.run(&arguments);
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

/// The codes in a verdict, by severity.
fn codes(verdict: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for diagnostic in verdict["diagnostics"].as_array().unwrap() {
        found.entry(diagnostic["severity"].as_str().unwrap()).or_default().insert(diagnostic["code"].as_str().unwrap());
    }
    found
}

/// Whether an example does what it claims for a code; else what it does.
fn holds(example: &Example, code: Code) -> Result<(), String> {
    let (exit, verdict) = verdict(example);
    let codes = codes(&verdict);
    let only = |severity| codes.get(severity).is_some_and(|found| *found == BTreeSet::from([code.as_str()]));
    let right = match example.claim {
        Claim::Fails => matches!(exit, 1 | 2) && only("error"),
        Claim::Warns => exit == 0 && only("warning"),
        Claim::Works => exit == 0 && codes.is_empty(),
    };
    if right { Ok(()) } else { Err(format!("`{code}`: exit {exit}, {codes:?}\n{example:?}")) }
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let slugs: BTreeSet<String> = Code::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(stems("grammar/errors", "md"), slugs);
    for code in Code::ALL {
        let mut parts = code.page().splitn(3, "\n\n");
        assert_eq!(parts.next(), Some(format!("# {code}").as_str()));
        assert_eq!(parts.next(), Some(code.summary()), "{code}");
        assert!(parts.next().is_some_and(|text| text.lines().count() >= 10), "`{code}` explains nothing");
    }
}

#[test]
fn every_page_shows_the_mistake_and_the_way_out() {
    for code in Code::ALL {
        let examples = examples(code.page());
        let claims: Vec<Claim> = examples.iter().map(|e| e.claim).collect();
        if RUN_ONLY.contains(code) {
            assert!(claims.is_empty(), "{code}");
        } else {
            let shown = claims.iter().any(|c| matches!(c, Claim::Fails | Claim::Warns)) && claims.contains(&Claim::Works);
            assert!(shown, "`{code}` shows {claims:?}");
        }
    }
}

#[test]
fn every_example_does_what_its_page_says() {
    let mut wrong = Vec::new();
    for code in Code::ALL {
        wrong.extend(examples(code.page()).iter().filter_map(|example| holds(example, *code).err()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_fixture_and_every_fixture_what_is_said_about_it() {
    let fixtures = stems("tests/broken", "ron");
    let covered: BTreeSet<Code> = fixtures.iter().filter_map(|stem| code_of(stem)).collect();
    let lacking: Vec<&Code> = Code::ALL.iter().filter(|c| !covered.contains(c) && !RUN_ONLY.contains(c)).collect();
    assert!(lacking.is_empty(), "no fixture for {lacking:?}");
    assert_eq!(stems("tests/broken", "snap"), fixtures);
}

#[test]
fn a_code_is_told_from_a_longer_one() {
    assert_eq!(code_of("unknown-name"), Some(Code::UnknownName));
    assert_eq!(code_of("no-time-at-all"), Some(Code::NoTime));
    assert_eq!((code_of("no-timely"), code_of("three-errors")), (None, None));
}

#[test]
fn every_example_is_found_however_it_is_called() {
    let page = "# x\n\n```ron fails --set a=1\nA\nB\n```\ntext\n\n```ron works\nC\n```\n";
    let found: Vec<(Claim, Vec<String>, String)> = examples(page).into_iter().map(|e| (e.claim, e.arguments, e.text)).collect();
    let wanted = [
        (Claim::Fails, vec!["--set".to_owned(), "a=1".to_owned()], "A\nB\n".to_owned()),
        (Claim::Works, vec![], "C\n".to_owned()),
    ];
    assert_eq!(found, wanted);
}
