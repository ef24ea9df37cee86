//! Undos that are more than a task: steps, calls, events, files, and the run of a callee.

use phisync::coordinator::FilesErrand;
use phisync::engine::{
    Failure, FilesEnd, FilesStage, RawJson, Resolution, RunEvent, RunId, RunStatus, StepStatus,
    Undo,
};
use phisync_state::transaction::{Decision, Intent, TransactionId};
use phisync_tests::{World, compiled};
use serde_json::json;

use super::{TEAM, play};

/// A step that is undone by `compensate`, and one after it that fails.
fn failing_after(step: &str, compensate: &str) -> String {
    format!(
        "
workflow: parent
steps:
  - id: pay
    {step}
    compensate: {compensate}
  - {{ id: deliver, needs: pay, task: deliver, assign: DC }}
"
    )
}

fn fail_delivery(w: &mut World) {
    let deliver = w.take("dc", "deliver");
    w.fail(&deliver, "app.no", "nobody is at home");
}

fn resolve(w: &mut World, run: &RunId, step: &str, action: Resolution) {
    let now = w.now();
    let id = format!("{run}.{step}");
    w.coordinator()
        .resolve_incident(&id, action, "as told", "dana", now)
        .expect("it waits for somebody");
}

#[test]
fn a_sequence_undoes_a_step_in_its_own_order_and_sees_what_it_undoes() {
    let text = failing_after(
        "task: pay\n    assign: DC\n    idempotent: true\n    input: { sum: 7 }",
        "
      do:
        - { id: refund, task: refund, assign: DC, input: { paid: '${{ self.output.id }}', sum: '${{ self.input.sum }}', why: '${{ error.code }}' } }
        - { id: excuse, task: mail, assign: DC, input: { after: '${{ steps.refund.output.ref }}', step: '${{ error.?step.orValue(\"\") }}' } }",
    );
    let mut w = World::new(&text, TEAM);
    let run = w.start();
    let pay = w.take("dc", "pay");
    w.complete(&pay, json!({ "id": "p-1" }));
    fail_delivery(&mut w);
    let refund = w.take("dc", "refund");
    assert_eq!(
        refund.task.input.get(),
        r#"{"paid":"p-1","sum":7,"why":"app.no"}"#
    );
    assert!(w.poll("dc", 1).is_empty(), "the sequence waits");
    w.crash_and_reopen();
    w.complete(&refund, json!({ "ref": "r-1" }));
    let excuse = w.take("dc", "excuse");
    assert_eq!(
        excuse.task.input.get(),
        r#"{"after":"r-1","step":"deliver"}"#
    );
    w.complete(&excuse, json!(null));
    let run = w.run(&run);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Done));
    let pay = run.slot_named("pay").expect("it is there");
    assert_eq!(run.step(pay).status, StepStatus::Compensated);
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_sequence_that_fails_is_an_incident_and_begins_anew_when_a_person_says_so() {
    let text = failing_after(
        "task: pay\n    assign: DC",
        "{ do: [{ id: refund, task: refund, assign: DC }], retry: { max_attempts: 1 } }",
    );
    let mut w = World::new(&text, TEAM);
    let id = w.start();
    let pay = w.take("dc", "pay");
    w.complete(&pay, json!(null));
    fail_delivery(&mut w);
    let refund = w.take("dc", "refund");
    w.fail(&refund, "app.closed", "the bank is closed");
    let run = w.run(&id);
    assert_eq!(run.status, RunStatus::Running);
    assert_eq!(run.incidents.len(), 1, "{}", w.log());
    resolve(&mut w, &id, "pay", Resolution::Retry);
    let refund = w.take("dc", "refund~2");
    w.complete(&refund, json!(null));
    let run = w.run(&id);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Done));
}

