//! `phisync bench`: what this machine and this build can do, as figures that repeat.
//!
//! P1 drives a server over HTTP with many clients and agents, P2 with one client, P3 the coordinator
//! and its store without HTTP; these three are framed by probes of the disk, so that a figure never
//! stands without the floor that it was measured on, and CPU and syncs for each workflow stand beside
//! every rate, because they survive a busy neighbour and the rate does not. P4 holds a long run against short ones. P5 starts a server on a
//! store with a long past, P6 looks at its memory, P7 lets thousands of agents wait for work, P8 lets many
//! clients change one document, P10 kills a worker, J holds the journal alone against the disk.
//! Nothing here judges: there is no timed test.

mod connection;
mod contention;
mod disk;
mod figure;
mod growth;
mod journal;
mod load;
mod memory;
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
pub use contention::Contention;
pub use disk::{DiskFloor, DiskProbes};
pub use figure::{Figure, Measured};
pub use growth::{Growth, Length};
pub use journal::{Batched, JournalFigure, Single};
pub use memory::{Held, Memory};
pub use recovery::{Recovery, Started};
use serde::Serialize;
pub use takeover::Takeover;
pub use waiting::{Times, Waiting};

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
    /// What a transition costs in a long run, against a short one.
    P4,
    /// The start of a server with a long past.
    P5,
    /// The memory of a server: idle, with open runs, with closed ones.
    P6,
    /// Thousands of agents in long poll.
    P7,
    /// One document that many change.
    P8,
    /// A worker that is killed.
    P10,
    /// The journal alone against the disk.
    J,
}

/// What one measurement found, as one line of JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Found {
    /// P1, P2, P3.
    Rate(Figure),
    /// P4.
    Growth(Growth),
    /// P5.
    Start(Recovery),
    /// P6.
    Memory(Memory),
    /// P7.
    Waiting(Waiting),
    /// P8.
    Contention(Contention),
    /// P10.
    Takeover(Takeover),
    /// J.
    Journal(JournalFigure),
}

impl Found {
    /// For people: a few lines, ending with a newline.
    #[must_use]
    pub fn table(&self) -> String {
        match self {
            Self::Rate(figure) => figure.table(),
            Self::Growth(growth) => growth.table(),
            Self::Start(recovery) => recovery.table(),
            Self::Memory(memory) => memory.table(),
            Self::Waiting(waiting) => waiting.table(),
            Self::Contention(contention) => contention.table(),
            Self::Takeover(takeover) => takeover.table(),
            Self::Journal(journal) => journal.table(),
        }
    }
}

/// How to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What, in this order.
    pub benches: Vec<Bench>,
    /// For how long each, a fifth of it to warm up before.
    pub length: Duration,
    /// How many closed runs the store of P5 and P6 holds.
    pub closed_runs: u64,
    /// How many open runs that of P6 holds.
    pub open_runs: u64,
    /// How many items the long run of P4 has: at least ten, at most 10,000.
    pub items: u64,
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
pub fn run(plan: &Plan, tell: &mut dyn FnMut(&Found)) -> Result<(), BenchError> {
    for bench in &plan.benches {
        let found = match bench {
            Bench::P1 => Found::Rate(rate(Rate::Crowd, plan)?),
            Bench::P2 => Found::Rate(rate(Rate::Alone, plan)?),
            Bench::P3 => Found::Rate(rate(Rate::InProcess, plan)?),
            Bench::P4 => Found::Growth(growth::measure(plan)?),
            Bench::P5 => Found::Start(recovery::measure(plan)?),
            Bench::P6 => Found::Memory(memory::measure(plan)?),
            Bench::P7 => Found::Waiting(waiting::waiting(plan)?),
            Bench::P8 => Found::Contention(contention::measure(plan)?),
            Bench::P10 => Found::Takeover(takeover::takeover(plan)?),
            Bench::J => Found::Journal(journal::measure(&plan.dir, plan.length)?),
        };
        tell(&found);
    }
    Ok(())
}

/// The measurements that count workflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rate {
    /// P1.
    Crowd,
    /// P2.
    Alone,
    /// P3.
    InProcess,
}

fn rate(rate: Rate, plan: &Plan) -> Result<Figure, BenchError> {
    let site = Site::create(&plan.dir)?;
    let before = disk::probe(site.path(), plan.length)?;
    let measured = match rate {
        Rate::Crowd => over_http(plan, &site, CROWD)?,
        Rate::Alone => over_http(plan, &site, 1)?,
        Rate::InProcess => transitions::measure(site.path(), plan.length)?,
    };
    let after = disk::probe(site.path(), plan.length)?;
    Ok(Figure::new(rate, measured, DiskProbes { before, after }))
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
