use super::*;
use crate::recipe::value::{Dimension, Numeric};
use crate::syntax;

/// The value as text, base units and all.
fn shown(value: &Value) -> String {
    let named = |name: &Option<Ident>| name.as_ref().map_or(String::new(), |n| n.text.clone());
    let all = |items: &[Value]| items.iter().map(shown).collect::<Vec<_>>().join(", ");
    match &value.kind {
        ValueKind::Number(Quantity { number, dimension }) => {
            let unit = match dimension {
                Dimension::Plain => "",
                Dimension::Percent => "share",
                Dimension::Time => "s",
                Dimension::Size => "B",
                Dimension::Work => "FLOP",
                Dimension::Rate => "/s",
                Dimension::SizeRate => "B/s",
                Dimension::WorkRate => "FLOP/s",
            };
            match number {
                Numeric::Integer(n) => format!("{n}{unit}"),
                Numeric::Float(x) => format!("{x:?}{unit}"),
            }
        }
        ValueKind::Text(text) => format!("{text:?}"),
        ValueKind::Bool(flag) => flag.to_string(),
        ValueKind::Name(name) => name.text.clone(),
        ValueKind::Struct { name, fields, broken } => {
            let fields = fields.iter().map(|f| format!("{}: {}", f.name.text, shown(&f.value)));
            let fields: Vec<String> = fields.chain(broken.then(|| "!".to_owned())).collect();
            format!("{}({})", named(name), fields.join(", "))
        }
        ValueKind::Tuple { name, items } => format!("{}<{}>", named(name), all(items)),
        ValueKind::List(items) => format!("[{}]", all(items)),
        ValueKind::Poisoned => "!".to_owned(),
    }
}

fn run(text: &str) -> (String, Vec<&'static str>) {
    let (document, errors) = syntax::parse(SourceId(0), text);
    assert!(errors.is_empty(), "{text}: {errors:?}");
    let (value, found) = evaluate_alone(&document.expect("short"));
    (shown(&value), found.iter().map(|d| d.code.as_str()).collect())
}

fn good(text: &str) -> String {
    let (value, codes) = run(text);
    assert!(codes.is_empty(), "{text}: {codes:?}");
    value
}

fn bad(text: &str) -> Vec<&'static str> {
    run(text).1
}

