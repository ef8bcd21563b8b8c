use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::super::lexer::{Kind, lex};
use super::super::trivia::gap;
use super::format;
use crate::recipe::testing::TEXT;
use crate::source::SourceId;
use crate::syntax::{ast::Document, parse};

const HERE: SourceId = SourceId(0);

fn formatted(text: &str) -> String {
    format(HERE, text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

fn tree(text: &str) -> Option<Document> {
    let (document, errors) = parse(HERE, text);
    document.filter(|_| errors.is_empty()).map(Document::without_spans)
}

/// The tokens but for commas, and the comments between them, as they follow each other.
fn pieces(text: &str) -> Vec<String> {
    let (mut found, mut end) = (Vec::new(), 0);
    for token in lex(HERE, text).tokens {
        let (from, to) = (token.span.start as usize, token.span.end as usize);
        let between = text[end..from].trim_start_matches('\u{feff}');
        found.extend(gap(between).comments.iter().map(|comment| comment.text.replace("\r\n", "\n")));
        found.extend((token.kind != Kind::Punct(',')).then(|| text[from..to].to_owned()));
        end = to;
    }
    found
}

/// Everything that must hold of a text that parses.
fn hold(text: &str) {
    let once = formatted(text);
    assert_eq!(tree(&once), tree(text), "another tree:\n{text}\n---\n{once}");
    assert_eq!(pieces(&once), pieces(text), "other tokens or comments:\n{text}\n---\n{once}");
    assert_eq!(formatted(&once), once, "not the same twice:\n{text}");
    assert!(once.ends_with('\n') && !once.ends_with("\n\n") && !once.starts_with('\n'), "ends:\n{once}");
    let plain = !once.contains(['"', '*']);
    assert!(!plain || once.lines().all(|line| line.trim_end() == line), "blanks at the end of a line:\n{once}");
    assert!(!plain || !once.contains("\n\n\n"), "two empty lines:\n{once}");
}

#[test]
fn what_is_refused_has_the_errors_of_the_parser() {
    let errors = format(HERE, "R(a: , b: 1").map_err(|errors| errors.len());
    assert_eq!(errors, Err(parse(HERE, "R(a: , b: 1").1.len()));
}

#[test]
fn units_touch_their_number_unless_that_makes_another_number() {
    let of = |value: &str| formatted(value).trim_end().to_owned();
    assert_eq!(["24 h", "60\n%", "1. h", "1_0 kB"].map(of), ["24h", "60%", "1.h", "1_0kB"]);
    for apart in ["0x10 B", "0b1 B", "1 e5", "1 E5", "0 x1", "1 _0", "1e5 _0"] {
        assert_eq!(of(apart), apart);
        hold(apart);
    }
}

#[test]
fn signs_touch_and_operators_do_not() {
    assert_eq!(formatted("a-- - 1*-(2+ +3)/4"), "a - --1 * -(2 + +3) / 4\n");
}

#[test]
fn commas_that_mean_something_are_kept() {
    let of = |value: &str| formatted(value).trim_end().to_owned();
    assert_eq!(["( 1 )", "( 1 ,)", "( (1 ),)"].map(of), ["(1)", "(1,)", "((1),)"]);
    assert_eq!(
        ["(1, 2)", "[1]", "F(1)", "F(a: (1))", "()", "[]"].map(of),
        ["(1, 2)", "[1]", "F(1)", "F(\n    a: (1),\n)", "()", "[]"]
    );
    assert_eq!(["(1, 2,)", "[1,]", "F(1,)"].map(of), ["(\n    1,\n    2,\n)", "[\n    1,\n]", "F(\n    1,\n)"]);
}

#[test]
fn the_width_counts_characters_and_the_comma() {
    for (letters, breaks) in [(86, false), (87, true)] {
        let text = format!("R(\n    ab: F(\"{}\"),\n)\n", "ä".repeat(letters));
        let broken = format!("R(\n    ab: F(\n        \"{}\",\n    ),\n)\n", "ä".repeat(letters));
        assert_eq!(formatted(&text), if breaks { broken } else { text });
    }
}

#[test]
fn deep_and_long_texts_are_formatted() {
    hold(&format!("{}{}", "[".repeat(127), "]".repeat(127)));
    hold(&format!("{}1{}", "(".repeat(100), " // c\n)".repeat(100)));
    hold(&format!("{}1", "+".repeat(100_000)));
    hold(&format!("[{}]", "1, ".repeat(100_000)));
    hold(&format!("[{}]", "F(a: [1, 2]), /* c */ ".repeat(20_000)));
}

#[test]
fn shipped_recipes_hold() {
    let folders = ["recipes", "recipes/ablations"];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    for path in files.filter(|path| path.is_file()) {
        hold(&std::fs::read_to_string(path).unwrap());
    }
}

/// What may stand between two tokens, most of it rare.
const TRIVIA: &[&str] = &[
    "",
    "",
    " ",
    " ",
    "\n",
    "\n\n\n",
    "\r\n",
    "\t",
    " // c\n",
    "\n// own\n",
    "\n\n  // apart\n\n",
    " /* b */ ",
    "/* b */",
    "\n/* own */\n",
    " /* b */\n",
    "/* b */ /* b */",
    " /* b */ // c\r\n",
    "/* m\r\n  m */",
    "\n\n/* // */ /* /* n */ */\n\n",
    "//\n//\n",
];

/// The same tokens with other blanks and comments between them.
fn respaced(text: &str, choices: &[usize]) -> String {
    let tokens = lex(HERE, text).tokens;
    let mut out = String::new();
    for (i, token) in tokens.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| &tokens[i].kind);
        let choice = choices[i % choices.len()];
        let unit = matches!((before, &token.kind), (Some(Kind::Number(_)), Kind::Ident(_)));
        let spaces = if unit { ["", " ", " /* u */ "][choice % 3] } else { TRIVIA[choice % TRIVIA.len()] };
        let fuses = spaces.is_empty() && !unit && matches!((before, &token.kind), (Some(Kind::Ident(_)), Kind::Ident(_)));
        out.push_str(if fuses { " " } else { spaces });
        out.push_str(&text[token.span.start as usize..token.span.end as usize]);
    }
    out
}

