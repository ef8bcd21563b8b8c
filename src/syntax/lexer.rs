//! From a text to its tokens, comments and blanks left out.
//!
//! Invariant: the tokens end with exactly one `End`, their spans rise, and each fault left a `Bad` token or `broken` behind.

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_till, take_until, take_while};
use nom::character::complete::{anychar, char, none_of, satisfy};
use nom::combinator::{map, opt, recognize};
use nom::multi::many0_count;
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Offset, Parser};

use super::ast::Numeric;
use super::literal::{Fault, number, raw_opener, unescape};
use crate::diag::Diagnostic;
use crate::source::{SourceId, Span};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
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
pub(super) struct Token {
    pub kind: Kind,
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

struct Lexer<'t> {
    source: SourceId,
    text: &'t str,
    rest: &'t str,
    one_line: bool,
    odd_quotes: bool,
    out: Lexed,
}

impl<'t> Lexer<'t> {
    fn new(source: SourceId, text: &'t str, one_line: bool) -> Self {
        let out = Lexed { tokens: Vec::new(), faults: Vec::new(), broken: false };
        Self { source, text, rest: text.strip_prefix('\u{feff}').unwrap_or(text), one_line, odd_quotes: false, out }
    }

    fn run(mut self) -> Self {
        loop {
            let before = self.rest;
            self.skip_trivia();
            let leads = self.out.tokens.is_empty() || before[..before.offset(self.rest)].contains('\n');
            if self.rest.is_empty() {
                self.push(Kind::End, self.rest, leads);
                return self;
            }
            match token(self.rest, self.one_line) {
                Ok((rest, Ok(kind))) => self.push(kind, rest, leads),
                Ok((rest, Err(fault))) => {
                    self.report(fault);
                    self.push(Kind::Bad, rest, leads);
                }
                Err(_) => self.unclosed_text(leads),
            }
        }
    }

    fn push(&mut self, kind: Kind, rest: &'t str, leads: bool) {
        let span = Span::new(self.source, self.text.offset(self.rest), self.text.offset(rest));
        self.out.tokens.push(Token { kind, span, leads });
        self.rest = rest;
    }

    /// Reports a fault of the token that begins here.
    fn report(&mut self, fault: Fault) {
        let start = self.text.offset(self.rest);
        let span = Span::new(self.source, start + fault.at.start, start + fault.at.end);
        self.out.faults.push(Diagnostic::error(fault.code, span, fault.message).here(fault.here).help(fault.help));
    }

    fn skip_trivia(&mut self) {
        loop {
            let before = self.rest.len();
            self.rest = skip(self.rest);
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

    fn unclosed_comment(&mut self) {
        let help = "put `*/` where it ends; comments nest, so each `/*` needs its own";
        self.report(Fault::new("syntax-unclosed", 0..2, "this comment does not end", "opened here", help));
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
            } else {
                "put a `\"` where it ends"
            };
            self.report(Fault::new("syntax-string", 0..end, "this text does not end", "the text that opens here", help));
        }
        self.odd_quotes |= self.rest.starts_with('"');
        self.out.broken = true;
        self.push(Kind::Bad, &self.rest[end..], leads);
    }
}

/// What Unicode calls pattern white space, as RON does.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{85}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
}

fn skip(input: &str) -> &str {
    let blanks = take_while::<_, _, nom::error::Error<&str>>(is_blank);
    let comment = recognize(pair(tag("//"), take_till(|c| c == '\n')));
    recognize(pair(blanks, opt(comment))).parse(input).map_or(input, |(rest, _): (&str, &str)| rest)
}

/// Where the comment that begins here ends, comments within it counted.
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

type Lexeme = Result<Kind, Fault>;

/// One token; an error only where a text does not end.
fn token(input: &str, one_line: bool) -> IResult<&str, Lexeme> {
    match input.as_bytes().first() {
        Some(b'"') => text(input, one_line),
        Some(b'\'') => alt((character, single_quoted)).parse(input),
        Some(b'r') if raw_opener(input).is_ok() => raw_text(input),
        Some(b'b') if is_byte_literal(input) => bytes(input),
        _ => alt((map(number, |n| n.map(Kind::Number)), map(alt((raw_name, name)), |n| Ok(Kind::Ident(n.to_owned()))), sign))
            .parse(input),
    }
}

