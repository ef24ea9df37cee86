//! Workers and their commands die or stand still: others do the work, in time, and only once.
//!
//! Every command leaves a line in the file `trace` when it begins and when it ends, so that what was
//! really done can be told apart from what the server believes.

use std::fs;
use std::time::Duration;

use phisync_state::Timestamp;
use phisync_state::env::{Clock as _, OsClock};
use phisync_tests::process::{
    Http, Journal, Project, Server, Trace, Worker, eventually, is_alive, is_running, resume, signal,
};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

/// The shortest lease that the language allows.
const LEASE: Duration = Duration::from_secs(5);

/// An abandoned task is offered again within its lease and this.
const GRACE: Duration = Duration::from_secs(2);

const TEAM: &str = "
phisync: 1
agents:
  SLOW:  { capabilities: [work] }
  QUICK: { capabilities: [work] }
";

const HANDOVER: &str = r#"
phisync: 1
workflow: handover
version: "1.0.0"
outputs: { by: "${{ steps.only.output.by }}" }
steps:
  - id: only
    task: handover.only
    assign: { capabilities: [work] }
    output: { type: object, required: [by], properties: { by: { type: string } } }
    effects: none
    timeouts: { queue: 2m, lease: 5s, run: 2m }
    retry: { max_attempts: 2, backoff: none, errors: [task.failed], reassign: other }
"#;

const TASK: &str = "only-once.only";

/// One task, held by the command of SLOW, which waits to be let go.
struct Bench {
    owner: Http,
    /// The process that works on the task for SLOW.
    slow_child: Unstuck,
    trace: Trace,
    server: Server,
    project: Project,
}

/// A process that at the end is stopped no longer: it then sees that its directory is gone, and ends.
struct Unstuck(Pid);

impl Drop for Unstuck {
    fn drop(&mut self) {
        resume(self.0);
    }
}

impl Bench {
    /// SLOW's worker is started with the options `slow`, and given apart: it may have to die.
    fn with_slow(slow: &[&str]) -> (Self, Worker) {
        let project = Project::new([("agents.yaml", TEAM)]);
        let server = Server::start(&project);
        let owner = server.owner(&project);
        let trace = Trace::of(&project, "trace");
        let slow = work(&project, "SLOW", slow);
        let start = json!({ "definition": HANDOVER, "id": "only-once" });
        let _started = owner.post("/v1/runs", &start).expect(201);
        let bench = Self {
            slow_child: Unstuck(trace.pid("SLOW began")),
            owner,
            trace,
            server,
            project,
        };
        (bench, slow)
    }

    /// Lets the command of `name` come to its end.
    fn let_go(&self, name: &str) {
        self.project.write(&format!("go-{name}"), "");
    }

    /// The token under which SLOW held the task.
    fn slow_token(&self) -> u64 {
        let task = fs::read_to_string(self.project.path("task-SLOW")).expect("SLOW kept its task");
        let task: Value = serde_json::from_str(&task).expect("a task is JSON");
        task["token"].as_u64().expect("a token")
    }

    /// What the server says to everything that SLOW could still say.
    fn slow_is_refused(&self) {
        let slow = self.owner.clone().acting_as("slow");
        let token = self.slow_token();
        let reports = [
            ("heartbeat", json!({ "token": token })),
            (
                "complete",
                json!({ "token": token, "output": { "by": "slow" } }),
            ),
            (
                "fail",
                json!({ "token": token, "code": "app.late", "message": "too late" }),
            ),
            ("release", json!({ "token": token })),
        ];
        for (verb, body) in reports {
            let reply = slow.post(&format!("/v1/tasks/{TASK}/{verb}"), &body);
            assert_eq!(reply.refusal().0, 409, "{verb}: {}", reply.body);
        }
    }

    /// Waits for the end of the run, stops the server, and gives the journal, in which QUICK and
    /// nobody else has completed the task.
    fn done_by_quick(self) -> Journal {
        let outcome = self
            .owner
            .get("/v1/runs/only-once/wait?timeout_s=60")
            .expect(200);
        assert_eq!(outcome["status"], "completed", "{outcome}");
        assert_eq!(outcome["outputs"], json!({ "by": "QUICK" }));
        self.slow_is_refused();
        self.server.stop();
        let _sound = self.project.run(&["store", "fsck"]).expect_code(0);
        let journal = Journal::read(&self.project);
        let claims = journal.of_task("task_claimed", TASK);
        let agents: Vec<&str> = claims.iter().map(|claim| claim.text("agent")).collect();
        assert_eq!(agents, ["slow", "quick"]);
        let completions = journal.of_task("task_completed", TASK);
        assert_eq!(completions.len(), 1);
        assert_eq!(completions[0].event["token"], claims[1].event["token"]);
        assert_eq!(completions[0].event["output"], json!({ "by": "QUICK" }));
        let quicks = self.trace.lines();
        let quicks = quicks.iter().filter(|line| line.starts_with("QUICK began"));
        assert_eq!(quicks.count(), 1);
        journal
    }
}

