//! Disks, processes and clocks that stand still or jump, under a whole server: nobody loses a task for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use phisync_agents::protocol::Task;
use phisync_state::Timestamp;
use phisync_state::env::{Kind, ManualClock, SimDisk};
use phisync_workflows::{SourceText, compile};
use serde_json::Map;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::Server;
use super::options;
use crate::coordinator::{Coordinator, Now, Polled, Refusal, RefusalClass, Target};
use crate::engine::{RawJson, RunId};
use crate::runtime::ServerFailure;

const TEAM: &str = "agents: { WEBC: { concurrency: 3 } }\n";

/// The lease is a minute, and the run has an hour.
const WORKFLOW: &str = "
workflow: page
timeout: 1h
steps:
  - { id: fetch, task: page.fetch, assign: WEBC, timeouts: { lease: 1m, run: 30m } }
";

const SECOND: Duration = Duration::from_secs(1);

/// A server on a disk and under a clock that a test holds in its hand.
struct Held {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    server: Server,
    runtime: Runtime,
    /// What the data directory is called; there is nothing in it.
    _place: TempDir,
}

impl Held {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let top = place.path().canonicalize().expect("it is there");
        let data = top.join("data");
        std::fs::create_dir(&data).expect("a directory");
        let disk = SimDisk::new();
        let team = top.join("agents.yaml");
        disk.put(&team, TEAM.as_bytes()).expect("an empty disk");
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(
            1_795_339_800_000_000,
        )));
        let options = options(&data);
        let of_server = Arc::<ManualClock>::clone(&clock);
        let server = Server::start_on(&options, Arc::new(disk.clone()), of_server);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build();
        Self {
            disk,
            clock,
            server: server.expect("an empty disk and a free port"),
            runtime: runtime.expect("a runtime"),
            _place: place,
        }
    }

    /// An operation's answer, which comes once it is durable.
    fn call<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&mut Coordinator, Now) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let answer = self.server.handle().call(operation);
        self.runtime.block_on(answer).map(|(value, _)| value)
    }

    /// Starts a run, and gives where its answer will be.
    fn start(&self, id: &'static str) -> tokio::task::JoinHandle<Result<(), Refusal>> {
        let compiled = compile(&SourceText::new("page.yaml".to_owned(), WORKFLOW), None);
        let machine = compiled.machines.into_iter().next().expect("a workflow");
        let target = Target::Compiled(Arc::new(machine));
        let handle = self.server.handle().clone();
        self.runtime.spawn(async move {
            let labels = BTreeMap::new();
            let started = handle
                .call(move |c, now| c.start(&target, Some(id), &Map::new(), &labels, "dana", now));
            started.await.map(drop)
        })
    }

    /// A run whose only task WEBC holds.
    fn held_task(&self, id: &'static str) -> Task {
        let started = self.runtime.block_on(self.start(id));
        started.expect("nobody panics").expect("it starts");
        let polled = self.call(|c, now| c.poll("webc", None, 1, Duration::ZERO, now));
        match polled.expect("the disk works") {
            Polled::Tasks(mut tasks) => tasks.pop().expect("the task is ready"),
            Polled::Waiting(_) => panic!("it was not to wait"),
        }
    }

    fn complete(&self, task: &Task) -> Result<(), Refusal> {
        let (id, token) = (task.id.clone(), task.token);
        self.call(move |c, now| {
            let output = RawJson::from_value(&serde_json::json!({}));
            c.complete("webc", &id, token, &output, None, now).map(drop)
        })
    }

    /// Lets seconds pass one by one; the thread that decides has done what was due at each.
    fn pass(&self, seconds: u32) {
        for _ in 0..seconds {
            self.clock.advance(SECOND);
            while self.look() {}
        }
    }

    /// Waits until the thread that decides has got to a job of ours, and says whether anything is due, which
    /// comes behind jobs. The job's answer may have to wait for the disk.
    fn look(&self) -> bool {
        let handle = self.server.handle().clone();
        let (looks, looked) = channel();
        let look = self.runtime.spawn(async move {
            let look = handle.call(move |c, now| {
                let (wall, mono) = c.next_due();
                let due = wall.is_some_and(|at| at <= now.wall);
                Ok(looks.send(due || mono.is_some_and(|at| at <= now.mono)))
            });
            look.await.is_ok()
        });
        let due = looked.recv().expect("the server lives");
        drop(look);
        due
    }

    fn is_open(&self, id: &str) -> bool {
        let run = RunId::parse(id).expect("a sound id");
        let progress = self.call(move |c, _| Ok(c.progress(&run)));
        progress
            .expect("the disk works")
            .is_some_and(|(_, closed)| !closed)
    }

    fn alarms(&self) -> Vec<String> {
        let alarms = self.call(|c, _| Ok(c.alarms())).expect("the disk works");
        alarms.into_iter().map(|alarm| alarm.says).collect()
    }
}

