//! What a client was told survives `kill -9` of the server, and a stop in order loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use phisync_agents::client::{CallError, Client};
use phisync_agents::protocol::{CompleteRequest, FailRequest, PollRequest, Task};
use phisync_state::env::{Clock as _, Entropy as _, OsClock, SeededEntropy};
use phisync_tests::process::{Http, Journal, PATIENCE, Project, Server, Worker, pause};
use serde_json::json;
use serde_json::value::to_raw_value;

const RUNS: usize = 50;
const KILLS: usize = 3;

/// A graceful stop may take this long, under load and with clients that hang on.
const STOP_WITHIN: Duration = Duration::from_secs(5);

const TEAM: &str = "
phisync: 1
agents:
  HAND-1: { capabilities: [work] }
  HAND-2: { capabilities: [work] }
  HAND-3: { capabilities: [work] }
  HAND-4: { capabilities: [work] }
  HAND-5: { capabilities: [work] }
  HAND-6: { capabilities: [work] }
  CREW-1: { capabilities: [work] }
  CREW-2: { capabilities: [work] }
";

/// Agents in this process, beside two real workers.
const HANDS: [&str; 6] = ["hand-1", "hand-2", "hand-3", "hand-4", "hand-5", "hand-6"];

/// Three steps; in every fifth run the first attempt of the first fails. With `doomed`, the last step
/// fails and the first two are undone.
const LOAD: &str = r#"
phisync: 1
workflow: load
version: "1.0.0"
inputs:
  number: { type: integer }
  doomed: { type: boolean, default: false }
defaults:
  timeouts: { queue: 30m, lease: 5s, run: 1m }
steps:
  - id: fetch
    task: load.fetch
    assign: { capabilities: [work], reassignments: 20 }
    input: { number: "${{ inputs.number }}", doomed: false }
    idempotent: true
    retry: { max_attempts: 3, backoff: fixed, delay: 100ms, jitter: none, errors: [transient] }
    compensate:
      task: load.forget
      assign: { capabilities: [work], reassignments: 20 }
      input: { number: "${{ inputs.number }}", doomed: false }
  - id: shape
    needs: fetch
    task: load.shape
    assign: { capabilities: [work], reassignments: 20 }
    input: { number: "${{ inputs.number }}", doomed: false }
    idempotent: true
    compensate:
      task: load.unshape
      assign: { capabilities: [work], reassignments: 20 }
      input: { number: "${{ inputs.number }}", doomed: false }
  - id: keep
    needs: shape
    task: load.keep
    assign: { capabilities: [work], reassignments: 20 }
    input: { number: "${{ inputs.number }}", doomed: "${{ inputs.doomed }}" }
    idempotent: true
    compensate: none
"#;

/// What a real worker runs for a task: the same rules as [`hand`] in the words of a shell.
const CREW: &str = r#"
task=$(cat)
case "$task" in
*'"doomed":true'*)
    echo '{"error": {"code": "app.doomed", "message": "it was to be"}}'
    exit 1
    ;;
*'"attempt":1,'*'"type":"load.fetch"'*'"number":'*[05],*)
    echo '{"error": {"code": "transient.first", "message": "not at once"}}'
    exit 1
    ;;
*)
    echo '{"by": "crew"}'
    ;;
esac
"#;

/// What an agent was told about one report.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    /// The completion of this task under this token is accepted, at this record or an earlier one.
    Accepted { task: String, token: u64, seq: u64 },
    /// The report under this token had no effect.
    Stale { task: String, token: u64 },
}

/// Polls, works and reports as `name` until `stop`. Whatever nobody answers is said again.
fn hand(url: &str, token: &str, name: &str, stop: &AtomicBool, tell: &Sender<Told>) {
    let client = Client::new(url, token, Some(name)).expect("a client");
    let ask = PollRequest {
        wait_s: Some(0.5),
        ..PollRequest::default()
    };
    while !stop.load(Ordering::SeqCst) {
        match client.poll(&ask) {
            Ok(tasks) => tasks.iter().for_each(|task| report(&client, task, tell)),
            Err(error) => {
                assert!(error.may_retry(), "{name} polls: {error}");
                pause();
            }
        }
    }
}

fn report(client: &Client, task: &Task, tell: &Sender<Told>) {
    let input: serde_json::Value = serde_json::from_str(task.input.get()).expect("an input");
    let fails = if input["doomed"] == true {
        Some("app.doomed")
    } else if task.task_type == "load.fetch"
        && task.attempt == 1
        && input["number"].as_u64().is_some_and(|n| n % 5 == 0)
    {
        Some("transient.first")
    } else {
        None
    };
    let send = || match fails {
        Some(code) => {
            let failure = FailRequest {
                token: task.token,
                code: code.to_owned(),
                message: "as the test wants it".to_owned(),
                retryable: None,
                retry_after_ms: None,
            };
            client.fail(&task.id, &failure).map(|_| None)
        }
        None => {
            let completion = CompleteRequest {
                token: task.token,
                output: to_raw_value(&json!({ "by": "hand" })).expect("JSON"),
                poll: None,
            };
            client
                .complete(&task.id, &completion)
                .map(|answer| Some(answer.seq))
        }
    };
    let (id, token) = (task.id.clone(), task.token);
    let told = loop {
        match send() {
            Ok(Some(seq)) => {
                break Some(Told::Accepted {
                    task: id,
                    token,
                    seq,
                });
            }
            Ok(None) => break None,
            Err(CallError::Stale(_)) => break Some(Told::Stale { task: id, token }),
            Err(error) => assert!(error.may_retry(), "{id}: {error}"),
        }
        pause();
    };
    if let Some(told) = told {
        // Nobody counts any more once the runs are over.
        tell.send(told).ok();
    }
}

