//! Agents that nobody declared: taken into the team, changed and removed while the server runs.

use std::thread;

use phisync_tests::process::{Http, Journal, Project, Server, Worker, eventually};
use serde_json::{Value, json};

const TEAM: &str = "
phisync: 1
agents:
  WEBC: { capabilities: [web] }
people:
  dana: { roles: [editor] }
";

fn start(owner: &Http, run: &str, assign: &str) {
    let definition = format!(
        "workflow: page\nsteps:\n  - {{ id: fetch, prompt: Fetch it., assign: {assign} }}\n"
    );
    let start = json!({ "definition": definition, "id": run });
    let _started = owner.post("/v1/runs", &start).expect(201);
}

fn token_of(registered: &Value) -> String {
    let token = registered["token"]["token"].as_str();
    token
        .unwrap_or_else(|| panic!("no token: {registered}"))
        .to_owned()
}

fn polled(agent: &Http, wait_s: u64) -> (String, u64) {
    let answer = agent.post("/v1/tasks/poll", &json!({ "wait_s": wait_s }));
    let answer = answer.expect(200);
    let task = &answer["tasks"][0];
    let id = task["id"].as_str().expect("an id").to_owned();
    (id, task["token"].as_u64().expect("a token"))
}

#[test]
fn a_registered_agent_works_with_its_own_token_also_after_a_restart() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let before = json!({ "definition": "workflow: page\nsteps:\n  - { id: a, prompt: x, assign: Helper }\n" });
    let unknown = owner.post("/v1/runs", &before);
    assert_eq!(unknown.refusal(), (422, "invalid_workflow"));

    let words = json!({
        "name": "Helper", "capabilities": ["web", "code"], "pool": "night", "concurrency": 2,
        "silence": "2m", "detector": "phi", "rate": "30/m",
    });
    let registered = owner.post("/v1/agents", &words).expect(201);
    let bearer = token_of(&registered);
    let agent = Http::new(&server.url, &bearer);
    assert_eq!(agent.get("/v1/me").expect(200)["name"], "helper");

    // Named, by capability and by pool: the compiler and the queue know it alike.
    start(&owner, "p1", "Helper");
    start(&owner, "p2", "{ capabilities: [code], pool: night }");
    let (first, token) = polled(&agent, 0);
    let (second, _) = polled(&agent, 0);
    assert_eq!((first.as_str(), second.as_str()), ("p1.fetch", "p2.fetch"));

    server.kill();
    let server = Server::start(&project);
    let agent = Http::new(&server.url, &bearer);
    let owner = server.owner(&project);
    let shown = owner.get("/v1/agents/helper").expect(200);
    for (key, value) in [
        ("name", json!("Helper")),
        ("origin", json!("registered")),
        ("pool", json!("night")),
        ("concurrency", json!(2)),
        ("silence_ms", json!(120_000)),
        ("detector", json!("phi")),
        ("rate", json!("30/m")),
        ("holds", json!(["p1.fetch", "p2.fetch"])),
    ] {
        assert_eq!(shown[key], value, "{key}: {shown}");
    }
    assert_eq!(shown["registered_by"]["by"], "owner");
    assert_eq!(
        owner.get("/v1/agents/webc").expect(200)["origin"],
        "declared"
    );
    let done = json!({ "token": token, "output": {} });
    let _done = agent.post("/v1/tasks/p1.fetch/complete", &done).expect(200);
    assert_eq!(owner.get("/v1/runs/p1").expect(200)["status"], "completed");
}

