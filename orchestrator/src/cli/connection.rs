//! The way to a server: one that runs, or one of our own for the length of a command.
//!
//! Every command is a client of the HTTP API, so there is one code path. `--server` names a server
//! anywhere; else the data directory tells of the one that runs on it; else the command opens the
//! store itself, under the lock, and talks to itself over the loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use phisync::api::http::Limits;
use phisync::protocol::Health;
use phisync::server::{ANSWER_WITHIN, ServeOptions, Server, StartError};
use phisync_state::Durability;

use super::api::{Api, CallError};
use super::data_dir::DataDir;
use super::exit_code::ExitCode;
use super::report::Report;

/// How long an announced server may take to say that it lives.
const HEALTH_WITHIN: Duration = Duration::from_secs(5);

/// Any free port of this machine, reachable from this machine only.
pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Where the store of a command is.
enum Found {
    /// Behind a server that runs.
    Running { url: String, token: String },
    /// In a directory that no server runs on.
    Idle(DataDir),
}

/// A server, and what is needed to speak to it.
pub(crate) struct Connected {
    pub(crate) api: Api,
    /// Started for this command, with the token that it is spoken to with.
    own: Option<(Server, String)>,
}

impl Connected {
    /// Address and token of a server of our own, for the processes that we start.
    pub(crate) fn own(&self) -> Option<(&str, &str)> {
        let (server, token) = self.own.as_ref()?;
        Some((server.url(), token))
    }

    /// Stops a server of our own.
    ///
    /// # Errors
    /// When it does not stop in order.
    pub(crate) fn close(self) -> Result<(), Report> {
        let Some((server, _)) = self.own else {
            return Ok(());
        };
        let stopped = server.stop();
        stopped.map_err(|error| Report::new(ExitCode::Stopped, error))
    }
}

/// Which server, and who asks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Place {
    /// Data directory [default: the nearest .phisync upward]
    #[arg(
        long,
        global = true,
        env = "PHISYNC_DATA",
        hide_env_values = true,
        value_name = "DIR"
    )]
    pub(crate) data: Option<PathBuf>,

    /// Server to talk to, such as http://127.0.0.1:7070 [default: the data directory's own]
    #[arg(
        long,
        global = true,
        env = "PHISYNC_SERVER",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) server: Option<String>,

    /// File that holds the token; without it PHISYNC_TOKEN, then the data directory's admin token
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
}

impl Place {
    /// Does `work` with a server, as `act_as` if given, and closes what it had to open.
    ///
    /// # Errors
    /// When no server can be reached or started, and whatever `work` ends with.
    pub(crate) fn with_server<T>(
        &self,
        act_as: Option<&str>,
        work: impl FnOnce(&Api) -> Result<T, Report>,
    ) -> Result<T, Report> {
        let connected = self.connect(act_as)?;
        let done = work(&connected.api);
        let closed = connected.close();
        let done = done?;
        closed?;
        Ok(done)
    }

    /// Reaches a server, as `act_as` if given; without one that runs, starts one of our own, which
    /// must be closed.
    ///
    /// # Errors
    /// When no server can be reached or started.
    pub(crate) fn connect(&self, act_as: Option<&str>) -> Result<Connected, Report> {
        let data = match self.locate()? {
            Found::Running { url, token } => {
                let api = Api::new(&url, Some(&token))?.acting_as(act_as)?;
                return Ok(Connected { api, own: None });
            }
            Found::Idle(data) => data,
        };
        let roots = data.own_roots()?;
        let server = start(&data, LOOPBACK, data.agents_file()?, None, false, roots)?;
        let token = self
            .token()?
            .unwrap_or_else(|| server.admin_token().to_owned());
        let api = Api::new(server.url(), Some(&token)).and_then(|api| api.acting_as(act_as));
        match api {
            Ok(api) => Ok(Connected {
                api,
                own: Some((server, token)),
            }),
            Err(error) => {
                if let Err(stopped) = server.stop() {
                    tracing::error!(%stopped, "our own server did not stop in order");
                }
                Err(error.into())
            }
        }
    }

