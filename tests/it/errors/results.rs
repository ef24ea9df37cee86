//! Results that a step does not take.

use std::collections::BTreeMap;

use phisync_tests::process::{Journal, Server, Worker};
use serde_json::{Value, json};

use super::{COUNT, project};

#[test]
fn a_result_that_breaks_the_schema_is_refused_and_the_attempt_stays_open() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "strict", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let dc = owner.clone().acting_as("DC");
    let polled = dc
        .post("/v1/tasks/poll", &json!({ "wait_s": 5 }))
        .expect(200);
    let token = polled["tasks"][0]["token"].clone();
    let complete = |output: Value| {
        let body = json!({ "token": token, "output": output });
        dc.post("/v1/tasks/strict.count/complete", &body)
    };

    let refused = complete(json!({ "total": -3, "unit": "pages" }));
    assert_eq!(refused.refusal(), (422, "schema.output"));
    let diagnostics = serde_json::to_string_pretty(&refused.body["diagnostics"]).expect("JSON");
    insta::assert_snapshot!(diagnostics, @r#"
    [
      {
        "path": "output.total",
        "message": "-3 is below the minimum of 0"
      },
      {
        "path": "output.unit",
        "message": "expected `words`, found `pages`"
      }
    ]
    "#);

    let alive = dc.post(
        "/v1/tasks/strict.count/heartbeat",
        &json!({ "token": token }),
    );
    assert_eq!(
        alive.status, 200,
        "the attempt is still ours: {}",
        alive.body
    );
    let _seq = complete(json!({ "total": 3, "unit": "words" })).expect(200);
    let outcome = owner.get("/v1/runs/strict/wait?timeout_s=30").expect(200);
    assert_eq!(outcome["outputs"], json!({ "total": 3 }));
    server.stop();
    let completed = Journal::read(&project).count_by_task("task_completed");
    assert_eq!(completed, BTreeMap::from([("strict.count".to_owned(), 1)]));
}

#[test]
fn a_command_whose_result_breaks_the_schema_fails_its_step() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "strict", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let worker = Worker::start(&project, "DC", &["--once"], r#"echo '{"total": "three"}'"#);
    let outcome = owner.get("/v1/runs/strict/wait?timeout_s=30").expect(200);
    assert_eq!(outcome["status"], "failed");
    assert_eq!(outcome["error"]["code"], "schema.output");
    let message = outcome["error"]["message"].as_str().expect("a message");
    assert!(message.contains("total"), "{message}");
    let said = worker.process.finish();
    assert!(
        said.stderr.contains("0 completed, 1 failed"),
        "{}",
        said.stderr
    );
    server.stop();
}

#[test]
fn a_command_that_gives_no_json_fails_its_step_and_says_so() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "talk", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let _worker = Worker::start(&project, "DC", &["--once"], "echo three words");
    let outcome = owner.get("/v1/runs/talk/wait?timeout_s=30").expect(200);
    assert_eq!(outcome["error"]["code"], "task.failed");
    let message = outcome["error"]["message"].as_str().expect("a message");
    assert!(message.contains("JSON"), "{message}");
    server.stop();
}
