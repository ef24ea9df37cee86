//! A `files` step as its run sees it; the disks are those of `tests/it/files.rs`.

use phisync::coordinator::{FilesErrand, Refusal};
use phisync::engine::{Failure, FilesEnd, FilesStage, RawJson, RunStatus};
use phisync_state::transaction::{Decision, Intent, TransactionId};
use phisync_tests::World;
use serde_json::json;

use super::{error, started};

fn workflow(more: &str) -> String {
    format!(
        "
phisync: 1
workflow: renaming
version: \"1.0.0\"
inputs: {{ where: {{ type: string, default: src/a }} }}
timeout: 1d
steps:
  - id: change
    files:
      root: api
      allow: [\"src/**\"]
      changes: [{{ path: \"${{{{ inputs.where }}}}\", op: write, content: new, expect: {{ exists: true }} }}]
      prepare_timeout: 5m
      {more}
    compensate: none
"
    )
}

fn wanted(w: &mut World) -> FilesErrand {
    let mut wanted = w.coordinator().take_files_wanted();
    assert_eq!(wanted.len(), 1);
    wanted.remove(0)
}

fn end(w: &mut World, errand: &FilesErrand, end: &FilesEnd) -> Result<(), Refusal> {
    let now = w.now();
    w.coordinator().end_files(errand, end, now)
}

fn decide(w: &mut World, errand: &FilesErrand) -> Result<(), Refusal> {
    let (now, id) = (w.now(), TransactionId::parse("t-1").expect("a name"));
    let intent = Intent {
        by: "run".to_owned(),
        reason: None,
        reverts: None,
        roots: std::collections::BTreeMap::new(),
        stages: Vec::new(),
    };
    let (decision, output) = (Decision::default(), RawJson::from_value(&json!({})));
    let c = w.coordinator();
    c.decide_files(errand, &id, &decision, &intent, &output, now)
        .map(drop)
}

fn conflict() -> FilesEnd {
    FilesEnd::Failed(Failure::new("files.conflict", "somebody was here"))
}

#[test]
fn what_is_not_staged_in_time_fails_and_its_late_decision_is_refused() {
    let (mut w, id) = started(&workflow(""), json!({}));
    let errand = wanted(&mut w);
    w.seconds(299);
    assert_eq!(w.status(), RunStatus::Running);
    w.seconds(2);
    assert_eq!(
        error(&w.run(&id)),
        "files.prepare: the files were not ready to be changed within 300s"
    );
    decide(&mut w, &errand).expect_err("nobody wants it any more");
    assert!(w.coordinator().transactions().is_empty(), "not even begun");
}

#[test]
fn a_conflict_is_tried_again_as_often_as_the_retry_says() {
    let more = "on_conflict: retry\n    retry: { max_attempts: 2, delay: 10s, backoff: fixed, jitter: none }";
    let (mut w, id) = started(&workflow(more), json!({}));
    let first = wanted(&mut w);
    end(&mut w, &first, &conflict()).expect("it is under way");
    assert!(!w.coordinator().has_files_wanted());
    w.seconds(11);
    let second = wanted(&mut w);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    decide(&mut w, &first).expect_err("that attempt is over");
    end(&mut w, &second, &conflict()).expect("it is under way");
    assert_eq!(error(&w.run(&id)), "files.conflict: somebody was here");
}

#[test]
fn a_cancelled_run_waits_for_what_is_decided_and_for_nothing_else() {
    let (mut w, _) = started(&workflow(""), json!({}));
    let errand = wanted(&mut w);
    w.cancel("too early to matter");
    assert_eq!(w.status(), RunStatus::Cancelled);
    decide(&mut w, &errand).expect_err("nobody wants it any more");

    let (mut w, _) = started(&workflow(""), json!({}));
    let errand = wanted(&mut w);
    decide(&mut w, &errand).expect("it is wanted");
    w.cancel("too late");
    assert_eq!(w.status(), RunStatus::Running);
    end(&mut w, &errand, &FilesEnd::Done).expect("it is decided");
    assert_eq!(w.status(), RunStatus::Cancelled);
}

#[test]
fn a_restart_asks_again_for_what_is_wanted_and_for_what_is_decided() {
    let (mut w, _) = started(&workflow(""), json!({}));
    let errand = wanted(&mut w);
    w.crash_and_reopen();
    assert_eq!(wanted(&mut w), errand);
    decide(&mut w, &errand).expect("it is wanted");
    w.crash_and_reopen();
    assert_eq!(wanted(&mut w), errand);
    let stage = w.coordinator().files_stage(&errand);
    assert!(matches!(stage, Some(FilesStage::Decided { .. })));
    end(&mut w, &errand, &FilesEnd::Done).expect("it is decided");
    assert_eq!(w.status(), RunStatus::Completed);
}

#[test]
fn a_computed_path_stays_within_what_is_allowed() {
    let (mut w, id) = started(&workflow(""), json!({ "where": "etc/passwd" }));
    assert!(!w.coordinator().has_files_wanted());
    assert_eq!(
        error(&w.run(&id)),
        "files.prepare: `etc/passwd` is none of the paths that `allow` names"
    );
}