#[test]
fn a_disk_that_stands_still_longer_than_every_lease_takes_no_task_from_anybody() {
    let held = Held::new();
    let task = held.held_task("r1");
    held.disk.hold(Kind::Sync);
    let second = held.start("r2");
    assert!(held.disk.wait_for_held(), "the batch is on its way");
    held.pass(90);
    let refused = held.runtime.block_on(second).expect("nobody panics");
    let refused = refused.expect_err("the disk has not confirmed it");
    assert_eq!(refused.class(), RefusalClass::Unknown);
    held.disk.let_go();
    held.complete(&task).expect("its holder kept it");
    assert!(held.is_open("r2"), "what was unknown has happened");
    held.server.stop().expect("the store is in order");
}

#[test]
fn a_server_that_stood_still_longer_than_every_lease_offers_nothing_again() {
    let held = Held::new();
    let (waiting, working) = (held.held_task("r1"), held.held_task("r2"));
    // As SIGSTOP, between two looks at the clock: while it waits, and in the middle of a job.
    held.clock.advance(300 * SECOND);
    while held.look() {}
    let clock = Arc::clone(&held.clock);
    let stands = held.call(move |_, _| {
        clock.advance(300 * SECOND);
        Ok(())
    });
    stands.expect("the disk works");
    held.pass(3);
    held.complete(&waiting).expect("its holder kept it");
    held.complete(&working).expect("its holder kept it");

    let silent = held.held_task("r3");
    held.pass(65);
    let late = held.complete(&silent).expect_err("we could have heard him");
    assert_eq!(late.class(), RefusalClass::Conflict, "{late}");
    held.server.stop().expect("the store is in order");
}

#[test]
fn a_wall_clock_that_jumps_ends_nothing_before_the_time_is_certain_and_is_recorded() {
    let held = Held::new();
    let task = held.held_task("r1");
    for there in [86_400, -86_400] {
        held.clock.jump(there);
        held.pass(10);
        held.clock.jump(-there);
        held.pass(10);
    }
    assert!(held.is_open("r1"), "it has an hour");
    assert_eq!(held.alarms(), Vec::<String>::new());
    let beat = held.call(move |c, now| c.heartbeat("webc", &task.id, task.token, None, now));
    beat.expect("a lease knows no wall clock");

    held.clock.jump(86_400);
    held.pass(29);
    assert!(held.is_open("r1"), "nobody is sure yet");
    held.pass(4);
    assert!(!held.is_open("r1"), "its hour is over");
    let alarms = held.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0].contains("86400 s later"), "{alarms:?}");
    held.server.stop().expect("the store is in order");
}

#[test]
fn a_failed_sync_ends_the_server_and_nobody_hears_that_it_went_well() {
    use phisync_state::env::{Fault, Lasting};
    let held = Held::new();
    let task = held.held_task("r1");
    let fault = Fault::Error(std::io::ErrorKind::Other);
    held.disk.fail(Kind::Sync, 1, Lasting::Times(1), fault);
    let refused = held.complete(&task).expect_err("the sync has failed");
    assert_eq!(refused.class(), RefusalClass::Unknown);
    let mut failure = held.server.failure();
    let failed = held.runtime.block_on(failure.wait_for(Option::is_some));
    let failed = failed.expect("the server lives").clone();
    assert!(
        matches!(failed, Some(ServerFailure::Store(_))),
        "{failed:?}"
    );
    // The disk is well again, and still nothing is believed: reads wait for nothing that could come.
    let read = held.call(|c, _| Ok(c.alarms().len()));
    assert_eq!(read.map_err(|r| r.class()), Err(RefusalClass::Unknown));
    assert!(held.server.stop().is_err());
}
