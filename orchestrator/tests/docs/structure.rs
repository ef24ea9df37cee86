//! `ARCHITECTURE.md` held against the sources: what it names is there, and what it says of who knows
//! whom is so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::page;

const PAGE: &str = "ARCHITECTURE.md";
const CRATES: [&str; 5] = ["workflows", "state", "agents", "orchestrator", "tests"];

/// Modules in which the same input gives the same answer: nothing of the system may be named there.
const PURE: [&str; 7] = [
    "workflows/src",
    "agents/src/assignment",
    "agents/src/detector",
    "orchestrator/src/engine",
    "orchestrator/src/schedule",
    "orchestrator/src/timer",
    "orchestrator/src/coordinator",
];

/// What reaches outside of the process, or asks it for the time.
const SYSTEM: [&str; 8] = [
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "tokio",
    "SystemTime",
    "Instant::",
    "env::Os",
];

/// The Rust files in `folder` and below, from the top of the repository.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![page::repository().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a source")
}

/// The path as the repository knows it.
fn shown(path: &Path) -> String {
    let top = page::repository();
    let path = path.strip_prefix(top).unwrap_or(path);
    path.display().to_string()
}

/// The code of a file, without its comments and its tests.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = code.lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Where a name of the page may lie: below the top, below the sources of a crate, or beside what the same line
/// named before.
fn is_there(name: &str, before: &mut Vec<PathBuf>) -> bool {
    let top = page::repository();
    let mut bases = vec![top.clone()];
    bases.extend(CRATES.map(|package| top.join(package).join("src")));
    let beside = before.iter().flat_map(|path| path.ancestors());
    bases.extend(beside.map(Path::to_owned));
    let found = bases
        .iter()
        .map(|base| base.join(name))
        .find(|path| path.exists());
    before.extend(found.clone());
    found.is_some()
}

#[test]
fn every_file_and_folder_that_the_page_names_is_there() {
    let (mut missing, mut count) = (Vec::new(), 0);
    for line in page::text(PAGE)
        .lines()
        .filter(|line| !line.starts_with("```"))
    {
        let mut before = Vec::new();
        for name in page::code_words(line) {
            let is_path =
                name.ends_with(".rs") || name.contains('/') && !name.contains(['*', ' ', ':']);
            if is_path && !name.starts_with('/') {
                count += 1;
                if !is_there(&name, &mut before) {
                    missing.push(name);
                }
            }
        }
    }
    assert!(count > 60, "only {count} paths were found");
    assert_eq!(missing, Vec::<String>::new());
}

/// The modules of the orchestrator by line, those that know most first.
fn layers() -> Vec<Vec<String>> {
    let page = page::text(PAGE);
    let blocks = page::blocks(&page);
    let block = blocks.iter().find(|block| block.info == "text layers");
    let lines = block.expect("the order of the modules").text.lines();
    let words = lines.map(|line| line.split("  ").next().unwrap_or_default());
    words
        .map(|line| line.split(", ").map(str::to_owned).collect())
        .collect()
}

#[test]
fn every_module_of_the_orchestrator_knows_only_those_below_it() {
    let layers = layers();
    let rank = |module: &str| {
        layers
            .iter()
            .position(|line| line.iter().any(|m| m == module))
    };
    let (mut wrong, mut modules, mut arrows) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let root = page::repository().join("orchestrator/src");
    for path in sources("orchestrator/src") {
        let below = path.strip_prefix(&root).expect("below the sources");
        let first = below.iter().next().and_then(|part| part.to_str());
        let module = first.unwrap_or_default().trim_end_matches(".rs").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(own) = rank(&module) else {
            wrong.push(format!("{module} does not stand on the page"));
            continue;
        };
        let text = code(&read(&path));
        let named = ["crate::", "phisync::"].map(|from| text.split(from).skip(1));
        for rest in named.into_iter().flatten() {
            let rest = rest.trim_start_matches('{');
            let word = rest
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .next();
            let word = word.unwrap_or_default();
            if word == module {
                continue;
            }
            if let Some(other) = rank(word) {
                arrows.insert((module.clone(), word.to_owned()));
                if other <= own {
                    wrong.push(format!("{} names {word}", shown(&path)));
                }
            }
        }
        modules.insert(module);
    }
    let listed: BTreeSet<_> = layers.into_iter().flatten().collect();
    assert_eq!(
        modules, listed,
        "the page names other modules than there are"
    );
    assert!(arrows.len() > 20, "only {} arrows were found", arrows.len());
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_crate_knows_only_those_that_the_page_lets_it_know() {
    let allowed: [(&str, &[&str]); 4] = [
        ("workflows", &[]),
        ("state", &[]),
        ("agents", &["phisync-state"]),
        (
            "orchestrator",
            &["phisync-workflows", "phisync-state", "phisync-agents"],
        ),
    ];
    for (package, may) in allowed {
        let manifest = page::text(&format!("{package}/Cargo.toml"));
        let lines = manifest.lines().filter(|line| line.starts_with("phisync"));
        let known = lines.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default());
        let known: Vec<&str> = known.collect();
        assert_eq!(known, may, "{package}");
    }
}

#[test]
fn nothing_of_the_system_is_named_where_the_page_says_pure() {
    let mut found = Vec::new();
    for path in PURE.iter().flat_map(|folder| sources(folder)) {
        let shown = shown(&path);
        if shown.contains("/tests") {
            continue;
        }
        let text = code(&read(&path));
        let named = SYSTEM.iter().filter(|word| text.contains(**word));
        found.extend(named.map(|word| format!("{shown}: {word}")));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_source_says_first_what_it_is_for() {
    let folders = CRATES.iter().flat_map(|package| sources(package));
    let silent: Vec<String> = folders
        .filter(|path| !read(path).starts_with("//! "))
        .map(|path| shown(&path))
        .collect();
    assert_eq!(silent, Vec::<String>::new());
}
