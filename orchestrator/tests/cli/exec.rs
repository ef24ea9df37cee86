//! `phisync exec`: one run from the first event to the exit code.

use insta::assert_snapshot;

use crate::project::{Project, examples, masked};

fn exec(project: &Project, example: &str, arguments: &[&str]) -> String {
    let file = format!("{}/{example}/workflow.yaml", examples());
    let all = [&["exec", &file, "--id", "demo"], arguments].concat();
    masked(&project.transcript(&all))
}

#[cfg(unix)]
#[test]
fn a_run_that_completes_shows_its_log_and_its_outputs() {
    assert_snapshot!(exec(&Project::empty(), "shell-agents", &["-i", "name=Ada"]));
}

#[cfg(unix)]
#[test]
fn a_run_without_outputs_shows_its_log_alone() {
    assert_snapshot!(exec(&Project::empty(), "otters", &[]));
}

#[cfg(unix)]
#[test]
fn a_run_that_fails_is_undone_and_ends_with_one() {
    let project = Project::empty();
    assert_snapshot!(exec(&project, "trip-saga", &[]));
    let ledger = std::fs::read_to_string(project.path("target/trip-saga/ledger.txt"));
    assert_eq!(ledger.expect("the ledger"), "");
}

#[cfg(unix)]
#[test]
fn an_approval_is_answered_before_it_is_asked() {
    let project = Project::empty();
    assert_snapshot!(exec(
        &project,
        "release-approval",
        &["--approve", "sign_off"]
    ));
    let project = Project::empty();
    assert_snapshot!(exec(
        &project,
        "release-approval",
        &["--reject", "sign_off"]
    ));
}

#[cfg(unix)]
#[test]
fn an_approval_is_answered_from_another_terminal() {
    let project = Project::empty();
    let file = format!("{}/release-approval/workflow.yaml", examples());
    let mut exec = project.start(&["exec", &file, "--id", "demo", "-o", "json"]);
    exec.wait_for("waits for a decision");
    let open = project.json(&["approval", "list"]);
    assert_eq!(open["approvals"][0]["id"], "demo.sign_off");
    assert_snapshot!(
        "why_an_approval_is_open",
        undated(&project.transcript(&["why", "demo/sign_off"]))
    );
    let approve = ["approval", "approve", "de.sign_off", "--as", "dana"];
    assert_snapshot!("approved_elsewhere", project.transcript(&approve));
    let (code, stdout, _) = exec.end();
    assert_eq!(code, 0);
    let done: serde_json::Value = serde_json::from_str(&stdout).expect("one JSON document");
    assert_eq!(done["outputs"]["decision"], "approve");
}

/// Without the part of a line that is a date.
fn undated(text: &str) -> String {
    let line = |line: &str| match line.split_once(" (until ") {
        Some((words, _)) => format!("{words} (until ...)"),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_answer_to_what_is_never_asked_is_refused() {
    assert_snapshot!(exec(
        &Project::empty(),
        "release-approval",
        &["--approve", "publish"]
    ));
}

#[test]
fn the_audit_audits() {
    let project = Project::empty();
    project.write("docs/a.md", "# A\n\nSee [b](b.md).\n");
    let file = format!("{}/repo-audit/workflow.yaml", examples());
    let done = project.json(&["exec", &file, "-i", "root=docs"]);
    assert_eq!(done["status"], "completed", "{done:#}");
    assert!(done["outputs"].is_object(), "{done:#}");
}

#[cfg(unix)]
#[test]
fn the_events_themselves_come_line_by_line() {
    let project = Project::empty();
    let file = format!("{}/otters/workflow.yaml", examples());
    let output = project.output(&["exec", &file, "-o", "jsonl"], "");
    let lines = String::from_utf8(output.stdout).expect("text");
    let kinds: Vec<String> = lines
        .lines()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let event = record["event"].as_object().expect("an event is an object");
            event.keys().next().expect("it has its kind").clone()
        })
        .collect();
    assert_eq!(kinds.first().map(String::as_str), Some("run_started"));
    assert_eq!(kinds.last().map(String::as_str), Some("run_completed"));
}

/// The reader takes one line and goes; the run goes on and the exit code is its own.
#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_does_not_end_the_run() {
    let project = Project::empty();
    let file = format!("{}/trip-saga/workflow.yaml", examples());
    let mut exec = project.start(&["exec", &file, "--id", "demo", "-o", "jsonl"]);
    assert!(exec.line().contains("run_started"));
    let (code, stderr) = exec.end_unread();
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(project.json(&["run", "show", "demo"])["undo"], "done");
}

#[test]
fn an_agent_without_a_command_is_named_before_anything_starts() {
    let project = Project::empty();
    project.write(
        "agents.yaml",
        "agents:\n  DC: {}\n  WEBC: { capabilities: [web] }\n",
    );
    project.write(
        "flow.yaml",
        "workflow: flow\nsteps:\n  - { id: a, assign: DC, prompt: Go. }\n  - { id: b, assign: { capabilities: [web] }, prompt: Go. }\n",
    );
    assert_snapshot!(project.transcript(&["exec", "flow.yaml"]));
    assert!(
        !project.path(".phisync").exists(),
        "a data directory was made"
    );
}

#[test]
fn an_agent_that_cannot_be_started_ends_the_run() {
    let project = Project::empty();
    project.write("agents.yaml", "agents:\n  DC: { command: [./missing] }\n");
    project.write(
        "flow.yaml",
        "workflow: flow\nsteps:\n  - { id: a, assign: DC, prompt: Go. }\n",
    );
    let output = project.output(&["exec", "flow.yaml", "--id", "demo"], "");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("warning: agent DC: "), "{words}");
    assert!(words.contains("missing"), "{words}");
}

#[test]
fn a_name_that_is_taken_is_a_conflict() {
    let project = Project::initialised();
    let again = ["exec", "workflows/hello.yaml", "--id", "demo"];
    assert_eq!(project.output(&again, "").status.code(), Some(0));
    assert_snapshot!(project.transcript(&again));
}
