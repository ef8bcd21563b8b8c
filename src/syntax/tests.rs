use proptest::prelude::*;

use super::ast::{Document, Expr, ExprKind};
use super::{parse, parse_expression};
use crate::recipe::testing::TEXT;
use crate::source::SourceId;

fn tree(text: &str) -> Document {
    let (document, errors) = parse(SourceId(0), text);
    assert!(errors.is_empty(), "{text}: {errors:?}");
    document.expect("short")
}

/// Codes and the text from each place on, up to eight letters.
fn errors(text: &str) -> Vec<(&'static str, &str)> {
    let (_, found) = parse(SourceId(0), text);
    found
        .iter()
        .filter_map(|d| d.span().map(|s| (d.code.as_str(), s.start as usize)))
        .map(|(c, at)| (c, first(&text[at..])))
        .collect()
}

fn first(text: &str) -> &str {
    text.char_indices().nth(8).map_or(text, |(end, _)| &text[..end])
}

#[test]
fn plain_recipes_are_accepted() {
    assert_eq!(tree(TEXT).lets.len(), 0);
    assert_eq!(tree("let a = 1; let b = a * 2; Recipe(a: b,)").lets.len(), 2);
    assert!(
        matches!(tree("R(a: 1, ..import(\"x\"),)").value.kind, ExprKind::Struct(s) if s.rest.as_ref().is_some_and(|r| r.import.is_some()))
    );
}

#[test]
fn a_unit_may_stand_apart_but_the_next_field_is_no_unit() {
    assert!(matches!(tree("3 EFLOP").value.kind, ExprKind::Number(n) if n.unit.is_some()));
    assert_eq!(errors("(a: 768 b: 16)"), [("syntax-missing-comma", " b: 16)")]);
}

#[test]
fn common_mistakes_are_met() {
    assert_eq!(errors("R(a = 1, b: 2)"), [("syntax-unexpected", "= 1, b: ")]);
    assert_eq!(errors("R(a 24h, b: 2)"), [("syntax-unexpected", " 24h, b:")]);
    assert_eq!(errors("R(a: 1, betas (1, 2))"), [("syntax-unexpected", " (1, 2))")]);
    assert_eq!(errors("R(a: 1; b: 2)"), [("syntax-unexpected", "; b: 2)")]);
    assert_eq!(errors("R(a: 'abc', b: 2)"), [("syntax-string", "'abc', b")]);
    assert_eq!(errors("R(\n  a: 1\n  b: 2,\n)"), [("syntax-missing-comma", "\n  b: 2,")]);
    assert_eq!(
        errors("R(a: F::G(1), b: {1: 2}, c: G { d: 1 })"),
        [("syntax-unexpected", "F::G(1),"), ("syntax-unsupported", "{1: 2}, "), ("syntax-unexpected", "{ d: 1 }")]
    );
    assert_eq!(
        errors("R(a: , b:\n c: 1, d)"),
        [("syntax-missing-value", " , b:\n c"), ("syntax-missing-value", "\n c: 1, "), ("syntax-missing-value", ")")]
    );
    assert_eq!(errors("R(a: 1) b"), [("syntax-unexpected", "b")]);
    assert_eq!(errors("R(a: 1))"), [("syntax-unexpected", ")")]);
    assert_eq!(errors("a: 1, b: 2"), [("syntax-unexpected", "a: 1, b:")]);
    assert_eq!(errors("R(..import(\"x\"), a: 1)"), [("syntax-unexpected", "..import")]);
    assert_eq!(errors("R(a: 1, import(\"x\"))"), [("syntax-unexpected", "import(\"")]);
    assert_eq!(
        errors("R(a: 1, ..other, b: @, c: 1.2.3)"),
        [("syntax-unexpected", "other, b"), ("syntax-unexpected", "@, c: 1."), ("syntax-number", "1.2.3)")]
    );
    assert_eq!(errors("#![enable(implicit_some)] R()"), [("syntax-unsupported", "#![enabl")]);
    assert_eq!(
        errors("let a = 1\nR(a: a, let b = 3, \"c\": 4,, d: 1 +)"),
        [
            ("syntax-unexpected", "\nR(a: a,"),
            ("syntax-unexpected", "let b = "),
            ("syntax-unexpected", "\"c\": 4,,"),
            ("syntax-unexpected", ", d: 1 +"),
            ("syntax-missing-value", ")")
        ]
    );
    for empty in ["", " // nothing\n", "let a = 1;"] {
        assert_eq!(errors(empty).iter().map(|e| e.0).collect::<Vec<_>>(), ["syntax-missing-value"], "{empty}");
    }
}

