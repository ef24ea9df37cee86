//! Runs that wait for others with the same concurrency key, and runs that events start.

use phisync::coordinator::{ListFilter, Refusal};
use phisync::engine::{RawJson, RunId, RunStatus};
use phisync_tests::{World, compiled};
use serde_json::{Value, json};

use super::TEAM;

fn deploy(on_conflict: &str) -> String {
    format!(
        "
workflow: deploy
inputs: {{ target: string }}
concurrency: {{ key: '${{{{ inputs.target }}}}', max: 1, on_conflict: {on_conflict} }}
steps:
  - {{ id: ship, task: ship, assign: WEBC, timeouts: {{ queue: 10m }} }}
"
    )
}

fn run(name: &str) -> RunId {
    RunId::parse(name).expect("a sound id")
}

#[test]
fn one_more_run_of_a_key_waits_its_turn_and_its_clocks_stand_still() {
    let mut w = World::new(&deploy("queue"), TEAM);
    w.start_with(json!({ "target": "prod" }));
    w.start_with(json!({ "target": "prod" }));
    w.start_with(json!({ "target": "test" }));
    let first = w.take("webc", "ship");
    assert_eq!(first.task.run, "r1");
    let other = w.take("webc", "ship");
    assert_eq!(other.task.run, "r3", "another key is not concerned");
    assert!(w.poll("webc", 1).is_empty());
    w.crash_and_reopen();
    for _ in 0..40 {
        w.seconds(30);
        w.heartbeat(&first).expect("it holds it");
    }
    w.complete(&first, json!({}));
    let second = w.take("webc", "ship");
    assert_eq!(second.task.run, "r2", "{}", w.log());
    w.complete(&second, json!({}));
    assert_eq!(w.run(&run("r2")).status, RunStatus::Completed);
}

#[test]
fn a_run_that_waits_can_be_cancelled_and_the_next_one_has_its_turn() {
    let mut w = World::new(&deploy("queue"), TEAM);
    for _ in 0..3 {
        w.start_with(json!({ "target": "prod" }));
    }
    let now = w.now();
    let cancelled = w.coordinator().cancel(&run("r2"), "dana", None, now);
    cancelled.expect("it is open");
    assert_eq!(w.run(&run("r2")).status, RunStatus::Cancelled);
    let first = w.take("webc", "ship");
    w.complete(&first, json!({}));
    assert_eq!(w.take("webc", "ship").task.run, "r3");
}

#[test]
fn a_run_that_is_cancelled_while_it_waits_its_turn_tidies_up_without_waiting() {
    // Bug: its clocks stood still until the run before it had ended.
    let workflow = "
workflow: deploy
concurrency: { key: all, max: 1, on_conflict: queue }
steps: [ { id: a, task: do, assign: DC } ]
finally: [ { id: tidy, wait: 1m } ]
";
    let mut w = World::new(workflow, TEAM);
    w.start();
    let second = w.start();
    w.cancel("not needed");
    w.seconds(61);
    assert_eq!(w.run(&second).status, RunStatus::Cancelled);
    let third = w.start();
    let claim = w.take("dc", "a");
    w.complete(&claim, json!({}));
    w.seconds(61);
    assert_eq!(
        w.run(&third).steps[0].status.as_str(),
        "ready",
        "its turn has come"
    );
}

#[test]
fn one_more_run_of_a_key_is_refused_where_the_workflow_says_so() {
    let text = deploy("reject");
    let mut w = World::new(&text, TEAM);
    w.start_with(json!({ "target": "prod" }));
    let now = w.now();
    let target = phisync::coordinator::Target::Compiled(compiled(&text));
    let Value::Object(inputs) = json!({ "target": "prod" }) else {
        unreachable!("an object was written")
    };
    let labels = std::collections::BTreeMap::new();
    let refused = w
        .coordinator()
        .start(&target, None, &inputs, &labels, "dana", now);
    assert!(
        matches!(refused, Err(Refusal::NoSlot { .. })),
        "{refused:?}"
    );
}