#[test]
fn describing_it_anew_counts_at_once_for_a_poll_that_waits() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let webless = json!({ "name": "helper", "capabilities": ["code"] });
    let registered = owner.post("/v1/agents", &webless).expect(201);
    let agent = Http::new(&server.url, &token_of(&registered));
    let _drained = owner.post("/v1/agents/webc/drain", &json!({})).expect(200);
    start(&owner, "p1", "{ capabilities: [web] }");
    let nothing = agent.post("/v1/tasks/poll", &json!({}));
    assert_eq!(nothing.status, 204);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| polled(&agent, 60));
        eventually("a poll waits", || {
            let helper = owner.get("/v1/agents/helper").expect(200);
            (helper["waits"] == true).then_some(())
        });
        let able = json!({ "name": "HELPER", "capabilities": ["code", "web"] });
        let changed = owner.post("/v1/agents", &able).expect(200);
        assert_eq!(changed["token"], Value::Null, "{changed}");
        let (task, _) = waiting.join().expect("a task");
        assert_eq!(task, "p1.fetch");
    });
    // The same words again are nothing new.
    let head = owner.get("/healthz").expect(200)["head_seq"].clone();
    let able = json!({ "name": "HELPER", "capabilities": ["code", "web"] });
    let _same = owner.post("/v1/agents", &able).expect(200);
    assert_eq!(owner.get("/healthz").expect(200)["head_seq"], head);
    let why = owner.get("/v1/agents/helper").expect(200);
    assert_eq!(why["concurrency"], 1, "what is not said has its default");
}

#[test]
fn whoever_is_removed_loses_its_tasks_its_polls_and_its_token() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let words = json!({ "name": "helper", "capabilities": ["web"], "concurrency": 2 });
    let registered = owner.post("/v1/agents", &words).expect(201);
    let agent = Http::new(&server.url, &token_of(&registered));
    start(&owner, "p1", "{ capabilities: [web] }");
    let (task, token) = polled(&agent, 0);
    let remove = |body| owner.post("/v1/agents/HELPER/remove", &body);
    let kept = remove(json!({ "reason": "a test" }));
    assert_eq!(kept.refusal(), (409, "holds_tasks"));
    let beat = format!("/v1/tasks/{task}/heartbeat");
    let _lives = agent.post(&beat, &json!({ "token": token })).expect(200);

    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            agent
                .post("/v1/tasks/poll", &json!({ "wait_s": 60 }))
                .status
        });
        eventually("a poll waits", || {
            let helper = owner.get("/v1/agents/helper").expect(200);
            (helper["waits"] == true).then_some(())
        });
        let removed = remove(json!({ "reason": "a test", "at_once": true })).expect(200);
        assert_eq!(removed["lost"], json!(["p1.fetch"]), "{removed}");
        assert_eq!(removed["tokens"], 1, "{removed}");
        assert_eq!(waiting.join().expect("an answer"), 204);
    });
    let late = agent.post(&beat, &json!({ "token": token }));
    assert_eq!(late.refusal(), (401, "unauthorized"));
    // Under its name but somebody else's token it is as late.
    let pretends = owner.clone().acting_as("helper");
    let late = pretends.post(&beat, &json!({ "token": token }));
    assert_eq!(late.refusal(), (404, "not_found"));

    let webc = owner.clone().acting_as("WEBC");
    let (same, higher) = polled(&webc, 0);
    assert_eq!(same, task);
    assert!(higher > token, "{higher} after {token}");
    let late = webc.post(&beat, &json!({ "token": token }));
    assert!(matches!(late.status, 403 | 409), "{}", late.body);

    // Whoever comes under that name later is somebody else.
    let again = owner.post("/v1/agents", &words).expect(201);
    assert_eq!(agent.get("/v1/me").status, 401);
    assert_eq!(again["agent"]["verdict"], "unseen");
    assert_eq!(Journal::read(&project).named("registered").count(), 2);
    let twice = remove(json!({})).expect(200);
    assert_eq!(twice["lost"], json!([]));
    assert_eq!(remove(json!({})).refusal(), (404, "not_found"));
}

