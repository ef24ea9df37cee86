//! Processes that end at a bad moment, begin at the same one, or find less than was there.

use std::fs;

use phisync_tests::process::{
    Child, Journal, Project, Server, Trace, Worker, eventually, is_alive, is_running, resume,
};
use rustix::process::Signal;

const TEAM: &str = "
phisync: 1
agents:
  DC: { command: [./work.sh] }
";

const PAIR: &str = r#"
phisync: 1
workflow: pair
version: "1.0.0"
outputs: { by: "${{ steps.second.output.by }}" }
steps:
  - id: first
    task: pair.first
    assign: DC
    effects: none
    timeouts: { lease: 5s, run: 2m }
  - id: second
    needs: first
    task: pair.second
    assign: DC
    output: { type: object, required: [by], properties: { by: { type: string } } }
    effects: none
    timeouts: { lease: 5s, run: 2m }
"#;

/// Leaves a trace, and waits for the file `go` before the second task.
const WORK: &str = r#"#!/bin/sh
task=$(cat)
echo "began $PHISYNC_TASK_ID $$" >>trace
case "$task" in
*'"type":"pair.second"'*)
    here=$PWD
    while [ ! -e go ]; do
        [ -d "$here" ] || exit 1
        sleep 0.02
    done
    ;;
esac
echo "ended $PHISYNC_TASK_ID $$" >>trace
echo '{"by": "dc"}'
"#;

/// A project, and `exec` of its workflow in the middle of the second step.
fn in_the_second_step() -> (Project, Child, Trace) {
    let project = Project::new([("agents.yaml", TEAM), ("pair.yaml", PAIR)]);
    project.write_program("work.sh", WORK);
    let running = project.start(&["exec", "pair.yaml", "--id", "both"]);
    let trace = Trace::of(&project, "trace");
    let _begun = trace.line("began both.second");
    (project, running, trace)
}

#[test]
fn a_run_of_a_killed_exec_goes_on_under_a_server() {
    let (project, mut running, trace) = in_the_second_step();
    let orphan = trace.pid("began both.second");
    running.signal(Signal::KILL);
    assert_eq!(running.finish().signal, Some(Signal::KILL.as_raw()));
    // The directory is free at once, whatever its command still does; and that is killed.
    let server = Server::start(&project);
    eventually("the command of the killed exec is killed", || {
        (!is_running(orphan)).then_some(())
    });
    let owner = server.owner(&project);
    project.write("go", "");
    let _worker = Worker::spawn(project.command(&["agent", "work", "--as", "DC"]));
    let outcome = owner.get("/v1/runs/both/wait?timeout_s=60").expect(200);
    assert_eq!(outcome["status"], "completed", "{outcome}");
    server.stop();
    let journal = Journal::read(&project);
    assert_eq!(journal.of_task("task_claimed", "both.first").len(), 1);
    assert_eq!(journal.of_task("task_claimed", "both.second").len(), 2);
    assert_eq!(journal.of_task("task_completed", "both.second").len(), 1);
}

