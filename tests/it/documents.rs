//! Shared documents under contention, with the real binary: turns for those who lose, `doc update`, and writes that only the
//! holder of a task may make.

use phisync_tests::process::{Child, Http, Project, Reply, Server, Worker, eventually};
use serde_json::{Value, json};

const TEAM: &str = "
phisync: 1
agents:
  DC: { capabilities: [write] }
  WEBC: { capabilities: [write] }
";

const PATH: &str = "/v1/documents/counter";

fn put(http: &Http, path: &str, headers: &[(&str, &str)], content: &Value) -> Reply {
    let client = headers
        .iter()
        .fold(http.clone(), |http, (name, value)| http.with(name, value));
    let body = content.to_string();
    client.send("PUT", path, Some("application/json"), body.as_bytes())
}

fn content(http: &Http) -> Value {
    http.get(PATH).expect(200)["content"].clone()
}

#[test]
fn who_loses_a_race_is_refused_in_its_turn_with_the_newest_content() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let (owner, dc) = (
        server.owner(&project),
        server.owner(&project).acting_as("DC"),
    );
    let _made = put(&owner, PATH, &[("if-none-match", "*")], &json!(1)).expect(200);
    let in_line = format!("{PATH}?turn_s=30&hold_s=60");
    let lost = put(&dc, &in_line, &[("if-none-match", "*")], &json!(2));
    assert_eq!(lost.refusal(), (412, "version"));
    let turn = &lost.body["turn"];
    assert_eq!((&turn["version"], &turn["content"]), (&json!(1), &json!(1)));
    let number = turn["turn"].as_u64().expect("a number").to_string();

    // Nobody else writes meanwhile, with or without a condition; nobody else may use its number.
    let current = [("if-match", "\"1\"")];
    let other = put(&owner, PATH, &current, &json!(3));
    assert_eq!(other.refusal(), (409, "turn"));
    let stolen = [("if-match", "\"1\""), ("phisync-turn", number.as_str())];
    let stolen = put(&owner, PATH, &stolen, &json!(3));
    assert_eq!(stolen.refusal(), (409, "turn"));
    let all = json!({ "changes": [{ "document": "counter", "op": "write", "content": 3 }] });
    let all = owner.post("/v1/transactions", &all);
    assert_eq!(all.refusal(), (409, "turn"));
    let asked = owner.post(&format!("{PATH}/turn"), &json!({}));
    assert_eq!(asked.refusal(), (409, "turn"));

    let mine = [("if-match", "\"1\""), ("phisync-turn", number.as_str())];
    let written = put(&dc, &in_line, &mine, &json!(2)).expect(200);
    assert_eq!(written["version"], 2);
    // The turn ended with the write: it opens nothing any more, and holds up nobody.
    let _free = put(&owner, PATH, &[("if-match", "\"2\"")], &json!(4)).expect(200);
    assert_eq!(content(&owner), 4);
}

#[test]
fn a_turn_that_is_not_used_ends_by_itself_and_one_that_is_given_up_at_once() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let ask = |hold_s: f64| {
        let turn = json!({ "hold_s": hold_s, "wait_s": 60 });
        let turn = owner.post(&format!("{PATH}/turn"), &turn).expect(200);
        assert_eq!(
            (&turn["version"], &turn["content"]),
            (&json!(0), &json!(null))
        );
        turn["turn"].as_u64().expect("a number")
    };
    let first = ask(60.0);
    let give_up = json!({ "turn": first });
    let _given_up = owner
        .post(&format!("{PATH}/turn/release"), &give_up)
        .expect(204);
    let _silent = ask(0.1);
    // Waits in line behind the silent one, and so does a write that relies on nothing.
    let second = ask(0.1);
    assert_ne!(first, second);
    let _written = put(&owner, PATH, &[], &json!("last")).expect(200);
    assert_eq!(content(&owner), "last");
}

