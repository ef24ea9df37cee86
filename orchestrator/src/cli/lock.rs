//! `phisync lock`: a command that runs while nobody else has the named lock.
//!
//! The lease is renewed while the command lives; a command whose lock is lost is killed, because
//! somebody else has it by then. The token goes to the command in its environment, and
//! `phisync tx apply` hands it on, so that what is written too late is refused.

use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use clap::{Args, Subcommand};
use phisync::protocol::{AcquireRequest, Acquired, LockList, LockTokenRequest};
use phisync_state::env::{Clock as _, Entropy as _, OsClock, OsEntropy};

use super::api::{Api, CallError};
use super::exit_code::ExitCode;
use super::output::Table;
use super::report::Report;
use super::{Context, signals};

/// One request waits so long at most; then it asks again, under the same word.
const ASK_WAIT: Duration = Duration::from_secs(20);

/// How often a directory that another command has is tried again.
const DIRECTORY_RETRY: Duration = Duration::from_millis(20);

/// How long a command has to end by itself after a signal.
const GRACE: Duration = Duration::from_secs(2);

/// The longest pause between two looks at the command.
const LOOK_MAX: Duration = Duration::from_millis(50);

/// Run a command while nobody else has the lock; or list locks.
///
/// Who waits is served in the order of asking. The command finds the fencing token in
/// `PHISYNC_LOCK_TOKEN` and `NAME:TOKEN` in `PHISYNC_LOCK`. Ends with 0 if it did, with 1 if it
/// failed, with 5 if the lock was lost meanwhile (the command is killed then), with 8 if the lock
/// was not to be had in time.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Lock {
    #[command(subcommand)]
    list: Option<Verb>,

    /// Lock
    #[arg(required = true, value_name = "NAME")]
    name: Option<String>,

    /// How long this command may be silent before it loses the lock, 1 s to 1 h
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "TIME")]
    ttl: Duration,

    /// How long to wait for the lock [default: without end]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    wait: Option<Duration>,

    /// Hold it as this agent [default: the token's own identity]
    #[arg(long = "as", value_name = "NAME")]
    act_as: Option<String>,

    /// Command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    List(List),
}

/// List the locks that somebody has or waits for.
#[derive(Debug, Args)]
struct List {}

