//! A run that somebody cancels: what stops at once, and what is waited for.

use phisync::coordinator::Refusal;
use phisync::engine::{Rejection, RunStatus, Undo};
use phisync_tests::{Claim, World};
use serde_json::json;

use super::TEAM;

/// One step done, one running, one in its back-off, one not begun; then cancelled.
fn midway() -> (World, Claim) {
    let mut w = World::new(
        "
workflow: build
steps:
  - { id: fetch, task: fetch, assign: WEBC, compensate: { task: clean, assign: WEBC } }
  - { id: compile, needs: fetch, task: compile, assign: VSSC, compensate: { task: clean, assign: VSSC } }
  - { id: lint, needs: fetch, task: lint, assign: DC, retry: { backoff: fixed, delay: 1m, jitter: none, errors: [app] } }
  - { id: ship, needs: [compile, lint], task: ship, assign: WEBC }
",
        TEAM,
    );
    w.start();
    let fetch = w.take("webc", "fetch");
    w.complete(&fetch, json!({}));
    let compile = w.take("vssc", "compile");
    let lint = w.take("dc", "lint");
    w.fail(&lint, "app.busy", "later");
    w.cancel("wrong branch");
    (w, compile)
}

#[test]
fn the_holder_of_a_running_task_is_asked_to_stop_and_the_rest_stops_at_once() {
    let (mut w, compile) = midway();
    assert!(w.heartbeat(&compile).expect("it holds it").cancel_requested);
    w.fail(&compile, "cancelled", "stopped as asked");
    let undo = w.take("vssc", "compile.undo");
    w.complete(&undo, json!({}));
    let undo = w.take("webc", "fetch.undo");
    w.complete(&undo, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task fetch#1             new -> ready               it needs nothing
     3      0.000  step fetch               pending -> ready
     4      0.000  agent webc               unseen -> alive            first heard of
     5      0.000  task fetch#1             ready -> running           taken by webc
     5      0.000  step fetch               ready -> running
     6      0.000  task fetch#1             running -> completed       result of webc accepted
     6      0.000  step fetch               running -> completed
     7      0.000  task compile#1           new -> ready               its needs are met
     7      0.000  step compile             pending -> ready
     8      0.000  task lint#1              new -> ready               its needs are met
     8      0.000  step lint                pending -> ready
     9      0.000  agent vssc               unseen -> alive            first heard of
    10      0.000  task compile#1           ready -> running           taken by vssc
    10      0.000  step compile             ready -> running
    11      0.000  agent dc                 unseen -> alive            first heard of
    12      0.000  task lint#1              ready -> running           taken by dc
    12      0.000  step lint                ready -> running
    13      0.000  task lint#1              running -> failed          app.busy: later
    13      0.000  task lint#2              new -> backoff             retry in 60.000s
    13      0.000  step lint                running -> waiting
    14      0.000  run                      running -> cancelling      cancelled by dana: wrong branch
    15      0.000  task compile#1           running -> running         vssc is asked to stop: the run was cancelled
    16      0.000  task lint#2              backoff -> cancelled       the run was cancelled
    16      0.000  step lint                waiting -> cancelled       the run was cancelled
    17      0.000  step ship                pending -> cancelled       the run was cancelled
    18      0.000  task compile#1           running -> failed          cancelled: stopped as asked
    18      0.000  step compile             running -> cancelled
    19      0.000  run                      cancelling -> compensating undoes compile, fetch
    20      0.000  undo compile#1           new -> ready               to be undone
    20      0.000  step compile             cancelled -> compensating
    21      0.000  undo compile#1           ready -> running           taken by vssc
    22      0.000  undo compile#1           running -> completed       result of vssc accepted
    22      0.000  step compile             compensating -> compensated
    23      0.000  undo fetch#1             new -> ready               to be undone
    23      0.000  step fetch               completed -> compensating
    24      0.000  undo fetch#1             ready -> running           taken by webc
    25      0.000  undo fetch#1             running -> completed       result of webc accepted
    25      0.000  step fetch               compensating -> compensated
    26      0.000  run                      compensating -> cancelled  undone
    ");
}

#[test]
fn a_result_that_comes_all_the_same_is_accepted_and_undone() {
    // Bug: the run stayed open for ever when the last result of a run that ends had dependants.
    let (mut w, compile) = midway();
    w.complete(&compile, json!({}));
    let undo = w.take("vssc", "compile.undo");
    w.complete(&undo, json!({}));
    let undo = w.take("webc", "fetch.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Cancelled);
}

#[test]
fn an_answered_failure_leaves_nothing_to_undo() {
    let (mut w, compile) = midway();
    w.fail(&compile, "app.broken", "does not compile");
    let undo = w.take("webc", "fetch.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Cancelled);
}

#[test]
fn a_task_given_back_unharmed_leaves_nothing_to_undo() {
    // Bug: giving back after the request to stop counted as an unknown effect.
    let (mut w, compile) = midway();
    w.release(&compile);
    let undo = w.take("webc", "fetch.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Cancelled);
    let log = w.log();
    let compile = log.lines().filter(|line| line.contains("compile"));
    insta::assert_snapshot!(compile.collect::<Vec<_>>().join("\n"), @r"
     7      0.000  task compile#1           new -> ready               its needs are met
     7      0.000  step compile             pending -> ready
    10      0.000  task compile#1           ready -> running           taken by vssc
    10      0.000  step compile             ready -> running
    15      0.000  task compile#1           running -> running         vssc is asked to stop: the run was cancelled
    18      0.000  task compile#1           running -> released        given back by vssc
    18      0.000  task compile#2           new -> ready               offered again
    18      0.000  step compile             running -> ready
    19      0.000  task compile#2           ready -> cancelled         the run was cancelled
    19      0.000  step compile             ready -> cancelled         the run was cancelled
    ");
}

#[test]
fn a_task_given_back_midway_is_undone_if_nobody_finishes_it() {
    // Bug: a worker that was stopped killed its command, and what that had done stayed.
    let (mut w, compile) = midway();
    w.release_begun(&compile);
    let undo = w.take("vssc", "compile.undo");
    w.complete(&undo, json!({}));
    let undo = w.take("webc", "fetch.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Cancelled);

    let mut w = World::new(
        "
workflow: mail
steps:
  - { id: send, task: send, assign: DC, compensate: { task: recall, assign: DC } }
",
        TEAM,
    );
    w.start();
    let first = w.take("dc", "send");
    w.release_begun(&first);
    let second = w.take("dc", "send");
    w.release(&second);
    w.cancel("not today");
    let undo = w.take("dc", "send.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Cancelled);
}

#[test]
fn a_holder_that_never_answers_is_waited_for_until_its_lease_ends() {
    let (mut w, _) = midway();
    w.seconds(59);
    assert_eq!(w.status(), RunStatus::Running);
    assert!(w.poll("webc", 1).is_empty());
    w.seconds(1);
    assert!(w.poll("vssc", 2).len() == 1, "its unknown effect is undone");
}

#[test]
fn cancelling_twice_is_harmless_and_a_closed_run_is_not_cancelled() {
    let (mut w, compile) = midway();
    let before = w.store().head().seq;
    w.cancel("again");
    assert_eq!(w.store().head().seq, before, "nothing was written");
    w.fail(&compile, "app.broken", "does not compile");
    let undo = w.take("webc", "fetch.undo");
    w.complete(&undo, json!({}));
    let now = w.now();
    let run = phisync::engine::RunId::parse("r1").expect("sound");
    let late = w.coordinator().cancel(&run, "dana", None, now);
    assert!(
        matches!(late, Err(Refusal::Rejected(Rejection::RunClosed { .. }))),
        "{late:?}"
    );
    assert_eq!(w.run(&run).undo, Undo::Done);
}