#[test]
fn an_interrupted_exec_cancels_its_run_and_leaves_no_command_behind() {
    let (project, mut running, trace) = in_the_second_step();
    let command = trace.pid("began both.second");
    running.signal(Signal::INT);
    let finished = running.finish();
    resume(command);
    assert_eq!(finished.code, Some(130), "{}", finished.stderr);
    assert!(
        finished.stdout.contains("-> cancelled"),
        "{}",
        finished.stdout
    );
    assert!(!is_alive(command));
    assert!(!trace.has("ended both.second"));
    let shown = project
        .run(&["run", "show", "both", "-o", "json"])
        .expect_code(0);
    assert!(shown.contains(r#""status": "cancelled""#), "{shown}");
}

/// A lease of minutes is beaten for once a minute: the commands must not go on working so long for a run
/// that somebody has interrupted.
#[test]
fn an_interrupted_exec_does_not_wait_for_the_next_heartbeat() {
    let patient = PAIR
        .replace("lease: 5s", "lease: 10m")
        .replace("run: 2m", "run: 20m");
    let project = Project::new([("agents.yaml", TEAM), ("pair.yaml", patient.as_str())]);
    project.write_program("work.sh", WORK);
    let mut running = project.start(&["exec", "pair.yaml", "--id", "both"]);
    let trace = Trace::of(&project, "trace");
    let command = trace.pid("began both.second");
    running.signal(Signal::INT);
    let finished = running.finish();
    assert_eq!(finished.code, Some(130), "{}", finished.stderr);
    assert!(!is_alive(command));
}

#[test]
fn the_health_of_the_agents_lies_there_as_scripts_of_a_state_folder_read_it() {
    let project = Project::new([("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let _beat = server
        .owner(&project)
        .acting_as("DC")
        .post("/v1/agents/heartbeat", &serde_json::json!({}))
        .expect(200);
    let health = eventually("the view of the agents", || {
        let text = fs::read_to_string(project.data().join("state/agent-health.json")).ok()?;
        let view: serde_json::Value = serde_json::from_str(&text).ok()?;
        let health = view["body"]["DC"].clone();
        (health["status"] == "alive").then_some(health)
    });
    let seen = health["lastSeen"].as_str().expect("an instant");
    assert!(seen.ends_with('Z') && seen.contains('T'), "{seen}");
    assert_eq!(health["holds"], serde_json::json!([]));
    server.stop();
    let _sound = project.run(&["store", "fsck"]).expect_code(0);
}

#[test]
fn of_many_servers_that_start_at_once_exactly_one_serves() {
    let project = Project::new([]);
    // The same directory by three names.
    std::os::unix::fs::symlink(".", project.path("linked")).expect("a link");
    std::os::unix::fs::symlink(".phisync", project.path("also")).expect("a link");
    std::fs::create_dir(project.data()).expect("a directory");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(project.data(), private).expect("a mode");
    let names = [".phisync", "linked/.phisync", "also"];
    let starting: Vec<Child> = (0..20)
        .map(|number| {
            let data = names[number % names.len()];
            project.start(&["serve", "--data", data, "--listen", "127.0.0.1:0"])
        })
        .collect();
    let announced = eventually("one of them is ready", || {
        fs::read_to_string(project.data().join("server.json")).ok()
    });
    let announced: serde_json::Value = serde_json::from_str(&announced).expect("JSON");
    let (mut ready, refused): (Vec<Child>, Vec<Child>) = starting
        .into_iter()
        .partition(|server| announced["pid"] == server.pid().as_raw_nonzero().get());
    for server in refused {
        let finished = server.finish();
        assert_eq!(finished.code, Some(75), "{}", finished.stderr);
        assert!(finished.stdout.is_empty(), "{}", finished.stdout);
    }
    let mut server = ready.pop().expect("the one that is announced");
    server.signal(Signal::TERM);
    let finished = server.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(
        finished.stdout.contains(r#""event":"ready""#),
        "{}",
        finished.stdout
    );
}

#[test]
fn an_older_copy_of_the_directory_is_told_from_the_head_that_was_seen() {
    let project = Project::new([("pair.yaml", PAIR), ("agents.yaml", TEAM)]);
    let server = Server::start(&project);
    let register = |project: &Project, server: &Server| {
        let text = fs::read(project.path("pair.yaml")).expect("a file");
        let owner = server.owner(project);
        let reply = owner.send("POST", "/v1/workflows", Some("application/yaml"), &text);
        assert_eq!(reply.status, 201, "{}", reply.body);
        reply.head.expect("a witness")
    };
    let _first = register(&project, &server);
    server.stop();
    let segment = project.data().join("journal/00000000000000000001.jsonl");
    let older = fs::read(&segment).expect("a segment");

    project.write("pair.yaml", &PAIR.replace("1.0.0", "1.0.1"));
    let server = Server::start(&project);
    let seen = register(&project, &server);
    server.stop();
    let same = project.run(&["store", "fsck", "--expect-head", &seen]);
    let _same = same.expect_code(0);
    fs::write(&segment, older).expect("the older copy");
    let behind = project.run(&["store", "fsck", "--expect-head", &seen]);
    assert_eq!(behind.code, Some(77), "{}", behind.stderr);
    let _sound = project.run(&["store", "fsck"]).expect_code(0);
}
