//! What a worker gives to a command, and what it makes of its end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use phisync_agents::client::Client;
use phisync_agents::worker::{
    Nudge, OutputLimits, StdinForm, StopFlag, Worker, WorkerConfig, WorkerError, WorkerSummary,
};
use phisync_state::env::{Clock, OsClock, SeededEntropy};
use serde_json::json;

use super::server::{Answer, Server, problem, renewed, seq, task, tasks};

/// A lease that no test outlives.
const LONG: Duration = Duration::from_secs(600);

pub(crate) fn sh(script: &str) -> WorkerConfig {
    WorkerConfig {
        name: "DC".to_owned(),
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        base_dir: PathBuf::from("."),
        concurrency: 1,
        once: false,
        drain: false,
        max_tasks: Some(1),
        stdin: StdinForm::Json,
        limits: OutputLimits::default(),
        capabilities: None,
        screen: None,
        nudge: Nudge::new(),
        warden: None,
    }
}

pub(crate) type Running = JoinHandle<Result<WorkerSummary, WorkerError>>;

pub(crate) fn start(
    server: &Server,
    config: WorkerConfig,
    clock: Arc<dyn Clock>,
    stop: &StopFlag,
) -> Running {
    let client = Client::new(server.url(), "token", Some("DC")).expect("a client");
    let entropy = Box::new(SeededEntropy::new(7));
    let worker = Worker::new(config, client, clock, entropy).expect("a worker");
    let stop = stop.clone();
    thread::spawn(move || worker.run(&StopFlag::new(), &stop))
}

pub(crate) fn work(server: &Server, config: WorkerConfig) -> Result<WorkerSummary, WorkerError> {
    let running = start(server, config, Arc::new(OsClock::new()), &StopFlag::new());
    running.join().expect("a worker that does not panic")
}

/// Hands out one task and takes whatever is said about it.
pub(crate) fn one_task(lease: Duration) -> Server {
    Server::start(move |request| match request.verb.as_str() {
        "poll" => tasks(&[task("tsk_1", 5, lease)]),
        "heartbeat" => renewed(lease),
        _ => seq(),
    })
}

#[test]
fn a_command_finds_its_task_on_input_in_a_private_file_and_in_the_environment() {
    let server = one_task(LONG);
    let script = r#"
        cat > "$PHISYNC_TASK_FILE.copy"
        cmp "$PHISYNC_TASK_FILE" "$PHISYNC_TASK_FILE.copy" || exit 1
        mode=$(ls -l "$PHISYNC_TASK_FILE" | cut -c1-10)
        dir=$(ls -ld "$(dirname "$PHISYNC_TASK_FILE")" | cut -c1-10)
        echo "not the result"
        printf '{"id":"%s","run":"%s","attempt":%s,"mode":"%s","dir":"%s","file":"%s"}' \
            "$PHISYNC_TASK_ID" "$PHISYNC_RUN_ID" "$PHISYNC_ATTEMPT" "$mode" "$dir" "$PHISYNC_TASK_FILE" > "$PHISYNC_OUTPUT_FILE"
    "#;
    let summary = work(&server, sh(script)).expect("a summary");
    assert_eq!(
        summary,
        WorkerSummary {
            completed: 1,
            ..WorkerSummary::default()
        }
    );
    let poll = server.next("poll");
    assert!(
        poll.headers
            .contains(&"authorization: bearer token".to_owned()),
        "{:?}",
        poll.headers
    );
    assert!(
        poll.headers.contains(&"phisync-agent: dc".to_owned()),
        "{:?}",
        poll.headers
    );
    let said = server.next("complete");
    assert_eq!(said.task.as_deref(), Some("tsk_1"));
    assert_eq!(said.body["token"], 5);
    let mut output = said.body["output"].clone();
    let file = output["file"].take();
    assert_eq!(
        output,
        json!({"id": "tsk_1", "run": "run_1", "attempt": 2, "mode": "-rw-------", "dir": "drwx------", "file": null})
    );
    let file = PathBuf::from(file.as_str().expect("a path"));
    assert!(!file.exists(), "the task file outlived its task");
}