#[test]
fn commands_that_change_one_document_at_once_all_get_through() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let add = "doc update counter -- sh -c 'read n; echo $((n + 1))'";
    let script = format!("for i in 1 2 3; do \"$0\" {add} || exit 1; done");
    let clients: Vec<_> = (0..6)
        .map(|_| Child::start(project.shell(&script), b""))
        .collect();
    for client in clients {
        let _said = client.finish().expect_code(0);
    }
    assert_eq!(content(&owner), 18);
}

#[test]
fn a_command_that_fails_or_says_nonsense_writes_nothing_and_keeps_nobody_waiting() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let _made = put(&owner, PATH, &[], &json!({ "n": 1 })).expect(200);
    let update =
        |script: &str| project.run(&["doc", "update", "counter", "--", "sh", "-c", script]);
    // The first time somebody is faster, so that it fails in a turn.
    let lose = r#"[ "$PHISYNC_DOCUMENT_VERSION" = 1 ] || exit 7
        "$PHISYNC" doc put counter other.json >&2; echo '{"n": 9}'"#;
    project.write("other.json", r#"{"n": 2}"#);
    let mut losing = project.command(&["doc", "update", "counter", "--", "sh", "-c", lose]);
    let program = losing.get_program().to_owned();
    losing.env("PHISYNC", program);
    assert_eq!(Child::start(losing, b"").finish().code, Some(7));
    let _free = put(&owner, PATH, &[("if-match", "\"2\"")], &json!({ "n": 3 })).expect(200);
    assert_eq!(update("exit 7").code, Some(7));
    assert_eq!(update("echo nonsense").code, Some(6));
    assert_eq!(update("kill -9 $$").code, Some(137));
    assert_eq!(
        project
            .run(&["doc", "update", "counter", "--", "no-such-program"])
            .code,
        Some(3)
    );
    let same = update("cat").expect_code(0);
    assert_eq!(same, "");
    assert_eq!(content(&owner)["n"], 3);
}

#[test]
fn doc_put_writes_reads_and_ends_with_5_on_a_lost_race() {
    let project = Project::new([("agents.yaml", TEAM), ("one.json", "{\"n\": 1}")]);
    Server::start(&project).stop();
    // Without a server it opens the directory itself.
    let first = ["doc", "put", "counter", "one.json", "--if-version", "0"];
    assert_eq!(
        project.run(&first).expect_code(0).trim(),
        "counter: version 1"
    );
    let again = project.run(&first);
    assert_eq!(again.code, Some(5), "{}", again.stderr);
    let _server = Server::start(&project);
    let second = Child::start(
        project.command(&["doc", "put", "counter", "--if-version", "1", "--as", "DC"]),
        b"{\"n\": 2}\n",
    );
    assert_eq!(second.finish().expect_code(0).trim(), "counter: version 2");
    let late = project.run(&["doc", "put", "counter", "one.json", "--if-version", "1"]);
    assert_eq!(late.code, Some(5), "{}", late.stderr);
    assert_eq!(
        project
            .run(&["doc", "get", "counter"])
            .expect_code(0)
            .trim(),
        "{\"n\": 2}"
    );
    let shown = project
        .run(&["doc", "get", "counter", "-o", "json"])
        .expect_code(0);
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&shown["version"], &shown["by"]), (&json!(2), &json!("dc")));
    let bad = Child::start(project.command(&["doc", "put", "counter"]), b"{");
    assert_eq!(bad.finish().code, Some(6));
}

const WORKFLOW: &str = r#"
workflow: notes
steps:
  - id: only
    task: notes.only
    assign: { capabilities: [write] }
    effects: none
    retry: { max_attempts: 2, backoff: none, errors: [app, task.failed], reassign: other }
"#;

/// A server, and the task `n1.only`, which `agent` holds.
struct Held {
    server: Server,
    owner: Http,
    agent: Http,
    token: String,
    project: Project,
}

