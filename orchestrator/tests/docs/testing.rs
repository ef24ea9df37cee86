//! `docs/testing.md`: the tests that it names are there.

use crate::page;

#[test]
fn every_kind_and_policy_of_the_list_names_a_test_that_is_there() {
    let page = page::text("docs/testing.md");
    let there = page::tests_there();
    assert!(there.len() > 500, "{} tests", there.len());
    let rows = page::table(&page, "## Which log holds what");
    let missing: Vec<String> = rows
        .iter()
        .flat_map(|row| page::code_words(&row[1]))
        .filter(|name| !there.contains(name))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}
