//! P3: the coordinator and a file store in this process, without HTTP.
//!
//! One thread decides, as in the server; the next input of a run is given only when the last one is
//! durable. With [`RUNS`] runs in flight the journal always has something to write.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use phisync_agents::protocol::Task;
use phisync_agents::registry::Registry;
use phisync_state::env::{Clock as _, Entropy as _, OsClock, OsDisk, OsEntropy, SeededEntropy};
use phisync_state::{FileOptions, FileStore, Store, Unknown};
use phisync_workflows::{Machine, SourceText, compile};
use serde_json::Map;

use super::figure::{Counted, Measured, count_commits};
use super::process::Usage;
use super::{
    BenchError, PATIENCE, WORKFLOW, WORKFLOW_NAME, agent_name, journal_dir, team, warm_up,
};
use crate::coordinator::{Coordinator, Now, Polled, Target};
use crate::engine::RawJson;

/// Runs in flight.
const RUNS: u32 = 1024;

/// They share these agents evenly.
const AGENTS: u32 = 8;

/// As often as in the server.
const VIEW_PERIOD: Duration = Duration::from_secs(1);

/// What one of the runs in flight does next.
enum Next {
    Start {
        agent: String,
    },
    Complete {
        agent: String,
        task: String,
        token: u64,
    },
}

/// The runs, by way of what each does next.
struct Floor {
    coordinator: Coordinator,
    store: Arc<dyn Store>,
    clock: OsClock,
    views_due: Duration,
    durable: Sender<Result<Vec<Next>, Unknown>>,
    next: Receiver<Result<Vec<Next>, Unknown>>,
    started: u64,
    completed: u64,
    /// How many runs are to be started; none: as many as can be.
    wanted: Option<u64>,
}

/// Completes so many runs in the store in `data`, none of them left open, and closes it; how many
/// records it has then.
pub(super) fn fill(data: &Path, runs: u64) -> Result<u64, BenchError> {
    let (mut floor, store) = open(data)?;
    floor.wanted = Some(runs);
    floor.begin()?;
    while floor.completed < runs {
        floor.work_until(Duration::MAX)?;
    }
    drop(floor);
    store.close()?;
    Ok(store.head().seq.0)
}

/// Starts so many runs that nobody works on, and closes the store.
pub(super) fn leave_open(data: &Path, runs: u64) -> Result<(), BenchError> {
    let (mut floor, store) = open(data)?;
    let machine = three_steps().expect("the workflow of the bench is valid");
    floor.coordinator.register(&machine, now(&floor.clock))?;
    for _ in 0..runs {
        floor.start()?;
    }
    drop(floor);
    Ok(store.close()?)
}

/// The team that can work in a store that was filled here.
pub(super) fn crew() -> String {
    team(AGENTS, RUNS)
}

/// A coordinator on the file store in `data`.
pub(super) fn coordinator(
    data: &Path,
    registry: Registry,
    clock: &OsClock,
) -> Result<(Coordinator, Arc<dyn Store>), BenchError> {
    let (store, opened) = FileStore::open(Arc::new(OsDisk), data, FileOptions::default())?;
    let store: Arc<dyn Store> = Arc::new(store);
    let coordinator = Coordinator::open(
        Arc::clone(&store),
        opened.epoch,
        registry,
        Box::new(SeededEntropy::new(OsEntropy.next_u64())),
        None,
        now(clock),
    )?;
    Ok((coordinator, store))
}

fn open(data: &Path) -> Result<(Floor, Arc<dyn Store>), BenchError> {
    let clock = OsClock::new();
    let registry = Registry::parse("agents.yaml", &crew())?;
    let (coordinator, store) = coordinator(data, registry, &clock)?;
    let (durable, next) = channel();
    let floor = Floor {
        coordinator,
        store: Arc::clone(&store),
        clock,
        views_due: Duration::ZERO,
        durable,
        next,
        started: 0,
        completed: 0,
        wanted: None,
    };
    Ok((floor, store))
}

