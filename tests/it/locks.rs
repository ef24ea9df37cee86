//! `phisync lock` with real processes: whose turn it is, how it ends, and what ends with it.

use std::path::Path;

use phisync_tests::process::{Child, Http, Project, Server, eventually};
use rustix::process::{Pid, Signal, test_kill_process};
use serde_json::{Value, json};

fn hold(owner: &Http) -> Value {
    let request = json!({ "ttl_s": 3600, "holder": "the test" });
    owner.post("/v1/locks/gate/acquire", &request).expect(200)
}

/// How many wait for the lock `gate`.
fn waiting(owner: &Http) -> usize {
    let locks = owner.get("/v1/locks").expect(200);
    let gate = locks["locks"].as_array().and_then(|locks| locks.first());
    gate.and_then(|gate| gate["waiting"].as_array())
        .map_or(0, Vec::len)
}

#[test]
fn a_dozen_processes_get_the_lock_one_by_one_in_the_order_of_asking() {
    const PROCESSES: usize = 12;
    let project = Project::new([]);
    let server = Server::start(&project);
    let owner = server.owner(&project);
    let held = hold(&owner);
    let script = r#"
        mkdir alone || echo two at once >> violations
        echo $0 $PHISYNC_LOCK_TOKEN >> order
        rmdir alone"#;
    let processes: Vec<Child> = (0..PROCESSES)
        .map(|number| {
            let word = number.to_string();
            let process = project.start(&["lock", "gate", "--", "sh", "-c", script, &word]);
            // The next one asks when this one is seen to wait.
            eventually("it waits", || (waiting(&owner) == number + 1).then_some(()));
            process
        })
        .collect();
    assert!(!project.path("order").exists(), "somebody else has it");
    let release = json!({ "token": held["token"] });
    let released = owner.post("/v1/locks/gate/release", &release);
    assert_eq!(released.status, 204, "{}", released.body);
    for process in processes {
        let ended = process.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    assert!(!project.path("violations").exists());
    let order = std::fs::read_to_string(project.path("order")).expect("everybody had it");
    let lines = order.lines().map(|line| {
        let (number, token) = line.split_once(' ').expect("two words");
        let number: usize = number.parse().expect("a number");
        (number, token.parse::<u64>().expect("a token"))
    });
    let (numbers, tokens): (Vec<_>, Vec<_>) = lines.unzip();
    assert_eq!(numbers, (0..PROCESSES).collect::<Vec<_>>());
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
    server.stop();
}

#[test]
fn the_exit_code_of_the_command_is_passed_on() {
    let project = Project::new([]);
    let server = Server::start(&project);
    let end = |script: &str| {
        let finished = project.run(&["lock", "gate", "--", "sh", "-c", script]);
        finished.code
    };
    assert_eq!(end("exit 0"), Some(0));
    assert_eq!(end("exit 42"), Some(42));
    assert_eq!(end("kill -TERM $$"), Some(128 + 15));
    let nothing = project.run(&["lock", "gate", "--", "./no-such-program"]);
    assert_eq!(nothing.code, Some(3), "{}", nothing.stderr);
    server.stop();
}

#[test]
fn a_lock_that_is_not_to_be_had_in_time_ends_with_8_and_runs_nothing() {
    let project = Project::new([]);
    let server = Server::start(&project);
    hold(&server.owner(&project));
    let late = project.run(&["lock", "gate", "--wait", "50ms", "--", "touch", "ran"]);
    assert_eq!(late.code, Some(8), "{}", late.stderr);
    assert!(!project.path("ran").exists());
    server.stop();
}

/// A command with a child of its own, which writes its number and then does nothing.
const WITH_A_CHILD: &str = "(trap '' TERM; echo $$ > ready; exec sleep 1000) & \
    echo $! > child.tmp; mv child.tmp child; wait";

/// The number of the command's child, once it runs.
fn child_of(project: &Project) -> Pid {
    let path = project.path("child");
    let text = eventually("the command runs", || std::fs::read_to_string(&path).ok());
    let number = text.trim().parse().ok().and_then(Pid::from_raw);
    number.expect("a process")
}

fn is_gone(process: Pid) -> Option<()> {
    // What nobody collects is dead all the same.
    let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
    let zombie = std::fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") Z "));
    (zombie || test_kill_process(process).is_err()).then_some(())
}

#[test]
fn a_lost_lock_ends_the_command_with_everything_it_started() {
    let project = Project::new([]);
    let server = Server::start(&project);
    let arguments = [
        "lock",
        "gate",
        "--ttl",
        "1s",
        "--",
        "sh",
        "-c",
        WITH_A_CHILD,
    ];
    let holder = project.start(&arguments);
    let child = child_of(&project);
    // Nobody answers any more, so somebody else may have the lock soon.
    server.kill();
    let ended = holder.finish();
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the lock was lost"),
        "{}",
        ended.stderr
    );
    eventually("the command's child is dead", || is_gone(child));
}

#[test]
fn a_signal_ends_the_command_with_everything_it_started_and_gives_the_lock_back() {
    let project = Project::new([]);
    let server = Server::start(&project);
    // The shell heeds the signal, its child does not: both are gone in the end.
    let script = format!("trap '' TERM; {WITH_A_CHILD}; wait");
    let mut holder = project.start(&["lock", "gate", "--", "sh", "-c", &script]);
    let child = child_of(&project);
    holder.signal(Signal::TERM);
    let ended = holder.finish();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    eventually("the command's child is dead", || is_gone(child));
    let again = project.run(&["lock", "gate", "--wait", "10s", "--", "true"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    server.stop();
}

#[test]
fn what_a_command_leaves_running_in_order_goes_on() {
    let project = Project::new([]);
    let server = Server::start(&project);
    let script = "mkfifo door; (cat door > heard; mv heard done) > /dev/null 2>&1 &";
    let ended = project.run(&["lock", "gate", "--", "sh", "-c", script]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let door = project.path("door");
    eventually("it has a door", || door.exists().then_some(()));
    // Opening waits for the reader, who must be alive.
    std::fs::write(&door, "still here").expect("somebody listens");
    eventually("it heard", || read(&project.path("done")));
    server.stop();
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}
