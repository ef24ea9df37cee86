//! How a worker comes to its end: drained, stopped, out of tasks; and how it is hurried.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use phisync_agents::client::Client;
use phisync_agents::worker::{
    OutputLimits, StdinForm, StopFlag, Worker, WorkerConfig, WorkerSummary,
};
use phisync_state::env::{OsClock, SeededEntropy};
use serde_json::json;

use super::server::{Answer, Server, renewed, seq, task, tasks};
use super::worker::{Running, one_task, sh, work};

/// A lease that no test outlives.
const LONG: Duration = Duration::from_secs(600);

/// Hands out tasks one after the other, however often it is asked, until `count` are out.
fn tasks_up_to(count: u64) -> Server {
    let mut given = 0;
    Server::start(move |request| match request.verb.as_str() {
        "poll" if given < count => {
            given += 1;
            tasks(&[task(&format!("tsk_{given}"), given, LONG)])
        }
        "poll" => Answer::NoContent,
        "heartbeat" => renewed(LONG),
        _ => seq(),
    })
}

fn start(server: &Server, config: WorkerConfig, drain: &StopFlag, stop: &StopFlag) -> Running {
    let client = Client::new(server.url(), "token", Some("DC")).expect("a client");
    let entropy = Box::new(SeededEntropy::new(7));
    let worker = Worker::new(config, client, Arc::new(OsClock::new()), entropy).expect("a worker");
    let (drain, stop) = (drain.clone(), stop.clone());
    std::thread::spawn(move || worker.run(&drain, &stop))
}

fn completed(count: u32) -> WorkerSummary {
    WorkerSummary {
        completed: count,
        ..WorkerSummary::default()
    }
}

/// A command that says that it began, and waits to be let go.
struct Held {
    directory: tempfile::TempDir,
}

impl Held {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn script(&self) -> String {
        let (began, go) = (self.path("began"), self.path("go"));
        format!(
            "touch {}; while [ ! -e {} ]; do sleep 0.01; done; echo '{{}}'",
            began.display(),
            go.display()
        )
    }

    fn wait_for_begin(&self) {
        while !self.path("began").exists() {
            std::thread::yield_now();
        }
    }

    fn let_go(&self) {
        std::fs::write(self.path("go"), "").expect("written");
    }
}

#[test]
fn a_worker_that_empties_the_queue_ends_when_there_is_nothing_left_and_never_waits() {
    let server = tasks_up_to(3);
    let config = WorkerConfig {
        drain: true,
        max_tasks: None,
        ..sh("echo '{}'")
    };
    assert_eq!(work(&server, config).expect("a summary"), completed(3));
    assert_eq!(server.next("poll").body, json!({ "max": 1 }));
}

#[test]
fn no_more_tasks_are_taken_than_the_most_that_were_allowed() {
    let server = tasks_up_to(9);
    let config = WorkerConfig {
        concurrency: 2,
        max_tasks: Some(3),
        ..sh("echo '{}'")
    };
    assert_eq!(work(&server, config).expect("a summary"), completed(3));
}

#[test]
fn a_worker_asked_to_drain_ends_what_it_holds_and_takes_nothing() {
    let server = tasks_up_to(9);
    let held = Held::new();
    let (drain, stop) = (StopFlag::new(), StopFlag::new());
    let config = WorkerConfig {
        max_tasks: None,
        ..sh(&held.script())
    };
    let running = start(&server, config, &drain, &stop);
    held.wait_for_begin();
    drain.request();
    held.let_go();
    let summary = running.join().expect("a worker that does not panic");
    assert_eq!(summary.expect("a summary"), completed(1));
    let report = server.next("complete");
    assert_eq!(report.body.get("poll"), None, "it asked for more");
    assert!(!server.rest().contains(&"poll".to_owned()));
}