#[test]
fn the_newest_run_of_a_key_replaces_the_oldest_without_overlapping_it() {
    let mut w = World::new(&deploy("replace"), TEAM);
    w.start_with(json!({ "target": "prod" }));
    let first = w.take("webc", "ship");
    w.start_with(json!({ "target": "prod" }));
    assert!(w.poll("webc", 1).is_empty(), "the first has not ended yet");
    assert!(w.heartbeat(&first).expect("it holds it").cancel_requested);
    w.fail(&first, "cancelled", "stopped as asked");
    assert_eq!(w.run(&run("r1")).status, RunStatus::Cancelled);
    assert_eq!(w.take("webc", "ship").task.run, "r2");
}

const REACT: &str = "
workflow: react
inputs: { sha: string }
triggers:
  - event: push.done
    match: { branch: main }
    input: { sha: '${{ event.data.sha }}' }
    dedupe_key: '${{ event.data.sha }}'
    rate: { max: 2, per: 1h }
steps:
  - { id: build, task: build, assign: DC }
";

fn push(w: &mut World, key: Option<&str>, data: &Value) -> u64 {
    let now = w.now();
    let data = RawJson::from_value(data);
    let sent = w
        .coordinator()
        .send_event("push.done", &data, key, "dana", now);
    sent.expect("a sound name")
}

fn started(w: &mut World) -> usize {
    let filter = ListFilter {
        limit: 100,
        ..ListFilter::default()
    };
    w.coordinator().list(&filter).len()
}

#[test]
fn an_event_that_fits_starts_a_run_once_per_dedupe_key_within_the_rate() {
    let mut w = World::new(REACT, TEAM);
    let now = w.now();
    w.coordinator()
        .register(&compiled(REACT), now)
        .expect("it is sound");
    push(&mut w, None, &json!({ "branch": "feature", "sha": "a" }));
    assert_eq!(started(&mut w), 0);
    push(&mut w, None, &json!({ "branch": "main", "sha": "a" }));
    w.crash_and_reopen();
    push(&mut w, None, &json!({ "branch": "main", "sha": "a" }));
    assert_eq!(started(&mut w), 1, "the same key starts one run");
    push(&mut w, None, &json!({ "branch": "main", "sha": "b" }));
    push(&mut w, None, &json!({ "branch": "main", "sha": "c" }));
    assert_eq!(started(&mut w), 2, "two within an hour are enough");
    w.seconds(3601);
    push(&mut w, None, &json!({ "branch": "main", "sha": "d" }));
    assert_eq!(started(&mut w), 3);
    let stream = phisync_state::StreamName::new("trigger/react");
    let facts = w.store().read(&stream, 1).expect("readable");
    let skipped = facts.iter().filter(|r| r.event.contains("trigger_skipped"));
    assert_eq!(skipped.count(), 2, "each skip is recorded");
}

#[test]
fn a_dedupe_key_starts_another_run_when_a_month_has_passed() {
    let mut w = World::new(REACT, TEAM);
    let now = w.now();
    w.coordinator()
        .register(&compiled(REACT), now)
        .expect("it is sound");
    let sha = json!({ "branch": "main", "sha": "a" });
    push(&mut w, None, &sha);
    w.seconds(30 * 86_400 - 60);
    push(&mut w, None, &sha);
    assert_eq!(started(&mut w), 1, "not within a month");
    w.seconds(60);
    w.crash_and_reopen();
    push(&mut w, None, &sha);
    assert_eq!(started(&mut w), 2);
}

#[test]
fn an_event_sent_again_with_its_key_is_the_same_event() {
    let mut w = World::new(REACT, TEAM);
    let data = json!({ "branch": "main", "sha": "a" });
    let first = push(&mut w, Some("k"), &data);
    w.crash_and_reopen();
    assert_eq!(push(&mut w, Some("k"), &data), first);
    assert_eq!(push(&mut w, None, &data), first + 1);
}
