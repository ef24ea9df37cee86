//! Sockets that begin a request and do not go on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use phisync_tests::process::{PATIENCE, Project, Server};
use serde_json::json;

const TEAM: &str = "phisync: 1\nagents:\n  WEBC: {}\n";

const WORKFLOW: &str = "workflow: page\nsteps: [{ id: fetch, prompt: Fetch it., assign: WEBC }]\n";

const SLOW: usize = 500;

#[test]
fn a_normal_client_goes_on_beside_500_slow_sockets_which_are_closed_in_the_end() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let agent = owner.clone().acting_as("WEBC");
    let begin = |number: usize| {
        let mut stream = TcpStream::connect(server.address()).expect("a server");
        let host = server.address();
        let request = match number % 3 {
            0 => String::new(),
            1 => format!("POST /v1/runs HTTP/1.1\r\nHost: {host}\r\nX-Slow: "),
            // The body never comes.
            _ => format!("POST /v1/runs HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\n"),
        };
        stream
            .write_all(request.as_bytes())
            .expect("the server reads");
        stream
    };
    let slow: Vec<TcpStream> = (0..SLOW).map(begin).collect();
    for number in 0..5 {
        let start = json!({ "definition": WORKFLOW, "id": format!("p{number}") });
        let _started = owner.post("/v1/runs", &start).expect(201);
        let polled = agent
            .post("/v1/tasks/poll", &json!({ "wait_s": 20 }))
            .expect(200);
        let task = &polled["tasks"][0];
        let path = format!("/v1/tasks/{}/complete", task["id"].as_str().expect("an id"));
        let done = json!({ "token": task["token"], "output": {} });
        let _done = agent.post(&path, &done).expect(200);
        let run = owner.get(&format!("/v1/runs/p{number}")).expect(200);
        assert_eq!(run["status"], "completed");
    }
    for (number, mut stream) in slow.into_iter().enumerate() {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut said = String::new();
        let ended = stream.read_to_string(&mut said);
        // Closed, or told first why: never left open.
        let told = said.is_empty() || said.starts_with("HTTP/1.1 4");
        assert!(ended.is_ok() && told, "socket {number}: {ended:?} {said}");
    }
}
