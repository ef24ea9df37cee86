//! Requests that nobody may make, or nobody can understand.

use phisync_tests::process::{Http, Server};
use serde_json::{Value, json};

use super::{COUNT, WRONG, head, project};

#[test]
fn strangers_and_strange_requests_are_refused_without_effect() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let nobody = owner.clone().with("authorization", "");
    let forger = owner.clone().with("authorization", "Bearer phs_00_00");
    let address = server.address().to_string();
    let before = head(&owner);
    let json = Some("application/json");
    let large = vec![b' '; (1 << 20) + 1];
    let evil = owner.clone().with("host", "evil.example");
    let page = owner.clone().with("origin", "http://evil.example");
    let sandbox = owner.clone().with("origin", "null");
    let cases = [
        (nobody.get("/v1/runs"), 401, "unauthorized"),
        (forger.get("/v1/runs"), 401, "unauthorized"),
        (nobody.post("/v1/runs", &json!({})), 401, "unauthorized"),
        (evil.get("/healthz"), 403, "wrong_door"),
        (evil.get("/v1/runs"), 403, "wrong_door"),
        (page.get("/healthz"), 403, "wrong_door"),
        (page.post("/v1/runs", &json!({})), 403, "wrong_door"),
        (sandbox.get("/v1/runs"), 403, "wrong_door"),
        (owner.get("/v1/nothing"), 404, "no_route"),
        (owner.get("/v1/runs/nobody"), 404, "not_found"),
        (
            owner.send("DELETE", "/v1/runs", None, b""),
            405,
            "no_method",
        ),
        (
            owner.send("POST", "/v1/runs", Some("text/plain"), b"{}"),
            415,
            "media_type",
        ),
        (
            owner.send("POST", "/v1/runs", None, b"{}"),
            415,
            "media_type",
        ),
        (
            owner.send("POST", "/v1/runs", json, b"{"),
            400,
            "bad_request",
        ),
        (
            owner.send("POST", "/v1/runs", json, b"\xff"),
            400,
            "bad_request",
        ),
        (
            owner.post("/v1/runs", &json!({ "workfow": "count" })),
            400,
            "bad_request",
        ),
        (owner.post("/v1/runs", &json!({})), 422, "bad_request"),
        (
            owner.post("/v1/runs", &json!({ "definition": WRONG })),
            422,
            "invalid_workflow",
        ),
        (
            owner.post("/v1/runs", &json!({ "definition": COUNT })),
            422,
            "schema.input",
        ),
        (
            owner.send("POST", "/v1/runs", json, &large),
            413,
            "too_large",
        ),
        (
            owner
                .clone()
                .acting_as("stranger")
                .post("/v1/tasks/poll", &json!({})),
            404,
            "not_found",
        ),
    ];
    for (number, (reply, status, code)) in cases.iter().enumerate() {
        assert_eq!(
            reply.refusal(),
            (*status, *code),
            "case {number}: {}",
            reply.body
        );
    }
    assert_eq!(head(&owner), before);
    let ours = owner.clone().with("origin", &format!("http://{address}"));
    assert_eq!(ours.get("/healthz").status, 200);
    server.stop();
}

#[test]
fn nobody_does_what_is_for_others_to_do() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let token = |body: Value| {
        let created = owner.post("/v1/tokens", &body).expect(201);
        Http::new(&server.url, created["token"].as_str().expect("a token"))
    };
    let dc = token(json!({ "role": "agent", "name": "DC" }));
    let webc = token(json!({ "role": "agent", "name": "WEBC" }));
    let viewer = token(json!({ "role": "viewer" }));
    let start = json!({ "definition": COUNT, "id": "mine", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let polled = dc.post("/v1/tasks/poll", &json!({})).expect(200);
    let held = polled["tasks"][0]["token"].clone();
    let complete = json!({ "token": held, "output": { "total": 3, "unit": "words" } });
    let path = "/v1/tasks/mine.count";

    let refused = [
        webc.post(&format!("{path}/complete"), &complete),
        webc.post(&format!("{path}/heartbeat"), &json!({ "token": held })),
        webc.post(&format!("{path}/release"), &json!({ "token": held })),
        webc.post(
            &format!("{path}/fail"),
            &json!({ "token": held, "code": "app.x", "message": "x" }),
        ),
        webc.clone()
            .acting_as("dc")
            .post(&format!("{path}/complete"), &complete),
        dc.post("/v1/runs", &start),
        dc.post("/v1/runs/mine/cancel", &json!({})),
        dc.get("/v1/tokens"),
        viewer.post("/v1/runs/mine/cancel", &json!({})),
        viewer.post("/v1/tasks/poll", &json!({})),
        viewer.post("/v1/tokens", &json!({ "role": "admin" })),
    ];
    for (number, reply) in refused.iter().enumerate() {
        assert_eq!(reply.refusal().0, 403, "case {number}: {}", reply.body);
    }
    assert_eq!(viewer.get("/v1/runs/mine").expect(200)["status"], "running");
    let _seq = dc.post(&format!("{path}/complete"), &complete).expect(200);
    assert_eq!(
        viewer.get("/v1/runs/mine").expect(200)["status"],
        "completed"
    );
    server.stop();
}
