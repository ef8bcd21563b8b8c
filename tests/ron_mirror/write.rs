//! Values as RON: plainly, or in any of the spellings that RON has.

use super::draw::Draw;
use super::generate::Node;

/// The plainest spelling: every name, every field, one blank.
pub fn plainly(node: &Node) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match node {
        Node::Count(n) => n.to_string(),
        Node::Real(x) => format!("{x:?}"),
        Node::Wrapped(name, inner) => format!("{name}({})", plainly(inner)),
        Node::Text(text) => format!("\"{}\"", text.escape_default()),
        Node::Flag(flag) => flag.to_string(),
        Node::Pair(a, b) => format!("Pair({a:?}, {b:?})"),
        Node::Unit(name) => (*name).to_owned(),
        Node::List(items) => format!("[{}]", list(items.iter().map(plainly).collect())),
        Node::Record { name, fields, .. } => {
            format!("{name}({})", list(fields.iter().map(|(name, value)| format!("{name}: {}", plainly(value))).collect()))
        }
        Node::Absent => "None".to_owned(),
        Node::Present(inner) => format!("Some({})", plainly(inner)),
    }
}

/// The tokens of a random spelling.
pub fn tokens(node: &Node, draw: &mut Draw) -> Vec<String> {
    let mut out = Vec::new();
    write(node, draw, &mut out);
    out
}

/// Names that the `ron` crate takes only right before their `(`, unlike those of other structs and of variants.
const TUPLES: [&str; 5] = ["Pair", "Seconds", "Bytes", "Flops", "Ratio"];

/// Tokens with blanks and comments between them. Two words get a blank at least.
pub fn spaced(tokens: &[String], draw: &mut Draw) -> String {
    const BLANKS: [&str; 10] =
        [" ", "\n", "\t", "\r\n", "  ", " // a (\n", "/* b /* \" */ ] */", "\u{85}", "\u{2028}", "/**/// c\r\n"];
    let mut out = String::new();
    for token in tokens {
        let touches = out.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '\'' | '-' | '+'))
            && token.starts_with(|c: char| !matches!(c, '(' | ')' | '[' | ']' | ',' | ':'));
        let glued = token == "(" && TUPLES.iter().any(|name| out.ends_with(name));
        if touches || !glued && draw.chance(30) {
            out += draw.one(&BLANKS);
        }
        out += token;
    }
    out + draw.one(&["", "\n", " // end", "/* end */"])
}

fn write(node: &Node, draw: &mut Draw, out: &mut Vec<String>) {
    match node {
        Node::Count(n) => out.push(count(*n, draw)),
        Node::Real(x) => out.push(real(*x, draw)),
        Node::Wrapped(name, inner) => {
            // The name of a struct that wraps a number may be left out, as far as RON goes; but a recipe wants to know seconds from bytes.
            if *name != "Ratio" || draw.chance(70) {
                out.push(word(name, draw));
            }
            between("(", ")", std::slice::from_ref(inner.as_ref()), draw, out);
        }
        Node::Text(text) => out.push(quoted(text, draw)),
        Node::Flag(flag) => out.push(flag.to_string()),
        Node::Pair(a, b) => {
            if draw.chance(50) {
                out.push(word("Pair", draw));
            }
            between("(", ")", &[Node::Real(*a), Node::Real(*b)], draw, out);
        }
        Node::Unit(name) => out.push(word(name, draw)),
        Node::List(items) => between("[", "]", items, draw, out),
        Node::Record { name, is_variant, fields } => {
            if *is_variant || draw.chance(70) {
                out.push(word(name, draw));
            }
            record(fields, draw, out);
        }
        Node::Absent => out.push("None".to_owned()),
        Node::Present(inner) if draw.chance(50) => {
            out.push("Some".to_owned());
            between("(", ")", std::slice::from_ref(inner.as_ref()), draw, out);
        }
        Node::Present(inner) => write(inner, draw, out),
    }
}

