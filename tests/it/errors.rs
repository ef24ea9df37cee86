//! What goes wrong is said clearly, has its own exit code or status, and changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use phisync_tests::process::{Finished, Http, Journal, Project, Server, Trace, Worker};
use serde_json::{Value, json};

const TEAM: &str = "
phisync: 1
agents:
  DC:   { capabilities: [count] }
  WEBC: { capabilities: [count] }
";

/// A team that `exec` can start.
const CREW: &str = "
phisync: 1
agents:
  DC: { command: [cat] }
";

const COUNT: &str = r#"
phisync: 1
workflow: count
version: "1.0.0"
inputs:
  words: { type: integer, minimum: 1 }
outputs: { total: "${{ steps.count.output.total }}" }
steps:
  - id: count
    task: text.count
    assign: DC
    input: { words: "${{ inputs.words }}" }
    output:
      type: object
      required: [total, unit]
      properties: { total: { type: integer, minimum: 0 }, unit: { enum: [words] } }
    effects: none
"#;

const WRONG: &str = "\
phisync: 1
workflow: Bad Name
version: 1
inputs:
  count: { type: intger }
outputs:
  total: ${{ steps.sum.output.total }}
steps:
  - id: first
    task: bad.first
    assign: NOBODY
    needs: second
    input: { pages: \"${{ inputs.cuont }}\" }
    timeouts: { lease: 1s }
  - id: second
    task: bad.second
    needs: first
    retry: { max_attempts: 0 }
  - id: third
    foreach: { items: [1] }
    unknown_key: 1
";

fn project() -> Project {
    Project::new([
        ("agents.yaml", TEAM),
        ("crew.yaml", CREW),
        ("count.yaml", COUNT),
        ("wrong.yaml", WRONG),
    ])
}

/// A command as a person sees it, with what differs from run to run replaced.
fn transcript(args: &[&str], finished: &Finished, replace: &[(&str, &str)]) -> String {
    let mut text = format!("$ phisync {}\n", args.join(" "));
    for stream in [&finished.stdout, &finished.stderr] {
        text.push_str(stream);
    }
    text.push_str(&format!(
        "exit code {}\n",
        finished.code.expect("no signal ended it")
    ));
    for (from, to) in replace {
        text = text.replace(from, to);
    }
    text
}

/// Every file below `directory` but those of the lock, which say who held it last.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let of_lock = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("lock"));
            if path.is_dir() {
                open.push(path);
            } else if !of_lock {
                let bytes = fs::read(&path).expect("a file");
                found.insert(path, bytes);
            }
        }
    }
    found
}

fn head(server: &Http) -> Value {
    let health = server.get("/healthz").expect(200);
    health["head_seq"].clone()
}

#[test]
fn a_wrong_workflow_gives_all_its_errors_at_once_with_their_places() {
    let project = project();
    let args = ["check", "wrong.yaml"];
    let checked = transcript(&args, &project.run(&args), &[]);
    insta::assert_snapshot!("check_of_a_wrong_workflow", checked);
    assert!(checked.ends_with("exit code 6\n"));

    let found = project
        .run(&["check", "--format", "json", "wrong.yaml"])
        .expect_code(6);
    let found: Vec<Value> = serde_json::from_str(&found).expect("an array");
    assert_eq!(found.len(), checked.matches(" --> wrong.yaml:").count());
    for finding in found {
        let (line, column) = (&finding["span"]["line"], &finding["span"]["column"]);
        assert!(
            line.is_u64() && column.is_u64(),
            "it has a place: {finding}"
        );
    }

    let executed = project.run(&["exec", "wrong.yaml"]);
    let _words = executed.expect_code(6);
    assert!(!project.data().exists(), "nothing was begun");
}

#[test]
fn what_is_missing_or_misspelt_is_named_with_its_exit_code() {
    let project = project();
    let mut seen = String::new();
    for args in [
        &["check", "nothing.yaml"][..],
        &["exec", "nothing.yaml"],
        &["serve", "--lisen", "127.0.0.1:0"],
        &["serve", "--listen", "here"],
        &["run", "show", "nobody"],
        &["agent", "work", "--as", "DC", "--", "true"],
        &["exec", "count.yaml", "-i", "words=0"],
        &[
            "exec",
            "count.yaml",
            "-i",
            "words=3",
            "--agents",
            "nobody.yaml",
        ],
    ] {
        seen.push_str(&transcript(args, &project.run(args), &[]));
        seen.push('\n');
    }
    insta::assert_snapshot!("what_is_missing_or_misspelt", seen);
    assert!(!project.data().exists(), "nothing was begun");
}

