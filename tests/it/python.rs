//! `agents/python/phisync.py` under a real interpreter, against a real server.

use std::path::Path;
use std::process::Command;

use phisync_tests::process::{Child, Project, Server, client, eventually};
use serde_json::{Value, json};

const TEAM: &str = "phisync: 1\nagents:\n  SNAKE: { concurrency: 4 }\n";

const WORKFLOW: &str = r#"
workflow: pythonic
outputs:
  plain: ${{ steps.plain.output }}
  attempts: ${{ steps.again.attempts }}
steps:
  - { id: plain, prompt: Double it., assign: SNAKE, input: { num: 21 }, output: { type: object, required: [num], properties: { num: { type: integer } } } }
  - { id: again, prompt: Try twice., assign: SNAKE, retry: { max_attempts: 3, backoff: none }, effects: none }
  - { id: bad, prompt: Return nonsense., assign: SNAKE, output: { type: object, required: [num], properties: { num: { type: integer } } }, on_failure: continue }
  - { id: raises, prompt: Break., assign: SNAKE, on_failure: continue }
  - { id: asks, prompt: Ask., assign: SNAKE }
  - { id: unsendable, prompt: Return no JSON., assign: SNAKE, on_failure: continue }
"#;

const AGENT: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import phisync

def do(task):
    task.progress({"seen": task.id})
    if task.step == "plain":
        return {"num": task.input["num"] * 2}
    if task.step == "again":
        if task.attempt == 1:
            raise phisync.TaskFailed("not yet", code="transient.tired")
        return {"handoff": task.handoff}
    if task.step == "asks":
        if not task.answers:
            raise phisync.AskHuman("Which one?")
        return task.answers[0]["answer"]
    if task.step == "bad":
        return {"m": 1}
    if task.step == "unsendable":
        return {"num": float("nan")}
    raise KeyError("nothing")

print(phisync.work(phisync.Client.from_environment("SNAKE"), do, concurrency=3, max_tasks=8))
"#;

fn python(project: &Project, arguments: &[&str]) -> Option<Child> {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3 to run the Python client with");
        return None;
    }
    let mut command = Command::new("python3");
    command
        .args(["-B"])
        .args(arguments)
        .current_dir(project.root());
    Some(Child::start(command, b""))
}

