//! The language server as an editor meets it: the real program over stdin and stdout.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

#[path = "common/editor.rs"]
#[allow(dead_code, reason = "a measurement uses the rest")]
mod editor;

use std::path::Path;

use serde_json::{Value, json};

use self::editor::{Editor, place, uri};

const SMALL: &str = r#"Recipe(
    name: "small",
    budget: Budget(steps: 20),
    data: Corpus(sources: [Synthetic(2000)], tokenizer: WordPiece(vocab: 512)),
    model: Encoder(width: 32, depth: 2, heads: 4, sequence: 16, feed_forward: Glu(intermediate: 64)),
    objective: MaskedLm(rate: 25%),
    batch: Constant(8),
    optimizer: AdamW(clip: 0.5),
    lr: Triangle(peak: 1e-3, start: 25%, peak_at: 75%),
)
"#;

fn able() -> Value {
    json!({
        "general": {"positionEncodings": ["utf-16"]},
        "textDocument": {
            "completion": {"completionItem": {"snippetSupport": true}},
            "hover": {"contentFormat": ["markdown"]},
            "publishDiagnostics": {"relatedInformation": true},
        },
    })
}

/// A session in a directory of its own with files in it.
fn session(files: &[(&str, &str)]) -> (tempfile::TempDir, Editor) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let editor = Editor::open_session(directory.path(), &able());
    (directory, editor)
}

fn codes(diagnostics: &[Value]) -> Vec<&str> {
    diagnostics.iter().map(|d| d["code"].as_str().unwrap()).collect()
}

/// Whether an answer is the error of a code.
fn fails(answer: &Value, code: i32) -> bool {
    answer["error"]["code"] == code
}

#[test]
fn the_server_introduces_itself() {
    let directory = tempfile::tempdir().unwrap();
    let mut editor = Editor::start(directory.path(), &[]);
    let early = editor.request("textDocument/hover", &json!({}));
    assert!(fails(&editor.answer(early), -32002));
    let utf8 = json!({"general": {"positionEncodings": ["utf-8", "utf-16"]}});
    let said = editor.ask("initialize", &json!({"capabilities": utf8}));
    assert_eq!(said["serverInfo"]["name"], "cramplan");
    let can = &said["capabilities"];
    assert_eq!((&can["positionEncoding"], &can["hoverProvider"]), (&json!("utf-8"), &json!(true)));
    assert_eq!((&can["textDocumentSync"], &can["definitionProvider"]), (&json!(2), &json!(true)));
    let twice = editor.request("initialize", &json!({"capabilities": {}}));
    assert!(fails(&editor.answer(twice), -32600));
    assert_eq!(editor.end(true), 0);
}

#[test]
fn a_mistake_is_shown_and_goes_away_when_it_is_mended() {
    let (directory, mut editor) = session(&[]);
    let file = uri(directory.path(), "r.ron");
    editor.open(&file, &SMALL.replace("width: 32", "widht: 32"));
    let found = editor.diagnostics(&file, Some(1));
    assert_eq!(codes(&found), ["unknown-field"]);
    assert_eq!(found[0]["range"], json!({"start": {"line": 4, "character": 19}, "end": {"line": 4, "character": 24}}));
    assert_eq!((&found[0]["severity"], &found[0]["source"]), (&json!(1), &json!("cramplan")));
    assert!(found[0]["message"].as_str().unwrap().contains("help: did you mean `width`?"), "{found:?}");
    editor.change(&file, 2, SMALL);
    assert_eq!(editor.diagnostics(&file, Some(2)), Vec::<Value>::new());
    editor.change(&file, 3, &SMALL.replace("heads: 4", "heads: 5"));
    let found = editor.diagnostics(&file, Some(3));
    assert_eq!(codes(&found), ["heads-divide-width"]);
    let related = &found[0]["relatedInformation"][0];
    assert_eq!((&related["location"]["uri"], &related["message"]), (&json!(file), &json!("width 32")));
    editor.note("textDocument/didClose", &json!({"textDocument": {"uri": file}}));
    assert_eq!(editor.diagnostics(&file, None), Vec::<Value>::new());
    assert_eq!(editor.end(true), 0);
}

