//! Who gets what: waiting polls, capabilities, priorities; and that it settles in one batch.

use std::sync::Arc;
use std::time::Duration;

use phisync_tests::{RivalStore, World};
use serde_json::json;

use super::TEAM;

const CHAIN: &str = "
workflow: chain
steps:
  - { id: first, task: text, assign: DC }
  - { id: second, needs: first, task: text, assign: WEBC }
";

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_waiting_poll_gets_the_next_task_in_the_batch_that_made_it_ready() {
    let store = Arc::new(RivalStore::new(0, 0));
    let mut w = World::on(store.clone(), CHAIN, TEAM);
    w.start();
    let first = w.take("dc", "first");
    w.wait_for_task("webc", MINUTE);
    let appends = store.appends();
    w.complete(&first, json!({}));
    assert_eq!(store.appends(), appends + 1, "all of it in one append");
    let handed = w.handed();
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].tasks[0].step, "second");
    insta::assert_snapshot!(w.log(), @r"
    2      0.000  run                      new -> running             started by dana
    3      0.000  task first#1             new -> ready               it needs nothing
    3      0.000  step first               pending -> ready
    4      0.000  agent dc                 unseen -> alive            first heard of
    5      0.000  task first#1             ready -> running           taken by dc
    5      0.000  step first               ready -> running
    6      0.000  agent webc               unseen -> alive            first heard of
    7      0.000  task first#1             running -> completed       result of dc accepted
    7      0.000  step first               running -> completed
    8      0.000  task second#1            new -> ready               its needs are met
    8      0.000  step second              pending -> ready
    9      0.000  task second#1            ready -> running           taken by webc
    9      0.000  step second              ready -> running
    ");
}

#[test]
fn a_poll_that_waited_in_vain_ends_empty_and_gets_nothing_later() {
    let mut w = World::new(CHAIN, TEAM);
    w.start();
    let first = w.take("dc", "first");
    let poll = w.wait_for_task("webc", MINUTE / 2);
    w.seconds(30);
    let handed = w.handed();
    assert_eq!(handed.len(), 1);
    assert!(handed[0].poll == poll && handed[0].tasks.is_empty());
    w.complete(&first, json!({}));
    assert!(w.handed().is_empty());
    w.take("webc", "second");
}

#[test]
fn a_poll_whose_caller_left_gets_nothing() {
    let mut w = World::new(CHAIN, TEAM);
    w.start();
    let first = w.take("dc", "first");
    let poll = w.wait_for_task("webc", MINUTE);
    assert!(w.coordinator().forget_poll(poll));
    w.complete(&first, json!({}));
    assert!(w.handed().is_empty());
    assert!(!w.coordinator().forget_poll(poll), "it is forgotten once");
}

#[test]
fn the_next_task_comes_with_the_answer_to_a_result() {
    let mut w = World::new(
        "
workflow: chain
steps:
  - { id: first, task: text, assign: DC }
  - { id: second, needs: first, task: text, assign: DC }
",
        TEAM,
    );
    w.start();
    let first = w.take("dc", "first");
    let before = w.store().head().seq.0;
    let next = w.complete_and_poll(&first, json!({}));
    assert_eq!(next[0].what(), "second");
    assert_eq!(
        w.store().head().seq.0,
        before + 3,
        "completed, ready, taken"
    );
}

#[test]
fn the_least_loaded_of_the_waiting_agents_gets_a_task() {
    let mut w = World::new(
        "
workflow: load
steps:
  - { id: plan, task: plan, assign: VSSC }
  - { id: own, task: text, assign: DC }
  - { id: text, needs: plan, task: text, assign: { capabilities: [write] } }
",
        TEAM,
    );
    w.start();
    w.take("dc", "own");
    let plan = w.take("vssc", "plan");
    w.wait_for_task("dc", MINUTE);
    let webc = w.wait_for_task("webc", MINUTE);
    w.complete(&plan, json!({}));
    let handed = w.handed();
    assert_eq!(handed.len(), 1);
    assert_eq!(handed[0].poll, webc);
}