impl Held {
    fn by(name: &str, options: &[(&str, &str)]) -> Self {
        let files = [("agents.yaml", TEAM)];
        let project = Project::new(files.into_iter().chain(options.iter().copied()));
        let server = Server::start(&project);
        let owner = server.owner(&project);
        let start = json!({ "definition": WORKFLOW, "id": "n1" });
        let _started = owner.post("/v1/runs", &start).expect(201);
        let made = json!({ "role": "agent", "name": name });
        let made = owner.post("/v1/tokens", &made).expect(201);
        let agent = Http::new(&server.url, made["token"].as_str().expect("a token"));
        let task = poll(&agent);
        let token = task["token"].to_string();
        Self {
            server,
            owner,
            agent,
            token,
            project,
        }
    }

    fn write(&self, headers: &[(&str, &str)], content: &Value) -> Reply {
        let task = [
            ("phisync-task", "n1.only"),
            ("phisync-task-token", self.token.as_str()),
        ];
        put(&self.agent, PATH, &[&task, headers].concat(), content)
    }
}

fn poll(agent: &Http) -> Value {
    let polled = agent
        .post("/v1/tasks/poll", &json!({ "wait_s": 30 }))
        .expect(200);
    polled["tasks"][0].clone()
}

#[test]
fn a_task_that_was_lost_writes_no_document_and_its_successor_learns_what_it_wrote() {
    let held = Held::by("DC", &[]);
    let _written = held.write(&[], &json!("by DC")).expect(200);
    let both = json!({ "changes": [
        { "document": "counter", "op": "write", "content": "again" },
        { "document": "list", "op": "write", "content": [] },
    ] });
    let right = held
        .agent
        .clone()
        .with("phisync-task", "n1.only")
        .with("phisync-task-token", &held.token);
    let _both = right.post("/v1/transactions", &both).expect(201);
    let shown = held.owner.get("/v1/tasks/n1.only").expect(200);
    assert_eq!(shown["status"], "running", "{shown}");

    // Somebody else's token, one that never was, half of a claim, a task that is none.
    let other = held
        .owner
        .clone()
        .acting_as("WEBC")
        .with("phisync-task", "n1.only");
    let other = put(
        &other,
        PATH,
        &[("phisync-task-token", &held.token)],
        &json!(0),
    );
    assert_eq!(other.refusal(), (403, "forbidden"));
    let wrong = put(
        &held.agent,
        PATH,
        &[("phisync-task", "n1.only"), ("phisync-task-token", "7")],
        &json!(0),
    );
    assert_eq!(wrong.refusal(), (409, "stale_token"));
    let half = put(&held.agent, PATH, &[("phisync-task", "n1.only")], &json!(0));
    assert_eq!(half.refusal(), (400, "bad_request"));
    let none = [("phisync-task", "n9.only"), ("phisync-task-token", "7")];
    assert_eq!(
        put(&held.agent, PATH, &none, &json!(0)).refusal(),
        (404, "not_found")
    );
    let person = put(&held.owner, PATH, &none, &json!(0));
    assert_eq!(
        person.refusal(),
        (403, "forbidden"),
        "only an agent holds tasks"
    );

    let gone = json!({ "token": held.token.parse::<u64>().expect("a number"), "code": "app.tired", "message": "no more" });
    let _failed = held.agent.post("/v1/tasks/n1.only/fail", &gone).expect(200);
    let late = held.write(&[], &json!("too late"));
    assert_eq!(late.refusal(), (409, "stale_token"));
    let late = right.post("/v1/transactions", &both);
    assert_eq!(late.refusal(), (409, "stale_token"));
    assert_eq!(content(&held.owner), "again");

    let successor = poll(&held.owner.clone().acting_as("WEBC"));
    let documents = successor["handoff"]["documents"]
        .as_array()
        .expect("a list");
    let told: Vec<_> = documents
        .iter()
        .map(|document| {
            let word = |name: &str| document[name].as_str().expect("a word");
            let number = |name: &str| document[name].as_u64().expect("a number");
            (
                word("name"),
                number("version"),
                number("attempt"),
                word("agent"),
            )
        })
        .collect();
    assert_eq!(told, [("counter", 2, 1, "dc"), ("list", 1, 1, "dc")]);
    // The journal says it with the task; a restart does not forget.
    let events = held.owner.get("/v1/runs/n1/events").expect(200);
    let wrote = events["events"].as_array().expect("events").iter();
    let wrote = wrote.filter(|event| event["event"]["task_wrote"].is_object());
    assert_eq!(wrote.count(), 2, "{events}");
    let Held {
        server, project, ..
    } = held;
    server.kill();
    let server = Server::start(&project);
    let shown = server.owner(&project).get("/v1/tasks/n1.only").expect(200);
    assert_eq!(
        shown["handoff"]["documents"],
        successor["handoff"]["documents"]
    );
}

