//! The grammar for editors, tried with a TextMate tokenizer: every recipe that is shipped, letter by letter, against our own parser.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

#[path = "common/ebnf.rs"]
mod ebnf;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use cramplan::source::{SourceId, Span};
use cramplan::syntax::ast::{Document, Expr, ExprKind, Ident, Numeric, Rest};
use cramplan::syntax::parse;
use giallo::{HighlightOptions, Registry, ThemeVariant};

const GRAMMAR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/grammar/recipe.tmLanguage.json");

/// Every construct of the language; what the shipped recipes do not show is shown here.
const EVERYTHING: &str = r##"// a comment /* of one line
/* of two /* nested */ lines "no text" // end
   1 GiB */ let width = 768; let r#type = -(width + 2) * 3 / 4; let större = 0x1F;
Recipe (
    name: "a \" // no comment \u{e4}\x41\\", /* "x" */ raw: r"\", more: r#"a "quoted" /* "#, letter: 'x', quote: '\'',
    long: "two
lines \
    and a third", numbers: [0, 1_000, 0o17, 0b1_01, 0xff_FF, 1.5, .5, 2., 1e-3, 1.e3, 2E+1_0],
    shares: (25%, 0x10 %, 60 %), times: [30ms, 60s, 5min, 24h, 7 d], sizes: [1B, 1kB, 1MB, 1GB, 1TB, 1KiB, 1MiB, 11GiB, 1 TiB],
    work: [1FLOP, 1MFLOP, 1GFLOP, 1TFLOP, 1PFLOP, 3 EFLOP, 1e3 EFLOP], counts: [1k, 32Ki, 1Mi, 1 Gi],
    r#true-ish: true, flag : false, min: 3, s: 4 * width - r#type, nested: Encoder(Inner (), Off), ..import("base.ron"),
)
"##;

/// A grammar loaded with a theme in which every scope has a colour of its own: the tokenizer gives colours, and no scopes.
struct Tokenizer {
    registry: Registry,
    scopes: Vec<String>,
}

impl Tokenizer {
    fn new() -> Self {
        let scopes: Vec<String> = names(&grammar()).into_iter().collect();
        let rules: Vec<_> = scopes
            .iter()
            .enumerate()
            .map(|(i, scope)| serde_json::json!({ "scope": scope, "settings": { "foreground": format!("#{:06x}", i + 1) } }))
            .collect();
        let colors = serde_json::json!({ "editor.foreground": "#000000", "editor.background": "#ffffff" });
        let theme = serde_json::json!({ "name": "scopes", "type": "light", "colors": colors, "tokenColors": rules });
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), theme.to_string()).unwrap();
        let mut registry = Registry::default();
        registry.add_grammar_from_path(GRAMMAR).unwrap();
        registry.add_theme_from_path(file.path()).unwrap();
        registry.link_grammars();
        Self { registry, scopes }
    }

    /// The innermost scope of each piece of a text, without `.cramplan`; empty where there is none.
    fn pieces(&self, text: &str) -> Vec<(String, String)> {
        assert!(!text.contains('\r'), "the tokenizer would not keep the places");
        let options = HighlightOptions::new("cramplan", ThemeVariant::Single("scopes"));
        let options = options.merge_whitespace(false).merge_same_style_tokens(false);
        let lines = self.registry.highlight(text, &options).unwrap().tokens;
        let mut pieces = Vec::new();
        for (tokens, line) in lines.into_iter().zip(text.split('\n')) {
            let whole: String = tokens.iter().map(|t| t.text.as_str()).collect();
            assert_eq!(whole, line, "the tokens are the line");
            pieces.extend(tokens.into_iter().map(|token| {
                let ThemeVariant::Single(style) = token.style else { panic!("one theme") };
                let colour = style.foreground.as_hex();
                let number = usize::from_str_radix(&colour[1..7], 16).unwrap();
                let scope = number.checked_sub(1).map_or("", |i| self.scopes[i].trim_end_matches(".cramplan"));
                (token.text, scope.to_owned())
            }));
            pieces.push(("\n".to_owned(), String::new()));
        }
        pieces.pop();
        pieces
    }

    /// The scope of each byte.
    fn bytes(&self, text: &str) -> Vec<String> {
        let pieces = self.pieces(text);
        pieces.into_iter().flat_map(|(piece, scope)| std::iter::repeat_n(scope, piece.len())).collect()
    }

    /// What is not blank, with its scope.
    fn tokens(&self, text: &str) -> Vec<(String, String)> {
        self.pieces(text).into_iter().filter(|(piece, _)| !piece.trim().is_empty()).collect()
    }
}

fn grammar() -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(GRAMMAR).unwrap()).unwrap()
}

/// All scopes that a grammar gives; its own name is none of them.
fn names(rule: &serde_json::Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match rule {
        serde_json::Value::Object(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    ("name" | "contentName", serde_json::Value::String(name)) if name.contains('.') => {
                        found.insert(name.clone());
                    }
                    _ => found.extend(names(value)),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| found.extend(names(item))),
        _ => (),
    }
    found
}

/// What our own parser says of a text: the scopes that each byte may have.
struct Wanted<'t> {
    text: &'t str,
    units: BTreeMap<String, BTreeSet<String>>,
    bytes: Vec<&'static [&'static str]>,
    /// How often each first scope was wanted.
    counts: BTreeMap<&'static str, usize>,
}

const STRING: &[&str] = &["string.quoted", "punctuation.definition.string", "constant.character.escape"];
const COMMENT: &[&str] = &["comment", "punctuation.definition.comment"];

impl<'t> Wanted<'t> {
    fn of(text: &'t str) -> Self {
        let (document, found) = parse(SourceId(0), text);
        assert!(found.is_empty(), "{found:#?}");
        let mut wanted = Self { text, units: ebnf::units(), bytes: vec![&[]; text.len()], counts: BTreeMap::new() };
        wanted.document(&document.unwrap());
        wanted.comments();
        wanted.punctuation();
        wanted
    }

    fn mark(&mut self, start: usize, end: usize, scopes: &'static [&'static str]) {
        *self.counts.entry(scopes[0]).or_default() += 1;
        for byte in &mut self.bytes[start..end] {
            assert!(byte.is_empty(), "marked twice: {}", &self.text[start..end]);
            *byte = scopes;
        }
    }

    fn span(&mut self, span: Span, scopes: &'static [&'static str]) {
        self.mark(span.start as usize, span.end as usize, scopes);
    }

    fn document(&mut self, document: &Document) {
        for definition in &document.lets {
            let start = definition.span.start as usize;
            self.mark(start, start + "let".len(), &["storage.type.let"]);
            self.span(definition.name.span, &["variable.other.constant"]);
            self.expr(&definition.value);
        }
        self.expr(&document.value);
    }

    fn name(&mut self, name: &Ident) {
        let upper = name.text.starts_with(char::is_uppercase);
        self.span(name.span, if upper { &["entity.name.type"] } else { &["variable.other.constant"] });
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Number(number) => self.number(expr.span, number.value, number.unit.as_ref()),
            ExprKind::Text(_) | ExprKind::Char(_) => self.span(expr.span, STRING),
            ExprKind::Bool(_) => self.span(expr.span, &["constant.language.boolean"]),
            ExprKind::Name(name) => self.name(name),
            ExprKind::Struct(record) => {
                record.name.iter().for_each(|name| self.name(name));
                for field in &record.fields {
                    self.span(field.name.span, &["support.type.property-name"]);
                    self.expr(&field.value);
                }
                record.rest.iter().for_each(|rest| self.rest(rest));
            }
            ExprKind::Tuple(tuple) => {
                tuple.name.iter().for_each(|name| self.name(name));
                tuple.items.iter().for_each(|item| self.expr(item));
            }
            ExprKind::List(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::Binary(_, left, right) => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Negate(inner) | ExprKind::Group(inner) => self.expr(inner),
            ExprKind::Poisoned => panic!("the text has no errors"),
        }
    }

    fn number(&mut self, span: Span, value: Numeric, unit: Option<&Ident>) {
        let end = unit.map_or(span.end, |unit| unit.span.start) as usize;
        let digits = self.text[span.start as usize..end].trim_end();
        let scope: &[&str] = match (value, digits.get(..2)) {
            (_, Some("0x")) => &["constant.numeric.hex"],
            (_, Some("0o")) => &["constant.numeric.octal"],
            (_, Some("0b")) => &["constant.numeric.binary"],
            (Numeric::Integer(_), _) => &["constant.numeric.integer"],
            (Numeric::Float(_), _) => &["constant.numeric.float"],
        };
        self.mark(span.start as usize, span.start as usize + digits.len(), scope);
        let Some(unit) = unit else { return };
        let kind = self.units.iter().find(|(_, units)| units.contains(&unit.text)).map(|(kind, _)| kind.as_str());
        let scope: &[&str] = match kind {
            Some("share") => &["keyword.other.unit.share"],
            Some("time") => &["keyword.other.unit.time"],
            Some("size") => &["keyword.other.unit.size"],
            Some("work") => &["keyword.other.unit.work"],
            Some("count") => &["keyword.other.unit.count"],
            _ => panic!("`{}` is no unit", unit.text),
        };
        self.span(unit.span, scope);
    }

    fn rest(&mut self, rest: &Rest) {
        let (start, import) = (rest.span.start as usize, rest.import.as_ref().unwrap());
        let word = start + self.text[start..].find("import").unwrap();
        self.mark(start, start + "..".len(), &["keyword.operator.spread"]);
        self.mark(word, word + "import".len(), &["keyword.control.import"]);
        self.span(import.path_span, STRING);
    }

    /// Comments are in no tree: they are what begins with `//` or `/*` outside of texts.
    fn comments(&mut self) {
        let mut at = 0;
        while at < self.text.len() {
            let rest = &self.text[at..];
            let end = if !self.bytes[at].is_empty() {
                at + 1
            } else if rest.starts_with("//") {
                at + rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                at + block_length(rest)
            } else {
                at + 1
            };
            if end > at + 1 {
                self.mark(at, end, COMMENT);
            }
            at = (end..=self.text.len()).find(|i| self.text.is_char_boundary(*i)).unwrap();
        }
    }

    fn punctuation(&mut self) {
        for (at, c) in self.text.char_indices() {
            if !self.bytes[at].is_empty() || c.is_whitespace() {
                continue;
            }
            let scope: &[&str] = match c {
                '(' => &["punctuation.section.parens.begin"],
                ')' => &["punctuation.section.parens.end"],
                '[' => &["punctuation.section.brackets.begin"],
                ']' => &["punctuation.section.brackets.end"],
                ':' => &["punctuation.separator.key-value"],
                ',' => &["punctuation.separator.comma"],
                ';' => &["punctuation.terminator.statement"],
                '=' => &["keyword.operator.assignment"],
                '+' | '-' | '*' | '/' => &["keyword.operator.arithmetic"],
                _ => panic!("`{c}` at {at} is in no tree and no punctuation"),
            };
            self.mark(at, at + 1, scope);
        }
    }
}

fn block_length(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        match &text.as_bytes()[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
}

/// Holds every letter of a text against its scope; gives how often each scope was wanted.
fn compare(tokenizer: &Tokenizer, name: &str, text: &str) -> BTreeMap<&'static str, usize> {
    let wanted = Wanted::of(text);
    let found = tokenizer.bytes(text);
    let wrong: Vec<String> = text
        .char_indices()
        .filter(|(at, c)| {
            let scopes = wanted.bytes[*at];
            // Blanks between tokens have no scope, and those in texts and comments have that of the text or comment.
            let fits = if scopes.is_empty() { found[*at].is_empty() } else { scopes.iter().any(|s| found[*at].starts_with(s)) };
            !fits && *c != '\n'
        })
        .map(|(at, c)| {
            let line = text[..at].matches('\n').count() + 1;
            format!("{name}:{line}: `{c}` is `{}`, not {:?}", found[at], wanted.bytes[at])
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    wanted.counts
}

#[test]
fn every_letter_of_the_shipped_recipes_has_its_scope() {
    let tokenizer = Tokenizer::new();
    let mut paths: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "ron"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let counts = compare(&tokenizer, &path.display().to_string(), &fs::read_to_string(&path).unwrap());
        for scope in ["support.type.property-name", "entity.name.type", "string.quoted"] {
            assert!(counts.contains_key(scope), "{}: no `{scope}`: {counts:?}", path.display());
        }
    }
}

#[test]
fn every_letter_of_every_construct_has_its_scope() {
    let counts = compare(&Tokenizer::new(), "everything", EVERYTHING);
    let valid: BTreeSet<String> = names(&grammar())
        .into_iter()
        .map(|name| name.trim_end_matches(".cramplan").to_owned())
        .filter(|name| !name.starts_with("invalid"))
        .collect();
    let unseen: Vec<&String> = valid
        .iter()
        .filter(|name| {
            let groups = [STRING, COMMENT].concat();
            !counts.keys().any(|wanted| wanted == &name.as_str()) && !groups.iter().any(|group| name.starts_with(group))
        })
        .collect();
    assert!(unseen.is_empty(), "scopes that the text does not show: {unseen:?}");
}

/// Each text with its tokens, blanks left out, and their scopes.
#[test]
fn corners_have_their_scopes() {
    const INTEGER: &str = "constant.numeric.integer";
    const FLOAT: &str = "constant.numeric.float";
    const HEX: &str = "constant.numeric.hex";
    const SIZE: &str = "keyword.other.unit.size";
    const WORK: &str = "keyword.other.unit.work";
    const NO_UNIT: &str = "invalid.illegal.unit";
    const NO_NUMBER: &str = "invalid.illegal.number";
    const RANGE: &str = "invalid.illegal.range";
    const FIELD: &str = "support.type.property-name";
    const NAME: &str = "variable.other.constant";
    const TYPE: &str = "entity.name.type";
    const COLON: &str = "punctuation.separator.key-value";
    const OPEN: &str = "punctuation.definition.string.begin";
    const CLOSE: &str = "punctuation.definition.string.end";
    const RAW: &str = "string.quoted.other.raw";
    const DOUBLE: &str = "string.quoted.double";
    const ESCAPE: &str = "constant.character.escape";
    const COMMENT_BEGIN: &str = "punctuation.definition.comment.begin";
    const COMMENT_END: &str = "punctuation.definition.comment.end";
    const BLOCK: &str = "comment.block";
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("11GiB", &[("11", INTEGER), ("GiB", SIZE)]),
        ("11G", &[("11", INTEGER), ("G", NO_UNIT)]),
        ("11 G", &[("11", INTEGER), ("G", NO_UNIT)]),
        ("11gib", &[("11", INTEGER), ("gib", NO_UNIT)]),
        ("3 EFLOP", &[("3", INTEGER), ("EFLOP", WORK)]),
        ("1e3EFLOP", &[("1e3", FLOAT), ("EFLOP", WORK)]),
        ("1EFLOP", &[("1", INTEGER), ("EFLOP", WORK)]),
        ("60 %", &[("60", INTEGER), ("%", "keyword.other.unit.share")]),
        ("% 60", &[("%", "invalid.illegal.character"), ("60", INTEGER)]),
        // Hex digits against units.
        ("0x1B", &[("0x1B", HEX)]),
        ("0x1d", &[("0x1d", HEX)]),
        ("0x1f32", &[("0x1f32", HEX)]),
        ("0x10 B", &[("0x10", HEX), ("B", SIZE)]),
        ("0x10KiB", &[("0x10KiB", NO_NUMBER)]),
        ("0B", &[("0", INTEGER), ("B", SIZE)]),
        ("0b1", &[("0b1", "constant.numeric.binary")]),
        ("0b2", &[("0b2", NO_NUMBER)]),
        ("0X1F", &[("0X1F", NO_NUMBER)]),
        ("1u8", &[("1", INTEGER), ("u8", NO_UNIT)]),
        ("1.2.3", &[("1.2.3", NO_NUMBER)]),
        ("-inf", &[("-", "keyword.operator.arithmetic"), ("inf", NO_NUMBER)]),
        // What follows a number and is no unit of it.
        ("768 depth: 16", &[("768", INTEGER), ("depth", FIELD), (":", COLON), ("16", INTEGER)]),
        ("min: 5min", &[("min", FIELD), (":", COLON), ("5", INTEGER), ("min", "keyword.other.unit.time")]),
        ("4 true", &[("4", INTEGER), ("true", "constant.language.boolean")]),
        ("4 * k", &[("4", INTEGER), ("*", "keyword.operator.arithmetic"), ("k", NAME)]),
        ("1..5", &[("1", INTEGER), ("..", RANGE), ("5", INTEGER)]),
        ("..=5", &[("..=", RANGE), ("5", INTEGER)]),
        // Texts.
        (r##"r#"a"\n"#"##, &[("r#\"", OPEN), ("a\"\\n", RAW), ("\"#", CLOSE)]),
        (r#"r"a" r#type"#, &[("r\"", OPEN), ("a", RAW), ("\"", CLOSE), ("r#type", NAME)]),
        (r#""a\n\q""#, &[("\"", OPEN), ("a", DOUBLE), ("\\n", ESCAPE), ("\\q", "invalid.illegal.escape"), ("\"", CLOSE)]),
        (r#""\x41\xe4""#, &[("\"", OPEN), ("\\x41", ESCAPE), ("\\xe4", "invalid.illegal.escape"), ("\"", CLOSE)]),
        (r"'\u{e4}'", &[("'", OPEN), (r"\u{e4}", ESCAPE), ("'", CLOSE)]),
        ("'ab'", &[("'ab'", "invalid.illegal.text")]),
        (r#"b"x""#, &[("b\"x\"", "invalid.illegal.bytes")]),
        // Comments.
        (
            "/* a /* b */ c */ d",
            &[
                ("/*", COMMENT_BEGIN),
                (" a ", BLOCK),
                ("/*", COMMENT_BEGIN),
                (" b ", BLOCK),
                ("*/", COMMENT_END),
                (" c ", BLOCK),
                ("*/", COMMENT_END),
                ("d", NAME),
            ],
        ),
        ("// /*", &[("//", "punctuation.definition.comment"), (" /*", "comment.line.double-slash")]),
        ("\"//\"", &[("\"", OPEN), ("//", DOUBLE), ("\"", CLOSE)]),
        // Names.
        (
            "let a = A;",
            &[
                ("let", "storage.type.let"),
                ("a", NAME),
                ("=", "keyword.operator.assignment"),
                ("A", TYPE),
                (";", "punctuation.terminator.statement"),
            ],
        ),
        ("let: letter", &[("let", FIELD), (":", COLON), ("letter", NAME)]),
        ("r#true: true", &[("r#true", "invalid.illegal.name"), (":", COLON), ("true", "constant.language.boolean")]),
        ("größe : Größe", &[("größe", FIELD), (":", COLON), ("Größe", TYPE)]),
        ("A::B", &[("A", TYPE), (":", COLON), (":", COLON), ("B", TYPE)]),
        ("{}", &[("{", "invalid.illegal.character"), ("}", "invalid.illegal.character")]),
        ("#![enable(implicit_some)]", &[("#![enable(implicit_some)]", "invalid.illegal.attribute")]),
    ];
    let tokenizer = Tokenizer::new();
    for (text, wanted) in cases {
        let found = tokenizer.tokens(text);
        let found: Vec<(&str, &str)> = found.iter().map(|(piece, scope)| (piece.as_str(), scope.as_str())).collect();
        assert_eq!(found, *wanted, "{text}");
    }
}

