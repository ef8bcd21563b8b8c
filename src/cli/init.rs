//! `cramplan init`

use std::fs::File;
use std::io::{ErrorKind, Write as _};

use super::arguments::Init;
use super::{Exit, complain, say};

/// The recipe that a newcomer starts from: the quick start that the repository ships.
const TEMPLATE: &str = include_str!("../../recipes/quickstart.ron");

/// Writes a first recipe; never over an existing file.
pub fn init(options: &Init) -> Exit {
    let path = &options.path;
    let written = File::create_new(path).and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    match written {
        Ok(()) => {
            let name = path.display();
            let argument = if path.as_os_str() == "recipe.ron" { String::new() } else { format!(" {name}") };
            say(&format!("wrote `{name}`: try `cramplan check{argument}`, then `cramplan run{argument}`"));
            Exit::Success
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            complain(&format!("`{}` is there already and was left as it is", path.display()));
            say("help: give another name: `cramplan init other.ron`");
            Exit::Invalid
        }
        Err(error) => {
            complain(&format!("`{}` cannot be written: {error}", path.display()));
            say("help: name a file in a directory that is there and that you may write to");
            Exit::Invalid
        }
    }
}
