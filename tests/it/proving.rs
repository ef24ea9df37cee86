//! Files that prove the work, and many results at once, over HTTP with the real binary.

use phisync_tests::process::{Project, Server};
use serde_json::{Value, json};

const TEAM: &str = "phisync: 1\nagents:\n  WRITER: { concurrency: 4 }\n";

const WORKFLOW: &str = r#"
workflow: report
steps:
  - id: write
    prompt: Write report.md.
    assign: WRITER
    accept: { files: [{ path: out/report.md, sha256: 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 }] }
  - { id: plain, prompt: Anything., assign: WRITER }
  - { id: late, prompt: Anything., assign: WRITER }
"#;

#[test]
fn files_prove_the_work_and_each_of_many_results_has_its_own_answer() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let start = json!({ "definition": WORKFLOW, "id": "p1" });
    let _started = owner.post("/v1/runs", &start).expect(201);
    let writer = owner.clone().acting_as("writer");
    let polled = writer
        .post("/v1/tasks/poll", &json!({ "max": 3 }))
        .expect(200);
    let tasks = polled["tasks"].as_array().expect("tasks").clone();
    let token = |step: &str| {
        let task = tasks.iter().find(|task| task["step"] == step);
        task.expect("it was handed out")["token"].clone()
    };
    let single = json!({ "token": token("write"), "output": 1 });
    let refused = writer.post("/v1/tasks/p1.write/complete", &single);
    assert_eq!(refused.refusal(), (422, "acceptance"));
    assert_eq!(
        refused.body["diagnostics"][0],
        json!({ "path": "out/report.md", "message": "there is no such file" })
    );
    let late =
        json!({ "token": token("late"), "code": "app.x", "message": "m", "retryable": false });
    let _failed = writer.post("/v1/tasks/p1.late/fail", &late).expect(200);
    project.write("out/report.md", "hello");
    let results = ["write", "plain", "late"]
        .map(|step| json!({ "task": format!("p1.{step}"), "token": token(step), "output": 1 }));
    let many = json!({ "results": results, "poll": { "max": 1 } });
    let answer = writer.post("/v1/tasks/complete", &many).expect(200);
    let verdicts: Vec<(bool, Value)> = answer["results"]
        .as_array()
        .expect("answers")
        .iter()
        .map(|result| {
            (
                result["accepted"] == true,
                result["problem"]["code"].clone(),
            )
        })
        .collect();
    assert_eq!(
        verdicts,
        [
            (true, Value::Null),
            (true, Value::Null),
            (false, json!("already_ended")),
        ],
        "{answer}"
    );
    assert_eq!(answer["tasks"], json!([]));
    let again = writer.post("/v1/tasks/complete", &many).expect(200);
    assert_eq!(again["results"][0]["accepted"], true, "the first answer");
    let crowd = json!({ "results": vec![results[0].clone(); 65] });
    assert_eq!(writer.post("/v1/tasks/complete", &crowd).refusal().0, 422);
}
