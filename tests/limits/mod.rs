//! Long texts that are no recipes, and compiling texts as `cramplan check` does; for the test and the benchmark of the limits.

#![allow(dead_code, reason = "each file uses its part")]

use std::path::Path;

use cramplan::device;
use cramplan::pipeline::{Compilation, Inputs, Read, compile};

/// Bytes of a long text.
pub const LENGTH: usize = 1_000_000;

/// How many of the pieces, from the first on, a whole megabyte is promised to be refused of.
pub const PROMISED: usize = 10;

/// What long texts are made of: each opens, begins or repeats something that has no end.
pub const PIECES: [&str; 74] = [
    "[",
    "(",
    "{",
    "7",
    "-",
    "let a=",
    "\"",
    "/*",
    "a:",
    "R(",
    ")",
    "]",
    "}",
    ",",
    ";",
    ":",
    "=",
    ".",
    "..",
    "'",
    "#",
    "r#",
    "\\",
    "1 ",
    "a ",
    "a:1 ",
    "1+",
    "[1,",
    "(a:",
    "\n(",
    "ä",
    "\"a\" ",
    "0x",
    "1e",
    "r#\"\n",
    "\"\n",
    "'\n",
    "b'",
    "a(b:",
    "..=",
    "&",
    "!",
    "*",
    "&a ",
    "$",
    "${",
    "{{",
    "{{})",
    "<",
    "<<:",
    "|",
    ">",
    "<<<<<<<\n",
    "`",
    "```\n",
    "“",
    "«",
    "：",
    "…",
    "１",
    "f\"",
    "% ",
    "@",
    "~",
    "#[",
    "#[]",
    "#!",
    "a.",
    "a::",
    "- ",
    "\\ ",
    "-\n",
    "a: b\n",
    "\u{a0}",
];

/// A long text of one piece.
pub fn long(piece: &str) -> String {
    piece.repeat(LENGTH / piece.len())
}

/// Compiles a text as the file of this path, for a card.
pub fn compiled(path: &str, text: &str) -> Compilation {
    let Some(machine) = device::find("rtx-a6000") else { panic!("the card is in the catalog") };
    let read: &mut Read<'_> = &mut |path, importer| {
        let path = Path::new(importer).parent().unwrap_or(Path::new("")).join(path);
        let text = std::fs::read_to_string(&path).map_err(|why| why.to_string())?;
        Ok((path.display().to_string(), text))
    };
    compile(Inputs {
        entry: (path.to_owned(), text.to_owned()),
        read,
        overrides: &[],
        machine,
        known: &device::catalog(),
        asked: None,
    })
}
