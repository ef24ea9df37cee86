//! `docs/guarantees.md`: the tests that it names are there.

use std::fs;
use std::path::Path;

use crate::page;

/// The text of every test in the repository.
fn sources() -> String {
    let mut text = String::new();
    let mut todo: Vec<_> = ["state", "agents", "orchestrator", "tests", "workflows"]
        .map(|package| page::repository().join(package))
        .to_vec();
    while let Some(path) = todo.pop() {
        for entry in fs::read_dir(&path).expect("a directory") {
            let path = entry.expect("an entry").path();
            let rust = |path: &Path| path.extension().is_some_and(|ending| ending == "rs");
            if path.is_dir() {
                todo.push(path);
            } else if rust(&path) {
                text.push_str(&fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    text
}

#[test]
fn every_fault_names_tests_that_exist_or_says_that_there_is_none() {
    let sources = sources();
    let text = page::text("docs/guarantees.md");
    let faults = page::table(&text, "## Faults");
    assert!(faults.len() > 20, "the table has gone");
    for fault in faults {
        let tests = page::code_words(&fault[2]);
        assert_eq!(tests.is_empty(), fault[2] == "none", "{}", fault[0]);
        for test in tests {
            // As a function, or as a line of a macro that makes one.
            let there = sources.contains(&format!("fn {test}("))
                || sources.contains(&format!("    {test}: "));
            assert!(there, "`{test}`, which {} names, does not exist", fault[0]);
        }
    }
}
