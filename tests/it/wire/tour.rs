//! Every route, asked in earnest: each good answer that the description promises is given at least once, and
//! has the form that it says. (Every answer of every test is held against it, see `process::contract`.)

use std::collections::BTreeSet;

use phisync_tests::process::{Http, Project, Server, template};
use serde_json::{Value, json};

const TEAM: &str = "
phisync: 1
agents:
  WEBC: {}
people:
  dana: { roles: [editor] }
";

/// A task, somebody's decision about it, and a schedule that starts it all.
const PAGE: &str = "
workflow: page
schedule: [{ id: nightly, cron: '0 3 * * *', timezone: UTC, overlap: allow }]
steps:
  - { id: fetch, prompt: Fetch it., assign: WEBC }
  - id: sign
    needs: fetch
    approval: { from: { roles: [editor] }, prompt: May it go out?, timeout: 20h, on_reject: continue }
";

/// What cannot be undone.
const TRIP: &str = "
workflow: trip
steps:
  - { id: flight, task: book, assign: WEBC, compensate: { task: cancel, assign: WEBC, retry: { max_attempts: 1, backoff: fixed, delay: 1s, jitter: none, errors: [app] } } }
  - { id: car, needs: flight, task: book, assign: WEBC }
";

/// Good answers that no test can bring about over HTTP, and why.
const NOT_HERE: [(&str, &str, u16); 2] = [
    // A disk that refuses to exchange a name between two steps of one transaction.
    ("POST", "/v1/transactions", 202),
    ("POST", "/v1/transactions/{id}/revert", 202),
];

/// Somebody who remembers what was asked.
struct Guest<'s> {
    http: Http,
    seen: &'s mut BTreeSet<(String, &'static str, u16)>,
}

impl Guest<'_> {
    fn remember(&mut self, method: &str, path: &str, status: u16) {
        let template = template(path).unwrap_or_else(|| panic!("{path} is not described"));
        self.seen.insert((method.to_owned(), template, status));
    }

    fn get(&mut self, path: &str) -> Value {
        let reply = self.http.get(path);
        self.remember("GET", path, reply.status);
        assert!(reply.status < 300, "{path}: {}", reply.body);
        reply.body
    }

    fn post(&mut self, path: &str, body: Value) -> Value {
        let reply = self.http.post(path, &body);
        self.remember("POST", path, reply.status);
        assert!(reply.status < 300, "{path}: {}", reply.body);
        reply.body
    }

    /// Takes a task, as WEBC.
    fn take(&mut self) -> (String, u64) {
        let polled = self.post("/v1/tasks/poll", json!({ "wait_s": 20 }));
        let task = &polled["tasks"][0];
        let id = task["id"]
            .as_str()
            .unwrap_or_else(|| panic!("a task: {polled}"));
        (id.to_owned(), task["token"].as_u64().expect("a token"))
    }
}

