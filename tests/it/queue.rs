//! A queue that many processes poll at once gives every task to exactly one of them.

use std::collections::{BTreeMap, BTreeSet};

use phisync_tests::process::{Journal, PATIENCE, Project, Server, Trace, Worker};
use serde_json::json;

const RUNS: usize = 20;
const TASKS_PER_RUN: usize = 50;
const WORKERS: usize = 8;

const TEAM: &str = "
phisync: 1
agents:
  HIVE: { capabilities: [work], concurrency: 16 }
";

/// Steps that need nothing: all of a run's tasks are ready at once.
fn workflow() -> String {
    let mut text = "phisync: 1\nworkflow: swarm\nversion: \"1.0.0\"\nsteps:\n".to_owned();
    for number in 0..TASKS_PER_RUN {
        text.push_str(&format!(
            "  - {{ id: cell_{number}, task: swarm.cell, assign: HIVE, effects: none }}\n"
        ));
    }
    text
}

#[test]
fn eight_processes_get_each_of_a_thousand_tasks_exactly_once() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let trace = Trace::of(&project, "trace");
    // The parent of the command is its worker.
    let script = format!(
        r#"echo "$PHISYNC_TASK_ID $PPID" >>'{}/trace'; echo '{{}}'"#,
        project.root().display()
    );
    let workers: Vec<Worker> = (0..WORKERS)
        .map(|_| {
            Worker::start(
                &project,
                "HIVE",
                &["--concurrency", "1", "--quiet"],
                &script,
            )
        })
        .collect();
    let text = workflow();
    let registered = owner.send(
        "POST",
        "/v1/workflows",
        Some("application/yaml"),
        text.as_bytes(),
    );
    assert_eq!(registered.status, 201, "{}", registered.body);
    for run in 0..RUNS {
        let start = json!({ "workflow": "swarm", "id": format!("run-{run}") });
        let _started = owner.post("/v1/runs", &start).expect(201);
    }
    for run in 0..RUNS {
        let wait = format!("/v1/runs/run-{run}/wait?timeout_s={}", PATIENCE.as_secs());
        let outcome = owner.get(&wait).expect(200);
        assert_eq!(outcome["status"], "completed", "{outcome}");
    }
    let mut completed = 0;
    for worker in workers {
        let said = worker.stop().stderr;
        assert!(said.contains("0 failed, 0 given back, 0 lost"), "{said}");
        let counted = said.lines().find_map(|line| line.split_once(" completed,"));
        let counted = counted.and_then(|(count, _)| count.parse::<usize>().ok());
        completed += counted.expect("a worker counts what it completed");
    }
    server.stop();

    let all: BTreeMap<String, usize> = (0..RUNS)
        .flat_map(|run| (0..TASKS_PER_RUN).map(move |cell| (format!("run-{run}.cell_{cell}"), 1)))
        .collect();
    let journal = Journal::read(&project);
    assert_eq!(journal.count_by_task("task_claimed"), all);
    assert_eq!(journal.count_by_task("task_completed"), all);
    assert_eq!(completed, RUNS * TASKS_PER_RUN);

    let lines = trace.lines();
    let mut worked = BTreeMap::new();
    let mut processes = BTreeSet::new();
    for line in &lines {
        let (task, process) = line.split_once(' ').expect("a task and a process");
        *worked.entry(task.to_owned()).or_insert(0) += 1;
        processes.insert(process);
    }
    assert_eq!(worked, all, "each command ran once");
    assert_eq!(processes.len(), WORKERS, "everybody worked");
}
