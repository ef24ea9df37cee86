//! Rewind: all runs and documents as they stood, as one record.

use std::path::Path;
use std::sync::Arc;

use phisync::coordinator::{Point, Refusal, RewindOrder, RewindRefusal};
use phisync::engine::{RunId, RunStatus};
use phisync::protocol::{RewindAnswer, RewoundRun};
use phisync_state::env::{Fault, SimDisk, Survive};
use phisync_state::{FileOptions, FileStore, Seq};
use phisync_tests::{Claim, World};
use serde_json::json;

use super::TEAM;

const RELEASE: &str = "
workflow: release
task_types:
  build: {}
  publish: { effects: irreversible }
steps:
  - { id: build, task: build, assign: DC, timeouts: { queue: 10m, run: 10m } }
  - { id: ship, needs: [build], task: publish, assign: WEBC, timeouts: { queue: 10m, run: 10m } }
";

fn id(text: &str) -> RunId {
    RunId::parse(text).expect("a sound id")
}

fn head(w: &World) -> Seq {
    w.store().head().seq
}

fn order(to: Seq, confirmed: bool) -> RewindOrder {
    RewindOrder {
        to: Point::Seq(to),
        by: "dana".to_owned(),
        reason: "a bad deployment".to_owned(),
        confirmed,
    }
}

fn rewind(w: &mut World, to: Seq) -> RewindAnswer {
    let now = w.now();
    let rewound = w.coordinator().rewind(&order(to, true), now);
    rewound.expect("everything goes back")
}

fn resume(w: &mut World, run: &str) {
    let now = w.now();
    let resumed = w.coordinator().resume_run(&id(run), "dana", now);
    resumed.expect("an open run");
}

fn row<'a>(answer: &'a RewindAnswer, run: &str) -> &'a RewoundRun {
    let mut rows = answer.runs.iter();
    rows.find(|row| row.run == run).expect("it goes back")
}

/// `r1` is built and shipped, `r2` waits to be built, `r3` began after the moment that is given.
fn story(w: &mut World) -> (Seq, Claim) {
    w.start();
    w.start();
    let build = w.take("dc", "build");
    w.seconds(1);
    let moment = head(w);
    w.seconds(1);
    w.complete(&build, json!({}));
    let ship = w.take("webc", "ship");
    w.complete(&ship, json!({}));
    w.seconds(1);
    w.start();
    (moment, build)
}

#[test]
fn runs_stand_as_they_stood_are_paused_and_go_on_when_somebody_resumes_them() {
    let mut w = World::new(RELEASE, TEAM);
    let (moment, build) = story(&mut w);
    let before = head(&w);
    let answer = rewind(&mut w, moment);
    assert!(answer.done && head(&w) > before);
    let words = |run| {
        let row = row(&answer, run);
        (row.now.as_str(), row.then.as_str(), row.taken_back)
    };
    assert_eq!(words("r1").0, "completed");
    assert_eq!(words("r1").1, "paused");
    assert_eq!(words("r2"), ("running", "paused", 0));
    assert_eq!(words("r3").1, "cancelled");
    assert_eq!(w.run(&id("r3")).status, RunStatus::Cancelled);
    assert!(w.poll("dc", 9).is_empty(), "nothing is given out");
    let late = w.try_complete(&build, json!({}));
    assert!(late.is_err(), "the token of before is stale");

    resume(&mut w, "r1");
    let again = w.take("dc", "build");
    assert!(again.task.token > build.task.token);
    w.complete(&again, json!({}));
    let ship = w.take("webc", "ship");
    w.complete(&ship, json!({}));
    assert_eq!(w.run(&id("r1")).status, RunStatus::Completed);
    insta::assert_snapshot!(w.log());
}

