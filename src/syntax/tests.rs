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

const BLOCK: &str = r#"Recipe(
    data: Corpus(
        sources: [Text("a"), Synthetic(sentences: 10)],
        tokenizer: WordPiece(vocab: 512),
    ),
    model: Encoder(
        width: 8,
        feed_forward: Glu(intermediate: 16),
    ),
    optimizer: AdamW(betas: (0.9, 0.98), clip: 0.5),
    lr: Constant(1e-3),
)
"#;

/// The only error of [`BLOCK`] with one piece replaced: its code, the line it is on, and what stands around it on that line.
fn error_of(from: &str, to: &str) -> (&'static str, String) {
    assert_eq!(BLOCK.matches(from).count(), 1, "{from}");
    let text = BLOCK.replace(from, to);
    let (document, found) = parse(SourceId(0), &text);
    let [only] = found.as_slice() else { panic!("{from} → {to}: {found:#?}") };
    let span = only.span().expect("has a place");
    let (start, end) = (span.start as usize, span.end as usize);
    let shown =
        format!("{}‸{}‸{}", &text[start.saturating_sub(8)..start], &text[start..end], &text[end..(end + 4).min(text.len())]);
    // All the rest is read as it was meant.
    assert_eq!(plain(&document.expect("short").value), plain(&tree(BLOCK).value), "{from} → {to}");
    (only.code.as_str(), shown.replace('\n', "↵"))
}

#[test]
fn a_bracket_that_was_lost_is_found_and_everything_is_read_as_it_was_meant() {
    let unclosed = |shown: &str| ("syntax-unclosed", shown.to_owned());
    let expected = |shown: &str| ("syntax-unexpected", shown.to_owned());
    assert_eq!(error_of("16),\n    ),", "16),\n    ,"), unclosed("te: 16),‸‸↵   "));
    assert_eq!(error_of("16),\n    ),\n", "16),\n"), unclosed("ate: 16)‸‸,↵  "));
    assert_eq!(error_of("16),", "16,"), unclosed("iate: 16‸‸,↵  "));
    assert_eq!(error_of("10)]", "10]"), unclosed("nces: 10‸‸],↵ "));
    assert_eq!(error_of("10)]", "10)"), unclosed("ces: 10)‸‸,↵  "));
    assert_eq!(error_of("1e-3),\n)", "1e-3),\n"), unclosed("t(1e-3),‸‸↵↵"));
    assert_eq!(error_of("Encoder(", "Encoder"), expected(" Encoder‸‸↵   "));
    assert_eq!(error_of("Glu(", "Glu "), expected("ard: Glu‸‸ int"));
    assert_eq!(error_of("Text(\"a\")", "Text\"a\")"), expected("s: [Text‸‸\"a\")"));
    assert_eq!(error_of("Recipe(", "Recipe"), expected("Recipe‸‸↵   "));
    assert_eq!(error_of("sources: [", "sources: "), expected("ources: ‸‸Text"));
    assert_eq!(error_of("betas: (", "betas: "), expected("(betas: ‸‸0.9,"));
    assert_eq!(error_of("Constant(1", "Constant 1"), expected("Constant‸‸ 1e-"));
}

#[test]
fn a_bracket_of_the_wrong_kind_is_named() {
    let expected = |shown: &str| ("syntax-unexpected", shown.to_owned());
    assert_eq!(error_of("Encoder(", "Encoder["), expected(" Encoder‸[‸↵   "));
    assert_eq!(error_of("Encoder(", "Encoder{"), expected(" Encoder‸{‸↵   "));
    assert_eq!(error_of("16),\n    )", "16),\n    ]"), expected("6),↵    ‸]‸,↵  "));
    assert_eq!(error_of("16)", "16}"), expected("iate: 16‸}‸,↵  "));
    assert_eq!(error_of("10)]", "10))"), expected("ces: 10)‸)‸,↵  "));
    assert_eq!(error_of("sources: [", "sources: ("), expected("ources: ‸(‸Text"));
    assert_eq!(error_of("betas: (", "betas: ["), expected("(betas: ‸[‸0.9,"));
    assert_eq!(error_of("0.98)", "0.98]"), expected(".9, 0.98‸]‸, cl"));
}

