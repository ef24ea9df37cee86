//! `phisync run`: starts, watches and ends runs. One verb per file.

mod again;
pub(super) mod cancel;
mod control;
mod events;
mod list;
mod result;
mod show;
mod start;
mod wait;

use std::time::Duration;

use clap::Subcommand;
use phisync::protocol::{EventList, Failure, Started};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Context;
use super::api::{Api, CallError};
use super::exit_code::ExitCode;
use super::output::{Format, yaml};
use super::report::Report;

/// How long one call waits for a run to get further; then it is made again.
const WAIT_PER_CALL: Duration = Duration::from_secs(25);

/// The header of the transition log.
pub(super) const LOG_HEADER: &str =
    "   seq       time  subject                  change                     cause";

#[derive(Debug, Subcommand)]
pub(super) enum Run {
    Start(start::Start),
    List(list::List),
    Show(show::Show),
    Events(events::Events),
    Result(result::ShowResult),
    Wait(wait::Wait),
    Cancel(cancel::Cancel),
    Pause(control::Pause),
    Resume(control::Resume),
    Signal(control::Signal),
    Retry(again::Retry),
    Fork(again::Fork),
}

pub(super) use control::json;

/// How a run ended, or where it stands.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    /// The run.
    pub(super) id: String,
    /// `running completed failed cancelled`.
    pub(super) status: String,
    /// The outputs, once completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outputs: Option<Box<RawValue>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Failure>,
    /// Whether nothing was started: the key of the start named this open run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) attached: bool,
}

impl Run {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode, Report> {
        match self {
            Self::Start(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Events(command) => command.run(context),
            Self::Result(command) => command.run(context),
            Self::Wait(command) => command.run(context),
            Self::Cancel(command) => command.run(context),
            Self::Pause(command) => command.run(context),
            Self::Resume(command) => command.run(context),
            Self::Signal(command) => command.run(context),
            Self::Retry(command) => command.run(context),
            Self::Fork(command) => command.run(context),
        }
    }
}

impl From<Started> for Outcome {
    fn from(started: Started) -> Self {
        Self {
            id: started.id,
            status: started.status,
            outputs: started.outputs,
            error: started.error,
            attached: started.attached,
        }
    }
}

impl Outcome {
    /// Whether nothing follows any more.
    pub(super) fn is_closed(&self) -> bool {
        self.status != "running"
    }

    /// Answers with the outcome of a closed run: its outputs on stdout, or why there are none.
    ///
    /// # Errors
    /// When the run did not complete.
    pub(super) fn tell(&self, context: &Context) -> Result<ExitCode, Report> {
        match (context.output.format(), &self.outputs) {
            (Format::Table, Some(outputs)) => context.output.text(&outputs_text(outputs))?,
            (Format::Table, None) => {}
            (Format::Json | Format::Jsonl | Format::Yaml, _) => {
                context.output.one(self, |_| String::new())?;
            }
        }
        self.verdict()
    }

    /// The exit code, and the words for a run that did not complete.
    ///
    /// # Errors
    /// When the run did not complete.
    pub(super) fn verdict(&self) -> Result<ExitCode, Report> {
        let id = &self.id;
        let message = match (self.status.as_str(), &self.error) {
            ("completed", _) => return Ok(ExitCode::Ok),
            ("cancelled", _) => format!("the run `{id}` was cancelled"),
            (_, Some(error)) => {
                let step = match &error.step {
                    Some(step) => format!(" at step `{step}`"),
                    None => String::new(),
                };
                format!(
                    "the run `{id}` failed{step}: {}: {}",
                    error.code, error.message
                )
            }
            (status, None) => format!("the run `{id}` is {status}"),
        };
        Err(Report::new(ExitCode::RunFailed, message))
    }
}

/// Outputs for people: YAML; nothing if there are none.
pub(super) fn outputs_text(outputs: &RawValue) -> String {
    match outputs.get() {
        "{}" => String::new(),
        _ => yaml(&outputs),
    }
}

/// The events of a run after its `from`th, waiting for some if there are none yet.
///
/// # Errors
/// When the call fails.
pub(super) fn next_events(
    api: &Api,
    run: &str,
    from: u64,
    wait: bool,
) -> Result<EventList, CallError> {
    let from = from.to_string();
    let path = ["v1", "runs", run, "events"];
    if wait {
        let seconds = WAIT_PER_CALL.as_secs().to_string();
        let query = [("from", from.as_str()), ("wait_s", seconds.as_str())];
        api.get_waiting(&path, &query, WAIT_PER_CALL)
    } else {
        api.get(&path, &[("from", from.as_str())])
    }
}

/// Waits until a run is closed, at most `within`; the outcome then may still be open.
///
/// # Errors
/// When a call fails.
pub(super) fn wait_closed(
    api: &Api,
    run: &str,
    clock: &dyn phisync_state::env::Clock,
    within: Option<Duration>,
) -> Result<Outcome, CallError> {
    let deadline = within.map(|within| clock.monotonic().saturating_add(within));
    loop {
        let left = deadline.map_or(WAIT_PER_CALL, |deadline| {
            deadline
                .saturating_sub(clock.monotonic())
                .min(WAIT_PER_CALL)
        });
        let seconds = format!("{:.3}", left.as_secs_f64());
        let query = [("for", "closed"), ("timeout_s", seconds.as_str())];
        let started: Started = api.get_waiting(&["v1", "runs", run, "wait"], &query, left)?;
        let outcome = Outcome::from(started);
        if outcome.is_closed() || (deadline.is_some() && left < WAIT_PER_CALL) {
            return Ok(outcome);
        }
    }
}