#[test]
fn changes_in_ranges_add_up() {
    let (directory, mut editor) = session(&[]);
    let file = uri(directory.path(), "r.ron");
    editor.open(&file, &format!("// 😀 ä\r\n{SMALL}"));
    assert_eq!(editor.diagnostics(&file, Some(1)), Vec::<Value>::new());
    let at = |line: u32, from: u32, to: u32| json!({"start": {"line": line, "character": from}, "end": {"line": line, "character": to}});
    let changes = json!([
        {"range": at(0, 6, 7), "text": "ö\n"},
        {"range": at(6, 19, 24), "text": "wi"},
        {"range": at(6, 21, 21), "text": "de"},
    ]);
    editor.note("textDocument/didChange", &json!({"textDocument": {"uri": file, "version": 2}, "contentChanges": changes}));
    let found = editor.diagnostics(&file, Some(2));
    let unknown = found.iter().find(|d| d["code"] == "unknown-field").unwrap();
    assert_eq!(unknown["range"], at(6, 19, 23), "{found:?}");
}

#[test]
fn columns_are_counted_in_utf_16_unless_bytes_are_agreed_on() {
    let text = SMALL.replace("name: \"small\",", "name: /* ä😀 */ 5,");
    for (encoding, column) in [("utf-16", 20), ("utf-8", 23)] {
        let directory = tempfile::tempdir().unwrap();
        let mut editor = Editor::open_session(directory.path(), &json!({"general": {"positionEncodings": [encoding]}}));
        let file = uri(directory.path(), "r.ron");
        editor.open(&file, &text);
        let found = editor.diagnostics(&file, Some(1));
        assert_eq!((&found[0]["range"]["start"]["character"], codes(&found)), (&json!(column), vec!["wrong-type"]), "{encoding}");
        let at = json!({"textDocument": {"uri": file}, "position": {"line": 1, "character": column}});
        let said = editor.ask("textDocument/hover", &at);
        assert_eq!(said["range"]["start"]["character"], column);
        assert_eq!(said["contents"]["kind"], "plaintext");
    }
}

fn labels(offered: &Value) -> Vec<&str> {
    offered.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap()).collect()
}

#[test]
fn fields_and_variants_are_completed_also_in_half_written_text() {
    let (directory, mut editor) = session(&[]);
    let file = uri(directory.path(), "r.ron");
    let text = SMALL.replace("depth: 2, ", "‸");
    editor.open(&file, &text.replace('‸', ""));
    let offered = editor.ask("textDocument/completion", &place(&file, &text, "‸"));
    assert_eq!(
        labels(&offered),
        [
            "depth",
            "attention",
            "norm",
            "placement",
            "biases",
            "positions",
            "token_types",
            "embedding",
            "head",
            "dropout",
            "init",
            "..import(\"\")"
        ]
    );
    let depth = &offered[0];
    assert_eq!((&depth["textEdit"]["newText"], &depth["insertTextFormat"]), (&json!("depth: ${1:}"), &json!(2)));
    assert!(depth["detail"].as_str().unwrap().contains("1 ≤ `depth` ≤ 1024") && depth["documentation"] == "Number of blocks L.");

    let half = "Recipe(\n    name: \"x\n    lr: Tr‸";
    editor.change(&file, 2, &half.replace('‸', ""));
    let offered = editor.ask("textDocument/completion", &place(&file, half, "‸"));
    let schedules = labels(&offered);
    assert_eq!((schedules.len(), schedules[0], schedules[11]), (12, "Triangle", "Constant"));
    let edit = &offered[0]["textEdit"];
    assert_eq!(edit["newText"], "Triangle(peak: ${1:})");
    assert_eq!(edit["range"], json!({"start": {"line": 2, "character": 8}, "end": {"line": 2, "character": 10}}));
}

#[test]
fn a_client_without_snippets_gets_plain_text() {
    let directory = tempfile::tempdir().unwrap();
    let mut editor = Editor::open_session(directory.path(), &json!({}));
    editor.open("untitled:1", "Recipe(lr: ");
    let at = json!({"textDocument": {"uri": "untitled:1"}, "position": {"line": 0, "character": 11}});
    let offered = editor.ask("textDocument/completion", &at);
    assert_eq!((&offered[0]["textEdit"]["newText"], &offered[0]["insertTextFormat"]), (&json!("Triangle(peak: )"), &json!(1)));
}