#[test]
fn a_worker_asked_to_drain_and_then_to_stop_gives_its_task_back() {
    let server = tasks_up_to(9);
    let held = Held::new();
    let (drain, stop) = (StopFlag::new(), StopFlag::new());
    let running = start(&server, sh(&held.script()), &drain, &stop);
    held.wait_for_begin();
    drain.request();
    stop.request();
    let summary = running.join().expect("a worker that does not panic");
    assert_eq!(
        summary.expect("a summary"),
        WorkerSummary {
            released: 1,
            ..WorkerSummary::default()
        }
    );
    assert_eq!(server.next("release").body["begun"], true);
}

#[test]
fn an_idle_worker_asked_to_drain_ends_at_once() {
    let server = Server::start(|_| Answer::Hang);
    let (drain, stop) = (StopFlag::new(), StopFlag::new());
    let running = start(&server, sh("true"), &drain, &stop);
    let _asked = server.next("poll");
    drain.request();
    let summary = running.join().expect("a worker that does not panic");
    assert_eq!(summary.expect("a summary"), completed(0));
}

#[test]
fn a_nudged_worker_hears_at_once_that_its_task_is_not_wanted() {
    let server = Server::start(move |request| match request.verb.as_str() {
        "poll" => tasks(&[task("tsk_1", 5, LONG)]),
        "heartbeat" => Answer::Json(
            200,
            json!({ "lease_ms": 600_000, "lease_expires_at": "2026-11-22T09:31:00.000Z", "cancel_requested": true }),
        ),
        _ => seq(),
    });
    let held = Held::new();
    let config = sh(&held.script());
    let nudge = config.nudge.clone();
    let running = start(&server, config, &StopFlag::new(), &StopFlag::new());
    held.wait_for_begin();
    // The command runs before its heart listens: nudged until somebody is.
    while !running.is_finished() {
        nudge.nudge();
        std::thread::yield_now();
    }
    assert_eq!(server.next("fail").body["code"], "cancelled");
}

#[test]
fn a_command_may_read_its_task_in_words() {
    let server = tasks_up_to(1);
    let held = Held::new();
    let copy = held.path("stdin");
    let config = WorkerConfig {
        stdin: StdinForm::Prompt,
        ..sh(&format!("cat > {}; echo '{{}}'", copy.display()))
    };
    assert_eq!(work(&server, config).expect("a summary"), completed(1));
    let read = std::fs::read_to_string(copy).expect("what it read");
    assert_eq!(read, "s\n\nInput, as JSON:\n{\"n\":1}\n");
}

/// One byte decides, of the file as of what is printed; of stderr the end is what tells.
#[test]
fn no_more_is_kept_of_what_a_command_leaves_than_it_was_given_room_for() {
    let limits = OutputLimits {
        result_bytes: 64,
        stderr_bytes: 32,
    };
    let filled = |bytes: usize| format!(r#"{{"x": "{}"}}"#, "y".repeat(bytes - 9));
    let written = |bytes| {
        format!(
            r#"printf '%s' '{}' > "$PHISYNC_OUTPUT_FILE""#,
            filled(bytes)
        )
    };
    let printed = |bytes| format!("echo '{}'", filled(bytes));
    // The end of the line counts too.
    for (script, completed) in [
        (written(64), true),
        (written(65), false),
        (printed(63), true),
        (printed(64), false),
    ] {
        let server = one_task(LONG);
        let config = WorkerConfig {
            limits,
            ..sh(&script)
        };
        let summary = work(&server, config).expect("a summary");
        assert_eq!(summary.completed == 1, completed, "{script}");
        if !completed {
            let message = server.next("fail").body["message"].to_string();
            assert!(message.contains("64 bytes"), "{script}: {message}");
        }
    }
    let server = one_task(LONG);
    let config = WorkerConfig {
        limits,
        ..sh("echo 'in the beginning all was well' >&2; echo 'the end: no paper' >&2; exit 1")
    };
    let _summary = work(&server, config).expect("a summary");
    assert_eq!(
        server.next("fail").body["message"],
        "the command ended with exit code 1: ...all was well\nthe end: no paper"
    );
}
