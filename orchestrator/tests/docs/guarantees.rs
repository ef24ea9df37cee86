//! `docs/guarantees.md` and `docs/testing.md`: the tests that they name are there.

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

#[test]
fn every_kind_and_policy_names_a_test_that_holds_a_log() {
    let sources = sources();
    let rows = page::table(&page::text("docs/testing.md"), "## Which log holds what");
    assert!(rows.len() >= 30, "the table has gone");
    for row in rows {
        let tests = page::code_words(&row[1]);
        assert_eq!(tests.len(), 1, "{}", row[0]);
        for test in tests {
            let start = sources.find(&format!("fn {test}("));
            let start = start.unwrap_or_else(|| panic!("`{test}`, of {}, does not exist", row[0]));
            let body = sources[start..].split("\n}\n").next().unwrap_or_default();
            assert!(body.contains("assert_snapshot!("), "`{test}` holds no log");
        }
    }
}
