//! Answers that never arrive, and calls that are made at the same time: an `Idempotency-Key` makes one effect of them.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use phisync_tests::process::{Http, Project, Server};
use serde_json::{Value, json};

const TEAM: &str = "phisync: 1\nagents:\n  WEBC: {}\n";

const WORKFLOW: &str = "workflow: page\nsteps: [{ id: fetch, prompt: Fetch it., assign: WEBC }]\n";

/// Passes requests on to `server`, each on a connection of its own, and keeps the answer to the request `dropped`,
/// counted from 1, to itself.
fn forgetful_proxy(server: SocketAddr, dropped: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let count = Arc::new(AtomicUsize::new(0));
    // Ends with the process: it waits for connections until then.
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let count = Arc::clone(&count);
            thread::spawn(move || {
                pass_on(client, server, || {
                    count.fetch_add(1, Ordering::SeqCst) + 1 == dropped
                })
            });
        }
    });
    address
}

fn pass_on(mut client: TcpStream, server: SocketAddr, drops: impl Fn() -> bool) {
    let mut upstream = TcpStream::connect(server).expect("a server");
    let (mut buffer, mut request) = ([0; 4096], Vec::new());
    while !is_whole(&request) {
        match client.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
    upstream.write_all(&request).expect("the server reads");
    // The server has answered once its first bytes are here: what it did is on disk.
    let read = upstream.read(&mut buffer).expect("the server answers");
    if drops() {
        return;
    }
    client.write_all(&buffer[..read]).ok();
}

/// Whether a request has come to its end, which its length tells.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    body.len() >= length.unwrap_or(0_usize)
}

fn runs(owner: &Http) -> usize {
    let list = owner.get("/v1/runs").expect(200);
    list["runs"].as_array().expect("a list").len()
}

#[test]
fn a_lost_answer_is_had_by_asking_again_whichever_it_was() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let host = server.address().to_string();
    let (each, kind) = (3, Some("application/json"));
    for dropped in 1..=each {
        let proxy = forgetful_proxy(server.address(), dropped);
        let before = runs(&owner);
        let mut lost = 0;
        for call in 1..=each {
            let key = format!("drop-{dropped}-call-{call}");
            let start = json!({ "definition": WORKFLOW });
            // A connection each time: the proxy closes them behind every answer.
            let ask = || {
                Http::new(&format!("http://{proxy}"), &project.admin_token())
                    .with("host", &host)
                    .with("idempotency-key", &key)
                    .try_send("POST", "/v1/runs", kind, start.to_string().as_bytes())
            };
            let answer = ask().or_else(|_| {
                lost += 1;
                ask()
            });
            let run = answer.expect("an answer").expect(201)["id"].clone();
            let direct = owner.clone().with("idempotency-key", &key);
            assert_eq!(direct.post("/v1/runs", &start).expect(201)["id"], run);
        }
        assert_eq!(
            (lost, runs(&owner) - before),
            (1, each),
            "the answer {dropped} was dropped"
        );
    }
}

/// The statuses and bodies of the same call made by many at once.
fn all_at_once(callers: usize, call: impl Fn(usize) -> (u16, Value) + Sync) -> Vec<(u16, Value)> {
    thread::scope(|scope| {
        let call = &call;
        let calls: Vec<_> = (0..callers)
            .map(|number| scope.spawn(move || call(number)))
            .collect();
        let answers = calls
            .into_iter()
            .map(|call| call.join().expect("an answer"));
        answers.collect()
    })
}

#[test]
fn many_starts_at_once_with_one_key_are_one_run() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let client = owner.clone().with("idempotency-key", "once");
    let start = json!({ "definition": WORKFLOW });
    let same = all_at_once(16, |_| {
        let reply = client.post("/v1/runs", &start);
        (reply.status, reply.body["id"].clone())
    });
    let ids: BTreeSet<String> = same.iter().map(|(_, id)| id.to_string()).collect();
    assert_eq!((ids.len(), runs(&owner)), (1, 1), "{same:?}");
    assert!(same.iter().all(|(status, _)| *status == 201), "{same:?}");

    let client = owner.clone().with("idempotency-key", "other");
    let different = all_at_once(16, |number| {
        let start = json!({ "definition": WORKFLOW, "labels": { "n": number.to_string() } });
        let reply = client.post("/v1/runs", &start);
        (reply.status, reply.body["code"].clone())
    });
    let started = different
        .iter()
        .filter(|(status, _)| *status == 201)
        .count();
    let refused = different
        .iter()
        .filter(|answer| **answer == (422, json!("other_body")))
        .count();
    assert_eq!(
        (started, refused, runs(&owner)),
        (1, 15, 2),
        "{different:?}"
    );
}

#[test]
fn many_starts_at_once_under_one_name_are_one_run_and_refusals() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "page-1" });
    let answers = all_at_once(16, |_| {
        let reply = owner.post("/v1/runs", &start);
        (reply.status, reply.body["code"].clone())
    });
    let started = answers.iter().filter(|(status, _)| *status == 201).count();
    let refused = answers
        .iter()
        .filter(|answer| **answer == (409, json!("exists")))
        .count();
    assert_eq!((started, refused, runs(&owner)), (1, 15, 1), "{answers:?}");
}

#[test]
fn of_many_decisions_at_once_one_counts_and_the_others_hear_so() {
    const APPROVAL: &str = "workflow: ask
steps:
  - { id: ok, approval: { from: { roles: [editor] }, prompt: Go on?, timeout: 1h, on_reject: continue } }
  - { id: then, needs: ok, prompt: Do it., assign: WEBC }
";
    const PEOPLE: &str =
        "phisync: 1\nagents: { WEBC: {} }\npeople: { dana: { roles: [editor] } }\n";
    let project = Project::new([("agents.yaml", PEOPLE)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    for round in 0..4 {
        let start = json!({ "definition": APPROVAL, "id": format!("ask-{round}") });
        let _started = owner.post("/v1/runs", &start).expect(201);
        let path = format!("/v1/approvals/ask-{round}.ok/decide");
        let words = ["approve", "reject"];
        let answers = all_at_once(16, |number| {
            let word = json!({ "decision": words[number % 2] });
            let reply = owner.post(&path, &word);
            (reply.status, reply.body["code"].clone())
        });
        let heard = |word: usize| {
            let said = answers.iter().skip(word).step_by(2);
            said.map(|(status, _)| *status).collect::<BTreeSet<u16>>()
        };
        let both = [heard(0), heard(1)];
        // Whoever says the same again is told what was first.
        let (good, late) = (BTreeSet::from([200]), BTreeSet::from([409]));
        assert!(
            both == [good.clone(), late.clone()] || both == [late, good],
            "{answers:?}"
        );
    }
}
