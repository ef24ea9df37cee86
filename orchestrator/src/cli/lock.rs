//! `phisync lock`: a command that runs while nobody else has the named lock.
//!
//! The lease is renewed while the command lives. A command whose lock is lost, or may be soon because
//! nobody answers, is killed with everything it started: somebody else has it by then. The token goes to
//! the command in its environment, and `phisync tx apply` hands it on, so that what is written too
//! late is refused.

use std::io::IsTerminal as _;
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use clap::{Args, Subcommand};
use phisync::protocol::{AcquireRequest, Acquired, LockList, LockTokenRequest};
use phisync_agents::tree::{Life, Tree};
use phisync_state::env::{Clock as _, Entropy as _, OsClock, OsEntropy};

use super::api::{Api, CallError};
use super::duration::duration;
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

/// A shell says so of a command that a signal ended, and adds the signal.
const SIGNALLED: i32 = 128;

/// Run a command while nobody else has the lock; or list locks.
///
/// Who waits is served in the order of asking. The command finds the fencing token in
/// `PHISYNC_LOCK_TOKEN` and `NAME:TOKEN` in `PHISYNC_LOCK`. Ends with the command's own exit code (128
/// and the number of the signal that ended it), with 5 if the lock was lost meanwhile (the command and
/// all it started is killed then), with 8 if the lock was not to be had in time.
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
    /// Gives the number to end with, which may be the command's.
    pub(super) fn run(self, context: &Context) -> Result<u8, Report> {
        match (&self.list, &self.name) {
            (None, Some(name)) => self.hold(name, context),
            (Some(Verb::List(_)), _) | (None, None) => list(context).map(ExitCode::number),
        }
    }

    fn hold(&self, name: &str, context: &Context) -> Result<u8, Report> {
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
    ) -> Result<u8, Report> {
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
        // A terminal stops whoever reads from it in another group than the one in front.
        let leads = !std::io::stdin().is_terminal();
        let tree = Tree::share(command, leads).map_err(|cause| {
            let message = format!("cannot start `{program}`: {cause}");
            Report::new(ExitCode::NotFound, message)
        })?;
        let no_thread = |cause: std::io::Error| {
            let message = format!("cannot start a thread: {cause}");
            Report::new(ExitCode::Stopped, message)
        };
        let of_the_command = events.clone();
        tree.watch(move |life| {
            if life == Life::Ended {
                tell(&of_the_command, Event::Ended);
            }
        })
        .map_err(no_thread)?;
        let clock = OsClock::new();
        let (done, finished) = mpsc::channel();
        let renewing = Renewal {
            api: connected.api.clone(),
            name: name.to_owned(),
            token: grant.token,
            lease: Duration::from_millis(grant.lease_ms),
            clock,
        };
        let fence = renewing.fence(clock.monotonic());
        // Left to itself in the end: it may wait for an answer, and a renewal too late is refused.
        std::thread::Builder::new()
            .name("lock renewal".to_owned())
            .spawn(move || renewing.run(&finished, &events))
            .map_err(no_thread)?;
        let ended = watch(&tree, clock, fence, happened);
        drop(done);
        let cannot_wait = |cause: std::io::Error| {
            let message = format!("cannot wait for the command: {cause}");
            Report::new(ExitCode::Stopped, message)
        };
        match ended {
            Ok(()) => tree.wait().map(code_of).map_err(cannot_wait),
            Err(report) => {
                let collected = tree.collect();
                tracing::debug!(?collected, "the command is killed");
                Err(report)
            }
        }
    }
}

/// The number that a shell would end with.
fn code_of(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|signal| SIGNALLED + signal));
    let of_a_failure = ExitCode::RunFailed.number();
    code.map_or(of_a_failure, |code| {
        u8::try_from(code).unwrap_or(of_a_failure)
    })
}

/// What can happen while the command runs.
enum Event {
    /// The command has ended.
    Ended,
    /// We are asked to end.
    Signal,
    /// The lock is ours until then, by the monotonic clock.
    Renewed(Duration),
    /// The lock is not ours any more.
    Lost(String),
}

fn tell(events: &Sender<Event>, event: Event) {
    if events.send(event).is_err() {
        tracing::debug!("the command has ended already");
    }
}

/// Waits for the end of the command; an error is a reason to kill it. It has some time to end by
/// itself after a signal, and until `fence` unless the lock is renewed.
fn watch(
    tree: &Tree,
    clock: OsClock,
    mut fence: Duration,
    happened: &Receiver<Event>,
) -> Result<(), Report> {
    let mut end: Option<Duration> = None;
    let lost = |why: &str| {
        let message = format!("the lock was lost, and the command is killed: {why}");
        Report::new(ExitCode::Conflict, message)
    };
    loop {
        let until = end.map_or(fence, |end| end.min(fence));
        let left = until.saturating_sub(clock.monotonic());
        match happened.recv_timeout(left) {
            Ok(Event::Ended) => return Ok(()),
            Ok(Event::Signal) => {
                tree.ask_to_end();
                end = Some(clock.monotonic() + GRACE);
            }
            Ok(Event::Renewed(until)) => fence = until,
            Ok(Event::Lost(why)) => return Err(lost(&why)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if until < fence => {
                return Err(Report::new(ExitCode::Interrupted, "interrupted"));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(lost("it could not be renewed in time"));
            }
        }
    }
}

/// Keeps the lease alive.
struct Renewal {
    api: Api,
    name: String,
    token: u64,
    lease: Duration,
    clock: OsClock,
}

impl Renewal {
    /// When the command must be gone, if the lease is not renewed after it was at `renewed`: somebody
    /// else begins at its end.
    fn fence(&self, renewed: Duration) -> Duration {
        renewed + self.lease * 2 / 3
    }

    /// Renews three times per lease, oftener while it fails, until `done` closes.
    fn run(&self, done: &Receiver<()>, events: &Sender<Event>) {
        let path = ["v1", "locks", &self.name, "renew"];
        let request = LockTokenRequest { token: self.token };
        let mut pause = self.lease / 3;
        while let Err(RecvTimeoutError::Timeout) = done.recv_timeout(pause) {
            let asked = self.clock.monotonic();
            match self.api.post::<_, Acquired>(&path, &request) {
                Ok(_) => {
                    tell(events, Event::Renewed(self.fence(asked)));
                    pause = self.lease / 3;
                }
                Err(CallError::Refused(problem)) if problem.status == 409 => {
                    return tell(events, Event::Lost(problem.detail.clone()));
                }
                Err(error) => {
                    tracing::debug!(%error, "the lock was not renewed; once more");
                    pause = self.lease / 12;
                }
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
