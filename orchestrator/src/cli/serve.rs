//! `phisync serve`: a server on a data directory, until told to stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::mpsc;

use clap::Args;
use phisync::runtime::{Server, ServerFailure};
use serde::Serialize;

use super::data_dir::DataDir;
use super::exit_code::ExitCode;
use super::output::json_line;
use super::report::Report;
use super::{Context, connection, signals};

/// Where it listens if nothing says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);

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
}

/// Printed when requests are answered.
#[derive(Serialize)]
struct Ready<'a> {
    event: &'a str,
    url: &'a str,
    pid: u32,
    head_seq: u64,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        let data = DataDir::find_or_here(context.place.data.as_deref());
        if data.create()? {
            context
                .output
                .say(format!("created {}", data.path().display()))?;
        }
        let listen = match self.listen {
            Some(listen) => listen,
            None => data.config()?.serve.listen.unwrap_or(LISTEN),
        };
        let agents = match self.agents {
            Some(agents) => Some(agents),
            None => data.agents_file()?,
        };
        let (end, ended) = mpsc::channel();
        let asked = end.clone();
        signals::on_first(move || tell(&asked, Ending::Asked))?;
        let server = connection::start(&data, listen, agents, None, true)?;
        let ready = Ready {
            event: "ready",
            url: server.url(),
            pid: std::process::id(),
            head_seq: server.head().seq.0,
        };
        context.output.text(&json_line(&ready))?;
        watch_server(&server, end)?;
        match ended.recv() {
            Ok(Ending::Asked) | Err(mpsc::RecvError) => {}
            Ok(Ending::Failed(failure)) => {
                let hint = match &failure {
                    ServerFailure::Store(_) => {
                        "nothing that was answered is lost; look at the disk, then serve again"
                    }
                    ServerFailure::Panicked => {
                        "nothing that was answered is lost; serve again, and report what is above"
                    }
                };
                return Err(Report::new(ExitCode::Stopped, failure).hint(hint));
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