#[test]
fn every_good_answer_that_is_described_is_given_as_described() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let mut seen = BTreeSet::new();
    let as_owner = server.owner(&project);
    let as_agent = as_owner.clone().acting_as("WEBC");
    tell(&as_owner, &as_agent, &mut seen);
    let document = as_owner.get("/openapi.json").expect(200);
    let mut wrong = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let method = method.to_ascii_uppercase();
            let good = operation["responses"]
                .as_object()
                .expect("responses")
                .keys();
            for status in good.filter(|status| status.starts_with('2')) {
                let status: u16 = status.parse().expect("a status");
                let not_here = NOT_HERE.contains(&(&method, path, status));
                let was = seen
                    .iter()
                    .any(|(m, p, s)| (m, *p, *s) == (&method, path, status));
                if was == not_here {
                    wrong.push(format!("{method} {path} {status}: given {was}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn tell(as_owner: &Http, as_agent: &Http, seen: &mut BTreeSet<(String, &'static str, u16)>) {
    let mut agent = Guest {
        http: as_agent.clone(),
        seen,
    };
    let _alive = agent.post("/v1/agents/heartbeat", json!({}));
    let nothing = agent.post("/v1/tasks/poll", json!({}));
    assert_eq!(nothing, Value::Null);

    let mut owner = Guest {
        http: as_owner.clone(),
        seen: &mut *agent.seen,
    };
    for path in [
        "/healthz",
        "/openapi.json",
        "/v1/me",
        "/v1/agents",
        "/v1/agents/webc",
        "/v1/alarms",
        "/v1/workflows",
    ] {
        let _shown = owner.get(path);
    }
    let helper = json!({ "name": "helper" });
    let _new = owner.post("/v1/agents", helper.clone());
    let _same = owner.post("/v1/agents", helper);
    let _removed = owner.post("/v1/agents/helper/remove", json!({}));
    let mut assistant = Guest {
        http: as_owner
            .clone()
            .with("accept", "application/json, text/event-stream"),
        seen: &mut *owner.seen,
    };
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
    let _tools = assistant.post("/mcp", list);
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let _taken = assistant.post("/mcp", told);
    let mut owner = Guest {
        http: as_owner.clone(),
        seen: &mut *assistant.seen,
    };
    let _drained = owner.post("/v1/agents/webc/drain", json!({ "reason": "a test" }));
    let _undrained = owner.post("/v1/agents/webc/undrain", json!({}));
    let page = as_owner.send(
        "POST",
        "/v1/workflows",
        Some("application/yaml"),
        PAGE.as_bytes(),
    );
    owner.remember("POST", "/v1/workflows", page.status);
    let _page = owner.get("/v1/workflows/page");
    let _schedules = owner.get("/v1/schedules");
    let nightly = "/v1/schedules/page/nightly";
    let _nightly = owner.get(&format!("{nightly}?next=3"));
    let _paused = owner.post(&format!("{nightly}/pause"), json!({ "reason": "a test" }));
    let _resumed = owner.post(&format!("{nightly}/resume"), json!({}));
    let _by_hand = owner.post(&format!("{nightly}/trigger"), json!({}));
    let one_day = json!({ "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T12:00:00Z" });
    let _made_up = owner.post(&format!("{nightly}/backfill"), one_day);
    for run in owner.get("/v1/runs?workflow=page&limit=9")["runs"]
        .as_array()
        .expect("runs")
    {
        let id = run["id"].as_str().expect("an id");
        let _cancelled = owner.post(
            &format!("/v1/runs/{id}/cancel"),
            json!({ "reason": "a test" }),
        );
    }
    let start = json!({ "workflow": "page", "id": "p1", "key": "one", "on_open": "attach" });
    let _started = owner.post("/v1/runs", start.clone());
    let _attached = owner.post("/v1/runs", start);
    for path in ["", "/events", "/wait?timeout_s=0", "/why", "/workflow"] {
        let _shown = owner.get(&format!("/v1/runs/p1{path}"));
    }
    let _paused = owner.post("/v1/runs/p1/pause", json!({}));
    let _resumed = owner.post("/v1/runs/p1/resume", json!({}));
    let _told = owner.post("/v1/runs/p1/signal", json!({ "name": "a.word" }));
    let _told = owner.post("/v1/events", json!({ "event": "a.word", "key": "k" }));

    let mut agent = Guest {
        http: as_agent.clone(),
        seen: &mut *owner.seen,
    };
    let (task, token) = agent.take();
    let _kept = agent.post(
        &format!("/v1/tasks/{task}/heartbeat"),
        json!({ "token": token }),
    );
    let _given_back = agent.post(
        &format!("/v1/tasks/{task}/release"),
        json!({ "token": token }),
    );
    let (task, token) = agent.take();
    let question = json!({ "token": token, "question": "Which one?" });
    let _parked = agent.post(&format!("/v1/tasks/{task}/ask"), question);
    let answer = json!({ "decision": "answer", "comment": "The first." });
    let decide = format!("/v1/approvals/{task}/decide");
    let _answered = as_owner.post(&decide, &answer).expect(200);
    let _shown = agent.get(&format!("/v1/tasks/{task}"));
    let (task, token) = agent.take();
    let done = json!({ "results": [{ "task": task, "token": token, "output": {} }] });
    let _done = agent.post("/v1/tasks/complete", done);

    let mut owner = Guest {
        http: as_owner.clone(),
        seen: &mut *agent.seen,
    };
    let asked = &owner.get("/v1/approvals")["approvals"][0]["id"];
    let asked = asked.as_str().expect("an approval").to_owned();
    let _shown = owner.get(&format!("/v1/approvals/{asked}"));
    let approve = json!({ "decision": "approve" });
    let _decided = owner.post(&format!("/v1/approvals/{asked}/decide"), approve);
    let closed = owner.get("/v1/runs/p1?at=2099-01-01T00:00:00Z");
    assert_eq!(closed["status"], "completed");
    let _again = owner.post(
        "/v1/runs/p1/retry",
        json!({ "confirm": true, "from": "sign", "id": "p2" }),
    );
    let fork =
        json!({ "at": owner.get("/v1/runs/p1/events")["events"][0]["seq"], "confirm": true });
    let _other = owner.post("/v1/runs/p1/fork", fork);
    incident(as_owner, as_agent, owner.seen);
    shared(as_owner, owner.seen);
}

/// A trip that fails, whose undo fails too.
fn incident(as_owner: &Http, as_agent: &Http, seen: &mut BTreeSet<(String, &'static str, u16)>) {
    let mut owner = Guest {
        http: as_owner.clone(),
        seen,
    };
    for run in owner.get("/v1/runs?status=running")["runs"]
        .as_array()
        .expect("runs")
    {
        let id = run["id"].as_str().expect("an id");
        let _cancelled = owner.post(&format!("/v1/runs/{id}/cancel"), json!({}));
    }
    let _started = owner.post("/v1/runs", json!({ "definition": TRIP, "id": "t1" }));
    let mut agent = Guest {
        http: as_agent.clone(),
        seen: &mut *owner.seen,
    };
    let (flight, token) = agent.take();
    let done = json!({ "token": token, "output": {} });
    let _done = agent.post(&format!("/v1/tasks/{flight}/complete"), done);
    for task in ["t1.car", "t1.flight.undo"] {
        let (taken, token) = agent.take();
        assert_eq!(taken, task);
        let failed = json!({ "token": token, "code": "app.no", "message": "no" });
        let _failed = agent.post(&format!("/v1/tasks/{task}/fail"), failed);
    }
    let mut owner = Guest {
        http: as_owner.clone(),
        seen: &mut *agent.seen,
    };
    assert_eq!(
        owner.get("/v1/incidents")["incidents"][0]["id"],
        "t1.flight"
    );
    let resolve = json!({ "action": "skip", "reason": "a test" });
    let _left = owner.post("/v1/incidents/t1.flight/resolve", resolve);
}

/// Documents, locks, snapshots and tokens.
fn shared(as_owner: &Http, seen: &mut BTreeSet<(String, &'static str, u16)>) {
    let mut owner = Guest {
        http: as_owner.clone(),
        seen,
    };
    let write =
        json!({ "changes": [{ "document": "plan", "op": "write", "content": { "step": 1 } }] });
    let id = owner.post("/v1/transactions", write)["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for path in [
        "/v1/transactions",
        "/v1/documents",
        "/v1/documents/plan",
        "/v1/locks",
    ] {
        let _shown = owner.get(path);
    }
    let put = owner.http.clone().with("if-match", "\"1\"");
    let written = put.send(
        "PUT",
        "/v1/documents/other",
        Some("application/json"),
        b"{}",
    );
    assert_eq!(written.refusal(), (412, "version"));
    let put = owner.http.clone().with("if-none-match", "*");
    let written = put.send(
        "PUT",
        "/v1/documents/other",
        Some("application/json"),
        b"{}",
    );
    owner.remember("PUT", "/v1/documents/other", written.status);
    assert_eq!(written.expect(200)["version"], 1);
    let turn = owner.post("/v1/documents/other/turn", json!({ "wait_s": 1 }));
    let turn = json!({ "turn": turn["turn"] });
    let _given_up = owner.post("/v1/documents/other/turn/release", turn);
    let _shown = owner.get(&format!("/v1/transactions/{id}"));
    let _taken_back = owner.post(&format!("/v1/transactions/{id}/revert"), json!({}));
    let lock = owner.post("/v1/locks/press/acquire", json!({}));
    let token = json!({ "token": lock["token"] });
    let _renewed = owner.post("/v1/locks/press/renew", token.clone());
    let _released = owner.post("/v1/locks/press/release", token);
    let _taken = owner.post("/v1/snapshots", json!({}));
    let _listed = owner.get("/v1/snapshots");
    let moment = owner.get("/healthz")["head_seq"].to_string();
    let _what_if = owner.post("/v1/rewind", json!({ "to": moment, "reason": "a test" }));
    let made = owner.post("/v1/tokens", json!({ "role": "viewer" }));
    let id = made["id"].as_str().expect("an id");
    let other = owner.post(&format!("/v1/tokens/{id}/rotate"), json!({}));
    let id = other["id"].as_str().expect("an id");
    let _gone = owner.post(&format!("/v1/tokens/{id}/revoke"), json!({}));
    let _tokens = owner.get("/v1/tokens");
}