/// A worker whose command says what it does, waits for the file `go-NAME`, and then says who it was.
fn work(project: &Project, name: &str, options: &[&str]) -> Worker {
    let root = project.root().display();
    let script = format!(
        r#"
        cat >'{root}/task-{name}'
        echo "{name} began $$" >>'{root}/trace'
        while [ ! -e '{root}/go-{name}' ]; do
            [ -d '{root}' ] || exit 1
            sleep 0.02
        done
        echo "{name} ended $$" >>'{root}/trace'
        echo '{{"by": "{name}"}}'
        "#
    );
    Worker::start(project, name, options, &script)
}

fn now() -> Timestamp {
    OsClock::new().now()
}

/// When QUICK got the task, after `since`.
fn takeover(journal: &Journal, since: Timestamp) -> Duration {
    let claims = journal.of_task("task_claimed", TASK);
    claims[1].at.expect("a claim has a time").since(since)
}

/// Waits for the end of a worker that took one task, and lost it.
fn one_was_lost(worker: Worker) {
    let finished = worker.process.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let counted = "0 completed, 0 failed, 0 given back, 1 lost";
    assert!(finished.stderr.contains(counted), "{}", finished.stderr);
}

#[test]
fn the_task_of_a_killed_worker_is_done_by_another_in_time() {
    let (bench, mut slow) = Bench::with_slow(&[]);
    bench.let_go("QUICK");
    let killed = now();
    slow.process.signal(Signal::KILL);
    let _quick = work(&bench.project, "QUICK", &[]);
    let _taken = bench.trace.line("QUICK ended");
    // What the killed worker had started died with it.
    eventually("the command of the killed worker is killed", || {
        (!is_running(bench.slow_child.0)).then_some(())
    });
    bench.let_go("SLOW");
    assert!(!bench.trace.has("SLOW ended"));
    let journal = bench.done_by_quick();
    let took = takeover(&journal, killed);
    assert!(took <= LEASE + GRACE, "it took {took:?}");
    let lost = journal.of_task("task_failed", TASK);
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].event["error"]["code"], "agent.lost");
}

#[test]
fn the_task_of_a_killed_command_fails_at_once_and_is_done_by_another() {
    let (bench, _slow) = Bench::with_slow(&[]);
    bench.let_go("QUICK");
    let _quick = work(&bench.project, "QUICK", &[]);
    let killed = now();
    signal(bench.slow_child.0, Signal::KILL);
    let journal = bench.done_by_quick();
    let took = takeover(&journal, killed);
    assert!(took <= GRACE, "it took {took:?}");
    let failed = journal.of_task("task_failed", TASK);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].event["error"]["code"], "task.failed");
}

#[test]
fn a_worker_that_stood_still_past_its_lease_is_refused_and_kills_its_command() {
    let (bench, mut slow) = Bench::with_slow(&["--once"]);
    let stopped = now();
    slow.process.signal(Signal::STOP);
    let _quick = work(&bench.project, "QUICK", &[]);
    let _taken = bench.trace.line("QUICK began");
    // The task is another's now: whatever the late one says has no effect.
    bench.slow_is_refused();
    assert!(is_alive(bench.slow_child.0), "its worker stands still");
    slow.process.signal(Signal::CONT);
    eventually("the late worker kills its command", || {
        (!is_alive(bench.slow_child.0)).then_some(())
    });
    bench.let_go("SLOW");
    bench.let_go("QUICK");
    one_was_lost(slow);
    assert!(!bench.trace.has("SLOW ended"));
    let journal = bench.done_by_quick();
    let took = takeover(&journal, stopped);
    assert!(took <= LEASE + GRACE, "it took {took:?}");
}

#[test]
fn a_result_that_a_worker_brings_after_it_stood_still_is_not_stored() {
    let (bench, mut slow) = Bench::with_slow(&["--once"]);
    slow.process.signal(Signal::STOP);
    bench.let_go("SLOW");
    let _done = bench.trace.line("SLOW ended");
    let _quick = work(&bench.project, "QUICK", &[]);
    let _taken = bench.trace.line("QUICK began");
    slow.process.signal(Signal::CONT);
    one_was_lost(slow);
    bench.let_go("QUICK");
    let _journal = bench.done_by_quick();
}