#[test]
fn recipes_beside_it_are_offered_to_import() {
    let (directory, mut editor) = session(&[("base.ron", SMALL), ("lib/a.ron", SMALL), ("r.ron", ""), ("notes.txt", "")]);
    let file = uri(directory.path(), "r.ron");
    for (text, wanted) in [("Recipe(..import(\"‸\"))", vec!["base.ron", "lib/"]), ("Recipe(..import(\"lib/‸", vec!["lib/a.ron"])]
    {
        editor.open(&file, &text.replace('‸', ""));
        assert_eq!(labels(&editor.ask("textDocument/completion", &place(&file, text, "‸"))), wanted);
    }
}

fn hover(editor: &mut Editor, file: &str, text: &str, marker: &str) -> String {
    let said = editor.ask("textDocument/hover", &place(file, text, marker));
    said["contents"]["value"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_hover_tells_what_a_field_is_and_what_the_recipe_costs_now() {
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/crammed-bert.ron");
    let text = std::fs::read_to_string(recipe).unwrap();
    let (directory, mut editor) = session(&[]);
    let file = uri(directory.path(), "crammed-bert.ron");
    editor.open(&file, &text);
    let said = hover(&mut editor, &file, &text, "width: width");
    for part in [
        "`model.width`",
        "Hidden width D.",
        "2 ≤ `width` ≤ 65536",
        "is `768`",
        "GiB peak of 47.99 GiB",
        "a micro-step",
        "rtx-a6000",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let smaller = text.replace("depth: 16", "depth: 4");
    editor.change(&file, 2, &smaller);
    let less = hover(&mut editor, &file, &smaller, "width: width");
    assert!(less.contains("GiB peak of 47.99 GiB") && less.lines().last() != said.lines().last(), "{less}");
    let broken = smaller.replace("heads: 12", "heads: ");
    editor.change(&file, 3, &broken);
    let old = hover(&mut editor, &file, &broken, "width: width");
    assert_eq!(old.lines().last(), Some(format!("before the present mistake: {}", less.lines().last().unwrap()).as_str()));
    let large = text.replace("let width = 768", "let width = 6144");
    editor.change(&file, 4, &large);
    assert!(hover(&mut editor, &file, &large, "width: width").contains("does not fit: "));
    assert_eq!(codes(&editor.diagnostics(&file, Some(4))), ["out-of-memory"]);
}

const IMPORTER: &str = "Recipe(\n    name: \"more\",\n    model: Encoder(depth: 3),\n    ..import(\"./base.ron\"),\n)\n";

#[test]
fn an_import_leads_to_its_file_and_a_name_to_its_definition() {
    let (directory, mut editor) = session(&[("base.ron", SMALL)]);
    let file = uri(directory.path(), "r.ron");
    editor.open(&file, IMPORTER);
    let there = editor.ask("textDocument/definition", &place(&file, IMPORTER, "base.ron"));
    assert_eq!(there["uri"], uri(directory.path(), "base.ron"));
    let missing = IMPORTER.replace("base.ron", "none.ron");
    editor.change(&file, 2, &missing);
    assert_eq!(editor.ask("textDocument/definition", &place(&file, &missing, "none.ron")), Value::Null);
    let text = "let width = 32;\nRecipe(model: Encoder(width: (width)))";
    editor.change(&file, 3, text);
    let there = editor.ask("textDocument/definition", &place(&file, text, "width)))"));
    assert_eq!((&there["uri"], &there["range"]["start"]), (&json!(file), &json!({"line": 0, "character": 4})));
}

#[test]
fn a_mistake_in_an_imported_file_is_shown_there_and_follows_the_editor_before_the_disk() {
    let (directory, mut editor) = session(&[("base.ron", &SMALL.replace("heads: 4", "hedas: 4"))]);
    let (file, base) = (uri(directory.path(), "r.ron"), uri(directory.path(), "base.ron"));
    editor.open(&file, IMPORTER);
    assert_eq!(codes(&editor.diagnostics(&base, None)), ["unknown-field"]);
    assert_eq!(editor.diagnostics(&file, Some(1)), Vec::<Value>::new());
    // The same file mended in the editor alone: the importer is checked anew.
    editor.open(&base, SMALL);
    assert_eq!(editor.diagnostics(&base, Some(1)), Vec::<Value>::new());
    assert_eq!(editor.diagnostics(&file, Some(1)), Vec::<Value>::new());
    let said = hover(&mut editor, &file, IMPORTER, "depth");
    assert!(said.contains("`model.depth`") && said.contains(" peak of "), "{said}");
    // Broken again in the editor: found once, though it is checked by itself and by way of its importer.
    editor.change(&base, 2, &SMALL.replace("heads: 4", "heads: 4x"));
    assert_eq!(codes(&editor.diagnostics(&base, Some(2))), ["unknown-unit"]);
    // Closed: the disk counts again.
    editor.unread.clear();
    editor.note("textDocument/didClose", &json!({"textDocument": {"uri": base}}));
    assert_eq!(codes(&editor.diagnostics(&base, None)), ["unknown-field"]);
    // Mended on disk, and the client says so.
    std::fs::write(directory.path().join("base.ron"), SMALL).unwrap();
    editor.note("workspace/didChangeWatchedFiles", &json!({"changes": [{"uri": base, "type": 2}]}));
    assert_eq!(editor.diagnostics(&base, None), Vec::<Value>::new());
}

#[test]
fn a_part_of_a_recipe_is_checked_for_what_it_says_and_shows_the_costs_of_the_whole() {
    const PART: &str = "Encoder(width: 32, depth: 2, heads: 4, sequence: 16, feed_forward: Glu(intermediate: 64))";
    let whole = SMALL.replace(PART, "Encoder(..import(\"part.ron\"))");
    let (directory, mut editor) = session(&[]);
    let (file, other) = (uri(directory.path(), "r.ron"), uri(directory.path(), "part.ron"));
    editor.open(&other, "Encoder(width: 32)");
    assert_eq!(editor.diagnostics(&other, Some(1)), Vec::<Value>::new());
    editor.change(&other, 2, "Encoder(widht: 32, depth: 0)");
    assert_eq!(codes(&editor.diagnostics(&other, Some(2))), ["unknown-field", "out-of-range"]);
    editor.change(&other, 3, PART);
    editor.open(&file, &whole);
    assert_eq!(editor.diagnostics(&file, Some(1)), Vec::<Value>::new());
    assert_eq!(editor.diagnostics(&other, Some(3)), Vec::<Value>::new());
    let said = hover(&mut editor, &other, PART, "depth");
    assert!(said.contains("`Encoder.depth`") && said.contains(" peak of "), "{said}");
    editor.change(&other, 4, &PART.replace("heads: 4", "heads: 5"));
    assert_eq!(codes(&editor.diagnostics(&other, Some(4))), ["heads-divide-width"]);
}

#[test]
fn of_many_changes_at_once_the_last_is_checked() {
    let (directory, mut editor) = session(&[]);
    let file = uri(directory.path(), "r.ron");
    editor.open(&file, SMALL);
    assert_eq!(editor.diagnostics(&file, Some(1)), Vec::<Value>::new());
    for version in 2..=200 {
        editor.change(&file, version, &SMALL.replace("heads: 4", &format!("heads: {version}")));
    }
    editor.change(&file, 201, SMALL);
    assert_eq!(editor.diagnostics(&file, Some(201)), Vec::<Value>::new());
    let checks = editor.unread.iter().filter(|m| m["method"] == "textDocument/publishDiagnostics").count();
    println!("200 changes, {checks} checks before the last");
    assert!(checks < 199);
}

#[test]
fn a_text_is_formatted_unless_it_has_errors() {
    let (directory, mut editor) = session(&[]);
    let file = uri(directory.path(), "r.ron");
    let asked = json!({"textDocument": {"uri": file}, "options": {"tabSize": 4, "insertSpaces": true}});
    editor.open(&file, "// ä\nRecipe(name:\"x\",  seed : 3,)");
    let edits = editor.ask("textDocument/formatting", &asked);
    assert_eq!(edits[0]["range"], json!({"start": {"line": 0, "character": 0}, "end": {"line": 1, "character": 28}}));
    let formatted = edits[0]["newText"].as_str().unwrap().to_owned();
    assert!(formatted.starts_with("// ä\nRecipe(") && formatted.contains("seed: 3"), "{formatted}");
    editor.change(&file, 2, &formatted);
    assert_eq!(editor.ask("textDocument/formatting", &asked), json!([]));
    editor.change(&file, 3, "Recipe(name:\"x\"");
    assert_eq!(editor.ask("textDocument/formatting", &asked), Value::Null);
}

#[test]
fn a_mistake_comes_with_the_change_that_mends_it() {
    let (directory, mut editor) = session(&[]);
    let file = uri(directory.path(), "r.ron");
    let broken = SMALL.replace("width: 32", "widht: 32");
    editor.open(&file, &broken);
    let at = place(&file, &broken, "widht")["position"].clone();
    let mut asked = json!({"textDocument": {"uri": file}, "range": {"start": at, "end": at}, "context": {"diagnostics": []}});
    let actions = editor.ask("textDocument/codeAction", &asked);
    let action = &actions[0];
    assert_eq!((&action["kind"], &action["diagnostics"][0]["code"]), (&json!("quickfix"), &json!("unknown-field")));
    let edit = action["edit"]["changes"][&file][0].clone();
    assert_eq!((&edit["newText"], &edit["range"]["start"]), (&json!("width"), &at));
    editor.note("textDocument/didChange", &json!({"textDocument": {"uri": file, "version": 2}, "contentChanges": [{"range": edit["range"], "text": edit["newText"]}]}));
    assert_eq!(editor.ask("textDocument/codeAction", &asked), json!([]));
    assert_eq!(editor.diagnostics(&file, Some(2)), Vec::<Value>::new());
    editor.change(&file, 3, &broken);
    asked["context"]["only"] = json!(["source.organizeImports"]);
    assert_eq!(editor.ask("textDocument/codeAction", &asked), json!([]));
}

#[test]
fn saved_plans_are_left_alone() {
    let (directory, mut editor) = session(&[]);
    let file = uri(directory.path(), "plan.ron");
    editor.open(&file, "Plan(recipe: 3");
    assert_eq!(editor.diagnostics(&file, Some(1)), Vec::<Value>::new());
    let at = json!({"textDocument": {"uri": file}, "position": {"line": 0, "character": 5}});
    assert_eq!(editor.ask("textDocument/completion", &at), json!([]));
    assert_eq!(editor.ask("textDocument/hover", &at), Value::Null);
}

#[test]
fn what_is_not_understood_is_answered_and_ends_nothing() {
    let (directory, mut editor) = session(&[]);
    let file = uri(directory.path(), "r.ron");
    editor.open(&file, SMALL);
    let unknown = editor.request("textDocument/rename", &json!({}));
    assert!(fails(&editor.answer(unknown), -32601));
    let wrong = editor.request("textDocument/hover", &json!({"position": 3}));
    assert!(fails(&editor.answer(wrong), -32602));
    editor.note("textDocument/didOpen", &json!({"textDocument": 3}));
    editor.note("textDocument/didFoo", &json!({}));
    editor.change(&uri(directory.path(), "never-opened.ron"), 2, "");
    let outside = json!({"textDocument": {"uri": file}, "position": {"line": 4_000_000_000_u32, "character": 4_000_000_000_u32}});
    for method in ["textDocument/hover", "textDocument/completion", "textDocument/definition"] {
        let id = editor.request(method, &outside);
        assert!(editor.answer(id).get("error").is_none());
    }
    let range = json!({"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}});
    let actions = editor
        .ask("textDocument/codeAction", &json!({"textDocument": {"uri": file}, "range": range, "context": {"diagnostics": []}}));
    assert_eq!(actions, json!([]));
    assert_eq!(editor.end(true), 0);
}

#[test]
fn files_are_watched_where_the_client_can() {
    let directory = tempfile::tempdir().unwrap();
    let watches = json!({"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": true}}});
    let mut editor = Editor::open_session(directory.path(), &watches);
    let asked = editor.next(|m| m["method"] == "client/registerCapability");
    assert_eq!(asked["params"]["registrations"][0]["registerOptions"]["watchers"][0]["globPattern"], "**/*.ron");
    editor.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": null}));
    assert_eq!(editor.end(true), 0);
}

#[test]
fn it_ends_as_the_protocol_wants() {
    let (_directory, mut editor) = session(&[]);
    assert_eq!(editor.ask("shutdown", &Value::Null), Value::Null);
    let late = editor.request("textDocument/hover", &json!({}));
    assert!(fails(&editor.answer(late), -32600));
    editor.note("exit", &Value::Null);
    assert_eq!(editor.hang_up(), 0);
    assert_eq!(session(&[]).1.end(false), 1);
    assert_eq!(session(&[]).1.hang_up(), 1);
}

#[test]
fn a_device_that_nobody_knows_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(Editor::start(directory.path(), &["--for", "rtx-banana"]).hang_up(), 2);
}
