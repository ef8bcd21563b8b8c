//! Any bytes as a recipe; see `laws::parse`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::parse(&String::from_utf8_lossy(bytes)));
