//! From a text to its tokens, comments and blanks left out.
//!
//! Invariant: the tokens end with exactly one `End`, their spans rise, and each fault left a `Bad` token or `broken` behind, but
//! for those of a line or a blank that is passed over.

mod conflict;
mod foreign;
mod quotes;
mod range;

use std::ops::Range;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while, take_while1};
use nom::character::complete::{anychar, satisfy};
use nom::combinator::{map, opt, recognize};
use nom::sequence::{pair, preceded};
use nom::{IResult, Offset, Parser};

use self::conflict::Merge;
use self::quotes::{bytes, character, is_byte_literal, raw_text, single_quoted, text};
use super::ast::Numeric;
use super::literal::{Fault, begins_name, continues_name, number, raw_opener};
use crate::diag::{Code, Diagnostic, Edit, Fix};
use crate::source::{SourceId, Span};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A number without its unit.
    Number(Numeric),
    /// A string.
    Text(String),
    /// A character in single quotes.
    Char(char),
    /// A name or a unit; `true` and `false` too.
    Ident(String),
    /// Any other character.
    Punct(char),
    /// `..`
    Dots,
    /// Something that was reported.
    Bad,
    /// The end of the text.
    End,
}

/// A piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where.
    pub span: Span,
    /// Whether only blanks and comments stand before it on its line.
    pub leads: bool,
}

/// A text cut into tokens.
#[derive(Debug)]
pub(super) struct Lexed {
    pub tokens: Vec<Token>,
    pub faults: Vec<Diagnostic>,
    /// Whether a text or comment does not end, so that brackets may be hidden in it.
    pub broken: bool,
}

/// Cuts a text into tokens.
pub(super) fn lex(source: SourceId, text: &str) -> Lexed {
    let first = Lexer::new(source, text, false).run();
    if !first.odd_quotes {
        return first.out;
    }
    // Some text is not closed, and every quote after it is read the wrong way round: texts must now end on their line.
    Lexer::new(source, text, true).run().out
}

/// Faults of one kind after which the rest of a text is not read: it is no recipe, and nobody mends more of them at once.
const PATIENCE: usize = 100;

/// How many brackets may be open at once; the parser takes half as many, and says so first where all of them match.
const MAX_OPEN: usize = 256;

struct Lexer<'t> {
    source: SourceId,
    text: &'t str,
    rest: &'t str,
    one_line: bool,
    odd_quotes: bool,
    merge: Merge,
    /// Whether the name that comes next goes on with the one before: an invisible character stands in it.
    joins: bool,
    /// How many brackets are open, whatever closes them.
    open: usize,
    /// Brackets that close nothing.
    stray: usize,
    /// Texts that do not end.
    unclosed: usize,
    out: Lexed,
}

impl<'t> Lexer<'t> {
    /// At the first letter of a text. EBNF `byte order mark`.
    fn new(source: SourceId, text: &'t str, one_line: bool) -> Self {
        let out = Lexed { tokens: Vec::new(), faults: Vec::new(), broken: false };
        Self {
            source,
            text,
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            one_line,
            odd_quotes: false,
            merge: Merge::default(),
            joins: false,
            open: 0,
            stray: 0,
            unclosed: 0,
            out,
        }
    }

    fn run(mut self) -> Self {
        self.shebang();
        loop {
            let before = self.rest;
            self.skip_trivia();
            let leads = self.out.tokens.is_empty() || before[..before.offset(self.rest)].contains('\n');
            if self.rest.is_empty() {
                self.push(Kind::End, self.rest, leads);
                return self;
            }
            if self.foreign(leads) {
                continue;
            }
            match token(self.rest, self.one_line) {
                Ok((rest, (Kind::Dots, None))) => self.dots(rest, leads),
                Ok((rest, (kind, fault))) => {
                    if let Some(fault) = fault {
                        self.report(fault);
                    }
                    self.push(kind, rest, leads);
                }
                Err(_) => self.unclosed_text(leads),
            }
        }
    }