fn module() -> String {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let module = tests.join("../agents/python");
    module.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn an_agent_in_python_works_fails_and_tries_again() {
    let project = Project::new([("agents.yaml", TEAM), ("agent.py", AGENT)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "p1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let Some(agent) = python(&project, &["agent.py", &module()]) else {
        return;
    };
    let question = eventually("it asks", || {
        let open = owner.get("/v1/approvals").expect(200);
        open["approvals"].as_array()?.first().cloned()
    });
    assert_eq!(
        (&question["id"], &question["kind"], &question["prompt"]),
        (&json!("p1.asks"), &json!("question"), &json!("Which one?"))
    );
    let answer = json!({ "decision": "answer", "comment": "the first" });
    let _answered = owner
        .post("/v1/approvals/p1.asks/decide", &answer)
        .expect(200);
    assert_eq!(agent.finish().expect_code(0).trim(), "8");
    let run = owner.get("/v1/runs/p1").expect(200);
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(
        run["outputs"],
        json!({ "plain": { "num": 42 }, "attempts": 2 })
    );
    let step = |id: &str| -> &Value {
        let steps = run["steps"].as_array().expect("steps");
        steps.iter().find(|step| step["id"] == id).expect("a step")
    };
    assert_eq!(step("asks")["output"], "the first");
    assert_eq!(step("bad")["error"]["code"], "schema.output");
    assert_eq!(step("raises")["error"]["message"], "KeyError: 'nothing'");
    let unsendable = step("unsendable")["error"]["message"].as_str();
    assert!(
        unsendable.is_some_and(|m| m.starts_with("the result cannot be sent")),
        "{run}"
    );
}

const STUBBORN: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import phisync

def do(task):
    print("began", flush=True)
    if not task.cancelled.wait(60):
        return "nobody cancelled"
    raise RuntimeError("stopped")

phisync.work(phisync.Client.from_environment("SNAKE"), do, max_tasks=1)
"#;

#[test]
fn a_cancelled_run_reaches_the_function_through_its_heartbeat() {
    let workflow = "
workflow: long
steps:
  - { id: only, prompt: Wait., assign: SNAKE, timeouts: { lease: 5s } }
";
    let project = Project::new([("agents.yaml", TEAM), ("agent.py", STUBBORN)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": workflow, "id": "p1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let Some(agent) = python(&project, &["agent.py", &module()]) else {
        return;
    };
    let _began = agent.stdout_line(|line| line == "began");
    let _cancelled = owner.post("/v1/runs/p1/cancel", &json!({})).expect(200);
    let _said = agent.finish().expect_code(0);
    eventually("the run is cancelled", || {
        let run = owner.get("/v1/runs/p1").expect(200);
        (run["status"] == "cancelled").then_some(())
    });
}

#[test]
fn a_refusal_of_the_server_ends_the_worker_with_the_servers_words() {
    let nobody = "
import sys
sys.path.insert(0, sys.argv[1])
import phisync
phisync.work(phisync.Client.from_environment('NOBODY'), lambda task: None)
";
    let project = Project::new([("agents.yaml", TEAM), ("agent.py", nobody)]);
    let _server = Server::start(&project);
    let Some(agent) = python(&project, &["agent.py", &module()]) else {
        return;
    };
    let finished = agent.finish();
    assert_eq!(finished.code, Some(1));
    assert!(
        finished.stderr.contains("phisync.Refused: not_found"),
        "{}",
        finished.stderr
    );
}

/// What `docs/mailbox.md` gives in the place of three functions of a home-made state folder.
#[test]
fn the_functions_that_replace_those_of_a_state_folder_do_as_they_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mailbox.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, sample) = page.split_once("```python\n").expect("a sample");
    let (sample, _) = sample.split_once("```").expect("its end");
    let driver = r#"
import sys, threading, time
sys.path.insert(0, sys.argv[1])
"#;
    let use_it = r#"
phisync.Client.from_environment("GONE").request("POST", "/v1/agents/heartbeat", {})

def count(data):
    data["count"] = data.get("count", 0) + 1
    return data

def rounds():
    for _ in range(5):
        update_state("counter", count)

threads = [threading.Thread(target=rounds) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
while dead_agents() != ["GONE"]:
    send_heartbeat()
    time.sleep(0.05)
print(client.request("GET", "/v1/documents/counter")["content"]["count"])
"#;
    let team = "phisync: 1\nagents:\n  WEBC: {}\n  GONE: { silence: 1s }\n";
    let script = [driver, sample, use_it].concat();
    let project = Project::new([("agents.yaml", team), ("state.py", script.as_str())]);
    let _server = Server::start(&project);
    let Some(state) = python(&project, &["state.py", &module()]) else {
        return;
    };
    assert_eq!(state.finish().expect_code(0).trim(), "20");
}

const MANY: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import phisync

client = phisync.Client.from_environment("SNAKE")
tasks = client.poll(max=4, wait=30)
results = [(task, {"num": n}) for n, task in enumerate(tasks)]
# The last one does not satisfy its schema, and stays ours.
results[-1] = (results[-1][0], {"num": "three"})
problems = client.complete_all(results)
print(len(tasks), [problem and problem["code"] for problem in problems])
print(client.complete_all([(results[-1][0], {"num": 3})]))
"#;

#[test]
fn complete_all_reports_many_results_and_says_which_was_not_taken() {
    let workflow = r#"
workflow: many
steps:
  - { id: a, prompt: Count., assign: SNAKE, output: { type: object, required: [num], properties: { num: { type: integer } } } }
  - { id: b, prompt: Count., assign: SNAKE, output: { type: object, required: [num], properties: { num: { type: integer } } } }
  - { id: c, prompt: Count., assign: SNAKE, output: { type: object, required: [num], properties: { num: { type: integer } } } }
  - { id: d, prompt: Count., assign: SNAKE, output: { type: object, required: [num], properties: { num: { type: integer } } } }
"#;
    let project = Project::new([("agents.yaml", TEAM), ("many.py", MANY)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": workflow, "id": "m1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let Some(agent) = python(&project, &["many.py", &module()]) else {
        return;
    };
    assert_eq!(
        agent.finish().expect_code(0),
        "4 [None, None, None, 'schema.output']\n[None]\n"
    );
    let run = owner.get("/v1/runs/m1/wait?timeout_s=60").expect(200);
    assert_eq!(run["status"], "completed", "{run}");
}

const HELPERS: &str = r#"
import sys
sys.path.insert(0, sys.argv[1])
import phisync

owner = phisync.Client.from_environment("SNAKE")
owner.alive()
assert [(a["name"], a["origin"], a["verdict"]) for a in owner.agents()] == [("SNAKE", "declared", "alive")]

assert owner.document("plan") == (None, 0)
assert owner.write_document("plan", {"step": 1}, 0) == 1
for version in (0, 7):
    try:
        owner.write_document("plan", {"step": 9}, version)
    except phisync.Refused as refused:
        assert (refused.status, refused.code) == (412, "version"), refused
    else:
        raise AssertionError(f"version {version} was taken")
assert owner.update_document("plan", lambda plan: {"step": plan["step"] + 1}) == {"step": 2}
assert owner.document("plan") == ({"step": 2}, 2)
assert owner.write_document("plan", None, 2) == 3
assert owner.document("plan") == (None, 3)

token = owner.register("helper", capabilities=["web"], concurrency=2)
assert owner.register("helper", capabilities=["web", "code"]) is None
helper = phisync.Client(owner._base, token)
[task] = helper.poll()
assert (task.id, owner.remove("helper", reason="a test", at_once=True)) == ("p1.only", ["p1.only"])
try:
    helper.heartbeat(task)
except phisync.Refused as refused:
    assert refused.code == "unauthorized", refused
print("all as it should be")
"#;

#[test]
fn the_client_knows_documents_and_the_team() {
    let workflow = "
workflow: chore
steps:
  - { id: only, prompt: Do it., assign: { capabilities: [web] } }
";
    let team = "phisync: 1\nagents:\n  SNAKE: {}\n";
    let project = Project::new([("agents.yaml", team), ("helpers.py", HELPERS)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let able = json!({ "name": "helper", "capabilities": ["web"] });
    let _known = owner.post("/v1/agents", &able).expect(201);
    let start = json!({ "definition": workflow, "id": "p1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let _unknown = owner
        .post("/v1/agents/helper/remove", &json!({}))
        .expect(200);
    let Some(helpers) = python(&project, &["helpers.py", &module()]) else {
        return;
    };
    assert_eq!(
        helpers.finish().expect_code(0).trim(),
        "all as it should be"
    );
}

/// mypy is no part of a Rust toolchain: `tests/clients/prepare` installs it. Without it this test says that it
/// was skipped; in CI it fails.
#[test]
fn every_word_of_the_client_is_typed() {
    let Some(mypy) = client("python/bin/mypy") else {
        return;
    };
    let project = Project::new([]);
    let mut command = Command::new(mypy);
    command
        .args(["--strict", "--python-version", "3.10", "--cache-dir"])
        .arg(project.path("cache"))
        .arg(Path::new(&module()).join("phisync.py"));
    let said = Child::start(command, b"").finish();
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
}
