//! The reference page: the language in short, every struct, choice and field, what differs from the official code, and the codes of
//! messages; Markdown.
//!
//! Invariant: the tables are written from the declarations; only the parts on the language and on the official code are prose.

use std::fmt::Write as _;

use super::words::{default, doc, range};
use super::{Entry, Holds, Item, Type, entries, types};
use crate::diag::Code;
use crate::recipe::schema::{ChoiceInfo, RecordInfo, TypeInfo};
use crate::recipe::value::{Dimension, units};

const LANGUAGE: &str = include_str!("language.md");

/// What is different from the official code, with the reasons.
const DEVIATIONS: &str = include_str!("../schedule/deviations.md");

const DEVIATIONS_HEAD: &str = "## Schedules and the official code\n\nSchedules, batch ramps and masks differ from the official code of the \
    paper (Geiping & Goldstein, \"Cramming\") where these reasons ask for it; `counting: Official(..)` counts as that does.\n";

/// What is different in models.
const MODEL_DEVIATIONS: &str = include_str!("../model_deviations.md");

const MODEL_DEVIATIONS_HEAD: &str = "## Models and the official code\n\nWhat a recipe says is what is trained; where that is not what the official \
    code does:\n";

/// Where the table of units stands in the part on the language.
const UNITS_HERE: &str = "@units@\n";

/// The whole page.
pub fn page() -> String {
    let mut out =
        String::from("<!-- Printed by `cramplan explain --reference`; a test holds that this file is what it prints. -->\n");
    let _ = writeln!(out, "\n# Recipes\n\n{}", LANGUAGE.replace(UNITS_HERE, &unit_table()));
    out.push_str(
        "## What a recipe can say\n\nNames of structs and variants are written with capitals, names of fields without.\n\n",
    );
    for ty in types() {
        match ty {
            Type::Record(info) => record(&mut out, info),
            Type::Choice(info) => choice(&mut out, info),
        }
    }
    let _ = writeln!(out, "{MODEL_DEVIATIONS_HEAD}\n{MODEL_DEVIATIONS}");
    let _ = writeln!(out, "{DEVIATIONS_HEAD}\n{DEVIATIONS}");
    codes(&mut out);
    out
}

fn unit_table() -> String {
    let mut out = String::from("| unit | measures | is |\n|---|---|---|\n");
    for (name, dimension, times, over) in units() {
        let (measures, base) = match dimension {
            Dimension::Plain => ("a count", ""),
            Dimension::Percent => ("a share", " of the whole"),
            Dimension::Time => ("a duration", " s"),
            Dimension::Size => ("a size", if times == 1 { " byte" } else { " bytes" }),
            Dimension::Work => ("arithmetic", if times == 1 { " floating-point operation" } else { " FLOP" }),
            Dimension::Rate | Dimension::SizeRate | Dimension::WorkRate => ("a rate", " a second"),
        };
        let amount = if over == 1 { power(times) } else { format!("{times}/{over}") };
        let _ = writeln!(out, "| `{name}` | {measures} | {amount}{base} |");
    }
    out
}

/// A number as a power of 2 or 10 where it is one and long.
fn power(n: i128) -> String {
    if n < 100_000 {
        return n.to_string();
    }
    let exponent = |base: i128| (1..64).find(|e| base.checked_pow(*e) == Some(n));
    match (exponent(2), exponent(10)) {
        (Some(e), _) => format!("2^{e}"),
        (_, Some(e)) => format!("10^{e}"),
        _ => n.to_string(),
    }
}

fn record(out: &mut String, info: &RecordInfo) {
    let _ = writeln!(out, "### {}\n\n{}{}\n", info.name, doc(info.doc), homes(info.name));
    fields(out, info);
}

fn choice(out: &mut String, info: &ChoiceInfo) {
    let _ = writeln!(out, "### {}\n\n{}{} One of:\n", info.name, doc(info.doc), homes(info.name));
    for variant in info.variants {
        let _ = writeln!(out, "#### {}\n\n{}\n", variant.name, doc(variant.doc));
        fields(out, variant);
    }
}

/// The fields that hold a struct or choice, as a sentence.
fn homes(name: &str) -> String {
    let holds = |entry: &Entry| match entry.item {
        Item::Field(field, _) => Holds::of(&(field.ty)()).name() == Some(name),
        Item::Variant(..) => false,
    };
    let homes: Vec<String> =
        entries().iter().filter(|entry| holds(entry)).map(|entry| format!("`{}`", entry.setting())).collect();
    if homes.is_empty() { String::new() } else { format!(" For {}.", homes.join(", ")) }
}

fn fields(out: &mut String, info: &RecordInfo) {
    if info.fields.is_empty() {
        return;
    }
    out.push_str("| field | wants | range | default | what it says |\n|---|---|---|---|---|\n");
    for field in info.fields {
        let range = range(field).map(|range| format!("`{range}`")).unwrap_or_default();
        let cells = [format!("`{}`", field.name), wants(&(field.ty)()), range, default(field), doc(field.doc).to_owned()];
        let _ = writeln!(out, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    out.push('\n');
}

/// What a field wants, with a link to the struct or choice.
fn wants(ty: &TypeInfo) -> String {
    match Holds::of(ty).name() {
        Some(name) => format!("{ty}; see [{name}](#{})", name.to_lowercase()),
        None => ty.to_string(),
    }
}

fn codes(out: &mut String) {
    out.push_str("## Codes of messages\n\nEach has a page with an example; `cramplan explain CODE` prints it.\n\n| code | what it is |\n|---|---|\n");
    for code in Code::ALL {
        let _ = writeln!(out, "| [`{code}`](errors/{code}.md) | {} |", code.summary());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_on_the_language_has_a_place_for_the_units() {
        assert_eq!(LANGUAGE.matches(UNITS_HERE).count(), 1);
        assert!(page().contains("| `GiB` | a size | 2^30 bytes |\n"));
    }

    #[test]
    fn long_powers_are_written_as_powers() {
        assert_eq!((power(86_400), power(1 << 40), power(1_000_000)), ("86400".into(), "2^40".into(), "10^6".into()));
    }
}
