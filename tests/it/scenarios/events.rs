//! Steps that wait for events and signals, and steps that send them.

use phisync::coordinator::ListFilter;
use phisync::engine::{RawJson, RunStatus};
use phisync_tests::{World, compiled};
use serde_json::{Value, json};

use super::{TEAM, error, outputs, play, started};

fn send(w: &mut World, name: &str, data: Value) {
    let now = w.now();
    let data = RawJson::from_value(&data);
    w.coordinator()
        .send_event(name, &data, None, "dana", now)
        .expect("a sound name");
    w.seconds(0);
    let now = w.now();
    w.coordinator().tick(now).expect("the store works");
}

fn deployed(more: &str) -> String {
    format!(
        "
workflow: deploy
outputs: {{ got: '${{{{ steps.deployed.?output.orValue(\"nothing\") }}}}' }}
steps:
  - {{ id: build, task: a, assign: DC }}
  - id: deployed
    needs: build
    wait_for:
      event: deploy.finished
      match: {{ service: api }}
      when: event.data.status != 'running'
      timeout: 2h
{more}
"
    )
}

#[test]
fn an_event_that_matches_ends_the_wait_even_if_it_came_before() {
    let (mut w, run) = started(&deployed(""), json!({}));
    send(
        &mut w,
        "deploy.finished",
        json!({ "service": "web", "status": "ok" }),
    );
    send(
        &mut w,
        "deploy.finished",
        json!({ "service": "api", "status": "running" }),
    );
    send(
        &mut w,
        "deploy.finished",
        json!({ "service": "api", "status": "ok" }),
    );
    assert_eq!(w.run(&run).status, RunStatus::Running);
    play(&mut w, |_| Ok(json!(null)));
    let now = w.now();
    w.coordinator().tick(now).expect("the store works");
    assert_eq!(
        outputs(&w.run(&run)),
        json!({ "got": { "service": "api", "status": "ok" } })
    );
    insta::assert_snapshot!(w.log());
}

#[test]
fn an_event_from_before_the_wait_does_not_count_if_so_wanted() {
    let (mut w, run) = started(
        &deployed("      from_start: false\n      on_timeout: continue"),
        json!({}),
    );
    w.seconds(1);
    send(
        &mut w,
        "deploy.finished",
        json!({ "service": "api", "status": "ok" }),
    );
    w.seconds(1);
    play(&mut w, |_| Ok(json!(null)));
    w.seconds(7200);
    assert_eq!(outputs(&w.run(&run)), json!({ "got": "nothing" }));
}

#[test]
fn a_wait_that_nobody_ends_fails_in_time() {
    let (mut w, run) = started(&deployed(""), json!({}));
    play(&mut w, |_| Ok(json!(null)));
    w.crash_and_reopen();
    w.seconds(7200);
    assert_eq!(
        error(&w.run(&run)),
        "event.timeout: no event `deploy.finished` within 7200s"
    );
}

#[test]
fn several_events_are_a_list_and_each_is_taken_once() {
    let workflow = "
workflow: votes
outputs: { got: '${{ steps.votes.output }}' }
steps:
  - { id: votes, wait_for: { event: vote, count: 2, timeout: 1h } }
";
    let (mut w, run) = started(workflow, json!({}));
    send(&mut w, "vote", json!(1));
    w.crash_and_reopen();
    w.seconds(1);
    assert_eq!(w.run(&run).status, RunStatus::Running);
    send(&mut w, "vote", json!(2));
    assert_eq!(outputs(&w.run(&run)), json!({ "got": [1, 2] }));
}

