//! Whatever a run waits for is told, down to who must act: one case for each waker.

use std::fmt::Write as _;

use phisync::engine::RunId;
use phisync::protocol::Why;
use phisync_tests::{World, compiled};
use serde_json::json;

use super::{TEAM, play, started};

fn told(w: &mut World, run: &RunId) -> String {
    let now = w.now();
    let why = w.coordinator().why(run, None, now).expect("it is there");
    let mut text = String::new();
    tell(&mut text, &why, 0);
    text
}

fn tell(text: &mut String, why: &Why, depth: usize) {
    let indent = "  ".repeat(depth);
    let until = why.until.as_ref().map_or("", |_| " (with a deadline)");
    let line = format!(
        "{} is {}: {} [{}]{until}",
        why.subject, why.state, why.text, why.waker
    );
    writeln!(text, "{indent}{line}").expect("a string takes all");
    for below in why
        .because
        .iter()
        .filter(|below| !below.subject.starts_with("agent "))
    {
        tell(text, below, depth + 1);
    }
}

#[test]
fn a_paused_run_says_who_paused_it_and_what_goes_on_meanwhile() {
    let (mut w, run) = started(
        "
workflow: two
steps:
  - { id: a, task: do, assign: DC }
  - { id: b, task: do, assign: WEBC }
  - { id: ok, approval: { from: { roles: [lead] }, timeout: 1h } }
",
        json!({}),
    );
    w.take("dc", "a");
    let now = w.now();
    let paused = w
        .coordinator()
        .pause(&run, "dana", Some("the disk is nearly full"), now);
    paused.expect("it is open");
    insta::assert_snapshot!(told(&mut w, &run), @r"
    run r1 is paused: waits for a person to resume it; paused by dana: the disk is nearly full [resume]
      step a is running: waits for a result from dc, or the end of its lease [lease] (with a deadline)
        task a#1 is running: waits for a result from dc, or the end of its lease [lease] (with a deadline)
      step b is ready: waits for the run, which is paused, and then for WEBC to take it [resume]
        task b#1 is ready: waits for the run, which is paused, and then for WEBC to take it [resume]
      step ok is waiting: waits for a decision by lead; no clock runs while the run is paused [person]
    ");
}

#[test]
fn a_run_that_waits_its_turn_says_who_comes_first() {
    let (mut w, _) = started(
        "
workflow: deploy
concurrency: { key: all, max: 1, on_conflict: queue }
steps:
  - { id: a, task: do, assign: DC }
",
        json!({}),
    );
    w.start();
    let third = w.start();
    insta::assert_snapshot!(told(&mut w, &third), @r"
    run r3 is queued: waits for its turn: others with the same concurrency key come first [turn]
      run r1 is running: waits for its open steps [steps] (with a deadline)
        step a is ready: waits for DC to take it [agent] (with a deadline)
          task a#1 is ready: waits for DC to take it [agent] (with a deadline)
      1 more is queued: they wait longer for the same [none]
    ");
}

#[test]
fn a_call_says_what_its_child_waits_for() {
    let child = compiled(
        "
workflow: child
steps: [ { id: a, task: do, assign: VSSC } ]
",
    );
    let mut w = World::new(
        "
workflow: parent
steps:
  - { id: c, call: { workflow: child } }
  - { id: after, needs: c, task: do, assign: DC }
",
        TEAM,
    );
    let now = w.now();
    w.coordinator().register(&child, now).expect("it is sound");
    let run = w.start();
    let text = told(&mut w, &run);
    let child = w.coordinator().open_runs().find(|open| open.id != run);
    let child = child.expect("it has begun").id.to_string();
    insta::assert_snapshot!(text.replace(&child, "CHILD"), @r"
    run r1 is running: waits for its open steps [steps] (with a deadline)
      step c is running: waits for run CHILD to end [run]
        run CHILD is running: waits for its open steps [steps] (with a deadline)
          step a is ready: waits for VSSC to take it [agent] (with a deadline)
            task a#1 is ready: waits for VSSC to take it [agent] (with a deadline)
    ");
}

#[test]
fn waits_for_words_times_people_and_steps_are_told_apart() {
    let (mut w, run) = started(
        "
workflow: waits
timeout: 1d
steps:
  - { id: word, wait_for: { signal: go, timeout: 1h } }
  - { id: news, wait_for: { event: news.came, timeout: 1h } }
  - { id: rest, wait: 10m }
  - { id: ok, approval: { from: { users: [dana] }, timeout: 1h } }
  - { id: files, files: { root: api, allow: [\"src/**\"], changes: [{ path: src/a, op: write, content: x }], prepare_timeout: 5m }, compensate: none }
  - id: again
    loop: { max: 3, delay: 1m, until: 'false', on_exhausted: continue, do: [ { id: note, wait: 1s } ] }
  - { id: busy, task: do, assign: DC, retry: { backoff: fixed, delay: 1m, jitter: none, errors: [app] } }
  - { id: last, needs: [word, rest], task: do, assign: DC }
",
        json!({}),
    );
    let claim = w.take("dc", "busy");
    w.fail(&claim, "app.busy", "not now");
    w.seconds(2);
    insta::assert_snapshot!(told(&mut w, &run), @r"
    run r1 is running: waits for its open steps [steps] (with a deadline)
      step word is waiting: waits for signal `go` [event] (with a deadline)
      step news is waiting: waits for event `news.came` [event] (with a deadline)
      step rest is waiting: waits for its time to come [timer] (with a deadline)
      step ok is waiting: waits for a decision by dana [person] (with a deadline)
      step files is waiting: waits for its files to be staged [files] (with a deadline)
      step again is waiting: waits for its next iteration [timer] (with a deadline)
      step busy is waiting: waits for its back-off to end [timer] (with a deadline)
        task busy#2 is backoff: waits for its back-off to end; before: app.busy: not now [timer] (with a deadline)
    ");
}

#[test]
fn a_state_says_which_words_would_end_it_and_a_handled_need_what_handles_it() {
    let (mut w, run) = started(
        "
workflow: states
initial: one
states:
  one:
    activity: { task: do, assign: DC }
    transitions: [ { outcome: succeeded, to: two }, { outcome: failed, to: two }, { signal: stop, to: two } ]
  two: { final: completed }
",
        json!({}),
    );
    insta::assert_snapshot!(told(&mut w, &run), @r"
    run r1 is running: waits for its open steps [steps] (with a deadline)
      step one.1 is ready: waits for DC to take it [agent] (with a deadline)
        task one.1#1 is ready: waits for DC to take it [agent] (with a deadline)
      state one.1 is visited: waits for signal `stop` [event]
    ");
    let (mut w, run) = started(
        "
workflow: handled
steps:
  - { id: a, task: do, assign: DC, on_failure: { do: [ { id: mend, task: mend, assign: VSSC } ], then: continue } }
  - { id: b, needs: a, task: do, assign: DC }
",
        json!({}),
    );
    play(&mut w, |_| Err("app.no"));
    insta::assert_snapshot!(told(&mut w, &run), @r"
    run r1 is running: waits for its open steps [steps] (with a deadline)
      step mend is ready: waits for VSSC to take it [agent] (with a deadline)
        task mend#1 is ready: waits for VSSC to take it [agent] (with a deadline)
    ");
}