fn sign(input: &str) -> IResult<&str, Lexeme> {
    map(alt((map(tag(".."), |_| Kind::Dots), map(anychar, Kind::Punct))), Ok).parse(input)
}

fn name(input: &str) -> IResult<&str, &str> {
    recognize(pair(satisfy(|c| c.is_alphabetic() || c == '_'), take_while(|c: char| c.is_alphanumeric() || c == '_')))
        .parse(input)
}

/// `r#type`: a name that may look like a keyword.
fn raw_name(input: &str) -> IResult<&str, &str> {
    preceded(tag("r#"), name).parse(input)
}

/// The letters between double quotes, escapes unread.
fn quoted(input: &str, one_line: bool) -> IResult<&str, &str> {
    let stop = if one_line { "\\\"\n" } else { "\\\"" };
    let piece = alt((recognize(is_not(stop)), recognize(pair(char('\\'), anychar))));
    delimited(char('"'), recognize(many0_count(piece)), char('"')).parse(input)
}

fn text(input: &str, one_line: bool) -> IResult<&str, Lexeme> {
    let (rest, body) = quoted(input, one_line)?;
    let lexeme = unescape(body).map(Kind::Text).map_err(|fault| Fault { at: fault.at.start + 1..fault.at.end + 1, ..fault });
    Ok((rest, lexeme))
}

fn raw_text(input: &str) -> IResult<&str, Lexeme> {
    let (body, hashes) = raw_opener(input)?;
    let closer = format!("\"{}", "#".repeat(hashes));
    let (rest, text) = take_until(closer.as_str()).parse(body)?;
    Ok((&rest[closer.len()..], Ok(Kind::Text(text.to_owned()))))
}

/// The letters of a character literal between its quotes.
fn character_body(input: &str) -> IResult<&str, &str> {
    let escape = recognize((char('\\'), anychar, take_till(|c| c == '\'' || c == '\n')));
    delimited(char('\''), alt((escape, recognize(none_of("'\\\n")))), char('\'')).parse(input)
}

fn character(input: &str) -> IResult<&str, Lexeme> {
    let (rest, body) = character_body(input)?;
    let lexeme = match unescape(body) {
        Ok(text) => match (text.chars().next(), text.chars().count()) {
            (Some(c), 1) => Ok(Kind::Char(c)),
            _ => Err(in_single_quotes(body)),
        },
        Err(fault) => Err(Fault { at: fault.at.start + 1..fault.at.end + 1, ..fault }),
    };
    Ok((rest, lexeme))
}

fn single_quoted(input: &str) -> IResult<&str, Lexeme> {
    let (rest, body) = delimited(char('\''), take_till(|c| c == '\'' || c == '\n'), char('\'')).parse(input)?;
    Ok((rest, Err(in_single_quotes(body))))
}

fn in_single_quotes(body: &str) -> Fault {
    let help = format!("write `\"{body}\"`");
    Fault::new("syntax-string", 0..body.len() + 2, "a text stands in double quotes", "single quotes hold one character", help)
}

fn is_byte_literal(input: &str) -> bool {
    let rest = &input[1..];
    rest.starts_with(['"', '\'']) || raw_opener(rest).is_ok()
}

fn bytes(input: &str) -> IResult<&str, Lexeme> {
    let raw = |i| raw_text(i).map(|(rest, _)| (rest, ""));
    let (rest, _) = preceded(char('b'), alt((character_body, |i| quoted(i, false), raw))).parse(input)?;
    let (message, help) = ("a recipe holds no bytes", "leave the `b` out: a text will do");
    Ok((rest, Err(Fault::new("syntax-unsupported", 0..input.offset(rest), message, "a byte literal", help))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        lex(SourceId(0), text).tokens.into_iter().map(|t| t.kind).collect()
    }

    fn faults(text: &str) -> Vec<(&'static str, u32, u32)> {
        lex(SourceId(0), text).faults.iter().filter_map(|d| d.span().map(|s| (d.code, s.start, s.end))).collect()
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