#[test]
fn an_exit_code_becomes_the_right_report() {
    for (script, code, retryable, message) in [
        (
            "echo later >&2; exit 75",
            "transient.exit_75",
            json!(true),
            "the command asks for another attempt later: later",
        ),
        (
            "exit 76",
            "agent.rejected",
            json!(false),
            "the command asks for a person and no question",
        ),
        (
            "echo '{}'; echo bad >&2; exit 3",
            "task.failed",
            json!(null),
            "the command ended with exit code 3: bad",
        ),
        (
            "kill -9 $$",
            "task.failed",
            json!(null),
            "the command was ended by signal 9",
        ),
        (
            "echo words",
            "task.failed",
            json!(null),
            "no result: what was printed does not end in a JSON value",
        ),
        (
            r#"echo '{"error": {"code": "app.gone", "message": "gone"}}'; exit 1"#,
            "app.gone",
            json!(null),
            "gone",
        ),
    ] {
        let server = one_task(LONG);
        let summary = work(&server, sh(script)).expect("a summary");
        assert_eq!(
            summary,
            WorkerSummary {
                failed: 1,
                ..WorkerSummary::default()
            },
            "{script}"
        );
        let said = server.next("fail").body;
        assert_eq!(
            (&said["code"], &said["retryable"], &said["message"]),
            (&json!(code), &retryable, &json!(message)),
            "{script}"
        );
        assert_eq!(said["token"], 5);
    }
}

#[test]
fn a_large_task_and_a_large_result_pass_although_the_command_prints_first() {
    let big = "x".repeat(1 << 20);
    let input = big.clone();
    let server = Server::start(move |request| match request.verb.as_str() {
        "poll" => {
            let mut task = task("tsk_1", 5, LONG);
            task["input"] = json!(input);
            tasks(&[task])
        }
        _ => seq(),
    });
    let script = r#"head -c 300000 /dev/zero | tr '\0' 'a'; echo; cat > "$PHISYNC_TASK_FILE.copy"; cat "$PHISYNC_TASK_FILE.copy""#;
    work(&server, sh(script)).expect("a summary");
    assert_eq!(server.next("complete").body["output"]["input"], json!(big));
}

#[test]
fn words_of_the_command_are_shown_with_its_name() {
    let server = one_task(LONG);
    let shown = Arc::new(Mutex::new(Vec::new()));
    let screen = shown.clone();
    work(
        &server,
        WorkerConfig {
            screen: Some(screen),
            ..sh("echo looking >&2; echo 1")
        },
    )
    .expect("a summary");
    let shown = shown.lock().expect("a screen").clone();
    assert_eq!(
        String::from_utf8(shown).expect("UTF-8"),
        "[DC tsk_1] looking\n"
    );
}

#[test]
fn the_next_task_comes_with_the_answer_to_the_last() {
    let server = Server::start(|request| match request.verb.as_str() {
        "poll" => tasks(&[task("tsk_1", 5, LONG)]),
        _ if request.task.as_deref() == Some("tsk_1") => {
            Answer::Json(200, json!({"seq": 3, "tasks": [task("tsk_2", 6, LONG)]}))
        }
        _ => seq(),
    });
    let summary = work(
        &server,
        WorkerConfig {
            max_tasks: Some(2),
            ..sh("echo 1")
        },
    )
    .expect("a summary");
    assert_eq!(summary.completed, 2);
    assert_eq!(server.rest(), ["poll", "complete", "complete"]);
}

#[test]
fn the_last_report_asks_for_no_more_tasks() {
    let server = one_task(LONG);
    let config = WorkerConfig {
        max_tasks: None,
        once: true,
        concurrency: 3,
        ..sh("echo 1")
    };
    assert_eq!(work(&server, config).expect("a summary").completed, 1);
    assert_eq!(server.next("complete").body["poll"], json!(null));
}