#[test]
fn a_dry_run_names_what_stays_done_and_changes_nothing() {
    let mut w = World::new(RELEASE, TEAM);
    let (moment, _) = story(&mut w);
    let before = head(&w);
    let now = w.now();
    let answer = w.coordinator().rewind(&order(moment, false), now);
    let answer = answer.expect("it can be said");
    assert!(!answer.done && head(&w) == before);
    let effects = &row(&answer, "r1").effects;
    let effects: Vec<_> = effects
        .iter()
        .map(|effect| (effect.step.as_str(), effect.irreversible))
        .collect();
    assert_eq!(effects, [("build", false), ("ship", true)]);
    assert_eq!(answer, {
        let mut done = rewind(&mut w, moment);
        done.done = false;
        done
    });
}

#[test]
fn a_restart_gives_what_the_rewind_left() {
    let mut w = World::new(RELEASE, TEAM);
    let (moment, _) = story(&mut w);
    rewind(&mut w, moment);
    let list = |w: &mut World| {
        let filter = phisync::coordinator::ListFilter {
            limit: 9,
            ..Default::default()
        };
        let rows = w.coordinator().list(&filter);
        let rows = rows.into_iter().map(|row| row.summary);
        rows.map(|run| (run.id, run.status, run.phase))
            .collect::<Vec<_>>()
    };
    let before = list(&mut w);
    w.crash_and_reopen();
    assert_eq!(list(&mut w), before);
    let now = w.now();
    let why = w.coordinator().why(&id("r1"), None, now).expect("a run");
    assert!(
        why.text.contains("dana rewound it to event"),
        "{}",
        why.text
    );
    assert!(w.poll("dc", 9).is_empty());
    resume(&mut w, "r1");
    assert_eq!(w.poll("dc", 9).len(), 1);
}

#[test]
fn clocks_stand_still_from_the_moment_on_that_everything_goes_back_to() {
    let mut w = World::new(RELEASE, TEAM);
    w.start();
    w.seconds(60);
    let moment = head(&w);
    // The queue's ten minutes pass, and the run fails.
    w.seconds(3600);
    assert_eq!(w.status(), RunStatus::Failed);
    rewind(&mut w, moment);
    w.seconds(86_400);
    assert_eq!(w.status(), RunStatus::Running, "{}", w.log());
    resume(&mut w, "r1");
    w.seconds(500);
    w.take("dc", "build");
}

#[test]
fn a_rewind_can_be_taken_back_by_another_to_the_moment_before_it() {
    let mut w = World::new(RELEASE, TEAM);
    let (moment, _) = story(&mut w);
    w.seconds(1);
    let shipped = head(&w);
    w.seconds(1);
    rewind(&mut w, moment);
    w.seconds(1);
    let answer = rewind(&mut w, shipped);
    assert_eq!(row(&answer, "r1").then, "completed");
    assert_eq!(row(&answer, "r3").then, "paused");
    assert_eq!(w.run(&id("r1")).status, RunStatus::Completed);
    w.crash_and_reopen();
    resume(&mut w, "r3");
    assert_eq!(w.poll("dc", 9).len(), 1, "{}", w.log());
}

#[test]
fn a_key_belongs_again_to_whom_it_belonged() {
    let one = RELEASE.replace(
        "workflow: release",
        "workflow: release\nconcurrency: { key: \"x\", max: 1, on_conflict: queue }",
    );
    let mut w = World::new(&one, TEAM);
    w.start();
    w.start();
    w.seconds(1);
    let moment = head(&w);
    w.seconds(1);
    let now = w.now();
    w.coordinator()
        .cancel(&id("r1"), "dana", None, now)
        .expect("an open run");
    assert_eq!(w.poll("dc", 9).len(), 1, "r2 has begun");
    rewind(&mut w, moment);
    w.crash_and_reopen();
    resume(&mut w, "r2");
    assert!(w.poll("dc", 9).is_empty(), "it waits for r1 again");
    resume(&mut w, "r1");
    let build = w.take("dc", "build");
    assert_eq!(build.task.run, "r1");
    w.complete(&build, json!({}));
    let ship = w.take("webc", "ship");
    w.complete(&ship, json!({}));
    assert_eq!(w.take("dc", "build").task.run, "r2");
}