#[test]
fn a_command_that_stood_still_past_its_lease_is_killed_and_its_task_done_by_another() {
    let (bench, _slow) = Bench::with_slow(&[]);
    bench.let_go("QUICK");
    let _quick = work(&bench.project, "QUICK", &[]);
    let stopped = now();
    signal(bench.slow_child.0, Signal::STOP);
    let _taken = bench.trace.line("QUICK began");
    assert!(
        !is_alive(bench.slow_child.0),
        "it died before another began"
    );
    assert!(!bench.trace.has("SLOW ended"));
    let journal = bench.done_by_quick();
    let took = takeover(&journal, stopped);
    assert!(took <= LEASE + GRACE, "it took {took:?}");
}

#[test]
fn a_worker_that_is_asked_to_stop_gives_its_task_back_for_another_to_take_at_once() {
    let (bench, slow) = Bench::with_slow(&[]);
    bench.let_go("QUICK");
    let _quick = work(&bench.project, "QUICK", &[]);
    let asked = now();
    let said = slow.stop().stderr;
    let counted = "0 completed, 0 failed, 1 given back, 0 lost";
    assert!(said.contains(counted), "{said}");
    assert!(!is_alive(bench.slow_child.0));
    let journal = bench.done_by_quick();
    let took = takeover(&journal, asked);
    assert!(took <= GRACE, "it took {took:?}");
}

#[test]
fn the_first_ctrl_c_lets_a_worker_end_what_it_holds() {
    let (bench, mut slow) = Bench::with_slow(&[]);
    slow.process.signal(Signal::INT);
    let _told = slow
        .process
        .stderr_line(|line| line.contains("ends what it holds"));
    assert!(is_alive(bench.slow_child.0));
    bench.let_go("SLOW");
    let finished = slow.process.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let counted = "1 completed, 0 failed, 0 given back, 0 lost";
    assert!(finished.stderr.contains(counted), "{}", finished.stderr);
}

#[test]
fn the_second_ctrl_c_kills_the_command_and_gives_its_task_back() {
    let (bench, mut slow) = Bench::with_slow(&[]);
    slow.process.signal(Signal::INT);
    let _told = slow
        .process
        .stderr_line(|line| line.contains("ends what it holds"));
    slow.process.signal(Signal::INT);
    let finished = slow.process.finish();
    let counted = "0 completed, 0 failed, 1 given back, 0 lost";
    assert!(finished.stderr.contains(counted), "{}", finished.stderr);
    assert!(!is_alive(bench.slow_child.0));
}

#[test]
fn a_drained_agent_ends_its_task_and_another_does_the_next() {
    let (bench, _slow) = Bench::with_slow(&[]);
    let _drained = bench
        .project
        .run(&["agent", "drain", "SLOW", "--reason", "tired"])
        .expect_code(0);
    let again = json!({ "definition": HANDOVER, "id": "next" });
    let _started = bench.owner.post("/v1/runs", &again).expect(201);
    let why = bench.project.run(&["why", "next"]).expect_code(0);
    assert!(why.contains("slow") && why.contains("is drained"), "{why}");
    bench.let_go("SLOW");
    let first = bench
        .owner
        .get("/v1/runs/only-once/wait?timeout_s=60")
        .expect(200);
    assert_eq!(first["outputs"], json!({ "by": "SLOW" }));
    bench.let_go("QUICK");
    let _quick = work(&bench.project, "QUICK", &[]);
    let next = bench
        .owner
        .get("/v1/runs/next/wait?timeout_s=60")
        .expect(200);
    assert_eq!(next["outputs"], json!({ "by": "QUICK" }));
    let list = bench.project.run(&["agent", "list"]).expect_code(0);
    assert!(list.contains("alive, drained"), "{list}");
    let shown = bench.project.run(&["agent", "show", "slow"]).expect_code(0);
    assert!(
        shown.contains("tired") && shown.contains("1 completed"),
        "{shown}"
    );
}

#[test]
fn a_cancelled_run_ends_the_command_that_works_for_it() {
    let (bench, slow) = Bench::with_slow(&["--once"]);
    let cancel = json!({ "reason": "not needed" });
    let _asked = bench
        .owner
        .post("/v1/runs/only-once/cancel", &cancel)
        .expect(200);
    let wait = "/v1/runs/only-once/wait?timeout_s=30";
    let outcome = bench.owner.get(wait).expect(200);
    assert_eq!(outcome["status"], "cancelled", "{outcome}");
    let finished = slow.process.finish();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(!is_alive(bench.slow_child.0));
    assert!(!bench.trace.has("SLOW ended"));
    bench.slow_is_refused();
    let journal = Journal::read(&bench.project);
    assert!(journal.of_task("task_completed", TASK).is_empty());
}
