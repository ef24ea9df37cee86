//! `phisync doc update`: a command makes the new content from the old one, as often as others are faster.
//!
//! The first try is a plain compare-and-swap. Whoever loses it waits in the document's line and gets the newest content in its own
//! turn, so however many change one document at once, each comes through.

use std::io::Write as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use clap::Args;
use phisync::protocol::{DocumentDetail, DocumentTurn, DocumentWritten};
use phisync_state::env::{Clock as _, OsClock};
use serde_json::value::RawValue;

use super::super::Context;
use super::super::api::{Api, CallError};
use super::super::duration::duration;
use super::super::exit_code::ExitCode;
use super::super::report::Report;
use super::super::writes::Right;

/// One request waits for a turn so long at most; then it asks again.
const ASK_WAIT: Duration = Duration::from_secs(20);

/// The shortest turn that is asked for; for a slow command it is twice what the command took.
const HOLD: Duration = Duration::from_secs(2);

/// A shell says so of a command that a signal ended, and adds the signal.
const SIGNALLED: i32 = 128;

/// Change a document by a command: it reads the old content on standard input and prints the new one.
///
/// The command runs again whenever somebody else was faster, from the second time on in a turn of its own: nobody else writes
/// meanwhile. It finds the version in `PHISYNC_DOCUMENT_VERSION`; 0, and nothing to read: there is no such document yet. Content that
/// stays the same is not written. Ends with the command's own exit code if that is not 0, with 8 if no turn came in time.
#[derive(Debug, Args)]
pub(in crate::cli) struct Update {
    /// Document
    #[arg(value_name = "NAME")]
    name: String,

    /// How long to wait for a turn, each time
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    wait: Duration,

    #[command(flatten)]
    right: Right,

    /// Command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// The document as the command is to see it.
struct Seen {
    version: u64,
    content: Option<Box<RawValue>>,
    /// The turn in which that is so.
    turn: Option<u64>,
}

/// What trying to write came to.
enum Tried {
    Written(DocumentWritten),
    /// Somebody was faster, and this is our turn.
    Lost(DocumentTurn),
}

impl Update {
    /// Gives the number to end with, which may be the command's.
    pub(in crate::cli) fn run(&self, context: &Context) -> Result<u8, Report> {
        let written = context.place.with_server(self.right.act_as(), |api| {
            let api = self.right.on(api)?;
            self.change(&api)
        })?;
        match written {
            Ok(Some(written)) => context.output.one(&written, |written| {
                format!("{}: version {}", written.name, written.version)
            })?,
            Ok(None) => context.output.say(format!("{}: unchanged", self.name))?,
            Err(exit) => return Ok(exit),
        }
        Ok(ExitCode::Ok.number())
    }

    /// What was written, nothing if the content stays, or how the command failed.
    fn change(&self, api: &Api) -> Result<Result<Option<DocumentWritten>, u8>, Report> {
        let mut seen = self.read(api)?;
        let clock = OsClock::new();
        loop {
            let before = clock.monotonic();
            let made = self.make(&seen);
            let took = clock.monotonic().saturating_sub(before);
            let content = match made {
                Ok(Ok(content)) if !seen.holds(&content) => content,
                rest => {
                    self.give_up(api, &seen);
                    return rest.map(|made| made.map(|_| None));
                }
            };
            match self.write(api, &seen, &content, took.saturating_mul(2).max(HOLD))? {
                Tried::Written(written) => return Ok(Ok(Some(written))),
                Tried::Lost(turn) => {
                    seen = Seen {
                        version: turn.version,
                        content: turn.content,
                        turn: Some(turn.turn),
                    }
                }
            }
        }
    }