#[test]
fn a_fork_of_a_rewound_run_goes_on_from_what_counts() {
    let mut w = World::new(RELEASE, TEAM);
    let (moment, _) = story(&mut w);
    rewind(&mut w, moment);
    let (now, at) = (w.now(), head(&w).0);
    let cut = phisync::coordinator::Cut::At(at);
    let forked = w
        .coordinator()
        .start_from(&id("r1"), &cut, Some("f1"), ("dana", true), now);
    forked.expect("a new run");
    let build = w.take("dc", "build");
    assert_eq!(build.task.run, "f1");
    w.complete(&build, json!({}));
    w.crash_and_reopen();
    assert_eq!(w.poll("webc", 9).len(), 1);
}

#[test]
fn a_moment_that_is_none_or_no_reason_is_refused() {
    let mut w = World::new(RELEASE, TEAM);
    w.start();
    let (now, head) = (w.now(), head(&w));
    let beyond = w.coordinator().rewind(&order(Seq(head.0 + 1), true), now);
    assert!(matches!(
        beyond,
        Err(Refusal::Rewind(RewindRefusal::NotYet { .. }))
    ));
    let before = w.coordinator().rewind(&order(Seq(0), true), now);
    assert!(matches!(
        before,
        Err(Refusal::Rewind(RewindRefusal::BeforeAll(_)))
    ));
    let mut silent = order(head, true);
    silent.reason = " ".to_owned();
    let silent = w.coordinator().rewind(&silent, now);
    assert!(matches!(
        silent,
        Err(Refusal::Rewind(RewindRefusal::NoReason))
    ));
    assert_eq!(w.store().head().seq, head);
}

/// Everything that has happened is durable from now on.
fn settle(w: &mut World) {
    let settled = w.coordinator().wait_until_durable();
    settled.expect("the disk works");
}

fn on_disk(disk: &SimDisk) -> World {
    let disk = Arc::new(disk.clone());
    let options = FileOptions {
        reserve: 0,
        ..FileOptions::default()
    };
    let (store, _) = FileStore::open(disk, Path::new("/data"), options).expect("it opens");
    World::on(Arc::new(store), RELEASE, TEAM)
}

/// How the three runs of the story stand.
fn standings(w: &World) -> Vec<(RunStatus, bool)> {
    let runs = ["r1", "r2", "r3"].map(|run| w.run(&id(run)));
    runs.iter()
        .map(|run| (run.status, run.paused.is_some()))
        .collect()
}

#[test]
fn a_power_cut_at_any_operation_of_a_rewind_leaves_the_old_or_the_new() {
    const OLD: [(RunStatus, bool); 3] = [
        (RunStatus::Completed, false),
        (RunStatus::Running, false),
        (RunStatus::Running, false),
    ];
    const NEW: [(RunStatus, bool); 3] = [
        (RunStatus::Running, true),
        (RunStatus::Running, true),
        (RunStatus::Cancelled, false),
    ];
    let mut ends = Vec::new();
    for operation in 1.. {
        let disk = SimDisk::new();
        let mut w = on_disk(&disk);
        let moment = {
            w.start();
            w.start();
            let build = w.take("dc", "build");
            w.seconds(1);
            settle(&mut w);
            let moment = head(&w);
            w.seconds(1);
            w.complete(&build, json!({}));
            let ship = w.take("webc", "ship");
            w.complete(&ship, json!({}));
            w.start();
            settle(&mut w);
            moment
        };
        assert_eq!(standings(&w), OLD);
        let before = disk.operations();
        disk.plan(before + operation, Fault::PowerOff { written: 100 });
        rewind(&mut w, moment);
        drop(w.store().close());
        let through = !disk.is_off();
        drop(w);
        for survive in [
            Survive::Nothing,
            Survive::Everything,
            Survive::Some { seed: 7 },
        ] {
            let w = on_disk(&disk.reboot(survive));
            let found = standings(&w);
            assert!(
                found == OLD || found == NEW,
                "{operation} {survive:?}: {found:?}"
            );
            ends.push(found == NEW);
        }
        if through {
            break;
        }
    }
    assert!(
        ends.contains(&true) && ends.contains(&false),
        "both were seen"
    );
}
