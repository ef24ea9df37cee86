//! What people do to runs, by the commands and by the requests, against a real server: start them
//! under a name or a key, pause them, tell them things, go on from them, set off their schedules.

use std::path::Path;
use std::sync::Arc;

use phisync_state::env::OsDisk;
use phisync_state::{Entry, Expected, FileOptions, FileStore, Store as _, StreamName};
use phisync_tests::process::{Http, Project, Server};
use phisync_tests::{BEGINNING, compiled};
use serde_json::{Value, json};

const TEAM: &str = "agents:\n  DC: {}\npeople:\n  dana: { roles: [lead] }\n";

const CHAIN: &str = "\
workflow: chain
steps:
  - { id: first, task: do, assign: DC }
  - { id: go, needs: first, wait_for: { signal: go, timeout: 1h } }
  - { id: last, needs: go, task: do, assign: DC, retry: none }
outputs: { said: '${{ steps.go.output }}' }
";

struct Site {
    project: Project,
    server: Server,
    owner: Http,
}

impl Site {
    fn new(files: &[(&'static str, &'static str)]) -> Self {
        let team = [("agents.yaml", TEAM)];
        let project = Project::new(team.iter().chain(files).copied());
        Self::of(project)
    }

    fn of(project: Project) -> Self {
        let server = Server::start(&project);
        let owner = server.owner(&project);
        Self {
            project,
            server,
            owner,
        }
    }

    /// Runs a command that must succeed, and reads its JSON.
    fn command(&self, args: &[&str]) -> Value {
        let args = [args, &["-o", "json"]].concat();
        let said = self.project.run(&args).expect_code(0);
        serde_json::from_str(&said).expect("one JSON document")
    }

    /// Runs a command that must end with `code`.
    fn refused(&self, args: &[&str], code: i32) {
        let _said = self.project.run(args).expect_code(code);
    }

    fn post(&self, path: &str, body: &Value, status: u16) -> Value {
        self.owner.post(path, body).expect(status)
    }

    fn agent(&self) -> Http {
        self.server.owner(&self.project).acting_as("DC")
    }

    fn poll(&self) -> Option<Value> {
        let reply = self.agent().post("/v1/tasks/poll", &json!({}));
        (reply.status == 200).then(|| reply.expect(200)["tasks"][0].clone())
    }

    /// Takes the only task there is, which must be `id`.
    fn take(&self, id: &str) -> Value {
        let task = self.poll().expect("there is a task");
        assert_eq!(task["id"], id);
        task["token"].clone()
    }

    fn complete(&self, id: &str) {
        let result = json!({ "token": self.take(id), "output": {"by": "DC"} });
        let path = format!("/v1/tasks/{id}/complete");
        let _done = self.agent().post(&path, &result).expect(200);
    }

    fn runs(&self) -> Vec<Value> {
        let list = self.command(&["run", "list"]);
        list["runs"].as_array().expect("a list").clone()
    }

    fn status(&self, run: &str) -> String {
        let shown = self.owner.get(&format!("/v1/runs/{run}")).expect(200);
        let error = shown["error"]["message"].as_str().unwrap_or_default();
        format!("{} {error}", shown["status"].as_str().expect("a word"))
            .trim_end()
            .to_owned()
    }
}

