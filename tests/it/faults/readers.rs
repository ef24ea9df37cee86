//! Readers that stand still (X18), and very many of them (N2).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use phisync_state::env::{Clock as _, OsClock, raise_open_files};
use phisync_tests::process::{Http, PATIENCE, Project, Server, eventually};
use serde_json::json;

use super::{project, register, start};

/// What a stop in order may take.
const STOP_WITHIN_S: u64 = 5;

/// Gives a run two more events: its task is taken and given back.
fn stir(agent: &Http) {
    let ask = json!({ "capabilities": ["nothing"] });
    let polled = agent.post("/v1/tasks/poll", &ask).expect(200);
    let task = &polled["tasks"][0];
    let path = format!("/v1/tasks/{}/release", task["id"].as_str().expect("an id"));
    let _released = agent
        .post(&path, &json!({ "token": task["token"] }))
        .expect(200);
}

#[test]
fn a_reader_that_stands_still_reads_on_where_it_was_and_misses_nothing() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let agent = owner.clone().acting_as("idle");
    register(&owner);
    start(&owner, "long");
    // It asks for everything and reads nothing of it.
    let mut stalled = TcpStream::connect(server.address()).expect("a server");
    let (mut from, mut read) = (0, Vec::new());
    for stands_still_for in [1, 40, 3, 60] {
        for _ in 0..stands_still_for {
            stir(&agent);
        }
        let path = format!("/v1/runs/long/events?from={from}");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            server.address(),
            project.admin_token()
        );
        stalled.write_all(request.as_bytes()).expect("it is taken");
        let page = owner.get(&path).expect(200);
        let events = page["events"].as_array().expect("a list").clone();
        read.extend(events.iter().map(|event| event["version"].as_u64()));
        from = page["next"].as_u64().expect("a version");
    }
    let versions: Vec<Option<u64>> = (1..=from).map(Some).collect();
    assert_eq!(read, versions, "no gap, and nothing twice");
    assert!(from > 200, "{from} events");
    let dump = project.run(&["store", "dump"]);
    let of_run = |line: &&str| line.contains("\"stream\":\"run/long\"");
    let written = dump.stdout.lines().filter(of_run).count();
    server.stop();
    let after = project.run(&["store", "dump"]).expect_code(0);
    let written = written.max(after.lines().filter(of_run).count());
    assert_eq!(read.len(), written, "as the journal has it");
}

/// Long enough to be many, short enough for the descriptors of a workstation.
const WAITING: usize = 1000;

/// A request that waits for a minute, on a connection of its own.
fn wait(server: &Server, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).expect("a server");
    let request = format!(
        "GET /v1/runs/long/wait?timeout_s=60 HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
        server.address()
    );
    stream
        .write_all(request.as_bytes())
        .expect("the server reads");
    stream
}

/// A number of the process's status, as `VmRSS` in KiB or `Threads`.
fn status(server: &Server, name: &str) -> u64 {
    let path = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let text = fs::read_to_string(path).expect("our own child");
    let line = text.lines().find(|line| line.starts_with(name));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok()).expect("a number")
}

#[test]
fn a_thousand_who_wait_take_no_thread_and_little_memory_and_hold_up_no_stop() {
    if raise_open_files().is_some_and(|most| most < 2 * WAITING as u64 + 500) {
        eprintln!("skipped: so many sockets are not allowed here");
        return;
    }
    let project: Project = project();
    let mut server = Server::start(&project);
    let owner = server.owner(&project);
    register(&owner);
    start(&owner, "long");
    let (threads, memory) = (status(&server, "Threads"), status(&server, "VmRSS"));
    let token = project.admin_token();
    let waiting: Vec<TcpStream> = (0..WAITING).map(|_| wait(&server, &token)).collect();
    let directory = format!("/proc/{}/fd", server.pid().as_raw_nonzero());
    eventually("all are connected", || {
        let open = fs::read_dir(&directory).expect("our own child").count();
        (open > WAITING).then_some(())
    });
    // Everybody else is served, behind them.
    start(&owner, "another");
    assert!(status(&server, "Threads") <= threads + 4);
    let each = status(&server, "VmRSS").saturating_sub(memory) / WAITING as u64;
    assert!(each < 64, "{each} KiB each");
    let clock = OsClock::new();
    let asked = clock.monotonic();
    server.terminate();
    let finished = server.finish();
    let took = clock.monotonic().saturating_sub(asked);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(took.as_secs() < STOP_WITHIN_S, "it took {took:?}");
    for mut stream in waiting {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut rest = Vec::new();
        // Answered or cut off: its end comes either way.
        let _ended = stream.read_to_end(&mut rest);
    }
}

/// Requests that a token may have open, and some more.
const MOST: usize = 256;
const TOO_MANY: usize = 14;

#[test]
fn one_token_has_so_many_requests_open_and_no_more() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    register(&owner);
    start(&owner, "long");
    let made = owner.post("/v1/tokens", &json!({ "role": "viewer" }));
    let made = made.expect(201);
    let token = made["token"].as_str().expect("a token");
    let waiting: Vec<TcpStream> = (0..MOST + TOO_MANY).map(|_| wait(&server, token)).collect();
    let is_refused = |stream: &&TcpStream| {
        let mut begin = [0; 12];
        stream.set_nonblocking(true).expect("a socket");
        matches!(stream.peek(&mut begin), Ok(12)) && &begin == b"HTTP/1.1 429"
    };
    eventually("those who are too many are refused", || {
        (waiting.iter().filter(is_refused).count() == TOO_MANY).then_some(())
    });
    let viewer = Http::new(&server.url, token);
    assert_eq!(viewer.get("/v1/runs").status, 429);
    let _others = owner.get("/v1/runs").expect(200);
    drop(waiting);
    eventually("there is room again", || {
        (viewer.get("/v1/runs").status == 200).then_some(())
    });
}
