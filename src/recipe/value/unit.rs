//! The units of the grammar, and what is meant by words that are none.
//!
//! Invariant: no letter that could be two things is a unit.

use super::Dimension;
use crate::recipe::suggest::nearest;

/// A unit: one of it is `times / over` base units.
pub(super) struct Unit {
    pub name: &'static str,
    pub dimension: Dimension,
    pub times: i128,
    pub over: i128,
}

const fn unit(name: &'static str, dimension: Dimension, times: i128) -> Unit {
    Unit { name, dimension, times, over: 1 }
}

const KILO: i128 = 1000;

/// Every unit; the table of `grammar/recipe.ebnf`.
pub(super) const UNITS: [Unit; 25] = [
    Unit { name: "%", dimension: Dimension::Percent, times: 1, over: 100 },
    Unit { name: "ms", dimension: Dimension::Time, times: 1, over: 1000 },
    unit("s", Dimension::Time, 1),
    unit("min", Dimension::Time, 60),
    unit("h", Dimension::Time, 3600),
    unit("d", Dimension::Time, 86_400),
    unit("B", Dimension::Size, 1),
    unit("kB", Dimension::Size, KILO),
    unit("MB", Dimension::Size, KILO * KILO),
    unit("GB", Dimension::Size, KILO * KILO * KILO),
    unit("TB", Dimension::Size, KILO * KILO * KILO * KILO),
    unit("KiB", Dimension::Size, 1 << 10),
    unit("MiB", Dimension::Size, 1 << 20),
    unit("GiB", Dimension::Size, 1 << 30),
    unit("TiB", Dimension::Size, 1 << 40),
    unit("FLOP", Dimension::Work, 1),
    unit("MFLOP", Dimension::Work, KILO * KILO),
    unit("GFLOP", Dimension::Work, KILO * KILO * KILO),
    unit("TFLOP", Dimension::Work, KILO * KILO * KILO * KILO),
    unit("PFLOP", Dimension::Work, KILO * KILO * KILO * KILO * KILO),
    unit("EFLOP", Dimension::Work, KILO * KILO * KILO * KILO * KILO * KILO),
    unit("k", Dimension::Plain, KILO),
    unit("Ki", Dimension::Plain, 1 << 10),
    unit("Mi", Dimension::Plain, 1 << 20),
    unit("Gi", Dimension::Plain, 1 << 30),
];

/// Every unit with what it measures and how many base units it is, as `times / over`, in the order of the grammar.
pub fn units() -> impl Iterator<Item = (&'static str, Dimension, i128, i128)> {
    UNITS.iter().map(|unit| (unit.name, unit.dimension, unit.times, unit.over))
}

/// Words that people write for a unit, and the unit.
const SYNONYMS: [(&[&str], &str); 9] = [
    (&["sec", "secs", "second", "seconds"], "s"),
    (&["m", "mins", "minute", "minutes"], "min"),
    (&["hr", "hrs", "hour", "hours", "H"], "h"),
    (&["D", "day", "days"], "d"),
    (&["msec", "millis", "milliseconds"], "ms"),
    (&["byte", "bytes", "b"], "B"),
    (&["percent", "pct"], "%"),
    (&["thousand"], "k"),
    (&["FLOPs", "FLOPS", "flops", "flop"], "FLOP"),
];

/// The unit that a word means beyond doubt, such as `minutes`; letters that could be two things mean none.
pub fn unit_meant(word: &str) -> Option<&'static str> {
    SYNONYMS.iter().find(|(words, _)| word.len() > 2 && words.contains(&word)).map(|(_, unit)| *unit)
}

/// Why there is no unit of a name: what could be meant.
pub fn unit_help(name: &str) -> String {
    let meant = |unit: &str| format!("did you mean `{unit}`?");
    match name {
        "K" => "`k` is 1000, `Ki` is 1024, `KiB` is 1024 bytes".to_owned(),
        "M" => "`Mi` is 1024², `MB` and `MiB` are bytes; a million is `1_000_000` or `1e6`".to_owned(),
        "G" => "`Gi` is 1024³, `GB` and `GiB` are bytes; a billion is `1e9`".to_owned(),
        "T" => "`TB` and `TiB` are bytes, `TFLOP` is arithmetic; a trillion is `1e12`".to_owned(),
        "m" => "`min` is a minute, `ms` is a thousandth of a second; a million is `1e6`".to_owned(),
        "w" | "week" | "weeks" => "a week is `7d`".to_owned(),
        _ if is_number_type(name) => "numbers have no type here; leave it out".to_owned(),
        _ => match SYNONYMS.iter().find(|(words, _)| words.contains(&name)) {
            Some((_, unit)) => meant(unit),
            None => nearest(name, UNITS.iter().map(|u| u.name)).map_or_else(every_unit, meant),
        },
    }
}

fn is_number_type(name: &str) -> bool {
    let digits = name.strip_prefix(['i', 'u', 'f']).unwrap_or_default();
    matches!(digits, "8" | "16" | "32" | "64" | "128" | "size")
}

fn every_unit() -> String {
    let names: Vec<String> = UNITS.iter().map(|u| format!("`{}`", u.name)).collect();
    format!("units are {}; a name of your own is multiplied with `*`", names.join(", "))
}
