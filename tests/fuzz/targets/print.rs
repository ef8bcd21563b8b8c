//! Any bytes as a recipe; see `laws::print`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::print(&String::from_utf8_lossy(bytes)));
