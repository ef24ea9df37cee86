//! Runs that other runs call.

use phisync::engine::{Resolution, RunId, RunStatus, Undo};
use phisync_tests::{World, compiled};
use serde_json::{Value, json};

use super::{TEAM, error, outputs, play};

const CHILD: &str = "
workflow: child
version: \"1.2.0\"
inputs: { n: int }
outputs: { twice: '${{ inputs.n * 2 }}' }
steps:
  - { id: work, task: a, assign: DC, compensate: { task: undo, assign: DC } }
  - { id: more, needs: work, task: a, assign: DC }
";

fn parent(call: &str) -> String {
    format!(
        "
workflow: parent
outputs: {{ got: '${{{{ steps.ask.output }}}}' }}
steps:
  - id: ask
    call: {call}
    input: {{ n: 21 }}
"
    )
}

/// A run of the parent, its child deployed.
fn called(call: &str) -> (World, RunId) {
    let mut w = World::new(&parent(call), TEAM);
    let now = w.now();
    let child = compiled(CHILD);
    w.coordinator().register(&child, now).expect("it registers");
    let run = w.start();
    (w, run)
}

#[test]
fn a_call_waits_for_its_child_and_takes_its_outputs() {
    let (mut w, run) = called("{ workflow: child, version: '^1' }");
    w.crash_and_reopen();
    play(&mut w, |_| Ok(json!(null)));
    assert_eq!(outputs(&w.run(&run)), json!({ "got": { "twice": 42 } }));
    let log = w.log();
    assert!(
        log.contains("step ask                 running -> completed"),
        "{log}"
    );
}

#[test]
fn a_child_that_fails_fails_the_call_with_what_it_said() {
    let (mut w, run) = called("{ workflow: child }");
    play(&mut w, |claim| match claim.what() {
        "more" => Err("app.no"),
        _ => Ok(json!(null)),
    });
    let run = w.run(&run);
    assert_eq!(run.status, RunStatus::Failed);
    let error = run.error.expect("it failed");
    assert_eq!(error.code, "call.failed");
    let data: Value = error.data.expect("it says more").parse();
    assert_eq!(data["code"], json!("app.no"));
}

#[test]
fn a_workflow_that_is_not_there_or_takes_other_inputs_fails_the_call() {
    let mut w = World::new(&parent("{ workflow: nobody }"), TEAM);
    let run = w.start();
    assert_eq!(
        error(&w.run(&run)),
        "call.failed: `nobody` cannot be called: no workflow `nobody`"
    );
    let (w, run) = called("{ workflow: child, version: '^2' }");
    assert_eq!(
        error(&w.run(&run)),
        "call.failed: `child` cannot be called: no workflow `child ^2`"
    );
}

#[test]
fn a_parent_that_is_cancelled_waits_for_its_child() {
    let (mut w, run) = called("{ workflow: child }");
    let held = w.take("dc", "work");
    w.cancel("enough");
    assert_eq!(w.run(&run).status, RunStatus::Running);
    assert!(w.heartbeat(&held).expect("it holds it").cancel_requested);
    w.complete(&held, json!(null));
    let undo = w.take("dc", "work.undo");
    assert_eq!(w.run(&run).status, RunStatus::Running);
    w.complete(&undo, json!(null));
    assert_eq!(w.run(&run).status, RunStatus::Cancelled);
}

#[test]
fn a_child_may_go_on_alone() {
    let (mut w, run) = called("{ workflow: child, on_parent_cancel: abandon }");
    let held = w.take("dc", "work");
    w.cancel("enough");
    assert_eq!(w.run(&run).status, RunStatus::Cancelled);
    assert!(!w.heartbeat(&held).expect("it holds it").cancel_requested);

    let (mut w, run) = called("{ workflow: child, wait: false }");
    assert_eq!(w.run(&run).status, RunStatus::Completed);
    let id = outputs(&w.run(&run))["got"]["run_id"].clone();
    let child = RunId::parse(id.as_str().expect("a name")).expect("a sound one");
    play(&mut w, |_| Ok(json!(null)));
    let outcome = w.coordinator().outcome(&child).expect("it is there");
    assert_eq!(outcome.status, "completed");
}