#[test]
fn brackets_that_do_not_match_are_reported_once_and_where_they_open() {
    assert_eq!(errors("R(a: [1, 2"), [("syntax-unclosed", "[1, 2")]);
    assert_eq!(errors("R(\n  d: C(\n    a: 1,\n  m: E(\n    w: 1,\n  ),\n)\n"), [("syntax-unclosed", "(\n    a:")]);
    assert_eq!(errors("R(a: [T(1], b: 2)"), [("syntax-unclosed", "(1], b: ")]);
    assert_eq!(errors("R(a: (1], b: 2)"), [("syntax-unexpected", "], b: 2)")]);
    assert_eq!(errors("R(a: [T(\"x)],\n b: \"y\")"), [("syntax-string", "\"x)],\n b")]);
    assert_eq!(errors("R(a: 1, /* b: 2)"), [("syntax-unclosed", "/* b: 2)")]);
}

#[test]
fn depth_is_an_error_for_every_way_to_nest() {
    let many = 100_000;
    let texts = ["(", "[", "R(a: ", "-", "1+", "(1+", "{", "(a:(1)+", "F::", "let a = ", "/*"].map(|s| s.repeat(many));
    for text in texts.iter().chain(&[
        "1".to_owned() + &"+1".repeat(many),
        "(".repeat(many) + &"+1)".repeat(many),
        "(".repeat(126) + "1" + &")".repeat(126),
    ]) {
        let (document, _) = parse(SourceId(0), text);
        let _ = crate::recipe::eval::evaluate_alone(&document.expect("short"));
    }
    assert_eq!(errors(&("1".to_owned() + &"+1".repeat(200))).len(), 1);
    assert_eq!(errors(&("[".repeat(200) + &"]".repeat(200))).len(), 1);
    assert_eq!(errors(&("[".repeat(126) + "1" + &"]".repeat(126))).len(), 0);
}

/// Our tree as the `ron` crate would give it, structs as maps with text keys and names as nothing.
fn plain(expr: &Expr) -> ron::Value {
    match &expr.kind {
        ExprKind::Number(n) => real(n.value.as_f64()),
        ExprKind::Text(text) => ron::Value::String(text.clone()),
        ExprKind::Char(c) => ron::Value::Char(*c),
        ExprKind::Bool(flag) => ron::Value::Bool(*flag),
        ExprKind::List(items) => ron::Value::Seq(items.iter().map(plain).collect()),
        ExprKind::Tuple(tuple) => ron::Value::Seq(tuple.items.iter().map(plain).collect()),
        ExprKind::Group(inner) => ron::Value::Seq(vec![plain(inner)]),
        ExprKind::Struct(s) if s.fields.is_empty() => ron::Value::Unit,
        ExprKind::Struct(s) => {
            ron::Value::Map(s.fields.iter().map(|f| (ron::Value::String(f.name.text.clone()), plain(&f.value))).collect())
        }
        _ => ron::Value::Unit,
    }
}

fn real(x: f64) -> ron::Value {
    ron::Value::Number(ron::value::Number::F64(x.into()))
}

