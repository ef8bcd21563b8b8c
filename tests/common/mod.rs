//! Running the program from the tests.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(missing_docs, reason = "the names say it")]

pub mod draws;
pub mod generate;

use cramplan::check::Costed;
use cramplan::device::Device;
use cramplan::diag::Code;
use cramplan::pipeline::{Inputs, Read, compile};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A directory of its own for a test, with the program in it.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    /// With a recipe in `recipe.ron`.
    pub fn with(recipe: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("recipe.ron"), recipe).unwrap();
        Self { directory }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cramplan"));
        command.args(arguments).current_dir(self.path()).env("NO_COLOR", "1").env("CRAMPLAN_HOME", self.path().join("home"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs and expects success; gives stdout.
    pub fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The run directories, oldest first; one whose run was killed before it had a plan is none.
    pub fn runs(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path().join("runs")) else { return Vec::new() };
        let mut runs: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|run| run.join("plan.ron").is_file()).collect();
        runs.sort_by_key(|path| std::fs::metadata(path.join("plan.ron")).and_then(|m| m.modified()).ok());
        runs
    }
}

/// The shipped recipes, those in folders among them, in the order of their paths.
pub fn shipped() -> Vec<PathBuf> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes")];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The recipe of a text that imports nothing and must be valid.
pub fn recipe(text: &str) -> cramplan::recipe::settings::Recipe {
    costed(text, &[], machine()).recipe
}

/// A recipe's text compiled, with overrides, for a machine.
pub fn costed(text: &str, overrides: &[&str], machine: Device) -> Costed {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    let read: &mut Read<'_> = &mut |_, _| Err("no imports".into());
    let asked = Some(machine.name.clone());
    let known = cramplan::device::catalog();
    let entry = ("recipe.ron".into(), text.to_owned());
    let inputs = Inputs { entry, read, overrides: &overrides, machine, known: &known, asked };
    let compiled = compile(inputs);
    assert!(compiled.verdict.is_some(), "{text}\n{:#?}", compiled.diagnostics);
    compiled.verdict.unwrap().costed().clone()
}

/// A recipe's file compiled, with what it imports from beside it.
pub fn costed_file(path: &Path, overrides: &[&str], machine: Device) -> Costed {
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    let beside = path.parent().unwrap().to_owned();
    let read: &mut Read<'_> = &mut |import, _| {
        let name = beside.join(import);
        std::fs::read_to_string(&name).map(|text| (import.to_owned(), text)).map_err(|e| e.to_string())
    };
    let asked = Some(machine.name.clone());
    let text = std::fs::read_to_string(path).unwrap();
    let entry = (path.file_name().unwrap().to_string_lossy().into_owned(), text);
    let compiled = compile(Inputs { entry, read, overrides: &overrides, machine, known: &cramplan::device::catalog(), asked });
    assert!(compiled.verdict.is_some(), "{}\n{:#?}", path.display(), compiled.diagnostics);
    compiled.verdict.unwrap().costed().clone()
}

/// A file of JSON.
pub fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The events of a kind in a run's record.
pub fn events(run: &Path, kind: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.filter(|event| event["event"] == kind).collect()
}

/// A small recipe: `budget`, and what else is to be said at the top level.
pub fn small(budget: &str, more: &str) -> String {
    format!(
        r#"Recipe(
    name: "small",
    budget: Budget({budget}),
    data: Corpus(sources: [Synthetic(4000)], tokenizer: WordPiece(vocab: 512)),
    model: Encoder(width: 32, depth: 2, heads: 4, sequence: 32, feed_forward: Glu(intermediate: 64)),
    objective: MaskedLm(rate: 25%),
    batch: Ramp(to: 16, until: 50%),
    micro_batch: 4,
    optimizer: AdamW(clip: 0.5),
    lr: Triangle(peak: 3e-3, start: 25%, peak_at: 50%),
    {more}
)"#
    )
}

/// Codes that only a run can meet, since `check` does not look at the text; their pages have no example.
pub const RUN_ONLY: &[Code] = &[Code::BadText];

/// The code whose fixture or page this is: `wrong-type-unit` belongs to `wrong-type`.
pub fn code_of(stem: &str) -> Option<Code> {
    let belongs = |slug: &str| stem.strip_prefix(slug).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    Code::ALL.iter().copied().filter(|code| belongs(code.as_str())).max_by_key(|code| code.as_str().len())
}

/// A machine with two threads and 8 GiB, always the same.
pub fn machine() -> Device {
    use cramplan::device::{HostFacts, Sourced, cpu};
    cpu(&HostFacts {
        model: "test".into(),
        threads: 2,
        clock: None,
        avx512: false,
        halved: false,
        avx2: true,
        memory: Sourced::new(cramplan::units::Bytes::gib(8), "test"),
        caches: None,
    })
}
