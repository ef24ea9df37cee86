//! Real `files` steps: two trees that change as one, conflicts, killed servers.

use phisync_tests::process::{Http, Journal, Project, Server, eventually};
use serde_json::{Value, json};

const SETTINGS: &str = "[serve.roots]\napi = \"api\"\nweb = \"repos/web\"\n";

const WORKFLOW: &str = r#"
phisync: 1
workflow: rename-model
version: "1.0.0"
inputs:
  old: { type: string, default: "struct Old;\n" }
timeout: 1h
steps:
  - id: change
    files:
      participants:
        server: { root: api }
        client: { root: repos/web/src }
      changes:
        - { in: server, path: model.rs, op: write, content: "struct Model;\n", expect: { sha256: "${{ sha256(inputs.old) }}" } }
        - { in: client, path: "new.ts", op: write, content: "export {};\n", mode: "755", expect: { exists: false } }
        - { in: client, path: old.ts, op: delete, expect: { exists: true } }
    compensate: none
outputs:
  files: ${{ steps.change.output.files }}
"#;

fn project() -> Project {
    Project::new([
        ("phisync.toml", SETTINGS),
        ("api/model.rs", "struct Old;\n"),
        ("repos/web/src/old.ts", "old\n"),
        ("rename.yaml", WORKFLOW),
    ])
}

fn start(owner: &Http, project: &Project, id: &str, inputs: &Value) -> Value {
    let text = std::fs::read_to_string(project.path("rename.yaml")).expect("the workflow");
    let request = json!({ "definition": text, "id": id, "inputs": inputs });
    owner.post("/v1/runs", &request).expect(201)
}

fn ended(owner: &Http, id: &str) -> Value {
    eventually("the end of the run", || {
        let run = owner.get(&format!("/v1/runs/{id}")).expect(200);
        (run["status"] != "running").then_some(run)
    })
}

fn is_changed(project: &Project) -> bool {
    let model = std::fs::read_to_string(project.path("api/model.rs")).expect("the model");
    let new = project.path("repos/web/src/new.ts").exists();
    let old = project.path("repos/web/src/old.ts").exists();
    match (model.as_str(), new, old) {
        ("struct Old;\n", false, true) => false,
        ("struct Model;\n", true, false) => true,
        half => panic!("half changed: {half:?}"),
    }
}

#[test]
fn both_trees_change_and_the_step_says_what_was_there_before() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    start(&owner, &project, "r1", &json!({}));
    let run = ended(&owner, "r1");
    assert_eq!(run["status"], "completed", "{run}");
    assert!(is_changed(&project));
    let files = run["outputs"]["files"].as_array().expect("a list");
    let named: Vec<_> = files
        .iter()
        .map(|file| {
            let there = |key: &str| file[key].is_string();
            (
                file["in"].as_str().expect("a tree"),
                file["path"].as_str().expect("a path"),
                there("before"),
                there("after"),
            )
        })
        .collect();
    assert_eq!(
        named,
        [
            ("server", "model.rs", true, true),
            ("client", "new.ts", false, true),
            ("client", "old.ts", true, false),
        ]
    );
    server.stop();
}

#[test]
fn a_conflict_fails_the_step_and_nothing_changes() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    start(&owner, &project, "r1", &json!({ "old": "somebody else's" }));
    let run = ended(&owner, "r1");
    assert_eq!(run["status"], "failed", "{run}");
    assert_eq!(run["error"]["code"], "files.conflict", "{run}");
    assert!(!is_changed(&project));
    server.stop();
}

#[test]
fn a_folder_outside_of_the_declared_roots_is_refused() {
    let project = project();
    project.write("secret/x", "mine\n");
    let text = WORKFLOW.replace("root: api", "root: secret");
    project.write("rename.yaml", &text);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    start(&owner, &project, "r1", &json!({}));
    let run = ended(&owner, "r1");
    assert_eq!(run["error"]["code"], "files.prepare", "{run}");
    assert!(!is_changed(&project));
    server.stop();
}

#[test]
fn a_kill_at_any_moment_ends_with_a_completed_run_and_whole_trees() {
    for moment in ["files_wanted", "began", "files_decided", "swept"] {
        let project = project();
        let server = Server::start(&project);
        let address = server.address();
        start(&server.owner(&project), &project, "r1", &json!({}));
        eventually(moment, || {
            let journal = Journal::read(&project);
            journal.named(moment).next().is_some().then_some(())
        });
        server.kill();
        let server = Server::again(&project, address);
        let run = ended(&server.owner(&project), "r1");
        assert_eq!(run["status"], "completed", "killed after {moment}: {run}");
        assert!(is_changed(&project), "killed after {moment}");
        let left = std::fs::read_dir(project.path("api")).expect("the tree");
        assert_eq!(left.count(), 1, "nothing else lies about");
        server.stop();
    }
}

/// The workflow with a step after the change that fails.
fn undone(compensate: &str) -> String {
    let last = "  - { id: check, needs: change, fail: { code: app.no, message: it does not build } }\noutputs:";
    let text = WORKFLOW.replace("outputs:", last);
    text.replace("    compensate: none\n", compensate)
}

#[test]
fn a_run_that_fails_later_puts_both_trees_back() {
    for compensate in ["", "    compensate: revert\n"] {
        let project = project();
        project.write("rename.yaml", &undone(compensate));
        let server = Server::start(&project);
        let owner = server.owner(&project);
        start(&owner, &project, "r1", &json!({}));
        let run = ended(&owner, "r1");
        assert_eq!(run["status"], "failed", "{run}");
        assert_eq!(run["undo"], "done", "{run}");
        assert!(!is_changed(&project));
        let old = std::fs::read_to_string(project.path("repos/web/src/old.ts"));
        assert_eq!(old.expect("it is back"), "old\n");
        server.stop();
    }
}

#[test]
fn what_somebody_changed_since_is_not_put_back_but_an_incident() {
    let project = project();
    let text = undone("").replace(
        "  - { id: check, needs: change,",
        "  - { id: look, needs: change, wait: 30m }\n  - { id: check, needs: look,",
    );
    project.write("rename.yaml", &text);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    start(&owner, &project, "r1", &json!({}));
    eventually("the change", || is_changed_yet(&project).then_some(()));
    project.write("api/model.rs", "struct Mine;\n");
    let _cancelled = owner
        .post("/v1/runs/r1/cancel", &json!({ "reason": "enough" }))
        .expect(200);
    let incident = eventually("the incident", || {
        let incidents = owner.get("/v1/incidents").expect(200);
        incidents["incidents"].get(0).cloned()
    });
    assert_eq!(incident["id"], "r1.change", "{incident}");
    let model = std::fs::read_to_string(project.path("api/model.rs")).expect("the model");
    assert_eq!(model, "struct Mine;\n");
    assert!(
        !project.path("repos/web/src/old.ts").exists(),
        "all or none"
    );
    server.stop();
}

fn is_changed_yet(project: &Project) -> bool {
    let model = std::fs::read_to_string(project.path("api/model.rs")).expect("the model");
    let old = project.path("repos/web/src/old.ts").exists();
    model == "struct Model;\n" && !old
}

#[test]
fn exec_changes_files_below_the_current_directory() {
    let project = project();
    project.write("phisync.toml", "");
    let said = project.run(&["exec", "rename.yaml"]).expect_code(0);
    assert!(said.contains("model.rs"), "{said}");
    assert!(is_changed(&project));
}