/// Evaluates the first file; the others can be imported by name.
fn with_files(files: &[(&str, &str)]) -> (String, Vec<(&'static str, String)>) {
    let parsed = |index: usize| syntax::parse(SourceId(index as u32), files[index].1);
    let mut load = |path: &str, _: SourceId| match files.iter().position(|(name, _)| *name == path) {
        Some(index) => Ok((parsed(index).0.expect("short"), parsed(index).1)),
        None => Err("no such file".to_owned()),
    };
    let Evaluated { value, diagnostics, .. } = evaluate(&parsed(0).0.expect("short"), &[], &mut load);
    (shown(&value), diagnostics.into_iter().map(|d| (d.code.as_str(), d.message)).collect())
}

#[test]
fn arithmetic_is_exact_on_whole_numbers() {
    assert_eq!(good("let w = 768; (4 * w, 7 / 2, 8 / 2, -(1 + 2) * 3, 1 - 2 - 3, 2 + 3 * 4)"), "<3072, 3.5, 4, -9, -4, 14>");
    assert_eq!(good("0.1 + 0.2"), "0.30000000000000004");
}

#[test]
fn units_go_through_arithmetic() {
    assert_eq!(
        good("(24h / 2, 1h + 30min, 24h / 1h, 2 * 11GiB, 60%, 7% * 100, 100 * 7%, 50% * 1h, 3 EFLOP, 32Ki)")
            .matches("s,")
            .count(),
        3
    );
    assert_eq!(good("(1h + 30min, 60%, 7% * 100, 50% * 50%, 100 / 50%)"), "<5400s, 0.6share, 7, 0.25share, 200.0>");
}

#[test]
fn arithmetic_without_meaning_is_refused() {
    for text in ["1h + 1", "1h * 1h", "1 / 0", "1 - 25%", "\"a\" + 1", "1e308 * 10", "1 + [2]", "1 + a(1)"] {
        assert_eq!(bad(text), ["arithmetic"], "{text}");
    }
    assert_eq!(bad("170141183460469231731687303715884105727 + 1"), ["arithmetic"]);
    assert_eq!(bad("170141183460469231731687303715884105727 GiB"), ["arithmetic"]);
    assert_eq!(bad("[1K, 2 hours]"), ["unknown-unit", "unknown-unit"]);
}

#[test]
fn names_are_resolved_where_they_are_defined_above() {
    assert_eq!(good("let a = Text(\"x\"); let b = [a, Dense]; (b: b, c: a(a: 1))"), "(b: [Text<\"x\">, Dense], c: a(a: 1))");
    assert_eq!(good("let _kept = 1; 'x'"), "\"x\"");
    assert_eq!(bad("let a = b; let b = 1; a + b"), ["unknown-name"]);
    assert_eq!(bad("let a = a + 1; a"), ["unknown-name"]);
    assert_eq!(bad("let width = 1; width + widht"), ["unknown-name"]);
    assert_eq!(bad("let a = 1; let a = 2; a"), ["duplicate-let"]);
    assert_eq!(bad("let a = 1; 2"), ["unused-let"]);
    assert_eq!(bad("(a: 1, b: 2, a: 3)"), ["duplicate-field"]);
}

#[test]
fn a_number_in_parentheses_is_a_number_and_a_text_is_a_tuple() {
    assert_eq!(good("let w = 2; [(1), (w), (\"a\"), (1,), ()]"), "[1, 2, <\"a\">, <1>, ()]");
}

#[test]
fn an_import_fills_in_what_is_not_given_struct_by_struct() {
    let base = "let w = 4; R(a: 1, m: E(w: w, n: L(eps: 1)), k: X(1), l: [1], g: G(h: 1))";
    let ours = "let w = 5; R(m: E(n: L(s: w), ..import(\"e\")), k: X(2), l: [], g: H(i: 1), ..import(\"base\"))";
    let (value, found) = with_files(&[("ours", ours), ("base", base), ("e", "E(d: 9)")]);
    assert_eq!((value.as_str(), found), ("R(m: E(n: L(s: 5, eps: 1), d: 9, w: 4), k: X(: 2), l: [], g: H(i: 1), a: 1)", vec![]));
}

#[test]
fn imports_that_fail_are_reported_once_and_poison_their_struct() {
    let found = |files: &[(&str, &str)]| with_files(files).1.into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    assert_eq!(with_files(&[("a", "R(b: (..import(\"x\")), c: 1)")]).0, "R(b: (!), c: 1)");
    assert_eq!(found(&[("a", "R(..import(\"x\"))")]), ["import-failed"]);
    assert_eq!(found(&[("a", "R(..import(\"b\"))"), ("b", "Q()")]), ["import-failed"]);
    assert_eq!(found(&[("a", "R(..import(\"b\"))"), ("b", "R(..import(\"a\"))")]), ["import-cycle"]);
    assert_eq!(found(&[("a", "R(..import(\"a\"))")]), ["import-cycle"]);
    assert_eq!(found(&[("a", "R(..import(\"b\"))"), ("b", "R(a: ]")]), ["syntax-unexpected"]);
    assert_eq!(bad("R(..import(\"x\"))"), ["import-failed"]);
}

#[test]
fn a_cycle_ends_where_each_load_is_a_new_source() {
    let mut count = 0;
    let mut load = |_: &str, _: SourceId| {
        count += 1;
        let (document, errors) = syntax::parse(SourceId(count), "R(a: R(..import(\"x\")), ..import(\"x\"))");
        Ok((document.expect("short"), errors))
    };
    let (document, _) = syntax::parse(SourceId(0), "R(..import(\"x\"))");
    let found = evaluate(&document.expect("short"), &[], &mut load).diagnostics;
    assert!(found.iter().any(|d| d.code == "import-cycle") && count <= 256);
}

#[test]
fn deep_files_that_import_deep_files_end_at_a_limit() {
    let text = format!("{}R(..import(\"x\")){}", "R(a: ".repeat(120), ")".repeat(120));
    let mut count = 0;
    let mut load = |_: &str, _: SourceId| {
        count += 1;
        Ok((syntax::parse(SourceId(count), &text).0.expect("short"), Vec::new()))
    };
    let found = evaluate(&syntax::parse(SourceId(0), &text).0.expect("short"), &[], &mut load).diagnostics;
    assert_eq!(found.iter().map(|d| d.code.as_str()).collect::<Vec<_>>(), ["syntax-depth"]);
}

#[test]
fn names_that_multiply_end_at_a_limit() {
    let wide: Vec<String> = (1..20).map(|i| format!("let a{i} = [a{0}, a{0}, a{0}, a{0}];", i - 1)).collect();
    assert!(bad(&format!("let a0 = 1; {} a19", wide.concat())).contains(&"syntax-depth"));
    let deep: Vec<String> = (1..400).map(|i| format!("let a{i} = [a{}];", i - 1)).collect();
    assert!(bad(&format!("let a0 = 1; {} a399", deep.concat())).contains(&"syntax-depth"));
}

/// The recipe with overrides, each `path=value`.
fn set_in(recipe: &str, overrides: &[&str]) -> Result<String, String> {
    let overrides: Result<Vec<_>, _> = overrides.iter().map(|text| syntax::parse_override(SourceId(9), text)).collect();
    let overrides = overrides.map_err(|found| found[0].message.clone())?;
    let document = syntax::parse(SourceId(0), recipe).0.expect("short");
    let base = |path: &str, _: SourceId| match path {
        "base" => {
            Ok(syntax::parse(SourceId(1), "let w = 4; let deep = 2; R(m: E(w: w, d: deep * w), k: X(1), t: T(p: 1, s: 2))"))
        }
        _ => Err("no such file".to_owned()),
    };
    let mut load = |path: &str, from: SourceId| base(path, from).map(|(d, e)| (d.expect("short"), e));
    let found = evaluate(&document, &overrides, &mut load);
    match found.diagnostics.iter().find(|d| d.is_error()) {
        Some(error) => Err(error.message.clone()),
        None => Ok(shown(&found.value)),
    }
}

#[test]
fn overrides_replace_and_add_fields() {
    assert_eq!(set_in("R(a: (b: 1))", &["a.b=Dense"]).as_deref(), Ok("R(a: (b: Dense))"));
    assert_eq!(set_in("R(n: L)", &["n.eps=1e-3"]).as_deref(), Ok("R(n: L(eps: 0.001))"));
    assert_eq!(set_in("R()", &["c.every=1h"]).as_deref(), Ok("R(c: (every: 3600s))"));
    assert_eq!(set_in("R(t: [1])", &["t.path=1"]), Err("`t` has no field `path`: it is a list".to_owned()));
    assert_eq!(set_in("R()", &["a..b=1"]), Err("`a..b` is not a path of names".to_owned()));
    assert_eq!(set_in("R(name: 1)", &["Recipe.name=2", "name=3"]).as_deref(), Ok("R(name: 3)"));
}

#[test]
fn an_override_counts_before_what_the_field_has_without_a_name() {
    assert_eq!(set_in("R(t: T(1))", &["t.p=2"]).as_deref(), Ok("R(t: T(p: 2, : 1))"));
    assert_eq!(
        set_in("R(k: X(5), ..import(\"base\"))", &["m.d=3"]).as_deref(),
        Ok("R(k: X(: 5), m: E(w: 4, d: 3), t: T(p: 1, s: 2))")
    );
}

#[test]
fn what_is_given_without_a_name_is_laid_over_what_is_imported() {
    assert_eq!(
        set_in("R(t: T(7), k: X, m: F(1), ..import(\"base\"))", &[]).as_deref(),
        Ok("R(t: T(: 7, p: 1, s: 2), k: X, m: F<1>)")
    );
}

#[test]
fn overrides_reach_let_names_and_what_depends_on_them_follows() {
    assert_eq!(set_in("let w = 3; R(a: w, b: 2 * w)", &["w=5"]).as_deref(), Ok("R(a: 5, b: 10)"));
    assert_eq!(set_in("R(..import(\"base\"))", &["deep=5"]).as_deref(), Ok("R(m: E(w: 4, d: 20), k: X<1>, t: T(p: 1, s: 2))"));
    assert_eq!(
        set_in("let w = 9; R(a: w, ..import(\"base\"))", &["w=5"]).as_deref(),
        Ok("R(a: 5, m: E(w: 4, d: 8), k: X<1>, t: T(p: 1, s: 2))")
    );
    assert_eq!(set_in("R()", &["widht=5"]), Err("`widht` is neither a field of the recipe nor a `let` name".to_owned()));
}

#[test]
fn what_an_override_replaces_is_not_looked_at_and_what_it_says_sees_the_let_names() {
    assert_eq!(set_in("let w = 3; R(seed: 1 / 0, b: w)", &["seed=2 * w"]).as_deref(), Ok("R(seed: 6, b: 3)"));
    assert_eq!(set_in("R(a: (b: nothing + 1))", &["a.b=1"]).as_deref(), Ok("R(a: (b: 1))"));
}

#[test]
fn rates_are_what_is_done_in_a_second() {
    assert_eq!(
        good("(60k / 1s * 1h, 1GB / 1s, 1GB / (250MB / 1s), 1h * (1TFLOP / 1s))"),
        "<216000000, 1000000000B/s, 4s, 3600000000000000FLOP>"
    );
    for text in ["1h / (1GB / 1s)", "1% / 1s", "1GB / 1s + 1GB"] {
        assert_eq!(bad(text), ["arithmetic"], "{text}");
    }
}