#[test]
fn a_run_is_paused_told_something_and_goes_on_by_command_and_by_request() {
    let site = Site::new(&[("chain.yaml", CHAIN)]);
    site.command(&["run", "start", "chain.yaml", "--id", "r1"]);
    let paused = site.command(&["run", "pause", "r1", "--reason", "too loud"]);
    assert_eq!(
        (&paused["paused"]["reason"], &paused["quiet"]),
        (&json!("too loud"), &json!(true))
    );
    assert_eq!(site.poll(), None);
    let why = site.command(&["why", "r1"]);
    assert_eq!(
        (&why["state"], &why["waker"]),
        (&json!("paused"), &json!("resume"))
    );
    let shown = site.project.run(&["run", "show", "r1"]).expect_code(0);
    assert!(
        shown.contains("still     paused: waits for a person to resume it"),
        "{shown}"
    );

    let resumed = site.post("/v1/runs/r1/resume", &json!({}), 200);
    assert_eq!(resumed["paused"], Value::Null);
    let token = site.take("r1.first");
    let paused = site.post("/v1/runs/r1/pause", &json!({"reason": "once more"}), 200);
    assert_eq!(
        (&paused["quiet"], &paused["held"]),
        (&json!(false), &json!(["r1.first"]))
    );
    let done = json!({ "token": token, "output": {} });
    let _done = site
        .agent()
        .post("/v1/tasks/r1.first/complete", &done)
        .expect(200);
    // A signal is heard by a run that stands still, too: it is early, and not lost.
    site.command(&["run", "signal", "r1", "go", "--payload", "{\"n\": 1}"]);
    site.command(&["run", "resume", "r1"]);
    site.complete("r1.last");
    let result = site.command(&["run", "result", "r1"]);
    assert_eq!(result["outputs"]["said"], json!({"n": 1}), "{result}");

    site.refused(&["run", "pause", "r1"], 5);
    assert_eq!(
        site.owner
            .post("/v1/runs/r1/signal", &json!({"name": "go"}))
            .status,
        409
    );
    site.refused(&["run", "signal", "r9", "go"], 3);
    site.refused(&["run", "signal", "r1", "No Name"], 6);
}

const NEWS: &str = "\
workflow: news
triggers: [ { event: news.started, input: { n: '${{ event.data.n }}' } } ]
inputs: { n: { type: integer, default: 0 } }
steps:
  - { id: two, wait_for: { event: news.came, count: 2, timeout: 1h } }
outputs: { n: '${{ inputs.n }}', heard: '${{ steps.two.output }}' }
";

#[test]
fn an_event_is_heard_once_for_each_key_and_starts_runs() {
    let site = Site::new(&[("news.yaml", NEWS)]);
    let registered = site
        .owner
        .send("POST", "/v1/workflows", None, NEWS.as_bytes());
    let _registered = registered.expect(201);
    let first = site.command(&[
        "event",
        "send",
        "news.started",
        "--payload",
        "{\"n\": 7}",
        "--key",
        "k",
    ]);
    let again = site.post(
        "/v1/events",
        &json!({"event": "news.started", "data": {"n": 7}, "key": "k"}),
        201,
    );
    assert_eq!(first["number"], again["number"]);
    let runs = site.runs();
    assert_eq!(runs.len(), 1, "the event came twice with one key");
    let id = runs[0]["id"].as_str().expect("an id");
    for key in ["a", "a", "b"] {
        site.post(
            "/v1/events",
            &json!({"event": "news.came", "data": key, "key": key}),
            201,
        );
    }
    let ended = site.command(&["run", "wait", id]);
    assert_eq!(ended["outputs"], json!({"n": 7, "heard": ["a", "b"]}));
    site.refused(&["event", "send", "No Name"], 6);
}

#[test]
fn a_start_has_a_name_a_business_key_and_a_call_and_each_means_something_else() {
    let site = Site::new(&[("chain.yaml", CHAIN)]);
    let start = ["run", "start", "chain.yaml"];
    site.command(&[&start[..], &["--id", "r1", "--key", "order-7"]].concat());
    site.refused(&[&start[..], &["--id", "r1"]].concat(), 5);
    let attached = site.command(&[&start[..], &["--key", "order-7"]].concat());
    assert_eq!(
        (&attached["id"], &attached["attached"]),
        (&json!("r1"), &json!(true))
    );
    site.refused(
        &[&start[..], &["--key", "order-7", "--on-open", "reject"]].concat(),
        5,
    );

    let order = json!({"workflow": "chain", "id": "r2"});
    let call = |key: &str, body: &Value| {
        let http = site
            .server
            .owner(&site.project)
            .with("Idempotency-Key", key);
        http.post("/v1/runs", body)
    };
    let first = call("c1", &order).expect(201);
    let again = call("c1", &order).expect(201);
    assert_eq!(first["id"], again["id"]);
    assert_eq!(
        call("c1", &json!({"workflow": "chain", "id": "r3"})).status,
        422
    );
    let by_command = [&start[..], &["--idempotency-key", "c2"]].concat();
    let (one, two) = (site.command(&by_command), site.command(&by_command));
    assert_eq!(one["id"], two["id"]);
    assert_eq!(site.runs().len(), 3);
}

