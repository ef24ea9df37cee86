//! The clocks of a task and of a run, each to its very end.

use phisync::engine::RunStatus;
use phisync_tests::World;
use serde_json::json;

use super::TEAM;

#[test]
fn a_task_that_nobody_takes_fails_when_its_queue_clock_ends() {
    let mut w = World::new(
        "
workflow: lonely
steps:
  - { id: text, task: text, assign: DC, timeouts: { queue: 5m }, retry: { max_attempts: 3, errors: [all] } }
",
        TEAM,
    );
    w.start();
    w.seconds(299);
    assert_eq!(w.status(), RunStatus::Running);
    w.seconds(1);
    insta::assert_snapshot!(w.log(), @r"
    2      0.000  run                      new -> running             started by dana
    3      0.000  task text#1              new -> ready               it needs nothing
    3      0.000  step text                pending -> ready
    4    300.000  task text#1              ready -> failed            timeout.queue: no agent took it in time
    4    300.000  step text                ready -> failed
    5    300.000  run                      running -> failing         text: timeout.queue: no agent took it in time
    6    300.000  run                      failing -> failed          timeout.queue, nothing to undo
    ");
}

#[test]
fn an_attempt_ends_with_its_run_clock_however_lively_its_agent_is() {
    let mut w = World::new(
        "
workflow: slow
steps:
  - id: text
    task: text
    assign: DC
    effects: read
    timeouts: { lease: 30s, run: 1m }
    retry: { max_attempts: 2, backoff: none }
",
        TEAM,
    );
    w.start();
    let first = w.take("dc", "text");
    for _ in 0..3 {
        w.seconds(19);
        w.heartbeat(&first).expect("it holds the task");
    }
    w.seconds(3);
    assert!(w.heartbeat(&first).is_err());
    let second = w.take("dc", "text");
    w.complete(&second, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task text#1              new -> ready               it needs nothing
     3      0.000  step text                pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task text#1              ready -> running           taken by dc
     5      0.000  step text                ready -> running
     6     60.000  task text#1              running -> failed          timeout.run: dc gave no result in time
     6     60.000  task text#2              new -> backoff             retry in 0.000s
     6     60.000  step text                running -> waiting
     7     60.000  task text#2              backoff -> ready           back-off over
     7     60.000  step text                waiting -> ready
     8     60.000  task text#2              ready -> running           taken by dc
     8     60.000  step text                ready -> running
     9     60.000  task text#2              running -> completed       result of dc accepted
     9     60.000  step text                running -> completed
    10     60.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn all_attempts_and_back_offs_together_end_with_the_total_clock() {
    let mut w = World::new(
        "
workflow: slow
steps:
  - id: text
    task: text
    assign: DC
    timeouts: { lease: 1m, run: 2m, total: 5m }
    retry: { max_attempts: 9, backoff: fixed, delay: 1m, jitter: none, errors: [app] }
",
        TEAM,
    );
    w.start();
    for _ in 0..2 {
        let claim = w.take("dc", "text");
        w.seconds(40);
        w.fail(&claim, "app.busy", "later");
        w.seconds(60);
    }
    w.seconds(99);
    assert_eq!(w.status(), RunStatus::Running);
    w.seconds(1);
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task text#1              new -> ready               it needs nothing
     3      0.000  step text                pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task text#1              ready -> running           taken by dc
     5      0.000  step text                ready -> running
     6     40.000  task text#1              running -> failed          app.busy: later
     6     40.000  task text#2              new -> backoff             retry in 60.000s
     6     40.000  step text                running -> waiting
     7    100.000  task text#2              backoff -> ready           back-off over
     7    100.000  step text                waiting -> ready
     8    100.000  task text#2              ready -> running           taken by dc
     8    100.000  step text                ready -> running
     9    140.000  task text#2              running -> failed          app.busy: later
     9    140.000  task text#3              new -> backoff             retry in 60.000s
     9    140.000  step text                running -> waiting
    10    200.000  task text#3              backoff -> ready           back-off over
    10    200.000  step text                waiting -> ready
    11    300.000  task text#3              ready -> failed            timeout.total: all attempts together took too long
    11    300.000  step text                ready -> failed
    12    300.000  run                      running -> failing         text: timeout.total: all attempts together took too long
    13    300.000  run                      failing -> failed          timeout.total, nothing to undo
    ");
}

#[test]
fn a_back_off_that_would_end_after_the_total_clock_is_not_begun() {
    let mut w = World::new(
        "
workflow: slow
steps:
  - id: text
    task: text
    assign: DC
    timeouts: { lease: 10s, run: 20s, total: 30s }
    retry: { max_attempts: 9, backoff: fixed, delay: 1m, jitter: none, errors: [app] }
",
        TEAM,
    );
    w.start();
    let claim = w.take("dc", "text");
    w.fail(&claim, "app.busy", "later");
    assert_eq!(w.status(), RunStatus::Failed);
}

#[test]
fn a_run_ends_with_its_own_clock() {
    let mut w = World::new(
        "
workflow: long
timeout: 10m
steps:
  - { id: first, task: text, assign: DC, compensate: { task: undo, assign: DC } }
  - { id: second, needs: first, task: text, assign: WEBC, timeouts: { run: 9m, lease: 9m } }
",
        TEAM,
    );
    w.start();
    w.seconds(120);
    let first = w.take("dc", "first");
    w.complete(&first, json!({}));
    let second = w.take("webc", "second");
    w.seconds(480);
    assert!(w.heartbeat(&second).expect("it holds it").cancel_requested);
    w.fail(&second, "cancelled", "stopped as asked");
    let undo = w.take("dc", "first.undo");
    w.complete(&undo, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task first#1             new -> ready               it needs nothing
     3      0.000  step first               pending -> ready
     4    120.000  agent dc                 unseen -> alive            first heard of
     5    120.000  task first#1             ready -> running           taken by dc
     5    120.000  step first               ready -> running
     6    120.000  task first#1             running -> completed       result of dc accepted
     6    120.000  step first               running -> completed
     7    120.000  task second#1            new -> ready               its needs are met
     7    120.000  step second              pending -> ready
     8    120.000  agent webc               unseen -> alive            first heard of
     9    120.000  task second#1            ready -> running           taken by webc
     9    120.000  step second              ready -> running
    10    600.000  run                      running -> failing         timeout.total: the run took longer than 600s
    11    600.000  task second#1            running -> running         webc is asked to stop: the run failed
    12    600.000  task second#1            running -> failed          cancelled: stopped as asked
    12    600.000  step second              running -> cancelled
    13    600.000  run                      failing -> compensating    undoes first
    14    600.000  undo first#1             new -> ready               to be undone
    14    600.000  step first               completed -> compensating
    15    600.000  undo first#1             ready -> running           taken by dc
    16    600.000  undo first#1             running -> completed       result of dc accepted
    16    600.000  step first               compensating -> compensated
    17    600.000  run                      compensating -> failed     timeout.total, undone
    ");
}
