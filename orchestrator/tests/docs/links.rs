//! Every page: what it points to is there.

use std::path::{Path, PathBuf};

use crate::page;

/// The Markdown files in `folder` and below.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Where the links of a page lead, within the repository and outside of code.
fn targets(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2);
    let after = prose.flat_map(|prose| prose.split("](").skip(1));
    after
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or(target).to_owned())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

#[test]
fn what_a_page_points_to_is_there() {
    let top = page::repository();
    let mut found = vec![top.join("README.md"), top.join("ARCHITECTURE.md")];
    pages(&top.join("docs"), &mut found);
    pages(&top.join("examples"), &mut found);
    let mut missing = Vec::new();
    let mut count = 0;
    for path in found {
        let text = std::fs::read_to_string(&path).expect("a page");
        let folder = path.parent().expect("a folder");
        for target in targets(&text) {
            count += 1;
            if !folder.join(&target).exists() {
                let shown = path.strip_prefix(&top).unwrap_or(&path).display();
                missing.push(format!("{shown}: {target}"));
            }
        }
    }
    assert!(count > 10, "only {count} links were found");
    assert_eq!(missing, Vec::<String>::new());
}
