//! What goes wrong is said clearly, has its own exit code or status, and changes nothing.

mod commands;
mod journal;
mod requests;
mod results;
mod secrets;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use phisync_tests::process::{Http, Project};
use serde_json::Value;

const TEAM: &str = "
phisync: 1
agents:
  DC:   { capabilities: [count] }
  WEBC: { capabilities: [count] }
";

/// A team that `exec` can start.
const CREW: &str = "
phisync: 1
agents:
  DC: { command: [cat] }
";

const COUNT: &str = r#"
phisync: 1
workflow: count
version: "1.0.0"
inputs:
  words: { type: integer, minimum: 1 }
outputs: { total: "${{ steps.count.output.total }}" }
steps:
  - id: count
    task: text.count
    assign: DC
    input: { words: "${{ inputs.words }}" }
    output:
      type: object
      required: [total, unit]
      properties: { total: { type: integer, minimum: 0 }, unit: { enum: [words] } }
    effects: none
"#;

const WRONG: &str = "\
phisync: 1
workflow: Bad Name
version: 1
inputs:
  count: { type: intger }
outputs:
  total: ${{ steps.sum.output.total }}
steps:
  - id: first
    task: bad.first
    assign: NOBODY
    needs: second
    input: { pages: \"${{ inputs.cuont }}\" }
    timeouts: { lease: 1s }
  - id: second
    task: bad.second
    needs: first
    retry: { max_attempts: 0 }
  - id: third
    foreach: { items: [1] }
    unknown_key: 1
";

fn project() -> Project {
    Project::new([
        ("agents.yaml", TEAM),
        ("crew.yaml", CREW),
        ("count.yaml", COUNT),
        ("wrong.yaml", WRONG),
    ])
}

/// Every file below `directory` but those of the lock, which say who held it last.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let of_lock = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("lock"));
            if path.is_dir() {
                open.push(path);
            } else if !of_lock {
                let bytes = fs::read(&path).expect("a file");
                found.insert(path, bytes);
            }
        }
    }
    found
}

fn head(server: &Http) -> Value {
    let health = server.get("/healthz").expect(200);
    health["head_seq"].clone()
}
