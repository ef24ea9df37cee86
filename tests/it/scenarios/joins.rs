//! Joins that do not wait for everybody, and those that cannot be met any more.

use phisync::engine::RunStatus;
use phisync_tests::{Claim, World};
use serde_json::json;

use super::TEAM;

/// Three searches and an answer joined by `join`; all searches taken.
fn searches(join: &str, more: &str) -> (World, [Claim; 3]) {
    let workflow = format!(
        "
workflow: search
steps:
  - {{ id: a, task: search, assign: DC, on_failure: continue }}
  - {{ id: b, task: search, assign: WEBC, on_failure: continue }}
  - {{ id: c, task: search, assign: VSSC, on_failure: continue }}
  - {{ id: answer, needs: [a, b, c], join: {join}, task: answer, assign: DC }}
{more}"
    );
    let mut w = World::new(&workflow, TEAM);
    w.start();
    let claims = [("dc", "a"), ("webc", "b"), ("vssc", "c")];
    let claims = claims.map(|(agent, step)| w.take(agent, step));
    (w, claims)
}

#[test]
fn any_runs_at_the_first_success_and_the_others_go_on() {
    let (mut w, [a, b, c]) = searches("any", "");
    w.fail(&a, "app.nothing", "no hit");
    assert!(w.poll("dc", 1).is_empty(), "a failure is no success");
    w.complete(&b, json!({}));
    let answer = w.take("dc", "answer");
    w.complete(&answer, json!({}));
    assert_eq!(w.status(), RunStatus::Running, "c goes on");
    w.complete(&c, json!({}));
    assert_eq!(w.status(), RunStatus::Completed);
}

