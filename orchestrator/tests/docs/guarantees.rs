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

/// Fails unless every test in backticks in the last cell of `rows` exists; gives how many each row names.
fn count_tests(sources: &str, rows: &[Vec<String>]) -> Vec<usize> {
    let count = |row: &Vec<String>| {
        let tests = page::code_words(&row[2]);
        for test in &tests {
            // As a function, or as a line of a macro that makes one.
            let there = sources.contains(&format!("fn {test}("))
                || sources.contains(&format!("    {test}: "));
            assert!(there, "`{test}`, which {} names, does not exist", row[0]);
        }
        tests.len()
    };
    rows.iter().map(count).collect()
}

/// The ids of the catalogue that stand in brackets at the end of a row's first cell.
fn ids(cell: &str) -> Vec<String> {
    let inside = cell.rsplit_once('(').map_or("", |(_, rest)| rest);
    let words = inside.trim_end_matches(')').split(", ");
    let is_id = |word: &&str| {
        let (letter, number) = word.split_at_checked(1).unwrap_or_default();
        "FXIN".contains(letter) && number.parse::<u32>().is_ok()
    };
    words.filter(is_id).map(str::to_owned).collect()
}

#[test]
fn every_row_of_the_catalogue_names_tests_that_exist_or_says_why_there_is_none() {
    let sources = sources();
    let faults = page::table(&page::text("docs/guarantees.md"), "## Faults");
    for (fault, tests) in faults.iter().zip(count_tests(&sources, &faults)) {
        let unshown = fault[1].starts_with("not shown here: ");
        assert_eq!(tests == 0, unshown, "{}", fault[0]);
    }
    let mut named: Vec<String> = faults.iter().flat_map(|fault| ids(&fault[0])).collect();
    let catalogue = [("F", 21), ("X", 19), ("I", 15), ("N", 16)];
    let mut all: Vec<String> = catalogue
        .into_iter()
        .flat_map(|(letter, last)| (1..=last).map(move |number| format!("{letter}{number}")))
        .collect();
    named.sort_unstable();
    all.sort_unstable();
    assert_eq!(named, all, "each row of the catalogue once");
}

#[test]
fn every_sentence_of_the_contract_and_every_exit_code_has_its_tests() {
    let sources = sources();
    let text = page::text("docs/guarantees.md");
    let kept = page::table(&text, "## What keeps it");
    for number in 1..=9 {
        let sentence = text.matches(&format!("\n- **C{number} ")).count();
        let rows = kept.iter().filter(|row| row[0] == format!("C{number}"));
        assert_eq!((sentence, rows.count()), (1, 1), "C{number}");
    }
    assert!(!count_tests(&sources, &kept).contains(&0));
    let codes = page::table(&text, "## Exit codes");
    assert!(!count_tests(&sources, &codes).contains(&0));
    let known = page::table(&page::text("docs/cli.md"), "## Exit codes");
    for code in codes {
        assert!(known.iter().any(|row| row[0] == code[0]), "{}", code[0]);
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
