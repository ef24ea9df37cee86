//! Silence: leases that end, agents that die, and what comes too late.

use phisync::coordinator::Refusal;
use phisync::engine::{Rejection, RunStatus};
use phisync_tests::World;
use serde_json::json;

/// Agents that count as dead after a minute.
const TEAM: &str = "\
agents:
  DC: { capabilities: [write], concurrency: 3 }
  WEBC: { capabilities: [write], concurrency: 3 }
";

const ONE: &str = "
workflow: one
steps:
  - { id: text, task: text, assign: { capabilities: [write] }, timeouts: { lease: 20s } }
";

fn is_stale<T: std::fmt::Debug>(answer: &Result<T, Refusal>) -> bool {
    matches!(answer, Err(Refusal::Rejected(Rejection::StaleToken { .. })))
}

#[test]
fn a_silent_agent_loses_its_task_and_its_late_result_has_no_effect() {
    let mut w = World::new(ONE, TEAM);
    w.start();
    let first = w.take("dc", "text");
    w.seconds(15);
    w.heartbeat(&first).expect("it holds the task");
    w.seconds(20);
    let second = w.take("webc", "text");
    assert!(second.task.token > first.task.token);
    let before = w.store().head().seq;
    assert!(is_stale(&w.try_complete(&first, json!({"late": true}))));
    assert!(is_stale(&w.try_fail(&first, "app.late", "late", None)));
    assert!(is_stale(&w.heartbeat(&first)));
    assert_eq!(w.store().head().seq, before, "nothing was written");
    w.complete(&second, json!({}));
    assert!(is_stale(&w.try_complete(&first, json!({"late": true}))));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task text#1              new -> ready               it needs nothing
     3      0.000  step text                pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task text#1              ready -> running           taken by dc
     5      0.000  step text                ready -> running
     6     35.000  task text#1              running -> lost            agent.lost: dc sent no heartbeat within its lease
     6     35.000  task text#2              new -> ready               reassigned
     6     35.000  step text                running -> ready
     7     35.000  agent webc               unseen -> alive            first heard of
     8     35.000  task text#2              ready -> running           taken by webc
     8     35.000  step text                ready -> running
     9     35.000  task text#2              running -> completed       result of webc accepted
     9     35.000  step text                running -> completed
    10     35.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn a_dead_agent_loses_all_its_tasks_in_one_batch() {
    let mut w = World::new(
        "
workflow: three
steps:
  - { id: a, task: text, assign: { capabilities: [write] }, timeouts: { lease: 10m } }
  - { id: b, task: text, assign: { capabilities: [write] }, timeouts: { lease: 10m } }
  - { id: c, task: text, assign: { capabilities: [write] }, timeouts: { lease: 10m } }
",
        TEAM,
    );
    w.start();
    assert_eq!(w.poll("dc", 3).len(), 3);
    w.seconds(59);
    assert!(w.poll("webc", 3).is_empty(), "it is only suspected");
    w.seconds(1);
    assert_eq!(w.poll("webc", 3).len(), 3);
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task a#1                 new -> ready               it needs nothing
     3      0.000  step a                   pending -> ready
     4      0.000  task b#1                 new -> ready               it needs nothing
     4      0.000  step b                   pending -> ready
     5      0.000  task c#1                 new -> ready               it needs nothing
     5      0.000  step c                   pending -> ready
     6      0.000  agent dc                 unseen -> alive            first heard of
     7      0.000  task a#1                 ready -> running           taken by dc
     7      0.000  step a                   ready -> running
     8      0.000  task b#1                 ready -> running           taken by dc
     8      0.000  step b                   ready -> running
     9      0.000  task c#1                 ready -> running           taken by dc
     9      0.000  step c                   ready -> running
    10     30.000  agent dc                 alive -> suspect           silent for 30s of 60s
    11     59.000  agent webc               unseen -> alive            first heard of
    12     60.000  agent dc                 suspect -> dead            silent for 60s of 60s
    13     60.000  task a#1                 running -> lost            agent.lost: dc has been silent for 60s
    13     60.000  task a#2                 new -> ready               reassigned
    13     60.000  step a                   running -> ready
    14     60.000  task b#1                 running -> lost            agent.lost: dc has been silent for 60s
    14     60.000  task b#2                 new -> ready               reassigned
    14     60.000  step b                   running -> ready
    15     60.000  task c#1                 running -> lost            agent.lost: dc has been silent for 60s
    15     60.000  task c#2                 new -> ready               reassigned
    15     60.000  step c                   running -> ready
    16     60.000  task a#2                 ready -> running           taken by webc
    16     60.000  step a                   ready -> running
    17     60.000  task b#2                 ready -> running           taken by webc
    17     60.000  step b                   ready -> running
    18     60.000  task c#2                 ready -> running           taken by webc
    18     60.000  step c                   ready -> running
    ");
}

#[test]
fn an_agent_that_speaks_again_is_alive_again() {
    let mut w = World::new(ONE, TEAM);
    w.start();
    w.take("dc", "text");
    w.seconds(60);
    let again = w.take("dc", "text");
    w.complete(&again, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task text#1              new -> ready               it needs nothing
     3      0.000  step text                pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task text#1              ready -> running           taken by dc
     5      0.000  step text                ready -> running
     6     20.000  task text#1              running -> lost            agent.lost: dc sent no heartbeat within its lease
     6     20.000  task text#2              new -> ready               reassigned
     6     20.000  step text                running -> ready
     7     30.000  agent dc                 alive -> suspect           silent for 30s of 60s
     8     60.000  agent dc                 suspect -> dead            silent for 60s of 60s
     9     60.000  agent dc                 dead -> alive              heard of again
    10     60.000  task text#2              ready -> running           taken by dc
    10     60.000  step text                ready -> running
    11     60.000  task text#2              running -> completed       result of dc accepted
    11     60.000  step text                running -> completed
    12     60.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn the_last_reassignment_ends_the_task_as_lost_and_unknown_effects_are_undone() {
    let mut w = World::new(
        "
workflow: order
steps:
  - id: buy
    task: buy
    assign: { agent: DC, reassignments: 1 }
    timeouts: { lease: 10s }
    compensate: { task: refund, assign: WEBC, input: { known: '${{ self.?output.orValue(null) }}' } }
",
        TEAM,
    );
    w.start();
    w.take("dc", "buy");
    w.seconds(10);
    w.take("dc", "buy");
    w.seconds(10);
    let undo = w.take("webc", "buy.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Failed);
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task buy#1               new -> ready               it needs nothing
     3      0.000  step buy                 pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task buy#1               ready -> running           taken by dc
     5      0.000  step buy                 ready -> running
     6     10.000  task buy#1               running -> lost            agent.lost: dc sent no heartbeat within its lease
     6     10.000  task buy#2               new -> ready               reassigned
     6     10.000  step buy                 running -> ready
     7     10.000  task buy#2               ready -> running           taken by dc
     7     10.000  step buy                 ready -> running
     8     20.000  task buy#2               running -> lost            agent.lost: dc sent no heartbeat within its lease
     8     20.000  step buy                 running -> failed
     9     20.000  run                      running -> failing         buy: agent.lost: dc sent no heartbeat within its lease
    10     20.000  run                      failing -> compensating    undoes buy
    11     20.000  undo buy#1               new -> ready               to be undone
    11     20.000  step buy                 failed -> compensating
    12     20.000  agent webc               unseen -> alive            first heard of
    13     20.000  undo buy#1               ready -> running           taken by webc
    14     20.000  undo buy#1               running -> completed       result of webc accepted
    14     20.000  step buy                 compensating -> compensated
    15     20.000  run                      compensating -> failed     agent.lost, undone
    ");
}

#[test]
fn of_two_agents_that_race_for_a_task_one_gets_it() {
    let mut w = World::new(ONE, TEAM);
    w.start();
    let dc = w.take("dc", "text");
    assert!(w.poll("webc", 1).is_empty());
    let mut thief = dc.clone();
    thief.agent = "webc".to_owned();
    let stolen = w.try_complete(&thief, json!({}));
    assert!(matches!(stolen, Err(Refusal::Forbidden(_))), "{stolen:?}");
    w.complete(&dc, json!({}));
    insta::assert_snapshot!(w.log(), @r"
    2      0.000  run                      new -> running             started by dana
    3      0.000  task text#1              new -> ready               it needs nothing
    3      0.000  step text                pending -> ready
    4      0.000  agent dc                 unseen -> alive            first heard of
    5      0.000  task text#1              ready -> running           taken by dc
    5      0.000  step text                ready -> running
    6      0.000  agent webc               unseen -> alive            first heard of
    7      0.000  task text#1              running -> completed       result of dc accepted
    7      0.000  step text                running -> completed
    8      0.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn a_restart_gives_leases_their_full_length_again_but_not_the_attempt() {
    let mut w = World::new(
        "
workflow: one
steps:
  - { id: text, task: text, assign: DC, timeouts: { lease: 20s, run: 50s } }
",
        TEAM,
    );
    w.start();
    let claim = w.take("dc", "text");
    for _ in 0..2 {
        w.seconds(19);
        w.crash_and_reopen();
    }
    w.heartbeat(&claim).expect("it still holds the task");
    w.seconds(12);
    assert_eq!(w.status(), RunStatus::Failed);
    insta::assert_snapshot!(w.log(), @r"
    2      0.000  run                      new -> running             started by dana
    3      0.000  task text#1              new -> ready               it needs nothing
    3      0.000  step text                pending -> ready
    4      0.000  agent dc                 unseen -> alive            first heard of
    5      0.000  task text#1              ready -> running           taken by dc
    5      0.000  step text                ready -> running
    6     50.000  task text#1              running -> failed          timeout.run: dc gave no result in time
    6     50.000  step text                running -> failed
    7     50.000  run                      running -> failing         text: timeout.run: dc gave no result in time
    8     50.000  run                      failing -> failed          timeout.run, nothing to undo
    ");
}

#[test]
fn a_suspected_agent_is_not_alive_because_the_server_restarted() {
    // Bug: the first look after a restart found a silence of zero and wrote `suspect -> alive`.
    let mut w = World::new(ONE, TEAM);
    w.start();
    w.take("dc", "text");
    w.seconds(30);
    w.crash_and_reopen();
    w.seconds(59);
    assert!(!w.log().contains("suspect -> alive"), "{}", w.log());
    w.seconds(1);
    assert!(w.log().contains("suspect -> dead"), "{}", w.log());
}

#[test]
fn an_agent_that_waits_for_work_is_never_suspected() {
    let mut w = World::new(ONE, TEAM);
    w.poll("dc", 1);
    w.wait_for_task("dc", std::time::Duration::from_secs(300));
    w.seconds(299);
    insta::assert_snapshot!(w.log(), @"1      0.000  agent dc                 unseen -> alive            first heard of");
}