#[test]
fn a_bracket_too_much_closes_nothing() {
    assert_eq!(error_of("16),", "16)),").0, "syntax-unexpected");
    assert_eq!(errors("R(a: 1))"), [("syntax-unexpected", ")")]);
    assert_eq!(errors("R(a: [1, 2"), [("syntax-unclosed", "")]);
    assert_eq!(errors("R(a: [T(1], b: 2)"), [("syntax-unclosed", "], b: 2)")]);
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

/// The only error of a text: its message and its help.
fn told(text: &str) -> (String, String) {
    let (_, found) = parse(SourceId(0), text);
    let [only] = found.as_slice() else { panic!("{text}: {found:#?}") };
    (only.message.clone(), only.help.clone().unwrap_or_default())
}

#[test]
fn forms_of_other_languages_are_named_once_each() {
    for (text, message, help) in [
        ("R(a: 1, # b\n c: 2)", "a comment begins with `//`", "`//`"),
        ("R(a: &x 1)", "no anchor such as `&x`", "`let x = ..;`"),
        ("R(a: *x)", "no alias such as `*x`", "write `x` alone"),
        ("R(a: !!float 1)", "no tag such as `!!float`", "take it out"),
        ("R(<<: *x, a: 1)", "no `<<`", "`..import("),
        ("R(a: ${b.c} * 4)", "in the place of `${b.c}`", "`let c = ..;`"),
        ("R(a: $HOME)", "in the place of `$HOME`", "`let HOME = ..;`"),
        ("R(a: {{ b }})", "in the place of `{{ b }}`", "`let b = ..;`"),
        ("R(a: b.c * 4)", "taken from another field", "`let c = ..;`"),
        ("R(a: (1, \\\n 2))", "a line needs no sign at its end", "take the `\\` out"),
        ("R(a: f\"{x}\")", "no prefix such as `f`", "nothing is put in the place"),
        ("R(a: u\"x\")", "no prefix such as `u`", "leave the `u` out"),
        ("R(a: “x”)", "straight double quotes", "write `\"x\"`"),
        ("R(a: `x`)", "straight double quotes", "write `\"x\"`"),
        ("R（a: 1)", "expected `(`, found `（`", "write `(`"),
        ("R(a: ６４)", "expected `64`", "write `64`"),
        ("R(a: 1 − 2)", "expected `-`, found `−`", "write `-`"),
        ("R(a: 2**15)", "there are no powers", "`32Ki`"),
        ("R(a: 10^6)", "there are no powers", "`1e6`"),
        ("R(a: 2^x)", "there are no powers", "the product"),
        ("R(a:\n - T(1)\n - T(2),\n b: 1)", "a list stands in `[` and `]`", "`[item, item]`"),
        ("R(a: 0,5, b: 1)", "no comma in it", "`0.5`"),
        ("R(a: 1,000,000)", "no comma in it", "`1_000_000`"),
        ("R(a: 1,5h)", "no comma in it", "`1.5`"),
        ("R(a-b: 1)", "`a-b` is not a name", "`a_b`"),
        ("R(m: E(w: 1), m.d: 2)", "`m.d` is a path", "`m: E(d: ..)`"),
        ("R(m.d.e: 2)", "`m.d.e` is a path", "`m: (d: (e: ..))`"),
        ("R(a => 1)", "expected `:`, found `=`", "put a `:`"),
        ("R(a := 1)", "expected `:`, found `=`", "put a `:`"),
        ("R(a: F::G(1))", "without the name of its type", "write `G` alone"),
        ("R(a: G::new(b: 1))", "without a function that makes it", "write `G` alone"),
        ("R(a: 1, ..Default::default())", "filled up from its defaults", "leave it out"),
        ("R(a: 1, ..import(b))", "double quotes", "`..import(\"b.ron\")`"),
        ("R(a: 1, ..import(b.ron))", "double quotes", "`..import(\"b.ron\")`"),
        ("R(a: 1, ..include(\"b.ron\"))", "an import is `..import(`", "`..import(\"b.ron\")`"),
        ("R(a: 1, ..\"b.ron\")", "an import is `..import(`", "`..import(\"b.ron\")`"),
        ("R(a: 1, include(\"b.ron\"))", "begins with `..`", "`..import(\"b.ron\")`"),
        ("R(import \"b.ron\", a: 1)", "begins with `..`", "as the last entry"),
        ("import \"b.ron\";\nR(a: 1)", "in the struct that it completes", "`..import(\"b.ron\")`"),
        ("include(\"b.ron\")\nR(a: 1)", "in the struct that it completes", "`..import(\"b.ron\")`"),
        ("{\"a\": {\"b\": 1}}", "no maps", "`Recipe(name: value, ..)`"),
        ("R(a: {b: 1})", "no maps", "`a: Name(name: value, ..)`"),
        ("a: 1, b: T(2)", "within `Recipe(` and `)`", "`Recipe(`"),
        ("a: 1\nb:\n - books/*.txt\n", "within `Recipe(` and `)`", "a `,` after each"),
        ("[a.b]\nc = 1\n[d]\ne = \"f\"", "no sections", "`a: Name("),
        ("R(\n<<<<<<< a\nb: 1,\n=======\nb: 2,\n>>>>>>> c\n d: 1)", "merge conflict", "keep one side"),
        ("R(\n<<<<<<< a\nb: 1,\n||||||| x\nb: (\n=======\nb: 2,\n>>>>>>> c\n)", "merge conflict", "keep one side"),
        ("R(\n>>>>>>> c\n)", "a line of a merge", "take this line out"),
        ("```ron\nR(a: 1)", "no fence", "take this line out"),
        ("R(a: 7//64,\n b: 1)", "expected `,` before `b`", "`//` begins a comment"),
        ("R(a: T(1), b: Uc: 2, d: 3), e: 4)", "expected `(` within `Uc`", "`Name(field: value)`"),
        ("R(a: T(b: U)), c: 1)", "expected `(` here", "put a `(`"),
        ("R(a: T64), b: 1)", "expected `(` here", "put a `(`"),
        ("R(a: (1, 2, b: 3)", "this `(` is not closed", "put a `)`"),
    ] {
        let said = told(text);
        assert!(said.0.contains(message) && said.1.contains(help), "{text}: {said:?}");
    }
}

#[test]
fn what_is_meant_by_them_is_read() {
    let same = |text: &str, meant: &str| {
        let (document, _) = parse(SourceId(0), text);
        assert_eq!(plain(&document.expect("short").value), plain(&tree(meant).value), "{text}");
    };
    same("R(a: 0,5h, b: 1,000,000, c: 2)", "R(a: 0.5h, b: 1000000, c: 2)");
    same("R(a: 2**15, b: 10^-3, c: -2^2)", "R(a: 32768, b: 1e-3, c: -4)");
    same("R(a:\n - T(1)\n - T(2),\n b: 1)", "R(a: [T(1), T(2)], b: 1)");
    same("R（a： ６４， b： “x”）", "R(a: 64, b: \"x\")");
    same("{\"a\": {\"b\": 1}, \"c\": [1, 2]}", "(a: (b: 1), c: [1, 2])");
    same("R(wi\u{200b}dth: 1, mi-b: 2)", "R(width: 1, mi_b: 2)");
    same("R(a: 'xy', b: u\"z\")", "R(a: \"xy\", b: \"z\")");
    same("a: 1, b: T(2)", "(a: 1, b: T(2))");
    same("R(\n<<<<<<< a\nb: 1,\n=======\nb: 2,\n>>>>>>> c\n d: 3)", "R(b: 1, d: 3)");
    same("R(a: T(1), b: (0.9, 0.98, c: 1, d: 2)", "R(a: T(1), b: (0.9, 0.98), c: 1, d: 2)");
}

#[test]
fn what_only_looks_foreign_is_left_alone() {
    for text in [
        "let W = 2; R(a: -W, b: - W * 2)",
        "R( import(\"x\") )",
        "R(a: T(1,234), b: [include(\"x\")])",
        "R(a: \"# $x ${y} “z” <<<<<<< f\", b: r#\"`\"#)",
        "R(\n// =======\n// <<<<<<< a\na: \"\n=======\n\")",
        "R(f: 1, u: 2, import: 3, base: 4)",
        "R(a: 1, // 2\n b: 3 /* # */)",
    ] {
        assert_eq!(errors(text), [], "{text}");
    }
}

#[test]
fn long_rows_of_foreign_signs_take_no_longer_than_others() {
    for piece in [
        "<<<<<<< a\n=======\n",
        "<<<<<<<\n",
        "# a\n",
        "“",
        "$a",
        "${",
        "a.",
        "a-",
        "- T ",
        "1,",
        "2**",
        "{a:",
        "R(b: C)) ",
        "f\"",
        "&",
        "#[",
        "a: 1 - ",
        "`a`",
    ] {
        let text = piece.repeat(1_000_000 / piece.len());
        let start = std::time::Instant::now();
        let _ = parse(SourceId(0), &text);
        // Even unoptimised and on a busy machine: reading everything again for each sign would take many minutes.
        assert!(start.elapsed().as_secs() < 30, "{piece}: {:?}", start.elapsed());
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

const PIECES: [&str; 56] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ";",
    "=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "..",
    "let ",
    "import",
    "\"",
    "'",
    "r#\"",
    "\"#",
    "/*",
    "*/",
    "//",
    "\n",
    " ",
    "a",
    "R",
    "1",
    "0x",
    "1e",
    "2.5",
    "GiB",
    "true",
    "\\",
    "#!",
    "::",
    "ä",
    "\u{feff}",
    "**",
    "^",
    "“",
    "”",
    "：",
    "，",
    "６",
    "$",
    "&a ",
    "<<:",
    "<<<<<<< \n",
    "=======\n",
    ">>>>>>> \n",
    "include",
    "\u{200b}",
    "#",
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