    fn push(&mut self, kind: Kind, rest: &'t str, leads: bool) {
        match kind {
            Kind::Punct('(' | '[' | '{') => self.open += 1,
            Kind::Punct(')' | ']' | '}') if self.open == 0 => self.stray += 1,
            Kind::Punct(')' | ']' | '}') => self.open -= 1,
            _ => (),
        }
        let span = Span::new(self.source, self.text.offset(self.rest), self.text.offset(rest));
        self.rest = rest;
        let joins = std::mem::take(&mut self.joins);
        match (self.out.tokens.last_mut(), kind) {
            (Some(Token { kind: Kind::Ident(word), span: first, .. }), Kind::Ident(more)) if joins => {
                word.push_str(&more);
                *first = first.to(span);
            }
            (_, kind) => self.out.tokens.push(Token { kind, span, leads }),
        }
    }

    /// Passes over the rest of a text that has too much of something, so that a text without end is refused in little time.
    fn lose_patience(&mut self) {
        let too_deep = self.open > MAX_OPEN;
        let too_many = [self.stray, self.unclosed, self.out.faults.len()].into_iter().any(|n| n >= PATIENCE);
        let Some(c) = self.rest.chars().next().filter(|_| too_deep || too_many) else { return };
        let fault = if too_deep {
            let message = format!("more than {MAX_OPEN} brackets are open");
            Fault::new(Code::SyntaxDepth, 0..c.len_utf8(), message, "too deep", "give a part of it a name with `let`")
        } else {
            let help = "mend what is reported before this; if there is no end to it, this is no recipe";
            let message = "too many errors: the rest of the text is not read";
            Fault::new(Code::SyntaxUnexpected, 0..c.len_utf8(), message, "read up to here", help)
        };
        self.report(fault);
        // Brackets that close nothing are still to be reported.
        self.out.broken |= self.stray < PATIENCE;
        self.rest = &self.rest[self.rest.len()..];
    }

    /// Reports a fault of the token that begins here.
    fn report(&mut self, fault: Fault) {
        let start = self.text.offset(self.rest);
        let span = |at: &Range<usize>| Span::new(self.source, start + at.start, start + at.end);
        let mut found = Diagnostic::error(fault.code, span(&fault.at), fault.message).here(fault.here).help(fault.help);
        for mend in fault.mends {
            let title = if mend.text.trim().is_empty() { "take it out".to_owned() } else { format!("write `{}`", mend.text) };
            found.fixes.push(Fix { title, edits: vec![Edit { span: span(&mend.at), text: mend.text }], safe: mend.safe });
        }
        self.out.faults.push(found);
    }

    /// Reports and passes over a first line for the shell.
    fn shebang(&mut self) {
        let Some(after) = self.rest.strip_prefix("#!").filter(|after| !skip(after).starts_with('[')) else { return };
        let line = after.find('\n').map_or(self.rest.len(), |end| end + 2);
        let help = "take the line out: `cramplan run FILE` runs a recipe";
        let fault = Fault::new(Code::SyntaxUnsupported, 0..line, "a recipe has no line for the shell", "a shebang line", help);
        self.report(fault.mend(true, 0..line, ""));
        self.rest = &self.rest[line..];
    }

    /// Passes over blanks and comments.
    fn skip_trivia(&mut self) {
        loop {
            self.lose_patience();
            let before = self.rest.len();
            self.rest = skip(self.rest);
            self.odd_blank();
            self.foreign_blank();
            if self.rest.starts_with("/*") {
                match comment_end(self.rest) {
                    Some(end) => self.rest = &self.rest[end..],
                    None => self.unclosed_comment(),
                }
            }
            if self.rest.len() == before {
                return;
            }
        }
    }

    /// Reports a character that looks like a blank and is none, and passes over it.
    fn odd_blank(&mut self) {
        let Some(c) = self.rest.chars().next().filter(|c| is_odd_blank(*c)) else { return };
        let message = format!("the invisible character U+{:04X} is no blank of a recipe", u32::from(c));
        let help = "put an ordinary space in its place, or nothing";
        let at = 0..c.len_utf8();
        let fault = Fault::new(Code::SyntaxUnexpected, at.clone(), message, "an invisible character", help);
        self.report(fault.mend(true, at, if c.is_whitespace() { " " } else { "" }));
        let here = self.text.offset(self.rest);
        let touches = self.out.tokens.last().is_some_and(|t| t.span.end as usize == here && matches!(t.kind, Kind::Ident(_)));
        self.joins = touches && !c.is_whitespace() && self.rest[c.len_utf8()..].starts_with(begins_name);
        self.rest = &self.rest[c.len_utf8()..];
    }

