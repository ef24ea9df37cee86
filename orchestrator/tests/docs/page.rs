//! A page as the tests see it: fenced blocks, tables, and parts that a program writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The top of the repository.
pub(crate) fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("a member of a workspace")
        .to_owned()
}

/// The text of a page, by its path from the top.
pub(crate) fn text(path: &str) -> String {
    let full = repository().join(path);
    fs::read_to_string(&full).unwrap_or_else(|cause| panic!("{}: {cause}", full.display()))
}

/// A fenced block.
pub(crate) struct Block {
    /// What stands after the opening fence.
    pub(crate) info: String,
    /// The lines between the fences.
    pub(crate) text: String,
    /// The line of the opening fence, from 1.
    pub(crate) line: usize,
}

/// All fenced blocks of a page, in order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(page.lines()) {
        let Some(info) = line.strip_prefix("```") else {
            if let Some(block) = &mut open {
                block.text.push_str(line);
                block.text.push('\n');
            }
            continue;
        };
        match open.take() {
            Some(block) => blocks.push(block),
            None => {
                open = Some(Block {
                    info: info.trim().to_owned(),
                    text: String::new(),
                    line: number,
                });
            }
        }
    }
    assert!(open.is_none(), "the last block is not closed");
    blocks
}

/// The cells of the table below the heading `heading`, without its two header lines.
pub(crate) fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let mut lines = page.lines();
    assert!(
        lines.any(|line| line == heading),
        "there is no heading `{heading}`"
    );
    let rows = lines
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "there is no table below `{heading}`");
    rows
}

/// The cells of a line; `\|` is a plain `|`.
fn cells(line: &str) -> Vec<String> {
    let line = line.replace("\\|", "\u{0}");
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    let cells = inner.split('|');
    cells
        .map(|cell| cell.trim().replace('\u{0}', "|"))
        .collect()
}

/// The words in backticks in a text.
pub(crate) fn code_words(text: &str) -> Vec<String> {
    let inside = text.split('`').skip(1).step_by(2);
    inside.map(str::to_owned).collect()
}

/// Holds the part of a page between `<!-- generated: NAME -->` and `<!-- end -->` against what the
/// program writes, or puts that there if asked to.
pub(crate) fn generated(path: &str, name: &str, expected: &str) {
    let page = text(path);
    let start = format!("<!-- generated: {name} -->\n");
    let (before, rest) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("{path} has no part `{name}`"));
    let (found, after) = rest
        .split_once("<!-- end -->\n")
        .unwrap_or_else(|| panic!("the part `{name}` of {path} has no end"));
    if found == expected {
        return;
    }
    if std::env::var_os("PHISYNC_UPDATE_DOCS").is_some() {
        let whole = format!("{before}{start}{expected}<!-- end -->\n{after}");
        fs::write(repository().join(path), whole).expect("the page can be written");
        return;
    }
    let lines = found.lines().zip(expected.lines());
    let first = lines
        .enumerate()
        .find(|(_, (found, expected))| found != expected);
    let first = first.map_or_else(
        || "one is longer than the other".to_owned(),
        |(_, (found, expected))| {
            format!("it says\n  {found}\nwhere the program says\n  {expected}")
        },
    );
    panic!(
        "{path} is not what the program says: {first}\n\
         to update it: PHISYNC_UPDATE_DOCS=1 cargo test -p phisync --test docs"
    );
}

/// The names of all tests of the repository, so that a page can be held to those that it names.
pub(crate) fn tests_there() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![repository()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|cause| panic!("{folder:?}: {cause}"));
        for entry in entries {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                names.extend(tests_of(&text));
            }
        }
    }
    names
}

/// The functions of a text that an attribute makes tests.
fn tests_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        is_test |= line.ends_with("test]") && line.starts_with("#[");
        let function = ["fn ", "async fn "]
            .iter()
            .find_map(|key| line.strip_prefix(key));
        let Some(function) = function else { continue };
        if std::mem::take(&mut is_test) {
            found.extend(function.split('(').next().map(str::to_owned));
        }
    }
    found
}
