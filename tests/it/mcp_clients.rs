//! The server of the Model Context Protocol under the protocol's own clients and its conformance suite.
//!
//! They are not part of a Rust toolchain: `tests/clients/prepare` installs them. Without it these tests say that
//! they were skipped; in CI they fail.

use std::path::Path;
use std::process::Command;

use phisync_tests::process::{Child, Project, Server, binary, client, client_file};
use serde_json::json;

const TEAM: &str = "phisync: 1\nagents:\n  WEBC: {}\n";

const WORKFLOW: &str = r#"
workflow: page
steps:
  - id: fetch
    prompt: Fetch it.
    assign: WEBC
    output: { type: object, required: [title], properties: { title: { type: string } } }
"#;

/// A server with `tasks` runs of one task each.
fn open(tasks: usize) -> (Project, Server) {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    for number in 1..=tasks {
        let start = json!({ "definition": WORKFLOW, "id": format!("p{number}") });
        let _started = owner.post("/v1/runs", &start).expect(201);
    }
    (project, server)
}

fn speaker(project: &Project, server: &Server, program: &Path, script: &str) -> Command {
    let mut command = Command::new(program);
    command
        .arg(client_file(script))
        .arg(binary())
        .arg(&server.url)
        .arg(project.admin_token())
        .current_dir(project.root());
    command
}

#[test]
fn the_python_client_does_tasks_in_both_generations_of_the_protocol() {
    let Some(python) = client("python/bin/python") else {
        return;
    };
    let (project, server) = open(4);
    let command = speaker(&project, &server, &python, "mcp_client.py");
    let said = Child::start(command, b"").finish().expect_code(0);
    assert_eq!(
        said,
        "pipes 2026-07-28 p1.fetch\nhttp 2026-07-28 p2.fetch\n\
         pipes 2025-11-25 p3.fetch\nhttp 2025-11-25 p4.fetch\n"
    );
}

#[test]
fn the_typescript_client_does_tasks_on_both_ways() {
    let (Some(node), Some(modules)) = (
        client("node/node_modules/.bin/node"),
        client("node/node_modules"),
    ) else {
        return;
    };
    let (project, server) = open(2);
    let mut command = speaker(&project, &server, &node, "mcp_client.mjs");
    command.env("PHISYNC_NODE_MODULES", modules);
    let said = Child::start(command, b"").finish().expect_code(0);
    assert_eq!(said, "pipes p1.fetch\nhttp p2.fetch\n");
}

#[test]
fn the_scenarios_of_the_conformance_suite_that_apply_pass() {
    let (Some(node), Some(suite)) = (
        client("node/node_modules/.bin/node"),
        client("node/node_modules/.bin/conformance"),
    ) else {
        return;
    };
    let (project, server) = open(0);
    let mut proxy = Command::new(&node);
    proxy
        .arg(client_file("with_token.mjs"))
        .args([&server.url, &project.admin_token(), "WEBC"]);
    let proxy = Child::start(proxy, b"");
    let port = proxy.stdout_line(|_| true);
    let mut conformance = Command::new(&node);
    conformance
        .arg(suite)
        .args([
            "server",
            "--url",
            &format!("http://127.0.0.1:{}/mcp", port.trim()),
        ])
        .arg("--expected-failures")
        .arg(client_file("conformance.yaml"))
        .current_dir(project.root());
    let said = Child::start(conformance, b"").finish().expect_code(0);
    assert!(said.contains("server-initialize: 1 passed"), "{said}");
}