    fn unclosed_comment(&mut self) {
        let help = "put `*/` where it ends; comments nest, so each `/*` needs its own";
        self.report(Fault::new(Code::SyntaxUnclosed, 0..2, "this comment does not end", "opened here", help));
        self.out.broken = true;
        self.rest = &self.rest[self.rest.len()..];
    }

    /// Takes a text that does not end up to the end of its line, but for the brackets and commas that close what is around it.
    fn unclosed_text(&mut self, leads: bool) {
        let line = self.rest.split('\n').next().unwrap_or(self.rest);
        let body = line.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, ')' | ']' | '}' | ',' | ';'));
        let end = if body.is_empty() { self.rest.chars().next().map_or(0, char::len_utf8) } else { body.len() };
        if !self.out.broken {
            let help = if self.rest.starts_with('r') {
                "close it with a `\"` and as many `#` as it opens with"
            } else if self.rest.starts_with('\'') {
                "a text stands in double quotes, `\"..\"`"
            } else {
                "put a `\"` where it ends"
            };
            self.report(Fault::new(Code::SyntaxString, 0..end, "this text does not end", "the text that opens here", help));
        }
        self.odd_quotes |= self.rest.starts_with('"');
        self.unclosed += 1;
        self.out.broken = true;
        self.push(Kind::Bad, &self.rest[end..], leads);
    }
}

/// What Unicode calls pattern white space, as RON does. EBNF `blank`.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{85}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
}

