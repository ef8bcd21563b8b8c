//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Compiles training recipes: what one GPU and one day can do, before you spend them.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Says whether a recipe can be run, in what memory and how long (exit code 0 if it can, 1 if not, 2 if it is no recipe)
    Check(Check),
    /// Shows the plan of a recipe, with its costs, and saves it
    Plan(Plan),
    /// Plans a recipe at every point of a grid and shows those that no other is better than (exit code 1 if none can be run)
    Sweep(Sweep),
    /// Holds a saved plan against the laws, by none of the code that planned it (exit code 0 if they hold, 1 if not, 2 if it is no plan)
    Verify(Verify),
    /// Trains: a recipe, a saved plan, or `./recipe.ron`
    Run(Run),
    /// Measures this machine, in about a minute, so that times are its own and not a data sheet's
    Probe(Probe),
    /// Puts recipes into the one style, comments in place
    Fmt(Fmt),
    /// Writes a first recipe
    Init(Init),
    /// Lists the devices that recipes and `--for` can name
    Devices(Devices),
    /// Explains a field or a choice of a recipe, or the code of a message; without a topic, lists them
    Explain(Explain),
    /// Shows learning rate and batch over the budget
    Schedule(Schedule),
    /// Serves an editor: diagnostics, completion and costs as you type (the language server protocol, on stdin and stdout)
    Lsp(Lsp),
}

/// Which recipe.
#[derive(Clone, Debug, Args)]
pub struct Choice {
    /// The recipe
    #[arg(default_value = "recipe.ron")]
    pub recipe: PathBuf,
    /// Replaces a field of the recipe, such as `model.depth=8`; can be given several times
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// Plans for another device than the recipe's or this machine's
    #[arg(long = "for", value_name = "DEVICE")]
    pub device: Option<String>,
}

/// `check`
#[derive(Debug, Args)]
pub struct Check {
    /// Which recipe.
    #[command(flatten)]
    pub choice: Choice,
    /// Prints the recipe in full instead: every field, with where its value comes from
    #[arg(long)]
    pub resolved: bool,
    /// Changes the recipe, and what it imports, where the mend of a mistake is certain; comments stay
    #[arg(long)]
    pub fix: bool,
    /// How to print the verdict
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Text for people or JSON for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// Which recipe.
    #[command(flatten)]
    pub choice: Choice,
    /// Saves the plan, to be run with `cramplan run FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Says instead what differs between two plans, each a recipe or a saved plan
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["recipe", "out"])]
    pub diff: Option<Vec<PathBuf>>,
    /// Where prepared text is kept; a saved plan states the text where it is prepared already
    #[arg(long, value_name = "DIRECTORY", default_value = ".cramplan")]
    pub cache: PathBuf,
    /// How to print the plan
    #[arg(long, value_enum, default_value_t = PlanFormat::Tree)]
    pub format: PlanFormat,
    /// Explains the peak instead: at which moment it is and who holds what, as `tree` or `json`
    #[arg(long)]
    pub explain_peak: bool,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// A tree with costs.
    #[value(alias = "text")]
    Tree,
    /// Everything, for programs.
    Json,
    /// The stages as a graph for Graphviz.
    Dot,
    /// A picture of memory over time.
    Svg,
    /// Trace events for Perfetto and `chrome://tracing`.
    ChromeTrace,
}

/// `sweep`
#[derive(Debug, Args)]
pub struct Sweep {
    /// Which recipe.
    #[command(flatten)]
    pub choice: Choice,
    /// Varies a field or a `let` name: `model.depth=4..24`, `model.depth=4..24..4` (both ends and a step), `model.width=256,512`
    #[arg(long, value_name = "PATH=VALUES", required = true)]
    pub vary: Vec<String>,
    /// Prints every point, not only the front
    #[arg(long)]
    pub all: bool,
    /// How to print the points
    #[arg(long, value_enum, default_value_t = SweepFormat::Text)]
    pub format: SweepFormat,
}

/// How a sweep is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SweepFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// `verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// The plan, saved with `cramplan plan --out`
    pub file: PathBuf,
    /// How to print what came of it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `run`
#[derive(Debug, Args)]
pub struct Run {
    /// The recipe, or a plan saved with `cramplan plan --out`
    #[arg(default_value = "recipe.ron")]
    pub recipe: PathBuf,
    /// Replaces a field of the recipe, such as `budget.time=10min`; can be given several times
    #[arg(long, value_name = "PATH=VALUE")]
    pub set: Vec<String>,
    /// What to run on: `auto`, `cpu`, `cuda` or `cuda:INDEX`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// Does three real micro-steps, and holds them against the plan
    #[arg(long)]
    pub dry: bool,
    /// Goes on with the run in this directory from its newest checkpoint
    #[arg(long, value_name = "RUN", conflicts_with_all = ["recipe", "dry", "replay", "set", "runs"])]
    pub resume: Option<PathBuf>,
    /// Does the run in this directory over again, step by step as it was recorded, and compares
    #[arg(long, value_name = "RUN", conflicts_with_all = ["recipe", "dry", "set"])]
    pub replay: Option<PathBuf>,
    /// Where runs are recorded
    #[arg(long, value_name = "DIRECTORY", default_value = "runs")]
    pub runs: PathBuf,
    /// Where prepared text is kept
    #[arg(long, value_name = "DIRECTORY", default_value = ".cramplan")]
    pub cache: PathBuf,
}

/// `probe`
#[derive(Debug, Args)]
pub struct Probe {
    /// What to measure: `auto`, `cpu`, `cuda` or `cuda:INDEX`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: String,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `fmt`
#[derive(Debug, Args)]
pub struct Fmt {
    /// The recipes; `-` formats stdin to stdout
    #[arg(default_value = "recipe.ron")]
    pub files: Vec<PathBuf>,
    /// Changes nothing; prints the names of files that are not formatted (exit code 1 if there are any)
    #[arg(long)]
    pub check: bool,
    /// Changes nothing; prints what would change
    #[arg(long)]
    pub diff: bool,
}

/// `init`
#[derive(Debug, Args)]
pub struct Init {
    /// Where to write the recipe
    #[arg(default_value = "recipe.ron")]
    pub path: PathBuf,
}

/// `devices`
#[derive(Debug, Args)]
pub struct Devices {
    /// Shows this one alone, with where each of its numbers comes from
    pub name: Option<String>,
    /// Prints a file with an entry for a card of your own, and where it goes
    #[arg(long, conflicts_with_all = ["name", "format"])]
    pub example: bool,
    /// How to print the list
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// A field such as `model.width`, a choice such as `Triangle`, or a code such as `unknown-field`
    pub topic: Option<String>,
    /// Prints the reference page of the language, Markdown
    #[arg(long, conflicts_with_all = ["topic", "json_schema", "format"])]
    pub reference: bool,
    /// Prints the JSON Schema of a recipe without units, arithmetic, `let` and imports
    #[arg(long, conflicts_with_all = ["topic", "format"])]
    pub json_schema: bool,
    /// How to print the explanation
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `schedule`
#[derive(Debug, Args)]
pub struct Schedule {
    /// Which recipe.
    #[command(flatten)]
    pub choice: Choice,
    /// How many points of the budget to show, both ends included
    #[arg(long, value_name = "N", default_value_t = 21, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub points: u32,
    /// How to print the curves
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `lsp`
#[derive(Debug, Args)]
pub struct Lsp {
    /// Plans for another device than the recipe's or this machine's
    #[arg(long = "for", value_name = "DEVICE")]
    pub device: Option<String>,
}