#[test]
fn a_child_that_somebody_else_cancels_fails_the_call() {
    let (mut w, run) = called("{ workflow: child }");
    let id = w.run(&run);
    let slot = id.slot_named("ask").expect("it is there");
    let child = id.child_of(slot).expect("it has begun").clone();
    let now = w.now();
    w.coordinator()
        .cancel(&child, "robin", None, now)
        .expect("it is open");
    assert_eq!(
        error(&w.run(&run)),
        format!("call.failed: run `{child}` was cancelled")
    );
}

#[test]
fn a_call_stays_with_the_version_that_was_there_when_its_caller_was_registered() {
    let text = parent("{ workflow: child, version: '^1' }");
    let mut w = World::new(&text, TEAM);
    let now = w.now();
    let (first, caller) = (compiled(CHILD), compiled(&text));
    for machine in [&first, &caller] {
        w.coordinator()
            .register(machine, now)
            .expect("it registers");
    }
    let later = compiled(
        &CHILD
            .replace("1.2.0", "1.3.0")
            .replace("inputs.n * 2", "inputs.n * 3"),
    );
    w.coordinator().register(&later, now).expect("it registers");
    // The same caller again changes nothing: the same definition calls the same for ever.
    w.coordinator()
        .register(&caller, now)
        .expect("it registers");
    let calls = w.coordinator().calls_of(&caller);
    assert_eq!(calls["child ^1"], "1.2.0");
    w.crash_and_reopen();
    let run = w.start();
    play(&mut w, |_| Ok(json!(null)));
    assert_eq!(outputs(&w.run(&run)), json!({ "got": { "twice": 42 } }));
}

#[test]
fn a_call_that_was_undone_in_part_is_undone_for_the_rest_when_a_person_says_again() {
    // Bug: the second attempt began from what the call had done, and undid everything once more.
    let child = "
workflow: child
version: \"1.2.0\"
inputs: { n: int }
steps:
  - { id: work, task: a, assign: DC, compensate: { task: undo, assign: DC, retry: none } }
  - { id: more, needs: work, task: a, assign: DC, compensate: { task: undo, assign: DC, retry: none } }
";
    let text = format!(
        "{}  - {{ id: last, needs: ask, task: a, assign: DC }}\n",
        parent("{ workflow: child }")
    );
    let mut w = World::new(&text, TEAM);
    let now = w.now();
    let registered = w.coordinator().register(&compiled(child), now);
    registered.expect("it registers");
    w.start();
    let mut undone = Vec::new();
    play(&mut w, |claim| {
        if claim.what().ends_with(".undo") {
            undone.push(claim.what().to_owned());
        }
        match claim.what() {
            "last" | "work.undo" => Err("app.no"),
            _ => Ok(json!({})),
        }
    });
    assert_eq!(undone, ["more.undo", "work.undo"]);
    let now = w.now();
    let incident = w.coordinator().incidents()[0].id.clone();
    w.coordinator()
        .resolve_incident(&incident, Resolution::Skip, "later", "dana", now)
        .expect("it is open");
    let of_parent = w.coordinator().incidents();
    assert_eq!(of_parent.len(), 1);
    assert_eq!(of_parent[0].id, "r1.ask");
    w.crash_and_reopen();
    w.resolve("ask", Resolution::Retry, "now it can be")
        .expect("it is open");
    let mut again = Vec::new();
    play(&mut w, |claim| {
        again.push(claim.what().to_owned());
        Ok(json!({}))
    });
    assert_eq!(again, ["work.undo"]);
    let run = RunId::parse("r1").expect("a sound id");
    let run = w.run(&run);
    assert_eq!((run.status, run.undo), (RunStatus::Failed, Undo::Done));
    insta::assert_snapshot!(w.log());
}
