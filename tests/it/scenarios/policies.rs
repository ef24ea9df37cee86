//! One log per policy: who gets a task, how much of it at once and how often, and when runs begin.
//!
//! What each policy means is asserted beside its rule in `assigning`, `dispatch`, `limits`, `bounds` and
//! `schedules`; here stands what a user reads of it afterwards, line by line.

use std::collections::BTreeMap;
use std::time::Duration;

use insta::assert_snapshot;
use phisync::coordinator::{Refusal, Target};
use phisync::engine::RawJson;
use phisync_tests::{BEGINNING, Claim, World, compiled};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

/// Two agents that can do the same, and a third for `plan`; nobody is ever suspected.
const TEAM: &str = "\
agents:
  DC: { capabilities: [write], concurrency: 4, silence: 30d }
  WEBC: { capabilities: [write], concurrency: 4, silence: 30d }
  VSSC: { capabilities: [plan], concurrency: 4, silence: 30d }
";

/// A run of `plan`, then of `text` for whom `assign` says, while both writers wait.
fn assigned(assign: &str) -> World {
    let workflow = format!(
        "
workflow: assigned
steps:
  - {{ id: plan, task: plan, assign: VSSC }}
  - {{ id: text, needs: plan, task: text, assign: {assign} }}
"
    );
    let mut w = World::new(&workflow, TEAM);
    w.start();
    let plan = w.take("vssc", "plan");
    for agent in ["dc", "webc"] {
        w.wait_for_task(agent, MINUTE);
    }
    w.complete(&plan, json!({}));
    w
}

/// Whoever was handed the only task completes it.
fn finish(w: &mut World, agent: &str) {
    let mut handed = w.handed();
    let task = handed.pop().and_then(|mut handed| handed.tasks.pop());
    let claim = Claim {
        agent: agent.to_owned(),
        task: task.expect("somebody got it"),
    };
    w.complete(&claim, json!({}));
}

#[test]
fn a_preferred_agent_gets_the_task_though_another_waited_longer() {
    let mut w = assigned("{ capabilities: [write], prefer: [WEBC] }");
    finish(&mut w, "webc");
    assert_snapshot!(w.log());
}

#[test]
fn an_excluded_agent_waits_in_vain() {
    let mut w = assigned("{ capabilities: [write], exclude: [DC] }");
    finish(&mut w, "webc");
    assert_snapshot!(w.log());
}

/// `draft` by DC, then `next` by whoever may.
fn after_draft(assign: &str) -> World {
    let workflow = format!(
        "
workflow: pair
steps:
  - {{ id: draft, task: text, assign: {{ capabilities: [write] }} }}
  - {{ id: next, needs: draft, task: text, assign: {assign} }}
"
    );
    let mut w = World::new(&workflow, TEAM);
    w.start();
    let draft = w.take("dc", "draft");
    w.complete(&draft, json!({}));
    w
}

#[test]
fn a_sticky_step_goes_to_whoever_did_the_one_before() {
    let mut w = after_draft("{ capabilities: [write], sticky: draft }");
    assert!(w.poll("webc", 1).is_empty());
    let next = w.take("dc", "next");
    w.complete(&next, json!({}));
    assert_snapshot!(w.log());
}

#[test]
fn a_second_pair_of_eyes_is_another_agent() {
    let mut w = after_draft("{ capabilities: [write], not_same_as: [draft] }");
    assert!(w.poll("dc", 1).is_empty());
    let next = w.take("webc", "next");
    w.complete(&next, json!({}));
    assert_snapshot!(w.log());
}

#[test]
fn an_urgent_task_is_taken_before_an_older_one() {
    let workflow = "
workflow: urgent
steps:
  - { id: usual, task: text, assign: DC }
  - { id: urgent, task: text, assign: { agent: DC, priority: high } }
";
    let mut w = World::new(workflow, TEAM);
    w.start();
    for step in ["urgent", "usual"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!({}));
    }
    assert_snapshot!(w.log());
}

const THREE: &str = "
workflow: three
steps:
  - { id: one, task: deploy, assign: DC }
  - { id: two, task: deploy, assign: DC }
  - { id: three, task: deploy, assign: DC }
";

/// `THREE` with these limits, done as fast as they allow by an agent that never stops asking.
fn limited(dc: &str, types: &str) -> World {
    let team = format!("agents: {{ DC: {{ silence: 30d{dc} }} }}\n{types}");
    let mut w = World::new(THREE, &team);
    w.start();
    for _ in 0..60 {
        for claim in w.poll("dc", 9) {
            w.seconds(1);
            w.complete(&claim, json!({}));
        }
        w.seconds(5);
    }
    w
}

#[test]
fn an_agent_with_concurrency_one_does_one_task_after_the_other() {
    let w = limited(", concurrency: 1", "");
    assert_snapshot!(w.log());
}

#[test]
fn an_agent_with_a_rate_pauses_between_its_tasks() {
    let w = limited(", concurrency: 9, rate: 2/m", "");
    assert_snapshot!(w.log());
}

#[test]
fn a_type_of_task_with_a_limit_is_done_one_at_a_time() {
    let w = limited(", concurrency: 9", "types: { deploy: { concurrency: 1 } }");
    assert_snapshot!(w.log());
}

#[test]
fn a_type_of_task_with_a_rate_is_spread_over_time() {
    let w = limited(", concurrency: 9", "types: { deploy: { rate: 2/m } }");
    assert_snapshot!(w.log());
}

