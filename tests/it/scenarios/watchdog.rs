//! A run that a defect left without anybody to wake it: the watchdog makes it an incident.

use std::sync::Arc;

use phisync::engine::{Resolution, RunId, RunStatus};
use phisync_state::{Entry, Expected, MemoryStore, Store as _, StreamName};
use phisync_tests::{BEGINNING, World, compiled};
use serde_json::json;

use super::TEAM;

const WORKFLOW: &str = "
workflow: two
timeout: 1d
steps:
  - { id: first, task: do, assign: DC }
  - { id: second, needs: first, task: do, assign: DC }
";

/// A journal as a defect could leave it: the run has begun, and its first step never did.
fn stalled() -> World {
    stalled_in(WORKFLOW)
}

fn stalled_in(workflow: &str) -> World {
    let machine = compiled(workflow);
    let registered = json!({"definition_registered": {
        "hash": machine.hash(), "source": machine.source(),
    }});
    let begun = json!({"run_started": {
        "run": "r1", "workflow": "two", "definition": machine.hash(), "inputs": {}, "by": "dana",
        "at": BEGINNING, "deadline": BEGINNING.saturating_add(machine.timeout()),
    }});
    let entry = |stream: &str, event: serde_json::Value| Entry {
        stream: StreamName::new(stream),
        expected: Expected::Version(0),
        events: vec![event.to_string()],
    };
    let store = Arc::new(MemoryStore::new());
    let batch = vec![entry("workflow/two", registered), entry("run/r1", begun)];
    store.append(BEGINNING, batch).expect("memory takes it");
    let mut w = World::on(store, workflow, TEAM);
    w.advance(std::time::Duration::ZERO);
    w
}

fn run() -> RunId {
    RunId::parse("r1").expect("a sound id")
}

fn resolve(w: &mut World, action: Resolution) -> Result<(), phisync::coordinator::Refusal> {
    let now = w.now();
    let reason = "seen";
    w.coordinator()
        .resolve_incident("r1", action, reason, "dana", now)
}

#[test]
fn a_run_that_nobody_wakes_becomes_an_incident_and_goes_on_when_looked_at_again() {
    let mut w = stalled();
    let incidents = w.coordinator().incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(
        (incidents[0].id.as_str(), incidents[0].kind.as_str()),
        ("r1", "stall")
    );
    let now = w.now();
    let why = w.coordinator().why(&run(), None, now).expect("it is there");
    assert_eq!(why.waker, "incident");
    insta::assert_snapshot!(why.text, @"waits for a person: first: what it needs has ended, and it did not begin (retry, skip or abandon)");

    resolve(&mut w, Resolution::Retry).expect("the incident is open");
    assert!(w.coordinator().incidents().is_empty());
    for step in ["first", "second"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!({}));
    }
    assert_eq!(w.run(&run()).status, RunStatus::Completed);
    insta::assert_snapshot!(w.log(), @r"
     2      0.000  run                      new -> running             started by dana
     3      0.000  run                      running -> running         stalled: first: what it needs has ended, and it did not begin
     4      0.000  run                      running -> running         to be looked at again, says dana: seen
     5      0.000  task first#1             new -> ready               it needs nothing
     5      0.000  step first               pending -> ready
     6      0.000  agent dc                 unseen -> alive            first heard of
     7      0.000  task first#1             ready -> running           taken by dc
     7      0.000  step first               ready -> running
     8      0.000  task first#1             running -> completed       result of dc accepted
     8      0.000  step first               running -> completed
     9      0.000  task second#1            new -> ready               its needs are met
     9      0.000  step second              pending -> ready
    10      0.000  task second#1            ready -> running           taken by dc
    10      0.000  step second              ready -> running
    11      0.000  task second#1            running -> completed       result of dc accepted
    11      0.000  step second              running -> completed
    12      0.000  run                      running -> completed       all steps have ended
    ");
}

#[test]
fn a_run_that_stalled_is_told_of_once_also_after_restarts() {
    let mut w = stalled();
    let before = w.changes();
    w.crash_and_reopen();
    w.seconds(60);
    assert_eq!(w.changes(), before);
    assert_eq!(w.coordinator().incidents().len(), 1);
}

#[test]
fn a_run_that_stalled_may_be_given_up() {
    let mut w = stalled();
    resolve(&mut w, Resolution::Abandon).expect("the incident is open");
    assert_eq!(w.run(&run()).status, RunStatus::Failed);
    assert!(w.poll("dc", 9).is_empty());
    insta::assert_snapshot!(w.log(), @r"
    2      0.000  run                      new -> running             started by dana
    3      0.000  run                      running -> running         stalled: first: what it needs has ended, and it did not begin
    4      0.000  run                      running -> running         to be closed as it stands, says dana: seen
    5      0.000  run                      running -> failing         first: engine.stalled: what it needs has ended, and it did not begin
    6      0.000  step first               pending -> cancelled       the run failed
    7      0.000  step second              pending -> cancelled       the run failed
    8      0.000  run                      failing -> failed          engine.stalled, undoing abandoned
    9      0.000  agent dc                 unseen -> alive            first heard of
    ");
    let again = resolve(&mut w, Resolution::Retry).expect_err("it is closed");
    insta::assert_snapshot!(again, @"`r1` is not a run that stalled: it is closed");
}

#[test]
fn a_run_that_stalled_may_fail_by_its_own_rules() {
    let workflow = format!(
        "{WORKFLOW}on_failure: [ {{ id: tell, task: tell, assign: DC }} ]\nfinally: [ {{ id: tidy, task: tidy, assign: DC }} ]\n"
    );
    let mut w = stalled_in(&workflow);
    resolve(&mut w, Resolution::Skip).expect("the incident is open");
    for step in ["tell", "tidy"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!({}));
    }
    assert_eq!(w.run(&run()).status, RunStatus::Failed);
    insta::assert_snapshot!(w.log());
    let again = resolve(&mut w, Resolution::Skip).expect_err("it is closed");
    insta::assert_snapshot!(again, @"`r1` is not a run that stalled: it is closed");
}
