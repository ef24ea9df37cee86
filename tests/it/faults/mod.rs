//! The faults of the catalogue (docs/guarantees.md) with the real binary: torn batches, missing descriptors,
//! disks that turn read-only, damaged files, other users, readers that stand still.

#[cfg(target_os = "linux")]
mod descriptors;
mod flips;
#[cfg(target_os = "linux")]
mod mounts;
mod places;
#[cfg(target_os = "linux")]
mod readers;
#[cfg(target_os = "linux")]
mod syncs;
#[cfg(target_os = "linux")]
mod torn;
mod users;
mod views;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use phisync_tests::process::{Http, Project};
use serde_json::{Value, json};

/// `idle` never polls: runs stay open.
const TEAM: &str = "phisync: 1\nagents:\n  idle: { capabilities: [nothing] }\n";

const WORKFLOW: &str = "\
phisync: 1
workflow: hold
version: \"1.0.0\"
inputs:
  text: { type: string, default: \"\" }
steps:
  - { id: keep, task: nobody.does, assign: { capabilities: [nothing] } }
";

fn project() -> Project {
    Project::new([("agents.yaml", TEAM), ("hold.yaml", WORKFLOW)])
}

/// Registers the workflow.
fn register(owner: &Http) {
    let yaml = Some("application/yaml");
    let reply = owner.send("POST", "/v1/workflows", yaml, WORKFLOW.as_bytes());
    assert_eq!(reply.status, 201, "{}", reply.body);
}

/// Starts a run under a name.
fn start(owner: &Http, id: &str) {
    let request = json!({ "workflow": "hold", "id": id });
    let _started = owner.post("/v1/runs", &request).expect(201);
}

/// The names of all runs, sorted.
fn runs(owner: &Http) -> Vec<String> {
    let list = owner.get("/v1/runs?limit=1000").expect(200);
    let list = list["runs"].as_array().expect("a list").iter();
    let name = |run: &Value| run["id"].as_str().expect("a name").to_owned();
    let mut names: Vec<String> = list.map(name).collect();
    names.sort_unstable();
    names
}

/// Copies a directory with everything below it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    let mode = fs::metadata(from).expect("it is there").permissions();
    fs::set_permissions(to, mode).expect("a mode");
    for entry in fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => drop(fs::copy(&path, to.join(name)).expect("a file")),
        }
    }
}

/// Whether the system lets this test do what `script` tries; if not, says so and the test is left out.
fn may(what: &str, script: &str) -> bool {
    let tried = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: {what} is not allowed or not there (`{script}` fails)");
    }
    may
}
