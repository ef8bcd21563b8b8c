//! Every console block of the README is run and compared.

#[test]
fn the_readme_is_true() {
    trycmd::TestCases::new().case("README.md");
}