#[test]
fn what_the_file_declares_is_not_registered_and_what_it_comes_to_declare_rests() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let register = |words: Value| owner.post("/v1/agents", &words);
    for name in ["webc", "WebC", "dana"] {
        let refused = register(json!({ "name": name }));
        assert_eq!(refused.refusal(), (409, "declared"), "{name}");
    }
    let removed = owner.post("/v1/agents/webc/remove", &json!({ "at_once": true }));
    assert_eq!(removed.refusal(), (409, "declared"));
    for words in [
        json!({ "name": "no name" }),
        json!({ "name": "x", "concurrency": 0 }),
        json!({ "name": "x", "silence": "soon" }),
        json!({ "name": "x", "rate": "often" }),
        json!({ "name": "x", "detector": "dowsing" }),
        json!({ "name": "x", "capabilities": ["web", "web"] }),
    ] {
        let refused = register(words.clone());
        assert_eq!(refused.refusal(), (422, "bad_agent"), "{words}");
    }
    let registered = register(json!({ "name": "kalic", "capabilities": ["audit"] })).expect(201);
    let token = token_of(&registered);
    server.stop();

    project.write(
        "agents.yaml",
        &TEAM.replace("people", "  Kalic: { concurrency: 3 }\npeople"),
    );
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let kalic = owner.get("/v1/agents/kalic").expect(200);
    assert_eq!(
        (
            &kalic["origin"],
            &kalic["concurrency"],
            &kalic["capabilities"]
        ),
        (&json!("declared"), &json!(3), &json!([]))
    );
    assert_eq!(kalic["registered_by"]["by"], "owner", "and says so");
    let agent = Http::new(&server.url, &token);
    assert_eq!(agent.get("/v1/me").expect(200)["name"], "kalic");
    server.stop();

    project.write("agents.yaml", TEAM);
    let server = Server::start(&project);
    let kalic = server.owner(&project).get("/v1/agents/kalic").expect(200);
    assert_eq!(
        (&kalic["origin"], &kalic["capabilities"]),
        (&json!("registered"), &json!(["audit"]))
    );
}

#[test]
fn the_command_line_registers_lists_and_removes() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let line = |args: &[&str]| project.run(args).expect_code(0);
    let token = line(&["agent", "register", "Helper", "--capability", "web"]);
    let list = line(&["agent", "list"]);
    let row = |name: &str| {
        let row = list.lines().find(|line| line.starts_with(name));
        row.unwrap_or_else(|| panic!("no {name} in {list}"))
            .split_whitespace()
            .take(4)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(row("Helper"), "Helper registered unseen web");
    assert_eq!(row("WEBC"), "WEBC agents.yaml unseen web");
    let anew = line(&["agent", "register", "helper", "--concurrency", "2"]);
    assert_eq!(anew.trim(), "helper is described anew; its token stays");
    let shown = line(&["agent", "show", "helper"]);
    assert!(
        shown.contains("from       registered by owner at "),
        "{shown}"
    );

    // The worker of somebody who has nothing but the token.
    start(&owner, "p1", "Helper");
    let mut command = project.command(&["agent", "work", "--as", "helper", "--once", "--", "echo"]);
    command
        .arg("{\"title\": \"x\"}")
        .env_remove("PHISYNC_DATA")
        .env("PHISYNC_SERVER", &server.url)
        .env("PHISYNC_TOKEN", token.trim());
    let worked = Worker::spawn(command).process.finish();
    assert_eq!(worked.code, Some(0), "{}", worked.stderr);
    assert_eq!(owner.get("/v1/runs/p1").expect(200)["status"], "completed");

    let removed = line(&["agent", "remove", "helper", "--reason", "done"]);
    assert_eq!(removed.trim(), "helper is removed and held nothing");
    let gone = project.run(&["agent", "show", "helper"]);
    assert_eq!(gone.code, Some(3), "{}", gone.stderr);
    let kept = project.run(&["agent", "remove", "webc"]);
    assert_eq!(kept.code, Some(5), "{}", kept.stderr);
    assert!(
        kept.stderr.contains("is declared in agents.yaml"),
        "{}",
        kept.stderr
    );
}
