//! `phisync serve`, and the commands that talk to it.

use insta::assert_snapshot;
use serde_json::Value;

use crate::project::{Project, Running};

/// A server on a free port, ready.
pub(crate) fn serve(project: &Project) -> (Running, Value) {
    let mut server = project.start(&["serve", "--listen", "127.0.0.1:0", "--log", "off"]);
    let ready = serde_json::from_str(&server.line()).expect("one line of JSON");
    (server, ready)
}

#[test]
fn the_ready_line_says_where_and_who() {
    let project = Project::initialised();
    let (_server, ready) = serve(&project);
    let keys: Vec<&String> = ready.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["event", "url", "pid", "head_seq"]);
    assert_eq!(ready["event"], "ready");
    assert!(project.path(".phisync/server.json").is_file());
}

#[test]
fn a_directory_that_is_served_is_not_opened_again() {
    let project = Project::initialised();
    let (_server, _) = serve(&project);
    assert_snapshot!(project.transcript(&["exec", "workflows/hello.yaml"]));
    let second = project.output(&["serve", "--listen", "127.0.0.1:0"], "");
    assert_eq!(second.status.code(), Some(75), "{second:?}");
}

#[test]
fn a_port_that_is_taken_is_told_with_a_way_out() {
    let project = Project::initialised();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let transcript = project.transcript(&["serve", "--listen", &address]);
    assert_snapshot!(transcript.replace(&address, "ADDRESS"));
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    assert_snapshot!(Project::initialised().transcript(&["serve", "--listen", "0.0.0.0:0"]));
}

#[cfg(unix)]
#[test]
fn a_server_that_is_asked_to_stop_seals_the_journal() {
    let project = Project::initialised();
    let (server, _) = serve(&project);
    let started = project.output(&["run", "start", "workflows/hello.yaml"], "");
    assert!(started.status.success(), "{started:?}");
    server.signal("TERM");
    let (code, _, _) = server.end();
    assert_eq!(code, 0);
    assert!(!project.path(".phisync/server.json").exists());
    assert_eq!(project.json(&["store", "fsck"])["end"], "sealed");
}

#[test]
fn what_a_dead_server_left_behind_does_not_matter() {
    let project = Project::initialised();
    let (server, _) = serve(&project);
    drop(server);
    assert!(project.path(".phisync/server.json").is_file());
    assert_eq!(
        project.json(&["run", "list"])["runs"],
        Value::Array(Vec::new())
    );
}

#[test]
fn a_run_is_started_listed_shown_and_cancelled() {
    let project = Project::initialised();
    let (_server, _) = serve(&project);
    let start = [
        "run",
        "start",
        "workflows/hello.yaml",
        "--id",
        "first-run",
        "--label",
        "a=b",
    ];
    assert_snapshot!(project.transcript(&start));
    let list = project.json(&["run", "list", "--label", "a=b", "--status", "running"]);
    assert_eq!(list["runs"][0]["id"], "first-run");
    assert_eq!(
        project.json(&["run", "show", "first"])["steps"][0]["status"],
        "ready"
    );
    assert_snapshot!(project.transcript(&["run", "result", "first"]));
    assert_snapshot!(project.transcript(&["run", "cancel", "first", "--reason", "enough"]));
    assert_snapshot!(project.transcript(&["run", "wait", "first"]));
    assert_snapshot!(project.transcript(&["run", "show", "second"]));
    assert_snapshot!(project.transcript(&["graph", "first"]));
}

#[test]
fn a_token_opens_what_its_role_allows() {
    let project = Project::initialised();
    let (_server, ready) = serve(&project);
    let created = project.json(&["token", "create", "--role", "viewer"]);
    project.write("viewer", created["token"].as_str().expect("a token"));
    let url = ready["url"].as_str().expect("an address");
    let viewer = |arguments: &[&str]| {
        let place = ["--server", url, "--token-file", "viewer"];
        project
            .output(&[arguments, &place[..]].concat(), "")
            .status
            .code()
    };
    assert_eq!(viewer(&["run", "list"]), Some(0));
    assert_eq!(viewer(&["run", "start", "workflows/hello.yaml"]), Some(4));
    assert_eq!(viewer(&["token", "list"]), Some(4));
    project.write("viewer", "phs_nobody");
    assert_eq!(viewer(&["run", "list"]), Some(4));
}

#[test]
fn a_token_for_nobody_is_refused() {
    let project = Project::initialised();
    assert_snapshot!(project.transcript(&["token", "create", "--role", "agent"]));
    assert_snapshot!(project.transcript(&["token", "create", "--role", "agent", "--name", "WEBC"]));
}
