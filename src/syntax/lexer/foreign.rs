//! Signs of other languages, and of word processors: comments with `#`, anchors, placeholders, typographic quotes, full-width signs.
//! Each is named, and what was meant by it is read where that is plain.
//!
//! Invariant: whatever is passed over here is reported, at most once, and no line is looked at more often than there are signs on it.

use nom::Offset;

use super::super::literal::{Fault, begins_name, continues_name, number};
use super::{Kind, Lexer};
use crate::diag::Code;

/// How far a closing sign may be: without a limit, a line of opening ones would be read over and over.
const NEAR: usize = 1024;

/// Letters that other languages put before a text.
const PREFIXES: [&str; 14] = ["f", "F", "u", "U", "R", "B", "s", "c", "t", "L", "rf", "fr", "rb", "u8"];

/// Quotes that come in pairs: those that look like double ones, those that look like single ones, and backticks.
const QUOTES: [&[char]; 3] = [&['“', '”', '„', '‟', '«', '»', '＂', '"'], &['‘', '’', '‚', '‛', '‹', '›', '＇', '\''], &['`']];

/// A sign that is another one on the keyboards and in the word processors of some, and the sign of a recipe.
fn plain_sign(c: char) -> Option<&'static str> {
    Some(match c {
        '：' | '﹕' => ":",
        '，' | '、' | '､' | '﹐' => ",",
        '；' | '﹔' => ";",
        '（' | '﹙' => "(",
        '）' | '﹚' => ")",
        '［' | '【' => "[",
        '］' | '】' => "]",
        '｛' | '﹛' => "{",
        '｝' | '﹜' => "}",
        '＝' => "=",
        '＋' => "+",
        '－' | '−' | '–' | '—' | '‐' | '‑' => "-",
        '＊' | '×' | '⋅' | '∗' => "*",
        '／' | '÷' | '∕' | '⁄' => "/",
        '％' | '﹪' => "%",
        '…' => "..",
        _ => return None,
    })
}

/// The line that a text begins with, without the end of it.
fn line(text: &str) -> &str {
    text.split('\n').next().unwrap_or(text).trim_end_matches('\r')
}

/// The line that a text begins with, or as much of it as is looked at in search of a closing sign.
fn near(text: &str) -> &str {
    let mut end = text.len().min(NEAR);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    line(&text[..end])
}

/// How many bytes of a text make up a name.
fn name_len(text: &str) -> usize {
    if text.starts_with(begins_name) { text.find(|c| !continues_name(c)).unwrap_or(text.len()) } else { 0 }
}

/// Whether nothing but blanks follows on the line.
fn ends_line(text: &str) -> bool {
    let rest = text.trim_start_matches([' ', '\t', '\r']);
    rest.is_empty() || rest.starts_with('\n')
}

