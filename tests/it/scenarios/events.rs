//! Steps that wait for events and signals, and steps that send them.

use phisync::engine::{RawJson, RunStatus};
use phisync_tests::World;
use serde_json::{Value, json};

use super::{error, outputs, play, started};

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
