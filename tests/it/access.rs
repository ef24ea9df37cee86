//! Tokens that end while the server runs, and callers who ask for too much.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use phisync_tests::process::{Http, PATIENCE, Project, Server, eventually};
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

#[test]
fn a_poll_that_waits_when_its_token_ends_brings_no_task() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let work = "workflow: w\nsteps:\n  - { id: a, prompt: x, assign: WEBC }\n";
    let work = json!({ "definition": work, "id": "r" });
    for verb in ["rotate", "revoke"] {
        let made = owner.post("/v1/tokens", &json!({ "role": "agent", "name": "WEBC" }));
        let made = made.expect(201);
        let agent = Http::new(&server.url, made["token"].as_str().expect("a token"));
        let id = made["id"].as_str().expect("an id");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| agent.post("/v1/tasks/poll", &json!({ "wait_s": 60 })));
            waits(&owner, "webc");
            let ended = owner.post(&format!("/v1/tokens/{id}/{verb}"), &json!({}));
            assert!(ended.status < 300, "{}", ended.body);
            assert_eq!(waiting.join().expect("an answer").status, 204, "{verb}");
        });
        let again = agent.post("/v1/tasks/poll", &json!({ "wait_s": 60 }));
        assert_eq!(again.refusal(), (401, "unauthorized"));
    }
    let _started = owner.post("/v1/runs", &work).expect(201);
    let task = owner.get("/v1/tasks/r.a").expect(200);
    assert_eq!(task["status"], "ready", "nobody was given it: {task}");
}

/// Until a poll in the name of `agent` waits.
fn waits(owner: &Http, agent: &str) {
    eventually("a poll waits", || {
        let agent = owner.get(&format!("/v1/agents/{agent}")).expect(200);
        (agent["waits"] == true).then_some(())
    });
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

#[test]
fn how_much_may_be_asked_for_at_once_is_a_setting() {
    let settings = "[limits]\nrequests_per_token = 1\n";
    let project = Project::new([("agents.yaml", TEAM), ("phisync.toml", settings)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let made = owner.post("/v1/tokens", &json!({ "role": "agent", "name": "WEBC" }));
    let made = made.expect(201);
    let agent = Http::new(&server.url, made["token"].as_str().expect("a token"));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| agent.post("/v1/tasks/poll", &json!({ "wait_s": 60 })));
        waits(&owner, "webc");
        let one_more = agent.get("/v1/me");
        assert_eq!(one_more.refusal(), (429, "too_many_requests"));
        let start = json!({ "definition": "workflow: w\nsteps:\n  - { id: a, prompt: x, assign: WEBC }\n" });
        let _started = owner.post("/v1/runs", &start).expect(201);
        let _task = waiting.join().expect("an answer").expect(200);
    });
    let _again = agent.get("/v1/me").expect(200);
}

#[test]
fn whoever_comes_when_all_connections_are_taken_waits_until_one_ends() {
    let project = Project::new([("phisync.toml", "[limits]\nconnections = 1\n")]);
    let server = Server::start(&project);
    let ask = |stream: &mut TcpStream| {
        let host = server.address();
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("written");
    };
    let open = || {
        let stream = TcpStream::connect(server.address()).expect("a server");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream
    };
    let answered = |stream: &mut TcpStream| {
        let mut said = [0; 4096];
        let length = stream.read(&mut said).expect("an answer");
        assert!(said[..length].starts_with(b"HTTP/1.1 200"));
    };
    let (mut first, mut second) = (open(), open());
    ask(&mut first);
    answered(&mut first);
    ask(&mut second);
    ask(&mut first);
    answered(&mut first);
    second.set_nonblocking(true).expect("a mode");
    let silence = second.read(&mut [0; 1]).expect_err("nobody listens yet");
    assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    second.set_nonblocking(false).expect("a mode");
    drop(first);
    answered(&mut second);
}
