//! `cramplan fmt`

use std::io;
use std::path::Path;

use similar::TextDiff;

use super::arguments::Fmt;
use super::world::{Unreadable, is_plan, read_text};
use super::{Exit, complain, print, render, say, world};
use crate::diag::Diagnostic;
use crate::source::{SourceId, Sources};
use crate::syntax;

/// Formats recipes, or says which are not formatted.
pub fn fmt(options: &Fmt) -> Exit {
    let exits: Vec<Exit> = options.files.iter().map(|path| one(path, options)).collect();
    exits.into_iter().max_by_key(|exit| *exit as u8).unwrap_or(Exit::Success)
}

/// One file; `-` is stdin, formatted to stdout.
fn one(path: &Path, options: &Fmt) -> Exit {
    let piped = path.as_os_str() == "-";
    let read = if piped { io::read_to_string(io::stdin()) } else { read_text(path) };
    let text = match read {
        Ok(text) => text,
        Err(why) => return Unreadable { path: path.to_owned(), why }.refuse(false),
    };
    if is_plan(&text) {
        complain(&format!("`{}` is a saved plan, not a recipe, and was left as it is", path.display()));
        say("help: plans are written by `cramplan plan --out`; name the recipe here");
        return Exit::Invalid;
    }
    let mut sources = Sources::default();
    let source = sources.add(if piped { "stdin".to_owned() } else { path.display().to_string() }, text.as_str());
    let formatted = match syntax::format(source, &text) {
        Ok(formatted) => formatted,
        Err(diagnostics) => return refuse(&diagnostics, &sources),
    };
    if !says_the_same(&text, &formatted) {
        complain(&format!("a bug in cramplan: formatting would change what `{}` says, so it was left as it is", path.display()));
        say("help: please report it with the recipe");
        return Exit::Internal;
    }
    deliver(path, &text, &formatted, options)
}

fn refuse(diagnostics: &[Diagnostic], sources: &Sources) -> Exit {
    render::show(diagnostics, sources);
    Exit::Invalid
}

/// Whether both texts have the same tree. Nobody looks over a formatted file again, so it is done here.
fn says_the_same(text: &str, formatted: &str) -> bool {
    let tree = |text: &str| {
        let (document, diagnostics) = syntax::parse(SourceId::default(), text);
        document.filter(|_| !diagnostics.iter().any(Diagnostic::is_error)).map(syntax::ast::Document::without_spans)
    };
    tree(text).is_some_and(|before| tree(formatted).is_some_and(|after| before == after))
}

/// Writes, or shows, what came of a file.
fn deliver(path: &Path, text: &str, formatted: &str, options: &Fmt) -> Exit {
    let (changes, piped) = (text != formatted, path.as_os_str() == "-");
    if options.diff && changes {
        print(&diff(path, text, formatted));
    }
    if options.check {
        if changes && !options.diff {
            print(&path.display().to_string());
        }
        return if changes { Exit::Infeasible } else { Exit::Success };
    }
    if options.diff {
        return Exit::Success;
    }
    if piped {
        print(formatted);
    } else if changes {
        return write(path, formatted);
    }
    Exit::Success
}

fn diff(path: &Path, text: &str, formatted: &str) -> String {
    let name = path.display().to_string();
    TextDiff::from_lines(text, formatted)
        .unified_diff()
        .context_radius(3)
        .header(&name, &format!("{name} (formatted)"))
        .to_string()
}

fn write(path: &Path, formatted: &str) -> Exit {
    match world::replace(path, formatted) {
        Ok(()) => {
            say(&format!("formatted `{}`", path.display()));
            Exit::Success
        }
        Err(error) => {
            complain(&format!("`{}` cannot be written and was left as it is: {error}", path.display()));
            say("help: `cramplan fmt -` formats stdin to stdout");
            Exit::Invalid
        }
    }
}
