//! Any bytes as an override and a recipe; see `laws::set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::set(&String::from_utf8_lossy(bytes)));