/// Starts runs until it is sure of each; gives the last witness that it saw. Gives up at `stop`.
fn start_runs(http: &Http, runs: &[(String, bool)], stop: &AtomicBool) -> String {
    let mut witness = None;
    for (number, (id, doomed)) in runs.iter().enumerate() {
        let request = json!({
            "workflow": "load", "id": id, "inputs": { "number": number, "doomed": doomed },
        });
        let body = request.to_string();
        let reply = loop {
            let sent = http.try_send(
                "POST",
                "/v1/runs",
                Some("application/json"),
                body.as_bytes(),
            );
            match sent {
                Ok(reply) if reply.status != 503 => break reply,
                // Unknown: the same again.
                Ok(_) | Err(_) => pause(),
            }
            if stop.load(Ordering::SeqCst) {
                panic!("`{id}` could not be started");
            }
        };
        // 409: an earlier try had been heard, and its answer lost.
        assert!([201, 409].contains(&reply.status), "{}", reply.body);
        witness = reply.head.or(witness);
    }
    witness.expect("at least one start was answered at once")
}

/// Waits for so many more accepted completions.
fn wait_for(acks: &Receiver<Told>, told: &mut Vec<Told>, mut more: u64) {
    while more > 0 {
        let next = acks.recv_timeout(PATIENCE).expect("the work goes on");
        more -= u64::from(matches!(next, Told::Accepted { .. }));
        told.push(next);
    }
}

fn run_ids() -> Vec<(String, bool)> {
    let good = (0..RUNS).map(|n| (format!("good-{n}"), false));
    let doomed = (0..6).map(|n| (format!("doomed-{n}"), true));
    let mut runs: Vec<_> = good.chain(doomed).collect();
    // The doomed ones in between, so that undoing goes on while the others work.
    runs.sort_by_key(|(id, _)| id.rsplit('-').next().and_then(|n| n.parse::<u32>().ok()));
    runs
}

#[test]
fn three_kills_of_the_server_under_load_lose_nothing_that_was_told() {
    kill_under_load(0x5eed);
}

#[test]
fn kills_at_other_moments_lose_nothing_either() {
    // More with PHISYNC_KILL_SEED, one at a time.
    let asked = std::env::var("PHISYNC_KILL_SEED").ok();
    kill_under_load(asked.and_then(|seed| seed.parse().ok()).unwrap_or(2));
}

/// Kills the server again and again while agents work, at moments that follow from `seed`, and holds
/// the journal against everything that anybody was told.
fn kill_under_load(seed: u64) {
    let mut dice = SeededEntropy::new(seed);
    let project = Project::new([("agents.yaml", TEAM), ("load.yaml", LOAD)]);
    let mut server = Server::start(&project);
    let (url, address) = (server.url.clone(), server.address());
    let owner = server.owner(&project);
    let token = project.admin_token();
    let definition = owner.send(
        "POST",
        "/v1/workflows",
        Some("application/yaml"),
        LOAD.as_bytes(),
    );
    assert_eq!(definition.status, 201, "{}", definition.body);
    let runs = run_ids();
    let crew = ["CREW-1", "CREW-2"].map(|name| Worker::start(&project, name, &[], CREW));

    let stop = AtomicBool::new(false);
    let mut told = Vec::new();
    let server = thread::scope(|scope| {
        let (tell, acks) = mpsc::channel();
        for name in HANDS {
            let (tell, stop, url, token) = (tell.clone(), &stop, &url, &token);
            scope.spawn(move || hand(url, token, name, stop, &tell));
        }
        drop(tell);
        let starter = scope.spawn(|| start_runs(&owner, &runs, &stop));
        // Whatever fails below, the hands must stop for the scope to end.
        let _stop = StopOnDrop(&stop);
        for _ in 0..KILLS {
            wait_for(&acks, &mut told, 5 + dice.next_u64() % 25);
            let witness = owner.get("/v1/agents").head.expect("a witness");
            server.kill();
            let fsck = project.run(&["store", "fsck", "--expect-head", &witness]);
            let _sound = fsck.expect_code(0);
            server = Server::again(&project, address);
        }
        let witness = starter.join().expect("all runs start");
        let fsck = project.run(&["store", "fsck", "--expect-head", &witness]);
        let _sound = fsck.expect_code(0);
        for (id, doomed) in &runs {
            let outcome = owner
                .get(&format!("/v1/runs/{id}/wait?timeout_s=60"))
                .expect(200);
            let expected = if *doomed { "failed" } else { "completed" };
            assert_eq!(outcome["status"], expected, "seed {seed:#x}: {outcome}");
        }
        stop.store(true, Ordering::SeqCst);
        told.extend(acks);
        server
    });
    for worker in crew {
        let _counted = worker.stop();
    }
    server.stop();

    let fsck = project.run(&["store", "fsck", "-o", "json"]).expect_code(0);
    assert!(fsck.contains("\"sealed\""), "{fsck}");
    judge(&Journal::read(&project), &runs, &told);
}