/// A workflow of which one run at a time may be open.
fn exclusive(on_conflict: &str) -> String {
    format!(
        "
workflow: exclusive
concurrency: {{ key: everybody, max: 1, on_conflict: {on_conflict} }}
steps:
  - {{ id: ship, task: ship, assign: DC, compensate: {{ task: unship, assign: DC }} }}
  - {{ id: tell, needs: ship, task: tell, assign: DC }}
"
    )
}

#[test]
fn one_run_too_many_waits_in_the_queue() {
    let mut w = World::new(&exclusive("queue"), TEAM);
    w.start();
    w.start();
    w.seconds(3);
    for step in ["ship", "tell", "ship", "tell"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!({}));
    }
    assert_snapshot!(w.log());
}

#[test]
fn one_run_too_many_is_refused_and_leaves_nothing() {
    let text = exclusive("reject");
    let mut w = World::new(&text, TEAM);
    w.start();
    let now = w.now();
    let target = Target::Compiled(compiled(&text));
    let inputs = serde_json::Map::new();
    let labels = BTreeMap::new();
    let refused = w
        .coordinator()
        .start(&target, None, &inputs, &labels, "dana", now);
    let refused = refused.expect_err("one is open");
    assert!(matches!(refused, Refusal::NoSlot { .. }), "{refused:?}");
    let refused = refused.to_string();
    for step in ["ship", "tell"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!({}));
    }
    assert_snapshot!(format!("refused: {refused}\n\n{}", w.log()));
}

#[test]
fn one_run_too_many_replaces_the_open_one_which_is_undone_first() {
    let mut w = World::new(&exclusive("replace"), TEAM);
    w.start();
    let ship = w.take("dc", "ship");
    w.complete(&ship, json!({}));
    w.start();
    for step in ["ship.undo", "ship", "tell"] {
        let claim = w.take("dc", step);
        w.complete(&claim, json!({}));
    }
    assert_snapshot!(w.log());
}

/// Half an hour of a schedule whose runs take a quarter of an hour each: the log, then what the schedule
/// remembers.
fn overlapping(overlap: &str) -> String {
    let text = format!(
        "
workflow: report
schedule:
  - {{ id: often, every: 10m, overlap: {overlap} }}
steps:
  - {{ id: write, task: write, assign: DC }}
"
    );
    let mut w = World::new(&text, TEAM);
    let now = w.now();
    let registered = w.coordinator().register(&compiled(&text), now);
    registered.expect("it is sound");
    let mut held: Vec<(u64, Claim)> = Vec::new();
    for minute in 0..=31 {
        for claim in w.poll("dc", 9) {
            held.push((minute, claim));
        }
        for (since, claim) in std::mem::take(&mut held) {
            let heartbeat = w.heartbeat(&claim);
            match heartbeat {
                Ok(answer) if answer.cancel_requested => w.fail(&claim, "cancelled", "as asked"),
                Ok(_) if minute >= since + 15 => w.complete(&claim, json!({})),
                Ok(_) => held.push((since, claim)),
                Err(refusal) => assert!(held.is_empty(), "{refusal}"),
            }
        }
        for _ in 0..2 {
            w.seconds(30);
            for (_, claim) in &held {
                w.heartbeat(claim).expect("it holds it");
            }
        }
    }
    let now = w.now();
    let schedule = w.coordinator().schedule(("report", "often"), 0, now);
    let past = schedule.expect("it is there").past;
    let past: Vec<String> = past
        .iter()
        .map(|past| {
            let what = past.run.as_ref().or(past.skipped.as_ref());
            let instant = past.instant.as_deref().unwrap_or("by hand");
            format!("{instant} -> {}", what.map_or("", String::as_str))
        })
        .collect();
    format!("{}\n\n{}", w.log(), past.join("\n"))
}

#[test]
fn an_instant_is_skipped_while_a_run_of_its_schedule_is_open() {
    assert_snapshot!(overlapping("skip"));
}

#[test]
fn an_instant_waits_for_the_open_run_of_its_schedule() {
    assert_snapshot!(overlapping("queue"));
}

#[test]
fn an_instant_replaces_the_open_run_of_its_schedule() {
    assert_snapshot!(overlapping("replace"));
}

#[test]
fn instants_start_runs_beside_each_other() {
    assert_snapshot!(overlapping("allow"));
}

#[test]
fn an_event_starts_a_run_once_per_key_and_what_starts_none_says_why() {
    let text = "
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
    let mut w = World::new(text, TEAM);
    let now = w.now();
    let registered = w.coordinator().register(&compiled(text), now);
    registered.expect("it is sound");
    for (branch, sha) in [
        ("feature", "a"),
        ("main", "a"),
        ("main", "a"),
        ("main", "b"),
        ("main", "c"),
    ] {
        let data = RawJson::from_value(&json!({ "branch": branch, "sha": sha }));
        let now = w.now();
        let sent = w
            .coordinator()
            .send_event("push.done", &data, None, "dana", now);
        sent.expect("a sound name");
        w.seconds(1);
    }
    let stream = phisync_state::StreamName::new("trigger/react");
    let facts = w.store().read(&stream, 1).expect("readable");
    let facts: Vec<String> = facts
        .iter()
        .filter_map(|record| {
            let fact: Value = serde_json::from_str(&record.event).expect("JSON");
            let seconds = record.at.since(BEGINNING).as_secs();
            let (word, what) = match (fact.get("trigger_fired"), fact.get("trigger_skipped")) {
                (Some(fired), _) => ("fired", fired["run"].clone()),
                (_, Some(skipped)) => ("skipped", skipped["reason"].clone()),
                _ => return None,
            };
            Some(format!("{seconds}s {word}: {what}"))
        })
        .collect();
    assert_snapshot!(format!("{}\n\n{}", w.log(), facts.join("\n")));
}
