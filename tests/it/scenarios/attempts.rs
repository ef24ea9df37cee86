//! Attempts: success, errors, back-offs, the end of patience.

use phisync::engine::RunStatus;
use phisync_tests::World;
use serde_json::json;

use super::TEAM;

#[test]
fn two_branches_run_side_by_side_and_join() {
    let mut w = World::new(
        "
workflow: survey
outputs: { words: '${{ steps.report.output.words }}' }
steps:
  - { id: plan, task: plan, assign: DC }
  - { id: read, needs: plan, task: read, assign: WEBC }
  - { id: measure, needs: plan, task: measure, assign: VSSC }
  - { id: report, needs: [read, measure], task: report, assign: DC }
",
        TEAM,
    );
    w.start();
    let plan = w.take("dc", "plan");
    w.seconds(2);
    w.complete(&plan, json!({}));
    let read = w.take("webc", "read");
    let measure = w.take("vssc", "measure");
    w.seconds(3);
    w.complete(&measure, json!({}));
    w.seconds(1);
    w.complete(&read, json!({}));
    let report = w.take("dc", "report");
    w.complete(&report, json!({"words": 7}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task plan#1              new -> ready               it needs nothing
     3      0.000  step plan                pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task plan#1              ready -> running           taken by dc
     5      0.000  step plan                ready -> running
     6      2.000  task plan#1              running -> completed       result of dc accepted
     6      2.000  step plan                running -> completed
     7      2.000  task read#1              new -> ready               its needs are met
     7      2.000  step read                pending -> ready
     8      2.000  task measure#1           new -> ready               its needs are met
     8      2.000  step measure             pending -> ready
     9      2.000  agent webc               unseen -> alive            first heard of
    10      2.000  task read#1              ready -> running           taken by webc
    10      2.000  step read                ready -> running
    11      2.000  agent vssc               unseen -> alive            first heard of
    12      2.000  task measure#1           ready -> running           taken by vssc
    12      2.000  step measure             ready -> running
    13      5.000  task measure#1           running -> completed       result of vssc accepted
    13      5.000  step measure             running -> completed
    14      6.000  task read#1              running -> completed       result of webc accepted
    14      6.000  step read                running -> completed
    15      6.000  task report#1            new -> ready               its needs are met
    15      6.000  step report              pending -> ready
    16      6.000  task report#1            ready -> running           taken by dc
    16      6.000  step report              ready -> running
    17      6.000  task report#1            running -> completed       result of dc accepted
    17      6.000  step report              running -> completed
    18      6.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn an_attempt_that_fails_is_repeated_after_a_wait_with_jitter() {
    let mut w = World::new(
        "
workflow: fetch
steps:
  - { id: get, task: get, assign: WEBC, retry: { max_attempts: 3, delay: 4s, errors: [transient] } }
",
        TEAM,
    );
    w.start();
    let first = w.take("webc", "get");
    w.fail(&first, "transient.network", "connection reset");
    assert!(w.poll("webc", 1).is_empty(), "the back-off is not over");
    w.seconds(8);
    let second = w.take("webc", "get");
    assert_eq!(second.task.attempt, 2);
    assert_eq!(second.task.key, first.task.key, "the key is the task's");
    w.fail(&second, "transient.network", "connection reset");
    w.seconds(8);
    let third = w.take("webc", "get");
    w.complete(&third, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task get#1               new -> ready               it needs nothing
     3      0.000  step get                 pending -> ready
     4      0.000  agent webc               unseen -> alive            first heard of
     5      0.000  task get#1               ready -> running           taken by webc
     5      0.000  step get                 ready -> running
     6      0.000  task get#1               running -> failed          transient.network: connection reset
     6      0.000  task get#2               new -> backoff             retry in 3.603s
     6      0.000  step get                 running -> waiting
     7      3.603  task get#2               backoff -> ready           back-off over
     7      3.603  step get                 waiting -> ready
     8      8.000  task get#2               ready -> running           taken by webc
     8      8.000  step get                 ready -> running
     9      8.000  task get#2               running -> failed          transient.network: connection reset
     9      8.000  task get#3               new -> backoff             retry in 1.995s
     9      8.000  step get                 running -> waiting
    10      9.995  task get#3               backoff -> ready           back-off over
    10      9.995  step get                 waiting -> ready
    11     16.000  task get#3               ready -> running           taken by webc
    11     16.000  step get                 ready -> running
    12     16.000  task get#3               running -> completed       result of webc accepted
    12     16.000  step get                 running -> completed
    13     16.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn an_error_that_the_policy_does_not_name_is_final() {
    let mut w = World::new(
        "
workflow: fetch
steps:
  - { id: get, task: get, assign: WEBC, retry: { max_attempts: 3, errors: [transient] } }
",
        TEAM,
    );
    w.start();
    let first = w.take("webc", "get");
    w.fail(&first, "app.gone", "there is no such page");
    insta::assert_snapshot!(w.log(), @r"
    2      0.000  run                      new -> running             started by dana
    3      0.000  task get#1               new -> ready               it needs nothing
    3      0.000  step get                 pending -> ready
    4      0.000  agent webc               unseen -> alive            first heard of
    5      0.000  task get#1               ready -> running           taken by webc
    5      0.000  step get                 ready -> running
    6      0.000  task get#1               running -> failed          app.gone: there is no such page
    6      0.000  step get                 running -> failed
    7      0.000  run                      running -> failing         get: app.gone: there is no such page
    8      0.000  run                      failing -> failed          app.gone, nothing to undo
    ");
}

#[test]
fn an_agent_may_say_that_another_attempt_is_useless() {
    let mut w = World::new(
        "
workflow: fetch
steps:
  - { id: get, task: get, assign: WEBC, retry: { max_attempts: 3, jitter: none } }
",
        TEAM,
    );
    w.start();
    let first = w.take("webc", "get");
    w.try_fail(&first, "transient.network", "no such host", Some(false))
        .expect("accepted");
    assert_eq!(w.status(), RunStatus::Failed);
}

#[test]
fn a_failure_that_may_be_ignored_lets_dependants_run() {
    let mut w = World::new(
        "
workflow: fetch
outputs: { lint: '${{ steps.lint.outcome }}' }
steps:
  - { id: lint, task: lint, assign: VSSC, on_failure: continue }
  - { id: report, needs: lint, task: report, assign: DC, input: { lint: '${{ steps.lint.outcome }}' } }
",
        TEAM,
    );
    let run = w.start();
    let lint = w.take("vssc", "lint");
    w.fail(&lint, "app.broken", "no linter here");
    let report = w.take("dc", "report");
    assert_eq!(report.task.input.get(), r#"{"lint":"failed"}"#);
    w.complete(&report, json!({}));
    let outputs = w.run(&run).outputs.expect("it completed");
    assert_eq!(outputs.text(), r#"{"lint":"failed"}"#);
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task lint#1              new -> ready               it needs nothing
     3      0.000  step lint                pending -> ready
     4      0.000  agent vssc               unseen -> alive            first heard of
     5      0.000  task lint#1              ready -> running           taken by vssc
     5      0.000  step lint                ready -> running
     6      0.000  task lint#1              running -> failed          app.broken: no linter here
     6      0.000  step lint                running -> failed
     7      0.000  task report#1            new -> ready               its needs are met
     7      0.000  step report              pending -> ready
     8      0.000  agent dc                 unseen -> alive            first heard of
     9      0.000  task report#1            ready -> running           taken by dc
     9      0.000  step report              ready -> running
    10      0.000  task report#1            running -> completed       result of dc accepted
    10      0.000  step report              running -> completed
    11      0.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn a_false_condition_skips_a_step_and_its_dependants_run() {
    let mut w = World::new(
        "
workflow: publish
inputs: { draft: { type: boolean, default: true } }
steps:
  - { id: write, task: write, assign: DC }
  - { id: announce, needs: write, if: '!inputs.draft', task: announce, assign: WEBC }
  - { id: file, needs: announce, task: file, assign: DC }
",
        TEAM,
    );
    w.start();
    let write = w.take("dc", "write");
    w.complete(&write, json!({}));
    let file = w.take("dc", "file");
    w.complete(&file, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task write#1             new -> ready               it needs nothing
     3      0.000  step write               pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task write#1             ready -> running           taken by dc
     5      0.000  step write               ready -> running
     6      0.000  task write#1             running -> completed       result of dc accepted
     6      0.000  step write               running -> completed
     7      0.000  step announce            pending -> skipped         its condition is false
     8      0.000  task file#1              new -> ready               its needs are met
     8      0.000  step file                pending -> ready
     9      0.000  task file#1              ready -> running           taken by dc
     9      0.000  step file                ready -> running
    10      0.000  task file#1              running -> completed       result of dc accepted
    10      0.000  step file                running -> completed
    11      0.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn a_fail_step_ends_the_run_with_its_own_code() {
    let mut w = World::new(
        "
workflow: gate
inputs: { open: { type: boolean, default: false } }
steps:
  - { id: closed, if: '!inputs.open', fail: { code: app.closed, message: 'closed for ${{ run.id }}' } }
  - { id: enter, needs: closed, task: enter, assign: DC }
",
        TEAM,
    );
    w.start();
    insta::assert_snapshot!(w.log(), @r"
    2      0.000  run                      new -> running             started by dana
    3      0.000  step closed              pending -> failed          app.closed: closed for r1
    4      0.000  run                      running -> failing         closed: app.closed: closed for r1
    5      0.000  step enter               pending -> cancelled       the run failed
    6      0.000  run                      failing -> failed          app.closed, nothing to undo
    ");
    w.start_with(json!({"open": true}));
    let enter = w.take("dc", "enter");
    w.complete(&enter, json!({}));
    assert_eq!(w.status(), RunStatus::Completed);
}

#[test]
fn the_next_attempt_goes_to_another_agent_if_the_policy_says_so() {
    let mut w = World::new(
        "
workflow: review
steps:
  - id: text
    task: text
    assign: { capabilities: [write] }
    retry: { max_attempts: 3, backoff: none, errors: [all], reassign: other }
",
        TEAM,
    );
    w.start();
    let first = w.take("dc", "text");
    w.fail(&first, "app.stuck", "out of ideas");
    w.seconds(0);
    assert!(w.poll("dc", 1).is_empty(), "it did the last attempt");
    let second = w.take("webc", "text");
    assert_eq!(
        second
            .task
            .handoff
            .clone()
            .expect("somebody was there before")["previous_attempt"],
        json!({
            "agent": "dc",
            "error": {"code": "app.stuck", "message": "out of ideas"},
        })
    );
    w.complete(&second, json!({}));
    assert_eq!(w.status(), RunStatus::Completed);
}
