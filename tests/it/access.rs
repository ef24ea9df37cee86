//! Tokens that end while the server runs, and callers who ask for too much.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use phisync_tests::process::{Http, Project, Server};
use serde_json::json;

const TEAM: &str = "phisync: 1\nagents:\n  WEBC: {}\n";

#[test]
fn a_revoked_a_rotated_and_an_expired_token_are_good_no_more_without_a_restart() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let make = |request| {
        let made = owner.post("/v1/tokens", &request).expect(201);
        let word = |name: &str| made[name].as_str().expect("a word").to_owned();
        (word("id"), Http::new(&server.url, &word("token")))
    };
    let (id, viewer) = make(json!({ "role": "viewer" }));
    let _runs = viewer.get("/v1/runs").expect(200);
    let rotated = owner
        .post(&format!("/v1/tokens/{id}/rotate"), &json!({}))
        .expect(200);
    let _refused = viewer.get("/v1/runs").expect(401);
    let successor = Http::new(&server.url, rotated["token"].as_str().expect("a token"));
    let _runs = successor.get("/v1/runs").expect(200);
    let id = rotated["id"].as_str().expect("an id");
    let _gone = owner
        .post(&format!("/v1/tokens/{id}/revoke"), &json!({}))
        .expect(204);
    let _refused = successor.get("/v1/runs").expect(401);
    let _unknown = owner
        .post(&format!("/v1/tokens/{id}/revoke"), &json!({}))
        .expect(404);

    let (_, expired) = make(json!({ "role": "agent", "name": "WEBC", "expires_in_s": 0 }));
    let _refused = expired.get("/v1/runs").expect(401);

    // The owner's own token, too: the command line finds the new one by itself.
    let list = project
        .run(&["token", "rotate", &owner_id(&project)])
        .expect_code(0);
    let _refused = owner.get("/v1/runs").expect(401);
    assert_eq!(list.trim(), project.admin_token());
    let _tokens = project.run(&["token", "list"]).expect_code(0);
}

fn owner_id(project: &Project) -> String {
    let token = project.admin_token();
    let parts: Vec<_> = token.splitn(3, '_').collect();
    format!("{}_{}", parts[0], parts[1])
}

#[test]
fn guessing_tokens_gets_slow_and_good_tokens_pass_all_the_same() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let wrong = Http::new(&server.url, "phs_00000000_guess");
    let mut statuses: Vec<_> = (0..40).map(|_| wrong.get("/v1/runs").status).collect();
    statuses.dedup();
    assert_eq!(statuses, [401, 429]);
    let _runs = server.owner(&project).get("/v1/runs").expect(200);
}

#[test]
fn headers_longer_than_allowed_are_refused() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let mut stream = TcpStream::connect(server.address()).expect("a server");
    let long = "x".repeat(20 << 10);
    let request = format!(
        "GET /healthz HTTP/1.1\r\nHost: {}\r\nX-Long: {long}\r\n\r\n",
        server.address()
    );
    // The server may close before all is written.
    let _written = stream.write_all(request.as_bytes());
    let mut answer = String::new();
    let _read = stream.read_to_string(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
}