#[test]
fn a_run_that_failed_is_gone_on_from_by_command_and_by_request() {
    let site = Site::new(&[("chain.yaml", CHAIN)]);
    site.command(&["run", "start", "chain.yaml", "--id", "r1"]);
    site.complete("r1.first");
    site.command(&["run", "signal", "r1", "go", "--payload", "1"]);
    let failed = json!({"token": site.take("r1.last"), "code": "app.no", "message": "no"});
    let _failed = site
        .agent()
        .post("/v1/tasks/r1.last/fail", &failed)
        .expect(200);
    assert_eq!(site.status("r1"), "failed no");

    site.command(&["run", "retry", "r1", "--id", "r2"]);
    site.complete("r2.last");
    assert_eq!(site.status("r2"), "completed");
    site.post("/v1/runs/r1/retry", &json!({"from": "go", "id": "r3"}), 201);
    site.command(&["run", "signal", "r3", "go", "--payload", "3"]);
    site.complete("r3.last");

    let events = site.owner.get("/v1/runs/r1/events").expect(200);
    let events = events["events"].as_array().expect("a list").clone();
    let done = events
        .iter()
        .find(|event| !event["event"]["task_completed"].is_null());
    let seq = done.expect("the first step").clone()["seq"].to_string();
    site.command(&["run", "fork", "r1", "--at", &seq, "--id", "r4"]);
    site.command(&["run", "signal", "r4", "go"]);
    site.complete("r4.last");
    for run in ["r2", "r3", "r4"] {
        assert_eq!(site.status(run), "completed", "{run}");
    }
    let nowhere = json!({"at": 999_999});
    assert_eq!(site.owner.post("/v1/runs/r1/fork", &nowhere).status, 409);
    site.refused(&["run", "retry", "r1", "--from", "nowhere"], 5);
}

const NIGHTLY: &str = "\
workflow: nightly
schedule: [ { id: night, cron: '0 3 * * *', catchup: none } ]
steps: [ { id: a, wait: 1d } ]
";

#[test]
fn a_schedule_is_shown_paused_set_off_and_made_up_for_by_command_and_by_request() {
    let site = Site::new(&[]);
    let registered = site
        .owner
        .send("POST", "/v1/workflows", None, NIGHTLY.as_bytes());
    let _registered = registered.expect(201);
    let list = site.command(&["schedule", "list"]);
    assert_eq!(list["schedules"][0]["workflow"], "nightly", "{list}");
    let next = site.command(&["schedule", "next", "nightly/night", "-n", "3"]);
    let told = site
        .owner
        .get("/v1/schedules/nightly/night?next=3")
        .expect(200);
    assert_eq!(told["next"].as_array().map(Vec::len), Some(3), "{told}");
    assert_eq!(next["next"], told["next"]);
    site.command(&["schedule", "pause", "nightly/night", "--reason", "holidays"]);
    let paused = site.owner.get("/v1/schedules/nightly/night").expect(200);
    assert_eq!(paused["paused"]["reason"], "holidays", "{paused}");
    site.post("/v1/schedules/nightly/night/resume", &json!({}), 200);
    site.command(&["schedule", "trigger", "nightly/night"]);
    site.post("/v1/schedules/nightly/night/trigger", &json!({}), 200);
    assert_eq!(site.runs().len(), 2);
    let past = [
        "--from",
        "2020-01-01T00:00:00Z",
        "--to",
        "2020-01-02T00:00:00Z",
    ];
    site.command(&[&["schedule", "backfill", "nightly/night"][..], &past].concat());
    site.refused(&["schedule", "trigger", "nightly/noon"], 3);
}