#[test]
fn a_sequence_is_tried_again_as_often_as_the_undo_says() {
    let text = failing_after(
        "task: pay\n    assign: DC",
        "{ do: [{ id: refund, task: refund, assign: DC }], retry: { max_attempts: 2, errors: [app], delay: 10s, backoff: fixed, jitter: none } }",
    );
    let mut w = World::new(&text, TEAM);
    let id = w.start();
    let pay = w.take("dc", "pay");
    w.complete(&pay, json!(null));
    fail_delivery(&mut w);
    let refund = w.take("dc", "refund");
    w.fail(&refund, "app.closed", "the bank is closed");
    assert!(w.run(&id).incidents.is_empty());
    w.seconds(10);
    let refund = w.take("dc", "refund~2");
    w.complete(&refund, json!(null));
    assert_eq!(w.run(&id).undo, Undo::Done);
}

#[test]
fn an_event_undoes_a_step() {
    let text = failing_after(
        "task: pay\n    assign: DC\n    idempotent: true",
        "{ emit: { event: payment.void, data: { id: '${{ self.output.id }}' } } }",
    );
    let mut w = World::new(&text, TEAM);
    let id = w.start();
    let pay = w.take("dc", "pay");
    w.complete(&pay, json!({ "id": "p-1" }));
    fail_delivery(&mut w);
    let run = w.run(&id);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Done));
    let records = w.store().read(&id.stream(), 1).expect("readable");
    let sent = records.iter().find_map(|record| {
        match serde_json::from_str(&record.event).expect("a fact") {
            RunEvent::EventEmitted { event, data, .. } => Some((event, data)),
            _ => None,
        }
    });
    let data = RawJson::from_value(&json!({ "id": "p-1" }));
    assert_eq!(sent, Some(("payment.void".to_owned(), data)));
}

const CHILD: &str = "
workflow: child
version: \"1.0.0\"
inputs: { n: int }
outputs: { room: '${{ steps.book.output.room }}' }
steps:
  - { id: book, task: book, assign: DC, output: { type: object, required: [room], properties: { room: { type: int } } }, idempotent: true, compensate: { task: unbook, assign: DC, input: { room: '${{ self.output.room }}' } } }
  - { id: pay, needs: book, task: pay, assign: DC, compensate: { task: refund, assign: DC } }
";

/// A parent whose call has succeeded and whose next step has failed.
fn undone(parent: &str) -> (World, RunId) {
    let mut w = World::new(parent, TEAM);
    let now = w.now();
    let child = compiled(CHILD);
    w.coordinator().register(&child, now).expect("it registers");
    let run = w.start();
    for step in ["book", "pay"] {
        let task = w.take("dc", step);
        w.complete(&task, json!({ "room": 12 }));
    }
    fail_delivery(&mut w);
    (w, run)
}

const CALLER: &str = "
workflow: parent
steps:
  - { id: trip, call: child, input: { n: 1 } }
  - { id: deliver, needs: trip, task: deliver, assign: DC }
";

#[test]
fn the_run_of_a_callee_undoes_its_own_steps_backwards() {
    let (mut w, parent) = undone(CALLER);
    let refund = w.take("dc", "pay.undo");
    assert_eq!(w.run(&parent).status, RunStatus::Running);
    w.crash_and_reopen();
    w.complete(&refund, json!(null));
    let unbook = w.take("dc", "book.undo");
    assert_eq!(unbook.task.input.get(), r#"{"room":12}"#);
    w.complete(&unbook, json!(null));
    let run = w.run(&parent);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Done));
    let trip = run.slot_named("trip").expect("it is there");
    assert_eq!(run.step(trip).status, StepStatus::Compensated);
    let child = run.child_of(trip).expect("it was called").clone();
    let closed = w.coordinator().outcome(&child).expect("it is there");
    assert_eq!(closed.status, "completed", "what it was stays as it was");
}

