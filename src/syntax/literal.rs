//! From the letters of a literal to its value: numbers, strings and characters.
//!
//! Invariant: what is wrong with a literal is a [`Fault`] with a place relative to the literal; nothing is reported here.

use std::ops::Range;

use nom::branch::alt;
use nom::bytes::complete::{is_a, tag, take_while, take_while_m_n};
use nom::character::complete::{char, digit1, one_of, satisfy};
use nom::combinator::{not, opt, peek, recognize};
use nom::sequence::{pair, preceded, terminated};
use nom::{IResult, Parser};

use super::ast::Numeric;
use crate::diag::Code;

/// What is wrong with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Code of the diagnostic.
    pub code: Code,
    /// Where, in bytes from the start of the token.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What is to be seen there.
    pub here: &'static str,
    /// The way out.
    pub help: String,
    /// Changes that take it.
    pub mends: Vec<Mend>,
}

/// A change of a token that mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mend {
    /// Whether it is what was meant beyond reasonable doubt.
    pub safe: bool,
    /// What is replaced, in bytes from the start of the token.
    pub at: Range<usize>,
    /// What comes in its place.
    pub text: String,
}

impl Fault {
    pub(super) fn new(
        code: Code,
        at: Range<usize>,
        message: impl Into<String>,
        here: &'static str,
        help: impl Into<String>,
    ) -> Self {
        Self { code, at, message: message.into(), here, help: help.into(), mends: Vec::new() }
    }

    /// With a change that mends it.
    pub(super) fn mend(mut self, safe: bool, at: Range<usize>, text: impl Into<String>) -> Self {
        self.mends.push(Mend { safe, at, text: text.into() });
        self
    }

    /// The same fault of a token that begins so many bytes earlier.
    pub(super) fn moved(mut self, by: usize) -> Self {
        let shift = |at: &Range<usize>| at.start + by..at.end + by;
        self.at = shift(&self.at);
        self.mends.iter_mut().for_each(|mend| mend.at = shift(&mend.at));
        self
    }
}

/// What may begin a name. EBNF `name start`.
pub(super) fn begins_name(c: char) -> bool {
    c == '_' || unicode_ident::is_xid_start(c)
}

/// What may stand in a name after its start. EBNF `name part`.
pub(super) fn continues_name(c: char) -> bool {
    unicode_ident::is_xid_continue(c)
}

/// Digits with `_` among them. EBNF `digits`, `digit`.
fn digits(input: &str) -> IResult<&str, &str> {
    recognize(pair(digit1, take_while(|c: char| c.is_ascii_digit() || c == '_'))).parse(input)
}

/// A power of ten. EBNF `exponent`.
fn exponent(input: &str) -> IResult<&str, &str> {
    recognize((one_of("eE"), opt(one_of("+-")), take_while(|c| c == '_'), digits)).parse(input)
}

/// A point that is neither the `..` of an import nor followed by a name.
fn point(input: &str) -> IResult<&str, &str> {
    terminated(tag("."), peek(not(char('.')))).parse(input)
}

/// A number in the decimal system. EBNF `integer`, `float`.
fn decimal(input: &str) -> IResult<&str, &str> {
    let with_whole = recognize((digits, opt((point, opt(digits))), opt(exponent)));
    let without = recognize((tag("."), digits, opt(exponent)));
    alt((with_whole, without)).parse(input)
}

/// A radix and all letters after it, whether they are its digits or not.
fn radix(input: &str) -> IResult<&str, (char, &str)> {
    let letters = take_while(continues_name);
    preceded(char('0'), pair(one_of("xbo"), letters)).parse(input)
}

/// A radix in upper case and a digit; `0B` alone is a number of bytes.
fn upper_radix(input: &str) -> IResult<&str, (char, &str)> {
    let letters = recognize(pair(satisfy(|c| c.is_ascii_hexdigit()), take_while(continues_name)));
    preceded(char('0'), pair(one_of("XBO"), letters)).parse(input)
}

/// A second point and more digits, as in `1.2.3`.
fn too_many_points(input: &str) -> IResult<&str, &str> {
    recognize((tag("."), satisfy(|c| c.is_ascii_digit()), take_while(|c: char| c.is_ascii_digit() || c == '_' || c == '.')))
        .parse(input)
}

/// An `e` that is no unit's first letter and has no digits after it.
fn bare_exponent(input: &str) -> IResult<&str, &str> {
    recognize(pair(one_of("eE"), alt((recognize(one_of("+-")), peek(recognize(not(satisfy(continues_name)))))))).parse(input)
}

/// The type after a number, as in `1u8` and `1f32`.
fn type_suffix(input: &str) -> IResult<&str, &str> {
    let width = alt((tag("8"), tag("16"), tag("32"), tag("64"), tag("128"), tag("size")));
    recognize((one_of("iuf"), width, not(satisfy(continues_name)))).parse(input)
}

