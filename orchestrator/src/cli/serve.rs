//! `phisync serve`: a server on a data directory, until told to stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;
use phisync::runtime::ServerFailure;
use phisync::server::{ANSWER_WITHIN, ServeOptions, Server};
use phisync_state::{Durability, Head};
use serde::Serialize;

use crate::cli::config::{Limits, Snapshots};

use super::data_dir::DataDir;
use super::duration::duration;
use super::exit_code::ExitCode;
use super::output::json_line;
use super::report::Report;
use super::{Context, signals};

/// Where it listens if nothing says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);

/// How long what was answered may wait for its sync in the mode `interval`.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);

/// Serve a data directory: API, scheduler, timers.
///
/// Prints one JSON line when it is ready. SIGINT or SIGTERM stops it in order; a second one at once.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:7070]
    #[arg(
        long,
        env = "PHISYNC_LISTEN",
        hide_env_values = true,
        value_name = "ADDR"
    )]
    listen: Option<SocketAddr>,

    /// The team [default: the project's agents.yaml]
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,

    /// What a 2xx answer survives: `sync` a power cut, `interval` the end of the process and a power
    /// cut a tenth of a second later, `none` the end of the process [default: sync]
    #[arg(long, value_enum, value_name = "MODE")]
    durability: Option<DurabilityMode>,

    /// Only show what is there: nothing is written, whatever happens, and everything but reading is refused with
    /// 507. Works on a disk that is mounted read-only, too. Reach it by --server
    #[arg(long, conflicts_with = "durability")]
    read_only: bool,

    /// A head that was seen before, as answers carry it in Phisync-Head; a journal that does not go
    /// through it is refused with 77
    #[arg(long, value_name = "SEQ:HASH")]
    expect_head: Option<Head>,

    /// An answer that the disk does not confirm in this time is told as unknown (503); the same
    /// Idempotency-Key finds out later what became of it [default: 30s]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    answer_within: Option<Duration>,

    /// Working tree that transactions may change; may be given several times [default: the settings']
    #[arg(long = "root", value_name = "NAME=PATH", value_parser = root)]
    roots: Vec<(String, PathBuf)>,

    /// Let an agent change documents only under a task that it holds [default: the settings', or not]
    #[arg(long)]
    agents_write_under_tasks: bool,

    #[command(flatten)]
    snapshots: Snapshots,

    #[command(flatten)]
    limits: Limits,
}

fn root(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text
        .split_once('=')
        .ok_or("a name, `=` and a directory are needed")?;
    Ok((name.to_owned(), PathBuf::from(path)))
}

/// See [`Durability`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilityMode {
    Sync,
    Interval,
    None,
}

impl From<DurabilityMode> for Durability {
    fn from(mode: DurabilityMode) -> Self {
        match mode {
            DurabilityMode::Sync => Self::Sync,
            DurabilityMode::Interval => Self::Interval(SYNC_INTERVAL),
            DurabilityMode::None => Self::None,
        }
    }
}

/// Printed when requests are answered.
#[derive(Serialize)]
struct Ready<'a> {
    event: &'a str,
    url: &'a str,
    pid: u32,
    head_seq: u64,
    durability: &'a str,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let data = DataDir::find_or_here(context.place.data.as_deref());
        let config = data.config()?.serve;
        let listen = self.listen.or(config.listen).unwrap_or(LISTEN);
        let mode = self.durability.or(config.durability);
        let durability = mode.map_or(Durability::Sync, Durability::from);
        let configured = config.answer_within_seconds.map(u64::from);
        let configured = configured.map(Duration::from_secs);
        let answer_within = self.answer_within.or(configured).unwrap_or(ANSWER_WITHIN);
        let agents = match self.agents {
            Some(agents) => Some(agents),
            None => data.agents_file()?,
        };
        let roots = match self.read_only {
            true => Vec::new(),
            false => data.roots(&self.roots)?,
        };
        let (end, ended) = mpsc::channel();
        let asked = end.clone();
        signals::on_first(move || tell(&asked, Ending::Asked))?;
        let created = !self.read_only && data.create()?;
        // Thousands of agents wait at once, each with a socket.
        if let Some(limit) = phisync_state::env::raise_open_files() {
            tracing::debug!(limit, "open files");
        }
        let started = Server::start(&ServeOptions {
            data: data.path().to_owned(),
            listen,
            agents_file: agents,
            announce: true,
            only_run: None,
            roots,
            settings: data.settings()?,
            snapshots: self.snapshots.or(data.config()?.snapshots).policy(),
            durability,
            read_only: self.read_only,
            agents_write_under_tasks: self.agents_write_under_tasks
                || config.agents_write_under_tasks,
            expect_head: self.expect_head,
            answer_within,
            limits: self.limits.or(data.config()?.limits).bounds(),
        });
        let server = match started {
            Ok(server) => server,
            Err(error) => {
                if created {
                    data.remove_if_empty();
                }
                return Err(error.into());
            }
        };
        if created {
            let created = format!("created {}", data.path().display());
            context.output.say(created)?;
        }
        let ready = Ready {
            event: "ready",
            url: server.url(),
            pid: std::process::id(),
            head_seq: server.head().seq.0,
            durability: durability.name(),
        };
        context.output.text(&json_line(&ready))?;
        watch_server(&server, end)?;
        match ended.recv() {
            Ok(Ending::Asked) | Err(mpsc::RecvError) => {}
            Ok(Ending::Failed(failure)) => {
                let (exit, hint) = match &failure {
                    ServerFailure::Store(_) => (
                        ExitCode::Stopped,
                        "nothing that was answered is lost; look at the disk, then serve again",
                    ),
                    ServerFailure::LockLost => (
                        ExitCode::Locked,
                        "nothing is written any more, as another server may have started; never \
                         delete the lock file of a running server",
                    ),
                    ServerFailure::Panicked => (
                        ExitCode::Stopped,
                        "nothing that was answered is lost; serve again, and report what is above",
                    ),
                };
                return Err(Report::new(exit, failure).hint(hint));
            }
        }
        server
            .stop()
            .map_err(|error| Report::new(ExitCode::Stopped, error))?;
        Ok(ExitCode::Ok)
    }
}

/// Why a server ends.
enum Ending {
    /// By a signal.
    Asked,
    /// By itself: it cannot go on.
    Failed(ServerFailure),
}

/// Tells `end` when the server fails, from a thread that ends with it.
fn watch_server(server: &Server, end: mpsc::Sender<Ending>) -> Result<(), Report> {
    let failed = |cause: io::Error| {
        Report::new(
            ExitCode::Stopped,
            format!("cannot watch the server: {cause}"),
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(failed)?;
    let mut failure = server.failure();
    let watch = move || {
        let failed = runtime.block_on(failure.wait_for(Option::is_some));
        if let Ok(Some(failure)) = failed.map(|failure| failure.clone()) {
            tell(&end, Ending::Failed(failure));
        }
    };
    let thread = std::thread::Builder::new().name("server watch".to_owned());
    thread.spawn(watch).map_err(failed)?;
    Ok(())
}

fn tell(end: &mpsc::Sender<Ending>, ending: Ending) {
    if end.send(ending).is_err() {
        tracing::debug!("the server has ended already");
    }
}
