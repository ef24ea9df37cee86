//! VSSC, who reads code: measures it by language, and says whether the tree stayed as it was.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::language::Family;
use super::tree::{Content, Entry, Tree};
use super::{Failure, Look, source};

/// The measures of a tree.
#[derive(Debug, Serialize)]
pub(super) struct Measures {
    #[serde(flatten)]
    total: Counts,
    languages: Vec<LanguageMeasures>,
    /// Files too large or not readable: none of the counts has them.
    unread: usize,
}

/// Programs and data; prose is not measured.
#[derive(Debug, Default, Serialize)]
struct Counts {
    files: usize,
    lines: usize,
    code: usize,
    comment: usize,
    blank: usize,
    tests: usize,
    /// Words in comments that promise later work.
    todos: usize,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.code += other.code;
        self.comment += other.comment;
        self.blank += other.blank;
        self.tests += other.tests;
        self.todos += other.todos;
    }
}

#[derive(Debug, Default, Serialize)]
struct LanguageMeasures {
    language: &'static str,
    #[serde(flatten)]
    counts: Counts,
    longest_file: Option<LongFile>,
    longest_function: Option<LongFunction>,
}

#[derive(Debug, Serialize)]
struct LongFile {
    path: String,
    lines: usize,
}

#[derive(Debug, Serialize)]
struct LongFunction {
    path: String,
    line: usize,
    name: String,
    lines: usize,
}

/// Measures every program and data file below the root.
pub(super) fn measure(look: Look) -> Result<Measures, Failure> {
    let tree = Tree::walk(&look.root)?;
    let mut by_language: BTreeMap<&'static str, LanguageMeasures> = BTreeMap::new();
    let mut unread = 0;
    tree.read(|entry, content| {
        if !matches!(entry.language.family, Family::Code | Family::Data) {
            return;
        }
        match content {
            Content::Text(text) => by_language
                .entry(entry.language.name)
                .or_default()
                .add(entry, text),
            Content::Unread => unread += 1,
            Content::Binary(_) => {}
        }
    })?;
    let mut total = Counts::default();
    for language in by_language.values() {
        total.add(&language.counts);
    }
    Ok(Measures {
        total,
        languages: by_language.into_values().collect(),
        unread,
    })
}

impl LanguageMeasures {
    fn add(&mut self, entry: &Entry, text: &str) {
        let language = entry.language;
        let masked = source::mask(text, language);
        let counts = count(text, &masked, language.begins_test);
        self.language = language.name;
        // Files come in the order of their paths: of two equally long ones the first stays.
        if self
            .longest_file
            .as_ref()
            .is_none_or(|longest| counts.lines > longest.lines)
        {
            self.longest_file = Some(LongFile {
                path: entry.path.clone(),
                lines: counts.lines,
            });
        }
        for function in source::functions(&masked.code, language) {
            if self
                .longest_function
                .as_ref()
                .is_none_or(|longest| function.lines > longest.lines)
            {
                self.longest_function = Some(LongFunction {
                    path: entry.path.clone(),
                    line: function.line,
                    name: function.name,
                    lines: function.lines,
                });
            }
        }
        self.counts.add(&counts);
    }
}

fn count(text: &str, masked: &source::Masked, begins_test: fn(&str) -> bool) -> Counts {
    let mut counts = Counts {
        files: 1,
        ..Counts::default()
    };
    for (line, code) in text.lines().zip(masked.code.lines()) {
        counts.lines += 1;
        if line.trim().is_empty() {
            counts.blank += 1;
        } else if code.trim().is_empty() {
            counts.comment += 1;
        } else {
            counts.code += 1;
            counts.tests += usize::from(begins_test(code.trim()));
        }
    }
    counts.todos = ["TODO", "FIXME"]
        .iter()
        .map(|word| source::words(&masked.comments, word).count())
        .sum();
    counts
}

/// What the tree should still be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectation {
    root: String,
    /// As the plan gave it.
    fingerprint: String,
    /// One file that may have come since, relative to the current directory: the report.
    #[serde(default)]
    except: Option<PathBuf>,
}

/// A tree found as it was planned.
#[derive(Debug, Serialize)]
pub(super) struct Settled {
    fingerprint: String,
}