/// A number without sign and unit. EBNF `number`.
pub(super) fn number(input: &str) -> IResult<&str, Result<Numeric, Fault>> {
    if let Ok((rest, (base, letters))) = radix(input) {
        return Ok((rest, radix_value(base, letters)));
    }
    if let Ok((rest, (base, letters))) = upper_radix(input) {
        return Ok((rest, Err(in_upper_case(base, letters))));
    }
    let (rest, text) = decimal(input)?;
    let upto = |after: &str| input.get(..input.len() - after.len()).unwrap_or(input);
    if let Ok((after, _)) = too_many_points(rest) {
        return Ok((after, Err(in_pieces(upto(after), text))));
    }
    if let Ok((after, _)) = bare_exponent(rest) {
        return Ok((after, Err(without_exponent(upto(after), text))));
    }
    if let Ok((after, suffix)) = type_suffix(rest) {
        return Ok((after, Err(typed(text, suffix))));
    }
    Ok((rest, decimal_value(text)))
}

fn in_pieces(whole: &str, first: &str) -> Fault {
    let (here, help) = if first.contains(['e', 'E']) {
        ("a point after the exponent", "an exponent is a whole number")
    } else {
        ("two decimal points", "write one decimal point, or put the text in double quotes")
    };
    Fault::new(Code::SyntaxNumber, 0..whole.len(), format!("`{whole}` is not a number"), here, help)
}

fn without_exponent(whole: &str, digits: &str) -> Fault {
    let help = format!("write the power of ten after the `e`, as in `{digits}e3`");
    Fault::new(Code::SyntaxNumber, 0..whole.len(), format!("`{whole}` is not a number"), "an exponent without digits", help)
}

fn in_upper_case(base: char, letters: &str) -> Fault {
    let message = format!("`0{base}{letters}` is not a number");
    let help = format!("the letter of a radix is a small one: `0{}{letters}`", base.to_ascii_lowercase());
    let small = base.to_ascii_lowercase().to_string();
    Fault::new(Code::SyntaxNumber, 0..letters.len() + 2, message, "cannot be read", help).mend(true, 1..2, small)
}

fn typed(number: &str, suffix: &str) -> Fault {
    let message = format!("a number has no type after it, such as `{suffix}`");
    let help = format!("leave it out: `{number}`");
    let at = number.len()..number.len() + suffix.len();
    Fault::new(Code::SyntaxUnsupported, at.clone(), message, "the type of a number", help).mend(true, at, "")
}

/// The value of the letters after a radix. EBNF `hex digits`, `octal digits`, `binary digits`.
fn radix_value(base: char, letters: &str) -> Result<Numeric, Fault> {
    let (radix, name) = match base {
        'x' => (16, "a hexadecimal"),
        'o' => (8, "an octal"),
        _ => (2, "a binary"),
    };
    let digits = letters.split(['i', 'u']).next().unwrap_or(letters);
    let suffix = letters.get(digits.len()..).unwrap_or_default();
    if digits.starts_with(|c: char| c.is_digit(radix)) && type_suffix(suffix).is_ok() {
        return Err(typed(&format!("0{base}{digits}"), suffix));
    }
    let plain: String = letters.chars().filter(|c| *c != '_').collect();
    let too_large = plain.chars().all(|c| c.is_digit(radix)) && !plain.is_empty();
    let value = if letters.starts_with('_') { None } else { i128::from_str_radix(&plain, radix).ok() };
    value.map(Numeric::Integer).ok_or_else(|| {
        let text = format!("0{base}{letters}");
        if too_large && !letters.starts_with('_') {
            return too_large_number(&text, "whole numbers end near 1.7e38");
        }
        let message = format!("`{}` is not {name} number", shortened(&text));
        let help =
            format!("after `0{base}` come digits below {radix}, for example `0{base}{}`", if radix == 16 { "ff" } else { "10" });
        Fault::new(Code::SyntaxNumber, 0..text.len(), message, "cannot be read", help)
    })
}

fn decimal_value(text: &str) -> Result<Numeric, Fault> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if plain.bytes().all(|b| b.is_ascii_digit()) {
        return plain.parse().map(Numeric::Integer).map_err(|_| too_large_number(text, "whole numbers end near 1.7e38"));
    }
    match plain.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(Numeric::Float(x)),
        _ => Err(too_large_number(text, "numbers end near 1.8e308")),
    }
}

fn too_large_number(text: &str, help: &str) -> Fault {
    Fault::new(Code::SyntaxNumber, 0..text.len(), format!("the number `{}` is too large", shortened(text)), "too large", help)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 24 { text.to_owned() } else { text.chars().take(20).chain("...".chars()).collect() }
}

/// The text behind the letters between double quotes.
pub(super) fn unescape(body: &str) -> Result<String, Fault> {
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let from = body.len() - rest.len() + at;
        if let Ok((after, _)) = continuation(&rest[at..]) {
            rest = after;
            continue;
        }
        match escape(&rest[at..]) {
            Ok((after, Some(c))) => {
                text.push(c);
                rest = after;
            }
            Ok((after, None)) => return Err(no_character(from..body.len() - after.len(), body)),
            Err(_) => return Err(bad_escape(from..next_char_end(body, from + 1), body)),
        }
    }
    text.push_str(rest);
    Ok(text)
}

