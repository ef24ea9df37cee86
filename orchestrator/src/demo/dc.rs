//! DC, who plans: lists the tree by language and says which checks make sense for it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::language::Family;
use super::tree::Tree;
use super::{Failure, Look};

/// Paths shown for each kind, the largest files first.
const LARGEST_LISTED: usize = 5;

/// What there is to audit, and how.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    root: String,
    /// SHA-256 over all paths and contents: what later steps compare with.
    fingerprint: String,
    files: usize,
    bytes: u64,
    kinds: Vec<Kind>,
    /// Task names of the checks that have something to look at: `links`, `measure`, `security`.
    checks: Vec<&'static str>,
    not_followed: usize,
    truncated: bool,
}

#[derive(Debug, Serialize)]
struct Kind {
    kind: &'static str,
    files: usize,
    bytes: u64,
    largest: Vec<String>,
}

/// Lists the tree and plans its audit.
pub(super) fn plan(look: Look) -> Result<Plan, Failure> {
    let tree = Tree::walk(&look.root)?;
    let mut by_kind: BTreeMap<&'static str, Vec<(u64, &str)>> = BTreeMap::new();
    for entry in &tree.entries {
        by_kind
            .entry(entry.language.name)
            .or_default()
            .push((entry.size, &entry.path));
    }
    let kinds = by_kind
        .into_iter()
        .map(|(kind, mut files)| {
            files.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
            Kind {
                kind,
                files: files.len(),
                bytes: files.iter().map(|(size, _)| size).sum(),
                largest: files
                    .iter()
                    .take(LARGEST_LISTED)
                    .map(|(_, path)| (*path).to_owned())
                    .collect(),
            }
        })
        .collect();
    Ok(Plan {
        fingerprint: tree.fingerprint(None)?,
        files: tree.entries.len(),
        bytes: tree.bytes(),
        kinds,
        checks: checks(&tree),
        not_followed: tree.not_followed,
        truncated: tree.truncated,
        root: look.root,
    })
}

fn checks(tree: &Tree) -> Vec<&'static str> {
    let any = |wanted: fn(&str, Family) -> bool| {
        tree.entries
            .iter()
            .any(|entry| wanted(entry.language.name, entry.language.family))
    };
    let mut checks = Vec::new();
    if any(|name, _| name == "markdown") {
        checks.push("links");
    }
    if any(|_, family| matches!(family, Family::Code | Family::Data)) {
        checks.push("measure");
    }
    if !tree.entries.is_empty() {
        checks.push("security");
    }
    checks
}

#[cfg(test)]
mod tests {
    use crate::demo::tests::{ask, make_tree};
    use serde_json::json;

    #[test]
    fn a_plan_counts_files_by_kind_and_names_the_largest_first() {
        let dir = make_tree(&[
            ("src/a.rs", "fn a() {}\n"),
            ("src/b.rs", "fn b() { a() }\n"),
            ("README.md", "# Hello\n"),
            ("LICENSE", "text"),
        ]);
        let plan = ask("dc", "audit.plan", &dir, json!({}));
        assert_eq!(plan["files"], 4);
        assert_eq!(plan["bytes"], 10 + 15 + 8 + 4);
        assert_eq!(plan["checks"], json!(["links", "measure", "security"]));
        assert_eq!(
            plan["kinds"],
            json!([
                {"kind": "markdown", "files": 1, "bytes": 8, "largest": ["README.md"]},
                {"kind": "other", "files": 1, "bytes": 4, "largest": ["LICENSE"]},
                {"kind": "rust", "files": 2, "bytes": 25, "largest": ["src/b.rs", "src/a.rs"]},
            ])
        );
    }

    #[test]
    fn checks_without_anything_to_look_at_are_not_planned() {
        let code = make_tree(&[("a.py", "x = 1\n")]);
        assert_eq!(
            ask("dc", "audit.plan", &code, json!({}))["checks"],
            json!(["measure", "security"])
        );
        let empty = make_tree(&[]);
        let plan = ask("dc", "audit.plan", &empty, json!({}));
        assert_eq!(plan["checks"], json!([]));
        assert_eq!(plan["files"], 0);
    }
}
