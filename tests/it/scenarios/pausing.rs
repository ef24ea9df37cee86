//! A run that stands still: what goes on, what waits, and whose clocks do not run.

use std::time::Duration;

use phisync::engine::{RunId, RunStatus};
use phisync_tests::World;
use serde_json::json;

use super::TEAM;

const TWO: &str = "
workflow: build
steps:
  - { id: compile, task: compile, assign: VSSC, timeouts: { queue: 10m, run: 1h } }
  - { id: lint, task: lint, assign: DC, timeouts: { queue: 10m, run: 5m } }
  - { id: ship, needs: [compile, lint], task: ship, assign: WEBC, timeouts: { queue: 10m, run: 1h } }
";

fn pause(w: &mut World, run: &RunId) -> phisync::protocol::Standing {
    let now = w.now();
    let paused = w.coordinator().pause(run, "dana", Some("look first"), now);
    paused.expect("an open run")
}

fn resume(w: &mut World, run: &RunId) {
    let now = w.now();
    let standing = w.coordinator().resume_run(run, "dana", now);
    assert!(standing.expect("an open run").paused.is_none());
}

#[test]
fn a_paused_run_dispatches_nothing_records_what_is_held_and_says_when_it_is_quiet() {
    let mut w = World::new(TWO, TEAM);
    let run = w.start();
    let compile = w.take("vssc", "compile");
    let standing = pause(&mut w, &run);
    assert_eq!((standing.quiet, standing.held.len()), (false, 1));
    assert!(w.poll("dc", 1).is_empty(), "nothing new is given out");
    w.complete(&compile, json!({}));
    let standing = w.coordinator().standing(&run).expect("a run");
    assert!(standing.quiet && standing.held.is_empty());
    w.crash_and_reopen();
    assert!(w.poll("dc", 1).is_empty(), "a restart ends no pause");
    resume(&mut w, &run);
    let lint = w.take("dc", "lint");
    w.complete(&lint, json!({}));
    let ship = w.take("webc", "ship");
    w.complete(&ship, json!({}));
    assert_eq!(w.status(), RunStatus::Completed);
}

#[test]
fn a_poll_that_waits_is_served_when_the_pause_ends() {
    let mut w = World::new(TWO, TEAM);
    let run = w.start();
    pause(&mut w, &run);
    w.wait_for_task("dc", Duration::from_secs(60));
    assert!(w.handed().is_empty());
    resume(&mut w, &run);
    assert_eq!(w.handed().len(), 1);
}

#[test]
fn clocks_stand_still_in_a_pause_but_for_those_of_running_attempts() {
    let mut w = World::new(TWO, TEAM);
    let run = w.start();
    w.seconds(300);
    w.take("dc", "lint");
    pause(&mut w, &run);
    // A day: longer than the queue's ten minutes and the run's whole time.
    w.seconds(2 * 86_400);
    let state = w.run(&run);
    assert_eq!(state.status, RunStatus::Running, "{}", w.log());
    assert!(
        w.log().contains("agent.lost"),
        "the lease of the running attempt goes on:\n{}",
        w.log()
    );
    resume(&mut w, &run);
    // Five of its ten minutes were over before the pause.
    w.seconds(299);
    assert_eq!(w.run(&run).status, RunStatus::Running);
    assert!(!w.log().contains("timeout.queue"), "{}", w.log());
    w.seconds(2);
    assert!(w.log().contains("timeout.queue"), "{}", w.log());
}

#[test]
fn cancelling_a_paused_run_ends_the_pause_so_that_it_can_be_undone() {
    let mut w = World::new(
        "
workflow: build
steps:
  - { id: fetch, task: fetch, assign: WEBC, compensate: { task: clean, assign: WEBC } }
  - { id: compile, needs: fetch, task: compile, assign: VSSC }
",
        TEAM,
    );
    let run = w.start();
    let fetch = w.take("webc", "fetch");
    w.complete(&fetch, json!({}));
    pause(&mut w, &run);
    w.cancel("not needed");
    let undo = w.take("webc", "fetch.undo");
    w.complete(&undo, json!({}));
    assert_eq!(w.status(), RunStatus::Cancelled);
}