#[test]
fn a_taken_port_and_a_directory_in_use_are_told_and_harm_nobody() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "before", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let before = head(&owner);
    let address = server.address().to_string();
    let pid = server.ready["pid"].to_string();
    let mut seen = String::new();
    for args in [
        &["--data", "elsewhere", "serve", "--listen", &address][..],
        &["serve", "--listen", "127.0.0.1:0"],
        &[
            "exec",
            "count.yaml",
            "-i",
            "words=3",
            "--agents",
            "crew.yaml",
        ],
    ] {
        let replace = [(address.as_str(), "ADDRESS"), (pid.as_str(), "PID")];
        seen.push_str(&transcript(args, &project.run(args), &replace));
        seen.push('\n');
    }
    insta::assert_snapshot!("a_taken_port_and_a_directory_in_use", seen);
    assert_eq!(head(&owner), before);
    let run = owner.get("/v1/runs/before").expect(200);
    assert_eq!(run["status"], "running");
    server.stop();
}

/// A stopped server's directory that holds a run, and its only segment.
fn sealed() -> (Project, PathBuf) {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "kept", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let dc = owner.acting_as("dc");
    let polled = dc.post("/v1/tasks/poll", &json!({})).expect(200);
    let done =
        json!({ "token": polled["tasks"][0]["token"], "output": { "total": 3, "unit": "words" } });
    let _done = dc.post("/v1/tasks/kept.count/complete", &done).expect(200);
    server.stop();
    let segment = project.data().join("journal/00000000000000000001.jsonl");
    (project, segment)
}

#[test]
fn a_flipped_byte_in_a_sealed_journal_is_refused_and_nothing_rewritten() {
    let (project, segment) = sealed();
    let whole = fs::read(&segment).expect("a segment");
    assert!(whole.len() > 1000, "there is something to damage");
    // A damaged seal is as good as none: what it sealed stands, and is checked below.
    let seal = whole.len()
        - whole
            .iter()
            .rev()
            .skip(1)
            .position(|b| *b == b'\n')
            .expect("lines")
        - 1;
    let mut places: Vec<usize> = (0..seal).step_by(seal / 30).collect();
    places.push(seal - 1);
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x08;
        fs::write(&segment, &damaged).expect("a damaged segment");
        let before = contents(&project.data());
        for args in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["store", "fsck"],
        ] {
            let finished = project.run(args);
            let said = finished.stderr.clone();
            assert_eq!(finished.code, Some(76), "byte {place}, {args:?}: {said}");
            let where_it_is =
                said.contains(" is corrupt at byte ") && said.contains(" after sequence ");
            assert!(where_it_is, "byte {place}, {args:?}: {said}");
        }
        assert!(
            contents(&project.data()) == before,
            "byte {place}: something was changed"
        );
    }
    let mut damaged = whole.clone();
    damaged[seal + 3] ^= 0x08;
    fs::write(&segment, &damaged).expect("a damaged seal");
    assert_kept(&project);
    fs::write(&segment, &whole).expect("the segment as it was");
    assert_kept(&project);
}

fn assert_kept(project: &Project) {
    let server = Server::start(project);
    let run = server.owner(project).get("/v1/runs/kept").expect(200);
    assert_eq!(run["outputs"], json!({ "total": 3 }));
    server.stop();
}

#[test]
fn damage_before_the_last_batch_of_a_killed_server_is_no_torn_tail() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    for number in 0..5 {
        let start =
            json!({ "definition": COUNT, "id": format!("run-{number}"), "inputs": { "words": 1 } });
        let _started = owner.post("/v1/runs", &start).expect(201);
    }
    server.kill();
    let segment = project.data().join("journal/00000000000000000001.jsonl");
    let mut bytes = fs::read(&segment).expect("a segment");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let place = text.find("run-2").expect("the third run is in the journal");
    bytes[place + 4] = b'9';
    fs::write(&segment, &bytes).expect("a damaged segment");
    let before = contents(&project.data());
    let finished = project.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(finished.code, Some(76), "{}", finished.stderr);
    assert!(contents(&project.data()) == before, "something was changed");
}