#[test]
fn once_ends_when_there_is_nothing_to_do() {
    let server = Server::start(|_| Answer::NoContent);
    let config = WorkerConfig {
        max_tasks: None,
        once: true,
        ..sh("echo 1")
    };
    assert_eq!(
        work(&server, config).expect("a summary"),
        WorkerSummary::default()
    );
    assert_eq!(server.rest(), ["poll"]);
}

#[test]
fn slots_work_at_the_same_time() {
    // Each of the two commands waits for the other: one after the other would never end.
    let meeting = tempfile::tempdir().expect("a directory");
    let mut ids = ["a", "b"].into_iter();
    let server = Server::start(move |request| match request.verb.as_str() {
        "poll" => ids
            .next()
            .map_or(Answer::NoContent, |id| tasks(&[task(id, 5, LONG)])),
        _ => seq(),
    });
    for name in ["a", "b"] {
        let made = std::process::Command::new("mkfifo")
            .arg(meeting.path().join(name))
            .status();
        assert!(made.expect("mkfifo").success());
    }
    let script = format!(
        "cd {}; if [ $PHISYNC_TASK_ID = a ]; then echo 1 > b; read x < a; else read x < b; echo 2 > a; fi; echo $PHISYNC_ATTEMPT",
        meeting.path().display()
    );
    let config = WorkerConfig {
        max_tasks: Some(2),
        concurrency: 2,
        ..sh(&script)
    };
    assert_eq!(work(&server, config).expect("a summary").completed, 2);
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_result() {
    let mut polls = 0;
    let mut reports = 0;
    let server = Server::start(move |request| match request.verb.as_str() {
        "poll" => {
            polls += 1;
            match polls {
                1 => Answer::Drop,
                2 => problem(503, "starting"),
                _ => tasks(&[task("tsk_1", 5, LONG)]),
            }
        }
        _ => {
            reports += 1;
            match reports {
                1 => Answer::Drop,
                2 => problem(500, "unknown"),
                _ => seq(),
            }
        }
    });
    let summary = work(&server, sh("echo $$")).expect("a summary");
    assert_eq!(
        summary,
        WorkerSummary {
            completed: 1,
            ..WorkerSummary::default()
        }
    );
    let reports: Vec<_> = (0..3).map(|_| server.next("complete").body).collect();
    assert!(
        reports.iter().all(|body| *body == reports[0]),
        "{reports:?}"
    );
}

#[test]
fn a_refused_result_ends_the_attempt_with_the_reason() {
    let server = Server::start(|request| match request.verb.as_str() {
        "poll" => tasks(&[task("tsk_1", 5, LONG)]),
        "complete" => problem(422, "schema.output"),
        _ => seq(),
    });
    assert_eq!(work(&server, sh("echo 1")).expect("a summary").failed, 1);
    let said = server.next("fail").body;
    assert_eq!(
        (&said["code"], &said["message"]),
        (
            &json!("schema.output"),
            &json!("the result was refused: no")
        )
    );
}

#[test]
fn a_program_that_is_not_there_gives_the_task_back_and_ends_the_worker() {
    let server = one_task(LONG);
    let config = WorkerConfig {
        command: vec!["./no-such-program".to_owned()],
        base_dir: PathBuf::from("/nowhere"),
        max_tasks: None,
        ..sh("")
    };
    let error = work(&server, config).expect_err("no program");
    assert_eq!(
        error.to_string(),
        "`/nowhere/./no-such-program` cannot be started"
    );
    server.next("release");
}

#[test]
fn an_agent_that_may_not_poll_is_told_so() {
    for (status, code) in [
        (401, "unauthorized"),
        (403, "not_allowed"),
        (404, "no_such_agent"),
    ] {
        let server = Server::start(move |_| problem(status, code));
        let config = WorkerConfig {
            max_tasks: None,
            concurrency: 2,
            ..sh("echo 1")
        };
        let error = work(&server, config).expect_err("refused");
        assert!(matches!(error, WorkerError::Refused(_)), "{error:?}");
    }
}
