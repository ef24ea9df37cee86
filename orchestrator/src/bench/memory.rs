//! P6: the memory of a server that has nothing to do: in an empty store, in one with open runs that
//! nobody works on, and in one with closed runs that a snapshot has archived.
//!
//! The stores are written in this process, so that the server's memory holds what it keeps and not
//! what it once needed for the work.

use std::path::Path;

use phisync_state::env::OsClock;
use serde::Serialize;

use super::figure::table;
use super::process::Server;
use super::site::Site;
use super::{BenchError, Plan, recovery, transitions};

/// So many closed runs go between two snapshots, so that the store that is filled stays small.
const RUNS_A_SNAPSHOT: u64 = 100_000;

/// What must not be exceeded, in MiB.
const MUST_MIB: [f64; 3] = [30.0, 150.0, 200.0];

/// A server at rest.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Held {
    /// Runs in its store.
    pub runs: u64,
    /// What it may have.
    pub must_mib: f64,
    /// What it has once it is ready.
    pub resident_mib: Option<f64>,
    /// The most it had until then.
    pub peak_mib: Option<f64>,
}

/// What P6 found.
#[derive(Clone, Debug, Serialize)]
pub struct Memory {
    /// `P6`.
    pub bench: &'static str,
    /// An empty store.
    pub idle: Held,
    /// Runs that wait for somebody.
    pub open: Held,
    /// Runs that are over.
    pub closed: Held,
}

impl Memory {
    /// For people: a few lines, ending with a newline.
    #[must_use]
    pub fn table(&self) -> String {
        let row = |held: &Held| {
            let known = |mib: Option<f64>| mib.map_or("unknown".to_owned(), |n| format!("{n:.1}"));
            format!(
                "{} MiB, at most {} MiB on the way, must be {:.0} MiB ({} runs)",
                known(held.resident_mib),
                known(held.peak_mib),
                held.must_mib,
                held.runs
            )
        };
        let rows = [
            ("idle", row(&self.idle)),
            ("open runs", row(&self.open)),
            ("closed runs", row(&self.closed)),
        ];
        table("P6", &rows)
    }
}

/// Fills stores and starts a server on each.
pub(super) fn measure(plan: &Plan) -> Result<Memory, BenchError> {
    let [idle, open, closed] = MUST_MIB;
    Ok(Memory {
        bench: "P6",
        idle: held(plan, 0, idle, &|_| Ok(()))?,
        open: held(plan, plan.open_runs, open, &|data| {
            transitions::leave_open(data, plan.open_runs)
        })?,
        closed: held(plan, plan.closed_runs, closed, &|data| {
            close_runs(data, plan.closed_runs)
        })?,
    })
}

fn held(
    plan: &Plan,
    runs: u64,
    must_mib: f64,
    fill: &dyn Fn(&Path) -> Result<(), BenchError>,
) -> Result<Held, BenchError> {
    let site = Site::create(&plan.dir)?;
    fill(&site.path().join("data"))?;
    let server = Server::start(&plan.program, site.path(), &transitions::crew())?;
    let usage = server.usage();
    Ok(Held {
        runs,
        must_mib,
        resident_mib: usage.resident_mib,
        peak_mib: usage.peak_mib,
    })
}

fn close_runs(data: &Path, runs: u64) -> Result<(), BenchError> {
    let clock = OsClock::new();
    let mut left = runs;
    while left > 0 {
        let portion = left.min(RUNS_A_SNAPSHOT);
        transitions::fill(data, portion)?;
        recovery::take(data, &clock)?;
        left -= portion;
    }
    Ok(())
}
