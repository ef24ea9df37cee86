//! P5: how long a server takes to be ready on a store with a long past, without a snapshot and with one.
//!
//! The past is made in this process as fast as it goes: runs of three steps, all of them closed. The
//! server is the real one, in a process of its own.

use std::path::Path;
use std::sync::Arc;

use phisync_agents::registry::Registry;
use phisync_state::env::{Clock as _, OsClock, OsDisk, SeededEntropy};
use phisync_state::snapshot::{Keeping, Taken};
use phisync_state::{FileOptions, FileStore, Store};
use serde::Serialize;

use super::figure::table;
use super::process::Server;
use super::site::Site;
use super::{BenchError, Plan, transitions};
use crate::coordinator::{Coordinator, Now};

/// A server that became ready.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Started {
    /// From the start of its process to its ready line.
    pub ready_ms: f64,
    /// The most memory that it had until then.
    pub peak_mib: Option<f64>,
}

/// What P5 found.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// `P5`.
    pub bench: &'static str,
    /// Closed runs in the store.
    pub closed_runs: u64,
    /// Records in the journal.
    pub records: u64,
    /// The whole journal read.
    pub without_snapshot: Started,
    /// How long taking the snapshot took, archives and reading back included.
    pub snapshot_ms: f64,
    /// The snapshot's bytes; what is archived apart.
    pub snapshot_bytes: u64,
    /// Runs that went into archives.
    pub archived: u64,
    /// The newest snapshot, and the journal behind it.
    pub with_snapshot: Started,
}

impl Recovery {
    /// For people: a few lines, ending with a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let memory = |started: &Started| match started.peak_mib {
            Some(peak) => format!("{:.0} ms to ready, {peak:.0} MiB", started.ready_ms),
            None => format!("{:.0} ms to ready", started.ready_ms),
        };
        let rows = [
            (
                "store",
                format!("{} records, {} closed runs", self.records, self.closed_runs),
            ),
            ("no snapshot", memory(&self.without_snapshot)),
            ("with snapshot", memory(&self.with_snapshot)),
            (
                "the snapshot",
                format!(
                    "{:.0} ms to take, {} bytes, {} runs archived",
                    self.snapshot_ms, self.snapshot_bytes, self.archived
                ),
            ),
        ];
        table("P5", &rows)
    }
}

/// Fills a store and starts servers on it.
pub(super) fn measure(plan: &Plan) -> Result<Recovery, BenchError> {
    let site = Site::create(&plan.dir)?;
    let data = site.path().join("data");
    let records = transitions::fill(&data, plan.closed_runs)?;
    let without_snapshot = started(plan, &site)?;
    let clock = OsClock::new();
    let begun = clock.monotonic();
    let taken = take(&data, &clock)?;
    let took = clock.monotonic() - begun;
    let with_snapshot = started(plan, &site)?;
    Ok(Recovery {
        bench: "P5",
        closed_runs: plan.closed_runs,
        records,
        without_snapshot,
        snapshot_ms: took.as_secs_f64() * 1000.0,
        snapshot_bytes: taken.as_ref().map_or(0, |taken| taken.size),
        archived: taken.as_ref().map_or(0, |taken| taken.archived),
        with_snapshot,
    })
}

fn started(plan: &Plan, site: &Site) -> Result<Started, BenchError> {
    let clock = OsClock::new();
    let begun = clock.monotonic();
    let server = Server::start(&plan.program, site.path(), &transitions::crew())?;
    Ok(Started {
        ready_ms: (clock.monotonic() - begun).as_secs_f64() * 1000.0,
        peak_mib: server.usage().peak_mib,
    })
}

/// Takes a snapshot of a store that nobody has open.
pub(super) fn take(data: &Path, clock: &OsClock) -> Result<Option<Taken>, BenchError> {
    let (store, opened) = FileStore::open(Arc::new(OsDisk), data, FileOptions::default())?;
    let store = Arc::new(store);
    let shared: Arc<dyn Store> = Arc::<FileStore>::clone(&store);
    let now = Now {
        wall: clock.now(),
        mono: clock.monotonic(),
    };
    let registry = Registry::parse("agents.yaml", &transitions::crew())?;
    let dice = Box::new(SeededEntropy::new(1));
    let coordinator = Coordinator::open(shared, opened.epoch, registry, dice, None, now)?;
    let projection = coordinator.projection(std::time::Duration::from_secs(30 * 86_400), now);
    drop(coordinator);
    let taken = store.snapshot(&projection, &Keeping::default(), now.wall)?;
    store.close()?;
    Ok(taken)
}