/// Fields in any order, without some of those that may be left out.
fn record(fields: &[(&'static str, Node)], draw: &mut Draw, out: &mut Vec<String>) {
    let mut given: Vec<_> = fields.iter().filter(|(_, value)| !matches!(value, Node::Absent) || draw.chance(50)).collect();
    if draw.chance(70) {
        draw.shuffle(&mut given);
    }
    out.push("(".to_owned());
    for (i, (name, value)) in given.iter().enumerate() {
        out.extend([word(name, draw), ":".to_owned()]);
        write(value, draw, out);
        if i + 1 < given.len() || draw.chance(50) {
            out.push(",".to_owned());
        }
    }
    out.push(")".to_owned());
}

fn between(open: &str, close: &str, items: &[Node], draw: &mut Draw, out: &mut Vec<String>) {
    out.push(open.to_owned());
    for (i, item) in items.iter().enumerate() {
        write(item, draw, out);
        // A comma after the only number in parentheses makes a tuple of it.
        if i + 1 < items.len() || (draw.chance(30) && (open == "[" || items.len() > 1)) {
            out.push(",".to_owned());
        }
    }
    out.push(close.to_owned());
}

/// A name, perhaps a raw one.
fn word(name: &str, draw: &mut Draw) -> String {
    if draw.chance(5) { format!("r#{name}") } else { name.to_owned() }
}

/// Digits, perhaps with underscores among them.
fn spread(digits: &str, draw: &mut Draw) -> String {
    let mut out = String::new();
    for c in digits.chars() {
        out.push(c);
        if c.is_ascii_hexdigit() && draw.chance(8) {
            out.push('_');
        }
    }
    out
}

fn count(n: u64, draw: &mut Draw) -> String {
    match draw.below(8) {
        0 => format!("0x{}", spread(&format!("{n:x}"), draw)),
        1 => format!("0x{}", spread(&format!("{n:X}"), draw)),
        2 => format!("0o{}", spread(&format!("{n:o}"), draw)),
        3 => format!("0b{}", spread(&format!("{n:b}"), draw)),
        4 => format!("00{n}"),
        5 => spread(&n.to_string(), draw),
        _ => n.to_string(),
    }
}

fn real(x: f64, draw: &mut Draw) -> String {
    let text = match draw.below(5) {
        0 => format!("{x:e}"),
        1 => format!("{x:E}"),
        2 => format!("{x:e}").replace('e', "e+").replace("e+-", "e-"),
        3 if x.fract() == 0.0 && x < 1e15 => format!("{x}."),
        _ => format!("{x:?}"),
    };
    let text = if text.starts_with("0.") && text.len() > 2 && draw.chance(30) { text[1..].to_owned() } else { text };
    let sign = if draw.chance(10) { "+" } else { "" };
    if draw.chance(20) && !text.contains(['e', 'E']) { sign.to_owned() + &spread(&text, draw) } else { sign.to_owned() + &text }
}

/// A text in quotes: raw where that is possible, or with escapes where they are needed and here and there.
fn quoted(text: &str, draw: &mut Draw) -> String {
    if draw.chance(30) {
        let hashes = "#".repeat(text.matches('#').count() + usize::from(text.contains('"')));
        return format!("r{hashes}\"{text}\"{hashes}");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' if draw.chance(50) => out += "\\n",
            '\t' if draw.chance(50) => out += "\\t",
            '\r' if draw.chance(50) => out += "\\r",
            '\'' if draw.chance(50) => out += "\\'",
            '\0' if draw.chance(50) => out += "\\0",
            c if c.is_ascii() && draw.chance(10) => out.extend(["\\x", &format!("{:02x}", u32::from(c))]),
            c if draw.chance(10) => out.extend(["\\u{", &format!("{:x}", u32::from(c)), "}"]),
            c => out.push(c),
        }
        if draw.chance(3) {
            out += "\\\n   ";
        }
    }
    out.push('"');
    // Blanks at the start of a line that is continued belong to the continuation: put the first of them as an escape.
    out.replace("\\\n    ", "\\\n   \\x20")
        .replace("\\\n   \n", "\\\n   \\n")
        .replace("\\\n   \t", "\\\n   \\t")
        .replace("\\\n   \r", "\\\n   \\r")
}