#[test]
fn a_result_that_breaks_the_schema_is_refused_and_the_attempt_stays_open() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "strict", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let dc = owner.clone().acting_as("DC");
    let polled = dc
        .post("/v1/tasks/poll", &json!({ "wait_s": 5 }))
        .expect(200);
    let token = polled["tasks"][0]["token"].clone();
    let complete = |output: Value| {
        let body = json!({ "token": token, "output": output });
        dc.post("/v1/tasks/strict.count/complete", &body)
    };

    let refused = complete(json!({ "total": -3, "unit": "pages" }));
    assert_eq!(refused.refusal(), (422, "schema.output"));
    let diagnostics = serde_json::to_string_pretty(&refused.body["diagnostics"]).expect("JSON");
    insta::assert_snapshot!(diagnostics, @r#"
    [
      {
        "path": "output.total",
        "message": "-3 is below the minimum of 0"
      },
      {
        "path": "output.unit",
        "message": "expected `words`, found `pages`"
      }
    ]
    "#);

    let alive = dc.post(
        "/v1/tasks/strict.count/heartbeat",
        &json!({ "token": token }),
    );
    assert_eq!(
        alive.status, 200,
        "the attempt is still ours: {}",
        alive.body
    );
    let _seq = complete(json!({ "total": 3, "unit": "words" })).expect(200);
    let outcome = owner.get("/v1/runs/strict/wait?timeout_s=30").expect(200);
    assert_eq!(outcome["outputs"], json!({ "total": 3 }));
    server.stop();
    let completed = Journal::read(&project).count_by_task("task_completed");
    assert_eq!(completed, BTreeMap::from([("strict.count".to_owned(), 1)]));
}

#[test]
fn a_command_whose_result_breaks_the_schema_fails_its_step() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "strict", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let worker = Worker::start(&project, "DC", &["--once"], r#"echo '{"total": "three"}'"#);
    let outcome = owner.get("/v1/runs/strict/wait?timeout_s=30").expect(200);
    assert_eq!(outcome["status"], "failed");
    assert_eq!(outcome["error"]["code"], "schema.output");
    let message = outcome["error"]["message"].as_str().expect("a message");
    assert!(message.contains("total"), "{message}");
    let said = worker.process.finish();
    assert!(
        said.stderr.contains("0 completed, 1 failed"),
        "{}",
        said.stderr
    );
    server.stop();
}

#[test]
fn a_command_that_gives_no_json_fails_its_step_and_says_so() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": COUNT, "id": "talk", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let _worker = Worker::start(&project, "DC", &["--once"], "echo three words");
    let outcome = owner.get("/v1/runs/talk/wait?timeout_s=30").expect(200);
    assert_eq!(outcome["error"]["code"], "task.failed");
    let message = outcome["error"]["message"].as_str().expect("a message");
    assert!(message.contains("JSON"), "{message}");
    server.stop();
}

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

#[test]
fn secrets_stand_in_no_file_but_their_own_and_in_nothing_that_is_said() {
    let project = project();
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let admin = project.admin_token();
    let created = owner
        .post("/v1/tokens", &json!({ "role": "agent", "name": "DC" }))
        .expect(201);
    let agent = created["token"].as_str().expect("a token").to_owned();
    let start = json!({ "definition": COUNT, "id": "quiet", "inputs": { "words": 3 } });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let script = r#"env >"$PHISYNC_RUN_ID.env"; echo '{"total": 3, "unit": "words"}'"#;
    let mut command = project.command(&[
        "agent", "work", "--as", "DC", "--once", "--", "sh", "-c", script,
    ]);
    command.env("PHISYNC_TOKEN", &agent);
    let said = Worker::spawn(command).process.finish();
    let _outcome = owner.get("/v1/runs/quiet/wait?timeout_s=30").expect(200);
    let mut server = server;
    server.terminate();
    let told = server.finish();
    for text in [&said.stdout, &said.stderr, &told.stdout, &told.stderr] {
        assert!(!text.contains(&admin) && !text.contains(&agent), "{text}");
    }
    assert!(
        !Trace::of(&project, "quiet.env").lines().is_empty(),
        "the command ran"
    );
    for (path, bytes) in contents(project.root()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&agent), "{}", path.display());
        let own = path.ends_with("admin.token");
        assert!(own || !text.contains(&admin), "{}", path.display());
    }
}