/// A backslash at the end of a line, which takes the blanks at the start of the next lines with it. EBNF `continuation`.
fn continuation(input: &str) -> IResult<&str, &str> {
    recognize((char('\\'), opt(char('\r')), char('\n'), take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r')))).parse(input)
}

/// One escape; `None` where it has the form of one but names no character. EBNF `escape`, `hex`.
fn escape(input: &str) -> IResult<&str, Option<char>> {
    let simple = one_of("nrt0\\\"'").map(|c| match c {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        '0' => Some('\0'),
        other => Some(other),
    });
    let hex = |c: char| c.is_ascii_hexdigit();
    // Beyond ASCII `\x` would be a byte of UTF-8 to the `ron` crate and a code point to other languages: it is refused.
    let byte = preceded(char('x'), recognize((satisfy(hex), satisfy(hex)))).map(|h| code_point(h).filter(char::is_ascii));
    let long = preceded(tag("u{"), terminated(take_while_m_n(1, 6, hex), char('}'))).map(code_point);
    preceded(char('\\'), alt((simple, byte, long))).parse(input)
}

fn code_point(hex: &str) -> Option<char> {
    u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)
}

fn no_character(at: Range<usize>, body: &str) -> Fault {
    let message = format!("`{}` is no character", body.get(at.clone()).unwrap_or("\\"));
    let help = "`\\x` goes up to `\\x7f`, and `\\u{..}` takes the number of any character: `\\u{e4}`";
    Fault::new(Code::SyntaxString, at, message, "no character", help)
}

fn bad_escape(at: Range<usize>, body: &str) -> Fault {
    let message = format!("`{}` is not an escape", body.get(at.clone()).unwrap_or("\\"));
    let help =
        "escapes are `\\n`, `\\r`, `\\t`, `\\0`, `\\\\`, `\\\"`, `\\'`, `\\x41` and `\\u{e4}`; a backslash itself is `\\\\`";
    Fault::new(Code::SyntaxString, at, message, "unknown escape", help)
}

fn next_char_end(text: &str, from: usize) -> usize {
    text.get(from..).and_then(|rest| rest.chars().next()).map_or(text.len(), |c| from + c.len_utf8())
}

/// `r`, any number of `#`, and a double quote; gives the number of `#`.
pub(super) fn raw_opener(input: &str) -> IResult<&str, usize> {
    preceded(char('r'), terminated(opt(is_a("#")), char('"'))).map(|hashes: Option<&str>| hashes.map_or(0, str::len)).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<(Numeric, &str)> {
        number(text).ok().and_then(|(rest, value)| value.ok().map(|v| (v, rest)))
    }

    #[test]
    fn numbers_end_where_their_unit_or_an_import_begins() {
        assert_eq!(value("1EFLOP"), Some((Numeric::Integer(1), "EFLOP")));
        assert_eq!(value("1e3h"), Some((Numeric::Float(1000.0), "h")));
        assert_eq!(value("1..import"), Some((Numeric::Integer(1), "..import")));
        assert_eq!(value("1.)"), Some((Numeric::Float(1.0), ")")));
        assert_eq!(value(".5e-1"), Some((Numeric::Float(0.05), "")));
        assert_eq!(value("1_000"), Some((Numeric::Integer(1000), "")));
        assert_eq!(value("0xf_f"), Some((Numeric::Integer(255), "")));
        assert_eq!(value("0B"), Some((Numeric::Integer(0), "B")));
    }

    #[test]
    fn numbers_that_cannot_be_held_are_faults() {
        for text in ["0b12", "0x", "1.2.3", "1e999", "170141183460469231731687303715884105728"] {
            assert!(matches!(number(text), Ok(("", Err(_)))), "{text}");
        }
        assert!(value("170141183460469231731687303715884105727").is_some());
    }

    #[test]
    fn forms_of_other_languages_are_faults_with_their_own_message() {
        let message = |text: &str| match number(text) {
            Ok(("", Err(fault))) => fault.help,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(message("1f32"), "leave it out: `1`");
        assert_eq!(message("0xffu8"), "leave it out: `0xff`");
        assert_eq!(message("0X1F"), "the letter of a radix is a small one: `0x1F`");
        assert_eq!(message("2e"), "write the power of ten after the `e`, as in `2e3`");
        assert_eq!(message("1e5.5"), "an exponent is a whole number");
        assert_eq!(value("1f33"), Some((Numeric::Integer(1), "f33")));
    }

    #[test]
    fn escapes_are_rusts() {
        assert_eq!(unescape(r#"a\n\x41\u{e4}\"\\"#).as_deref(), Ok("a\nAä\"\\"));
        assert_eq!(unescape(r"ab\ä").map_err(|f| f.at), Err(2..5));
        assert_eq!(unescape(r"\u{d800}").map_err(|f| f.at), Err(0..8));
        assert_eq!(unescape(r"a\xe4").map_err(|f| f.at), Err(1..5));
        assert_eq!(unescape("a\\\r\n\n  \tb").as_deref(), Ok("ab"));
    }
}
