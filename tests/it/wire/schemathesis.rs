//! The API under a tool that reads its description and tries what that allows and what it forbids.
//!
//! schemathesis is no part of a Rust toolchain: `tests/clients/prepare` installs it. Without it this test says
//! that it was skipped; in CI it fails.

use std::process::Command;

use phisync_tests::process::{Child, Project, Server, client, client_file};

const TEAM: &str = "
phisync: 1
agents:
  WEBC: {}
people:
  dana: { roles: [editor] }
";

/// It tries every operation with a wrong token, more often than a server lets pass.
const SETTINGS: &str = "[limits]\nwrong_tokens = 100000\n";

/// What is looked for. A request that fits the description may still be refused: no schema says that a text is
/// a workflow.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,negative_data_rejection,\
                      missing_required_header,unsupported_method,allow_header_conformance,ignored_auth";

#[test]
fn whatever_is_sent_the_answer_is_one_that_the_description_knows() {
    let Some(program) = client("python/bin/schemathesis") else {
        return;
    };
    let project = Project::new([("agents.yaml", TEAM), ("phisync.toml", SETTINGS)]);
    let server = Server::start(&project);
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(format!("{}/openapi.json", server.url))
        .args([
            "--header",
            &format!("Authorization: Bearer {}", project.admin_token()),
        ])
        .args(["--header", "Phisync-Agent: WEBC"])
        .args(["--phases", "coverage,fuzzing", "--checks", CHECKS])
        .args(["--max-examples", "10", "--seed", "7", "--max-time", "40"])
        .args(["--no-shrink", "--continue-on-failure", "--warnings", "off"])
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", client_file(""))
        .current_dir(project.root());
    let said = Child::start(command, b"").finish();
    assert_eq!(said.code, Some(0), "{}\n{}", said.stdout, said.stderr);
    let well = server.owner(&project).get("/healthz").expect(200);
    assert_eq!(well["status"], "ok");
    server.stop();
}
