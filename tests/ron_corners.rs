//! RON's odd corners: what the `ron` crate makes of each, and what we do. The rulings stand at the end of `grammar/recipe.ebnf`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

use std::fmt::Write;

use cramplan::diag::Diagnostic;
use cramplan::recipe::eval::evaluate_alone;
use cramplan::recipe::resolve;
use cramplan::recipe::value::{Numeric, Value, ValueKind};
use cramplan::source::SourceId;
use cramplan::syntax::parse;

/// A value as both can give it: without names, and integers as wide as they come.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Integer(String),
    Float(f64),
    Text(String),
    Bool(bool),
    Bytes(Vec<u8>),
    Unit,
    Seq(Vec<Seen>),
    Map(Vec<(Seen, Seen)>),
    Optional(Option<Box<Seen>>),
}

/// What we do with a corner.
enum Ours {
    /// The same value as `ron`.
    Same,
    /// A value where `ron` has none, or another one.
    Reads(Seen),
    /// One error of this code, whose message says this.
    Refused(&'static str, &'static str),
}

use Ours::{Reads, Refused, Same};

/// A text, what `ron` makes of it, and what we do.
type Row = (&'static str, Option<Seen>, Ours);

fn int(n: i128) -> Seen {
    Seen::Integer(n.to_string())
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn seq(items: &[Seen]) -> Seen {
    Seen::Seq(items.to_vec())
}

fn map(entries: &[(&str, Seen)]) -> Seen {
    Seen::Map(entries.iter().map(|(name, value)| (text(name), value.clone())).collect())
}

const LITERAL: &str = "syntax-number";
const TEXT: &str = "syntax-string";
const NOT_OURS: &str = "syntax-unsupported";
const UNEXPECTED: &str = "syntax-unexpected";

fn numbers() -> Vec<Row> {
    use Seen::Float;
    vec![
        ("1_000", Some(int(1000)), Same),
        ("1_", Some(int(1)), Same),
        ("1__0", Some(int(10)), Same),
        ("_1", Some(Seen::Unit), Same),
        ("007", Some(int(7)), Same),
        ("0x1F", Some(int(31)), Same),
        ("0xf_f", Some(int(255)), Same),
        ("0x_f", None, Refused(LITERAL, "`0x_f` is not a hexadecimal number")),
        ("0x", None, Refused(LITERAL, "`0x` is not a hexadecimal number")),
        ("0o17", Some(int(15)), Same),
        ("0o8", None, Refused(LITERAL, "`0o8` is not an octal number")),
        ("0b101", Some(int(5)), Same),
        ("0b12", None, Refused(LITERAL, "`0b12` is not a binary number")),
        ("0X1F", None, Refused(LITERAL, "`0X1F` is not a number")),
        ("0B1", None, Refused(LITERAL, "`0B1` is not a number")),
        ("0O7", None, Refused(LITERAL, "`0O7` is not a number")),
        // Hex digits against units.
        ("0x1B", Some(int(27)), Same),
        ("0x1d", Some(int(29)), Same),
        ("0x1f32", Some(int(7986)), Same),
        ("0x10 KiB", None, Reads(int(16 << 10))),
        ("0x10%", None, Reads(Float(0.16))),
        ("0x10KiB", None, Refused(LITERAL, "`0x10KiB` is not a hexadecimal number")),
        ("0B", None, Reads(int(0))),
        // Points and exponents.
        (".5", Some(Float(0.5)), Same),
        ("2.", Some(Float(2.0)), Same),
        ("1.e3", Some(Float(1000.0)), Same),
        ("1.5E-3", Some(Float(1.5e-3)), Same),
        ("1e+3", Some(Float(1000.0)), Same),
        ("1e_5", Some(Float(1e5)), Same),
        ("1e5_0", Some(Float(1e50)), Same),
        ("1_0.5_0", Some(Float(10.5)), Same),
        ("1_.5", Some(Float(1.5)), Same),
        ("1e", None, Refused(LITERAL, "`1e` is not a number")),
        ("1e-", None, Refused(LITERAL, "`1e-` is not a number")),
        ("1e5.5", None, Refused(LITERAL, "`1e5.5` is not a number")),
        ("1.2.3", None, Refused(LITERAL, "`1.2.3` is not a number")),
        // Signs.
        ("+1", Some(int(1)), Same),
        ("-1", Some(int(-1)), Same),
        ("-0", Some(int(0)), Same),
        ("- 1", None, Reads(int(-1))),
        ("--1", None, Reads(int(1))),
        // Too large, and endless.
        ("170141183460469231731687303715884105727", Some(int(i128::MAX)), Same),
        (
            "340282366920938463463374607431768211455",
            Some(Seen::Integer(u128::MAX.to_string())),
            Refused(LITERAL, "`34028236692093846346...` is too large"),
        ),
        (
            "0xffffffffffffffffffffffffffffffff",
            Some(Seen::Integer(u128::MAX.to_string())),
            Refused(LITERAL, "`0xffffffffffffffffff...` is too large"),
        ),
        ("1e999", Some(Float(f64::INFINITY)), Refused(LITERAL, "`1e999` is too large")),
        ("inf", Some(Float(f64::INFINITY)), Refused(NOT_OURS, "a recipe has no `inf`")),
        ("-inf", Some(Float(f64::NEG_INFINITY)), Refused(NOT_OURS, "a recipe has no `inf`")),
        ("inff64", Some(Float(f64::INFINITY)), Refused(NOT_OURS, "a recipe has no `inff64`")),
        ("NaN", Some(Float(f64::NAN)), Refused(NOT_OURS, "a recipe has no `NaN`")),
        // Types after numbers.
        ("1f32", Some(Float(1.0)), Refused(NOT_OURS, "a number has no type after it, such as `f32`")),
        ("2.5f64", Some(Float(2.5)), Refused(NOT_OURS, "a number has no type after it, such as `f64`")),
        ("1u8", Some(int(1)), Refused(NOT_OURS, "a number has no type after it, such as `u8`")),
        ("1_i128", Some(int(1)), Refused(NOT_OURS, "a number has no type after it, such as `i128`")),
        ("0xffu8", Some(int(255)), Refused(NOT_OURS, "a number has no type after it, such as `u8`")),
        ("1usize", None, Refused(NOT_OURS, "a number has no type after it, such as `usize`")),
    ]
}

fn texts() -> Vec<Row> {
    vec![
        (r#""a\n\r\t\0\\\"\'""#, Some(text("a\n\r\t\0\\\"'")), Same),
        (r#""\x41\u{e4}\u{1F600}""#, Some(text("Aä\u{1f600}")), Same),
        (r#""\u{0000e4}""#, Some(text("ä")), Same),
        (r#""\u{00000e4}""#, None, Refused(TEXT, r"`\u` is not an escape")),
        (r#""\u{}""#, None, Refused(TEXT, r"`\u` is not an escape")),
        (r#""\u{d800}""#, None, Refused(TEXT, r"`\u{d800}` is no character")),
        (r#""\u00e4""#, None, Refused(TEXT, r"`\u` is not an escape")),
        (r#""\x7f""#, Some(text("\u{7f}")), Same),
        (r#""\xc3\xa4""#, Some(text("ä")), Refused(TEXT, r"`\xc3` is no character")),
        (r#""\xe4""#, None, Refused(TEXT, r"`\xe4` is no character")),
        (r#""\a""#, None, Refused(TEXT, r"`\a` is not an escape")),
        ("\"a\nb\"", Some(text("a\nb")), Same),
        ("\"a\r\nb\"", Some(text("a\r\nb")), Same),
        ("\"a\\\n   b\"", Some(text("ab")), Same),
        ("\"a\\\r\n\n\t b\"", Some(text("ab")), Same),
        (r#"r"a\n""#, Some(text(r"a\n")), Same),
        (r##"r#"a"b"#"##, Some(text("a\"b")), Same),
        (r###"r##"a"#b"##"###, Some(text("a\"#b")), Same),
        ("r\"a\\\nb\"", Some(text("a\\\nb")), Same),
        (r#"r#"a""#, None, Refused(TEXT, "this text does not end")),
        ("\"a", None, Refused(TEXT, "this text does not end")),
        ("'a'", Some(text("a")), Same),
        (r"'\''", Some(text("'")), Same),
        (r"'\u{e4}'", Some(text("ä")), Same),
        (r"'\xe4'", None, Refused(TEXT, r"`\xe4` is no character")),
        ("'ab'", None, Refused(TEXT, "a text stands in double quotes")),
        ("'''", Some(text("'")), Refused(TEXT, "`'''` is neither a character nor a text")),
        ("''", None, Refused(TEXT, "a text stands in double quotes")),
        ("'\n'", Some(text("\n")), Refused(TEXT, "this text does not end")),
        (r#"b"a""#, Some(Seen::Bytes(b"a".to_vec())), Refused(NOT_OURS, "a recipe holds no bytes")),
        (r#"br"a""#, Some(Seen::Bytes(b"a".to_vec())), Refused(NOT_OURS, "a recipe holds no bytes")),
        (r##"br#"a"#"##, Some(Seen::Bytes(b"a".to_vec())), Refused(NOT_OURS, "a recipe holds no bytes")),
        ("b'a'", Some(int(97)), Refused(NOT_OURS, "a recipe holds no bytes")),
        (r"b'\xe4'", Some(int(0xe4)), Refused(NOT_OURS, "a recipe holds no bytes")),
        ("b'ab'", None, Refused(NOT_OURS, "a recipe holds no bytes")),
    ]
}

fn names_and_blanks() -> Vec<Row> {
    vec![
        ("(r#type: 1)", Some(map(&[("type", int(1))])), Same),
        ("(r#a-b.c+1: 1)", Some(map(&[("a-b.c+1", int(1))])), Same),
        ("(r#1: 1)", Some(map(&[("1", int(1))])), Same),
        ("r#Name(a: 1)", Some(map(&[("a", int(1))])), Same),
        ("r#true", Some(Seen::Unit), Refused(NOT_OURS, "`true` is a truth value")),
        ("(größe: 1, 数: 2)", Some(map(&[("größe", int(1)), ("数", int(2))])), Same),
        // A combining mark and a middle dot: parts of a name that are no letters.
        ("(e\u{301}: 1, a·b: 2)", Some(map(&[("e\u{301}", int(1)), ("a·b", int(2))])), Same),
        ("(a²: 1)", None, Refused(UNEXPECTED, "`²`")),
        ("Name (a : 1)", Some(map(&[("a", int(1))])), Same),
        ("Name\n(1, 2)", Some(seq(&[int(1), int(2)])), Same),
        ("Name", Some(Seen::Unit), Same),
        ("Type::Name", None, Refused(UNEXPECTED, "a variant stands without the name of its type")),
        ("/* a /* b */ c */ 1", Some(int(1)), Same),
        ("/*/ */ 1 /**/", Some(int(1)), Same),
        ("/* /* */ 1", None, Refused("syntax-unclosed", "this comment does not end")),
        ("1 // a */ /*", Some(int(1)), Same),
        ("// a\r\n1", Some(int(1)), Same),
        ("\t\u{b}\u{c}\u{85}\u{200e}\u{200f}\u{2028}\u{2029}\r\n 1", Some(int(1)), Same),
        ("\u{a0}1", None, Refused(UNEXPECTED, "U+00A0 is no blank")),
        ("(a:\u{200b} 1)", None, Refused(UNEXPECTED, "U+200B is no blank")),
        ("(a: \u{feff}1)", None, Refused(UNEXPECTED, "U+FEFF is no blank")),
        ("\u{feff}1", None, Reads(int(1))),
        ("#!/usr/bin/env -S cramplan run\n1", None, Refused(NOT_OURS, "a recipe has no line for the shell")),
        ("#![enable(implicit_some)]\n1", Some(int(1)), Refused(NOT_OURS, "a recipe has no attributes")),
        ("# ! [ enable(unwrap_newtypes) ] 1", Some(int(1)), Refused(NOT_OURS, "a recipe has no attributes")),
        ("#![schema = \"recipe\"] 1", Some(int(1)), Refused(NOT_OURS, "a recipe has no attributes")),
        ("#![type = \"Recipe\"]\n1", Some(int(1)), Refused(NOT_OURS, "a recipe has no attributes")),
    ]
}

fn values() -> Vec<Row> {
    let end = |n| Some(map(&[("end", int(n))]));
    let both = |a, b| Some(map(&[("start", int(a)), ("end", int(b))]));
    let range = || Refused(NOT_OURS, "a recipe has no ranges");
    let a = |value| Some(map(&[("a", value)]));
    vec![
        ("1..5", both(1, 5), range()),
        ("1..=5", both(1, 5), range()),
        ("1 .. 5", None, range()),
        ("..5", end(5), range()),
        ("..=5", end(5), range()),
        ("-2..-1", both(-2, -1), range()),
        ("1.5..2.5", Some(map(&[("start", Seen::Float(1.5)), ("end", Seen::Float(2.5))])), range()),
        ("1h..5h", None, range()),
        ("25%..50%", None, range()),
        ("(a: 1..)", a(map(&[("start", int(1))])), range()),
        ("(a: ..)", a(Seen::Unit), range()),
        ("[1..2, 3]", Some(seq(&[map(&[("start", int(1)), ("end", int(2))]), int(3)])), range()),
        ("(a: 1, ..)", None, Refused(UNEXPECTED, "expected `import(\"recipe.ron\")`")),
        ("()", Some(Seen::Unit), Same),
        // Without a type to read it as, `ron` cannot tell a struct without fields from a tuple without items.
        ("( )", Some(seq(&[])), Reads(Seen::Unit)),
        ("Name()", Some(seq(&[])), Reads(Seen::Unit)),
        ("[1, 2,]", Some(seq(&[int(1), int(2)])), Same),
        ("(1, 2,)", Some(seq(&[int(1), int(2)])), Same),
        ("(1,)", Some(seq(&[int(1)])), Same),
        ("(\"a\")", Some(seq(&[text("a")])), Same),
        ("(1)", Some(seq(&[int(1)])), Reads(int(1))),
        ("(a: 1,)", a(int(1)), Same),
        ("Name(1,)", Some(seq(&[int(1)])), Same),
        ("[,]", None, Refused(UNEXPECTED, "nothing stands before this `,`")),
        ("[1,, 2]", None, Refused(UNEXPECTED, "nothing stands before this `,`")),
        ("(a: 1,,)", None, Refused(UNEXPECTED, "nothing stands before this `,`")),
        ("{}", Some(map(&[])), Refused(NOT_OURS, "a recipe has no maps")),
        ("{\"a\": 1}", a(int(1)), Refused(NOT_OURS, "a recipe has no maps")),
        ("(\"a\": 1)", None, Refused(UNEXPECTED, "the name of a field stands without quotes")),
        ("", None, Refused("syntax-missing-value", "there is no recipe in this text")),
        ("true", Some(Seen::Bool(true)), Same),
    ]
}

fn of_ron(value: ron::Value) -> Seen {
    use ron::value::Number;
    match value {
        ron::Value::Bool(flag) => Seen::Bool(flag),
        ron::Value::Char(c) => Seen::Text(c.to_string()),
        ron::Value::String(text) => Seen::Text(text),
        ron::Value::Bytes(bytes) => Seen::Bytes(bytes),
        ron::Value::Unit => Seen::Unit,
        ron::Value::Option(inner) => Seen::Optional(inner.map(|value| Box::new(of_ron(*value)))),
        ron::Value::Seq(items) => Seen::Seq(items.into_iter().map(of_ron).collect()),
        ron::Value::Map(map) => Seen::Map(map.into_iter().map(|(key, value)| (of_ron(key), of_ron(value))).collect()),
        ron::Value::Number(Number::U128(n)) => Seen::Integer(n.to_string()),
        ron::Value::Number(Number::I128(n)) => Seen::Integer(n.to_string()),
        ron::Value::Number(Number::U64(n)) => Seen::Integer(n.to_string()),
        ron::Value::Number(Number::I64(n)) => Seen::Integer(n.to_string()),
        ron::Value::Number(Number::F32(_) | Number::F64(_)) => {
            let ron::Value::Number(number) = value else { unreachable!() };
            Seen::Float(number.into_f64())
        }
        // The narrow integers are exact as floats.
        ron::Value::Number(number) => Seen::Integer((number.into_f64() as i64).to_string()),
    }
}

fn of_ours(value: &Value) -> Seen {
    match &value.kind {
        ValueKind::Number(quantity) => match quantity.number {
            Numeric::Integer(n) => int(n),
            Numeric::Float(x) => Seen::Float(x),
        },
        ValueKind::Text(found) => text(found),
        ValueKind::Bool(flag) => Seen::Bool(*flag),
        ValueKind::Name(_) => Seen::Unit,
        ValueKind::Struct { fields, .. } if fields.is_empty() => Seen::Unit,
        ValueKind::Struct { fields, .. } => Seen::Map(fields.iter().map(|f| (text(&f.name.text), of_ours(&f.value))).collect()),
        ValueKind::Tuple { items, .. } | ValueKind::List(items) => Seen::Seq(items.iter().map(of_ours).collect()),
        ValueKind::Poisoned => panic!("what was refused has no value"),
    }
}

/// The value of a text, or what is wrong with it.
fn ours(text: &str) -> Result<Seen, Vec<Diagnostic>> {
    let (document, mut found) = parse(SourceId(0), text);
    let (value, more) = evaluate_alone(&document.unwrap());
    found.extend(more);
    if found.is_empty() { Ok(of_ours(&value)) } else { Err(found) }
}

/// Floats to the bit, so that NaN is NaN, and the entries of a map in any order.
fn same(a: &Seen, b: &Seen) -> bool {
    match (a, b) {
        (Seen::Float(x), Seen::Float(y)) => x.total_cmp(y).is_eq(),
        (Seen::Map(a), Seen::Map(b)) => a.len() == b.len() && a.iter().all(|entry| b.contains(entry)),
        (Seen::Seq(a), Seen::Seq(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => a == b,
    }
}

/// What is not as the row has it.
fn wrong((text, ron, ruling): &Row) -> Option<String> {
    let theirs = ron::from_str::<ron::Value>(text).map(of_ron);
    let as_expected = match (&theirs, ron) {
        (Ok(found), Some(expected)) => same(found, expected),
        (Err(_), None) => true,
        _ => false,
    };
    if !as_expected {
        return Some(format!("`{text}`: `ron` makes of it {theirs:?}"));
    }
    let found = ours(text);
    let fine = match (&found, ruling) {
        (Ok(seen), Same) => ron.as_ref().is_some_and(|expected| same(seen, expected)),
        (Ok(seen), Reads(expected)) => same(seen, expected),
        (Err(errors), Refused(code, says)) => match errors.as_slice() {
            [error] => error.code.as_str() == *code && error.message.contains(says) && error.help.is_some(),
            _ => false,
        },
        _ => false,
    };
    (!fine).then(|| format!("`{text}`: we make of it {found:#?}"))
}

#[test]
fn every_corner_is_read_as_ron_reads_it_or_refused_by_name() {
    let mut report = String::new();
    for row in [numbers(), texts(), names_and_blanks(), values()].iter().flatten() {
        if let Some(line) = wrong(row) {
            writeln!(report, "{line}").unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
}

/// A recipe with this in its optimizer, and its clipping or what is wrong with it.
fn clipping(entry: &str) -> Result<Option<f64>, Vec<Diagnostic>> {
    let text = format!(
        "Recipe(name: \"some\", budget: Budget(steps: 20), data: Corpus(sources: [Synthetic(2000)], tokenizer: WordPiece(vocab: 512)), \
         model: Encoder(width: 32, depth: 2, heads: 4, sequence: 16, feed_forward: Glu(intermediate: 64)), \
         objective: MaskedLm(rate: 25%), batch: Constant(8), micro_batch: 4, optimizer: AdamW({entry}), \
         lr: Triangle(peak: 1e-3, start: 25%, peak_at: 75%))"
    );
    let (document, mut found) = parse(SourceId(0), &text);
    let (value, more) = evaluate_alone(&document.unwrap());
    let resolution = resolve(&value, Vec::new());
    found.extend(more);
    found.extend(resolution.diagnostics.into_iter().filter(Diagnostic::is_error));
    let Some(recipe) = resolution.recipe.filter(|_| found.is_empty()) else { return Err(found) };
    Ok(recipe.optimizer.clip())
}

/// `ron` wants a `Some` unless an extension line is there; we take both, and have no extension lines.
#[test]
fn some_may_be_written_or_left_out_where_a_field_may_be() {
    #[derive(serde::Deserialize)]
    struct Adam {
        clip: Option<f64>,
    }
    let theirs = |text: &str| ron::from_str::<Adam>(text).ok().map(|adam| adam.clip);
    assert_eq!(theirs("(clip: Some(0.5))"), Some(Some(0.5)));
    assert_eq!(theirs("(clip: None)"), Some(None));
    assert_eq!(theirs("(clip: 0.5)"), None);
    assert_eq!(theirs("#![enable(implicit_some)] (clip: 0.5)"), Some(Some(0.5)));
    assert_eq!(theirs("(clip: None, clip: None)"), None);

    assert_eq!(clipping("clip: Some(0.5)"), Ok(Some(0.5)));
    assert_eq!(clipping("clip: None"), Ok(None));
    assert_eq!(clipping("clip: 0.5"), Ok(Some(0.5)));
    let codes = |entry| clipping(entry).unwrap_err().iter().map(|d| d.code.as_str()).collect::<Vec<_>>();
    assert_eq!(codes("clip: None, clip: None"), ["duplicate-field"]);
    // A field that is always there has no `Some`.
    let errors = clipping("weight_decay: Some(0.1)").unwrap_err();
    assert!(matches!(errors.as_slice(), [error] if error.message.contains("`Some(..)`")), "{errors:?}");
}
