//! What agents report by the command line, with the real binary: many results at once, and how far they are.

use phisync_tests::process::{Child, Finished, Project, Server, Worker, eventually};
use serde_json::{Value, json};

const TEAM: &str = "phisync: 1\nagents:\n  DC: { concurrency: 4 }\n";

const WORKFLOW: &str = r#"
workflow: two
steps:
  - { id: a, task: two.a, assign: DC, timeouts: { lease: 5s }, output: { type: object, required: [n], properties: { n: { type: integer } } } }
  - { id: b, task: two.b, assign: DC, timeouts: { lease: 5s } }
"#;

fn complete_all(project: &Project, lines: &[Value]) -> Finished {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let command = project.command(&["task", "complete-all", "--as", "DC"]);
    Child::start(command, text.as_bytes()).finish()
}

#[test]
fn complete_all_takes_what_is_good_and_ends_with_5_if_anything_is_not() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "t1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let poll = [
        "task", "poll", "--as", "DC", "--max", "4", "--wait", "30", "-o", "json",
    ];
    let tasks = project.run(&poll).expect_code(0);
    let tasks: Value = serde_json::from_str(&tasks).expect("JSON");
    let tasks = tasks.as_array().expect("a list");
    let result = |n: usize, output: Value| json!({ "task": tasks[n]["id"], "token": tasks[n]["token"], "output": output });

    let half = complete_all(
        &project,
        &[result(0, json!({ "n": "x" })), result(1, json!({}))],
    );
    assert_eq!(half.code, Some(5), "{}", half.stderr);
    assert!(half.stdout.contains("schema.output"), "{}", half.stdout);
    let again = complete_all(
        &project,
        &[result(0, json!({ "n": 1 })), result(1, json!({}))],
    );
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    let other = complete_all(&project, &[result(1, json!({ "other": true }))]);
    assert_eq!(other.code, Some(5), "{}", other.stdout);
    let nonsense = complete_all(&project, &[json!("no result")]);
    assert_eq!(nonsense.code, Some(6), "{}", nonsense.stderr);
    let run = owner.get("/v1/runs/t1/wait?timeout_s=60").expect(200);
    assert_eq!(run["status"], "completed", "{run}");
    let seen = owner.get("/v1/runs/t1").expect(200);
    assert_eq!(seen["steps"][0]["output"], json!({ "n": 1 }), "{seen}");
}

/// Says how far it is, and waits until somebody has seen that; the second time it has been there before.
const SCRIPT: &str = r#"
if grep -q '"handoff"' "$PHISYNC_TASK_FILE"; then
    cp "$PHISYNC_TASK_FILE" taken-over.json; echo "{}"; exit 0
fi
echo '{"page": 3}' >"$PHISYNC_PROGRESS_FILE"
while [ ! -e seen ]; do sleep 0.05; done
exit 75
"#;

#[test]
fn the_progress_file_of_a_command_is_known_while_it_works_and_goes_to_its_successor() {
    let workflow = "workflow: one\nsteps:\n  - { id: only, task: one.only, assign: DC, timeouts: { lease: 5s }, retry: { max_attempts: 2, backoff: none, errors: [transient] } }\n";
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": workflow, "id": "o1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let worker = Worker::start(&project, "DC", &[], SCRIPT);
    eventually("the server knows how far it is", || {
        let task = owner.get("/v1/tasks/o1.only").expect(200);
        (task["progress"]["value"] == json!({ "page": 3 })).then_some(())
    });
    project.write("seen", "");
    let run = owner.get("/v1/runs/o1/wait?timeout_s=60").expect(200);
    assert_eq!(run["status"], "completed", "{run}");
    let task = std::fs::read_to_string(project.path("taken-over.json")).expect("it was taken over");
    let task: Value = serde_json::from_str(&task).expect("JSON");
    assert_eq!(
        task["handoff"]["progress"]["value"],
        json!({ "page": 3 }),
        "{task}"
    );
    let _stopped = worker.stop();
}