/// Counts what becomes durable after the warm-up.
pub(super) fn measure(site: &Path, length: Duration) -> Result<Measured, BenchError> {
    let data = site.join("in-process");
    let (mut floor, store) = open(&data)?;
    let clock = OsClock::new();
    floor.begin()?;
    let start = floor.clock.monotonic() + warm_up(length);
    floor.work_until(start)?;
    let (before, first, completed) = (Usage::ours(), store.head().seq.0, floor.completed);
    let start = clock.monotonic();
    floor.work_until(start + length)?;
    // A slow disk may need longer for the first ones.
    while floor.completed == completed && clock.monotonic() - start < PATIENCE {
        floor.work_until(clock.monotonic() + length)?;
    }
    let (after, last) = (Usage::ours(), store.head().seq.0);
    let elapsed = clock.monotonic() - start;
    let workflows = floor.completed - completed;
    drop(floor);
    store.close()?;
    let syncs = count_commits(&journal_dir(&data), &(first + 1..last + 1));
    if workflows == 0 {
        return Err(BenchError::Nothing);
    }
    let counted = Counted {
        elapsed,
        workflows,
        records: last - first,
        syncs: syncs.map_err(BenchError::system("read the journal"))?,
        cpu_s: after.cpu_since(&before),
        load_cpu_s: None,
        peak_mib: after.peak_mib,
    };
    Ok(Measured::new(&counted, Vec::new()))
}

pub(super) fn now(clock: &OsClock) -> Now {
    Now {
        wall: clock.now(),
        mono: clock.monotonic(),
    }
}

fn three_steps() -> Option<Arc<Machine>> {
    let compiled = compile(&SourceText::new("three-steps.yaml", WORKFLOW), None);
    compiled.machines.into_iter().next().map(Arc::new)
}

impl Floor {
    fn begin(&mut self) -> Result<(), BenchError> {
        let machine = three_steps().expect("the workflow of the bench is valid");
        self.coordinator.register(&machine, now(&self.clock))?;
        let runs = self.wanted.map_or(RUNS, |wanted| {
            u32::try_from(wanted).map_or(RUNS, |wanted| wanted.min(RUNS))
        });
        let starts = (0..runs).map(|run| Next::Start {
            agent: agent_name(run % AGENTS),
        });
        self.when_durable(starts.collect());
        Ok(())
    }

    /// Works until then, or until all that is wanted is done.
    fn work_until(&mut self, end: Duration) -> Result<(), BenchError> {
        while self.clock.monotonic() < end && self.wanted.is_none_or(|all| self.completed < all) {
            let Ok(ready) = self.next.recv() else {
                return Ok(());
            };
            let mut ready = ready?;
            let mut following = Vec::with_capacity(ready.len());
            for next in ready.drain(..) {
                following.extend(self.take(next)?);
            }
            // What the server would tell waiting callers; here nobody waits.
            self.coordinator.take_changed();
            self.coordinator.take_handed();
            let now = now(&self.clock);
            if now.mono >= self.views_due {
                self.coordinator.take_stale_views(now, false);
                self.views_due = now.mono + VIEW_PERIOD;
            }
            self.when_durable(following);
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), BenchError> {
        let target = Target::Named(WORKFLOW_NAME.to_owned());
        let (inputs, labels) = (Map::new(), Default::default());
        let now = now(&self.clock);
        self.coordinator
            .start(&target, None, &inputs, &labels, "bench", now)?;
        self.started += 1;
        Ok(())
    }

    /// Does one thing and says what comes after it, if anything does.
    fn take(&mut self, next: Next) -> Result<Option<Next>, BenchError> {
        let now = now(&self.clock);
        let (agent, tasks) = match next {
            Next::Start { agent } => {
                if self.wanted.is_some_and(|wanted| self.started >= wanted) {
                    return Ok(None);
                }
                self.start()?;
                let polled = self
                    .coordinator
                    .poll(&agent, None, 1, Duration::ZERO, now)?;
                let tasks = match polled {
                    Polled::Tasks(tasks) => tasks,
                    Polled::Waiting(_) => Vec::new(),
                };
                (agent, tasks)
            }
            Next::Complete { agent, task, token } => {
                let output = RawJson::from_value(&serde_json::json!({}));
                let more = Some((None, 1));
                let completed = self
                    .coordinator
                    .complete(&agent, &task, token, &output, more, now)?;
                (agent, completed.tasks.unwrap_or_default())
            }
        };
        Ok(Some(match tasks.into_iter().next() {
            Some(Task { id, token, .. }) => Next::Complete {
                agent,
                task: id,
                token,
            },
            None => {
                self.completed += 1;
                Next::Start { agent }
            }
        }))
    }

    fn when_durable(&self, next: Vec<Next>) {
        let durable = self.durable.clone();
        self.store.when_durable(
            self.coordinator.last_seq(),
            Box::new(move |outcome| {
                // At the end of a measurement nobody listens any more.
                drop(durable.send(outcome.map(|_| next)));
            }),
        );
    }
}