#[test]
fn an_agent_may_be_held_to_write_under_its_tasks_only() {
    let settings = "[serve]\nagents_write_under_tasks = true\n";
    let held = Held::by("DC", &[("phisync.toml", settings)]);
    let free = put(&held.agent, PATH, &[], &json!(1));
    assert_eq!(free.refusal(), (403, "forbidden"));
    let _written = held.write(&[], &json!(2)).expect(200);
    let _people = put(&held.owner, PATH, &[], &json!(3)).expect(200);
}

#[test]
fn what_a_command_of_a_worker_writes_is_under_its_task_by_itself() {
    let project = Project::new([
        ("agents.yaml", TEAM),
        ("late.json", "{\"n\": 3}"),
        ("phisync.toml", "[serve.roots]\nhere = \".\"\n"),
        (
            "tx.yaml",
            "changes: [{ path: made.txt, op: write, content: made }]\n",
        ),
    ]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "n1" });
    let script = r#"
        if grep -q '"handoff"' "$PHISYNC_TASK_FILE"; then
            cp "$PHISYNC_TASK_FILE" successor.json; echo "{}"; exit 0
        fi
        echo '{"n": 1}' | "$PHISYNC" doc put counter >&2
        "$PHISYNC" doc update counter -- sed 's/1/2/' >&2
        "$PHISYNC" tx apply tx.yaml >&2
        echo "$PHISYNC_TASK" >claim.txt
        exit 1
    "#;
    let worker = |name: &str| {
        let mut command =
            project.command(&["agent", "work", "--as", name, "--", "sh", "-c", script]);
        let program = command.get_program().to_owned();
        command.env("PHISYNC", program);
        Worker::spawn(command)
    };
    let _first = worker("DC");
    let _started = owner.post("/v1/runs", &start).expect(201);
    let claim = eventually("the first attempt is over", || {
        let claim = std::fs::read_to_string(project.path("claim.txt")).ok()?;
        let task = owner.get("/v1/tasks/n1.only").expect(200);
        (task["status"] == "ready").then_some(claim)
    });
    let late = [
        "doc",
        "put",
        "counter",
        "late.json",
        "--as",
        "DC",
        "--task",
        claim.trim(),
    ];
    let late = project.run(&late);
    assert_eq!(late.code, Some(5), "{}", late.stderr);
    let _second = worker("WEBC");
    let task: Value = eventually("the successor has it", || {
        let text = std::fs::read_to_string(project.path("successor.json")).ok()?;
        serde_json::from_str(&text).ok()
    });
    let handoff = &task["handoff"];
    assert_eq!(handoff["documents"][0]["name"], "counter", "{task}");
    assert_eq!(handoff["documents"][0]["version"], 2, "{task}");
    assert_eq!(handoff["files"][0]["path"], "made.txt", "{task}");
    assert_eq!(handoff["files"][0]["agent"], "dc", "{task}");
    assert_eq!(owner.get(PATH).expect(200)["by"], "dc");
}
