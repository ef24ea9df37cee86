//! `phisync bench`: what this machine and this build can do, as figures that repeat.
//!
//! Six measurements: P1 drives a server over HTTP with many clients and agents, P2 with one client, P3
//! the coordinator and its store without HTTP, P5 starts a server on a store with a long past, P7
//! lets thousands of agents wait for work, P10 kills a worker. The first three are framed by probes
//! of the disk, so that a figure never stands without the floor that it was measured on. CPU and
//! syncs for each workflow stand beside every rate, because they survive a busy neighbour and the
//! rate does not. Nothing here judges: there is no timed test.

mod connection;
mod disk;
mod figure;
mod load;
mod process;
mod recovery;
mod site;
mod takeover;
mod transitions;
mod waiting;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use phisync_agents::registry::RegistryError;
use phisync_state::snapshot::SnapshotError;
use phisync_state::{OpenError, ReadError, Unknown};

pub use connection::CallError;
pub use disk::{DiskFloor, DiskProbes};
pub use figure::{Figure, Measured};
pub use recovery::{Recovery, Started, recovery};
pub use takeover::{Takeover, takeover};
pub use waiting::{Times, Waiting, waiting};

use crate::coordinator::Refusal;
use site::Site;

/// Agents, and in P1 clients as well.
const CROWD: u32 = 64;

/// Three steps that ask for nothing.
const WORKFLOW: &str = "\
phisync: 1
workflow: three-steps
version: \"1.0.0\"
steps:
  - { id: one, task: bench.nothing, assign: { capabilities: [nothing] }, effects: none }
  - { id: two, needs: one, task: bench.nothing, assign: { capabilities: [nothing] }, effects: none }
  - { id: three, needs: two, task: bench.nothing, assign: { capabilities: [nothing] }, effects: none }
";

const WORKFLOW_NAME: &str = "three-steps";

/// Steps of [`WORKFLOW`].
const STEPS: f64 = 3.0;

/// How long the first completed workflow is waited for when the time is up without one.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bench {
    /// Workflows a second over HTTP.
    P1,
    /// One workflow at a time over HTTP.
    P2,
    /// Durable transitions a second in process.
    P3,
}

/// How to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What, in this order.
    pub benches: Vec<Bench>,
    /// For how long each, a fifth of it to warm up before.
    pub length: Duration,
    /// Where the data lies meanwhile; must be on the disk in question.
    pub dir: PathBuf,
    /// The program that is started as `serve`.
    pub program: PathBuf,
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The system refuses something.
    #[error("cannot {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The server did not say that it is ready.
    #[error("the server did not start: {0}")]
    NotReady(String),
    /// The server did not do as asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Nor what an agent asked.
    #[error(transparent)]
    Heir(phisync_agents::client::CallError),
    /// No store in the directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store stopped.
    #[error(transparent)]
    Store(#[from] Unknown),
    /// No snapshot could be taken.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The coordinator refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The team of the bench is not understood.
    #[error(transparent)]
    Team(#[from] RegistryError),
    /// The system lets a process have too few open files for so many sockets.
    #[error(
        "{wanted} open files are needed, one for each socket, and the system allows {limit}: raise it \
         (`ulimit -n {wanted}`, or `ulimit -Hn` as root) and measure again"
    )]
    OpenFiles {
        /// How many it allows.
        limit: u64,
        /// How many are needed.
        wanted: u64,
    },
    /// Nothing was finished while it was measured.
    #[error("no workflow was completed in {PATIENCE:?}")]
    Nothing,
}

impl BenchError {
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Measures, and tells each figure as soon as it is known.
///
/// # Errors
/// See [`BenchError`]. Figures told before stay true.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(&Figure)) -> Result<(), BenchError> {
    for bench in &plan.benches {
        let site = Site::create(&plan.dir)?;
        let before = disk::probe(site.path(), plan.length)?;
        let measured = measure(*bench, plan, &site)?;
        let after = disk::probe(site.path(), plan.length)?;
        tell(&Figure::new(*bench, measured, DiskProbes { before, after }));
    }
    Ok(())
}

fn measure(bench: Bench, plan: &Plan, site: &Site) -> Result<Measured, BenchError> {
    match bench {
        Bench::P1 => over_http(plan, site, CROWD),
        Bench::P2 => over_http(plan, site, 1),
        Bench::P3 => transitions::measure(site.path(), plan.length),
    }
}

fn over_http(plan: &Plan, site: &Site, clients: u32) -> Result<Measured, BenchError> {
    let server = process::Server::start(&plan.program, site.path(), &team(CROWD, 1))?;
    let crowd = load::Crowd {
        clients,
        agents: CROWD,
        length: plan.length,
    };
    load::measure(&server, &crowd)
}

/// An `agents.yaml` with so many agents that can all do the same.
fn team(agents: u32, concurrency: u32) -> String {
    // One is what its absence means, and the file of a large team must not be too long.
    let concurrency = match concurrency {
        1 => String::new(),
        several => format!(", concurrency: {several}"),
    };
    let mut text = String::from("phisync: 1\nagents:\n");
    for number in 0..agents {
        let name = agent_name(number);
        text.push_str(&format!(
            "  {name}: {{ capabilities: [nothing]{concurrency} }}\n"
        ));
    }
    text
}

fn agent_name(number: u32) -> String {
    format!("w{number}")
}

/// The part of the run that is not measured.
fn warm_up(length: Duration) -> Duration {
    length / 5
}

fn journal_dir(data: &Path) -> PathBuf {
    data.join("journal")
}
