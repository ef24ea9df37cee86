//! Results: their schema, their second coming, and what the step makes of them.

use phisync::coordinator::Refusal;
use phisync::engine::{Rejection, RunStatus};
use phisync_tests::World;
use serde_json::json;

use super::TEAM;

const COUNTED: &str = "
workflow: count
outputs: { words: '${{ steps.count.output }}' }
steps:
  - id: count
    task: count
    assign: DC
    output: { type: object, required: [words], properties: { words: { type: integer } } }
    yield: ${{ result.words * 2 }}
";

fn rejection(answer: Result<(), Refusal>) -> Rejection {
    match answer {
        Err(Refusal::Rejected(rejection)) => rejection,
        other => panic!("not refused by the engine: {other:?}"),
    }
}

#[test]
fn a_result_that_breaks_its_schema_is_refused_and_the_attempt_stays_open() {
    let mut w = World::new(COUNTED, TEAM);
    let run = w.start();
    let claim = w.take("dc", "count");
    let before = w.store().head().seq;
    match rejection(w.try_complete(&claim, json!({"words": "many"}))) {
        Rejection::BadOutput { violations, .. } => {
            let lines: Vec<_> = violations
                .iter()
                .map(|v| format!("{}: {}", v.path, v.message))
                .collect();
            insta::assert_snapshot!(lines.join("\n"), @"output.words: expected integer, found string");
        }
        other => panic!("{other}"),
    }
    assert_eq!(w.store().head().seq, before, "nothing was written");
    w.complete(&claim, json!({"words": 21}));
    let outputs = w.run(&run).outputs.expect("it completed");
    assert_eq!(outputs.text(), r#"{"words":42}"#, "`yield` was applied");
}

#[test]
fn the_same_result_again_is_the_first_answer_and_another_one_a_conflict() {
    let mut w = World::new(COUNTED, TEAM);
    w.start();
    let claim = w.take("dc", "count");
    w.complete(&claim, json!({"words": 1}));
    let before = w.store().head().seq;
    w.complete(&claim, json!({"words": 1}));
    let other = rejection(w.try_complete(&claim, json!({"words": 2})));
    insta::assert_snapshot!(other, @"`r1.count` is already completed under token 1099511627779, with another result");
    let error = rejection(w.try_fail(&claim, "app.late", "no", None));
    insta::assert_snapshot!(error, @"`r1.count` is already completed under token 1099511627779, with another result");
    assert_eq!(w.store().head().seq, before, "nothing was written");
}

#[test]
fn the_same_error_again_is_the_first_answer_and_another_one_a_conflict() {
    let mut w = World::new(
        "
workflow: one
steps:
  - { id: text, task: text, assign: DC, retry: { backoff: none, errors: [app] } }
",
        TEAM,
    );
    w.start();
    let claim = w.take("dc", "text");
    w.fail(&claim, "app.busy", "later");
    w.fail(&claim, "app.busy", "later");
    let other = rejection(w.try_fail(&claim, "app.gone", "never", None));
    assert!(matches!(other, Rejection::AlreadyEnded { .. }), "{other}");
    let result = rejection(w.try_complete(&claim, json!({})));
    assert!(matches!(result, Rejection::AlreadyEnded { .. }), "{result}");
    w.seconds(0);
    let claim = w.take("dc", "text");
    assert_eq!(claim.task.attempt, 2, "the repeated report counted once");
    w.complete(&claim, json!({}));
    assert_eq!(w.status(), RunStatus::Completed);
}

#[test]
fn a_yield_that_cannot_be_evaluated_fails_the_step() {
    let mut w = World::new(
        "
workflow: one
steps:
  - { id: text, task: text, assign: DC, yield: '${{ result.words }}' }
",
        TEAM,
    );
    w.start();
    let claim = w.take("dc", "text");
    w.complete(&claim, json!({"pages": 3}));
    insta::assert_snapshot!(w.log(), @r"
    2      0.000  run                      new -> running             started by dana
    3      0.000  task text#1              new -> ready               it needs nothing
    3      0.000  step text                pending -> ready
    4      0.000  agent dc                 unseen -> alive            first heard of
    5      0.000  task text#1              ready -> running           taken by dc
    5      0.000  step text                ready -> running
    6      0.000  task text#1              running -> failed          expr: there is no field `words` in `result.words`
    6      0.000  step text                running -> failed
    7      0.000  run                      running -> failing         text: expr: there is no field `words` in `result.words`
    8      0.000  run                      failing -> failed          expr, nothing to undo
    ");
}

#[test]
fn a_result_that_is_mapped_to_nothing_is_nothing_after_a_restart_too() {
    let mut w = World::new(
        "
workflow: one
outputs: { got: '${{ steps.text.output }}' }
steps:
  - { id: text, task: text, assign: DC, yield: '${{ null }}' }
  - { id: next, needs: text, task: next, assign: DC, input: { text: '${{ steps.text.output }}' } }
",
        TEAM,
    );
    let run = w.start();
    let claim = w.take("dc", "text");
    w.complete(&claim, json!({"pages": 3}));
    w.crash_and_reopen();
    let claim = w.take("dc", "next");
    assert_eq!(claim.task.input.get(), r#"{"text":null}"#);
    w.complete(&claim, json!({}));
    let outputs = w.run(&run).outputs.expect("it has completed");
    assert_eq!(outputs.text(), r#"{"got":null}"#);
}

#[test]
fn a_task_that_is_given_back_waits_for_the_next_agent() {
    let mut w = World::new(
        "
workflow: one
steps:
  - { id: text, task: text, assign: { capabilities: [write], reassignments: 0 } }
",
        TEAM,
    );
    w.start();
    let claim = w.take("dc", "text");
    w.seconds(1);
    w.release(&claim);
    let claim = w.take("webc", "text");
    w.complete(&claim, json!({}));
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  task text#1              new -> ready               it needs nothing
     3      0.000  step text                pending -> ready
     4      0.000  agent dc                 unseen -> alive            first heard of
     5      0.000  task text#1              ready -> running           taken by dc
     5      0.000  step text                ready -> running
     6      1.000  task text#1              running -> released        given back by dc
     6      1.000  task text#2              new -> ready               offered again
     6      1.000  step text                running -> ready
     7      1.000  agent webc               unseen -> alive            first heard of
     8      1.000  task text#2              ready -> running           taken by webc
     8      1.000  step text                ready -> running
     9      1.000  task text#2              running -> completed       result of webc accepted
     9      1.000  step text                running -> completed
    10      1.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn what_may_be_done_once_only_is_not_offered_again_when_it_is_given_back_midway() {
    let workflow = "
workflow: once
steps:
  - { id: pay, task: pay, assign: DC, effects: irreversible }
";
    let mut w = World::new(workflow, TEAM);
    let run = w.start();
    let held = w.take("dc", "pay");
    w.release_begun(&held);
    assert!(w.poll("dc", 1).is_empty());
    let error = w.run(&run).error.expect("it failed");
    assert_eq!(error.code, "agent.lost");
}
