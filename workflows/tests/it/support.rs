//! The registry that all fixtures are checked against, and the fixtures themselves.

use std::fs;
use std::path::Path;

use phisync_workflows::expr::Type;
use phisync_workflows::{
    Catalog, CatalogAgent, CatalogPerson, CatalogWorkflow, Compiled, Interface, SourceText, compile,
};

/// The team of the language's reference, one agent that takes no tasks, and one workflow that is
/// deployed.
pub(crate) fn team() -> Catalog {
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
        workflows: Some(vec![CatalogWorkflow {
            name: "report".to_owned(),
            version: "1.4.0".to_owned(),
            interface: Interface {
                inputs: Vec::new(),
                output: Type::object([("text", Type::String)]),
            },
        }]),
        people: vec![CatalogPerson {
            name: "dana".to_owned(),
            roles: vec!["editor".to_owned(), "security-lead".to_owned()],
        }],
    }
}

/// A fixture's file name and text.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// All fixtures of a kind (`valid`, `invalid`), sorted by name.
pub(crate) fn fixtures(kind: &str) -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(kind);
    let mut fixtures: Vec<Fixture> = fs::read_dir(folder)
        .expect("the fixtures are there")
        .map(|entry| {
            let entry = entry.expect("the folder can be listed");
            Fixture {
                name: entry
                    .file_name()
                    .into_string()
                    .expect("fixture names are ASCII"),
                text: fs::read_to_string(entry.path()).expect("fixtures are UTF-8"),
            }
        })
        .collect();
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!fixtures.is_empty(), "no {kind} fixtures");
    fixtures
}

pub(crate) fn compile_text(text: &str) -> Compiled {
    compile(&SourceText::new("test.yaml", text), Some(&team()))
}

/// The codes found in a text, in order.
pub(crate) fn codes(text: &str) -> Vec<&'static str> {
    compile_text(text)
        .diagnostics
        .iter()
        .map(|d| d.code)
        .collect()
}

/// The files of a name (`workflow`, `agents`) below the repository's examples, sorted by folder.
pub(crate) fn examples(stem: &str) -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut found: Vec<Fixture> = fs::read_dir(folder)
        .expect("the examples are there")
        .filter_map(|entry| {
            let example = entry.expect("the folder can be listed");
            let text = fs::read_to_string(example.path().join(format!("{stem}.yaml"))).ok()?;
            let name = example.file_name().into_string().expect("ASCII names");
            Some(Fixture { name, text })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!found.is_empty(), "no {stem} of an example");
    found
}