/// A tree of the `ron` crate with every number as wide as ours.
fn widened(value: ron::Value) -> ron::Value {
    match value {
        ron::Value::Number(n) => real(n.into_f64()),
        ron::Value::Seq(items) => ron::Value::Seq(items.into_iter().map(widened).collect()),
        ron::Value::Map(map) => ron::Value::Map(map.into_iter().map(|(key, value)| (key, widened(value))).collect()),
        other => other,
    }
}

#[test]
fn ron_reads_what_uses_none_of_the_additions_the_same_way() {
    let recipe = TEXT.replace("25%", "0.25").replace("75%", "0.75");
    for text in [
        recipe.as_str(),
        "[1, 0x1f, 0b101, 0o17, 1_000, 1.5, 1e-3, .5, 2.]",
        "(a: \"x\\n\\t\\\"\\u{e4}\\x41\", b: r#\"raw \"x\" \\n\"#, c: 'x', d: '\\'', e: true, f: false)",
        "/* a /* b */ c */ Outer(a: (1, 2), b: Inner(x: [], y: ()), c: (1,), d: New(3)) // end",
        "[(\"a\"), \"two\nlines\",]",
    ] {
        let theirs: ron::Value = ron::from_str(text).expect(text);
        assert_eq!(plain(&tree(text).value), widened(theirs), "{text}");
    }
}

#[test]
fn messages_are_lower_case_and_end_without_a_stop_and_have_a_way_out() {
    for text in [
        "R(a = 1, b 2, c: 'x y', d: 1 e: 2; f: 0x, g: \"\\q\", {}, h: b\"\", [1",
        "",
        "]",
        "let = 3",
        "R(..)",
        "/*",
        "\"",
        "R(@, 1, a)",
    ] {
        for d in parse(SourceId(0), text).1 {
            let parts = [Some(&d.message), d.help.as_ref(), d.labels.first().map(|l| &l.text)];
            for part in parts {
                let part = part.expect("each has message, label and help");
                assert!(!part.is_empty() && !part.ends_with('.') && !part.starts_with(char::is_uppercase), "{part}");
            }
        }
    }
}

/// Everything that can be done with a text, and what must hold of it.
fn survives(text: &str) {
    let (document, found) = parse(SourceId(0), text);
    let (expression, _) = parse_expression(SourceId(0), text);
    for label in found.iter().flat_map(|d| &d.labels) {
        assert!(text.get(label.span.start as usize..label.span.end as usize).is_some(), "{label:?}");
    }
    let (_, more) = crate::recipe::eval::evaluate_alone(&document.expect("short"));
    assert!(more.iter().flat_map(|d| &d.labels).all(|l| text.get(l.span.start as usize..l.span.end as usize).is_some()));
    let _ = crate::recipe::eval::evaluate_expression(&expression.expect("short"));
}

const PIECES: [&str; 40] = [
    "(", ")", "[", "]", "{", "}", ",", ":", ";", "=", "+", "-", "*", "/", "%", "..", "let ", "import", "\"", "'", "r#\"", "\"#",
    "/*", "*/", "//", "\n", " ", "a", "R", "1", "0x", "1e", "2.5", "GiB", "true", "\\", "#!", "::", "ä", "\u{feff}",
];

proptest! {
    #[test]
    fn any_text_is_survived(text in "\\PC{0,80}") {
        survives(&text);
    }

    #[test]
    fn any_row_of_tokens_is_survived(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
        survives(&pieces.concat());
    }

    #[test]
    fn any_change_to_a_recipe_is_survived_and_a_lost_piece_gives_few_errors(from in 0..TEXT.len(), len in 0..12_usize, piece in prop::sample::select(&PIECES[..])) {
        let to = (from + len).min(TEXT.len());
        survives(&format!("{}{piece}{}", &TEXT[..from], &TEXT[to..]));
        let lost = format!("{}{}", &TEXT[..from], &TEXT[(from + 1).min(TEXT.len())..]);
        survives(&lost);
        prop_assert!(parse(SourceId(0), &lost).1.len() <= 2, "{lost}\n{:#?}", parse(SourceId(0), &lost).1);
    }
}