#[test]
fn what_a_run_emits_is_heard_by_others_and_signals_reach_one() {
    let workflow = "
workflow: both
inputs: { to: string }
steps:
  - { id: tell, emit: { event: told, data: { n: 1 } } }
  - { id: hear, needs: tell, wait_for: { event: told, timeout: 1h } }
  - { id: call, needs: hear, emit: { event: go, data: 7, to: '${{ inputs.to }}' } }
  - { id: told, needs: call, wait_for: { signal: go, timeout: 1h } }
";
    let (mut w, run) = started(workflow, json!({ "to": "r1" }));
    let now = w.now();
    w.coordinator().tick(now).expect("the store works");
    let state = w.run(&run);
    assert_eq!(state.status, RunStatus::Completed);
    let slot = state.slot_named("told").expect("it is there");
    let heard = state.step(slot).output.as_ref().map(RawJson::parse);
    assert_eq!(heard, Some(json!(7)));
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_signal_that_reaches_nobody_is_told_by_the_run_that_sent_it() {
    let workflow = "
workflow: alone
inputs: { to: string }
steps:
  - { id: call, emit: { event: go, to: '${{ inputs.to }}' } }
";
    let (mut w, first) = started(workflow, json!({ "to": "r9" }));
    assert_eq!(w.run(&first).status, RunStatus::Completed);
    let late = w.start_with(json!({ "to": first.to_string() }));
    let own = w.start_with(json!({ "to": "No Run" }));
    w.crash_and_reopen();
    for run in [&first, &late, &own] {
        assert_eq!(w.run(run).status, RunStatus::Completed, "{run}");
    }
    insta::assert_snapshot!(w.log());
}

/// Two states that the same event, or the same signal, leads from one to the other.
fn switch_by(what: &str) -> String {
    let state = |id: &str, to: &str| {
        format!(
            "  {id}: {{ activity: {{ wait: 10h }}, max_visits: 9, transitions: [ {{ {what}, to: {to} }}, {{ outcome: succeeded, to: end }} ] }}\n"
        )
    };
    let (one, two) = (state("one", "two"), state("two", "one"));
    format!("workflow: switch\ninitial: one\nstates:\n{one}{two}  end: {{ final: completed }}\n")
}

#[test]
fn an_event_or_a_signal_takes_the_token_one_state_further_and_not_on_and_on() {
    // Bug: a state began to listen at the instant of what had led to it, and heard that again, until the
    // bound on visits failed the run. What the run has heard counts for no later wait.
    for what in ["event: tick", "signal: tick"] {
        let mut w = World::new(&switch_by(what), TEAM);
        let run = w.start();
        for visited in ["two", "one", "two"] {
            w.seconds(5);
            if what.starts_with("event") {
                send(&mut w, "tick", json!({}));
            } else {
                let now = w.now();
                let data = RawJson::from_value(&json!({}));
                let sent = w.coordinator().signal(&run, "tick", &data, "dana", now);
                sent.expect("an open run");
            }
            let state = w.run(&run);
            let walk = state.walk.expect("it walks");
            assert_eq!(state.status, RunStatus::Running, "{what}");
            assert!(
                w.log()
                    .lines()
                    .last()
                    .is_some_and(|line| line.contains(visited)),
                "{what}: {walk:?}\n{}",
                w.log()
            );
        }
    }
}

#[test]
fn a_wait_that_wants_a_new_event_is_not_ended_by_the_one_that_led_to_it() {
    // Bug: both waits took the same event, since it came at the instant at which the second began.
    let wait = "wait_for: { event: tick, timeout: 1h, from_start: false }";
    let workflow = format!(
        "workflow: twice\nsteps:\n  - {{ id: one, {wait} }}\n  - {{ id: two, needs: one, {wait} }}\n"
    );
    let mut w = World::new(&workflow, TEAM);
    let run = w.start();
    w.seconds(5);
    send(&mut w, "tick", json!({}));
    assert_eq!(w.run(&run).status, RunStatus::Running);
    send(&mut w, "tick", json!({}));
    assert_eq!(w.run(&run).status, RunStatus::Completed);
}

#[test]
fn the_event_that_starts_a_run_ends_none_of_its_waits() {
    // Bug: a run that waits for the next event of the kind that starts it took its own.
    let workflow = "
workflow: pairs
inputs: { k: string }
triggers:
  - { event: tick, match: { first: true }, input: { k: '${{ event.data.k }}' } }
steps:
  - { id: second, wait_for: { event: tick, match: { k: '${{ inputs.k }}' }, timeout: 1h } }
";
    let mut w = World::new(workflow, TEAM);
    let now = w.now();
    let registered = w.coordinator().register(&compiled(workflow), now);
    registered.expect("it is sound");
    send(&mut w, "tick", json!({ "first": true, "k": "a" }));
    let statuses = |w: &mut World| -> Vec<String> {
        let rows = w.coordinator().list(&ListFilter {
            limit: 9,
            ..ListFilter::default()
        });
        rows.into_iter().map(|row| row.summary.status).collect()
    };
    assert_eq!(statuses(&mut w), ["running"]);
    send(&mut w, "tick", json!({ "first": false, "k": "a" }));
    assert_eq!(statuses(&mut w), ["completed"]);
}

#[test]
fn what_comes_while_a_state_is_entered_is_for_that_state() {
    // Bug: an ear opened after `entry`, so that a signal during it was lost.
    let workflow = "
workflow: entry
initial: one
states:
  one:
    entry: [ { id: prepare, task: prepare, assign: DC } ]
    activity: { wait: 10h }
    transitions: [ { signal: stop, to: end }, { outcome: succeeded, to: end } ]
  end: { final: completed }
";
    let mut w = World::new(workflow, TEAM);
    let run = w.start();
    let prepare = w.take("dc", "prepare.1");
    w.seconds(2);
    let now = w.now();
    let data = RawJson::from_value(&json!({}));
    let sent = w.coordinator().signal(&run, "stop", &data, "dana", now);
    sent.expect("an open run");
    w.seconds(2);
    w.complete(&prepare, json!({}));
    assert_eq!(w.run(&run).status, RunStatus::Completed);
}