impl Lexer<'_> {
    /// Passes over what other languages write between values.
    pub(super) fn foreign_blank(&mut self) {
        let rest = self.rest;
        match rest.as_bytes().first() {
            Some(b'#') => self.hash_comment(),
            Some(b'\\') if ends_line(&rest[1..]) => {
                let (message, help) =
                    ("a line needs no sign at its end to go on", "take the `\\` out: an entry ends at its comma");
                let fault = Fault::new(Code::SyntaxUnexpected, 0..1, message, "not expected here", help);
                self.report(fault.mend(true, 0..1, ""));
                self.rest = &rest[1..];
            }
            Some(b'&' | b'!') => self.anchor(),
            Some(b'<' | b'|' | b'=' | b'>') => self.conflict(),
            Some(b'`') if rest.starts_with("```") => self.fence(),
            _ => {}
        }
    }

    /// `# ..`, which is a comment in many languages; `#![..]` and `#[..]` are left to the parser.
    fn hash_comment(&mut self) {
        let hashes = self.rest.bytes().take_while(|b| *b == b'#').count();
        let after = &self.rest[hashes..];
        let is_attribute =
            after.starts_with('[') || after.trim_start().strip_prefix('!').is_some_and(|a| a.trim_start().starts_with('['));
        if is_attribute && hashes == 1 {
            return;
        }
        let length = line(self.rest).trim_end().len();
        let fault = Fault::new(
            Code::SyntaxUnexpected,
            0..length,
            "a comment begins with `//`",
            "a comment with `#`",
            "write `//` in place of the `#`",
        );
        self.report(fault.mend(true, 0..hashes, "//"));
        self.rest = &self.rest[line(self.rest).len()..];
    }

    /// `&name` and `!tag` of YAML before a value, which is read without them.
    fn anchor(&mut self) {
        let signs = self.rest.bytes().take(2).take_while(|b| matches!(b, b'&' | b'!')).count();
        let name = &self.rest[signs..signs + name_len(&self.rest[signs..])];
        if name.is_empty() {
            return;
        }
        let at = 0..signs + name.len();
        let written = &self.rest[at.clone()];
        let fault =
            if written.starts_with('!') {
                let help = "take it out: a field knows the type of its value";
                Fault::new(Code::SyntaxUnexpected, at.clone(), format!("a value has no tag such as `{written}`"), "a tag", help)
                    .mend(true, at.clone(), "")
            } else {
                let help = format!(
                    "name the value with `let` at the head of the file, `let {name} = ..;`, and write `{name}` where it is wanted"
                );
                Fault::new(
                    Code::SyntaxUnexpected,
                    at.clone(),
                    format!("a value has no anchor such as `{written}`"),
                    "an anchor",
                    help,
                )
            };
        self.report(fault);
        self.rest = &self.rest[at.end..];
    }

    /// A line of three backticks, which Markdown puts around a recipe.
    fn fence(&mut self) {
        let at = 0..line(self.rest).len();
        let help = "take this line out: a recipe stands alone in its file";
        let fault = Fault::new(Code::SyntaxUnexpected, at.clone(), "a recipe has no fence around it", "a line of Markdown", help);
        self.report(fault.mend(true, at.clone(), ""));
        self.rest = &self.rest[at.end..];
    }

    /// A sign of another language that stands for a token; false where there is none.
    pub(super) fn foreign(&mut self, leads: bool) -> bool {
        let Some(c) = self.rest.chars().next() else { return false };
        if c.is_ascii() {
            return match c {
                '$' => self.placeholder(leads),
                '{' if self.rest.starts_with("{{") => self.template(leads),
                '*' => self.alias(leads),
                '<' if self.rest.starts_with("<<:") => self.merge_key(leads),
                '`' => self.odd_quotes(c, leads),
                'a'..='z' | 'A'..='Z' => self.prefix(leads),
                _ => false,
            };
        }
        self.odd_quotes(c, leads) || self.odd_sign(c, leads) || self.wide_number(c, leads)
    }

    /// Reports what begins here and ends after so many bytes, and leaves a `Bad` token.
    fn refuse(
        &mut self,
        length: usize,
        leads: bool,
        message: impl Into<String>,
        here: &'static str,
        help: impl Into<String>,
    ) -> bool {
        self.report(Fault::new(Code::SyntaxUnexpected, 0..length, message, here, help));
        self.push(Kind::Bad, &self.rest[length..], leads);
        true
    }

    /// `$name`, `${path.to.name}` and the like.
    fn placeholder(&mut self, leads: bool) -> bool {
        let (on_line, after) = (near(self.rest), &self.rest[1..]);
        let closer = match after.as_bytes().first() {
            Some(b'{') => Some('}'),
            Some(b'(') => Some(')'),
            _ => None,
        };
        let length = match closer {
            Some(closer) => on_line.find(closer).map_or(1, |at| at + 1),
            None => 1 + name_len(after),
        };
        self.substituted(length, leads)
    }

    /// `{{ name }}`
    fn template(&mut self, leads: bool) -> bool {
        let Some(end) = near(self.rest).find("}}") else { return false };
        self.substituted(end + 2, leads)
    }

    fn substituted(&mut self, length: usize, leads: bool) -> bool {
        let written = &self.rest[..length];
        let inner = written.trim_matches(|c: char| c.is_whitespace() || matches!(c, '$' | '{' | '}' | '(' | ')'));
        let name =
            inner.rsplit(['.', ':']).next().filter(|name| !name.is_empty() && name_len(name) == name.len()).unwrap_or("name");
        let help = format!(
            "name the value with `let` at the head of the file, `let {name} = ..;`, and write `{name}` here and where it is set"
        );
        self.refuse(length, leads, format!("nothing is put in the place of `{written}`"), "a placeholder", help)
    }

    /// `*name` of YAML where a value begins.
    fn alias(&mut self, leads: bool) -> bool {
        let begins = self.out.tokens.last().is_some_and(|t| matches!(t.kind, Kind::Punct(':' | ',' | '(' | '[' | '=')));
        let length = name_len(&self.rest[1..]);
        if !begins || length == 0 {
            return false;
        }
        let name = &self.rest[1..=length];
        let help = format!("write `{name}` alone, and define it at the head of the file: `let {name} = ..;`");
        self.refuse(length + 1, leads, format!("a value has no alias such as `*{name}`"), "an alias", help)
    }

    /// `<<: *name` of YAML.
    fn merge_key(&mut self, leads: bool) -> bool {
        let on_line = near(self.rest);
        let length = on_line[..on_line.find([',', ')']).unwrap_or(on_line.len())].trim_end().len();
        let help = "write `..import(\"base.ron\")` as the last entry: what is not given is taken from there";
        self.refuse(length, leads, "a struct has no `<<`", "a merge key", help)
    }

    /// A text in quotes that are not straight, or not double.
    fn odd_quotes(&mut self, c: char, leads: bool) -> bool {
        let Some(closers) = QUOTES.iter().find(|quotes| quotes.contains(&c)) else { return false };
        let rest = self.rest;
        let body = &near(rest)[c.len_utf8()..];
        let Some(end) = body.find(*closers) else {
            self.unclosed_text(leads);
            return true;
        };
        let closer = body[end..].chars().next().map_or(0, char::len_utf8);
        let (body, length) = (&body[..end], c.len_utf8() + end + closer);
        let quoted = format!("\"{body}\"");
        let plain = !body.contains(['"', '\\']);
        let fault = Fault::new(
            Code::SyntaxString,
            0..length,
            "a text stands in straight double quotes, `\"`",
            "quotes of another kind",
            format!("write `{quoted}`"),
        );
        self.report(if plain { fault.mend(true, 0..length, quoted) } else { fault });
        self.push(Kind::Text(body.to_owned()), &rest[length..], leads);
        true
    }

    fn odd_sign(&mut self, c: char, leads: bool) -> bool {
        let Some(sign) = plain_sign(c) else { return false };
        let at = 0..c.len_utf8();
        let message = format!("expected `{sign}`, found `{c}`, which only looks like it");
        let fault = Fault::new(Code::SyntaxUnexpected, at.clone(), message, "another character", format!("write `{sign}`"));
        self.report(fault.mend(true, at.clone(), sign));
        let kind = sign.chars().next().filter(|_| sign.len() == 1).map_or(Kind::Dots, Kind::Punct);
        self.push(kind, &self.rest[at.end..], leads);
        true
    }

    /// Digits as wide as ideographs.
    fn wide_number(&mut self, c: char, leads: bool) -> bool {
        let narrow = |c: char| match c {
            '０'..='９' => char::from_u32(u32::from(c) - 0xff10 + u32::from('0')),
            '．' => Some('.'),
            _ => None,
        };
        if narrow(c).is_none() {
            return false;
        }
        let plain: String = self.rest.chars().map_while(narrow).collect();
        let length: usize = self.rest.chars().take(plain.len()).map(char::len_utf8).sum();
        let message = format!("expected `{plain}`, found digits that only look like it");
        let fault = Fault::new(Code::SyntaxNumber, 0..length, message, "other characters", format!("write `{plain}`"));
        let kind = match number(&plain) {
            Ok(("", Ok(value))) => Kind::Number(value),
            _ => Kind::Bad,
        };
        let safe = kind != Kind::Bad;
        self.report(if safe { fault.mend(true, 0..length, plain) } else { fault });
        self.push(kind, &self.rest[length..], leads);
        true
    }

    /// The letters before a text, as in `f"..{name}.."`; the text itself is read next.
    fn prefix(&mut self, leads: bool) -> bool {
        let length = name_len(self.rest);
        let (prefix, after) = self.rest.split_at(length);
        let touches = self.out.tokens.last().is_some_and(|t| t.span.end as usize == self.text.offset(self.rest));
        if touches || !after.starts_with(['"', '\'']) || !PREFIXES.contains(&prefix) {
            return false;
        }
        let quote = after.chars().next().unwrap_or('"');
        let length = near(&after[1..]).find(quote).map_or(prefix.len(), |end| prefix.len() + end + 2);
        let fills = prefix.to_ascii_lowercase().contains('f') && self.rest[..length].contains('{');
        let help = if fills {
            format!("leave the `{prefix}` out, and write the text as it is to be: nothing is put in the place of `{{..}}`")
        } else {
            format!("leave the `{prefix}` out")
        };
        let message = format!("a text has no prefix such as `{prefix}`");
        let fault = Fault::new(Code::SyntaxUnsupported, 0..length, message, "letters before a text", help);
        self.report(fault.mend(!fills, 0..prefix.len(), ""));
        if fills {
            self.push(Kind::Bad, &self.rest[length..], leads);
            return true;
        }
        self.rest = after;
        false
    }
}