/// Sets the flag when it goes.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Holds what agents were told against the journal.
fn judge(journal: &Journal, runs: &[(String, bool)], told: &[Told]) {
    let mut once = BTreeMap::new();
    for (id, doomed) in runs {
        let done: &[&str] = match doomed {
            false => &["fetch", "shape", "keep"],
            true => &["fetch", "shape", "shape.undo", "fetch.undo"],
        };
        once.extend(done.iter().map(|step| (format!("{id}.{step}"), 1)));
    }
    assert_eq!(journal.count_by_task("task_completed"), once);

    let completed: BTreeMap<(String, u64), u64> = journal
        .named("task_completed")
        .map(|record| {
            let task = record.task().expect("a completion names its task");
            let token = record.event["token"].as_u64().expect("a token");
            ((task, token), record.seq)
        })
        .collect();
    let mut accepted = 0;
    for report in told {
        match report {
            Told::Accepted { task, token, seq } => {
                let at = completed.get(&(task.clone(), *token));
                let at =
                    at.unwrap_or_else(|| panic!("accepted, but not in the journal: {report:?}"));
                assert!(at <= seq, "told at {seq}, written at {at}: {report:?}");
                accepted += 1;
            }
            Told::Stale { task, token } => {
                let at = completed.get(&(task.clone(), *token));
                assert_eq!(at, None, "refused, but in the journal: {report:?}");
            }
        }
    }
    assert!(accepted > 50, "the hands did most of the work: {accepted}");
    let retried = journal
        .named("task_failed")
        .filter(|r| r.event["error"]["code"] == "transient.first");
    assert!(
        retried.count() > 0,
        "some attempts failed and were repeated"
    );
    let agents: BTreeSet<&str> = journal
        .named("task_claimed")
        .map(|record| record.text("agent"))
        .collect();
    assert_eq!(agents.len(), 8, "everybody worked: {agents:?}");
}

#[test]
fn a_stop_under_load_ends_in_time_with_a_sealed_journal_and_the_next_server_goes_on() {
    let project = Project::new([("agents.yaml", TEAM), ("load.yaml", LOAD)]);
    let mut server = Server::start(&project);
    let (url, address) = (server.url.clone(), server.address());
    let owner = server.owner(&project);
    let token = project.admin_token();
    let definition = owner.send(
        "POST",
        "/v1/workflows",
        Some("application/yaml"),
        LOAD.as_bytes(),
    );
    assert_eq!(definition.status, 201, "{}", definition.body);
    let runs: Vec<_> = (0..20).map(|n| (format!("good-{n}"), false)).collect();

    let stop = AtomicBool::new(false);
    let mut told = Vec::new();
    let server = thread::scope(|scope| {
        let (tell, acks) = mpsc::channel();
        for name in HANDS {
            let (tell, stop, url, token) = (tell.clone(), &stop, &url, &token);
            scope.spawn(move || hand(url, token, name, stop, &tell));
        }
        drop(tell);
        let _stop = StopOnDrop(&stop);
        // Clients that wait for a long time must not hold the server up.
        scope.spawn(|| {
            owner
                .try_send("GET", "/v1/runs/good-19/wait?timeout_s=60", None, b"")
                .ok()
        });
        let starter = scope.spawn(|| start_runs(&owner, &runs, &stop));
        wait_for(&acks, &mut told, 12);
        let clock = OsClock::new();
        let asked = clock.monotonic();
        server.terminate();
        let finished = server.finish();
        let took = clock.monotonic().saturating_sub(asked);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(took < STOP_WITHIN, "it took {took:?}");
        let fsck = project.run(&["store", "fsck", "-o", "json"]).expect_code(0);
        assert!(fsck.contains("\"sealed\""), "{fsck}");

        let server = Server::again(&project, address);
        starter.join().expect("all runs start");
        for (id, _) in &runs {
            let outcome = owner
                .get(&format!("/v1/runs/{id}/wait?timeout_s=60"))
                .expect(200);
            assert_eq!(outcome["status"], "completed", "{outcome}");
        }
        stop.store(true, Ordering::SeqCst);
        told.extend(acks);
        server
    });
    server.stop();
    let completed = Journal::read(&project).count_by_task("task_completed");
    assert_eq!(completed.len(), 60);
    assert!(completed.values().all(|count| *count == 1), "{completed:?}");
}
