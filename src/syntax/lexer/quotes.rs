//! Texts, characters, and what other languages have between quotes.
//!
//! Invariant: an error of the parser means that a text does not end; everything else is a token and its fault.

use nom::branch::alt;
use nom::bytes::complete::{is_not, take_till, take_until};
use nom::character::complete::{anychar, char, none_of};
use nom::combinator::recognize;
use nom::multi::many0_count;
use nom::sequence::{delimited, pair, preceded};
use nom::{IResult, Offset, Parser};

use super::super::literal::{Fault, raw_opener, unescape};
use super::{Kind, Lexeme, bad, fine, token};
use crate::diag::Code;

/// The letters between double quotes, escapes unread.
fn quoted(input: &str, one_line: bool) -> IResult<&str, &str> {
    let stop = if one_line { "\\\"\n" } else { "\\\"" };
    let piece = alt((recognize(is_not(stop)), recognize(pair(char('\\'), anychar))));
    delimited(char('"'), recognize(many0_count(piece)), char('"')).parse(input)
}

/// A text in double quotes. EBNF `text`.
pub(super) fn text(input: &str, one_line: bool) -> IResult<&str, Lexeme> {
    let (rest, body) = quoted(input, one_line)?;
    Ok((rest, unescape(body).map_or_else(|fault| bad(fault.moved(1)), |text| fine(Kind::Text(text)))))
}

/// A text without escapes. EBNF `raw text`.
pub(super) fn raw_text(input: &str) -> IResult<&str, Lexeme> {
    let (body, hashes) = raw_opener(input)?;
    let closer = format!("\"{}", "#".repeat(hashes));
    let (rest, text) = take_until(closer.as_str()).parse(body)?;
    Ok((&rest[closer.len()..], fine(Kind::Text(text.to_owned()))))
}

/// The letters of a character literal between its quotes.
fn character_body(input: &str) -> IResult<&str, &str> {
    let escape = recognize((char('\\'), anychar, take_till(|c| c == '\'' || c == '\n')));
    delimited(char('\''), alt((escape, recognize(none_of("'\\\n")))), char('\'')).parse(input)
}

/// A character in single quotes. EBNF `character`.
pub(super) fn character(input: &str) -> IResult<&str, Lexeme> {
    let (rest, body) = character_body(input)?;
    let lexeme = match unescape(body) {
        Ok(text) => match (text.chars().next(), text.chars().count()) {
            (Some(c), 1) => fine(Kind::Char(c)),
            _ => in_single_quotes(body),
        },
        Err(fault) => bad(fault.moved(1)),
    };
    Ok((rest, lexeme))
}

/// Single quotes that hold no character.
pub(super) fn single_quoted(input: &str) -> IResult<&str, Lexeme> {
    if let Some(rest) = input.strip_prefix("'''") {
        let help = "a quote alone is `\"'\"`, and texts begin and end with one `\"`";
        let message = "`'''` is neither a character nor a text";
        return Ok((rest, bad(Fault::new(Code::SyntaxString, 0..3, message, "three quotes", help))));
    }
    let (rest, body) = delimited(char('\''), take_till(|c| c == '\'' || c == '\n'), char('\'')).parse(input)?;
    Ok((rest, in_single_quotes(body)))
}

/// A text in single quotes, read as the text that it would be in double ones.
fn in_single_quotes(body: &str) -> Lexeme {
    let quoted = format!("\"{}\"", body.replace('"', "\\\""));
    let at = 0..body.len() + 2;
    let message = "a text stands in double quotes";
    let fault =
        Fault::new(Code::SyntaxString, at.clone(), message, "single quotes hold one character", format!("write `{quoted}`"));
    match text(&quoted, false) {
        Ok(("", (kind @ Kind::Text(_), None))) => (kind, Some(fault.mend(true, at, quoted.clone()))),
        _ => bad(fault),
    }
}

/// Whether bytes of Rust begin here.
pub(super) fn is_byte_literal(input: &str) -> bool {
    let rest = &input[1..];
    rest.starts_with(['"', '\'']) || raw_opener(rest).is_ok()
}

/// Bytes of Rust, read as the text that they would be.
pub(super) fn bytes(input: &str) -> IResult<&str, Lexeme> {
    let raw = |i| raw_text(i).map(|(rest, _)| (rest, ""));
    let other = delimited(char('\''), take_till(|c| c == '\'' || c == '\n'), char('\''));
    let (rest, _) = preceded(char('b'), alt((character_body, |i| quoted(i, false), raw, other))).parse(input)?;
    let (message, help) = ("a recipe holds no bytes", "leave the `b` out: a text will do");
    let fault = Fault::new(Code::SyntaxUnsupported, 0..input.offset(rest), message, "a byte literal", help);
    let lexeme = match token(&input[1..], false) {
        Ok((_, (kind @ Kind::Text(_), None))) => (kind, Some(fault.mend(true, 0..1, ""))),
        _ => bad(fault),
    };
    Ok((rest, lexeme))
}