/// Confirms that the tree is still the one that was planned.
///
/// # Errors
/// `transient.tree_changed` if it is not: an editor's temporary file goes away by itself, so looking
/// again may help.
pub(super) fn settle(expected: Expectation) -> Result<Settled, Failure> {
    let tree = Tree::walk(&expected.root)?;
    let fingerprint = tree.fingerprint(expected.except.as_deref())?;
    if fingerprint != expected.fingerprint {
        return Err(Failure::passing(
            "transient.tree_changed",
            format!(
                "the tree changed since it was planned: its fingerprint begins with `{}`, not with `{}`",
                beginning(&fingerprint),
                beginning(&expected.fingerprint)
            ),
        ));
    }
    Ok(Settled { fingerprint })
}

/// Enough of a fingerprint to tell two apart by eye.
fn beginning(fingerprint: &str) -> &str {
    fingerprint.get(..12).unwrap_or(fingerprint)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use crate::demo::tests::{ask, make_tree, refused};

    #[test]
    fn lines_are_code_comment_or_blank() {
        let dir = make_tree(&[(
            "src/lib.rs",
            "//! Doc.\n\nfn f() { // with code\n    /* TODO: one\n       FIXME */\n    g(\"TODO in a string\");\n}\n\n#[test]\nfn t() {}\n",
        )]);
        let measures = ask("vssc", "audit.measure", &dir, json!({}));
        assert_eq!(
            measures,
            json!({
                "files": 1, "lines": 10, "code": 5, "comment": 3, "blank": 2, "tests": 1, "todos": 2,
                "languages": [{
                    "language": "rust",
                    "files": 1, "lines": 10, "code": 5, "comment": 3, "blank": 2, "tests": 1, "todos": 2,
                    "longest_file": {"path": "src/lib.rs", "lines": 10},
                    "longest_function": {"path": "src/lib.rs", "line": 3, "name": "f", "lines": 5},
                }],
                "unread": 0,
            })
        );
    }

    #[test]
    fn languages_are_measured_apart_and_prose_not_at_all() {
        let dir = make_tree(&[
            ("a.py", "# one\ndef test_a():\n    return 1\n"),
            ("b.sh", "#!/bin/sh\necho a # b\n"),
            ("c.yaml", "a: 1\n"),
            ("README.md", "# A\n"),
            ("blob.rs", "\0"),
        ]);
        let measures = ask("vssc", "audit.measure", &dir, json!({}));
        let rows: Vec<String> = measures["languages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                format!(
                    "{} {} {} {}",
                    row["language"].as_str().unwrap(),
                    row["code"],
                    row["comment"],
                    row["tests"]
                )
            })
            .collect();
        assert_eq!(rows, ["python 2 1 1", "shell 1 1 0", "yaml 1 0 0"]);
    }

    #[test]
    fn of_two_equally_long_files_the_first_by_path_is_named() {
        let dir = make_tree(&[("b.rs", "a\n"), ("a.rs", "b\n")]);
        let measures = ask("vssc", "audit.measure", &dir, json!({}));
        assert_eq!(measures["languages"][0]["longest_file"]["path"], "a.rs");
    }

    #[test]
    fn a_tree_settles_only_as_it_was_planned() {
        let dir = make_tree(&[("a.txt", "one")]);
        let plan = ask("dc", "audit.plan", &dir, json!({}));
        let expected = json!({"fingerprint": plan["fingerprint"]});
        let settled = ask("vssc", "audit.settle", &dir, expected.clone());
        assert_eq!(settled["fingerprint"], plan["fingerprint"]);

        let swap = dir.path().join(".a.txt.swp");
        fs::write(&swap, "").unwrap();
        let failure = refused("vssc", "audit.settle", &dir, expected.clone());
        assert_eq!(failure.code, "transient.tree_changed");
        assert_eq!(failure.exit, 75);
        let planned = plan["fingerprint"].as_str().unwrap();
        let told = format!("not with `{}`", &planned[..12]);
        assert!(failure.message.ends_with(&told), "{}", failure.message);

        let excepted = json!({"fingerprint": plan["fingerprint"], "except": swap});
        ask("vssc", "audit.settle", &dir, excepted);

        fs::remove_file(&swap).unwrap();
        ask("vssc", "audit.settle", &dir, expected);
    }
}
