//! The program: the library's command line, with a heap that knows its peak.

use std::process::ExitCode;

use cramplan::cli::{Host, main as cramplan};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    cramplan::heap::keep_big_buffers();
    let host =
        Host { heap: || HEAP.current_usage(), heap_peak: || HEAP.peak_usage(), reset_heap_peak: || HEAP.reset_peak_usage() };
    cramplan(std::env::args_os(), host).into()
}
