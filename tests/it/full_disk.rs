//! F8 with the real binary and a real file system: files that may grow no further, and then may.

use phisync_tests::process::{Http, Project, Server, eventually};
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::{Value, json};

const WORKFLOW: &str = "\
phisync: 1
workflow: hoard
version: \"1.0.0\"
inputs:
  text: { type: string }
steps:
  - { id: keep, task: nobody.does, assign: { capabilities: [nothing] } }
";

const TEAM: &str = "phisync: 1\nagents:\n  idle: { capabilities: [nothing] }\n";

/// Starts a run that takes 40 KB of the journal; `call` says which call this is.
fn start(owner: &Http, call: usize) -> (u16, Value) {
    let request = json!({ "workflow": "hoard", "inputs": { "text": "x".repeat(40_000) } });
    let key = format!("call-{call}");
    let owner = owner.clone().with("idempotency-key", &key);
    let reply = owner.post("/v1/runs", &request);
    (reply.status, reply.body)
}

#[test]
fn a_journal_that_may_not_grow_loses_nothing_and_the_same_call_finds_out_when_it_may() {
    let project = Project::new([("agents.yaml", TEAM)]);
    // Without the trap the system would end the process; the limit is 1.3 MB for each file.
    let server = Server::under("trap '' XFSZ; ulimit -S -f 2600", &project);
    let owner = server.owner(&project);
    let yaml = Some("application/yaml");
    let register = owner.send("POST", "/v1/workflows", yaml, WORKFLOW.as_bytes());
    assert_eq!(register.status, 201, "{}", register.body);

    let mut told = Vec::new();
    let first_refused = loop {
        let (status, body) = start(&owner, told.len());
        if status != 201 {
            break (status, body);
        }
        told.push(body["id"].clone());
        assert!(told.len() < 200, "the journal grows without end");
    };
    let unknown = told.len();
    assert!(unknown > 3, "what was taken ahead is used: {unknown}");
    assert!(matches!(first_refused.0, 503 | 507), "{first_refused:?}");
    let (status, body) = start(&owner, unknown + 1);
    assert_eq!(
        (status, &body["code"]),
        (507, &json!("disk_full")),
        "{body}"
    );

    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(Some(server.pid()), Resource::Fsize, unlimited).expect("our own child");
    // The call whose outcome nobody knew has happened once, or happens now.
    let id = eventually("there is room again", || {
        let (status, body) = start(&owner, unknown);
        (status == 201).then(|| body["id"].clone())
    });
    assert_eq!(start(&owner, unknown).1["id"], id);
    told.push(id);
    let runs = |owner: &Http| {
        let list = owner.get("/v1/runs?limit=1000").expect(200);
        let ids = list["runs"].as_array().expect("a list").clone();
        let mut ids: Vec<String> = ids.iter().map(|run| run["id"].to_string()).collect();
        ids.sort_unstable();
        ids
    };
    let mut expected: Vec<String> = told.iter().map(ToString::to_string).collect();
    expected.sort_unstable();
    assert_eq!(
        runs(&owner),
        expected,
        "each call once, the refused one never"
    );

    server.stop();
    let fsck = project.run(&["store", "fsck"]);
    assert_eq!(fsck.code, Some(0), "{}", fsck.stdout);
    let server = Server::start(&project);
    assert_eq!(runs(&server.owner(&project)), expected);
    server.stop();
}