#[test]
fn a_graph_of_a_run_is_of_the_version_that_it_is_pinned_to() {
    let site = Site::new(&[("chain.yaml", CHAIN)]);
    site.command(&["run", "start", "chain.yaml", "--id", "r1"]);
    let before = site.project.run(&["graph", "r1"]).expect_code(0);
    let newer = CHAIN.replace("last", "later");
    let registered = site
        .owner
        .send("POST", "/v1/workflows", None, newer.as_bytes());
    let newest = registered.expect(201)["hash"].clone();
    assert_eq!(site.project.run(&["graph", "r1"]).expect_code(0), before);
    assert!(
        before.contains("last") && !before.contains("later"),
        "{before}"
    );
    let pinned = site.owner.get("/v1/runs/r1/workflow").expect(200);
    assert_ne!(pinned["hash"], newest);
    assert_eq!(site.owner.get("/v1/runs/r9/workflow").status, 404);
}

/// A journal as a defect could leave it: the run has begun, and its first step never did.
fn stalled(data: &Path) {
    let disk = Arc::new(OsDisk);
    let (store, _) = FileStore::open(disk, data, FileOptions::default()).expect("a new store");
    let machine = compiled(CHAIN);
    let registered = json!({"definition_registered": {
        "hash": machine.hash(), "source": machine.source(),
    }});
    let begun = json!({"run_started": {
        "run": "r1", "workflow": "chain", "definition": machine.hash(), "inputs": {}, "by": "dana",
        "at": BEGINNING, "deadline": BEGINNING.saturating_add(20 * 365 * 24 * machine.timeout()),
    }});
    let entry = |stream: &str, event: Value| Entry {
        stream: StreamName::new(stream),
        expected: Expected::Version(0),
        events: vec![event.to_string()],
    };
    let batch = vec![entry("workflow/chain", registered), entry("run/r1", begun)];
    store.append(BEGINNING, batch).expect("it takes it");
    store.close().expect("it is durable");
}

#[test]
fn a_run_that_stalled_fails_by_its_own_rules_when_a_person_says_so() {
    let project = Project::new([("agents.yaml", TEAM)]);
    stalled(&project.data());
    let site = Site::of(project);
    site.command(&["incident", "skip", "r1", "--reason", "seen"]);
    assert_eq!(site.command(&["run", "show", "r1"])["status"], "failed");
    let incidents = site.owner.get("/v1/incidents").expect(200);
    assert_eq!(incidents["incidents"], json!([]));
    site.refused(&["incident", "skip", "r1", "--reason", "again"], 5);
}

#[test]
fn a_run_that_stalled_is_an_incident_and_goes_on_when_a_person_says_so() {
    let project = Project::new([("agents.yaml", TEAM)]);
    stalled(&project.data());
    let site = Site::of(project);
    let incidents = site.owner.get("/v1/incidents").expect(200);
    let first = &incidents["incidents"][0];
    assert_eq!(
        (&first["id"], &first["kind"]),
        (&json!("r1"), &json!("stall"))
    );
    let listed = site.project.run(&["incident", "list"]).expect_code(0);
    assert!(listed.contains("engine.stalled"), "{listed}");
    assert_eq!(site.command(&["why", "r1"])["state"], "stalled");
    site.command(&["incident", "retry", "r1", "--reason", "seen"]);
    site.complete("r1.first");
    let incidents = site.owner.get("/v1/incidents").expect(200);
    assert_eq!(incidents["incidents"], json!([]));
}
