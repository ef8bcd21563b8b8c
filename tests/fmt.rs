//! `cramplan fmt`: what it writes, what it leaves alone, and its exit codes.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const UGLY: &str = "Recipe( a:1 ,// one\n)";
const NEAT: &str = "Recipe(\n    a: 1, // one\n)\n";

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cramplan"));
    command.arg("fmt").args(arguments).current_dir(directory).env("NO_COLOR", "1");
    command
}

/// Exit code, stdout, stderr.
fn told(output: Output) -> (Option<i32>, String, String) {
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn run(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    told(command(directory, arguments).output().unwrap())
}

/// A directory with one file of each kind.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in [("recipe.ron", UGLY), ("neat.ron", NEAT), ("broken.ron", "Recipe( a: ,b:1")] {
        fs::write(place.path().join(name), text).unwrap();
    }
    place
}

fn read(place: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(place.path().join(name)).unwrap()
}

#[test]
fn files_are_rewritten_only_where_they_change() {
    let place = place();
    let before = fs::metadata(place.path().join("neat.ron")).unwrap().modified().unwrap();
    assert_eq!(run(place.path(), &["recipe.ron", "neat.ron"]), (Some(0), String::new(), "formatted `recipe.ron`\n".to_owned()));
    assert_eq!(read(&place, "recipe.ron"), NEAT);
    assert_eq!(fs::metadata(place.path().join("neat.ron")).unwrap().modified().unwrap(), before);
    assert_eq!(run(place.path(), &[]), (Some(0), String::new(), String::new()));
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3, "nothing is left beside the files");
}

#[test]
fn check_names_what_is_not_formatted_and_changes_nothing() {
    let place = place();
    assert_eq!(run(place.path(), &["--check", "neat.ron", "recipe.ron"]), (Some(1), "recipe.ron\n".to_owned(), String::new()));
    assert_eq!(run(place.path(), &["--check", "neat.ron"]), (Some(0), String::new(), String::new()));
    assert_eq!(read(&place, "recipe.ron"), UGLY);
}

#[test]
fn a_text_with_errors_is_left_alone_and_the_others_are_not() {
    let place = place();
    let (code, out, err) = run(place.path(), &["broken.ron", "absent.ron", "recipe.ron"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("syntax-missing-value") && err.contains("`absent.ron` cannot be read"), "{err}");
    assert_eq!((read(&place, "broken.ron").as_str(), read(&place, "recipe.ron").as_str()), ("Recipe( a: ,b:1", NEAT));
    assert_eq!(run(place.path(), &["--check", "broken.ron"]).0, Some(2));
}

#[test]
fn a_diff_is_shown_and_nothing_changed() {
    let place = place();
    let diff = "--- recipe.ron\n+++ recipe.ron (formatted)\n@@ -1,2 +1,3 @@\n-Recipe( a:1 ,// one\n-)\n\\ No newline at end of file\n\
                +Recipe(\n+    a: 1, // one\n+)\n";
    assert_eq!(run(place.path(), &["--diff", "neat.ron", "recipe.ron"]), (Some(0), diff.to_owned(), String::new()));
    assert_eq!(run(place.path(), &["--diff", "--check"]), (Some(1), diff.to_owned(), String::new()));
    assert_eq!(read(&place, "recipe.ron"), UGLY);
}

#[test]
fn stdin_is_formatted_to_stdout() {
    let place = place();
    for (text, code, out) in [(UGLY, 0, NEAT), (NEAT, 0, NEAT), ("Recipe(", 2, "")] {
        let mut child =
            command(place.path(), &["-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let (found, printed, said) = told(child.wait_with_output().unwrap());
        assert_eq!((found, printed.as_str()), (Some(code), out));
        assert_eq!(said.is_empty(), code == 0, "{said}");
    }
}

#[test]
fn a_saved_plan_is_no_recipe() {
    let place = place();
    fs::write(place.path().join("plan.ron"), "Plan( a:1 )").unwrap();
    let (code, _, err) = run(place.path(), &["plan.ron"]);
    assert_eq!((code, read(&place, "plan.ron").as_str()), (Some(2), "Plan( a:1 )"), "{err}");
    assert!(err.contains("a saved plan") && err.contains("help:"), "{err}");
}

#[cfg(unix)]
#[test]
fn links_permissions_and_read_only_files_are_respected() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let place = place();
    let file = place.path().join("recipe.ron");
    symlink(&file, place.path().join("link.ron")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let (code, _, err) = run(place.path(), &["link.ron"]);
    assert_eq!((code, read(&place, "recipe.ron").as_str()), (Some(2), UGLY), "{err}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(run(place.path(), &["link.ron"]).0, Some(0));
    assert!(fs::symlink_metadata(place.path().join("link.ron")).unwrap().is_symlink());
    assert_eq!((read(&place, "recipe.ron").as_str(), fs::metadata(&file).unwrap().permissions().mode() & 0o777), (NEAT, 0o640));
}