#[test]
fn a_callee_that_cannot_be_undone_whole_is_an_incident_of_the_caller() {
    let (mut w, parent) = undone(CALLER);
    let refund = w.take("dc", "pay.undo");
    let child = RunId::parse(&refund.task.run).expect("a name");
    w.try_fail(&refund, "app.closed", "the bank is closed", Some(false))
        .expect("it is accepted");
    resolve(&mut w, &child, "pay", Resolution::Skip);
    let unbook = w.take("dc", "book.undo");
    w.complete(&unbook, json!(null));
    let run = w.run(&parent);
    assert_eq!(run.status, RunStatus::Running);
    assert_eq!(run.incidents.len(), 1);
    resolve(&mut w, &parent, "trip", Resolution::Skip);
    let run = w.run(&parent);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Partial));
}

#[test]
fn a_callee_stays_as_it_is_where_nothing_is_to_be_undone() {
    let text = CALLER.replace("input: { n: 1 }", "input: { n: 1 }, compensate: none");
    let (mut w, parent) = undone(&text);
    assert!(w.poll("dc", 1).is_empty());
    let run = w.run(&parent);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::None));
}

#[test]
fn another_workflow_undoes_a_step() {
    let text = failing_after(
        "task: pay\n    assign: DC",
        "{ call: child, input: { n: 2 } }",
    );
    let mut w = World::new(&text, TEAM);
    let now = w.now();
    let child = compiled(CHILD);
    w.coordinator().register(&child, now).expect("it registers");
    let id = w.start();
    let pay = w.take("dc", "pay");
    w.complete(&pay, json!(null));
    fail_delivery(&mut w);
    play(&mut w, |_| Ok(json!({ "room": 1 })));
    let run = w.run(&id);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Done));
}

fn wanted(w: &mut World) -> FilesErrand {
    let mut wanted = w.coordinator().take_files_wanted();
    assert_eq!(wanted.len(), 1);
    wanted.remove(0)
}

fn decide(w: &mut World, errand: &FilesErrand, id: &str) {
    let (now, id) = (w.now(), TransactionId::parse(id).expect("a name"));
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
        .expect("it is wanted");
    end(w, errand, &FilesEnd::Done);
}

fn end(w: &mut World, errand: &FilesErrand, end: &FilesEnd) {
    let now = w.now();
    w.coordinator()
        .end_files(errand, end, now)
        .expect("it is under way");
}

const FILES: &str = "files: { root: api, changes: [{ path: a, op: write, content: new, expect: { exists: true } }] }";

#[test]
fn files_are_put_back_unless_somebody_says_otherwise() {
    let silent = failing_after(FILES, "X").replace("    compensate: X\n", "");
    for text in [failing_after(FILES, "revert"), silent] {
        let mut w = World::new(&text, TEAM);
        let id = w.start();
        let errand = wanted(&mut w);
        decide(&mut w, &errand, "t-1");
        fail_delivery(&mut w);
        let back = wanted(&mut w);
        assert_eq!(back.step, "pay-undo");
        let Some(FilesStage::Wanted(order)) = w.coordinator().files_stage(&back) else {
            panic!("it is wanted");
        };
        assert_eq!(order.reverts.as_deref(), Some("t-1"));
        assert!(order.changes.is_empty());
        assert_eq!(order.roots["root"], "api");
        decide(&mut w, &back, "t-2");
        let run = w.run(&id);
        assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Done));
    }
    let mut w = World::new(&failing_after(FILES, "none"), TEAM);
    let id = w.start();
    let errand = wanted(&mut w);
    decide(&mut w, &errand, "t-1");
    fail_delivery(&mut w);
    assert_eq!(w.run(&id).undo, Undo::None);
}

#[test]
fn files_that_changed_since_are_an_incident_and_stay() {
    let mut w = World::new(&failing_after(FILES, "revert"), TEAM);
    let id = w.start();
    let errand = wanted(&mut w);
    decide(&mut w, &errand, "t-1");
    fail_delivery(&mut w);
    let back = wanted(&mut w);
    let conflict = Failure::new("files.conflict", "somebody was here");
    end(&mut w, &back, &FilesEnd::Failed(conflict));
    let run = w.run(&id);
    assert_eq!(run.incidents.len(), 1, "{}", w.log());
    assert!(!w.coordinator().has_files_wanted());
}