    fn read(&self, api: &Api) -> Result<Seen, Report> {
        match api.get::<DocumentDetail>(&["v1", "documents", &self.name], &[]) {
            Ok(document) => Ok(Seen {
                version: document.version,
                content: Some(document.content),
                turn: None,
            }),
            Err(CallError::Refused(problem)) if problem.status == 404 => Ok(Seen {
                version: 0,
                content: None,
                turn: None,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// What the command makes of it, or the number that it ends with.
    fn make(&self, seen: &Seen) -> Result<Result<Box<RawValue>, u8>, Report> {
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| Report::new(ExitCode::Usage, "a command is needed after `--`"))?;
        let child = Command::new(program)
            .args(arguments)
            .env("PHISYNC_DOCUMENT", &self.name)
            .env("PHISYNC_DOCUMENT_VERSION", seen.version.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.map_err(|cause| {
            let message = format!("cannot start `{program}`: {cause}");
            Report::new(ExitCode::NotFound, message)
        })?;
        let text = seen.content.as_ref().map_or("", |content| content.get());
        let stdin = child.stdin.take();
        let output = std::thread::scope(|scope| {
            // On a thread of its own, because a command may print a lot before it reads.
            scope.spawn(move || match stdin {
                Some(mut stdin) => stdin.write_all(text.as_bytes()),
                None => Ok(()),
            });
            child.wait_with_output()
        });
        let output = output.map_err(|cause| {
            let message = format!("cannot wait for the command: {cause}");
            Report::new(ExitCode::Stopped, message)
        })?;
        if !output.status.success() {
            return Ok(Err(number(output.status)));
        }
        let content: Result<Box<RawValue>, _> = serde_json::from_slice(&output.stdout);
        let content = content.map_err(|cause| {
            let message = format!("what the command printed is not JSON: {cause}");
            Report::new(ExitCode::Invalid, message)
        })?;
        Ok(Ok(content))
    }

    fn write(
        &self,
        api: &Api,
        seen: &Seen,
        content: &RawValue,
        hold: Duration,
    ) -> Result<Tried, Report> {
        let path = ["v1", "documents", &self.name];
        let version = format!("\"{}\"", seen.version);
        let mut headers = match (seen.version, &seen.content) {
            (_, None) => vec![("if-none-match", "*")],
            _ => vec![("if-match", version.as_str())],
        };
        let turn = seen.turn.map(|turn| turn.to_string());
        headers.extend(turn.as_deref().map(|turn| ("phisync-turn", turn)));
        let hold_s = hold.as_secs_f64().to_string();
        let clock = OsClock::new();
        let end = clock.monotonic().saturating_add(self.wait);
        loop {
            let left = end.saturating_sub(clock.monotonic());
            let wait = left.min(ASK_WAIT);
            let turn_s = wait.as_secs_f64().to_string();
            let query = [("turn_s", turn_s.as_str()), ("hold_s", hold_s.as_str())];
            match api.put(&path, &query, &headers, &content, wait) {
                Ok(written) => return Ok(Tried::Written(written)),
                Err(CallError::Refused(problem)) => match problem.turn.clone() {
                    Some(turn) => {
                        let turn = serde_json::from_value(turn).map_err(|cause| {
                            let message = format!("the server told a turn that is none: {cause}");
                            Report::new(ExitCode::NoServer, message)
                        })?;
                        return Ok(Tried::Lost(turn));
                    }
                    None if problem.code == "turn" && left > ASK_WAIT => {}
                    None if problem.code == "turn" => {
                        return Err(Report::new(ExitCode::TimedOut, problem.detail));
                    }
                    None => return Err(CallError::Refused(problem).into()),
                },
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Nothing comes of a turn: whoever is next need not wait for its end.
    fn give_up(&self, api: &Api, seen: &Seen) {
        if let Some(turn) = seen.turn {
            let path = ["v1", "documents", &self.name, "turn", "release"];
            let request = phisync::protocol::TurnReleaseRequest { turn };
            let released =
                api.post_waiting::<_, serde_json::Value>(&path, &request, Duration::ZERO);
            if let Err(error) = released {
                tracing::debug!(%error, "the turn stays until its time is over");
            }
        }
    }
}

impl Seen {
    fn holds(&self, content: &RawValue) -> bool {
        let now = self.content.as_ref();
        now.is_some_and(|now| now.get() == content.get())
    }
}

fn number(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return u8::try_from(SIGNALLED + signal).unwrap_or(u8::MAX);
    }
    let code = status.code().unwrap_or(SIGNALLED);
    u8::try_from(code).unwrap_or(u8::MAX)
}
