//! The command line: one file a verb. Only this stage talks to the user, reads the environment and knows exit codes.

mod arguments;
mod calibration;
mod cards;
mod check;
mod devices;
mod explain;
mod fix;
mod fmt;
mod init;
mod inventory;
mod lsp;
mod own_devices;
mod plan;
#[cfg(feature = "exec")]
mod probe;
mod render;
#[cfg(feature = "exec")]
mod run;
mod schedule;
#[cfg(feature = "exec")]
mod screen;
mod sweep;
mod verdict;
mod verify;
mod world;

pub use world::machine;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser as _;

use self::arguments::{Arguments, Verb};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; for `check`, feasible; for `fmt --check`, formatted.
    Success = 0,
    /// A valid recipe that cannot be run as it stands; for `fmt --check`, one that is not formatted; for `verify`, a law that is broken.
    Infeasible = 1,
    /// Not a valid recipe, or wrong usage.
    Invalid = 2,
    /// A run that failed, or output that could not be written.
    Failed = 3,
    /// A bug.
    Internal = 4,
    /// Interrupted, with everything saved.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What the process around the library gives it.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Bytes on the heap now.
    pub heap: fn() -> usize,
    /// Peak of the heap since the last reset, bytes.
    pub heap_peak: fn() -> usize,
    /// Begins to count the peak anew.
    pub reset_heap_peak: fn(),
}

/// Runs the command line; the result is the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>, host: Host) -> Exit {
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match Arguments::try_parse_from(arguments) {
        Ok(arguments) => {
            let exit = dispatch(arguments, host);
            if OUTPUT_LOST.load(Ordering::Relaxed) { Exit::Failed } else { exit }
        }
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() { Exit::Invalid } else { Exit::Success }
        }
    }));
    outcome.unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        complain(&format!("a bug in cramplan: {}", message.unwrap_or("a panic without a message")));
        complain("please report it with the recipe and the command");
        Exit::Internal
    })
}

fn dispatch(arguments: Arguments, host: Host) -> Exit {
    match arguments.verb {
        Verb::Check(options) => check::check(&options),
        Verb::Plan(options) => plan::plan(&options),
        Verb::Sweep(options) => sweep::sweep(&options),
        Verb::Verify(options) => verify::verify(&options),
        #[cfg(feature = "exec")]
        Verb::Run(options) => run::run(&options, host),
        #[cfg(feature = "exec")]
        Verb::Probe(options) => probe::probe(&options, host),
        #[cfg(not(feature = "exec"))]
        Verb::Run(_) | Verb::Probe(_) => {
            let _ = host;
            complain("this `cramplan` was built without an executor");
            complain("build it with `cargo build --release`, without `--no-default-features`");
            Exit::Invalid
        }
        Verb::Fmt(options) => fmt::fmt(&options),
        Verb::Init(options) => init::init(&options),
        Verb::Devices(options) => devices::devices(&options),
        Verb::Explain(options) => explain::explain(&options),
        Verb::Schedule(options) => schedule::schedule(&options),
        Verb::Lsp(options) => lsp::lsp(&options),
    }
}

/// Whether something that was to be printed was not.
static OUTPUT_LOST: AtomicBool = AtomicBool::new(false);

/// Prints data: a verdict, a plan, JSON.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(end.as_bytes())).and_then(|()| out.flush());
    // A reader that went away (`cramplan plan | head`) is no error of ours; a full disk is one.
    if let Err(error) = written.as_ref().map_err(std::io::Error::kind)
        && error != std::io::ErrorKind::BrokenPipe
    {
        complain(&format!("the output cannot be written: {error}"));
        OUTPUT_LOST.store(true, Ordering::Relaxed);
    }
}

/// Says something to the user.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Says what is wrong.
fn complain(text: &str) {
    say(&format!("error: {text}"));
}

/// Says a way out.
#[cfg(feature = "exec")]
fn hint(text: &str) {
    say(&format!("help: {text}"));
}

/// JSON, for a program to read.
fn print_json(value: &serde_json::Value) {
    print(&serde_json::to_string_pretty(value).unwrap_or_default());
}
