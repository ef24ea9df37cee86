//! A question of a command, from its exit code to the answer of a person and back, with the real binary.

use phisync_tests::process::{Project, Server, Worker, eventually};
use serde_json::json;

const TEAM: &str = "
phisync: 1
agents:
  WRITER: { capabilities: [write] }
people:
  dana: { roles: [editor] }
  robin: { roles: [guest] }
";

const WORKFLOW: &str = r#"
workflow: letter
outputs: { spelling: "${{ steps.text.output.spelling }}" }
steps:
  - id: text
    prompt: Write it.
    assign: WRITER
    ask: { from: { roles: [editor] } }
    output: { type: object, required: [spelling], properties: { spelling: { type: string } } }
    timeouts: { lease: 5s }
"#;

/// Asks on its first attempt; on the second the answer stands in the task file.
const SCRIPT: &str = r#"
if grep -q '"answers"' "$PHISYNC_TASK_FILE"; then
    sed -n 's/.*"answer":"\([^"]*\)".*/{"spelling": "\1"}/p' "$PHISYNC_TASK_FILE" >"$PHISYNC_OUTPUT_FILE"
else
    echo '{"page": 3}' >"$PHISYNC_PROGRESS_FILE"
    echo '{"question": "British or American?"}' >"$PHISYNC_OUTPUT_FILE"
    exit 76
fi
"#;

#[test]
fn a_command_that_exits_76_asks_and_gets_its_answer_with_the_task() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "l1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let worker = Worker::start(&project, "WRITER", &[], SCRIPT);
    let listed = eventually("the question is listed", || {
        let list = project.run(&["approval", "list"]).expect_code(0);
        list.contains("British or American?").then_some(list)
    });
    assert!(listed.contains("editor"), "{listed}");
    let shown = project.run(&["approval", "show", "l1.text"]).expect_code(0);
    assert!(shown.contains("asked by writer"), "{shown}");
    let guest = [
        "approval", "answer", "l1.text", "--as", "robin", "--text", "Both",
    ];
    assert_eq!(project.run(&guest).code, Some(4));
    let empty = ["approval", "answer", "l1.text", "--as", "dana"];
    assert_eq!(project.run(&empty).code, Some(6));
    let why = project.run(&["why", "l1"]).expect_code(0);
    assert!(why.contains("an answer of editor to writer"), "{why}");
    let right = [
        "approval", "answer", "l1.text", "--as", "dana", "--text", "British",
    ];
    let _answered = project.run(&right).expect_code(0);
    let outcome = owner.get("/v1/runs/l1/wait?timeout_s=60").expect(200);
    assert_eq!(
        outcome["outputs"],
        json!({ "spelling": "British" }),
        "{outcome}"
    );
    let task = project.run(&["task", "show", "l1.text"]).expect_code(0);
    assert!(task.contains("dana answered: British"), "{task}");
    let _stopped = worker.stop();
}

#[test]
fn a_command_that_exits_76_without_a_question_is_a_failure() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "l1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let _worker = Worker::start(&project, "WRITER", &[], "exit 76");
    let outcome = owner.get("/v1/runs/l1/wait?timeout_s=60").expect(200);
    assert_eq!(outcome["error"]["code"], "agent.rejected", "{outcome}");
}