#[test]
fn preferred_agents_come_first_and_excluded_ones_never() {
    for (assign, expected) in [
        ("{ capabilities: [write], prefer: [WEBC] }", "webc"),
        ("{ capabilities: [write], exclude: [DC] }", "webc"),
        ("{ capabilities: [write], exclude: [WEBC] }", "dc"),
        ("{ capabilities: [write] }", "dc"),
        ("{ capabilities: [write, web] }", "webc"),
    ] {
        let workflow = format!(
            "
workflow: choice
steps:
  - {{ id: plan, task: plan, assign: VSSC }}
  - {{ id: text, needs: plan, task: text, assign: {assign} }}
"
        );
        let mut w = World::new(&workflow, TEAM);
        w.start();
        let plan = w.take("vssc", "plan");
        let polls = ["dc", "webc"].map(|agent| (agent, w.wait_for_task(agent, MINUTE)));
        w.complete(&plan, json!({}));
        let handed = w.handed();
        let of = |poll| polls.iter().find(|(_, own)| *own == poll);
        let got: Vec<_> = handed.iter().filter_map(|h| of(h.poll)).collect();
        assert_eq!(got.len(), 1, "{assign}");
        assert_eq!(got[0].0, expected, "{assign}");
    }
}

#[test]
fn urgent_tasks_come_first_and_then_the_older_run() {
    let mut w = World::new(
        "
workflow: urgent
steps:
  - { id: usual, task: text, assign: DC }
  - { id: urgent, task: text, assign: { agent: DC, priority: high } }
",
        "agents: { DC: { concurrency: 4, silence: 30d } }",
    );
    w.start();
    w.seconds(1);
    w.start();
    let order: Vec<_> = w.poll("dc", 9).into_iter().map(|c| c.task.id).collect();
    assert_eq!(order, ["r1.urgent", "r2.urgent", "r1.usual", "r2.usual"]);
}

#[test]
fn an_agent_holds_no_more_than_it_may() {
    let mut w = World::new(
        "
workflow: many
steps:
  - { id: a, task: text, assign: VSSC }
  - { id: b, task: text, assign: VSSC }
  - { id: c, task: text, assign: VSSC }
",
        TEAM,
    );
    w.start();
    let held = w.poll("vssc", 9);
    assert_eq!(held.len(), 2);
    w.wait_for_task("vssc", MINUTE);
    assert!(w.handed().is_empty());
    w.complete(&held[0], json!({}));
    let handed = w.handed();
    assert_eq!(handed[0].tasks[0].step, "c", "room for the third");
}

#[test]
fn why_says_what_each_agent_lacks() {
    let mut w = World::new(
        "
workflow: hard
steps:
  - { id: text, task: text, assign: { capabilities: [write, web], exclude: [WEBC] } }
",
        TEAM,
    );
    let run = w.start();
    let now = w.now();
    let why = w.coordinator().why(&run, Some("text"), now);
    let why = why.expect("it waits");
    let mut lines = vec![format!("{}: {} ({})", why.subject, why.text, why.state)];
    for task in &why.because {
        lines.push(format!("{}: {}", task.subject, task.text));
        let agents = task.because.iter();
        lines.extend(agents.map(|agent| format!("{}: {}", agent.subject, agent.text)));
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    step text: waits for an agent that can web, write to take it (ready)
    task text#1: waits for an agent that can web, write to take it
    agent dc: lacks the capability `web`
    agent vssc: lacks the capability `web`, lacks the capability `write`
    agent webc: is excluded
    ");
}

#[test]
fn why_names_who_could_take_a_task_and_does_not_ask() {
    let mut w = World::new(
        "
workflow: easy
steps:
  - { id: text, task: text, assign: { capabilities: [write] } }
",
        TEAM,
    );
    let narrow = ["web".to_owned()];
    let now = w.now();
    let minute = std::time::Duration::from_secs(60);
    let polled = w.coordinator().poll("webc", Some(&narrow), 1, minute, now);
    polled.expect("it is declared");
    w.poll("dc", 1);
    w.advance(std::time::Duration::from_secs(7));
    let run = w.start();
    let now = w.now();
    let why = w.coordinator().why(&run, Some("text"), now);
    let task = why.expect("it waits").because.remove(0);
    let agents = task.because.iter();
    let lines: Vec<_> = agents
        .map(|agent| format!("{}: {}", agent.subject, agent.text))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    agent dc: could take it, but is not asking: no word of it for 7s
    agent webc: could take it, but asks for other capabilities only
    agent vssc: lacks the capability `write`
    ");
}

#[test]
fn what_closed_before_it_was_durable_can_be_shown_at_once() {
    // Bug: a closed run was read from the store, which shows durable records only: a run that
    // closed in the batch that started it did not exist yet.
    let store = Arc::new(phisync_state::MemoryStore::new());
    let mut w = World::on(
        store.clone(),
        "
workflow: gate
steps:
  - { id: closed, fail: { code: app.closed, message: closed } }
",
        TEAM,
    );
    store.hold();
    let run = w.start();
    let outcome = w.coordinator().outcome(&run).expect("it is there");
    assert_eq!(outcome.status, "failed");
    store.release();
    let outcome = w.coordinator().outcome(&run).expect("it is there");
    assert_eq!(outcome.status, "failed");
}
