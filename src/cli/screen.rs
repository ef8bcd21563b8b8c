//! What a person sees while a run goes on.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Host, say, world};
use crate::exec::job::{Observed, Status, Watch};
use crate::plan::view::trace::Heap;
use crate::units::{Bytes, Seconds, Tokens};

/// A second Ctrl-C counts when it comes this long after the first.
const INSISTING: Duration = Duration::from_secs(1);

/// Time between two plain lines.
const LINES: Duration = Duration::from_secs(5);

/// A progress bar on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub struct Screen {
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
    interrupted: Arc<AtomicBool>,
    host: Host,
    /// Heap when the observation of memory began: the program and the text, which the plan's tensors stand on.
    heap_before: usize,
    /// Highest heap of the observation up to the last look at it.
    heap_highest: Cell<usize>,
}

impl Screen {
    /// Begins; from now on the first Ctrl-C asks the run to stop and a second one ends the program at once.
    pub fn new(host: Host) -> Self {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        let mut first: Option<Instant> = None;
        // Where no handler can be set, Ctrl-C ends the program as usual, and the last checkpoint is what remains.
        let _ = ctrlc::set_handler(move || {
            flag.store(true, Ordering::SeqCst);
            // Some shells and tools send one request twice; that is not insisting.
            if first.get_or_insert_with(Instant::now).elapsed() > INSISTING {
                end_at_once();
            }
        });
        let bar = std::io::stderr().is_terminal().then(bar);
        Self { bar, last_line: None, interrupted, host, heap_before: 0, heap_highest: Cell::new(0) }
    }

    /// Clears the progress bar.
    pub fn close(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Shows how far the preparation of the text is.
    pub fn preparing(&mut self, what: &str, share: f64) {
        match &self.bar {
            Some(bar) => {
                bar.set_position((share * 1000.0) as u64);
                bar.set_message(what.to_owned());
            }
            None => self.line(what),
        }
    }

    fn line(&mut self, text: &str) {
        let now = Instant::now();
        if self.last_line.is_none_or(|last| now - last >= LINES) {
            self.last_line = Some(now);
            say(text);
        }
    }
}

#[allow(clippy::exit, reason = "the user insists; checkpoints are whole at every instant")]
fn end_at_once() {
    std::process::exit(130);
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24.cyan/dim} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(style.progress_chars("█▉▊▋▌▍▎▏ "));
    bar
}

fn message(s: &Status) -> String {
    let mut parts = vec![format!("{:5.1} %", s.progress * 100.0), s.phase.to_owned(), format!("step {}", s.step)];
    if s.micro.1 > 1 {
        parts.push(format!("{}/{}", s.micro.0, s.micro.1));
    }
    if let Some(loss) = s.loss {
        parts.push(format!("loss {loss:.3}"));
    }
    if let Some(loss) = s.mask_loss {
        parts.push(format!("valid {loss:.3}"));
    }
    parts.push(format!("{} tok/s", Tokens(s.tokens_per_second as u64)));
    parts.push(format!("lr {:.2e}", s.rate));
    parts.push(format!("batch {}", s.batch));
    if let (_, Some(left)) = s.seconds {
        parts.push(format!("{} left", Seconds(left.max(0.0))));
    }
    parts.join(" · ")
}

impl Watch for Screen {
    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    fn status(&mut self, status: &Status) {
        let text = message(status);
        if let Some(bar) = &self.bar {
            bar.set_position((status.progress * 1000.0) as u64);
            bar.set_message(text);
        } else {
            self.line(text.trim_start());
        }
    }

    fn say(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    fn reset_memory(&mut self) {
        self.heap_before = (self.host.heap)();
        self.heap_highest.set(0);
        (self.host.reset_heap_peak)();
        world::reset_resident_peak();
    }

    fn memory(&self) -> Observed {
        let heap = (self.host.heap_peak)().max(self.heap_highest.get()).saturating_sub(self.heap_before);
        Observed { heap: Some(Bytes(heap as u64)), resident: world::resident_peak() }
    }

    fn heap(&self) -> Option<Heap> {
        let peak = (self.host.heap_peak)();
        self.heap_highest.set(self.heap_highest.get().max(peak));
        (self.host.reset_heap_peak)();
        let above = |heap: usize| Bytes(heap.saturating_sub(self.heap_before) as u64);
        Some(Heap { during: above(peak), after: above((self.host.heap)()) })
    }

    fn now(&self) -> String {
        jiff::Timestamp::now().to_string()
    }
}
