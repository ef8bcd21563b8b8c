//! Explanations for people.
//!
//! Invariant: one topic is one paragraph and its tables, and reads without colour.

use std::fmt::Write as _;

use super::words::{default, doc, is_required, range};
use super::{Entry, Holds, Item, Topic, entries, whole};
use crate::diag::Code;
use crate::recipe::schema::{ChoiceInfo, FieldInfo, RecordInfo};

/// Columns of a line, where words allow it.
const COLUMNS: usize = 100;

/// What there is to say about a topic.
pub fn topic(topic: &Topic) -> String {
    match topic {
        Topic::Whole(record) => format!("recipe\n\n{}\n{}", paragraph("", 2, record.doc), fields(record, 2)),
        Topic::Entry(entry) => match entry.item {
            Item::Field(info, home) => field(entry, info, home),
            Item::Variant(info, choice) => variant(entry, info, choice),
        },
        Topic::Code(code) => code.page().to_owned(),
    }
}

fn field(entry: &Entry, info: &FieldInfo, home: &RecordInfo) -> String {
    let mut out = format!("{}\n\n{}\n", entry.path(), paragraph("", 2, info.doc));
    let ty = (info.ty)();
    let rows = [
        ("wants", Some(ty.to_string())),
        ("range", range(info)),
        ("default", Some(default(info))),
        ("stands in", Some(format!("`{}(..)`", home.name))),
        ("set by", entry.reached().map(|path| format!("`--set {path}=..`{}", in_variant(entry, home)))),
    ];
    for (name, text) in rows {
        if let Some(text) = text {
            out.push_str(&paragraph(&format!("  {name:11}"), 13, &text));
        }
    }
    match Holds::of(&ty) {
        Holds::Nothing => (),
        Holds::Record(record) => {
            let _ = write!(out, "\n{}", fields(record, 2));
        }
        Holds::Choice(choice) => {
            for variant in choice.variants {
                let text = paragraph("", 4, variant.doc);
                let _ = write!(out, "\n  {}\n{text}{}", head(variant), fields(variant, 4));
            }
        }
    }
    out
}

/// A field of a variant can be set only where the recipe writes that variant out.
fn in_variant(entry: &Entry, home: &RecordInfo) -> String {
    if entry.is_in_variant() { format!(" where the recipe has `{}(..)`", home.name) } else { String::new() }
}

fn variant(entry: &Entry, info: &RecordInfo, choice: &ChoiceInfo) -> String {
    let others: Vec<String> = choice.variants.iter().filter(|v| v.name != info.name).map(|v| format!("`{}`", v.name)).collect();
    let others = if others.is_empty() { "the only one yet".to_owned() } else { format!("beside {}", others.join(", ")) };
    let mut out = format!("{}\n\n{}\n", entry.path(), paragraph("", 2, info.doc));
    out.push_str(&paragraph(&format!("  {:11}", "choice for"), 13, &format!("`{}`, {others}", entry.setting())));
    let _ = writeln!(out, "  {:11}`{}`", "written", head(info));
    let table = fields(info, 2);
    if !table.is_empty() {
        let _ = write!(out, "\n{table}");
    }
    out
}

/// Lines of words, all indented; the first begins with a head in place of the blanks.
fn paragraph(head: &str, indent: usize, text: &str) -> String {
    let (mut out, mut line) = (String::new(), format!("{head:indent$}"));
    let mut is_empty = true;
    for word in doc(text).split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            let _ = writeln!(out, "{line}");
            (line, is_empty) = (" ".repeat(indent), true);
        }
        let gap = if is_empty { "" } else { " " };
        let _ = write!(line, "{gap}{word}");
        is_empty = false;
    }
    let _ = writeln!(out, "{line}");
    out
}

/// How a struct begins in a recipe.
fn head(record: &RecordInfo) -> String {
    if record.fields.is_empty() { record.name.to_owned() } else { format!("{}(..)", record.name) }
}

/// The fields of a struct: what each wants, and under it what it says.
fn fields(record: &RecordInfo, indent: usize) -> String {
    let width = record.fields.iter().map(|f| f.name.len()).max().unwrap_or(0) + 2;
    let mut out = String::new();
    for info in record.fields {
        out.push_str(&paragraph(&format!("{:indent$}{:width$}", "", info.name), indent + width, &wants(info)));
        out.push_str(&paragraph("", indent + width, info.doc));
    }
    out
}

fn wants(info: &FieldInfo) -> String {
    let range = range(info).map(|range| format!("; {range}")).unwrap_or_default();
    let absent = match info.default {
        Some(text) => format!("; default `{text}`"),
        None if is_required(info) => "; required".to_owned(),
        None => String::new(),
    };
    format!("{}{range}{absent}", (info.ty)())
}

/// Everything that can be explained: the fields as a tree, and the codes.
pub fn list() -> String {
    let mut out = String::from("fields\n\n");
    if let Some(record) = whole() {
        out.push_str(&paragraph(&format!("  {:26}", "recipe"), 28, record.doc));
    }
    for entry in entries() {
        let (name, text) = match entry.item {
            Item::Field(info, _) => (info.name.to_owned(), info.doc),
            Item::Variant(info, _) => (head(info), info.doc),
        };
        let name = format!("{:indent$}{name}", "", indent = 2 * entry.depth() + 2);
        out.push_str(&paragraph(&format!("  {name:26}"), 28, text));
    }
    out.push_str("\ncodes of messages\n\n");
    for code in Code::ALL {
        let _ = writeln!(out, "  {code:26}{}", code.summary());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words_and_lose_none() {
        let text = "word ".repeat(40);
        let broken = paragraph("  head  ", 8, &text);
        assert!(broken.starts_with("  head  word") && broken.lines().all(|line| line.chars().count() <= COLUMNS));
        assert!(broken.lines().skip(1).all(|line| line.starts_with("        word")) && broken.lines().count() > 2);
        assert_eq!(broken.matches("word").count(), 40);
    }

    #[test]
    fn no_line_of_an_explanation_is_wide() {
        let all = entries().into_iter().map(|entry| topic(&Topic::Entry(entry))).chain([list()]);
        let wide: Vec<String> =
            all.flat_map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>()).filter(|l| l.chars().count() > COLUMNS).collect();
        assert_eq!(wide, Vec::<String>::new());
    }
}