#[test]
fn first_stops_the_slower_ones() {
    let (mut w, [a, b, c]) = searches("first", "");
    w.complete(&b, json!({}));
    assert!(w.heartbeat(&a).expect("it holds it").cancel_requested);
    let answer = w.take("dc", "answer");
    w.fail(&a, "cancelled", "stopped as asked");
    w.complete(&c, json!({}));
    w.complete(&answer, json!({}));
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
     8      0.000  agent webc               unseen -> alive            first heard of
     9      0.000  task b#1                 ready -> running           taken by webc
     9      0.000  step b                   ready -> running
    10      0.000  agent vssc               unseen -> alive            first heard of
    11      0.000  task c#1                 ready -> running           taken by vssc
    11      0.000  step c                   ready -> running
    12      0.000  task b#1                 running -> completed       result of webc accepted
    12      0.000  step b                   running -> completed
    13      0.000  task a#1                 running -> running         dc is asked to stop: another branch was faster
    14      0.000  task c#1                 running -> running         vssc is asked to stop: another branch was faster
    15      0.000  task answer#1            new -> ready               its needs are met
    15      0.000  step answer              pending -> ready
    16      0.000  task answer#1            ready -> running           taken by dc
    16      0.000  step answer              ready -> running
    17      0.000  task a#1                 running -> failed          cancelled: stopped as asked
    17      0.000  step a                   running -> cancelled
    18      0.000  task c#1                 running -> completed       result of vssc accepted
    18      0.000  step c                   running -> completed
    19      0.000  task answer#1            running -> completed       result of dc accepted
    19      0.000  step answer              running -> completed
    20      0.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn at_least_two_waits_for_two() {
    let (mut w, [a, b, c]) = searches("{ at_least: 2 }", "");
    w.complete(&a, json!({}));
    assert!(w.poll("dc", 1).is_empty(), "one is not two");
    w.complete(&c, json!({}));
    let answer = w.take("dc", "answer");
    w.complete(&answer, json!({}));
    w.fail(&b, "app.nothing", "no hit");
    assert_eq!(w.status(), RunStatus::Completed);
}

#[test]
fn a_join_that_cannot_be_met_any_more_fails_the_run() {
    for join in ["any", "first", "{ at_least: 1 }"] {
        let (mut w, claims) = searches(join, "");
        for claim in &claims {
            assert_eq!(w.status(), RunStatus::Running, "{join}");
            w.fail(claim, "app.nothing", "no hit");
        }
        assert_eq!(w.status(), RunStatus::Failed, "{join}");
    }
    let (mut w, [a, b, c]) = searches("{ at_least: 2 }", "");
    w.fail(&a, "app.nothing", "no hit");
    w.fail(&c, "app.nothing", "no hit either");
    w.complete(&b, json!({}));
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
     8      0.000  agent webc               unseen -> alive            first heard of
     9      0.000  task b#1                 ready -> running           taken by webc
     9      0.000  step b                   ready -> running
    10      0.000  agent vssc               unseen -> alive            first heard of
    11      0.000  task c#1                 ready -> running           taken by vssc
    11      0.000  step c                   ready -> running
    12      0.000  task a#1                 running -> failed          app.nothing: no hit
    12      0.000  step a                   running -> failed
    13      0.000  task c#1                 running -> failed          app.nothing: no hit either
    13      0.000  step c                   running -> failed
    14      0.000  step answer              pending -> cancelled       what it needs cannot come
    15      0.000  run                      running -> failing         answer: app.nothing: it needs `a`: no hit
    16      0.000  task b#1                 running -> running         webc is asked to stop: the run failed
    17      0.000  task b#1                 running -> completed       result of webc accepted
    17      0.000  step b                   running -> completed
    18      0.000  run                      failing -> failed          app.nothing, nothing to undo
    ");
}

#[test]
fn whoever_needs_a_step_that_was_outrun_cannot_run() {
    // Bug: a step that waited for a branch stopped before it began stayed pending for ever.
    let mut w = World::new(
        "
workflow: search
steps:
  - { id: a, task: search, assign: DC }
  - { id: early, task: search, assign: WEBC }
  - { id: b, needs: early, task: search, assign: WEBC }
  - { id: answer, needs: [a, b], join: first, task: answer, assign: DC }
  - { id: archive, needs: b, task: archive, assign: VSSC }
",
        TEAM,
    );
    w.start();
    let a = w.take("dc", "a");
    let early = w.take("webc", "early");
    w.complete(&a, json!({}));
    w.fail(&early, "cancelled", "stopped as asked");
    assert_eq!(w.status(), RunStatus::Failed);
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task a#1                 new -> ready               it needs nothing
     3      0.000  step a                   pending -> ready
     4      0.000  task early#1             new -> ready               it needs nothing
     4      0.000  step early               pending -> ready
     5      0.000  agent dc                 unseen -> alive            first heard of
     6      0.000  task a#1                 ready -> running           taken by dc
     6      0.000  step a                   ready -> running
     7      0.000  agent webc               unseen -> alive            first heard of
     8      0.000  task early#1             ready -> running           taken by webc
     8      0.000  step early               ready -> running
     9      0.000  task a#1                 running -> completed       result of dc accepted
     9      0.000  step a                   running -> completed
    10      0.000  step b                   pending -> cancelled       another branch was faster
    11      0.000  task answer#1            new -> ready               its needs are met
    11      0.000  step answer              pending -> ready
    12      0.000  step archive             pending -> cancelled       what it needs cannot come
    13      0.000  run                      running -> failing         archive: cancelled: it needs `b`, which was cancelled
    14      0.000  task early#1             running -> running         webc is asked to stop: the run failed
    15      0.000  task answer#1            ready -> cancelled         the run failed
    15      0.000  step answer              ready -> cancelled         the run failed
    16      0.000  task early#1             running -> failed          cancelled: stopped as asked
    16      0.000  step early               running -> cancelled
    17      0.000  run                      failing -> failed          cancelled, nothing to undo
    ");
}

#[test]
fn a_step_that_a_join_did_not_wait_for_is_open_in_conditions() {
    // Bug: `outcome` of such a step was a field that is not there, and failed the run as `expr`.
    let workflow = "
workflow: race
steps:
  - { id: quick, task: a, assign: DC }
  - { id: slow, task: b, assign: WEBC }
  - { id: then, needs: [quick, slow], join: any, task: c, assign: DC, if: steps.slow.outcome == 'open' }
  - { id: never, needs: [quick, slow], join: any, task: d, assign: DC, if: steps.slow.outcome == 'succeeded' }
";
    let mut w = World::new(workflow, TEAM);
    let run = w.start();
    let slow = w.take("webc", "slow");
    for step in ["quick", "then"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!({}));
    }
    w.complete(&slow, json!({}));
    let run = w.run(&run);
    assert_eq!(run.status, RunStatus::Completed);
    let never = run.slot_named("never").expect("it is there");
    assert_eq!(run.step(never).status.as_str(), "skipped");
}
