//! Pages of other sites, requests that two servers would read differently, and conversations under somebody
//! else's name.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use phisync_tests::process::{Http, PATIENCE, Project, Server};
use serde_json::json;

const TEAM: &str = "phisync: 1\nagents:\n  WEBC: {}\n";

#[test]
fn no_route_answers_under_another_name_or_to_another_sites_page() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let document = owner.get("/openapi.json").expect(200);
    let paths = document["paths"].as_object().expect("paths");
    let port = server.address().port();
    let doors = [
        ("host", "evil.example".to_owned()),
        ("host", format!("evil.example:{port}")),
        ("host", "127.0.0.1".to_owned()),
        ("origin", "null".to_owned()),
        ("origin", "http://evil.example".to_owned()),
        ("origin", format!("https://127.0.0.1:{port}")),
    ];
    for (name, value) in &doors {
        let stranger = owner.clone().with(name, value);
        for (path, operations) in paths {
            let target = path.replace("{id}", "r.s").replace("{name}", "w");
            for method in operations.as_object().expect("operations").keys() {
                let method = method.to_ascii_uppercase();
                let reply = stranger.send(&method, &target, Some("application/json"), b"{}");
                assert_eq!(
                    reply.refusal(),
                    (403, "wrong_door"),
                    "{name}: {value} {method} {path}"
                );
            }
        }
        let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
        let reply = stranger.post("/mcp", &list);
        assert_eq!(reply.refusal(), (403, "wrong_door"), "{name}: {value} /mcp");
    }
}

#[test]
fn the_id_of_a_session_is_nobodys_identity() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let made = owner
        .post("/v1/tokens", &json!({ "role": "viewer" }))
        .expect(201);
    let viewer = Http::new(&server.url, made["token"].as_str().expect("a token"));
    let speaks = |http: Http| {
        let http = http.with("accept", "application/json, text/event-stream");
        http.with("mcp-protocol-version", "2025-11-25")
    };
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let names = |http: &Http| {
        let answer = http.post("/mcp", &list).expect(200);
        let tools = answer["result"]["tools"].as_array().expect("tools").iter();
        tools
            .map(|tool| tool["name"].to_string())
            .collect::<Vec<_>>()
    };
    let session = ("mcp-session-id", "the-owners");
    let owners = speaks(owner.clone()).with(session.0, session.1);
    let thief = speaks(viewer.clone()).with(session.0, session.1);
    assert!(names(&owners).len() > names(&thief).len());
    assert_eq!(names(&thief), names(&speaks(viewer)));
    let nobody = speaks(owner)
        .with("authorization", "")
        .with(session.0, session.1);
    assert_eq!(nobody.post("/mcp", &list).refusal(), (401, "unauthorized"));
}

#[test]
fn a_request_with_two_lengths_is_no_request() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let host = server.address();
    let token = project.admin_token();
    let known = || server.owner(&project).get("/v1/tokens").expect(200);
    let before = known();
    let smuggled = format!(
        "POST /v1/tokens HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{{\"role\":\"viewer\"}}"
    );
    let framings = [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked, identity\r\n",
        "Content-Length: +2\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    ];
    for framing in framings {
        let mut stream = TcpStream::connect(host).expect("a server");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let request =
            format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n{{}}{smuggled}");
        // The server may close before all is written.
        let _written = stream.write_all(request.as_bytes());
        let mut said = String::new();
        let _read = stream.read_to_string(&mut said);
        assert!(said.starts_with("HTTP/1.1 400"), "{framing}: {said}");
        assert_eq!(said.matches("HTTP/1.1").count(), 1, "{framing}: {said}");
    }
    assert_eq!(known(), before);
}
