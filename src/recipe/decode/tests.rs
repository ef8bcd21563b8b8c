use super::super::resolve;
use super::super::testing::TEXT;
use crate::diag::Diagnostic;
use crate::recipe::eval::evaluate_alone;
use crate::source::SourceId;

/// What is said about [`TEXT`] with one piece replaced.
fn found(from: &str, to: &str) -> Vec<Diagnostic> {
    assert_eq!(TEXT.matches(from).count(), 1, "{from}");
    of(&TEXT.replace(from, to))
}

fn of(text: &str) -> Vec<Diagnostic> {
    let (document, mut found) = crate::syntax::parse(SourceId(0), text);
    let (value, more) = evaluate_alone(&document.unwrap());
    found.extend(more);
    found.extend(resolve(&value, vec!["size".to_owned()]).diagnostics);
    found.retain(Diagnostic::is_error);
    found
}

const ADAM: &str = "optimizer: AdamW(clip: 0.5)";
const LR: &str = "lr: Triangle(peak: 1e-3, start: 25%, peak_at: 75%)";

#[test]
fn what_was_probably_meant_by_a_value_comes_first() {
    for (from, to, help) in [
        (LR, "lr: 1e-3", "write `Constant(1e-3)` or `Triangle(peak: 1e-3)`"),
        (LR, "lr: \"1e-3\"", "write `Constant(1e-3)` or `Triangle(peak: 1e-3)`"),
        (LR, "lr: \"budget-triangle2\"", "write `Triangle(..)`, without quotes"),
        (LR, "lr: (peak: 1e-3)", "`Triangle(..)`"),
        ("batch: Constant(8)", "batch: 4096", "write `Constant(4096)` or `Ramp(to: 4096, ..)`"),
        ("WordPiece(vocab: 512)", "512", "write `WordPiece(512)`"),
        ("[Synthetic(2000)]", "Synthetic(2000)", "put it in brackets: `[Synthetic(..)]`"),
        ("[Synthetic(2000)]", "[\"a/*.txt\"]", "write `Text(\"a/*.txt\")`"),
        ("[Synthetic(2000)]", "\"a/*.txt\"", "write `[Text(\"a/*.txt\")]`"),
        ("Budget(steps: 20)", "24h", "write `Budget(time: 24h)`"),
        ("Budget(steps: 20)", "\"90min\"", "write `Budget(time: 90min)`"),
        ("Budget(steps: 20)", "24", "write `Budget(..)`, with `time:`"),
        ("objective: MaskedLm(rate: 25%)", "objective: 25%", "write `MaskedLm(rate: 25%)`"),
        ("WordPiece(vocab: 512)", "(vocab: 512)", "`WordPiece(..)`"),
        ("WordPiece(vocab: 512)", "dict(vocab: 512)", "it can only be `WordPiece`"),
        (ADAM, "optimizer: AdamW(clip: null)", "leave it out, or write `None`"),
        (ADAM, "optimizer: AdamW(eps: None)", "leave it out: its default is `1e-12`"),
        (ADAM, "optimizer: AdamW(eps: Some(1e-9))", "leave `Some` out"),
        ("micro_batch: 4", "micro_batch: None", "its default is `Auto`"),
        ("batch: Constant(8)", "batch: Constant(4,096)", "`4_096`"),
        ("name: \"test\"", "name: import(\"b.ron\")", "`..import(\"b.ron\")`"),
        ("width: 32", "width: siez", "did you mean `size`, the `let` name?"),
    ] {
        let found = found(from, to);
        let [only] = found.as_slice() else { panic!("{to}: {found:#?}") };
        assert!(only.help.as_ref().is_some_and(|said| said.contains(help)), "{to}: {only:#?}");
    }
}

#[test]
fn fields_of_other_programs_are_explained_and_nothing_is_missed_for_them() {
    for (from, to, help) in [
        ("name: \"test\"", "defaults: [\"base\"]", "`..import(\"base.ron\")`"),
        ("name: \"test\"", "extends: \"b.ron\"", "`..import(\"b.ron\")`"),
        (ADAM, "optimizer: AdamW(_target_: \"torch.optim.AdamW\")", "`AdamW(..)`"),
        ("micro_batch: 4", "batch_size_ramp: 60%", "`Ramp(until: ..)`"),
    ] {
        let found = found(from, to);
        let [only] = found.as_slice() else { panic!("{to}: {found:#?}") };
        assert!(only.help.as_ref().is_some_and(|said| said.contains(help)), "{to}: {only:#?}");
    }
}

#[test]
fn of_another_file_altogether_only_that_is_said() {
    for (text, help) in [
        ("Plan(format: 1, hash: \"x\", recipe: (name: \"mine\"))", "`cramplan run FILE`"),
        ("// a\n/* b */ Plan(format: 1)", "`cramplan run FILE`"),
        ("Encoder(width: 32, depth: 2)", "`Recipe(model: Encoder(..), ..)`"),
        ("Config(hidden: 3)", "write `Recipe(..)`"),
    ] {
        let found = of(text);
        let [only] = found.as_slice() else { panic!("{text}: {found:#?}") };
        assert!(only.help.as_ref().is_some_and(|said| said.contains(help)), "{text}: {only:#?}");
    }
}

#[test]
fn a_struct_without_its_name_is_read_as_the_one_that_has_its_fields() {
    let found = found("WordPiece(vocab: 512)", "(vocab: 1)");
    let codes: Vec<_> = found.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["wrong-type", "out-of-range"]);
}

#[test]
fn braces_are_one_mistake_however_many_there_are() {
    let found = found(
        "model: Encoder(width: 32, depth: 2, heads: 4, sequence: 16, feed_forward: Glu(intermediate: 64))",
        "model: {\"width\": 1, \"biases\": {\"qkv\": true}}",
    );
    let codes: Vec<_> = found.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["syntax-unsupported", "out-of-range"], "{found:#?}");
}