fn value() -> impl Strategy<Value = String> {
    let name = "[a-z]{1,3}|[a-z_]{10,30}";
    let leaf = prop_oneof![
        Just("24h".to_owned()),
        Just("0x1f B".to_owned()),
        Just("60%".to_owned()),
        Just("\"a, // b\"".to_owned()),
        Just("r#\"c\n\"/*\"#".to_owned()),
        Just("-.5".to_owned()),
        Just("F()".to_owned()),
        name.prop_map(|word| word),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let several = prop::collection::vec(inner.clone(), 1..6);
        let field = (name, inner.clone()).prop_map(|(name, value)| format!("{name}: {value}"));
        let end = prop_oneof![3 => Just(""), 1 => Just(",")];
        prop_oneof![
            (several.clone(), end.clone()).prop_map(|(all, end)| format!("[{}{end}]", all.join(","))),
            (several.clone(), end.clone()).prop_map(|(all, end)| format!("F({}{end})", all.join(","))),
            (several.clone(), end.clone()).prop_map(|(all, end)| format!("({}{end})", all.join(","))),
            (prop::collection::vec(field, 1..6), end.clone()).prop_map(|(all, end)| format!("S({}{end})", all.join(","))),
            (inner.clone(), end).prop_map(|(value, end)| format!("S(a: {value}, ..import(\"x\"){end})")),
            (several, "[-+*/]").prop_map(|(all, sign)| all.join(&sign)),
            inner.prop_map(|value| format!("-({value})")),
        ]
    })
}

fn file() -> impl Strategy<Value = String> {
    let lets = prop::collection::vec(value().prop_map(|value| format!("let a = {value};")), 0..3);
    (lets, value()).prop_map(|(lets, value)| lets.concat() + &value)
}

/// Holds all of `cases` texts that parse, which must be more than `least`.
fn hold_each(texts: impl Strategy<Value = String>, cases: usize, least: usize) {
    let mut runner = TestRunner::deterministic();
    let mut parsed = 0;
    for _ in 0..cases {
        let text = texts.new_tree(&mut runner).unwrap().current();
        let Some(tree) = tree(&text) else { continue };
        if format!("{tree:?}").contains("Poisoned") {
            // Whatever the parser lets pass, nothing of it is lost.
            assert!(format(HERE, &text).is_err(), "{text}");
        } else {
            hold(&text);
            parsed += 1;
        }
    }
    assert!(parsed >= least, "only {parsed} texts parsed");
}

fn choices() -> impl Strategy<Value = Vec<usize>> {
    // Most gaps are plain in one text and wild in the other.
    prop_oneof![
        prop::collection::vec(0..TRIVIA.len(), 1..40),
        prop::collection::vec(prop_oneof![8 => 0..5_usize, 1 => 0..TRIVIA.len()], 1..90)
    ]
}

#[test]
fn generated_files_hold_whatever_stands_between_their_tokens() {
    hold_each((file(), choices()).prop_map(|(text, choices)| respaced(&text, &choices)), 2000, 1500);
}

#[test]
fn recipes_hold_whatever_stands_between_their_tokens() {
    hold_each(choices().prop_map(|choices| respaced(TEXT, &choices)), 500, 500);
}

/// What soups are made of.
const WORDS: &[&str] = &[
    "R(",
    "(",
    ")",
    ")",
    "[",
    "]",
    ",",
    ",",
    "a:",
    "b",
    "1",
    "1",
    "0x1",
    " h",
    " e5",
    "%",
    "+",
    "-",
    "*",
    "..import(\"x\")",
    "\"t\"",
    "'c'",
    " let c =",
    ";",
    "// c\n",
    "/* b */",
    "\n",
    " ",
    ".5",
    "1.",
    "r\"x\"",
    "true",
];

#[test]
fn soups_of_tokens_that_parse_hold() {
    let soup = prop::collection::vec(prop::sample::select(WORDS), 1..10).prop_map(|words| words.concat());
    let inside = soup.clone().prop_map(|soup| format!("R(a: [{soup}])"));
    hold_each(prop_oneof![soup, inside], 20_000, 1000);
}
