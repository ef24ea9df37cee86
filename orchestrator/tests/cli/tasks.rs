//! An agent by hand: poll, heartbeat, complete, fail; and by `agent work`.

use insta::assert_snapshot;

use crate::project::{Project, Running};
use crate::serve::serve;

/// A server with one run whose task waits.
fn waiting() -> (Project, Running) {
    let project = Project::initialised();
    let (server, _) = serve(&project);
    let start = ["run", "start", "workflows/hello.yaml", "--id", "r1"];
    let started = project.output(&start, "");
    assert!(started.status.success(), "{started:?}");
    (project, server)
}

/// Takes the task; its token.
fn claim(project: &Project) -> String {
    let tasks = project.json(&["task", "poll", "--as", "GREETER"]);
    assert_eq!(tasks[0]["id"], "r1.greet");
    tasks[0]["token"].to_string()
}

#[test]
fn a_task_is_taken_once() {
    let (project, _server) = waiting();
    claim(&project);
    assert_snapshot!(project.transcript(&["task", "poll", "--as", "GREETER"]));
}

#[test]
fn whoever_polls_says_as_whom() {
    let (project, _server) = waiting();
    assert_snapshot!(project.transcript(&["task", "poll"]));
    assert_snapshot!(project.transcript(&["task", "poll", "--as", "NOBODY"]));
    assert_snapshot!(project.transcript(&["task", "poll", "--as", "no/body"]));
}

#[test]
fn a_result_completes_the_run() {
    let (project, _server) = waiting();
    let token = claim(&project);
    let complete = [
        "task", "complete", "r1.greet", "--as", "GREETER", "--token", &token,
    ];
    assert_snapshot!(project.transcript_with(&complete, "{\"word\": \"Salve\"}\n"));
    assert_snapshot!(project.transcript(&["run", "wait", "r1"]));
}

#[test]
fn a_result_that_breaks_the_schema_costs_nothing() {
    let (project, _server) = waiting();
    let token = claim(&project);
    let report = [
        "task", "complete", "r1.greet", "--as", "GREETER", "--token", &token, "--result",
    ];
    assert_snapshot!(project.transcript(&[&report[..], &["{\"word\": 4}"]].concat()));
    assert_snapshot!(project.transcript(&[&report[..], &["done"]].concat()));
    let right = project.output(&[&report[..], &["{\"word\": \"Hi\"}"]].concat(), "");
    assert_eq!(right.status.code(), Some(0), "{right:?}");
}

#[test]
fn a_stale_token_changes_nothing() {
    let (project, _server) = waiting();
    claim(&project);
    let late = ["--as", "GREETER", "--token", "1"];
    for report in [
        &["task", "heartbeat", "r1.greet"][..],
        &[
            "task",
            "complete",
            "r1.greet",
            "--result",
            "{\"word\": \"x\"}",
        ],
        &["task", "fail", "r1.greet", "--message", "late"],
    ] {
        let output = project.output(&[report, &late].concat(), "");
        assert_eq!(output.status.code(), Some(5), "{report:?}: {output:?}");
    }
    assert_eq!(
        project.json(&["run", "show", "r1"])["steps"][0]["status"],
        "running"
    );
}

#[test]
fn a_task_that_fails_fails_the_run() {
    let (project, _server) = waiting();
    let token = claim(&project);
    let fail = [
        "task", "fail", "r1.greet", "--as", "GREETER", "--token", &token,
    ];
    let why = [
        "--code",
        "app.no_words",
        "--message",
        "no word comes to mind",
    ];
    assert_snapshot!(project.transcript(&[&fail[..], &why].concat()));
    assert_snapshot!(project.transcript(&["run", "result", "r1"]));
}

#[test]
fn an_agent_works_with_its_declared_command() {
    let (project, _server) = waiting();
    let worked = project.output(&["agent", "work", "--as", "GREETER", "--once"], "");
    assert_eq!(worked.status.code(), Some(0), "{worked:?}");
    assert_eq!(
        project.json(&["run", "result", "r1"])["outputs"]["message"],
        "Hello, world!"
    );
}

#[cfg(unix)]
#[test]
fn an_agent_works_with_the_command_given() {
    let (project, _server) = waiting();
    let command = ["--", "sh", "-c", "echo '{\"word\": \"Ave\"}'"];
    let work = ["agent", "work", "--as", "GREETER", "--once"];
    let worked = project.output(&[&work[..], &command].concat(), "");
    assert_eq!(worked.status.code(), Some(0), "{worked:?}");
    assert_eq!(
        project.json(&["run", "result", "r1"])["outputs"]["message"],
        "Ave, world!"
    );
}
