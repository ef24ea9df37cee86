//! Workflows of states: one token that goes from state to state.

use std::time::Duration;

use phisync::engine::{RawJson, RunStatus};
use serde_json::json;

use super::{error, outputs, play, started};

const TRIAGE: &str = "
workflow: incident
vars: { severity: { type: string, default: unknown } }
outputs: { severity: '${{ vars.severity }}' }
initial: triage
states:
  triage:
    entry: [ { id: mark, set: { severity: open } } ]
    activity: { task: triage, assign: DC, timeouts: { lease: 30m, run: 30m }, output: { type: object, required: [level], properties: { level: { type: string } } } }
    exit: [ { id: leave, task: note, assign: DC } ]
    timeout: { after: 20m, to: escalated }
    max_visits: 2
    transitions:
      - { outcome: succeeded, when: state.output.level == 'high', set: { severity: '${{ state.output.level }}' }, to: fix }
      - { outcome: succeeded, to: closed }
      - { outcome: failed, errors: [app.again], to: triage }
      - { outcome: failed, to: escalated }
  fix:
    activity:
      steps:
        - { id: patch, task: patch, assign: DC, compensate: { task: undo, assign: DC } }
        - { id: check, needs: patch, task: check, assign: DC }
    transitions:
      - { outcome: succeeded, to: closed }
      - { outcome: failed, to: escalated }
      - { signal: abort, when: event.data.sure, to: aborted }
  escalated:
    activity: { approval: { from: { roles: [lead] }, options: [retry, close], timeout: 1h, on_timeout: fail } }
    transitions:
      - { outcome: retry, to: triage }
      - { outcome: close, to: closed }
      - { outcome: failed, to: aborted }
  closed: { final: completed }
  aborted: { final: failed, error: { code: app.aborted, message: given up } }
";

#[test]
fn a_token_walks_by_outcomes_and_carries_variables() {
    let (mut w, run) = started(TRIAGE, json!({}));
    let mut seen = Vec::new();
    play(&mut w, |claim| {
        seen.push(claim.what().to_owned());
        Ok(json!({ "level": "high" }))
    });
    assert_eq!(seen, ["triage.1", "leave.1", "patch.1", "check.1"]);
    assert_eq!(outputs(&w.run(&run)), json!({ "severity": "high" }));
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_state_may_be_visited_as_often_as_it_says() {
    let (mut w, run) = started(TRIAGE, json!({}));
    play(&mut w, |claim| match claim.what() {
        what if what.starts_with("triage") => Err("app.again"),
        _ => Ok(json!(null)),
    });
    let run = w.run(&run);
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(error(&run), "state.visits: `triage` was visited 2 times");
}

#[test]
fn a_state_that_takes_too_long_is_left() {
    let (mut w, run) = started(TRIAGE, json!({}));
    let held = w.take("dc", "triage.1");
    w.advance(Duration::from_secs(20 * 60));
    assert!(w.heartbeat(&held).expect("it holds it").cancel_requested);
    w.complete(&held, json!({ "level": "low" }));
    play(&mut w, |_| Ok(json!(null)));
    w.answer("escalated.1", "dana", "close", None)
        .expect("a lead may");
    assert_eq!(w.run(&run).status, RunStatus::Completed);
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_signal_takes_the_token_away_and_what_is_open_is_cancelled() {
    let (mut w, run) = started(TRIAGE, json!({}));
    for step in ["triage.1", "leave.1"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!({ "level": "high" }));
    }
    let patch = w.take("dc", "patch.1");
    w.complete(&patch, json!(null));
    let mut signal = |sure: bool| {
        let now = w.now();
        let data = RawJson::from_value(&json!({ "sure": sure }));
        w.coordinator().signal(&run, "abort", &data, "dana", now)
    };
    signal(false).expect("it is open");
    signal(true).expect("it is open");
    assert!(
        w.poll("dc", 1)
            .iter()
            .all(|claim| claim.what() == "patch.1.undo")
    );
    let run = w.run(&run);
    assert_eq!(error(&run), "app.aborted: given up");
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_run_of_states_is_cancelled_and_undone_like_any_other() {
    let (mut w, run) = started(TRIAGE, json!({}));
    for step in ["triage.1", "leave.1", "patch.1"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!({ "level": "high" }));
    }
    w.cancel("enough");
    let undo = w.take("dc", "patch.1.undo");
    w.complete(&undo, json!(null));
    assert_eq!(w.run(&run).status, RunStatus::Cancelled);
}