    /// The address of a server that runs, and the token for it.
    ///
    /// # Errors
    /// When none does.
    pub(crate) fn running_server(&self) -> Result<(String, String), Report> {
        match self.locate()? {
            Found::Running { url, token } => Ok((url, token)),
            Found::Idle(data) => {
                let message = format!("no server runs on `{}`", data.path().display());
                Err(Report::new(ExitCode::NoServer, message).hint("start one with `phisync serve`"))
            }
        }
    }

    fn locate(&self) -> Result<Found, Report> {
        let token = self.token()?;
        if let Some(url) = &self.server {
            let token = token.ok_or_else(no_token)?;
            let url = url.clone();
            return Ok(Found::Running { url, token });
        }
        let data = DataDir::find(self.data.as_deref())?;
        match running(&data)? {
            Some(url) => {
                let token = token.map_or_else(|| data.admin_token(), Ok)?;
                Ok(Found::Running { url, token })
            }
            None => Ok(Found::Idle(data)),
        }
    }

    /// The token of whoever asks, where one was given.
    fn token(&self) -> Result<Option<String>, Report> {
        if let Some(path) = &self.token_file {
            let text = std::fs::read_to_string(path).map_err(|cause| {
                let message = format!("cannot read the token file `{}`: {cause}", path.display());
                Report::new(ExitCode::NotFound, message)
            })?;
            return Ok(Some(text.trim().to_owned()));
        }
        // What is no text is no token that any server gave out.
        let token = std::env::var("PHISYNC_TOKEN").ok();
        Ok(token.filter(|token| !token.is_empty()))
    }
}

/// The address of the server that runs on `data`, if one does. What a dead server left is ignored.
///
/// # Errors
/// When something answers there that is not in order.
pub(crate) fn running(data: &DataDir) -> Result<Option<String>, Report> {
    let Some(announced) = data.announcement() else {
        return Ok(None);
    };
    let api = Api::new(&announced.url, None)?;
    match api.get_within::<Health>(&["healthz"], &[], HEALTH_WITHIN) {
        Ok(health) if health.instance == announced.instance => Ok(Some(announced.url)),
        // Ours died, and the server of another directory took its port.
        Ok(_) => Ok(None),
        Err(CallError::Unreachable { .. } | CallError::Garbled { .. }) => {
            tracing::debug!(pid = announced.pid, "the server in `server.json` is gone");
            Ok(None)
        }
        Err(error @ (CallError::Refused(_) | CallError::TimedOut { .. })) => Err(error.into()),
    }
}

/// Starts a server of our own on `data`.
///
/// # Errors
/// When the store cannot be opened or the address is taken.
pub(crate) fn start(
    data: &DataDir,
    listen: SocketAddr,
    agents_file: Option<PathBuf>,
    only_run: Option<String>,
    announce: bool,
    roots: Vec<(String, PathBuf)>,
) -> Result<Server, Report> {
    Ok(Server::start(&ServeOptions {
        data: data.path().to_owned(),
        listen,
        agents_file,
        announce,
        only_run,
        snapshots: data.config()?.snapshots.policy(),
        settings: data.settings()?,
        durability: Durability::Sync,
        read_only: false,
        agents_write_under_tasks: false,
        expect_head: None,
        roots,
        answer_within: ANSWER_WITHIN,
        limits: Limits::default(),
    })?)
}

fn no_token() -> Report {
    Report::new(
        ExitCode::NotAllowed,
        "a server named by `--server` needs a token",
    )
    .hint("set `PHISYNC_TOKEN`, or name a file with `--token-file`")
}

impl From<StartError> for Report {
    fn from(error: StartError) -> Self {
        let exit = ExitCode::from_number(error.exit_code());
        Self::new(exit, &error).maybe_hint(error.hint())
    }
}
