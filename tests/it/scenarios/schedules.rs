//! Runs that time starts: once per instant, also across crashes and by two orchestrators.

use std::time::Duration;

use phisync::coordinator::ListFilter;
use phisync::protocol::RunSummary;
use phisync::schedule::ScheduleInput;
use phisync_tests::{World, compiled};
use serde_json::json;

use super::TEAM;

const NIGHTLY: &str = "
workflow: report
inputs: { day: string }
schedule:
  - id: nightly
    every: 10m
    overlap: allow
    catchup: all
    input: { day: '${{ run.labels.scheduled_at }}' }
steps:
  - { id: write, task: write, assign: DC, input: { day: '${{ inputs.day }}' } }
";

fn register(w: &mut World, text: &str) {
    let now = w.now();
    let machine = compiled(text);
    w.coordinator()
        .register(&machine, now)
        .expect("it is sound");
}

fn runs(w: &mut World) -> Vec<RunSummary> {
    let filter = ListFilter {
        limit: 100,
        ..ListFilter::default()
    };
    let rows = w.coordinator().list(&filter);
    rows.into_iter().map(|row| row.summary).collect()
}

fn control(w: &mut World, input: &ScheduleInput) {
    let now = w.now();
    let done = w
        .coordinator()
        .control_schedule(("report", "nightly"), input, now);
    done.expect("the schedule is there");
}

#[test]
fn a_registered_schedule_starts_runs_at_its_instants_with_its_inputs() {
    let mut w = World::new(NIGHTLY, TEAM);
    register(&mut w, NIGHTLY);
    w.advance(Duration::from_secs(1199));
    let started = runs(&mut w);
    assert_eq!(started.len(), 1);
    assert_eq!(started[0].by, "schedule nightly");
    assert_eq!(started[0].labels["schedule"], "nightly");
    let task = w.take("dc", "write");
    let input: serde_json::Value = serde_json::from_str(task.task.input.get()).expect("JSON");
    assert_eq!(input, json!({ "day": "2026-11-22T09:40:00.000Z" }));
    w.advance(Duration::from_secs(1));
    assert_eq!(runs(&mut w).len(), 2);
}

#[test]
fn a_crash_neither_doubles_nor_loses_an_instant() {
    let mut w = World::new(NIGHTLY, TEAM);
    register(&mut w, NIGHTLY);
    for _ in 0..12 {
        w.advance(Duration::from_secs(300));
        w.crash_and_reopen();
        w.crash_and_reopen();
    }
    let mut instants: Vec<_> = runs(&mut w)
        .into_iter()
        .map(|run| run.labels["scheduled_at"].clone())
        .collect();
    instants.sort();
    let mut once = instants.clone();
    once.dedup();
    assert_eq!((instants.len(), once.len()), (6, 6), "{instants:?}");
}

#[test]
fn a_version_without_the_schedule_withdraws_it_and_starting_from_a_text_sets_none() {
    let mut w = World::new(NIGHTLY, TEAM);
    w.start_with(json!({ "day": "today" }));
    w.advance(Duration::from_secs(3600));
    assert_eq!(
        runs(&mut w).len(),
        1,
        "a start from a text is no registration"
    );
    register(&mut w, NIGHTLY);
    w.advance(Duration::from_secs(600));
    assert_eq!(runs(&mut w).len(), 2);
    register(
        &mut w,
        "
workflow: report
inputs: { day: string }
steps:
  - { id: write, task: write, assign: DC }
",
    );
    w.advance(Duration::from_secs(3600));
    assert_eq!(runs(&mut w).len(), 2);
}

#[test]
fn a_schedule_is_paused_set_off_by_hand_and_made_up_for() {
    let text = NIGHTLY.replace("overlap: allow", "overlap: queue");
    let text = text.replace("'${{ run.labels.scheduled_at }}'", "any");
    let mut w = World::new(&text, TEAM);
    register(&mut w, &text);
    let by = || "dana".to_owned();
    control(
        &mut w,
        &ScheduleInput::Pause {
            by: by(),
            reason: None,
        },
    );
    w.advance(Duration::from_secs(3600));
    assert!(runs(&mut w).is_empty());
    w.crash_and_reopen();
    control(&mut w, &ScheduleInput::Trigger { by: by() });
    assert_eq!(runs(&mut w).len(), 1);
    control(&mut w, &ScheduleInput::Resume { by: by() });
    let now = w.now().wall;
    let backfill = ScheduleInput::Backfill {
        from: phisync_state::Timestamp::from_micros(now.as_micros() - 1_800_000_000),
        until: now,
        by: by(),
    };
    control(&mut w, &backfill);
    // One after the other: each begins when the one before has closed.
    for open in 1..5 {
        assert_eq!(runs(&mut w).len(), open);
        let task = w.take("dc", "write");
        w.complete(&task, json!({}));
        w.advance(Duration::ZERO);
    }
    assert_eq!(runs(&mut w).len(), 5);
}
