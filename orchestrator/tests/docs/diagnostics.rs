//! `docs/diagnostics.md`: every code of the compiler, with how bad it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use phisync_workflows::diagnostic::CATALOGUE;
use phisync_workflows::diff::compare;
use phisync_workflows::{Catalog, CatalogAgent, CatalogPerson, SourceText, compile};

use crate::page;

const PAGE: &str = "docs/diagnostics.md";

/// Code, severities and subject of every line.
fn listed() -> Vec<(String, String, String)> {
    let page = page::text(PAGE);
    let lines = page.lines().filter(|line| line.starts_with("| PHI"));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect());
    cells
        .map(|cells: Vec<&str>| match cells[..] {
            [code, severity, subject, _] => {
                (code.to_owned(), severity.to_owned(), subject.to_owned())
            }
            _ => panic!("a line of {PAGE} has other columns: {cells:?}"),
        })
        .collect()
}

#[test]
fn the_page_lists_every_code_of_the_catalogue_with_its_subject() {
    let listed: Vec<(String, String)> = listed()
        .into_iter()
        .map(|(code, _, subject)| (code, subject))
        .collect();
    let catalogue: Vec<(String, String)> = CATALOGUE
        .iter()
        .map(|info| (info.code.to_owned(), info.subject.to_owned()))
        .collect();
    let only_in = |these: &[(String, String)], those: &[(String, String)]| {
        let only = these.iter().filter(|line| !those.contains(line));
        only.cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        only_in(&catalogue, &listed),
        [],
        "the catalogue alone has these"
    );
    assert_eq!(only_in(&listed, &catalogue), [], "the page alone has these");
    assert!(listed == catalogue, "the page has another order");
}

/// The registry of the compiler's own fixtures.
fn team() -> Catalog {
    let agent = |name: &str, capabilities: &[&str], concurrency| CatalogAgent {
        name: name.to_owned(),
        capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
        pool: "default".to_owned(),
        concurrency,
    };
    Catalog {
        agents: vec![
            agent("DC", &["research", "write", "plan"], 2),
            agent("VSSC", &["code", "review", "test"], 2),
            agent("KALIC", &["security", "pentest"], 1),
            agent("WEBC", &["research", "web", "write", "review"], 3),
            agent("CMDC", &["shell", "deploy", "report"], 1),
            agent("IDLE", &["idle"], 0),
        ],
        workflows: Some(Vec::new()),
        people: vec![CatalogPerson {
            name: "dana".to_owned(),
            roles: vec!["editor".to_owned(), "security-lead".to_owned()],
        }],
    }
}

#[test]
fn a_code_is_as_bad_as_the_page_says() {
    let mut seen: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    let folder = page::repository().join("workflows/tests/fixtures/invalid");
    for entry in fs::read_dir(folder).expect("the fixtures are there") {
        let path = entry.expect("the folder can be listed").path();
        let text = String::from_utf8_lossy(&fs::read(&path).expect("a fixture")).into_owned();
        let compiled = compile(&SourceText::new("fixture", text), Some(&team()));
        for found in compiled.diagnostics {
            let severities = seen.entry(found.code.to_owned()).or_default();
            severities.insert(found.severity.name());
        }
    }
    let folder = page::repository().join("workflows/tests/fixtures/diff");
    for entry in fs::read_dir(folder).expect("the fixtures are there") {
        let path = entry.expect("the folder can be listed").path();
        let text = fs::read_to_string(&path).expect("a fixture");
        let (old, new) = text.split_once("---\n").expect("two documents");
        let compared = compare(&SourceText::new("old", old), &SourceText::new("new", new));
        let compared = compared.expect("both are workflows");
        for found in compared.gone.iter().chain(&compared.found) {
            let severities = seen.entry(found.code.to_owned()).or_default();
            severities.insert(found.severity.name());
        }
    }
    for (code, severity, _) in listed() {
        let told: BTreeSet<&str> = severity.split(", ").collect();
        let found = seen.remove(&code).unwrap_or_default();
        assert_eq!(told, found, "{code}");
    }
}
