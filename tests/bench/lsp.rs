//! How long an editor waits: from a keystroke in `recipes/crammed-bert.ron` to the answer of the real server over its pipes.
//! `cargo bench --bench lsp`; fails where 95 % of the hovers with costs are not there within 20 ms.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement may panic and shows what it saw")]

#[path = "../common/editor.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod editor;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::editor::{Editor, place, uri};

const KEYSTROKES: u32 = 300;
const LIMIT: Duration = Duration::from_millis(20);

/// Median, 95th percentile and worst.
fn percentiles(mut times: Vec<Duration>) -> [Duration; 3] {
    times.sort_unstable();
    [50, 95, 100].map(|percent| times[(times.len() * percent).div_ceil(100) - 1])
}

/// Changes the text by `edit`, asks, and takes the time until there is an answer that `holds`.
fn measure(
    editor: &mut Editor,
    file: &str,
    method: &str,
    edit: impl Fn(u32) -> (String, &'static str),
    holds: fn(&Value) -> bool,
) -> [Duration; 3] {
    let times = (0..KEYSTROKES).map(|i| {
        let (text, marker) = edit(i);
        let at = place(file, &text, marker);
        let begin = Instant::now();
        editor.change(file, i as i32 + 2, &text);
        let answer = editor.ask(method, &at);
        let took = begin.elapsed();
        assert!(holds(&answer), "{answer}");
        editor.unread.clear();
        took
    });
    percentiles(times.collect())
}

fn says(answer: &Value, part: &str) -> bool {
    answer["contents"]["value"].as_str().is_some_and(|text| text.contains(part))
}

fn main() -> ExitCode {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let text = std::fs::read_to_string(directory.join("crammed-bert.ron")).unwrap();
    let file = uri(&directory, "crammed-bert.ron");
    let mut editor = Editor::open_session(&directory, &json!({}));
    editor.open(&file, &text);
    editor.diagnostics(&file, Some(1));
    // Every text is another model, so that nothing can be remembered.
    let whole = |i: u32| (text.replace("4 * width", &format!("{}", 3000 + 2 * i)), "width: width");
    let broken = |i: u32| (text.replace("depth: 16", &format!("depth: {}", "9".repeat(i as usize % 9 + 9))), "width: width");
    let half = |i: u32| (text.replace("depth: 16,", &format!("depth: {i},\n        nor")), "\n        heads");
    let hover = measure(&mut editor, &file, "textDocument/hover", whole, |answer| says(answer, "GiB peak of 47.99 GiB"));
    let mistaken = measure(&mut editor, &file, "textDocument/hover", broken, |answer| says(answer, "before the present mistake"));
    let completion = measure(&mut editor, &file, "textDocument/completion", half, |answer| answer[0]["label"] == "init");
    println!("{KEYSTROKES} keystrokes each              median      95 %     worst");
    for (what, times) in [("hover with costs", hover), ("hover at a mistake", mistaken), ("completion", completion)] {
        let [median, most, worst] = times.map(|time| format!("{:.2} ms", time.as_secs_f64() * 1e3));
        println!("  {what:24} {median:>10} {most:>10} {worst:>9}");
    }
    assert_eq!(editor.end(true), 0);
    if hover[1] <= LIMIT { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