/// What our parser refuses in a number is marked as wrong, and what it takes is not.
#[test]
fn units_are_those_of_the_grammar_and_no_others() {
    let tokenizer = Tokenizer::new();
    let units = ebnf::units();
    let all: BTreeSet<&str> = units.values().flatten().map(String::as_str).collect();
    for (kind, units) in &units {
        for unit in units {
            let scope = format!("keyword.other.unit.{kind}");
            for text in [format!("7{unit}"), format!("7 {unit}"), format!("[7.5{unit}, 1]")] {
                let tokens = tokenizer.tokens(&text);
                assert!(tokens.contains(&(unit.clone(), scope.clone())), "{text}: {tokens:?}");
            }
        }
    }
    let letters = ["", "k", "K", "M", "m", "G", "g", "T", "P", "E", "i", "B", "b", "s", "h", "d", "FLOP", "flop", "in"];
    for first in letters {
        for (second, third) in letters.iter().flat_map(|second| letters.map(|third| (*second, third))) {
            let unit = [first, second, third].concat();
            let right = all.contains(unit.as_str());
            let tokens = tokenizer.tokens(&format!("7 {unit}"));
            let wrong = tokens.iter().any(|(_, scope)| scope == "invalid.illegal.unit");
            assert!(unit.is_empty() || right != wrong, "7 {unit}: {tokens:?}");
        }
    }
    // And the table itself, so that no unit is there that nothing above thought of.
    let grammar = grammar();
    let mut listed = BTreeMap::from([("share".to_owned(), BTreeSet::from(["%".to_owned()]))]);
    for rule in grammar["repository"]["unit"]["patterns"].as_array().unwrap() {
        let (name, pattern) = (rule["name"].as_str().unwrap(), rule["match"].as_str().unwrap());
        if let Some(kind) = name.strip_prefix("keyword.other.unit.") {
            let alternatives = pattern.trim_start_matches("(?:").trim_end_matches(")$").split('|').map(str::to_owned);
            listed.insert(kind.trim_end_matches(".cramplan").to_owned(), alternatives.collect());
        }
    }
    assert_eq!(listed, units);
}

/// The names of scopes follow the conventions that themes know, and end with the name of the language.
#[test]
fn scopes_are_of_the_usual_families() {
    let families = [
        "comment",
        "constant",
        "entity.name",
        "invalid.illegal",
        "keyword",
        "punctuation",
        "storage",
        "string",
        "support",
        "variable",
    ];
    for name in names(&grammar()) {
        assert!(families.iter().any(|family| name.starts_with(&format!("{family}."))), "{name}");
        assert!(name.ends_with(".cramplan"), "{name}");
    }
    assert_eq!(grammar()["scopeName"], "source.cramplan");
    assert_eq!(grammar()["fileTypes"], serde_json::json!(["ron"]));
}
