//! Every console block of the README is run and compared.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and show what it sees")]

#[test]
fn the_readme_is_true() {
    trycmd::TestCases::new().case("README.md");
}