impl Lock {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match (&self.list, &self.name) {
            (None, Some(name)) => self.hold(name, context),
            (Some(Verb::List(_)), _) | (None, None) => list(context),
        }
    }

    fn hold(&self, name: &str, context: &Context) -> Result<ExitCode, Report> {
        let (events, happened) = mpsc::channel();
        let signalled = events.clone();
        signals::on_first(move || tell(&signalled, Event::Signal))?;
        let patience = Patience::new(self.wait);
        let connected = loop {
            match context.place.connect(self.act_as.as_deref()) {
                Err(held) if held.exit() == ExitCode::Locked => {
                    patience.pause(DIRECTORY_RETRY, &happened, held)?;
                }
                connected => break connected?,
            }
        };
        let held = self.acquire(name, &connected.api, &patience, &happened);
        let ended = held.and_then(|grant| {
            let ended = self.run_command(name, &grant, &connected, events, &happened);
            let request = LockTokenRequest { token: grant.token };
            let path = ["v1", "locks", name, "release"];
            let released =
                connected
                    .api
                    .post_waiting::<_, serde_json::Value>(&path, &request, Duration::ZERO);
            match (ended, released) {
                (Ok(exit), Ok(_)) => Ok(exit),
                (Ok(_), Err(lost)) => Err(Report::from(lost)),
                (Err(report), _) => Err(report),
            }
        });
        let closed = connected.close();
        let exit = ended?;
        closed?;
        Ok(exit)
    }

    fn acquire(
        &self,
        name: &str,
        api: &Api,
        patience: &Patience,
        happened: &Receiver<Event>,
    ) -> Result<Acquired, Report> {
        // Nobody else uses this word, so asking twice cannot take the lock twice.
        let holder = format!(
            "process {} {:08x}",
            std::process::id(),
            OsEntropy.next_u64() >> 32
        );
        loop {
            let wait = patience.left().min(ASK_WAIT);
            let request = AcquireRequest {
                ttl_s: Some(self.ttl.as_secs_f64()),
                wait_s: Some(wait.as_secs_f64()),
                holder: Some(holder.clone()),
            };
            let path = ["v1", "locks", name, "acquire"];
            match api.post_waiting(&path, &request, wait) {
                Ok(Some(acquired)) => return Ok(acquired),
                Ok(None) => {}
                Err(CallError::Refused(problem)) if problem.code == "locked" => {
                    let late = Report::new(ExitCode::TimedOut, &problem.detail);
                    patience.pause(Duration::ZERO, happened, late)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn run_command(
        &self,
        name: &str,
        grant: &Acquired,
        connected: &super::connection::Connected,
        events: Sender<Event>,
        happened: &Receiver<Event>,
    ) -> Result<ExitCode, Report> {
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| Report::new(ExitCode::Usage, "a command is needed after `--`"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PHISYNC_LOCK", format!("{name}:{}", grant.token))
            .env("PHISYNC_LOCK_NAME", name)
            .env("PHISYNC_LOCK_TOKEN", grant.token.to_string());
        if let Some((url, token)) = connected.own() {
            // The directory is ours meanwhile: the command reaches it through us.
            command
                .env("PHISYNC_SERVER", url)
                .env("PHISYNC_TOKEN", token);
        }
        let mut child = command.spawn().map_err(|cause| {
            let message = format!("cannot start `{program}`: {cause}");
            Report::new(ExitCode::NotFound, message)
        })?;
        let (done, finished) = mpsc::channel();
        let renewing = Renewal {
            api: connected.api.clone(),
            name: name.to_owned(),
            token: grant.token,
            lease: Duration::from_millis(grant.lease_ms),
        };
        let renewing = std::thread::Builder::new()
            .name("lock renewal".to_owned())
            .spawn(move || renewing.run(&finished, &events))
            .map_err(|cause| {
                let message = format!("cannot start a thread: {cause}");
                Report::new(ExitCode::Stopped, message)
            });
        let ended = renewing.and_then(|thread| {
            let ended = watch(&mut child, happened);
            // Tells the thread; it looks at nothing else for long.
            drop(done);
            if thread.join().is_err() {
                tracing::error!("the lock's renewal panicked");
            }
            ended
        });
        if ended.is_err() {
            // It fails when the command has ended, which is what was wanted.
            child.kill().ok();
            child.wait().ok();
        }
        match ended? {
            status if status.success() => Ok(ExitCode::Ok),
            status => {
                tracing::warn!(program, %status, "the command failed");
                Ok(ExitCode::RunFailed)
            }
        }
    }
}

/// What can happen while the command runs.
enum Event {
    /// We are asked to end.
    Signal,
    /// The lock is not ours any more.
    Lost(String),
}

fn tell(events: &Sender<Event>, event: Event) {
    if events.send(event).is_err() {
        tracing::debug!("the command has ended already");
    }
}

/// Waits for the command, the loss of the lock, or a signal.
fn watch(child: &mut Child, happened: &Receiver<Event>) -> Result<ExitStatus, Report> {
    let clock = OsClock::new();
    let mut look = Duration::from_millis(1);
    let mut end: Option<Duration> = None;
    loop {
        let status = child.try_wait().map_err(|cause| {
            let message = format!("cannot wait for the command: {cause}");
            Report::new(ExitCode::Stopped, message)
        })?;
        if let Some(status) = status {
            return Ok(status);
        }
        if end.is_some_and(|end| clock.monotonic() >= end) {
            return Err(Report::new(ExitCode::Interrupted, "interrupted"));
        }
        match happened.recv_timeout(look) {
            Ok(Event::Signal) => end = Some(clock.monotonic() + GRACE),
            Ok(Event::Lost(why)) => {
                let message = format!("the lock was lost, and the command is killed: {why}");
                return Err(Report::new(ExitCode::Conflict, message));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        look = (look * 2).min(LOOK_MAX);
    }
}

/// Keeps the lease alive.
struct Renewal {
    api: Api,
    name: String,
    token: u64,
    lease: Duration,
}

impl Renewal {
    /// Renews three times per lease until `done` closes. A lease that could not be renewed for two
    /// thirds of its length counts as lost: the command must be gone before somebody else begins.
    fn run(&self, done: &Receiver<()>, events: &Sender<Event>) {
        let clock = OsClock::new();
        let mut renewed = clock.monotonic();
        let path = ["v1", "locks", &self.name, "renew"];
        let request = LockTokenRequest { token: self.token };
        loop {
            match done.recv_timeout(self.lease / 3) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let asked = clock.monotonic();
            match self.api.post::<_, Acquired>(&path, &request) {
                Ok(_) => renewed = asked,
                Err(CallError::Refused(problem)) if problem.status == 409 => {
                    return tell(events, Event::Lost(problem.detail.clone()));
                }
                Err(error) if clock.monotonic() - renewed >= self.lease * 2 / 3 => {
                    return tell(events, Event::Lost(error.to_string()));
                }
                Err(error) => tracing::debug!(%error, "the lock was not renewed; once more"),
            }
        }
    }
}

/// How long we go on asking.
struct Patience {
    clock: OsClock,
    end: Option<Duration>,
}

impl Patience {
    fn new(wait: Option<Duration>) -> Self {
        let clock = OsClock::new();
        Self {
            end: wait.map(|wait| clock.monotonic().saturating_add(wait)),
            clock,
        }
    }

    fn left(&self) -> Duration {
        self.end.map_or(Duration::MAX, |end| {
            end.saturating_sub(self.clock.monotonic())
        })
    }

    /// Pauses; ends with `late` when the time is over, and at a signal.
    fn pause(
        &self,
        pause: Duration,
        happened: &Receiver<Event>,
        late: Report,
    ) -> Result<(), Report> {
        if self.left().is_zero() {
            return Err(late);
        }
        match happened.recv_timeout(pause.min(self.left())) {
            Ok(_) => Err(Report::new(ExitCode::Interrupted, "interrupted")),
            Err(_) => Ok(()),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit).unwrap_or_default();
    let number: u64 = number.parse().map_err(|_| "a number and s, m or h")?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        _ => return Err("a number and ms, s, m or h, such as 30s".to_owned()),
    };
    Ok(Duration::from_secs(seconds))
}

fn list(context: &Context) -> Result<ExitCode, Report> {
    let list: LockList = context
        .place
        .with_server(None, |api| Ok(api.get(&["v1", "locks"], &[])?))?;
    context.output.many(&list, &list.locks, |locks| {
        let mut table = Table::new(["LOCK", "HELD BY", "TOKEN", "LEASE LEFT", "WAITING"]);
        for lock in locks {
            let seconds = |millis: u64| format!("{}s", millis / 1000);
            table.row([
                lock.name.clone(),
                lock.by.clone().unwrap_or_default(),
                lock.token
                    .map(|token| token.to_string())
                    .unwrap_or_default(),
                lock.lease_left_ms.map(seconds).unwrap_or_default(),
                lock.waiting.len().to_string(),
            ]);
        }
        table
    })?;
    Ok(ExitCode::Ok)
}