/// What is to be seen as a blank, or not at all, and is none.
fn is_odd_blank(c: char) -> bool {
    c.is_whitespace() && !is_blank(c) || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn skip(input: &str) -> &str {
    let blanks = take_while::<_, _, nom::error::Error<&str>>(is_blank);
    let comment = recognize(pair(tag("//"), take_till(|c| c == '\n')));
    recognize(pair(blanks, opt(comment))).parse(input).map_or(input, |(rest, _): (&str, &str)| rest)
}

/// Where the comment that begins here ends, comments within it counted. EBNF `comment`.
pub(super) fn comment_end(input: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match input.as_bytes().get(at..at + 2)? {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// A token and what is wrong with it. What is wrong and can be read all the same is no `Bad`.
type Lexeme = (Kind, Option<Fault>);

fn fine(kind: Kind) -> Lexeme {
    (kind, None)
}

fn bad(fault: Fault) -> Lexeme {
    (Kind::Bad, Some(fault))
}

/// One token; an error only where a text does not end.
fn token(input: &str, one_line: bool) -> IResult<&str, Lexeme> {
    match input.as_bytes().first() {
        Some(b'"') => text(input, one_line),
        Some(b'\'') => alt((character, single_quoted)).parse(input),
        Some(b'r') if raw_opener(input).is_ok() => raw_text(input),
        Some(b'b') if is_byte_literal(input) => bytes(input),
        _ => alt((numeral, raw_name, word, sign)).parse(input),
    }
}

/// A number. One that has a fault is not read: what it is out of range of, say, is no second mistake.
fn numeral(input: &str) -> IResult<&str, Lexeme> {
    map(number, |value| value.map_or_else(bad, |value| fine(Kind::Number(value)))).parse(input)
}

fn sign(input: &str) -> IResult<&str, Lexeme> {
    map(alt((map(tag(".."), |_| Kind::Dots), map(anychar, Kind::Punct))), fine).parse(input)
}

/// A name. EBNF `name`.
fn name(input: &str) -> IResult<&str, &str> {
    recognize(pair(satisfy(begins_name), take_while(continues_name))).parse(input)
}

/// Whether a text is one name.
pub(super) fn is_name(text: &str) -> bool {
    name(text).is_ok_and(|(rest, _)| rest.is_empty())
}

/// A name, a unit, or a number that RON writes in letters.
fn word(input: &str) -> IResult<&str, Lexeme> {
    let (rest, word) = name(input)?;
    let endless = matches!(word, "inf" | "inff32" | "inff64" | "NaN" | "NaNf32" | "NaNf64");
    if endless && !skip(rest).starts_with([':', '(']) {
        let message = format!("a recipe has no `{word}`");
        let fault = Fault::new(Code::SyntaxUnsupported, 0..word.len(), message, "not a finite number", "write a finite number");
        return Ok((rest, bad(fault)));
    }
    Ok((rest, fine(Kind::Ident(word.to_owned()))))
}

/// `r#type`: a name that may look like a keyword or hold signs. EBNF `raw name`.
fn raw_name(input: &str) -> IResult<&str, Lexeme> {
    let letters = take_while1(|c| continues_name(c) || matches!(c, '.' | '+' | '-'));
    let (rest, name) = preceded(tag("r#"), letters).parse(input)?;
    if matches!(name, "true" | "false") {
        let message = format!("`{name}` is a truth value and cannot be a name");
        let help = format!("write `{name}` without the `r#`, or take another name");
        return Ok((rest, bad(Fault::new(Code::SyntaxUnsupported, 0..name.len() + 2, message, "not a name", help))));
    }
    Ok((rest, fine(Kind::Ident(name.to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        lex(SourceId(0), text).tokens.into_iter().map(|t| t.kind).collect()
    }

    fn faults(text: &str) -> Vec<(&'static str, u32, u32)> {
        lex(SourceId(0), text).faults.iter().filter_map(|d| d.span().map(|s| (d.code.as_str(), s.start, s.end))).collect()
    }

    #[test]
    fn blanks_and_nested_comments_are_no_tokens() {
        assert_eq!(kinds("\u{feff} // a\n /* b /* c */ d */ x//"), [Kind::Ident("x".into()), Kind::End]);
    }

    #[test]
    fn raw_texts_and_raw_names_are_told_apart() {
        assert_eq!(kinds(r##"r#"a"b"# r#type r"#)"##)[..2], [Kind::Text("a\"b".into()), Kind::Ident("type".into())]);
    }

    #[test]
    fn the_text_that_lacks_its_quote_is_found_and_not_the_last_one() {
        assert_eq!(faults("(a: \"x),\n b: \"y\",\n c: \"z\")"), [("syntax-string", 4, 6)]);
    }

    #[test]
    fn a_range_is_one_token_and_an_import_is_none() {
        for text in ["1..5", "1 .. 5", "1h..=5h", "..5", "..=", "25%..-50%", "1.."] {
            assert_eq!(kinds(text), [Kind::Bad, Kind::End], "{text}");
            assert_eq!(faults(text), [("syntax-unsupported", 0, text.len() as u32)], "{text}");
        }
        for text in ["1..import", "1 ..import", "x..y", ".."] {
            assert!(kinds(text).contains(&Kind::Dots), "{text}");
            assert_eq!(faults(text), [], "{text}");
        }
        assert_eq!(faults("1\n..5"), [("syntax-unsupported", 2, 5)]);
    }

    #[test]
    fn what_is_passed_over_is_reported_and_hides_nothing() {
        assert_eq!(kinds("#!/bin/sh\nx"), [Kind::Ident("x".into()), Kind::End]);
        assert_eq!(faults("#!/bin/sh\nx"), [("syntax-unsupported", 0, 9)]);
        assert_eq!(faults("#!"), [("syntax-unsupported", 0, 2)]);
        assert_eq!(kinds("x\u{a0}y"), [Kind::Ident("x".into()), Kind::Ident("y".into()), Kind::End]);
        assert_eq!(faults("x\u{a0}y \u{200b}"), [("syntax-unexpected", 1, 3), ("syntax-unexpected", 5, 8)]);
    }

    #[test]
    fn words_that_ron_reads_as_numbers_are_no_names() {
        assert_eq!(faults("inf NaNf32"), [("syntax-unsupported", 0, 3), ("syntax-unsupported", 4, 10)]);
        assert_eq!(faults("inf: info r#inf NaN(1)"), []);
        assert_eq!(kinds("r#a-b.c")[..1], [Kind::Ident("a-b.c".into())]);
        assert_eq!(faults("r#true"), [("syntax-unsupported", 0, 6)]);
    }

    #[test]
    fn literals_of_other_languages_are_met() {
        assert_eq!(faults("'abc' ''"), [("syntax-string", 0, 5), ("syntax-string", 6, 8)]);
        assert_eq!(
            faults("b\"x\" b'x' br\"x\""),
            [("syntax-unsupported", 0, 4), ("syntax-unsupported", 5, 9), ("syntax-unsupported", 10, 15)]
        );
        assert_eq!(faults("/* /* */"), [("syntax-unclosed", 0, 2)]);
        assert_eq!(kinds(r"'\'' '\u{e4}' 'x'")[..3], [Kind::Char('\''), Kind::Char('ä'), Kind::Char('x')]);
    }
}
